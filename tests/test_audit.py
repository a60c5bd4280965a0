import json
import multiprocessing
import os

import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.privacy import audit
from cjkit.project import read_project


@pytest.fixture(params=["keyed", "plain"])
def project(tmp_path, request):
    path = tmp_path / "journey.toml"
    path.write_text(
        f"""
        [project]
        id = "shop"
        name = {{ en = "Shop", ja = "店" }}
        time_zone = "Asia/Tokyo"
        currency = "JPY"
        [consent]
        missing = "allow"
        [privacy]
        pseudonyms = "{request.param}"
        key_file = "own.key"
        [sources.till]
        files = ["*.csv"]
        mapping = "./till.toml"
        """
    )
    return read_project(path)


def log_of(project):
    return project.state_folder / "audit" / "log.jsonl"


def write_lines(project, lines):
    log_of(project).write_text("".join(line + "\n" for line in lines))


def read(project):
    return pd.DataFrame(audit.read(project))


def record_five(project):
    for number in range(5):
        audit.record(project, "report", data=f"data{number}", parameters={"jobs": number})
    return log_of(project).read_text().splitlines()


def test_a_line_says_who_ran_what_on_which_data_with_which_parameters(project):
    audit.record(project, "report", data="0123", parameters={"only": ["03_funnel"]})
    audit.record(project, "person", customer=" Ann@Example.com")
    table = read(project)
    assert table["no"].tolist() == [1, 2]
    assert table["command"].tolist() == ["report", "person"]
    assert table["who"].nunique() == 1 and table["who"].iloc[0]
    assert table["project"].tolist() == ["shop", "shop"]
    assert table["data"].tolist() == ["0123", ""]
    assert table["parameters"].tolist() == [{"only": ["03_funnel"]}, {}]
    assert (pd.to_datetime(table["at"]).diff().dropna() >= pd.Timedelta(0)).all()
    assert audit.verify(project) == audit.Verdict(2, json.loads(last_line(project))["hash"], None)


def last_line(project):
    return log_of(project).read_text().splitlines()[-1]


def test_a_person_stands_in_it_as_a_hash_only_equal_for_equal_spellings(project):
    audit.record(project, "person", customer=" Ann@Example.com")
    audit.record(project, "forget", customer="ａｎｎ@example.com")
    audit.record(project, "forget", customer="bob@example.com")
    assert "example" not in log_of(project).read_text()
    customers = read(project)["customer"]
    assert customers[0] == customers[1] == audit.hide(project, "ann@example.com") != customers[2]


def test_the_log_is_the_owners_alone(project):
    before = os.umask(0)
    try:
        audit.record(project, "report")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in log_of(project).parent.iterdir()}
    assert modes == {"log.jsonl": 0o600, "last.json": 0o600}
    assert log_of(project).parent.stat().st_mode & 0o777 == 0o700


def test_a_new_log_is_sound(project):
    assert audit.verify(project).fault is None
    assert len(read(project)) == 0


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("changed", "line 3 was changed"),
        ("removed", "line 3 does not follow"),
        ("doubled", "line 4 does not follow"),
        ("moved", "line 3 does not follow"),
        ("cut", "lines 4 to 5 are cut off"),
        ("emptied", "lines 1 to 5 are cut off"),
        ("scribbled", "line 3 is no line"),
    ],
)
def test_the_first_line_that_breaks_the_chain_is_named(project, name, fault):
    one, two, three, four, five = record_five(project)
    broken = {
        "changed": [one, two, three.replace('"jobs": 2', '"jobs": 7'), four, five],
        "removed": [one, two, four, five],
        "doubled": [one, two, three, three, four, five],
        "moved": [one, two, four, three, five],
        "cut": [one, two, three],
        "emptied": [],
        "scribbled": [one, two, "not a line", four, five],
    }
    write_lines(project, broken[name])
    found = audit.verify(project)
    assert fault in found.fault
    assert found.lines == (0 if name == "emptied" else 3 if name in ("cut", "doubled") else 2)


def test_a_chain_cannot_be_forged_without_the_key(project):
    """Whoever knows the format but not the key writes a whole chain anew, with its last.json."""
    lines = [json.loads(line) for line in record_five(project)]
    lines[2]["parameters"] = {"jobs": 7}
    before = "0" * 64
    for line in lines:
        line["before"] = before
        line["hash"] = before = audit._hash(line, None)
    write_lines(project, [json.dumps(line) for line in lines])
    audit._anchor(log_of(project).parent, lines[-1], None)
    if project.privacy.pseudonyms == "keyed":
        assert "line 1 was changed" in audit.verify(project).fault
    else:
        assert audit.verify(project).fault is None  # as the module says: plain projects have no key


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda path: path.unlink(), "last.json is missing"),
        (lambda path: path.write_text("{}"), "was changed"),
        (lambda path: path.write_text(path.read_text().replace('"no": 5', '"no": 4')), "changed"),
    ],
)
def test_a_changed_end_mark_is_seen(project, change, fault):
    record_five(project)
    change(log_of(project).parent / "last.json")
    assert fault in audit.verify(project).fault


def test_a_process_killed_while_writing_leaves_a_log_that_goes_on(project):
    record_five(project)
    anchor = (log_of(project).parent / "last.json").read_bytes()
    with log_of(project).open("a") as log:
        log.write('{"no": 6, "at": "2026')
    assert audit.verify(project).fault is None
    audit.record(project, "report")
    assert audit.verify(project).lines == 6
    # Killed between the line and last.json, which then is one line behind.
    (log_of(project).parent / "last.json").write_bytes(anchor)
    assert audit.verify(project).fault is None
    audit.record(project, "report")
    assert audit.verify(project) == audit.Verdict(7, json.loads(last_line(project))["hash"], None)


def record_many(path, lines):
    project = read_project(path)
    for number in range(lines):
        audit.record(project, "report", parameters={"process": os.getpid(), "number": number})


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_write_at_once_never_break_the_chain(project):
    context = multiprocessing.get_context("fork")
    audit.record(project, "prepare")
    writers = [context.Process(target=record_many, args=(project.path, 25)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    found = audit.verify(project)
    assert (found.lines, found.fault) == (76, None)
    table = read(project).iloc[1:]["parameters"].apply(pd.Series)
    assert table.groupby("process")["number"].apply(list).tolist() == [list(range(25))] * 3


def test_long_lines_are_chained_too(project):
    for size in (10, 70_000, 200_000, 10):
        audit.record(project, "report", parameters={"note": "x" * size})
    assert audit.verify(project).lines == 4


def test_a_damaged_line_is_named_when_the_log_is_read(project):
    lines = record_five(project)
    write_lines(project, [*lines[:2], "{", *lines[3:]])
    with pytest.raises(CjkitError, match=r"log\.jsonl, line 3 is damaged"):
        audit.read(project)


def test_nothing_runs_where_it_cannot_be_recorded(project):
    project.state_folder.mkdir(parents=True)
    (project.state_folder / "audit").write_text("in the way")
    with pytest.raises(CjkitError, match="Nothing runs unrecorded"):
        audit.record(project, "report")
