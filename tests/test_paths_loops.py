"""Loops: who comes back within one journey, against walking every journey."""

from collections import Counter, defaultdict
from statistics import median

import pandas as pd
import pytest
from walks import ended_journeys, random_log

from cjkit.engine import DuckDB
from cjkit.labels import OTHER
from cjkit.paths import measure_loops
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from conftest import HOUR_US, prepare_events


def measured(events, **options):
    table = measure_loops(events, **{"level": "event", "gap": "5h", **options}).table
    return {
        row.place: (row.customers, row.came_back, row.times_back, row.repeated)
        for row in table.itertuples()
    }


def test_coming_back_is_told_from_staying_and_from_a_new_journey(event_log):
    events = event_log("""
        ann: a 0h, b 1h, a 2h, a 3h
        bob: a 0h, a 1h
        cas: a 0h, b 1h, a 20h
        zoe: z 99h
    """)
    assert measured(events) == {"a": (3, 1, 1, 2), "b": (2, 0, 0, 0)}


def test_a_return_tells_where_they_had_gone_and_for_how_long(event_log):
    events = event_log("ann: a 0h, c 1h, b 2h, a 4h\nbob: a 0h, c 1h, a 2h\nzoe: z 99h")
    row = measure_loops(events, level="event", gap="5h").table.iloc[0]
    assert (row["place"], row["via"], row["via_share"]) == ("a", "c", 1)
    assert row["away_p50_us"] == 3 * HOUR_US
    found = measure_loops(events, level="event", gap="5h", top=1).table
    assert found[["place", "via"]].to_numpy().tolist() == [["a", OTHER]]


def test_small_cells_are_masked_and_both_languages_are_written(event_log):
    ways = [f"p{n}: a 0h, b 1h, a 2h" for n in range(9)] + [f"q{n}: b 0h, c 1h" for n in range(3)]
    found = measure_loops(event_log("\n".join([*ways, "zoe: z 99h"])), level="event", gap="5h")
    assert "9 of 9" in found.finding("en")
    hidden = mask(found, 5)
    assert (
        hidden.table.set_index("place")
        .loc["c"]
        .drop(["came_back", "repeated"])[["customers", "back_rate"]]
        .isna()
        .all()
    )
    for language in ("en", "ja"):
        with theme(language):
            assert hidden.finding(language) and hidden.plot(language=language).get_title("left")


def slow_loops(log, level, gap):
    came, back, repeated = defaultdict(set), defaultdict(set), defaultdict(set)
    times, via, away = Counter(), defaultdict(Counter), defaultdict(list)
    for customer, journey in ended_journeys(log, level, gap):
        last = {}
        for number, (hour, place, _) in enumerate(journey):
            came[place].add(customer)
            if place in last and last[place] == number - 1:
                repeated[place].add(customer)
            elif place in last:
                back[place].add(customer)
                times[place] += 1
                via[place][journey[last[place] + 1][1]] += 1
                away[place].append(hour - journey[last[place]][0])
            last[place] = number
    return {
        place: (
            (len(people), len(back[place]), times[place], len(repeated[place])),
            max(via[place].values(), default=0),
            median(away[place]) if away[place] else None,
        )
        for place, people in came.items()
    }


@pytest.mark.parametrize("level", ["event", "touchpoint", "channel"])
@pytest.mark.parametrize("rounds", [6, pytest.param(150, marks=pytest.mark.long)])
def test_agrees_with_walking_every_journey(rng, level, rounds):
    for _ in range(rounds):
        log, gap = random_log(rng), int(rng.integers(2, 30))
        events = prepare_events(DuckDB(threads=1), log)
        table = measure_loops(events, level=level, gap=f"{gap}h").table
        found = {
            row.place: (
                (row.customers, row.came_back, row.times_back, row.repeated),
                round(row.via_share * row.times_back) if row.times_back else 0,
                None if pd.isna(row.away_p50_us) else row.away_p50_us / HOUR_US,
            )
            for row in table.itertuples()
        }
        assert found == slow_loops(log, level, gap)
