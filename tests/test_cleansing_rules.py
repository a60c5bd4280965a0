"""Each rule of the gate against an oracle that goes through the rows one by one."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from companies import CONSENT, FILE, HEAD, make_company
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cjkit import cleansing, labels, privacy
from cjkit.checks import CjkitError
from cjkit.cleansing import people, rows
from cjkit.cleansing.declared import declared_rules
from cjkit.cleansing.landing import open_landing
from cjkit.cleansing.rules import RULES
from cjkit.engine import DuckDB
from cjkit.project import read_project
from cjkit.sources import Landed, Ledger, read_mappings

SECOND = 1_000_000
NOON = 1_767_225_600 * SECOND  # 2026-01-01 00:00 UTC
STARTED = 1_427_814_000 * SECOND  # 2015-04-01 in Tokyo
OWN_RULES = """
[[quality.rule]]
name = "dear"
table = "events"
when = { column = "revenue", above = 50 }
outcome = "flag"
words = { en = "Dear", ja = "高い" }
[[quality.rule]]
name = "hidden_page"
table = "events"
when = [{ column = "page", starts_with = "/x" }, { not = { column = "event", is = ["cart"] } }]
outcome = "quarantine"
words = { en = "Hidden page", ja = "隠しページ" }
"""
MAPPING = """ids = {{ login = "login" }}
[[sources.{name}.mapping.row]]
table = "events"
[sources.{name}.mapping.row.columns]
occurred_at = {{ column = "at", time = "iso" }}
event = "event"
revenue = {{ column = "amount", numbers = true }}
page = "page"
"""
DUPLICATES = {"once": "set_aside", "same": "keep", "state": "latest"}
"""Three sources, and what each says of records that stand twice."""

EVENTS = {
    "source": st.sampled_from(list(DUPLICATES)),
    "file_no": st.integers(0, 1),
    "record": st.integers(0, 5),
    "key": st.sampled_from([None, None, "k1", "k2"]),
    "person": st.sampled_from(["login:ann", "login:ann", "login:bob", None]),
    "event": st.sampled_from(["view", "view", "cart", "return", None]),
    "at": st.one_of(
        st.integers(0, 12).map(lambda n: NOON + n * SECOND),
        st.sampled_from([0, 86_400 * SECOND, STARTED - 1, STARTED, 4 * NOON, None]),
    ),
    "day": st.sampled_from([False, False, True]),
    "page": st.sampled_from(["/a", "/x"]),
    "revenue": st.sampled_from([None, None, 5.0, -5.0, 60.0]),
    "currency": st.sampled_from([None, "JPY", "USD"]),
    "agent": st.sampled_from([None, "browser", "bot", "machine"]),
    "unreadable": st.sampled_from([None, None, "occurred_at", "revenue"]),
    "codes": st.sampled_from([None, None, None, "event"]),
}
GONE = st.tuples(
    st.sampled_from(list(DUPLICATES)),
    st.sampled_from(["login:ann", "login:bob"]),
    st.sampled_from([NOON + 4 * SECOND, NOON + 8 * SECOND, None]),
)


def write_project(folder, more=""):
    declared = "".join(
        f'[sources.{name}]\nfiles = ["*"]\nduplicates = "{kind}"\n[sources.{name}.mapping]\n'
        f'system = "{name}"\n{FILE}{MAPPING.format(name=name)}'
        for name, kind in DUPLICATES.items()
    )
    path = folder / "journey.toml"
    path.write_text(HEAD + CONSENT + OWN_RULES + more + declared, encoding="utf-8")
    return read_project(path)


def land(engine, folder, events, gone):
    """Write rows as landed files, and return what `sources.land` would, and the rows in order."""
    events = [dict(zip(EVENTS, row, strict=True)) for row in events]
    folders, ledgers, ordered = [], [], []
    for source in DUPLICATES:
        for file_no in range(2):
            own = [r for r in events if (r["source"], r["file_no"]) == (source, file_no)]
            marks = [mark for mark in gone if mark[0] == source] if file_no == 0 else []
            place = folder / f"{source}{file_no}"
            place.mkdir()
            ordered += [{**row, "place": (source, file_no, n)} for n, row in enumerate(own)]
            times = [None if r["at"] is None else pd.Timestamp(r["at"], unit="us") for r in own]
            frame = pd.DataFrame(
                {
                    "occurred_at": pd.Series(times, dtype="datetime64[us]"),
                    "time_precision": ["day" if r["day"] else "second" for r in own],
                    "revenue": pd.Series([r["revenue"] for r in own], dtype="float64"),
                    **{
                        name: pd.Series([r[given] for r in own], dtype="str")
                        for name, given in {
                            "event": "event", "page": "page", "currency": "currency",
                            "user_agent_class": "agent", "person_key": "person",
                            "unique_key": "key", "unreadable": "unreadable",
                            "unknown_codes": "codes",
                        }.items()
                    },
                    "record_hash": [f"r{r['record']}" for r in own],
                }
            )  # fmt: skip
            taken = pd.DataFrame(
                {
                    "retracted_at": pd.Series(
                        [None if m[2] is None else pd.Timestamp(m[2], unit="us") for m in marks],
                        dtype="datetime64[us]",
                    ),
                    "person_key": pd.Series([m[1] for m in marks], dtype="str"),
                    "record_hash": [f"t{n}" for n in range(len(marks))],
                }
            )
            made = {}
            for table, held in (("events", frame), ("tombstones", taken)):
                engine.add("given", held.assign(record_no=range(1, len(held) + 1)))
                engine.copy(
                    f"""select *, '{source}' as source, '{source}{file_no}' as file, 1 as row_rule
                    from given order by record_no""",
                    place / f"{table}.parquet",
                )
                made[table] = len(held)
            total = sum(made.values())
            folders.append(place)
            ledgers.append(Ledger(source, f"{source}{file_no}", total, total, {}, 0, made))
    return Landed(tuple(folders), tuple(ledgers), 0), ordered


def expected_rules(events, gone):
    """Say which rules each event fails: slow, and one thought after another."""
    failed = []
    for row in events:
        at, unreadable = row["at"], row["unreadable"] or ""
        found = set()
        if "occurred_at" in unreadable:
            found.add("unreadable_value")
        if unreadable:
            found.add("unreadable_detail")
        if (at is None and "occurred_at" not in unreadable) or (
            row["event"] is None and row["codes"] is None
        ):
            found.add("missing_value")
        if row["person"] is None:
            found.add("missing_customer")
        if row["codes"]:
            found.add("unknown_code")
        if at is not None:
            found |= {"time_1970"} if -86_400 <= at / SECOND <= 2 * 86_400 else set()
            found |= {"before_company"} if at < STARTED else set()
            found |= {"in_future"} if at > 2 * NOON else set()
        if row["currency"] == "USD":
            found.add("wrong_currency")
        # Where it is not said what happened, nobody can say that it was no return.
        if (row["revenue"] or 0) < 0 and row["event"] not in ("return", None):
            found.add("negative_amount")
        if row["agent"] == "bot":
            found.add("bot")
        if row["agent"] == "machine":
            found.add("machine_open")
        if (row["revenue"] or 0) > 50:
            found.add("dear")
        if row["page"].startswith("/x") and row["event"] != "cart":
            found.add("hidden_page")
        tombstones = [mark for mark in gone if mark[0] == row["source"]]
        for number, (_, person, until) in enumerate(tombstones):
            _, file_no, row_no = row["place"]
            stands_before = (file_no, row_no) < (0, number)  # they are in the first file
            is_told_before = stands_before if until is None else at is not None and at <= until
            if person == row["person"] and (at is None or is_told_before):
                found.add("retracted")
        failed.append(found)

    flags = {rule.name for rule in RULES if rule.outcome == "flagged"} | {"dear"}
    is_clean = lambda n: failed[n] <= flags  # noqa: E731
    seen = set()
    for n, row in enumerate(events):  # exact repeats: of a key in the same file only
        if row["source"] == "same":
            continue
        record = (row["source"], row["record"])
        here = (*record, row["file_no"])
        if here in seen or (row["key"] is None and record in seen):
            failed[n].add("duplicate_row")
        seen |= {record, here}
    last = {}
    for n, row in enumerate(events):
        if is_clean(n) and row["source"] == "state" and row["key"]:
            if row["key"] in last:
                failed[last[row["key"]]].add("superseded")
            last[row["key"]] = n
    alike = {}
    for n, row in enumerate(events):
        if is_clean(n) and not row["day"]:
            what = (row["event"], row["page"], row["revenue"], row["person"])
            same = (row["source"], row["key"]) if row["key"] else (row["source"], *what)
            alike.setdefault(same, []).append((row["at"], n))
    replayed = [
        n
        for same in alike.values()
        for (before, _), (at, n) in zip(sorted(same), sorted(same)[1:], strict=False)
        if at - before <= 5 * SECOND and (at > before or events[n]["key"] is None)
    ]
    for n in replayed:
        failed[n].add("replayed")
    files = {}
    for n, row in enumerate(events):
        if is_clean(n) and row["key"]:
            known = files.setdefault((row["source"], row["key"]), [])
            if row["file_no"] in known:
                failed[n].add("duplicate_key")
            elif known:
                failed[n].add("repeated_export")
            known.append(row["file_no"])
    return failed


def found_rules(landing, events):
    """Return the rules that the gate says each event fails, in the order of `events`."""
    facts = landing.engine.query('select failed from "facts events" order by row_id')["failed"]
    assert len(facts) == len(events)
    return [{rule.name for rule in landing.rules if bits & rule.bit} for bits in facts]


@pytest.mark.parametrize("count", [25, pytest.param(300, marks=pytest.mark.long)])
def test_the_rules_about_rows_and_repeats_agree_with_going_through_them(tmp_path_factory, count):
    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        events=st.lists(st.tuples(*EVENTS.values()), max_size=14),
        gone=st.lists(GONE, max_size=2),
    )
    def check(events, gone):
        folder = tmp_path_factory.mktemp("rows")
        engine = DuckDB(threads=1)
        landed, ordered = land(engine, folder, events, gone)
        landing = open_landing(engine, write_project(folder), landed)
        rows.find_row_faults(landing, "events")
        rows.retract(landing, "events")
        rows.find_repeated_rows(landing, "events")
        assert found_rules(landing, ordered) == expected_rules(ordered, gone)
        engine.close()

    check()


# --- rules that take a whole company

WEB = "at, login, cookie, mail, event, ref, amount, page, device, touchpoint, agent, currency"
HITS = "id, at, login, event, channel, direction, ref"
SHOP = "order_id, at, login, amount, kind"
CRM = "login, mail, joined, region, kind"
LAST = "2026-02-01 00:00:00, last, , , view, , , , , , ,"


@pytest.fixture
def opened(tmp_path):
    def open_company(files, **options):
        return cleansing.open(make_company(tmp_path, files, **options), as_of="2026-02-01")

    yield open_company
    labels.set_names({})
    labels.set_languages(("en",))
    privacy.set_min_cell(5)


def web(*lines):
    return "\n".join([WEB, *(line + "," * (11 - line.count(",")) for line in lines), LAST])


def outcomes(log):
    """Return what became of each row that is not clean: {(file, record): rule}."""
    found = log.engine.query(f"from read_parquet('{log.prepared.folder}/quarantine.parquet')")
    return {
        (row.file.removeprefix("in/").removesuffix(".csv"), row.record_no): row.rule
        for row in found.itertuples()
    }


def change(log, old, new):
    """Write the project file anew, and return its path."""
    path = log.project.path
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return path


def test_a_rule_of_the_project_sets_aside_or_flags_and_says_so_in_its_words(opened):
    lines = [
        "2026-01-01 10:00:00, ann, , , view, , 60, /a",
        "2026-01-01 11:00:00, ann, , , view, , 50, /x1",
        "2026-01-01 12:00:00, ann, , , cart, , 60, /x1",
    ]
    log = opened({"web.csv": web(*lines)}, more=OWN_RULES)
    assert outcomes(log) == {("web", 2): "hidden_page"}
    flagged = log.engine.query("select record_no from events where flags = 'dear' order by 1")
    assert flagged["record_no"].tolist() == [1, 3]
    found = log.quality.quarantine.table.set_index("check")
    assert found.loc["hidden_page", ["dimension", "outcome", "rows"]].tolist() == [
        "validity", "quarantined", 1
    ]  # fmt: skip
    assert found.loc["dear", ["outcome", "rows", "share"]].tolist() == ["flagged", 2, 2 / 4]
    assert labels.display_name("hidden_page", "rule", "ja") == "隠しページ"
    assert labels.display_name("hidden_page", "reason", "en") == "Hidden page"
    examples = log.list_examples("dear").table
    assert examples[["record_no", "columns"]].values.tolist() == [[1, "revenue"], [3, "revenue"]]


def test_a_rule_of_the_project_reads_days_claims_and_numbers_as_they_are_written(opened):
    rules = "".join(
        f'[[quality.rule]]\nname = "own_{number}"\ntable = "{table}"\nwhen = {when}\n'
        'outcome = "quarantine"\nwords = { en = "Own", ja = "独自" }\n'
        for number, (table, when) in enumerate(
            [
                ("events", '{ column = "occurred_at", starts_with = "2026-01-02 00:30" }'),
                ("events", '{ column = "revenue", is = [7] }'),
                ("orders", '{ column = "is_return", is = [true] }'),
                ("events", '{ column = "source", is_not = ["web"] }'),
                ("customers", '{ column = "region", present = false }'),
            ]
        )
    )
    log = opened(
        {
            "web.csv": web(
                "2026-01-02 00:30:59, ann, , , view", "2026-01-03 10:00:00, ann, , , view, , 7.0"
            ),
            "hits.csv": f"{HITS}\n1,2026-01-01 10:00:00,ann,view,,,",
            "shop.csv": f"{SHOP}\no1, 2026-01-01 10:00:00, ann, 5, return",
            "crm.csv": f"{CRM}\nann, , , , \nbob, , , west, ",
        },
        more=rules,
    )
    assert outcomes(log) == {
        ("web", 1): "own_0", ("web", 2): "own_1", ("shop", 1): "own_2", ("hits", 1): "own_3",
        ("crm", 1): "own_4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (('name = "dear"', 'name = "bot"'), "'bot': the name is a rule of cjkit"),
        (('name = "hidden_page"', 'name = "dear"'), "'dear': the name stands twice"),
        (('column = "page"', 'column = "pgae"'), "no source fills 'pgae'.*Did you mean 'page'"),
        (('column = "page", starts_with = "/x"', 'column = "page", above = 1'), "is no number"),
        (('table = "events"', 'table = "event"'), "='event' is no table.*Did you mean 'events'"),
        (('outcome = "flag"', 'outcome = "flagg"'), "Did you mean 'flag'"),
        (('words = { en = "Dear", ja = "高い" }', 'words = { en = "Dear" }'), "words lack ja"),
        (("above = 50", "abov = 50"), "abov is not known. Did you mean 'above'"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_is_allowed(tmp_path, changed, message):
    path = make_company(tmp_path, {"web.csv": web()}, more=OWN_RULES.replace(*changed))
    with pytest.raises(CjkitError, match=message):
        project = read_project(path)
        declared_rules(project, read_mappings(project))


def test_more_rules_than_a_row_can_carry_are_refused(tmp_path):
    one = OWN_RULES.split("[[quality.rule]]")[1]
    many = "".join(f"[[quality.rule]]{one.replace('dear', f'dear_{n}')}" for n in range(30))
    project = read_project(make_company(tmp_path, {"web.csv": web()}, more=many))
    with pytest.raises(CjkitError, match="30 rules that flag are too many: at most"):
        declared_rules(project, read_mappings(project))


def test_of_records_that_change_the_latest_counts(tmp_path):
    files = {
        "shop_1.csv": f"{SHOP}\no1, 2026-01-01 10:00, ann, 5, \no2, 2026-01-01 10:00, ann, 7, ",
        "shop_2.csv": f"{SHOP}\no1, 2026-01-01 10:00, ann, 9, \no1, 2026-01-01 10:00, ann, x, ",
        "web.csv": web(),
    }
    path = make_company(tmp_path, files)
    declared = path.read_text().replace('in/shop*.csv"]', 'in/shop*.csv"]\nduplicates = "latest"')
    keyed = 'order_id = "order_id"\nline_no = { value = 1 }\n'
    path.write_text(declared.replace('order_id = "order_id"\n', keyed))
    log = cleansing.open(path, as_of="2026-02-01")
    assert outcomes(log) == {("shop_1", 1): "superseded", ("shop_2", 2): "unreadable_value"}
    sold = log.engine.query("select order_id, revenue from orders order by 1")
    assert sold.values.tolist() == [["o1", 9.0], ["o2", 7.0]]


def test_what_is_deleted_and_made_again_is_there(opened):
    log = opened(
        {
            "hits_1.csv": f"{HITS}\n1,2026-01-01 10:00:00,ann,view,,,",
            "hits_2.csv": f"{HITS}\n1,2026-01-03 10:00:00,ann,view,,,",
            "web.csv": web("2026-01-01 10:00:00, bob, , , view"),
        }
    )
    assert outcomes(log) == {("hits_2", 1): "repeated_export"}
    gone = """
[[sources.hits.mapping.row]]
table = "tombstones"
when = { column = "event", is = ["deleted"] }
[sources.hits.mapping.row.columns]
retracted_at = { column = "at", time = "iso" }
[[sources.hits.mapping.row]]
table = "events"
"""
    path = log.project.path
    path.write_text(
        path.read_text().replace('[[sources.hits.mapping.row]]\ntable = "events"\n', gone.lstrip())
    )
    (path.parent / "in" / "hits_3.csv").write_text(
        HITS.replace(", ", ",") + "\n,2026-01-02 10:00:00,ann,deleted,,,\n"
    )
    again = cleansing.open(path, as_of="2026-02-01")
    assert outcomes(again) == {("hits_1", 1): "retracted", ("hits_3", 1): "retracted"}
    kept = again.engine.query("select file from events where source = 'hits'")["file"]
    assert kept.tolist() == ["in/hits_2.csv"]


def test_a_customer_that_the_table_of_customers_does_not_know_is_set_aside(opened):
    files = {
        "crm.csv": f"{CRM}\nann, a@a.jp, , east, \nbob, , , west, ",
        "web.csv": web(
            "2026-01-01 10:00:00, ann, , , view",
            "2026-01-01 10:00:00, , , a@a.jp, view",
            "2026-01-01 10:00:00, cas, , , view",
        ),
        "hits.csv": f"{HITS}\n1,2026-01-01 10:00:00,cas,view,,,",
    }
    log = opened(files)
    assert outcomes(log) == {}
    path = change(log, "[sources.web]", '[sources.web]\ncustomers = "crm"')
    again = cleansing.open(path, as_of="2026-02-01")
    assert outcomes(again) == {("web", 3): "unknown_customer", ("web", 4): "unknown_customer"}
    path.write_text(path.read_text().replace('customers = "crm"', 'customers = "crn"'))
    with pytest.raises(CjkitError, match="Did you mean 'crm'"):
        read_project(path)


def test_what_refers_to_nothing_known_is_flagged_and_kept(opened):
    order = '[events.ship]\n[[quality.order]]\nfirst = "purchase"\nthen = "ship"\n'
    log = opened(
        {
            "shop.csv": f"{SHOP}\no1, 2026-01-01 10:00:00, ann, 5, \no2, x, ann, 5, ",
            "hits.csv": f"""{HITS}
                1, 2026-01-02 10:00:00, ann, ship, , , o1
                2, 2026-01-02 10:00:00, ann, ship, , , o2
                3, 2026-01-02 10:00:00, ann, ship, , , o9
                4, 2026-01-02 10:00:00, ann, call, , , o9
                5, 2026-01-02 10:00:00, ann, ship, , , """,
            "web.csv": web(),
        },
        more=order,
    )
    flagged = log.engine.query("select event_id from events where flags = 'orphan_reference'")
    assert flagged["event_id"].tolist() == ["hits:3"]
    assert log.list_examples("orphan_reference").table["record_no"].tolist() == [3]


def test_feedback_about_unknown_orders_is_flagged_where_its_source_knows_any(tmp_path):
    project = read_project(make_company(tmp_path, {"web.csv": web()}))
    engine = DuckDB(threads=1)
    engine.materialize(
        "landed feedback",
        """select row_id, source, ref_id from (values (1, 'survey', 'o1'), (2, 'survey', 'o9'),
            (3, 'survey', null), (4, 'tickets', 't1')) as rows(row_id, source, ref_id)""",
    )
    engine.materialize("landed events", "select 'o7' as ref_id, 'view' as event")
    engine.materialize("landed orders", "select 'o1' as order_id")
    engine.materialize(
        "facts feedback", 'select row_id, 0::bigint as failed from "landed feedback"'
    )
    people.flag_orphans(SimpleNamespace(engine=engine, project=project))
    facts = engine.query('select row_id from "facts feedback" where failed <> 0')
    assert facts["row_id"].tolist() == [2]


def test_who_has_not_agreed_is_withheld_whatever_else_is_wrong(opened):
    hit = "2026-01-01 10:00:00, ann, , , view"
    log = opened(
        {
            "web.csv": web(hit, hit, "2026-01-01 10:00:00, ann, , , blick", "x, bob, , , view"),
            "consent.csv": "login, cookie, purpose, answer, at\nann, , analytics, no, 2026-01-04",
        }
    )
    assert outcomes(log) == {("web", 4): "unreadable_value"}
    ledger = log.quality.rows.table.set_index(["table", "source"])
    assert ledger.loc[("events", "web"), ["withheld", "quarantined"]].tolist() == [3, 1]


def test_clocks_are_set_right_by_file_and_backwards_as_the_project_says(opened):
    log = opened(
        {
            "web_1.csv": web("2026-01-01 10:00:00, ann, , , view"),
            "web_2.csv": f"{WEB}\n2026-01-01 10:00:00, bob, , , view,,,,,,,",
        }
    )
    path = change(log, "[sources.web]", '[sources.web]\nshift = { "in/web_2*" = "-90m" }')
    again = cleansing.open(path, as_of="2026-02-01")
    found = again.engine.query("select customer_id, occurred_at from events order by customer_id")
    hours = pd.to_datetime(found["occurred_at"]).dt.strftime("%H:%M").tolist()
    assert hours == ["01:00", "23:30"]
    path.write_text(path.read_text().replace("-90m", "90"))
    with pytest.raises(CjkitError, match="has no unit"):
        read_project(path)


def test_the_project_may_say_what_is_absurd(opened):
    sales = "o1, 2026-01-01 10:00:00, ann, 900, \no2, 2026-01-01 10:00:00, ann, 901, "
    log = opened(
        {"shop.csv": f"{SHOP}\n{sales}", "web.csv": web()},
        more="[quality]\nabsurd_amount = 900\n",
    )
    assert outcomes(log) == {("shop", 2): "absurd_amount"}
