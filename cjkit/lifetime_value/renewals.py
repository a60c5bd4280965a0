"""Who will stay under contract: the model that carries survival on, and its back-test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.labels import Language, format_number, format_percent, label
from cjkit.lifetime_value.estimation import Estimate
from cjkit.lifetime_value.histories import Obstacle
from cjkit.lifetime_value.purchases import PARAMETER_FORMATS, check_prior, describe
from cjkit.lifetime_value.renewal_model import RenewalModel, estimate_renewals
from cjkit.lifetime_value.survival import Survival, well_observed
from cjkit.plots.lines import Line, draw_lines

FEWEST_LOST = 50


@dataclass(frozen=True)
class RenewalFit:
    """What `fit_renewals` estimated: how customers differ in leaving at a renewal.

    Attributes
    ----------
    table : DataFrame, one row for each parameter
        `parameter` (alpha, beta), `estimate`, `standard_error`, and the 95% interval
        `estimate_low`, `estimate_high`. Empty where not fitted.
    survival : Survival
        What it was fitted to.
    periods : int
        The periods that the model has seen; the later ones are its back-test.
    estimate : Estimate or None
    obstacle : Obstacle or None
    method : str
    sql : tuple of str
    """

    formats: ClassVar[dict[str, str]] = PARAMETER_FORMATS

    table: pd.DataFrame
    survival: Survival
    periods: int
    estimate: Estimate | None
    obstacle: Obstacle | None
    method: str
    sql: tuple[str, ...]

    @property
    def fitted(self) -> RenewalModel:
        """The model with its parameters; its time is in periods."""
        if self.estimate is None:
            reason = self.obstacle.words("en") if self.obstacle is not None else ""
            raise CjkitError(f"The renewal model is not fitted. {reason}")
        return RenewalModel(*map(float, self.estimate.values))

    @property
    def forecast(self) -> pd.DataFrame:
        """For each period in which a tenth of the customers were at risk what was, and would be.

        `period_no`, `at_risk`, `actual_survival` (Kaplan-Meier) and `predicted_survival`.
        """
        rows = well_observed(self.survival.table)
        found = rows[["period_no", "at_risk"]].assign(
            actual_survival=rows["survival_rate"], predicted_survival=np.nan
        )
        if self.estimate is not None:
            found["predicted_survival"] = self.fitted.survival(rows["period_no"])
        return found

    def finding(self, language: Language = "en") -> str:
        """Say what was forecast of the periods held out, and what happened."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        if self.forecast.empty:
            return label("no_periods_held_out", language)
        row = self.forecast.iloc[-1]
        return label(
            "finding_renewals",
            language,
            seen=format_number(self.periods, language),
            last=format_number(row["period_no"], language),
            actual=format_percent(row["actual_survival"], language),
            predicted=format_percent(row["predicted_survival"], language),
            ahead=12,
            periods=format_number(float(self.fitted.expected_periods(0, 12)), language, digits=1),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw survival as counted and as the model carries it on."""
        rows = self.forecast
        periods = np.r_[0, rows["period_no"]]
        lines = [
            Line(periods, np.r_[1, rows["actual_survival"]], label("actual", language)),
            Line(
                periods,
                np.r_[1, rows["predicted_survival"]],
                label("predicted", language),
                style="--",
            ),
        ]
        ax = draw_lines(
            lines,
            write=lambda rate: format_percent(rate, language, digits=0),
            mark=(self.periods, label("forecast_starts", language)),
            ax=ax,
        )
        ax.set(
            xlabel=label("periods_of_contract", language),
            title=label("survival_rate", language),
            ylim=(0, 1.02),
        )
        return ax


def fit_renewals(
    survival: Survival, *, periods: int | None = None, prior_sd: float | None = 2.0
) -> RenewalFit:
    """Fit who renews and who leaves, and hold the model against the periods it has not seen.

    Parameters
    ----------
    survival : Survival
        Of all customers together.
    periods : int, optional
        The first periods, that the model sees; default the first half of those in which a tenth of
        the customers were at risk. A customer still there afterwards is censored then.
    prior_sd : float or None, default 2.0
        As in `fit_purchases`.

    Returns
    -------
    RenewalFit
        With fewer than 50 customers lost it is not fitted and its `obstacle` says why.

    Raises
    ------
    CjkitError
        When `survival` is of several groups, or `periods` is not among its periods.
    """
    check_prior(prior_sd)
    if survival.by is not None:
        raise CjkitError("fit_renewals() fits one group: measure survival again without `by`.")
    rows = well_observed(survival.table)
    seen = max(len(rows) // 2, 1) if periods is None else periods
    if not 1 <= seen <= max(len(survival.table), 1):
        raise CjkitError(f"periods={periods!r} must be between 1 and {len(survival.table)}.")
    early = rows.head(seen)
    lost = early["lost"].to_numpy(float)
    # Who was last seen in the course of a period has completed the one before it.
    kept = np.append(early["censored"].to_numpy(float)[1:], 0.0)
    if len(early):
        kept[-1] += rows["at_risk"].iloc[0] - early[["lost", "censored"]].to_numpy().sum()
    estimate, obstacle = None, survival.obstacle
    if obstacle is None and lost.sum() < FEWEST_LOST:
        obstacle = Obstacle(
            "too_few_lost", {"fewest": FEWEST_LOST}, people={"lost": int(lost.sum())}
        )
    if obstacle is None:
        estimate = estimate_renewals(lost, kept, prior_sd=prior_sd)
        if not estimate.converged:
            estimate, obstacle = None, Obstacle("no_maximum", {})
    method = "maximum likelihood of the shifted beta-geometric" + (
        f", normal prior of sd {prior_sd:g} on log-parameters" if prior_sd else ""
    )
    return RenewalFit(describe(estimate), survival, seen, estimate, obstacle, method, survival.sql)
