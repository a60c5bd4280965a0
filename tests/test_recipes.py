"""The four public data sets: their published figures come out of the recipes."""

import shutil
from html import escape
from pathlib import Path

import pytest

import cjkit
from cjkit.engine import text
from cjkit.report.run import run_report

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NAMES = ("cdnow", "olist", "online_retail", "starbucks_rewards")


@pytest.fixture(scope="module")
def recipe(real_data, tmp_path_factory):
    """Return a function that opens the log of a recipe, with its state outside the project."""
    folder = tmp_path_factory.mktemp("recipes")
    opened = {}

    def open_recipe(name):
        if name not in opened:
            shutil.copy(ROOT / "data" / "recipes" / f"{name}.toml", folder)
            opened[name] = cjkit.open(folder / f"{name}.toml")
        return opened[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CJKIT_REAL_DATA", str(real_data))
        yield open_recipe


def one(log, sql):
    return log.engine.query(sql).iloc[0, 0]


def stored(log, table):
    return log.engine.query(f"from {text(str(log.prepared.folder / f'{table}.parquet'))}")


@pytest.mark.parametrize("name", NAMES)
def test_both_ledgers_add_up_for_every_source(recipe, name):
    log = recipe(name)
    records, rows = stored(log, "gate_record_ledger"), stored(log, "gate_row_ledger")
    assert set(records["source"]) == set(log.project.sources)
    parts = ["mapped", "filtered", "unreadable"]
    assert (records["read"] == records[parts].sum(axis=1)).all()
    parts = ["clean", "quarantined", "merged", "withheld", "retracted", "erased"]
    assert (rows["made"] == rows[parts].sum(axis=1)).all()


def test_online_retail_accounts_for_every_line(recipe, real_data):
    log = recipe("online_retail")
    records = stored(log, "gate_record_ledger")
    assert records["read"].sum() == records["mapped"].sum() == 525_461
    quarantine = stored(log, "quarantine").query("`table` == 'orders'")
    assert (quarantine["rule"] == "duplicate_row").sum() == 6_865

    path = real_data / "online_retail" / "online_retail_2009_2010.parquet"
    raw = log.engine.query(f"select * from read_parquet({text(str(path))})")
    set_aside = raw.iloc[quarantine["record_no"].to_numpy() - 1]
    cancelled = set_aside["Invoice"].str.startswith("C").sum()
    assert one(log, "select count(*) from orders where is_return") + cancelled == 10_206
    guests = set_aside["Customer ID"].isna().sum()
    assert one(log, "select count(*) from orders where customer_id is null") + guests == 107_927

    changed = stored(log, "gate_changes").set_index("moment")
    assert changed.loc["before", "revenue"] == pytest.approx(9_539_484.63, abs=0.005)
    kept = raw.drop(raw.index[quarantine["record_no"].to_numpy() - 1])
    assert changed.loc["after", "revenue"] == pytest.approx(
        (kept["Quantity"] * kept["Price"]).sum()
    )


def test_each_order_of_online_retail_is_one_purchase(recipe):
    log = recipe("online_retail")
    orders = one(
        log,
        "select count(distinct order_id) from orders "
        "where not is_return and customer_id is not null",
    )
    assert one(log, "select count(*) from events where event = 'purchase'") == orders


def test_starbucks_keeps_every_offer_and_purchase(recipe):
    log = recipe("starbucks_rewards")
    records = stored(log, "gate_record_ledger").set_index("source")
    assert records.loc["transcript", "read"] == 306_534
    assert one(log, "select count(*) from customers") == 17_000
    quarantine = stored(log, "quarantine")
    assert quarantine["rule"].tolist() == ["duplicate_row"] * 397
    assert one(log, "select count(*) from events") == 306_534 - 397
    assert one(log, "select count(*) from orders") == 138_953
    assert one(log, "select sum(revenue) from orders") == pytest.approx(1_775_451.97, abs=0.005)


def test_olist_finds_the_people_behind_customer_ids_and_the_impossible_order(recipe):
    log = recipe("olist")
    assert one(log, "select count(*) from customers") == 2_995
    rows = stored(log, "gate_row_ledger").set_index(["table", "source"])
    assert rows.loc[("feedback", "reviews"), "clean"] == 2_993
    flagged = one(log, "select count(distinct ref_id) from events where flags = 'impossible_order'")
    assert flagged == 50


def test_cdnow_gives_every_purchase(recipe):
    log = recipe("cdnow")
    assert one(log, "select count(*) from orders") == 6_919
    assert one(log, "select count(*) from customers") == 2_357


def test_cdnow_gives_the_published_parameters_and_the_hold_out_beside_them(recipe):
    log = recipe("cdnow")
    test = cjkit.backtest_purchases(log.orders, until=log.as_of, prior_sd=None)
    assert test.split.isoformat() == "1997-10-01"
    assert test.fit.table["estimate"].round(3).tolist() == [0.243, 4.414, 0.793, 2.426]
    assert (round(test.predicted.value, 1), test.actual) == (1653.4, 1882)
    assert test.spend.table["estimate"].round(2).tolist() == [6.25, 3.74, 15.44]


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        *zip(NAMES, [("en",), ("ja",)] * 2, strict=True),
        *(pytest.param(name, ("en", "ja"), marks=pytest.mark.long) for name in NAMES),
    ],
)
def test_the_whole_sequence_runs_and_says_what_it_cannot_answer(recipe, tmp_path, name, languages):
    log = recipe(name)
    report = run_report(log.project, output=tmp_path, languages=languages)
    asked = set(log.project.report.notebooks) | set(log.project.report.cannot)
    assert asked == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    for language in languages:
        pages = {path.stem for path in (report.folder / language).glob("*.html")}
        assert pages == {"index", *log.project.report.notebooks}
        index = (report.folder / language / "index.html").read_text(encoding="utf-8")
        for reason in log.project.report.cannot.values():
            assert escape(reason[language]) in index
