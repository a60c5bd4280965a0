"""The shapes of exports: lists, pairs, headers of several rows, cells left empty, other names."""

import datetime

import pytest
from test_sources_landing import Company

from cjkit.checks import CjkitError
from cjkit.project import read_project
from cjkit.sources import event_places, read_mapping, read_mappings

EVENT = '[[row]]\ntable = "events"\n[row.columns]\noccurred_at = { value = "2024-05-01" }\n'
UTC = 'time_zone = "UTC"\n'


@pytest.fixture
def company(tmp_path):
    return Company(tmp_path)


def events(file, columns, *, row=""):
    """Return a mapping of events that have their time in the column `at`."""
    return (
        f'[file]\n{UTC}{file}\n[ids]\nlogin = "id"\n[[row]]\ntable = "events"\n{row}\n'
        f'[row.columns]\noccurred_at = {{ column = "at", time = "epoch_s" }}\n{columns}\n'
    )


def told(rows, *names):
    return [tuple(row) for row in rows[list(names)].itertuples(index=False)]


def test_every_element_of_a_list_makes_a_row_and_the_record_is_counted_once(company):
    company.write(
        "in/a.ndjson",
        '{"id":"a","at":1,"n":"x","items":[{"sku":"s1","price":"2.5"},{"sku":"s2"}]}\n'
        '{"id":"b","at":2,"n":"y","items":[]}\n{"id":"c","at":3,"n":"z"}\n',
    )
    mapping = events(
        "",
        'event = "n"\nproduct_id = "items.sku"\nrevenue = "items.price"\n'
        "event_order = { position = true }",
        row='each = "items"',
    )
    company.source("web", "in/a.ndjson", mapping)
    rows = company.rows("events")
    assert told(rows, "product_id", "revenue", "event_order", "record_no") == [
        ("s1", 2.5, 1, 1),
        ("s2", None, 2, 1),
    ]
    (ledger,) = company.land().ledgers
    assert (ledger.read, ledger.mapped, ledger.filtered) == (3, 1, {"no_row": 2})
    assert ledger.rows == {"events": 2}


def test_elements_may_be_ids_of_people_and_texts_are_divided(company):
    company.write("in/a.csv", "id,at,n\nu1; u2;,5,call\n,6,mail\n")
    mapping = events("", 'event = "n"', row='each = { column = "id", separator = ";" }')
    company.source("crm", "in/a.csv", mapping)
    rows = company.rows("events")
    assert rows["record_no"].tolist() == [1, 1]
    assert rows["person_key"].nunique() == 2
    assert company.land().ledgers[0].filtered == {"no_row": 1}


def test_a_condition_on_elements_chooses_among_them(company):
    company.write("in/a.ndjson", '{"id":"a","at":1,"v":[{"k":"x"},{"k":"y"},{"k":"x"}]}\n')
    row = 'each = "v"\nwhen = { column = "v.k", is = ["x"] }'
    columns = 'event = "v.k"\nevent_order = { position = true }'
    company.source("web", "in/a.ndjson", events("", columns, row=row))
    assert company.rows("events")["event_order"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "a.ndjson",
            '{"id":"a","at":1,"p":[{"key":"page","value":{"s":"/x","i":null}},'
            '{"key":"n","value":{"s":null,"i":"7"}}]}\n'
            '{"id":"b","at":2,"p":[]}\n{"id":"c","at":3}\n{"id":"d","at":4,"p":{"page":"/y","n":8}}\n',
        ),
        (
            "a.csv",
            'id,at,p\na,1,"[{""key"":""page"",""value"":{""s"":""/x""}},'
            '{""key"":""n"",""value"":{""i"":7}}]"\nb,2,[]\nc,3,\n'
            'd,4,"{""page"":""/y"",""n"":8}"\n',
        ),
    ],
)
def test_pairs_of_keys_and_values_are_columns_whether_a_list_or_an_object(company, name, content):
    company.write(f"in/{name}", content)
    file = 'pairs.p = { key = "key", value = ["value.s", "value.i"] }'
    columns = 'event = { value = "hit" }\npage = "p.page"\nevent_order = "p.n"'
    company.source("web", f"in/{name}", events(file, columns))
    assert told(company.rows("events"), "page", "event_order") == [
        ("/x", 7),
        (None, None),
        (None, None),
        ("/y", 8),
    ]


def test_lists_of_parquet_are_pairs_too_wrapped_or_not(company):
    path = company.write("in/a.parquet", "")
    company.engine.run(
        f"""copy (select 'a' as id, 1 as at,
            [{{'key': 'page', 'value': {{'s': '/x', 'i': null}}}},
             {{'key': 'n', 'value': {{'s': null, 'i': 7}}}}] as p,
            {{'list': [{{'element': {{'sku': 's1'}}}}, {{'element': {{'sku': 's2'}}}}]}} as items)
        to '{path}' (format parquet)"""
    )
    file = 'pairs.p = { value = ["value.s", "value.i"] }'
    columns = 'event = { value = "hit" }\npage = "p.page"\nevent_order = "p.n"\n'
    mapping = events(file, f'{columns}product_id = "items.sku"', row='each = "items"')
    company.source("web", "in/a.parquet", mapping)
    found = told(company.rows("events"), "page", "event_order", "product_id")
    assert found == [("/x", 7, "s1"), ("/x", 7, "s2")]


def test_two_header_rows_make_one_name(company):
    company.write("in/a.csv", "id,at,Rate:,,Overall\n,,Speed,Support,\nu1,5,4,3,9\n")
    columns = 'event = { value = "answer" }\nx_s = "Rate: / Support"\nx_o = "Overall"'
    company.source("survey", "in/a.csv", events("header_rows = 2", columns))
    assert told(company.rows("events"), "x_s", "x_o") == [("3", "9")]


def test_cells_are_filled_from_above_within_their_order_only(company):
    company.write("in/a.csv", "order,id,at,sku\no1,a,1,s1\no1,,,s2\no2,,2,s3\n,,3,s4\no1,,,s5\n")
    file = 'fill_down = { columns = ["id", "at"], within = "order" }'
    company.source("shop", "in/a.csv", events(file, 'event = "sku"'))
    rows = company.rows("events")
    assert told(rows, "event", "occurred_at") == [
        ("s1", datetime.datetime(1970, 1, 1, 0, 0, 1)),
        ("s2", datetime.datetime(1970, 1, 1, 0, 0, 1)),
        ("s3", datetime.datetime(1970, 1, 1, 0, 0, 2)),
        ("s4", datetime.datetime(1970, 1, 1, 0, 0, 3)),
        ("s5", datetime.datetime(1970, 1, 1, 0, 0, 1)),
    ]
    assert rows["person_key"].notna().tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_may_be_found_out(company, delimiter):
    lines = [["id", "at", "a b"], ["u1", "5", "call"]]
    company.write("in/a.csv", "".join(delimiter.join(line) + "\n" for line in lines))
    company.source("crm", "in/a.csv", events('delimiter = "sniff"', 'event = "a b"'))
    assert company.rows("events")["event"].tolist() == ["call"]


def test_a_column_may_have_other_names_and_be_missing(company):
    company.write("in/a.csv", "id,at,種類\nu1,5,call\n")
    company.write("in/b.ndjson", '{"id":"u1","at":5,"sort":"call"}\n')
    file = 'optional = true\nnames.kind = ["種類", "sort"]'
    mapping = events(file, 'event = "kind"\nrevenue = "amount"')
    company.source("crm", "in/*", mapping)
    for number in (0, 1):
        assert told(company.rows("events", number), "event", "revenue") == [("call", None)]
    (looked, _) = company.land().ledgers
    assert looked.unmapped == ()


def test_a_missing_column_is_an_error_where_a_row_that_is_made_needs_it(company):
    company.write("in/a.csv", "id,at\nu1,5\n")
    company.source("crm", "in/a.csv", events("optional = true", 'event = "kind"'))
    with pytest.raises(CjkitError, match=r"key 'kind' is not in .*events\.event.* 'at', 'id'"):
        company.land()
    company.sources.clear()
    when = 'when = { column = "kind", present = true }'
    company.source("crm", "in/a.csv", events("optional = true", 'event = "kind"', row=when))
    assert company.land().ledgers[0].filtered == {"no_row": 1}


@pytest.mark.parametrize(
    ("how", "written", "expected"),
    [
        ('column = "v", extract = "^zcrm_(.+)"', "zcrm_12", "12"),
        ('column = "v", extract = "^zcrm_(.+)"', "12", None),
        ('column = "v", replace = { "a" = "b", "bb" = "c" }', "ab", "c"),
        ('column = "v", codes = { a = "b" }, keep = true', "a", "b"),
        ('column = "v", codes = { a = "b" }, keep = true', "z", "z"),
        ('column = "v", clock = true', "1:02:03", 3723),
        ('column = "v", clock = true', "02:03", 123),
        ('column = "v", clock = true', "75", 75),
        ('column = "v", clock = true', "soon", None),
        ('seconds_between = ["v", "v"], time = "iso"', "2024-05-01", 0),
    ],
)
def test_what_else_a_text_may_be(company, how, written, expected):
    (found,) = company.one([written], f"x = {{ {how} }}")["x"]
    assert found == expected


def test_am_and_pm_may_be_in_japanese(company):
    replaced = 'replace = { "午前" = "AM", "午後" = "PM", " GMT+9" = "+09:00" }'
    how = f'{{ column = "v", time = "%Y/%m/%d %I:%M:%S %p%z", {replaced} }}'
    (found,) = company.one(["2024/05/01 10:00:00 午後 GMT+9"], f"x_at = {how}")["x_at"]
    assert found == datetime.datetime(2024, 5, 1, 13)


def test_seconds_between_two_times(company):
    company.write("in/a.csv", "id,at,until\nu1,10,95.5\nu2,10,soon\nu3,10,\n")
    how = '{ seconds_between = ["at", "until"], time = "epoch_s" }'
    mapping = events("", f'event = {{ value = "visit" }}\nduration_seconds = {how}')
    company.source("store", "in/a.csv", mapping)
    found = told(company.rows("events"), "duration_seconds", "unreadable")
    assert found == [(85.5, None), (None, "duration_seconds"), (None, None)]


def test_a_mapping_like_another_says_only_what_differs(tmp_path):
    (tmp_path / "till.toml").write_text(
        'system = "Till"\n[file]\nencoding = "cp932"\n[ids]\nlogin = { column = "no" }\n'
        '[[row]]\ntable = "events"\n[row.columns]\nevent = "e"\n'
        'occurred_at = { column = "t", time = "epoch_s" }\n'
    )
    found = read_mapping(
        {
            "like": "./till.toml",
            "file": {"time_zone": "project"},
            "ids": {"login": {"join": ["a", "b"]}, "email": "mail"},
            "filter": [{"name": "test", "when": {"column": "no", "is": ["0"]}}],
        },
        folder=tmp_path,
        place="sources.till.mapping",
        time_zone="Asia/Tokyo",
    )
    assert (found.system, found.file.encoding, found.file.time_zone) == (
        "Till",
        "cp932",
        "Asia/Tokyo",
    )
    assert found.ids["login"].columns == ("a", "b")
    assert found.rows[0].ids == ("login", "email")
    assert [rule.name for rule in found.filters] == ["test"]
    with pytest.raises(CjkitError, match=r"sources.x.mapping.like='tilll' is no mapping"):
        read_mapping({"like": "tilll"}, folder=tmp_path, place="sources.x.mapping")


def test_events_belong_where_the_project_says_else_where_the_mapping_does(company):
    mapping = events("", 'event = "n"')
    mapping += '[events]\nopen = { channel = "email", stage = "interest", touchpoint = "mail" }\n'
    mapping += 'close = { stage = "no_such" }\n'
    company.source("mail", "in/a.csv", mapping)
    company.write("in/a.csv", "id,at,n\nu,1,open\n")
    company.sources.append('[touchpoints]\nletter = {}\n[events]\nopen = { touchpoint = "letter" }')
    places = event_places(read_project(company.project.path))
    assert places["open"].model_dump() == {
        "touchpoint": "letter",
        "channel": "email",
        "stage": "interest",
    }
    assert places["close"].stage is None
    assert read_mappings(company.project)["mail"].events["close"].stage == "no_such"


def test_lists_are_refused_where_they_cannot_be(company):
    company.source("a", "in/a.csv", events("", "event = { position = true }"))
    with pytest.raises(CjkitError, match="position is the place in a list"):
        read_mappings(company.project)
    company.sources.clear()
    mapping = events("", 'event = "v"', row='each = "id"') + EVENT + 'event = { value = "x" }\n'
    company.source("a", "in/a.csv", mapping)
    with pytest.raises(CjkitError, match=r"row 2\.ids: login reads 'id', which stands in the list"):
        read_mappings(company.project)
