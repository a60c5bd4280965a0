"""Forgetting: nothing of a person is left, others stay as they were, and a killed run is finished.

A company of five, of whom Ann is forgotten. What is left of her is searched in every file.
"""

import json
import re
import shutil
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest
from companies import KEY, make_keyed_company

from cjkit import cleansing, identity, labels, privacy
from cjkit.__main__ import main
from cjkit.checks import CjkitError
from cjkit.cleansing import erasing
from cjkit.cleansing.forgetting import forget, plan_forgetting
from cjkit.cleansing.person import read_person
from cjkit.events import CONTRACT
from cjkit.privacy import Vault, audit, make_pseudonym, open_vault
from cjkit.project import read_project

CRM = "login, mail, tel, name, address, joined, region"
WEB = "at, login, cookie, mail, event"
OTHERS = {
    "crm": [
        "bob, bob@x.jp, 090-1111-2222, 鈴木 一郎, 東京都港区1-1, 2024-01-01, west",
        "cas, cas@x.jp, , 田中 カス, 大阪府2-2, 2024-02-01, east",
        ", dee@x.jp, , , , 2024-03-01, east",
    ],
    "web": [
        "2026-01-01 10:00:00, bob, cookie-bob, , view",
        "2026-01-01 10:05:00, , cookie-bob, , cart",
        "2026-01-01 10:06:00, , shared, , view",
        "2026-01-01 11:00:00, cas, shared, cas@x.jp, view",
        "2026-01-02 11:00:00, , , dee@x.jp, view",
        "2026-01-02 11:00:00, bob, , , blick",
        "2026-02-01 00:00:00, last, , , view",
    ],
    "shop": ["o1, 2026-01-03 10:00:00, bob, 100", "o2, 2026-01-04 10:00:00, cas, many"],
    "consent": ["bob, , analytics, yes, 2025-01-01", "cas, , marketing, no, 2025-01-01"],
    "survey": ["bob, 2026-01-05 10:00:00, nps, 9"],
}
ANN = {
    "crm": ["ann, Ann.Lee@Example.com, ０９０-1234-5678, 山田 花子, 京都府3-3, 2024-04-01, west"],
    "web": [
        "2026-01-01 09:00:00, , cookie-ann, , view",
        "2026-01-01 09:10:00, ann, cookie-ann, , view",
        "2026-01-01 09:20:00, , cookie-ann, , cart",
        "2026-01-05 09:20:00, ann, shared, , view",
        "2026-01-06 09:00:00, , , ann.lee@example.com, blick",
        "2026-01-07 09:00:00, , , Ann.Lee@example.com, view, one cell, too many",
    ],
    "shop": ["o3, 2026-01-07 10:00:00, ann, 300", "o4, 2026-01-08 10:00:00, ann, "],
    "consent": [", cookie-ann, analytics, yes, 2025-01-01"],
    "survey": ["ann, 2026-01-09 10:00:00, nps, 3"],
}
HEADERS = {
    "crm": CRM,
    "web": WEB,
    "shop": "order_id, at, login, amount",
    "consent": "login, cookie, purpose, answer, at",
    "survey": "login, at, metric, score",
}
NAMES = [
    "ann.lee@example.com",
    "ＡＮＮ.lee",
    "+819012345678",
    "090 1234-5678",
    "山田 花子",
    "京都府3-3",
    "cookie-ann",
]
KEYS = {
    "login": "ann",
    "mail": "ann.lee@example.com",
    "tel": "+819012345678",
    "cookie": "cookie-ann",
}
PERSON_KEYS = {f"{name}:{make_pseudonym(value, KEY)}" for name, value in KEYS.items()}


PROJECT = """
[project]
id = "tiny"
name = { en = "Tiny", ja = "小さな店" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[company]
staff_domains = ["staff.example"]
[consent]
missing = "allow"
[privacy]
key_file = "own.key"
[identity]
login = { strength = "strong" }
mail = { strength = "strong" }
tel = { strength = "strong", most = 2 }
cookie = { strength = "weak" }
"""
MAIL = 'mail = { column = "mail", normalise = "email" }'
TEL = 'tel = { column = "tel", normalise = "phone", country_code = "81" }'
AT = '{ column = "at", time = "iso" }'
MAPPINGS = {
    "crm": (
        f'login = "login", {MAIL}, {TEL}',
        "customers",
        'signed_up_at = { column = "joined", time = "%Y-%m-%d" }, region = "region"',
        'name = "name", address = "address"',
    ),
    "web": (
        f'login = "login", cookie = "cookie", {MAIL}',
        "events",
        f'occurred_at = {AT}, event = {{ column = "event", codes = {{ view = "view", '
        'cart = "cart" } }',
        "",
    ),
    "shop": (
        'login = "login"',
        "orders",
        f'order_id = "order_id", ordered_at = {AT}, '
        'revenue = { column = "amount", numbers = true }',
        "",
    ),
    "consent": (
        'login = "login", cookie = "cookie"',
        "consents",
        f'purpose = "purpose", given_at = {AT}, '
        'is_granted = { when = { column = "answer", is = ["yes"] } }',
        "",
    ),
    "survey": (
        'login = "login"',
        "feedback",
        f'given_at = {AT}, metric = "metric", score = {{ column = "score", numbers = true }}, '
        "score_max = { value = 10 }",
        "",
    ),
}


def write_company(folder, *parts):
    """Write the company whose files hold the lines of all `parts`, and return its project file."""
    files = {
        name: "\n".join([header, *(line for part in parts for line in part[name])])
        for name, header in HEADERS.items()
    }
    return make_keyed_company(folder, PROJECT, MAPPINGS, files)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a company that has two logs, a saved table, and raw records in the vault."""
    folder = tmp_path_factory.mktemp("whole")
    path = write_company(folder, OTHERS, ANN)
    cleansing.prepare(path, as_of="2026-01-20")
    log = cleansing.open(path)
    log.save("segments", log.engine.query("select customer_id, 'new' as segment from customers"))
    log.engine.close()
    labels.set_names({})
    labels.set_languages(("en",))
    privacy.set_min_cell(5)
    state = log.project.state_folder
    ledgers = {
        json.loads(ledger.read_text())["source"]: ledger.parent.name
        for ledger in state.glob("landed/*/ledger.json")
    }
    quarantined = pd.DataFrame(
        {
            "record_no": [10, 6, 1, 90, 91],
            "person_key": [sorted(PERSON_KEYS)[0], "login:of bob", None, None, None],
            "record": [
                '{"mail": "ann.lee@example.com"}',
                '{"login": "bob"}',
                '{"login": "of the first visitor"}',
                '"a broken line with ＡＮＮ.lee@example.com in it"',
                '"a broken line of somebody else"',
            ],
        }
    )
    with open_vault(state / "vault.sqlite", KEY) as vault:
        vault.keep_records(ledgers["web"], [quarantined])
        called = pd.DataFrame(
            {"record_no": [1], "person_key": [None], "record": ['"090 1234-5678"']}
        )
        vault.keep_records(ledgers["crm"], [called])
    return path


@pytest.fixture
def company(whole, tmp_path):
    """Return a copy of that company, to forget somebody in."""
    shutil.copytree(whole.parent, tmp_path / "company")
    return read_project(tmp_path / "company" / "journey.toml")


def find_traces(project, sought=(*NAMES, *PERSON_KEYS), but=("forgotten.json",)):
    """Return which files of the state still hold what is sought: values, keys, or bytes."""
    found = set()
    for path in project.state_folder.rglob("*"):
        if not path.is_file() or path.name in but:
            continue
        held = path.read_bytes()
        if path.suffix == ".parquet":
            table = duckdb.sql(f"from read_parquet('{path}')").df()
            held += table.to_csv().encode() + ",".join(table.columns).encode()
        if path.name == "vault.sqlite":
            with open_vault(path, KEY) as vault:
                for batches in (vault.ids(), vault.details(), vault.records()):
                    held += b"".join(batch.to_csv().encode() for batch in batches)
        if any(
            each.casefold().encode() in held.decode(errors="ignore").casefold().encode()
            for each in sought
        ):
            found.add(path.relative_to(project.state_folder).as_posix())
    return found


def customer_of(project):
    key = f"login:{make_pseudonym('ann', KEY)}"
    people = next(project.state_folder.glob("prepared/*/people.parquet"))
    return duckdb.sql(f"select customer_id from '{people}' where person_key = '{key}'").fetchone()[
        0
    ]


def test_the_search_finds_her_in_every_place_before(company):
    found = find_traces(company)
    assert "vault.sqlite" in found
    assert "identity/anchors.parquet" in found
    assert sum(path.startswith("landed/") for path in found) >= 6
    assert {path.split("/")[0] for path in found} == {
        "vault.sqlite",
        "identity",
        "landed",
        "prepared",
    }
    assert any("/saved/" in path for path in find_traces(company, [customer_of(company)]))


@pytest.mark.parametrize(
    "who",
    ["ANN.LEE@example.com", "090 1234 5678", "login:ann", "cookie:cookie-ann", "customer_id"],
)
def test_nothing_of_her_is_left_in_any_file(company, who):
    customer_id = customer_of(company)
    plan = plan_forgetting(company, [customer_id if who == "customer_id" else who])
    assert set(plan.traces.person_keys) == PERSON_KEYS
    assert plan.traces.counts["vault ids"] == 3
    assert plan.traces.counts["vault details"] == 1
    assert plan.traces.counts["vault records"] == 4  # two by their key, two by their text
    assert plan.traces.counts["landed orders"] == 2
    assert plan.traces.counts["prepared logs"] == 2
    assert plan.outside == tuple(sorted(f"in/{name}.csv" for name in HEADERS))
    assert find_traces(company)
    forget(company, plan)
    assert find_traces(company, (*NAMES, *PERSON_KEYS, customer_id)) == set()
    assert find_traces(company, NAMES, but=()) == set()


STEPS = {
    "prepared logs": (erasing, "_logs_with", lambda *given: iter(())),
    "remembered ids": (identity, "erase_anchors", lambda *given: None),
    "raw records": (Vault, "forget_records", lambda *given: 0),
    "the vault": (Vault, "forget", lambda *given: {}),
    "what has landed": (erasing.landed, "erase", lambda *given: None),
}


def kill(*given, **named):
    """Stand for a step at which the process is killed."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("skipped", STEPS)
def test_the_search_finds_her_where_a_place_is_left_out(company, monkeypatch, skipped):
    plan = plan_forgetting(company, ["login:ann"])
    monkeypatch.setattr(*STEPS[skipped])
    forget(company, plan)
    assert find_traces(company)


def compared(project):
    """Return all tables of the log of a company, but for counts of what was read and erased.

    Aliases are left out: ids that others have had stay known.
    """
    logs = (project.state_folder / "prepared").glob("*")
    folder = max(logs, key=lambda log: log.stat().st_mtime)
    names = [*CONTRACT, "people", "quarantine", "links", "gate_changes", "gate_withheld"]
    # A record that could not be read is nobody's: where it stood is still said.
    only = {"quarantine": "where rule <> 'unreadable_record'", "links": "order by all"}
    return {
        name: duckdb.sql(f"from '{folder}/{name}.parquet' {only.get(name, '')}").df()
        for name in names
    }


@pytest.fixture(scope="module")
def without_her(tmp_path_factory):
    """Return what the log of a company holds that never knew her."""
    path = write_company(tmp_path_factory.mktemp("without"), OTHERS)
    cleansing.prepare(path)
    return compared(read_project(path))


@pytest.mark.parametrize(
    "killed_at",
    [
        None,
        "the vault",
        "the end",
        *(pytest.param(step, marks=pytest.mark.long) for step in STEPS if step != "the vault"),
    ],
)
def test_a_killed_run_is_finished_and_the_log_is_that_of_a_company_which_never_knew_her(
    company, without_her, monkeypatch, killed_at
):
    customer_id = customer_of(company)
    plan = plan_forgetting(company, ["ann.lee@example.com"])
    if killed_at is None:
        forget(company, plan)
    else:
        with monkeypatch.context() as patch:
            if killed_at == "the end":
                patch.setattr(erasing, "audit", SimpleNamespace(record=kill))
            else:
                patch.setattr(*STEPS[killed_at][:2], kill)
            with pytest.raises(KeyboardInterrupt):
                forget(company, plan)
    cleansing.prepare(company)
    assert find_traces(company, (*NAMES, *PERSON_KEYS, customer_id)) == set()
    for name, expected in without_her.items():
        pd.testing.assert_frame_equal(compared(company)[name], expected, obj=name)
    again = plan_forgetting(company, ["ann.lee@example.com"])
    assert again.already == ("ann.lee@example.com",)
    assert again.traces.person_keys == ()
    commands = [line["command"] for line in audit.read(company)]
    assert commands.count("erase") == 1
    assert audit.verify(company).fault is None


def test_a_run_that_is_killed_is_known_by_its_customer_id_too(company, monkeypatch):
    customer_id = customer_of(company)
    plan = plan_forgetting(company, [customer_id])
    with monkeypatch.context() as patch:
        patch.setattr(Vault, "forget", kill)
        with pytest.raises(KeyboardInterrupt):
            forget(company, plan)
    again = plan_forgetting(company, [customer_id])
    assert again.already == (customer_id,)
    assert again.outside == plan.outside
    assert find_traces(company) == set()


def test_ledgers_add_up_and_say_how_many_rows_are_erased(company):
    forget(company, plan_forgetting(company, ["login:ann"]))
    log = cleansing.open(company.path)
    ledger = log.quality.rows.table
    assert ledger.groupby("table")["erased"].sum().to_dict() == {
        "customers": 1,
        "events": 5,
        "orders": 2,
        "consents": 1,
        "feedback": 1,
    }
    outcomes = ["clean", "quarantined", "merged", "withheld", "retracted", "erased"]
    assert (ledger["made"] == ledger[outcomes].sum(axis=1)).all()
    labels.set_names({})
    labels.set_languages(("en",))


def test_she_does_not_come_back_with_another_file(company):
    forget(company, plan_forgetting(company, ["login:ann"]))
    with (company.folder / "in" / "web.csv").open("a") as file:
        file.write("2026-01-30 09:00:00,,,ANN.LEE@example.com,view\n")
        file.write("2026-01-30 09:00:01,,cookie-ann,,view\n")
        file.write("2026-01-30 09:00:02,bob,,,view\n")
    cleansing.prepare(company)
    assert find_traces(company) == set()
    events = compared(company)["events"]
    assert (events["occurred_at"] > "2026-01-30").sum() == 1


def test_several_people_are_forgotten_at_once_and_others_stay(company):
    before = compared(company)
    plan = plan_forgetting(company, ["login:ann", "cas@x.jp"])
    assert len(plan.traces.customer_ids) == 2
    forget(company, plan)
    cleansing.prepare(company)
    after = compared(company)
    gone = set(plan.traces.customer_ids)
    left = before["customers"]["customer_id"]
    assert set(after["customers"]["customer_id"]) == set(left) - gone


@pytest.mark.parametrize(
    ("who", "message"),
    [
        ("nobody@x.jp", "Nobody is known as 'nobody@x.jp'. Sought: customer_id, mail"),
        ("+81312345678", "Sought: customer_id, tel"),
        ("logn:ann", "Did you mean 'login'"),
        ("login:nobody", "Sought: customer_id, login"),
    ],
)
def test_a_person_whom_nobody_knows_is_refused_before_anything_goes(company, who, message):
    with pytest.raises(CjkitError, match=re.escape(message)):
        plan_forgetting(company, ["login:ann", who])
    assert not (company.state_folder / "forgotten.json").exists()


def test_an_id_that_many_share_is_refused(tmp_path):
    crowd = {
        "crm": [
            f"{name}, {name}@x.jp, 03-1234-5678, , , 2024-01-01, west"
            for name in ("ann", "bob", "cas", "dee")
        ],
        "web": ["2026-01-01 10:00:00, ann, , , view", "2026-01-03 10:00:00, bob, , , view"],
        "shop": [],
        "consent": [],
        "survey": [],
    }
    project = read_project(write_company(tmp_path / "shared", crowd))
    with pytest.raises(CjkitError, match="stands on the records of 4 people"):
        plan_forgetting(project, ["03-1234-5678"])
    assert len(plan_forgetting(project, ["login:ann"]).traces.customer_ids) == 1


def test_who_was_forgotten_must_be_readable_before_anything_is_read(company):
    (company.state_folder / "forgotten.json").write_text("{")
    with pytest.raises(CjkitError, match="forgotten people would come back"):
        cleansing.prepare(company)


# --- what is held about one person


def test_what_is_held_is_all_and_hers_alone(company):
    held = read_person(company, "Ann.Lee@example.com")
    assert held.customer_ids == (customer_of(company),)
    ids = held.ids.set_index("namespace")["value"]
    assert ids.dropna().to_dict() == {name: KEYS[name] for name in ("login", "mail", "tel")}
    assert ids.isna()["cookie"]
    assert held.details[["name", "address", "file"]].to_numpy().tolist() == [
        ["山田 花子", "京都府3-3", "in/crm.csv"]
    ]
    counts = {table: len(frame) for table, frame in held.rows.items()}
    assert counts == {"customers": 1, "events": 5, "orders": 2, "feedback": 1, "consents": 1}
    assert held.rows["orders"]["revenue"].max() == 300
    assert held.rows["events"]["set_aside"].notna().sum() == 1
    assert held.saved["segments"]["segment"].tolist() == ["new"]
    assert sorted(held.records["file"]) == ["in/shop.csv", "in/web.csv"]
    assert '{"mail": "ann.lee@example.com"}' in set(held.records["record"])
    written = held.to_json()
    assert "bob" not in written + held.to_text()
    read = json.loads(written)
    assert read["rows"]["feedback"][0]["score"] == 3
    assert {row["file"] for row in read["rows"]["events"]} == {"in/web.csv"}


def test_reading_about_a_person_is_recorded_without_saying_whom(company):
    read_person(company, "Ann.Lee@example.com")
    line = audit.read(company)[-1]
    assert line["command"] == "person"
    assert line["customer"] == audit.hide(company, "ann.lee@example.com")
    assert find_traces(company, NAMES) == {
        path for path in find_traces(company, NAMES) if not path.startswith("audit/")
    }


# --- commands


def test_commands_show_ask_forget_and_check(company, capsys, monkeypatch):
    path = str(company.path)
    assert main(["person", path, "--customer", "login:ann", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["ids"]
    assert main(["person", path, "--customer", "login:ann"]) == 0
    shown = capsys.readouterr().out
    assert "山田 花子" in shown and "5 rows of web in in/web.csv, 1 set aside" in shown

    assert main(["forget", path, "--customer", "login:ann", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"landed events +5\n", shown) and "in/crm.csv" in shown
    assert main(["forget", path, "--customer", "login:ann"]) == 1
    assert "agree with --yes" in capsys.readouterr().err
    assert find_traces(company)
    assert main(["forget", path, "--customer", "login:ann", "--yes"]) == 0
    assert find_traces(company) == set()
    capsys.readouterr()
    assert main(["forget", path, "--customer", "login:ann", "--yes"]) == 0
    assert "was forgotten before" in capsys.readouterr().out
    assert main(["person", path, "--customer", "login:ann"]) == 1
    assert "'login:ann' was forgotten: nothing is held" in capsys.readouterr().err

    assert main(["audit", "verify", path]) == 0
    assert "lines are as they were written" in capsys.readouterr().out
    assert main(["audit", "show", path, "--customer", "login:ann"]) == 0
    shown = capsys.readouterr().out
    assert "ann" not in shown.replace("plan", "")
    assert shown.count(" forget ") >= 2
    log = company.state_folder / "audit" / "log.jsonl"
    log.write_text(log.read_text().replace('"person"', '"report"', 1))
    assert main(["audit", "verify", path]) == 1
    assert "was changed after it was written" in capsys.readouterr().err


class Terminal:
    """Stands for a person at the keyboard."""

    def __init__(self, answer):
        self.answer = answer

    def isatty(self):
        return True

    def readline(self):
        return self.answer + "\n"


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("no", 1), ("", 1)])
def test_nobody_is_forgotten_unless_someone_agrees(company, monkeypatch, answer, status):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["forget", str(company.path), "--customer", "login:ann"]) == status
    assert (find_traces(company) == set()) is (status == 0)


def test_where_ids_are_plain_there_is_no_vault_and_forgetting_is_the_same(tmp_path):
    path = write_company(tmp_path / "plain", OTHERS, ANN)
    shown = path.read_text().replace("[privacy]", '[privacy]\npseudonyms = "plain"')
    path.write_text(re.sub("private = {.*}", "", shown))
    project = read_project(path)
    held = read_person(project, "login:ann")
    assert held.customer_ids == ("login:ann",)
    assert set(held.ids["value"]) == set(KEYS.values())
    plain = [f"{name}:{value}" for name, value in KEYS.items()]
    assert find_traces(project, plain)
    forget(project, plan_forgetting(project, ["Ann.Lee@example.com"]))
    cleansing.prepare(project)
    assert find_traces(project, plain) == set()
    assert not (project.state_folder / "vault.sqlite").exists()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 12))]
)
def test_others_are_grouped_as_if_her_records_had_never_been(tmp_path, seed):
    """Random ids, linked at random; the oracle leaves her lines out of the exports."""
    rng = np.random.default_rng(seed)

    def maybe(name, most, share):
        return f"{name}{rng.integers(most)}" if rng.random() < share else ""

    lines = []
    for number in range(40):
        mail = maybe("m", 5, 0.2)
        ids = maybe("l", 5, 0.4), maybe("c", 6, 0.6), mail and f"{mail}@x.jp"
        at = pd.Timestamp("2026-01-01") + pd.Timedelta(hours=int(7 * number))
        lines.append((f"{at}", *ids, rng.choice(["view", "cart"])))
    project = read_project(write_plain(tmp_path / "whole", lines))
    cleansing.prepare(project)
    people = compared(project)["people"]
    who = rng.choice(people["customer_id"])
    plan = plan_forgetting(project, [who])
    gone = set(plan.traces.person_keys)
    forget(project, plan)
    cleansing.prepare(project)

    def is_hers(line):
        strong, weak = [f"login:{line[1]}", f"mail:{line[3]}"], f"cookie:{line[2]}"
        first = [key for key in (strong[0], weak, strong[1]) if not key.endswith(":")][:1]
        return bool(gone.intersection([*strong, *first]))

    left = [line for line in lines if not is_hers(line)]
    without = read_project(write_plain(tmp_path / "without", left))
    cleansing.prepare(without)
    assert journeys(project) == journeys(without)
    assert sum(len(journey) for journey in journeys(project)) < len(lines)


def write_plain(folder, lines):
    """Write the company with these web events alone, ids as they are."""
    nothing = dict.fromkeys(HEADERS, ())
    path = write_company(folder, {**nothing, "web": [",".join(line) for line in lines]})
    path.write_text(path.read_text().replace("[privacy]", '[privacy]\npseudonyms = "plain"'))
    path.write_text(re.sub("private = {.*}", "", path.read_text()))
    return path


def journeys(project):
    """Return what happened to each customer, without saying who they are or where it stood."""
    folder = cleansing.prepare(project, as_of="2026-02-01").folder
    events = duckdb.sql(f"from '{folder}/events.parquet' order by occurred_us").df()
    told = list(zip(events["occurred_us"], events["event"], strict=True))
    groups = events.fillna({"customer_id": ""}).groupby("customer_id").indices.values()
    return {tuple(told[place] for place in places) for places in groups}
