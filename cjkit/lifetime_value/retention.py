"""Who comes back: counted, not modelled."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table
from cjkit.labels import (
    Language,
    format_number,
    format_percent,
    format_sizes,
    label,
)
from cjkit.lifetime_value.cohorts import cohort_name, read_cells
from cjkit.plots.heat import draw_heat
from cjkit.plots.lines import Line, draw_lines
from cjkit.privacy import Relation, Rest, Steps, Totals
from cjkit.statistics import wilson_interval

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
    # What the customers of one period have more than those of the next is a cohort.
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Steps("customers"),
        Rest("active", "customers"),
        Rest("returned", "customers"),
    )

    table: pd.DataFrame
    period: str
    sql: tuple[str, ...]

    @property
    def latest(self) -> pd.Series[Any]:
        """The row of the last period that has ended for at least half of the customers."""
        if self.table["customers"].isna().all():
            return pd.Series({"period_no": 0, "customers": 0}).reindex(self.table.columns)
        half = self.table["customers"].max() / 2
        row: pd.Series[Any] = self.table[self.table["customers"] >= half].iloc[-1]
        return row

    def finding(self, language: Language = "en") -> str:
        """Say how many had come back by the last period that most cohorts have reached."""
        if self.table.empty:
            return label("no_purchases", language)
        if self.table["customers"].isna().all():
            return label("all_hidden", language)
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
        """Draw both rates with intervals, as far as a twentieth of the customers have come."""
        rows = self.table[self.table["customers"] >= self.table["customers"].max() / 20]
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
    # The curve is the total of each period. A cohort's size is the same in each of its rows.
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Steps("customers", ("cohort",)),
        Steps("returned", ("cohort",), are_totals=False),
        Rest("active", "customers"),
        Rest("returned", "customers"),
        Totals("customers", ("period_no",), known="active"),
        Totals("active", ("period_no",)),
        Totals("returned", ("period_no",)),
    )

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
            f"{cohort_name(start, self.period, language)}  ({size})"
            for start, size in zip(
                wide.index, format_sizes(sizes[wide.index], language), strict=True
            )
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
    cells, length, end, sql = read_cells(orders, period, until)
    table = _with_rates(cells[["cohort", "period_no", "customers", "active", "returned"]])
    ended = cells[cells["is_complete"]]
    pooled = ended.groupby("period_no", as_index=False)[["customers", "active", "returned"]].sum()
    curve = RetentionCurve(_with_rates(pooled), length, sql)
    return Retention(table, length, end, curve, sql)


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
