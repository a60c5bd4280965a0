"""Shifted beta-geometric: who renews a contract once more, in pure numpy and scipy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, digamma

from cjkit.lifetime_value.estimation import Estimate, maximise
from cjkit.statistics import Floats


@dataclass(frozen=True)
class RenewalModel:
    """At each renewal a customer leaves with a chance of their own, beta-distributed over all.

    Retention rises with tenure although nobody changes: who leaves easily is gone first.

    Notes
    -----
    Fader and Hardie (2007), How to project customer retention, Journal of Interactive Marketing
    21(1), 76-90.

    Examples
    --------
    With the published parameters of the High End segment, fitted to seven years:

    >>> model = RenewalModel(alpha=0.668, beta=3.806)
    >>> print(f"{model.survival(12):.2f} stay twelve years")
    0.38 stay twelve years
    """

    alpha: float
    beta: float

    def survival(self, periods: ArrayLike) -> Floats:
        """Return the share of new customers who are still there after so many periods."""
        t = np.asarray(periods, dtype=float)
        return np.asarray(np.exp(betaln(self.alpha, self.beta + t) - betaln(self.alpha, self.beta)))

    def expected_periods(self, tenure: ArrayLike, ahead: int, rate: float = 0.0) -> Floats:
        """Return the further periods that a customer of so many will begin, of `ahead` at most.

        The k-th of them counts `(1 + rate)^-k`.
        """
        t = np.asarray(tenure, dtype=float)[..., None]
        k = np.arange(1, ahead + 1)
        still = self.survival(t + k) / self.survival(t)
        return np.asarray(still @ (1 + rate) ** -k.astype(float))


def estimate_renewals(
    lost: ArrayLike, kept: ArrayLike, *, prior_sd: float | None = None
) -> Estimate:
    """Fit `RenewalModel` by maximum likelihood.

    Parameters
    ----------
    lost, kept : array_like of counts
        Customers lost in the 1st, 2nd, ... period, and customers last seen as such after it.
    prior_sd : float, optional
        Width of a weak prior on the logarithms of the parameters.
    """
    gone, there = np.asarray(lost, dtype=float), np.asarray(kept, dtype=float)
    t = np.arange(1.0, len(gone) + 1)

    def objective(values: Floats) -> tuple[float, Floats]:
        a, b = values
        whole = digamma(a + b) - digamma(a + b + t)
        height = gone @ (betaln(a + 1, b + t - 1) - betaln(a, b)) + there @ (
            betaln(a, b + t) - betaln(a, b)
        )
        slope = (
            gone @ (1 / a + whole) + there @ whole,
            gone @ (digamma(b + t - 1) - digamma(b) + whole)
            + there @ (digamma(b + t) - digamma(b) + whole),
        )
        return float(height), np.array(slope)

    customers = float(gone.sum() + there.sum())
    return maximise(objective, ("alpha", "beta"), [1, 2], customers=customers, prior_sd=prior_sd)
