"""How a funnel does over time, by the time at which customers enter it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import one_of
from cjkit.engine import Table
from cjkit.funnel.entries import entries_sql, limit
from cjkit.funnel.result import rows_of
from cjkit.funnel.rules import FunnelOptions, FunnelRules, need_a_start, read_rules
from cjkit.labels import Language, format_date, format_percent, label
from cjkit.plots.lines import Line, draw_lines
from cjkit.privacy import Relation, Steps
from cjkit.project.choosing import AnyStep
from cjkit.statistics import wilson_interval

Every = Literal["day", "week", "month"]

_STARTS: dict[str, str] = {
    "day": "local_date",
    "week": "local_date - cast(local_weekday - 1 as integer)",
    "month": "local_month",
}
_LENGTHS = {
    "day": pd.DateOffset(days=1),
    "week": pd.DateOffset(days=7),
    "month": pd.DateOffset(months=1),
}


@dataclass(frozen=True)
class FunnelTrend:
    """What `measure_funnel_trend` found.

    Attributes
    ----------
    table : DataFrame, one row for each period of entry and step, in order
        `entered` (first local day of the period), `is_mature` (whether everybody who entered then
        had the whole window), `step_number` from 1, `step`, `customers` (count; missing after the
        first step where the period is not mature), `overall_rate` of those who entered in the
        period, with its 95% Wilson interval (`..._low`, `..._high`).
    rules : FunnelRules
    every : {'day', 'week', 'month'}
    as_of : date
        The day before which the log is complete.
    sql : tuple of str
        The statement.
    """

    table: pd.DataFrame
    rules: FunnelRules
    every: Every
    as_of: datetime.date
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("overall_rate", "overall_rate_low", "overall_rate_high")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Steps("customers", ("entered",)),)

    @property
    def formats(self) -> dict[str, Any]:
        """How the table's columns are written where their names do not say it."""
        entered = "month" if self.every == "month" else "date"
        return {"entered": entered, "step": self.rules.name_step}

    @property
    def latest(self) -> pd.DataFrame:
        """The rows of the last step for the mature periods, the latest last."""
        ends = self.table.query("step_number == step_number.max() and is_mature")
        return ends.dropna(subset="overall_rate")

    def finding(self, language: Language) -> str:
        """Say the rate of the latest mature period beside the range of those before it."""
        if len(self.latest) < 2:
            return label("trend_too_short", language)
        *before, last = rows_of(self.latest)
        rates = [row["overall_rate"] for row in before]
        return label(
            "trend_finding",
            language,
            entered=_period_name(last["entered"], self.every, language),
            last=self.rules.name_step(last["step"], language),
            rate=format_percent(last["overall_rate"], language),
            lowest=format_percent(min(rates), language),
            highest=format_percent(max(rates), language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each step's rate over the periods of entry; periods that are not mature are left."""
        lines = []
        for number, own in self.table[self.table["step_number"] > 1].groupby("step_number"):
            rate, low, high = (
                own[name].to_numpy(dtype=float, na_value=np.nan)
                for name in ("overall_rate", "overall_rate_low", "overall_rate_high")
            )
            name = self.rules.name_step(own["step"].iloc[0], language)
            lines.append(Line(own["entered"].tolist(), rate, f"{number}. {name}", low, high))
        ax = draw_lines(lines, write=lambda rate: format_percent(rate, language, digits=0), ax=ax)
        ax.set(xlabel=label("entered", language), ylabel=label("overall_rate", language))
        ax.set_ylim(bottom=0)
        starts = self.table["entered"].drop_duplicates().tolist()
        marked = starts[:: -(-len(starts) // 8) or 1]
        ax.set_xticks(marked, labels=[_period_name(day, self.every, language) for day in marked])
        if self.latest.empty:
            ax.set_yticks([])
        return ax


def measure_funnel_trend(
    events: Table,
    steps: Sequence[AnyStep],
    *,
    every: Every = "month",
    as_of: datetime.date | None = None,
    **options: Unpack[FunnelOptions],
) -> FunnelTrend:
    """Follow the customers who enter the funnel in each period.

    A customer counts in a period at step k when a chain of steps 1 to k (see `measure_funnel`)
    begins in the period, whenever it ends. Who enters in several periods counts in each. A period
    is mature when its last day is over and `within` more has passed before `as_of`; what came of
    the others is not known yet and is left out.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads what `measure_funnel` reads, `time_precision` and
        `local_date`, `local_weekday`, `local_month`.
    steps
        As in `measure_funnel`.
    every : {'day', 'week', 'month'}, default 'month'
        Local days, weeks from Monday or calendar months.
    as_of : date, optional
        The day before which the log is complete; default the day after its last event.
    **options
        `within`, `order` (not 'any'), `ties`, `entry`, `hold`, `without`, as in `measure_funnel`.

    Returns
    -------
    FunnelTrend

    Raises
    ------
    CjkitError
        As `measure_funnel`.
    """
    rules = read_rules(events, steps, **options)
    need_a_start(rules)
    one_of("every", every, tuple(_STARTS))
    as_of = as_of or last_day(events)
    source = f"(select *, {_STARTS[every]} as entered from {events} as dated)"
    definitions, entries, _ = entries_sql(source, rules, ("entered",))
    reached = ", ".join(
        f"count(distinct case when at_{k} <= {limit('until')} then customer_id end) as step_{k}"
        for k in range(1, len(steps) + 1)
    )
    sql = (
        f"{definitions} select entered, {reached} from {entries} group by entered order by entered"
    )
    found = events.engine.query(sql)
    return FunnelTrend(_follow(found, rules, every, as_of), rules, every, as_of, (sql,))


def last_day(events: Table) -> datetime.date:
    """Return the day after the last event: before it the log is complete."""
    found = events.engine.query(f"select max(local_date) as last_day from {events}")
    return (pd.Timestamp(found["last_day"].iloc[0]) + pd.Timedelta(days=1)).date()


def _follow(
    found: pd.DataFrame,
    rules: FunnelRules,
    every: Every,
    as_of: datetime.date,
) -> pd.DataFrame:
    """Turn one wide row of counts for each period into one row for each step, with its rate."""
    # Periods in which nobody entered have a row too: a line over them would claim a rate.
    found = found.set_index(pd.to_datetime(found.pop("entered")))
    starts = found.index
    if len(starts):
        starts = pd.date_range(starts.min(), starts.max(), freq=_LENGTHS[every])
    rows = []
    for start, row in zip(starts, rows_of(found.reindex(starts, fill_value=0)), strict=True):
        is_mature = bool(start + _LENGTHS[every] + rules.within <= pd.Timestamp(as_of))
        for k, step in enumerate(rules.names, start=1):
            count = float(row[f"step_{k}"]) if is_mature or k == 1 else np.nan
            entries = float(row["step_1"]) if k > 1 else np.nan
            rows.append((start.date(), is_mature, k, step, count, entries))
    columns = ["entered", "is_mature", "step_number", "step", "customers", "entries"]
    table = pd.DataFrame(rows, columns=columns)
    base = table.pop("entries")
    low, high = wilson_interval(table["customers"], base)
    return table.assign(
        overall_rate=table["customers"] / base, overall_rate_low=low, overall_rate_high=high
    )


def _period_name(start: datetime.date, every: Every, language: Language) -> str:
    if every == "month":
        return label("month_of_year", language, year=start.year, month=f"{start.month:02d}")
    return format_date(start, language)
