"""Buy-till-you-die models: how often customers buy until they silently stop, and for how much.

Pure numpy and scipy on arrays that hold one element for each *distinct* history and how many
customers share it: a fit on a million customers is a fit on a few ten thousand weighted histories.

A history is `repeats` (purchase days after the first), `recency` (time from the first purchase day
to the last, 0 without a repeat) and `age` (time from the first purchase day to the end of the
observation), all in one unit of time of the caller's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, digamma, expit, gammaln, hyp2f1

from cjkit.checks import CjkitError
from cjkit.lifetime_value.estimation import Estimate, maximise
from cjkit.statistics import Floats

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class PurchaseModel:
    """BG/NBD, or MBG/NBD: a customer buys at their own rate and may stop after each purchase.

    Rates differ among customers by a gamma distribution (shape `r`, rate `alpha` in units of time),
    chances to stop by a beta distribution (`a`, `b`). With `modified`, a customer may also stop
    right after the first purchase, which BG/NBD excludes.

    Methods take arrays of equal length (or numbers): one element for each history, as the module
    says. `repeats=0, recency=0, age=0` is a new customer.

    Notes
    -----
    BG/NBD: Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science
    24(2), 275-284. MBG/NBD: Batislam, Denizel and Filiztekin (2007), International Journal of
    Research in Marketing 24(3), 201-209.

    Examples
    --------
    With the published parameters (weeks), a customer of 38.86 weeks who bought twice more, last
    after 30.43 weeks, is expected to buy so often in the next 39 weeks:

    >>> model = PurchaseModel(r=0.243, alpha=4.414, a=0.793, b=2.426)
    >>> print(f"{model.expected_purchases(39, 2, 30.43, 38.86):.2f}")
    1.23
    """

    r: float
    alpha: float
    a: float
    b: float
    modified: bool = False

    def log_likelihood(self, repeats: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Floats:
        """Return the log-likelihood of each history (equation 6 of Fader, Hardie and Lee)."""
        x, tx, t = _arrays(repeats, recency, age)
        return np.asarray(
            gammaln(self.r + x)
            - gammaln(self.r)
            + betaln(self.a, self.b + x + self.modified)
            - betaln(self.a, self.b)
            + self.r * np.log(self.alpha)
            - (self.r + x) * np.log(self.alpha + t)
            + np.logaddexp(0, self._log_odds_stopped(x, tx, t))
        )

    def probability_active(self, repeats: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Floats:
        """Return the probability that a customer has not stopped.

        Data cannot tell BG/NBD from MBG/NBD, which differ widely here: show
        `buy_probability` to readers, which can be held against what happened.
        """
        return np.asarray(expit(-self._log_odds_stopped(*_arrays(repeats, recency, age))))

    def buy_probability(
        self, horizon: ArrayLike, repeats: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> Floats:
        """Return the probability of a purchase within `horizon` after the observation.

        Exact: who is active stops only after a purchase, so the next one comes at the customer's
        rate, whose posterior is gamma.
        """
        x, _, t = _arrays(repeats, recency, age)
        end = self.alpha + t + np.asarray(horizon, dtype=float)
        waits = (self.r + x) * (np.log(self.alpha + t) - np.log(end))
        return np.asarray(self.probability_active(repeats, recency, age) * -np.expm1(waits))

    def expected_purchases(
        self, horizon: ArrayLike, repeats: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> Floats:
        """Return the expected purchases within `horizon` after the observation (equation 10).

        Notes
        -----
        The paper's 2F1(r + x, b + x; a + b + x - 1; z) overflows from about 500 repeats. Euler's
        transformation takes `x` out of its numerator parameters; nothing overflows then.
        """
        x, tx, t = _arrays(repeats, recency, age)
        a = self.a if abs(self.a - 1) > 1e-7 else 1 + 1e-7  # at 1 the expression is 0 / 0
        c = a + self.b + x + self.modified - 1
        share = (self.alpha + t) / (self.alpha + t + np.asarray(horizon, dtype=float))
        series = hyp2f1(a - 1, a + self.b + self.modified - 1 - self.r, c, 1 - share)
        if_active = c / (a - 1) * (1 - share ** (a - 1) * series)
        return np.asarray(if_active * self.probability_active(x, tx, t))

    def discounted_purchases(
        self,
        step: float,
        steps: int,
        rate: float,
        repeats: ArrayLike,
        recency: ArrayLike,
        age: ArrayLike,
    ) -> Floats:
        """Return the expected purchases of `steps` steps, each discounted by `rate` a step.

        A purchase of the k-th step counts `(1 + rate)^-k`.
        """
        before = np.zeros(np.broadcast(repeats, recency, age).shape)
        total = np.zeros_like(before)
        for k in range(1, steps + 1):
            until = self.expected_purchases(k * step, repeats, recency, age)
            total += (until - before) * (1 + rate) ** -k
            before = until
        return total

    def repeat_distribution(self, age: ArrayLike, most: int) -> Floats:
        """Return the probability of 0, 1, ..., `most` repeats at each `age` (equation 8).

        Shape: ages x (most + 1).
        """
        t = np.asarray(age, dtype=float)[:, None]
        x = np.arange(most + 1.0)
        survived = x + self.modified  # the chances to stop that x repeats have survived
        log_count = (
            gammaln(self.r + x)
            - gammaln(self.r)
            - gammaln(x + 1)
            + self.r * (np.log(self.alpha) - np.log(self.alpha + t))
            + x * np.log(t / (self.alpha + t), where=t > 0, out=np.full_like(t, -1e300))
        )
        count = np.exp(np.where((t == 0) & (x == 0), 0.0, log_count))
        more = 1 - np.cumsum(count, axis=1) + count  # x purchases or more, had nobody stopped
        still = np.exp(betaln(self.a, self.b + survived) - betaln(self.a, self.b))
        stop = np.exp(
            betaln(self.a + 1, self.b + np.maximum(survived, 1) - 1) - betaln(self.a, self.b)
        )
        return np.asarray(still * count + np.where(survived > 0, stop, 0) * more)

    def simulate(
        self,
        step: float,
        steps: int,
        repeats: ArrayLike,
        recency: ArrayLike,
        age: ArrayLike,
        rng: np.random.Generator,
    ) -> Counts:
        """Draw the purchases of each customer in each of `steps` steps after the observation.

        Who is active buys at a steady pace, and stops for good after a number of purchases that is
        geometric: what they buy is the smaller of the two. Shape: customers x steps.
        """
        x, tx, t = _arrays(repeats, recency, age)
        pace = rng.gamma(self.r + x) / (self.alpha + t)
        stop = np.maximum(rng.beta(self.a, self.b + x + self.modified), 1e-12)
        is_active = rng.random(len(x)) < self.probability_active(x, tx, t)
        most = np.where(is_active, rng.geometric(stop), 0)
        at_pace = np.cumsum(rng.poisson(pace[:, None] * step, (len(x), steps)), axis=1)
        return np.diff(np.minimum(at_pace, most[:, None]), axis=1, prepend=0)

    def _log_odds_stopped(self, x: Floats, tx: Floats, t: Floats) -> Floats:
        survived = x + self.modified
        odds = (
            np.log(self.a)
            - np.log(self.b + np.maximum(survived, 1) - 1)
            + (self.r + x) * (np.log(self.alpha + t) - np.log(self.alpha + tx))
        )
        return np.where(survived > 0, odds, -np.inf)


def estimate_purchases(
    repeats: ArrayLike,
    recency: ArrayLike,
    age: ArrayLike,
    customers: ArrayLike,
    *,
    modified: bool = False,
    prior_sd: float | None = 2.0,
) -> Estimate:
    """Fit `PurchaseModel` by maximum likelihood to histories, each shared by so many `customers`.

    Raises
    ------
    CjkitError
        Unless 0 <= recency <= age, and recency is 0 exactly where there is no repeat.
    """
    x, tx, t = _arrays(repeats, recency, age)
    w = np.asarray(customers, dtype=float)
    wrong = (x < 0) | (tx < 0) | (tx > t) | ((x == 0) != (tx == 0))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise CjkitError(
            f"The history repeats={x[place]:g}, recency={tx[place]:g}, age={t[place]:g} is none: "
            "it needs 0 <= recency <= age, and recency 0 exactly where there is no repeat."
        )
    # The gamma functions need each distinct number of repeats once only.
    counts, place_of = np.unique(x, return_inverse=True)
    shared = np.asarray(np.bincount(place_of, w), dtype=float)

    def objective(values: Floats) -> tuple[float, Floats]:
        return _purchase_likelihood(values, x, tx, t, w, counts, shared, modified)

    pace = 0.5 * float(w @ t) / max(float(w @ x), 1.0)
    return maximise(
        objective,
        ("r", "alpha", "a", "b"),
        [0.5, max(pace, 1e-3), 1.0, 2.0],
        customers=float(w.sum()),
        prior_sd=prior_sd,
    )


def _purchase_likelihood(
    values: Floats,
    x: Floats,
    tx: Floats,
    t: Floats,
    w: Floats,
    counts: Floats,
    shared: Floats,
    modified: bool,
) -> tuple[float, Floats]:
    """Return the weighted log-likelihood and its gradient by r, alpha, a, b."""
    r, alpha, a, b = values
    model = PurchaseModel(r, alpha, a, b, modified)
    odds = model._log_odds_stopped(x, tx, t)
    stopped = w * expit(odds)
    active = w - stopped
    log_t, log_tx = np.log(alpha + t), np.log(alpha + tx)
    n, survived = shared.sum(), counts + modified
    height = (
        shared @ (gammaln(r + counts) - gammaln(r) + betaln(a, b + survived) - betaln(a, b))
        + n * r * np.log(alpha)
        - w @ ((r + x) * log_t)
        + w @ np.logaddexp(0, odds)
    )
    both = shared @ (digamma(a + b) - digamma(a + b + survived))
    last = np.maximum(x + modified, 1) - 1  # stopped before this chance was survived
    slope = np.array(
        [
            shared @ (digamma(r + counts) - digamma(r))
            + n * np.log(alpha)
            - active @ log_t
            - stopped @ log_tx,
            n * r / alpha - (r + x) @ (active / (alpha + t) + stopped / (alpha + tx)),
            both + stopped.sum() / a,
            both
            + shared @ (digamma(b + survived) - digamma(b))
            - stopped @ np.where(x + modified > 0, 1 / (b + last), 0),
        ]
    )
    return float(height), slope


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

    def objective(values: Floats) -> tuple[float, Floats]:
        p, q, v = values
        log_total = np.log(x * m + v)
        shape = digamma(p * x + q)
        slopes = (
            x * (shape - digamma(p * x) + np.log(x * m) - log_total),
            shape - digamma(q) + np.log(v) - log_total,
            q / v - (p * x + q) / (x * m + v),
        )
        height = w @ SpendModel(p, q, v).log_density(x, m)
        return float(height), np.array([w @ slope for slope in slopes])

    start = [2.0, 3.0, (w @ m) / w.sum()]
    return maximise(objective, ("p", "q", "v"), start, customers=w.sum(), prior_sd=prior_sd)


def _arrays(
    repeats: ArrayLike, recency: ArrayLike, age: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    return (
        np.asarray(repeats, dtype=float),
        np.asarray(recency, dtype=float),
        np.asarray(age, dtype=float),
    )
