"""Who arrives at each step of a funnel, and where, as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    levels = [_first_step(taken, rules)]
    levels += [_later_step(taken, rules, step) for step in range(1, len(rules.steps))]
    unit = ", ".join(taken.unit)
    arrived = "min(step_no)" if "step_no" in _told(rules) else "cast(min(place) / 2 as bigint)"
    reached = " union all ".join(
        f"select {unit}, {k} as step_number, {arrived} as arrived from step_{k} group by {unit}"
        for k in range(1, len(rules.steps) + 1)
    )
    return f"with {taken.definition} {', '.join(levels)}", reached


def _told(rules: FunnelRules) -> list[str]:
    """Return what an arrival tells beside its place and `until`, where that is needed.

    `step_no` where the place is not made of it, and `last_us` where a next step has a window.
    """
    has_other_place = rules.ties == "simultaneous" or (rules.hold and rules.order == "strict")
    return ["step_no"] * bool(has_other_place) + ["last_us"] * any(rules.step_windows)


def _first_step(taken: Taken, rules: FunnelRules) -> str:
    own = {"step_no": step_no_of(rules, taken, 0), "last_us": "occurred_us"}
    told = "".join(f", {own[name]} as {name}" for name in _told(rules))
    return f"""step_1 as (
        select {", ".join(taken.part)}, {place_of(rules, taken, 0)} as place, until{told}
        from {taken.relation} where {begins(rules, taken)})"""


def _later_step(taken: Taken, rules: FunnelRules, step: int) -> str:
    """Write the CTE of the events at which a chain reaches a step, with its `until`.

    Of all chains that could lead to an event, the one that may last longest is the best: one
    running maximum over the arrivals at the step before and the events of this one is enough, and
    no self-join. With windows of steps, what came last is the best as well, since of two chains
    the one whose last step is later began no earlier.
    """
    part, told = ", ".join(taken.part), _told(rules)
    # Within one instant a chain may take several steps: it enters the instant at step `first`.
    firsts = list(range(1, step + 1)) if taken.has_instants else [step]
    frame = "rows between unbounded preceding and 1 preceding"
    if rules.order == "strict":
        frame = "range between 1 preceding and 1 preceding"
    over = f"over (partition by {part} order by place {frame})"
    found, best = [], []
    for first in firsts:
        here = f"level in ({', '.join(map(str, rules.before(first)))})"
        of = "{}" if len(firsts) == 1 else f"case when {here} then {{}} end"
        found.append(f"max({of.format('until')}) {over} as until_{first}")
        fits = [f"occurred_us <= until_{first}"]
        window = rules.step_windows[first]
        if window is not None:
            found.append(f"max({of.format('last_us')}) {over} as last_{first}")
            fits.append(f"occurred_us - last_{first} <= {window}")
        if taken.has_instants:
            fits.append(takes(rules, first, step))
        best.append(f"case when {' and '.join(fits)} then until_{first} end")
    if taken.has_instants:
        best.append(f"case when {takes(rules, 0, step)} then begun end")
    until = best[0] if len(best) == 1 else f"greatest({', '.join(best)})"
    rows = _arrivals_and_events(taken, rules, step, firsts)
    own = "".join(f", {'occurred_us as last_us' if n == 'last_us' else n}" for n in told)
    return f"""step_{step + 1} as (
        select * from (
            select {part}, place{own}, {until} as until
            from (select *, {", ".join(found)} from ({rows}) as either) as met
        ) as reached where until is not null)"""


def _arrivals_and_events(taken: Taken, rules: FunnelRules, step: int, firsts: Sequence[int]) -> str:
    """Write the SQL of the arrivals at earlier steps and the events that are a step, as one.

    An arrival has `until` and an event has `occurred_us`; the other is missing.
    """
    part, told = ", ".join(taken.part), _told(rules)
    own = {"until": "cast(null as bigint)", "occurred_us": "occurred_us"}
    own |= {name: {"step_no": step_no_of(rules, taken, step)}.get(name, "null") for name in told}
    if taken.has_instants:
        codes = sorted({rules.codes[k] for k in range(step + 1)})
        own |= {"begun": "until"} | {f"times_{code}": f"times_{code}" for code in codes}
    given = dict.fromkeys(own, "cast(null as bigint)") | {"until": "until"}
    given |= {"last_us": "last_us"} if "last_us" in told else {}

    def select(columns: Mapping[str, str], place: str, level: int) -> str:
        named = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
        # Each column that windows carry costs time: the level only where it tells them apart.
        which = f", {level} as level" if len(firsts) > 1 else ""
        return f"select {part}, {place} as place, {named}{which}"

    sources = sorted({earlier for first in firsts for earlier in rules.before(first)})
    arrivals = [f"{select(given, 'place + 1', k)} from step_{k + 1}" for k in sources]
    events = (
        f"{select(own, place_of(rules, taken, step), step)} "
        f"from {taken.relation} where {is_step(rules, taken, step)}"
    )
    return " union all ".join([*arrivals, events])


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
            f", max(own_{code}_{place - 1}) {over} 1 preceding) as up_{code}_{place}"
            for code in codes
        )
        own = "".join(
            f", case when is_{code} then occurred_us + {rules.window} end as own_{code}_1"
            if place == 1
            else f", case when is_{code} then up_{code}_{place} end as own_{code}_{place}"
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
