"""Every start of a funnel and when it gets how far, as SQL."""

from __future__ import annotations

from collections.abc import Sequence

from cjkit.checks import microseconds
from cjkit.events import Period
from cjkit.funnel.rules import FunnelRules
from cjkit.funnel.taken import Taken, begins, is_step, place_of, step_no_of, take_events, takes

# Four times the microseconds, plus one where only the day is known: a minimum keeps both together,
# and comparisons of times stay exact.
_MOMENT = "4 * occurred_us + case when time_precision = 'day' then 1 else 0 end as moment"


def entries_sql(
    source: str,
    rules: FunnelRules,
    carried: Sequence[str] = (),
    *,
    complete: bool = False,
    period: Period | None = None,
) -> tuple[str, str, tuple[str, ...]]:
    """Write the SQL of one row for each event that begins a chain.

    Returns
    -------
    definitions : str
        The CTEs that make it, for a statement to begin with.
    relation : str
        The CTE with the columns of the unit, `step_no` of the start (of those at one time that need
        not be told apart, the first), the columns `carried`, `until` (its last moment, in
        microseconds), and `at_1`, `at_2`, ...: the earliest moment of each step for a chain that
        begins here, whether or not it is in time. With `complete` they are the moments of one
        chain: the one with the earliest next step each time among those that get to the last step.
    unit : tuple of str
    """
    timed = f"(select *, {_MOMENT} from {source} as untimed)"
    taken = take_events(timed, rules, ("moment", *carried), period)
    levels = [
        _from_step(taken, rules, step, complete, carried)
        for step in reversed(range(len(rules.steps)))
    ]
    return f"with {taken.definition} {', '.join(levels)}", "from_1", taken.unit


def _from_step(
    taken: Taken, rules: FunnelRules, step: int, complete: bool, carried: Sequence[str]
) -> str:
    """Write the CTE of the events that are a step, with the moments of what follows.

    The earliest next step has the earliest of everything after it, so that the minimum over the
    later rows of each column is the way of that one step.
    """
    part, last = ", ".join(taken.part), len(rules.steps) - 1
    # Within one instant a chain may take several steps.
    ends = list(range(step, last + 1)) if taken.has_instants else [step]
    sources = sorted({later for end in ends for later in rules.after(end)})
    level = f", {step} as level" if len(sources) > 1 else ""
    counted = sorted({rules.codes[k] for k in range(step, last + 1)}) if taken.has_instants else []
    own = ["moment", *(f"times_{code}" for code in counted)]
    if step == 0:
        own += [*carried, "until", f"{step_no_of(rules, taken, 0)} as step_no"]
    kept = [name.rsplit(" as ", 1)[-1] for name in own]
    ats = [f"at_{k + 1}" for k in range(step + 1, last + 1)]
    nulls = ", ".join(f"cast(null as bigint) as {at}" for at in ats)
    which = begins(rules, taken) if step == 0 else is_step(rules, taken, step)
    rows = [
        f"select {part}, {place_of(rules, taken, step)} + 1 as place, {', '.join(own)}"
        + (f", {nulls}" if ats else "")
        + level
        + f" from {taken.relation} where {which}"
    ]
    if not ats:
        return f"from_{last + 1} as (select *, moment as at_{last + 1} from ({rows[0]}) as ending)"
    for later in sources:
        known = [at if k >= later else f"null as {at}" for k, at in enumerate(ats, start=step + 1)]
        empty = "".join(f", null as {name}" for name in kept)
        rows.append(
            f"select {part}, place - 1 as place{empty}, {', '.join(known)}"
            + (f", {later} as level" if level else "")
            + f" from from_{later + 1}"
        )
    frame = "rows between unbounded preceding and 1 preceding"
    if rules.order == "strict":
        frame = "range between 1 preceding and 1 preceding"
    over = f"over (partition by {part} order by place desc {frame})"
    found: dict[str, str] = {}
    candidates: dict[int, list[str]] = {k: [] for k in range(step, last + 1)}
    for end in ends:
        fits = [takes(rules, step, end)] if taken.has_instants else []
        ways = []
        for later in rules.after(end):
            here = f"case when level = {later} then {{}} end" if level else "{}"
            for k in range(later, last + 1):
                found[f"next_{later}_{k}"] = f"min({here.format(f'at_{k + 1}')}) {over}"
                # Of a whole chain, every step leads to the last one.
                goes = _goes_on(rules, later, last if complete else k, here, over, found)
                candidates[k].append(_when([*fits, *goes], f"next_{later}_{k}"))
            ways.append(" and ".join([f"next_{later}_{last} is not null", *goes]))
        if complete and ways:
            fits = [*fits, f"({' or '.join(ways)})"]
        taken_here = [k for k in range(step + 1, end) if not rules.steps[k].optional] + [end]
        for k in taken_here if end > step else ():
            candidates[k].append(_when(fits, "moment"))
    candidates[step] = ["moment"]
    columns = [f"{_least(candidates[k])} as at_{k + 1}" for k in range(step, last + 1)]
    windows = "".join(f", {sql} as {name}" for name, sql in found.items())
    keep = [*kept] if step == 0 else []
    finished = f" where at_{last + 1} is not null" if complete else ""
    return f"""from_{step + 1} as (select * from (
            select {", ".join([part, "place", *keep, *columns])}
            from (select *{windows} from ({" union all ".join(rows)}) as either) as met
            where moment is not null) as followed{finished})"""


def _goes_on(
    rules: FunnelRules, later: int, goal: int, here: str, over: str, found: dict[str, str]
) -> list[str]:
    """Write the condition that a next step from which the goal is reached comes soon enough."""
    window = rules.step_windows[later]
    if window is None:
        return []
    leads = f"case when at_{goal + 1} is not null then at_{later + 1} end"
    found[f"near_{later}_{goal}"] = f"min({here.format(leads)}) {over}"
    return [f"near_{later}_{goal} - moment <= {4 * window + 1}"]


def _when(conditions: Sequence[str], value: str) -> str:
    return f"case when {' and '.join(conditions)} then {value} end" if conditions else value


def _least(values: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(values))
    return distinct[0] if len(distinct) == 1 else f"least({', '.join(distinct)})"


def limit(until: str) -> str:
    """Write the last moment that is no later than `until`, which is in microseconds."""
    return f"4 * {until} + 1"


def time_between(start: str, end: str) -> str:
    """Write the microseconds between two moments."""
    return f"cast((({end} - {end} % 4) - ({start} - {start} % 4)) / 4 as bigint)"


def known_time(start: str, end: str) -> str:
    """Write the microseconds between two moments, missing where they are not known."""
    time = time_between(start, end)
    return (
        f"case when {time} >= {microseconds('1D', name='a day')} "
        f"or ({start} % 4 = 0 and {end} % 4 = 0) then {time} end"
    )
