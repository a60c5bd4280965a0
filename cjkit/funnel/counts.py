"""The funnel itself: how many customers take each step, in order and in time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, one_of, unknown_name
from cjkit.engine import Table, text
from cjkit.events import Period, Split, split_by
from cjkit.funnel.arrivals import arrivals_sql
from cjkit.funnel.entries import entries_sql, limit
from cjkit.funnel.rules import (
    AnyStep,
    Count,
    Entry,
    FunnelRules,
    Order,
    Ties,
    read_rules,
)
from cjkit.labels import (
    MISSING,
    Language,
    display_name,
    format_duration,
    format_number,
    format_percent,
    label,
)
from cjkit.plots.rates import draw_rates
from cjkit.plots.steps import draw_steps
from cjkit.privacy import Relation, Steps, Totals
from cjkit.statistics import wilson_interval


@dataclass(frozen=True)
class Funnel:
    """What `measure_funnel` found: the counts, and the rules that produced them.

    Attributes
    ----------
    table : DataFrame, one row for each step (and each group of `by`), in order
        `step_number` from 1, `step`, `customers` (count of people) and, where something else is
        counted, `sessions`, `cases` or `starts`; `lost` of what is counted since the step before
        (the last that is not optional; missing at optional steps), `step_rate` of the step before
        and `overall_rate` of the first step, each with the bounds of its 95% Wilson interval
        (`..._low`, `..._high`); 0 to 1, missing at the first step and where nobody could have
        converted. With `by`, a first column of its name.
    rules : FunnelRules
        Steps, window, order, ties, and whatever else decides which chains count.
    by : str or None
        The column that the counts are split by.
    by_at : str
        Which event's value counts where `by` is a column of events.
    group : str or None
        The one group whose funnel this is, such as 'device.iphone', where `of` made it.
    period : Period or None
        The days that were read; None for the whole log.
    sql : tuple of str
        The statements that made the table, in order.
    """

    table: pd.DataFrame
    rules: FunnelRules
    by: str | None
    by_at: str
    group: str | None
    period: Period | None
    sql: tuple[str, ...]

    @property
    def counts(self) -> dict[str, tuple[str, ...]]:
        """What goes when the people behind it are too few to be shown."""
        step, overall = ([f"{rate}{end}" for end in ("", "_low", "_high")] for rate in _RATES)
        rests = ("lost", *step, *overall)
        if self.rules.count == "customers":
            return {"customers": rests, "lost": tuple(step)}
        other = self.rules.count
        return {"customers": (other, *rests), other: rests, "lost": tuple(step)}

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who is lost from step to step, and the groups together."""
        within = (self.by,) if self.by is not None else ()
        counted = list(dict.fromkeys(["customers", self.rules.count]))
        groups: list[Relation] = [Totals(count, ("step_number",)) for count in counted if within]
        if self.rules.count != "customers":
            groups.append(Steps("customers", within))
        return (Steps(self.rules.count, within, rest="lost"), *groups)

    @property
    def formats(self) -> dict[str, Callable[[Any, Language], str]]:
        """How the table's columns are written where their names do not say it."""
        return {"step": self.rules.name_step}

    @property
    def largest_loss(self) -> dict[str, Any]:
        """The row of the step that loses most customers: where to look first for a pain point."""
        return max(rows_of(self.table), key=lambda row: 0 if pd.isna(row["lost"]) else row["lost"])

    @property
    def ends(self) -> pd.DataFrame:
        """The rows of the last step: one, or one for each group, with their overall rates."""
        return self.table.query("step_number == step_number.max()")

    def of(self, group: str) -> Funnel:
        """Return the funnel of one group of `by`, such as to compare two groups."""
        found = self.table[self.table[self.by] == group] if self.by else self.table.head(0)
        if self.by is None or found.empty:
            groups = sorted(set(self.table[self.by])) if self.by else []
            raise unknown_name("group", group, groups, where="the funnel")
        table = found.drop(columns=self.by).reset_index(drop=True)
        name = f"{self.by}.{group}"
        return dataclasses.replace(self, table=table, by=None, group=name)

    def finding(self, language: Language) -> str:
        """Say in one sentence how many come through, and where most are lost."""
        if self.by is not None:
            return self._finding_by_group(self.by, language)
        rows = rows_of(self.table)
        first, last, loss = rows[0], rows[-1], self.largest_loss
        if not first["customers"] > 0 or pd.isna(loss["lost"]):
            return label("nothing_here", language)
        count = self.rules.count
        before = _base(self.rules, loss["step_number"] - 1)
        return label(
            "funnel_finding",
            language,
            entered=write_count(first[count], count, language),
            first=self.rules.name_step(first["step"], language),
            last=self.rules.name_step(last["step"], language),
            rate=format_percent(last["overall_rate"], language),
            low=format_percent(last["overall_rate_low"], language),
            high=format_percent(last["overall_rate_high"], language),
            within=write_length(self.rules.within, language),
            before=self.rules.name_step(rows[before]["step"], language),
            after=self.rules.name_step(loss["step"], language),
            lost=write_count(loss["lost"], count, language),
        )

    def _finding_by_group(self, by: str, language: Language) -> str:
        groups = rows_of(self.ends.dropna(subset="overall_rate"))
        groups = [row for row in groups if row[by] != MISSING]
        if len(groups) < 2:
            return label("nothing_to_compare", language)
        # By the bounds, so that a handful of customers is not called the best or the worst.
        high = max(groups, key=lambda row: float(row["overall_rate_low"]))
        low = min(groups, key=lambda row: float(row["overall_rate_high"]))
        is_clear = high["overall_rate_low"] > low["overall_rate_high"]
        return label(
            "funnel_by_finding" if is_clear else "funnel_by_alike",
            language,
            last=self.rules.name_step(high["step"], language),
            highest=display_name(high[by], by, language),
            highest_rate=format_percent(high["overall_rate"], language),
            lowest=display_name(low[by], by, language),
            lowest_rate=format_percent(low["overall_rate"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the steps as bars of what is counted; with `by`, each group's rate and interval."""
        count = self.rules.count
        if self.by is None:
            rows = rows_of(self.table)
            ax = draw_steps(
                [self.rules.name_step(row["step"], language) for row in rows],
                [float(row[count]) for row in rows],
                [_step_note(row, self.rules, language) for row in rows],
                behind=[
                    float(rows[_base(self.rules, place) if place else 0][count])
                    for place in range(len(rows))
                ],
                ax=ax,
            )
            ax.set_xlabel(label(count, language))
            return ax
        entered = self.table.loc[self.table["step_number"] == 1, count]
        ax = draw_rates(
            [display_name(value, self.by, language) for value in self.ends[self.by]],
            self.ends["overall_rate"].tolist(),
            self.ends["overall_rate_low"].tolist(),
            self.ends["overall_rate_high"].tolist(),
            [f"n = {format_number(n, language)}" for n in entered],
            ax=ax,
        )
        ax.set_xlabel(label("overall_rate", language))
        return ax


_RATES = ("step_rate", "overall_rate")


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def write_length(length: pd.Timedelta, language: Language) -> str:
    """Write a length that somebody chose, such as a window: in the unit in which it is whole."""
    for unit, size in (("days", "1D"), ("hours", "1h"), ("minutes", "1min")):
        if length % pd.Timedelta(size) == pd.Timedelta(0):
            number = format_number(length // pd.Timedelta(size), language)
            return label(f"in_{unit}", language, number=number)
    return format_duration(length // pd.Timedelta("1us"), language)


def write_count(number: float, count: Count, language: Language) -> str:
    """Write how many people, sessions, cases or starts there are."""
    return label(f"amount_{count}", language, number=format_number(number, language))


def _step_note(row: dict[str, Any], rules: FunnelRules, language: Language) -> str:
    """Return what stands at a step's bar: how many, and the two rates."""
    rates = {"of_previous": row["step_rate"], "of_first": row["overall_rate"]}
    is_second = row["step_number"] > 1 and _base(rules, row["step_number"] - 1) == 0
    noted = [
        label(term, language, rate=format_percent(rate, language))
        for term, rate in rates.items()
        if pd.notna(rate) and not (term == "of_previous" and is_second)
    ]
    if rules.steps[row["step_number"] - 1].optional:
        noted.append(label("optional", language))
    return " · ".join([format_number(row[rules.count], language), *noted])


def _base(rules: FunnelRules, step: int) -> int:
    """Return the step whose customers could take this one: the last before it that is required."""
    return max(k for k in rules.required if k < step)


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
        key) in the days that are read.
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
        f"select {group}{k} as step_number, sum(starts) as counted, "
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
            base = counted[_base(rules, place)] if place else None
            first = counted[0] if place else None
            lost = None if base is None or step.optional else base - number
            people = int(known.get((group, place + 1), (0, 0))[1])
            rows.append((group, place + 1, step.called, people, number, lost, base, first))
    bases = [f"{rate}_base" for rate in _RATES]
    columns = [name, "step_number", "step", "customers", "counted", "lost", *bases]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(["lost", *bases], "Int64"))
    for rate in _RATES:
        trials = table.pop(f"{rate}_base").astype(float)
        table[rate] = table["counted"] / trials.where(trials > 0)
        table[f"{rate}_low"], table[f"{rate}_high"] = wilson_interval(table["counted"], trials)
    if rules.count == "customers":
        table = table.drop(columns="counted")
    else:
        table = table.rename(columns={"counted": rules.count})
    return table if split is not None else table.drop(columns=name)
