# ruff: noqa: E501  (a message stands on one line)
"""Exports that overlap, come late, are corrected or vanish: the log is that of a build from scratch."""

import json
import random

import pytest
from test_connectors_ga4 import T, hit

import cjkit
from cjkit.checks import CjkitError
from cjkit.cleansing import prepare

PROJECT = """
[project]
id = "late"
name = { en = "Late days", ja = "遅れて届く日" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[company]
started_on = 2015-01-01
[period]
as_of = 2024-06-01
[consent]
missing = "allow"
[privacy]
pseudonyms = "plain"
[identity]
login = { strength = "strong" }
cookie = { strength = "weak" }
[sources.web]
files = ["in/events_*.json"]
mapping = "ga4/events"
duplicates = "latest"
"""


def make(folder, more=""):
    (folder / "in").mkdir(parents=True)
    (folder / "journey.toml").write_text(PROJECT + more)
    return folder / "journey.toml"


def write(folder, name, hits):
    (folder / "in" / name).write_text("\n".join(map(json.dumps, hits)))


def told(path):
    """Return what the log tells, without where it read it."""
    log = cjkit.open(path)
    columns = "occurred_us, customer_id, event, page, campaign, session_no, step_no, event_id"
    found = log.events.engine.query(f"select {columns} from {log.events} order by 1, 3, 4")
    log.events.engine.close()
    return found


def one(number, campaign=None):
    at = T + 61_000_000 * number
    return hit(at, "page_view", f"c{number % 5}", params={"campaign": campaign} if campaign else {})


def check_one_history(folder, seed):
    """Deliver days in any order, again and corrected, and compare with reading all at once."""
    dice = random.Random(seed)
    exports, latest = [], {}
    for run in range(dice.randint(2, 4)):  # each export has the last days once more
        first = dice.randint(0, 10)
        numbers = range(first, dice.randint(first + 1, 30))
        hits = {n: one(n, dice.choice([None, f"run{run}"])) for n in numbers}
        latest |= hits
        rows = [*hits.values(), *dice.choices([*hits.values()], k=2)]
        dice.shuffle(rows)
        parts = dice.randint(1, 3)
        for part in range(parts):
            exports.append((f"events_2024050{run}_{part}.json", rows[part::parts]))
    exports = [(name, rows) for name, rows in exports if rows]
    path = make(folder / "step by step")
    delivered = exports[:]
    dice.shuffle(delivered)
    cut = dice.randint(1, len(delivered))
    for part in (delivered[:cut], delivered[cut:]):
        for name, rows in part:
            write(path.parent, name, rows)
        found = told(path)
    whole = make(folder / "at once")
    for name, rows in exports:
        write(whole.parent, name, rows)
    columns = ["occurred_us", "event", "page", "campaign", "session_no", "step_no"]
    again = told(whole)
    assert found[columns].equals(again[columns])
    assert (
        found.groupby("customer_id").size().tolist() == again.groupby("customer_id").size().tolist()
    )
    assert found["occurred_us"].tolist() == [T + 61_000_000 * n for n in sorted(latest)]
    campaigns = [
        next((each["value"]["string_value"] for each in latest[n]["event_params"]), None)
        for n in sorted(latest)
    ]
    assert (
        found["campaign"].astype(object).where(found["campaign"].notna(), None).tolist()
        == campaigns
    )


@pytest.mark.parametrize("seed", range(3))
def test_any_delivery_gives_the_log_of_a_build_from_scratch(tmp_path, seed):
    check_one_history(tmp_path, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 150))
def test_many_deliveries_give_the_log_of_a_build_from_scratch(tmp_path, seed):
    check_one_history(tmp_path, seed)


def test_the_same_exports_again_change_nothing_and_a_day_that_changed_replaces_its_rows(tmp_path):
    path = make(tmp_path)
    write(tmp_path, "events_20240501.json", [one(1), one(2)])
    write(tmp_path, "events_20240502.json", [one(3)])
    first = cjkit.open(path)
    assert len(first.engine.query(f"from {first.events}")) == 3
    write(tmp_path, "events_20240501.json", [one(1), one(2)])
    assert prepare(path).is_new is False
    write(tmp_path, "events_20240502.json", [one(4, "late")])
    assert told(path)["occurred_us"].tolist() == [T + 61_000_000 * n for n in (1, 2, 4)]


def test_a_file_that_vanished_is_an_error_unless_retention_says_otherwise(tmp_path):
    path = make(tmp_path)
    write(tmp_path, "events_1.json", [one(1)])
    write(tmp_path, "events_2.json", [one(2)])
    assert len(told(path)) == 2
    (tmp_path / "in" / "events_1.json").unlink()
    with pytest.raises(
        CjkitError,
        match=r"'in/events_1.json' of source 'web' was read before and is gone.*retention = 'forget'",
    ):
        cjkit.open(path)
    path.write_text(PROJECT + 'retention = "forget"\n')
    assert told(path)["occurred_us"].tolist() == [T + 122_000_000]
