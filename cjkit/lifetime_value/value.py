"""What customers will be worth: purchases times spend, discounted, with an honest interval."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, parse_duration
from cjkit.engine import Table
from cjkit.labels import Language, format_money, format_number, format_percent, label
from cjkit.lifetime_value.histories import Obstacle
from cjkit.lifetime_value.purchases import PurchaseFit
from cjkit.lifetime_value.simulation import DRAWS, UNKNOWN, Interval, simulate_totals
from cjkit.lifetime_value.spend import SpendFit
from cjkit.plots.columns import draw_columns
from cjkit.privacy import Relation, Totals

MONTH = pd.Timedelta(days=365.25) / 12


@dataclass(frozen=True)
class Value:
    """What `predict_value` expects of the customers after the end of their histories.

    Attributes
    ----------
    table : DataFrame, one row for each decile of value, the most valuable first
        `decile` from 1 (customers of equal value stay together), `customers`,
        `expected_purchases`, `predicted_value` of all of them, `value_per_customer`,
        `value_share` of the total, and `churn_risk`, the mean probability of no purchase within the
        window. Empty where a model is not fitted.
    customers : int
    purchases : Interval
        Expected purchase days of all customers.
    total : Interval
        Discounted value of all customers.
    months : int
        Months of 365.25 / 12 days.
    margin : float
        The share of revenue that counts as value.
    annual_discount : float
        The interest of a year; a purchase counts at the end of its month.
    within : Timedelta
        The window of `churn_risk`.
    until : date
    scores : Table or None
        On the engine, one row for each customer: `customer_id`, `repeats`, `first_day`, `last_day`,
        `spend` so far (before returns), `first_quarter` ('2026 Q1'), `expected_purchases`,
        `churn_risk`, `expected_spend` (of a
        purchase day, before returns), `predicted_value`, and `value_if_recent`: what it would be
        had a repeat customer's last purchase been on the last day.
    purchase_fit : PurchaseFit
    spend_fit : SpendFit
    obstacle : Obstacle or None
        Why there is no forecast.
    method : str
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            "expected_purchases",
            "predicted_value",
            "value_per_customer",
            "value_share",
            "churn_risk",
        )
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"),)

    table: pd.DataFrame
    customers: int
    purchases: Interval
    total: Interval
    months: int
    margin: float
    annual_discount: float
    within: pd.Timedelta
    until: datetime.date
    scores: Table | None
    purchase_fit: PurchaseFit
    spend_fit: SpendFit
    obstacle: Obstacle | None
    method: str
    sql: tuple[str, ...]

    @property
    def per_customer(self) -> Interval:
        """The mean value of a customer."""
        return self.total.times(1 / self.customers) if self.customers else UNKNOWN

    def finding(self, language: Language = "en") -> str:
        """Say what the average customer is worth, and how much of it the best tenth brings."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        return label(
            "finding_value",
            language,
            months=self.months,
            mean=format_money(self.per_customer.value, language),
            low=format_money(self.per_customer.low, language),
            high=format_money(self.per_customer.high, language),
            customers=format_number(self.customers, language),
            share=format_percent(self.table["value_share"].iloc[0], language, digits=0),
            margin=format_percent(self.margin, language, digits=0),
            discount=format_percent(self.annual_discount, language, digits=0),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the mean value of each decile, noted with its share of the total."""
        ax = draw_columns(
            [str(decile) for decile in self.table["decile"]],
            self.table["value_per_customer"].to_numpy(float),
            [format_percent(share, language, digits=0) for share in self.table["value_share"]],
            write=lambda money: format_money(money, language, digits=0),
            ax=ax,
        )
        ax.set(xlabel=label("decile", language), title=label("value_and_share", language))
        return ax


def predict_value(
    purchases: PurchaseFit,
    spend: SpendFit,
    *,
    months: int = 12,
    margin: float = 1.0,
    annual_discount: float = 0.1,
    within: str | pd.Timedelta = "90D",
    name: str = "value_scores",
    seed: int = 0,
) -> Value:
    """Predict what each customer will be worth after the end of the histories.

    Value = margin x kept share of revenue x expected spend of a purchase day x expected purchase
    days of each month, discounted to the end of that month. It is computed for each distinct
    history and joined back to the customers on the engine, as the table `scores`.

    The interval of a total holds what will happen in 95 of 100 cases if the models are right. They
    know no season and no trend: the back-test tells how far off such a forecast was.

    Parameters
    ----------
    purchases : PurchaseFit
    spend : SpendFit
        Fitted to the same histories.
    months : int, default 12
        How far ahead, in months of 365.25 / 12 days.
    margin : float, default 1.0
        Above 0, at most 1; at 1 value is revenue.
    annual_discount : float, default 0.1
        0 or more; .1 makes money of a year ahead worth 1 / 1.1.
    within : str or Timedelta, default '90D'
        The window of `churn_risk`.
    name : str, default 'value_scores'
        The name of the table `scores` on the engine.
    seed : int, default 0
        Of the simulation.

    Returns
    -------
    Value
        Empty, with the obstacle, where a model is not fitted.

    Raises
    ------
    CjkitError
        When an option is out of range, or the models were fitted up to different days.
    """
    window = parse_duration(within, name="within")
    _check_options(months, margin, annual_discount)
    if purchases.until != spend.until:
        raise CjkitError(
            f"The purchase model ends at {purchases.until} and the spend model at {spend.until}: "
            "fit both to the same histories."
        )
    settings: dict[str, Any] = {
        "customers": purchases.customers,
        "months": months,
        "margin": margin,
        "annual_discount": annual_discount,
        "within": window,
        "until": purchases.until,
        "purchase_fit": purchases,
        "spend_fit": spend,
        "obstacle": purchases.obstacle or spend.obstacle,
        "method": f"{purchases.method}; intervals: {DRAWS} parameter draws with simulation",
    }
    if settings["obstacle"] is not None:
        empty = pd.DataFrame(columns=["decile", "customers", *Value.counts["customers"]])
        unknown: dict[str, Any] = {"purchases": UNKNOWN, "total": UNKNOWN, "scores": None}
        return Value(table=empty, sql=spend.sql, **unknown, **settings)

    engine = purchases.histories.customers.engine
    unit = purchases.unit
    step, rate = MONTH / unit, (1 + annual_discount) ** (1 / 12) - 1
    repeats, recency, age = purchases.histories.times(unit)
    recent = np.where(repeats > 0, age, 0)
    fitted = purchases.fitted
    keys = ["repeats", "first_day", "last_day"]
    scored = purchases.histories.table[keys].assign(
        first_quarter=_quarters(purchases.histories.table["first_day"]),
        expected_purchases=fitted.expected_purchases(months * step, repeats, recency, age),
        churn_risk=1 - fitted.buy_probability(window / unit, repeats, recency, age),
        discounted=fitted.discounted_purchases(step, months, rate, repeats, recency, age),
        if_recent=fitted.discounted_purchases(step, months, rate, repeats, recent, age),
    )
    # Histories that a back-test tells apart by what came later are one here.
    of_histories = engine.add(f"{name} of histories", scored.drop_duplicates(keys))
    worth = margin * spend.kept_share
    scores_sql = _scores_sql(purchases.histories.customers, of_histories, spend, worth)
    scores = engine.materialize(name, scores_sql)
    deciles_sql = _deciles_sql(scores)
    table = engine.query(deciles_sql)
    table["value_per_customer"] = table["predicted_value"] / table["customers"]
    table["value_share"] = table["predicted_value"] / table["predicted_value"].sum()
    bought, brought = simulate_totals(
        purchases, spend, steps=months, step=step, rate=rate, seed=seed
    )[0]
    return Value(
        table=table[["decile", "customers", *Value.counts["customers"]]],
        purchases=bought,
        total=brought.times(worth),
        scores=scores,
        sql=(*spend.sql, scores_sql, deciles_sql),
        **settings,
    )


def _check_options(months: int, margin: float, annual_discount: float) -> None:
    if months < 1 or int(months) != months:
        raise CjkitError(f"months={months!r} must be a whole number of 1 or more.")
    if not 0 < margin <= 1:
        raise CjkitError(f"margin={margin!r} must be above 0 and at most 1, such as 0.4.")
    if not annual_discount >= 0:
        raise CjkitError(f"annual_discount={annual_discount!r} must be 0 or more, such as 0.1.")


def _quarters(days: pd.Series[Any]) -> pd.Series[Any]:
    """Name the quarter of each day: '2026 Q1'."""
    return days.map({day: f"{day.year} Q{day.quarter}" for day in days.unique()})


def _scores_sql(customers: Table, scored: Table, spend: SpendFit, worth: float) -> str:
    """Write the SQL that gives each customer the scores of their history.

    The expected spend is `SpendModel.expected_spend` as arithmetic: it needs the customer's money,
    which the histories do not tell apart.
    """
    money = spend.fitted
    expected_spend = (
        f"{money.p!r} * ({money.v!r} + customers.repeat_spend)"
        f" / ({money.p!r} * customers.repeats + {money.q - 1!r})"
    )
    return f"""
        select customers.customer_id, customers.repeats, customers.first_day, customers.last_day,
            customers.spend, scored.first_quarter, scored.expected_purchases,
            scored.churn_risk,
            {expected_spend} as expected_spend,
            {worth!r} * scored.discounted * {expected_spend} as predicted_value,
            {worth!r} * scored.if_recent * {expected_spend} as value_if_recent
        from {customers} as customers
        join {scored} as scored
            on customers.repeats = scored.repeats
            and customers.first_day = cast(scored.first_day as date)
            and customers.last_day = cast(scored.last_day as date)"""


def _deciles_sql(scores: Table) -> str:
    """Write the SQL that sums up each tenth of the customers; equal values are never parted."""
    return f"""
        select decile, count(*) as customers, sum(expected_purchases) as expected_purchases,
            sum(predicted_value) as predicted_value, avg(churn_risk) as churn_risk
        from (select expected_purchases, predicted_value, churn_risk,
                cast(least(floor(10 * percent_rank() over (order by predicted_value desc)), 9)
                    as int) + 1 as decile
            from {scores}) as ranked
        group by decile
        order by decile"""
