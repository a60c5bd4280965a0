"""A company whose customers sign and cancel: notebook 04 from its exports to its pages."""

from html import escape

import numpy as np
import pandas as pd
import pytest

import cjkit
from cjkit.lifetime_value import fit_renewals, measure_survival
from cjkit.project import read_project
from cjkit.report.run import run_report

pytestmark = pytest.mark.slow

PROJECT = """
[project]
id = "club"
name = { en = "Coffee club", ja = "コーヒークラブ" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[company]
started_on = 2024-01-01
[period]
as_of = 2026-01-01
[consent]
missing = "allow"
[privacy]
pseudonyms = "plain"
[report]
notebooks = ["02_segmentation", "04_lifetime_value"]
[value]
margin = 0.6
contractual = { start = "subscribe", end = "cancel", period = "30D" }
[identity]
login = { strength = "strong" }
[events]
subscribe = { touchpoint = "site", channel = "web", stage = "purchase" }
cancel = { touchpoint = "site", channel = "web", stage = "retention" }
purchase = { touchpoint = "site", channel = "web", stage = "purchase" }
[touchpoints]
site = { stage = "purchase" }
[names.event]
subscribe = { en = "Subscribed", ja = "契約した" }
cancel = { en = "Cancelled", ja = "解約した" }
[names.channel]
web = { en = "Web", ja = "ウェブ" }
friend = { en = "Friend", ja = "友人" }
ad = { en = "Advertisement", ja = "広告" }

[sources.members]
files = ["members.csv"]
[sources.members.mapping]
system = "Members"
ids = { login = "login" }
file = { format = "csv", time_zone = "Asia/Tokyo" }
[[sources.members.mapping.row]]
table = "customers"
[sources.members.mapping.row.columns]
signed_up_at = { column = "at", time = "iso" }
acquired_channel = "came_by"

[sources.contracts]
files = ["contracts.csv"]
[sources.contracts.mapping]
system = "Contracts"
ids = { login = "login" }
file = { format = "csv", time_zone = "Asia/Tokyo" }
[[sources.contracts.mapping.row]]
table = "events"
[sources.contracts.mapping.row.columns]
occurred_at = { column = "at", time = "iso" }
event = "event"

[sources.payments]
files = ["payments.csv"]
[sources.payments.mapping]
system = "Payments"
ids = { login = "login" }
file = { format = "csv", time_zone = "Asia/Tokyo" }
[[sources.payments.mapping.row]]
table = "orders"
[sources.payments.mapping.row.columns]
order_id = "payment"
ordered_at = { column = "at", time = "iso" }
revenue = { column = "amount", numbers = true }
"""


def write_club(folder, rng, members=1200):
    """Write members who leave at a renewal with a chance of their own; friends of members stay."""
    who = np.arange(members)
    came_by = np.where(who % 2, "friend", "ad")
    began = pd.Timestamp("2024-01-01 12:00") + pd.to_timedelta(rng.integers(0, 600, members), "D")
    chance = np.where(who % 2, rng.beta(0.8, 8, members), rng.beta(0.8, 3, members))
    paid = rng.geometric(np.maximum(chance, 1e-6))
    ended = began + pd.to_timedelta(30 * np.minimum(paid, 100), "D")
    login = pd.Series(who).map("m{:05}".format)
    pd.DataFrame({"login": login, "at": began, "came_by": came_by}).to_csv(
        folder / "members.csv", index=False
    )
    both = [
        pd.DataFrame({"login": login, "at": at, "event": event})
        for event, at in (("subscribe", began), ("cancel", ended))
    ]
    contracts = pd.concat(both).query("at < '2026-01-01'")
    contracts.to_csv(folder / "contracts.csv", index=False)
    each = np.repeat(who, np.minimum(paid, 30))
    number = pd.Series(each).groupby(each).cumcount().to_numpy()
    payments = pd.DataFrame(
        {
            "payment": [f"p{k}" for k in range(len(each))],
            "login": login.to_numpy()[each],
            "at": began.to_numpy()[each] + pd.to_timedelta(30 * number, "D"),
            "amount": 1000 + 100 * (each % 7),
        }
    )
    payments.query("at < '2026-01-01'").to_csv(folder / "payments.csv", index=False)
    (folder / "journey.toml").write_text(PROJECT, encoding="utf-8")
    return contracts


def test_notebook_04_of_a_company_with_contracts(tmp_path, rng):
    """What its page says is what is asked of the log, in both languages; friends stay longer."""
    contracts = write_club(tmp_path, rng)
    project = read_project(tmp_path / "journey.toml")
    report = run_report(project, output=tmp_path / "report")
    log = cjkit.open(tmp_path / "journey.toml")
    survival = measure_survival(log.events, start="subscribe", end="cancel", until=log.as_of)
    assert survival.table["lost"].sum() == (contracts["event"] == "cancel").sum()
    assert survival.table["at_risk"].iloc[0] == (contracts["event"] == "subscribe").sum()
    for language in ("en", "ja"):
        page = (report.folder / language / "04_lifetime_value.html").read_text(encoding="utf-8")
        assert escape(survival.finding(language)) in page
        assert escape(fit_renewals(survival).finding(language)) in page
    by = measure_survival(log.events, start="subscribe", end="cancel", by="acquired_channel")
    assert by.p_value < 1e-6
