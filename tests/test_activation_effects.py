"""What a hold-out shows: counted as assigned, and true to a lift that was planted."""

import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from cjkit.activation import measure_hold_out
from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.privacy import mask
from cjkit.statistics import mean_difference_interval

DAY = 86_400_000_000
NAMES = ["customer_id", "experiment", "arm", "assigned_us"]
ORDERS = ["customer_id", "ordered_us", "revenue"]


def make_log(assigned, events, orders):
    """Return a log that ends with day 100 (UTC), of assignments, events and orders."""
    engine = DuckDB(threads=1)
    tables = {
        "assignments": pd.DataFrame(assigned, columns=NAMES),
        "events": pd.DataFrame(events, columns=["customer_id", "event", "occurred_us"]),
        "orders": pd.DataFrame(orders, columns=ORDERS),
    }
    return SimpleNamespace(
        engine=engine,
        as_of=datetime.date(1970, 1, 1) + datetime.timedelta(days=100),
        project=SimpleNamespace(project=SimpleNamespace(time_zone="UTC")),
        **{name: engine.add(name, frame) for name, frame in tables.items()},
    )


@pytest.fixture(scope="module")
def small():
    arms = {"audience": ["a", "b", "c", "late"], "hold_out": ["x", "y"]}
    return make_log(
        [
            (person, "vip", arm, 70 * DAY if person == "late" else 50 * DAY)
            for arm, people in arms.items()
            for person in people
        ]
        + [("z", "other", "audience", 0)],
        [
            ("a", "purchase", 50 * DAY),  # the moment itself counts, the end does not
            ("a", "purchase", 51 * DAY),
            ("b", "purchase", 80 * DAY),
            ("c", "view", 60 * DAY),
            ("x", "purchase", 50 * DAY - 1),
            ("y", "purchase", 80 * DAY - 1),
            ("late", "purchase", 69 * DAY),
            ("z", "purchase", 60 * DAY),
        ],
        [
            ("a", 50 * DAY, 300.0),
            ("a", 52 * DAY, -60.0),  # a return
            ("b", 80 * DAY, 999.0),
            ("x", 50 * DAY - 1, 999.0),
            ("y", 79 * DAY, 50.0),
            ("z", 60 * DAY, 999.0),
        ],
    )


def test_people_count_as_assigned_for_the_time_given(small):
    found = measure_hold_out(small, "vip", within="30D")
    assert found.unfinished == 0
    table = found.table.set_index("measure")
    assert table["audience_people"].tolist() == [4, 4]  # who did nothing is one of them
    assert table["hold_out_people"].tolist() == [2, 2]
    assert table["audience_converted"].tolist() == [1, 1]  # b is too late, late too early
    assert table["hold_out_converted"].tolist() == [1, 1]
    assert table["audience"].tolist() == [0.25, 60.0]
    assert table["hold_out"].tolist() == [0.5, 25.0]
    assert table["difference"].tolist() == [-0.25, 35.0]


def test_whose_time_is_not_over_is_in_no_figure(small):
    found = measure_hold_out(small, "vip", within="31D")
    assert found.unfinished == 1
    assert found.table["audience_people"].tolist() == [3, 3]
    assert found.table["audience_converted"].tolist() == [2, 2]  # b is in time now


def test_small_cells_take_what_rests_on_them_with_them(small):
    shown = mask(measure_hold_out(small, "vip"), 3).table
    hidden = ["hold_out_people", "audience", "hold_out", "difference", "difference_low"]
    assert shown[hidden].isna().all(axis=None)
    assert "hidden" in mask(measure_hold_out(small, "vip"), 3).finding("en").lower()


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ("vup", {}, "Did you mean 'vip'"),
        ("vip", {"conversion": "purchases"}, "Did you mean 'purchase'"),
        ("vip", {"arms": ("audience", "control")}, "'control' is not in experiment 'vip'"),
        ("vip", {"within": "60D"}, "Nobody of arm 'audience' was assigned 60D or more before"),
        ("vip", {"within": 30}, "has no unit"),
    ],
)
def test_errors_say_what_to_do(small, asked, options, message):
    with pytest.raises(CjkitError, match=message):
        measure_hold_out(small, asked, **options)


def test_a_planted_lift_lies_in_the_intervals(rng):
    """Of 40 tests with a lift of 12 points, and 120 of revenue, about 38 intervals hold it."""
    tests, people = 40, 600
    test = np.repeat(np.arange(tests), people)
    arm = np.where(rng.random(test.size) < 0.3, "hold_out", "audience")
    rate = np.where(arm == "audience", 0.32, 0.2)
    buys = rng.random(test.size) < rate
    who = np.array([f"c{number}" for number in range(test.size)])
    amount = rng.gamma(4, 250, test.size)  # 1,000 on average
    log = make_log(
        [(person, f"t{n}", which, 0) for person, n, which in zip(who, test, arm, strict=True)],
        [(person, "purchase", DAY) for person in who[buys]],
        [(person, DAY, money) for person, money in zip(who[buys], amount[buys], strict=True)],
    )
    found = [measure_hold_out(log, f"t{number}").table for number in range(tests)]
    for place, truth in enumerate([0.12, 120.0]):
        rows = pd.DataFrame([table.iloc[place] for table in found])
        held = (rows["difference_low"] <= truth) & (truth <= rows["difference_high"])
        assert 34 <= held.sum() <= 40
        assert abs(rows["difference"].astype(float).mean() - truth) < truth / 8
        assert (rows["difference_low"] > 0).mean() > 0.4  # and a lift is seen


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_speaks_and_draws_in_both_languages(small, language):
    found = measure_hold_out(small, "vip")
    assert "50.0%" in found.finding(language)
    ax = found.plot(language=language)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == {
        "en": ["Audience", "Held out"],
        "ja": ["配信対象", "対照群"],
    }[language]


def test_welchs_interval_is_that_of_scipy(rng):
    for _ in range(20):
        one = rng.gamma(2, 3, rng.integers(2, 30))
        other = rng.normal(4, rng.uniform(0.1, 9), rng.integers(2, 30))
        sums = [(side.sum(), (side**2).sum(), side.size) for side in (one, other)]
        expected = scipy.stats.ttest_ind(one, other, equal_var=False).confidence_interval()
        assert mean_difference_interval(*sums[0], *sums[1]) == pytest.approx(tuple(expected))
    assert np.isnan(mean_difference_interval(3, 9, 1, 15, 55, 5)).all()
