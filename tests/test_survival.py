import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_masking import follows

from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.lifetime_value import fit_renewals, measure_survival
from cjkit.lifetime_value.life_table import compare_survival, survive
from cjkit.lifetime_value.renewal_model import RenewalModel, estimate_renewals
from cjkit.privacy import mask
from conftest import build_log, prepare_events

# Fader and Hardie (2007): customers of two segments who are still there after 0, 1, ... years.
HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394]
REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173]
YEAR = 365
HOUR_US = 3_600_000_000
START_US = 1_104_505_200_000_000  # 2005-01-01 in Tokyo


def contracts(kept: list[int], *, segment: str = "", years: int = 12) -> pd.DataFrame:
    """Write the events of customers who begin together and leave as `kept` says."""
    year = np.repeat(np.arange(1, years + 1), -np.diff(kept[: years + 1]))
    who = [f"{segment}{k}" for k in range(kept[0])]
    began = pd.DataFrame({"customer_id": who, "event": "subscribe", "hours": 0})
    ended = {"customer_id": who[: len(year)], "event": "cancel", "hours": year * YEAR * 24}
    return pd.concat([began, pd.DataFrame(ended)])


def events_of(rows: pd.DataFrame) -> Table:
    engine = build_log("nobody: view 0h").engine
    rows = rows.assign(occurred_us=START_US + rows["hours"] * HOUR_US)
    table = prepare_events(engine, rows.drop(columns="hours").reset_index(drop=True))
    customers = rows[["customer_id"]].drop_duplicates()
    engine.add("customers", customers.assign(segment=customers["customer_id"].str[:1]))
    return table


def observe(rows: pd.DataFrame, until: str = "2016-12-30", **options):
    """Measure; by default up to the day on which the twelfth year ends."""
    return measure_survival(
        events_of(rows), start="subscribe", end="cancel", until=until, **options
    )


def test_a_contract_is_lost_censored_or_not_begun():
    rows = pd.DataFrame(
        [
            ("ann", "subscribe", 0),
            ("ann", "cancel", 24 * 10),
            ("bob", "cancel", 0),
            ("bob", "subscribe", 24 * 5),
            ("cas", "cancel", 24),
            ("dee", "subscribe", 0),
            ("dee", "cancel", 24 * 40),
            ("dee", "subscribe", 24 * 50),
        ],
        columns=["customer_id", "event", "hours"],
    )
    found = observe(rows, until="2005-03-02")  # day 0 is 2005-01-01, the last day is day 59
    assert found.table["lost"].tolist() == [1, 1]
    assert found.table["censored"].tolist() == [0, 1]
    assert found.table["at_risk"].tolist() == [3, 2]
    assert found.table["survival_rate"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert observe(rows, until="2005-01-20").table["censored"].tolist() == [2]


def test_survival_agrees_with_scipy(rng):
    times, is_lost = rng.integers(1, 30, 400), rng.random(400) < 0.6
    table = pd.DataFrame({"t": times, "lost": is_lost, "censored": ~is_lost}).groupby("t").sum()
    _, survival, low, high = survive(table["lost"], table["censored"])
    data = stats.CensoredData(uncensored=times[is_lost], right=times[~is_lost])
    other = stats.ecdf(data).sf
    np.testing.assert_allclose(survival, other.evaluate(table.index))
    limits = other.confidence_interval(method="log-log")
    np.testing.assert_allclose(low, limits.low.evaluate(table.index), rtol=1e-5)
    np.testing.assert_allclose(high, limits.high.evaluate(table.index), rtol=1e-5)


def count(times, is_lost, group, groups: int, longest: int):
    """Count the lost and the censored by time and group, one cell after another."""
    return tuple(
        np.array(
            [
                [((times == t) & of & (group == g)).sum() for g in range(groups)]
                for t in range(longest)
            ],
            dtype=float,
        )
        for of in (is_lost, ~is_lost)
    )


def test_the_comparison_agrees_with_scipy_on_two_groups(rng):
    is_lost, group = rng.random(300) < 0.7, rng.integers(0, 2, 300)
    times = rng.integers(1, 30, 300) + 2 * group
    x, y = (
        stats.CensoredData(
            uncensored=times[is_lost & (group == g)], right=times[~is_lost & (group == g)]
        )
        for g in (0, 1)
    )
    known = stats.logrank(x, y).pvalue
    assert compare_survival(*count(times, is_lost, group, 2, 40)) == pytest.approx(known, rel=1e-9)
    with_an_empty_group = count(times, is_lost, group, 3, 40)
    assert compare_survival(*with_an_empty_group) == pytest.approx(known, rel=1e-9)


def test_groups_that_are_alike_rarely_differ(rng):
    found = []
    for _ in range(200):
        times, group = rng.geometric(0.1, 120), rng.integers(0, 3, 120)
        found.append(compare_survival(*count(np.minimum(times, 15), times < 15, group, 3, 16)))
    assert 2 <= (np.array(found) < 0.05).sum() <= 20


def test_the_published_renewal_models_come_out():
    for kept, alpha, beta, likelihood in (
        (HIGH_END, 0.668, 3.806, -1611.158),
        (REGULAR, 0.704, 1.182, -1680.265),
    ):
        found = estimate_renewals(-np.diff(kept[:8]), np.r_[np.zeros(6), kept[7]])
        np.testing.assert_allclose(found.values, [alpha, beta], atol=6e-4)
        assert found.log_likelihood == pytest.approx(likelihood, abs=0.001)


def test_events_of_contracts_give_the_published_model_and_its_back_test():
    survival = observe(contracts(HIGH_END), period=f"{YEAR}D")
    rates = survival.table["survival_rate"]
    np.testing.assert_allclose(rates, np.array(HIGH_END[1:]) / 1000)
    seven = survival.table.iloc[6]
    assert seven["survival_rate_low"] == pytest.approx(0.45964, abs=1e-4)
    assert seven["survival_rate_high"] == pytest.approx(0.52156, abs=1e-4)
    fit = fit_renewals(survival, periods=7, prior_sd=None)
    assert fit.table["estimate"].round(3).tolist() == [0.668, 3.806]
    last = fit.forecast.iloc[11]
    assert last["predicted_survival"] == pytest.approx(0.3780, abs=1e-4)
    assert last["actual_survival"] == pytest.approx(0.394)
    whole = fit_renewals(survival, periods=12, prior_sd=None)
    expected = estimate_renewals(-np.diff(HIGH_END), np.r_[np.zeros(11), HIGH_END[12]])
    np.testing.assert_allclose(whole.table["estimate"], expected.values, rtol=1e-6)


def staggered(rng, customers: int, leaves: float) -> pd.DataFrame:
    """Write contracts that begin within a year and end after a geometric number of weeks."""
    who = [f"{'ab'[k % 2]}{k}" for k in range(customers)]
    began = rng.integers(0, 360, customers) * 24
    ended = began + rng.geometric(leaves, customers) * 7 * 24
    both = (("subscribe", began), ("cancel", ended))
    rows = [pd.DataFrame({"customer_id": who, "event": name, "hours": at}) for name, at in both]
    return pd.concat(rows).query("hours < 9600")


@pytest.mark.parametrize("by", [None, "segment"])
def test_few_losses_do_not_follow_from_what_is_seen(rng, by):
    """A reader solves for what is hidden from who is still at risk and from how survival falls."""
    hidden_small = 0
    for leaves in (0.01, 0.03):
        found = observe(staggered(rng, 300, leaves), until="2006-02-05", by=by)
        masked = mask(found, 5).table
        for group, exact in found.table.groupby("group"):
            seen = masked[masked["group"] == group]
            n = len(exact)
            here, before = np.arange(n), np.arange(n - 1)
            goes, falls = np.zeros((2, n, 4, n))  # at risk, lost, censored, lost so far
            goes[here, 0, here], goes[before, 0, before + 1] = 1, -1
            goes[here, 1, here] = goes[here, 2, here] = -1
            falls[here, 3, here], falls[before + 1, 3, before] = 1, -1
            falls[here, 1, here] = -1
            equations = np.concatenate([goes, falls]).reshape(2 * n, 4 * n)
            names = ["at_risk", "lost", "censored", "survival_rate"]
            hidden = seen[names].isna().to_numpy().T.ravel()
            counts = exact[names[:3]].to_numpy().T.ravel()
            small = np.flatnonzero((counts > 0) & (counts < 5))
            assert hidden[small].all()
            assert not set(follows(equations, hidden)) & set(small)
            hidden_small += len(small)
    assert hidden_small >= 10


def test_a_model_says_and_draws_no_survival_that_is_hidden():
    survival = observe(contracts([400, 397, *range(340, 230, -10)]), period="365D")
    fit = mask(fit_renewals(survival), 5)
    assert 1 not in fit.forecast["period_no"].tolist()
    assert mask(survival, 5).table["survival_rate"].isna().iloc[0]
    assert len(fit.plot().lines[0].get_xdata()) == len(fit.forecast) + 1
    assert mask(fit_renewals(survival), 1000).finding().startswith("No period could be held out")


def test_segments_that_differ_are_told_apart():
    both = pd.concat([contracts(HIGH_END, segment="h"), contracts(REGULAR, segment="r")])
    found = observe(both, by="segment", period=f"{YEAR}D")
    assert found.table.groupby("group")["at_risk"].max().to_dict() == {"h": 1000, "r": 1000}
    assert found.p_value < 1e-6
    assert "differ" in found.finding("en")
    with pytest.raises(CjkitError, match="without `by`"):
        fit_renewals(found)


def test_the_renewal_model_is_that_of_simulated_customers(rng):
    alpha, beta = 0.7, 2.0
    tenure = rng.geometric(np.maximum(rng.beta(alpha, beta, 20_000), 1e-12))
    lost = np.bincount(np.minimum(tenure, 11), minlength=12)[1:11]
    found = estimate_renewals(lost, np.r_[np.zeros(9), (tenure > 10).sum()])
    away = (np.log(found.values) - np.log([alpha, beta])) / np.sqrt(np.diag(found.covariance))
    assert (np.abs(away) < 3).all()
    model = RenewalModel(alpha, beta)
    begun = np.minimum(tenure[tenure > 3] - 3 - 1, 6)
    assert model.expected_periods(3, 6) == pytest.approx(begun.mean(), abs=0.05)
    discounted = np.cumsum(np.r_[0, 1.1 ** -np.arange(1.0, 7)])[begun]
    assert model.expected_periods(3, 6, 0.1) == pytest.approx(discounted.mean(), abs=0.05)


def test_a_business_without_contracts_is_said_and_not_an_error():
    found = measure_survival(build_log("ann: view 0h"), start=None, end=None)
    assert found.table.empty
    assert "contract" in found.finding("en")
    assert fit_renewals(found).finding("ja") == found.finding("ja")


def test_days_before_the_first_contract_are_said_and_not_an_error():
    found = observe(contracts([100, 95, 90], years=2), until="2004-01-01")
    assert "Nobody has begun" in found.finding("en")
    assert found.table.empty


def test_few_losses_give_no_model():
    found = observe(contracts([100, 95, 90], years=2), period=f"{YEAR}D")
    fit = fit_renewals(found)
    assert "not fitted" in fit.finding("en")
    with pytest.raises(CjkitError, match="not fitted"):
        _ = fit.fitted
    with pytest.raises(CjkitError, match="must be between 1 and 12"):
        fit_renewals(found, periods=40)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_pictures_and_findings(language):
    survival = observe(contracts(HIGH_END), period=f"{YEAR}D")
    for result in (survival, fit_renewals(survival)):
        assert result.plot(language=language).has_data()
        assert "{" not in result.finding(language)
    with pytest.raises(CjkitError, match="Did you mean 'cancel'"):
        measure_survival(events_of(contracts(HIGH_END)), start="subscribe", end="cancl")
