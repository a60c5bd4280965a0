"""How often customers buy: the fit of a purchase model, and what it expects of whom."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, one_of, parse_duration
from cjkit.labels import Language, format_number, format_percent, label
from cjkit.lifetime_value.comparison import Comparison
from cjkit.lifetime_value.estimation import Estimate
from cjkit.lifetime_value.histories import Histories, Obstacle
from cjkit.lifetime_value.purchase_model import PurchaseModel, estimate_purchases
from cjkit.plots.heat import draw_heat
from cjkit.privacy import Totals, min_cell
from cjkit.statistics import Floats, wilson_interval

Model = Literal["bg_nbd", "mbg_nbd"]
MODELS: tuple[Model, ...] = ("bg_nbd", "mbg_nbd")

FEWEST_REPEAT_CUSTOMERS = 50
MOST_REPEATS_SHOWN = 7
REPEATS_OF_A_REGULAR = 5
REPEATS_FORESEEN = (0, 1, 2, 3, 4, REPEATS_OF_A_REGULAR, 7, 10, 15, 20)
Z95 = 1.959964
PARAMETER_FORMATS = dict.fromkeys(
    ("estimate", "standard_error", "estimate_low", "estimate_high"), "precise"
)


@dataclass(frozen=True)
class PurchaseFit:
    """What `fit_purchases` estimated: how customers differ in buying and in stopping.

    Attributes
    ----------
    table : DataFrame, one row for each parameter
        `parameter` (r, alpha, a, b), `estimate`, `standard_error`, and the 95% interval
        `estimate_low`, `estimate_high`. `alpha` is in `unit`s, the others have no unit. Empty where
        the model could not be fitted.
    model : {'bg_nbd', 'mbg_nbd'}
    until : date
        The day after the last day of the histories.
    unit : Timedelta
        The unit of time of `alpha`, and of what `fitted` takes and gives.
    prior_sd : float or None
        The width of the weak prior on the logarithms of the parameters.
    customers, repeat_customers : int
        Who bought, and who bought on two days or more.
    log_likelihood : float
    estimate : Estimate or None
        With the covariance of the logarithms of the parameters.
    histories : Histories
        What the model was fitted to.
    check : Comparison
        Customers by number of repeats: observed, and expected by the model.
    obstacle : Obstacle or None
        Why the model could not be fitted.
    method : str
    sql : tuple of str
    """

    formats: ClassVar[dict[str, str]] = PARAMETER_FORMATS

    table: pd.DataFrame
    model: Model
    until: datetime.date
    unit: pd.Timedelta
    prior_sd: float | None
    customers: int
    repeat_customers: int
    log_likelihood: float
    estimate: Estimate | None
    histories: Histories
    check: Comparison
    obstacle: Obstacle | None
    method: str
    sql: tuple[str, ...]

    @property
    def fitted(self) -> PurchaseModel:
        """The model with its parameters; its times are in `unit`s."""
        if self.estimate is None:
            raise CjkitError(f"The purchase model is not fitted. {_reason(self.obstacle)}")
        return make_model(self.estimate.values, self.model)

    def finding(self, language: Language = "en") -> str:
        """Say who bought again, and how often the average customer buys in a first year."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        year = pd.Timedelta(days=365.25) / self.unit
        if 0 < self.customers - self.repeat_customers < min_cell():
            return label("nearly_all_repeat", language)
        low, high = wilson_interval(self.repeat_customers, self.customers)
        return label(
            "finding_purchase_fit",
            language,
            share=format_percent(self.repeat_customers / self.customers, language),
            low=format_percent(float(low), language),
            high=format_percent(float(high), language),
            days=format_number(self.unit / pd.Timedelta(days=1), language),
            log_likelihood=format_number(self.log_likelihood, language, digits=2),
            customers=format_number(self.customers, language),
            purchases=format_number(
                float(self.fitted.expected_purchases(year, 0, 0, 0)), language, digits=2
            ),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw customers by number of repeats, observed and expected."""
        return self.check.plot(ax=ax, language=language)


def fit_purchases(
    histories: Histories,
    *,
    model: Model = "bg_nbd",
    unit: str | pd.Timedelta = "1W",
    prior_sd: float | None = 2.0,
) -> PurchaseFit:
    """Fit how often customers buy and when they stop, by maximum likelihood.

    The likelihood is that of each distinct history, weighted by the customers who share it.

    Parameters
    ----------
    histories : Histories
        As `read_histories` groups them.
    model : {'bg_nbd', 'mbg_nbd'}
        Whether customers may stop after each repeat only, or after the first purchase too.
    unit : str or Timedelta, default '1W'
        The unit of time of the parameters, such as '1W' or '1D'. Forecasts do not depend on it.
    prior_sd : float or None, default 2.0
        The width of a weak prior on the logarithms of the parameters, for small samples; None gives
        the plain maximum likelihood, as published figures are.

    Returns
    -------
    PurchaseFit
        With fewer than 50 repeat customers, or without a proper maximum, it is not fitted and its
        `obstacle` says why.

    Raises
    ------
    CjkitError
        When an option is none of these.
    """
    one_of("model", model, MODELS)
    step = parse_duration(unit, name="unit")
    check_prior(prior_sd)
    weights = histories.table["customers"].to_numpy(float)
    repeats, recency, age = histories.times(step)
    customers, again = int(weights.sum()), int(weights[repeats > 0].sum())
    estimate, obstacle = None, None
    if again < FEWEST_REPEAT_CUSTOMERS:
        obstacle = Obstacle(
            "too_few_repeats",
            {"fewest": FEWEST_REPEAT_CUSTOMERS},
            people={"repeats": again, "customers": customers},
        )
    else:
        estimate = estimate_purchases(
            repeats, recency, age, weights, modified=model == "mbg_nbd", prior_sd=prior_sd
        )
        if not estimate.converged:
            estimate, obstacle = None, Obstacle("no_maximum")
    return PurchaseFit(
        table=describe(estimate),
        model=model,
        until=histories.until,
        unit=step,
        prior_sd=prior_sd,
        customers=customers,
        repeat_customers=again,
        log_likelihood=estimate.log_likelihood if estimate else float("nan"),
        estimate=estimate,
        histories=histories,
        check=_check(estimate, model, repeats, age, weights, histories.sql),
        obstacle=obstacle,
        method="maximum likelihood on weighted histories"
        + (f", normal prior of sd {prior_sd:g} on log-parameters" if prior_sd else ""),
        sql=histories.sql,
    )


def check_prior(prior_sd: float | None) -> None:
    """Refuse a prior that is none."""
    if prior_sd is not None and not prior_sd > 0:
        raise CjkitError(f"prior_sd={prior_sd!r} must be above zero, or None for no prior.")


def make_model(values: Floats, model: Model) -> PurchaseModel:
    """Return the purchase model with these parameters."""
    r, alpha, a, b = map(float, values)
    return PurchaseModel(r, alpha, a, b, modified=model == "mbg_nbd")


def describe(estimate: Estimate | None) -> pd.DataFrame:
    """Lay out the parameters of an estimate; intervals are those of their logarithms."""
    columns = ["parameter", "estimate", "standard_error", "estimate_low", "estimate_high"]
    if estimate is None:
        return pd.DataFrame(columns=columns)
    spread = np.exp(Z95 * np.sqrt(np.diag(estimate.covariance)))
    figures = (
        estimate.names,
        estimate.values,
        estimate.standard_errors,
        estimate.values / spread,
        estimate.values * spread,
    )
    return pd.DataFrame(dict(zip(columns, figures, strict=True)))


def _check(
    estimate: Estimate | None,
    model: Model,
    repeats: Floats,
    age: Floats,
    weights: Floats,
    sql: tuple[str, ...],
) -> Comparison:
    """Count customers by repeats, observed and expected; the last group holds all with more."""
    most = MOST_REPEATS_SHOWN
    groups = np.minimum(repeats, most).astype(int)
    observed = np.bincount(groups, weights, minlength=most + 1)
    expected = np.full(most + 1, np.nan)
    if estimate is not None:
        ages, place_of = np.unique(age, return_inverse=True)
        chances = make_model(estimate.values, model).repeat_distribution(ages, most - 1)
        of_age = np.bincount(place_of, weights)
        expected = np.append(of_age @ chances, weights.sum() - of_age @ chances.sum(axis=1))
    table = pd.DataFrame(
        {
            "repeats": [*map(str, range(most)), f"{most}+"],
            "actual_customers": observed.astype(int),
            "predicted_customers": expected,
        }
    )
    counts: dict[str, tuple[str, ...]] = {"actual_customers": ()}
    return Comparison(table, "customers", "repeats", counts, (Totals("actual_customers"),), sql)


def _reason(obstacle: Obstacle | None) -> str:
    return obstacle.words("en") if obstacle is not None else ""


@dataclass(frozen=True)
class PurchaseOutlook:
    """What the model expects of customers by how often and how long ago they bought.

    Attributes
    ----------
    table : DataFrame, one row for each number of repeats and days since the last purchase
        `repeats`, `days_since_last`, `buy_probability` (of a purchase within the window),
        `expected_purchases` in it.
    within : Timedelta
        The window after the end of the histories.
    days_known : int
        The days since the first purchase of the customers that the table speaks of.
    obstacle : Obstacle or None
    method : str
    sql : tuple of str
    """

    formats: ClassVar[dict[str, str]] = {"repeats": "number", "days_since_last": "number"}

    table: pd.DataFrame
    within: pd.Timedelta
    days_known: int
    obstacle: Obstacle | None
    method: str
    sql: tuple[str, ...]

    def finding(self, language: Language = "en") -> str:
        """Say how likely a regular customer buys, fresh from a purchase and after silence."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        rows = self.table[self.table["repeats"] == REPEATS_OF_A_REGULAR]
        fresh, silent = rows.iloc[0], rows.iloc[len(rows) // 2]
        return label(
            "finding_purchase_outlook",
            language,
            within=format_number(self.within.days, language),
            known=format_number(self.days_known, language),
            repeats=REPEATS_OF_A_REGULAR,
            fresh=format_percent(fresh["buy_probability"], language, digits=0),
            silent=format_percent(silent["buy_probability"], language, digits=0),
            days=format_number(silent["days_since_last"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the probability of a purchase as a table of cells."""
        wide = self.table.pivot(
            index="repeats", columns="days_since_last", values="buy_probability"
        )
        ax = draw_heat(
            wide.to_numpy(float),
            rows=[str(number) for number in wide.index],
            columns=[f"{days:,}" for days in wide.columns],
            write=lambda rate: format_percent(rate, language, digits=0),
            ax=ax,
        )
        ax.set(
            xlabel=label("days_since_last", language),
            ylabel=label("repeats", language),
            title=label("buy_probability", language),
        )
        return ax


def predict_purchases(
    fit: PurchaseFit, *, within: str | pd.Timedelta = "90D", days_known: int | None = None
) -> PurchaseOutlook:
    """Predict the purchases of customers by how often, and how long ago, they bought.

    Parameters
    ----------
    fit : PurchaseFit
    within : str or Timedelta, default '90D'
        The window after the end of the histories.
    days_known : int, optional
        Days since the first purchase of the customers asked about; default those of the median
        repeat customer.

    Returns
    -------
    PurchaseOutlook

    Raises
    ------
    CjkitError
        When `within` is no duration, or `days_known` is below 1.
    """
    window = parse_duration(within, name="within")
    if days_known is None:
        days_known = _median_days_known(fit.histories)
    elif days_known < 1:
        raise CjkitError(f"days_known={days_known!r} must be 1 or more days.")
    table = _outlook(fit, window, days_known)
    return PurchaseOutlook(table, window, days_known, fit.obstacle, fit.method, fit.sql)


def _outlook(fit: PurchaseFit, window: pd.Timedelta, days_known: int) -> pd.DataFrame:
    """Lay out what is expected of every history that can be: a repeat needs a later day."""
    columns = ["repeats", "days_since_last", "buy_probability", "expected_purchases"]
    if fit.estimate is None:
        return pd.DataFrame(columns=columns)
    since = sorted({round(days_known * part / 10) for part in range(11)})
    cells = [
        (repeats, days)
        for repeats in REPEATS_FORESEEN
        for days in since
        if (repeats > 0) == (days < days_known)
    ]
    repeats, days = np.array(cells, dtype=float).T
    per_day = pd.Timedelta(days=1) / fit.unit
    history = (repeats, (days_known - days) * per_day, np.full(len(cells), days_known * per_day))
    table = pd.DataFrame(cells, columns=columns[:2])
    table["buy_probability"] = fit.fitted.buy_probability(window / fit.unit, *history)
    table["expected_purchases"] = fit.fitted.expected_purchases(window / fit.unit, *history)
    return table


def _median_days_known(histories: Histories) -> int:
    """Return the days from first purchase to the end that half of the repeat customers exceed."""
    repeats, _, age = histories.times(pd.Timedelta(days=1))
    again = repeats > 0
    if not again.any():
        return 0
    order = np.argsort(age[again])
    reached = np.cumsum(histories.table["customers"].to_numpy()[again][order])
    return int(age[again][order][np.searchsorted(reached, reached[-1] / 2)])
