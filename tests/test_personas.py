"""Personas, the engagement map, segments by rule and who is missing."""

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError, read_declared
from cjkit.engine import DuckDB
from cjkit.labels import set_names
from cjkit.plots.theme import theme
from cjkit.plots.treemap import squarify
from cjkit.privacy import mask
from cjkit.project import DeclaredSegment, Persona, read_project
from cjkit.segmentation import (
    Features,
    apply_rules,
    assign_segments,
    check_segments,
    describe_personas,
    measure_engagement,
    measure_grid,
    measure_missing,
    read_features,
)
from cjkit.segmentation.typical import find_ways, typical_way
from conftest import START_US, prepare_events

DAY = 86_400_000_000
HOUR = 3_600_000_000
SAMPLE = Path(__file__).parent.parent / "data" / "sample" / "journey.toml"


def build_shop(rng, people=120):
    """Build the events, orders and segments of a shop: people a are in `web`, people b in store."""
    rows, orders = [], []
    for n in range(people):
        kind = "ab"[n % 2]
        places = ["home", "page", "cart"] if kind == "a" else ["door", "desk"]
        for visit in range(int(rng.integers(1, 4))):
            at = START_US + (int(rng.integers(0, 90)) * 24 + (20 if kind == "a" else 10)) * HOUR
            for step, place in enumerate(places):
                rows.append((f"c{n:03d}", at + step * HOUR // 60, "view", place, "web"))
            done = at + len(places) * HOUR // 60
            rows.append((f"c{n:03d}", done, "purchase", "till", "web" if kind == "a" else "store"))
            orders.append(
                (
                    f"c{n:03d}",
                    f"o{n}-{visit}",
                    done,
                    50.0 if kind == "a" else 20.0,
                    "toys" if kind == "a" else "food",
                )
            )
    names = ["customer_id", "occurred_us", "event", "touchpoint", "channel"]
    events = prepare_events(DuckDB(threads=1), pd.DataFrame(rows, columns=names))
    lines = pd.DataFrame(
        orders, columns=["customer_id", "order_id", "ordered_us", "revenue", "category"]
    ).assign(is_return=False, discount=0.0)
    table = events.engine.add("orders", lines)
    features = read_features(table, events)
    segments = apply_rules(
        features,
        {
            "web": declare([{"column": "channel_web", "above": 0.99}]),
            "store": declare({"column": "channel_store", "above": 0}),
        },
    )
    return events, table, features, segments


def declare(when):
    segment, faults = read_declared(
        DeclaredSegment, {"when": when, "words": {"en": "x", "ja": "x"}}, place="segments.x"
    )
    assert segment is not None, faults
    return segment


def test_engagement_counts_people_once_at_each_place(rng):
    events, _, _, segments = build_shop(rng)
    log = events.engine.query(f"select * from {events}")
    own = events.engine.query(f"select customer_id, segment from {segments.customers}")
    log = log.merge(own, on="customer_id")
    found = measure_engagement(events, segments.customers, order=["web", "store"])
    assert list(dict.fromkeys(found.table["segment"])) == ["web", "store"]
    for row in found.table.itertuples():
        inside = log[log["segment"] == row.segment]
        there = inside[inside["touchpoint"] == row.touchpoint]
        assert row.customers == there["customer_id"].nunique()
        assert row.people == inside["customer_id"].nunique()
        assert row.reach_rate == pytest.approx(row.customers / row.people)
    assert found.table["customers"].min() == 0
    with pytest.raises(CjkitError, match="Did you mean 'touchpoint'"):
        measure_engagement(events, segments.customers, level="touchpiont")


def test_a_card_says_what_is_true_of_the_segment(rng):
    events, orders, features, segments = build_shop(rng)
    pains = pd.DataFrame(
        {"segment": ["web", "web"], "touchpoint": ["cart", "cart"], "affected_rate": [0.3, 0.2],
         "affected_rate_low": 0.2, "affected_rate_high": 0.4, "affected": 18, "people": 60}
    )  # fmt: skip
    found = describe_personas(
        segments.customers, events, orders, features=features, order=["store", "web"],
        pain_points=pains,
    )  # fmt: skip

    def line(segment, name):
        rows = found.table[(found.table["segment"] == segment) & (found.table["line"] == name)]
        assert len(rows) == 1 or name in ("touchpoint", "trait")
        return rows.iloc[0]

    assert list(dict.fromkeys(found.table["segment"])) == ["store", "web"]
    assert line("web", "size")[["value", "customers", "people"]].tolist() == [0.5, 60, 120]
    assert line("web", "order_value")["value"] == 50
    assert line("store", "category")[["thing", "value", "overall"]].tolist() == ["food", 1, 0.5]
    assert line("web", "path")["thing"] == ("home", "page", "cart", "till")
    assert 5 <= line("web", "path")["customers"] <= line("web", "path")["people"] == 60
    assert line("web", "hours")["thing"] == "part_of_day.evening"
    assert line("store", "hours")["thing"] == "part_of_day.morning"
    assert line("web", "pain_point")["value"] == 0.3
    assert line("web", "channel")["thing"] == "web"
    assert line("web", "touchpoint")["value"] in (0, 1)
    with pytest.raises(CjkitError, match="'affected' is not in pain_points"):
        describe_personas(
            segments.customers, events, orders, pain_points=pains.drop(columns="affected")
        )


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_tells_names_stories_and_figures_and_escapes_them(rng, language):
    events, orders, features, segments = build_shop(rng)
    story = {"en": "Likes <b>toys</b>.", "ja": "<b>おもちゃ</b>好き。"}
    words = {"web": Persona(name={"en": "Wendy <i>", "ja": "ウェンディ<i>"}, story=story)}
    found = describe_personas(segments.customers, events, orders, features=features, words=words)
    html = mask(found).to_html(language)
    assert html.count("<article") == 2
    assert {"en": "Wendy &lt;i&gt;", "ja": "ウェンディ&lt;i&gt;"}[language] in html
    assert "<b>toys" not in html and "<b>おもちゃ" not in html
    assert "n = 60" in html
    assert "nan" not in html.lower()
    assert html.count("<article") == html.count("</article>")


def test_a_persona_of_few_people_keeps_its_figures_to_itself(rng):
    events, orders, features, _ = build_shop(rng)
    first = "case when customer_id < 'c003' then 'few' else 'many' end as segment"
    few = events.engine.materialize(
        "few",
        f"""select customer_id, orders, revenue, recency_days, {first}
            from {features.customers}""",
    )
    found = describe_personas(few, events, orders, features=features)
    assert not found.table[found.table["customers"].between(1, 4)].empty
    shown = mask(found, 5)
    few_lines = shown.table[shown.table["segment"] == "few"]
    assert few_lines["value"].isna().all()
    assert few_lines["thing"].isna().all()
    html = shown.to_html("en")
    assert re.findall(r"n = [1-4]\b(?!,)", html) == []
    assert "3 customers" not in html


def slow_distance(a, b):
    """Count the fewest edits by trying every alignment."""
    if not a or not b:
        return max(len(a), len(b))
    return min(
        slow_distance(a[1:], b) + 1,
        slow_distance(a, b[1:]) + 1,
        slow_distance(a[1:], b[1:]) + (a[0] != b[0]),
    )


def test_the_typical_way_is_nearest_to_the_ways_of_all(rng):
    for _ in range(12):
        ways = [tuple(rng.choice(list("abcd"), int(rng.integers(1, 6)))) for _ in range(7)]
        taken = rng.integers(5, 20, 7)
        found = typical_way(pd.DataFrame({"path": ways, "customers": taken}))
        costs = [
            sum(
                n * slow_distance(way, other) / max(len(way), len(other))
                for other, n in zip(ways, taken, strict=True)
            )
            for way in ways
        ]
        assert costs[ways.index(found["path"])] == pytest.approx(min(costs))
    assert typical_way(pd.DataFrame({"path": [], "customers": []})) is None


def test_ways_end_at_the_last_conversion_and_few_peoples_are_not_seen(event_log):
    events = event_log("""
        ann: view 0h, view 1h, cart 2h, buy 3h, view 9h
        bob: view 0h, cart 2h, buy 3h
        cas: view 0h, buy 1h, view 100h, cart 101h, buy 102h
        dee: cart 0h, buy 5h
    """, touchpoint={"view": "page", "cart": "cart", "buy": "till"})  # fmt: skip
    segments = events.engine.materialize("s", "select customer_id, 'all' as segment from customers")
    ways, _ = find_ways(events, segments, conversion="buy", within="2D", least=2)
    assert ways["path"].tolist() == [("page", "cart", "till")]
    assert ways[["customers", "people"]].iloc[0].tolist() == [3, 4]
    ways, _ = find_ways(events, segments, conversion="buy", within="2D", least=1)
    assert set(ways["path"]) == {("page", "cart", "till"), ("cart", "till")}


def test_rules_give_everybody_the_first_segment_that_holds(rng):
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in range(200)],
            "orders": rng.integers(1, 6, 200),
            "revenue": rng.uniform(0, 100, 200).round(2),
            "recency_days": rng.integers(0, 300, 200),
            "return_rate": rng.choice([0.0, 0.4, np.nan], 200),
        }
    )
    engine = DuckDB(threads=1)
    table = engine.add("features", frame)
    people = engine.add(
        "customers",
        pd.DataFrame(
            {
                "customer_id": frame["customer_id"],
                "plan": rng.choice(["gold", "base", None], 200),
                "is_staff": rng.choice([True, False], 200),
            }
        ),
    )
    names = [name for name in frame if name != "customer_id"]
    listed = pd.DataFrame({"feature": names, "kind": names, "customers": 200})
    features = Features(listed, table, 200, 0, ())
    rules = {
        "gold": declare({"column": "plan", "is": ["gold"]}),
        "returners": declare({"column": "return_rate", "above": 0.3}),
        "rich": declare([{"column": "revenue", "above": 50}, {"column": "orders", "is_not": [1]}]),
        "unstaffed": declare(
            [{"not": {"column": "is_staff", "is": [True]}}, {"column": "plan", "present": False}]
        ),
    }
    found = apply_rules(features, rules, customers=people)
    own = frame.merge(engine.query("select * from customers"), on="customer_id")
    expected = np.select(
        [
            own["plan"] == "gold",
            own["return_rate"] > 0.3,
            (own["revenue"] > 50) & (own["orders"] != 1),
            ~own["is_staff"].astype(bool) & own["plan"].isna(),
        ],
        list(rules), "(other)",
    )  # fmt: skip
    given = engine.query(f"select * from {found.customers}").set_index("customer_id")["segment"]
    assert given.loc[own["customer_id"]].tolist() == expected.tolist()
    assert found.table["customers"].sum() == 200
    assert found.table["segment"].tolist() == [*rules, "(other)"]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"column": "revenu", "above": 3}, "Did you mean 'revenue'"),
        ({"column": "plan", "above": 3}, "'plan' is no number"),
        ({"column": "revenue", "contains": "3"}, "'revenue' is no text"),
        ({"column": "revenue", "is": ["much"]}, "is never 'much'"),
        ({"column": "plan", "is": [1]}, "is never 1"),
        ({"column": "plan", "matches": "^g"}, "use starts_with"),
        ({"column": "orders", "is": [True]}, "is never True"),
        ({"column": "channel_stor", "above": 0.5}, None),
    ],
)
def test_check_refuses_rules_that_ask_what_cannot_be(tmp_path, when, message):
    clauses = ", ".join(
        f"{key} = {str(value).replace('True', 'true')!s}"
        if not isinstance(value, str)
        else f'{key} = "{value}"'
        for key, value in when.items()
    ).replace("'", '"')
    project = read_project(SAMPLE)
    written = SAMPLE.read_text(encoding="utf-8").replace(
        "[segments.big_spenders]",
        f'[segments.own]\nwhen = {{ {clauses} }}\nwords = {{ en = "x", ja = "x" }}\n'
        "[segments.big_spenders]",
    )
    path = tmp_path / "journey.toml"
    path.write_text(written, encoding="utf-8")
    own = read_project(path)
    check_segments(project, {"plan": "text"})
    if message is None:
        check_segments(own, {"plan": "text"})
    else:
        with pytest.raises(CjkitError, match=message):
            check_segments(own, {"plan": "text"})


def test_a_persona_of_no_segment_and_words_that_lack_a_language_are_refused(tmp_path):
    text = SAMPLE.read_text(encoding="utf-8")
    path = tmp_path / "journey.toml"
    path.write_text(text.replace("[personas.champions]", "[personas.champion]"), encoding="utf-8")
    with pytest.raises(CjkitError, match="Did you mean 'champions'"):
        check_segments(read_project(path), {})
    changed = text.replace(
        'words = { en = "Store people", ja = "店舗派" }', 'words = { en = "Store people" }'
    )
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(CjkitError, match=r"segments.store_people: its words lack ja"):
        read_project(path)


def test_the_project_names_its_segments_for_readers():
    project = read_project(SAMPLE)
    set_names(project.names)
    assert project.names["segment"]["store_people"]["en"] == "Store people"
    assert set(project.names["persona"]) == set(project.personas)


def test_fixed_cuts_score_by_their_limits(rng):
    rows = [(f"c{n}", f"o{n}-{k}", int(rng.integers(0, 400)), float(rng.integers(1, 90)))
            for n in range(60) for k in range(rng.integers(1, 8))]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["customer_id", "order_id", "days", "revenue"])
    frame["ordered_us"] = START_US - frame["days"] * DAY
    orders = DuckDB(threads=1).add("orders", frame.assign(is_return=False))
    cuts = {"recency": (365, 180, 90, 30), "monetary": (20, 50, 100.5, 200)}
    found = assign_segments(orders, as_of_us=START_US, cuts=cuts)
    own = found.customers.engine.query(f"select * from {found.customers}")
    for row in own.itertuples():
        assert row.recency_score == 1 + sum(row.recency_days <= cut for cut in cuts["recency"])
        assert row.monetary_score == 1 + sum(row.revenue >= cut for cut in cuts["monetary"])
    fifths = assign_segments(orders, as_of_us=START_US, name="fifths")
    same = fifths.customers.engine.query(f"select * from {fifths.customers}")
    joined = own.merge(same, on="customer_id")
    assert (joined["frequency_score_x"] == joined["frequency_score_y"]).all()
    assert measure_grid(found.customers).table["customers"].sum() == len(own)
    for wrong in ({"recency": (30, 90, 180, 365)}, {"frequency": (1, 2, 3)}, {"money": (1, 2)}):
        with pytest.raises(CjkitError, match="cuts"):
            assign_segments(orders, cuts=wrong)


def test_guests_are_taken_for_those_who_bought_alike(rng):
    rows = []
    for n in range(200):
        is_big = n % 2 == 0
        price = rng.normal(100, 5) if is_big else rng.normal(10, 2)
        rows.append((f"c{n}", f"o{n}", START_US + n * DAY // 9, price))
    rows += [(None, f"g{n}", START_US + n * DAY // 9, rng.normal(100, 5)) for n in range(100)]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_id", "ordered_us", "revenue"])
    frame = frame.assign(is_return=False, discount=0.0)
    engine = DuckDB(threads=1)
    orders = engine.add("orders", frame)
    segments = engine.materialize(
        "segments",
        """select customer_id, case when revenue > 50 then 'big' else 'small' end as segment
            from orders where customer_id is not null""",
    )
    found = measure_missing(segments, orders)
    table = found.table.set_index("segment")
    assert set(found.table["missing"]) == {"guests"}
    assert table["people"].unique().tolist() == [100]
    assert table.loc["big", "customers_share"] == 0.5
    assert table.loc["big", "share_if"] == pytest.approx(200 / 300, abs=0.01)
    assert table["share_change"].sum() == pytest.approx(0)
    none = measure_missing(
        segments,
        engine.materialize("known orders", "select * from orders where customer_id is not null"),
    )
    assert none.table.empty
    assert none.finding("en").startswith("Nobody is missing")


def test_people_without_a_profile_are_taken_for_those_who_did_alike(rng):
    events, orders, _, segments = build_shop(rng)
    everybody = read_features(orders, events, who="everyone", name="all")
    customers = events.engine.materialize(
        "people",
        f"""select customer_id, not (segment = 'web' and customer_id < 'c060') as has_profile
            from {segments.customers}""",
    )
    found = measure_missing(segments.customers, orders, everybody, customers).table
    own = found[found["missing"] == "no_profile"].set_index("segment")
    assert own.loc["web", ["people", "customers"]].tolist() == [30, 30]
    assert own.loc["web", "share_if"] == pytest.approx(60 / 120, abs=0.02)
    assert own.loc["web", "share_change_low"] <= own.loc["web", "share_change"]


def test_areas_of_a_treemap_are_in_proportion_and_fill_the_whole(rng):
    for size in (1, 2, 5, 11):
        sizes = sorted(rng.uniform(0.1, 5, size), reverse=True)
        boxes = squarify(sizes, (0.0, 0.0, 3.0, 2.0))
        areas = [width * height for _, _, width, height in boxes]
        assert areas == pytest.approx([part / sum(sizes) * 6 for part in sizes])
        for one, other in itertools.combinations(boxes, 2):
            across, up = (
                min(one[side] + one[side + 2], other[side] + other[side + 2])
                - max(one[side], other[side])
                for side in (0, 1)
            )
            assert min(across, up) < 1e-9


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_log_that_is_no_shop_has_engagement_and_personas_too(language, rng):
    """Applications for a loan: no orders, other words, no revenue."""
    rows = [
        (f"p{n}", START_US + n * DAY // 4 + k * HOUR, event, place)
        for n in range(90)
        for k, (event, place) in enumerate(
            [("apply", "branch"), ("check", "office"), ("approve", "office")][: 2 + n % 2]
        )
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "occurred_us", "event", "touchpoint"])
    events = prepare_events(DuckDB(threads=1), frame)
    orders = events.engine.materialize(
        "orders",
        """select 'a' as customer_id, 'o' as order_id, cast(1 as bigint) as ordered_us,
            1.0 as revenue, false as is_return, 'x' as category, 0.0 as discount limit 0""",
    )
    features = read_features(orders, events, who="everyone")
    segments = apply_rules(features, {"done": declare({"column": "touchpoints", "above": 1})})
    found = describe_personas(
        segments.customers, events, orders, features=features, conversion="approve"
    )
    path = found.table[found.table["line"] == "path"]
    assert path["thing"].tolist() == [("branch", "office")]
    assert path["people"].item() == 45
    html = mask(found).to_html(language)
    assert "nan" not in html.lower()
    with theme(language):
        engagement = mask(measure_engagement(events, segments.customers))
        assert engagement.plot(language=language).get_figure() is not None
