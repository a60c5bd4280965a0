"""Files become numbered records of text, or a clear error: nothing is lost and nothing guessed."""

import codecs
import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbook import write_workbook

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.sources.files import FileRule
from cjkit.sources.reading import read_records


@pytest.fixture(scope="module")
def engine():
    return DuckDB(threads=1)


def records(engine, path, wanted, **rule):
    """Read a file; return its records as {number: values}, unreadable ones as None."""
    with tempfile.TemporaryDirectory() as folder:
        reading = read_records(
            engine, "read", path, FileRule(**rule), wanted, salt="", workspace=Path(folder)
        )
    fields = "".join(f", f{number}" for number in range(1, len(wanted) + 1))
    found = engine.query(f"select record_no, record_hash{fields} from read order by record_no")
    rows = found.astype(object).where(found.notna(), None).to_numpy().tolist()
    return {int(no): values if has is not None else None for no, has, *values in rows}, reading


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_csv_file_gives_its_cells_as_text(engine, tmp_path):
    path = write(tmp_path, "a.csv", 'id,name,v\n1,"a ""q"", b",\n\n2,"two\nlines",007\n')
    found, reading = records(engine, path, ["v", "name"])
    assert found == {1: [None, 'a "q", b'], 2: ["007", "two\nlines"]}
    assert reading.unmapped == ("id",)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(engine, tmp_path, end):
    path = write(tmp_path, "a.csv", end.join(["id,v", "1,a", "2,b", ""]))
    assert records(engine, path, ["id", "v"])[0] == {1: ["1", "a"], 2: ["2", "b"]}


def test_line_ends_may_be_mixed(engine, tmp_path):
    path = write(tmp_path, "a.csv", "id,v\r\n1,a\n2,b\r\n3,c\r4,d")
    assert [v for _, v in records(engine, path, ["id", "v"])[0].values()] == ["a", "b", "c", "d"]


def test_damaged_rows_are_counted_by_line_and_the_rest_keep_their_numbers(engine, tmp_path):
    path = write(
        tmp_path,
        "a.csv",
        "id,name,v\n1,a,x\n2,b\n3,c,x,more\n"  # lines 3 and 4 have other numbers of cells
        '4,"two\nlines",y\n5,"stray"quote,z\n\n6,5\'10" tall,w\n7,"open,w\n8,h,w\n',
    )
    found, reading = records(engine, path, ["id", "name"])
    assert found == {
        1: ["1", "a"],
        2: None,
        3: None,
        4: ["4", "two\nlines"],
        5: None,
        6: ["6", "5'10\" tall"],
        7: None,
        8: ["8", "h"],
    }
    assert [words.split(" has not ")[0] for words in reading.unreadable] == [
        *("line 3", "line 4", "line 7", "line 10")
    ]


def test_a_quote_after_spaces_opens_a_cell_as_the_engine_has_it(engine, tmp_path):
    path = write(tmp_path, "a.csv", 'a,b,c\n1, "x,y" ,z\nshort\n, ",\n2,b"c,\n3,p,q\n, ",\n4,,\n')
    found, _ = records(engine, path, ["a", "b"])
    assert list(found.values()) == [
        *(["1", "x,y"], None, None, ["2", 'b"c'], ["3", "p"], None, ["4", None])
    ]


def test_a_cell_of_several_lines_stays_whole_beside_damaged_rows(engine, tmp_path):
    path = write(tmp_path, "a.csv", 'a,b,c\n"two\nlines",1,2\nshort\n9" disc,3,4\n8" disc,5,6\n')
    found, _ = records(engine, path, ["a", "b"])
    assert found == {1: ["two\nlines", "1"], 2: None, 3: ['9" disc', "3"], 4: ['8" disc', "5"]}


def test_a_damaged_file_under_a_deep_header_names_physical_lines(engine, tmp_path):
    path = write(tmp_path, "a.csv", '# made by\nid,v\n"the\nid",the v\n1,a\n2\n3,c\n')
    found, reading = records(engine, path, ["id", "v"], header_row=2, skip_rows=1)
    assert found == {1: ["1", "a"], 2: None, 3: ["3", "c"]}
    assert reading.unreadable[0].startswith("line 6 has not 2 cells")


def test_names_are_found_whatever_their_case_and_reach_into_json(engine, tmp_path):
    cell = '"{""Reason"": ""late"", ""n"": [1, {""x"": 2}]}"'
    path = write(tmp_path, "a.csv", f"LeadId;Geo.City ;attributes\n1;Kyoto;{cell}\n2;;no json\n")
    wanted = ["leadid", "geo.city", "attributes.Reason", "attributes.n.1.x"]
    found, _ = records(engine, path, wanted, delimiter=";", nulls=("1",))
    assert found == {1: [None, "Kyoto", "late", "2"], 2: ["2", None, None, None]}


def test_two_columns_of_one_name_are_refused_where_they_are_needed(engine, tmp_path):
    path = write(tmp_path, "a.csv", "id,v,v\n1,a,b\n")
    assert records(engine, path, ["id"])[0] == {1: ["1"]}
    with pytest.raises(CjkitError, match=r"2 columns called 'v' \(columns 2 and 3\)"):
        records(engine, path, ["v"])


def test_all_missing_columns_are_said_with_the_nearest(engine, tmp_path):
    path = write(tmp_path, "a.csv", "customer,amount\n1,2\n")
    with pytest.raises(CjkitError) as caught:
        records(engine, path, ["custmer", "amount", "day"])
    assert "column 'custmer' is not in" in str(caught.value)
    assert "Did you mean 'customer'?" in str(caught.value)
    assert "column 'day' is not in" in str(caught.value)


def test_a_file_of_a_header_alone_has_no_records(engine, tmp_path):
    assert records(engine, write(tmp_path, "a.csv", "id,v\n"), ["id"])[0] == {}


def test_one_column_is_a_table_too(engine, tmp_path):
    path = write(tmp_path, "a.csv", "id\n1\n\n2\n")
    assert records(engine, path, ["id"])[0] == {1: ["1"], 2: ["2"]}


@pytest.mark.parametrize(
    ("name", "content", "rule", "expected"),
    [
        ("a.csv", b"", {}, r"a\.csv is empty \(0 bytes\)"),
        ("a.csv", b"\n\n", {}, "has no column names in line 1"),
        ("a.csv", b"id,v\n1,a\n", {"header_row": 9}, "has no column names in line 9"),
        ("a.csv", b"id,v\n1\n2\n", {}, r"not one of its 2 records is whole\. The first: line 2"),
        ("a.log", b"id,v\n1,a\n", {}, "nothing says what this file is"),
        ("a.ndjson", b"id,v\n1,a\n", {}, "not one of its 2 records is whole"),
        ("a.json", b'[{"id": 1},\n{"id": }]', {}, "cannot be read as json: .*at byte"),
        ("a.parquet", b"", {}, "is empty"),
        ("a.parquet", b"PAR1 and no more PAR1", {}, "is no Parquet file"),
        ("a.xlsx", b"PK no workbook", {}, "is no Excel workbook"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(
    engine, tmp_path, name, content, rule, expected
):
    path = write(tmp_path, name, content)
    with pytest.raises(CjkitError, match=expected):
        records(engine, path, ["id"], **rule)
    assert path.read_bytes() == content


# Encodings


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("cp932", "cp932"),
        ("euc_jp", "euc-jp"),
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-8"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_any_encoding_gives_the_same_text(engine, tmp_path, encoding, declared):
    lines = ["番号,氏名", *(f"{number},髙橋～花子{number}" for number in range(3))]
    text = "\n".join(lines).replace("髙", "高").replace("～", "ー")
    path = write(tmp_path, "a.csv", text.encode(encoding))
    found, _ = records(engine, path, ["番号", "氏名"], encoding=declared)
    assert found[3] == ["2", "高橋ー花子2"]


def test_a_mark_of_utf_16_is_recognised_in_either_order(engine, tmp_path):
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        path = write(tmp_path, "a.ndjson", mark + '{"店": "銀座"}\n'.encode(encoding))
        assert records(engine, path, ["店"])[0] == {1: ["銀座"]}


def test_a_wrong_encoding_is_named_by_line_byte_and_what_would_fit(engine, tmp_path):
    path = write(tmp_path, "a.csv", "番号,氏名\n".encode() + "1,佐藤\n".encode("cp932"))
    with pytest.raises(CjkitError, match=r"is not utf-8: line 2 \(byte 16\) holds 8d"):
        records(engine, path, ["番号"])
    path = write(tmp_path, "b.csv", "番号,氏名\n1,佐藤\n".encode("cp932"))
    with pytest.raises(CjkitError, match=r"line 1 .*It could be cp932.*: set file\.encoding"):
        records(engine, path, ["番号"])


@given(
    st.binary(min_size=1, max_size=6), st.sampled_from([b'{"v": "_"}', b'{"_": 1}', b"_{}", b"{}_"])
)
@settings(max_examples=60, deadline=None)
def test_no_line_of_json_with_bytes_that_are_no_utf_8_is_read(engine, wrong, line):
    """So that NDJSON is looked through only where a record could not be read."""
    with tempfile.TemporaryDirectory() as name:
        content = b'{"v": "a"}\n' + line.replace(b"_", wrong) + b'\n{"v": "b"}\n'
        path = write(Path(name), "a.ndjson", content)
        try:
            content.decode()
        except UnicodeDecodeError:
            with pytest.raises(CjkitError, match="is not utf-8: line"):
                records(engine, path, ["v"])
        else:
            found, _ = records(engine, path, ["v"])
            assert [found[1], found[max(found)]] == [["a"], ["b"]]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_records_are_numbered_in_order_however_many_threads_read(tmp_path, form):
    count = 400_000
    lines = (f"{n},x" if form == "csv" else f'{{"n":{n},"v":"x"}}' for n in range(1, count + 1))
    path = write(tmp_path, f"a.{form}", "\n".join([*(["n,v"] if form == "csv" else []), *lines]))
    engine = DuckDB(threads=4)
    read_records(engine, "read", path, FileRule(), ["n"], salt="", workspace=tmp_path)
    found = engine.query(
        "select count(*) as n, count_if(record_no = f1::bigint) as right from read"
    )
    assert found.iloc[0].tolist() == [count, count]


def test_the_byte_is_right_beyond_the_first_piece(engine, tmp_path):
    start = b"id,v\n" + b"1,abcdefgh\n" * 400_000
    path = write(tmp_path, "a.csv", start + b"2,\xff\n")
    with pytest.raises(CjkitError, match=rf"line 400002 \(byte {len(start) + 2}\) holds ff"):
        records(engine, path, ["id"])


# JSON, Parquet, Excel


def test_damaged_lines_of_ndjson_are_counted_and_blank_ones_are_not(engine, tmp_path):
    lines = ['{"a": {"b": [1, 2]}}', "{bad", "", "[1]", "5", '{"a": {"b": null}, "c": 1.0}', "  "]
    path = write(tmp_path, "a.ndjson", "\n".join(lines))
    found, reading = records(engine, path, ["a.b.1", "c"])
    assert found == {1: ["2", None], 2: None, 3: None, 4: None, 5: [None, "1.0"]}
    assert reading.unreadable == ("record 2", "record 3", "record 4")


def test_json_may_be_an_array_lines_or_hold_its_records_inside(engine, tmp_path):
    rows = [{"id": 12345678901234567890, "t": True}, {"id": "x", "other": {}}]
    for content, rule in (
        (json.dumps(rows), {}),
        ("\n".join(map(json.dumps, rows)), {}),
        (json.dumps({"page": 1, "data": {"results": rows}}), {"records": "data.results"}),
    ):
        path = write(tmp_path, "a.json", content)
        found, reading = records(engine, path, ["id", "t"], format="json", **rule)
        assert found == {1: ["12345678901234567890", "true"], 2: ["x", None]}
        assert reading.unmapped == ("other",)


def test_records_must_be_where_the_mapping_says(engine, tmp_path):
    path = write(tmp_path, "a.json", '{"data": {"rows": []}, "n": 1}')
    assert records(engine, path, ["id"], records="data.rows")[0] == {}
    for wrong, found in (("data.row", "nothing"), ("n", "ubigint"), ("data", "object")):
        with pytest.raises(CjkitError, match=f"file.records='{wrong}' leads to {found}"):
            records(engine, path, ["id"], records=wrong)
    path = write(tmp_path, "b.json", '[{"id": 1}, 5, null, "x"]')
    assert records(engine, path, ["id"])[0] == {1: ["1"], 2: None, 3: None, 4: None}


def test_parquet_gives_texts_as_a_csv_export_would(engine, tmp_path):
    engine.copy(
        """select 17850.0::double as id, timestamp '2024-01-02 03:04:05' as at, true as yes,
            {'city': {'name': 'Kyoto'}} as geo, [1, 2] as tags, 1.50::decimal(9, 2) as price,
            date '2024-01-02' as day, null::double as nothing, '' as blank
        union all select 2.5, null, false, null, null, null, null, null, 'x'""",
        tmp_path / "a.parquet",
    )
    wanted = ["id", "at", "yes", "geo.city.name", "tags", "tags.1", "price", "day", "nothing"]
    found, reading = records(engine, tmp_path / "a.parquet", [*wanted, "blank"])
    assert found[1] == [
        *("17850", "2024-01-02 03:04:05", "true", "Kyoto", "[1,2]", "2", "1.50", "2024-01-02"),
        *(None, None),
    ]
    assert found[2] == ["2.5", None, "false", None, None, None, None, None, None, "x"]
    assert reading.unmapped == ()
    with pytest.raises(CjkitError, match="column 'geo' is STRUCT"):
        records(engine, tmp_path / "a.parquet", ["geo.town"])


def test_excel_is_read_by_sheet(engine, tmp_path):
    path = tmp_path / "a.xlsx"
    write_workbook(
        path, {"Notes": [["x"]], "Data": [["made by"], ["id", "v"], [1, "a"], [], [2.5]]}
    )
    found, _ = records(engine, path, ["id", "v"], sheet="Data", header_row=2)
    assert found == {1: ["1", "a"], 2: ["2.5", None]}
    with pytest.raises(CjkitError, match=r"file.sheet 'Dat' is not in .* Did you mean 'Data'"):
        records(engine, path, ["id"], sheet="Dat")


# Random files against slow, obvious readers

CELL = st.text(alphabet="ab1 ,\"\n\r;'日\x1f\x00", max_size=6)
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MANY
@given(rows=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=6))
def test_well_formed_csv_agrees_with_the_reader_of_python(engine, tmp_path, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b"], *rows])
    found, _ = records(engine, write(tmp_path, "a.csv", out.getvalue()), ["a", "b"])
    expected = [[cell or None for cell in row] for row in rows]
    assert [[plain(cell) for cell in row] for row in found.values()] == [
        [plain(cell) for cell in row] for row in expected
    ]
    assert list(found) == list(range(1, len(rows) + 1))


def plain(cell):
    """Return a cell with one kind of line end."""
    return cell and cell.replace("\r\n", "\n").replace("\r", "\n")


@MANY
@given(
    lines=st.lists(
        st.one_of(
            st.just("x,y,z"),
            st.just('1,"a\nb",c'),
            st.just(""),
            st.text(alphabet='ab,"\n ', max_size=8),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_no_line_of_damaged_csv_is_lost(engine, tmp_path, lines):
    path = write(tmp_path, "a.csv", "\n".join(["a,b,c", *lines]) + "\n")
    # Where no other quote is open, each whole line stands by itself.
    is_plain = all(line == '1,"a\nb",c' or '"' not in line for line in lines)
    whole = lines.count("x,y,z") if is_plain else 0
    try:
        found, _ = records(engine, path, ["a", "b", "c"])
    except CjkitError as error:
        assert "not one of its" in str(error) and whole == 0
        return
    assert list(found) == list(range(1, len(found) + 1))
    assert sum(row == ["x", "y", "z"] for row in found.values()) >= whole
    # Each physical line that is not blank belongs to exactly one record.
    physical = "\n".join(lines).split("\n")
    assert sum(bool(line) for line in physical) >= len(found) >= whole


JSONS = st.one_of(
    st.builds(json.dumps, st.dictionaries(st.sampled_from("ab"), st.integers() | st.none())),
    st.text(alphabet='{}[]":1a,\\ ', max_size=10),
)


@MANY
@given(lines=st.lists(JSONS, min_size=1, max_size=8))
def test_every_line_of_ndjson_is_read_or_counted(engine, tmp_path, lines):
    path = write(tmp_path, "a.ndjson", "\n".join(lines) + "\n")
    expected = [obvious(line) for line in lines if line.strip(" ")]
    try:
        found, _ = records(engine, path, ["a"])
    except CjkitError as error:
        assert "not one of its" in str(error) and not any(expected)
        return
    assert list(found) == list(range(1, len(expected) + 1))
    for row, value in zip(found.values(), expected, strict=True):
        assert (row is not None) == (value is not None)
        if value and isinstance(value.get("a"), int):
            assert row == [str(value["a"])]


def obvious(line):
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
