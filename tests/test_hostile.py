"""Every notebook on data that mean harm or are out of all proportion: pages stay whole."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import LAUNCH, needs_chromium

from cjkit.project import read_project
from cjkit.report.run import run_report

pytestmark = [pytest.mark.slow, needs_chromium]

NOTEBOOKS = sorted(
    path.stem for path in (Path(__file__).parent.parent / "notebooks").glob("*.ipynb")
)
HOSTILE = [
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "javascript:window.hit=1",
    "[read](javascript:window.hit=1)",
    '"><b onclick="window.hit=1">',
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "שלום עולם \u202e txt",
    "🛒👩\u200d💻 買い物",
    "{{ page.company }} {% x %}",
    "$E=mc^2$ `code`",
    "a" * 300,
    "とても長い名前" * 40,
]
PROJECT = """
[project]
id = "hostile"
name = { en = "<script>window.hit=1</script>", ja = "=cmd() 🛒" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[consent]
missing = "allow"
[privacy]
pseudonyms = "plain"
quotes = true
[conversion]
event = "purchase"
[funnel]
steps = ["<script>window.hit=1</script>", "=cmd|' /C calc'!A0", "purchase"]
[identity.login]
strength = "strong"
[sources.log]
files = ["log.csv"]
[sources.log.mapping]
system = "<b>log</b>"
file = { format = "csv", time_zone = "Asia/Tokyo" }
ids = { login = "who" }
[[sources.log.mapping.row]]
table = "events"
[sources.log.mapping.row.columns]
occurred_at = { column = "at", time = "iso" }
event = "what"
touchpoint = "place"
channel = "what"
device = "what"
stage = "stage"
[sources.till]
files = ["till.csv"]
[sources.till.mapping]
system = "till"
file = { format = "csv", time_zone = "Asia/Tokyo" }
ids = { login = "who" }
[[sources.till.mapping.row]]
table = "orders"
[sources.till.mapping.row.columns]
order_id = "order"
ordered_at = { column = "at", time = "iso" }
revenue = { column = "paid", numbers = true }
quantity = { value = 1 }
category = "what"
product_id = "what"
channel = "what"
[sources.voice]
files = ["voice.csv"]
[sources.voice.mapping]
system = "voice"
file = { format = "csv", time_zone = "Asia/Tokyo" }
ids = { login = "who" }
[[sources.voice.mapping.row]]
table = "feedback"
[sources.voice.mapping.row.columns]
feedback_id = "id"
given_at = { column = "at", time = "iso" }
touchpoint = "place"
metric = "metric"
score = { column = "score", numbers = true }
score_max = { value = 10 }
text = "what"
"""
STAGES = ["awareness", "interest", "consideration", "purchase", "retention"]


def write_company(folder: Path, rng: np.random.Generator, people: int) -> Path:
    """Write exports in which every text is hostile and events happen at 300 touchpoints."""
    size = 13 * people
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 120 * 86400, size), unit="s")
    log = pd.DataFrame(
        {
            "at": at.strftime("%Y-%m-%d %H:%M:%S"),
            "who": [f"w{n}" for n in rng.integers(0, people, size)],
            "what": HOSTILE * people,
            "place": [f"{HOSTILE[n % len(HOSTILE)]} {n}" for n in rng.integers(0, 300, size)],
            "stage": rng.choice(STAGES, size),
        }
    )
    log.to_csv(folder / "log.csv", index=False)
    bought = log.iloc[: 2 * people].assign(
        order=range(2 * people), paid=rng.integers(1, 1_000_000, 2 * people)
    )
    bought.to_csv(folder / "till.csv", index=False)
    told = log.iloc[-2 * people :].assign(
        id=range(2 * people), metric="nps", score=rng.integers(0, 11, 2 * people)
    )
    told.to_csv(folder / "voice.csv", index=False)
    events = "".join(f"[events.{json.dumps(name, ensure_ascii=False)}]\n" for name in HOSTILE)
    (folder / "journey.toml").write_text(PROJECT + events, encoding="utf-8")
    return folder / "journey.toml"


@pytest.mark.parametrize(
    ("people", "languages"),
    [
        (400, ("ja",)),
        pytest.param(400, ("en", "ja"), marks=pytest.mark.long),
        pytest.param(1, ("en", "ja"), marks=pytest.mark.long),
    ],
)
def test_hostile_data_neither_break_a_page_nor_run(tmp_path, rng, people, languages):
    from playwright.sync_api import sync_playwright

    project = read_project(write_company(tmp_path, rng, people))
    report = run_report(project, output=tmp_path / "reports", languages=languages)
    assert [one["name"] for one in report.manifest["notebooks"]] == NOTEBOOKS
    for path in report.folder.glob("tables/*.csv"):
        for row in csv.reader(path.read_text("utf-8-sig").splitlines()):
            assert not [cell for cell in row if cell[:1] in ("=", "@", "+", "\t")], path
    pages = sorted(report.folder.glob("*/*.html"))
    assert len(pages) == len(languages) * (len(NOTEBOOKS) + 1)
    wrong = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(**LAUNCH)
        tab = browser.new_context(offline=True).new_page()
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        for page in pages:
            assert page.stat().st_size < 3_000_000, page
            tab.goto(page.as_uri())
            assert tab.evaluate("window.hit") is None, page
            assert tab.evaluate("document.scripts.length") == 1, page
            assert tab.locator("[href^='javascript:' i], [onclick], [onerror]").count() == 0, page
            for width in (1280, 390):
                tab.set_viewport_size({"width": width, "height": 900})
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, page
        browser.close()
    assert wrong == []
