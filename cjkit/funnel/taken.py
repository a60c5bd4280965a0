"""The events that may be steps of a funnel, as SQL: what every question about it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cjkit.engine import column
from cjkit.events import Period
from cjkit.funnel.rules import FunnelRules
from cjkit.project.choosing import any_of


@dataclass(frozen=True)
class Taken:
    """The rows of which chains are made: an event each, or an instant with all of its events.

    Attributes
    ----------
    definition : str
        A CTE that `relation` needs, with its comma; empty where it needs none.
    relation : str
        A name or a query in parentheses, with the columns of `part`, `occurred_us`, `step_no`
        (not of instants), `until` (where a chain may begin: its last moment), and for condition c
        `is_c`, or `times_c` and `no_c` (how often it held in the instant, and the first `step_no`;
        where starts are counted, the row of an event has its own `step_no` instead).
    part : tuple of str
        The columns that all rows of a chain share.
    unit : tuple of str
        Those of them that make what is counted.
    has_instants : bool
    """

    definition: str
    relation: str
    part: tuple[str, ...]
    unit: tuple[str, ...]
    has_instants: bool


def take_events(
    source: str, rules: FunnelRules, carried: Sequence[str] = (), period: Period | None = None
) -> Taken:
    """Write the SQL of the events of `source` that are steps, with the columns `carried`."""
    sessions = ("session_no",) if rules.count == "sessions" else ()
    keys = ("held",) if rules.hold else ()
    part = ("customer_id", *sessions, *keys)
    sql = _events(source, rules, part, carried, period)
    is_plain = True
    if rules.without:
        # A chain lives between two of the events that break it. Of one time, they count as first.
        order = "step_no"
        if rules.ties == "simultaneous":
            order = "occurred_us, case when is_out then 0 else 1 end"
        sql = f"""select *, sum(case when is_out then 1 else 0 end) over (
                partition by {", ".join(part)} order by {order}
                rows between unbounded preceding and current row) as broken
            from ({sql}) as marked"""
        sql, is_plain = f"select * from ({sql}) as parted where not is_out", False
    if rules.entry == "first":
        sql = f"""select *, min(case when is_{rules.codes[0]} then {_first_by(rules)} end) over (
                partition by {", ".join(part)}) as begins_at from ({sql}) as unbegun"""
        is_plain = False
    if rules.without:
        part = (*part, "broken")
    if has_instants := _has_instants(rules):
        sql, is_plain = _instants(sql, rules, part, carried), False
    unit = ("customer_id", *sessions, *(keys if rules.count == "cases" else ()))
    if is_plain:
        return Taken("", f"({sql}) as taken", part, unit, has_instants)
    return Taken(f"taken as ({sql}),", "taken", part, unit, has_instants)


def _has_instants(rules: FunnelRules) -> bool:
    """Say whether the events of one time must be seen together.

    Where each step has a condition of its own, events of one time need only stand in the order of
    the steps. The same condition twice needs two events, which must be counted.
    """
    is_repeated = len(rules.conditions) < len(rules.steps)
    return rules.ties == "simultaneous" and rules.order == "ordered" and is_repeated


def _first_by(rules: FunnelRules) -> str:
    """Return what tells the first start: simultaneous ones are all first."""
    return "occurred_us" if rules.ties == "simultaneous" else "step_no"


def _events(
    source: str,
    rules: FunnelRules,
    part: Sequence[str],
    carried: Sequence[str],
    period: Period | None,
) -> str:
    wanted = [any_of((*rules.steps, *rules.without))]
    if period is not None:
        wanted += [f"occurred_us >= {period.start_us}", f"occurred_us < {period.end_us}"]
    if rules.hold is not None:
        source = f"(select *, {column(rules.hold)} as held from {source} as unheld)"
        wanted.append("held is not null")
    place = "step_no"
    if rules.hold is not None and rules.order == "strict":
        place = "step_no, place_no"
        source = f"""(select *, row_number() over (partition by {", ".join(part)}
            order by step_no) as place_no from {source} as unplaced where held is not null)"""
    flags = [f"{sql} as is_{code}" for code, sql in enumerate(rules.conditions)]
    if rules.without:
        flags.append(f"coalesce({any_of(rules.without)}, false) as is_out")
    until = f"occurred_us + {rules.window}"
    if rules.hold is not None:
        until = f"least({until}, coalesce(valid_until_us, {until}))"
    return f"""select {", ".join(part)}, {place}, occurred_us, {until} as until,
            {", ".join([*flags, *carried])}
        from {source} as log where {" and ".join(wanted)}"""


def _instants(sql: str, rules: FunnelRules, part: Sequence[str], carried: Sequence[str]) -> str:
    """Write the SQL that makes one row of all events of a chain's part at one time.

    Where starts are counted, each event keeps its row: of one time, some may last longer.
    """
    is_first = f"is_{rules.codes[0]}"
    if rules.entry == "first":
        is_first += f" and {_first_by(rules)} = begins_at"
    until, instant = f"case when {is_first} then until end", f"{', '.join(part)}, occurred_us"
    codes = range(len(rules.conditions))
    happened = [f"count(case when is_{code} then 1 end)" for code in codes]
    if rules.count == "starts":
        over = f"over (partition by {instant})"
        told = [f"{times} {over} as times_{code}" for code, times in enumerate(happened)]
        told += [f"{until} as until", "step_no", *carried]
        return f"select {instant}, {', '.join(told)} from ({sql}) as events_of"
    told = [f"{times} as times_{code}" for code, times in enumerate(happened)]
    told += [f"min(case when is_{code} then step_no end) as no_{code}" for code in codes]
    told += [f"max({until}) as until", *(f"max({name}) as {name}" for name in carried)]
    return f"select {instant}, {', '.join(told)} from ({sql}) as events_of group by {instant}"


def takes(rules: FunnelRules, first: int, last: int) -> str:
    """Write the condition that one instant takes all steps from `first` to `last` that it must."""
    steps = [k for k in range(first, last + 1) if k in (first, last) or not rules.steps[k].optional]
    codes = [rules.codes[k] for k in steps]
    return " and ".join(f"times_{code} >= {codes.count(code)}" for code in sorted(set(codes)))


def begins(rules: FunnelRules, taken: Taken) -> str:
    """Write the condition that a chain may begin at a row."""
    if taken.has_instants:
        return "until is not null"
    is_first = f"is_{rules.codes[0]}"
    return is_first + (f" and {_first_by(rules)} = begins_at" if rules.entry == "first" else "")


def is_step(rules: FunnelRules, taken: Taken, step: int) -> str:
    """Write the condition that a row is a step."""
    code = rules.codes[step]
    return f"times_{code} > 0" if taken.has_instants else f"is_{code}"


def place_of(rules: FunnelRules, taken: Taken, step: int) -> str:
    """Write where a row stands among those of its part as this step: an even number.

    Simultaneous events stand in the order of the steps, so that each finds the step before.
    """
    if taken.has_instants:
        return "2 * occurred_us"
    if rules.ties == "simultaneous":
        return f"{2 * len(rules.steps) + 2} * occurred_us + {2 * step}"
    if rules.hold is not None and rules.order == "strict":
        return "2 * place_no"
    return "2 * step_no"


def step_no_of(rules: FunnelRules, taken: Taken, step: int) -> str:
    """Write the `step_no` of a row's event that is this step."""
    is_instant = taken.has_instants and rules.count != "starts"
    return f"no_{rules.codes[step]}" if is_instant else "step_no"
