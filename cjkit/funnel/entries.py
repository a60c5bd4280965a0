"""Every start of a funnel: how it went by the time it was made, and how long its steps took."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import microseconds, one_of, parse_duration
from cjkit.engine import Table
from cjkit.funnel.counts import (
    Ties,
    check_steps,
    rows_of,
    step_codes,
    steps_taken,
    takes,
    write_length,
)
from cjkit.labels import (
    Language,
    display_name,
    format_date,
    format_duration,
    format_percent,
    label,
)
from cjkit.plots.lines import Line, draw_lines
from cjkit.plots.ranges import draw_ranges
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
    within : Timedelta
        The longest time allowed from the first step to the last.
    every : {'day', 'week', 'month'}
    as_of : date
        The day before which the log is complete.
    ties : {'ordered', 'simultaneous'}
    sql : tuple of str
        The statement.
    """

    table: pd.DataFrame
    within: pd.Timedelta
    every: Every
    as_of: datetime.date
    ties: Ties
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("overall_rate", "overall_rate_low", "overall_rate_high")
    }

    @property
    def formats(self) -> dict[str, str]:
        """How the table's columns are written where their names do not say it."""
        return {"entered": "month" if self.every == "month" else "date"}

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
            last=display_name(last["step"], "event", language),
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
            name = display_name(own["step"].iloc[0], "event", language)
            lines.append(Line(own["entered"].tolist(), rate, f"{number}. {name}", low, high))
        ax = draw_lines(lines, write=lambda rate: format_percent(rate, language, digits=0), ax=ax)
        ax.set(xlabel=label("entered", language), ylabel=label("overall_rate", language))
        ax.set_ylim(bottom=0)
        if self.latest.empty:
            ax.set(xticks=[], yticks=[])
        return ax


@dataclass(frozen=True)
class FunnelTimes:
    """What `measure_times` found.

    Attributes
    ----------
    table : DataFrame, one row for each step after the first, and a last one for the whole way
        `from_step`, `to_step`, `customers` (count of those whose time is known), and of the time
        between them in microseconds the quartiles `quarter_us`, `median_us`, `three_quarters_us`.
    within : Timedelta
        The longest time allowed from the first step to the last.
    ties : {'ordered', 'simultaneous'}
    sql : tuple of str
        The statement that gives each customer's times; the quartiles are taken from its rows.
    """

    table: pd.DataFrame
    within: pd.Timedelta
    ties: Ties
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("quarter_us", "median_us", "three_quarters_us")
    }
    formats: ClassVar[dict[str, str]] = {"from_step": "event", "to_step": "event"}

    def finding(self, language: Language) -> str:
        """Say how long half of the customers take, and which step takes longest."""
        rows = rows_of(self.table)
        whole = rows[-1]
        known = [row for row in rows[:-1] or rows if pd.notna(row["median_us"])]
        if pd.isna(whole["median_us"]) or not known:
            return label("nothing_here", language)
        slowest = max(known, key=lambda row: float(row["median_us"]))
        return label(
            "times_finding",
            language,
            last=display_name(whole["to_step"], "event", language),
            median=format_duration(whole["median_us"], language),
            quarter=format_duration(whole["quarter_us"], language),
            three_quarters=format_duration(whole["three_quarters_us"], language),
            before=display_name(slowest["from_step"], "event", language),
            after=display_name(slowest["to_step"], "event", language),
            slowest=format_duration(slowest["median_us"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the middle half of the times of each step as a bar, the median as a mark."""
        ax = draw_ranges(
            [
                " → ".join(display_name(row[end], "event", language) for end in _ENDS)
                for row in rows_of(self.table)
            ],
            *(
                self.table[name].to_numpy(dtype=float, na_value=np.nan)
                for name in ("quarter_us", "median_us", "three_quarters_us")
            ),
            ticks={
                time // pd.Timedelta("1us"): write_length(time, language)
                for time in map(pd.Timedelta, _TICKS)
            },
            write=lambda time: format_duration(time, language),
            ax=ax,
        )
        ax.set_xlabel(label("time_between", language))
        return ax


_ENDS = ("from_step", "to_step")
_TICKS = ("1s", "10s", "1min", "10min", "1h", "6h", "1D", "3D", "10D", "30D", "100D", "365D")


def measure_funnel_trend(
    events: Table,
    steps: Sequence[str],
    *,
    within: str | pd.Timedelta = "30D",
    every: Every = "month",
    as_of: datetime.date | None = None,
    ties: Ties = "ordered",
) -> FunnelTrend:
    """Follow the customers who enter the funnel in each period.

    A customer counts in a period at step k when a chain of steps 1 to k (see `measure_funnel`)
    begins in the period, whenever it ends. Who enters in several periods counts in each. A period
    is mature when its last day is over and `within` more has passed before `as_of`; what came of
    the others is not known yet and is left out.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads `customer_id`, `event`, `occurred_us`, `step_no`,
        `local_date`, `local_weekday`, `local_month`.
    steps, within, ties
        As in `measure_funnel`.
    every : {'day', 'week', 'month'}, default 'month'
        Local days, weeks from Monday or calendar months.
    as_of : date, optional
        The day before which the log is complete; default the day after its last event.

    Returns
    -------
    FunnelTrend

    Raises
    ------
    CjkitError
        As `measure_funnel`.
    """
    window = parse_duration(within, name="within")
    check_steps(events, steps)
    one_of("every", every, tuple(_STARTS))
    one_of("ties", ties, ("ordered", "simultaneous"))
    if as_of is None:
        last = events.engine.query(f"select max(local_date) as last_day from {events}")
        as_of = (pd.Timestamp(last["last_day"].iloc[0]) + pd.Timedelta(days=1)).date()
    source = f"(select *, {_STARTS[every]} as entered from {events} as dated)"
    entries = _entries(steps_taken(source, steps, ties, ("entered",)), steps, ties, "occurred_us")
    reached = ", ".join(
        f"count(distinct case when at_1_{k} - at_1_1 <= {microseconds(window, name='within')} "
        f"then customer_id end) as step_{k}"
        for k in range(1, len(steps) + 1)
    )
    sql = f"select entered, {reached} from ({entries}) as entries group by entered order by entered"
    found = events.engine.query(sql)
    return FunnelTrend(
        _follow(found, steps, window, every, as_of), window, every, as_of, ties, (sql,)
    )


def measure_times(
    events: Table,
    steps: Sequence[str],
    *,
    within: str | pd.Timedelta = "30D",
    ties: Ties = "ordered",
) -> FunnelTimes:
    """Measure how long customers who take all `steps` need for each.

    Of each customer the first entry that leads to the last step within the window counts, with the
    earliest possible next step each time. A time that begins or ends at an event of which only the
    day is known, and is below a day, is not known and is left out.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads `customer_id`, `event`, `occurred_us`, `step_no`,
        `time_precision`. The customers' times are kept on its engine as the table `funnel_times`.
    steps, within, ties
        As in `measure_funnel`.

    Returns
    -------
    FunnelTimes

    Raises
    ------
    CjkitError
        As `measure_funnel`.

    Examples
    --------
    >>> times = measure_times(events, ["view", "cart", "buy"]).table
    >>> (times["median_us"] / 3_600_000_000).tolist()
    [1.0, 1.0, 2.0]
    """
    window = parse_duration(within, name="within")
    check_steps(events, steps)
    one_of("ties", ties, ("ordered", "simultaneous"))
    # Twice the time, odd where only the day is known: a minimum then keeps both together.
    source = f"""(select *, 2 * occurred_us
            + case when time_precision = 'day' then 1 else 0 end as moment
        from {events} as timed)"""
    entries = _entries(steps_taken(source, steps, ties, ("moment",)), steps, ties, "moment")
    last = len(steps)
    moments = ", ".join(f"min(at_1_{k}) as moment_{k}" for k in range(1, last + 1))
    sql = f"""
        select customer_id, {moments} from ({entries}) as entries
        where {_time("at_1_1", f"at_1_{last}")} <= {microseconds(window, name="within")}
        group by customer_id"""
    kept = events.engine.materialize("funnel_times", sql)
    ways = list(dict.fromkeys([*((k, k + 1) for k in range(1, last)), (1, last)]))
    measured = " union all ".join(
        f"select {number} as way, {_known_time(f'moment_{a}', f'moment_{b}')} as time_us"
        f" from {kept} as moments"
        for number, (a, b) in enumerate(ways)
    )
    found = events.engine.quantiles(f"({measured})", "time_us", [0.25, 0.5, 0.75], by=["way"])
    found = found.set_index("way").reindex(range(len(ways)))
    table = pd.DataFrame(
        {
            "from_step": [steps[a - 1] for a, _ in ways],
            "to_step": [steps[b - 1] for _, b in ways],
            "customers": found["n"].fillna(0).astype(int),
            "quarter_us": found["p25"].astype(float),
            "median_us": found["p50"].astype(float),
            "three_quarters_us": found["p75"].astype(float),
        }
    ).reset_index(drop=True)
    return FunnelTimes(table, window, ties, (sql,))


def _entries(taken: str, steps: Sequence[str], ties: Ties, clock: str) -> str:
    """Write the SQL that gives each row of step 1 `at_1_k`: when its earliest chain is at step k.

    From the last step back, `at_i_j` is the earliest time of step j for a chain that is at step i
    here. The earliest next step has the earliest of everything after it, so that the minimum over
    the later rows of each column is the way of that one step.
    """
    codes, last = step_codes(steps), len(steps)
    place = "step_no" if ties == "ordered" else "occurred_us"
    sql = taken
    for i in range(last, 0, -1):
        later = "".join(
            f""", min(at_{i + 1}_{j}) over (partition by customer_id order by {place} desc
                rows between unbounded preceding and 1 preceding) as next_{i + 1}_{j}"""
            for j in range(i + 1, last + 1)
        )
        # Where an instant takes several steps, the longest run of them is the earliest way on.
        ends = range(last, i - 1, -1) if ties == "simultaneous" else (i,)
        ats = ", ".join(
            "case "
            + " ".join(
                f"when {takes(codes[i - 1 : end], ties)} "
                f"then {clock if j <= end else f'next_{end + 1}_{j}'}"
                for end in ends
            )
            + f" end as at_{i}_{j}"
            for j in range(i, last + 1)
        )
        sql = f"""
        select *, {ats}
        from (select *{later} from ({sql}) as from_{i + 1}) as from_{i}"""
    return f"select * from ({sql}) as started where at_1_1 is not null"


def _time(start: str, end: str) -> str:
    """Write the SQL of the microseconds between two moments as `measure_times` writes them."""
    return f"(({end} - {end} % 2) - ({start} - {start} % 2)) / 2"


def _known_time(start: str, end: str) -> str:
    """Write the SQL of the time between two moments, missing where it is not known."""
    time = _time(start, end)
    return (
        f"case when {time} >= {microseconds('1D', name='a day')} "
        f"or ({start} % 2 = 0 and {end} % 2 = 0) then {time} end"
    )


def _follow(
    found: pd.DataFrame,
    steps: Sequence[str],
    window: pd.Timedelta,
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
        is_mature = bool(start + _LENGTHS[every] + window <= pd.Timestamp(as_of))
        for k, step in enumerate(steps, start=1):
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
