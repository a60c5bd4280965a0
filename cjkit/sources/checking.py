"""Mappings are read here, and refused with all their faults together."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from cjkit.checks import CjkitError, Declared, nearest, read_declared
from cjkit.events import CONTRACT, is_known_column
from cjkit.project.sections import EventPlace
from cjkit.sources.files import FileRule
from cjkit.sources.mapping import (
    DIRECTIVES,
    EPOCHS,
    UNITS,
    Filter,
    Lookup,
    Row,
    RowRule,
    SourceMapping,
    Spelling,
    Value,
    read_instant,
)

D = TypeVar("D", bound=Declared)
PROJECT_ZONE = "project"
"""The `file.time_zone` of a mapping whose times are in the zone of the project."""
RESERVED = (
    "person_key",
    "record_hash",
    "unique_key",
    "row_rule",
    "unreadable",
    "unknown_codes",
    "source",
    "file",
    "record_no",
    "element_no",
)
"""The columns that every landed row has beside those of its mapping."""


def shipped_mappings() -> list[str]:
    """Return the names of the mappings that come with cjkit."""
    root = Path(str(resources.files(__package__).joinpath("mappings")))
    return sorted(
        path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml")
    )


def read_mapping(
    given: str | Mapping[str, Any], *, folder: Path, place: str, time_zone: str = "UTC"
) -> SourceMapping:
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
    time_zone : str, default 'UTC'
        What `file.time_zone = "project"` stands for.

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
    declared = _with_model(declared, folder, place)
    file = declared.get("file")
    if isinstance(file, dict) and file.get("time_zone") == PROJECT_ZONE:
        declared["file"] = {**file, "time_zone": time_zone}
    return _Checking(declared).finish(name)


def _with_model(declared: dict[str, Any], folder: Path, place: str) -> dict[str, Any]:
    """Return a mapping with what the one has that it is `like`: what it says itself wins.

    Tables are joined name by name; filters and rows come after those of the other.
    """
    if not isinstance(like := declared.get("like"), str):
        return declared
    own = {key: value for key, value in declared.items() if key != "like"}
    model = _with_model(_read_toml(_find(like, folder, f"{place}.like")), folder, place)
    return _joined(model, own)


def _joined(model: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**model, **own}
    for key in model.keys() & own.keys():
        if isinstance(model[key], dict) and isinstance(own[key], dict):
            is_whole = {"column", "join", "first"} & own[key].keys()  # an id is not half another
            joined[key] = own[key] if is_whole else _joined(model[key], own[key])
        elif key in ("filter", "row") and isinstance(own[key], list):
            joined[key] = [*model[key], *own[key]]
    return joined


def _beside(folder: Path, given: str) -> list[str]:
    """Return the name of a mapping beside the project file as it must be given."""
    return [f"./{given}"] if (folder / given).is_file() else []


def _find(given: str, folder: Path, place: str) -> Path:
    if given.startswith(("./", "../", "/")):
        return folder / given
    path = Path(str(resources.files(__package__).joinpath("mappings", f"{given}.toml")))
    if not path.is_file():
        near = nearest(given, [*shipped_mappings(), *_beside(folder, given)])
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
        known = ("system", "like", "file", "lookup", "ids", "private", "filter", "row", "events")
        for key in declared:
            if key not in known:
                self._add(key, " is not known.", key, known)
        self.declared = declared
        self.system = declared.get("system")
        if not isinstance(self.system, str):
            self.faults.append("system is missing: say in words what these files come from.")
        self.file = self._take(FileRule, declared.get("file", {}), "file")
        self.lookups = self._tables("lookup", Lookup)
        self.ids = self._tables("ids", Spelling)
        self.private = self._tables("private", Spelling)
        self.events = self._tables("events", EventPlace)
        self.filters = self._list("filter", Filter)
        self.rows = [self._row(number, row) for number, row in self._list("row", Row).items()]

    def finish(self, name: str) -> SourceMapping:
        """Return the mapping, or raise all its faults."""
        self._check_private()
        self._check_filters()
        self._check_lists()
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
            private=self.private,
            filters=tuple(self.filters.values()),
            rows=tuple(self.rows),
            events=self.events,
            text=json.dumps(self.declared, ensure_ascii=False, sort_keys=True, default=str),
        )

    def _add(self, place: str, what: str, given: str, allowed: Sequence[str]) -> None:
        near = nearest(given, allowed)
        hint = f" Did you mean {near!r}?" if near else ""
        listed = ", ".join(map(repr, allowed)) or "none"
        self.faults.append(f"{place}{what}{hint} Known: {listed}.")

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
                self._add(
                    f"{place}.ids", f" names {name!r}.", name, list(self.declared.get("ids", {}))
                )
        for name in row.unique:
            if name not in row.columns and name not in ids:
                known = [*row.columns, *ids]
                self._add(f"{place}.unique", f" names {name!r}, no column of it.", name, known)
        return RowRule(number, row.table, row.each, row.when, ids, row.unique, values)

    def _check_contract(self, place: str, row: Row, values: Mapping[str, Value]) -> None:
        rule = CONTRACT[row.table]
        for name in row.columns:
            if not is_known_column(row.table, name):
                what = f" is no column of {row.table}."
                self._add(f"{place}.columns.{name}", what, name, list(rule.columns))
            if name in RESERVED:
                self.faults.append(f"{place}.columns.{name} is cjkit's own name: choose another.")
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
            is_timed = value.times and value.seconds_between is None
            if kind in ("text", "whole", "number", "claim") and is_timed:
                self.faults.append(f"{where} is no time: leave time out.")
            if kind is None and is_timed and not name.endswith("_at"):
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

    def _check_private(self) -> None:
        """Refuse names that are cjkit's own, and columns that would reach the log as well.

        Parts of a join may: a prefecture is an attribute, and the first part of an address.
        """
        for name, spelling in self.private.items():
            if spelling.namespace is not None:
                self.faults.append(f"private.{name}.namespace: only [ids] have namespaces.")
            if name in (*RESERVED, "landed") or not re.fullmatch("[a-z][a-z0-9_]*", name):
                self.faults.append(
                    f"private.{name} cannot name a private field: write small letters, digits and "
                    "_, and none of cjkit's own names."
                )
            kept = set() if spelling.join else set(spelling.columns)
            for row in self.rows:
                for place, value in row.values.items():
                    if value.when is None and (shared := kept & set(value.columns)):
                        self.faults.append(
                            f"row {row.number}.columns.{place} reads {sorted(shared)[0]!r}, which "
                            f"private.{name} keeps out of the log: leave one of them out."
                        )
        if self.private and not any(row.ids for row in self.rows):
            self.faults.append("[private] belongs to a person: name a column in [ids].")

    def _check_filters(self) -> None:
        names = [rule.name for rule in self.filters.values()]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.faults.append(f"filter {name!r} stands twice: give each a name of its own.")
        if "no_row" in names:
            self.faults.append("filter 'no_row' is cjkit's own name: choose another.")

    def _check_lists(self) -> None:
        """Refuse what stands inside a list where a row is not made of each of its elements."""
        lists = [row.each for row in self.rows if row.each is not None]
        for row in self.rows:
            for each in lists:
                if row.each == each:
                    continue
                for name in row.ids:
                    rule = self.ids.get(name)
                    if rule and not rule.extract and (inside := [*filter(each.has, rule.columns)]):
                        self.faults.append(
                            f"row {row.number}.ids: {name} reads {inside[0]!r}, which stands in "
                            f"the list {each.column!r}: say each = {each.column!r}, or leave "
                            f"{name} out of its ids."
                        )
            if row.each is None and any(value.position for value in row.values.values()):
                self.faults.append(
                    f"row {row.number}: position is the place in a list: say each = the list."
                )
