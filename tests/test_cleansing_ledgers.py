"""Conservation: whatever the dirt, each record and each row is accounted for, step by step."""

import os
import re

import pandas as pd
import pytest
from companies import make_company
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cjkit import cleansing
from cjkit.checks import CjkitError
from cjkit.cleansing.erasing import Traces, begin_erasing
from cjkit.cleansing.ledgers import follow_records
from cjkit.cleansing.rules import DERIVED, OUTCOMES
from cjkit.events import CONTRACT

# A call makes an event, and an answer where there is a score; internal ones are left out.
CALLS = """[sources.calls]
files = ["in/calls*.csv"]
[sources.calls.mapping]
system = "calls"
file = { format = "csv", time_zone = "Asia/Tokyo" }
ids = { login = "login", mail = "mail" }
[[sources.calls.mapping.filter]]
name = "internal"
when = { column = "kind", is = ["internal"] }
[[sources.calls.mapping.row]]
table = "events"
when = { column = "kind", is_not = ["silent"] }
[sources.calls.mapping.row.columns]
occurred_at = { column = "at", time = "iso" }
event = { value = "view" }
[[sources.calls.mapping.row]]
table = "feedback"
when = { column = "score", present = true }
[sources.calls.mapping.row.columns]
given_at = { column = "at", time = "iso" }
metric = { value = "nps" }
score = { column = "score", numbers = true }
score_max = { value = 10 }
"""
HEADS = {
    "calls_1": "at,login,mail,kind,score",
    "calls_2": "at,login,mail,kind,score",
    "shop": "order_id,at,login,amount,kind",
    "consent": "login,cookie,purpose,answer,at",
    "deleted": "login,at",
}
VALUES = {
    "at": ["2026-01-01 10:00:00", "2026-01-02", "1970-01-01", "", "x"],
    "login": ["ann", "bob", "cas", ""],
    "mail": ["a@a.jp", ""],
    "kind": ["", "internal", "silent", "return"],
    "score": ["5", "99", "many", ""],
    "order_id": ["o1", "o2", ""],
    "amount": ["5", "-5", "many", ""],
    "purpose": ["analytics", "marketing"],
    "answer": ["yes", "no"],
}


def records(head):
    cells = [st.sampled_from(VALUES.get(name, [""])) for name in head.split(",")]
    whole = st.tuples(*cells).map(",".join)
    # A line with a cell too many is no record.
    return st.lists(st.one_of(whole, whole, whole, whole.map(lambda line: line + ",x")), max_size=7)


def write(folder, dirt):
    """Write a company with these files, each with one good line more: one without is refused."""
    good = {"login": "zoe", "at": "2026-01-05"}
    files = {
        name: [head, *dirt[name], ",".join(good.get(cell, "") for cell in head.split(","))]
        for name, head in HEADS.items()
    }
    others = {
        f"{name}.csv": "\n".join(lines)
        for name, lines in files.items()
        if not name.startswith("calls")
    }
    path = make_company(folder, others, more=CALLS)
    for name in ("calls_1", "calls_2"):
        (folder / "in" / f"{name}.csv").write_text("\n".join(files[name]) + "\n")
    return path, files


def count_by_hand(name, lines):
    """Say what becomes of the lines of a file: read, unreadable, filtered, and rows by table."""
    head = lines[0].split(",")
    found = {"read": 0, "unreadable": 0, "filtered": 0, "mapped": 0, "rows": {}, "records": {}}
    for line in lines[1:]:
        cells = line.split(",")
        record = dict(zip(head, cells, strict=False))
        found["read"] += 1
        tables = {
            "shop": ["orders"],
            "consent": ["consents"],
            "deleted": ["tombstones"],
        }.get(
            name,
            ["events"] * (record.get("kind") != "silent")
            + ["feedback"] * bool(record.get("score")),
        )
        if len(cells) != len(head):
            found["unreadable"] += 1
        elif (name.startswith("calls") and record["kind"] == "internal") or not tables:
            found["filtered"] += 1
        else:
            found["mapped"] += 1
            for table in tables:
                found["rows"][table] = found["rows"].get(table, 0) + 1
    return found


def check(log, files):
    """Compare all ledgers with counting by hand, and with what is in the log."""
    quality = log.quality
    expected = {f"in/{name}.csv": count_by_hand(name, lines) for name, lines in files.items()}
    read = quality.records.table.set_index("file")
    for file, counts in expected.items():
        for name in ("read", "mapped", "filtered", "unreadable"):
            assert read.loc[file, name] == counts[name], (file, name)
    rows = quality.rows.table
    assert (rows["made"] == rows[["clean", *OUTCOMES]].sum(axis=1)).all()
    given_rows = rows[rows["source"] != DERIVED].set_index(["source", "table"])
    fan_out = quality.fan_out.table.set_index(["source", "table"])
    sums = {}
    for file, counts in expected.items():
        source = re.split(r"[_.]", file.removeprefix("in/"))[0]
        for table, number in counts["rows"].items():
            sums[source, table] = sums.get((source, table), 0) + number
    assert given_rows["made"].to_dict() == sums
    assert {place: number for place, number in fan_out["rows"].items() if number} == sums
    # No line of this company makes two rows of one table: its rows there are its records.
    gone = given_rows["erased"].reindex(fan_out.index).fillna(0)
    assert (fan_out["records"] == fan_out["rows"] - gone).all()
    kept = (rows["clean"] - rows["later"]).groupby(rows["table"]).sum()
    for table in CONTRACT:
        assert log.engine.table(table).count() == kept.get(table, 0)
    quarantine = log.engine.query(f"from '{log.prepared.folder}/quarantine.parquet'")
    found = quarantine["outcome"].value_counts()
    assert found.get("quarantined", 0) == rows["quarantined"].sum() + read["unreadable"].sum()
    assert found.get("merged", 0) == rows["merged"].sum()
    assert found.get("retracted", 0) == rows["retracted"].sum()
    flow = quality.flow.table
    level = 0
    for step in flow.itertuples():
        assert not step.is_total or step.Index == 0 or step.amount == level
        level = step.amount if step.is_total else level + step.amount
    assert level == sum(log.engine.table(table).count() for table in CONTRACT)


@settings(
    max_examples=int(os.environ.get("CJKIT_DIRTY_COMPANIES", "5")),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dirt=st.fixed_dictionaries({name: records(head) for name, head in HEADS.items()}))
def test_records_and_rows_are_conserved_also_when_people_are_erased(tmp_path_factory, dirt):
    path, files = write(tmp_path_factory.mktemp("dirty"), dirt)
    log = cleansing.open(path, as_of="2026-06-01")
    check(log, files)
    begin_erasing(log.project.state_folder, Traces((), ("login:ann",), {}, ()))
    again = cleansing.open(path, as_of="2026-06-01")
    check(again, files)
    held = again.engine.query(f"from '{again.prepared.folder}/people.parquet'")
    assert "login:ann" not in set(held["person_key"])


@pytest.mark.parametrize("ledger", ["mapped", "made", "clean"])
def test_ledgers_that_do_not_agree_end_the_run(ledger):
    records = pd.DataFrame({"read": [9], "filtered": [1], "unreadable": [1], "mapped": [7]})
    fan_out = pd.DataFrame({"rows": [8]})
    rows = pd.DataFrame(
        {"source": ["web", DERIVED], "made": [8, 2], "clean": [6, 2], "later": [1, 0]}
        | {name: [int(name == "quarantined") * 2, 0] for name in OUTCOMES}
    )
    steps = follow_records(records, fan_out, rows).set_index("step")["amount"]
    assert steps[["read", "mapped", "made", "clean", "in_the_log"]].tolist() == [9, 7, 8, 6, 7]
    if ledger == "mapped":
        records["mapped"] = 6
    else:
        rows.loc[0, ledger] += 1
    with pytest.raises(CjkitError, match=f"do not agree at '{ledger}'"):
        follow_records(records, fan_out, rows)
