"""The mapping of a system: which of its columns, times and codes make which rows of the contract.

A mapping is declared in TOML and checked here, all faults together, before any file is read. The
reference of the language is the docstring of `cjkit.sources`.
"""

from __future__ import annotations

import codecs
import datetime
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from cjkit.checks import CjkitError, Declared, nearest, read_declared
from cjkit.events import CONTRACT, Kind, is_known_column

D = TypeVar("D", bound=Declared)
Constant = bool | int | float | str
UNITS = {
    "microseconds": 1,
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}
DIRECTIVES = tuple("YymdeHIMSfpzZbBaAj")
"""What may follow % in a way to write times."""
EPOCHS = {"epoch_s": "seconds", "epoch_ms": "milliseconds", "epoch_us": "microseconds"}
Format = Literal["csv", "ndjson", "json", "parquet", "excel"]
ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
"""What a file is, by the end of its name, where the mapping does not say."""

_ONLY_FOR = {
    "delimiter": ("csv",),
    "encoding": ("csv", "ndjson", "json"),
    "header_row": ("csv", "excel"),
    "skip_rows": ("csv", "excel"),
    "sheet": ("excel",),
    "records": ("json",),
}


class FileRule(Declared):
    """`[file]`: how the files are written."""

    format: Format | None = None
    encoding: str = "utf-8"
    delimiter: str = Field(",", min_length=1, max_length=1)
    header_row: int = Field(1, ge=1)
    skip_rows: int = Field(0, ge=0)
    sheet: str | None = None
    records: str | None = None
    nulls: tuple[str, ...] = ()
    time_zone: str | None = None

    @field_validator("encoding")
    @classmethod
    def _is_codec(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError("is no encoding that Python knows, such as 'cp932'") from error
        return encoding

    @field_validator("delimiter")
    @classmethod
    def _can_divide(cls, delimiter: str) -> str:
        if delimiter in '"\r\n':
            raise ValueError("cannot divide cells: write one such as ',', ';' or a tab")
        return delimiter

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, zone: str | None) -> str | None:
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no time zone: write one such as 'Asia/Tokyo'") from error
        return zone

    @model_validator(mode="after")
    def _fits_the_format(self) -> FileRule:
        for key in sorted(self.model_fields_set & set(_ONLY_FOR)):
            if self.format is not None and self.format not in _ONLY_FOR[key]:
                raise ValueError(
                    f"{key} means nothing for {self.format} files, only for "
                    f"{' and '.join(_ONLY_FOR[key])}: leave it out"
                )
        return self


class Lookup(Declared):
    """`[lookup.<name>]`: columns of another source, found by key, as `<name>.<column>`."""

    source: str
    key: str
    on: str


class Condition(Declared):
    """What must hold of one column: all keys that are given, together."""

    column: str
    is_: tuple[Constant, ...] | None = Field(None, alias="is", min_length=1)
    is_not: tuple[Constant, ...] | None = Field(None, min_length=1)
    starts_with: str | None = None
    ends_with: str | None = None
    contains: str | None = None
    matches: str | None = None
    present: bool | None = None
    below: float | None = None
    above: float | None = None

    @field_validator("matches")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if self.model_fields_set <= {"column"}:
            raise ValueError(
                "it says nothing of the column: add is, is_not, starts_with, ends_with, contains, "
                "matches, present, below or above"
            )
        return self


class Negation(Declared):
    """`{ not = {...} }`: the condition must not hold."""

    not_: Condition = Field(alias="not")


Claim = Condition | Negation | tuple[Condition | Negation, ...]


class Plus(Declared):
    """`plus`: what is added to a time, a number of units from a column or a constant."""

    unit: Literal["microseconds", "milliseconds", "seconds", "minutes", "hours", "days"]
    column: str | None = None
    value: float | None = None

    @model_validator(mode="after")
    def _has_one_number(self) -> Plus:
        if (self.column is None) == (self.value is None):
            raise ValueError("name a column or a value, one of them")
        return self


class Text(Declared):
    """Where a text comes from: a column, several joined, or the first of several present."""

    column: str | None = None
    join: tuple[str, ...] | None = Field(None, min_length=2)
    separator: str = ""
    first: tuple[str, ...] | None = Field(None, min_length=2)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (self.column,) if self.column is not None else self.join or self.first or ()

    def origins(self) -> list[str]:
        """Return the names of the keys that say where the value comes from."""
        return [key for key in ("column", "join", "first") if getattr(self, key) is not None]

    @model_validator(mode="after")
    def _has_one_origin(self) -> Text:
        if len(found := self.origins()) != 1:
            allowed = [
                name
                for name in ("column", "value", "join", "first", "multiply", "add", "subtract")
                if name in type(self).model_fields
            ]
            given = " and ".join(found) or "none of them"
            raise ValueError(f"it must hold one of {', '.join(allowed)}, and holds {given}")
        return self


class Id(Text):
    """`[ids]`: an id of the person on a record, and how it is made equal where it means the same."""

    normalise: Literal["text", "email", "phone", "exact"] = "text"
    country_code: str | None = Field(None, pattern=r"^[1-9][0-9]{0,2}$")


class Value(Text):
    """`[row.columns]`: where a column's value comes from, and how it is to be read."""

    value: Constant | None = None
    multiply: tuple[str | float, ...] | None = Field(None, min_length=2)
    add: tuple[str | float, ...] | None = Field(None, min_length=2)
    subtract: tuple[str | float, ...] | None = Field(None, min_length=2)
    when: Claim | None = None
    time: str | tuple[str, ...] | None = None
    since: str | None = None
    plus: Plus | None = None
    nulls: tuple[str, ...] = ()
    codes: Mapping[str, Constant] | None = None
    else_: Constant | None = Field(None, alias="else")
    numbers: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        parts: Sequence[str | float] = self.multiply or self.add or self.subtract or ()
        read = [*super().columns, *(part for part in parts if isinstance(part, str))]
        read += [condition.column for condition in conditions(self.when)]
        if self.plus and self.plus.column:
            read.append(self.plus.column)
        return tuple(read)

    @property
    def times(self) -> tuple[str, ...]:
        """The ways in which the time may be written, in the order that they are tried."""
        return (self.time,) if isinstance(self.time, str) else self.time or ()

    def origins(self) -> list[str]:
        """Return the names of the keys that say where the value comes from."""
        own = ("value", "multiply", "add", "subtract", "when")
        return [*super().origins(), *(key for key in own if getattr(self, key) is not None)]

    @model_validator(mode="after")
    def _fits_together(self) -> Value:
        is_text = self.column is not None or self.join is not None or self.first is not None
        for key in ("nulls", "codes", "time", "numbers"):
            if getattr(self, key) and not is_text:
                raise ValueError(f"{key} reads a text: it goes with column, join or first")
        if self.else_ is not None and self.codes is None:
            raise ValueError("else goes with codes")
        if (self.since is not None) != any(time in UNITS for time in self.times):
            raise ValueError("since goes with time = 'hours' (or another unit), and only with it")
        if self.plus is not None and self.time is None:
            raise ValueError("plus goes with time")
        return self


class Filter(Declared):
    """`[[filter]]`: records that are left out, counted under `name`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    when: Claim


class Row(Declared):
    """`[[row]]`: one row of a contract table for each record that it applies to."""

    table: str
    when: Claim | None = None
    ids: tuple[str, ...] | None = None
    unique: tuple[str, ...] = ()
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class RowRule:
    """A `[[row]]` that holds together.

    Attributes
    ----------
    number : int
        Its place in the mapping, from 1.
    table : str
        The contract table.
    when : Claim or None
        The records that it applies to.
    ids : tuple of str
        The namespaces of its person, the one that names the person first.
    unique : tuple of str
        The columns and namespaces whose values name the thing that the row is about.
    values : dict of str to Value
        What fills each column.
    """

    number: int
    table: str
    when: Claim | None
    ids: tuple[str, ...]
    unique: tuple[str, ...]
    values: Mapping[str, Value]

    def kind(self, column: str) -> Kind:
        """Say what `column` holds: by the contract, else by the way it is read."""
        fixed = CONTRACT[self.table].columns.get(column)
        if fixed:
            return fixed
        value = self.values[column]
        if value.time is not None:
            return "time"
        if value.when is not None or isinstance(value.value, bool):
            return "claim"
        is_number = value.numbers or value.multiply or value.add or value.subtract
        return "number" if is_number or isinstance(value.value, int | float) else "text"

    @property
    def time(self) -> str | None:
        """The column that says when the row's thing happened, where the mapping fills it."""
        name = CONTRACT[self.table].time
        return name if name in self.values else None


@dataclass(frozen=True)
class SourceMapping:
    """A mapping that holds together: what `read_mapping` returns."""

    name: str
    system: str
    file: FileRule
    lookups: Mapping[str, Lookup]
    ids: Mapping[str, Id]
    filters: tuple[Filter, ...]
    rows: tuple[RowRule, ...]
    text: str

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns that it names, of the file (`amount`) and of lookups (`orders.amount`)."""
        named = [lookup.on for lookup in self.lookups.values()]
        named += [name for id_rule in self.ids.values() for name in id_rule.columns]
        named += [claim.column for rule in self.filters for claim in conditions(rule.when)]
        for row in self.rows:
            named += [claim.column for claim in conditions(row.when)]
            named += [name for value in row.values.values() for name in value.columns]
        return tuple(dict.fromkeys(named))

    @cached_property
    def file_columns(self) -> tuple[str, ...]:
        """The columns that it reads from its own files."""
        return tuple(name for name in self.columns if self.lookup_of(name) is None)

    def lookup_of(self, column: str) -> tuple[str, str] | None:
        """Return the lookup and the column there that `column` names, or None if it is our own."""
        name, dot, rest = column.partition(".")
        return (name, rest) if dot and name in self.lookups else None


def conditions(claim: Claim | None) -> Iterator[Condition]:
    """Yield the conditions that a claim is made of."""
    if isinstance(claim, Condition):
        yield claim
    elif isinstance(claim, Negation):
        yield claim.not_
    else:
        for part in claim or ():
            yield from conditions(part)


def shipped_mappings() -> list[str]:
    """Return the names of the mappings that come with cjkit."""
    root = Path(str(resources.files(__package__).joinpath("mappings")))
    return sorted(
        path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml")
    )


def read_mapping(given: str | Mapping[str, Any], *, folder: Path, place: str) -> SourceMapping:
    """Read a mapping and check it, all its faults together.

    Parameters
    ----------
    given : str or mapping
        The name of a shipped mapping, a path (from `folder`) that begins with `./`, `../` or `/`,
        or what such a file holds.
    folder : Path
        The folder of the project file.
    place : str
        What the errors call a mapping that has no file, such as 'sources.web.mapping'.

    Raises
    ------
    CjkitError
        When there is no such mapping, or anything in it is missing, unknown, of the wrong kind, or
        names what it does not define. One line a fault, with the nearest valid name.

    Examples
    --------
    >>> wrong = {"system": "Till", "file": {"format": "cvs"}, "row": [{"table": "order",
    ...     "columns": {}}]}
    >>> read_mapping(wrong, folder=Path(), place="sources.till.mapping")
    Traceback (most recent call last):
    cjkit.checks.CjkitError: sources.till.mapping has 2 faults:
      - file.format='cvs' must be 'csv', 'ndjson', 'json', 'parquet' or 'excel'. Did you mean 'csv'?
      - row 1.table='order' is no table of the contract. Did you mean 'orders'? ...
    """
    if isinstance(given, str):
        path = _find(given, folder, place)
        declared, name = _read_toml(path), given
    else:
        declared, name = dict(given), place
    return _Checking(declared).finish(name)


def _find(given: str, folder: Path, place: str) -> Path:
    if given.startswith(("./", "../", "/")):
        return folder / given
    path = Path(str(resources.files(__package__).joinpath("mappings", f"{given}.toml")))
    if not path.is_file():
        near = nearest(given, shipped_mappings())
        hint = f" Did you mean {near!r}?" if near else ""
        raise CjkitError(
            f"{place}={given!r} is no mapping that comes with cjkit.{hint} Shipped: "
            f"{', '.join(map(repr, shipped_mappings()))}; a file of your own begins with './'."
        )
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise CjkitError(f"The mapping {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CjkitError(f"The mapping {path} is not UTF-8 (byte {error.start}).") from error
    except tomllib.TOMLDecodeError as error:
        raise CjkitError(f"The mapping {path} is not valid TOML: {error}.") from error


class _Checking:
    """Takes a mapping apart, each part by itself, so that all faults are found in one go."""

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self.faults: list[str] = []
        known = ("system", "file", "lookup", "ids", "filter", "row")
        for key in declared:
            if key not in known:
                self._add(key, "is not known.", key, known)
        self.declared = declared
        self.system = declared.get("system")
        if not isinstance(self.system, str):
            self.faults.append("system is missing: say in words what these files come from.")
        self.file = self._take(FileRule, declared.get("file", {}), "file")
        self.lookups = self._tables("lookup", Lookup)
        self.ids = self._tables("ids", Id)
        self.filters = self._list("filter", Filter)
        self.rows = [self._row(number, row) for number, row in self._list("row", Row).items()]

    def finish(self, name: str) -> SourceMapping:
        """Return the mapping, or raise all its faults."""
        self._check_filters()
        if self.faults or self.file is None:
            count = f"{len(self.faults)} faults" if len(self.faults) > 1 else "1 fault"
            lines = [f"{name} has {count}:", *(f"  - {fault}" for fault in self.faults)]
            raise CjkitError("\n".join(lines))
        return SourceMapping(
            name=name,
            system=str(self.system),
            file=self.file,
            lookups=self.lookups,
            ids=self.ids,
            filters=tuple(self.filters.values()),
            rows=tuple(self.rows),
            text=json.dumps(self.declared, ensure_ascii=False, sort_keys=True, default=str),
        )

    def _add(self, place: str, what: str, given: str, allowed: Sequence[str]) -> None:
        near = nearest(given, allowed)
        hint = f" Did you mean {near!r}?" if near else ""
        listed = ", ".join(map(repr, allowed)) or "none"
        self.faults.append(f"{place} {what}{hint} Known: {listed}.")

    def _take(self, model: type[D], data: object, place: str) -> D | None:
        value, found = read_declared(model, data, place=place)
        self.faults += found
        return value

    def _tables(self, key: str, model: type[D]) -> dict[str, D]:
        given = self.declared.get(key, {})
        if not isinstance(given, dict):
            self.faults.append(f"[{key}] must be a table.")
            return {}
        taken = {}
        for name, data in given.items():
            spelled = {"column": data} if isinstance(data, str) else data
            if (value := self._take(model, spelled, f"{key}.{name}")) is not None:
                taken[name] = value
        return taken

    def _list(self, key: str, model: type[D]) -> dict[int, D]:
        given = self.declared.get(key, [])
        if not isinstance(given, list):
            self.faults.append(f"{key} must be written as [[{key}]].")
            return {}
        taken = {}
        for number, data in enumerate(given, 1):
            if (value := self._take(model, data, f"{key} {number}")) is not None:
                taken[number] = value
        return taken

    def _row(self, number: int, row: Row) -> RowRule:
        place = f"row {number}"
        values = {}
        for name, data in row.columns.items():
            where = f"{place}.columns.{name}"
            spelled = {"column": data} if isinstance(data, str) else data
            if (value := self._take(Value, spelled, where)) is not None:
                values[name] = value
                rule = CONTRACT.get(row.table)
                is_day = rule is not None and rule.columns.get(name) == "day"
                self._check_times(where, value, is_day)
        ids = row.ids
        if row.table not in CONTRACT:
            what = f"={row.table!r} is no table of the contract."
            self._add(f"{place}.table", what, row.table, list(CONTRACT))
        else:
            self._check_contract(place, row, values)
            if ids is None and CONTRACT[row.table].person == "none":
                ids = ()
        ids = tuple(self.ids) if ids is None else ids
        for name in ids:
            if name not in self.declared.get("ids", {}):
                self._add(f"{place}.ids", f"names {name!r}.", name, list(self.ids))
        for name in row.unique:
            if name not in row.columns and name not in ids:
                known = [*row.columns, *ids]
                self._add(f"{place}.unique", f"names {name!r}, no column of it.", name, known)
        return RowRule(number, row.table, row.when, ids, row.unique, values)

    def _check_contract(self, place: str, row: Row, values: Mapping[str, Value]) -> None:
        rule = CONTRACT[row.table]
        for name in row.columns:
            if not is_known_column(row.table, name):
                what = f"is no column of {row.table}."
                self._add(f"{place}.columns.{name}", what, name, list(rule.columns))
        for name in rule.required:
            if name not in row.columns:
                self.faults.append(f"{place}.columns.{name} is missing: {row.table} need it.")
        if rule.person == "required" and not (row.ids or (row.ids is None and self.ids)):
            self.faults.append(
                f"{place}.ids: each row of {row.table} belongs to a person: name a column in [ids]."
            )
        if rule.person == "none" and row.ids:
            self.faults.append(f"{place}.ids: rows of {row.table} belong to nobody: leave it out.")
        for name, value in values.items():
            kind = rule.columns.get(name)
            where = f"{place}.columns.{name}"
            if kind == "time" and not value.times:
                self.faults.append(f"{where} is a time: say how it is written, time = 'iso'.")
            if kind in ("text", "whole", "number", "claim") and value.times:
                self.faults.append(f"{where} is no time: leave time out.")
            if kind is None and value.times and not name.endswith("_at"):
                self.faults.append(f"{where} is a time: its name must end in _at.")

    def _check_times(self, place: str, value: Value, is_day: bool) -> None:
        zone = self.file.time_zone if self.file else "UTC"
        if value.since is not None:
            try:
                read_instant(value.since, zone)
            except ValueError as error:
                self.faults.append(
                    f"{place}.since={value.since!r}: {error}: write '2018-07-01T00:00:00Z'."
                )
        for time in value.times:
            if time in EPOCHS or time in UNITS or time == "iso":
                continue
            if strange := [part for part in re.findall("%.?", time) if part[1:] not in DIRECTIVES]:
                self.faults.append(
                    f"{place}.time={time!r} holds {strange[0]!r}. Known: "
                    f"{' '.join('%' + known for known in DIRECTIVES)}."
                )
            elif "%" not in time:
                known = [*EPOCHS, "iso", *UNITS, "%Y/%m/%d %H:%M"]
                self._add(f"{place}.time", f"={time!r} is no way to write time.", time, known)
            elif is_day:
                continue
            elif "%z" not in time and "%Z" not in time and zone is None:
                self.faults.append(
                    f"{place}.time={time!r} has no zone: say file.time_zone = 'Asia/Tokyo', or "
                    "whichever zone these times are in."
                )

    def _check_filters(self) -> None:
        names = [rule.name for rule in self.filters.values()]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.faults.append(f"filter {name!r} stands twice: give each a name of its own.")
        if "no_row" in names:
            self.faults.append("filter 'no_row' is cjkit's own name: choose another.")


def read_instant(written: str, zone: str | None) -> int:
    """Return the microseconds since 1970, UTC, that an ISO time says.

    Raises
    ------
    ValueError
        When it is no ISO time, or has no zone and `zone` is None.

    Examples
    --------
    >>> read_instant("1970-01-01T09:00:01", "Asia/Tokyo")
    1000000
    """
    found = datetime.datetime.fromisoformat(written)
    if found.tzinfo is None:
        if zone is None:
            raise ValueError("it has no zone")
        found = found.replace(tzinfo=ZoneInfo(zone))
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (found - start) // datetime.timedelta(microseconds=1)
