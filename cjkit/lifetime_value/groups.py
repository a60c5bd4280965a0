"""Where the value is: by group of customers, and how much of it in how few hands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.events import split_by
from cjkit.labels import (
    Language,
    display_name,
    format_money,
    format_percent,
    format_sizes,
    label,
)
from cjkit.lifetime_value.histories import Obstacle
from cjkit.lifetime_value.simulation import simulate_totals
from cjkit.lifetime_value.value import MONTH, Value
from cjkit.plots.lines import Line, draw_lines
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Totals
from cjkit.statistics import mean_interval


@dataclass(frozen=True)
class GroupValue:
    """What the customers of each group have spent, and what they are predicted to be worth.

    Attributes
    ----------
    table : DataFrame, one row for each group: periods in their order, others by value, best first
        `group`, `customers`, `spend_per_customer` so far (before returns, with Student's interval
        of the mean), `predicted_value` of the group, `value_per_customer` (its interval holds what
        they will bring in 95 of 100 cases), `value_share` of the total, `churn_risk` (mean).
    by : str
    months : int
    obstacle : Obstacle or None
    method : str
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            "spend_per_customer",
            "spend_per_customer_low",
            "spend_per_customer_high",
            "predicted_value",
            "value_per_customer",
            "value_per_customer_low",
            "value_per_customer_high",
            "value_share",
            "churn_risk",
        )
    }

    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"),)

    table: pd.DataFrame
    by: str
    months: int
    obstacle: Obstacle | None
    method: str
    sql: tuple[str, ...]

    @property
    def formats(self) -> dict[str, str]:
        """How the table is written."""
        return {"group": _kind(self.by), "churn_risk": "rate"}

    def finding(self, language: Language = "en") -> str:
        """Say which group's customers are worth most, and which least."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        known = self.table.dropna(subset=["value_per_customer"])
        if known.empty:
            return label("no_group_value", language)
        # Of a handful of customers the mean says little: they stand in the table only.
        known = known[known["customers"] * 100 >= known["customers"].sum()]
        known = known.sort_values("value_per_customer", ascending=False)
        figures: dict[str, object] = {"months": self.months}
        for place, row in (("best", known.iloc[0]), ("least", known.iloc[-1])):
            figures[place] = display_name(row["group"], _kind(self.by), language)
            figures[f"{place}_value"] = format_money(row["value_per_customer"], language)
            for bound in ("low", "high"):
                figures[f"{place}_{bound}"] = format_money(
                    row[f"value_per_customer_{bound}"], language
                )
        term = "finding_group_value" if len(known) > 1 else "finding_group_value_one"
        return label(term, language, **figures)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the value of a customer of each group with its interval."""
        rows = self.table
        ax = draw_rates(
            [display_name(name, _kind(self.by), language) for name in rows["group"]],
            rows["value_per_customer"].tolist(),
            rows["value_per_customer_low"].tolist(),
            rows["value_per_customer_high"].tolist(),
            format_sizes(rows["customers"], language),
            write=lambda money: format_money(money, language, digits=0),
            ax=ax,
        )
        words = {"value": label("value_per_customer", language)}
        words["by"] = label(self.by.split(".")[-1], language).lower()
        ax.set(title=label("value_by", language, **words), xlim=(0, None))
        return ax


def compare_value(value: Value, by: str, *, seed: int = 0) -> GroupValue:
    """Split the predicted value by a column of customers, or of a saved table.

    The models stay those of all customers: groups differ by what their customers have done, and a
    group with few customers is no worse for it. Groups add up to the whole.

    Parameters
    ----------
    value : Value
    by : str
        `column` of customers (or of the scores), or `table.column` of a saved table with one row
        for each customer, such as `segments.segment` or `acquisition.first_channel`.
    seed : int, default 0
        Of the simulation behind the intervals.

    Returns
    -------
    GroupValue

    Raises
    ------
    CjkitError
        When there is no such table or column.
    """
    method = f"{value.method}, group by group"
    if value.scores is None:
        empty = pd.DataFrame(columns=["group", "customers", *GroupValue.counts["customers"]])
        return GroupValue(empty, by, value.months, value.obstacle, method, value.sql)
    engine = value.scores.engine
    split = split_by(value.scores, by)
    sql = f"""
        select by_value, count(*) as customers, sum(spend) as spend,
            sum(spend * spend) as spend_squares, sum(predicted_value) as predicted_value,
            avg(churn_risk) as churn_risk
        from {split.relation} as scores group by by_value"""
    table = engine.query(sql)
    table["value_per_customer"] = table["predicted_value"] / table["customers"]
    is_time = bool(table["by_value"].str.match(r"\d{4}\b").all())
    order = "by_value" if is_time else "value_per_customer"
    table = table.sort_values(order, ascending=is_time, ignore_index=True)
    histories_sql = f"""
        select by_value, scores.repeats, scores.first_day, scores.last_day,
            count(*) as customers, sum(known.repeat_spend) as repeat_spend
        from {split.relation} as scores
        join {value.purchase_fit.histories.customers} as known
            on scores.customer_id = known.customer_id
        group by by_value, scores.repeats, scores.first_day, scores.last_day
        order by by_value, scores.repeats, scores.first_day, scores.last_day"""
    intervals = _simulate(value, engine.query(histories_sql), table["by_value"].tolist(), seed)
    n = table["customers"]
    low, high = mean_interval(table["spend"], table["spend_squares"], n)
    found = pd.DataFrame(
        {
            "group": table["by_value"],
            "customers": n,
            "spend_per_customer": table["spend"] / n,
            "spend_per_customer_low": low,
            "spend_per_customer_high": high,
            "predicted_value": table["predicted_value"],
            "value_per_customer": table["value_per_customer"],
            "value_per_customer_low": intervals[:, 0] / n,
            "value_per_customer_high": intervals[:, 1] / n,
            "value_share": table["predicted_value"] / table["predicted_value"].sum(),
            "churn_risk": table["churn_risk"],
        }
    )
    sqls = (*value.sql, sql, histories_sql)
    return GroupValue(found, by, value.months, None, method, sqls)


def _simulate(
    value: Value, rows: pd.DataFrame, names: list[str], seed: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the bounds of each group's value: groups x 2."""
    for name in ("first_day", "last_day"):
        rows[name] = pd.to_datetime(rows[name])
    purchases = replace(value.purchase_fit, histories=value.purchase_fit.histories.only(rows))
    totals = simulate_totals(
        purchases,
        value.spend_fit,
        steps=value.months,
        step=MONTH / purchases.unit,
        rate=(1 + value.annual_discount) ** (1 / 12) - 1,
        seed=seed,
        groups=np.asarray(pd.Index(names).get_indexer(pd.Index(rows["by_value"])), dtype=np.intp),
    )
    worth = value.margin * value.spend_fit.kept_share
    return np.array([[worth * brought.low, worth * brought.high] for _, brought in totals])


def _kind(by: str) -> str:
    """Return the kind of name that the values of column `by` have: the last word says it."""
    return by.split(".")[-1].split("_")[-1]


@dataclass(frozen=True)
class Concentration:
    """How much of spend and value comes from how few customers.

    Attributes
    ----------
    table : DataFrame, one row for each part of the customers, the best first
        `customer_share` (0 to 1, cumulative), `customers` (cumulative), and the share of the total
        that these bring: `spend_share` (so far; the customers ranked by spend) and `value_share`
        (predicted; ranked by value).
    obstacle : Obstacle or None
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": ("spend_share", "value_share")}

    table: pd.DataFrame
    obstacle: Obstacle | None
    sql: tuple[str, ...]

    def finding(self, language: Language = "en") -> str:
        """Say what the best fifth brings."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        row = self.table.iloc[(self.table["customer_share"] - 0.2).abs().argmin()]
        return label(
            "finding_concentration",
            language,
            customers=format_percent(row["customer_share"], language, digits=0),
            spend=format_percent(row["spend_share"], language, digits=0),
            value=format_percent(row["value_share"], language, digits=0),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw both curves; on the diagonal all customers would be equal."""
        start = np.r_[0, self.table["customer_share"]]
        lines = [
            Line(start, np.r_[0, self.table["spend_share"]], label("spend_share", language)),
            Line(start, np.r_[0, self.table["value_share"]], label("value_share", language)),
            Line([0.0, 1.0], [0.0, 1.0], label("all_equal", language), style="--"),
        ]
        ax = draw_lines(lines, write=lambda share: format_percent(share, language, digits=0), ax=ax)
        ax.xaxis.set_major_formatter(lambda share, _: format_percent(share, language, digits=0))
        ax.set(
            xlabel=label("customers_best_first", language),
            title=label("concentration", language),
            xlim=(0, 1),
            ylim=(0, 1),
        )
        return ax


def measure_concentration(value: Value, *, parts: int = 20) -> Concentration:
    """Measure which share of spend so far, and of predicted value, the best customers bring.

    Parameters
    ----------
    value : Value
    parts : int, default 20
        Into how many equal parts of the customers the curve is divided. Equal customers are never
        parted.

    Returns
    -------
    Concentration

    Raises
    ------
    CjkitError
        When there are fewer than two parts.
    """
    if parts < 2:
        raise CjkitError(f"parts={parts!r} must be 2 or more.")
    columns = ["customer_share", "customers", "spend_share", "value_share"]
    if value.scores is None:
        return Concentration(pd.DataFrame(columns=columns), value.obstacle, value.sql)
    shares, statements = [], []
    for money in ("spend", "predicted_value"):
        sql = _parts_sql(value.scores, money, parts)
        found = value.scores.engine.query(sql).set_index("part").reindex(range(parts)).fillna(0)
        reached = found["customers"].cumsum()
        of_total = found["money"].cumsum() / found["money"].sum()
        # Where many are equal, a part reaches further: between its ends the curve is straight.
        at = np.arange(1, parts + 1) / parts
        curve = np.r_[0, reached / reached.iloc[-1]], np.r_[0, of_total]
        shares.append(np.interp(at, *curve))
        statements.append(sql)
    customers = np.rint(at * value.customers).astype(int)
    figures = (at, customers, *shares)
    table = pd.DataFrame(dict(zip(columns, figures, strict=True)))
    return Concentration(table, None, (*value.sql, *statements))


def _parts_sql(scores: Table, money: str, parts: int) -> str:
    return f"""
        select part, count(*) as customers, sum(money) as money
        from (select {money} as money, cast(least(floor({parts} * percent_rank()
                over (order by {money} desc)), {parts - 1}) as int) as part
            from {scores}) as ranked
        group by part
        order by part"""
