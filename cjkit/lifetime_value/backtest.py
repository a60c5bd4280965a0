"""Would the forecast have been right? Fit on the past, predict days that are known, compare."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, one_of, parse_duration
from cjkit.engine import Table, text
from cjkit.labels import MISSING, Language, format_date, format_number, label
from cjkit.lifetime_value.comparison import Comparison, Tracking, signed_percent
from cjkit.lifetime_value.held_out import (
    average,
    compare_deciles,
    compare_repeats,
    comparison,
    score,
)
from cjkit.lifetime_value.histories import (
    Obstacle,
    day,
    end_of,
    parse_day,
    purchase_days_sql,
    read_histories,
)
from cjkit.lifetime_value.purchases import (
    MODELS,
    Model,
    PurchaseFit,
    fit_purchases,
)
from cjkit.lifetime_value.simulation import UNKNOWN, Interval, simulate_totals
from cjkit.lifetime_value.spend import SpendFit, fit_spend
from cjkit.plots.columns import draw_columns
from cjkit.statistics import Floats

LONGEST_HOLD_OUT = datetime.timedelta(days=365)


@dataclass(frozen=True)
class Backtest:
    """What the purchase model would have forecast at `split`, and what happened until `until`.

    Attributes
    ----------
    table : DataFrame, one row for each rule: the model first, then simple rules
        `forecast_rule` (the model; `same_pace`: everyone goes on at their own pace;
        `everyone_average`: everyone goes on at the pace of all; `nobody_returns`),
        `predicted_purchases` in total,
        `error_share` of that total (above 0: too many; missing where nobody bought),
        `mean_absolute_error` and `root_mean_square_error` of purchases a customer. Empty where the
        model could not be fitted.
    split, until : date
        The first day not seen by the model, and the day after the last compared.
    customers : int
        Customers who bought before `split`: all others are unknown to the model.
    actual : int
        Their purchase days from `split` on.
    predicted : Interval
    actual_revenue : float
        Their revenue from `split` on, returns left out.
    predicted_revenue : Interval
        Unknown where no spend model could be fitted.
    tracking : Tracking
    by_repeats : Comparison
        Purchases a customer by number of repeats before `split`.
    deciles : Comparison
        By tenths of the predicted purchases, the most active first: purchases and revenue a
        customer, and the share who bought at all beside its predicted probability.
    fit : PurchaseFit
        The model, fitted before `split`.
    spend : SpendFit
        Likewise; its obstacle says why it could not be fitted.
    obstacle : Obstacle or None
    method : str
    sql : tuple of str
    """

    table: pd.DataFrame
    split: datetime.date
    until: datetime.date
    customers: int
    actual: int
    predicted: Interval
    actual_revenue: float
    predicted_revenue: Interval
    tracking: Tracking
    by_repeats: Comparison
    deciles: Comparison
    fit: PurchaseFit
    spend: SpendFit
    obstacle: Obstacle | None
    method: str
    sql: tuple[str, ...]

    @property
    def error(self) -> float:
        """Predicted over actual purchases, less 1; missing where nobody bought."""
        return self.predicted.value / self.actual - 1 if self.actual else float("nan")

    @property
    def buyers(self) -> Comparison:
        """The same tenths by the share who bought at all: how far a risk of none can be trusted."""
        return replace(self.deciles, pair="buyer_share")

    def finding(self, language: Language = "en") -> str:
        """Say what was forecast, what happened, and whether a simple rule does better."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        errors = self.table.set_index("forecast_rule")["root_mean_square_error"]
        simple = errors.iloc[1:]
        inside = self.predicted.low <= self.actual <= self.predicted.high
        return label(
            "finding_backtest_inside" if inside else "finding_backtest_outside",
            language,
            split=format_date(self.split, language),
            days=format_number((self.until - self.split).days, language),
            predicted=format_number(self.predicted.value, language),
            low=format_number(self.predicted.low, language),
            high=format_number(self.predicted.high, language),
            actual=format_number(self.actual, language),
            error=signed_percent(self.error, language),
            rmse=format_number(errors.iloc[0], language, digits=2),
            simple=format_number(simple.min(), language, digits=2),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the error for a customer of each rule, noted with the error of its total."""
        ax = draw_columns(
            [label(f"rule.{rule}", language) for rule in self.table["forecast_rule"]],
            self.table["root_mean_square_error"].to_numpy(float),
            [signed_percent(error, language) for error in self.table["error_share"]],
            write=lambda error: format_number(error, language, digits=1),
            ax=ax,
        )
        ax.set(title=label("error_of_rules", language))
        return ax


def backtest_purchases(
    orders: Table,
    *,
    split: str | datetime.date | None = None,
    until: str | datetime.date | None = None,
    model: Model = "bg_nbd",
    unit: str = "1W",
    prior_sd: float | None = 2.0,
    seed: int = 0,
) -> Backtest:
    """Fit the models before `split`, predict the days up to `until`, compare with what happened.

    Parameters
    ----------
    orders : Table
        Reads `customer_id`, `local_date`, `revenue`, `is_return`.
    split : str or date, optional
        The first day that the models do not see; default the middle of the observation, at most 365
        days before its end.
    until : str or date, optional
        The day after the last compared; default the day after the last purchase.
    model, unit, prior_sd
        As in `fit_purchases`.
    seed : int, default 0
        Of the simulation behind the intervals.

    Returns
    -------
    Backtest
        Empty, with the obstacle, where the purchase model cannot be fitted before `split`.

    Raises
    ------
    CjkitError
        When an option is none of these, or `split` is not before `until`.
    """
    one_of("model", model, MODELS)
    step = parse_duration(unit, name="unit")
    end = end_of(orders, until)
    start = _find_split(orders, end) if split is None else parse_day(split, name="split")
    if start >= end:
        raise CjkitError(f"split={start.isoformat()!r} must be before until={end.isoformat()!r}.")
    histories = read_histories(orders, until=start, then=end)
    fit = fit_purchases(histories, model=model, unit=step, prior_sd=prior_sd)
    spend = fit_spend(histories, prior_sd=prior_sd)
    horizon = pd.Timedelta(end - start) / step
    later = histories.table["later_purchases"].to_numpy(float)
    weights = histories.table["customers"].to_numpy(float)
    money = spend if spend.obstacle is None else None
    bought, brought = UNKNOWN, UNKNOWN
    if fit.obstacle is None:
        bought, brought = simulate_totals(fit, money, steps=1, step=horizon, seed=seed)[0]
    scored = score(fit, money, horizon)
    tracking = _track(orders, fit, end)
    return Backtest(
        table=_compare_rules(fit, horizon, scored),
        split=start,
        until=end,
        customers=fit.customers,
        actual=int(weights @ later),
        predicted=bought,
        actual_revenue=float(histories.table["later_spend"].sum()),
        predicted_revenue=brought,
        tracking=tracking,
        by_repeats=compare_repeats(scored, histories.sql),
        deciles=compare_deciles(scored, histories.sql),
        fit=fit,
        spend=spend,
        obstacle=fit.obstacle,
        method=fit.method,
        sql=(*spend.sql, *tracking.sql),
    )


def backtest_segments(test: Backtest, segments: Table) -> Comparison:
    """Compare what the model expected of each segment with what its customers did.

    Parameters
    ----------
    test : Backtest
    segments : Table
        `customer_id` and `segment`, as they were at `test.split`: a segment that rests on what came
        later is no group that a forecast could have been made for. Who is in none is a group.

    Returns
    -------
    Comparison
        As `test.deciles`, a row for each `segment`, the one with the most active forecast first.
    """
    sql = f"""
        select coalesce(cast(segments.segment as varchar), {text(MISSING)}) as segment,
            repeats, first_day, last_day, later_purchases, count(*) as customers,
            sum(repeat_spend) as repeat_spend,
            sum(later_spend) as later_spend
        from {test.fit.histories.customers} as customers
        left join {segments} as segments on segments.customer_id = customers.customer_id
        group by 1, repeats, first_day, last_day, later_purchases"""
    found = segments.engine.query(sql)
    for name in ("first_day", "last_day"):
        found[name] = pd.to_datetime(found[name])
    fit = replace(test.fit, histories=test.fit.histories.only(found))
    horizon = pd.Timedelta(test.until - test.split) / fit.unit
    scored = score(fit, test.spend if test.spend.obstacle is None else None, horizon)
    table = average(scored, "segment", scored["segment"])
    table = table.sort_values("predicted_purchases", ascending=False, ignore_index=True)
    return comparison(table, "segment", (*test.fit.histories.sql, sql))


def _find_split(orders: Table, until: datetime.date) -> datetime.date:
    """Return the middle of the observation, at most 365 days before its end."""
    found = orders.engine.query(
        f"select min(local_date) as first_day from {orders} "
        f"where customer_id is not null and local_date < {day(until)}"
    )
    first = pd.Timestamp(found["first_day"].iloc[0])
    first_day = until - LONGEST_HOLD_OUT if pd.isna(first) else first.date()
    return until - min(LONGEST_HOLD_OUT, max((until - first_day) // 2, datetime.timedelta(days=1)))


def _compare_rules(fit: PurchaseFit, horizon: float, scored: pd.DataFrame) -> pd.DataFrame:
    """Compare the model with simple rules, customer by customer."""
    columns = [
        "forecast_rule",
        "predicted_purchases",
        "error_share",
        "mean_absolute_error",
        "root_mean_square_error",
    ]
    if scored.empty:
        return pd.DataFrame(columns=columns)
    repeats, _, age = fit.histories.times(fit.unit)
    weights = scored["customers"].to_numpy(float)
    later = scored["later_purchases"].to_numpy(float)
    # Who came on the last day has been seen for no time: their pace is unknown, and taken as none.
    pace = np.divide(repeats, age, where=age > 0, out=np.zeros_like(repeats))
    average = float(weights @ repeats) / max(float(weights @ age), 1e-12) * horizon
    rules: dict[str, Floats] = {
        fit.model: scored["predicted"].to_numpy(float),
        "same_pace": pace * horizon,
        "everyone_average": np.full(len(scored), average),
        "nobody_returns": np.zeros(len(scored)),
    }
    actual = weights @ later
    rows = [
        (
            rule,
            weights @ predicted,
            weights @ predicted / actual - 1 if actual else np.nan,
            weights @ np.abs(predicted - later) / weights.sum(),
            np.sqrt(weights @ (predicted - later) ** 2 / weights.sum()),
        )
        for rule, predicted in rules.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def _track(orders: Table, fit: PurchaseFit, until: datetime.date) -> Tracking:
    """Follow the repeat purchases of the calibration's customers from the first day on."""
    split = fit.until
    sql = f"""
        select days.local_date, count(*) as buyers,
            sum(case when days.local_date = known.first_day then 1 else 0 end) as new_buyers
        from ({purchase_days_sql(orders, until)}) as days
        join {fit.histories.customers} as known on days.customer_id = known.customer_id
        group by days.local_date
        order by days.local_date"""
    daily = orders.engine.query(sql)
    columns = [
        "until_day",
        "actual_purchases",
        "predicted_purchases",
        "actual_total",
        "predicted_total",
    ]
    if fit.estimate is None:
        return Tracking(pd.DataFrame(columns=columns), split, (sql,))
    days = pd.to_datetime(daily["local_date"])
    end = pd.Timestamp(until)
    step = pd.Timedelta(days=7 if end - days.min() >= pd.Timedelta(weeks=12) else 1)
    ends = pd.date_range(days.min() + step, end, freq=step) - pd.Timedelta(days=1)
    repeats = (daily["buyers"] - daily["new_buyers"]).to_numpy(float).cumsum()
    reached = np.searchsorted(days.to_numpy(), ends.to_numpy(), side="right") - 1
    first_days = days[daily["new_buyers"] > 0].to_numpy()
    new = daily.loc[daily["new_buyers"] > 0, "new_buyers"].to_numpy(float)
    age = np.maximum(
        (ends.to_numpy()[:, None] - first_days[None, :]) / fit.unit.to_timedelta64(), 0
    )
    table = pd.DataFrame(
        {
            "until_day": ends.date,
            "actual_total": repeats[reached],
            "predicted_total": fit.fitted.expected_purchases(age, 0, 0, 0) @ new,
        }
    )
    for name in ("actual", "predicted"):
        table[f"{name}_purchases"] = table[f"{name}_total"].diff().fillna(table[f"{name}_total"])
    return Tracking(table[columns], split, (sql,))
