"""Survival from counts: the Kaplan-Meier estimate and the log-rank test, in pure numpy."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from cjkit.statistics import Floats

Z95 = 1.959964


def survive(lost: ArrayLike, censored: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """Return at risk, survival and its 95% interval at each of the ordered times.

    Parameters
    ----------
    lost, censored : array_like of counts
        How many were lost, and how many last seen, at each time. Who is last seen at the time of
        a loss was still at risk of it.

    Notes
    -----
    Kaplan and Meier (1958), Journal of the American Statistical Association 53, 457-481, with
    Greenwood's variance on the scale of log(-log S), whose interval stays between 0 and 1; missing
    while nobody or when everybody is lost.

    Examples
    --------
    >>> at_risk, survival, low, high = survive([2, 1], [0, 1])
    >>> at_risk.tolist(), survival.tolist()
    ([4.0, 2.0], [0.5, 0.25])
    """
    d, c = np.asarray(lost, dtype=float), np.asarray(censored, dtype=float)
    at_risk = (d + c)[::-1].cumsum()[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(1 - d / at_risk)
        spread = np.sqrt(np.cumsum(d / (at_risk * (at_risk - d)))) / np.abs(np.log(survival))
        low, high = (survival ** np.exp(sign * Z95 * spread) for sign in (1, -1))
    unknown = (survival <= 0) | (survival >= 1)
    return at_risk, survival, np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def compare_survival(lost: Floats, censored: Floats) -> float:
    """Return the p-value of the log-rank test that all groups are lost alike.

    Parameters
    ----------
    lost, censored : arrays of counts, times x groups
        At the same ordered times for all groups.

    Returns
    -------
    float
        Missing with fewer than two groups that anybody was at risk in, or without a loss.

    Notes
    -----
    Mantel (1966), Cancer Chemotherapy Reports 50, 163-170: losses beyond those expected if all were
    alike, with their hypergeometric covariance, as chi-squared.
    """
    at_risk = (lost + censored)[::-1].cumsum(axis=0)[::-1]
    present, groups = at_risk.sum(axis=1) > 0, at_risk[0] > 0
    lost, at_risk = (figures[present][:, groups] for figures in (lost, at_risk))
    n, d = at_risk.sum(axis=1), lost.sum(axis=1)
    if at_risk.shape[1] < 2 or not d.sum():
        return float("nan")
    share = at_risk / n[:, None]
    beyond = (lost - d[:, None] * share).sum(axis=0)
    factor = np.divide(d * (n - d), n - 1, where=n > 1, out=np.zeros(len(n)))
    covariance = np.diag(factor @ share) - (share * factor[:, None]).T @ share
    # The excesses add up to 0: one group of them tells nothing more.
    score = float(beyond[1:] @ np.linalg.pinv(covariance[1:, 1:]) @ beyond[1:])
    return float(scipy.stats.chi2.sf(score, at_risk.shape[1] - 1))
