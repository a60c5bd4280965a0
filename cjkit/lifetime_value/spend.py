"""How much customers spend on a purchase day: the fit of the Gamma-Gamma model."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.labels import Language, format_money, format_number, label
from cjkit.lifetime_value.estimation import Estimate
from cjkit.lifetime_value.histories import Histories, Obstacle
from cjkit.lifetime_value.purchases import (
    FEWEST_REPEAT_CUSTOMERS,
    PARAMETER_FORMATS,
    check_prior,
    describe,
)
from cjkit.lifetime_value.spend_model import SpendModel, estimate_spend
from cjkit.plots.columns import draw_density
from cjkit.privacy import Relation, Totals
from cjkit.statistics import Floats

BINS_PER_LOG = 200
STRONG_CORRELATION = 0.3


@dataclass(frozen=True)
class SpendDistribution:
    """Repeat customers by their mean purchase day, observed and expected.

    Attributes
    ----------
    table : DataFrame, one row for each class of money, up to the 98th percentile
        `spend_from`, `spend_to`, `customers`, `actual_share` of all repeat customers,
        `predicted_share`.
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": ("actual_share",)}
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"),)

    table: pd.DataFrame

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the shares observed as joined bars, the expected ones as a curve."""
        rows = self.table
        ax = draw_density(
            [*rows["spend_from"], rows["spend_to"].iloc[-1]],
            rows["actual_share"],
            rows["predicted_share"],
            names=(label("actual", language), label("predicted", language)),
            write=lambda money: format_money(money, language, digits=0),
            ax=ax,
        )
        ax.set(
            xlabel=label("mean_spend", language),
            ylabel=label("customer_share", language),
            title=label("spend_distribution", language),
        )
        return ax


@dataclass(frozen=True)
class SpendFit:
    """What `fit_spend` estimated: how much a purchase day is worth, and how customers differ.

    Attributes
    ----------
    table : DataFrame, one row for each parameter
        `parameter` (p, q, v), `estimate`, `standard_error`, and the 95% interval `estimate_low`,
        `estimate_high`. `v` is money, the others have no unit. Empty where not fitted.
    until : date
    prior_sd : float or None
    customers : int
        Repeat customers whose repeat purchases are worth more than nothing: the fit rests on them.
    left_out : int
        Repeat customers whose repeat purchases are worth nothing.
    correlation : float
        Between a customer's number of repeats and their mean; the model takes it to be none, and
        above 0.3 either way its values mislead.
    kept_share : float
        Revenue net of returns as a share of revenue before them.
    distribution : SpendDistribution
    estimate : Estimate or None
    obstacle : Obstacle or None
        Why the model could not be fitted.
    method : str
    sql : tuple of str
    """

    formats: ClassVar[dict[str, str]] = PARAMETER_FORMATS

    table: pd.DataFrame
    until: datetime.date
    prior_sd: float | None
    customers: int
    left_out: int
    correlation: float
    kept_share: float
    distribution: SpendDistribution
    estimate: Estimate | None
    obstacle: Obstacle | None
    method: str
    sql: tuple[str, ...]

    @property
    def fitted(self) -> SpendModel:
        """The model with its parameters."""
        if self.estimate is None:
            reason = self.obstacle.words("en") if self.obstacle is not None else ""
            raise CjkitError(f"The spend model is not fitted. {reason}")
        return make_spend_model(self.estimate.values)

    def finding(self, language: Language = "en") -> str:
        """Say what a purchase day is worth, and warn where spend depends on frequency."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        is_strong = abs(self.correlation) > STRONG_CORRELATION
        return label(
            "finding_spend_fit_dependent" if is_strong else "finding_spend_fit",
            language,
            mean=format_money(self.fitted.mean, language),
            customers=format_number(self.customers, language),
            correlation=format_number(round(self.correlation, 2) + 0.0, language, digits=2),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the customers by their mean purchase day, observed and expected."""
        _ = self.fitted  # says why there is nothing to draw
        return self.distribution.plot(ax=ax, language=language)


def fit_spend(histories: Histories, *, prior_sd: float | None = 2.0) -> SpendFit:
    """Fit how much customers spend on a purchase day, from their repeat purchases.

    A customer's mean is the revenue of all purchase days after the first (returns left out) over
    their number. Customers are grouped by repeats and by mean in classes of half a percent, each
    class standing at its geometric mean.

    Parameters
    ----------
    histories : Histories
        As `read_histories` groups them.
    prior_sd : float or None, default 2.0
        As in `fit_purchases`.

    Returns
    -------
    SpendFit
        With fewer than 50 such customers, without a proper maximum, or where the mean would be
        infinite (q of 1 or less), it is not fitted and its `obstacle` says why.
    """
    check_prior(prior_sd)
    sql = f"""
        select repeats, count(*) as customers, avg(log_mean) as log_mean
        from (select repeats,
                ln(case when repeat_spend > 0 then repeat_spend / repeats end) as log_mean
            from {histories.customers} where repeats > 0) as means
        group by repeats, floor(log_mean * {BINS_PER_LOG})
        order by repeats, log_mean"""
    classes = histories.customers.engine.query(sql)
    is_worthless = classes["log_mean"].isna()
    left_out = classes.loc[is_worthless, "customers"].sum()
    classes = classes[~is_worthless]

    repeats = classes["repeats"].to_numpy(float)
    means = np.exp(classes["log_mean"].to_numpy(float))
    weights = classes["customers"].to_numpy(float)
    estimate, obstacle = _estimate(repeats, means, weights, prior_sd)
    return SpendFit(
        table=describe(estimate),
        until=histories.until,
        prior_sd=prior_sd,
        customers=int(weights.sum()),
        left_out=int(left_out),
        correlation=_correlation(repeats, means, weights),
        kept_share=histories.kept_share,
        distribution=_distribution(estimate, repeats, means, weights),
        estimate=estimate,
        obstacle=obstacle,
        method="maximum likelihood on weighted classes of mean spend"
        + (f", normal prior of sd {prior_sd:g} on log-parameters" if prior_sd else ""),
        sql=(*histories.sql, sql),
    )


def make_spend_model(values: Floats) -> SpendModel:
    """Return the spend model with these parameters."""
    p, q, v = map(float, values)
    return SpendModel(p, q, v)


def _estimate(
    repeats: Floats, means: Floats, weights: Floats, prior_sd: float | None
) -> tuple[Estimate | None, Obstacle | None]:
    if weights.sum() < FEWEST_REPEAT_CUSTOMERS:
        fewest = {"fewest": FEWEST_REPEAT_CUSTOMERS}
        return None, Obstacle("too_few_spenders", fewest, {"customers": int(weights.sum())})
    estimate = estimate_spend(repeats, means, weights, prior_sd=prior_sd)
    if not estimate.converged:
        return None, Obstacle("no_maximum")
    if make_spend_model(estimate.values).mean == float("inf"):
        return None, Obstacle("infinite_mean")
    return estimate, None


def _correlation(x: Floats, y: Floats, weights: Floats) -> float:
    """Return the weighted correlation; missing where one of them does not vary."""
    if weights.sum() < 3:
        return float("nan")
    (xx, xy), (_, yy) = np.cov(x, y, fweights=weights.astype(int))
    return float(xy / np.sqrt(xx * yy)) if xx * yy > 0 else float("nan")


def _distribution(
    estimate: Estimate | None, repeats: Floats, means: Floats, weights: Floats
) -> SpendDistribution:
    """Count the customers in 30 classes of equal width up to the 98th percentile of their means."""
    columns = ["spend_from", "spend_to", "customers", "actual_share", "predicted_share"]
    if estimate is None:
        return SpendDistribution(pd.DataFrame(columns=columns))
    order = np.argsort(means)
    share = np.cumsum(weights[order]) / weights.sum()
    edges = np.linspace(0, means[order][np.searchsorted(share, 0.98)], 31)
    observed = np.histogram(means, edges, weights=weights)[0]
    middles, width = (edges[:-1] + edges[1:]) / 2, edges[1]
    counts, place_of = np.unique(repeats, return_inverse=True)
    of_count = np.bincount(place_of, weights) / weights.sum()
    density = np.exp(
        make_spend_model(estimate.values).log_density(counts[:, None], middles[None, :])
    )
    figures = (
        edges[:-1],
        edges[1:],
        observed.astype(int),
        observed / weights.sum(),
        of_count @ density * width,
    )
    return SpendDistribution(pd.DataFrame(dict(zip(columns, figures, strict=True))))
