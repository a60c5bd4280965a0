"""The quarantine: exported, corrected, imported, as if the exports had been corrected."""

import csv
import json
import random

import pandas as pd
import pytest
from companies import make_company

from cjkit import __main__ as command
from cjkit import cleansing
from cjkit.checks import CjkitError
from cjkit.cleansing.correction_file import FILE, LINE, RECORD, RULE, SOURCE
from cjkit.cleansing.corrections import read_corrections
from cjkit.cleansing.forgetting import forget, plan_forgetting
from cjkit.cleansing.person import at_rest, read_person
from cjkit.cleansing.quarantine import export_quarantine, import_quarantine
from cjkit.cleansing.rules import OUTCOMES
from cjkit.events import CONTRACT
from cjkit.privacy import open_vault, read_key
from cjkit.project import read_project

WEB = "at, login, cookie, mail, event, ref, amount, page, device, touchpoint, agent, currency"
SHOP = "order_id, at, login, amount, kind"
LAST = "2026-02-01 00:00:00, last, , , view, , , , , , ,"


def web(*lines):
    return "\n".join([WEB, *(line + "," * (11 - line.count(",")) for line in lines), LAST])


@pytest.fixture(params=["plain", "keyed"])
def company(request, tmp_path):
    """Make a company whose ids are plain or hidden, and which keeps its files in a vault or not."""

    def make(files):
        path = make_company(tmp_path, files)
        if request.param == "keyed":
            keyed = path.read_text().replace('"plain"', '"keyed"\nkey_file = "own.key"')
            path.write_text(keyed)
        return read_project(path)

    return make


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows, *, encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def tables(project):
    """Return everything that a log holds."""
    log = cleansing.open(project.path, as_of="2026-02-01")
    found = {name: log.engine.query(f'from "{name}" order by all') for name in CONTRACT}
    names = ["quarantine", "gate_row_ledger", "gate_fan_out", "gate_scorecard", "gate_failures"]
    for name in names:
        path = log.prepared.folder / f"{name}.parquet"
        found[name] = log.engine.query(f"from read_parquet('{path}') order by all")
    ledger = log.quality.rows.table
    assert (ledger["made"] == ledger[["clean", *OUTCOMES]].sum(axis=1)).all()
    return found


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, frame in found.items():
        pd.testing.assert_frame_equal(frame, expected[name], obj=name)


def test_what_is_exported_corrected_and_imported_is_clean(company, tmp_path):
    project = company(
        {
            "web.csv": web("2026-01-01 10:00:00, ann, , , view", "soon, ann, , , cart, , , =1+1"),
            "shop.csv": f"{SHOP}\no1, 2026-01-02 10:00:00, ann, -500,",
        }
    )
    path = tmp_path / "mend.csv"
    exported = export_quarantine(project, path)
    assert (exported.records, exported.rules) == (2, {"unreadable_value": 1, "negative_amount": 1})
    assert path.stat().st_mode & 0o777 == 0o600
    rows = read(path)
    assert [(row[SOURCE], row[FILE], row[RECORD], row[RULE]) for row in rows] == [
        ("shop", "in/shop.csv", "1", "negative_amount"),
        ("web", "in/web.csv", "2", "unreadable_value"),
    ]
    assert [rows[0]["amount"], rows[1]["page"]] == ["-500", "'=1+1"]
    rows[0]["amount"], rows[1]["at"] = "500", "2026-01-01 11:00:00"
    write(path, rows)

    done = import_quarantine(project, path)
    assert (done.corrected, done.unchanged, done.still, done.is_new) == (2, 0, {}, True)
    assert done.changed == {"amount": 1, "at": 1}
    log = cleansing.open(project.path)
    assert log.engine.query("select page from events where event = 'cart'")["page"].tolist() == [
        "=1+1"
    ]
    assert log.orders.engine.query("select revenue from orders")["revenue"].tolist() == [500]
    assert log.quality.records.table["corrected"].tolist() == [1, 1]
    assert log.quality.rows.table["quarantined"].sum() == 0

    before = log.prepared.fingerprint
    again = import_quarantine(project, path)
    assert (again.corrected, again.unchanged, again.is_new) == (0, 2, False)
    assert cleansing.open(project.path).prepared.fingerprint == before


def test_the_corrected_records_of_who_is_forgotten_go_and_those_of_others_stay(company, tmp_path):
    lines = [f"soon, {name}, , , view" for name in ("anna-lee", "bob-ross", "bob-ross")]
    project = company({"web.csv": web(*lines)})
    path = tmp_path / "mend.csv"
    export_quarantine(project, path)
    rows = [row | {"at": f"2026-01-0{day} 10:00:00"} for day, row in enumerate(read(path), 1)]
    rows[2]["login"] = "anna-lee"
    write(path, rows)
    import_quarantine(project, path)
    held = read_person(project, "login:anna-lee")
    assert held.records["record_no"].tolist() == [1, 3]

    plan = plan_forgetting(project, ["login:anna-lee"])
    kept_in = "vault records" if project.privacy.pseudonyms == "keyed" else "corrected records"
    assert plan.traces.counts[kept_in] == 2
    forget(project, plan)
    with at_rest(project) as (_, vault):
        kept = read_corrections(project, vault)[("web", "in/web.csv")]
    assert list(kept) == [2] and "anna" not in str(kept)
    if vault is None:
        assert "anna" not in (project.state_folder / "corrections.json").read_text()
    log = cleansing.open(project.path)
    assert log.quality.records.table["corrected"].tolist() == [1]
    # The third record is Bob's again, with the time that nobody can read.
    outcomes = log.quality.rows.table.set_index("table").loc["events"]
    assert outcomes[["erased", "quarantined"]].tolist() == [1, 1]
    with pytest.raises(CjkitError, match="was forgotten"):
        read_person(project, "login:anna-lee")


VALUES = {
    "at": ["2026-01-01 10:00:00", "2026-01-01 10:00:01", "1970-01-01", "", "x"],
    "login": ["ann", "bob", "", "+8190"],
    "cookie": ["c1", ""],
    "mail": ["a@a.jp", ""],
    "event": ["view", "purchase", "blick", ""],
    "ref": ["o1", ""],
    "amount": ["5", "-5", "many", ""],
    "page": ["", "@x", "二,行", '"'],
    "agent": ["bot", ""],
    "order_id": ["o1", "o2", ""],
    "kind": ["return", ""],
}


def some(draw, header):
    return {name: draw.choice(VALUES.get(name, [""])) for name in header.split(", ")}


@pytest.mark.parametrize("seed", range(2))
def test_importing_equals_correcting_the_exports(tmp_path, company, seed):
    draw = random.Random(seed)
    given = {
        "web": [some(draw, WEB) for _ in range(12)] + [some(draw, WEB) | {"at": ""}],
        "web_2": [some(draw, WEB) for _ in range(6)],
        "shop": [some(draw, SHOP) for _ in range(8)],
    }

    def put(files):
        for name, rows in files.items():
            write(project.folder / "in" / f"{name}.csv", rows)

    project = company({"web.csv": web(), "web_2.csv": web(), "shop.csv": SHOP})
    given["web"].append(dict(zip(WEB.split(", "), LAST.split(", "), strict=False)) | {"agent": ""})
    put(given)
    path = tmp_path / "mend.csv"
    export_quarantine(project, path)
    rows = read(path)
    mended = {name: [dict(row) for row in rows] for name, rows in given.items()}
    for row in rows:
        name, number = row[FILE].removeprefix("in/").removesuffix(".csv"), int(row[RECORD])
        record = mended[name][number - 1]
        for column, value in some(draw, ", ".join(record)).items():
            if draw.random() < 0.5:
                record[column] = value
                is_formula = value.startswith(("+", "@"))
                row[column] = f"'{value}" if is_formula else value
    write(path, rows)
    import_quarantine(project, path)
    imported = tables(project)
    put(mended)
    assert_equal(imported, tables(project))


def test_a_line_that_could_not_be_read_can_be_mended(company, tmp_path):
    project = company({"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    file = project.folder / "in" / "web.csv"
    file.write_text(file.read_text() + "2026-01-03 10:00:00,bob,too,few\n")
    path = tmp_path / "mend.csv"
    assert export_quarantine(project, path).rules == {"unreadable_record": 1}
    assert cleansing.open(project.path).quality.flow.table["amount"].tolist()[:3] == [3, -1, 2]
    (row,) = read(path)
    assert row[LINE] == "2026-01-03 10:00:00,bob,too,few"
    assert row["at"] == row["login"] == ""
    write(path, [row | {"at": "2026-01-03 10:00:00", "login": "bob", "event": "view"}])
    assert import_quarantine(project, path).corrected == 1
    records = cleansing.open(project.path).quality.records.table.iloc[0]
    assert records[["read", "mapped", "unreadable", "corrected"]].tolist() == [3, 3, 0, 1]


def test_what_stays_wrong_is_said_and_can_be_corrected_again_or_put_back(company, tmp_path):
    lines = ["2026-01-01 10:00:00, ann, , , view", "soon, ann, , , view"]
    project = company({"web.csv": web(*lines)})
    first, second, third = (tmp_path / f"{k}.csv" for k in (1, 2, 3))
    export_quarantine(project, first)
    (row,) = read(first)
    write(first, [row | {"at": "1970-01-01"}])
    assert import_quarantine(project, first).still == {"time_1970": 1}
    export_quarantine(project, second)
    (again,) = read(second)
    assert (again["at"], again[RULE]) == ("1970-01-01", "time_1970")
    write(second, [again | {"at": "2026-01-05 10:00:00"}], encoding="cp932")
    done = import_quarantine(project, second)
    assert (done.corrected, done.still) == (1, {})
    write(third, [row])
    assert import_quarantine(project, third).still == {}
    with_nothing = cleansing.open(project.path)
    assert with_nothing.quality.records.table["corrected"].tolist() == [0]
    assert with_nothing.quality.rows.table["quarantined"].sum() == 1


def test_an_export_can_be_of_one_rule_or_source(company, tmp_path):
    files = {"web.csv": web("soon, ann, , , view"), "shop.csv": f"{SHOP}\no1, soon, ann, 5,"}
    project = company({**files, "till.csv": "order_id, at, login, amount\no2, 2026-01-01, ann, -5"})
    assert export_quarantine(project, tmp_path / "1.csv", source="shop").records == 1
    assert export_quarantine(project, tmp_path / "2.csv", rule="unreadable_value").records == 2
    for options, message in (
        ({"rule": "unreadable"}, "Did you mean 'unreadable_value'"),
        ({"source": "shp"}, "Did you mean 'shop'"),
    ):
        with pytest.raises(CjkitError, match=message):
            export_quarantine(project, tmp_path / "3.csv", **options)
    with pytest.raises(CjkitError, match="is there already"):
        export_quarantine(project, tmp_path / "1.csv")


def test_what_cannot_be_imported_is_said_all_at_once(company, tmp_path, monkeypatch):
    project = company({"web.csv": web("soon, ann, , , view")})
    path = tmp_path / "mend.csv"
    export_quarantine(project, path)
    (row,) = read(path)
    wrong = [
        row | {FILE: "in/wob.csv"},
        row | {RECORD: "99"},
        row | {"at": "2026-01-01"},
    ]
    write(path, wrong)
    with pytest.raises(CjkitError, match=r"no file 'in/wob.csv'(.|\n)*has no record '99'"):
        import_quarantine(project, path)
    assert cleansing.open(project.path).quality.records.table["corrected"].sum() == 0
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CjkitError, match="no column cjkit:source, cjkit:file, cjkit:record"):
        import_quarantine(project, path)
    write(path, [row])
    path.write_text(path.read_text() + "one,two\n")
    with pytest.raises(CjkitError, match="line 3 has 2 cells"):
        import_quarantine(project, path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CjkitError, match="among the reports"):
        export_quarantine(project, tmp_path / "reports" / "mend.csv")


def test_records_are_in_the_vault_and_nowhere_else(tmp_path):
    path = make_company(tmp_path, {"web.csv": web("soon, ann, , hanako@a.jp, view")})
    path.write_text(path.read_text().replace('"plain"', '"keyed"\nkey_file = "own.key"'))
    project = read_project(path)
    cleansing.prepare(project)
    export = tmp_path / "mend.csv"
    export_quarantine(project, export)
    (row,) = read(export)
    write(export, [row | {"at": "2026-01-01 10:00:00", "page": "himitsu"}])
    state = project.state_folder
    with open_vault(state / "vault.sqlite", read_key(tmp_path / "own.key")) as vault:
        (kept,) = vault.records()
    assert kept["record_no"].tolist() == [1]
    assert kept["person_key"].str.startswith("login:").all()
    assert json.loads(kept["record"].iloc[0])["mail"] == "hanako@a.jp"
    import_quarantine(project, export)
    with open_vault(state / "vault.sqlite", read_key(tmp_path / "own.key")) as vault:
        (kept,) = vault.records()
    assert "corrected" in kept["landed"].iloc[0]
    assert kept["person_key"].str.startswith("login:").all()
    for file in state.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            assert b"hanako" not in held, file
            assert b"himitsu" not in held or file.suffix == ".parquet", file


def test_json_keeps_its_types_and_its_own_keys(tmp_path):
    path = make_company(tmp_path, {"web.csv": web()})
    mapping = path.read_text().replace('format = "csv"', 'format = "ndjson"')
    path.write_text(mapping.replace("in/web*.csv", "in/web*.ndjson"))
    good = {
        "at": "2026-01-01T10:00:00", "login": "ann", "event": "view", "amount": 5, "x": {"a": [1]},
        "ref": None, "cookie": "", "mail": "", "page": "", "device": "", "touchpoint": "",
        "agent": "", "currency": "",
    }  # fmt: skip
    bad = good | {"at": "soon", "amount": 7}
    (tmp_path / "in" / "web.ndjson").write_text("\n".join(map(json.dumps, [good, bad])))
    project = read_project(path)
    export = tmp_path / "mend.csv"
    export_quarantine(project, export)
    (row,) = read(export)
    assert (row["amount"], row["x"], row["ref"]) == ("7", '{"a": [1]}', "")
    write(export, [row | {"at": "2026-01-02T10:00:00", "amount": "8"}])
    import_quarantine(project, export)
    imported = tables(project)
    mended = bad | {"at": "2026-01-02T10:00:00", "amount": 8}
    (tmp_path / "in" / "web.ndjson").write_text("\n".join(map(json.dumps, [good, mended])))
    assert_equal(imported, tables(project))


def test_the_commands_explain_themselves_and_say_what_they_did(tmp_path, capsys):
    for action, said in (("export", "mode 0600"), ("import", "changes nothing")):
        with pytest.raises(SystemExit) as end:
            command.main(["quarantine", action, "--help"])
        assert end.value.code == 0
        assert said in capsys.readouterr().out
    path = make_company(tmp_path, {"web.csv": web("soon, ann, , , view", "x, bob, , , view")})
    file = tmp_path / "mend.csv"
    assert command.main(["quarantine", "export", str(path), str(file)]) == 0
    told = capsys.readouterr()
    assert told.out == f"{file}\n"
    assert "Unreadable value" in told.err
    rows = read(file)
    write(file, [rows[0] | {"at": "2026-01-01"}, rows[1] | {"at": "1970-01-01"}])
    assert command.main(["quarantine", "import", str(path), str(file)]) == 0
    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines()] == [
        ["corrected", "2"],
        ["unchanged", "0"],
        ["cells", "of", "at", "2"],
        ["still", "time_1970", "1"],
    ]
    assert command.main(["quarantine", "export", str(path), str(file)]) == 1
    assert "is there already" in capsys.readouterr().err
