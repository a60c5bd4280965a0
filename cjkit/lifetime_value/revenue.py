"""What the customers of a cohort bring: counted, not modelled."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table
from cjkit.labels import Language, format_money, label
from cjkit.lifetime_value.cohorts import cohort_name, read_cells
from cjkit.plots.lines import Line, draw_lines
from cjkit.privacy import Relation, Steps, Totals
from cjkit.statistics import mean_interval

_MEANS = [
    "revenue_per_customer",
    "revenue_per_customer_low",
    "revenue_per_customer_high",
]


@dataclass(frozen=True)
class AverageRevenue:
    """What the customers of all cohorts have brought by each period since their first purchase.

    Attributes
    ----------
    table : DataFrame, one row for each period since
        `period_no`, `customers` of the cohorts for which that period has ended, their
        `revenue_per_customer` with its interval, and `first_revenue_per_customer`, that of their
        period 0.
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (*_MEANS, "first_revenue_per_customer")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Steps("customers"),)

    table: pd.DataFrame


@dataclass(frozen=True)
class CohortRevenue:
    """What the customers of each cohort have brought, period by period.

    Attributes
    ----------
    table : DataFrame, one row for each cohort and period since
        `cohort`, `period_no` from 0, `customers` of the cohort, `revenue` of that period (net of
        returns), `revenue_per_customer` from the first period to that one, with Student's interval
        of the mean. Money of a period that has not ended is missing.
    average : AverageRevenue
        All cohorts together.
    period : str
    until : date
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": ("revenue", *_MEANS)}
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Steps("customers", ("cohort",)),
        Totals("customers", ("period_no",), known="revenue"),
    )

    table: pd.DataFrame
    average: AverageRevenue
    period: str
    until: datetime.date
    sql: tuple[str, ...]

    @property
    def formats(self) -> dict[str, str]:
        """How the table is written."""
        return {"cohort": "month" if self.period == "1M" else "date"}

    def finding(self, language: Language = "en") -> str:
        """Say what a customer has brought by the last period that most cohorts have reached."""
        rows = self.average.table
        if rows.empty:
            return label("no_purchases" if self.table.empty else "too_short_to_return", language)
        if rows["customers"].isna().all():
            return label("all_hidden", language)
        row = rows[rows["customers"] >= rows["customers"].max() / 2].iloc[-1]
        return label(
            "finding_cohort_revenue",
            language,
            period=label(f"period_{self.period}", language, number=int(row["period_no"])),
            money=format_money(row["revenue_per_customer"], language),
            low=format_money(row["revenue_per_customer_low"], language),
            high=format_money(row["revenue_per_customer_high"], language),
            first=format_money(row["first_revenue_per_customer"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the money a customer has brought so far: a line for each cohort, older darker."""
        wide = self.table.pivot(
            index="period_no", columns="cohort", values="revenue_per_customer"
        ).dropna(axis=1, how="all")
        lines = [
            Line(wide.index, money, cohort_name(start, self.period, language))
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


def measure_cohort_revenue(
    orders: Table, *, period: str | None = "1M", until: str | datetime.date | None = None
) -> CohortRevenue:
    """Measure what the customers of each cohort have brought, period by period.

    Revenue is net of returns. Parameters and errors are those of `measure_retention`.

    Returns
    -------
    CohortRevenue
    """
    cells, length, end, sql = read_cells(orders, period, until)
    by_cohort = cells.groupby("cohort")
    cells["total"] = by_cohort["revenue"].cumsum()
    cells["squares"] = by_cohort["squares"].cumsum()
    cells["first"] = by_cohort["revenue"].transform("first")
    ended = cells[cells["is_complete"]]
    sums = ["customers", "total", "squares", "first"]
    pooled = ended.groupby("period_no", as_index=False)[sums].sum()
    table = _with_means(cells)[["cohort", "period_no", "customers", "revenue", *_MEANS]]
    average = _with_means(pooled)
    average["first_revenue_per_customer"] = average["first"] / average["customers"]
    average = average.drop(columns=["total", "squares", "first"])
    return CohortRevenue(table, AverageRevenue(average), length, end, sql)


def _with_means(sums: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of what customers have brought, with its interval."""
    table = sums.copy()
    n = table["customers"].astype("Float64").to_numpy(float, na_value=np.nan)
    mean, low, high = _MEANS
    table[mean] = table["total"].to_numpy(float) / n
    table[low], table[high] = mean_interval(table["total"], table["squares"], n)
    return table
