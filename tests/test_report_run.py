import csv
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_shop as shop
from browser import LAUNCH, needs_chromium

from cjkit.checks import CjkitError
from cjkit.project import read_project
from cjkit.report.index import point_latest, read_runs
from cjkit.report.run import run_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A company with two notebooks, of which the second needs the first."""
    folder = tmp_path_factory.mktemp("shop")
    count = (
        "from pathlib import Path\nwith Path('ran.txt').open('a') as ran: print('ran', file=ran)"
    )
    shop.write_notebook(
        folder / "one.ipynb",
        [
            shop.code(f"import os; os.chdir({str(folder)!r})\n{count}"),
            shop.prose("## Which events?\n\nEnglish prose.", "en"),
            shop.prose("## どのイベントか\n\n日本語の文章。", "ja"),
            shop.code(shop.SHOWN),
            shop.prose("## Which events?", "en"),
            shop.prose("## どのイベントか", "ja"),
            shop.code(shop.SHOWN),
            shop.code("print('a plain line')"),
            shop.prose("How to read it.", "en"),
            shop.prose("## Exercises\n\nDivide by zero.", "en"),
            shop.prose("## 演習\n\n0で割ってください。", "ja"),
            shop.code("1 / 0", "exercise"),
            shop.code("1 / 0", "solution"),
            shop.code("1 / 0", "interactive"),
            shop.prose("## Headline section", "en"),
            shop.prose("## 見出しの数値", "ja"),
            shop.code(shop.HEADLINES),
        ],
    )
    shop.write_notebook(
        folder / "two.ipynb",
        [shop.code("assert top == 3 and steps == ['view', 'call']"), shop.code(shop.SHOWN)],
        needs=("one",),
    )
    shop.write_shop(folder, "two", "one")
    return folder


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def report(folder, said):
    project = read_project(folder / "journey.toml")
    return run_report(project, output=folder / "reports", say=said.append)


def page(report, name):
    return (report.folder / name).read_text(encoding="utf-8")


PAGES = [f"{language}/{name}.html" for language in ("en", "ja") for name in ("index", "one", "two")]


def test_a_run_is_laid_out_as_documented(report, folder):
    found = sorted(
        str(path.relative_to(report.folder)) for path in report.folder.rglob("*") if path.is_file()
    )
    tables = ["one-1-table.csv", "one-2-table.csv", "two-1-table.csv"]
    assert found == sorted(
        [*PAGES, "index.html", "manifest.json", *(f"tables/{name}" for name in tables)]
    )
    assert report.folder.parent == folder / "reports" / "shop"
    assert (folder / "reports" / "shop" / "latest").resolve() == report.folder.resolve()
    assert not list(report.folder.parent.glob(".*"))


def test_both_languages_come_from_one_execution(report, folder):
    assert (folder / "ran.txt").read_text(encoding="utf-8") == "ran\n"
    assert "English prose." in page(report, "en/one.html")
    assert "日本語の文章。" not in page(report, "en/one.html")
    assert "日本語の文章。" in page(report, "ja/one.html")
    assert "English prose." not in page(report, "ja/one.html")
    assert "Viewed" in page(report, "en/one.html")
    assert "Viewed" not in page(report, "ja/one.html")
    assert "閲覧した" in page(report, "ja/one.html")


def test_a_notebook_runs_after_those_it_needs(report, said):
    names = [line.split()[0] for line in said]
    assert names == ["shop:", "preparing", "log", "one", "one", "two", "two"]
    assert said[3].endswith("started")
    assert re.search(r"\d s$", said[4])


class Page(HTMLParser):
    """What a page refers to, and what it holds of scripts."""

    def __init__(self, html):
        super().__init__()
        self.links, self.loaded, self.scripts, self.ids = [], [], [], []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif "src" in given or (tag in ("link", "use") and "href" in given):
            self.loaded.append((tag, given.get("src") or given.get("href")))
        assert not [name for name in given if name.startswith("on")]
        self.ids += [given["id"]] if "id" in given else []
        self._in_script = tag == "script"

    def handle_data(self, data):
        if self._in_script:
            self.scripts.append(data)
            self._in_script = False


@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_alone(report, name):
    html = page(report, name)
    read = Page(html)
    assert not read.loaded
    assert len(read.scripts) == 1
    assert not re.findall(r"url\((?!#|data:)", html)
    assert "default-src 'none'" in html
    assert len(html.encode()) < 3_000_000
    for link in read.links:
        target = (report.folder / name).parent / link.split("#")[0] if link[0] != "#" else None
        assert target is None or target.exists(), link
        assert target or link[1:] in read.ids, link
    assert len(read.ids) == len(set(read.ids))


def test_the_policy_lets_the_one_script_run(report):
    import base64
    import hashlib

    html = page(report, "en/one.html")
    digest = base64.b64encode(hashlib.sha256(Page(html).scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


def test_hostile_text_is_shown_and_not_run(report):
    for name in PAGES:
        assert shop.HOSTILE not in page(report, name)
        assert "<b>Cake" not in page(report, name)
    assert "&lt;script&gt;alert(1)" in page(report, "en/one.html")
    assert "Tea &amp; &lt;b&gt;Cake&lt;/b&gt;" in page(report, "en/index.html")


def test_what_only_a_person_needs_is_left_out(report):
    html = page(report, "en/one.html")
    assert "ZeroDivisionError" not in html
    assert "a warning that no reader wants" not in re.sub(
        r"(?s)<div class=. ?highlight.*?</div>", "", html
    )
    assert "a plain line" in html
    assert "How to read it." in html
    assert "Exercises" not in html
    assert "演習" not in page(report, "ja/one.html")


def test_headline_figures_stand_at_the_top_and_not_in_a_section(report):
    html = page(report, "en/one.html")
    assert html.index("+50.0%") < html.index("English prose.")
    assert "Headline section" not in html
    assert "hidden" in html  # two people are fewer than five
    assert "25.0%" not in html
    assert "+50.0%" in page(report, "en/index.html")


def test_contents_link_to_each_section(report):
    html = page(report, "ja/one.html")
    assert html.count('href="#s1">どのイベントか') == 2  # beside the page, and on a phone
    assert html.count('href="#s2">どのイベントか') == 2
    assert '<h2 id="s2">どのイベントか</h2>' in html


def test_pages_carry_one_font_cut_to_what_they_say(report):
    assert page(report, "en/two.html").count("@font-face") >= 1
    assert '@font-face{font-family:"IPAexGothic"' in page(report, "ja/two.html")
    assert len(page(report, "ja/two.html")) < 200_000


def test_pages_say_what_became_of_the_rows(report):
    assert "5 rows came from the sources: 100.0% clean, 0.0% set aside" in page(
        report, "en/one.html"
    )
    assert "取り込んだ 5 行の内訳" in page(report, "ja/index.html")


def test_the_overview_says_what_cannot_be_answered_and_why(report):
    assert "One order is too few." in page(report, "en/index.html")
    assert "注文が1件では足りません。" in page(report, "ja/index.html")
    assert "顧客生涯価値" in page(report, "ja/index.html")


def test_the_manifest_says_what_the_run_was_made_of(report, folder):
    manifest = json.loads(page(report, "manifest.json"))
    assert manifest == json.loads(json.dumps(report.manifest, default=str))
    assert manifest["as_of"] == "2026-04-01"
    assert manifest["is_complete"]
    assert [notebook["name"] for notebook in manifest["notebooks"]] == ["one", "two"]
    one = manifest["notebooks"][0]
    assert one["parameters"]["top"] == "3"
    assert one["headlines"][0]["value"] == 3
    assert one["headlines"][1]["value"] is None
    assert one["tables"][0]["rows"] == 3
    rows = {(row["source"], row["table"]): row for row in manifest["ledgers"]["rows"]}
    assert rows["web", "events"]["made"] == 4
    assert rows["web", "events"]["clean"] == 4
    assert sum(record["read"] for record in manifest["ledgers"]["records"]) == 5
    assert str(folder) not in page(report, "manifest.json")
    assert {"python", "duckdb", "pandas"} <= set(manifest["versions"])


def test_no_page_names_a_folder_of_the_machine(report, folder):
    for path in report.folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        seen = re.sub("<[^>]*>", "", text)
        assert str(folder.parent) not in re.sub(r"os\.chdir.*", "", seen)


def test_tables_are_csv_that_spreadsheets_read(report):
    raw = (report.folder / "tables" / "one-1-table.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert {row["event"]: row["customers"] for row in rows}["view"] == "2"


def test_the_front_page_leads_to_the_first_language_and_offers_both(report):
    html = page(report, "index.html")
    assert 'data-languages="ja en"' in html
    assert 'href="ja/index.html"' in html
    assert 'href="en/index.html"' in html


@needs_chromium
def test_a_browser_without_network_shows_every_page_in_silence(report):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(**LAUNCH)
        context = browser.new_context(offline=True, locale="en-GB")
        tab = context.new_page()
        asked, wrong = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        for name in PAGES:
            address = (report.folder / name).as_uri()
            asked.clear()
            tab.goto(address)
            assert [url for url in asked if not url.startswith("data:")] == [address]
        tab.goto((report.folder / "en/one.html").as_uri())
        cell = tab.locator(".jp-CodeCell .jp-Cell-inputWrapper").last
        assert not cell.is_visible()
        tab.get_by_role("button", name="Code").click()
        assert cell.is_visible()
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.get_by_role("link", name="日本語").click()
        assert tab.url.endswith("/ja/one.html")
        tab.goto((report.folder / "index.html").as_uri())
        tab.wait_for_url("**/en/index.html")
        browser.close()
    assert wrong == []


def test_only_runs_what_is_named_and_needed_and_leaves_latest(folder, report):
    project = read_project(folder / "journey.toml")
    again = run_report(
        project,
        only=["one"],
        languages=["en"],
        settings={"one.top": "1"},
        output=folder / "reports",
        jobs=1,
    )
    assert [notebook["name"] for notebook in again.manifest["notebooks"]] == ["one"]
    assert again.manifest["notebooks"][0]["tables"][0]["rows"] == 1
    assert not again.manifest["is_complete"]
    assert not (again.folder / "ja").exists()
    latest = folder / "reports" / "shop" / "latest"
    assert latest.resolve() == report.folder.resolve()
    assert {run["run"] for run in read_runs(latest.parent)} == {
        report.folder.name,
        again.folder.name,
    }
    assert f"../../{report.folder.name}/index.html" in page(again, "en/index.html")
    japanese = run_report(project, only=["one"], languages=["ja"], output=folder / "reports")
    home = page(japanese, "ja/index.html")
    assert f"../../{again.folder.name}/index.html" in home
    assert "データは前回と同じです。" in home
    assert "設定値が変わったため比較していないレポート：one" in home


def test_a_target_stands_on_the_card_and_an_unknown_one_is_refused(folder, report):
    project = read_project(folder / "journey.toml")
    aimed = dataclasses.replace(
        project, report=project.report.model_copy(update={"targets": {"customers": 4}})
    )
    run = run_report(aimed, only=["one"], languages=["en"], output=folder / "reports")
    assert "Target 4 <b>✗ missed</b>" in page(run, "en/one.html")
    assert run.manifest["notebooks"][0]["headlines"][0]["target"] == 4
    missing = project.report.model_copy(update={"targets": {"custumers": 4}})
    with pytest.raises(CjkitError, match="Did you mean 'customers'"):
        run_report(dataclasses.replace(project, report=missing), output=folder / "reports")


def test_failures_name_notebook_cell_and_cause_and_keep_the_last_report(folder, report):
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    ours = "from cjkit.checks import CjkitError\nraise CjkitError('step is not there.')"
    for name, cell in {
        "ours": ours,
        "theirs": "value = {}\nvalue['missing']",
        "killed": kill,
        "after": "pass",
    }.items():
        needs = ("ours",) if name == "after" else ()
        shop.write_notebook(
            folder / f"{name}.ipynb",
            [shop.code("1 / 0", "exercise"), shop.code(cell)],
            needs=needs,
            opens=False,
        )
    path = folder / "broken.toml"
    named = ", ".join(f'"./{name}.ipynb"' for name in ("ours", "theirs", "killed", "after"))
    path.write_text(shop.PROJECT.replace("NOTEBOOKS", named), encoding="utf-8")
    latest = folder / "reports" / "shop" / "latest"
    before = sorted(latest.parent.iterdir())
    with pytest.raises(CjkitError) as failure:
        run_report(read_project(path), output=folder / "reports", jobs=2)
    told = str(failure.value)
    assert told.startswith("4 of 4 notebooks failed, and nothing was published.")
    assert "ours failed in code cell 4:\n    from cjkit.checks" in told
    assert "\n    step is not there." in told
    assert "Traceback" not in told
    assert "theirs failed in code cell 4:\n    value = {} …\n    KeyError: 'missing'" in told
    assert "killed failed in code cell 4:" in told
    assert "killed by signal 9" in told
    assert "after did not run: it needs ours." in told
    assert sorted(latest.parent.iterdir()) == before
    assert latest.resolve() == report.folder.resolve()


def test_a_cell_that_takes_too_long_is_ended(tmp_path):
    shop.write_shop(tmp_path, "slow")
    cells = [shop.code("import time\ntime.sleep(600)")]
    shop.write_notebook(tmp_path / "slow.ipynb", cells, opens=False)
    project = read_project(tmp_path / "journey.toml")
    with pytest.raises(CjkitError) as failure:
        run_report(project, output=tmp_path / "reports", cell_timeout=2)
    assert "slow failed in code cell 3:\n    import time …" in str(failure.value)
    assert "took longer than 2 seconds" in str(failure.value)
    assert list((tmp_path / "reports" / "shop").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": {"topp": "3"}}, "parameter 'topp' is not in one or two. Did you mean 'top'"),
        ({"settings": {"one.stepz": "a"}}, "Did you mean 'steps'"),
        ({"settings": {"three.top": "1"}}, "notebook 'three' is not in this run"),
        ({"settings": {"top": "many"}}, "must be of type int"),
        ({"settings": {"project": "x"}}, "given as the first argument"),
        ({"settings": {"as_of": "2026-01-01"}}, "given as --as-of"),
        ({"only": ["onw"]}, "Did you mean 'one'"),
        ({"only": ["04_lifetime_value"]}, "One order is too few"),
        ({"jobs": 0}, "must be 1 or more"),
    ],
)
def test_what_is_unknown_is_refused_before_anything_runs(folder, tmp_path, options, message):
    project = read_project(folder / "journey.toml")
    with pytest.raises(CjkitError, match=re.escape(message)):
        run_report(project, output=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_circle_of_needs_is_refused(tmp_path):
    shop.write_shop(tmp_path, "one", "two")
    shop.write_notebook(tmp_path / "one.ipynb", [], needs=("two",))
    shop.write_notebook(tmp_path / "two.ipynb", [], needs=("one",))
    with pytest.raises(CjkitError, match="one → two → one"):
        run_report(read_project(tmp_path / "journey.toml"), output=tmp_path / "reports")


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    shop.write_shop(tmp_path, "one")
    (tmp_path / "one.ipynb").write_text("not a notebook", encoding="utf-8")
    with pytest.raises(CjkitError, match=r"one\.ipynb is no notebook"):
        run_report(read_project(tmp_path / "journey.toml"), output=tmp_path / "reports")


def test_latest_is_a_page_where_links_cannot_be_made(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError

    (tmp_path / "run-1").mkdir()
    monkeypatch.setattr(Path, "symlink_to", refuse)
    point_latest(tmp_path, "run-1")
    assert "../run-1/index.html" in (tmp_path / "latest" / "index.html").read_text("utf-8")
    monkeypatch.undo()
    point_latest(tmp_path, "run-1")
    assert (tmp_path / "latest").resolve() == tmp_path / "run-1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_child_and_no_half_report(tmp_path, number):
    shop.write_shop(tmp_path, "one")
    pid = tmp_path / "pid"
    tell = f"import os, pathlib\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    sleep = f"{tell}\nimport time; time.sleep(90)"
    shop.write_notebook(tmp_path / "one.ipynb", [shop.code(sleep)], opens=False)
    run = subprocess.Popen(
        [sys.executable, "-m", "cjkit", "report", "journey.toml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stderr=subprocess.PIPE,
        text=True,
        # Tests that were started in the background ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    for _ in range(600):
        if run.poll() is not None or (pid.exists() and pid.read_text()):
            break
        time.sleep(0.1)
    run.send_signal(number)
    try:
        _, told = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == 128 + number
    assert "interrupted; nothing half-made was left" in told
    assert "Traceback" not in told
    assert list((tmp_path / "reports" / "shop").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
