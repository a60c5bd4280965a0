"""What reading a file gives, and how a name in a mapping finds its column."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import column, text
from cjkit.sources.files import FileRule, Pairs

SEPARATOR = "chr(31)"
"""SQL of what stands between the cells of a record where it is one text."""


@dataclass(frozen=True)
class Reading:
    """How the engine reads one file.

    Attributes
    ----------
    sql : str
        A query that gives `record_text` (the whole record; missing where it could not be read), the
        columns that were asked for, as text: `f1`, `f2`, ... in order, and `record_no` (from 1),
        where that is not the place of a row among those that it gives.
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
    structured : str or None
        A query that gives the columns, not the text, for far less; see `structures.structured`.
    sql_of : callable or None
        Writes `sql` for those records alone whose numbers a query gives, in order.
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
    structured: str | None = None
    sql_of: Callable[[str], str] | None = None
    repair: Callable[[], Reading] | None = None


@dataclass(frozen=True)
class Place:
    """A column of a file (from 1), the path inside it, if any, and the key of a pair there."""

    number: int
    inner: tuple[str, ...] = ()
    key: str | None = None
    pairs: Pairs | None = None

    def value(self, cell: str) -> str:
        """Write the SQL of what stands here, where `cell` is the whole column as text."""
        found = reach_json(cell, self.inner) if self.inner else cell
        return found if self.pairs is None else pair_value(found, str(self.key), self.pairs)


def record_hash(record: str, salt: str) -> str:
    """Write 64 bits that are equal for equal records, and missing where there is none.

    The engine's hash tells records apart, in a tenth of the time of MD5; MD5 of it under a salt
    tells nothing of what the record held.
    """
    bits = f"case when {record} is not null then hash({record}) end"
    return f"md5_number_lower({text(salt)} || {bits})"  # || keeps what is missing missing


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


def find_columns(
    wanted: Sequence[str], names: Sequence[str], path: Path, rule: FileRule
) -> list[Place | None]:
    """Find the columns of a file that a mapping names, or say all that it lacks.

    A name, and the others that it may have, is looked for as it is, then whatever its case, then as
    the path inside a column. Where columns are optional, one that is nowhere is None.
    """
    found: list[Place | None] = []
    faults = []
    for name in wanted:
        try:
            places = [_find_column(called, names, path, rule) for called in rule.called(name)]
            # A column of its own comes before what a name leads to inside another one.
            place = min(filter(None, places), key=lambda each: len(each.inner), default=None)
            if place is None and not rule.optional:
                raise unknown_name(
                    "column", name, [each.strip() for each in names], where=str(path)
                )
            found.append(place)
        except CjkitError as error:
            faults.append(str(error))
    if faults:
        raise CjkitError("\n".join(faults))
    return found


def absent_columns(wanted: Sequence[str], places: Sequence[Place | None]) -> tuple[str, ...]:
    """Return the names that were found nowhere."""
    return tuple(name for name, place in zip(wanted, places, strict=True) if place is None)


def _find_column(wanted: str, names: Sequence[str], path: Path, rule: FileRule) -> Place | None:
    if pair := rule.pair_of(wanted):
        place = _find_column(pair[0], names, path, rule)
        return place and replace(place, key=pair[1], pairs=rule.pairs[pair[0]])
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
    return None


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


def begins(given: str, mark: str) -> str:
    """Write whether a text begins with `mark`, but for spaces, which few do: they cost a copy."""
    is_after = f"starts_with(ltrim({given}), {text(mark)})"
    return f"case when starts_with({given}, {text(mark)}) then true else {is_after} end"


def as_list(given: str) -> str:
    """Write the elements of a list in a text of JSON, as JSON each; anything else has none.

    Some Parquet files wrap lists: `{"list": [{"element": ...}, ...]}`.
    """
    valid = f"case when json_valid({given}) then {given} end"
    return (
        f"case when {begins(given, '[')} then json_extract({valid}, '$[*]') "
        f"when starts_with({given}, '{{\"list\":') then "
        f"json_extract({valid}, '$.list[*].element') end"
    )


def pair_lists(given: str, pairs: Pairs) -> tuple[str, str]:
    """Write the keys and the values of a list of pairs, as two lists; an object has none."""
    wrapped = f"starts_with({given}, '{{\"list\":')"
    inner = f"case when {wrapped} then cast(to_json({as_list(given)}) as varchar) else {given} end"
    is_list = f"({begins(given, '[')} or {wrapped})"
    shape = text(json.dumps([_shape(pairs)]))
    entries = f"try(from_json(case when {is_list} then {inner} end, {shape}))"
    return member_lists(entries, pairs)


def member_lists(entries: str, pairs: Pairs) -> tuple[str, str]:
    """Write the keys and the values of a list of structures."""
    value = ", ".join(_member(path) for path in pairs.values)
    return (
        f"list_transform({entries}, lambda pair: {_member(pairs.key)})",
        f"list_transform({entries}, lambda pair: coalesce({value}, null))",
    )


def pair_in(lists: tuple[str, str], key: str) -> str:
    """Write the value that stands with `key` in lists of keys and values: the first of several."""
    keys, values = lists
    return f"list_extract({values}, list_position({keys}, {text(key)}))"


def pair_value(given: str, key: str, pairs: Pairs, lists: tuple[str, str] | None = None) -> str:
    """Write the value that stands with `key` in a list of pairs; in an object, what `key` leads to.

    `lists` are `pair_lists`, where they were made before.
    """
    found = pair_in(lists or pair_lists(given, pairs), key)
    return (
        f"case when starts_with({given}, '{{') and not starts_with({given}, '{{\"list\":') "
        f"then {reach_json(given, (key,))} "
        f"else {found} end"
    )


def _shape(pairs: Pairs) -> dict[str, Any]:
    """Return the structure that pairs are read as: a text at the end of each path."""
    shape: dict[str, Any] = {}
    for path in (pairs.key, *pairs.values):
        *parts, last = path.split(".")
        inner = shape
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = "VARCHAR"
    return shape


def _member(path: str) -> str:
    return ".".join(["pair", *map(column, path.split("."))])
