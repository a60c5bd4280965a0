import json
import re
from html import escape
from pathlib import Path

import pytest
import report_shop as shop
from browser import needs_chromium
from PIL import Image

from cjkit.checks import CjkitError
from cjkit.funnel import measure_funnel
from cjkit.privacy import mask
from cjkit.project import read_project
from cjkit.report.paper import BROWSER, find_browser, print_pdf, save_result
from cjkit.report.run import run_report


@pytest.fixture
def no_browser(monkeypatch, tmp_path):
    monkeypatch.delenv(BROWSER, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def result(event_log):
    return measure_funnel(event_log("ann: view 0h, buy 1h\nbob: view 0h"), ["view", "buy"])


def sheets(pdf):
    found = pdf.read_bytes()
    assert found.startswith(b"%PDF-")
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", found))


def test_without_a_browser_nothing_runs_and_the_message_says_what_to_do(tmp_path, no_browser):
    shop.write_notebook(tmp_path / "one.ipynb", [])
    project = read_project(shop.write_shop(tmp_path, "one"))
    with pytest.raises(CjkitError, match="Install one, or name its program in the variable"):
        run_report(project, output=tmp_path / "reports", pdf=True)
    assert not (tmp_path / "reports").exists()


def test_the_browser_that_is_named_is_the_one(tmp_path, no_browser, monkeypatch):
    program = tmp_path / "my-browser"
    program.write_text("#!/bin/sh\necho no display >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv(BROWSER, str(program))
    assert find_browser() == str(program)
    with pytest.raises(CjkitError, match=r"page\.pdf was not made: .* ended with 3\. no display"):
        print_pdf(tmp_path / "page.html", tmp_path / "page.pdf")
    monkeypatch.setenv(BROWSER, str(tmp_path / "other"))
    with pytest.raises(CjkitError, match=r"CJKIT_BROWSER='.*other'"):
        find_browser()


def test_a_result_is_saved_as_a_page_that_asks_nobody(tmp_path, result):
    page = save_result(result, tmp_path / "funnel.html", language="ja").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "@font-face" in page
    assert escape(mask(result).finding("ja")) in page
    with pytest.raises(CjkitError, match=r"'\.gif' must be one of"):
        save_result(result, tmp_path / "funnel.gif")


@needs_chromium
@pytest.mark.slow
def test_a_result_is_saved_as_a_picture_and_on_one_sheet(tmp_path, result):
    sheet = save_result(result, tmp_path / "funnel.pdf")
    assert sheets(sheet) == 1
    with Image.open(save_result(result, tmp_path / "funnel.png")) as picture:
        corner, inks = picture.getpixel((0, 0)), len(picture.getcolors(1 << 20))
        assert picture.height < picture.width
    assert corner == (255, 255, 255)
    assert inks > 10


@needs_chromium
@pytest.mark.slow
def test_each_page_of_a_report_is_printed_beside_it(tmp_path):
    shop.write_notebook(tmp_path / "one.ipynb", [shop.code(shop.SHOWN)])
    project = read_project(shop.write_shop(tmp_path, "one"))
    report = run_report(project, output=tmp_path / "reports", pdf=True)
    listed = json.loads((report.folder / "manifest.json").read_text(encoding="utf-8"))["pdf"]
    assert listed == ["ja/index.pdf", "ja/one.pdf", "en/index.pdf", "en/one.pdf"]
    for name in listed:
        assert sheets(report.folder / name) >= 1
        page = (report.folder / name).with_suffix(".html").read_text(encoding="utf-8")
        assert f'href="{Path(name).name}"' in page
