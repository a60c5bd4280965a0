"""Gamma-Gamma: for how much customers buy, in pure numpy and scipy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from cjkit.checks import CjkitError
from cjkit.lifetime_value.estimation import Estimate, maximise
from cjkit.statistics import Floats


@dataclass(frozen=True)
class SpendModel:
    """Gamma-Gamma: a customer's purchases vary about their own mean, and the means vary too.

    A purchase is gamma with shape `p` and the customer's own rate, which is gamma with shape `q`
    and rate `v` (money). Spend must not depend on how often a customer buys.

    Notes
    -----
    Fader and Hardie (2013), The Gamma-Gamma Model of Monetary Value, www.brucehardie.com/notes/025.

    Examples
    --------
    >>> model = SpendModel(p=6.25, q=3.74, v=15.44)
    >>> print(f"{model.mean:.2f}, after two purchases of 50 {model.expected_spend(2, 100):.2f}")
    35.22, after two purchases of 50 47.34
    """

    p: float
    q: float
    v: float

    @property
    def mean(self) -> float:
        """The mean purchase of all customers; infinite where `q` is 1 or less."""
        return self.p * self.v / (self.q - 1) if self.q > 1 else float("inf")

    def expected_spend(self, repeats: ArrayLike, total: ArrayLike) -> Floats:
        """Return a customer's mean purchase, given `repeats` of them worth `total` together.

        The customer's own mean, drawn towards everybody's: equation 5 of the note.
        """
        x, spent = np.asarray(repeats, dtype=float), np.asarray(total, dtype=float)
        return np.asarray(self.p * (self.v + spent) / (self.p * x + self.q - 1))

    def log_density(self, repeats: ArrayLike, mean: ArrayLike) -> Floats:
        """Return the log-density of the mean of so many purchases (equation 1a of the note)."""
        x, m = np.asarray(repeats, dtype=float), np.asarray(mean, dtype=float)
        p, q, v = self.p, self.q, self.v
        return np.asarray(
            gammaln(p * x + q)
            - gammaln(p * x)
            - gammaln(q)
            + q * np.log(v)
            + p * x * np.log(x * m)
            - np.log(m)
            - (p * x + q) * np.log(x * m + v)
        )

    def draw_rates(self, repeats: ArrayLike, total: ArrayLike, rng: np.random.Generator) -> Floats:
        """Draw each customer's rate: one purchase of theirs is then gamma(p) / rate."""
        x, spent = np.asarray(repeats, dtype=float), np.asarray(total, dtype=float)
        return np.asarray(rng.gamma(self.p * x + self.q) / (self.v + spent))


def estimate_spend(
    repeats: ArrayLike,
    mean: ArrayLike,
    customers: ArrayLike,
    *,
    prior_sd: float | None = 2.0,
) -> Estimate:
    """Fit `SpendModel` by maximum likelihood to mean purchases, each of so many `customers`.

    Raises
    ------
    CjkitError
        Unless every customer has a repeat and a mean above zero.
    """
    x, m = np.asarray(repeats, dtype=float), np.asarray(mean, dtype=float)
    w = np.asarray(customers, dtype=float)
    if not ((x > 0) & (m > 0)).all():
        raise CjkitError("The spend model needs repeats and means above zero: leave others out.")

    counts, of_count = np.unique(x, return_inverse=True)
    n, n_of_count, total = w.sum(), np.bincount(of_count, w), x * m
    sum_of_log_mean, log_of_count = w @ np.log(m), np.bincount(of_count, w * np.log(total))

    def objective(values: Floats) -> tuple[float, Floats]:
        """Sum `log_density` and its slopes: gamma functions once for each number of repeats."""
        p, q, v = values
        shape = p * counts + q
        log_of_total = np.bincount(of_count, w * np.log(total + v))
        inverse_of_total = np.bincount(of_count, w / (total + v))
        height = (
            n_of_count @ (gammaln(shape) - gammaln(p * counts) + q * np.log(v) - gammaln(q))
            + (p * counts) @ log_of_count
            - sum_of_log_mean
            - shape @ log_of_total
        )
        slopes = (
            (n_of_count * counts) @ (digamma(shape) - digamma(p * counts))
            + counts @ (log_of_count - log_of_total),
            n_of_count @ digamma(shape) + n * (np.log(v) - digamma(q)) - log_of_total.sum(),
            n * q / v - shape @ inverse_of_total,
        )
        return float(height), np.array(slopes)

    start = [2.0, 3.0, (w @ m) / n]
    return maximise(objective, ("p", "q", "v"), start, customers=n, prior_sd=prior_sd)
