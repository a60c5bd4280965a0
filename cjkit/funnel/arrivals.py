"""Who arrives at each step of a funnel, and where, as SQL."""

from __future__ import annotations

from cjkit.events import Period
from cjkit.funnel.entries import entries_sql, limit
from cjkit.funnel.rules import FunnelRules
from cjkit.funnel.taken import Taken, begins, is_step, place_of, step_no_of, take_events, takes


def arrivals_sql(source: str, rules: FunnelRules, period: Period | None = None) -> tuple[str, str]:
    """Write the SQL of one row for each unit and step that it reached: its first arrival.

    Returns
    -------
    definitions : str
        The CTEs that make it, for a statement to begin with.
    relation : str
        A query with the columns of the unit, `step_number` from 1, and `arrived`: the `step_no` of
        the event (where both a held key's validity and a step's window matter: of the start).
    """
    if rules.order == "any":
        return _in_any_order(source, rules, period)
    if rules.hold is not None and any(rules.step_windows):
        return _from_entries(source, rules, period)
    taken = take_events(source, rules, period=period)
    has_step_no = rules.ties == "simultaneous" or (rules.hold and rules.order == "strict")
    levels = [_first_step(taken, rules, bool(has_step_no))]
    levels += [_later_step(taken, rules, k, bool(has_step_no)) for k in range(1, len(rules.steps))]
    unit = ", ".join(taken.unit)
    step_no = "min(step_no)" if has_step_no else "cast(min(place) / 2 as bigint)"
    reached = " union all ".join(
        f"select {unit}, {k} as step_number, {step_no} as arrived from step_{k} group by {unit}"
        for k in range(1, len(rules.steps) + 1)
    )
    return f"with {taken.definition} {', '.join(levels)}", reached


def _first_step(taken: Taken, rules: FunnelRules, has_step_no: bool) -> str:
    step_no = f", {step_no_of(rules, taken, 0)} as step_no" if has_step_no else ""
    last = ", occurred_us as last_us" if any(rules.step_windows) else ""
    return f"""step_1 as (
        select {", ".join(taken.part)}, {place_of(rules, taken, 0)} as place, until{step_no}{last}
        from {taken.relation} where {begins(rules, taken)})"""


def _later_step(taken: Taken, rules: FunnelRules, step: int, has_step_no: bool) -> str:
    """Write the CTE of the events at which a chain reaches a step, with its `until`.

    Of all chains that could lead to an event, the one that may last longest is the best: one
    running maximum over the arrivals at the step before and the events of this one is enough, and
    no self-join. With windows of steps, what came last is the best as well, since of two chains
    the one whose last step is later began no earlier.
    """
    part = ", ".join(taken.part)
    windows, any_window = rules.step_windows, any(rules.step_windows)
    firsts = range(1, step + 1) if taken.has_instants else [step]
    sources = sorted({p for first in firsts for p in rules.before(first)})
    level = ", {} as level" if len(firsts) > 1 else ""
    counted = sorted({rules.codes[k] for k in range(step + 1)}) if taken.has_instants else []
    columns = [f"times_{code}" for code in counted] + (["begun"] if counted else [])
    columns += ["step_no"] if has_step_no else []
    nothing = "".join(f", cast(null as bigint) as {name}" for name in columns)
    rows = [
        f"select {part}, place + 1 as place, until, cast(null as bigint) as occurred_us{nothing}"
        + (", last_us" if any_window else "")
        + level.format(p)
        + f" from step_{p + 1}"
        for p in sources
    ]
    given = {"begun": "until", "step_no": step_no_of(rules, taken, step)}
    own = "".join(f", {given.get(name, name)} as {name}" for name in columns)
    rows.append(
        f"select {part}, {place_of(rules, taken, step)} as place, cast(null as bigint) as until, "
        f"occurred_us{own}"
        + (", cast(null as bigint) as last_us" if any_window else "")
        + level.format(step)
        + f" from {taken.relation} where {is_step(rules, taken, step)}"
    )
    frame = "range between 1 preceding and 1 preceding"
    if rules.order != "strict":
        frame = "rows between unbounded preceding and 1 preceding"
    over = f"over (partition by {part} order by place {frame})"
    found, best = [], []
    for first in firsts:
        here = f"level in ({', '.join(map(str, rules.before(first)))})" if level else ""
        until, last = (
            f"case when {here} then {v} end" if here else v for v in ("until", "last_us")
        )
        found.append(f"max({until}) {over} as until_{first}")
        fits = [f"occurred_us <= until_{first}"]
        if windows[first] is not None:
            found.append(f"max({last}) {over} as last_{first}")
            fits.append(f"occurred_us - last_{first} <= {windows[first]}")
        if taken.has_instants:
            fits.append(takes(rules, first, step))
        best.append(f"case when {' and '.join(fits)} then until_{first} end")
    if taken.has_instants:
        best.append(f"case when {takes(rules, 0, step)} then begun end")
    until = best[0] if len(best) == 1 else f"greatest({', '.join(best)})"
    keep = ", ".join(["place", *(["step_no"] if has_step_no else [])])
    last = ", occurred_us as last_us" if any_window else ""
    return f"""step_{step + 1} as (
        select * from (
            select {part}, {keep}{last}, {until} as until
            from (select *, {", ".join(found)} from ({" union all ".join(rows)}) as either) as met
        ) as reached where until is not null)"""


def _from_entries(source: str, rules: FunnelRules, period: Period | None) -> tuple[str, str]:
    """Write the arrivals by way of every start: a start may end sooner than one before it."""
    definitions, entries, unit = entries_sql(source, rules, period=period)
    columns = ", ".join(unit)
    reached = " union all ".join(
        f"select {columns}, {k} as step_number, min(step_no) as arrived from {entries} "
        f"where at_{k} <= {limit('until')} group by {columns}"
        for k in range(1, len(rules.steps) + 1)
    )
    return definitions, reached


def _in_any_order(source: str, rules: FunnelRules, period: Period | None) -> tuple[str, str]:
    """Write the arrivals in any order: the events by which all steps so far were taken in time.

    Up to each event, `until_c_m` is the latest moment to which an event of condition c reaches
    that has m - 1 others of its kind which reach as far.
    """
    taken = take_events(source, rules, period=period)
    part = ", ".join(taken.part)
    over = f"over (partition by {part} order by step_no rows between unbounded preceding and"
    # One event of the first step must be valid for long enough.
    begun = f"max(case when is_{rules.codes[0]} then until end) {over} current row) as begun"
    sql = f"select *, {begun} from {taken.relation}"
    for place in range(1, max(map(rules.codes.count, rules.codes)) + 1):
        codes = [code for code in sorted(set(rules.codes)) if rules.codes.count(code) >= place]
        earlier = "".join(
            f", max(own_{code}_{place - 1}) {over} 1 preceding) as up_{code}" for code in codes
        )
        own = "".join(
            f", case when is_{code} then occurred_us + {rules.window} end as own_{code}_1"
            if place == 1
            else f", case when is_{code} then up_{code} end as own_{code}_{place}"
            for code in codes
        )
        until = "".join(
            f", max(own_{code}_{place}) {over} current row) as until_{code}_{place}"
            for code in codes
        )
        if place > 1:
            sql = f"select *{earlier} from ({sql}) as own_{place - 1}"
        sql = f"select *{until} from (select *{own} from ({sql}) as up_{place}) as own_{place}"
    unit = ", ".join(taken.unit)
    reached = " union all ".join(
        f"select {unit}, {k + 1} as step_number, min(step_no) as arrived from windows "
        f"where {_all_taken(rules, k)} group by {unit}"
        for k in range(len(rules.steps))
    )
    return f"with {taken.definition} windows as ({sql})", reached


def _all_taken(rules: FunnelRules, step: int) -> str:
    """Write the condition that all steps up to one, the optional before it left out, are taken."""
    codes = [rules.codes[k] for k in range(step + 1) if k == step or not rules.steps[k].optional]
    needed = [f"until_{code}_{codes.count(code)}" for code in sorted(set(codes))]
    return " and ".join(f"{until} >= occurred_us" for until in ["begun", *needed])
