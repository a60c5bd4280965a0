import datetime
import json
import os
import threading

import numpy as np
import pandas as pd
import pytest
from companies import make_company
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cjkit import cleansing, labels, privacy
from cjkit.checks import CjkitError
from cjkit.cleansing import sequence
from cjkit.cleansing.rules import OUTCOMES, RULES, SETS_ASIDE, outcome_sql, rule_sql
from cjkit.cleansing.sequence import sequence_in_order_sql
from cjkit.engine import DuckDB
from cjkit.events import CONTRACT, ORDER, sequence_sql

WEB = "at, login, cookie, mail, event, ref, amount, page, device, touchpoint, agent, currency"
HITS = "id, at, login, event, channel, direction, ref"
SHOP = "order_id, at, login, amount, kind"
CRM = "login, mail, joined, region, kind"
CONSENT = "login, cookie, purpose, answer, at"
LAST = "2026-02-01 00:00:00, last, , , view, , , , , , ,"


def web(*lines):
    """Give web events as a file, with one at the end that makes the day before complete."""
    filled = [line + "," * (11 - line.count(",")) for line in lines]
    return "\n".join([WEB, *filled, LAST])


@pytest.fixture
def opened(tmp_path):
    def open_company(files, **options):
        return cleansing.open(make_company(tmp_path, files, **options))

    yield open_company
    labels.set_names({})
    labels.set_languages(("en",))
    privacy.set_min_cell(5)


def rows(log, sql):
    return log.engine.query(sql).to_dict("records")


def outcomes(log):
    """Return what became of each row that is not clean: {(file, record): rule}."""
    path = log.prepared.folder / "quarantine.parquet"
    found = log.engine.query(f"from read_parquet('{path}')")
    return {
        (row.file.removeprefix("in/").removesuffix(".csv"), row.record_no): row.rule
        for row in found.itertuples()
    }


def failures(log):
    return log.quality.quarantine.table.set_index("check")["rows"].to_dict()


# --- rules about rows


def test_an_exact_duplicate_is_set_aside_and_the_first_stays(opened):
    hit = "2026-01-01 10:00:00, ann, , , view"
    log = opened({"web.csv": web(hit, "2026-01-01 10:05:00, ann, , , view", hit)})
    assert outcomes(log) == {("web", 3): "duplicate_row"}
    assert log.events.count() == 2


def test_a_record_in_two_files_counts_once(opened):
    hit = "2026-01-01 10:00:00, ann, , , view"
    log = opened({"web_1.csv": web(hit), "web_2.csv": f"{WEB}\n{hit},,,,,,,"})
    assert outcomes(log) == {("web_2", 1): "duplicate_row"}


def test_sources_may_say_that_equal_records_are_different_things(opened, tmp_path):
    files = {"shop.csv": f"{SHOP}\n,2026-01-01 10:00:00, ann, 5, \n,2026-01-01 10:00:00, ann, 5, "}
    path = make_company(tmp_path, files)
    path.write_text(
        path.read_text().replace('in/shop*.csv"]', 'in/shop*.csv"]\nduplicates = "keep"')
    )
    log = cleansing.open(path, as_of="2026-02-01")
    assert log.orders.count() == 2
    assert len(log.orders.values("order_id")) == 2


def test_the_same_key_again_is_a_fault_in_one_file_and_a_repeat_in_two(opened):
    log = opened(
        {
            "hits_1.csv": f"{HITS}\n1,2026-01-01 10:00:00,ann,a,,,\n1,2026-01-01 11:00:00,ann,b,,,",
            "hits_2.csv": f"{HITS}\n1,2026-01-01 12:00:00,ann,a,,,\n2,2026-01-02 12:00:00,ann,a,,,",
        }
    )
    assert outcomes(log) == {("hits_1", 2): "duplicate_key", ("hits_2", 1): "repeated_export"}
    assert log.events.values("event_id") == {"hits:1"}
    ledger = log.quality.rows.table.set_index(["table", "source"]).loc[("events", "hits")]
    assert ledger[["made", "clean", "quarantined", "merged", "later"]].tolist() == [4, 2, 1, 1, 1]


def test_a_replay_within_seconds_is_set_aside(opened):
    log = opened(
        {
            "web.csv": web(
                "2026-01-01 10:00:00, ann, , , view, , , /a",
                "2026-01-01 10:00:05, ann, , , view, , , /a",
                "2026-01-01 10:00:02.500, ann, , , view, , , /b",
                "2026-01-01 10:00:02.500, bob, , , view, , , /a",
                "2026-01-01 10:00:10.500, ann, , , view, , , /a",
                "2026-01-03, ann, , , view, , , /day",
                "2026-01-03, ann, , , view, , , /day, tablet",
            )
        }
    )
    assert outcomes(log) == {("web", 2): "replayed"}


@pytest.mark.parametrize(
    ("line", "rule", "column"),
    [
        ("yesterday, ann, , , view", "unreadable_value", "occurred_at"),
        (", ann, , , view", "missing_value", "occurred_at"),
        ("2026-01-01 10:00:00, , , , view", "missing_customer", "customer_id"),
        ("2026-01-01 10:00:00, ann, , , blick", "unknown_code", "event"),
        ("1970-01-01 09:00:00, ann, , , view", "time_1970", "occurred_at"),
        ("2015-03-31 23:59:59, ann, , , view", "before_company", "occurred_at"),
        ("2199-01-01 00:00:00, ann, , , view", "in_future", "occurred_at"),
        ("2026-01-01 10:00:00, ann, , , view, , -5", "negative_amount", "revenue"),
        ("2026-01-01 10:00:00, ann, , , view, , 5, , , , , USD", "wrong_currency", "currency"),
        ("2026-01-01 10:00:00, ann, , , view, , , , , , crawler", "bot", "user_agent_class"),
    ],
)
def test_a_faulty_row_is_set_aside_with_its_rule_and_column(opened, line, rule, column):
    log = opened({"web.csv": web("2026-01-01 09:00:00, bob, , , view", line)})
    assert outcomes(log) == {("web", 2): rule}
    example = log.list_examples(rule).table.iloc[0]
    assert example[["check", "source", "record_no", "columns"]].tolist() == [rule, "web", 2, column]
    assert log.events.count() == 1


def test_the_day_a_company_starts_is_possible(opened):
    log = opened({"web.csv": web("2015-04-01 00:00:00, ann, , , view")})
    assert outcomes(log) == {}


def test_a_column_that_may_be_empty_costs_no_row(opened):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view, , many")})
    assert failures(log) == {"unreadable_detail": 1}
    assert rows(log, "select revenue is null as is_missing from events") == [{"is_missing": True}]


def test_an_amount_beyond_all_others_is_set_aside(opened):
    sales = [f"o{n}, 2026-01-01 10:00:00, c{n}, {100 + n}, " for n in range(100)]
    sales += [
        "big, 2026-01-01 10:00:00, ann, 900000, ",
        "huge, 2026-01-01 10:00:00, ann, 9000000, ",
    ]
    log = opened({"shop.csv": "\n".join([SHOP, *sales]), "web.csv": web()})
    assert outcomes(log) == {("shop", 102): "absurd_amount"}


def test_an_impossible_date_of_a_customer_is_left_out_and_the_customer_kept(opened):
    crm = f"{CRM}\nann, , 1970-01-01, east, \nbob, , 2020-05-05, west, "
    log = opened({"crm.csv": crm, "web.csv": web()})
    assert failures(log) == {"impossible_date": 1}
    found = rows(
        log,
        "select signed_up_at is null as is_missing from customers where has_profile "
        "order by customer_id",
    )
    assert [row["is_missing"] for row in found] == [True, False]


def test_scores_beyond_their_range_and_unknown_metrics_are_set_aside(opened):
    survey = """login, at, metric, score
        ann, 2026-01-01 10:00:00, nps, 10
        ann, 2026-01-01 10:00:00, nps, 11
        ann, 2026-01-01 10:00:00, nps, -1
        ann, 2026-01-01 10:00:00, joy, 5"""
    log = opened({"survey.csv": survey, "web.csv": web()})
    assert outcomes(log) == dict.fromkeys([("survey", n) for n in (2, 3, 4)], "score_out_of_range")


def test_a_note_of_an_unknown_kind_is_set_aside(opened):
    notes = "kind, text\nneed, Faster delivery\njoke, Ha"
    log = opened({"interviews.csv": notes, "web.csv": web()})
    assert outcomes(log) == {("interviews", 2): "unknown_kind"}
    assert rows(log, "select kind from notes") == [{"kind": "need"}]


# --- rules about people


def test_a_visit_before_the_login_belongs_to_the_person(opened):
    log = opened(
        {
            "web.csv": web(
                "2026-01-01 10:00:00, , c1, , view",
                "2026-01-01 11:00:00, ann, c1, ann@a.jp, view",
                "2026-01-02 11:00:00, , , ann@a.jp, view",
            )
        }
    )
    assert log.events.values("customer_id") == {"login:ann"}
    identity = log.quality.identity
    assert identity.merged_customers == 1
    assert identity.table.set_index("namespace").loc["cookie", "attached"] == 1


def test_the_rows_of_who_denies_are_withheld_under_every_id(opened):
    log = opened(
        {
            "web.csv": web(
                "2026-01-01 10:00:00, , c1, , view",
                "2026-01-01 11:00:00, ann, c1, , view",
                "2026-01-01 11:00:00, bob, , , view",
            ),
            "shop.csv": f"{SHOP}\no1, 2026-01-02 10:00:00, ann, 5, ",
            "consent.csv": f"""{CONSENT}
                ann, , analytics, yes, 2026-01-05 10:00:00
                , c1, analytics, no, 2026-01-04 10:00:00
                bob, , marketing, no, 2026-01-04 10:00:00""",
        }
    )
    assert log.events.values("customer_id") == {"login:bob"}
    assert log.orders.count() == 0
    assert log.customers.values("customer_id") == {"login:bob"}
    withheld = log.quality.withheld.table
    assert withheld.groupby("table")["rows"].sum().to_dict() == {
        "events": 2,
        "orders": 1,
        "consents": 2,
    }
    assert outcomes(log) == {}
    assert log.quality.changes.table["customers"].tolist() == [1.0, 1.0]


def test_where_consent_is_needed_silence_withholds(opened):
    log = opened(
        {
            "web.csv": web(
                "2026-01-01 10:00:00, ann, , , view", "2026-01-01 10:00:00, bob, , , view"
            ),
            "consent.csv": f"{CONSENT}\nann, , analytics, yes, 2026-01-05 10:00:00",
        },
        head='[consent]\nmissing = "withhold"\n',
    )
    ledger = log.quality.rows.table.set_index("source").loc["web"]
    assert ledger[["clean", "withheld"]].tolist() == [1, 2]


def test_employees_and_test_accounts_are_set_aside_with_all_their_rows(opened):
    log = opened(
        {
            "crm.csv": f"{CRM}\nann, , , east, staff\nbob, , , west, test\ncas, , , west, ",
            "web.csv": web(
                *(f"2026-01-01 10:00:00, {who}, , , view" for who in ("ann", "bob", "cas"))
            ),
            "shop.csv": f"{SHOP}\no1, 2026-01-02 10:00:00, ann, 5, ",
        }
    )
    assert outcomes(log) == {
        ("crm", 1): "staff", ("web", 1): "staff", ("shop", 1): "staff",
        ("crm", 2): "test_account", ("web", 2): "test_account",
    }  # fmt: skip
    assert log.customers.values("customer_id") == {"login:cas"}


def test_who_acts_faster_than_a_person_is_a_bot(opened):
    fast = [
        f"2026-01-01 10:{minute:02}:{second:02}, , c1, , view, , , /{second}"
        for minute in range(3)
        for second in range(31)
    ]
    busy = [line.replace("c1", "c2") for line in fast if ":02:" not in line][:60]
    log = opened({"web.csv": web(*fast, *busy)})
    assert failures(log)["bot_rate"] == 93
    assert log.events.values("customer_id") == {"cookie:c2"}


def test_who_acts_as_steadily_as_a_clock_is_a_bot(opened):
    steady = [
        f"2026-01-01 10:{10 * n // 60:02}:{10 * n % 60:02}, , c1, , view, , , /{n}"
        for n in range(65)
    ]
    uneven = []
    for n in range(65):
        at = 10 * n + n * n % 7
        uneven.append(f"2026-01-01 10:{at // 60:02}:{at % 60:02}, , c2, , view, , , /{n}")
    short = [line.replace("c1", "c3") for line in steady[:60]]
    log = opened({"web.csv": web(*steady, *uneven, *short)})
    assert failures(log)["bot_rate"] == 65
    assert log.events.values("customer_id") == {"cookie:c2", "cookie:c3"}


OPENS = '[events.open]\n[events.click]\n[quality]\nopens = ["open", "click"]\n'


def mails(*lines):
    """Give events of mails as a file, from lines such as '10:00:04 ann open spring'."""
    rows = []
    for number, (at, login, event, mail) in enumerate(map(str.split, lines)):
        way = "outbound" if event == "sent" else "inbound"
        rows.append(f"{number}, 2026-01-01 {at}, {login}, {event}, email, {way}, {mail}")
    return "\n".join([HITS, *rows, "x, 2026-02-01 00:00:00, last, sent, email, outbound, m"])


def test_an_opening_within_seconds_of_the_sending_is_a_machines(opened):
    lines = [
        "10:00:00 ann sent spring",
        "10:00:04.9 ann open spring",
        "10:00:04.9 ann open summer",  # that mail was sent at another time
        "10:00:05 ann click spring",
        "10:00:01 ann bounce spring",
        "10:00:02 bob open spring",
        "11:00:00 ann sent spring",
        "11:00:01 ann open spring",
    ]
    log = opened({"hits.csv": mails(*lines)}, more=OPENS)
    assert outcomes(log) == {("hits", 2): "machine_open", ("hits", 8): "machine_open"}


def test_openings_of_many_messages_in_one_second_are_a_machines(opened):
    lines = [
        *(f"10:00:00.{n} ann open {mail}" for n, mail in enumerate(("a", "b", "c"))),
        *(f"10:00:00.{n} bob open {mail}" for n, mail in enumerate(("a", "b", "b"))),
        *(f"10:00:0{n} cas open {mail}" for n, mail in enumerate(("a", "b", "c"))),
        *(f"10:00:00 dee view {mail}" for mail in ("a", "b", "c")),
    ]
    log = opened({"hits.csv": mails(*lines)}, more=OPENS)
    assert outcomes(log) == {("hits", n): "machine_open" for n in (1, 2, 3)}


def test_openings_after_the_same_delay_each_time_are_a_machines(opened):
    lines = []
    for n in range(5):
        for who, seconds in (("ann", 33), ("bob", 33 + n), ("cas", 33)):
            if who != "cas" or n < 4:
                lines += [f"1{n}:00:00 {who} sent m{n}", f"1{n}:00:{seconds}.{n} {who} open m{n}"]
    log = opened({"hits.csv": mails(*lines)}, more=OPENS)
    assert len(outcomes(log)) == 5 and set(outcomes(log).values()) == {"machine_open"}
    found = rows(log, "select customer_id from events where event = 'open' group by all order by 1")
    assert [row["customer_id"] for row in found] == ["login:bob", "login:cas"]


def test_what_a_source_retracts_goes_and_what_came_later_stays(opened):
    log = opened(
        {
            "web.csv": web("2026-01-01 10:00:00, ann, , , view"),
            "hits.csv": f"{HITS}\n1,2026-01-01 10:00:00,ann,view,,,",
            "deleted.csv": "login, at\nann, 2026-01-01 12:00:00",
        }
    )
    assert log.quality.rows.table["retracted"].sum() == 0
    path = log.project.path
    declared = (
        path.read_text()
        + """
[[sources.web.mapping.row]]
table = "tombstones"
when = { column = "event", is = ["purchase"] }
[sources.web.mapping.row.columns]
retracted_at = { column = "at", time = "iso" }
"""
    )
    path.write_text(declared.replace('table = "events"\n', 'table = "events"\n', 1))
    (path.parent / "in" / "web.csv").write_text(
        web(
            "2026-01-01 10:00:00,ann,,,view",
            "2026-01-01 12:00:00,ann,,,purchase",
            "2026-01-01 13:00:00,ann,,,view",
        ).replace(", ", ",")
    )
    again = cleansing.open(path)
    ledger = again.quality.rows.table.set_index(["table", "source"])
    assert ledger.loc[("events", "web"), "retracted"] == 2
    assert rows(again, "select count(*) as n from events where source = 'web'") == [{"n": 1}]


def test_a_merge_joins_two_ids_of_one_kind_and_a_chain_of_them(opened):
    log = opened(
        {
            "web.csv": web(
                "2026-01-01 10:00:00, ann, , , view",
                "2026-01-01 11:00:00, anna, , , view",
                "2026-01-01 12:00:00, anne, , , view",
                "2026-01-01 13:00:00, bob, , , view",
            ),
            "merges.csv": "old, new, region\nann, anna, east\nanna, anne, west\ncat, cat, south",
        }
    )
    people = rows(log, "select customer_id, region, count(*) as n from customers group by all")
    merged = {row["n"] for row in people if row["region"] == "west"}
    assert len(people) == 3 and merged == {1}  # the three are one, beside bob and cat
    of_merged = "select customer_id from customers where region = 'west'"
    found = rows(log, f"select count(*) as n from events where customer_id in ({of_merged})")
    assert found == [{"n": 3}]
    links = log.explain(rows(log, of_merged)[0]["customer_id"]).table
    assert len(links) == 2


def test_a_customer_has_the_latest_that_is_known(opened):
    log = opened(
        {
            "crm_1.csv": f"{CRM}\nann, a@a.jp, 2020-01-01, east, \nann, , , west, ",
            "crm_2.csv": f"{CRM}\n, a@a.jp, 2021-01-01, , ",
            "web.csv": web("2026-01-01 10:00:00, bob, , , view"),
        }
    )
    found = rows(log, "select customer_id, region, has_profile from customers order by 1")
    assert found == [
        {"customer_id": "login:ann", "region": "west", "has_profile": True},
        {"customer_id": "login:bob", "region": None, "has_profile": False},
    ] or [row["region"] for row in found] == ["west", np.nan]
    signed_up = rows(log, "select min(signed_up_at) as first from customers")[0]["first"]
    assert signed_up == pd.Timestamp("2019-12-31 15:00")
    assert outcomes(log) == {("crm_1", 1): "same_person", ("crm_1", 2): "same_person"}


# --- one sale in several systems


def test_each_order_yields_one_purchase_and_its_returns_one_return(opened):
    log = opened(
        {
            "shop.csv": f"""{SHOP}
                o1, 2026-01-01 10:00:00, ann, 400, sale
                o1, 2026-01-01 10:00:00, ann, 600, sale
                o1, 2026-01-05 10:00:00, ann, -400, return
                o2, 2026-01-06 10:00:00, ann, -70, return
                o3, 2026-01-07 10:00:00, , 90, sale""",
            "web.csv": web(),
        }
    )
    found = rows(log, "select event_id, revenue from events order by 1")
    assert [(row["event_id"], row["revenue"]) for row in found] == [
        ("purchase:o1", 1000), ("return:o1", -400), ("return:o2", -70)
    ]  # fmt: skip
    assert log.orders.count() == 5
    assert failures(log) == {"return_line": 2, "guest": 1}
    lines = rows(log, "select line_no from orders where order_id = 'o1' order by line_no")
    assert [line["line_no"] for line in lines] == [1, 2, 3]


def test_a_report_of_a_sale_gives_its_place_and_is_merged(opened):
    log = opened(
        {
            "shop.csv": f"""{SHOP}
                o1, 2026-01-01 10:00:00, ann, 400, sale
                o2, 2026-01-02 10:00:00, ann, 500, sale
                o3, 2026-01-02 10:08:00, ann, 500, sale
                o4, 2026-01-03 10:00:00, ann, 700, sale""",
            "web.csv": web(
                "2026-01-01 12:00:00, bob, , , purchase, o1, 400, , tablet, checkout",
                "2026-01-02 10:07:00, ann, , , purchase, , 500, , mobile",
                "2026-01-02 10:19:00, ann, , , purchase, , 500, , desktop",
                "2026-01-03, ann, , , purchase, , 700, , phone",
                "2026-01-03 10:00:00, ann, , , purchase, , 701",
                "2026-01-03 10:00:00, cas, , , purchase, , 700",
            ),
        }
    )
    found = outcomes(log)
    assert [found.get(("web", n)) for n in range(1, 7)] == [
        "sale_report", "sale_report", "sale_without_order", "sale_report",
        "sale_without_order", "sale_without_order",
    ]  # fmt: skip
    bought = rows(log, "select ref_id, device, touchpoint from events where event = 'purchase'")
    device = {row["ref_id"]: row["device"] for row in bought}
    assert device["o1"] == "tablet"
    assert device["o3"] == "mobile"
    assert device["o4"] == "phone"
    assert pd.isna(device["o2"])
    assert {row["touchpoint"] for row in bought if row["ref_id"] == "o1"} == {"checkout"}


def test_without_orders_purchases_stand_as_they_are_reported(opened):
    log = opened({"web.csv": web("2026-01-01 12:00:00, bob, , , purchase, o1, 400")})
    assert rows(log, "select event, revenue from events") == [
        {"event": "purchase", "revenue": 400.0}
    ]
    changes = log.quality.changes.table.set_index("moment")
    assert changes.loc["after", ["orders", "revenue"]].tolist() == [1, 400]


def test_an_order_of_two_systems_counts_once(opened):
    log = opened(
        {
            "shop.csv": f"{SHOP}\no1, 2026-01-01 10:00, ann, 400, \no2, 2026-01-01 10:00, ann, 1, ",
            "till.csv": """order_id, at, login, amount
                o1, 2026-01-01 23:00:00, ann, 400
                o2, 2026-01-20 10:00:00, ann, 900
                o3, 2026-01-20 10:00:00, ann, 900""",
            "web.csv": web(),
        }
    )
    assert outcomes(log) == {("till", 1): "same_order", ("till", 2): "order_id_clash"}
    assert log.orders.values("order_id") == {"o1", "o2", "o3"}


# --- flags


def test_an_impossible_order_of_events_is_flagged_and_kept(opened):
    log = opened(
        {
            "hits.csv": f"""{HITS}
                1, 2026-01-01 10:00:00, ann, pay, , , o1
                2, 2026-01-01 09:00:00, ann, ship, , , o1
                3, 2026-01-01 09:00:00, ann, ship, , , o2
                4, 2026-01-03 09:00:00, ann, pay, , , o2
                5, 2026-01-04 09:00:00, ann, ship, , , o2
                6, 2026-02-01 09:00:00, ann, pay, , , """,
        },
        more='[events.pay]\n[events.ship]\n[[quality.order]]\nfirst = "pay"\nthen = "ship"\n',
    )
    flagged = rows(log, "select event_id, flags from events where flags is not null order by 1")
    assert flagged == [
        {"event_id": "hits:2", "flags": "impossible_order"},
        {"event_id": "hits:3", "flags": "impossible_order"},
    ]
    assert log.events.count() == 5


def test_mailings_after_an_opt_out_are_flagged_and_kept(opened):
    log = opened(
        {
            "hits.csv": f"""{HITS}
                1, 2026-01-01 10:00:00, ann, mail, email, outbound,
                2, 2026-01-03 10:00:00, ann, mail, email, outbound,
                3, 2026-01-03 10:00:00, ann, ship, delivery, outbound,
                4, 2026-01-05 10:00:00, ann, mail, email, outbound,
                5, 2026-01-03 10:00:00, bob, mail, email, outbound,
                6, 2026-02-01 09:00:00, ann, ship, , , """,
            "consent.csv": f"""{CONSENT}
                ann, , marketing, no, 2026-01-02 10:00:00
                ann, , marketing, yes, 2026-01-04 10:00:00""",
        }
    )
    flagged = rows(log, "select event_id from events where flags = 'after_opt_out'")
    assert flagged == [{"event_id": "hits:2"}]


def test_a_clock_that_is_wrong_by_hours_is_found_and_mended_only_when_told(opened, rng):
    def day(number, shift):
        hours = np.clip(rng.normal(12, 2, 300), 0, 23.99) + shift
        times = pd.Timestamp(f"2026-01-{number:02}") + pd.to_timedelta(hours, unit="h")
        lines = [
            f"{time:%Y-%m-%d %H:%M:%S}, c{place}, , , view" for place, time in enumerate(times)
        ]
        return "\n".join([WEB, *(line + "," * 7 for line in lines)])

    files = {f"web_{number}.csv": day(number, 0) for number in (1, 2, 3)}
    log = opened(files | {"web_4.csv": day(4, -9), "web_5.csv": web()})
    shifts = log.quality.clock_shifts.table
    assert shifts[["file", "shift_hours"]].values.tolist() == [["in/web_4.csv", 9]]
    assert rows(log, "select count(*) as n from events where flags = 'clock_shift'") == [{"n": 300}]

    path = log.project.path
    before = rows(log, "select min(occurred_us) as first from events")[0]["first"]
    path.write_text(path.read_text().replace("[sources.web]", '[sources.web]\nshift = "9h"'))
    again = cleansing.open(path, as_of="2026-03-01")
    assert (
        rows(again, "select min(occurred_us) as first from events")[0]["first"]
        == before + 9 * 3600 * 10**6
    )


# --- the prepared log


def test_the_log_has_every_table_and_column_of_the_contract(opened):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    for table, rule in CONTRACT.items():
        columns = log.engine.columns(table)
        twins = [name[:-3] + "_us" for name, kind in rule.columns.items() if kind == "time"]
        person = ["customer_id"] if rule.person != "none" else []
        provenance = [] if table == "customers" else ["source", "file", "record_no"]
        assert {*rule.columns, *twins, *person, *provenance} <= set(columns), table
    local = ["local_date", "local_hour", "local_weekday", "local_month", "session_no", "step_no"]
    assert {*local, "next_event", "next_touchpoint", "microseconds_to_next"} <= set(
        log.engine.columns("events")
    )


def test_what_a_row_leaves_open_the_project_says(opened):
    log = opened(
        {
            "web.csv": web(
                "2026-01-01 10:00:00, ann, , , view",
                "2026-01-01 10:01:00, ann, , , view, , , , , kiosk",
            )
        }
    )
    found = rows(
        log, "select touchpoint, stage, local_hour, local_weekday from events order by step_no"
    )
    assert found[0] == {
        "touchpoint": "site", "stage": "consideration", "local_hour": 10, "local_weekday": 4
    }  # fmt: skip
    assert found[1]["touchpoint"] == "kiosk"
    assert pd.isna(found[1]["stage"])


def test_no_row_at_or_after_as_of_is_in_the_log(opened):
    log = opened({"web.csv": web("2026-01-31 23:59:59, ann, , , view")})
    assert log.as_of == datetime.date(2026, 2, 1)
    assert (log.period.start, log.period.end) == (datetime.date(2026, 1, 1), log.as_of)
    assert log.events.values("customer_id") == {"login:ann"}
    ledger = log.quality.rows.table.set_index(["table", "source"]).loc[("events", "web")]
    assert ledger[["made", "clean", "later"]].tolist() == [2, 2, 1]

    path = log.project.path
    later = cleansing.open(path, as_of="2026-02-02")
    assert later.events.count() == 2
    with pytest.raises(CjkitError, match="no event, order or feedback"):
        (path.parent / "in" / "web.csv").write_text(WEB.replace(", ", ",") + "\n")
        cleansing.open(path)
    with pytest.raises(CjkitError, match="write one such as"):
        cleansing.open(path, as_of="2026/02/01")


def test_a_log_of_one_day_is_seen_whole(tmp_path):
    path = make_company(tmp_path, {"web.csv": f"{WEB}\n2026-01-31 10:00:00, ann, , , view,,,,,,,"})
    log = cleansing.open(path)
    assert log.as_of == datetime.date(2026, 2, 1)
    assert log.events.count() == 1


def test_neighbours_found_as_rows_stream_by_are_those_of_the_definition(rng):
    engine = DuckDB(threads=1)
    for _ in range(10):
        size = int(rng.integers(1, 5000))
        local = 1_700_000_000 + rng.integers(0, 400, size) * 3600
        frame = pd.DataFrame(
            {
                "customer_id": [f"c{n}" for n in rng.integers(0, 1 + size // 8, size)],
                "event": rng.choice(["view", "cart"], size),
                "touchpoint": rng.choice(["site", "app", None], size),
                "event_order": pd.array(rng.choice([1, 2, None], size), dtype="Int64"),
                "event_id": [f"{n:06}" for n in rng.permutation(size)],
                "time_precision": rng.choice(["day", "second", None], size),
                "occurred_us": local * 1_000_000,
                "local_at": pd.to_datetime(local + 9 * 3600, unit="s"),
            }
        )
        engine.add("events", frame)
        engine.view("dated", "select *, cast(local_at as date) as local_date from events")
        columns = "event_id, session_no, step_no, next_event, next_touchpoint, microseconds_to_next"
        expected = engine.query(
            f"select {columns} from ({sequence_sql('dated', gap='2h')}) order by 1"
        )
        in_order = f"(select * from events order by customer_id, {ORDER})"
        fast = sequence_in_order_sql(in_order, 2 * 3600 * 10**6)
        found = engine.query(f"select {columns} from ({fast}) order by 1")
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_events_written_in_parts_are_those_written_at_once(rng, tmp_path, monkeypatch):
    times = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.permutation(480)[:300], "h")
    lines = [f"{at}, p{rng.integers(40)}, , , view" for at in times]
    found = []
    for rows, files in ((10**6, 1), (1, 3)):
        monkeypatch.setattr(sequence, "_ROWS_A_PART", rows)
        path = make_company(tmp_path / str(files), {"web.csv": web(*lines)})
        path.write_text(path.read_text() + "\n[engine]\nthreads = 3\n")
        log = cleansing.open(path)
        folder = log.prepared.folder / "events.parquet"
        assert len(list(folder.iterdir())) == files
        found.append(log.engine.query("select * from events"))
    pd.testing.assert_frame_equal(*found)
    assert found[0]["customer_id"].is_monotonic_increasing
    assert len(found[0]) == 300


def test_the_rules_and_their_words_hold_together():
    for rule in RULES:
        for language in ("en", "ja"):
            assert labels.label(f"rule.{rule.name}", language) != f"rule.{rule.name}"
            assert labels.label(f"reason.{rule.name}", language) != f"reason.{rule.name}"
    assert len({rule.name for rule in RULES}) == len(RULES) < 63
    engine = DuckDB(threads=1)
    for rule in RULES:
        found = engine.query(
            f"select {outcome_sql()} as outcome, {rule_sql()} as rule "
            f"from (select {rule.bit}::bigint as failed)"
        ).iloc[0]
        is_kept = rule.outcome == "flagged"
        assert found["outcome"] == ("clean" if is_kept else rule.outcome)
        assert (
            (not found["rule"] or pd.isna(found["rule"])) if is_kept else found["rule"] == rule.name
        )
    both = engine.query(f"select {rule_sql()} as rule from (select {SETS_ASIDE}::bigint as failed)")
    assert both["rule"].iloc[0] == RULES[0].name


# --- the scorecard


def test_the_scorecard_counts_failing_rows_in_scope(opened):
    log = opened(
        {
            "web.csv": web(
                "soon, ann, , , view", ", ann, , , view", "2026-01-01 10:00:00, ann, , , view"
            )
        },
        more="[quality]\nwarn = { completeness = 0.9 }\n",
    )
    score = log.quality.scorecard.table.set_index("dimension")
    assert score.loc["completeness", ["failing", "in_scope", "status"]].tolist() == [1, 4, "warn"]
    assert score.loc["completeness", "score"] == 0.75
    assert score.loc["validity", "failing"] == 1
    assert score.loc["uniqueness", ["score", "status"]].tolist() == [1.0, "good"]


def test_data_worse_than_the_project_allows_stops_the_run_and_leaves_the_log(opened):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    path = log.project.path
    path.write_text("[quality]\nstop = { validity = 0.9 }\n" + path.read_text())
    (path.parent / "in" / "web.csv").write_text(web("soon,ann,,,view").replace(", ", ","))
    with pytest.raises(CjkitError, match=r"web, events: validity 0\.500 is below 0\.9 \(1 of 2"):
        cleansing.open(path)
    folder = log.prepared.folder
    assert (folder / "gate.json").is_file()
    assert [found.name for found in folder.parent.iterdir()] == [folder.name]


# --- state


def test_what_did_not_change_is_not_made_again(opened):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    path = log.project.path
    again = cleansing.prepare(path)
    assert (again.is_new, again.folder) == (False, log.prepared.folder)
    (path.parent / "in" / "web.csv").write_text(
        web("2026-01-01 11:00:00,ann,,,view").replace(", ", ",")
    )
    changed = cleansing.prepare(path)
    assert changed.is_new
    assert changed.fingerprint != again.fingerprint
    assert log.project.state_folder.stat().st_mode & 0o777 == 0o700
    for day in range(2, 8):
        cleansing.prepare(path, as_of=f"2026-02-{day:02}")
    assert len(list(log.prepared.folder.parent.iterdir())) == 3


def test_a_run_that_breaks_leaves_nothing_behind(opened, monkeypatch):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    prepared = log.prepared.folder.parent
    (prepared / "partial-dead").mkdir()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cjkit.cleansing.gate.write_log", fail)
    with pytest.raises(KeyboardInterrupt):
        cleansing.prepare(log.project.path, as_of="2026-01-15")
    assert [folder.name for folder in prepared.iterdir()] == [log.prepared.folder.name]

    def fill(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cjkit.cleansing.gate.write_log", fill)
    with pytest.raises(CjkitError, match=r"cannot be prepared in .*tiny: .*No space left"):
        cleansing.prepare(log.project.path, as_of="2026-01-15")
    assert [folder.name for folder in prepared.iterdir()] == [log.prepared.folder.name]


def test_a_link_goes_with_its_record(opened):
    """A deletion ends what the deleted records said of who is who, unless another says it too."""
    told = """
[[sources.web.mapping.row]]
table = "tombstones"
when = { column = "event", is = ["purchase"] }
[sources.web.mapping.row.columns]
retracted_at = { column = "at", time = "iso" }
"""
    lines = [
        "2026-01-01 10:00:00, ann, , a@x.jp, view",
        "2026-01-01 10:00:00, bob, , b@x.jp, view",
        "2026-01-01 12:00:00, ann, , , purchase",
        "2026-01-01 12:00:00, bob, , , purchase",
        "2026-01-01 13:00:00, bob, , b@x.jp, view",
        "2026-01-01 14:00:00, ann, , , view",
        "2026-01-01 14:00:00, , , a@x.jp, view",
        "2026-01-01 14:00:00, , , b@x.jp, view",
    ]
    log = opened({"web.csv": web(*lines)})
    assert log.quality.identity.merged_customers == 2
    log.project.path.write_text(log.project.path.read_text() + told)
    log = cleansing.open(log.project.path)
    assert log.quality.rows.table.set_index("table").loc["events", "retracted"] == 4
    assert log.quality.identity.merged_customers == 1
    assert log.events.values("customer_id") == {"login:ann", "mail:a@x.jp", "login:bob"}


def test_runs_at_the_same_time_wait_for_each_other(tmp_path):
    path = make_company(tmp_path, {"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    made = []
    runs = [threading.Thread(target=lambda: made.append(cleansing.prepare(path))) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(run.is_new for run in made) == [False, False, False, True]


def test_tables_are_saved_for_the_notebooks_after(opened):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    log.save("segments", pd.DataFrame({"customer_id": ["login:ann"], "segment": ["new"]}))
    again = cleansing.open(log.project.path)
    assert again.segments.values("segment") == {"new"}
    assert "segments" in dir(again)
    with pytest.raises(AttributeError, match="Did you mean 'segments'"):
        again.segment  # noqa: B018
    changed = pd.DataFrame({"customer_id": ["login:ann"], "segment": ["old"]})
    assert log.save("segments", changed).values("segment") == {"old"}
    assert log.save("segments", log.segments).values("segment") == {"old"}
    log.engine.add("mine", changed)
    with pytest.raises(CjkitError, match="has made a table of that name itself"):
        log.save("mine", changed)
    twice = pd.DataFrame({"customer_id": ["a", "a"]})
    for name, table, message in (
        ("events", twice, "no table of the contract"),
        ("segments", twice, "1 rows have a missing customer_id"),
        ("segments", twice.rename(columns={"customer_id": "id"}), "no column 'customer_id'"),
    ):
        with pytest.raises(CjkitError, match=message):
            log.save(name, table)


def test_what_is_settled_holds_for_later_logs_and_is_unknown_to_earlier_ones(opened):
    rows = "2026-01-01 10:00:00, ann, , , view", "2026-01-09 10:00:00, ann, , , view"
    log = opened({"web.csv": web(*rows)})
    path = log.project.path

    def on(day):
        return cleansing.open(path, as_of=f"2026-01-0{day}")

    assert on(4).settled("limits", kind="a") is None
    on(4).settle("limits", {"cuts": (1.5, 0.1)}, kind="a")
    assert on(4).settled("limits", kind="a") == {"cuts": [1.5, 0.1]}
    assert on(6).settled("limits", kind="a") == {"cuts": [1.5, 0.1]}
    assert on(6).settled("limits", kind="b") is None
    assert on(6).settled("others", kind="a") is None
    assert on(3).settled("limits", kind="a") is None
    on(6).settle("limits", "new", kind="a")
    on(6).settle("limits", "newest", kind="a")
    on(3).settle("limits", "old", kind="a")
    found = [on(day).settled("limits", kind="a") for day in range(2, 9)]
    cuts = {"cuts": [1.5, 0.1]}
    assert found == [None, "old", cuts, cuts, "newest", "newest", "newest"]
    with pytest.raises(CjkitError, match="use snake_case"):
        log.settle("../limits", 1)


def test_a_relative_project_is_sought_in_the_folders_above(opened, tmp_path, monkeypatch):
    make_company(tmp_path, {"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert cleansing.open("journey.toml").events.count() == 1
    with pytest.raises(CjkitError, match="make sample"):
        cleansing.open("data/sample/journey.toml")


def test_ids_are_hidden_unless_the_project_says_otherwise(opened, tmp_path):
    path = make_company(
        tmp_path, {"web.csv": web("2026-01-01 10:00:00, hanako, , hanako@a.jp, view")}
    )
    keyed = path.read_text().replace('"plain"', '"keyed"\nkey_file = "own.key"')
    path.write_text(keyed)
    log = cleansing.open(path)
    assert (tmp_path / "own.key").stat().st_mode & 0o777 == 0o600
    for file in log.project.state_folder.rglob("*.parquet"):
        found = log.engine.query(f"from read_parquet('{file}')").to_csv()
        assert "hanako" not in found, os.fspath(file)


# --- conservation

VALUES = {
    "at": [
        "2026-01-01 10:00:00",
        "2026-01-01 10:00:01",
        "2026-01-02",
        "1970-01-01 09:00:00",
        "",
        "x",
    ],
    "login": ["ann", "bob", "cas", ""],
    "cookie": ["c1", "c2", ""],
    "mail": ["a@a.jp", ""],
    "event": ["view", "cart", "purchase", "blick", ""],
    "ref": ["o1", "o2", ""],
    "amount": ["5", "-5", "many", ""],
    "agent": ["bot", ""],
    "order_id": ["o1", "o2", ""],
    "kind": ["return", "staff", "test", ""],
    "joined": ["2020-01-01", "1970-01-01", ""],
    "purpose": ["analytics", "marketing", ""],
    "answer": ["yes", "no", ""],
}
TABLES = {
    "web_1": WEB, "web_2": WEB, "shop": SHOP, "till": "order_id, at, login, amount",
    "crm": CRM, "consent": CONSENT, "deleted": "login, at",
}  # fmt: skip


def records(header):
    names = header.split(", ")
    return st.lists(
        st.tuples(*(st.sampled_from(VALUES.get(name, [""])) for name in names)), max_size=8
    )


@settings(
    max_examples=int(os.environ.get("CJKIT_DIRTY_COMPANIES", "12")),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dirt=st.fixed_dictionaries({name: records(header) for name, header in TABLES.items()}))
def test_no_row_is_lost_whatever_the_dirt(tmp_path_factory, dirt):
    files = {
        f"{name}.csv": "\n".join([TABLES[name], *(",".join(record) for record in dirt[name])])
        for name in TABLES
    }
    path = make_company(tmp_path_factory.mktemp("dirty"), files)
    log = cleansing.open(path, as_of="2026-06-01")
    quality = log.quality
    read = {f"in/{name}.csv": len(made) for name, made in dirt.items()}
    ledger = quality.records.table
    assert ledger.set_index("file")["read"].to_dict() == read
    assert (ledger["read"] == ledger[["mapped", "filtered", "unreadable"]].sum(axis=1)).all()

    table = quality.rows.table
    assert (table["made"] == table[["clean", *OUTCOMES]].sum(axis=1)).all()
    given_rows = table[table["source"] != "(derived)"]
    assert given_rows["made"].sum() == ledger["mapped"].sum()
    kept = (table["clean"] - table["later"]).groupby(table["table"]).sum()
    for name in CONTRACT:
        assert log.engine.table(name).count() == kept.get(name, 0)
    quarantine = log.engine.query(f"from read_parquet('{log.prepared.folder}/quarantine.parquet')")
    outcome = quarantine["outcome"].value_counts()
    for name in ("quarantined", "merged", "retracted"):
        assert outcome.get(name, 0) == table[name].sum()
    assert quarantine["rule"].notna().all()

    # What is written keeps the contract: keys name rows, every person has a row.
    for name, key in (("events", "event_id"), ("customers", "customer_id")):
        assert len(log.engine.table(name).values(key)) == log.engine.table(name).count()
    lines = log.engine.query(
        "select count(*) - count(distinct (order_id, line_no)) as n from orders"
    )
    assert lines["n"].iloc[0] == 0
    nobody = log.engine.query(
        """select customer_id from events union select customer_id from orders
            where customer_id is not null except select customer_id from customers"""
    )
    assert nobody.empty
    sold, derived = (
        log.engine.query(f"select coalesce(sum(revenue), 0) as sold from {rows}")["sold"].iloc[0]
        for rows in (
            "orders where customer_id is not null",
            "events where source in ('shop', 'till')",
        )
    )
    assert derived == pytest.approx(sold)


def test_examples_say_where_to_look(opened):
    lines = ["2026-01-01 10:00:00, , , , view", "soon, ann, , , view"]
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view", *lines * 3)})
    counts = log.list_examples(most=2).table["check"].value_counts()
    assert counts.to_dict() == {"duplicate_row": 2, "missing_customer": 1, "unreadable_value": 1}
    with pytest.raises(CjkitError, match="Did you mean 'duplicate_row'"):
        log.list_examples("duplicate_rows")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_was_found_is_said_and_drawn(opened, language):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view", "soon, ann, , , view")})
    quality = log.quality
    for found in vars(quality).values():
        if hasattr(found, "finding"):
            assert "{" not in found.finding(language)
    bars = quality.flow.plot(language=language).patches
    assert [bar.get_width() for bar in bars] == [3, 3, 3, -1, 2, -1, 1, 2]
    assert "1" in quality.quarantine.plot(language=language).texts[0].get_text()
    cells = quality.scorecard.plot(language=language).texts
    assert [cell.get_text() for cell in cells] == ["100.0%", "100.0%", "66.7%", "100.0%", "100.0%"]
    shares = [bar.get_width() for bar in quality.changes.plot(language=language).patches]
    assert shares == [1.0, 1.0, 0.5]


def test_gate_json_says_what_was_prepared(opened):
    log = opened({"web.csv": web("2026-01-01 10:00:00, ann, , , view")})
    facts = json.loads((log.prepared.folder / "gate.json").read_text())
    assert facts["as_of"] == "2026-02-01"
    assert facts["files"] == 1
