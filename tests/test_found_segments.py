"""Features, groups found in them, rules and drift, against slow counts and planted truths."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from cjkit.segmentation import (
    Definition,
    Features,
    find_segments,
    measure_drift,
    read_features,
)
from cjkit.segmentation.choosing import choose_number
from cjkit.segmentation.definition import learn_axes, scale
from cjkit.segmentation.explaining import write_rule
from conftest import START_US, prepare_events

DAY = 86_400_000_000
END = START_US + 100 * DAY


def build_log(rng, people=30):
    """Build orders, events and feedback of some people, at random."""
    engine = DuckDB(threads=1)
    count = 150
    orders = pd.DataFrame(
        {
            "customer_id": rng.choice([f"c{n}" for n in range(people)], count),
            "order_id": [f"o{n}" for n in rng.integers(0, 100, count)],
            "ordered_us": START_US + rng.integers(0, 110 * DAY, count),
            "revenue": rng.integers(-5, 90, count).astype(float),
            "is_return": rng.choice([True, False, None], count, p=[0.2, 0.7, 0.1]),
            "category": rng.choice(["food", "toys", None], count),
            "discount": rng.choice([0.0, 3.0, None], count),
        }
    ).astype({"is_return": "boolean"})
    size = 500
    events = pd.DataFrame(
        {
            "customer_id": rng.choice([f"c{n}" for n in range(people + 5)], size),
            "occurred_us": START_US + rng.integers(0, 110 * DAY, size),
            "event": rng.choice(["view", "purchase", "call"], size),
            "channel": rng.choice(["web", "mail", "store", None], size),
            "touchpoint": rng.choice(["page", "desk", "till"], size),
            "direction": rng.choice(["inbound", "outbound", None], size, p=[0.6, 0.2, 0.2]),
            "time_precision": rng.choice(["second", "day", None], size),
        }
    )
    feedback = pd.DataFrame(
        {
            "customer_id": rng.choice([f"c{n}" for n in range(people)], 40),
            "given_us": START_US + rng.integers(0, 110 * DAY, 40),
            "metric": "csat",
            "score": rng.integers(1, 6, 40).astype(float),
            "score_max": 5.0,
            "emotion": None,
        }
    ).astype({"emotion": float})
    return (
        engine.add("orders", orders),
        prepare_events(engine, events),
        engine.add("feedback", feedback),
    )


def slow_features(orders, events, feedback):
    """Describe one person by plain pandas: all frames are the person's own, before END."""
    fine = orders[~orders["is_return"].fillna(False).astype(bool)]
    done = events[events["direction"].fillna("inbound") != "outbound"]
    clocked = done[done["time_precision"].fillna("second") != "day"]
    sent = events[events["direction"] == "outbound"]
    bought = fine["order_id"].nunique()

    def rate(part, whole):
        return part / whole if whole else np.nan

    felt = (feedback["score"] - 1) / 2 - 1
    gap = fine["ordered_us"].max() - fine["ordered_us"].min()
    found = {
        "orders": bought,
        "days_between_orders": rate(gap / DAY, bought - 1) if bought else np.nan,
        "recency_days": (END - fine["ordered_us"].max()) // DAY if bought else np.nan,
        "revenue": orders["revenue"].sum(),
        "average_order_value": rate(fine["revenue"].sum(), bought),
        "categories": orders["category"].nunique(),
        "return_rate": rate(orders["is_return"].fillna(False).sum(), len(fine)),
        "discount_rate": rate((fine["discount"] > 0).sum(), len(fine)),
        "visits": done["session_no"].nunique(),
        "seen_days_ago": (END - done["occurred_us"].max()) / DAY if len(done) else np.nan,
        "known_days": (END - done["occurred_us"].min()) / DAY if len(done) else np.nan,
        "actions_a_visit": rate(len(done), done["session_no"].nunique()),
        "touchpoints": done["touchpoint"].nunique(),
        "purchases_a_visit": rate(
            (events["event"] == "purchase").sum(), done["session_no"].nunique()
        ),
        "evening_share": rate((clocked["local_hour"] >= 18).sum(), len(clocked)),
        "weekend_share": rate((done["local_weekday"] >= 6).sum(), len(done)),
        "answer_rate": rate(done["channel"].notna().sum(), sent["channel"].notna().sum()),
        "support_contacts": (events["event"] == "call").sum(),
        "ratings": len(felt),
        "emotion": felt.mean(),
    }
    for channel in ("web", "mail", "store"):
        found[f"channel_{channel}"] = rate((done["channel"] == channel).sum(), len(done))
    return found


@pytest.mark.parametrize("who", ["buyers", "everyone"])
def test_features_are_those_of_a_slow_look_at_each_person(rng, who):
    orders, events, feedback = build_log(rng)
    features = read_features(orders, events, feedback, as_of_us=END, who=who, support=["call"])
    engine = orders.engine
    frames = [
        engine.query(f"select * from {table} where {time} < {END}")
        for table, time in ((orders, "ordered_us"), (events, "occurred_us"), (feedback, "given_us"))
    ]
    found = engine.query(f"select * from {features.customers}").set_index("customer_id")
    found = found.astype("Float64").astype(float)
    assert features.everybody == len(found)
    people = set()
    for person in {*frames[0]["customer_id"], *frames[1]["customer_id"]}:
        expected = slow_features(*(f[f["customer_id"] == person] for f in frames))
        acted = expected["orders"] > 0 or (who == "everyone" and expected["visits"] > 0)
        if not acted:
            continue
        people.add(person)
        assert set(expected) == set(features.names)
        for name, value in expected.items():
            assert found.loc[person, name] == pytest.approx(value, nan_ok=True), (person, name)
    assert people == set(found.index)
    row = features.table.set_index("feature").loc["emotion"]
    assert row["customers"] == found["emotion"].notna().sum()
    assert row["mean"] == pytest.approx(found["emotion"].mean())


def test_features_of_orders_alone_and_of_nobody():
    engine = DuckDB(threads=1)
    empty = engine.materialize(
        "orders",
        """select 'a' as customer_id, 'o' as order_id, cast(1 as bigint) as ordered_us,
            1.0 as revenue, false as is_return, 'x' as category, 0.0 as discount limit 0""",
    )
    features = read_features(empty)
    assert (features.everybody, features.customers.count()) == (0, 0)
    assert features.table["known_share"].isna().all()
    with pytest.raises(CjkitError, match="0 customers are too few"):
        find_segments(features)
    with pytest.raises(CjkitError, match="Did you mean 'everyone'"):
        read_features(empty, who="everyon")


def as_features(frame, name="given"):
    """Take a frame of numbers for features, with what every segment's description reads."""
    engine = DuckDB(threads=1)
    frame = frame.assign(customer_id=[f"c{n:05d}" for n in range(len(frame))])
    for column, value in (("orders", 1), ("revenue", 10.0), ("recency_days", 3)):
        if column not in frame:
            frame[column] = value
    names = [column for column in frame if column != "customer_id"]
    table = pd.DataFrame({"feature": names, "kind": names, "customers": len(frame)})
    return Features(table, engine.add(name, frame), len(frame), END, ())


def blobs(rng, centres, each=150, spread=1.0, places=4):
    centres = rng.normal(0, 8, (centres, places)) if isinstance(centres, int) else centres
    truth = np.repeat(np.arange(len(centres)), each)
    points = centres[truth] + rng.normal(0, spread, (len(truth), len(centres[0])))
    return pd.DataFrame(points, columns=[f"f{n}" for n in range(len(centres[0]))]), truth


def test_planted_groups_are_found_and_everybody_is_put_into_theirs(rng):
    corners = np.array([[0, 0, 0, 9], [0, 9, 0, 0], [9, 0, 0, 0], [0, 0, 9, 0], [9, 9, 9, 9.0]])
    frame, truth = blobs(rng, corners)
    found = find_segments(as_features(frame), most=7)
    assert found.has_structure
    assert found.number.number == 5
    assert "fall into 5 groups" in found.number.finding("en")
    customers = found.segments.customers
    labels = customers.engine.query(f"select segment from {customers} order by customer_id")
    assert adjusted_rand_score(truth, labels["segment"]) > 0.99
    assert found.rules.fidelity > 0.9
    assert (found.rules.table["precision_rate"] > 0.9).all()


@pytest.mark.parametrize("kind", ["normal", "stretched", "uniform", "skewed", "correlated"])
def test_data_without_groups_are_said_to_have_none(rng, kind):
    noise = rng.normal(size=(700, 5))
    drawn = {
        "normal": noise,
        "stretched": noise * [6, 1, 1, 1, 1],
        "uniform": rng.uniform(size=(700, 5)),
        "skewed": np.exp(noise),
        "correlated": noise @ rng.normal(size=(5, 5)),
    }[kind]
    found = find_segments(as_features(pd.DataFrame(drawn).add_prefix("f")), most=5)
    assert not found.has_structure
    assert not found.number.table["has_structure"].any()
    assert "do not fall into groups" in found.number.finding("en")
    assert "分かれません" in found.number.finding("ja")
    assert len(found.segments.table) == found.number.number


@pytest.mark.long
def test_groups_are_seldom_seen_where_there_are_none_and_mostly_where_there_are(rng):
    false = sum(
        choose_number(rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4)), 6, seed).has_structure
        for seed in range(60)
    )
    true = 0
    for seed in range(40):
        frame, _ = blobs(rng, 4, each=100)
        points = scale(frame, learn_axes(frame))
        true += choose_number(points, 7, seed).has_structure
    assert false <= 3
    assert true >= 34


def test_the_statement_gives_everybody_the_nearest_centre(rng):
    frame = pd.DataFrame(
        {
            "revenue": np.exp(rng.normal(3, 2, 400)),
            "orders": rng.poisson(3, 400),
            "return_rate": rng.choice([0.0, 0.1, np.nan], 400),
            "balance": rng.normal(-5, 100, 400),
        }
    )
    features = as_features(frame)
    found = find_segments(features, number=5, sample=200)
    axes, centres = found.definition.axes, np.array(found.definition.centres)
    assert {axis.feature for axis in axes if axis.is_log} >= {"revenue"}
    far = ((scale(frame, axes)[:, None, :] - centres[None]) ** 2).sum(axis=2)
    expected = np.array(found.definition.names)[far.argmin(axis=1)]
    customers = found.segments.customers
    given = customers.engine.query(f"select segment from {customers} order by customer_id")
    assert given["segment"].tolist() == expected.tolist()
    worth = found.segments.table["customer_value"]
    assert worth.iloc[0] == worth.max()


def test_the_same_data_give_the_same_groups_and_a_definition_holds_for_others(rng):
    frame, truth = blobs(rng, np.array([[0, 0, 9], [0, 9, 0], [9, 0, 0.0]]))
    found = find_segments(as_features(frame))
    again = find_segments(as_features(frame))
    assert found.definition == again.definition
    later = as_features(frame.loc[frame.index[::-1].tolist()].reset_index(drop=True), "later")
    table, _ = found.definition.assign(later, "moved")
    labels = table.engine.query(f"select segment from {table} order by customer_id")["segment"]
    assert adjusted_rand_score(truth[::-1], labels) == pytest.approx(1)
    with pytest.raises(CjkitError, match="feature 'f0' is not in the features"):
        found.definition.assign(as_features(frame.drop(columns="f0")), "lacking")


def test_contrasts_compare_a_segment_with_all_others(rng):
    frame, _ = blobs(rng, 3, each=60)
    frame.loc[frame.index[:20], "f1"] = np.nan
    features = as_features(frame)
    found = find_segments(features, number=3)
    customers = found.segments.customers
    own = customers.engine.query(f"select * from {customers}")
    for row in found.table.itertuples():
        is_in = own["segment"] == row.segment
        mine, others = own.loc[is_in, row.feature].dropna(), own.loc[~is_in, row.feature].dropna()
        assert row.customers == len(mine)
        assert row.mean == pytest.approx(mine.mean())
        assert row.other_mean == pytest.approx(others.mean())
        spread = own[row.feature].std(ddof=0)
        assert row.contrast == pytest.approx((mine.mean() - others.mean()) / spread)
        error = np.sqrt(mine.var() / len(mine) + others.var() / len(others)) / spread
        assert row.contrast_high - row.contrast == pytest.approx(1.96 * error)


def test_wrong_asks_are_refused(rng):
    features = as_features(blobs(rng, 2)[0])
    with pytest.raises(CjkitError, match="Did you mean 'f1'"):
        find_segments(features, kinds=["f11"])
    with pytest.raises(CjkitError, match="make 2 to 20 groups"):
        find_segments(features, number=1)
    with pytest.raises(CjkitError, match="Fewer than two features vary"):
        find_segments(as_features(pd.DataFrame({"f0": [1.0] * 60})))


def test_rules_read_well():
    rule = (("orders", ">", 2.5), ("channel_store", "<=", 0.25))
    assert write_rule(rule, "en") == "Orders > 2.5, Share of actions: Store ≤ 25%"
    assert write_rule((), "ja") == "短いルールでは表せない"


def test_the_index_of_drift_is_that_of_its_formula(rng):
    before = as_features(pd.DataFrame({"f0": rng.normal(size=900), "f1": rng.normal(size=900)}))
    now_frame = pd.DataFrame({"f0": rng.normal(0.8, 1, 600), "f1": rng.normal(size=600)})
    now_frame.loc[:99, "f1"] = np.nan
    engine = before.customers.engine
    table = engine.add(
        "now", now_frame.assign(customer_id="x", orders=1, revenue=10.0, recency_days=3)
    )
    now = Features(before.table, table, 600, END, ())
    found = measure_drift(now, before).table.set_index("feature")
    old = engine.query(f"select f0, f1 from {before.customers}")
    for name in ("f0", "f1"):
        edges = [-np.inf, *np.quantile(old[name], np.arange(1, 10) / 10), np.inf]
        p, q = (
            np.append(
                np.histogram(-own[name].dropna(), -np.array(edges)[::-1])[0][::-1],
                own[name].isna().sum(),
            )
            for own in (now_frame, old)
        )
        kept = (p > 0) | (q > 0)
        p, q = np.maximum(p[kept], 0.5) / 600, np.maximum(q[kept], 0.5) / 900
        assert found.loc[name, "psi"] == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert found.loc["f0", "status"] == "drifted"
    assert found.loc["orders", "psi"] == 0
    assert measure_drift(before, before).table["psi"].max() == 0


def test_chance_alone_is_no_drift(rng):
    steady = 0
    for _ in range(4):
        frame = pd.DataFrame(rng.normal(size=(120, 10))).add_prefix("f")
        before = as_features(frame.iloc[:60])
        table = before.customers.engine.add(
            "now", frame.iloc[60:].assign(customer_id="x", orders=1, revenue=10.0, recency_days=3)
        )
        statuses = measure_drift(Features(before.table, table, 60, END, ()), before).table["status"]
        steady += (statuses == "steady").mean()
    assert steady / 4 > 0.9


def test_a_definition_that_no_longer_holds_is_called_outdated(rng):
    frame, _ = blobs(rng, 3)
    features = as_features(frame)
    found = find_segments(features)
    held = measure_drift(features, features, definition=found.definition)
    assert held.agreement == pytest.approx(1)
    other, _ = blobs(rng, 3)
    moved = as_features(other + 20)
    drift = measure_drift(moved, moved, definition=found.definition)
    assert drift.is_outdated
    assert "Learn them anew" in drift.finding("en")
    with pytest.raises(CjkitError, match="is not in the features of now"):
        measure_drift(as_features(frame.drop(columns="f2")), features)


def test_a_kept_definition_holds_its_borders_and_says_when_customers_are_others(rng):
    corners = np.array([[0, 0, 9], [0, 9, 0], [9, 0, 0.0]])
    first = find_segments(as_features(blobs(rng, corners)[0]))
    kept = Definition.read(json.loads(json.dumps(first.definition.facts)))
    assert kept == first.definition
    assert kept.learnt_us == END

    def later(frame):
        features = as_features(frame, "later")
        return dataclasses.replace(features, as_of_us=END + 30 * DAY)

    steady, truth = blobs(rng, corners)
    features = later(steady)
    found = find_segments(features, definition=kept)
    assert found.definition == kept
    customers = found.segments.customers
    labels = customers.engine.query(f"select segment from {customers} order by customer_id")
    assert adjusted_rand_score(truth, labels["segment"]) == pytest.approx(1)
    drift = measure_drift(features, features, definition=kept)
    assert not drift.is_outdated
    assert drift.days == 30
    assert "(age in days: 30) still holds" in drift.finding("en")

    # One group splits in two, and two fall into one: the old borders are not where groups part.
    features = later(blobs(rng, np.array([[9, 0, 3], [9, 0, -5], [0, 5, 5.0]]))[0])
    drift = measure_drift(features, features, definition=kept)
    assert drift.is_outdated
    assert "Learn them anew" in drift.finding("en")
    assert "作り直しが必要" in drift.finding("ja")
    with pytest.raises(CjkitError, match="give none beside it"):
        find_segments(features, definition=kept, number=3)
    with pytest.raises(CjkitError, match="feature 'f2' is not in the features"):
        find_segments(as_features(steady.drop(columns="f2")), definition=kept)


def test_where_there_are_no_groups_the_pieces_of_a_definition_are_kept_without_alarm(rng):
    """Two fits of one cloud differ: that alone is no reason to cut it anew every night."""
    noise = pd.DataFrame(rng.normal(size=(800, 5))).add_prefix("f")
    kept = find_segments(as_features(noise[:400]), number=6, most=6).definition
    features = as_features(noise[400:])
    drift = measure_drift(features, features, definition=kept)
    assert drift.agreement < 0.8
    assert drift.agreement_by_chance < 0.8
    assert not drift.is_outdated


@pytest.mark.parametrize("language", ["en", "ja"])
def test_pictures_and_findings_stand_masked(language, rng):
    orders, events, feedback = build_log(rng, people=80)
    features = read_features(orders, events, feedback, as_of_us=END)
    found = find_segments(features, number=3)
    results = (
        features, found, found.number, found.rules, found.segments, found.segments.treemap,
        measure_drift(features, features, definition=found.definition),
    )  # fmt: skip
    for result in results:
        for smallest in (5, 5000):
            shown = mask(result, smallest)
            if hasattr(shown, "plot"):
                with theme(language):
                    assert shown.plot(language=language).get_figure() is not None
            assert "nan" not in shown.finding(language).lower()
