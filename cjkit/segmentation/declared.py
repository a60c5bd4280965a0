"""Segments by rule: those that a project file declares, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from cjkit.checks import CjkitError, nearest
from cjkit.engine import Table, column, text
from cjkit.events import Kind
from cjkit.labels import OTHER
from cjkit.project import DeclaredSegment, Project
from cjkit.project.conditions import Condition, claimed_columns, holds_sql
from cjkit.segmentation.assign import Segments, describe_segments
from cjkit.segmentation.features import CHANNEL, KINDS, Features
from cjkit.segmentation.found import GROUP
from cjkit.segmentation.lifecycle import STATUSES
from cjkit.segmentation.rules import RFM_RULES

Holds = Literal["number", "text", "claim", "other"]

_SQL_KINDS: tuple[tuple[str, Holds], ...] = (
    ("VARCHAR", "text"), ("TEXT", "text"), ("STRING", "text"), ("BOOL", "claim"),
    ("INT", "number"), ("DOUBLE", "number"), ("FLOAT", "number"), ("DECIMAL", "number"),
)  # fmt: skip
_CONTRACT_KINDS: Mapping[Kind, Holds] = {
    "text": "text", "whole": "number", "number": "number", "claim": "claim",
}  # fmt: skip


def apply_rules(
    features: Features,
    segments: Mapping[str, DeclaredSegment],
    *,
    customers: Table | None = None,
    name: str = "declared",
) -> Segments:
    """Give each customer the first declared segment whose conditions all hold.

    Only `is_not`, `not` and `present = false` hold of what is missing. Who meets no rule is in
    `(other)`.

    Parameters
    ----------
    features : Features
    segments : mapping from name to DeclaredSegment
        `log.project.segments`: `[segments]` of the project file, in its order.
    customers : Table, optional
        Further columns that conditions may read, one row for each `customer_id`.
    name : str, default 'declared'
        What the customers' table is called on the engine; one of that name is replaced.

    Raises
    ------
    CjkitError
        When a condition reads a column that there is not, or asks of it what it cannot hold: all
        such faults together.
    """
    own = features.customers.columns
    beside = {
        key: kind
        for key, kind in (customers.columns if customers else {}).items()
        if key not in own
    }
    kinds = {key: _sql_kind(kind) for key, kind in {**own, **beside}.items()}
    faults = list(_faults(segments, kinds, is_open=False))
    if faults:
        raise CjkitError("\n".join(faults))
    read = {key for segment in segments.values() for key in claimed_columns(segment.when)} & set(
        beside
    )
    joined = "".join(f", known.{column(key)}" for key in sorted(read))
    people = f"{features.customers} as features"
    if joined:
        people += f" left join {customers} as known on known.customer_id = features.customer_id"
    cases = " ".join(
        f"when {' and '.join(map(holds_sql, segment.when))} then {text(key)}"
        for key, segment in segments.items()
    )
    chosen = f"case {cases} else {text(OTHER)} end" if segments else text(OTHER)
    sql = f"""
        select customer_id, {chosen} as segment, orders, revenue, recency_days
        from (select features.*{joined} from {people}) as described"""
    assigned = features.customers.engine.materialize(name, sql)
    table, sizes_sql = describe_segments(assigned, [*segments, OTHER])
    return Segments(table, assigned, features.as_of_us, (), (*features.sql, sql, sizes_sql))


def check_segments(project: Project, columns: Mapping[str, Kind]) -> None:
    """Refuse segments and personas of a project file that nothing could be meant by.

    Parameters
    ----------
    project : Project
    columns : mapping from column of customers to what it holds
        Those that some source fills.

    Raises
    ------
    CjkitError
        With all faults: a column that is neither a feature nor a column of customers, a condition
        that it cannot meet, a persona of a segment that nobody makes.
    """
    kinds: dict[str, Holds] = {
        name: _CONTRACT_KINDS.get(kind, "other") for name, kind in columns.items()
    }
    kinds |= {name: "number" for names in KINDS.values() for name in names}
    faults = list(_faults(project.segments, kinds, is_open=True))
    known = [
        *dict.fromkeys(rule.segment for rule in RFM_RULES),
        *project.segments,
        *STATUSES,
        *(f"{GROUP}{place}" for place in range(1, 21)),
    ]
    for name in project.personas:
        if name not in known:
            near = nearest(name, known)
            hint = f" Did you mean {near!r}?" if near else ""
            faults.append(f"personas.{name} is no segment that [segments] or the kit makes.{hint}")
    if faults:
        raise CjkitError("\n".join(faults))


def _faults(
    segments: Mapping[str, DeclaredSegment], kinds: Mapping[str, Holds], *, is_open: bool
) -> Iterator[str]:
    """Say what is wrong; `is_open` says that shares of any channel may be among the features."""
    for name, segment in segments.items():
        for condition in segment.when:
            inner = condition.innermost
            read = str(inner.column)
            if is_open and read.startswith(CHANNEL) and read not in kinds:
                kind: Holds = "number"
            elif read.startswith(CHANNEL) and read not in kinds:
                channel = read.removeprefix(CHANNEL)
                yield (
                    f"segments.{name}: {read!r} is not among the features, which hold the channels "
                    f"that most people use: read them with channels=[{channel!r}, ...]."
                )
                continue
            elif read not in kinds:
                near = nearest(read, kinds)
                hint = f" Did you mean {near!r}?" if near else ""
                shown = ", ".join(map(repr, sorted(set(kinds) - {"customer_id"})))
                yield f"segments.{name}: there is no column {read!r}.{hint} There are: {shown}."
                continue
            else:
                kind = kinds[read]
            if fault := _mismatch(inner, kind):
                yield f"segments.{name}: {read!r} {fault}"


def _mismatch(condition: Condition, kind: Holds) -> str | None:
    """Say why a condition cannot be asked of a column of this kind."""
    if condition.matches is not None:
        return "cannot be asked with `matches`: use starts_with, ends_with or contains."
    parts = (condition.starts_with, condition.ends_with, condition.contains)
    if kind != "text" and any(part is not None for part in parts):
        return "is no text: starts_with, ends_with and contains cannot read it."
    if kind != "number" and (condition.below is not None or condition.above is not None):
        return "is no number: below and above cannot read it."
    allowed: dict[Holds, type | tuple[type, ...]] = {
        "number": (int, float), "text": str, "claim": bool, "other": (),
    }  # fmt: skip
    for constant in (*(condition.is_ or ()), *(condition.is_not or ())):
        is_claim = isinstance(constant, bool)
        if not isinstance(constant, allowed[kind]) or (is_claim and kind != "claim"):
            return f"is never {constant!r}: it holds a {kind}."
    return None


def _sql_kind(written: str) -> Holds:
    return next((kind for part, kind in _SQL_KINDS if part in written.upper()), "other")
