import datetime

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from value_shop import build_orders, random_orders

from cjkit import privacy
from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.lifetime_value import (
    measure_cohort_revenue,
    measure_day_retention,
    measure_retention,
)


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
    assert revenue.average.table["first_revenue_per_customer"].tolist() == [10, 10]


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


def test_a_curve_of_too_few_people_says_that_it_is_hidden():
    orders = build_orders([("ann", "2024-01-05", 10), ("ann", "2024-02-20", 10)])
    privacy.set_min_cell(5)
    curve = privacy.mask(measure_retention(orders, until="2024-04-01").curve)
    assert curve.finding("en") == "Too few people: all figures are hidden."
    assert curve.latest["customers"] == 0
    curve.plot()


def test_small_cohorts_are_masked_with_their_rates():
    orders = build_orders(
        [(f"c{k}", "2024-01-05", 10) for k in range(30)] + [("c1", "2024-02-05", 10)]
    )
    masked = privacy.mask(measure_retention(orders, until="2024-03-01"), 5).table
    assert pd.isna(masked["active"].iloc[1])
    assert pd.isna(masked["repeat_rate"].iloc[1])


# ---------------------------------------------------------------- by each customer's own clock


def slow_day_rates(orders: Table, until: pd.Timestamp, kind: str, days: list[int]):
    """Ask each customer in turn: slow, and obviously right."""
    lines = orders.engine.query(f"select * from {orders} where customer_id is not null")
    lines["day"] = pd.to_datetime(lines["local_date"])
    lines = lines[~lines["is_return"].fillna(False).astype(bool) & (lines["day"] < until)]
    found = []
    for before, day in zip([0, *days[:-1]], days, strict=True):
        seen = back = 0
        for _, own in lines.groupby("customer_id"):
            since = (own["day"] - own["day"].min()).dt.days
            if (until - pd.Timedelta("1D") - own["day"].min()).days < day:
                continue
            seen += 1
            back += {
                "n_day": (since == day).any(),
                "unbounded": (since >= day).any(),
                "bracket": ((since > before) & (since <= day)).any(),
                "cumulative": ((since >= 1) & (since <= day)).any(),
            }[kind]
        found.append((seen, back))
    return found


@pytest.mark.parametrize("kind", ["n_day", "unbounded", "bracket", "cumulative"])
def test_day_retention_agrees_with_asking_each_customer(rng, kind):
    orders = random_orders(rng, customers=60, days=150, lines=260)
    until, days = pd.Timestamp("2024-05-20"), [1, 5, 30, 75]
    found = measure_day_retention(orders, days, kind=kind, until=until.date())
    counts = found.table[["customers", "returned"]].itertuples(index=False, name=None)
    assert list(counts) == slow_day_rates(orders, until, kind, days)
    by_cohort = measure_day_retention(orders, days, kind=kind, period="1M", until=until.date())
    sums = by_cohort.table.groupby("day")[["customers", "returned"]].sum()
    assert sums.to_numpy().tolist() == found.table[["customers", "returned"]].to_numpy().tolist()
    for result in (found, by_cohort):
        for language in ("en", "ja"):
            assert result.plot(language=language).has_data()
            assert "{" not in result.finding(language)


def test_day_retention_of_events_counts_the_event_that_is_named(event_log):
    events = event_log("ann: view 0h, buy 30h, view 60h\nbob: view 0h, view 1h, view 49h")
    options = {"kind": "cumulative", "until": "2024-01-04"}
    assert measure_day_retention(events, [1, 2], **options).table["returned"].tolist() == [1, 2]
    only = measure_day_retention(events, [1, 2], event="view", **options)
    assert only.table["returned"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": []}, "whole days of 1 or more, rising"),
        ({"days": [30, 7]}, "whole days of 1 or more, rising"),
        ({"kind": "nday"}, "Did you mean 'n_day'"),
        ({"period": "2M"}, "period='2M' must be one of"),
        ({"event": "view"}, "has no column 'event'"),
    ],
)
def test_day_retention_says_what_to_do(options, message):
    orders = build_orders([("ann", "2024-01-05", 10)])
    with pytest.raises(CjkitError, match=message):
        measure_day_retention(orders, **{"days": [1], **options})
