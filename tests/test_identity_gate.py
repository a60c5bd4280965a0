"""Who is who in a whole log: stitched visits, pins, kept ids and likeness, from files to people."""

from __future__ import annotations

import pandas as pd
import pytest
from companies import make_company

from cjkit import identity
from cjkit.checks import CjkitError
from cjkit.cleansing.gate import prepare
from cjkit.cleansing.log import open_log
from cjkit.project import read_project

ABSENT = ("ref", "amount", "device", "touchpoint", "agent", "currency")


def web(lines):
    """Return a file of the source `web` whose other columns are empty."""
    header, *rows = lines.strip().splitlines()
    return "\n".join([f"{header}, {', '.join(ABSENT)}", *(row + "," * len(ABSENT) for row in rows)])


WEB = web("""
at, event, login, cookie, mail, page
2024-01-01T10:00:00+09:00, view,     , c1, , a
2024-03-01T10:00:00+09:00, view,     , c1, , b
2024-03-05T10:00:00+09:00, view, ann , c1, , c
2024-05-01T10:00:00+09:00, view,     , c1, , d
2024-03-05T11:00:00+09:00, view, bob , c2, b@x.jp, e
2024-03-06T11:00:00+09:00, view,     , c3, , f
2024-03-07T10:00:00+09:00, view, eve , , , g
""")


def visits(log):
    found = log.engine.query(f"select page, customer_id from {log.events}")
    return dict(zip(found["page"], found["customer_id"], strict=True))


def test_earlier_visits_than_the_window_stay_anonymous(tmp_path):
    log = open_log(make_company(tmp_path, {"web.csv": WEB}), as_of="2024-06-01")
    found = visits(log)
    assert found["b"] == found["c"] == found["d"] == "login:ann"
    assert found["a"] == "cookie:c1"
    assert log.quality.identity.table.set_index("namespace").loc["cookie", "stitched"] == 1
    used = log.explain("login:ann").table["used"].tolist()
    assert used == ["later_visits"]


def test_a_denial_under_a_shared_key_concerns_all_its_people(tmp_path):
    consent = "purpose, answer, at, login, cookie\nanalytics, no, 2024-04-01T10:00:00+09:00, , c1"
    log = open_log(
        make_company(tmp_path, {"web.csv": WEB, "consent.csv": consent}), as_of="2024-06-01"
    )
    assert sorted(visits(log)) == ["e", "f", "g"]


@pytest.mark.parametrize("step", ["offer_ids", "settle_ids"])
def test_ids_are_remembered_whenever_a_run_is_killed(tmp_path, monkeypatch, step):
    path = make_company(tmp_path, {"web.csv": WEB})
    remembered = read_project(path).state_folder / "identity"
    take_step = getattr(identity, step)

    def kill(state, *given):
        """Stand for the moment before the log is published, or right after."""
        if step == "offer_ids":
            take_step(state, *given)
        if list(remembered.glob("*.offered")):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(identity, step, kill)
        prepare(path, as_of="2024-06-01")
    assert not (remembered / "anchors.parquet").exists()
    found = prepare(path, as_of="2024-06-01")
    assert found.is_new == (step == "offer_ids")
    assert found.facts["minted_customers"] == found.facts["customers"]
    kept = (found.folder / "anchors.parquet").read_bytes()
    assert [file.read_bytes() for file in remembered.iterdir()] == [kept]


def test_a_pins_file_is_followed_and_its_removal_undoes_it(tmp_path):
    path = make_company(tmp_path, {"web.csv": WEB})
    before = (prepare(path, as_of="2024-06-01").folder / "people.parquet").read_bytes()
    text = path.read_text()
    path.write_text(text.replace("[identity]\n", '[identity]\npins = "pins.csv"\n'))
    pins = tmp_path / "pins.csv"
    pins.write_text("relation,a,b,why\nsame,login:eve,mail:b@x.jp,she called\n")
    log = open_log(path, as_of="2024-06-01")
    assert visits(log)["g"] == visits(log)["e"]
    assert (log.quality.identity.merges, log.quality.identity.splits) == (1, 0)
    pinned = log.explain("login:eve").table.set_index("rule").loc["pinned_same"]
    assert (pinned["file"], pinned["record_no"]) == ("pins.csv", 2)

    pins.write_text("relation,a,b,why\nsame,login:bob,cookie:c3,\n")
    log = open_log(path, as_of="2024-06-01")
    assert visits(log)["f"] == "login:bob"
    assert log.quality.identity.splits == 1
    assert "split" not in log.quality.identity.finding("ja")

    path.write_text(text)
    after = prepare(path, as_of="2024-06-01").folder / "people.parquet"
    assert after.read_bytes() == before


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ("relation,a,b\nsame,logn:ann,login:bob", "line 2: 'logn' is no namespace .* 'login'"),
        ("relation,a,b\nsame,login:ann,login:bob\ndifferent,login:bob,login:ann", "line 3"),
        (None, "pins.csv' cannot be read"),
    ],
)
def test_wrong_pins_stop_the_run(tmp_path, pins, message):
    path = make_company(tmp_path, {"web.csv": WEB})
    path.write_text(path.read_text().replace("[identity]\n", '[identity]\npins = "pins.csv"\n'))
    if pins is not None:
        (tmp_path / "pins.csv").write_text(pins)
    with pytest.raises(CjkitError, match=message):
        prepare(path)


def test_saved_tables_follow_ids(tmp_path):
    path = make_company(tmp_path, {"web.csv": WEB})
    old = open_log(path, as_of="2024-06-01")
    given = pd.DataFrame(
        {"customer_id": ["login:bob", "login:eve", "cookie:c3"], "segment": [*"xyz"]}
    )
    assert old.save("segments", given).count() == 3
    more = web(
        "at, event, login, cookie, mail, page\n2024-05-02T10:00:00+09:00, view, eve, , b@x.jp, h"
    )
    path = make_company(tmp_path, {"web.csv": WEB, "web_2.csv": more})
    new = open_log(path, as_of="2024-06-01")
    saved = new.save("segments", given)
    found = new.engine.query(f"select customer_id, segment from {saved} order by 1")
    assert found.values.tolist() == [["cookie:c3", "z"], ["login:bob", "x"]]


def test_a_failed_run_remembers_nothing(tmp_path):
    path = make_company(tmp_path, {"web.csv": WEB})
    text = path.read_text()
    path.write_text(text + "[quality]\nstop = { completeness = 1.1 }\n")
    with pytest.raises(CjkitError, match="worse than"):
        prepare(path)
    assert not (tmp_path / ".cjkit/tiny/identity/anchors.parquet").exists()
    path.write_text(text)
    prepare(path)
    assert (tmp_path / ".cjkit/tiny/identity/anchors.parquet").exists()


KEYED = """
[project]
id = "keyed"
name = { en = "Keyed", ja = "鍵" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[consent]
missing = "allow"
[privacy]
key_file = "key"
[identity]
member = { strength = "strong" }
[identity.likeness]
columns = { name = "name", birth = "date", street = "address" }
blocks = [["name"], ["birth"]]
threshold = 0.9
expected_precision = 0.9
[sources.crm]
files = ["crm.csv"]
mapping = "./crm.toml"
"""
CRM = """
system = "CRM"
[file]
time_zone = "Asia/Tokyo"
[ids]
member = "member"
[private]
name = { column = "name", normalise = "name" }
birth = "birth"
street = "street"
[[row]]
table = "events"
[row.columns]
occurred_at = { column = "at", time = "iso" }
event = { value = "sign_up" }
"""


@pytest.fixture
def look_alikes(tmp_path, rng):
    """Return a keyed project of 120 members, of whom 20 stand twice, with a typing error."""
    letters = list("abcdefghijklmnopqrstuvwxyz")
    people = [
        (
            f"m{number:03}",
            "".join(rng.choice(letters, 8)),
            f"{1950 + number % 50}-{1 + number % 12:02}-{1 + number % 28:02}",
            "".join(rng.choice(letters, 12)),
        )
        for number in range(120)
    ]
    twins = [(f"t{m[1:]}", n[:-1] + "z", birth, street) for m, n, birth, street in people[-20:]]
    lines = [",".join((*row, "2024-01-01")) for row in [*people, *twins]]
    (tmp_path / "crm.csv").write_text("\n".join(["member,name,birth,street,at", *lines]))
    (tmp_path / "crm.toml").write_text(CRM)
    (tmp_path / "journey.toml").write_text(KEYED)
    return tmp_path / "journey.toml"


def test_people_who_share_no_id_are_linked_by_likeness(look_alikes):
    log = open_log(look_alikes, as_of="2024-02-01")
    assert log.quality.identity.customers == 120
    assert log.quality.identity.alike == 20
    assert log.quality.identity.alike_precision > 0.9
    pairs = log.engine.query(
        f"select customer_id, count(*) as n from {log.events} group by 1 having n > 1"
    )
    found = log.explain(pairs["customer_id"].iloc[0]).table
    assert found["rule"].tolist() == ["likeness"]
    assert found["file"].tolist() == ["crm.csv"]
    assert found["probability"].iloc[0] > 0.9
    name = pd.read_csv(look_alikes.parent / "crm.csv")["name"].iloc[-1].encode()
    state = [path for path in (look_alikes.parent / ".cjkit").rglob("*") if path.is_file()]
    assert not [path for path in state if name in path.read_bytes()]


def test_likeness_needs_the_vault(look_alikes):
    look_alikes.write_text(KEYED.replace('key_file = "key"', 'pseudonyms = "plain"'))
    with pytest.raises(CjkitError, match="leave one of the two out"):
        prepare(look_alikes)
