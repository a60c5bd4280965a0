"""Who comes back, and what a cohort brings: counted, not modelled.

A customer belongs to the cohort of the calendar period of their first purchase; period 0 is that
period, period k the k-th after it. A period that has not ended is not counted: its cells are
missing, never low.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import one_of
from cjkit.engine import Table
from cjkit.labels import (
    Language,
    format_date,
    format_money,
    format_number,
    format_percent,
    label,
)
from cjkit.lifetime_value.histories import day, end_of
from cjkit.plots.heat import draw_heat
from cjkit.plots.lines import Line, draw_lines
from cjkit.statistics import mean_interval, wilson_interval

HALF_A_YEAR = pd.Timedelta(days=183)
PERIODS = {"1W": "W-SUN", "1M": "M", "1Q": "Q", "1Y": "Y"}

ACTIVE = ("repeat_rate", "repeat_rate_low", "repeat_rate_high")
RETURNED = ("returned_rate", "returned_rate_low", "returned_rate_high")


@dataclass(frozen=True)
class RetentionCurve:
    """The retention of all cohorts together, by periods since the first purchase.

    Attributes
    ----------
    table : DataFrame, one row for each period since the first
        `period_no`, `customers` of the cohorts for which that period has ended, and of these
        `active` and `repeat_rate`, `returned` and `returned_rate`, as in `Retention`.
    period : str
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("active", *ACTIVE, "returned", *RETURNED),
        "active": ACTIVE,
        "returned": RETURNED,
    }

    table: pd.DataFrame
    period: str
    sql: tuple[str, ...]

    @property
    def latest(self) -> pd.Series[Any]:
        """The row of the last period that has ended for at least half of the customers."""
        if self.table.empty:
            return pd.Series({"period_no": 0, "customers": 0}).reindex(self.table.columns)
        half = self.table["customers"].iloc[0] / 2
        row: pd.Series[Any] = self.table[self.table["customers"] >= half].iloc[-1]
        return row

    def finding(self, language: Language = "en") -> str:
        """Say how many had come back by the last period that most cohorts have reached."""
        if self.table.empty:
            return label("no_purchases", language)
        row = self.latest
        return label(
            "finding_retention_curve",
            language,
            period=label(f"period_{self.period}", language, number=int(row["period_no"])),
            rate=format_percent(row["returned_rate"], language),
            low=format_percent(row["returned_rate_low"], language),
            high=format_percent(row["returned_rate_high"], language),
            customers=format_number(row["customers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw both rates as curves with their intervals."""
        rows = self.table
        lines = [
            Line(
                rows["period_no"],
                rows[rate],
                label(rate, language),
                low=rows[f"{rate}_low"],
                high=rows[f"{rate}_high"],
            )
            for rate in ("returned_rate", "repeat_rate")
        ]
        ax = draw_lines(lines, write=lambda rate: format_percent(rate, language, digits=0), ax=ax)
        ax.set(
            xlabel=label(f"since_first_{self.period}", language),
            title=label("retention_curve", language),
            ylim=(0, None),
        )
        return ax


@dataclass(frozen=True)
class Retention:
    """How many customers of each cohort come back, period by period.

    Attributes
    ----------
    table : DataFrame, one row for each cohort and period since
        `cohort` (first day of the period of the first purchase), `period_no` from 0, `customers` of
        the cohort; `active`, those who bought in that period, and their `repeat_rate` (missing in
        period 0, which holds the first purchase itself); `returned`, those who had bought on a
        second day by the end of that period, and their `returned_rate`. Rates are 0 to 1 with
        Wilson intervals. Counts and rates of a period that has not ended are missing.
    period : str
        '1W' (weeks from Monday), '1M', '1Q' or '1Y'.
    until : date
        The day after the last day counted.
    curve : RetentionCurve
        All cohorts together.
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = RetentionCurve.counts

    table: pd.DataFrame
    period: str
    until: datetime.date
    curve: RetentionCurve
    sql: tuple[str, ...]

    @property
    def formats(self) -> dict[str, str]:
        """How the table is written."""
        return {"cohort": "month" if self.period == "1M" else "date"}

    def finding(self, language: Language = "en") -> str:
        """Say how many customers buy again in the period after their first."""
        rows = self.curve.table
        rows = rows[rows["period_no"] == 1]
        if rows.empty:
            return label("no_purchases" if self.table.empty else "too_short_to_return", language)
        row = rows.iloc[0]
        return label(
            "finding_retention",
            language,
            period=label(f"next_{self.period}", language),
            rate=format_percent(row["repeat_rate"], language),
            low=format_percent(row["repeat_rate_low"], language),
            high=format_percent(row["repeat_rate_high"], language),
            customers=format_number(row["customers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the repeat rates as a triangle: a row for each cohort, a column for each period."""
        later = self.table[self.table["period_no"] > 0]
        ended = later[later["active"].notna()]
        wide = ended.pivot(index="cohort", columns="period_no", values="repeat_rate")
        sizes = self.table.drop_duplicates("cohort").set_index("cohort")["customers"]
        names = [
            f"{_cohort_name(start, self.period, language)}  "
            f"({label('n', language)}={format_number(sizes[start], language)})"
            for start in wide.index
        ]
        ax = draw_heat(
            wide.to_numpy(float),
            rows=names,
            columns=[str(number) for number in wide.columns],
            write=lambda rate: format_percent(rate, language, digits=0),
            ax=ax,
        )
        ax.set(
            xlabel=label(f"since_first_{self.period}", language),
            title=label("retention_triangle", language),
        )
        return ax


@dataclass(frozen=True)
class CohortRevenue:
    """What the customers of each cohort have brought, period by period.

    Attributes
    ----------
    table : DataFrame, one row for each cohort and period since
        `cohort`, `period_no` from 0, `customers` of the cohort, `revenue` of that period (net of
        returns), `revenue_per_customer` from the first period to that one, with Student's interval
        of the mean. Money of a period that has not ended is missing.
    average : DataFrame, one row for each period since
        `period_no`, `customers` of the cohorts for which that period has ended, and their
        `revenue_per_customer`, likewise.
    period : str
    until : date
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            "revenue",
            "revenue_per_customer",
            "revenue_per_customer_low",
            "revenue_per_customer_high",
        )
    }

    table: pd.DataFrame
    average: pd.DataFrame
    period: str
    until: datetime.date
    sql: tuple[str, ...]

    @property
    def formats(self) -> dict[str, str]:
        """How the table is written."""
        return {"cohort": "month" if self.period == "1M" else "date"}

    def finding(self, language: Language = "en") -> str:
        """Say what a customer has brought by the last period that most cohorts have reached."""
        if self.average.empty:
            return label("no_purchases" if self.table.empty else "too_short_to_return", language)
        half = self.average["customers"].iloc[0] / 2
        row = self.average[self.average["customers"] >= half].iloc[-1]
        return label(
            "finding_cohort_revenue",
            language,
            period=label(f"period_{self.period}", language, number=int(row["period_no"])),
            money=format_money(row["revenue_per_customer"], language),
            low=format_money(row["revenue_per_customer_low"], language),
            high=format_money(row["revenue_per_customer_high"], language),
            first=format_money(self.average["revenue_per_customer"].iloc[0], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the money a customer has brought so far: a line for each cohort, older darker."""
        wide = self.table.pivot(
            index="period_no", columns="cohort", values="revenue_per_customer"
        ).dropna(axis=1, how="all")
        lines = [
            Line(wide.index, money, _cohort_name(start, self.period, language))
            for start, money in wide.items()
        ]
        ax = draw_lines(
            lines, write=lambda money: format_money(money, language, digits=0), shaded=True, ax=ax
        )
        ax.set(
            xlabel=label(f"since_first_{self.period}", language),
            title=label("revenue_per_customer", language),
            ylim=(0, None),
        )
        return ax


def measure_retention(
    orders: Table, *, period: str | None = "1M", until: str | datetime.date | None = None
) -> Retention:
    """Measure how many customers of each cohort come back, period by period.

    A purchase is an order line that is no return, of a known customer. "Repeat rate" is the share
    who bought *in* a period; "returned" the share who had bought on a second day *by its end*.

    Parameters
    ----------
    orders : Table
        Reads `customer_id`, `local_date`, `revenue`, `is_return`.
    period : {'1M', '1W', '1Q', '1Y'} or None
        Calendar periods; weeks start on Monday. None chooses months, or weeks where the purchases
        span less than half a year.
    until : str or date, optional
        The day after the last day counted; default the day after the last purchase.

    Returns
    -------
    Retention

    Raises
    ------
    CjkitError
        When `period` or `until` is none of these, or `until` is not given and nobody bought.
    """
    cells, length, end, sql = _read_cells(orders, period, until)
    table = _with_rates(cells[["cohort", "period_no", "customers", "active", "returned"]])
    ended = cells[cells["is_complete"]]
    pooled = ended.groupby("period_no", as_index=False)[["customers", "active", "returned"]].sum()
    curve = RetentionCurve(_with_rates(pooled), length, sql)
    return Retention(table, length, end, curve, sql)


def measure_cohort_revenue(
    orders: Table, *, period: str | None = "1M", until: str | datetime.date | None = None
) -> CohortRevenue:
    """Measure what the customers of each cohort have brought, period by period.

    Revenue is net of returns. Parameters and errors are those of `measure_retention`.

    Returns
    -------
    CohortRevenue
    """
    cells, length, end, sql = _read_cells(orders, period, until)
    by_cohort = cells.groupby("cohort")
    cells["total"] = by_cohort["revenue"].cumsum()
    cells["squares"] = by_cohort["squares"].cumsum()
    ended = cells[cells["is_complete"]]
    pooled = ended.groupby("period_no", as_index=False)[["customers", "total", "squares"]].sum()
    table = _with_means(cells)[["cohort", "period_no", "customers", "revenue", *_MEANS]]
    average = _with_means(pooled)[["period_no", "customers", *_MEANS]]
    return CohortRevenue(table, average, length, end, sql)


_MEANS = [
    "revenue_per_customer",
    "revenue_per_customer_low",
    "revenue_per_customer_high",
]


def _read_cells(
    orders: Table, period: str | None, until: str | datetime.date | None
) -> tuple[pd.DataFrame, str, datetime.date, tuple[str, ...]]:
    """Count each cohort and period: one statement for the first day, one for the cells.

    Returned with the cells are the length of the periods, the end and the statements.
    """
    if period is not None:
        one_of("period", period, tuple(PERIODS))
    end = end_of(orders, until)
    first_sql = (
        f"select min(local_date) as first_day from {orders} "
        f"where customer_id is not null and local_date < {day(end)}"
    )
    first = orders.engine.query(first_sql)["first_day"].iloc[0]
    if pd.isna(first):
        nothing = _complete(pd.DataFrame(), pd.PeriodIndex([], freq="M"), end)
        return nothing, period or "1M", end, (first_sql,)
    first_day, last_day = pd.Timestamp(first), pd.Timestamp(end) - pd.Timedelta(days=1)
    length = period or ("1M" if last_day - first_day >= HALF_A_YEAR else "1W")
    periods = pd.period_range(first_day, last_day, freq=PERIODS[length])
    sql = _cells_sql(orders, periods, end)
    counted = orders.engine.query(sql)
    return _complete(counted, periods, end), length, end, (first_sql, sql)


def _cells_sql(orders: Table, periods: pd.PeriodIndex, until: datetime.date) -> str:
    """Write the SQL that counts, for each cohort and period, who bought and what.

    The squares of what customers have brought so far add up from their changes: a customer who buys
    nothing in a period changes nothing, so that no row is needed for them.
    """
    starts = [start.date() for start in periods.start_time]
    cases = " ".join(
        f"when local_date < {day(start)} then {number}" for number, start in enumerate(starts[1:])
    )
    number = f"case {cases} else {len(starts) - 1} end" if cases else "0"
    bought = "case when not coalesce(is_return, false) then local_date end"
    so_far = (
        "over (partition by customer_id order by at_no"
        " rows between unbounded preceding and current row)"
    )
    return f"""
        select cohort_no, at_no - cohort_no as period_no,
            count(case when days > 0 then 1 end) as active,
            count(case when days_so_far >= 2 and days_so_far - days < 2 then 1 end) as returned,
            sum(revenue) as revenue,
            sum(total * total - (total - revenue) * (total - revenue)) as squares
        from (select customer_id, cohort_no, at_no, days, revenue,
                sum(days) {so_far} as days_so_far, sum(revenue) {so_far} as total
            from (select customer_id, at_no, days, revenue,
                    min(case when days > 0 then at_no end) over (partition by customer_id)
                        as cohort_no
                from (select customer_id, at_no, count(distinct bought_on) as days,
                        coalesce(sum(revenue), 0) as revenue
                    from (select customer_id, revenue, {number} as at_no, {bought} as bought_on
                        from {orders}
                        where customer_id is not null and local_date < {day(until)}) as numbered
                    group by customer_id, at_no) as periods) as cohorts
            where at_no >= cohort_no) as running
        group by cohort_no, at_no - cohort_no
        order by cohort_no, period_no"""


def _complete(counted: pd.DataFrame, periods: pd.PeriodIndex, until: datetime.date) -> pd.DataFrame:
    """Lay out every cell of the triangle: 0 where nobody bought, missing where not yet ended."""
    cells = pd.DataFrame(
        [(c, k) for c in range(len(periods)) for k in range(len(periods) - c)],
        columns=["cohort_no", "period_no"],
        dtype="int64",
    )
    if counted.empty:
        columns = ["cohort", "period_no", "customers", "active", "returned", "revenue", "squares"]
        nothing = cells.iloc[:0].reindex(columns=[*columns, "is_complete"])
        return nothing.astype(dict.fromkeys(columns[2:4], "Int64") | {"is_complete": bool})
    cells = cells.merge(counted, how="left", on=["cohort_no", "period_no"]).fillna(0)
    by_cohort = cells.groupby("cohort_no")
    cells["customers"] = by_cohort["active"].transform("first").astype("Int64")
    cells["returned"] = by_cohort["returned"].cumsum()
    ends = periods.end_time.normalize() + pd.Timedelta(days=1)
    cells["is_complete"] = ends[cells["cohort_no"] + cells["period_no"]] <= pd.Timestamp(until)
    cells["cohort"] = periods.start_time[cells["cohort_no"]].date
    for name in ("active", "returned"):
        cells[name] = cells[name].astype("Int64").where(cells["is_complete"])
    cells["revenue"] = cells["revenue"].where(cells["is_complete"])
    return cells[cells["customers"] > 0].reset_index(drop=True)


def _with_rates(counts: pd.DataFrame) -> pd.DataFrame:
    """Add both rates with their intervals; the first period has no repeat rate."""
    table = counts.copy()
    later = table["period_no"] > 0
    for name, rate, tried in (
        ("active", "repeat_rate", table["customers"].where(later)),
        ("returned", "returned_rate", table["customers"]),
    ):
        table[rate] = (table[name] / tried).astype("Float64").to_numpy(float, na_value=np.nan)
        table[f"{rate}_low"], table[f"{rate}_high"] = wilson_interval(table[name], tried)
    identity = [name for name in ("cohort", "period_no", "customers") if name in table]
    return table[[*identity, "active", *ACTIVE, "returned", *RETURNED]]


def _with_means(sums: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of what customers have brought, with its interval."""
    table = sums.copy()
    n = table["customers"].astype("Float64").to_numpy(float, na_value=np.nan)
    mean, low, high = _MEANS
    table[mean] = table["total"].to_numpy(float) / n
    table[low], table[high] = mean_interval(table["total"], table["squares"], n)
    return table


def _cohort_name(start: Any, period: str, language: Language) -> str:
    if period == "1W":
        return format_date(start, language)
    if period == "1Q":
        return f"{start.year} Q{(start.month + 2) // 3}"
    return f"{start:%Y}" if period == "1Y" else f"{start:%Y-%m}"
