"""Landing: files become rows of the contract, each record accounted for, whole or not at all."""

import datetime
import errno
import hashlib
import hmac
import json
import shutil
import string
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cjkit import privacy
from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.project import read_project
from cjkit.sources import describe, land, read_mappings

KEY = b"k" * 32
EVENTS = """
[[row]]
table = "events"
[row.columns]
occurred_at = { column = "at", time = "iso" }
event = "name"
"""


def hide(expression):
    return privacy.pseudonym_sql(expression, KEY)


class Company:
    """A project in a folder: files and mappings are added, then it lands."""

    def __init__(self, folder):
        self.folder = folder
        self.engine = DuckDB(threads=1)
        self.sources = []

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def source(self, name, files, mapping, system="A system"):
        self.write(f"{name}.toml", f'system = "{system}"\n{mapping}')
        self.sources.append(f'[sources.{name}]\nfiles = ["{files}"]\nmapping = "./{name}.toml"\n')

    @property
    def project(self):
        self.write(
            "journey.toml",
            """
            [project]
            id = "test"
            name = { en = "Test", ja = "テスト" }
            time_zone = "Asia/Tokyo"
            currency = "JPY"
            [company]
            staff_domains = ["staff.example.jp"]
            [consent]
            missing = "allow"
            [identity]
            login = { strength = "strong" }
            email = { strength = "strong" }
            phone = { strength = "strong" }
            cookie = { strength = "weak" }
            """
            + "\n".join(self.sources),
        )
        return read_project(self.folder / "journey.toml")

    def land(self):
        return land(self.project, self.engine, pseudonym=hide)

    def rows(self, table, file=0):
        """Land, and return the rows of one file as a frame without missing values but None."""
        path = self.land().folders[file] / f"{table}.parquet"
        found = self.engine.query(f"select * from '{path}' order by record_no, row_rule")
        return found.astype(object).where(found.notna(), None)

    def one(self, values, columns, file='format = "csv"\ntime_zone = "Asia/Tokyo"'):
        """Land a one-column CSV of `values` under one column of customers; return its rows."""
        self.sources.clear()
        lines = "".join(f'"{value}",u{number}\n' for number, value in enumerate(values))
        self.write("in/a.csv", "v,id\n" + lines)
        mapping = f'[file]\n{file}\n[ids]\nlogin = "id"\n[[row]]\ntable = "customers"\n'
        self.source("crm", "in/a.csv", f"{mapping}[row.columns]\n{columns}\n")
        return self.rows("customers")


@pytest.fixture
def company(tmp_path):
    return Company(tmp_path)


# What texts mean


def utc(text):
    return pd.Timestamp(text)


@pytest.mark.parametrize(
    ("how", "written", "expected"),
    [
        ('"iso"', "2024-05-01T09:58:12Z", "2024-05-01 09:58:12"),
        ('"iso"', "2024-05-01 09:58:12.123456+09:00", "2024-05-01 00:58:12.123456"),
        ('"iso"', "2013-09-26T06:56:35+0000", "2013-09-26 06:56:35"),
        ('"iso"', "2024-05-01 09:58:12 +0900", "2024-05-01 00:58:12"),
        ('"iso"', "2019-03-29 07:24:17 UTC", "2019-03-29 07:24:17"),
        ('"iso"', "2024-05-01T09:58", "2024-05-01 00:58"),
        ('"iso"', "2024/5/1 9:58", "2024-05-01 00:58"),
        ('"iso"', "2024-05-01", "2024-04-30 15:00"),
        ('"iso"', "2024-02-30", None),
        ('"iso"', "yesterday", None),
        ('"iso"', "infinity", None),
        ('"iso"', "20240501", None),
        ('"epoch_s"', "1714554000", "2024-05-01 09:00:00"),
        ('"epoch_s"', "1714554000.25", "2024-05-01 09:00:00.25"),
        ('"epoch_ms"', "1714554000123", "2024-05-01 09:00:00.123"),
        ('"epoch_us"', "1653679818347831", "2022-05-27 19:30:18.347831"),
        ('"epoch_us"', "99999999999999999999999", None),
        ('"epoch_s"', "soon", None),
        ('"%Y/%m/%d %H:%M"', "2024/05/01 09:58", "2024-05-01 00:58"),
        ('"%Y/%m/%d %H:%M"', "2024/13/01 09:58", None),
        ('"%d.%m.%Y %H:%M %z"', "01.05.2024 09:58 -0300", "2024-05-01 12:58"),
        ('["%Y/%m/%d %H:%M", "iso"]', "2024-05-01T09:58:12Z", "2024-05-01 09:58:12"),
        ('"hours", since = "2018-07-01T00:00:00"', "1.5", "2018-06-30 16:30"),
        ('"iso", plus = { value = 2, unit = "days" }', "2024-05-01", "2024-05-02 15:00"),
        ('"days", since = "1970-01-01T00:00:00Z"', "999999999999", None),
        ('"epoch_s"', "1e300", None),
        ('"iso", precision = "day"', "2024-05-01 23:58:00", "2024-04-30 15:00"),
    ],
)
def test_times_are_read_as_they_are_declared(company, how, written, expected):
    rows = company.one([written], f'seen_at = {{ column = "v", time = {how} }}')
    assert rows["seen_at"][0] == (expected and utc(expected))
    assert rows["unreadable"][0] == (None if expected else "seen_at")


def test_clock_changes_have_a_rule(company):
    zone = 'format = "csv"\ntime_zone = "America/New_York"'
    times = ["2024-03-10 01:59", "2024-03-10 02:30", "2024-03-10 03:00", "2024-11-03 01:30"]
    rows = company.one(times, 'seen_at = { column = "v", time = "iso" }', zone)
    # 02:30 was skipped: it counts on in the old time. 01:30 came twice: it is the second.
    assert rows["seen_at"].tolist() == [
        utc("2024-03-10 06:59"),
        utc("2024-03-10 07:30"),
        utc("2024-03-10 07:00"),
        utc("2024-11-03 06:30"),
    ]


@pytest.mark.parametrize(
    "zone", ["Asia/Tokyo", "Europe/London", "America/Sao_Paulo", "Asia/Kathmandu"]
)
def test_local_times_agree_with_zoneinfo(company, rng, zone):
    start = datetime.datetime(1971, 1, 1)
    seconds = rng.integers(0, 100 * 365 * 86_400, 400).tolist()
    moments = [start + datetime.timedelta(seconds=after) for after in seconds]
    rows = company.one(
        [moment.isoformat() for moment in moments],
        'seen_at = { column = "v", time = "iso" }',
        f'format = "csv"\ntime_zone = "{zone}"',
    )
    compared = 0
    for moment, found in zip(moments, rows["seen_at"], strict=True):
        there = moment.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(datetime.UTC)
        if there.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment:  # clocks showed it
            compared += 1
            assert found == utc(there.replace(tzinfo=None))
    assert compared > 390


def test_a_time_without_a_zone_is_refused_where_none_is_declared(company):
    with pytest.raises(CjkitError) as caught:
        company.one(
            ["2024-05-01T00:00:00Z", "2024-05-01 09:58"],
            'seen_at = { column = "v", time = "iso" }',
            'format = "csv"',
        )
    assert "record 2: the time '2024-05-01 09:58' (customers.seen_at) says no zone" in str(
        caught.value
    )


def test_the_precision_of_a_time_is_kept(company):
    company.write("in/a.csv", "at,name,id\n2024-05-01,a,1\n2024-05-01 09:58,b,1\n,c,1\n")
    file = '[file]\ntime_zone = "Asia/Tokyo"\n[ids]\nlogin = "id"'
    company.source("web", "in/a.csv", file + EVENTS)
    assert company.rows("events")["time_precision"].tolist() == ["day", "second", None]
    company.sources.clear()
    company.source("web", "in/a.csv", file + EVENTS.replace('"iso"', '"%Y-%m-%d"'))
    assert company.rows("events")["time_precision"].tolist()[0] == "day"
    company.sources.clear()
    company.source("web", "in/a.csv", file + EVENTS.replace('"iso"', '"iso", precision = "day"'))
    assert company.rows("events")["time_precision"].tolist() == ["day"] * 3


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *(("12", 12.0), ("-1.5", -1.5), ("1e3", 1000.0), (".5", 0.5)),
        *(("1,234", 1234.0), ("1,234,567.8", 1234567.8), ("1,5", None), ("12,34", None)),
        *(("￥１，２３４", 1234.0), ("1,234円", 1234.0), ("$ 5", 5.0), ("JPY 1,000", 1000.0)),
        *(("(1,234)", -1234.0), ("△500", -500.0), ("－５", -5.0), ("−5", -5.0)),
        *(("0x1F", None), ("1_000", None), ("nan", None), ("inf", None), ("1e999", None)),
        *(("ten", None), ("1.234.5", None), ("5%", None), ("--5", None)),
    ],
)
def test_numbers_are_read_and_never_guessed(company, written, expected):
    rows = company.one([written], 'amount = { column = "v", numbers = true }')
    assert rows["amount"][0] == expected
    assert rows["unreadable"][0] == (None if expected is not None else "amount")


def test_what_the_contract_types_is_read_by_its_type(company):
    company.write(
        "in/a.csv",
        "no,n,price,fee,kind,day\nA,3,1.5,1,yes,2024-05-01\nB,2.0,x,,NO,\nC,2.5,2,1,perhaps,5\n",
    )
    company.source(
        "till",
        "in/a.csv",
        """
[file]
time_zone = "Asia/Tokyo"
[[row]]
table = "orders"
[row.columns]
order_id = "no"
ordered_at = { column = "day", time = "%Y-%m-%d" }
line_no = "n"
revenue = { multiply = ["n", "price", 2] }
discount = { add = ["price", "fee"] }
is_return = "kind"
x_net = { subtract = ["price", "fee"] }
""",
    )
    rows = company.rows("orders")
    assert rows["line_no"].tolist() == [3, 2, None]
    assert rows["revenue"].tolist() == [9.0, None, 10.0]
    assert rows["discount"].tolist() == [2.5, None, 3.0]
    assert rows["x_net"].tolist() == [0.5, None, 1.0]
    assert rows["is_return"].tolist() == [True, False, None]
    assert [set((wrong or "").split(",")) for wrong in rows["unreadable"]] == [
        {""},
        {"revenue", "discount", "x_net"},
        {"line_no", "is_return", "ordered_at"},
    ]
    assert rows["person_key"].tolist() == [None] * 3


def test_codes_joins_and_first_values(company):
    company.write(
        "in/a.csv", "at,name,id,kind,a,b\n,open,1,x,,B\n,shut,1,y,A,B\n,odd,1,,,\n,,1,x,A,\n"
    )
    company.source(
        "web",
        "in/a.csv",
        """
[file]
time_zone = "UTC"
[ids]
login = "id"
[[row]]
table = "events"
[row.columns]
occurred_at = { column = "at", time = "iso" }
event = { column = "name", codes = { open = "open_email", shut = "close_email" } }
channel = { column = "kind", codes = { x = "web" }, else = "other" }
outcome = { column = "kind", codes = { y = "" }, else = "seen" }
ref_id = { join = ["a", "b"], separator = "-" }
campaign = { first = ["a", "b"] }
page = { column = "b", nulls = ["B"] }
touchpoint = { value = "newsletter" }
revenue = { value = 2.5 }
x_is_x = { when = { column = "kind", is = ["x"] } }
""",
    )
    rows = company.rows("events")
    assert rows["event"].tolist() == ["open_email", "close_email", None, None]
    assert rows["unknown_codes"].tolist() == [None, None, "event", None]
    assert rows["channel"].tolist() == ["web", "other", None, "web"]
    assert rows["outcome"].tolist() == ["seen", None, None, "seen"]
    assert rows["ref_id"].tolist() == ["-B", "A-B", None, "A-"]
    assert rows["campaign"].tolist() == ["B", "A", None, "A"]
    assert rows["page"].tolist() == [None] * 4
    assert set(rows["touchpoint"]) == {"newsletter"} and set(rows["revenue"]) == {2.5}
    assert rows["x_is_x"].tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('{ column = "v", is = ["a", "1"] }', "a1"),
        ('{ column = "v", is_not = ["a"] }', "1b-"),
        ('{ column = "v", starts_with = "b" }', "b"),
        ('{ column = "v", ends_with = "b" }', "b"),
        ('{ column = "v", contains = "b" }', "b"),
        ('{ column = "v", matches = "^[0-9]$" }', "1"),
        ('{ column = "v", present = true }', "a1b"),
        ('{ column = "v", present = false }', "-"),
        ('{ column = "v", below = 2 }', "1"),
        ('{ column = "v", above = 0.5, below = 1 }', ""),
        ('{ not = { column = "v", is = ["a"] } }', "1b-"),
        ('[{ column = "v", present = true }, { column = "v", is_not = ["a", 1] }]', "b"),
    ],
)
def test_conditions(company, condition, expected):
    rows = company.one(["a", "1", "b", ""], f"holds = {{ when = {condition} }}")
    assert "".join(v for v, holds in zip("a1b-", rows["holds"], strict=True) if holds) == expected


def test_words_are_written_one_way_where_the_mapping_says_so(company):
    company.write(
        "in/a.csv", "id,rank,words,name\n1,ﾚｷﾞｭﾗｰ, 良い　品！ ,ﾎﾝﾀﾞﾅ\n2,gold,good  stuff,\n3,,,−\n"
    )
    company.source(
        "crm",
        "in/a.csv",
        """
[file]
[ids]
login = "id"
[[row]]
table = "customers"
unique = ["x_words"]
[row.columns]
tier = { column = "rank", normalise = "text", codes = { "レギュラー" = "regular" }, else = "other" }
x_words = { join = ["words", "name"], separator = " ", normalise = "text" }
x_same = "words"
""",
    )
    rows = company.rows("customers")
    assert rows["tier"].tolist() == ["regular", "other", None]
    assert rows["x_words"].tolist() == ["良い 品! ホンダナ", "good stuff", "-"]
    assert rows["unique_key"].tolist() == rows["x_words"].tolist()
    assert rows["x_same"].tolist() == [" 良い　品！ ", "good  stuff", None]


# People


def test_keys_are_the_hmac_of_python(company):
    names = ["U1", "山田", "１２３", "a'b", "x" * 200]
    company.one([], 'tier = "v"')
    company.write("in/a.csv", "v,id\n" + "".join(f"-,{name}\n" for name in names))
    rows = company.rows("customers")
    expected = [
        hmac.new(KEY, name.encode(), hashlib.sha256).hexdigest()
        for name in ["U1", "山田", "123", "a'b", "x" * 200]
    ]
    assert rows["person_key"].tolist() == [f"login:{digest}" for digest in expected]


def test_the_first_id_names_the_person_and_several_ids_are_linked(company):
    company.write(
        "in/a.csv",
        "at,name,login,mail,tel\n"
        "2024-01-02T00:00:00Z,a,U1,Ann@Example.com,090-1234-5678\n"
        "2024-01-01T00:00:00Z,b,Ｕ１,ａｎｎ@example.com ,\n"
        "2024-01-03T00:00:00Z,c,,ann@example.com,+81 90 1234 5678\n"
        "2024-01-03T00:00:00Z,d,,,\n",
    )
    ids = """
[file]
format = "csv"
[ids]
login = "login"
email = { column = "mail", normalise = "email" }
phone = { column = "tel", normalise = "phone", country_code = "81" }
"""
    company.source("web", "in/a.csv", ids + EVENTS.replace("[row.c", 'unique = ["email"]\n[row.c'))
    rows = company.rows("events")
    login, mail, phone = (
        f"{namespace}:{privacy.make_pseudonym(value, KEY)}"
        for namespace, value in (
            ("login", "U1"),
            ("email", "ann@example.com"),
            ("phone", "+819012345678"),
        )
    )
    assert rows["person_key"].tolist() == [login, login, mail, None]
    assert rows["unique_key"].tolist() == [mail, mail, mail, None]
    path = company.land().folders[0] / "edges.parquet"
    edges = company.engine.query(f"select * from '{path}' order by record_no, namespace_a")
    assert edges[["key_a", "key_b", "record_no"]].to_numpy().tolist() == [
        [mail, phone, 1],
        [login, phone, 1],
        [login, mail, 2],
    ]
    first = pd.Timestamp("2024-01-01").value // 1000
    assert edges["seen_us"].tolist()[-1] == first
    assert "Ann" not in rows.to_json() and "U1" not in rows.to_json()


def test_staff_are_known_by_their_mail(company):
    company.write(
        "in/a.csv", "mail\nann@staff.example.jp\nＢＯＢ@STAFF.example.jp\nc@example.jp\n\n"
    )
    company.source(
        "crm",
        "in/a.csv",
        '[file]\n[ids]\nemail = { column = "mail", normalise = "email" }\n'
        '[[row]]\ntable = "customers"\n[row.columns]\n',
    )
    people = company.rows("customers")["person_key"]
    path = company.land().folders[0] / "staff.parquet"
    staff = company.engine.query(f"select person_key from '{path}'")["person_key"]
    assert people.isin(staff).tolist() == [True, True, False]


# Records, files, state


def test_every_record_is_accounted_for(company):
    company.write(
        "in/a.ndjson",
        '{"id": "1", "at": "2024-01-01T00:00:00Z", "name": "a"}\n{oops\n'
        '{"id": "1", "name": "bot"}\n{"id": "1", "name": "test"}\n{"id": "1", "name": "other"}\n',
    )
    company.source(
        "web",
        "in/*.ndjson",
        """
[file]
[ids]
login = "id"
[[filter]]
name = "bots"
when = { column = "name", is = ["bot", "test"] }
[[filter]]
name = "tests"
when = { column = "name", is = ["test"] }
"""
        + EVENTS.replace("[row.c", 'when = { column = "name", is = ["a"] }\n[row.c')
        + EVENTS.replace("[row.c", 'when = { column = "at", present = true }\n[row.c'),
    )
    (ledger,) = company.land().ledgers
    assert (ledger.read, ledger.mapped, ledger.unreadable) == (5, 1, 1)
    assert ledger.filtered == {"bots": 2, "no_row": 1}
    assert ledger.rows == {"events": 2}
    assert ledger.problems == ("record 2",)
    assert company.rows("events")["row_rule"].tolist() == [1, 2]


def test_equal_records_have_equal_hashes_and_different_ones_do_not(company):
    company.write("in/a.csv", "at,name,id,rest\n,a,1,x\n,a,1,x\n,a,1,y\n,a,1,\n,a1,,\n")
    company.source("web", "in/a.csv", '[file]\ntime_zone = "UTC"\n[ids]\nlogin = "id"' + EVENTS)
    first, second, *others = company.rows("events")["record_hash"]
    assert first == second
    assert len({first, *others}) == 4


def test_files_are_landed_once(company):
    mapping = '[file]\ntime_zone = "UTC"\n[ids]\nlogin = "id"' + EVENTS
    one = company.write("in/1.csv", "at,name,id\n2024-01-01,a,1\n")
    company.source("web", "in/*.csv", mapping)
    before = company.land()
    assert (before.made, company.land().made) == (1, 0)
    assert company.land() == before.__class__(before.folders, before.ledgers, 0)

    company.write("in/2.csv", "at,name,id\n2024-01-02,a,1\n")
    after = company.land()
    assert after.made == 1 and before.folders[0] in after.folders
    assert after.fingerprint != before.fingerprint

    company.write("web.toml", 'system = "Said otherwise"\n' + mapping)
    assert company.land().made == 2
    assert len(list((company.project.state_folder / "landed").iterdir())) == 2
    other = land(company.project, company.engine, pseudonym=lambda id: f"md5({id})")
    assert other.made == 2
    assert one.read_text() == "at,name,id\n2024-01-01,a,1\n"


def test_a_lookup_joins_another_source_and_lands_anew_when_that_changes(company):
    company.write("in/events.csv", "at,name,id,offer\n2024-01-01,a,1,B\n2024-01-01,a,1,Z\n")
    company.write("in/offers.csv", "code,days,label\nA,1,first\nB,10,second\nB,99,again\n")
    company.source("offers", "in/offers.csv", "[file]")
    company.source(
        "web",
        "in/events.csv",
        """
[file]
time_zone = "UTC"
[ids]
login = "id"
[lookup.offers]
source = "offers"
key = "code"
on = "offer"
"""
        + EVENTS
        + """campaign = "offers.label"
valid_until_at = { column = "at", time = "iso", plus = { column = "offers.days", unit = "days" } }
""",
    )
    rows = company.rows("events", file=1)
    assert rows["campaign"].tolist() == ["second", None]
    assert rows["valid_until_at"].tolist() == [utc("2024-01-11"), None]
    assert company.land().ledgers[0].filtered == {"no_row": 3}
    company.write("in/offers.csv", "code,days,label\nB,5,changed\n")
    assert company.rows("events", file=1)["campaign"].tolist() == ["changed", None]


def test_faults_of_all_mappings_are_said_before_any_file_is_read(company):
    company.source("web", "in/none.csv", "[flie]")
    company.source("shop", "in/none.csv", '[file]\n[ids]\nmail = "m"' + EVENTS)
    company.source("till", "in/none.csv", "[file]")
    with pytest.raises(CjkitError) as caught:
        read_mappings(company.project)
    for expected in ("flie is not known", "ids names 'mail', no namespace", "till.toml has no ["):
        assert expected in str(caught.value)


def test_a_missing_file_names_its_pattern(company):
    company.source("web", "in/*.csv", '[file]\n[ids]\nlogin = "id"' + EVENTS)
    with pytest.raises(CjkitError, match=r"sources\.web\.files='in/\*\.csv' finds no file"):
        company.land()


def test_json_in_which_no_record_has_what_is_required_is_refused(company):
    company.write("in/a.ndjson", '{"id": 1, "att": "2024-01-01T00:00:00Z", "name": "a"}\n')
    company.source("web", "in/a.ndjson", '[file]\n[ids]\nlogin = "login"' + EVENTS)
    with pytest.raises(CjkitError, match=r"key 'at' is not in .*events\.occurred_at.*'att'"):
        company.land()


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), CjkitError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_is_cut_off_leaves_nothing_that_looks_whole(company, monkeypatch, raised, caught):
    company.write("in/1.csv", "at,name,id\n2024-01-01,a,1\n")
    company.source("web", "in/*.csv", '[file]\ntime_zone = "UTC"\n[ids]\nlogin = "id"' + EVENTS)
    before = company.land()
    company.write("in/2.csv", "at,name,id\n2024-01-02,a,1\n")

    def fail(*args, **options):
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(company.engine, "copy", fail)
        with pytest.raises(caught):
            company.land()
    root = company.project.state_folder / "landed"
    assert list(root.iterdir()) == list(before.folders)
    assert not [name for name in company.engine.tables() if name.startswith("landing")]
    assert company.land().made == 1


def test_what_a_killed_run_left_is_removed(company):
    company.write("in/1.csv", "at,name,id\n2024-01-01,a,1\n")
    company.source("web", "in/*.csv", '[file]\ntime_zone = "UTC"\n[ids]\nlogin = "id"' + EVENTS)
    (folder,) = company.land().folders
    left = folder.with_name(".partial-999999999-abc")
    left.mkdir()
    assert company.land().made == 0 and not left.exists()


def test_describe_looks_at_every_file_and_reads_none(company):
    company.write("in/1.csv", "at,name,id,rest\n2024-01-01,a,1,\n")
    company.write("in/2.csv", "at,nam,id\n2024-01-01,a,1\n")
    company.write("in/3.csv", "")
    company.source("web", "in/*.csv", '[file]\ntime_zone = "UTC"\n[ids]\nlogin = "id"' + EVENTS)
    good, wrong, empty = describe(company.project)
    assert (good.source, good.file, good.size, good.format) == ("web", "in/1.csv", 32, "csv")
    assert (good.unmapped, good.problems) == (("rest",), ())
    assert "column 'name' is not in" in wrong.problems[0] and "'nam'" in wrong.problems[0]
    assert "is empty" in empty.problems[0]
    assert not company.project.state_folder.exists()


def test_ids_stay_hidden_unless_the_project_says_plain(company):
    company.write("in/1.csv", "at,name,id\n2024-01-01,a,1\n")
    company.source("web", "in/*.csv", '[file]\ntime_zone = "UTC"\n[ids]\nlogin = "id"' + EVENTS)
    with pytest.raises(CjkitError, match="needs a pseudonym"):
        land(company.project, company.engine)


CELL = st.text(alphabet=string.digits[:3] + 'a,"\n-:Tあ', max_size=5)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(
        st.one_of(
            st.tuples(CELL, CELL, CELL).map(",".join),
            st.just("2024-01-01T00:00:00Z,a,1"),
            st.builds(json.dumps, st.dictionaries(st.sampled_from(["at", "name", "id"]), CELL)),
            CELL,
        ),
        max_size=8,
    ),
    kind=st.sampled_from(["csv", "ndjson"]),
)
def test_any_dirt_adds_up_or_is_refused_in_our_words(company, lines, kind):
    company.sources.clear()
    shutil.rmtree(company.folder / ".cjkit", ignore_errors=True)
    for old in (company.folder / "in").glob("*"):
        old.unlink()
    company.write(f"in/a.{kind}", "\n".join(["at,name,id", *lines] if kind == "csv" else lines))
    filters = '[[filter]]\nname = "odd"\nwhen = { column = "name", contains = "0" }\n'
    mapping = '[file]\ntime_zone = "UTC"\n[ids]\nlogin = "id"\n' + filters + EVENTS
    company.source("web", "in/*", mapping)
    try:
        landed = company.land()
    except CjkitError:
        return
    (ledger,) = landed.ledgers
    assert ledger.read == ledger.mapped + sum(ledger.filtered.values()) + ledger.unreadable
    assert len(company.rows("events")) == ledger.rows["events"] == ledger.mapped
