"""Designed against actual: each deviation as its rule says it, against walking every journey."""

from collections import defaultdict

import pytest
from loan import INTENDED, loan_log
from walks import ended_journeys, random_log

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import Period
from cjkit.paths import measure_conformity, measure_loops
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from conftest import HOUR_US, START_US, prepare_events

STEPS = [{"event": "apply"}, {"event": "check"}, {"event": "decide", "within": "2h"}]
ZOE = "zoe: help 99h, apply 99h, check 99h, decide 99h"


def measured(events, steps=STEPS, **options):
    table = measure_conformity(events, steps, **{"gap": "9h", **options}).table
    return {(r.step, r.deviation): (r.affected, r.customers) for r in table.itertuples()}


def test_who_keeps_to_the_intended_journey_deviates_nowhere(event_log):
    found = measured(event_log(f"ann: apply 0h, check 1h, decide 2h\n{ZOE}"))
    assert {key: affected for key, (affected, _) in found.items() if affected} == {}
    assert found["(whole)", "deviating"] == (0, 1)
    assert ("decide", "late") not in found  # no step comes after it


@pytest.mark.parametrize(
    ("way", "deviation"),
    [
        ("apply 0h, decide 1h", ("check", "skipped")),
        ("apply 0h, decide 1h, check 2h", ("check", "late")),
        ("apply 0h, check 1h, apply 2h", ("apply", "repeated")),
        ("apply 0h, check 1h, decide 4h", ("decide", "overdue")),
        ("apply 0h, help 1h, check 2h", ("check", "detour")),
    ],
)
def test_each_deviation_is_found_where_it_is(event_log, way, deviation):
    found = measured(event_log(f"ann: {way}\n{ZOE}"))
    assert found[deviation] == (1, 1)
    at_steps = {key for key, (affected, _) in found.items() if affected and key[0] != "(whole)"}
    assert at_steps == {deviation}
    assert found["(whole)", "deviating"] == (deviation[1] != "detour", 1)


def test_events_of_one_step_after_another_are_no_loop(event_log):
    found = measured(event_log(f"ann: apply 0h, apply 1h, help 2h, apply 3h\n{ZOE}"))
    assert found["apply", "repeated"] == (0, 1)
    assert found["(whole)", "unfinished"] == (1, 1)


def test_optional_steps_may_be_left_out(event_log):
    steps = [STEPS[0], {**STEPS[1], "optional": True}, STEPS[2]]
    found = measured(
        event_log(f"ann: apply 0h, decide 1h\n{ZOE}"),
        steps,
    )
    assert ("check", "skipped") not in found
    assert found["(whole)", "deviating"] == found["(whole)", "unfinished"] == (0, 1)


def test_a_customer_counts_once_by_the_first_journey_that_has_ended(event_log):
    events = event_log(f"""
        ann: help 0h, apply 20h, check 21h, apply 50h, check 51h, apply 52h
        bob: apply 95h, decide 96h
        {ZOE}
    """)
    assert measured(events)["(whole)", "deviating"] == (0, 1)
    later = Period(None, None, START_US + 40 * HOUR_US, START_US + 99 * HOUR_US)
    assert measured(events, period=later)["(whole)", "deviating"] == (1, 1)


def test_steps_may_be_touchpoints_with_alternatives_or_stages(event_log):
    events = event_log(
        "ann: look 0h, pay 1h\nbob: call 0h, pay 1h\nzoe: z 99h",
        touchpoint={"look": "site", "call": "phone", "pay": "till"},
        stage={"pay": "purchase"},
    )
    steps = [["site", "phone"], {"stage": "purchase"}]
    assert measured(events, steps)["(whole)", "deviating"] == (0, 2)
    assert measured(events, ["phone", "till"])["phone", "skipped"] == (1, 2)


def test_groups_add_up_and_take_the_value_at_the_first_step(event_log):
    events = event_log(
        f"ann: apply 0h, check 1h\nbob: check 0h, apply 1h\n{ZOE}",
        device={"apply": "phone", "check": "desk"},
    )
    table = measure_conformity(events, STEPS, gap="9h", by="device").table
    rows = table[table["deviation"] == "deviating"]
    found = rows.set_index("device")[["affected", "customers"]].T.to_dict("list")
    assert found == {"desk": [1, 1], "phone": [0, 1]}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["site"], "name 2 to 20 steps"),
        ([{"event": "apply"}, {"event": "chekc"}], "Did you mean 'check'"),
        ([{"event": "apply"}, {"event": "apply"}], "twice"),
        ([{"event": "apply", "within": "1h"}, {"event": "check"}], "no step before it"),
        ([{"event": "apply"}, {"evnt": "check"}], "Did you mean 'event'"),
    ],
)
def test_errors_say_what_to_do(event_log, steps, message):
    with pytest.raises(CjkitError, match=message):
        measure_conformity(event_log("ann: apply 0h, check 1h, decide 2h"), steps)


def test_small_cells_are_masked_and_both_languages_are_written(event_log):
    ways = [f"p{n}: apply 0h, check 1h, decide 2h" for n in range(9)]
    ways += [f"q{n}: apply 0h, decide 2h" for n in range(2)]
    found = measure_conformity(
        event_log("\n".join([*ways, ZOE])),
        STEPS,
        gap="9h",
    )
    assert "81.8%" in found.finding("en")
    hidden = mask(found, 5)
    rows = hidden.table.set_index(["step", "deviation"])
    assert rows.loc[("check", "skipped"), ["affected", "affected_rate"]].isna().all()
    assert rows["affected_rate"].isna().sum() > 1  # what would give it away goes too
    for result in (found, hidden):
        for language in ("en", "ja"):
            with theme(language):
                assert result.finding(language) and result.plot(language=language).get_title("left")


def test_an_empty_log_gives_an_empty_result(event_log):
    log = event_log("ann: apply 0h, check 1h, decide 2h")  # nothing has ended
    found = measure_conformity(log, STEPS)
    assert found.table["customers"].sum() == 0
    assert found.finding("ja")


def slow_conformity(log, events, gap, windows, optional):
    """Walk each customer's first ended journey with a step, and note what holds at each."""
    found = defaultdict(lambda: [0, 0])

    def note(step, deviation, affected):
        found[step, deviation][0] += bool(affected)
        found[step, deviation][1] += 1

    seen = set()
    for customer, journey in ended_journeys(log, "event", gap):
        own = [(n, hour, event) for n, (hour, _, event) in enumerate(journey) if event in events]
        if not own or customer in seen:
            continue
        seen.add(customer)
        numbers = [events.index(event) for _, _, event in own]
        deviates = False
        for k, event in enumerate(events):
            at = [place for place, number in enumerate(numbers) if number == k]
            is_past = max(numbers) > k
            if k + 1 < len(events) and k not in optional and (at or is_past):
                note(event, "skipped", not at)
                deviates |= not at
            if not at:
                continue
            first = at[0]
            is_late = any(number > k for number in numbers[:first])
            is_back = any(numbers[place - 1] != k for place in at[1:])
            if k + 1 < len(events):
                note(event, "late", is_late)
            note(event, "repeated", is_back)
            deviates |= is_late or is_back
            if first > 0:
                note(event, "detour", own[first][0] - own[first - 1][0] > 1)
                if k in windows and numbers[first - 1] < k:
                    is_overdue = own[first][1] - own[first - 1][1] > windows[k]
                    note(event, "overdue", is_overdue)
                    deviates |= is_overdue
        note("(whole)", "deviating", deviates)
        needed = set(range(len(events))) - optional
        note("(whole)", "unfinished", not needed <= set(numbers))
    return {key: tuple(counts) for key, counts in found.items()}


@pytest.mark.parametrize("rounds", [15, pytest.param(400, marks=pytest.mark.long)])
def test_agrees_with_walking_every_journey(rng, rounds):
    for _ in range(rounds):
        log, gap = random_log(rng), int(rng.integers(2, 20))
        names = list(rng.permutation(["a", "b", "c", "buy"]))[: rng.integers(2, 5)]
        windows = {k: int(rng.integers(1, 6)) for k in range(1, len(names)) if rng.random() < 0.5}
        optional = {k for k in range(1, len(names)) if rng.random() < 0.3}
        steps = [
            {"event": name}
            | ({"within": f"{windows[k]}h"} if k in windows else {})
            | ({"optional": True} if k in optional else {})
            for k, name in enumerate(names)
        ]
        events = prepare_events(DuckDB(threads=1), log)
        found = measured(events, steps, gap=f"{gap}h")
        slow = slow_conformity(log, names, gap, windows, optional)
        assert {key: counts for key, counts in found.items() if counts[1]} == slow


def test_a_loan_process_shows_its_rework_and_its_overdue_checks(rng):
    log = loan_log(rng)
    found = measure_conformity(log, INTENDED, gap="20D", by="desk").table
    rates = found.set_index(["desk", "step", "deviation"])["affected_rate"]
    assert rates["north", "send_papers", "repeated"] == 1
    assert rates["south", "send_papers", "repeated"] == 0
    assert 0.1 < rates["south", "check", "overdue"] < 0.35
    assert rates["south", "apply", "skipped"] == 0
    loops = measure_loops(log, gap="20D", by="desk").table.set_index(["desk", "place"])
    assert loops.loc[("north", "document_upload"), "back_rate"] == 1
    assert loops.loc[("south", "document_upload"), "back_rate"] == 0
