"""The mapping language: what it takes, and how it refuses the rest."""

import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from cjkit import sources
from cjkit.checks import CjkitError
from cjkit.project.conditions import Condition
from cjkit.sources import read_mapping, shipped_mappings
from cjkit.sources.files import FileRule
from cjkit.sources.mapping import Each, Filter, Lookup, Plus, Row, Spelling, Value


def mapping(**changes):
    """Return a small mapping that holds together, with changes."""
    whole = {
        "system": "Web",
        "file": {"format": "ndjson", "time_zone": "Asia/Tokyo"},
        "ids": {"login": "user_id"},
        "row": [
            {
                "table": "events",
                "columns": {"occurred_at": {"column": "ts", "time": "iso"}, "event": "name"},
            }
        ],
    }
    return {**whole, **changes}


def row(**columns):
    """Return a row of events with further columns."""
    needed = {"occurred_at": {"column": "ts", "time": "iso"}, "event": "name"}
    return [{"table": "events", "columns": {**needed, **columns}}]


def read(given):
    return read_mapping(given, folder=Path(), place="sources.web.mapping")


def fault(given):
    with pytest.raises(CjkitError) as caught:
        read(given)
    return str(caught.value)


@pytest.mark.parametrize("name", shipped_mappings())
def test_every_shipped_mapping_holds_together(name):
    found = read(name)
    assert found.system and found.rows


def test_a_mapping_names_the_columns_that_it_reads():
    found = read(
        mapping(
            lookup={"offers": {"source": "offers", "key": "id", "on": "offer"}},
            filter=[{"name": "tests", "when": {"not": {"column": "kind", "is": ["real"]}}}],
            row=row(
                revenue={"multiply": ["price", "amount", 1.1]},
                campaign="offers.name",
                ref_id={"first": ["order", "case"]},
            ),
        )
    )
    assert set(found.columns) == {
        *("user_id", "kind", "ts", "name", "price", "amount", "order", "case"),
        *("offer", "offers.name"),
    }
    assert "offers.name" not in found.file_columns


def test_all_faults_are_said_together_each_with_its_place_and_the_nearest_name():
    said = fault(
        {
            "system": "Web",
            "fiel": {},
            "file": {"format": "ndjsn", "encoding": "utf-9", "time_zone": "Asia/Tokio"},
            "ids": {"login": {"colum": "user_id"}},
            "filter": [{"name": "bots", "when": {"column": "agent"}}],
            "row": [
                {"table": "event", "columns": {}},
                {
                    "table": "events",
                    "ids": ["logn"],
                    "unique": ["event_idd"],
                    "columns": {
                        "event_id": "id",
                        "evnt": "name",
                        "occurred_at": "ts",
                        "valid_until_at": {"column": "until", "time": "%Q"},
                    },
                },
            ],
        }
    )
    for expected in (
        "fiel is not known. Did you mean 'file'?",
        "file.format='ndjsn' must be",
        "file.encoding='utf-9': is no encoding",
        "file.time_zone='Asia/Tokio': is no time zone",
        "ids.login.colum is not known. Did you mean 'column'?",
        "filter 1.when",
        "row 1.table='event' is no table of the contract. Did you mean 'events'?",
        "row 2.columns.evnt is no column of events. Did you mean 'event'?",
        "row 2.columns.event is missing: events need it.",
        "row 2.columns.occurred_at is a time",
        "row 2.columns.valid_until_at.time='%Q' holds '%Q'",
        "row 2.ids names 'logn'.",
        "row 2.unique names 'event_idd', no column of it. Did you mean 'event_id'?",
    ):
        assert expected in said, said


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (mapping(row=row(revenue={"column": "a", "value": 1})), "and holds column and value"),
        (mapping(row=row(revenue={"time": "iso"})), "and holds none of them"),
        (mapping(row=row(revenue={"value": 1, "codes": {"a": 2}})), "codes reads a text"),
        (mapping(row=row(channel={"column": "a", "else": "b"})), "else goes with codes"),
        (mapping(row=row(x_at={"column": "h", "time": "hours"})), "since goes with"),
        (
            mapping(row=row(x_at={"column": "h", "time": "hours", "since": "once"})),
            "since='once'",
        ),
        (
            mapping(row=[{"table": "customers", "columns": {"source": "origin"}}]),
            "source is cjkit's own name",
        ),
        (mapping(row=row(x_day={"column": "d", "time": "iso"})), "its name must end in _at"),
        (mapping(row=row(revenue={"column": "d", "time": "iso"})), "revenue is no time"),
        (mapping(row=row(occurred_at={"column": "t", "time": "isso"})), "Did you mean 'iso'?"),
        (mapping(file={"format": "ndjson", "delimiter": ";"}), "delimiter means nothing for"),
        (mapping(ids={}), "belongs to a person"),
        (
            mapping(
                row=[
                    {
                        "table": "costs",
                        "ids": ["login"],
                        "columns": {"channel": "c", "spent_on": "d", "cost": "e"},
                    }
                ]
            ),
            "belong to nobody",
        ),
        (
            mapping(
                file={"format": "csv"},
                row=row(occurred_at={"column": "t", "time": "%Y/%m/%d %H:%M"}),
            ),
            "has no zone: say file.time_zone",
        ),
        (
            mapping(filter=[{"name": "a", "when": {"column": "b", "matches": "("}}]),
            "is no regular expression",
        ),
        (mapping(filter=[{"name": "no_row", "when": {"column": "b", "is": [1]}}]), "cjkit's own"),
    ],
)
def test_what_does_not_fit_together_is_refused(given, expected):
    assert expected in fault(given)


def test_a_day_needs_no_zone():
    costs = {"channel": "c", "spent_on": {"column": "d", "time": "%Y-%m-%d"}, "cost": "e"}
    found = read(
        mapping(file={"format": "csv"}, ids={}, row=[{"table": "costs", "columns": costs}])
    )
    assert found.rows[0].ids == ()


def test_an_unknown_mapping_is_named_with_the_nearest(tmp_path):
    assert "Did you mean 'sample/web'?" in fault("sample/wbe")
    with pytest.raises(CjkitError, match=r"x\.toml cannot be read: No such file"):
        read_mapping("./x.toml", folder=tmp_path, place="sources.web.mapping")
    (tmp_path / "x.toml").write_text("system = ")
    with pytest.raises(CjkitError, match="is not valid TOML"):
        read_mapping("./x.toml", folder=tmp_path, place="sources.web.mapping")
    (tmp_path / "x.toml").write_bytes("system = '店'".encode("cp932"))
    with pytest.raises(CjkitError, match="is not UTF-8"):
        read_mapping("./x.toml", folder=tmp_path, place="sources.web.mapping")


def test_the_reference_names_every_key_and_its_example_holds_together():
    reference = sources.__doc__
    example = textwrap.dedent(reference.split("::\n\n")[1].split("[file]: how")[0])
    assert len(read(tomllib.loads(example)).rows) == 1
    for model in (FileRule, Lookup, Spelling, Filter, Row, Each, Value, Condition, Plus):
        for name, field in model.model_fields.items():
            key = field.alias or name
            assert re.search(rf"[`\[.{{ ]{key}[`\]]|{key} = ", reference), f"{model}: {key}"
