"""What identifies people leaves landing by one door: the vault. And who is erased stays away."""

import json

import pandas as pd
import pytest
from companies import CONSENT, project_head

from cjkit import privacy
from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.project import read_project
from cjkit.sources import land, read_mapping, read_raw

KEY = b"k" * 32
PROJECT = (
    project_head(pseudonyms="keyed", email="strong", phone="strong", cookie="weak")
    + CONSENT
    + """
[sources.crm]
files = ["crm*"]
retention = "forget"
mapping = "./mapping.toml"
"""
)
MAPPING = """
system = "CRM"
[file]
time_zone = "Asia/Tokyo"
[ids]
email = { column = "mail", normalise = "email" }
phone = { column = "tel", normalise = "phone", country_code = "81" }
cookie = "cookie"
[private]
name = "name"
postal_code = { column = "zip", normalise = "postal_code" }
address = { join = ["pref", "street"] }
[[filter]]
name = "gone"
when = { column = "pref", is = ["gone"] }
[[row]]
table = "customers"
[row.columns]
prefecture = "pref"
is_test = { when = { column = "name", starts_with = "テスト" } }
[[row]]
table = "events"
ids = ["cookie", "email"]
[row.columns]
occurred_at = { column = "at", time = "iso" }
event = { value = "sign_up" }
"""
HEADER = "mail,tel,cookie,name,zip,pref,street,at"
RECORDS = [
    "Ann@Example.com,090-1234-5678,ck1,髙橋　ｱﾝ,１２３４５６７,東京都,星町１−２,2024-01-01",
    "bob@example.com,,ck1,Bob,123-4568,,,2024-01-02",
    ",09012345678,ck2,高橋 アン,,,,2024-01-03",
    ",,ck3,Nobody,999-9999,大阪府,月町3,2024-01-04",
    "dan@example.com,,,Dan,,gone,,2024-01-05",
    "not an address,,ck4,Eve,,,,2024-01-06",
]


def hide(expression):
    return privacy.pseudonym_sql(expression, KEY)


def key(namespace, value):
    return f"{namespace}:{privacy.make_pseudonym(value, KEY)}"


class Shelf:
    """A vault in memory."""

    def __init__(self):
        self.kept = {}

    def has(self, landed):
        return landed in self.kept

    def keep(self, landed, ids, details):
        self.kept[landed] = [
            [row for frame in frames for row in frame.to_dict("records")]
            for frames in (ids, details)
        ]

    def keep_only(self, landed):
        self.kept = {name: what for name, what in self.kept.items() if name in landed}


class Company:
    def __init__(self, folder):
        self.folder, self.engine, self.shelf = folder, DuckDB(threads=1), Shelf()
        (folder / "mapping.toml").write_text(MAPPING)
        (folder / "journey.toml").write_text(PROJECT)
        self.write("crm.csv", RECORDS)

    def write(self, name, records):
        (self.folder / name).write_text("\n".join([HEADER, *records]) + "\n")

    @property
    def project(self):
        return read_project(self.folder / "journey.toml")

    def land(self, **options):
        options = {"vault": self.shelf, **options}
        return land(self.project, self.engine, pseudonym=hide, **options)

    def read(self, landed, table):
        found = self.engine.query(f"from '{landed.folders[0] / table}.parquet'")
        return found.astype(object).where(found.notna(), None)


@pytest.fixture
def company(tmp_path):
    return Company(tmp_path)


def test_strong_ids_and_private_fields_go_into_the_vault_each_in_one_spelling(company):
    landed = company.land()
    ids, details = company.shelf.kept[landed.folders[0].name]
    ann, phone = key("email", "ann@example.com"), key("phone", "+819012345678")
    bob, eve = key("email", "bob@example.com"), key("email", "notanaddress")
    assert {(row["person_key"], row["namespace"], row["value"]) for row in ids} == {
        (ann, "email", "ann@example.com"),
        (bob, "email", "bob@example.com"),
        (eve, "email", "notanaddress"),
        (phone, "phone", "+819012345678"),
    }
    found = pd.DataFrame(details).astype(object)
    found = found.where(found.notna(), None)
    assert found.columns.tolist() == ["person_key", "record_no", "name", "postal_code", "address"]
    assert sorted(found[found["record_no"] <= 2].to_numpy().tolist(), key=str) == sorted(
        [
            [ann, 1, "髙橋 アン", "123-4567", "東京都星町1-2"],
            [key("cookie", "ck1"), 1, "髙橋 アン", "123-4567", "東京都星町1-2"],
            [bob, 2, "Bob", "123-4568", None],
            [key("cookie", "ck1"), 2, "Bob", "123-4568", None],
        ],
        key=str,
    )
    assert "Dan" not in set(found["name"]) and found["record_no"].max() == 6


def test_nothing_that_identifies_stands_in_parquet_or_stays_on_the_engine(company):
    landed = company.land()
    secrets = ("髙橋", "高橋", "Bob", "Nobody", "Eve", "123-456", "星町", "@", "1234-5678", "ck1")
    for path in landed.folders[0].iterdir():
        text = path.read_text() if path.suffix == ".json" else ""
        if path.suffix == ".parquet":
            text = company.engine.query(f"from '{path}'").to_csv()
        assert not [secret for secret in secrets if secret in text]
    assert company.engine.tables() == []


def test_what_is_no_address_is_an_id_that_its_row_names_as_unreadable(company):
    rows = company.read(company.land(), "customers")
    assert rows["unreadable"].tolist() == [None] * 4 + ["ids.email"]
    assert rows["person_key"].tolist()[-1] == key("email", "notanaddress")


def test_a_file_is_landed_again_when_the_vault_lacks_it(company):
    assert (company.land().made, company.land().made) == (1, 0)
    company.shelf = Shelf()
    assert (company.land().made, company.land().made) == (1, 0)
    (company.folder / "crm.csv").rename(company.folder / "crm2.csv")
    landed = company.land()
    assert list(company.shelf.kept) == [landed.folders[0].name]
    assert company.land(vault=None).made == 0


def test_a_vault_that_fails_leaves_no_folder(company):
    def fail(*given):
        raise CjkitError("The vault is full.")

    company.shelf.keep = fail
    with pytest.raises(CjkitError, match="vault is full"):
        company.land()
    assert not list((company.project.state_folder / "landed").iterdir())


def test_rows_of_erased_people_are_made_left_out_and_counted(company):
    phone, cookie = key("phone", "+819012345678"), key("cookie", "ck1")
    landed = company.land(erased=[phone, cookie])
    (ledger,) = landed.ledgers
    assert (ledger.read, ledger.mapped, ledger.filtered) == (6, 5, {"gone": 1})
    assert ledger.rows == {"customers": 5, "events": 5}
    # By phone: customers 1 and 3. By cookie: events 1 and 2, but not Bob, who names himself first.
    assert ledger.erased == {"customers": 2, "events": 2}
    assert company.read(landed, "customers")["record_no"].tolist() == [2, 4, 6]
    assert company.read(landed, "events")["record_no"].tolist() == [3, 4, 6]
    edges = company.read(landed, "edges")
    assert not {phone, cookie} & {*edges["key_a"], *edges["key_b"]}
    ids, details = company.shelf.kept[landed.folders[0].name]
    # Ann's address stands beside the erased phone only: it is erased with it.
    assert {row["value"] for row in ids} == {"bob@example.com", "notanaddress"}
    assert [row["record_no"] for row in details if row["record_no"] in (1, 2)] == [2]


def test_who_is_erased_in_no_record_changes_nothing(company):
    before = company.read(company.land(), "customers")
    company.shelf = Shelf()
    landed = company.land(erased=[key("email", "zoe@example.com")])
    assert landed.ledgers[0].erased == {}
    pd.testing.assert_frame_equal(company.read(landed, "customers"), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('prefecture = "name"', "row 1.columns.prefecture reads 'name', which private.name keeps"),
        ("", None),
    ],
)
def test_a_private_column_reaches_the_log_by_no_other_way(tmp_path, change, message):
    (tmp_path / "m.toml").write_text(MAPPING.replace('prefecture = "pref"', change))
    if message is None:
        read_mapping("./m.toml", folder=tmp_path, place="m")
        return
    with pytest.raises(CjkitError, match=message):
        read_mapping("./m.toml", folder=tmp_path, place="m")


def test_private_fields_have_names_of_their_own_and_a_person(tmp_path):
    wrong = MAPPING.replace("[private]\n", '[private]\nrecord_no = "zip"\nTel = "tel"\n')
    (tmp_path / "m.toml").write_text(wrong)
    with pytest.raises(CjkitError) as caught:
        read_mapping("./m.toml", folder=tmp_path, place="m")
    assert "private.record_no cannot name" in str(caught.value)
    assert "private.Tel cannot name" in str(caught.value)


# Original records


def raw(company, *numbers, file="crm.csv"):
    frames = list(read_raw(company.project, "crm", file, numbers))
    records = pd.concat(frames) if frames else pd.DataFrame(columns=["record_no", "record"])
    return {no: json.loads(record) for no, record in records.itertuples(index=False)}


def test_an_original_record_is_told_by_the_names_of_its_header(company):
    cells = RECORDS[2].split(",")
    expected = dict(zip(HEADER.split(","), [cell or None for cell in cells], strict=True))
    assert raw(company, 3, 99) == {3: expected}
    assert raw(company) == {}


def test_damaged_records_are_told_as_they_stand(company):
    company.write("crm.csv", [RECORDS[0], "too,few", '"open', RECORDS[1]])
    found = raw(company, 1, 2, 3, 4)
    assert found[2] == "too,few" and found[3] == '"open'
    assert found[1]["name"] == "髙橋　ｱﾝ" and found[4]["mail"] == "bob@example.com"
    assert company.land().ledgers[0].unreadable == 2


def test_columns_without_a_name_of_their_own_keep_their_cells(company):
    (company.folder / "crm.csv").write_text(f"{HEADER},,note,note,n\0\n{RECORDS[1]},x,y,z,0\n")
    record = raw(company, 1)[1]
    assert (record["column 9"], record["note"], record["note (column 11)"]) == ("x", "y", "z")
    assert record["n\ufffd"] == "0"


def test_records_of_json_are_told_as_they_stand(company):
    lines = ['{"mail": "a@b.jp", "deep": [1]}', "", "{oops", "[1]", '{"mail": null}']
    company.folder.joinpath("crm.csv").unlink()
    (company.folder / "crm.ndjson").write_text("\n".join(lines))
    assert raw(company, 1, 2, 3, 4, file="crm.ndjson") == {
        1: {"mail": "a@b.jp", "deep": [1]},
        2: "{oops",
        3: "[1]",
        4: {"mail": None},
    }
    (company.folder / "crm.ndjson").rename(company.folder / "crm.json")
    (company.folder / "crm.json").write_text('[{"mail": "a@b.jp"}, 7, {"mail": "c@d.jp"}]')
    assert raw(company, 2, 3, file="crm.json") == {2: "7", 3: {"mail": "c@d.jp"}}


def test_records_of_parquet_and_excel_are_told_as_texts(company):
    company.engine.run(
        f"copy (select 'a@b.jp' as mail, 2.0 as n, null as x union all select 'c@d.jp', 2.5, null) "
        f"to '{company.folder / 'crm.parquet'}'"
    )
    found = raw(company, 2, file="crm.parquet")
    assert found == {2: {"mail": "c@d.jp", "n": "2.5", "x": None}}


@pytest.mark.parametrize(
    ("source", "file", "message"),
    [("crn", "crm.csv", "Did you mean 'crm'"), ("crm", "crm.cvs", "Did you mean 'crm.csv'")],
)
def test_what_is_not_there_is_named_with_the_nearest(company, source, file, message):
    with pytest.raises(CjkitError, match=message):
        list(read_raw(company.project, source, file, [1]))
