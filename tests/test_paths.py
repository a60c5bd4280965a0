from collections import Counter, defaultdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from walks import random_log, walks

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import Period
from cjkit.labels import MISSING, OTHER, set_names
from cjkit.paths import ENTRY, EXIT, OPEN, measure_flow, measure_transitions, rank_journeys
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from cjkit.statistics import wilson_interval
from conftest import HOUR_US, START_US, prepare_events


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def shop(event_log):
    """Ann buys after a look at the shelf, bob leaves, cas comes back after a day; dee ends it."""
    return event_log("""
        ann: view 0h, view 1h, cart 2h, buy 3h
        bob: view 0h, cart 1h
        cas: view 0h, view 30h, buy 31h
        dee: view 500h
    """)


def hours(start, end):
    return Period(None, None, START_US + start * HOUR_US, START_US + end * HOUR_US)


def moved(events, **options):
    table = measure_transitions(events, **{"level": "event", "gap": "5h", **options}).table
    return {(row.origin, row.target): row.moves for row in table.itertuples()}


def flowed(events, **options):
    table = measure_flow(events, **{"level": "event", "gap": "5h", **options}).table
    return {(row.step, row.origin, row.target): row.customers for row in table.itertuples()}


def ranked(events, **options):
    table = rank_journeys(events, **{"level": "event", "gap": "5h", **options}).table
    return {row.path: (row.journeys, row.converted) for row in table.itertuples()}


def test_moves_are_counted_with_where_journeys_begin_and_end(shop):
    assert moved(shop) == {
        (ENTRY, "view"): 4,
        ("view", "cart"): 2,
        ("view", "buy"): 1,
        ("view", EXIT): 1,
        ("cart", "buy"): 1,
        ("cart", EXIT): 1,
        ("buy", EXIT): 2,
    }


def test_repeats_are_counted_when_asked_for(shop):
    assert moved(shop, repeats=True)[("view", "view")] == 1
    assert ("view", "view") not in moved(shop)


def test_the_gap_decides_what_one_journey_is(shop):
    assert moved(shop, gap="40h", repeats=True)[("view", "view")] == 2
    assert moved(shop, gap="40h")[(ENTRY, "view")] == 3


def test_an_end_that_is_not_known_yet_does_not_count(shop):
    assert sum(moves for (origin, _), moves in moved(shop).items() if origin == ENTRY) == 4
    assert moved(shop, gap="499h")[(ENTRY, "view")] == 3  # nobody has been silent for so long
    assert ("view", EXIT) not in moved(shop, gap="499h")


def test_events_that_are_left_out_leave_no_trace(event_log):
    events = event_log("ann: view 0h, mail 4h, cart 8h, buy 9h\nbob: mail 0h, view 90h")
    assert moved(events, without=["mail"]) == {
        (ENTRY, "view"): 1,
        ("view", EXIT): 1,
        (ENTRY, "cart"): 1,
        ("cart", "buy"): 1,
        ("buy", EXIT): 1,
    }


def test_rare_places_are_grouped(shop):
    found = moved(shop, top=1)
    assert found[("view", OTHER)] == 3
    assert found[(OTHER, OTHER)] == 1
    assert sum(found.values()) == sum(moved(shop).values())


def test_a_period_counts_what_is_left_or_entered_in_it(shop):
    assert moved(shop, period=hours(0, 1)) == {
        (ENTRY, "view"): 3,
        ("view", "cart"): 1,
        ("view", EXIT): 1,
    }
    assert moved(shop, period=hours(24, 48)) == {
        (ENTRY, "view"): 1,
        ("view", "buy"): 1,
        ("buy", EXIT): 1,
    }


def test_shares_rest_on_people_not_on_moves(event_log):
    events = event_log("""
        ann: a 0h, b 1h, a 2h, b 3h, a 4h, b 5h, a 6h, c 7h
        bob: a 0h, c 1h
        cas: c 99h
    """)
    row = measure_transitions(events, level="event", gap="5h").table.query(
        "origin == 'a' and target == 'b'"
    )
    assert row["share"].item() == 3 / 5
    low, high = wilson_interval(3 / 5 * 2, 2)
    assert (row["share_low"].item(), row["share_high"].item()) == (low, high)


def test_time_to_the_next_place_is_measured(event_log):
    events = event_log("ann: a 0h, b 1h\nbob: a 0h, b 3h\ncas: a 0h, b 2h, z 99h")
    table = measure_transitions(events, level="event", gap="5h").table
    row = table[table["target"] == "b"].iloc[0]
    assert row["wait_p50_us"] == 2 * HOUR_US
    assert table[table["target"] == EXIT]["wait_p50_us"].isna().all()


def test_a_wait_between_days_of_unknown_hours_is_missing(rng):
    rows = pd.DataFrame(
        {
            "customer_id": ["ann"] * 2 + ["zoe"],
            "event": ["a", "b", "z"],
            "occurred_us": [START_US, START_US, START_US + 99 * HOUR_US],
            "time_precision": ["day", "day", "second"],
        }
    )
    table = measure_transitions(
        prepare_events(DuckDB(threads=1), rows), level="event", gap="5h"
    ).table.set_index(["origin", "target"])
    assert table.loc[("a", "b"), "moves"] == 1
    assert pd.isna(table.loc[("a", "b"), "wait_p50_us"])


def test_flow_follows_each_customer_once_from_the_start(shop):
    assert flowed(shop, start="view") == {
        (0, "view", "cart"): 2,
        (0, "view", EXIT): 1,
        (1, "cart", "buy"): 1,
        (1, "cart", EXIT): 1,
        (2, "buy", EXIT): 1,
    }


def test_flow_leads_back_from_the_end(shop):
    assert flowed(shop, end="buy") == {
        (-1, "cart", "buy"): 1,
        (-1, "view", "buy"): 1,
        (-2, "view", "cart"): 1,
        (-2, ENTRY, "view"): 1,
        (-3, ENTRY, "view"): 1,
    }


def test_flow_of_a_period_begins_with_the_first_such_event_in_it(shop):
    assert flowed(shop, start="view", period=hours(1, 40)) == {
        (0, "view", "cart"): 1,
        (0, "view", "buy"): 1,
        (1, "cart", "buy"): 1,
        (1, "buy", EXIT): 1,
        (2, "buy", EXIT): 1,
    }
    assert flowed(shop, end="buy", period=hours(20, 40)) == {
        (-1, "view", "buy"): 1,
        (-2, ENTRY, "view"): 1,
    }


def test_flow_may_start_at_an_event_and_go_by_places(event_log):
    events = event_log(
        "ann: look 0h, buy 1h, help 2h\nzoe: look 99h",
        touchpoint={"look": "site", "buy": "site", "help": "phone"},
    )
    assert flowed(events, start="buy", level="touchpoint") == {
        (0, "site", "phone"): 1,
        (1, "phone", EXIT): 1,
    }


def test_a_step_near_the_end_of_the_log_is_open(event_log):
    events = event_log("ann: a 0h, b 4h\nbob: a 0h\nzoe: z 8h")
    assert flowed(events, start="a") == {(0, "a", "b"): 1, (0, "a", EXIT): 1, (1, "b", OPEN): 1}


def test_flow_around_an_event_is_both_ways_of_it(shop):
    found = flowed(shop, around="cart")
    assert found == {
        (-1, "view", "cart"): 2,
        (-2, ENTRY, "view"): 2,
        (0, "cart", "buy"): 1,
        (0, "cart", EXIT): 1,
        (1, "buy", EXIT): 1,
    }
    flow = measure_flow(shop, around="cart", level="event", gap="5h")
    assert (flow.direction, flow.people) == ("both", 2)
    with theme("ja"):
        assert "前後" in flow.plot(language="ja").get_title(loc="left")


def test_the_step_matrix_counts_people_wherever_they_came_from(shop):
    flow = measure_flow(shop, start="view", level="event", gap="5h")
    table = flow.matrix.table
    assert {(r.step, r.place): r.customers for r in table.itertuples()} == {
        (0, "view"): 3,
        (1, "cart"): 2,
        (1, EXIT): 1,
        (2, "buy"): 1,
        (2, EXIT): 1,
        (3, EXIT): 1,
    }
    back = measure_flow(shop, end="buy", level="event", gap="5h").matrix.table
    assert {(r.step, r.place): r.customers for r in back.itertuples() if r.step == -1} == {
        (-1, "cart"): 1,
        (-1, "view"): 1,
    }
    for result in (flow.matrix, mask(flow.matrix, 3)):
        with theme("ja"):
            assert result.finding("en") and result.plot(language="ja").get_title(loc="left")


def test_flow_shares_are_of_all_who_were_followed(shop):
    table = measure_flow(shop, start="view", level="event", gap="5h").table
    assert table["share"].tolist() == [2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3]


def test_rare_places_of_a_flow_are_grouped_and_nobody_is_lost(shop):
    found = flowed(shop, start="view", top=1)
    assert found[(0, "view", OTHER)] == 2
    assert sum(count for (step, *_), count in found.items() if step == 0) == 3


def test_journeys_end_by_conversion_or_silence(shop):
    assert ranked(shop, conversion="buy") == {
        ("view",): (2, 1),
        ("view", "cart"): (2, 1),
    }
    assert ranked(shop) == {
        ("view",): (1, 0),
        ("view", "buy"): (1, 0),
        ("view", "cart"): (1, 0),
        ("view", "cart", "buy"): (1, 0),
    }


def test_a_conversion_with_nothing_before_it_is_a_journey(event_log):
    events = event_log("ann: buy 0h, buy 1h, view 2h\nzoe: view 99h")
    assert ranked(events, conversion="buy") == {(): (2, 2), ("view",): (1, 0)}


def test_what_comes_just_before_a_conversion_at_the_same_place_is_kept(event_log):
    events = event_log(
        "ann: pay 0h, buy 1h\nzoe: pay 99h", touchpoint={"pay": "till", "buy": "till"}
    )
    assert ranked(events, conversion="buy", level="touchpoint") == {("till",): (1, 1)}


def test_journeys_of_a_period_are_those_that_ended_in_it(shop):
    assert ranked(shop, conversion="buy", period=hours(0, 4)) == {
        ("view",): (1, 0),
        ("view", "cart"): (2, 1),
    }


def test_long_journeys_are_cut(event_log):
    events = event_log("ann: a 0h, b 1h, c 2h, d 3h\nbob: a 0h, b 1h\nzoe: z 99h")
    assert ranked(events, longest=2) == {("a", "b"): (1, 0), ("a", "b", "…"): (1, 0)}


def test_without_a_conversion_there_is_no_rate(shop):
    found = rank_journeys(shop, level="event", gap="5h")
    assert found.table["conversion_rate"].isna().all()
    assert found.journeys == 4
    assert found.table["share"].sum() == 1


def test_groups_add_up(event_log):
    events = event_log("ann: a 0h, b 1h\nbob: a 0h, c 1h\ncas: a 0h, c 2h\nzoe: z 99h")
    plan = pd.DataFrame({"customer_id": ["ann", "bob", "zoe"], "plan": ["x", "y", "y"]})
    events.engine.add("plans", plan)
    table = measure_transitions(events, level="event", gap="5h", by="plans.plan").table
    assert set(table["plan"]) == {"x", "y", MISSING}
    whole = table.groupby(["origin", "target"])["moves"].sum()
    assert whole.to_dict() == moved(events)
    parts = measure_flow(events, start="a", level="event", gap="5h", by="plans.plan").table
    assert parts.groupby("plan")["share"].first().to_dict() == {"x": 1, "y": 1, MISSING: 1}
    journeys = rank_journeys(events, level="event", gap="5h", by="plans.plan")
    assert journeys.journeys == 3
    assert journeys.table.groupby("plan")["journeys"].sum().to_dict() == {
        "x": 1,
        "y": 1,
        MISSING: 1,
    }


def test_a_column_of_events_gives_its_value_where_it_is_asked(event_log):
    events = event_log(
        "ann: a 0h, b 1h\nbob: b 0h\nzoe: z 99h", device={"a": "phone", "b": "desk", "z": "desk"}
    )
    table = measure_transitions(events, level="event", gap="5h", by="device").table
    found = {(row.device, row.origin, row.target): row.moves for row in table.itertuples()}
    assert found == {
        ("phone", ENTRY, "a"): 1,
        ("phone", "a", "b"): 1,
        ("desk", ENTRY, "b"): 1,
        ("desk", "b", EXIT): 2,
    }
    flow = measure_flow(events, end="b", level="event", gap="5h", by="device").table
    assert flow["device"].unique().tolist() == ["desk"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda log: measure_transitions(log, level="tuochpoint"), "Did you mean 'touchpoint'"),
        (lambda log: measure_transitions(log, gap=30), "has no unit"),
        (lambda log: measure_transitions(log, top=0), "write 1 or more"),
        (lambda log: measure_transitions(log, without=["veiw"]), "Did you mean 'view'"),
        (lambda log: measure_flow(log, start="a", end="b"), "Give one of start and end"),
        (lambda log: measure_flow(log, start="veiw"), "Did you mean 'view'"),
        (lambda log: measure_flow(log, steps=1), "2 to 12"),
        (lambda log: rank_journeys(log, conversion="byu"), "Did you mean 'buy'"),
        (lambda log: rank_journeys(log, longest=99), "1 to 20"),
    ],
)
def test_errors_say_what_to_do(shop, ask, message):
    with pytest.raises(CjkitError, match=message):
        ask(shop)


def test_an_empty_log_gives_empty_results(event_log):
    log = event_log("ann: view 0h")
    empty = log.engine.materialize("nobody", f"select * from {log} where 1 = 0")
    for found in (measure_transitions(empty), measure_flow(empty), rank_journeys(empty)):
        assert found.table.empty
        assert found.finding("ja")


def test_findings_say_the_figures(shop):
    set_names({"event": {"view": {"en": "Viewed", "ja": "閲覧"}}})
    try:
        moves = measure_transitions(shop, level="event", gap="5h")
        assert "“Viewed” to “cart”: 2 times, 50.0%" in moves.finding("en")
        assert "「閲覧」から追った3人のうち" in measure_flow(
            shop, start="view", level="event", gap="5h"
        ).finding("ja")
        journeys = rank_journeys(shop, conversion="buy", level="event", gap="5h")
        assert "most frequent one is Viewed: 50.0% of all; 50.0% of these" in journeys.finding("en")
    finally:
        set_names({})


def test_a_flow_that_leads_nowhere_says_so(event_log):
    events = event_log("ann: buy 0h, buy 9h\nzoe: buy 99h")
    found = measure_flow(events, start="buy", level="event", gap="5h")
    assert found.finding("en").endswith("100.0% go nowhere else: the journey ends there.")
    assert found.people == 1
    assert found.ended["share"] == 1
    back = measure_flow(events, end="buy", level="event", gap="5h")
    assert "その前にどこにも触れておらず" in back.finding("ja")


def test_small_cells_are_masked_with_all_that_rests_on_them(shop):
    for found in (
        measure_transitions(shop, level="event", gap="5h"),
        measure_flow(shop, level="event", gap="5h"),
        rank_journeys(shop, conversion="buy", level="event", gap="5h"),
    ):
        hidden = mask(found, 3)
        small = found.table["customers"] < 3
        assert small.any()
        assert hidden.table.loc[small, "share"].isna().all()
        assert hidden.finding("en")
        with theme("ja"):
            assert hidden.plot(language="ja").get_title(loc="left")


def test_plots_draw_what_the_table_holds(shop):
    ax = measure_transitions(shop, level="event", gap="5h").plot(language="ja")
    assert {text.get_text() for text in ax.texts} >= {"100%", "50%", "25%"}
    assert "離脱" in [tick.get_text() for tick in ax.get_xticklabels()]
    graph = measure_transitions(shop, level="event", gap="5h").graph
    assert "cart\n50% end here" in {text.get_text() for text in graph.plot().texts}
    ax = measure_flow(shop, start="view", level="event", gap="5h").plot()
    assert any(text.get_text().startswith("cart") for text in ax.texts)
    ax = rank_journeys(shop, conversion="buy", level="event", gap="5h").plot()
    assert sum(text.get_text() == "view" for text in ax.texts) == 2


def test_a_split_result_is_not_drawn_as_one(shop):
    with pytest.raises(CjkitError, match="split by 'event'"):
        measure_transitions(shop, level="event", by="event").plot()


def slow_transitions(log, level, gap, without=()):
    known = (log["occurred_us"].max() - START_US) // HOUR_US - gap
    moves, people = Counter(), defaultdict(set)
    for customer, walk in walks(log, level, without).items():
        for number, (hour, place, _) in enumerate(walk):
            if hour > known:
                continue
            if number == 0 or hour - walk[number - 1][0] > gap:
                moves[ENTRY, place] += 1
                people[ENTRY, place].add(customer)
            later = walk[number + 1] if number + 1 < len(walk) else None
            target = later[1] if later and later[0] - hour <= gap else EXIT
            if target != place:
                moves[place, target] += 1
                people[place, target].add(customer)
    return {pair: (count, len(people[pair])) for pair, count in moves.items()}


def slow_flow(log, level, gap, steps, start=None, end=None):
    known = (log["occurred_us"].max() - START_US) // HOUR_US - gap
    found = Counter()
    for walk in walks(log, level).values():
        if end is not None:
            walk = [(-hour, place, event) for hour, place, event in reversed(walk)]
            at = [n for n, (_, place, event) in enumerate(walk) if end in (place, event)][-1:]
            known = float("inf")
        else:
            at = [
                n
                for n, (hour, place, event) in enumerate(walk)
                if hour <= known and start in (None, place, event)
            ][:1]
        if not at:
            continue
        step = 0
        for (hour, place, _), later in zip(walk[at[0] :], [*walk[at[0] + 1 :], None], strict=True):
            if hour > known:
                beyond = OPEN
            elif later is None or later[0] - hour > gap:
                beyond = ENTRY if end else EXIT
            else:
                beyond = later[1]
            if beyond == place:
                continue
            if step == steps - 1:
                break
            found[(-step - 1, beyond, place) if end else (step, place, beyond)] += 1
            step += 1
            if beyond in (OPEN, ENTRY, EXIT):
                break
    return dict(found)


def slow_journeys(log, level, gap, conversion, longest):
    known = (log["occurred_us"].max() - START_US) // HOUR_US - gap
    found, converted = Counter(), Counter()
    for walk in walks(log, level).values():
        way: list[str] = []
        for number, (hour, place, event) in enumerate(walk):
            later = walk[number + 1] if number + 1 < len(walk) else None
            is_conversion = event == conversion
            if not is_conversion and way[-1:] != [place]:
                way.append(place)
            if is_conversion or later is None or later[0] - hour > gap:
                if hour <= known:
                    key = (*way[:longest], *(["…"] if len(way) > longest else []))
                    found[key] += 1
                    converted[key] += is_conversion
                way = []
    return {key: (count, converted[key]) for key, count in found.items()}


@pytest.mark.parametrize("level", ["event", "touchpoint", "channel"])
def test_transitions_agree_with_walking_every_journey(rng, level):
    for _ in range(8):
        log, gap = random_log(rng), int(rng.integers(2, 30))
        events = prepare_events(DuckDB(threads=1), log)
        for without in ((), ("a",)):
            table = measure_transitions(events, level=level, gap=f"{gap}h", without=without).table
            found = {(r.origin, r.target): (r.moves, r.customers) for r in table.itertuples()}
            assert found == slow_transitions(log, level, gap, without)


@pytest.mark.parametrize("level", ["event", "touchpoint", "channel"])
def test_flow_agrees_with_walking_every_journey(rng, level):
    for _ in range(8):
        log, gap = random_log(rng), int(rng.integers(2, 30))
        events = prepare_events(DuckDB(threads=1), log)
        for anchor in ({}, {"start": "b"}, {"end": "buy"}):
            found = flowed(events, level=level, gap=f"{gap}h", steps=4, top=99, **anchor)
            assert found == slow_flow(log, level, gap, 4, **anchor)
        around = flowed(events, level=level, gap=f"{gap}h", steps=4, top=99, around="b")
        onward = {key: count for key, count in around.items() if key[0] >= 0}
        assert onward == slow_flow(log, level, gap, 4, start="b")
        came = sum(count for (step, *_), count in around.items() if step == -1)
        assert came == sum(count for (step, *_), count in around.items() if step == 0)


@pytest.mark.parametrize("level", ["event", "touchpoint", "channel"])
def test_journeys_agree_with_walking_every_journey(rng, level):
    for _ in range(8):
        log, gap = random_log(rng), int(rng.integers(2, 30))
        events = prepare_events(DuckDB(threads=1), log)
        for conversion in ("buy", None):
            found = ranked(
                events, level=level, gap=f"{gap}h", longest=3, top=9999, conversion=conversion
            )
            assert found == slow_journeys(log, level, gap, conversion, 3)


def test_codes_of_many_places_and_long_ways_are_exact(rng):
    size = 4000
    log = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in rng.integers(0, 60, size)],
            "event": [f"e{number:03d}" for number in rng.integers(0, 200, size)],
            "event_order": np.arange(size),
            "occurred_us": START_US + rng.integers(0, 900, size) * HOUR_US,
        }
    )
    found = ranked(prepare_events(DuckDB(threads=1), log), gap="40h", longest=20, top=9999)
    assert max(map(len, found)) == 21
    assert found == slow_journeys(log, "event", 40, None, 20)
