"""How fast people come through: the share that has arrived, by the time since they began."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table, text
from cjkit.funnel.entries import entries_sql, limit, time_between
from cjkit.funnel.result import rows_of, write_length
from cjkit.funnel.rules import FunnelOptions, FunnelRules, need_a_start, read_rules
from cjkit.funnel.trend import last_day
from cjkit.labels import Language, format_duration, format_percent, label
from cjkit.plots.lines import Line, draw_lines
from cjkit.privacy import Relation, Steps
from cjkit.project.choosing import AnyStep
from cjkit.statistics import wilson_interval

POINTS = 60


@dataclass(frozen=True)
class FunnelCurve:
    """What `measure_curve` found.

    Attributes
    ----------
    table : DataFrame, one row for each step after the first and each of 61 times, in order
        `step_number`, `step`, `after_us` (time since the first step, from 0 to the whole window),
        `entered` (customers followed), `customers` of them who had reached the step by then, and
        their `rate`, with its 95% Wilson interval.
    rules : FunnelRules
    as_of : date
        The day before which the log is complete.
    sql : tuple of str
    """

    table: pd.DataFrame
    rules: FunnelRules
    as_of: datetime.date
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("rate", "rate_low", "rate_high"),
        "entered": ("rate", "rate_low", "rate_high"),
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Steps("customers", ("step_number",)),)

    @property
    def formats(self) -> dict[str, Any]:
        """How the table's columns are written where their names do not say it."""
        return {"step": self.rules.name_step, "entered": "number"}

    def finding(self, language: Language) -> str:
        """Say how many come through in the end, and after what time most of them have."""
        last = self.table[self.table["step_number"] == len(self.rules.steps)]
        known = rows_of(last.dropna(subset="rate"))
        if not known or not known[-1]["rate"] > 0:
            return label("no_curve", language)
        most = next(row for row in known if row["rate"] >= 0.8 * known[-1]["rate"])
        return label(
            "curve_finding",
            language,
            last=self.rules.name_step(known[-1]["step"], language),
            rate=format_percent(known[-1]["rate"], language),
            within=write_length(self.rules.within, language),
            most=format_duration(most["after_us"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the share that has reached each step over the time since the first."""
        unit = next(u for u in _UNITS if self.rules.within >= 2 * pd.Timedelta(u) or u == "1min")
        size = pd.Timedelta(unit) // pd.Timedelta("1us")
        lines = []
        # Who has arrived stays: between two known points a masked one lies between them.
        for number, own in self.table.dropna(subset="rate").groupby("step_number"):
            rate, low, high = (
                own[name].to_numpy(dtype=float, na_value=np.nan)
                for name in ("rate", "rate_low", "rate_high")
            )
            name = self.rules.name_step(own["step"].iloc[0], language)
            lines.append(Line(own["after_us"] / size, rate, f"{number}. {name}", low, high))
        ax = draw_lines(lines, write=lambda rate: format_percent(rate, language, digits=0), ax=ax)
        ax.set(xlabel=label(f"time_since_{_UNITS[unit]}", language), ylabel=label("rate", language))
        ax.set_ylim(bottom=0)
        ax.set_xlim(left=0)
        return ax


_UNITS = {"1D": "days", "1h": "hours", "1min": "minutes"}


def measure_curve(
    events: Table,
    steps: Sequence[AnyStep],
    *,
    as_of: datetime.date | None = None,
    **options: Unpack[FunnelOptions],
) -> FunnelCurve:
    """Follow customers from their first start, and see what share has reached each step by when.

    Of each customer the first start counts whose window was over before `as_of`, so that everybody
    is followed for the whole window. Chains begin at that start only: the shares are therefore a
    little below those of `measure_funnel`, where every start counts. An event of which only the
    day is known stands at the start of its day.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads what `measure_funnel` reads, `time_precision`, `local_date`.
    steps
        As in `measure_funnel`.
    as_of : date, optional
        The day before which the log is complete; default the day after its last event.
    **options
        `within`, `order` (not 'any'), `ties`, `entry`, `hold`, `without`, as in `measure_funnel`.

    Returns
    -------
    FunnelCurve
        Empty where no window is over.

    Raises
    ------
    CjkitError
        As `measure_funnel`.

    Examples
    --------
    >>> as_of = datetime.date(2025, 1, 1)
    >>> curve = measure_curve(events, ["view", "cart", "buy"], within="60h", as_of=as_of)
    >>> curve.table.query("step == 'buy'")["customers"].tolist()[:4]
    [0, 0, 1, 1]
    """
    rules = read_rules(events, steps, **options)
    need_a_start(rules)
    as_of = as_of or last_day(events)
    # A start is followed to the end when its whole day is.
    mature = (pd.Timestamp(as_of) - rules.within).floor("D") - pd.Timedelta(days=1)
    definitions, entries, _ = entries_sql(str(events), rules, ("local_date",))
    size = -(-rules.window // POINTS)
    arrivals = " union all ".join(
        f"select {k} as step_number, {_point(f'at_{k}', size)} as point from firsts "
        f"where at_{k} <= {limit('until')}"
        for k in range(1, len(steps) + 1)
    )
    sql = f"""{definitions},
        firsts as (select * from (
            select *, row_number() over (partition by customer_id order by step_no) as start_no
            from {entries} where local_date <= cast({text(str(mature.date()))} as date)
        ) as mature where start_no = 1)
        select step_number, point, count(*) as customers
        from ({arrivals}) as arrivals group by step_number, point"""
    found = events.engine.query(sql)
    entered = int(found.loc[found["step_number"] == 1, "customers"].sum())
    wide = found.pivot(index="step_number", columns="point", values="customers")
    numbers = range(2, len(steps) + 1) if entered else ()
    wide = wide.reindex(index=numbers, columns=range(POINTS + 1)).fillna(0).cumsum(axis=1)
    table = wide.reset_index().melt("step_number", var_name="point", value_name="customers")
    table = table.astype({"step_number": int, "point": int, "customers": int})
    table = table.sort_values(["step_number", "point"], ignore_index=True)
    names = [rules.names[number - 1] for number in table["step_number"]]
    table.insert(1, "step", pd.Series(names, dtype=str))
    after = np.minimum(table.pop("point").to_numpy(dtype=np.int64) * size, rules.window)
    table.insert(2, "after_us", after)
    table.insert(3, "entered", entered)
    table["rate"] = table["customers"] / table["entered"].where(table["entered"] > 0)
    table["rate_low"], table["rate_high"] = wilson_interval(table["customers"], table["entered"])
    return FunnelCurve(table, rules, as_of, (sql,))


def _point(at: str, size: int) -> str:
    """Write how many times `size` have begun when a moment after the first step comes."""
    time = time_between("at_1", at)
    return f"cast(({time} + {size - 1} - ({time} + {size - 1}) % {size}) / {size} as bigint)"
