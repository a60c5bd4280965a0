"""Who comes back so many days after the first time, by each customer's own clock."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, one_of
from cjkit.engine import Table
from cjkit.labels import Language, format_number, format_percent, format_sizes, label
from cjkit.lifetime_value.clock import active_days_sql
from cjkit.lifetime_value.cohorts import PERIODS, cohort_name
from cjkit.lifetime_value.histories import end_of
from cjkit.plots.heat import draw_heat
from cjkit.plots.lines import Line, draw_lines
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest
from cjkit.statistics import wilson_interval

Kind = Literal["n_day", "unbounded", "bracket", "cumulative"]
KINDS: tuple[Kind, ...] = ("n_day", "unbounded", "bracket", "cumulative")
RATES = ("return_rate", "return_rate_low", "return_rate_high")


@dataclass(frozen=True)
class DayRetention:
    """How many customers come back so many days after their first day.

    Attributes
    ----------
    table : DataFrame, one row for each window of days (and each cohort, where there are)
        `cohort` (first day of the period of the first day), `day` (as asked for), `from_day` and
        `to_day` of the window (`to_day` missing where it has no end), `customers` who have been
        observed up to `day`, of these `returned` and `return_rate` (0 to 1, Wilson interval).
    kind : {'n_day', 'unbounded', 'bracket', 'cumulative'}
    period : str or None
        The length of the cohorts' periods; None where all are one.
    until : date
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("returned", *RATES),
        "returned": RATES,
    }

    adds_up: ClassVar[tuple[Relation, ...]] = (Rest("returned", "customers"),)

    table: pd.DataFrame
    kind: Kind
    period: str | None
    until: datetime.date
    sql: tuple[str, ...]

    @property
    def formats(self) -> dict[str, str]:
        """How the table is written."""
        return {"cohort": "month" if self.period == "1M" else "date", "day": "number"}

    def finding(self, language: Language = "en") -> str:
        """Say how many come back in the last window that most customers have been observed for."""
        if self.table.empty:
            return label("no_purchases", language)
        names = ["customers", "returned"]
        pooled = self.table.groupby("day", as_index=False)[names].sum()
        half = pooled["customers"].iloc[0] / 2
        row = pooled[pooled["customers"] >= half].iloc[-1]
        low, high = wilson_interval(row["returned"], row["customers"])
        before = self.table.loc[self.table["day"] == row["day"], "from_day"].iloc[0]
        return label(
            f"finding_day_retention_{self.kind}",
            language,
            day=format_number(row["day"], language),
            start=format_number(before, language),
            rate=format_percent(row["returned"] / row["customers"], language),
            low=format_percent(float(low), language),
            high=format_percent(float(high), language),
            customers=format_number(row["customers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the rates with intervals as a curve or, of cohorts, as a table of cells."""
        if self.period is None:
            ax = self._plot_all(ax, language)
        else:
            wide = self.table.pivot(index="cohort", columns="day", values="return_rate")
            ax = draw_heat(
                wide.to_numpy(float),
                rows=[cohort_name(start, self.period, language) for start in wide.index],
                columns=[f"{day:,}" for day in wide.columns],
                write=lambda rate: format_percent(rate, language, digits=0),
                ax=ax,
            )
        if self.kind != "bracket" or self.period is not None:
            ax.set_xlabel(label("days_since_first", language))
        ax.set_title(label(f"day_retention_{self.kind}", language))
        return ax

    def _plot_all(self, ax: Axes | None, language: Language) -> Axes:
        """Draw brackets, which differ in width, one below another; what is of a day as a curve."""
        rows = self.table
        rate, low, high = (rows[name] for name in RATES)
        if self.kind == "bracket":
            names = [
                label("days_from_to", language, start=start, end=end)
                for start, end in zip(rows["from_day"], rows["to_day"], strict=True)
            ]
            counts = format_sizes(rows["customers"], language)
            ax = draw_rates(names, rate.tolist(), low.tolist(), high.tolist(), counts, ax=ax)
            ax.set(xlim=(0, None))
            return ax
        ax = draw_lines(
            [Line(rows["day"], rate, label("return_rate", language), low=low, high=high)],
            write=lambda share: format_percent(share, language, digits=0),
            ax=ax,
        )
        ax.set(ylim=(0, None), xticks=rows["day"].tolist())
        return ax


def measure_day_retention(
    table: Table,
    days: Sequence[int] = (7, 30, 60, 90, 180, 365),
    *,
    kind: Kind = "bracket",
    period: str | None = None,
    event: str | None = None,
    until: str | datetime.date | None = None,
) -> DayRetention:
    """Measure how many customers come back so many days after their first day.

    A customer's first day is day 0. Only customers who have been observed for `day` whole days
    count for it, so that newer ones do not press the rate down. With N in `days`, a customer has
    returned who was active

    - `n_day`: on day N exactly;
    - `unbounded`: on day N or any later one. Later days are not over for anybody: this rate still
      rises as time goes on;
    - `bracket`: between the day after the one before N in `days` (at first day 1) and day N;
    - `cumulative`: on any day from 1 to N.

    Parameters
    ----------
    table : Table
        Orders (a line that is no return is active) or events. Reads `customer_id`, `local_date`,
        and `is_return` or `event` where it has them.
    days : sequence of int
        1 or more, rising.
    kind : {'bracket', 'n_day', 'unbounded', 'cumulative'}
    period : {'1W', '1M', '1Q', '1Y'}, optional
        Gives the rates of each cohort of that period of first days.
    event : str, optional
        Of events, the one that counts; any where not given.
    until : str or date, optional
        The day after the last day counted; default the day after the last row.

    Returns
    -------
    DayRetention

    Raises
    ------
    CjkitError
        When an option is none of these.
    """
    one_of("kind", kind, KINDS)
    if period is not None:
        one_of("period", period, tuple(PERIODS))
    wanted = [int(number) for number in days]
    if not wanted or wanted[0] < 1 or any(b <= a for a, b in pairwise(wanted)):
        raise CjkitError(f"days={list(days)!r} must be whole days of 1 or more, rising.")
    end = end_of(table, until)
    starts = _starts(kind, wanted)
    sql = _windows_sql(active_days_sql(table, end, event), kind, starts, wanted)
    found = _lay_out(table.engine.query(sql), wanted, starts, kind, period)
    return DayRetention(found, kind, period, end, (sql,))


def _starts(kind: Kind, days: Sequence[int]) -> list[int]:
    if kind == "bracket":
        return [1, *(before + 1 for before in days[:-1])]
    return [1] * len(days) if kind == "cumulative" else list(days)


def _windows_sql(active: str, kind: Kind, starts: Sequence[int], days: Sequence[int]) -> str:
    """Write the SQL that counts, by first day, the customers and those active in each window."""
    flags, sums = [], []
    for place, (start, end) in enumerate(zip(starts, days, strict=True)):
        since = "day_no - first_no"
        inside = f"{since} >= {start}" + ("" if kind == "unbounded" else f" and {since} <= {end}")
        flags.append(f"max(case when {inside} then 1 else 0 end) as in_{place}")
        sums.append(f"sum(in_{place}) as returned_{place}")
    return f"""
        select first_day, first_no, count(*) as customers, {", ".join(sums)}
        from (select customer_id, first_no, min(local_date) as first_day, {", ".join(flags)}
            from ({active}) as active
            group by customer_id, first_no) as customers
        group by first_day, first_no
        order by first_no"""


def _lay_out(
    by_day: pd.DataFrame, days: Sequence[int], starts: Sequence[int], kind: Kind, period: str | None
) -> pd.DataFrame:
    """Sum up, for each window, the customers whose first day is long enough ago."""
    cohort: Any = 0
    if period is not None:
        first = pd.to_datetime(by_day["first_day"]).dt.to_period(PERIODS[period])
        cohort = first.dt.start_time.dt.date
    parts = []
    for place, (start, end) in enumerate(zip(starts, days, strict=True)):
        # The day before `until` is number 0: a first day's number is the days it has been seen for.
        counted = pd.DataFrame(
            {
                "cohort": cohort,
                "customers": by_day["customers"],
                "returned": by_day[f"returned_{place}"],
            }
        )[-by_day["first_no"] >= end]
        sums = counted.groupby("cohort", as_index=False).sum()
        sums.insert(1, "day", end)
        sums.insert(2, "from_day", start)
        sums.insert(3, "to_day", [None if kind == "unbounded" else end] * len(sums))
        parts.append(sums.astype({"to_day": "Int64", "customers": int, "returned": int}))
    table = pd.concat(parts, ignore_index=True).sort_values(["cohort", "day"], ignore_index=True)
    table["return_rate"] = table["returned"] / table["customers"]
    table["return_rate_low"], table["return_rate_high"] = wilson_interval(
        table["returned"], table["customers"]
    )
    return table if period is not None else table.drop(columns="cohort")
