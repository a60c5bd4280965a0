"""The funnel itself: how many customers take each step, in order and in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import microseconds, one_of, parse_duration
from cjkit.engine import Table, text
from cjkit.events import Period, Split, split_by
from cjkit.funnel.steps import Ties, check_steps, step_codes, steps_taken, takes
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
from cjkit.statistics import wilson_interval


@dataclass(frozen=True)
class Funnel:
    """What `measure_funnel` found: the counts, and the settings that produced them.

    Attributes
    ----------
    table : DataFrame, one row for each step (and each group of `by`), in order
        `step_number` from 1, `step`, `customers` (count), `lost` since the previous step (count),
        `step_rate` of the previous step's customers and `overall_rate` of the first step's, each
        with the bounds of its 95% Wilson interval (`..._low`, `..._high`); 0 to 1, missing at the
        first step and where nobody could have converted. With `by`, a first column of its name.
    within : Timedelta
        The longest time allowed from the first step to the last.
    by : str or None
        The column that the counts are split by.
    by_at : str
        Which event's value counts where `by` is a column of events.
    ties : {'ordered', 'simultaneous'}
        How events of equal time were read.
    period : Period or None
        The days that were read; None for the whole log.
    sql : tuple of str
        The statements that made the table, in order.
    """

    table: pd.DataFrame
    within: pd.Timedelta
    by: str | None
    by_at: str
    ties: Ties
    period: Period | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            "lost",
            "step_rate",
            "step_rate_low",
            "step_rate_high",
            "overall_rate",
            "overall_rate_low",
            "overall_rate_high",
        )
    }

    @property
    def largest_loss(self) -> dict[str, Any]:
        """The row of the step that loses most customers: where to look first for a pain point."""
        return max(rows_of(self.table), key=lambda row: 0 if pd.isna(row["lost"]) else row["lost"])

    @property
    def ends(self) -> pd.DataFrame:
        """The rows of the last step: one, or one for each group, with their overall rates."""
        return self.table.query("step_number == step_number.max()")

    def finding(self, language: Language) -> str:
        """Say in one sentence how many come through, and where most are lost."""
        if self.by is not None:
            return self._finding_by_group(self.by, language)
        rows = rows_of(self.table)
        first, last, loss = rows[0], rows[-1], self.largest_loss
        if not first["customers"] > 0 or pd.isna(loss["lost"]):
            return label("nothing_here", language)
        return label(
            "funnel_finding",
            language,
            entered=format_number(first["customers"], language),
            first=display_name(first["step"], "event", language),
            last=display_name(last["step"], "event", language),
            rate=format_percent(last["overall_rate"], language),
            low=format_percent(last["overall_rate_low"], language),
            high=format_percent(last["overall_rate_high"], language),
            within=write_length(self.within, language),
            before=display_name(rows[loss["step_number"] - 2]["step"], "event", language),
            after=display_name(loss["step"], "event", language),
            lost=format_number(loss["lost"], language),
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
            last=display_name(high["step"], "event", language),
            highest=display_name(high[by], by, language),
            highest_rate=format_percent(high["overall_rate"], language),
            lowest=display_name(low[by], by, language),
            lowest_rate=format_percent(low["overall_rate"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the steps as bars of customers; with `by`, each group's rate with its interval."""
        if self.by is None:
            rows = rows_of(self.table)
            ax = draw_steps(
                [display_name(row["step"], "event", language) for row in rows],
                [float(row["customers"]) for row in rows],
                [_step_note(row, language) for row in rows],
                ax=ax,
            )
            ax.set_xlabel(label("customers", language))
            return ax
        entered = self.table.loc[self.table["step_number"] == 1, "customers"]
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


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def write_length(length: pd.Timedelta, language: Language) -> str:
    """Write a length that somebody chose, such as a window: in the unit in which it is whole."""
    for unit, size in (("days", "1D"), ("hours", "1h"), ("minutes", "1min")):
        if length % pd.Timedelta(size) == pd.Timedelta(0):
            number = format_number(length // pd.Timedelta(size), language)
            return label(f"in_{unit}", language, number=number)
    return format_duration(length // pd.Timedelta("1us"), language)


def _step_note(row: dict[str, Any], language: Language) -> str:
    """Return what stands at a step's bar: its customers and its two rates."""
    rates = {"of_previous": row["step_rate"], "of_first": row["overall_rate"]}
    noted = [
        label(term, language, rate=format_percent(rate, language))
        for term, rate in rates.items()
        if pd.notna(rate) and not (term == "of_previous" and row["step_number"] == 2)
    ]
    return " · ".join([format_number(row["customers"], language), *noted])


def measure_funnel(
    events: Table,
    steps: Sequence[str],
    *,
    within: str | pd.Timedelta = "30D",
    by: str | None = None,
    by_at: str = "first",
    ties: Ties = "ordered",
    period: Period | None = None,
) -> Funnel:
    """Count the customers who take `steps` in order, all within one time window.

    A customer counts at step k when some k events of theirs, one after another, are steps 1 to k
    and the last is at most `within` after the first. Other events may come between, and a customer
    who starts again gets a new window. Each customer counts once at each step.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads `customer_id`, `event`, `occurred_us` (UTC), `step_no`.
    steps : sequence of str
        At least two values of `event`, first to last. The same event may be named again; then a
        customer needs another event of that kind.
    within : str or Timedelta, default '30D'
        A duration with its unit.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`) or of events. Missing is a
        group of its own; beyond 20 values the smallest are one group. The groups add up.
    by_at : str, default 'first'
        For a column of events, the event whose value counts: 'first', the customer's first entry
        (an event of step 1); 'last', the first event that took the customer as far as they got; or
        a step, the customer's first arrival there (who never arrived is in the group `(missing)`).
        Only 'first' cannot depend on how the journey ended.
    ties : {'ordered', 'simultaneous'}
        Of events at one time, 'ordered' keeps the log's order (`event_order`, `event_id`);
        'simultaneous' lets them follow one another either way, each event used once in a chain.
    period : Period, optional
        Read only these days, so that a chain begins and ends in them; the whole log otherwise.

    Returns
    -------
    Funnel

    Raises
    ------
    CjkitError
        When there are fewer than two steps, the log has no such event or column, it is not
        prepared, or `within` has no unit.

    Examples
    --------
    >>> measure_funnel(events, ["view", "cart", "buy"], within="7D").table[["step", "customers"]]
       step  customers
    0  view          3
    1  cart          2
    2   buy          1
    """
    window = parse_duration(within, name="within")
    check_steps(events, steps)
    one_of("ties", ties, ("ordered", "simultaneous"))
    one_of("by_at", by_at, ("first", "last", *steps))
    split = split_by(events, by) if by is not None else None
    source = split.relation if split is not None else str(events)

    carried = ("by_value",) if split is not None and split.kind == "customer" else ()
    taken = steps_taken(source, steps, ties, carried, period)
    arrivals = _arrivals(_chains(taken, steps, window, ties), steps, ties, carried)
    if split is not None and split.kind == "event":
        arrivals = _with_group(arrivals, source, steps, by_at)
    counted = ", ".join(f"count(arrived_{k}) as step_{k}" for k in range(1, len(steps) + 1))
    sql = f"select {counted} from ({arrivals}) as arrivals"
    if split is not None:
        sql = f"select by_value, {counted} from ({arrivals}) as arrivals group by by_value"
    table = _rates(events.engine.query(sql), steps, split)
    return Funnel(table, window, split.name if split else None, by_at, ties, period, (sql,))


def _chains(taken: str, steps: Sequence[str], window: pd.Timedelta, ties: Ties) -> str:
    """Write the SQL that gives each row `entered_k`: when the chain ending here at step k began.

    Of all chains that could lead here, the one that began last leaves most time, so one running
    maximum for each step is enough: no self-join, whatever the number of repeats.
    """
    longest = microseconds(window, name="within")
    place = "step_no" if ties == "ordered" else "occurred_us"
    sql = taken
    for k in range(1, len(steps) + 1):
        began = ""
        if k > 1:
            began = f""", max(entered_{k - 1}) over (partition by customer_id order by {place}
                    rows between unbounded preceding and 1 preceding) as began_{k}"""
        cases = " ".join(
            f"when {takes(step_codes(steps)[first - 1 : k], ties)} "
            + (
                "then occurred_us"
                if first == 1
                else f"and occurred_us - began_{first} <= {longest} then began_{first}"
            )
            for first in (range(1, k + 1) if ties == "simultaneous" else (k,))
        )
        sql = f"""
        select *, case {cases} end as entered_{k}
        from (select *{began} from ({sql}) as to_{k - 1}) as to_{k}"""
    return sql


def _arrivals(chains: str, steps: Sequence[str], ties: Ties, carried: Sequence[str]) -> str:
    """Write the SQL of one row a customer: the `step_no` of the first arrival at each step."""
    arrived = ", ".join(
        f"min(case when entered_{k} is not null then "
        f"{'step_no' if ties == 'ordered' else f'place_{code}'} end) as arrived_{k}"
        for k, code in enumerate(step_codes(steps), start=1)
    )
    largest = "".join(f", max({name}) as {name}" for name in carried)
    return f"select customer_id{largest}, {arrived} from ({chains}) as chains group by customer_id"


def _with_group(arrivals: str, source: str, steps: Sequence[str], by_at: str) -> str:
    """Write the SQL that gives each customer the group of the event that `by_at` names."""
    last = ", ".join(f"arrived_{k}" for k in range(len(steps), 0, -1))
    at = {"first": "arrived_1", "last": f"coalesce({last})"}.get(by_at)
    decisive = at or f"arrived_{list(steps).index(by_at) + 1}"
    arrived = ", ".join(f"arrived_{k}" for k in range(1, len(steps) + 1))
    return f"""
        select coalesce(log.by_value, {text(MISSING)}) as by_value, {arrived}
        from (select *, {decisive} as decisive from ({arrivals}) as arrived) as arrived
        left join {source} as log
            on arrived.customer_id = log.customer_id and arrived.decisive = log.step_no
        where arrived_1 is not null"""


def _rates(counts: pd.DataFrame, steps: Sequence[str], split: Split | None) -> pd.DataFrame:
    """Turn one wide row of counts for each group into one row for each step, with its rates."""
    if split is None:
        groups = {"": rows_of(counts)[0]}
    else:
        found = {row["by_value"]: row for row in rows_of(counts) if row["step_1"] > 0}
        # An event that was never reached makes `(missing)`, which the column itself may not have.
        groups = {v: found[v] for v in dict.fromkeys([*split.values, MISSING]) if v in found}
    name = split.name if split is not None else "by_value"
    table = pd.DataFrame(
        [
            (group, k, step, int(row[f"step_{k}"]))
            for group, row in groups.items()
            for k, step in enumerate(steps, start=1)
        ],
        columns=[name, "step_number", "step", "customers"],
    )
    later = table["step_number"] > 1
    previous = table["customers"].shift().where(later)
    entered = table["customers"].where(~later).ffill().where(later)
    table["lost"] = (previous - table["customers"]).astype("Int64")
    for rate, base in (("step_rate", previous), ("overall_rate", entered)):
        table[rate] = table["customers"] / base.where(base > 0)
        table[f"{rate}_low"], table[f"{rate}_high"] = wilson_interval(table["customers"], base)
    return table if split is not None else table.drop(columns=name)
