"""The mapping of a system: which of its columns, times and codes make which rows of the contract.

A mapping is declared in TOML and checked here, all faults together, before any file is read. The
reference of the language is the docstring of `cjkit.sources`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from pydantic import BeforeValidator, Field, field_validator, model_validator

from cjkit.checks import Declared
from cjkit.events import CONTRACT, Kind
from cjkit.project.conditions import Claim, Constant, claimed_columns
from cjkit.project.sections import EventPlace
from cjkit.sources.files import FileRule

_OWN_ORIGINS = ("multiply", "add", "subtract", "seconds_between", "position", "when")
"""What a value may be made of, beside a text and a constant."""
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


class Lookup(Declared):
    """`[lookup.<name>]`: columns of another source, found by key, as `<name>.<column>`."""

    source: str
    key: str
    on: str


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
    replace: Mapping[str, str] = {}
    extract: str | None = None

    @field_validator("extract")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        try:
            groups = re.compile(pattern or "()").groups
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        if groups != 1:
            raise ValueError(f"must have one group (...), which is kept, and has {groups}")
        return pattern

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
                for name in ("column", "value", "join", "first", *_OWN_ORIGINS)
                if name in type(self).model_fields
            ]
            given = " and ".join(found) or "none of them"
            raise ValueError(f"it must hold one of {', '.join(allowed)}, and holds {given}")
        return self


class Spelling(Text):
    """`[ids]` and `[private]`: what a record says of its person, and how its spellings are one.

    `namespace` is that of an id whose own name is another: a record of a merge has two of one kind.
    """

    namespace: str | None = None
    normalise: Literal["text", "name", "email", "phone", "postal_code", "exact"] = "text"
    country_code: str | None = Field(None, pattern=r"^[1-9][0-9]{0,2}$")

    @field_validator("country_code")
    @classmethod
    def _is_known(cls, code: str | None) -> str | None:
        if code is not None and int(code) not in COUNTRY_CODE_TO_REGION_CODE:
            raise ValueError("is no country code of telephone numbers, such as '81' for Japan")
        return code

    @model_validator(mode="after")
    def _goes_with_phones(self) -> Spelling:
        if self.country_code is not None and self.normalise != "phone":
            raise ValueError("country_code goes with normalise = 'phone'")
        return self


class Value(Text):
    """`[row.columns]`: where a column's value comes from, and how it is to be read."""

    value: Constant | None = None
    multiply: tuple[str | float, ...] | None = Field(None, min_length=2)
    add: tuple[str | float, ...] | None = Field(None, min_length=2)
    subtract: tuple[str | float, ...] | None = Field(None, min_length=2)
    seconds_between: tuple[str, str] | None = None
    position: Literal[True] | None = None
    when: Claim | None = None
    time: str | tuple[str, ...] | None = None
    since: str | None = None
    precision: Literal["day", "second"] | None = None
    plus: Plus | None = None
    nulls: tuple[str, ...] = ()
    codes: Mapping[str, Constant] | None = None
    else_: Constant | None = Field(None, alias="else")
    keep: bool = False
    numbers: bool = False
    clock: bool = False
    normalise: Literal["text"] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        parts: Sequence[str | float] = self.multiply or self.add or self.subtract or ()
        read = [*super().columns, *(part for part in parts if isinstance(part, str))]
        read += claimed_columns(self.when)
        read += self.seconds_between or ()
        if self.plus and self.plus.column:
            read.append(self.plus.column)
        return tuple(read)

    @property
    def times(self) -> tuple[str, ...]:
        """The ways in which the time may be written, in the order that they are tried."""
        return (self.time,) if isinstance(self.time, str) else self.time or ()

    def origins(self) -> list[str]:
        """Return the names of the keys that say where the value comes from."""
        own = ("value", *_OWN_ORIGINS)
        return [*super().origins(), *(key for key in own if getattr(self, key) is not None)]

    @model_validator(mode="after")
    def _fits_together(self) -> Value:
        is_text = self.column is not None or self.join is not None or self.first is not None
        for key in (
            "nulls",
            "codes",
            "time",
            "numbers",
            "clock",
            "normalise",
            "replace",
            "extract",
        ):
            is_timed = key == "time" and self.seconds_between is not None
            if getattr(self, key) and not (is_text or is_timed):
                raise ValueError(f"{key} reads a text: it goes with column, join or first")
        if self.codes is None and (self.else_ is not None or self.keep):
            raise ValueError(f"{'keep' if self.keep else 'else'} goes with codes")
        if self.keep and self.else_ is not None:
            raise ValueError("a text without a code stays (keep) or becomes else: write one")
        if self.seconds_between is not None and self.time is None:
            raise ValueError("seconds_between needs time: how the two times are written")
        if (self.since is not None) != any(time in UNITS for time in self.times):
            raise ValueError("since goes with time = 'hours' (or another unit), and only with it")
        for key in ("plus", "precision"):
            if getattr(self, key) is not None and self.time is None:
                raise ValueError(f"{key} goes with time")
        return self


class Filter(Declared):
    """`[[filter]]`: records that are left out, counted under `name`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    when: Claim


class Each(Declared):
    """`each`: the list of which every element makes a row; or a text, divided by `separator`."""

    column: str
    separator: str | None = Field(None, min_length=1)

    def has(self, name: str) -> bool:
        """Say whether a column is the element, or stands inside it: `items.0.price` does not."""
        is_inside = name.startswith(f"{self.column}.")
        return name == self.column or (is_inside and not name[len(self.column) + 1].isdigit())


class Row(Declared):
    """`[[row]]`: one row of a contract table for each record that it applies to."""

    table: str
    each: Annotated[
        Each | None,
        BeforeValidator(lambda given: {"column": given} if isinstance(given, str) else given),
    ] = None
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
    each : Each or None
        The list of which every element makes a row.
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
    each: Each | None
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
        if value.time is not None and value.seconds_between is None:
            return "time"
        if value.when is not None or isinstance(value.value, bool):
            return "claim"
        is_number = (
            *(value.numbers, value.clock, value.position, value.seconds_between),
            *(value.multiply, value.add, value.subtract),
        )
        return "number" if any(is_number) or isinstance(value.value, int | float) else "text"

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
    ids: Mapping[str, Spelling]
    private: Mapping[str, Spelling]
    filters: tuple[Filter, ...]
    rows: tuple[RowRule, ...]
    events: Mapping[str, EventPlace]
    text: str

    def namespace(self, name: str) -> str:
        """Return the namespace of one of `ids`: its own name, where it says no other."""
        return self.ids[name].namespace or name

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns that it names, of the file (`amount`) and of lookups (`orders.amount`)."""
        named = [lookup.on for lookup in self.lookups.values()]
        for spelling in (*self.ids.values(), *self.private.values()):
            named += spelling.columns
        named += [name for rule in self.filters for name in claimed_columns(rule.when)]
        for row in self.rows:
            named += [row.each.column] if row.each else []
            named += claimed_columns(row.when)
            named += [name for value in row.values.values() for name in value.columns]
        if self.file.fill_down:
            named += [self.file.fill_down.within, *self.file.fill_down.columns]
        return tuple(dict.fromkeys(named))

    @cached_property
    def file_columns(self) -> tuple[str, ...]:
        """The columns that it reads from its own files; a list stands for what is inside it."""
        inside = [row.each for row in self.rows if row.each]
        return tuple(
            name
            for name in self.columns
            if self.lookup_of(name) is None
            and not any(each.has(name) and name != each.column for each in inside)
        )

    def lookup_of(self, column: str) -> tuple[str, str] | None:
        """Return the lookup and the column there that `column` names, or None if it is our own."""
        name, dot, rest = column.partition(".")
        return (name, rest) if dot and name in self.lookups else None


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
