"""Intervals, tests and corrections: what makes a number honest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: those that wait for small matrices cost ten times the work.

    scikit-learn is loaded first, since only libraries that are loaded can be limited.
    """
    import sklearn  # noqa: F401

    with threadpool_limits(1):
        yield


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the Wilson score interval of a proportion, element by element.

    Parameters
    ----------
    successes, trials : array_like of counts
        `successes` out of `trials`; a missing count or no trials give a missing interval.
    confidence : float, default 0.95
        Coverage, above 0 and below 1.

    Returns
    -------
    low, high : arrays of float, 0 to 1

    Notes
    -----
    Wilson (1927), Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> low, high = wilson_interval(81, 263)
    >>> print(f"{low:.4f} {high:.4f}")
    0.2553 0.3662
    """
    x, n = _counts(successes), _counts(trials)
    z = _z(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(n > 0, x / n, np.nan)
        spread = 1 + z**2 / n
        centre = (rate + z**2 / (2 * n)) / spread
        half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / spread
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def newcombe_interval(
    successes: ArrayLike,
    trials: ArrayLike,
    other_successes: ArrayLike,
    other_trials: ArrayLike,
    *,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Return the interval of the difference of two independent proportions, first less other.

    Notes
    -----
    Method 10 of Newcombe (1998), Statistics in Medicine 17, 873-890: built from two Wilson
    intervals, so that it never leaves -1 to 1.

    Examples
    --------
    >>> low, high = newcombe_interval(56, 70, 48, 80)
    >>> print(f"{low:.4f} {high:.4f}")
    0.0524 0.3339
    """
    low1, high1 = wilson_interval(successes, trials, confidence=confidence)
    low2, high2 = wilson_interval(other_successes, other_trials, confidence=confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate1 = _counts(successes) / _counts(trials)
        rate2 = _counts(other_successes) / _counts(other_trials)
    difference = rate1 - rate2
    low = difference - np.sqrt((rate1 - low1) ** 2 + (high2 - rate2) ** 2)
    high = difference + np.sqrt((high1 - rate1) ** 2 + (rate2 - low2) ** 2)
    return low, high


def difference_p_value(
    successes: ArrayLike, trials: ArrayLike, other_successes: ArrayLike, other_trials: ArrayLike
) -> Floats:
    """Return the two-sided p-value of the pooled score test that two proportions are equal.

    Missing where either side has no trials; 1 where both rates are 0 or both are 1.

    Examples
    --------
    >>> print(f"{difference_p_value(56, 70, 48, 80):.4f}")
    0.0080
    """
    x1, n1 = _counts(successes), _counts(trials)
    x2, n2 = _counts(other_successes), _counts(other_trials)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (x1 + x2) / (n1 + n2)
        error = np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
        score = np.abs(x1 / n1 - x2 / n2) / error
    p = 2 * scipy.stats.norm.sf(score)
    return np.where((error == 0) & (n1 > 0) & (n2 > 0), 1.0, p)


def mean_interval(
    total: ArrayLike, total_of_squares: ArrayLike, n: ArrayLike, *, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return Student's interval of a mean from sums, as a GROUP BY gives them.

    Parameters
    ----------
    total, total_of_squares, n : array_like
        Sum of the values, sum of their squares, and how many there are. With fewer than two
        values the interval is missing.

    Examples
    --------
    >>> low, high = mean_interval(15, 55, 5)  # 1, 2, 3, 4, 5
    >>> print(f"{low:.3f} {high:.3f}")
    1.037 4.963
    """
    mean, error, freedom = _mean(total, total_of_squares, n)
    half = scipy.stats.t.ppf(0.5 + confidence / 2, freedom) * np.sqrt(error)
    return mean - half, mean + half


def mean_difference_interval(
    total: ArrayLike,
    total_of_squares: ArrayLike,
    n: ArrayLike,
    other_total: ArrayLike,
    other_total_of_squares: ArrayLike,
    other_n: ArrayLike,
    *,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Return Welch's interval of the difference of two means, first less other, from sums.

    Parameters
    ----------
    total, total_of_squares, n : array_like
        Sum of the values, sum of their squares, and how many there are; likewise `other_`. With
        fewer than two values on a side, or none that differ, the interval is missing.

    Examples
    --------
    >>> low, high = mean_difference_interval(15, 55, 5, 9, 29, 3)  # 1, 2, 3, 4, 5 and 2, 3, 4
    >>> print(f"{low:.3f} {high:.3f}")
    -2.245 2.245
    """
    mean1, error1, freedom1 = _mean(total, total_of_squares, n)
    mean2, error2, freedom2 = _mean(other_total, other_total_of_squares, other_n)
    error, difference = error1 + error2, mean1 - mean2
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = error**2 / (error1**2 / freedom1 + error2**2 / freedom2)
    half = scipy.stats.t.ppf(0.5 + confidence / 2, freedom) * np.sqrt(error)
    return difference - half, difference + half


def correlation_interval(
    correlation: ArrayLike, n: ArrayLike, *, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return Fisher's interval of Pearson's correlation.

    Parameters
    ----------
    correlation, n : array_like
        The correlations (-1 to 1), and of how many pairs. With fewer than four pairs the interval
        is missing.

    Examples
    --------
    >>> low, high = correlation_interval(0.5, 50)
    >>> print(f"{low:.3f} {high:.3f}")
    0.257 0.683
    """
    r, count = _counts(correlation), _counts(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, half = np.arctanh(r), _z(confidence) / np.sqrt(count - 3)
    half = np.where(count > 3, half, np.nan)
    return np.tanh(middle - half), np.tanh(middle + half)


def ratio_interval(
    total: ArrayLike,
    base: ArrayLike,
    total_of_squares: ArrayLike,
    total_of_products: ArrayLike,
    base_of_squares: ArrayLike,
    n: ArrayLike,
    *,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Return the interval of a ratio of sums over persons, such as revenue an order, from sums.

    Persons are independent, what one person does is not: an interval over orders would be too
    narrow.

    Parameters
    ----------
    total, base : array_like
        Sums of y and of x over n persons; the ratio is total / base.
    total_of_squares, total_of_products, base_of_squares : array_like
        Sums of y y, of y x and of x x over the persons.
    n : array_like
        How many persons; with fewer than two the interval is missing.

    Notes
    -----
    Linearised variance of the ratio estimator (Cochran 1977, Sampling Techniques, section 6.3) with
    Student's quantile of n - 1 degrees of freedom.

    Examples
    --------
    >>> low, high = ratio_interval(60, 6, 1400, 140, 14, 3)  # y = 10 x: nothing varies
    >>> print(f"{low:.1f} {high:.1f}")
    10.0 10.0
    """
    y, x, count = _counts(total), _counts(base), _counts(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = y / x
        residual = (
            _counts(total_of_squares)
            - 2 * ratio * _counts(total_of_products)
            + ratio**2 * _counts(base_of_squares)
        )
        # Rounding may leave a tiny negative sum of squares where all ratios are equal.
        error = np.sqrt(np.maximum(residual, 0) * count / (count - 1)) / np.abs(x)
        half = scipy.stats.t.ppf(0.5 + confidence / 2, count - 1) * error
    half = np.where(count > 1, half, np.nan)
    return ratio - half, ratio + half


def adjusted_difference(
    successes: ArrayLike, trials: ArrayLike, exposed: ArrayLike, alike: ArrayLike
) -> tuple[float, float, int]:
    """Return the difference of two proportions among people who are alike in what is known.

    The ordinary least squares of success (1 or 0) on exposure and on the levels of each column of
    `alike`, over the people whose counts are given. A level that fewer than ten people have is
    taken together with the others of its column that are so rare.

    Parameters
    ----------
    successes, trials : array_like of counts, shape (n,)
        Of people of one kind: `successes` out of `trials`, which is above 0.
    exposed : array_like of 0 and 1, shape (n,)
        Which of the two sides a kind of people is on.
    alike : array_like of int, shape (n, columns)
        What else is known of it: codes of levels.

    Returns
    -------
    difference : float, exposed less other
        Missing where nobody of one side is like anybody of the other.
    error : float
        Its standard error, robust against unequal variances.
    degrees : int
        Of freedom.

    Notes
    -----
    The error is HC3 of MacKinnon and White (1985), Journal of Econometrics 29, 305-325, which for
    one row a person is also robust against clusters of rows by person.

    Examples
    --------
    >>> difference, error, degrees = adjusted_difference([30, 10], [50, 50], [1, 0], [[0], [0]])
    >>> print(f"{difference:.2f} {error:.3f} {degrees}")
    0.40 0.091 98
    """
    x, n = _counts(successes), _counts(trials)
    side = np.asarray(exposed, dtype=np.float64)
    known = _levels(np.asarray(alike), n)
    root = np.sqrt(n)
    # Any basis of what is known will do; one without redundant columns gives the leverages.
    basis, singular, _ = np.linalg.svd(known * root[:, None], full_matrices=False)
    basis = basis[:, singular > singular[0] * 1e-10]
    rest = side * root - basis @ (basis.T @ (side * root))
    size = float(rest @ rest)
    if size < 1e-9:
        return np.nan, np.nan, 0
    y = x / root
    difference = float(rest @ y) / size
    fitted = (basis @ (basis.T @ y) + rest * difference) / root
    leverage = ((basis**2).sum(axis=1) + rest**2 / size) / n
    squares = x * (1 - fitted) ** 2 + (n - x) * fitted**2
    # Whoever is like nobody else is met exactly, and says nothing of the difference.
    squares /= np.maximum(1 - leverage, 1e-6) ** 2
    error = np.sqrt(float((rest**2 / n) @ squares)) / size
    return difference, error, int(n.sum()) - basis.shape[1] - 1


def _levels(alike: NDArray[Any], people: Floats, fewest: int = 10) -> Floats:
    """Return a column of ones, and one for each level of each column but the first."""
    columns = [np.ones(len(people))]
    for codes in alike.T:
        levels, place = np.unique(codes, return_inverse=True)
        place[np.bincount(place, people)[place] < fewest] = len(levels)
        columns += [(place == level).astype(np.float64) for level in np.unique(place)[1:]]
    return np.column_stack(columns)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return the p-values adjusted so that rejecting those below q keeps false discoveries at q.

    Missing p-values stay missing and are not counted as tests.

    Notes
    -----
    Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.04]).round(3).tolist()
    [0.03, 0.03, 0.04]
    """
    p = np.atleast_1d(np.asarray(p_values, dtype=float))
    adjusted = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = scipy.stats.false_discovery_control(p[known], method="bh")
    return adjusted


def _mean(
    total: ArrayLike, total_of_squares: ArrayLike, n: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Return a mean, its squared standard error, and the degrees of freedom of that."""
    s, ss, count = _counts(total), _counts(total_of_squares), _counts(n)
    freedom = np.where(count > 1, count - 1, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Rounding may leave a tiny negative sum of squares where all values are equal.
        error = np.maximum(ss - s**2 / count, 0) / freedom / count
        return s / count, error, freedom


def _counts(values: ArrayLike) -> Floats:
    """Return counts as floats; a missing count (None, NaN, pandas.NA) becomes NaN."""
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy(dtype=float, na_value=np.nan))
    return np.asarray(values, dtype=float)


def _z(confidence: float) -> float:
    return float(scipy.stats.norm.ppf(0.5 + confidence / 2))
