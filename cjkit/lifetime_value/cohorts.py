"""Cohorts: the customers of one period of first purchase, counted period by period since.

A customer belongs to the cohort of the calendar period of their first purchase; period 0 is that
period, period k the k-th after it. A period that has not ended is not counted: its cells are
missing, never low.
"""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd

from cjkit.checks import one_of
from cjkit.engine import Table
from cjkit.labels import Language, format_date
from cjkit.lifetime_value.histories import day, end_of

HALF_A_YEAR = pd.Timedelta(days=183)
PERIODS = {"1W": "W-SUN", "1M": "M", "1Q": "Q", "1Y": "Y"}


def read_cells(
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


def cohort_name(start: Any, period: str, language: Language) -> str:
    if period == "1W":
        return format_date(start, language)
    if period == "1Q":
        return f"{start.year} Q{(start.month + 2) // 3}"
    return f"{start:%Y}" if period == "1Y" else f"{start:%Y-%m}"
