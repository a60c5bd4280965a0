import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cjkit.checks import CjkitError
from cjkit.lifetime_value import PurchaseModel, SpendModel
from cjkit.lifetime_value.purchase_model import _WeightedLikelihood, estimate_purchases
from cjkit.lifetime_value.spend_model import estimate_spend


def quadrature(model: PurchaseModel, repeats: float, recency: float, age: float, horizon: float):
    """Integrate likelihood and expected purchases over every customer that there could be."""
    grid = (np.arange(1500) + 0.5) / 1500
    rate = stats.gamma.ppf(grid, model.r, scale=1 / model.alpha)[:, None]
    stop = stats.beta.ppf(grid, model.a, model.b)[None, :]
    survived = repeats + model.modified
    active = (1 - stop) ** survived * rate**repeats * np.exp(-rate * age)
    stopped = (
        stop * (1 - stop) ** (survived - 1) * rate**repeats * np.exp(-rate * recency)
        if survived > 0
        else 0.0
    )
    future = -np.expm1(-rate * stop * horizon) / stop
    likelihood = np.mean(active + stopped)
    buys = np.mean(active * -np.expm1(-rate * horizon)) / likelihood
    return likelihood, np.mean(active * future) / likelihood, np.mean(active) / likelihood, buys


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("history", [(0, 0, 30), (1, 2, 30), (3, 25, 30), (6, 12, 40)])
def test_formulas_agree_with_integrating_over_all_customers(modified, history):
    model = PurchaseModel(1.3, 6.0, 1.6, 2.4, modified)
    likelihood, expected, active, buys = quadrature(model, *history, horizon=20.0)
    assert np.exp(model.log_likelihood(*history)) == pytest.approx(likelihood, rel=2e-3)
    assert model.expected_purchases(20.0, *history) == pytest.approx(expected, rel=2e-3)
    assert model.probability_active(*history) == pytest.approx(active, rel=2e-3)
    assert model.buy_probability(20.0, *history) == pytest.approx(buys, rel=2e-3)


@pytest.mark.parametrize("modified", [False, True])
def test_the_repeat_distribution_adds_up_to_the_expectation(modified):
    model = PurchaseModel(0.4, 5.0, 0.8, 2.4, modified)
    chances = model.repeat_distribution([0.0, 10.0, 60.0], 2000)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-9)
    expected = model.expected_purchases(np.array([10.0, 60.0]), 0, 0, 0)
    np.testing.assert_allclose(chances[1:] @ np.arange(2001), expected, rtol=1e-6)


@pytest.mark.parametrize("modified", [False, True])
def test_simulated_customers_do_what_is_expected(rng, modified):
    model = PurchaseModel(0.8, 5.0, 0.9, 2.4, modified)
    n = 40_000
    history = (np.full(n, 3.0), np.full(n, 20.0), np.full(n, 30.0))
    by_step = model.simulate(6.5, 4, *history, rng)
    counts = by_step.sum(axis=1)
    tolerance = 4 * counts.std() / n**0.5
    assert counts.mean() == pytest.approx(
        float(model.expected_purchases(26.0, 3, 20, 30)), abs=tolerance
    )
    bought = (counts > 0).mean()
    assert bought == pytest.approx(float(model.buy_probability(26.0, 3, 20, 30)), abs=0.01)
    discounted = (by_step @ 1.02 ** -np.arange(1.0, 5)).mean()
    expected = float(model.discounted_purchases(6.5, 4, 0.02, 3, 20, 30))
    assert discounted == pytest.approx(expected, abs=tolerance)


def test_gradients_agree_with_finite_differences(rng):
    x = rng.integers(0, 6, 50).astype(float)
    age = rng.uniform(10, 50, 50)
    recency = np.where(x > 0, age * rng.uniform(0.1, 1, 50), 0)
    weights = rng.integers(1, 9, 50).astype(float)
    values = np.array([0.4, 5.0, 0.8, 2.4])
    for modified in (False, True):
        height = _WeightedLikelihood(x, recency, age, weights, modified)

        steps = 1e-5 * np.eye(4)
        slope = [(height(values + s)[0] - height(values - s)[0]) / 2e-5 for s in steps]
        np.testing.assert_allclose(height(values)[1], slope, rtol=1e-5)
        model = PurchaseModel(*values, modified)
        own = weights @ model.log_likelihood(x, recency, age)
        assert height(values)[0] == pytest.approx(own, rel=1e-12)


def test_weighted_histories_give_what_raw_ones_give(rng):
    x, age = rng.poisson(1.2, 3000).astype(float), rng.integers(20, 60, 3000).astype(float)
    recency = np.where(x > 0, np.ceil(age * rng.uniform(0.1, 1, 3000)), 0)
    raw = estimate_purchases(x, recency, age, np.ones(3000))
    grouped = pd.DataFrame({"x": x, "recency": recency, "age": age}).value_counts().reset_index()
    weighted = estimate_purchases(
        grouped["x"], grouped["recency"], grouped["age"], grouped["count"]
    )
    assert len(grouped) < 2500
    np.testing.assert_allclose(weighted.values, raw.values, rtol=1e-5)
    np.testing.assert_allclose(weighted.covariance, raw.covariance, rtol=1e-3)


@pytest.mark.parametrize("modified", [False, True])
def test_nothing_overflows_for_extreme_histories(modified):
    model = PurchaseModel(0.243, 4.414, 0.793, 2.426, modified)
    repeats = np.array([0, 1, 10, 500, 1000, 3000, 10_000], dtype=float)
    for horizon in (1.0, 39.0, 520.0):
        for recency in (0.5, 38.0, 39.0):
            history = (repeats, np.where(repeats > 0, recency, 0), np.full(7, 39.0))
            for figures in (
                model.log_likelihood(*history),
                model.probability_active(*history),
                model.buy_probability(horizon, *history),
                model.expected_purchases(horizon, *history),
            ):
                assert np.isfinite(figures).all()
            assert (model.expected_purchases(horizon, *history) >= 0).all()
    at_one = PurchaseModel(0.243, 4.414, 1.0, 2.426).expected_purchases(39.0, 2, 30, 39)
    beside = PurchaseModel(0.243, 4.414, 1.001, 2.426).expected_purchases(39.0, 2, 30, 39)
    assert at_one == pytest.approx(float(beside), rel=1e-3)


def simulate_histories(rng, r, alpha, a, b, customers):
    """Simulate customers in continuous time, one by one, as the story of BG/NBD tells it."""
    rows = []
    for age in rng.uniform(20, 78, customers):
        rate, stop = rng.gamma(r) / alpha, rng.beta(a, b)
        times, clock = [], 0.0
        while (clock := clock + rng.exponential(1 / max(rate, 1e-12))) < age:
            times.append(clock)
            if rng.random() < stop:
                break
        rows.append((len(times), times[-1] if times else 0.0, age))
    return np.array(rows).T


def test_true_parameters_are_found_again(rng):
    truth = np.array([0.8, 6.0, 0.9, 2.5])
    histories = simulate_histories(rng, *truth, customers=4000)
    estimate = estimate_purchases(*histories, np.ones(4000), prior_sd=None)
    away = (np.log(estimate.values) - np.log(truth)) / np.sqrt(np.diag(estimate.covariance))
    assert estimate.converged
    assert (np.abs(away) < 3).all()


def test_true_spend_is_found_again(rng):
    truth = SpendModel(6.0, 4.0, 15.0)
    repeats = rng.integers(1, 9, 4000)
    rates = rng.gamma(truth.q, size=4000) / truth.v
    means = rng.gamma(truth.p * repeats) / rates / repeats
    estimate = estimate_spend(repeats, means, np.ones(4000), prior_sd=None)
    density = SpendModel(*estimate.values).log_density(repeats, means)
    assert estimate.log_likelihood == pytest.approx(density.sum())
    away = (np.log(estimate.values) - np.log([6, 4, 15])) / np.sqrt(np.diag(estimate.covariance))
    assert (np.abs(away) < 3).all()
    assert truth.mean == pytest.approx(30)
    assert SpendModel(6, 0.9, 15).mean == np.inf
    drawn = truth.draw_rates(np.full(20_000, 3), np.full(20_000, 120.0), rng)
    assert (truth.p / drawn).mean() == pytest.approx(
        float(truth.expected_spend(3, 120.0)), rel=0.02
    )


def test_a_weak_prior_keeps_small_samples_inside(rng):
    histories = simulate_histories(rng, 0.8, 6.0, 0.9, 2.5, customers=60)
    assert estimate_purchases(*histories, np.ones(60), prior_sd=2.0).converged


def test_a_history_that_cannot_be_is_refused():
    with pytest.raises(CjkitError, match=r"repeats=0, recency=3, age=10"):
        estimate_purchases([0], [3], [10], [1])
    with pytest.raises(CjkitError, match="means above zero"):
        estimate_spend([1], [0.0], [1])
