"""Lifecycle, stickiness and migration against slow and obvious counts."""

import dataclasses
import datetime

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import make_period
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from cjkit.segmentation import (
    STATUSES,
    join_views,
    measure_lifecycle,
    measure_migration,
    measure_stickiness,
)
from conftest import START_US, prepare_events

DAY = 86_400_000_000
END = START_US + 400 * DAY


def build_purchases(days):
    """Build purchases from (customer, days before END)."""
    rows = pd.DataFrame(days, columns=["customer_id", "before"])
    rows["occurred_us"] = (END - rows.pop("before") * DAY).astype("int64")
    return prepare_events(DuckDB(threads=1), rows.assign(event="purchase"))


def slow_status(before, end, window, lost_after):
    """Say where somebody stands who bought `before` days before END, seen `end` days before it."""
    windows = {int((day - end - 1e-9) // window) for day in before if day > end}
    if not windows:
        return None
    latest, earlier = min(windows), sorted(windows)[1:2]
    if latest == 0:
        return "new" if not earlier else "active" if earlier == [1] else "resurrected"
    return "at_risk" if latest == 1 else "dormant" if latest < lost_after else "lost"


def test_every_customer_stands_where_a_slow_look_puts_them(rng):
    for _ in range(6):
        days = [(f"c{rng.integers(0, 40)}", rng.uniform(0.1, 390)) for _ in range(150)]
        days.append(("first", 395.0))
        window, lost_after = int(rng.integers(20, 60)), int(rng.integers(2, 6))
        found = measure_lifecycle(
            build_purchases(days), as_of_us=END, window=f"{window}D", lost_after=lost_after
        )
        own = pd.DataFrame(days, columns=["customer_id", "before"]).groupby("customer_id")["before"]
        ends = list(dict.fromkeys(found.table["until"]))
        assert 1 <= len(ends) <= 8
        for back, until in enumerate(reversed(ends)):
            slow = [slow_status(list(b), back * window, window, lost_after) for _, b in own]
            counts = found.table[found.table["until"] == until].set_index("lifecycle")
            expected = pd.Series([s for s in slow if s]).value_counts()
            assert (
                counts["customers"].to_dict()
                == expected.reindex(list(STATUSES), fill_value=0).to_dict()
            )
            assert counts["share"].sum() == pytest.approx(1)
        now = found.customers.engine.query(f"select * from {found.customers}")
        told = {name: slow_status(list(b), 0, window, lost_after) for name, b in own}
        assert now.set_index("customer_id")["segment"].to_dict() == told


def test_pulse_is_who_came_or_came_back_for_each_who_fell_quiet():
    days = [("new", 5), ("back", 5), ("back", 80), ("active", 5), ("active", 40), ("quiet", 40)]
    found = measure_lifecycle(build_purchases([*days, ("old", 130)]), as_of_us=END, window="30D")
    now = found.now.set_index("lifecycle")["customers"]
    assert now.to_dict() == {
        "new": 1, "active": 1, "resurrected": 1, "at_risk": 1, "dormant": 0, "lost": 1
    }  # fmt: skip
    assert found.pulse == 2
    assert found.table["until"].max() == datetime.date(2025, 2, 3)
    assert {"n/a", "nan"}.isdisjoint(found.finding("ja").split())


def test_the_usual_window_holds_three_in_four_gaps_or_a_fifth_of_the_log():
    days = [(f"c{n}", 10 + n) for n in range(8)] + [(f"c{n}", 10 + n + 7 * n) for n in range(8)]
    found = measure_lifecycle(build_purchases(days), as_of_us=END)
    assert np.quantile([7 * n for n in range(8)], 0.75) > (66 - 10) / 5
    assert found.window == pd.Timedelta("11D")
    days = [(f"c{n}", 10 + n) for n in range(8)] + [(f"c{n}", 13 + n) for n in range(8)]
    assert measure_lifecycle(build_purchases([*days, ("old", 390)])).window == pd.Timedelta("3D")
    assert measure_lifecycle(build_purchases(days), event=None).customers.count() == 8
    with pytest.raises(CjkitError, match="Did you mean 'purchase'"):
        measure_lifecycle(build_purchases(days), event="purchas")
    with pytest.raises(CjkitError, match="has no unit"):
        measure_lifecycle(build_purchases(days), window=30)
    with pytest.raises(CjkitError, match="lost_after=1"):
        measure_lifecycle(build_purchases(days), lost_after=1)


def test_without_anything_done_the_page_says_so():
    found = measure_lifecycle(build_purchases([("a", 1)]), as_of_us=1)
    assert found.table.empty
    assert "Nobody" in found.finding("en")


def test_days_of_activity_are_counted_and_messages_are_none(rng):
    zone = "Asia/Tokyo"
    period = make_period(datetime.date(2024, 1, 1), datetime.date(2024, 1, 11), zone)
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in rng.integers(0, 30, 200)],
            "occurred_us": START_US + rng.integers(0, 14 * DAY, 200),
            "event": "visit",
            "direction": rng.choice(["inbound", "outbound"], 200),
        }
    )
    found = measure_stickiness(prepare_events(DuckDB(threads=1), rows), period)
    inside = rows[(rows["occurred_us"] < period.end_us) & (rows["direction"] == "inbound")]
    days = (inside["occurred_us"] - START_US) // DAY
    active = days.groupby(inside["customer_id"]).nunique()
    counts = found.table.set_index("days")["customers"]
    assert counts[counts > 0].to_dict() == active.value_counts().to_dict()
    assert found.stickiness == pytest.approx(active.sum() / 10 / len(active))
    assert found.low < found.stickiness < found.high


def build_segments(engine, name, segments):
    frame = pd.DataFrame(segments.items(), columns=["customer_id", "segment"])
    return engine.add(name, frame)


def test_migration_counts_every_pair_of_segments(rng):
    engine = DuckDB(threads=1)
    before = {f"c{n}": rng.choice(["a", "b", "c"]) for n in range(60)}
    now = {f"c{n}": rng.choice(["a", "b", "d"]) for n in range(10, 80)}
    found = measure_migration(
        build_segments(engine, "now", now),
        build_segments(engine, "before", before),
        order=["b", "a"],
    )
    assert found.order == ("b", "a", "c", "d")
    for row in found.table.itertuples():
        both = [
            name
            for name in {*before, *now}
            if before.get(name, "outside") == row.previous_segment
            and now.get(name, "outside") == row.segment
        ]
        assert row.customers == len(both)
        if row.previous_segment == "outside":
            assert np.isnan(row.move_rate)
        else:
            were = list(before.values()).count(row.previous_segment)
            assert row.move_rate == pytest.approx(len(both) / were)
            assert row.move_rate_low < row.move_rate < row.move_rate_high
    assert found.table["customers"].sum() == 80
    moved = found.largest_move
    assert moved is not None
    assert moved["previous_segment"] != moved["segment"]


def test_segments_are_drawn_whole_though_their_moves_are_hidden():
    engine = DuckDB(threads=1)
    pairs = [("a", "a", 60), ("a", "b", 3), ("b", "a", 3), ("b", "b", 34)]
    people = [(before, now) for before, now, count in pairs for _ in range(count)]
    sides = [{f"c{n}": pair[side] for n, pair in enumerate(people)} for side in (1, 0)]
    found = measure_migration(
        *(build_segments(engine, *side) for side in zip(("now", "before"), sides, strict=True))
    )
    masked = mask(found, 5)
    assert masked.table["customers"].isna().all()  # two by two, each gives the others away
    both = [63, 37, 0]
    assert masked.sizes.table[["previous_customers", "customers"]].to_numpy().T.tolist() == [
        both,
        both,
    ]
    shown = mask(dataclasses.replace(found, table=found.table.iloc[[0, 1, 3]]), 4)
    for result in (found, shown):
        words = {text.get_text() for text in result.plot().texts}
        assert {"a  63%", "b  37%"} <= words
    assert "Moves of few people" in shown.plot().get_title("left")
    assert found.plot().get_title("left") == ""


def test_who_stays_moves_nowhere():
    engine = DuckDB(threads=1)
    same = build_segments(engine, "now", {"ann": "a", "bob": "b"})
    found = measure_migration(same, same)
    assert found.largest_move is None
    assert found.finding("en") == "Nobody changed segment."


def test_views_of_the_same_customers_stand_side_by_side():
    engine = DuckDB(threads=1)
    own = build_segments(engine, "own", {"ann": "a", "bob": "b"})
    rule = build_segments(engine, "rules", {"ann": "vip", "cas": "vip"})
    joined = join_views(own, {"rule": rule})
    found = engine.query(f"select * from {joined} order by customer_id").fillna("")
    assert found.to_numpy().tolist() == [["ann", "a", "vip"], ["bob", "b", ""]]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_pictures_and_findings_stand_masked(language, rng):
    days = [(f"c{rng.integers(0, 60)}", rng.uniform(0, 390)) for _ in range(200)]
    events = build_purchases(days)
    engine = events.engine
    halves = [
        build_segments(engine, name, {f"c{n}": "ab"[(n * k) % 3 % 2] for n in range(60)})
        for name, k in (("now", 1), ("before", 2))
    ]
    period = make_period(datetime.date(2024, 3, 1), datetime.date(2024, 6, 1), "Asia/Tokyo")
    results = (
        measure_lifecycle(events, as_of_us=END, window="60D"),
        measure_stickiness(events, period),
        measure_migration(*halves),
    )
    for result in results:
        for smallest in (5, 500):
            shown = mask(result, smallest)
            with theme(language):
                assert shown.plot(language=language).get_figure() is not None
            assert "nan" not in shown.finding(language).lower()
