from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import pytest

from cjkit import privacy
from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, text


@dataclass(frozen=True)
class Visits:
    table: pd.DataFrame
    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": ("rate", "is_high", "name")}


@dataclass(frozen=True)
class Two:
    first: Visits
    others: tuple[Visits, ...]
    note: str = "as it was"


def visits(*customers):
    rows = len(customers)
    return Visits(
        pd.DataFrame(
            {
                "customers": list(customers),
                "rate": [0.5] * rows,
                "is_high": [True] * rows,
                "name": ["x"] * rows,
                "step": range(rows),
            }
        )
    )


def test_a_small_count_is_hidden_with_all_that_rests_on_it():
    given = visits(40, 4, 0, 5)
    table = privacy.mask(given, 5).table
    assert table["customers"].fillna(-1).tolist() == [40, -1, 0, 5]
    for name in ("rate", "is_high", "name"):
        assert table[name].isna().tolist() == [False, True, False, False]
    assert table["step"].tolist() == [0, 1, 2, 3]
    assert given.table["customers"].tolist() == [40, 4, 0, 5]


def test_a_result_without_small_counts_stays_the_same_object():
    given = visits(40, 50)
    assert privacy.mask(given, 5) is given
    assert privacy.mask(visits(1), 0).table["customers"].tolist() == [1]


def test_results_inside_a_result_are_masked():
    masked = privacy.mask(Two(visits(3), (visits(50), visits(2))), 5)
    assert masked.first.table["customers"].isna().all()
    assert [len(part.table["customers"].dropna()) for part in masked.others] == [1, 0]
    assert masked.note == "as it was"


def test_counts_must_name_columns_of_the_table():
    with pytest.raises(CjkitError, match="Did you mean 'rates'"):
        privacy.mask(Visits(pd.DataFrame({"customers": [1], "rates": [1.0]})), 5)


def test_the_smallest_cell_is_set_for_all(monkeypatch):
    before = privacy.min_cell()
    privacy.set_min_cell(10)
    try:
        assert privacy.mask(visits(9)).table["customers"].isna().all()
    finally:
        privacy.set_min_cell(before)
    with pytest.raises(CjkitError, match="0 or more"):
        privacy.set_min_cell(-1)


def test_the_engine_makes_the_same_pseudonyms_as_python(rng):
    key = rng.bytes(32)
    letters = list("aZ09@.-_ 'é山田ﾔﾏﾀﾞ髙🎌\\\"")
    values = ["", *("".join(rng.choice(letters, rng.integers(1, 30))) for _ in range(500))]
    engine = DuckDB(threads=1)
    engine.add("ids", pd.DataFrame({"id": values}))
    found = engine.query(f"select id, {privacy.pseudonym_sql('id', key)} as pseudonym from ids")
    for value, pseudonym in zip(found["id"], found["pseudonym"], strict=True):
        assert pseudonym == privacy.make_pseudonym(value, key)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "shop.key"
    key = privacy.read_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert privacy.read_key(path) == key
    assert [file.name for file in path.parent.iterdir()] == ["shop.key"]


def test_a_key_that_others_read_or_that_is_none_is_refused(tmp_path):
    path = tmp_path / "shop.key"
    privacy.read_key(path)
    path.chmod(0o644)
    with pytest.raises(CjkitError, match="chmod 600"):
        privacy.read_key(path)
    path.chmod(0o600)
    path.write_text("not a key")
    with pytest.raises(CjkitError, match="64 hexadecimal digits"):
        privacy.read_key(path)


def denied(records, *, missing="allow"):
    """Return who has denied; people are called by the letters of their ids: a1 and a2 are a."""
    engine = DuckDB(threads=1)
    ids = sorted({record.split()[0] for record in records} | {"z1"})
    people = ", ".join(f"({text(key)}, {text(key[0])})" for key in ids)
    engine.materialize("people", f"select * from (values {people}) as p(person_key, customer_id)")
    rows = []
    for record in records:
        key, answer, day, *purpose = record.split()
        given = "null" if day == "-" else f"date '2026-01-01' + {int(day)}"
        rows.append(
            f"({text(key)}, {text((purpose or ['analytics'])[0])}, {answer == 'yes'}, {given})"
        )
    values = ", ".join(rows)
    engine.materialize(
        "consents",
        f"select * from (values {values}) as c(person_key, purpose, is_granted, given_at)",
    )
    sql = privacy.denied_sql("consents", "people", purpose="analytics", missing=missing)
    return set(engine.query(sql)["customer_id"])


def test_the_latest_record_of_each_id_counts():
    assert denied(["a1 no 1", "a1 yes 2", "b1 yes 1", "b1 no 2"]) == {"b"}


def test_a_denial_under_any_id_wins():
    assert denied(["a1 no 1", "a2 yes 2"]) == {"a"}


def test_of_two_records_at_one_time_the_denial_counts_and_no_time_is_the_oldest():
    assert denied(["a1 yes 1", "a1 no 1", "b1 no -", "b1 yes 1", "c1 no -"]) == {"a", "c"}


def test_another_purpose_says_nothing():
    assert denied(["a1 no 1 marketing", "b1 yes 1"]) == set()
    assert denied(["a1 no 1 marketing", "b1 yes 1"], missing="withhold") == {"a", "z"}
