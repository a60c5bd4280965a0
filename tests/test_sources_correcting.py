"""Corrected records: a landing with them is the landing of a corrected file."""

import json

import pandas as pd
import pytest
from companies import CONSENT, project_head

from cjkit import sources
from cjkit.engine import DuckDB
from cjkit.project import read_project
from cjkit.sources.correcting import Correction

SOURCE = (
    CONSENT
    + """
[sources.web]
files = ["in/web*"]
[sources.web.mapping]
system = "web"
file = {{ format = "{form}", time_zone = "Asia/Tokyo"{more} }}
ids = {{ login = "login" }}
[[sources.web.mapping.row]]
table = "events"
[sources.web.mapping.row.columns]
occurred_at = {{ column = "at", time = "iso" }}
event = "event"
page = "page"
"""
)
GOOD = [
    {"at": "2026-01-01 10:00", "login": "ann", "event": "view", "page": "a;b,\"c\""},
    {"at": "2026-01-02 10:00", "login": "bob", "event": "view", "page": ""},
    {"at": "2026-01-03 10:00", "login": "cas", "event": "cart", "page": "二\n行"},
]  # fmt: skip
BAD = [GOOD[0], GOOD[1] | {"at": "soon", "page": "x"}, GOOD[2] | {"login": ""}]


def write(path, form, records):
    frame = pd.DataFrame(records)
    if form == "csv":
        frame.to_csv(path, index=False, sep=";", encoding="cp932")
    elif form == "ndjson":
        path.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in records))
    elif form == "json":
        path.write_text(json.dumps(records, indent=1))
    elif form == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_excel(path, index=False, engine="openpyxl")


@pytest.fixture(params=["csv", "ndjson", "json", "parquet"])
def company(request, tmp_path):
    form = request.param
    more = ', delimiter = ";", encoding = "cp932"' if form == "csv" else ""
    (tmp_path / "in").mkdir()
    (tmp_path / "journey.toml").write_text(
        project_head(login="strong") + SOURCE.format(form=form, more=more)
    )
    write(tmp_path / "in" / f"web.{form}", form, BAD)
    return tmp_path


def land(folder, corrections=None):
    project = read_project(folder / "journey.toml")
    landed = sources.land(project, DuckDB(threads=1), corrections=corrections)
    path = landed.folders[0] / "events.parquet"
    return landed, DuckDB(threads=1).query(f"from '{path}'")


def corrections_of(folder, mended):
    """Correct the records of the file one by one, as they stand there."""
    project = read_project(folder / "journey.toml")
    (path,) = (folder / "in").iterdir()
    file = f"in/{path.name}"
    raw = pd.concat(sources.read_raw(project, "web", file, range(1, 9)))["record"]
    made = {}
    for number, (text, record) in enumerate(zip(raw, mended, strict=True), 1):
        given = json.loads(text)
        if given != record:
            made[number] = Correction(text, json.dumps(given | record, ensure_ascii=False))
    return {("web", file): made}


def test_a_corrected_record_lands_as_if_its_file_had_been_corrected(company):
    corrections = corrections_of(company, GOOD)
    landed, found = land(company, corrections)
    assert landed.ledgers[0].corrected == 2
    (path,) = (company / "in").iterdir()
    write(path, path.suffix[1:], GOOD)
    mended, expected = land(company)
    assert mended.ledgers[0].corrected == 0
    same = found.drop(columns="record_hash") if path.suffix == ".json" else found
    pd.testing.assert_frame_equal(same, expected[same.columns])


def test_a_correction_of_a_record_that_changed_since_does_not_hold(company):
    corrections = corrections_of(company, GOOD)
    (path,) = (company / "in").iterdir()
    moved = [GOOD[2] | {"login": "eve"}, *BAD]
    write(path, path.suffix[1:], moved)
    landed, found = land(company, corrections)
    assert landed.ledgers[0].corrected == 0
    assert found["person_key"].tolist()[:3] == ["login:eve", "login:ann", "login:bob"]


def test_only_what_was_corrected_is_landed_again(company):
    first, _ = land(company)
    assert land(company)[0].made == 0
    corrections = corrections_of(company, GOOD)
    again, _ = land(company, corrections)
    assert (again.made, again.fingerprint != first.fingerprint) == (1, True)
    assert land(company, corrections)[0].made == 0


def test_a_line_that_could_not_be_read_becomes_a_record(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "journey.toml").write_text(
        project_head(login="strong") + SOURCE.format(form="csv", more="")
    )
    path = tmp_path / "in" / "web.csv"
    path.write_text("at,login,event,page\n2026-01-01,ann,view,a\n2026-01-02,bob,view,b,c\n")
    landed, _ = land(tmp_path)
    assert landed.ledgers[0].unreadable == 1
    assert (landed.folders[0] / "unreadable.csv").read_text() == "record_no\n2\n"
    record = {"at": "2026-01-02", "login": "bob", "event": "view", "page": "b,c"}
    line = Correction(json.dumps("2026-01-02,bob,view,b,c"), json.dumps(record))
    landed, found = land(tmp_path, {("web", "in/web.csv"): {2: line}})
    assert (landed.ledgers[0].unreadable, landed.ledgers[0].corrected) == (0, 1)
    path.write_text('at,login,event,page\n2026-01-01,ann,view,a\n2026-01-02,bob,view,"b,c"\n')
    pd.testing.assert_frame_equal(found, land(tmp_path)[1])
