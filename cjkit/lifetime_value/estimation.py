"""Maximum likelihood for positive parameters, with a weak prior for small samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from cjkit.statistics import Floats

Objective = Callable[[Floats], tuple[float, Floats]]

LOG_BOUNDS = (-12.0, 14.0)


@dataclass(frozen=True, eq=False)
class Estimate:
    """The maximum of a likelihood of positive parameters, searched on their logarithms.

    Attributes
    ----------
    names : tuple of str
    values : array
        The parameters.
    covariance : array, parameters x parameters
        Of the *logarithms* of the parameters: the inverse of the observed information. Missing
        where the maximum is not a proper one.
    log_likelihood : float
        Without the prior.
    converged : bool
        Whether the maximum lies inside the bounds with a positive definite information.
    """

    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    log_likelihood: float
    converged: bool

    @property
    def standard_errors(self) -> Floats:
        """Of the parameters themselves, by the delta method."""
        return self.values * np.sqrt(np.diag(self.covariance))

    def draws(self, count: int, rng: np.random.Generator) -> Floats:
        """Draw parameters from their uncertainty: normal on the logarithms; count x parameters."""
        logs = rng.multivariate_normal(np.log(self.values), self.covariance, count)
        return np.exp(np.clip(logs, *LOG_BOUNDS))


def maximise(
    objective: Objective,
    names: tuple[str, ...],
    start: Sequence[float],
    *,
    customers: float,
    prior_sd: float | None,
) -> Estimate:
    """Find the positive parameters at which `objective` (log-likelihood, gradient) is largest.

    With `prior_sd` the logarithm of each parameter has a weak normal prior of that width around its
    start: few customers then give a finite answer instead of one at the edge of the world, and many
    outweigh it.
    """
    centre = np.log(start)
    precision = 0.0 if prior_sd is None else prior_sd**-2

    def loss(logs: Floats) -> tuple[float, Floats]:
        values = np.exp(logs)
        height, slope = objective(values)
        away = logs - centre
        penalty = precision * float(away @ away) / 2
        return (penalty - height) / customers, (precision * away - slope * values) / customers

    found = scipy.optimize.minimize(
        loss,
        centre,
        jac=True,
        method="L-BFGS-B",
        bounds=[LOG_BOUNDS] * len(centre),
        options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9},
    ).x
    step = 1e-4
    information = customers * np.array(
        [
            (loss(found + nudge)[1] - loss(found - nudge)[1]) / (2 * step)
            for nudge in step * np.eye(len(found))
        ]
    )
    information = (information + information.T) / 2
    inside = (found > LOG_BOUNDS[0] + 0.1) & (found < LOG_BOUNDS[1] - 0.1)
    converged = bool(inside.all() and np.linalg.eigvalsh(information)[0] > 0)
    covariance = np.full((len(found), len(found)), np.nan)
    if converged:
        covariance[:] = np.linalg.inv(information)
    values = np.exp(found)
    return Estimate(names, values, covariance, objective(values)[0], converged)
