"""Journey types: found where they are, refused where they are not, and the same for all."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from walks import ended_journeys

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import Period
from cjkit.paths import find_journey_types
from cjkit.paths.variants import adjusted_rand
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from conftest import HOUR_US, START_US, prepare_events

KINDS = {
    "web": ["ad", "home", "product", "cart", "pay"],
    "store": ["flyer", "store", "advice", "till"],
    "help": ["login", "faq", "phone", "phone2"],
}


def drawn(rng, kinds, size=300, noise=0.1):
    """Draw one journey a customer: the places of a kind, some left out, some swapped for others."""
    every = sorted({place for places in kinds.values() for place in places})
    rows, truth = [], []
    for number in range(size):
        kind = list(kinds)[number % len(kinds)]
        kept = [place for place in kinds[kind] if rng.random() > noise]
        way = [place if rng.random() > noise else rng.choice(every) for place in kept]
        truth.append(kind)
        rows += [(f"c{number:04d}", place, kind, hour) for hour, place in enumerate(way)]
    rows.append(("zz", every[0], "none", 9_999))
    log = pd.DataFrame(rows, columns=["customer_id", "event", "device", "hour"])
    log["occurred_us"] = START_US + log.pop("hour") * HOUR_US
    return log


def found_types(log, **options):
    events = prepare_events(DuckDB(threads=1), log)
    return find_journey_types(events, **{"level": "event", "gap": "30h", **options})


def test_planted_types_are_found_and_told_by_their_places(rng):
    found = found_types(drawn(rng, KINDS), conversion="pay", by="device")
    assert found.grouping.is_clear
    held = found.table.pivot(index="device", columns="type", values="journeys").to_numpy()
    assert held.shape == (3, 3)
    assert (held.max(axis=1) / held.sum(axis=1)).min() > 0.9
    typical = found.table.drop_duplicates("type")["path"]
    assert {way[0] for way in typical} <= {"ad", "home", "flyer", "store", "login", "faq"}
    for number, way in zip(found.table["type"], found.table["path"], strict=True):
        traits = found.traits.table
        own = traits[(traits["type"] == number) & (traits["difference"] > 0)]["place"]
        assert set(own) & set(way)


def test_a_cloud_without_structure_is_one_type_and_says_so(rng):
    every = list("abcdefgh")
    cloud = {f"k{n}": list(rng.choice(every, rng.integers(3, 9))) for n in range(300)}
    found = found_types(drawn(rng, cloud, noise=0.3))
    assert not found.grouping.is_clear
    assert found.table["type"].tolist() == [1]
    assert found.table["share"].tolist() == [1]
    assert "no clear types" in found.finding("en")
    assert found.traits.table.empty


def test_asking_for_types_makes_them_and_says_that_they_are_not_clear(rng):
    every = list("abcdefgh")
    cloud = {f"k{n}": list(rng.choice(every, rng.integers(3, 9))) for n in range(300)}
    found = found_types(drawn(rng, cloud, noise=0.3), types=3)
    assert found.table["type"].tolist() == [1, 2, 3]
    assert "no clear division" in found.finding("en")


def test_every_journey_has_one_type_and_counts_agree_with_walking(rng):
    log = drawn(rng, KINDS)
    found = found_types(log, longest=3)
    journeys = ended_journeys(log.assign(event_order=None), "event", 30)
    assert found.table["journeys"].sum() == len(journeys)
    assert found.people == len({customer for customer, _ in journeys})
    lengths = []
    for _, journey in journeys:
        way = [
            place for n, (_, place, _) in enumerate(journey) if n == 0 or journey[n - 1][1] != place
        ]
        lengths.append(min(len(way), 3))
    mean = np.average(found.table["steps"], weights=found.table["journeys"])
    assert mean == pytest.approx(np.mean(lengths))


def test_the_same_log_gives_the_same_types(rng):
    log = drawn(rng, KINDS)
    pd.testing.assert_frame_equal(found_types(log).table, found_types(log).table)


def test_types_found_before_are_given_to_other_journeys(rng):
    log = drawn(rng, KINDS)
    events = prepare_events(DuckDB(threads=1), log)
    whole = find_journey_types(events, level="event", gap="30h")
    again = find_journey_types(events, level="event", gap="30h", like=whole)
    pd.testing.assert_frame_equal(whole.table, again.table)
    none = Period(None, None, START_US - 2, START_US - 1)
    empty = find_journey_types(events, level="event", gap="30h", like=whole, period=none)
    assert empty.table.empty
    assert empty.finding("ja")
    with pytest.raises(CjkitError, match="level='event'"):
        find_journey_types(events, level="touchpoint", like=whole)


def test_the_typical_way_is_one_that_enough_people_took(rng):
    found = found_types(drawn(rng, KINDS, noise=0.02))
    for way in found.table["path"]:
        assert list(way) in KINDS.values()
    few = found_types(drawn(rng, KINDS, size=12, noise=0.3))
    assert all(way == ("…",) for way in few.table["path"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"longest": 1}, "2 to 20"),
        ({"types": 9}, "2 to 8"),
        ({"conversion": "pya"}, "Did you mean 'pay'"),
    ],
)
def test_errors_say_what_to_do(rng, options, message):
    with pytest.raises(CjkitError, match=message):
        found_types(drawn(rng, KINDS, size=30), **options)


def test_small_types_are_masked_and_both_languages_are_written(rng):
    found = found_types(drawn(rng, KINDS), conversion="pay")
    hidden = mask(found, 110)
    assert hidden.table["share"].isna().any()
    for result in (found, hidden, found.traits, hidden.traits):
        for language in ("en", "ja"):
            with theme(language):
                assert result.finding(language) and result.plot(language=language)


def test_weighted_agreement_is_that_of_things_one_by_one(rng):
    for _ in range(20):
        one, other = rng.integers(0, 3, 30), rng.integers(0, 4, 30)
        weights = rng.integers(1, 6, 30)
        slow = adjusted_rand_score(np.repeat(one, weights), np.repeat(other, weights))
        assert adjusted_rand(one, other, weights) == pytest.approx(slow)


def test_what_is_hidden_goes_by_people_and_not_by_journeys():
    rows = [
        (f"c{number:03d}", event, hour) for number in range(60) for hour, event in enumerate("ab")
    ]
    rows += [
        ("busy", event, 100 * n + hour) for n in range(1, 9) for hour, event in enumerate("abx")
    ]
    log = pd.DataFrame([*rows, ("zz", "a", 99_999)], columns=["customer_id", "event", "hour"])
    log["occurred_us"] = START_US + log.pop("hour") * HOUR_US
    found = found_types(log, conversion="x", types=2)
    assert found.table["converted"].sum() == 8
    assert found.whose["converted"].sum() == 1
    assert mask(found, 5).table[["converted", "conversion_rate"]].isna().all(axis=None)
