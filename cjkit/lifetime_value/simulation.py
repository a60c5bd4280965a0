"""What will happen, with an honest interval: uncertain parameters *and* chance.

Draws of the parameters alone give intervals that are far too narrow: also with known parameters
nobody knows who will buy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cjkit.lifetime_value.purchase_model import PurchaseModel
from cjkit.lifetime_value.purchases import PurchaseFit, make_model
from cjkit.lifetime_value.spend import SpendFit, make_spend_model
from cjkit.lifetime_value.spend_model import SpendModel
from cjkit.statistics import Floats

DRAWS = 1_000
MOST_SIMULATED = 1_000
DRAWS_OF_GROUPS = 400
MOST_SIMULATED_OF_GROUPS = 300
Places = NDArray[np.intp]


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
    groups: Places | None = None,
) -> list[tuple[Interval, Interval]]:
    """Return the purchases and the money of customers in `steps` steps after their histories.

    A purchase of the k-th step counts `(1 + rate)^-k` of its money. `step` is in the unit of the
    purchase model. Without a spend model the money is unknown. `groups` numbers the group, from 0,
    of each row of the histories: each group has its own pair; without it all are one group.

    Notes
    -----
    Each draw takes parameters from their uncertainty and simulates customers with them. Of many
    customers of a group a sample is simulated: the expectation under the drawn parameters is scaled
    up by the number of customers, what chance adds to it by the square root.
    """
    rng = np.random.default_rng(seed)
    table = purchases.histories.table
    history = purchases.histories.times(purchases.unit)
    weights = table["customers"].to_numpy(float)
    spent = table["repeat_spend"].to_numpy(float) / weights
    horizon, money = steps * step, spend.fitted if spend is not None else None
    group_of = np.zeros(len(table), np.intp) if groups is None else groups

    expected = purchases.fitted.expected_purchases(horizon, *history)
    discounted = purchases.fitted.discounted_purchases(step, steps, rate, *history)
    exact = _sums(expected, _worth(discounted, money, history[0], spent), group_of, weights)

    most = MOST_SIMULATED if groups is None else MOST_SIMULATED_OF_GROUPS
    places = _sample(weights, group_of, most, rng)
    group_of = group_of[places]
    scale = np.bincount(groups, weights)[:, None] if groups is not None else weights.sum()
    scale = scale / np.bincount(group_of)[:, None]
    history = (history[0][places], history[1][places], history[2][places])
    spent, expected, discounted = spent[places], expected[places], discounted[places]
    # The part of an expected purchase that discounting leaves hardly depends on the parameters.
    kept = np.divide(discounted, expected, where=expected > 0, out=np.ones_like(expected))
    centre = _sums(expected, _worth(discounted, money, history[0], spent), group_of)

    draws = DRAWS if groups is None else DRAWS_OF_GROUPS
    totals = np.empty((draws, *exact.shape))
    for place, (model, drawn) in enumerate(_draw_models(purchases, spend, draws, rng)):
        bought = model.simulate(horizon, 1, *history, rng)[:, 0]
        brought = np.full(len(bought), np.nan)
        if drawn is not None:
            rates = drawn.draw_rates(history[0], spent, rng)
            brought = kept * rng.gamma(drawn.p * bought) / rates
        happened = _sums(bought, brought, group_of)
        mean = model.expected_purchases(horizon, *history)
        under = _sums(mean, _worth(mean * kept, drawn, history[0], spent), group_of)
        # Where all customers are simulated, the scale is 1 and this is what happened to them.
        ratio = np.divide(under, centre, where=centre != 0, out=np.ones_like(centre))
        totals[place] = np.where(
            scale > 1, exact * ratio + (happened - under) * np.sqrt(scale), happened
        )
    low, high = np.quantile(totals, [0.025, 0.975], axis=0)
    return [
        (
            Interval(*map(float, (exact[group, 0], low[group, 0], high[group, 0]))),
            Interval(*map(float, (exact[group, 1], low[group, 1], high[group, 1]))),
        )
        for group in range(len(exact))
    ]


def _sums(
    bought: Floats | NDArray[np.int64],
    brought: Floats,
    group_of: Places,
    weights: Floats | None = None,
) -> Floats:
    """Sum purchases and money by group: groups x 2."""
    of_each = 1.0 if weights is None else weights
    return np.stack(
        [np.bincount(group_of, figures * of_each) for figures in (bought, brought)], axis=1
    )


def _worth(purchases: Floats, money: SpendModel | None, repeats: Floats, spent: Floats) -> Floats:
    """Return the expected money of expected purchases; missing without a spend model."""
    if money is None:
        return np.full_like(purchases, np.nan)
    return purchases * money.expected_spend(repeats, spent)


def _sample(weights: Floats, group_of: Places, most: int, rng: np.random.Generator) -> Places:
    """Return the place of each customer's history, or of a sample of a group that is large."""
    sampled = []
    for group in range(int(group_of.max(initial=0)) + 1):
        places = np.flatnonzero(group_of == group)
        own = weights[places]
        if own.sum() <= most:
            sampled.append(np.repeat(places, own.astype(int)))
        else:
            sampled.append(rng.choice(places, most, p=own / own.sum()))
    return np.concatenate(sampled)


def _draw_models(
    purchases: PurchaseFit, spend: SpendFit | None, draws: int, rng: np.random.Generator
) -> list[tuple[PurchaseModel, SpendModel | None]]:
    """Draw the models from the uncertainty of their parameters."""
    assert purchases.estimate is not None  # the caller has asked `fitted` for it
    models = [make_model(v, purchases.model) for v in purchases.estimate.draws(draws, rng)]
    if spend is None or spend.estimate is None:
        return [(model, None) for model in models]
    # A draw whose mean is infinite says nothing of money: others stand in for it.
    drawn = [make_spend_model(v) for v in spend.estimate.draws(4 * draws, rng) if v[1] > 1]
    return [(model, drawn[place % len(drawn)]) for place, model in enumerate(models)]
