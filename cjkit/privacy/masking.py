"""Small cells: counts of so few people that they could be told who, and all that rests on them."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.privacy.sums import Cell, Relation, find_hidden


class _Smallest:
    """The fewest people that a figure may speak of: set when a log is opened."""

    cell: int = 5


def set_min_cell(people: int) -> None:
    """Set the fewest people that a shown figure may speak of; 0 shows everything."""
    if people < 0:
        raise CjkitError(f"min_cell={people!r} must be 0 or more.")
    _Smallest.cell = people


def min_cell() -> int:
    """Return the fewest people that a shown figure may speak of."""
    return _Smallest.cell


def mask(result: Any, smallest: int | None = None) -> Any:
    """Return `result` with every count below `smallest`, and what rests on it, made missing.

    The one place where small cells are hidden: what is shown, drawn, written as CSV or recorded
    goes through here; the functions of the analyses return exact counts. A count of 0 stays, since
    it speaks of nobody.

    Parameters
    ----------
    result : a result of an analysis
        A frozen dataclass. It says in `counts` which columns of its `table` count people, and
        which columns must go with each: rates, revenue, quantiles; and in `adds_up` which sums
        readers can make of these counts (`Totals`, `Rest`, `Steps`, `Equation`), so that more is
        hidden until no sum gives a hidden count away; `beside` names columns that are in these
        sums and count no people; and `whose`, a table of the same rows, says of how many people
        the counts of what they did are, under the names of these. Fields that hold such results,
        alone or in a tuple, are masked too. One that is made of other results has `remade(mask)`,
        which makes it anew of masked ones. Anything else comes back as it is.
    smallest : int, optional
        The fewest people shown; that of the opened project where not given.

    Raises
    ------
    CjkitError
        When `counts` names a column that the table does not have.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Visits:
    ...     table: pd.DataFrame
    ...     counts = {"customers": ("rate",)}
    >>> visits = Visits(pd.DataFrame({"customers": [40, 3], "rate": [0.5, 0.3]}))
    >>> mask(visits, 5).table
       customers  rate
    0       40.0   0.5
    1        NaN   NaN
    """
    smallest = min_cell() if smallest is None else smallest
    if smallest <= 1 or not dataclasses.is_dataclass(result) or isinstance(result, type):
        return result
    if hasattr(result, "remade"):
        return result.remade(lambda part: mask(part, smallest))
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if field.name == "table" and isinstance(value, pd.DataFrame):
            masked: Any = _mask_table(value, result, smallest)
        elif isinstance(value, tuple):
            masked = tuple(mask(part, smallest) for part in value)
            if all(new is old for new, old in zip(masked, value, strict=True)):
                continue
        else:
            masked = mask(value, smallest)
        if masked is not value:
            changed[field.name] = masked
    return dataclasses.replace(result, **changed) if changed else result


def _mask_table(table: pd.DataFrame, result: Any, smallest: int) -> pd.DataFrame:
    counts: Mapping[str, tuple[str, ...]] = getattr(result, "counts", {})
    adds_up: Sequence[Relation] = getattr(result, "adds_up", ())
    beside: Sequence[str] = getattr(result, "beside", ())
    for needed in dict.fromkeys([*counts, *(name for names in counts.values() for name in names)]):
        if needed not in table:
            raise unknown_name("counts: column", needed, set(table.columns), where="the table")
    whose = getattr(result, "whose", None)
    hidden = _remembered(
        pickle.dumps((table, tuple(counts), tuple(adds_up), smallest, tuple(beside), whose))
    )
    if not hidden:
        return table
    masked = table.copy()
    for name, dependants in {**dict.fromkeys(beside, ()), **counts}.items():
        rows = np.zeros(len(table), dtype=bool)
        rows[[row for column, row in hidden if column == name]] = True
        if rows.any():
            for needed in (name, *dependants):
                masked[needed] = _without(masked[needed], rows)
    return masked


@lru_cache(maxsize=100)
def _remembered(asked: bytes) -> set[Cell]:
    """Return what is to be hidden: one result is shown, drawn, and in the map of each segment."""
    table, counts, adds_up, smallest, beside, whose = pickle.loads(asked)
    return find_hidden(table, counts, adds_up, smallest, beside=beside, whose=whose)


def _without(column: pd.Series[Any], hidden: np.ndarray[Any, np.dtype[np.bool_]]) -> Any:
    """Make the hidden values missing; numbers become floats, which every picture can draw."""
    if pd.api.types.is_bool_dtype(column):
        column = column.astype("boolean")
    elif pd.api.types.is_numeric_dtype(column):
        column = column.astype("float64")
    return column.mask(hidden)
