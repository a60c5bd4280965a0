"""The sample company sends to every target, and nobody who did not agree is in a file."""

import csv
import json
import shutil

import pandas as pd
import pytest
from small_company import shared_company

from cjkit import cleansing
from cjkit.activation import activate, list_targets, measure_hold_out, plan, read_target
from cjkit.activation.targets import Limits
from cjkit.engine import DuckDB, text
from cjkit.project import read_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """Return a copy of the small sample company with its prepared log."""
    folder = tmp_path_factory.mktemp("sample") / "company"
    given = shared_company(tmp_path_factory)
    shutil.copytree(given.folder, folder, ignore=shutil.ignore_patterns("reports", "truth"))
    return read_project(folder / "journey.toml")


@pytest.fixture(scope="module")
def sent(company):
    """Return what each activation of the sample wrote; 300 people have too few interactions."""
    with pytest.MonkeyPatch.context() as patch:
        few = {"limits": Limits()}
        patch.setattr(plan, "read_target", lambda name: read_target(name).model_copy(update=few))
        return {name: activate(company, name) for name in company.activation}


def read_denied(company):
    """Return the logins and e-mails whose latest answer about marketing is no."""
    given = pd.read_csv(company.folder / "exports" / "consent" / "consents.csv", dtype=str)
    latest = given[given["purpose"] == "marketing"].sort_values("recorded_at", kind="stable")
    denied = {}
    for name in ("login_id", "email"):
        by_id = latest.dropna(subset=[name]).groupby(name)["status"].last()
        denied[name] = {each.lower() for each in by_id[by_id == "denied"].index}
    return denied


def test_every_target_is_used(company, sent):
    used = {given.target or name for name, given in company.activation.items()}
    assert used == set(list_targets())
    for name, done in sent.items():
        assert done.files, name
        assert done.rows > 0, name
        assert all(path.stat().st_size for path in done.files)


def test_what_became_of_people_adds_up(sent):
    for done in sent.values():
        if not done.table.empty:
            chosen, *parts = done.counts.values()
            assert chosen == sum(parts)
    assert sent["newsletter"].counts == sent["hubspot"].counts
    assert sent["newsletter"].counts["held_out"] > 0
    assert sent["newsletter"].counts["recently_contacted"] >= 0


def test_nobody_is_written_to_who_did_not_agree(company, sent):
    denied = read_denied(company)
    assert all(denied.values())
    crm = pd.read_csv(
        company.folder / "exports" / "crm" / "customers.csv", dtype=str, encoding="cp932"
    )
    logins = crm.groupby(crm["メールアドレス"].str.lower())["ログインID"].agg(set)
    with sent["newsletter"].files[0].open(encoding="utf-8", newline="") as file:
        written = [row["email"] for row in csv.DictReader(file)]
    assert len(set(written)) == len(written) == sent["newsletter"].rows
    for address in written:
        assert address not in denied["email"]
        own = {str(login).lower() for login in logins.get(address, ())}
        assert not own & denied["login_id"], address


def test_what_is_remembered_names_nobody(company):
    engine = DuckDB(threads=1)
    path = company.state_folder / "activation" / "assignments.parquet"
    keys = engine.query(f"select distinct person_key from read_parquet({text(str(path))})")
    assert keys["person_key"].str.fullmatch("[a-z]+:[0-9a-f]{64}").all()
    assert len(keys) > 0


def test_the_mail_test_of_the_sample_shows_its_true_lift(company, tmp_path_factory):
    truth = json.loads((shared_company(tmp_path_factory).folder / "truth/truth.json").read_text())
    told = truth["stories"]["mail_holdout"]
    log = cleansing.open(company.path)
    found = measure_hold_out(log, told["test"], within="56D", arms=("treatment", "control"))
    log.engine.close()
    row = found.table.iloc[0]
    assert row["difference_low"] <= told["true_purchase_lift"] <= row["difference_high"]
    for arm, name in (("treatment", "audience"), ("control", "hold_out")):
        expected = told["arms"][arm]
        assert 0.85 * expected["people"] <= row[f"{name}_people"] <= expected["people"]
        assert abs(row[name] - expected["purchase_rate"]) < 0.06
