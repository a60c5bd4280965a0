"""What a new customer costs, is worth, and when the one has paid for the other."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.events import ORDER, split_by
from cjkit.labels import Language, display_name, format_money, format_number, label
from cjkit.lifetime_value.clock import MONTH_DAYS, number_days
from cjkit.lifetime_value.histories import Obstacle, day, parse_day
from cjkit.lifetime_value.value import Value
from cjkit.plots.lines import Line, draw_lines
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Steps, Totals
from cjkit.statistics import mean_interval

YEAR = datetime.timedelta(days=365)
MEANS = ("margin_per_customer", "margin_per_customer_low", "margin_per_customer_high")
PAYBACK = ["channel", "month_no", "customers", *MEANS, "cost_per_customer"]


def find_first_touches(events: Table, *, name: str = "first_touches_of_customers") -> Table:
    """Make the table of where each customer was first seen: one row for each.

    Parameters
    ----------
    events : Table
        Reads `customer_id`, `channel`, `touchpoint`, `local_date` and the order of events.
    name : str, default 'first_touches_of_customers'
        What the table is called on the engine.

    Returns
    -------
    Table
        `customer_id`, `first_channel`, `first_touchpoint`, `first_seen_on` (local day).
    """
    return events.engine.materialize(
        name,
        f"""
        select customer_id, channel as first_channel, touchpoint as first_touchpoint,
            local_date as first_seen_on
        from (select customer_id, channel, touchpoint, local_date,
                row_number() over (partition by customer_id order by {ORDER}) as place
            from {events} where customer_id is not null) as ordered
        where place = 1""",
    )


@dataclass(frozen=True)
class Payback:
    """The margin that new customers have brought, by months since their first purchase.

    Attributes
    ----------
    table : DataFrame, one row for each channel and month
        `channel`, `month_no` (complete months of 365.25 / 12 days), `customers` observed so long,
        `margin_per_customer` that they had brought by then (net of returns) with Student's
        interval of the mean, and `cost_per_customer` of the channel.
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": (*MEANS, "cost_per_customer")}
    # What the customers of one month have more than those of the next came too late for it.
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Steps("customers", ("channel",)),
        Totals("customers", ("month_no",)),
    )

    table: pd.DataFrame
    sql: tuple[str, ...]

    def finding(self, language: Language = "en") -> str:
        """Say which channels have paid for their customers within the months observed."""
        if self.table.empty:
            return label("no_costs", language)
        months = _months_to_pay(self.table)
        paid = [
            label(
                "channel_pays",
                language,
                channel=display_name(channel, "channel", language),
                months=int(month),
            )
            for channel, month in months.items()
            if np.isfinite(month)
        ]
        if not paid:
            return label("finding_payback_none", language)
        listed = label("list_separator", language).join(paid)
        return label("finding_payback", language, listed=listed)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw what a customer has brought as a multiple of what one cost: at 1 they have paid."""
        lines = []
        for channel, rows in _well_observed(self.table).groupby("channel", sort=False):
            cost = rows["cost_per_customer"].iloc[0]
            if pd.notna(cost) and cost > 0:
                mean, low, high = (rows[name] / cost for name in MEANS)
                name = display_name(channel, "channel", language)
                lines.append(Line(rows["month_no"], mean, name, low=low, high=high))
        ax = draw_lines(
            lines, write=lambda times: f"{format_number(times, language, digits=1)}×", ax=ax
        )
        ax.axhline(1, color="0.4", linewidth=1, linestyle=":")
        ax.set(
            xlabel=label("since_first_1M", language),
            title=label("payback_curve", language),
            ylim=(0, None),
        )
        return ax


@dataclass(frozen=True)
class Acquisition:
    """What new customers cost and are worth, by the channel that they were first seen in.

    Attributes
    ----------
    table : DataFrame, one row for each channel, the most new customers first
        `channel`, `customers` who first bought in the days compared, `cost` of the channel in these
        days, `cost_per_customer` (CAC; missing without cost or customers),
        `margin_per_customer` so far (net of returns), `lifetime_value` (margin so far and
        predicted value together, a customer, with Student's interval of the mean),
        `value_to_cost_ratio` (LTV:CAC, with that interval), `payback_months` (the first month since
        the first purchase by which a customer has brought their cost; missing where none has among
        the months that a tenth of the customers have been observed for).
    payback : Payback
    since, until : date
        The days compared: costs and first purchases from `since` up to, not with, `until`.
    months : int
        How far ahead the value is predicted.
    obstacle : Obstacle or None
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            "cost_per_customer",
            "margin_per_customer",
            "lifetime_value",
            "lifetime_value_low",
            "lifetime_value_high",
            "value_to_cost_ratio",
            "value_to_cost_ratio_low",
            "value_to_cost_ratio_high",
            "payback_months",
        )
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"),)
    formats: ClassVar[dict[str, str]] = {
        "value_to_cost_ratio": "precise",
        "payback_months": "number",
    }

    table: pd.DataFrame
    payback: Payback
    since: datetime.date
    until: datetime.date
    months: int
    obstacle: Obstacle | None
    sql: tuple[str, ...]

    def finding(self, language: Language = "en") -> str:
        """Say which paid channel's customers bring most, and which least, for their cost."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        known = self.table.dropna(subset=["value_to_cost_ratio"])
        if known.empty:
            return label("no_costs", language)
        known = known.sort_values("value_to_cost_ratio", ascending=False)
        figures: dict[str, object] = {"months": self.months}
        for place, row in (("best", known.iloc[0]), ("least", known.iloc[-1])):
            figures[place] = display_name(row["channel"], "channel", language)
            figures[f"{place}_cost"] = format_money(row["cost_per_customer"], language)
            figures[f"{place}_ratio"] = format_number(
                row["value_to_cost_ratio"], language, digits=1
            )
        return label("finding_acquisition", language, **figures)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the value for each unit of cost, with its interval, for each channel with costs."""
        rows = self.table.dropna(subset=["value_to_cost_ratio"])
        ax = draw_rates(
            [display_name(channel, "channel", language) for channel in rows["channel"]],
            rows["value_to_cost_ratio"].tolist(),
            rows["value_to_cost_ratio_low"].tolist(),
            rows["value_to_cost_ratio_high"].tolist(),
            [
                f"{label('cac', language)} {format_money(cost, language)}"
                for cost in rows["cost_per_customer"]
            ],
            write=lambda ratio: format_number(ratio, language, digits=0),
            ax=ax,
        )
        ax.set(title=label("value_to_cost_ratio", language), xlim=(0, None))
        return ax


def measure_acquisition(
    orders: Table,
    costs: Table,
    value: Value,
    *,
    channel: str = "first_touches.first_channel",
    since: str | datetime.date | None = None,
) -> Acquisition:
    """Measure what new customers of each channel cost, are worth, and when they have paid.

    A new customer is one whose first purchase lies in the days compared; the log cannot tell who
    was a customer before it begins, so that `since` should be well after its first day. All costs
    of a channel are laid on the new customers who were first seen in it.

    Parameters
    ----------
    orders : Table
        Reads `customer_id`, `local_date`, `revenue`.
    costs : Table
        Reads `channel`, `spent_on`, `cost`.
    value : Value
        Gives the predicted value, the margin and the last day.
    channel : str
        The column that says which channel won a customer: `table.column` of a saved table, or a
        column of customers.
    since : str or date, optional
        The first day compared; default that of the costs, at most a year before the last.

    Returns
    -------
    Acquisition

    Raises
    ------
    CjkitError
        When there is no such column, or `since` is not before the last day.
    """
    engine, until = orders.engine, value.until
    names = ["channel", "customers", "cost", *Acquisition.counts["customers"]]
    if since is None:
        found = engine.query(f"select min(spent_on) as first_day from {costs}")["first_day"].iloc[0]
        first = until - YEAR if pd.isna(found) else pd.Timestamp(found).date()
        start = max(first, until - YEAR)
    else:
        start = parse_day(since, name="since")
    if start >= until:
        raise CjkitError(f"since={start.isoformat()!r} must be before {until.isoformat()!r}.")
    spent_sql = f"""
        select channel, sum(cost) as cost from {costs}
        where spent_on >= {day(start)} and spent_on < {day(until)} group by channel"""
    spent = engine.query(spent_sql)
    obstacle = value.obstacle or (Obstacle("no_costs", {}) if spent.empty else None)
    if value.scores is None or obstacle is not None:
        empty = pd.DataFrame(columns=names)
        curve = Payback(pd.DataFrame(columns=PAYBACK), ())
        return Acquisition(empty, curve, start, until, value.months, obstacle, (spent_sql,))
    new = f"""(select customer_id, by_value, first_day, predicted_value
        from {split_by(value.scores, channel).relation} as scores
        where first_day >= {day(start)})"""
    worth_sql = f"""
        select by_value as channel, count(*) as customers, sum(earned) as earned,
            sum(earned + predicted_value) as total,
            sum((earned + predicted_value) * (earned + predicted_value)) as squares
        from (select new.customer_id, new.by_value, new.predicted_value,
                {value.margin!r} * coalesce(sum(orders.revenue), 0) as earned
            from {new} as new
            join {orders} as orders on new.customer_id = orders.customer_id
                and orders.local_date >= new.first_day and orders.local_date < {day(until)}
            group by new.customer_id, new.by_value, new.predicted_value) as customers
        group by by_value"""
    table = engine.query(worth_sql).merge(spent, how="outer", on="channel")
    table = _with_ratios(table)
    curve_sql = _curve_sql(orders, new, until)
    payback = Payback(
        _accumulate(engine.query(curve_sql), value.margin, table), (*value.sql, curve_sql)
    )
    table["payback_months"] = table["channel"].map(_months_to_pay(payback.table))
    sql = (*value.sql, spent_sql, worth_sql)
    return Acquisition(table[names], payback, start, until, value.months, None, sql)


def _with_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Add cost, margin and value of a customer; missing where there is no cost or no customer."""
    table["customers"] = table["customers"].fillna(0).astype(int)
    n = table["customers"].where(table["customers"] > 0)
    table["cost_per_customer"] = table["cost"] / n
    table["margin_per_customer"] = table["earned"] / n
    table["lifetime_value"] = table["total"] / n
    low, high = mean_interval(table["total"], table["squares"], n)
    table["lifetime_value_low"], table["lifetime_value_high"] = low, high
    cost = table["cost_per_customer"].where(table["cost_per_customer"] > 0)
    for bound in ("", "_low", "_high"):
        table[f"value_to_cost_ratio{bound}"] = table[f"lifetime_value{bound}"] / cost
    return table.sort_values("customers", ascending=False, ignore_index=True)


def _curve_sql(orders: Table, new: str, until: datetime.date) -> str:
    """Write the SQL that counts money by channel, months observed and month since the first day.

    The squares of what customers have brought so far add up from their changes, so that no row is
    needed for a month in which a customer buys nothing.
    """
    numbers = number_days(orders, until)
    return f"""
        select channel, months_observed, month_no,
            sum(case when month_no = 0 then 1 else 0 end) as customers, sum(revenue) as revenue,
            sum(total * total - (total - revenue) * (total - revenue)) as squares
        from (select channel, months_observed, month_no, revenue,
                sum(revenue) over (partition by customer_id order by month_no
                    rows between unbounded preceding and current row) as total
            from (select new.customer_id, new.by_value as channel,
                    cast(floor((1 - began.day_no) / {MONTH_DAYS!r}) as int) as months_observed,
                    cast(floor((numbers.day_no - began.day_no) / {MONTH_DAYS!r}) as int)
                        as month_no,
                    sum(orders.revenue) as revenue
                from {new} as new
                join {numbers} as began on new.first_day = cast(began.local_date as date)
                join {orders} as orders on new.customer_id = orders.customer_id
                    and orders.local_date >= new.first_day
                join {numbers} as numbers on orders.local_date = cast(numbers.local_date as date)
                group by 1, 2, 3, 4) as months) as running
        group by channel, months_observed, month_no
        order by channel, months_observed, month_no"""


def _accumulate(counted: pd.DataFrame, margin: float, channels: pd.DataFrame) -> pd.DataFrame:
    """Add up, for each channel and month, what customers observed so long had brought by then."""
    parts = []
    for channel, cost in zip(channels["channel"], channels["cost_per_customer"], strict=True):
        own = counted[counted["channel"] == channel]
        for month in range(1, int(own["months_observed"].max() if len(own) else 0) + 1):
            seen = own[(own["months_observed"] >= month) & (own["month_no"] < month)]
            sums = seen[["customers", "revenue", "squares"]].sum()
            parts.append((channel, month, *sums, cost))
    names = ["channel", "month_no", "customers", "revenue", "squares", "cost_per_customer"]
    table = pd.DataFrame(parts, columns=names).astype({"customers": int})
    mean, low, high = MEANS
    table[mean] = margin * table["revenue"] / table["customers"]
    bounds = mean_interval(table["revenue"], table["squares"], table["customers"])
    table[low], table[high] = (margin * bound for bound in bounds)
    return table[PAYBACK]


def _months_to_pay(curve: pd.DataFrame) -> dict[str, float]:
    """Return the first month by which a customer of each channel has brought their cost."""
    months: dict[str, float] = {}
    for channel, rows in _well_observed(curve).groupby("channel", sort=False):
        paid = rows[rows["margin_per_customer"] >= rows["cost_per_customer"]]
        months[str(channel)] = float(paid["month_no"].min()) if len(paid) else float("nan")
    return months


def _well_observed(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the months that a tenth of a channel's customers or more have been observed for."""
    most = curve.groupby("channel")["customers"].transform("max")
    return curve[curve["customers"] * 10 >= most]
