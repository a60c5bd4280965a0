import datetime
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import Period
from cjkit.funnel import compare_funnels, measure_funnel, measure_funnel_trend, measure_times
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from conftest import START_US, prepare_events

STEPS = ["view", "cart", "buy"]
HOUR = 3_600_000_000


def counts(events, steps=STEPS, **options):
    return measure_funnel(events, steps, **options).table["customers"].tolist()


def by_group(events, steps=STEPS, **options):
    table = measure_funnel(events, steps, **options).table
    return {group: rows["customers"].tolist() for group, rows in table.groupby(table.columns[0])}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def hours(start, end):
    return Period(None, None, START_US + start * HOUR, START_US + end * HOUR)


def test_counts_customers_who_take_the_steps_in_order(event_log):
    events = event_log("""
        ann: view 0h, cart 1h, buy 2h
        bob: view 0h, cart 1h
        cas: cart 0h, view 1h, buy 2h
        dee: buy 0h
    """)
    assert counts(events) == [3, 2, 1]


def test_an_event_between_two_steps_does_not_break_the_chain(event_log):
    assert counts(event_log("ann: view 0h, help 1h, cart 2h, help 3h, buy 4h")) == [1, 1, 1]


def test_a_customer_who_starts_again_gets_a_new_window(event_log):
    events = event_log("ann: view 0h, view 200h, cart 201h, buy 202h")
    assert counts(events, within="1D") == [1, 1, 1]


def test_the_window_runs_from_the_first_step_to_the_last(event_log):
    events = event_log("ann: view 0h, cart 20h, buy 40h")
    assert counts(events, within="2399m") == [1, 1, 0]
    assert counts(events, within="40h") == [1, 1, 1]


def test_the_same_event_can_be_two_steps(event_log):
    events = event_log("""
        ann: buy 0h, buy 5h
        bob: buy 0h
    """)
    assert counts(events, ["buy", "buy"]) == [2, 1]


def test_events_of_one_time_follow_one_another_in_the_order_of_the_log(event_log):
    events = event_log("ann: cart 0h, view 0h, buy 0h")
    assert counts(events) == [1, 0, 0]


def test_simultaneous_ties_satisfy_either_order_but_use_each_event_once(event_log):
    events = event_log("""
        ann: cart 0h, view 0h, buy 0h
        bob: buy 0h, view 1h, cart 1h
    """)
    assert counts(events, ties="simultaneous") == [2, 2, 1]
    assert counts(events, ["buy", "view", "buy"], ties="simultaneous") == [2, 2, 0]


def test_a_period_holds_chains_that_begin_and_end_in_it(event_log):
    events = event_log("""
        ann: view 0h, cart 1h, buy 2h
        bob: view 1h, cart 2h, buy 3h
        cas: view 2h, cart 2h
    """)
    assert counts(events, period=hours(1, 3)) == [2, 2, 0]


def test_a_rate_is_missing_where_nobody_could_convert(event_log):
    events = event_log("ann: cart 0h, view 1h, buy 2h")
    table = measure_funnel(events, STEPS).table
    assert table["customers"].tolist() == [1, 0, 0]
    assert table["step_rate"].iloc[1] == 0
    assert table[["step_rate", "step_rate_low", "step_rate_high"]].iloc[2].isna().all()
    assert table["lost"].tolist() == [pd.NA, 1, 0]


def test_rates_have_wilson_intervals(event_log):
    lines = [f"c{n}: view 0h" + (", cart 1h" if n < 81 else "") for n in range(263)]
    row = measure_funnel(event_log("\n".join(lines)), ["view", "cart"]).table.iloc[1]
    assert row["step_rate"] == pytest.approx(81 / 263)
    # Newcombe (1998), table I: 81 of 263 gives .2553 to .3662.
    assert row["step_rate_low"] == pytest.approx(0.2553, abs=5e-5)
    assert row["step_rate_high"] == pytest.approx(0.3662, abs=5e-5)


def test_counts_are_split_by_a_column_of_customers(event_log):
    events = event_log("ann: view 0h, cart 1h\nbob: view 0h, buy 1h\ncas: view 0h")
    events.engine.materialize(
        "customers",
        "select customer_id, case customer_id when 'ann' then 'loyal' when 'bob' then 'new' end"
        " as plan from customers",
    )
    assert by_group(events, ["view", "cart"], by="plan") == {
        "loyal": [1, 1],
        "new": [1, 0],
        "(missing)": [1, 0],
    }


def test_a_column_of_events_counts_at_the_event_that_by_at_names(event_log):
    events = event_log(
        """
        ann: view 0h, cart 1h, buy 2h
        bob: view 0h, cart 1h
        cas: view 0h
        """,
        device={"view": "phone", "cart": "tablet", "buy": "desktop"},
    )
    assert by_group(events, by="device") == {"phone": [3, 2, 1]}
    assert by_group(events, by="device", by_at="cart") == {
        "tablet": [2, 2, 1],
        "(missing)": [1, 0, 0],
    }
    assert by_group(events, by="device", by_at="last") == {
        "desktop": [1, 1, 1],
        "tablet": [1, 1, 0],
        "phone": [1, 0, 0],
    }


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        (["view"], {}, "name two events or more"),
        ("view", {}, "name two events or more"),
        (["view", "crat"], {}, "Did you mean 'cart'"),
        (["view", "cart"], {"within": 30}, "has no unit"),
        (["view", "cart"], {"by": "devise"}, "Did you mean 'device'"),
        (["view", "cart"], {"by_at": "buy"}, "must be one of 'first', 'last', 'view', 'cart'"),
        (["view", "cart"], {"ties": "order"}, "Did you mean 'ordered'"),
    ],
)
def test_errors_say_what_to_do(event_log, steps, options, message):
    with pytest.raises(CjkitError, match=message):
        measure_funnel(event_log("ann: view 0h, cart 1h"), steps, **options)


def test_a_log_that_was_not_prepared_is_refused(event_log):
    engine = event_log("ann: view 0h, cart 1h").engine
    raw = engine.materialize("raw", "select customer_id, event, occurred_us from events")
    with pytest.raises(CjkitError, match=r"cjkit\.open"):
        measure_funnel(raw, ["view", "cart"])


def test_names_and_values_of_the_data_reach_sql_quoted(event_log):
    events = event_log("ann: it's 0h, cart 1h", device={"it's": "o'phone", "cart": '"x'})
    assert by_group(events, ["it's", "cart"], by="device") == {"o'phone": [1, 1]}


def test_plot_draws_a_bar_for_each_step(event_log):
    with theme("ja"):
        ax = measure_funnel(event_log("ann: view 0h, cart 1h"), ["view", "cart"]).plot(
            language="ja"
        )
    assert [bar.get_width() for bar in ax.containers[1]] == [1, 1]
    assert ax.get_xlabel() == "顧客数"


def test_plot_draws_a_point_for_each_group(event_log):
    events = event_log("ann: view 0h, cart 1h\nbob: help 0h, view 1h", device={"view": "phone"})
    ax = measure_funnel(events, ["view", "cart"], by="device").plot()
    assert [text.get_text() for text in ax.texts] == ["n = 2"]


def test_the_finding_says_the_figures(event_log):
    funnel = measure_funnel(event_log("ann: view 0h, cart 1h\nbob: view 0h"), ["view", "cart"])
    assert "50.0%" in funnel.finding("en")
    assert "50.0%" in funnel.finding("ja")
    assert funnel.largest_loss["step"] == "cart"


def slow_chains(own, steps, window, ties):
    """Try every choice of one customer's events: slow, and obviously right.

    `own` holds (event, hour, position) in the order of the log; gives all chains of `steps`.
    """
    if ties == "ordered":
        tried = itertools.combinations(own, len(steps))
    else:
        tried = (
            chain
            for chain in itertools.permutations(own, len(steps))
            if all(a[1] <= b[1] for a, b in itertools.pairwise(chain))
        )
    return [
        chain
        for chain in tried
        if [event for event, _, _ in chain] == steps and chain[-1][1] - chain[0][1] <= window
    ]


def random_log(rng, logs, unit=HOUR):
    """Draw `logs` small logs of 7 customers in one: `group` tells them apart. Many times tie."""
    size = 45 * logs
    customers = rng.integers(0, 7 * logs, size)
    log = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in customers],
            "event": rng.choice([*STEPS, "help"], size, p=[0.35, 0.3, 0.25, 0.1]),
            "occurred_us": START_US + rng.integers(0, 8, size) * unit,
            "event_id": [f"{n:05d}" for n in rng.permutation(size)],
            "event_order": rng.choice([1, 2, 3], size),
            "device": rng.choice(["phone", "desktop"], size),
            "group": [f"g{n % logs}" for n in customers],
        }
    )
    return log.sort_values(["occurred_us", "event_order", "event_id"], ignore_index=True)


def prepare(log):
    """Prepare a random log, with each customer's group in the table of customers."""
    engine = DuckDB(threads=1)
    engine.add("customers", log[["customer_id", "group"]].drop_duplicates())
    return prepare_events(engine, log)


def journeys(log):
    """Return each customer's (event, hour, position) in the order of the log."""
    return {
        customer: [
            (row.event, (row.occurred_us - START_US) / HOUR, place)
            for place, row in enumerate(own.itertuples(), start=1)
        ]
        for customer, own in log.groupby("customer_id")
    }


# Each round is 19 logs, the most that `by` keeps apart.
ROUNDS = pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.long)])
TIES = pytest.mark.parametrize("ties", ["ordered", "simultaneous"])
MANY_STEPS = pytest.mark.parametrize(
    "steps",
    [STEPS, ["view", "buy"], ["view", "cart", "view"], ["buy", "buy", "view", "buy"]],
    ids="-".join,
)


@ROUNDS
@TIES
@MANY_STEPS
def test_agrees_with_trying_every_chain(rng, steps, ties, rounds):
    for _ in range(rounds):
        log = random_log(rng, 19)
        within = int(rng.integers(1, 8))
        group = dict(zip(log["customer_id"], log["group"], strict=True))
        expected = {}
        for customer, own in journeys(log).items():
            found = expected.setdefault(group[customer], [0] * len(steps))
            for k in range(len(steps)):
                found[k] += bool(slow_chains(own, steps[: k + 1], within, ties))
        options = {"within": f"{within}h", "ties": ties}
        events = prepare(log)
        entered = {name: found for name, found in expected.items() if found[0]}
        assert by_group(events, steps, by="group", **options) == entered
        assert counts(events, steps, **options) == np.sum(list(expected.values()), axis=0).tolist()


@ROUNDS
@TIES
@pytest.mark.parametrize("by_at", ["first", "last", "cart"])
def test_groups_agree_with_trying_every_chain(rng, ties, by_at, rounds):
    for _ in range(rounds):
        log = random_log(rng, 10)
        devices = log.groupby("customer_id")["device"].agg(list)
        expected = {}
        for customer, own in journeys(log).items():
            ends = [
                [(chain[-1][1], chain[-1][2]) for chain in slow_chains(own, STEPS[:k], 4, ties)]
                for k in (1, 2, 3)
            ]
            if not ends[0]:
                continue
            furthest = max(k for k in range(3) if ends[k])
            at = ends[{"first": 0, "last": furthest, "cart": 1}[by_at]]
            group = devices[customer][min(at)[1] - 1] if at else "(missing)"
            found = expected.setdefault(group, [0, 0, 0])
            for k in range(3):
                found[k] += bool(ends[k])
        found = by_group(prepare(log), within="4h", ties=ties, by="device", by_at=by_at)
        assert found == expected


@ROUNDS
@TIES
@MANY_STEPS
def test_entries_agree_with_trying_every_chain(rng, steps, ties, rounds):
    for _ in range(rounds):
        log = random_log(rng, 15, unit=12 * HOUR)
        within = int(rng.integers(1, 5)) * 12
        entered, spans = {}, []
        for own in journeys(log).values():
            times = []
            for k in range(len(steps)):
                chains = slow_chains(own, steps[: k + 1], within, ties)
                times = [[hour for _, hour, _ in chain] for chain in chains]
                for day in {chain[0] // 24 for chain in times}:
                    entered.setdefault(day, [0] * len(steps))[k] += 1
            # The first entry that leads to the end, and from there the earliest next step.
            spans += [min(times)] if times else []
        events = prepare(log)
        options = {"within": f"{within}h", "ties": ties}
        table = measure_funnel_trend(
            events, steps, every="day", as_of=datetime.date(2025, 1, 1), **options
        ).table
        assert entered == {
            (day - datetime.date(2024, 1, 1)).days: rows["customers"].tolist()
            for day, rows in table.groupby("entered")
            if rows["customers"].any()
        }
        measured = measure_times(events, steps, **options).table
        gaps = np.diff(np.array(spans).reshape(-1, len(steps)), axis=1)
        if len(steps) > 2:
            gaps = np.column_stack([gaps, gaps.sum(axis=1)])
        assert measured["customers"].tolist() == [len(spans)] * gaps.shape[1]
        if spans:
            assert (measured["median_us"] / HOUR).tolist() == np.median(gaps, axis=0).tolist()


def test_entries_of_a_month_are_followed_beyond_it_and_masked_until_their_window_is_over(event_log):
    # The log begins on 1 January 2024, Tokyo time.
    events = event_log("""
        ann: view 0h, view 720h, cart 750h
        bob: view 1h, help 2000h
        cas: view 744h, cart 745h
    """)
    trend = measure_funnel_trend(events, ["view", "cart"], within="10D")
    table = trend.table
    assert table["entered"].tolist() == [datetime.date(2024, m, 1) for m in (1, 1, 2, 2)]
    assert table["customers"].tolist() == [2, 1, 1, 1]
    assert table["is_mature"].tolist() == [True, True, True, True]
    assert trend.latest["overall_rate"].tolist() == [0.5, 1]
    early = measure_funnel_trend(
        events, ["view", "cart"], within="10D", as_of=datetime.date(2024, 3, 10)
    ).table
    assert early["customers"].tolist()[:3] == [2, 1, 1]
    assert early[["customers", "overall_rate", "overall_rate_high"]].iloc[3].isna().all()
    assert early["is_mature"].tolist() == [True, True, False, False]


@pytest.mark.parametrize(("every", "length"), [("day", 1), ("week", 7)])
def test_days_and_weeks_begin_at_local_midnight_and_on_monday(event_log, every, length):
    # 1 January 2024 was a Monday.
    events = event_log("ann: view 23h, cart 24h\nbob: view 24h\ncas: view 168h, cart 169h")
    table = measure_funnel_trend(
        events, ["view", "cart"], within="2h", every=every, as_of=datetime.date(2025, 1, 1)
    ).table
    found = {
        (row.entered - datetime.date(2024, 1, 1)).days: row.customers
        for row in table[table["step"] == "view"].itertuples()
    }
    # Days without an entry have a row too, with nobody.
    days = dict.fromkeys(range(0, 8, length), 0)
    assert found == days | ({0: 1, 1: 1, 7: 1} if length == 1 else {0: 2, 7: 1})


def test_times_are_those_of_the_first_entry_that_leads_to_the_end(event_log):
    events = event_log("""
        ann: view 0h, view 100h, cart 102h, cart 103h, buy 110h, view 120h, cart 120.5h, buy 121h
        bob: view 0h, cart 4h, buy 24h
        cas: view 0h, cart 1h
    """)
    times = measure_times(events, STEPS, within="48h")
    assert times.table["customers"].tolist() == [2, 2, 2]
    assert (times.table["median_us"] / HOUR).tolist() == [3, 14, 17]
    assert (times.table["quarter_us"] / HOUR).tolist() == [2.5, 11, 13.5]


def test_a_time_below_a_day_is_unknown_where_only_the_day_is_known(event_log):
    events = event_log(
        "ann: view 0h, cart 5h, buy 50h", time_precision={"view": "second", "cart": "day"}
    )
    times = measure_times(events, STEPS)
    assert times.table["customers"].tolist() == [0, 1, 1]
    assert times.table["median_us"].isna().tolist() == [True, False, False]


def test_nobody_at_the_end_has_no_times(event_log):
    times = measure_times(event_log("ann: view 0h, cart 5h"), ["cart", "view"])
    assert times.table["customers"].tolist() == [0]
    assert times.finding("en").startswith("Nobody came through")
    assert times.plot().get_xscale() == "log"


def test_a_difference_has_newcombes_interval(event_log):
    def funnel(n, converted):
        lines = [f"c{k}: view 0h" + (", cart 1h" if k < converted else "") for k in range(n)]
        return measure_funnel(event_log("\n".join(lines)), ["view", "cart"])

    difference = compare_funnels(funnel(70, 56), funnel(80, 48))
    row = difference.table.iloc[0]
    # Newcombe (1998), table II (a), method 10: .0524 to .3339.
    assert row["difference"] == pytest.approx(0.2)
    assert row["difference_low"] == pytest.approx(0.0524, abs=5e-5)
    assert row["difference_high"] == pytest.approx(0.3339, abs=5e-5)
    assert "+20.0 points" in difference.finding("en")
    assert "more than chance" in difference.finding("en")


def test_differences_are_of_each_step_and_of_the_whole_way(event_log):
    device = {"view": "phone", "cart": "phone", "buy": "phone"}
    now = event_log("ann: view 0h, cart 1h, buy 2h\nbob: view 0h, cart 1h", device=device)
    before = event_log("ann: view 0h, cart 1h, buy 2h\nbob: view 0h", device=device)
    for by in (None, "device"):
        table = compare_funnels(
            measure_funnel(now, STEPS, by=by), measure_funnel(before, STEPS, by=by)
        ).table
        assert table["difference"].tolist() == [0.5, -0.5, 0]
        assert table["to_step"].tolist() == ["cart", "buy", "buy"]
        assert table["from_step"].tolist() == ["view", "cart", "view"]


def test_with_nobody_in_one_of_two_periods_there_is_nothing_to_compare(event_log):
    events = event_log("ann: view 5h, cart 6h", device={"view": "phone"})
    for by in (None, "device"):
        now, before = (
            measure_funnel(events, ["view", "cart"], by=by, period=days)
            for days in (hours(4, 8), hours(0, 4))
        )
        difference = compare_funnels(now, before)
        assert difference.table["difference"].isna().all()
        assert difference.finding("en") == "There are not two groups with customers to compare."
        assert difference.plot().get_figure() is not None


def test_funnels_that_were_measured_differently_are_not_compared(event_log):
    events = event_log("ann: view 0h, cart 1h, buy 2h")
    funnel = measure_funnel(events, STEPS)
    with pytest.raises(CjkitError, match="differ in within"):
        compare_funnels(funnel, measure_funnel(events, STEPS, within="1D"))
    with pytest.raises(CjkitError, match="different steps"):
        compare_funnels(funnel, measure_funnel(events, ["view", "buy"]))


def test_a_finding_names_no_step_whose_figures_are_masked(event_log):
    lines = [f"c{k}: view 0h" + (", cart 1h" if k < 3 else "") for k in range(9)]
    masked = mask(measure_funnel(event_log("\n".join(lines)), ["view", "cart"]), 5)
    assert masked.table["customers"].isna().tolist() == [False, True]
    assert masked.finding("en").startswith("Nobody entered, or too few")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_result_can_be_masked_shown_and_said(event_log, language):
    lines = [f"c{k}: view {k * 200}h, cart {k * 200 + 1}h, buy {k * 200 + 2}h" for k in range(9)]
    events = event_log("\n".join(lines), device={"view": "phone"})
    funnel = measure_funnel(events, STEPS)
    for result in (
        funnel,
        measure_funnel(events, STEPS, by="device"),
        measure_funnel_trend(events, STEPS, within="1D"),
        measure_times(events, STEPS),
        compare_funnels(funnel, funnel),
    ):
        for shown in (result, mask(result, 5), mask(result, 50)):
            with theme(language):
                assert shown.plot(language=language).get_figure() is not None
            words = shown.finding(language)
            assert words
            assert "{" not in words
            assert "nan" not in words
