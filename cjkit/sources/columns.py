"""What reading a file gives, and how a name in a mapping finds its column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import column, text

SEPARATOR = "chr(31)"
"""SQL of what stands between the cells of a record where it is one text."""


@dataclass(frozen=True)
class Reading:
    """How the engine reads one file.

    Attributes
    ----------
    sql : str
        A query that gives `record_no` (from 1), `record_text` (the whole record; missing where it
        could not be read), and the columns that were asked for, as text: `f1`, `f2`, ... in order.
    raw : str
        A query that gives `record_no` and `record`: the record as a JSON object of all its columns,
        or, where it could not be read, a JSON string of what stands there (missing where the engine
        does not tell it).
    unmapped : tuple of str
        The columns of the file that nobody asked for.
    absent : tuple of str
        Keys that were asked for and that no record has: JSON leaves out what is empty.
    unreadable : tuple of str
        The first records that could not be read, in words.
    records : int or None
        How many records there must be, where that is known before.
    names : str or None
        A query that gives the keys of the first records as `name`, where only records know them.
    keys : tuple of str
        What it gave.
    repair : callable or None
        What to do when the engine refuses `sql`: it returns a reading that tells bad records from
        good ones.
    """

    sql: str
    raw: str
    unmapped: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    records: int | None = None
    names: str | None = None
    keys: tuple[str, ...] = ()
    repair: Callable[[], Reading] | None = None


@dataclass(frozen=True)
class Place:
    """A column of a file (from 1), and the path inside it, if any."""

    number: int
    inner: tuple[str, ...] = ()


def record_hash(record: str, salt: str) -> str:
    """Write 64 bits that are equal for equal records, and missing where there is none.

    They are of MD5, under a salt that keeps them from telling what the record held.
    """
    return f"md5_number_lower({text(salt)} || {record})"  # || keeps what is missing missing


def json_record(names: Sequence[str], values: Sequence[str]) -> str:
    """Write a JSON object of texts under the names of a header, none of which is lost.

    Examples
    --------
    >>> print(json_record(["a", "", "a"], ["c1", "c2", "c3"]))
    json_object('a', c1, 'column 2', c2, 'a (column 3)', c3)
    """
    taken: dict[str, str] = {}
    for number, (given, value) in enumerate(zip(names, values, strict=True), 1):
        name = given.strip().replace("\0", "\ufffd")  # no SQL can hold it
        if name in taken or not name:
            name = f"{name} (column {number})" if name else f"column {number}"
        taken[name] = value
    return f"json_object({', '.join(f'{text(name)}, {value}' for name, value in taken.items())})"


def find_columns(wanted: Sequence[str], names: Sequence[str], path: Path) -> list[Place]:
    """Find the columns of a file that a mapping names, or say all that it lacks.

    A name is looked for as it is, then whatever its case, then as the path inside a column.
    """
    found, faults = [], []
    for name in wanted:
        try:
            found.append(_find_column(name, names, path))
        except CjkitError as error:
            faults.append(str(error))
    if faults:
        raise CjkitError("\n".join(faults))
    return found


def _find_column(wanted: str, names: Sequence[str], path: Path) -> Place:
    parts = wanted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        for same in (str.strip, lambda given: given.strip().casefold()):
            found = [number for number, other in enumerate(names, 1) if same(other) == same(name)]
            if len(found) > 1:
                raise CjkitError(
                    f"{path} has {len(found)} columns called {name!r} (columns "
                    f"{' and '.join(map(str, found))}): give each its own name."
                )
            if found:
                return Place(found[0], tuple(parts[length:]))
    raise unknown_name("column", wanted, [name.strip() for name in names], where=str(path))


def json_path(parts: Sequence[str]) -> str:
    """Write a path into JSON; a part that is a number counts into a list, from 0.

    Examples
    --------
    >>> json_path(("items", "0", "price"))
    '$."items"[0]."price"'
    """
    return "$" + "".join(f"[{part}]" if part.isdigit() else f".{column(part)}" for part in parts)


def reach_json(value: str, inner: Sequence[str]) -> str:
    """Write the SQL that reaches into a text of JSON; any other text has nothing inside."""
    valid = f"case when json_valid({value}) then {value} end"
    return f"json_extract_string({valid}, {text(json_path(inner))})"
