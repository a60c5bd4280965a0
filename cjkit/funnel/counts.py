"""The funnel itself: how many customers take each step, in order and in time."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cjkit.checks import CjkitError, one_of
from cjkit.engine import Table, text
from cjkit.events import Period, Split, split_by
from cjkit.funnel.arrivals import arrivals_sql
from cjkit.funnel.entries import entries_sql, limit
from cjkit.funnel.result import RATES, Funnel, base_of
from cjkit.funnel.rules import (
    Count,
    Entry,
    FunnelRules,
    Order,
    Ties,
    read_rules,
)
from cjkit.labels import MISSING
from cjkit.project.choosing import AnyStep
from cjkit.statistics import wilson_interval


def measure_funnel(
    events: Table,
    steps: Sequence[AnyStep],
    *,
    within: str | pd.Timedelta = "30D",
    order: Order = "ordered",
    ties: Ties = "ordered",
    entry: Entry = "every",
    hold: str | None = None,
    without: Sequence[AnyStep] = (),
    count: Count = "customers",
    by: str | None = None,
    by_at: str = "first",
    period: Period | None = None,
) -> Funnel:
    """Count the customers who take `steps` in order, all within one time window.

    A customer counts at step k when some k events of theirs, one after another, are steps 1 to k
    and the last is at most `within` after the first: a chain. Other events may come between, and a
    customer who starts again gets a new window. Each customer counts once at each step.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads `customer_id`, `event`, `occurred_us` (UTC), `step_no`, and
        the columns that the options name.
    steps : sequence
        At least two, first to last. Each is an event (`"purchase"`), a list of events of which any
        is the step (`["cart_web", "cart_app"]`), or a mapping with the keys of
        `cjkit.project.Step`: `{"touchpoint": "cart"}`, `{"stage": "purchase", "within": "1h"}`,
        `{"event": "consult_staff", "optional": True}`, `{"name": "large_order", "event":
        "purchase", "when": {"column": "revenue", "above": 50000}}`. The same step may be named
        again; then a customer needs another such event.
    within : str or Timedelta, default '30D'
        The longest time from first to last step, inclusive, with its unit. A step's own `within`
        is the longest time since the step of the chain before it.
    order : {'ordered', 'strict', 'any'}
        'ordered' lets other events come between; 'strict' wants each step to be the customer's
        (with `hold`, the key's; counted by session, the session's) very next event; 'any' takes
        the steps in whatever order: step k then counts those who took all of steps 1 to k within
        one window.
    ties : {'ordered', 'simultaneous'}
        Of events at one time, 'ordered' keeps the log's order (`event_order`, `event_id`);
        'simultaneous' lets them follow one another either way, each event used once in a chain.
    entry : {'every', 'first'}
        Whether every event of step 1 begins a chain, or only the first of each customer (session,
        key) in the days that are read (with simultaneous ties, all events of that first time).
    hold : str, optional
        A column of events, such as `ref_id`: all events of a chain, and those that break it, share
        its value, which must not be missing. A chain whose first event has `valid_until_at` must
        end by then as well.
    without : sequence of steps
        Events that break a chain when they come after its first event and before its last; of
        simultaneous events they count as the first. Such an event is never a step.
    count : {'customers', 'sessions', 'cases', 'starts'}
        What is counted. 'sessions': chains stay within one session, each counts once. 'cases': each
        customer and value of `hold` counts once. 'starts': each event of step 1, and how far the
        chains that begin with it get.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`) or of events. Missing is a
        group of its own; beyond 20 values the smallest are one group. The groups add up.
    by_at : str, default 'first'
        For a column of events, the event whose value counts: 'first', the first entry (an event of
        step 1; of starts, the start); 'last', the first event that took the customer as far as
        they got; or a step, the first arrival there (who never arrived is in the group
        `(missing)`). Only 'first' cannot depend on how the journey ended.
    period : Period, optional
        Read only these days, so that a chain begins and ends in them; the whole log otherwise.

    Returns
    -------
    Funnel

    Raises
    ------
    CjkitError
        When there are fewer than two steps, the log has no such name or column, it is not
        prepared, a duration has no unit, or two options contradict each other.

    Notes
    -----
    An optional step has the rate of the last required step before it and takes nobody away: who
    leaves it out counts at the steps after it all the same. With `ties='simultaneous'` and with
    `order='any'` an event may be one step only: steps whose conditions differ and yet hold of one
    event are refused. The intervals take what is counted as independent: where one person has
    many sessions or starts, they are too narrow.

    Examples
    --------
    >>> measure_funnel(events, ["view", "cart", "buy"], within="7D").table[["step", "customers"]]
       step  customers
    0  view          3
    1  cart          2
    2   buy          1
    """
    rules = read_rules(
        events,
        steps,
        within=within,
        order=order,
        ties=ties,
        entry=entry,
        hold=hold,
        without=without,
        count=count,
    )
    one_of("by_at", by_at, ("first", "last", *dict.fromkeys(rules.names)))
    split = split_by(events, by) if by is not None else None
    if by_at != "first" and (count == "starts" or (hold and any(rules.step_windows))):
        raise CjkitError(
            f"by_at={by_at!r} is not known of starts, nor with both `hold` and a step's `within`: "
            "use by_at='first'."
        )
    if count == "starts":
        sql = _count_starts(events, rules, split, period)
    else:
        sql = _count_units(events, rules, split, by_at, period)
    table = _rates(events.engine.query(sql), rules, split)
    return Funnel(table, rules, split.name if split else None, by_at, None, period, (sql,))


def _count_units(
    events: Table, rules: FunnelRules, split: Split | None, by_at: str, period: Period | None
) -> str:
    """Write the SQL of how many units reach each step, and how many people."""
    definitions, arrivals = arrivals_sql(str(events), rules, period)
    counted = "count(*) as counted, count(distinct customer_id) as customers"
    if split is None:
        return (
            f"{definitions} select step_number, {counted} from ({arrivals}) as arrivals "
            "group by step_number"
        )
    unit = ["customer_id"]
    if split.kind == "customer":
        groups = f"""select customer_id, min(by_value) as by_value from {split.relation} as log
            group by customer_id"""
    else:
        unit += {"sessions": ["session_no"], "cases": ["held"]}.get(rules.count, [])
        groups = _groups_of_events(split, unit, rules.names, by_at)
    same = " and ".join(f"arrivals.{name} = groups.{name}" for name in unit)
    return f"""{definitions}, arrivals as ({arrivals})
        select by_value, step_number, count(*) as counted,
            count(distinct arrivals.customer_id) as customers
        from arrivals join ({groups}) as groups on {same}
        group by by_value, step_number"""


def _groups_of_events(split: Split, unit: Sequence[str], names: Sequence[str], by_at: str) -> str:
    """Write the SQL of each unit's group: the value of the event that `by_at` names."""
    columns = ", ".join(unit)
    if by_at == "last":
        decisive = f"""select arrivals.* from arrivals join (
                select {columns}, max(step_number) as furthest from arrivals group by {columns}
            ) as ends on {" and ".join(f"arrivals.{name} = ends.{name}" for name in unit)}
            and step_number = furthest"""
    else:
        number = 1 if by_at == "first" else list(names).index(by_at) + 1
        decisive = f"select * from arrivals where step_number = {number}"
    kept = ", ".join(f"entered.{name}" for name in unit)
    same = " and ".join(f"entered.{name} = decisive.{name}" for name in unit)
    return f"""select {kept}, coalesce(log.by_value, {text(MISSING)}) as by_value
        from (select * from arrivals where step_number = 1) as entered
        left join ({decisive}) as decisive on {same}
        left join {split.relation} as log
            on decisive.customer_id = log.customer_id and decisive.arrived = log.step_no"""


def _count_starts(
    events: Table, rules: FunnelRules, split: Split | None, period: Period | None
) -> str:
    """Write the SQL of how many starts reach each step, and how many people."""
    carried = ("by_value",) if split is not None else ()
    source = split.relation if split is not None else str(events)
    definitions, entries, _ = entries_sql(source, rules, carried, period=period)
    group = "by_value, " if split is not None else ""
    counted = " union all ".join(
        f"select {group}{k} as step_number, count(*) as counted, "
        f"count(distinct customer_id) as customers from {entries} "
        f"where at_{k} <= {limit('until')}" + (" group by by_value" if split is not None else "")
        for k in range(1, len(rules.steps) + 1)
    )
    return f"{definitions} {counted}"


def _rates(found: pd.DataFrame, rules: FunnelRules, split: Split | None) -> pd.DataFrame:
    """Turn the counts of each group and step into the table with its rates."""
    if split is None:
        found = found.assign(by_value="")
    keys = zip(found["by_value"], found["step_number"], strict=True)
    figures = zip(found["counted"].fillna(0), found["customers"], strict=True)
    known = dict(zip(keys, figures, strict=True))
    groups: list[str] = [""]
    if split is not None:
        # An event that was never reached makes `(missing)`, which the column itself may not have.
        groups = [v for v in dict.fromkeys([*split.values, MISSING]) if (v, 1) in known]
    name = split.name if split is not None else "by_value"
    rows = []
    for group in groups:
        counted = [int(known.get((group, k), (0, 0))[0]) for k in range(1, len(rules.steps) + 1)]
        for place, (step, number) in enumerate(zip(rules.steps, counted, strict=True)):
            base = counted[base_of(rules, place)] if place else None
            first = counted[0] if place else None
            lost = None if base is None or step.optional else base - number
            people = int(known.get((group, place + 1), (0, 0))[1])
            rows.append((group, place + 1, step.called, people, number, lost, base, first))
    bases = [f"{rate}_base" for rate in RATES]
    columns = [name, "step_number", "step", "customers", "counted", "lost", *bases]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(["lost", *bases], "Int64"))
    for rate in RATES:
        trials = table.pop(f"{rate}_base").astype(float)
        table[rate] = table["counted"] / trials.where(trials > 0)
        table[f"{rate}_low"], table[f"{rate}_high"] = wilson_interval(table["counted"], trials)
    if rules.count == "customers":
        table = table.drop(columns="counted")
    else:
        table = table.rename(columns={"counted": rules.count})
    return table if split is not None else table.drop(columns=name)
