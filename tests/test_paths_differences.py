"""Two sides of one question about paths: periods and groups, for every kind of result."""

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import Period
from cjkit.paths import (
    compare_paths,
    find_journey_types,
    measure_conformity,
    measure_flow,
    measure_loops,
    measure_transitions,
    rank_journeys,
)
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from cjkit.statistics import benjamini_hochberg, difference_p_value, newcombe_interval
from conftest import HOUR_US, START_US, prepare_events

LEVEL = {"level": "event", "gap": "5h"}
STEPS = [{"event": "a"}, {"event": "b"}, {"event": "c"}]
KINDS = {
    "transitions": lambda log, **o: measure_transitions(log, **LEVEL, **o),
    "flow": lambda log, **o: measure_flow(log, start="a", **LEVEL, **o),
    "journeys": lambda log, **o: rank_journeys(log, **LEVEL, **o),
    "loops": lambda log, **o: measure_loops(log, **LEVEL, **o),
    "conformity": lambda log, **o: measure_conformity(log, STEPS, gap="5h", **o),
    "types": lambda log, **o: find_journey_types(log, **LEVEL, **o),
}


def two_sides(rng, size=120):
    """Draw journeys of which those of "new" people, and of later ones, leave out b more often."""
    rows = []
    for number in range(size):
        is_new, is_late = number % 2 == 0, number % 3 == 0
        begin = 200 * is_late + int(rng.integers(0, 3))
        way = "ac" if rng.random() < 0.2 + 0.3 * is_new + 0.3 * is_late else "abc"
        way += "b" * int(rng.random() < 0.3)
        plan = "new" if is_new else "old"
        rows += [(f"c{number:03d}", event, begin + k, plan) for k, event in enumerate(way)]
    rows.append(("zz", "a", 900, "old"))
    log = pd.DataFrame(rows, columns=["customer_id", "event", "hour", "device"])
    log["occurred_us"] = START_US + log.pop("hour") * HOUR_US
    return prepare_events(DuckDB(threads=1), log)


@pytest.fixture
def log(rng):
    return two_sides(rng)


@pytest.mark.parametrize("kind", KINDS)
def test_two_groups_of_one_result_are_compared_row_by_row(log, kind):
    split = KINDS[kind](log, by="device")
    found = compare_paths(split, groups=("new", "old"))
    own = split.table[split.table["device"] == "new"].set_index(list(split.keys))
    other = split.table[split.table["device"] == "old"].set_index(list(split.keys))
    rate, people = split.compared.rate, split.compared.people
    assert len(found.table) > 0
    for _, row in found.table.iterrows():
        key = tuple(row[name] for name in split.keys)
        key = key[0] if len(key) == 1 else key
        for side, names in (
            (own, ("rate", "people")),
            (other, ("previous_rate", "previous_people")),
        ):
            if key in side.index:
                assert row[names[0]] == pytest.approx(side.at[key, rate], nan_ok=True)
                assert row[names[1]] == side.at[key, people]
            else:
                assert row[names[0]] == 0
    for language in ("en", "ja"):
        with theme(language):
            assert found.finding(language) and found.plot(language=language).get_title("left")


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_does_not_differ_from_itself(log, kind):
    found = KINDS[kind](log)
    difference = compare_paths(found, found)
    assert difference.table["difference"].dropna().abs().max() == 0
    assert difference.clear.empty
    assert "None of" in difference.finding("en")


@pytest.mark.parametrize("kind", ["transitions", "flow", "journeys", "loops", "conformity"])
def test_two_periods_are_compared(log, kind):
    early, late = (
        Period(None, None, START_US + begin * HOUR_US, START_US + (begin + 199) * HOUR_US)
        for begin in (0, 199)
    )
    found = compare_paths(*(KINDS[kind](log, period=days) for days in (late, early)))
    assert found.groups is None
    assert found.table["difference"].abs().max() > 0.01


def test_types_of_two_periods_must_be_the_same_types(log):
    whole = find_journey_types(log, **LEVEL, types=2)
    late = Period(None, None, START_US + 199 * HOUR_US, START_US + 500 * HOUR_US)
    later = find_journey_types(log, **LEVEL, like=whole, period=late)
    assert len(compare_paths(later, whole).table) == 2
    with pytest.raises(CjkitError, match="use like="):
        compare_paths(find_journey_types(log, **LEVEL, types=2), whole)


def test_intervals_and_p_values_are_those_of_people(log):
    found = compare_paths(measure_loops(log, **LEVEL, by="device"), groups=("new", "old")).table
    counts = [
        found["rate"] * found["people"],
        found["people"],
        found["previous_rate"] * found["previous_people"],
        found["previous_people"],
    ]
    low, high = newcombe_interval(*counts)
    np.testing.assert_allclose(found["difference_low"], low)
    np.testing.assert_allclose(found["difference_high"], high)
    np.testing.assert_allclose(found["p_value"], benjamini_hochberg(difference_p_value(*counts)))


def test_what_one_side_never_does_is_nothing_unless_it_may_be_hidden_among_the_rest(event_log):
    way = "ann: a 0h, b 1h\nbob: a 0h, c 1h\nzoe: z 99h"
    log = event_log(way, device={"a": None, "b": "x", "c": "y"})
    log.engine.add("plans", pd.DataFrame({"customer_id": ["ann", "bob"], "plan": ["x", "y"]}))
    split = measure_transitions(log, **LEVEL, by="plans.plan")
    table = compare_paths(split, groups=("x", "y")).table.set_index(["origin", "target"])
    assert table.loc[("a", "c"), ["rate", "previous_rate"]].tolist() == [0, 1]
    assert ("b", "(exit)") not in table.index  # bob was never there
    few = compare_paths(
        measure_transitions(log, **LEVEL, by="plans.plan", top=1), groups=("x", "y")
    )
    assert set(zip(few.table["origin"], few.table["target"], strict=True)) <= {
        ("(entry)", "a"),
        ("a", "(other)"),
        ("(other)", "(exit)"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_one_side_hides_is_hidden_here(log, kind):
    split = KINDS[kind](log, by="device")
    exact = compare_paths(split, groups=("new", "old"))
    smallest = 65 if kind == "types" else 15
    hidden = mask(exact, smallest)
    assert hidden.table[list(split.keys)].equals(exact.table[list(split.keys)])
    masked = mask(split, smallest).table
    gone = {
        tuple(row[name] for name in ("device", *split.keys))
        for _, row in masked[masked[split.compared.rate].isna()].iterrows()
    }
    assert gone
    for _, row in hidden.table.iterrows():
        key = tuple(row[name] for name in split.keys)
        if ("new", *key) in gone or ("old", *key) in gone:
            assert pd.isna(row["difference"])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda t: compare_paths(t), "Give either"),
        (lambda t: compare_paths(t, t, groups=("new", "old")), "Give either"),
        (lambda t: compare_paths(t, groups=("new", "odl")), "Did you mean 'old'"),
        (
            lambda t: compare_paths(t, t.__class__(t.table, t.level, t.gap, None, ())),
            "differ in by",
        ),
    ],
)
def test_errors_say_what_to_do(log, ask, message):
    with pytest.raises(CjkitError, match=message):
        ask(measure_transitions(log, **LEVEL, by="device"))
