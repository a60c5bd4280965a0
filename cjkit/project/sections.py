"""The sections of a project file, and what may stand in each."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.numbers import list_currencies
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from cjkit.checks import SECRET, Declared, microseconds
from cjkit.events import PURCHASE, STAGES
from cjkit.labels import LANGUAGES, Language
from cjkit.project.activation import ActivatingSection, Activation
from cjkit.project.conditions import Claim
from cjkit.project.gate import LinkingSection, Namespace, QualitySection, Words
from cjkit.project.steps import AnyStep, IntendedStep

_VARIABLE = r"\$\{(\w+)\}"
"""An environment variable, as a project file names it."""


class ProjectSection(Declared):
    """`[project]`: who the company is and how its reports read."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    name: Words
    time_zone: str
    currency: str
    languages: tuple[Language, ...] = LANGUAGES

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no time zone: write one such as 'Asia/Tokyo'") from error
        return zone

    @field_validator("currency")
    @classmethod
    def _is_currency(cls, code: str) -> str:
        if code not in list_currencies():
            raise ValueError("is no ISO 4217 code: write one such as 'JPY'")
        return code

    @field_validator("languages")
    @classmethod
    def _are_languages(cls, languages: tuple[Language, ...]) -> tuple[Language, ...]:
        if not languages or len(set(languages)) < len(languages):
            raise ValueError("name 'en', 'ja' or both, each once")
        return languages


class CompanySection(Declared):
    """`[company]`: what the gate must know of it. Rows before `started_on` are impossible."""

    started_on: datetime.date = datetime.date(1990, 1, 1)
    staff_domains: tuple[str, ...] = ()


class PeriodSection(Declared):
    """`[period]`: the days that are reported on, and those that they are compared with."""

    length: str = Field("1M", pattern=r"^[1-9][0-9]*[DWMQY]$")
    compare: Literal["previous", "year_before"] = "previous"
    as_of: datetime.date | None = None


class Duration(Declared):
    """A section that holds one duration with its unit."""

    @field_validator("*")
    @classmethod
    def _has_unit(cls, given: str) -> str:
        microseconds(given, name="it")
        return given


class SessionSection(Duration):
    """`[session]`: a pause longer than `gap` ends a session."""

    gap: str = "30m"


class OrdersSection(Duration):
    """`[orders]`: two reports of equal amount this close together are one sale."""

    match_within: str = "10m"


class ConsentSection(Declared):
    """`[consent]`: what a person without a record has agreed to; there is no default."""

    missing: Literal["allow", "withhold"]
    purpose: str = "analytics"


class PrivacySection(Declared):
    """`[privacy]`: how people are hidden. `plain` ids are for public data only.

    `quotes` allows pages to quote typical comments, without figures, addresses and names before a
    title; comments may tell who wrote them in other ways.
    """

    min_cell: int = Field(5, ge=0)
    pseudonyms: Literal["keyed", "plain"] = "keyed"
    key_file: str | None = None
    quotes: bool = False


class StateSection(Declared):
    """`[state]`: where cjkit keeps what it has read."""

    dir: str = ".cjkit"


class ReportSection(Declared):
    """`[report]`: which notebooks run, and why others cannot answer for this data.

    `targets` says what headline figures should reach (rates from 0 to 1): `funnel_rate = 0.1`. A
    figure that is better small should stay at or below its target.
    """

    dir: str = "reports"
    notebooks: tuple[str, ...] = ()
    cannot: Mapping[str, Words] = {}
    targets: Mapping[str, float] = {}


class EngineSection(Declared):
    """`[engine]`: where SQL runs, and how much of the machine it may take."""

    kind: Literal["duckdb"] = "duckdb"
    memory: str | None = Field(None, pattern=r"^[0-9]+(\.[0-9]+)? ?(MB|GB|MiB|GiB)$")
    threads: int | None = Field(None, ge=1)


class Source(Declared):
    """`[sources.<name>]`: files or a table, and the mapping that says what they mean.

    `mapping` is the name of a shipped mapping, a path beginning with `./`, or the mapping itself.
    `shift` moves a clock that is known to be wrong ("9h", "-9h"): of the whole source, or of files
    by name or pattern (`{ "exports/visits_2025q3.csv" = "9h" }`). `duplicates = "keep"` says that
    equal records are different things, such as two equal purchases in one day; `"latest"` that
    records change, so that of all with one key the latest counts. `customers` names the source
    whose customer records must know everybody in this one. A file that was read before and is gone
    is an error; `retention = "forget"` says that files go in time, and their rows with them.

    In place of `files` may stand `url = "${SHOP_DB}"`: the environment variable that holds the URL
    of a database, which is never written here; and either its `table` ("orders", "crm.contacts") or
    a `query`. It is read whole each time. Where `updated` names a column that changes with every
    row, it is read only when the number of rows or the latest of that column is another.
    """

    files: tuple[str, ...] = Field((), min_length=1)
    url: str | None = None
    table: str | None = Field(None, pattern=r"^[^/]+$")
    query: str | None = None
    updated: str | None = None
    mapping: str | Mapping[str, Any]
    required: bool = True
    shift: str | Mapping[str, str] | None = None
    duplicates: Literal["set_aside", "keep", "latest"] = "set_aside"
    customers: str | None = None
    retention: Literal["keep_files", "forget"] = "keep_files"

    @field_validator("url")
    @classmethod
    def _is_variable(cls, given: str | None) -> str | None:
        if given is not None and not re.fullmatch(_VARIABLE, given):
            raise PydanticCustomError(
                SECRET,
                "name the environment variable that holds the URL, such as '${SHOP_DB}': what "
                "opens a database does not belong in a file",
            )
        return given

    @model_validator(mode="after")
    def _is_file_or_table(self) -> Source:
        if (self.url is None) == (not self.files):
            raise ValueError("name its files, or the url of a database: one of them")
        if self.url is not None and (self.table is None) == (self.query is None):
            raise ValueError("name a table of the database, or write a query: one of them")
        if self.url is None and (self.table or self.query or self.updated):
            raise ValueError("table, query and updated go with the url of a database")
        return self

    @property
    def variable(self) -> str | None:
        """The environment variable that holds the URL of its database."""
        return self.url[2:-1] if self.url else None

    def place(self, name: str) -> Path:
        """Return what the table of the source called `name` is called, below its database."""
        return Path(str(self.variable), self.table or f"query {name}")

    @field_validator("shift")
    @classmethod
    def _is_shift(cls, given: str | Mapping[str, str] | None) -> str | Mapping[str, str] | None:
        for written in given.values() if isinstance(given, Mapping) else [given] if given else []:
            microseconds(written.removeprefix("-"), name="it")
        return given

    @property
    def shifts_us(self) -> dict[str, int]:
        """By how many microseconds the clocks of files are moved, by the pattern of their names."""
        given = self.shift if isinstance(self.shift, Mapping) else {"*": self.shift}
        return {
            pattern: (-1 if written.startswith("-") else 1)
            * microseconds(written.removeprefix("-"), name="shift")
            for pattern, written in given.items()
            if written is not None
        }


class EventPlace(Declared):
    """`[events.<event>]`: where an event belongs when its source does not say."""

    touchpoint: str | None = None
    channel: str | None = None
    stage: str | None = None


class Touchpoint(Declared):
    """`[touchpoints.<touchpoint>]`: the stage of what happens there, and whether it is online."""

    stage: str | None = None
    place: Literal["online", "offline"] = "online"


class StagesSection(Declared):
    """`[stages]`: how far a customer can come, first to last."""

    order: tuple[str, ...] = STAGES


class FunnelSection(Declared):
    """`[funnel]`: the steps that the funnel notebook begins with, and how they are counted."""

    steps: tuple[AnyStep, ...] = Field(min_length=2)
    within: str = "30D"
    by: str | None = None
    order: Literal["ordered", "strict", "any"] = "ordered"
    ties: Literal["ordered", "simultaneous"] = "ordered"
    hold: str | None = None
    without: tuple[AnyStep, ...] = ()
    count: Literal["customers", "sessions", "cases", "starts"] = "customers"
    note: dict[Language, str] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What decides which chains count, as the functions of the funnel take it."""
        told = {name: getattr(self, name) for name in ("within", "order", "ties", "hold")}
        return told | {"without": [step.plain for step in self.without]}

    @field_validator("within")
    @classmethod
    def _has_unit(cls, given: str) -> str:
        microseconds(given, name="it")
        return given


class ConversionSection(Declared):
    """`[conversion]`: the event that counts."""

    event: str = PURCHASE


class MapSection(Declared):
    """`[map]`: what stands on the journey map beside what is measured.

    `goal` is what the company wants to reach, `kpi` the stage whose rate of coming further tells
    whether it does, `target` what that rate should be (0 to 1), and `comments` a CSV file of
    colleagues' comments (see `journey_map.read_comments`).
    """

    goal: Mapping[Language, str] = {}
    kpi: str | None = None
    target: float | None = Field(default=None, ge=0, le=1)
    comments: str | None = None


class JourneySection(Declared):
    """`[journey]`: the steps in the order that the company intends.

    A step is a touchpoint, a list of alternatives, or a table: `{ stage = "purchase" }`,
    `{ touchpoint = "delivery", within = "7D" }` (overdue after that time),
    `{ touchpoint = "product_review", optional = true }`.
    """

    intended: tuple[IntendedStep, ...] = ()

    @model_validator(mode="after")
    def _holds_together(self) -> JourneySection:
        called = [step.called for step in self.intended]
        if len(self.intended) == 1 or len(set(called)) < len(called):
            raise ValueError("name two steps or more in `intended`, each once")
        if self.intended and self.intended[0].within:
            raise ValueError("the first of `intended` has no step before it: leave out its within")
        if self.intended and all(step.optional for step in self.intended):
            raise ValueError("leave one step of `intended` that is not optional")
        return self


class Contractual(Declared):
    """`[value.contractual]`: events that begin and end a contract; renewed every `period`."""

    start: str
    end: str
    period: str = "30D"

    @field_validator("period")
    @classmethod
    def _has_unit(cls, given: str) -> str:
        microseconds(given, name="it")
        return given


class ValueSection(Declared):
    """`[value]`: what the lifetime value needs. `margin` of revenue is kept (0 to 1).

    Without `contractual`, customers stay away without a word, as in a shop.
    """

    margin: float = Field(1.0, gt=0, le=1)
    annual_discount: float = Field(0.1, ge=0, lt=1)
    contractual: Contractual | None = None


class DeclaredSegment(Declared):
    """`[segments.<name>]`: customers of whom `when` holds; of several, the first that is written.

    `when` is a condition as in mappings without `matches`, over the features of
    `cjkit.segmentation.read_features` and the columns of customers.
    """

    when: Claim
    words: Words


class Persona(Declared):
    """`[personas.<segment>]`: the name and the story that the team gives to a segment."""

    name: Words
    story: Words = Field(default_factory=dict)


SECTIONS: dict[str, type[Declared]] = {
    "project": ProjectSection,
    "company": CompanySection,
    "period": PeriodSection,
    "session": SessionSection,
    "orders": OrdersSection,
    "consent": ConsentSection,
    "privacy": PrivacySection,
    "state": StateSection,
    "report": ReportSection,
    "engine": EngineSection,
    "stages": StagesSection,
    "conversion": ConversionSection,
    "journey": JourneySection,
    "map": MapSection,
    "value": ValueSection,
    "quality": QualitySection,
}
TABLES: dict[str, type[Declared]] = {
    "identity": Namespace,
    "sources": Source,
    "events": EventPlace,
    "touchpoints": Touchpoint,
    "segments": DeclaredSegment,
    "personas": Persona,
    "activation": Activation,
}
BESIDE: dict[str, tuple[str, type[Declared]]] = {
    "identity": ("linking", LinkingSection),
    "activation": ("activating", ActivatingSection),
}
"""Of tables that hold settings of their own too: how a project calls these, and what they are."""
