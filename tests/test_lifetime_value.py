import datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cjkit import privacy
from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, Table, text
from cjkit.lifetime_value import (
    PurchaseModel,
    SpendModel,
    backtest_purchases,
    fit_purchases,
    fit_spend,
    measure_cohort_revenue,
    measure_retention,
    predict_purchases,
    predict_value,
)
from cjkit.lifetime_value.models import (
    _purchase_likelihood,
    estimate_purchases,
    estimate_spend,
)
from cjkit.lifetime_value.simulation import simulate_totals

CDNOW_SPLIT = "1997-10-01"


def build_orders(rows: list[tuple[str | None, str, float]]) -> Table:
    """Build an `orders` table from (customer, day, revenue); negative revenue is a return."""
    frame = pd.DataFrame(rows, columns=["customer_id", "local_date", "revenue"])
    frame["customer_id"] = frame["customer_id"].astype("str")
    frame.loc[frame["customer_id"] == "None", "customer_id"] = None
    engine = DuckDB(threads=1)
    engine.add("raw", frame)
    return engine.materialize(
        "orders",
        "select cast(row_number() over () as varchar) as order_id, customer_id,"
        " cast(local_date as date) as local_date, revenue,"
        " case when revenue < 0 then true when revenue > 0 then false end as is_return from raw",
    )


def days_of(numbers: np.ndarray) -> list[str]:
    """Write day numbers as days of 2024 and on."""
    return [str(day) for day in (np.datetime64("2024-01-01") + numbers.astype(int)).tolist()]


def random_orders(rng: np.random.Generator, customers: int, days: int, lines: int) -> Table:
    """Build orders without a pattern: some of guests, some returns, many on one day."""
    people = [None if k == 0 else f"c{k}" for k in rng.integers(0, customers + 1, lines)]
    revenue = rng.choice([-5.0, 0.0, 10.0, 20.0, 35.5], lines, p=[0.1, 0.05, 0.4, 0.3, 0.15])
    return build_orders(
        list(zip(people, days_of(rng.integers(0, days, lines)), revenue, strict=True))
    )


# ---------------------------------------------------------------- retention


def test_a_customer_comes_back_in_a_later_month_and_counts_once():
    orders = build_orders(
        [
            ("ann", "2024-01-05", 10),
            ("ann", "2024-02-01", 10),
            ("ann", "2024-02-20", 10),
            ("bob", "2024-01-31", 10),
            ("cas", "2024-02-10", 10),
            (None, "2024-02-10", 10),
        ]
    )
    table = measure_retention(orders, until="2024-04-01").table
    found = table.set_index(["cohort", "period_no"])["active"].to_dict()
    january, february, march = (datetime.date(2024, month, 1) for month in (1, 2, 3))
    assert found[january, 0] == 2
    assert found[january, 1] == 1
    assert found[january, 2] == 0
    assert found[february, 0] == 1
    assert march not in set(table["cohort"])


def test_a_month_that_has_not_ended_is_missing_not_low():
    orders = build_orders([("ann", "2024-01-05", 10), ("bob", "2024-01-09", 10)])
    table = measure_retention(orders, until="2024-02-15").table
    assert table["period_no"].tolist() == [0, 1]
    assert table["active"].isna().tolist() == [False, True]
    assert table["repeat_rate"].isna().all()
    assert measure_retention(orders, until="2024-03-01").table["active"].tolist() == [2, 0]


def test_short_data_are_counted_by_week():
    orders = build_orders([("ann", "2024-01-05", 10), ("ann", "2024-01-09", 10)])
    by_week = measure_retention(orders, period=None, until="2024-01-22")
    assert by_week.period == "1W"
    assert by_week.table["active"].tolist() == [1, 1, 0]
    assert measure_retention(orders, period=None, until="2024-09-01").period == "1M"
    assert "too short" in measure_retention(orders, until="2024-01-22").finding("en")


def test_a_return_is_no_purchase_but_lowers_revenue():
    orders = build_orders(
        [("ann", "2024-01-05", 10), ("ann", "2024-02-05", -4), ("bob", "2023-12-31", -9)]
    )
    retention = measure_retention(orders, until="2024-03-01")
    assert retention.table["active"].tolist() == [1, 0]
    revenue = measure_cohort_revenue(orders, until="2024-03-01")
    assert revenue.table["revenue"].tolist() == [10, -4]
    assert revenue.table["revenue_per_customer"].tolist() == [10, 6]
    assert revenue.average["first_revenue_per_customer"].tolist() == [10, 10]


def test_returned_counts_second_days_even_in_the_first_month():
    orders = build_orders(
        [
            ("ann", "2024-01-05", 10),
            ("ann", "2024-01-05", 10),
            ("bob", "2024-01-05", 10),
            ("bob", "2024-01-06", 10),
            ("cas", "2024-01-05", 10),
            ("cas", "2024-02-05", 10),
        ]
    )
    table = measure_retention(orders, until="2024-03-01").table
    assert table["returned"].tolist() == [1, 2]


def slow_cells(orders: Table, until: pd.Timestamp, freq: str) -> pd.DataFrame:
    """Count the triangle customer by customer: slow, and obviously right."""
    lines = orders.engine.query(f"select * from {orders} where customer_id is not null")
    lines["at"] = pd.to_datetime(lines["local_date"]).dt.to_period(freq)
    lines = lines[pd.to_datetime(lines["local_date"]) < until]
    bought = ~lines["is_return"].fillna(False).astype(bool)
    firsts = lines[bought].groupby("customer_id")["at"].min()
    last = (until - pd.Timedelta("1D")).to_period(freq)
    rows = []
    for cohort in sorted(firsts.unique()):
        members = firsts.index[firsts == cohort]
        own = lines[lines["customer_id"].isin(members)]
        for k in range((last - cohort).n + 1):
            at = cohort + k
            if at.end_time.normalize() + pd.Timedelta("1D") > until:
                continue
            spent = [
                own[(own["customer_id"] == c) & (own["at"] >= cohort) & (own["at"] <= at)][
                    "revenue"
                ].sum()
                for c in members
            ]
            buys = own[bought.loc[own.index]]
            active = buys[buys["at"] == at]["customer_id"].nunique()
            seen = buys[buys["at"] <= at].groupby("customer_id")["local_date"].nunique()
            half = (
                stats.t.ppf(0.975, len(spent) - 1) * np.std(spent, ddof=1) / len(spent) ** 0.5
                if len(spent) > 1
                else np.nan
            )
            rows.append((k, len(members), active, (seen > 1).sum(), np.mean(spent), half))
    return pd.DataFrame(rows, columns=["period_no", "n", "active", "returned", "mean", "half"])


@pytest.mark.parametrize(("period", "freq"), [("1M", "M"), ("1W", "W-SUN"), ("1Q", "Q")])
def test_the_triangle_agrees_with_counting_one_by_one(rng, period, freq):
    orders = random_orders(rng, customers=40, days=140, lines=300)
    until = pd.Timestamp("2024-05-13")
    slow = slow_cells(orders, until, freq)
    table = measure_retention(orders, period=period, until=until.date()).table
    fast = table[table["active"].notna()].reset_index(drop=True)
    assert fast["period_no"].tolist() == slow["period_no"].tolist()
    assert fast["customers"].tolist() == slow["n"].tolist()
    assert fast["active"].tolist() == slow["active"].tolist()
    assert fast["returned"].tolist() == slow["returned"].tolist()
    money = measure_cohort_revenue(orders, period=period, until=until.date()).table
    money = money[money["revenue"].notna()]
    np.testing.assert_allclose(money["revenue_per_customer"], slow["mean"], atol=1e-9)
    half = money["revenue_per_customer_high"] - money["revenue_per_customer"]
    np.testing.assert_allclose(half, slow["half"], atol=1e-6)


def test_small_cohorts_are_masked_with_their_rates():
    orders = build_orders(
        [(f"c{k}", "2024-01-05", 10) for k in range(30)] + [("c1", "2024-02-05", 10)]
    )
    masked = privacy.mask(measure_retention(orders, until="2024-03-01"), 5).table
    assert pd.isna(masked["active"].iloc[1])
    assert pd.isna(masked["repeat_rate"].iloc[1])


def test_nobody_bought_is_said_and_not_an_error():
    orders = build_orders([("ann", "2024-01-05", 10)])
    before = {"until": "2023-01-01"}
    assert measure_retention(orders, **before).table.empty
    assert "No known customer" in measure_retention(orders, **before).finding("en")
    assert "顧客が特定できる購入がありません" in measure_cohort_revenue(orders, **before).finding(
        "ja"
    )
    fit = fit_purchases(orders, **before)
    assert "0 of 0 customers" in fit.finding("en")
    assert predict_value(orders, fit, fit_spend(orders, **before)).table.empty
    assert backtest_purchases(orders, split="2022-06-01", **before).table.empty


# ---------------------------------------------------------------- the models


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
    counts, place_of = np.unique(x, return_inverse=True)
    shared = np.bincount(place_of, weights)
    values = np.array([0.4, 5.0, 0.8, 2.4])
    for modified in (False, True):

        def height(at, modified=modified):
            return _purchase_likelihood(at, x, recency, age, weights, counts, shared, modified)

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


# ---------------------------------------------------------------- from orders to forecasts


@pytest.fixture(scope="module")
def shop() -> Table:
    """Return orders of 1,500 customers over two years, simulated, with returns and guests."""
    rng = np.random.default_rng(7)
    rows: list[tuple[str | None, str, float]] = []
    for k in range(1500):
        start, rate, stop = rng.integers(0, 400), rng.gamma(0.8) / 45, rng.beta(0.9, 2.5)
        mean, clock = 6 / rng.gamma(4.0) * 15, 0.0
        times = [0]
        while (clock := clock + rng.exponential(1 / max(rate, 1e-9))) < 731 - start:
            times.append(int(clock))
            if rng.random() < stop:
                break
        for day in sorted(set(times)):
            if start + day < 731:
                when = days_of(np.array([start + day]))[0]
                rows.append((f"c{k}", when, float(np.round(mean * rng.gamma(6) / 6, 2))))
                if rng.random() < 0.04:
                    rows.append((f"c{k}", when, -5.0))
    rows += [(None, "2024-03-01", 99.0)] * 20
    return build_orders(rows)


def slow_histories(orders: Table, until: str) -> pd.DataFrame:
    lines = orders.engine.query(f"select * from {orders} where customer_id is not null")
    lines = lines[lines["revenue"] > 0]
    lines["day"] = pd.to_datetime(lines["local_date"])
    lines = lines[lines["day"] < until]
    rows = []
    for customer, own in lines.groupby("customer_id"):
        days = sorted(own["day"].unique())
        spent = own[own["day"] > days[0]]["revenue"].sum()
        rows.append((customer, len(days) - 1, days[0], days[-1], spent))
    return pd.DataFrame(rows, columns=["customer_id", "repeats", "first", "last", "spent"])


def test_histories_and_scores_agree_with_one_customer_at_a_time(shop):
    until = "2025-06-01"
    slow = slow_histories(shop, until)
    fit = fit_purchases(shop, until=until, unit="1D")
    spend = fit_spend(shop, until=until)
    assert fit.customers == len(slow)
    assert fit.repeat_customers == (slow["repeats"] > 0).sum()
    value = predict_value(shop, fit, spend, months=6, margin=0.4, within="30D")
    scores = shop.engine.query("select * from value_scores order by customer_id")
    slow = slow.sort_values("customer_id")
    end = pd.Timestamp(until) - pd.Timedelta("1D")
    history = (
        slow["repeats"].to_numpy(),
        (slow["last"] - slow["first"]).dt.days.to_numpy(),
        (end - slow["first"]).dt.days.to_numpy(),
    )
    model = fit.fitted
    np.testing.assert_allclose(
        scores["expected_purchases"], model.expected_purchases(6 * 365.25 / 12, *history)
    )
    np.testing.assert_allclose(scores["buy_probability"], model.buy_probability(30, *history))
    mean = spend.fitted.expected_spend(slow["repeats"], slow["spent"])
    discounted = model.discounted_purchases(365.25 / 12, 6, 1.1 ** (1 / 12) - 1, *history)
    np.testing.assert_allclose(
        scores["predicted_value"], 0.4 * spend.kept_share * discounted * mean
    )
    assert value.total.value == pytest.approx(scores["predicted_value"].sum())
    assert value.purchases.value == pytest.approx(scores["expected_purchases"].sum())
    assert value.table["predicted_value"].sum() == pytest.approx(value.total.value)
    assert value.table["customers"].sum() == value.customers
    assert value.table["value_per_customer"].is_monotonic_decreasing
    assert value.total.low < value.total.value < value.total.high


def test_the_unit_of_time_changes_alpha_and_no_forecast(shop):
    weeks, days = (fit_purchases(shop, unit=unit, prior_sd=None) for unit in ("1W", "1D"))
    ratio = days.table["estimate"] / weeks.table["estimate"]
    np.testing.assert_allclose(ratio, [1, 7, 1, 1], rtol=1e-3)
    outlooks = [predict_purchases(fit, within="60D").table for fit in (weeks, days)]
    np.testing.assert_allclose(
        outlooks[0]["buy_probability"], outlooks[1]["buy_probability"], rtol=1e-3
    )


def test_spend_classes_hardly_change_the_fit(shop):
    slow = slow_histories(shop, "2026-01-01")
    slow = slow[slow["repeats"] > 0]
    exact = estimate_spend(slow["repeats"], slow["spent"] / slow["repeats"], np.ones(len(slow)))
    fit = fit_spend(shop, until="2026-01-01")
    assert fit.customers == len(slow)
    assert fit.left_out == 0
    np.testing.assert_allclose(fit.table["estimate"], exact.values, rtol=1e-3)
    correlation = np.corrcoef(slow["repeats"], slow["spent"] / slow["repeats"])[0, 1]
    assert fit.correlation == pytest.approx(correlation, abs=1e-3)
    lines = shop.engine.query("select revenue from orders where customer_id is not null")
    gross = lines["revenue"].clip(lower=0).sum()
    assert fit.kept_share == pytest.approx(lines["revenue"].sum() / gross)
    assert fit.distribution.table["actual_share"].sum() == pytest.approx(0.98, abs=0.01)


def test_the_backtest_agrees_with_one_customer_at_a_time(shop):
    split, until = "2025-04-01", "2026-01-01"
    test = backtest_purchases(shop, split=split, until=until)
    before, whole = slow_histories(shop, split), slow_histories(shop, until)
    both = before.merge(whole, on="customer_id", suffixes=("", "_then"))
    later = (both["repeats_then"] - both["repeats"]).to_numpy(float)
    end = pd.Timestamp(split) - pd.Timedelta("1D")
    weeks = np.array(
        [
            both["repeats"],
            (both["last"] - both["first"]).dt.days / 7,
            (end - both["first"]).dt.days / 7,
        ]
    )
    horizon = (pd.Timestamp(until) - pd.Timestamp(split)).days / 7
    predicted = test.fit.fitted.expected_purchases(horizon, *weeks)
    pace = np.divide(weeks[0], weeks[2], where=weeks[2] > 0, out=np.zeros(len(both))) * horizon
    errors = test.table.set_index("forecast_rule")
    assert test.actual == later.sum()
    assert test.predicted.value == pytest.approx(predicted.sum())
    for rule, guess in (("bg_nbd", predicted), ("same_pace", pace), ("nobody_returns", 0 * pace)):
        row = errors.loc[rule]
        assert row["predicted_purchases"] == pytest.approx(guess.sum())
        assert row["mean_absolute_error"] == pytest.approx(np.abs(guess - later).mean())
        assert row["root_mean_square_error"] == pytest.approx(((guess - later) ** 2).mean() ** 0.5)
    assert test.actual_revenue == pytest.approx((both["spent_then"] - both["spent"]).sum())
    deciles = test.deciles.table
    assert deciles["customers"].sum() == test.customers == len(both)
    assert deciles["predicted_purchases"].is_monotonic_decreasing
    assert deciles["customers"] @ deciles["actual_purchases"] == pytest.approx(later.sum())
    last = test.tracking.table.iloc[-1]
    assert last["actual_total"] <= both["repeats_then"].sum()
    assert test.by_repeats.table["repeats"].tolist()[-1] == "7+"


def test_the_default_split_is_the_middle_at_most_a_year_before_the_end(shop):
    assert backtest_purchases(shop, until="2024-11-01").split == datetime.date(2024, 6, 2)
    assert backtest_purchases(shop, until="2026-01-01").split == datetime.date(2025, 1, 1)


def test_the_interval_of_a_sample_is_that_of_all(shop, monkeypatch):
    fit, spend = fit_purchases(shop), fit_spend(shop)
    options = {"steps": 6, "step": 4.3, "rate": 0.01}
    monkeypatch.setattr("cjkit.lifetime_value.simulation.MOST_SIMULATED", 10_000)
    everyone = simulate_totals(fit, spend, **options)
    monkeypatch.setattr("cjkit.lifetime_value.simulation.MOST_SIMULATED", 500)
    sample = simulate_totals(fit, spend, **options)
    for whole, part in zip(everyone, sample, strict=True):
        assert part.value == whole.value
        width = whole.high - whole.low
        assert part.high - part.low == pytest.approx(width, rel=0.25)
        assert (part.high + part.low) / 2 == pytest.approx(
            (whole.high + whole.low) / 2, abs=0.15 * width
        )


def test_too_few_repeat_customers_are_said_in_both_languages():
    orders = build_orders(
        [(f"c{k}", "2024-01-05", 10) for k in range(200)]
        + [(f"c{k}", "2024-03-05", 10) for k in range(9)]
    )
    fit, spend = fit_purchases(orders), fit_spend(orders)
    assert fit.table.empty
    assert "9 of 200 customers" in fit.finding("en")
    assert "200人中9人" in fit.finding("ja")
    for empty in (
        spend,
        predict_purchases(fit),
        predict_value(orders, fit, spend),
        backtest_purchases(orders),
    ):
        assert empty.table.empty
        assert "not fitted" in empty.finding("en")
    with pytest.raises(CjkitError, match="9 of 200"):
        _ = fit.fitted


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: measure_retention(o, period="2M"), "period='2M' must be one of"),
        (lambda o: measure_retention(o, until="soon"), "until='soon' is not a day"),
        (lambda o: fit_purchases(o, model="bgnbd"), "Did you mean 'bg_nbd'"),
        (lambda o: fit_purchases(o, unit="7"), "has no unit"),
        (lambda o: fit_purchases(o, prior_sd=0), "must be above zero"),
        (lambda o: fit_spend(o, prior_sd=-1), "must be above zero"),
        (lambda o: backtest_purchases(o, split="2027-01-01"), "must be before until"),
        (lambda o: predict_purchases(fit_purchases(o), days_known=0), "must be 1 or more days"),
        (lambda o: predict_value(o, fit_purchases(o), fit_spend(o), margin=40), "such as 0.4"),
        (lambda o: predict_value(o, fit_purchases(o), fit_spend(o), months=0), "whole number"),
        (
            lambda o: predict_value(o, fit_purchases(o), fit_spend(o), annual_discount=-0.1),
            "0 or more",
        ),
        (
            lambda o: predict_value(o, fit_purchases(o), fit_spend(o, until="2025-01-01")),
            "fit both with the same",
        ),
    ],
)
def test_errors_say_what_to_do(shop, call, message):
    with pytest.raises(CjkitError, match=message):
        call(shop)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_result_is_drawn_and_said(shop, language):
    test = backtest_purchases(shop)
    fit = fit_purchases(shop, model="mbg_nbd")
    spend = fit_spend(shop)
    retention = measure_retention(shop)
    for result in (
        retention,
        retention.curve,
        measure_cohort_revenue(shop),
        fit,
        spend,
        predict_purchases(fit),
        predict_value(shop, fit, spend),
        test,
        test.tracking,
        test.by_repeats,
        test.deciles,
    ):
        ax = result.plot(language=language)
        assert ax.has_data()
        assert ax.get_title(loc="left") + ax.get_title() != ""
        said = result.finding(language)
        assert "{" not in said
        assert not said.startswith("finding_")
        plt.close(ax.figure)


# ---------------------------------------------------------------- published figures


@pytest.fixture(scope="module")
def cdnow(real_data: Path) -> Table:
    """Return the purchases of the published CDNOW sample."""
    file = real_data / "cdnow" / "cdnow_sample_1of10.parquet"
    return DuckDB(threads=1).materialize(
        "orders",
        "select cast(customer_id as varchar) as customer_id, amount as revenue, false as is_return,"
        f" cast(date as date) as local_date from read_parquet({text(str(file))})",
    )


@pytest.mark.parametrize(
    ("model", "parameters", "log_likelihood", "total"),
    [
        ("bg_nbd", [0.2426, 4.4135, 0.7929, 2.4258], -9582.429, 1653.4),
        ("mbg_nbd", [0.52484, 6.1830, 0.89136, 1.6140], -9582.136, 1576.7),
    ],
)
def test_cdnow_gives_the_published_purchase_model(cdnow, model, parameters, log_likelihood, total):
    test = backtest_purchases(
        cdnow, split=CDNOW_SPLIT, until="1998-07-01", model=model, unit="1W", prior_sd=None
    )
    np.testing.assert_allclose(test.fit.table["estimate"], parameters, rtol=1e-3)
    assert test.fit.log_likelihood == pytest.approx(log_likelihood, abs=0.01)
    assert (test.customers, test.actual) == (2357, 1882)
    assert test.predicted.value == pytest.approx(total, abs=0.5)


def test_cdnow_backtest_has_the_known_errors(cdnow):
    test = backtest_purchases(cdnow, until="1998-07-01", prior_sd=None)
    assert test.split == datetime.date(1997, 10, 1)
    errors = test.table.set_index("forecast_rule").round(4)
    assert errors.loc["bg_nbd", "root_mean_square_error"] == pytest.approx(1.608, abs=0.001)
    assert errors.loc["bg_nbd", "mean_absolute_error"] == pytest.approx(0.7855, abs=0.0005)
    assert errors.loc["same_pace", "root_mean_square_error"] == pytest.approx(2.212, abs=0.001)
    assert errors.loc["everyone_average", "error_share"] == pytest.approx(0.556, abs=0.001)
    track = test.tracking.table
    assert track["actual_total"].iloc[[38, 77]].tolist() == [2457, 4339]
    assert track["predicted_total"].iloc[38] == pytest.approx(2494.0, abs=0.1)
    assert track["predicted_total"].iloc[77] == pytest.approx(4160.6, abs=0.1)
    groups = test.by_repeats.table
    assert groups["actual_purchases"].round(3).tolist()[:3] == [0.237, 0.697, 1.393]
    assert groups["predicted_purchases"].round(3).tolist()[:3] == [0.225, 0.523, 1.044]
    assert groups["predicted_purchases"].iloc[-1] == pytest.approx(6.157, abs=0.001)


def test_cdnow_gives_the_published_spend_model_and_value(cdnow):
    fit = fit_purchases(cdnow, until=CDNOW_SPLIT, unit="1W", prior_sd=None)
    spend = fit_spend(cdnow, until=CDNOW_SPLIT, prior_sd=None)
    assert spend.customers == 946
    assert spend.table["estimate"].round(2).tolist() == [6.25, 3.74, 15.44]
    value = predict_value(cdnow, fit, spend, annual_discount=1.01**12 - 1)
    assert value.total.value == pytest.approx(71_508, rel=0.001)
    history = fit.histories.times(fit.unit)
    steps = fit.fitted.discounted_purchases(4.345, 12, 0.01, *history)
    table = fit.histories.table
    mean = spend.fitted.expected_spend(table["repeats"], table["repeat_spend"] / table["customers"])
    total = steps * mean @ table["customers"]
    assert total == pytest.approx(71_507.95, rel=1e-4)


def test_cdnow_summary_file_gives_the_published_customers(real_data):
    path = real_data / "cdnow" / "cdnow_summary_sample.parquet"
    summary = DuckDB().query(f"select * from read_parquet({text(str(path))})")
    columns = ["frequency", "recency", "T"]
    grouped = summary.groupby(columns, as_index=False)["ID"].count()
    estimate = estimate_purchases(*grouped[columns].to_numpy().T, grouped["ID"], prior_sd=None)
    assert estimate.values.round(3).tolist() == [0.243, 4.414, 0.793, 2.426]
    assert estimate.log_likelihood == pytest.approx(-9582.43, abs=0.01)
    np.testing.assert_allclose(estimate.standard_errors, [0.0126, 0.378, 0.186, 0.705], rtol=0.01)
    model = PurchaseModel(*estimate.values)
    assert float(model.expected_purchases(39, 2, 30.43, 38.86)) == pytest.approx(1.2259, abs=1e-4)
    assert float(model.probability_active(2, 30.43, 38.86)) == pytest.approx(0.7266, abs=1e-4)
    assert float(model.expected_purchases(39, 26, 30.86, 31)) == pytest.approx(20.750, abs=1e-2)
    assert float(model.probability_active(26, 30.86, 31)) == pytest.approx(0.9689, abs=1e-4)
    new = model.expected_purchases(np.array([39, 52, 104]), 0, 0, 0)
    assert new.round(4).tolist() == [1.1950, 1.4440, 2.1998]
