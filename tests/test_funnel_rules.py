"""The rules of a funnel against trying every choice of events: slow, and obviously right."""

import datetime
import itertools

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.funnel import measure_funnel, measure_funnel_trend, measure_times
from cjkit.funnel.rules import read_rules
from cjkit.privacy import mask
from cjkit.project.sections import FunnelSection
from conftest import START_US, prepare_events

UNIT = 20 * 60 * 1_000_000  # 20 minutes: after two of them a new session begins
FIELDS = ["event", "step_no", "occurred_us", "valid_until_us", "device", "outcome"]


def counts(events, steps, **options):
    funnel = measure_funnel(events, steps, **options)
    return funnel.table[funnel.rules.count].tolist()


# Each engine that runs the statements has its name here.
ENGINES = {"duckdb": lambda: DuckDB(threads=1)}


@pytest.fixture(params=ENGINES)
def new_engine(request):
    return ENGINES[request.param]


def draw_log(engine, rng, logs):
    """Draw `logs` small logs of 6 customers in one: `group` tells them apart. Many times tie."""
    size = 40 * logs
    customers = rng.integers(0, 6 * logs, size)
    at = START_US + rng.integers(0, 8, size) * UNIT
    log = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in customers],
            # Each event happens at least once: a rule may name it.
            "event": [*EVENTS, *rng.choice(EVENTS, size - len(EVENTS), p=PARTS)],
            "occurred_us": at,
            "event_id": [f"{n:05d}" for n in rng.permutation(size)],
            "event_order": rng.choice([1, 2, 3], size),
            "ref_id": rng.choice(["x", "y", None], size, p=[0.55, 0.3, 0.15]),
            "valid_until_us": [
                end if end < START_US + 6 * UNIT else None
                for end in at + rng.integers(0, 6, size) * UNIT
            ],
            "device": rng.choice(["phone", "desktop"], size),
            "outcome": rng.choice(["good", "bad", None], size),
            "group": [f"g{n % logs}" for n in customers],
        }
    )
    log["valid_until_us"] = log["valid_until_us"].astype("Int64")
    engine.add("customers", log[["customer_id", "group"]].drop_duplicates())
    return prepare_events(engine, log)


EVENTS = ["view", "cart", "buy", "help", "stop"]
PARTS = [0.33, 0.27, 0.2, 0.12, 0.08]


def draw_funnel(rng):
    """Draw steps and options that go together."""
    good = {"column": "outcome", "is": ["good"]}
    plain = ["view", "cart", "buy", ["cart", "help"], ["view", "buy"], "view"]
    other = [
        {"event": "cart", "name": "good cart", "when": good},
        {"name": "phone", "when": [{"column": "device", "is": ["phone"]}, {"not": good}]},
        {"event": ["view", "cart"]},
    ]
    order = rng.choice(["ordered", "ordered", "strict", "any"])
    ties = "ordered" if order == "strict" else rng.choice(["ordered", "simultaneous"])
    can_overlap = order != "any" and ties == "ordered"
    choices = plain + other if can_overlap else ["view", "cart", "buy", "view"]
    size = int(rng.integers(2, 5))
    steps = [choices[n] for n in rng.integers(0, len(choices), size)]
    for place in range(1, size):
        more = {}
        if order != "any" and rng.random() < 0.35:
            more["within"] = f"{20 * int(rng.integers(1, 4))}min"
        if place < size - 1 and rng.random() < 0.3:
            more["optional"] = True
        if more:
            step = steps[place]
            steps[place] = {**(step if isinstance(step, dict) else {"event": step}), **more}
    options = {
        "within": f"{20 * int(rng.integers(1, 8))}min",
        "order": str(order),
        "ties": str(ties),
        "hold": "ref_id" if rng.random() < 0.4 else None,
        "without": ["stop"] if rng.random() < 0.4 else [],
        "entry": "first" if order != "any" and rng.random() < 0.3 else "every",
    }
    return steps, options


def is_step(step, row):
    """Say whether an event is a step, as its keys read."""

    def holds(condition):
        if condition.not_ is not None:
            return not holds(condition.not_)
        return row[condition.column] in condition.is_

    return (step.event is None or row["event"] in step.event) and all(map(holds, step.when or ()))


def ways(rules, last):
    """Return the steps of every way to step `last`: the optional before it may be left out."""
    before = [(k,) if not rules.steps[k].optional else (k, None) for k in range(last)]
    return [[k for k in way if k is not None] + [last] for way in itertools.product(*before)]


def chains(rows, rules, last):
    """Return every chain to step `last` of the rows of one customer (session, key): row by step."""
    stops = [row for row in rows if any(is_step(step, row) for step in rules.without)]
    usable = [row for row in rows if row not in stops]
    starts = [row for row in usable if is_step(rules.steps[0], row)]
    found = []
    for way in ways(rules, last):
        if rules.order == "any":
            way = [k for k in way if k == last or not rules.steps[k].optional]
        fitting = [[row for row in usable if is_step(rules.steps[k], row)] for k in way]
        for chain in itertools.product(*fitting):
            if is_chain(chain, way, rows, stops, starts, rules):
                found.append(dict(zip(way, chain, strict=True)))
    return found


def is_chain(chain, way, rows, stops, starts, rules):
    at, place = [row["occurred_us"] for row in chain], [row["step_no"] for row in chain]
    if len(set(place)) < len(place) or max(at) - min(at) > rules.window:
        return False
    valid = chain[0]["valid_until_us"]
    if rules.hold and valid is not None and max(at) > valid:
        return False
    is_loose = rules.ties == "simultaneous"
    if any(
        min(at) < stop["occurred_us"] <= max(at)
        if is_loose
        else min(place) < stop["step_no"] < max(place)
        for stop in stops
    ):
        return False
    if rules.order == "any":
        return True
    if rules.entry == "first" and (
        at[0] > starts[0]["occurred_us"] if is_loose else chain[0] is not starts[0]
    ):
        return False
    for (earlier, later), step in zip(itertools.pairwise(chain), way[1:], strict=True):
        gap = later["occurred_us"] - earlier["occurred_us"]
        if gap < 0 or not (is_loose or earlier["step_no"] < later["step_no"]):
            return False
        window = rules.step_windows[step]
        if window is not None and gap > window:
            return False
        if rules.order == "strict" and rows.index(later) != rows.index(earlier) + 1:
            return False
    return True


def parts(events, rules):
    """Return each customer's (session's, key's) rows in the order of the log."""
    log = events.engine.query(f"select *, '{rules.count}' as c from {events} order by step_no")
    log = log.astype(object).where(log.notna(), None)
    names = ["customer_id"]
    names += ["session_no"] if rules.count == "sessions" else []
    if rules.hold:
        log, names = log[log["ref_id"].notna()], [*names, "ref_id"]
    return {
        key: own[FIELDS].to_dict("records") for key, own in log.groupby(names, sort=False) if key
    }


def slow_counts(events, steps, **options):
    """Count each step by trying every choice of events."""
    rules = read_rules(events, steps, **options)
    found = []
    for last in range(len(rules.steps)):
        reached = set()
        for key, rows in parts(events, rules).items():
            for chain in chains(rows, rules, last):
                unit = {
                    "customers": key[:1],
                    "sessions": key[:2],
                    "cases": key,
                    "starts": (key[0], chain[0]["step_no"]),
                }[rules.count]
                reached.add(unit)
        found.append(len(reached))
    return found


ROUNDS = pytest.mark.parametrize("rounds", [9, pytest.param(600, marks=pytest.mark.long)])


@ROUNDS
@pytest.mark.parametrize("count", ["customers", "sessions", "cases", "starts"])
def test_every_rule_agrees_with_trying_every_choice_of_events(new_engine, rng, count, rounds):
    for _ in range(rounds):
        steps, options = draw_funnel(rng)
        if count == "cases":
            options["hold"] = "ref_id"
        if count == "starts" and options["order"] == "any":
            options["order"] = "ordered"
        events = draw_log(new_engine(), rng, 2)
        expected = slow_counts(events, steps, count=count, **options)
        assert counts(events, steps, count=count, **options) == expected, (steps, options)


def test_the_same_step_may_be_asked_for_many_times_in_any_order(event_log):
    events = event_log(
        """
        ann: buy 0h, buy 1h, view 2h, buy 3h, buy 4h
        bob: buy 0h, view 1h, buy 2h
        cas: buy 0h, buy 1h, buy 2h, buy 9h, view 10h
        """
    )
    steps = ["buy", "buy", "buy", "view", "buy"]
    assert counts(events, steps, within="4h", order="any") == [3, 3, 2, 1, 1]


@ROUNDS
def test_groups_add_up_to_the_whole(new_engine, rng, rounds):
    for _ in range(rounds // 3):
        steps, options = draw_funnel(rng)
        count = str(rng.choice(["customers", "sessions"]))
        events = draw_log(new_engine(), rng, 3)
        whole = counts(events, steps, count=count, **options)
        for by in ("group", "device"):
            table = measure_funnel(events, steps, count=count, by=by, **options).table
            added = table.groupby("step_number")[count].sum()
            assert added.reindex(range(1, len(steps) + 1), fill_value=0).tolist() == whole


@ROUNDS
def test_starts_are_followed_and_timed_as_trying_every_choice_says(new_engine, rng, rounds):
    for _ in range(rounds):
        steps, options = draw_funnel(rng)
        if options["order"] == "any":
            options["order"] = "ordered"
        events = draw_log(new_engine(), rng, 2)
        rules = read_rules(events, steps, **options)
        entered, ended = [set() for _ in steps], {}
        for (customer, *_), rows in parts(events, rules).items():
            for last, people in enumerate(entered):
                people |= {customer for _ in chains(rows, rules, last)[:1]}
            for chain in chains(rows, rules, len(steps) - 1):
                way = [chain[step]["occurred_us"] for step in rules.required]
                ended.setdefault(customer, []).append((chain[0]["step_no"], way))
        # All entries lie in one month, which makes the trend the funnel.
        trend = measure_funnel_trend(events, steps, as_of=datetime.date(2025, 1, 1), **options)
        found = trend.table.groupby("step_number")["customers"].sum().tolist()
        assert (found or [0] * len(steps)) == [len(people) for people in entered]
        times = measure_times(events, steps, **options).table
        assert set(times["customers"]) == {len(ended)}
        if ended:
            # Of a customer the first start that gets there, and the earliest way from it.
            gaps = np.diff([min(ways)[1] for ways in ended.values()])
            whole = gaps.sum(axis=1, keepdims=True)
            gaps = gaps if gaps.shape[1] == 1 else np.hstack([gaps, whole])
            assert times["median_us"].tolist() == np.median(gaps, axis=0).tolist()


def test_a_loan_process_needs_no_word_of_a_shop(event_log):
    events = event_log(
        """
        ann: ask_rate 0h, apply_branch 5h, call_back 6h, send_papers 30h, approve 80h, pay_out 100h
        bob: ask_rate 0h, apply_online 2h, send_papers 300h, approve 310h, pay_out 320h
        cas: ask_rate 0h, apply_online 1h, send_papers 9h, withdraw 10h, approve 12h, pay_out 14h
        dee: ask_rate 0h, apply_branch 1h, send_papers 3h, call_back 4h, approve 9h, pay_out 90h
        eve: apply_online 0h, send_papers 1h
        """,
        stage={"ask_rate": "advice", "apply_branch": "application", "apply_online": "application"},
        channel={"apply_branch": "branch", "apply_online": "online", "ask_rate": "online"},
    )
    steps = [
        {"stage": "advice"},
        ["apply_branch", "apply_online"],
        {"event": "call_back", "optional": True},
        {"event": "approve", "within": "10D"},
        {"name": "quick_payment", "event": "pay_out", "within": "2D"},
    ]
    funnel = measure_funnel(events, steps, within="90D", without=["withdraw"])
    # bob's approval came too late, cas withdrew, dee was called back after her papers, and her
    # payment took more than two days.
    assert funnel.table["customers"].tolist() == [4, 4, 2, 2, 1]
    assert funnel.table["step"].tolist() == [
        "advice",
        "apply_branch / apply_online",
        "call_back",
        "approve",
        "quick_payment",
    ]
    assert funnel.table["lost"].tolist() == [pd.NA, 0, pd.NA, 2, 1]
    assert funnel.largest_loss["step"] == "approve"
    assert "apply_branch / apply_online" in funnel.finding("en")
    by = measure_funnel(
        events, steps[1:], without=["withdraw"], by="channel", by_at="first", within="90D"
    ).table
    entered = by[by["step_number"] == 1].set_index("channel")["customers"]
    assert entered.to_dict() == {"online": 3, "branch": 2}


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        (
            ["view", {"touchpoint": "sop"}],
            {},
            "Did you mean 'shop'",
        ),
        (["view", {"evnt": "cart"}], {}, r"steps\[1\].evnt is not known. Did you mean 'event'"),
        (["view", {"when": {"column": "device", "is": ["a"]}}], {}, "needs a name"),
        (["view", {"name": "x", "when": {"column": "devise", "is": ["a"]}}], {}, "'device'"),
        (["view", {"event": "cart", "within": "1"}], {}, "has no unit"),
        (["view", {"event": "cart", "optional": True}], {}, "cannot be optional"),
        (["view", "cart"], {"without": "buy"}, r"such as \['buy'\]"),
        (["view", "cart"], {"without": ["bye"]}, "Did you mean 'buy'"),
        (["view", "cart"], {"hold": "ref"}, "Did you mean 'ref_id'"),
        (["view", "cart"], {"count": "cases"}, "needs `hold`"),
        (["view", "cart"], {"order": "strict", "ties": "simultaneous"}, "ties='ordered'"),
        (["view", "cart"], {"order": "any", "entry": "first"}, "no first step"),
        (["view", {"event": "cart", "within": "1h"}], {"order": "any"}, "no step before"),
        (["view", {"touchpoint": "shop"}], {"order": "any"}, "1 events are more than one"),
        (["view", "cart"], {"count": "starts", "by": "device", "by_at": "cart"}, "by_at='first'"),
    ],
)
def test_errors_of_rules_say_what_to_do(event_log, steps, options, message):
    events = event_log("ann: view 0h, cart 1h, buy 2h", touchpoint={"view": "shop"})
    with pytest.raises(CjkitError, match=message):
        measure_funnel(events, steps, **options)


def test_sessions_and_starts_say_how_many_people_stand_behind_them(event_log):
    events = event_log("ann: view 0h, view 0.1h, cart 0.2h, view 5h, cart 5.1h\nbob: view 0h")
    sessions = measure_funnel(events, ["view", "cart"], count="sessions")
    assert sessions.table[["sessions", "customers"]].to_numpy().tolist() == [[3, 2], [2, 1]]
    assert "reach “cart” in the same session;" in sessions.finding("en")
    one_day = measure_funnel(event_log("ann: view 0h, cart 1h"), ["view", "cart"], within="24h")
    assert "reach “cart” within 1 day;" in one_day.finding("en")
    starts = measure_funnel(events, ["view", "cart"], count="starts")
    assert starts.table[["starts", "customers"]].to_numpy().tolist() == [[4, 2], [3, 1]]
    hidden = mask(sessions, 2).table
    assert hidden["sessions"].isna().tolist() == [False, True]
    assert "3 sessions" in sessions.finding("en")


def test_a_project_file_writes_steps_as_python_does():
    steps = [
        "view",
        ["cart_web", "cart_app"],
        {"touchpoint": "advice", "optional": True},
        {"name": "large", "event": "buy", "when": {"column": "revenue", "above": 100}},
    ]
    told = FunnelSection.model_validate({"steps": steps, "without": ["refund"], "hold": "ref_id"})
    assert [step.called for step in told.steps] == [
        "view",
        "cart_web / cart_app",
        "advice",
        "large",
    ]
    assert [step.plain for step in told.steps][:2] == steps[:2]
    for step in told.steps:
        assert FunnelSection(steps=(step.plain, "buy")).steps[0] == step
    assert told.options["without"] == ["refund"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"is_not": ["phone"]}, ["cart", "help"]),
        ({"starts_with": "pho"}, ["view"]),
        ({"ends_with": "100%"}, ["cart"]),
        ({"contains": "_"}, []),
        ({"present": False}, ["help"]),
        ({"present": True}, ["view", "cart"]),
    ],
)
def test_conditions_of_steps_mean_what_they_say(event_log, condition, expected):
    events = event_log(
        "ann: view 0h, buy 1h\nbob: cart 0h, buy 1h\ncas: help 0h, buy 1h",
        device={"view": "phone", "cart": "tab 100%"},
    )
    step = {
        "name": "first",
        "event": ["view", "cart", "help"],
        "when": {"column": "device"} | condition,
    }
    table = measure_funnel(events, [step, "buy"], by="event").table
    assert set(table.loc[table["step_number"] == 1, "event"]) == set(expected)
