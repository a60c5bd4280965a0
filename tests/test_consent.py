"""Consent against a slow, obvious reader of histories; and what a withdrawal does to a company."""

import numpy as np
import pandas as pd
import pytest
from companies import make_company

import cjkit
from cjkit import privacy
from cjkit.engine import DuckDB


def answer_of(records):
    """Say what one id has answered: the latest record, of two at one time the denial."""
    known = [record for record in records if record["is_granted"] is not None]
    if not known:
        return None
    latest = max(-1 if record["at"] is None else record["at"] for record in known)
    at_last = [r for r in known if (-1 if r["at"] is None else r["at"]) == latest]
    return all(record["is_granted"] for record in at_last)


def answers_by_hand(records, people):
    """Return what each person has answered about each purpose, id by id."""
    answers = {}
    for customer in sorted(set(people.values())):
        for purpose in ("analytics", "marketing"):
            said = [
                answer_of([r for r in records if r["key"] == key and r["purpose"] == purpose])
                for key, owner in people.items()
                if owner == customer
            ]
            said = [answer for answer in said if answer is not None]
            if said:
                answers[customer, purpose] = all(said)
    return answers


@pytest.mark.parametrize("histories", [80, pytest.param(2000, marks=pytest.mark.long)])
def test_agrees_with_reading_each_history(rng, histories):
    """Random histories with linked ids, equal and missing times, and answers that say nothing."""
    engine = DuckDB(threads=1)
    denied = 0
    for _ in range(histories):
        people = {f"id{k}": f"p{rng.integers(4)}" for k in range(rng.integers(1, 9))}
        records = [
            {
                "key": str(rng.choice([*people, "of nobody"])),
                "purpose": str(rng.choice(["analytics", "marketing"])),
                "is_granted": [True, False, None][rng.choice(3, p=[0.6, 0.3, 0.1])],
                "at": None if rng.random() < 0.2 else int(rng.integers(0, 4)),
            }
            for _ in range(rng.integers(0, 25))
        ]
        engine.add(
            "consents",
            pd.DataFrame(
                {
                    "person_key": pd.Series([r["key"] for r in records], dtype="str"),
                    "purpose": pd.Series([r["purpose"] for r in records], dtype="str"),
                    "is_granted": pd.Series([r["is_granted"] for r in records], dtype="boolean"),
                    "given_at": pd.to_datetime(
                        pd.Series(
                            [np.nan if r["at"] is None else r["at"] for r in records], dtype=float
                        ),
                        unit="D",
                    ),
                }
            ),
        )
        engine.add("people", pd.DataFrame(people.items(), columns=["person_key", "customer_id"]))
        expected = answers_by_hand(records, people)
        found = engine.query(privacy.answers_sql("consents", "people"))
        assert {
            (row.customer_id, row.purpose): row.is_granted for row in found.itertuples()
        } == expected
        for missing in ("allow", "withhold"):
            sql = privacy.denied_sql("consents", "people", purpose="analytics", missing=missing)
            assert set(engine.query(sql)["customer_id"]) == {
                customer
                for customer in people.values()
                if not expected.get((customer, "analytics"), missing == "allow")
            }
        denied += sum(not answer for answer in expected.values())
    assert denied > histories / 2


WEB = """
login, cookie, mail, at, event, amount, ref, page, device, touchpoint, agent, currency
ann, c1, , 2026-01-01 10:00:00, view, , , , , , ,
ann, , , 2026-01-01 11:00:00, purchase, 50, o1, , , , ,
bob, , , 2026-01-01 12:00:00, view, , , , , , ,
cas, , , 2026-01-01 12:00:00, view, , , , , , ,
dee, , , 2026-01-02 12:00:00, view, , , , , , ,
dee, , , 2026-01-03 12:00:00, view, , , , , , ,
"""
ASKED = """
login, cookie, purpose, answer, at
ann, , marketing, yes, 2026-01-01 10:00:00
bob, , marketing, yes, 2026-01-01 10:00:00
bob, , marketing, no, 2026-01-09 10:00:00
cas, , analytics, no, 2026-01-01 10:00:00
cas, , marketing, yes, 2026-01-01 10:00:00
"""


def test_only_who_agreed_may_be_written_to(tmp_path):
    """Bob withdrew after the log's last day, Cas is withheld, and Dee was never asked."""
    log = cjkit.open(make_company(tmp_path, {"web.csv": WEB, "consent.csv": ASKED}))
    assert log.customers.values("customer_id") == {"login:ann", "login:bob", "login:dee"}
    assert log.agreed_to("marketing").values("customer_id") == {"login:ann"}
    assert log.agreed_to("analytics").values("customer_id") == set()


def test_a_withdrawal_stops_the_next_run(tmp_path):
    project = make_company(tmp_path, {"web.csv": WEB, "consent.csv": ASKED})
    assert cjkit.open(project).agreed_to("marketing").count() == 1
    later = "login,cookie,purpose,answer,at\n,c1,marketing,no,2026-02-01 10:00:00\n"
    (tmp_path / "in" / "consent_2.csv").write_text(later, encoding="utf-8")
    again = cjkit.open(project)
    assert again.agreed_to("marketing").count() == 0
    assert "login:ann" in again.customers.values("customer_id")
    (tmp_path / "in" / "consent_2.csv").write_text(later.replace("marketing", "analytics"))
    last = cjkit.open(project)
    assert last.customers.values("customer_id") == {"login:bob", "login:dee"}


def test_who_is_withheld_is_in_no_figure_but_the_count(tmp_path):
    """The same company without the person's rows gives the same figures, but for the ledgers."""
    mine = [line for line in WEB.strip().splitlines() if not line.startswith("cas")]
    asked = [line for line in ASKED.strip().splitlines() if not line.startswith("cas")]
    files = {"web.csv": WEB, "consent.csv": ASKED}
    without = {"web.csv": "\n".join(mine), "consent.csv": "\n".join(asked)}
    logs = [
        cjkit.open(make_company(tmp_path / name, given), as_of="2026-03-01")
        for name, given in (("with", files), ("without", without))
    ]
    for name in ("customers", "events", "orders", "feedback"):
        tables = [getattr(log, name) for log in logs]
        kept = [
            table.engine.query(f"select * from {table}").drop(
                columns=["event_id", "record_no", "order_id", "feedback_id"], errors="ignore"
            )
            for table in tables
        ]
        pd.testing.assert_frame_equal(*kept)
    for name in ("changes", "scorecard"):
        pd.testing.assert_frame_equal(*(getattr(log.quality, name).table for log in logs))
    withheld = logs[0].quality.withheld
    assert withheld.table[["people", "rows"]].sum().tolist() == [2, 3]
    assert privacy.mask(withheld, 5).table[["people", "rows"]].isna().all(axis=None)
    assert logs[1].quality.withheld.table.empty
