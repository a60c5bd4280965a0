"""Reading `journey.toml`, and refusing it with all its faults together."""

from __future__ import annotations

import datetime
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from cjkit.checks import CjkitError, Declared, nearest, read_declared
from cjkit.events import CONTRACT, PURCHASE, RETURN, Period, find_periods
from cjkit.labels import LANGUAGES, Language
from cjkit.project.activation import ActivatingSection, Activation
from cjkit.project.gate import Dimension, LinkingSection, Namespace, QualitySection
from cjkit.project.sections import (
    BESIDE,
    SECTIONS,
    TABLES,
    CompanySection,
    ConsentSection,
    ConversionSection,
    DeclaredSegment,
    EngineSection,
    EventPlace,
    FunnelSection,
    JourneySection,
    MapSection,
    OrdersSection,
    PeriodSection,
    Persona,
    PrivacySection,
    ProjectSection,
    ReportSection,
    SessionSection,
    Source,
    StagesSection,
    StateSection,
    Touchpoint,
    ValueSection,
)

DIMENSIONS = get_args(Dimension)
MANDATORY = ("project", "consent", "sources")


@dataclass(frozen=True)
class Project:
    """A project file that holds together. Attributes are its sections, by name.

    `path` is the file, `text` what it says (for fingerprints), `names` the display names: kind,
    then value, then language. `funnel` is None where the file has no such section; `identity` holds
    the namespaces of that section, and `linking` its other settings; `activation` the targets of
    that section, and `activating` its other settings.
    """

    path: Path
    text: str
    project: ProjectSection
    consent: ConsentSection
    sources: Mapping[str, Source]
    company: CompanySection
    period: PeriodSection
    session: SessionSection
    orders: OrdersSection
    privacy: PrivacySection
    state: StateSection
    report: ReportSection
    engine: EngineSection
    stages: StagesSection
    conversion: ConversionSection
    journey: JourneySection
    map: MapSection
    value: ValueSection
    quality: QualitySection
    identity: Mapping[str, Namespace]
    linking: LinkingSection
    events: Mapping[str, EventPlace]
    touchpoints: Mapping[str, Touchpoint]
    activating: ActivatingSection
    activation: Mapping[str, Activation] = field(default_factory=dict)
    segments: Mapping[str, DeclaredSegment] = field(default_factory=dict)
    personas: Mapping[str, Persona] = field(default_factory=dict)
    funnel: FunnelSection | None = None
    names: Mapping[str, Mapping[str, Mapping[Language, str]]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of the project file, from which its paths are counted."""
        return self.path.parent

    @property
    def state_folder(self) -> Path:
        """The folder in which this project keeps its state."""
        return self.folder / self.state.dir / self.project.id

    @property
    def fetched_folder(self) -> Path:
        """The folder in which tables of databases lie while they are landed."""
        return self.state_folder / "fetched"

    def periods(self, as_of: datetime.date) -> tuple[Period, Period]:
        """Return the period that ends at `as_of`, and the one that it is compared with."""
        return find_periods(
            as_of,
            length=self.period.length,
            compare=self.period.compare,
            time_zone=self.project.time_zone,
        )

    def input_files(self) -> dict[str, list[Path]]:
        """Return the files of each source, sorted by name, or say which are not there.

        A table of a database is one, which is there once it is fetched.

        Raises
        ------
        CjkitError
            When a required pattern finds no file, or names a variable that is not set: all such
            faults together.
        """
        found: dict[str, list[Path]] = {}
        faults: list[str] = []
        for name, source in self.sources.items():
            files: set[Path] = set()
            if source.variable is not None:
                if source.variable not in os.environ:
                    faults.append(
                        f"sources.{name}.url: the environment variable {source.variable} is not "
                        "set; it holds the URL of a database."
                    )
                found[name] = [self.fetched_folder / source.place(name)]
                continue
            for pattern in source.files:
                try:
                    files |= self._matches(pattern)
                except CjkitError as error:
                    faults.append(f"sources.{name}.files: {error}")
                    break
            else:
                if not files and source.required:
                    shown = ", ".join(map(repr, source.files))
                    faults.append(f"sources.{name}.files={shown} finds no file in {self.folder}.")
            found[name] = sorted(files)
        if faults:
            is_fresh = self.project.id == "sample" and not any(found.values())
            hint = "\nThe files of the sample company are written by `make sample`."
            raise CjkitError(_listed(self.path, faults) + hint * is_fresh)
        return found

    def _matches(self, pattern: str) -> set[Path]:
        filled = re.sub(r"\$\{(\w+)\}", _environment, pattern)
        whole = Path(filled)
        base = Path(whole.anchor) if whole.is_absolute() else self.folder
        relative = whole.relative_to(whole.anchor) if whole.is_absolute() else whole
        return {path for path in base.glob(str(relative)) if path.is_file()}


def read_project(path: str | Path) -> Project:
    """Read a project file, and refuse it with all its faults together.

    Parameters
    ----------
    path : str or Path
        The file; its folder is the one that paths in it are counted from.

    Returns
    -------
    Project

    Raises
    ------
    CjkitError
        When there is no such file, it is no TOML, or anything in it is missing, unknown, of the
        wrong kind, or names something that the file does not define. Each fault says where it is,
        what was given, what is allowed and the nearest valid name.
    """
    path = Path(path)
    declared, written = _read_toml(path)
    faults = _unknown_sections(declared)
    values: dict[str, Any] = {}
    for name, (settings, model) in BESIDE.items():
        declared, own = _part(declared, name, model)
        values[settings] = _take(model, own, name, faults)
    for name, model in SECTIONS.items():
        is_missing = name in MANDATORY and name not in declared  # said already
        values[name] = None if is_missing else _take(model, declared.get(name, {}), name, faults)
    for name, model in TABLES.items():
        entries = declared.get(name, {})
        if not isinstance(entries, dict):
            faults.append(f"{name} must be a table of tables, such as [{name}.something].")
            entries = {}
        if name in BESIDE:  # what is no table there was meant as a setting
            known = BESIDE[name][1].model_fields
            strange = [key for key, entry in entries.items() if not isinstance(entry, dict)]
            faults += [_unknown(f"{name}.{key}", key, known) for key in strange]
            entries = {key: entry for key, entry in entries.items() if key not in strange}
        taken = {
            key: _take(model, entry, f"{name}.{key}", faults) for key, entry in entries.items()
        }
        values[name] = {key: value for key, value in taken.items() if value is not None}
    values["funnel"] = (
        _take(FunnelSection, declared["funnel"], "funnel", faults) if "funnel" in declared else None
    )
    values["names"] = _take_names(declared.get("names", {}), faults)
    if values["quality"]:
        _name_rules(values["quality"], values["names"])
    for name, segment in values["segments"].items():
        values["names"].setdefault("segment", {})[name] = segment.words
    for name, persona in values["personas"].items():
        values["names"].setdefault("persona", {})[name] = persona.name
    faults += _contradictions(values)
    if faults:
        raise CjkitError(_listed(path, faults))
    return Project(path=path.resolve(), text=written, **values)


def _read_toml(path: Path) -> tuple[dict[str, Any], str]:
    try:
        written = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise CjkitError(f"There is no project file {str(path)!r}.") from error
    except IsADirectoryError as error:
        raise CjkitError(f"{str(path)!r} is a folder: name the journey.toml in it.") from error
    except UnicodeDecodeError as error:
        raise CjkitError(f"{str(path)!r} is not UTF-8 (byte {error.start}): save it so.") from error
    try:
        return tomllib.loads(written), written
    except tomllib.TOMLDecodeError as error:
        raise CjkitError(f"{str(path)!r} is not valid TOML: {error}.") from error


def _part(
    declared: dict[str, Any], name: str, settings: type[Declared]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the file with nothing but named tables in a section, and what else stood there."""
    section = declared.get(name, {})
    if not isinstance(section, dict):
        return declared, {}
    own = {key: section[key] for key in settings.model_fields if key in section}
    named = {key: entry for key, entry in section.items() if key not in own}
    return {**declared, name: named} if own else declared, own


def _unknown_sections(declared: Mapping[str, Any]) -> list[str]:
    known = [*SECTIONS, *TABLES, "funnel", "names"]
    faults = [f"[{name}] is missing." for name in MANDATORY if name not in declared]
    faults += [_unknown(f"[{name}]", name, known) for name in declared if name not in known]
    return faults


def _unknown(place: str, given: str, known: Collection[str]) -> str:
    near = nearest(given, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"{place} is not known.{hint} Known: {', '.join(map(repr, known))}."


def _take(model: type[Declared], data: object, place: str, faults: list[str]) -> Declared | None:
    value, found = read_declared(model, data, place=place)
    faults += found
    return value


def _take_names(declared: object, faults: list[str]) -> dict[str, dict[str, dict[Language, str]]]:
    """Return the display names that are whole; the others are faults."""
    taken: dict[str, dict[str, dict[Language, str]]] = {}
    for kind, values in declared.items() if isinstance(declared, dict) else ():
        for value, wording in values.items() if isinstance(values, dict) else ():
            place = f"names.{kind}.{value}"
            if not isinstance(wording, dict) or not wording:
                faults.append(f"{place} must say en and ja.")
                continue
            strange = [key for key in wording if key not in LANGUAGES]
            if strange or not all(isinstance(words, str) for words in wording.values()):
                faults.append(f"{place} may only hold en and ja, each a text.")
                continue
            taken.setdefault(kind, {})[value] = wording
    return taken


def _name_rules(quality: QualitySection, names: dict[str, dict[str, Any]]) -> None:
    """Give the project's own rules their words, beside its other display names."""
    for rule in quality.rule:
        names.setdefault("rule", {})[rule.name] = rule.words
        names.setdefault("reason", {})[rule.name] = rule.reason or rule.words


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """Return where one part of the file names what no other part defines."""
    faults: list[str] = []
    stages = values["stages"].order if values["stages"] else ()
    touchpoints, events = values["touchpoints"], values["events"]
    known_events = {*events, PURCHASE, RETURN}

    def check(place: str, given: str | None, allowed: object, what: str) -> None:
        names = [str(name) for name in allowed]  # type: ignore[attr-defined]
        if given is not None and given not in names:
            near = nearest(given, names)
            hint = f" Did you mean {near!r}?" if near else ""
            if not near and what in ("event", "touchpoint"):
                hint = f" Declare it: [{what}s.{given}]."
            faults.append(f"{place}={given!r} is no {what} of this file.{hint}")

    spoken = values["project"].languages if values["project"] else ()

    def check_words(place: str, wording: Mapping[Language, str]) -> None:
        if lacking := [language for language in spoken if not wording.get(language)]:
            faults.append(f"{place}: its words lack {' and '.join(lacking)}.")

    for name, event in events.items():
        check(f"events.{name}.stage", event.stage, stages, "stage")
        check(f"events.{name}.touchpoint", event.touchpoint, touchpoints, "touchpoint")
    for name, touchpoint in touchpoints.items():
        check(f"touchpoints.{name}.stage", touchpoint.stage, stages, "stage")
    if values["map"]:
        check("map.kpi", values["map"].kpi, stages, "stage")
    if values["conversion"]:
        check("conversion.event", values["conversion"].event, known_events, "event")
    for section, key in (("funnel", "steps"), ("funnel", "without"), ("journey", "intended")):
        for step in getattr(values[section], key) if values[section] else ():
            for name in step.event or ():
                check(f"{section}.{key}", name, known_events, "event")
            for name in step.touchpoint or ():
                check(f"{section}.{key}", name, touchpoints, "touchpoint")
            for name in step.stage or ():
                check(f"{section}.{key}", name, stages, "stage")
    if values["value"] and (contract := values["value"].contractual):
        check("value.contractual.start", contract.start, known_events, "event")
        check("value.contractual.end", contract.end, known_events, "event")
    if values["quality"]:
        for share in ("warn", "stop"):
            for name in getattr(values["quality"], share):
                check(f"quality.{share}", name, DIMENSIONS, "dimension")
        for pair in values["quality"].order:
            check("quality.order.first", pair.first, known_events, "event")
            check("quality.order.then", pair.then, known_events, "event")
        for name in values["quality"].opens:
            check("quality.opens", name, known_events, "event")
        for rule in values["quality"].rule:
            place = f"quality.rule {rule.name!r}"
            check(f"{place}.table", rule.table, CONTRACT, "table")
            check_words(place, rule.words)
            check_words(place, rule.reason or rule.words)
    for name, segment in values["segments"].items():
        check_words(f"segments.{name}", segment.words)
    for name, persona in values["personas"].items():
        check_words(f"personas.{name}.name", persona.name)
        if persona.story:
            check_words(f"personas.{name}.story", persona.story)
    quiets = {"activation": values["activating"] and values["activating"].quiet}
    for name, activation in values["activation"].items():
        quiets[f"activation.{name}"] = activation.quiet
        for event in activation.events:
            check(f"activation.{name}.events", event, known_events, "event")
    for place, quiet in quiets.items():
        for event in quiet.events if quiet else ():
            check(f"{place}.quiet.events", event, known_events, "event")
    for name, source in values["sources"].items():
        check(f"sources.{name}.customers", source.customers, values["sources"], "source")
    if values["report"]:
        for name in values["report"].cannot:
            if name in values["report"].notebooks:
                faults.append(
                    f"report.cannot.{name}: the same notebook stands in report.notebooks."
                )
    return faults


def _environment(found: re.Match[str]) -> str:
    value = os.environ.get(found[1])
    if value is None:
        raise CjkitError(f"the environment variable {found[1]} is not set; it names a folder.")
    return value


def _listed(path: Path, faults: list[str]) -> str:
    count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
    return "\n".join([f"{path.name} has {count}:", *(f"  - {fault}" for fault in faults)])
