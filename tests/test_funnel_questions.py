"""What explains a funnel: causes of a change, where people go, shortcuts, and how fast it goes."""

import datetime
import itertools
import math

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.events import Period
from cjkit.funnel import (
    compare_funnels,
    explain_change,
    measure_curve,
    measure_exits,
    measure_funnel,
    measure_onward,
    measure_shortcuts,
)
from cjkit.funnel.changes import _shapley
from cjkit.privacy import mask
from cjkit.report.show import render
from conftest import build_log

STEPS = ["view", "cart", "buy"]
HOUR = 3_600_000_000


def split_log(groups):
    """Build a log in which so many people of each device view, then cart, then buy."""
    lines = []
    for device, reached in groups.items():
        for k, most in enumerate(STEPS):
            more = reached[k + 1] if k + 1 < len(reached) else 0
            path = ", ".join(f"{step} {n}h" for n, step in enumerate(STEPS[: k + 1]))
            lines += [f"{device}{most}{n}: {path}" for n in range(reached[k] - more)]
    events = build_log("\n".join(lines))
    names = " ".join(f"when customer_id like '{name}%' then '{name}'" for name in groups)
    events.engine.materialize(
        "customers", f"select customer_id, case {names} end as device from customers"
    )
    return events


def funnel(groups):
    return measure_funnel(split_log(groups), STEPS, by="device")


def test_each_cause_contributes_its_mean_over_all_orders(rng):
    new, old = rng.random((5, 4)), rng.random((5, 4))
    expected = np.zeros((5, 4))
    for order in itertools.permutations(range(4)):
        factors = old.copy()
        for factor in order:
            before = factors.prod(axis=1)
            factors[:, factor] = new[:, factor]
            expected[:, factor] += (factors.prod(axis=1) - before) / math.factorial(4)
    assert _shapley(new, old) == pytest.approx(expected)


def test_causes_add_up_to_the_change_and_groups_to_the_causes(rng):
    for _ in range(5):
        sides = []
        for _ in range(2):
            groups = {}
            for name in ("phone", "tablet", "desk"):
                groups[name] = sorted(rng.integers(0, 30, 3).tolist(), reverse=True)
            sides.append(funnel(groups))
        change = explain_change(*sides, draws=50)
        difference = change.rate - change.previous_rate
        assert change.causes["contribution"].sum() == pytest.approx(difference)
        parts = change.table.dropna(subset="device").groupby(["cause", "to_step"], dropna=False)
        wholes = change.causes.set_index(["cause", "to_step"])["contribution"]
        for key, own in parts:
            assert own["contribution"].sum() == pytest.approx(wholes.loc[key], abs=1e-12)


def test_who_enters_and_how_they_fare_are_told_apart():
    before = funnel({"phone": [100, 50, 10], "desk": [100, 80, 60]})
    # The same rates, but more phones: the mix alone.
    mix = explain_change(funnel({"phone": [200, 100, 20], "desk": [100, 80, 60]}), before)
    assert mix.causes["contribution"].round(6).tolist() == [-0.083333, 0, 0]
    assert "−8.3" in mix.finding("en") or "-8.3" in mix.finding("en")
    by_group = mix.table.query("cause == 'mix'").set_index("device")["contribution"]
    assert by_group.loc["phone"] < 0
    assert by_group.loc["desk"] < 0  # fewer of those who convert more
    # The same mix, but phones fare worse at the last step.
    rate = explain_change(funnel({"phone": [100, 50, 0], "desk": [100, 80, 60]}), before)
    assert rate.causes["contribution"].round(6).tolist() == [0, 0, -0.05]
    low, high = rate.causes[["contribution_low", "contribution_high"]].iloc[2]
    assert low < -0.05 < high


def test_a_change_is_explained_by_groups_only():
    one = measure_funnel(build_log("ann: view 0h, cart 1h"), ["view", "cart"])
    with pytest.raises(CjkitError, match="measure both with `by`"):
        explain_change(one, one)


def test_with_nobody_before_no_cause_is_named():
    events = split_log({"phone": [9, 5, 2]})
    empty = Period(None, None, 0, 1)
    now, nobody = (measure_funnel(events, STEPS, by="device", period=p) for p in (None, empty))
    change = explain_change(now, nobody, draws=10)
    assert change.causes["contribution"].isna().all()
    assert change.finding("en") == "There are not two groups with customers to compare."


def test_two_groups_of_one_funnel_are_compared():
    split = funnel({"phone": [100, 50, 10], "desk": [100, 80, 60]})
    difference = compare_funnels(split.of("phone"), split.of("desk"))
    assert difference.whole["difference"].tolist() == pytest.approx([-0.5])
    assert difference.finding("en").startswith("phone against desk: ")
    assert "10.0% against 60.0%" in difference.finding("en")
    assert difference.heads("en")["previous_rate"] == "Rate: desk"
    assert compare_funnels(split, split).heads("en") == {}
    shown = render(difference, "ja")
    assert "到達人数（phone）" in shown and "前期" not in shown
    with pytest.raises(CjkitError, match="Did you mean 'phone'"):
        split.of("fone")


def test_counts_that_are_not_independent_are_not_compared(event_log):
    sessions = measure_funnel(event_log("ann: view 0h, cart 0.1h"), STEPS[:2], count="sessions")
    with pytest.raises(CjkitError, match="not independent"):
        compare_funnels(sessions, sessions)


def test_optional_steps_are_passed_over_in_a_comparison(event_log):
    steps = ["view", {"event": "cart", "optional": True}, "buy"]
    found = measure_funnel(event_log("ann: view 0h, cart 1h, buy 2h\nbob: view 0h, buy 2h"), steps)
    table = compare_funnels(found, found).table
    assert table[["from_step", "to_step", "customers", "reached"]].values.tolist() == [
        ["view", "buy", 2, 2]
    ]


def test_what_people_do_next_who_stop(event_log):
    events = event_log(
        """
        ann: view 0h, help 1h, cart 2h, help 3h, view 4h
        bob: view 0h, cart 2h, leave 900h
        cas: view 0h, cart 1h, buy 2h
        dee: view 0h
        eve: view 0h, cart 1h, help 2h, help 3h
        """
    )
    table = measure_onward(events, STEPS).table
    assert table[["step", "next", "customers"]].values.tolist() == [
        ["view", "(nothing)", 1],
        ["cart", "help", 2],
        ["cart", "(nothing)", 1],
    ]
    assert table["share"].tolist() == [1, 2 / 3, 1 / 3]
    few = measure_onward(
        event_log("a: view 0h, x 1h\nb: view 0h, y 1h\nc: view 0h, y 2h\nd: cart 0h"),
        ["view", "cart"],
        most=1,
    ).table
    assert few[["next", "customers"]].values.tolist() == [["y", 2], ["(other)", 1]]


def test_who_stops_adds_up_to_who_is_lost(rng):
    events = split_log({"phone": [40, 20, 9], "desk": [10, 8, 1]})
    lost = measure_funnel(events, STEPS).table["lost"].tolist()[1:]
    table = measure_onward(events, STEPS, to="touchpoint").table
    assert table.groupby("step_number")["customers"].sum().tolist() == lost


def test_sessions_end_somewhere(event_log):
    events = event_log(
        "ann: home 0h, cart 0.1h, home 5h\nbob: home 0h, help 0.2h",
        touchpoint={"home": "home_page", "cart": "cart"},
    )
    table = measure_exits(events).table.set_index("touchpoint")
    assert table.loc["home_page", ["customers", "sessions", "exits"]].tolist() == [2, 3, 2]
    assert table.loc["cart", ["sessions", "exits", "exit_rate"]].tolist() == [1, 1, 1.0]
    with pytest.raises(CjkitError, match="Did you mean 'page'"):
        measure_exits(events, of="pages")


def test_shortcuts_are_what_a_step_does_not_explain(event_log):
    events = event_log("""
        ann: view 0h, cart 1h, buy 2h
        bob: view 0h, buy 2h, cart 3h
        cas: view 0h, buy 2h
    """)
    found = measure_shortcuts(events, STEPS)
    assert found.table.iloc[0, :4].tolist() == ["cart", 3, 1, 2]
    with pytest.raises(CjkitError, match="three or more"):
        measure_shortcuts(events, ["view", "buy"])


def test_the_curve_counts_who_has_arrived_by_then(event_log):
    events = event_log("""
        ann: view 0h, cart 1h, buy 60h
        bob: view 0h, view 5h, cart 59.5h
        cas: view 0h, cart 61h
        dee: view 1000h, cart 1001h
    """)
    as_of = datetime.date(2024, 1, 20)  # dee's window is not over
    curve = measure_curve(events, STEPS, within="60h", as_of=as_of).table
    assert set(curve["entered"]) == {3}
    cart = curve[curve["step"] == "cart"].set_index("after_us")["customers"]
    assert cart.loc[[0, HOUR, 2 * HOUR, 59 * HOUR, 60 * HOUR]].tolist() == [0, 1, 1, 1, 2]
    buy = curve[curve["step"] == "buy"].set_index("after_us")["customers"]
    assert buy.loc[[59 * HOUR, 60 * HOUR]].tolist() == [0, 1]
    early = measure_curve(events, STEPS, within="60h", as_of=datetime.date(2024, 1, 2))
    assert early.table.empty
    assert early.finding("en").startswith("Nobody came through in this time")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_answer_can_be_masked_shown_and_said(language):
    events = split_log({"phone": [40, 20, 9], "desk": [10, 8, 1]})
    split = measure_funnel(events, STEPS, by="device")
    results = [
        explain_change(split, split, draws=10),
        measure_onward(events, STEPS),
        measure_exits(events, of="event"),
        measure_shortcuts(events, STEPS),
        measure_curve(events, STEPS, as_of=datetime.date(2025, 1, 1)),
        measure_funnel(events, [*STEPS[:2], {"event": "buy", "within": "1D"}], count="starts"),
    ]
    for result in results:
        assert mask(result, 5).finding(language)
        page = render(result, language)
        assert "NaN" not in page
        assert "<svg" in page
    assert pd.isna(mask(results[1], 100).table["share"]).all()
