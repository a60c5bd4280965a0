"""Records of JSON read by structure say what the text of each record says, or are read from it."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cjkit.engine import DuckDB
from cjkit.sources.files import FileRule, Pairs
from cjkit.sources.reading import read_records
from cjkit.sources.structures import structured

PAIRS = {"tags": Pairs(key="key", value=("value.text", "value.whole"))}
WANTED = ["id", "place.city", "place.shop.name", "items.0.sku", "tags.a", "tags.b", "list.1"]


@pytest.fixture(scope="module")
def engine():
    return DuckDB(threads=2)


def read(engine, path, wanted=WANTED, **rule):
    """Return the numbers, hashes and values of all records."""
    rule = FileRule(format="ndjson", nulls=("(none)",), **rule)
    read_records(engine, "read", path, rule, wanted, salt="", workspace=path.parent)
    fields = ", ".join(f"f{number}" for number in range(1, len(wanted) + 1))
    found = engine.query(f"select record_no, record_hash, {fields} from read order by record_no")
    return found.astype(object).where(found.notna(), None).to_numpy().tolist()


def from_text(engine, path, monkeypatch, wanted=WANTED, **rule):
    """Return the same, as it is read where there is no structure."""
    with monkeypatch.context() as patch:
        patch.setattr("cjkit.sources.reading.structured", lambda *_: None)
        return read(engine, path, wanted, **rule)


# The engine writes other floats with an exponent, where their text may have none: 1e+16.
FLOATS = st.floats(1e-3, 1e15) | st.sampled_from([0.0, -0.0, -2.5])
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=4)
ANY = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key", "value", "text", "sku", "a", "list"]), inner)
    ),
    max_leaves=6,
)
VALUES = st.fixed_dictionaries({}, optional={"text": SCALARS, "whole": SCALARS})
TAGS = st.lists(
    st.fixed_dictionaries({"key": st.sampled_from("ab")}, optional={"value": VALUES | ANY})
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "id": SCALARS | ANY,
        "place": st.fixed_dictionaries({}, optional={"city": SCALARS, "shop": ANY}) | ANY,
        "items": st.lists(st.fixed_dictionaries({}, optional={"sku": SCALARS}) | ANY) | ANY,
        "tags": TAGS | st.dictionaries(st.sampled_from("ab"), SCALARS) | ANY,
        "list": ANY,
        "Place": ANY,
    },
)
NONE = [
    "",
    "  ",
    "5",
    "[]",
    '[{"id": 1}]',
    '{"id": "a"',
    '{"id": 1} {"id": 2}',
    "null",
    '"{}"',
    "{}",
]
WRAPPED = '{"tags": {"list": [{"element": {"key": "a", "value": {"text": "t"}}}]}}'
LINES = st.builds(json.dumps, RECORDS, ensure_ascii=st.booleans()) | st.sampled_from(
    [*NONE, WRAPPED, '{"id": "x", "id": "y"}', '{"tags": {"a": 1}}', '{"place": "Tokyo"}']
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(LINES, min_size=1, max_size=12))
def test_the_structure_says_what_the_text_says(engine, tmp_path, monkeypatch, lines):
    path = Path(tmp_path) / "a.ndjson"
    path.write_text("\n".join([*lines, '{"id": "whole"}']), encoding="utf-8", errors="ignore")
    rule = {"pairs": PAIRS}
    assert structured(path, FileRule(format="ndjson", **rule), WANTED) is not None
    assert read(engine, path, **rule) == from_text(engine, path, monkeypatch, **rule)


def test_what_does_not_fit_is_read_from_its_text(engine, tmp_path):
    path = tmp_path / "a.ndjson"
    lines = ['{"id": 1, "place": "Tokyo", "tags": {"b": 7}}', "5", '{"id": 1e16, "tags": []}']
    path.write_text("\n".join([*lines, WRAPPED, '{"id": "(none)", "place": {"city": ""}}']))
    found = {int(no): values for no, _, *values in read(engine, path, pairs=PAIRS)}
    nothing = [None] * 7
    assert found == {
        1: ["1", None, None, None, None, "7", None],
        2: nothing,
        3: ["1e+16", *nothing[1:]],
        4: [*nothing[:4], "t", None, None],
        5: nothing,
    }


@pytest.mark.parametrize(
    "wanted",
    [
        ["items", "items.0.sku"],  # whole and in part
        ["tags", "tags.a"],
        ["place.0", "place.city"],  # a list and by name
        ["a.x", "a.X"],  # names that the engine does not tell apart
        [],
    ],
)
def test_names_that_have_no_structure_are_read_from_the_text(engine, tmp_path, wanted):
    assert structured(tmp_path, FileRule(format="ndjson", pairs=PAIRS), wanted) is None
    path = tmp_path / "a.ndjson"
    path.write_text('{"a": {"x": 1, "X": 2}, "items": [{"sku": 3}], "place": {"city": 4}}')
    if wanted:
        values = {
            "items": '[{"sku":3}]', "items.0.sku": "3", "place.city": "4", "a.x": "1", "a.X": "2"
        }  # fmt: skip
        ((_, _, *found),) = read(engine, path, wanted, pairs=PAIRS)
        assert found == [values.get(name) for name in wanted]
