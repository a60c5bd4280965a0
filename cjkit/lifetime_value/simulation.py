"""What will happen, with an honest interval: uncertain parameters *and* chance.

Draws of the parameters alone give intervals that are far too narrow: also with known parameters
nobody knows who will buy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cjkit.lifetime_value.models import PurchaseModel, SpendModel
from cjkit.lifetime_value.purchases import PurchaseFit, make_model
from cjkit.lifetime_value.spend import SpendFit, make_spend_model
from cjkit.statistics import Floats

DRAWS = 1_000
MOST_SIMULATED = 1_000


class Interval(NamedTuple):
    """An expectation, and the 95% interval that holds what will happen."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """Return it in another measure."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


def simulate_totals(
    purchases: PurchaseFit,
    spend: SpendFit | None,
    *,
    steps: int,
    step: float,
    rate: float = 0.0,
    seed: int = 0,
) -> tuple[Interval, Interval]:
    """Return the purchases and the money of all customers in `steps` steps after their histories.

    A purchase of the k-th step counts `(1 + rate)^-k` of its money. `step` is in the unit of the
    purchase model. Without a spend model the money is unknown.

    Notes
    -----
    Each draw takes parameters from their uncertainty and simulates customers with them. Of many
    customers a sample is simulated: the expectation under the drawn parameters is scaled up by the
    number of customers, what chance adds to it by the square root.
    """
    rng = np.random.default_rng(seed)
    table = purchases.histories.table
    history = purchases.histories.times(purchases.unit)
    weights = table["customers"].to_numpy(float)
    spent = table["repeat_spend"].to_numpy(float) / weights
    horizon, money = steps * step, spend.fitted if spend is not None else None

    expected = purchases.fitted.expected_purchases(horizon, *history)
    discounted = purchases.fitted.discounted_purchases(step, steps, rate, *history)
    exact = np.array([weights @ expected, weights @ _worth(discounted, money, history[0], spent)])

    places = _sample(weights, rng)
    scale = weights.sum() / len(places)
    history = (history[0][places], history[1][places], history[2][places])
    spent, expected, discounted = spent[places], expected[places], discounted[places]
    # The part of an expected purchase that discounting leaves hardly depends on the parameters.
    kept = np.divide(discounted, expected, where=expected > 0, out=np.ones_like(expected))
    centre = np.array([expected.sum(), _worth(discounted, money, history[0], spent).sum()])

    discount = (1 + rate) ** -np.arange(1.0, steps + 1)
    totals = np.empty((DRAWS, 2))
    for place, (model, drawn) in enumerate(_draw_models(purchases, spend, rng)):
        counts = model.simulate(step, steps, *history, rng)
        bought = counts.sum(axis=1)
        happened = np.array([bought.sum(), np.nan])
        if drawn is not None:
            amounts = rng.gamma(drawn.p * bought) / drawn.draw_rates(history[0], spent, rng)
            happened[1] = amounts @ (counts @ discount / np.maximum(bought, 1))
        if scale > 1:
            mean = model.expected_purchases(horizon, *history)
            worth = _worth(mean * kept, drawn, history[0], spent)
            under = np.array([mean.sum(), worth.sum()])
            happened = exact * under / centre + (happened - under) * np.sqrt(scale)
        totals[place] = happened
    low, high = np.quantile(totals, [0.025, 0.975], axis=0)
    bought, brought = (
        Interval(*map(float, figures)) for figures in zip(exact, low, high, strict=True)
    )
    return bought, brought


def _worth(purchases: Floats, money: SpendModel | None, repeats: Floats, spent: Floats) -> Floats:
    """Return the expected money of expected purchases; missing without a spend model."""
    if money is None:
        return np.full_like(purchases, np.nan)
    return purchases * money.expected_spend(repeats, spent)


def _sample(weights: Floats, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the place of each customer's history, or of a sample where there are many."""
    places = np.arange(len(weights))
    if weights.sum() <= MOST_SIMULATED:
        return np.repeat(places, weights.astype(int))
    return rng.choice(places, MOST_SIMULATED, p=weights / weights.sum())


def _draw_models(
    purchases: PurchaseFit, spend: SpendFit | None, rng: np.random.Generator
) -> list[tuple[PurchaseModel, SpendModel | None]]:
    """Draw the models from the uncertainty of their parameters."""
    assert purchases.estimate is not None  # the caller has asked `fitted` for it
    models = [make_model(v, purchases.model) for v in purchases.estimate.draws(DRAWS, rng)]
    if spend is None or spend.estimate is None:
        return [(model, None) for model in models]
    # A draw whose mean is infinite says nothing of money: others stand in for it.
    drawn = [make_spend_model(v) for v in spend.estimate.draws(4 * DRAWS, rng) if v[1] > 1]
    return [(model, drawn[place % len(drawn)]) for place, model in enumerate(models)]
