"""Where value is, what a new customer costs, who is worth saving, who recommends."""

import datetime
import math

import numpy as np
import pandas as pd
import pytest
from value_shop import simulated_shop

from cjkit import privacy
from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.lifetime_value import (
    Value,
    compare_value,
    find_first_touches,
    fit_purchases,
    fit_spend,
    measure_acquisition,
    measure_advocacy,
    measure_concentration,
    predict_value,
    rank_at_risk,
    read_histories,
)

UNTIL = "2026-01-01"
SINCE = "2025-01-01"
MONTH = 365.25 / 12


@pytest.fixture(scope="module")
def shop() -> Table:
    """Return the simulated orders, beside customers of four channels and what these cost."""
    orders = simulated_shop()
    rng = np.random.default_rng(5)
    who = sorted(orders.values("customer_id"))
    channels = rng.choice(["search", "video", "walk_in", None], len(who), p=[0.5, 0.25, 0.2, 0.05])
    people = pd.DataFrame({"customer_id": who, "channel_won": channels.astype(object)})
    orders.engine.add("customers", people)
    months = pd.date_range("2024-01-15", "2025-12-15", freq="MS")
    spent = [(c, d.date(), cost) for d in months for c, cost in (("search", 300.0), ("tv", 50.0))]
    orders.engine.add("costs", pd.DataFrame(spent, columns=["channel", "spent_on", "cost"]))
    return orders


@pytest.fixture(scope="module")
def value(shop: Table) -> Value:
    histories = read_histories(shop, until=UNTIL)
    return predict_value(fit_purchases(histories), fit_spend(histories), margin=0.4)


@pytest.fixture(scope="module")
def scores(shop: Table, value: Value) -> pd.DataFrame:
    people = shop.engine.query("select * from customers")
    return shop.engine.query("select * from value_scores").merge(people, on="customer_id")


def test_groups_add_up_to_the_whole(value, scores):
    found = compare_value(value, "channel_won")
    table = found.table.set_index("group")
    assert table["customers"].sum() == value.customers
    assert table["predicted_value"].sum() == pytest.approx(value.total.value)
    assert table["value_share"].sum() == pytest.approx(1)
    own = scores[scores["channel_won"] == "video"]
    assert table.loc["video", "value_per_customer"] == pytest.approx(own["predicted_value"].mean())
    assert table.loc["video", "spend_per_customer"] == pytest.approx(own["spend"].mean())
    assert table.loc["video", "churn_risk"] == pytest.approx(own["churn_risk"].mean())
    assert (table["value_per_customer_low"] < table["value_per_customer"]).all()
    assert (table["value_per_customer_high"] > table["value_per_customer"]).all()
    assert found.table["value_per_customer"].is_monotonic_decreasing


def test_the_interval_of_one_group_of_all_is_that_of_the_total(shop, value):
    shop.engine.run(
        "create or replace view everybody as select customer_id, 'all' as one from customers"
    )
    row = compare_value(value, "everybody.one").table.iloc[0]
    whole = value.per_customer
    width = whole.high - whole.low
    assert row["value_per_customer"] == pytest.approx(whole.value)
    assert row["value_per_customer_low"] == pytest.approx(whole.low, abs=0.15 * width)
    assert row["value_per_customer_high"] == pytest.approx(whole.high, abs=0.15 * width)


def test_a_small_group_is_masked_and_left_out_of_the_finding(shop, value):
    shop.engine.run(
        "create or replace view few as select customer_id, case when customer_id in"
        " ('c1', 'c2', 'c3') then 'rare' else 'common' end as kind from customers"
    )
    masked = privacy.mask(compare_value(value, "few.kind"), 5)
    rare = masked.table.set_index("group").loc["rare"]
    assert rare.drop(labels=[]).isna().all()
    assert "rare" not in masked.finding("en")


def test_quarters_stand_in_their_order(value, scores):
    table = compare_value(value, "first_quarter").table
    assert table["group"].tolist() == sorted(table["group"])
    first = pd.to_datetime(scores["first_day"])
    named = first.dt.year.astype(str) + " Q" + first.dt.quarter.astype(str)
    assert table.set_index("group")["customers"].to_dict() == named.value_counts().to_dict()


def test_the_concentration_is_that_of_sorted_customers(value, scores):
    table = measure_concentration(value, parts=10).table
    for name, money in (("spend_share", "spend"), ("value_share", "predicted_value")):
        sorted_money = np.sort(scores[money].to_numpy())[::-1]
        best = np.cumsum(sorted_money)[np.arange(1, 11) * len(scores) // 10 - 1]
        np.testing.assert_allclose(table[name], best / sorted_money.sum(), atol=0.01)
    assert table["customers"].iloc[-1] == value.customers


def test_the_action_list_holds_whom_the_rule_says(value, scores):
    found = rank_at_risk(value, least_risk=0.6, top_share=0.3)
    listed = value.scores.engine.query("select * from action_list order by action_rank")
    place = scores["value_if_recent"].rank(ascending=False, method="min") - 1
    chosen = scores[(place / (len(scores) - 1) < 0.3) & (scores["churn_risk"] >= 0.6)]
    stake = (chosen["value_if_recent"] - chosen["predicted_value"]).clip(lower=0)
    assert 0 < len(chosen) < len(scores) / 3
    assert set(listed["customer_id"]) == set(chosen["customer_id"])
    assert found.customers == len(chosen)
    assert found.value_at_stake == pytest.approx(stake.sum())
    assert listed["value_at_stake"].is_monotonic_decreasing
    assert listed["action_rank"].tolist() == list(range(1, len(chosen) + 1))
    assert found.table["customers"].sum() == len(scores)
    assert found.table["predicted_value"].sum() == pytest.approx(value.total.value)
    assert "customer_id" not in found.table
    few = rank_at_risk(value, least_risk=0.6, top_share=0.002)
    assert 0 < few.customers < 5
    assert "Fewer than 5" in few.finding("en")
    with pytest.raises(CjkitError, match="above 0 and at most 1"):
        rank_at_risk(value, least_risk=70)


def test_silence_takes_value_and_never_gives_it(scores):
    once = scores["repeats"] == 0
    assert (scores["value_if_recent"] >= scores["predicted_value"] - 1e-9).all()
    np.testing.assert_allclose(
        scores.loc[once, "value_if_recent"], scores.loc[once, "predicted_value"]
    )


def test_what_a_new_customer_costs_and_is_worth_one_at_a_time(shop, value, scores):
    found = measure_acquisition(
        shop, shop.engine.table("costs"), value, channel="channel_won", since=SINCE
    )
    table = found.table.set_index("channel")
    new = scores[pd.to_datetime(scores["first_day"]) >= SINCE]
    lines = shop.engine.query("select * from orders where customer_id is not null")
    earned = 0.4 * lines.groupby("customer_id")["revenue"].sum()
    own = new[new["channel_won"] == "search"]
    worth = own["predicted_value"] + own["customer_id"].map(earned)
    row = table.loc["search"]
    assert (row["customers"], row["cost"]) == (len(own), 12 * 300.0)
    assert row["cost_per_customer"] == pytest.approx(3600 / len(own))
    assert row["lifetime_value"] == pytest.approx(worth.mean())
    half = 1.96 * worth.std() / len(worth) ** 0.5
    assert row["lifetime_value_high"] - row["lifetime_value"] == pytest.approx(half, rel=0.02)
    assert row["value_to_cost_ratio"] == pytest.approx(worth.mean() * len(own) / 3600)
    assert math.isnan(table.loc["video", "cost_per_customer"])
    assert table.loc["tv", "customers"] == 0
    assert math.isnan(table.loc["tv", "cost_per_customer"])

    curve = found.payback.table.set_index(["channel", "month_no"])
    day = pd.to_datetime(lines["local_date"])
    first = lines["customer_id"].map(pd.to_datetime(scores.set_index("customer_id")["first_day"]))
    since = (day - first).dt.days
    for month in (1, 4, 9):
        age = (pd.Timestamp(UNTIL) - pd.to_datetime(own["first_day"])).dt.days
        seen = own[age >= month * MONTH]["customer_id"]
        inside = lines["customer_id"].isin(seen) & (since < month * MONTH)
        money = 0.4 * lines[inside].groupby("customer_id")["revenue"].sum().reindex(seen)
        row = curve.loc["search", month]
        assert row["customers"] == len(seen)
        assert row["margin_per_customer"] == pytest.approx(money.mean())
        half = 1.96 * money.std() / len(money) ** 0.5
        assert row["margin_per_customer_high"] == pytest.approx(money.mean() + half, rel=0.02)


def test_the_payback_month_is_the_first_that_reaches_the_cost(shop, value):
    costs = shop.engine.table("costs")
    options = {"channel": "channel_won", "since": SINCE}
    found = measure_acquisition(shop, costs, value, **options)
    curve = found.payback.table.query("channel == 'search'")
    middle = curve["margin_per_customer"].iloc[4]
    customers = found.table.set_index("channel").loc["search", "customers"]
    day = datetime.date(2025, 2, 1)
    dear = pd.DataFrame({"channel": ["search"], "spent_on": [day], "cost": [middle * customers]})
    later = measure_acquisition(shop, shop.engine.add("dear", dear), value, **options)
    reached = curve.loc[curve["margin_per_customer"] >= middle - 1e-9, "month_no"].iloc[0]
    assert later.table.set_index("channel").loc["search", "payback_months"] == reached
    assert f"by month {reached}" in later.payback.finding("en")
    dear["cost"] = 1e9
    never = measure_acquisition(shop, shop.engine.add("dear", dear), value, **options)
    assert never.table["payback_months"].isna().all()
    assert "No channel" in never.payback.finding("en")


def test_without_costs_nothing_is_said_of_them(shop, value):
    nothing = pd.DataFrame({"channel": ["x"], "spent_on": [datetime.date(2020, 1, 1)], "cost": [1]})
    found = measure_acquisition(
        shop, shop.engine.add("nothing", nothing), value, channel="channel_won"
    )
    assert privacy.mask(found, 5).table.empty
    assert privacy.mask(found, 5).payback.table.empty
    assert "no costs" in found.finding("en")
    assert found.since == datetime.date(2025, 1, 1)
    with pytest.raises(CjkitError, match="must be before"):
        measure_acquisition(shop, shop.engine.table("costs"), value, since="2027-01-01")
    with pytest.raises(CjkitError, match="Another notebook may make it"):
        measure_acquisition(shop, shop.engine.table("costs"), value)


def test_the_first_touch_is_the_first_event_in_the_order_of_events(event_log):
    events = event_log(
        "ann: see 2h, visit 1h, buy 3h\nbob: visit 5h",
        channel={"see": "video", "visit": "search", "buy": "web"},
        touchpoint={"see": "clip", "visit": "site", "buy": "cart"},
    )
    found = find_first_touches(events)
    rows = events.engine.query(f"select * from {found} order by customer_id")
    assert rows["first_channel"].tolist() == ["search", "search"]
    assert rows["first_touchpoint"].tolist() == ["site", "site"]


def test_advocacy_counts_the_latest_answer_and_everyone_who_refers(event_log):
    events = event_log("ann: refer_friend 1h, refer_friend 9h\nbob: view 1h\ncas: view 1h")
    engine = events.engine
    people = pd.DataFrame({"customer_id": ["ann", "bob", "cas"], "tier": ["a", "a", "b"]})
    customers = engine.add("customers", people)
    answers = [
        ("1", "ann", "nps", 10, 5),
        ("2", "ann", "nps", 2, 1),
        ("3", "bob", "nps", 6, 1),
        ("4", "bob", "csat", 5, 2),
        ("5", None, "nps", 0, 1),
        ("6", "bob", "nps", None, 9),
    ]
    columns = ["feedback_id", "customer_id", "metric", "score", "given_us"]
    feedback = engine.add("feedback", pd.DataFrame(answers, columns=columns))
    table = measure_advocacy(customers, feedback, events, by="tier").table.set_index("group")
    whole = ["customers", "answers", "promoters", "detractors", "referrers", "referrals"]
    assert table.loc["a", whole].tolist() == [2, 2, 1, 1, 1, 2]
    assert (table.loc["a", "nps"], table.loc["a", "referral_rate"]) == (0, 0.5)
    assert math.isnan(table.loc["b", "nps"])
    assert measure_advocacy(customers, feedback, events).table["customers"].tolist() == [3]
    nobody = measure_advocacy(customers, feedback, events, referral=None)
    assert nobody.table["referrers"].tolist() == [0]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_result_is_drawn_and_said(shop, value, language):
    costs = shop.engine.table("costs")
    acquisition = measure_acquisition(shop, costs, value, channel="channel_won", since=SINCE)
    for result in (
        compare_value(value, "channel_won"),
        measure_concentration(value),
        rank_at_risk(value, least_risk=0.6),
        acquisition,
        acquisition.payback,
    ):
        ax = result.plot(language=language)
        assert ax.has_data()
        assert ax.get_title(loc="left") + ax.get_title()
        said = result.finding(language)
        assert "{" not in said
        assert not said.startswith("finding_")
