"""A project's own rules: `[[quality.rule]]` of journey.toml, checked and compiled like the kit's.

They look at one row each, in the words in which mappings choose records (`when`), so that they cost
no scan of their own and no SQL stands in a project file.
"""

from __future__ import annotations

from collections.abc import Mapping

from cjkit.checks import CjkitError, nearest
from cjkit.cleansing.rules import (
    MOST_FLAGGING,
    MOST_SETTING_ASIDE,
    RULE,
    RULES,
    Outcome,
    Rule,
    number_rules,
)
from cjkit.engine import column, text
from cjkit.events import Kind
from cjkit.project import Project, QualityRule
from cjkit.sources import SourceMapping
from cjkit.sources.expressions import condition

_OUTCOMES: Mapping[str, Outcome] = {"quarantine": "quarantined", "flag": "flagged"}
_PROVENANCE: Mapping[str, Kind] = {"time_precision": "text", "source": "text", "file": "text"}


def declared_rules(project: Project, mappings: Mapping[str, SourceMapping]) -> tuple[Rule, ...]:
    """Return the rules of `[[quality.rule]]` as the gate runs them.

    Numbers are compared as numbers. Times are read as the text of the project's local time, such as
    `2026-01-31 09:30:00`.

    Raises
    ------
    CjkitError
        When a rule has a name of the kit's or of another, reads a column that no source fills, or
        compares a text with a number; all such faults together.
    """
    faults: list[str] = []
    made: list[Rule] = []
    taken = set(RULE)
    for rule in project.quality.rule:
        place = f"quality.rule {rule.name!r}"
        if rule.name in taken:
            whose = "is a rule of cjkit" if rule.name in RULE else "stands twice"
            faults.append(f"{place}: the name {whose}: choose another.")
        taken.add(rule.name)
        kinds = filled_columns(rule.table, mappings)
        found = _faults_of(rule, kinds)
        faults += [f"{place}: {fault}" for fault in found]
        if not found:
            made.append(_compiled(rule, kinds, project.project.time_zone))
    for flags, most in ((False, MOST_SETTING_ASIDE), (True, MOST_FLAGGING)):
        own = sum((rule.outcome == "flagged") == flags for rule in made)
        room = most - sum((rule.outcome == "flagged") == flags for rule in RULES)
        if own > room:
            verb = "flag" if flags else "quarantine"
            faults.append(f"quality.rule: {own} rules that {verb} are too many: at most {room}.")
    if faults:
        count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        lines = [f"{project.path.name} has {count}:", *(f"  - {fault}" for fault in faults)]
        raise CjkitError("\n".join(lines))
    return number_rules(made, after=RULES)


def filled_columns(table: str, mappings: Mapping[str, SourceMapping]) -> dict[str, Kind]:
    """Return the columns of `table` that some source fills, and what each holds."""
    rows = [row for mapping in mappings.values() for row in mapping.rows if row.table == table]
    filled = {name: row.kind(name) for row in rows for name in row.values}
    return {**filled, **_PROVENANCE}


def _faults_of(rule: QualityRule, kinds: Mapping[str, Kind]) -> list[str]:
    faults = []
    for part in rule.when:
        inner = part.innermost
        name = str(inner.column)
        if name not in kinds:
            near = nearest(name, kinds)
            hint = f" Did you mean {near!r}?" if near else ""
            shown = ", ".join(map(repr, sorted(kinds)))
            faults.append(f"no source fills {name!r} of {rule.table}.{hint} Filled: {shown}.")
        elif kinds[name] not in ("whole", "number") and (
            inner.below is not None or inner.above is not None
        ):
            faults.append(f"{name!r} of {rule.table} is no number: below and above cannot read it.")
    return faults


def _compiled(rule: QualityRule, kinds: Mapping[str, Kind], zone: str) -> Rule:
    read = [str(part.innermost.column) for part in rule.when]
    texts = {name: _as_text(name, kinds[name], zone) for name in read}
    predicate = condition(rule.when, texts)
    return Rule(
        rule.name,
        rule.dimension,
        _OUTCOMES[rule.outcome],
        (rule.table,),
        tuple(dict.fromkeys(name for name in read if name not in _PROVENANCE)),
        predicate.replace("{", "{{").replace("}", "}}"),
    )


def _as_text(name: str, kind: Kind, zone: str) -> str:
    """Write a column as the text that a file would hold: 5 and not 5.0, a time as local clocks."""
    own = column(name)
    if kind == "number":
        whole = f"cast(cast({own} as bigint) as varchar)"
        return (
            f"(case when {own} = trunc({own}) and abs({own}) < 1e15 then {whole} "
            f"else cast({own} as varchar) end)"
        )
    if kind == "time":
        return f"cast(timezone({text(zone)}, timezone('UTC', {own})) as varchar)"
    return f"cast({own} as varchar)"
