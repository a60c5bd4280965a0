"""What a spreadsheet would take for a formula when it opens a file of ours, and how it does not.

A cell that begins with `=`, `+`, `-`, `@`, tab, return or a new line gets an apostrophe before it.
A plain negative number such as `-5` or `-1,234.5` is none: it stays the number that it is.
"""

from __future__ import annotations

import re

FORMULA = r"[=+\-@\t\r\n]"
"""The pattern, for Python and the engine, of how a formula begins ..."""
NUMBER = r"-[0-9.,]*[0-9][0-9.,]*"
"""... unless the whole cell is a number."""

_FORMULA = re.compile(f"('*)({FORMULA}.*)", re.DOTALL)
_NUMBER = re.compile(NUMBER)


def neutral(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula.

    One goes before what has apostrophes before a formula too, so that `restored` gives it back.

    Examples
    --------
    >>> [neutral(cell) for cell in ("=1+1", "'=1", "-5", "a=b")]
    ["'=1+1", "''=1", '-5', 'a=b']
    """
    found = _FORMULA.fullmatch(cell)
    return f"'{cell}" if found and not _NUMBER.fullmatch(found[2]) else cell


def restored(cell: str) -> str:
    """Take away what `neutral` has put before a cell.

    Examples
    --------
    >>> [restored(cell) for cell in ("'=1+1", "''=1", "'-5", "'quoted")]
    ['=1+1', "'=1", "'-5", "'quoted"]
    """
    found = _FORMULA.fullmatch(cell)
    is_ours = found and found[1] and not _NUMBER.fullmatch(found[2])
    return cell[1:] if is_ours else cell
