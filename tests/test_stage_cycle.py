"""The cycle of stages and the state of the base, against walking every person's events."""

from collections import Counter, defaultdict
from statistics import median

import pandas as pd
import pytest
from loan import STAGES, loan_log
from walks import random_log, walks

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import Period
from cjkit.experience import measure_stage_cycle, measure_stage_states
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from conftest import HOUR_US, START_US, prepare_events

KNOWN = ["a", "b", "c"]


def hours(start, end):
    return Period(None, None, START_US + start * HOUR_US, START_US + end * HOUR_US)


def staged(event_log, ways):
    return event_log(ways, stage={"look": "interest", "buy": "purchase", "use": "loyalty"})


def cycled(events, **options):
    options = {"stages": ["interest", "purchase", "loyalty"], "quiet": "5h", **options}
    table = measure_stage_cycle(events, **options).table
    return {(r.stage, r.next_stage): (r.stays, r.customers) for r in table.itertuples()}


def test_people_go_on_fall_back_grow_quiet_and_stay(event_log):
    events = staged(
        event_log,
        """
        ann: look 0h, look 1h, buy 2h, look 3h
        bob: buy 0h, look 1h, use 2h, use 20h
        cas: look 90h, look 96h
        zoe: help 99h
        """,
    )
    assert cycled(events) == {
        ("interest", "purchase"): (1, 1),
        ("purchase", "interest"): (2, 2),
        ("interest", "(quiet)"): (2, 2),
        ("interest", "loyalty"): (1, 1),
        ("loyalty", "(quiet)"): (2, 1),
    }
    open_end = staged(event_log, "ann: look 0h, look 4h, look 8h\nzoe: help 9h")
    assert cycled(open_end) == {("interest", "(still)"): (1, 1)}


def test_the_state_now_and_before(event_log):
    events = staged(
        event_log,
        """
        ann: look 0h, buy 20h
        bob: use 0h, look 15h
        cas: look 0h
        dee: look 15h, help 16h
        eve: help 3h
        """,
    )
    found = measure_stage_states(
        events,
        period=hours(10, 30),
        stages=["interest", "purchase", "loyalty"],
        quiet="20h",
    )
    table = found.table
    assert {(r.stage_before, r.stage_now): r.customers for r in table.itertuples()} == {
        ("(new)", "interest"): 1,
        ("interest", "purchase"): 1,
        ("loyalty", "interest"): 1,
        ("interest", "(quiet)"): 1,
    }
    assert table["share"].sum() == 1
    words = found.finding("en")
    assert "Of 3 people" in words and "1 went on" in words and "1 fell back" in words


def slow_cycle(log, quiet):
    """Walk each person's staged events, and note each stay and what followed it."""
    end = int((log["occurred_us"].max() - START_US) // HOUR_US)
    counts, people, times = Counter(), defaultdict(set), defaultdict(list)
    for customer, walk in walks(log, "event").items():
        own = [(hour, KNOWN.index(place)) for hour, place, _ in walk if place in KNOWN]
        stays = []
        for number, (hour, stage) in enumerate(own):
            is_fresh = number == 0 or hour - own[number - 1][0] > quiet
            if is_fresh or own[number - 1][1] != stage:
                stays.append((hour, stage, is_fresh))
        for number, (hour, stage, _) in enumerate(stays):
            if hour > end - quiet:
                continue
            later = stays[number + 1] if number + 1 < len(stays) else None
            if later and not later[2]:
                following = KNOWN[later[1]]
                times[KNOWN[stage], following].append((later[0] - hour) * HOUR_US)
            else:
                is_still = later is None and own[-1][0] > end - quiet
                following = "(still)" if is_still else "(quiet)"
            counts[KNOWN[stage], following] += 1
            people[KNOWN[stage], following].add(customer)
    return {
        pair: (count, len(people[pair]), median(times[pair]) if pair in times else None)
        for pair, count in counts.items()
    }


@pytest.mark.parametrize("rounds", [15, pytest.param(300, marks=pytest.mark.long)])
def test_the_cycle_agrees_with_walking_every_person(rng, rounds):
    for _ in range(rounds):
        log, quiet = random_log(rng), int(rng.integers(2, 30))
        events = prepare_events(DuckDB(threads=1), log.assign(stage=log["event"]))
        table = measure_stage_cycle(events, stages=KNOWN, quiet=f"{quiet}h").table
        found = {
            (r.stage, r.next_stage): (
                r.stays,
                r.customers,
                None if pd.isna(r.stay_p50_us) else r.stay_p50_us,
            )
            for r in table.itertuples()
        }
        assert found == slow_cycle(log, quiet)


@pytest.mark.parametrize("rounds", [15, pytest.param(300, marks=pytest.mark.long)])
def test_the_states_agree_with_walking_every_person(rng, rounds):
    def state(own, moment, quiet):
        seen = [(hour, place) for hour, place in own if hour < moment]
        if not seen:
            return "(new)"
        return "(quiet)" if moment - seen[-1][0] > quiet else seen[-1][1]

    for _ in range(rounds):
        log, quiet = random_log(rng), int(rng.integers(2, 40))
        start, end = sorted(int(moment) for moment in rng.integers(1, 90, 2))
        events = prepare_events(DuckDB(threads=1), log.assign(stage=log["event"]))
        table = measure_stage_states(
            events, period=hours(start, end), stages=KNOWN, quiet=f"{quiet}h"
        ).table
        slow = Counter()
        for walk in walks(log, "event").values():
            own = [(hour, place) for hour, place, _ in walk if place in KNOWN]
            if any(hour < end for hour, _ in own):
                slow[state(own, start, quiet), state(own, end, quiet)] += 1
        found = {(r.stage_before, r.stage_now): r.customers for r in table.itertuples()}
        assert found == dict(slow)


def test_a_loan_process_has_its_own_cycle_in_both_languages_and_by_desk(rng):
    events = loan_log(rng)
    cycle = measure_stage_cycle(events, stages=STAGES, quiet="20D", by="desk")
    back = cycle.table[cycle.table["direction"] == "back"]
    assert set(zip(back["desk"], back["stage"], back["next_stage"], strict=True)) == {
        ("north", "review", "application")
    }
    assert cycle.entries.set_index(["desk", "stage"]).loc[("north", "review"), "back"] > 50
    with pytest.raises(CjkitError, match="split by 'desk'"):
        cycle.plot()
    whole = measure_stage_cycle(events, stages=STAGES, quiet="20D")
    states = measure_stage_states(events, period=hours(300, 600), stages=STAGES, quiet="20D")
    split = measure_stage_states(
        events, period=hours(300, 600), stages=STAGES, quiet="20D", by="desk"
    )
    assert split.table["customers"].sum() == states.table["customers"].sum()
    with pytest.raises(CjkitError, match="column of events"):
        measure_stage_states(events, period=hours(300, 600), stages=STAGES, by="event")
    for result in (whole, states, mask(whole, 70), mask(states, 20)):
        for language in ("en", "ja"):
            with theme(language):
                assert result.finding(language) and result.plot(language=language).get_title("left")
    assert mask(states, 20).table["customers"].isna().any()


def test_an_empty_log_gives_empty_results(event_log):
    log = staged(event_log, "ann: look 0h")
    assert measure_stage_cycle(log).table.empty
    assert "yet" in measure_stage_cycle(log).finding("en")
    none = measure_stage_states(log, period=hours(-9, -5))
    assert none.table.empty and none.finding("ja")
