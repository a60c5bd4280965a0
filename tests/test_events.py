"""The contract: order, sessions, splits and periods."""

import datetime

import pandas as pd
import pytest
from portable import faults

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import (
    CONTRACT,
    SQL_TYPES,
    find_periods,
    local_midnight_us,
    sequence_sql,
    split_by,
)
from conftest import HOUR_US, START_US, prepare_events


def slow_sequence(rows, gap_us):
    """Walk each journey event by event: slow, and obviously right."""
    found = {}
    for _, own in rows.groupby("customer_id"):
        own = own.sort_values(["occurred_us", "event_order", "event_id"])
        session, before = 0, None
        events = list(own.itertuples())
        for step, event in enumerate(events, 1):
            if before is None or event.occurred_us - before > gap_us:
                session += 1
            before = event.occurred_us
            after = events[step] if step < len(events) else None
            found[event.event_id] = (
                session,
                step,
                after.event if after else None,
                after.occurred_us - event.occurred_us if after else None,
            )
    return found


def test_sequence_columns_agree_with_walking_each_journey(rng):
    for _ in range(10):
        rows = pd.DataFrame(
            {
                "customer_id": rng.choice(list("abc"), 60),
                "event": rng.choice(["view", "cart", "buy"], 60),
                "event_id": [f"{k:03d}" for k in rng.permutation(60)],
                "event_order": rng.integers(0, 3, 60),
                "occurred_us": START_US + rng.integers(0, 20, 60) * 600_000_000,
            }
        )
        engine = DuckDB(threads=1)
        prepare_events(engine, rows)
        found = engine.query("select * from events").set_index("event_id")
        for event_id, (session, step, after, wait) in slow_sequence(rows, HOUR_US // 2).items():
            row = found.loc[event_id]
            assert (row["session_no"], row["step_no"]) == (session, step)
            assert (row["next_event"] if pd.notna(row["next_event"]) else None) == after
            assert (row["microseconds_to_next"] == wait) or (
                wait is None and pd.isna(row["microseconds_to_next"])
            )


def test_time_to_an_event_of_day_precision_on_the_same_day_is_unknown():
    rows = pd.DataFrame(
        {
            "customer_id": "a",
            "event": ["x", "y", "z"],
            "time_precision": ["day", "second", "second"],
            "occurred_us": [START_US, START_US + HOUR_US, START_US + 30 * HOUR_US],
        }
    )
    found = prepare_events(DuckDB(), rows).engine.query(
        "select event, microseconds_to_next as us from events order by step_no"
    )
    assert pd.isna(found["us"][0])
    assert found["us"][1] == 29 * HOUR_US


def test_the_sequence_sql_is_portable():
    assert faults(sequence_sql('"events"')) == []


def test_groups_add_up_to_the_whole_and_missing_is_a_group(event_log):
    events = event_log(
        "ann: view 0h, buy 1h\nbob: view 0h\ncas: view 0h",
        device={"view": "phone"},
    )
    events.engine.materialize(
        "segments", "select 'ann' as customer_id, 'loyal' as segment union all select 'bob', null"
    )
    split = split_by(events, "segments.segment")
    assert (split.name, split.kind) == ("segment", "customer")
    assert split.values == ("loyal", "(missing)")
    counts = events.engine.query(
        f"select by_value, count(*) as n from {split.relation} as s group by 1"
    )
    assert counts.set_index("by_value")["n"].to_dict() == {"loyal": 2, "(missing)": 2}
    by_device = split_by(events, "device")
    assert by_device.kind == "event"
    assert by_device.values == ("phone", "(missing)")


def test_more_than_twenty_values_become_nineteen_and_other():
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{k}" for k in range(60)],
            "event": [f"e{min(k, 24):02d}" for k in range(60)],
            "occurred_us": START_US,
        }
    )
    events = prepare_events(DuckDB(), rows)
    split = split_by(events, "event")
    assert split.is_shortened
    assert len(split.values) == 20
    assert split.values[0] == "e24"
    assert split.values[-1] == "(other)"
    total = events.engine.query(f"select count(*) as n from {split.relation} as s")["n"][0]
    assert total == 60


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("devise", "Did you mean 'device'"),
        ("segmnts.segment", "table 'segmnts' is not in the log"),
        ("events.evnt", "Did you mean 'event'"),
    ],
)
def test_an_unknown_split_is_named_with_the_nearest(event_log, by, message):
    with pytest.raises(CjkitError, match=message):
        split_by(event_log("ann: view 0h"), by)


def test_local_midnight_follows_daylight_saving():
    spring = local_midnight_us(datetime.date(2024, 4, 1), "Europe/London")
    winter = local_midnight_us(datetime.date(2024, 3, 1), "Europe/London")
    assert (spring - winter) / HOUR_US == 31 * 24 - 1


def test_the_year_before_has_the_same_days():
    now, before = find_periods(
        datetime.date(2024, 3, 1), length="1M", compare="year_before", time_zone="UTC"
    )
    assert (now.start, now.end) == (datetime.date(2024, 2, 1), datetime.date(2024, 3, 1))
    assert (before.start, before.end) == (datetime.date(2023, 2, 1), datetime.date(2023, 3, 1))


def test_every_table_of_the_contract_holds_together():
    for name, rule in CONTRACT.items():
        assert set(rule.columns.values()) <= set(SQL_TYPES), name
        assert set(rule.required) <= set(rule.columns), name
        assert rule.time is None or rule.columns[rule.time] == "time", name
