"""The pages of the sample company in a browser: readable by all, on paper and on a phone."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import LAUNCH, needs_chromium
from playwright.sync_api import sync_playwright
from small_company import shared_company

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a report in both languages."""
    found = sorted(shared_company(tmp_path_factory).report.glob("*/*.html"))
    assert len(found) > 10
    return found


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        found = driver.chromium.launch(**LAUNCH)
        yield found
        found.close()


@pytest.mark.parametrize(
    ("scheme", "rules"),
    # Dark, a page differs in its colours alone.
    [("light", {}), ("dark", {"runOnly": ["color-contrast"]})],
)
def test_no_rule_of_accessibility_is_broken(browser, pages, scheme, rules):
    tab = browser.new_context(offline=True, color_scheme=scheme).new_page()
    broken = []
    for page in pages:
        tab.goto(page.as_uri())
        found = Axe().run(tab, options={"resultTypes": ["violations"], **rules})
        for violation in found.response["violations"]:
            where = [node["target"] for node in violation["nodes"]]
            broken.append((str(page.relative_to(page.parents[1])), violation["help"], where[:3]))
    assert broken == []


def test_pages_are_small_and_fit_every_width(browser, pages):
    tab = browser.new_context(offline=True).new_page()
    for page in pages:
        assert page.stat().st_size < 3_000_000
        tab.goto(page.as_uri())
        for width in (1280, 768, 390):
            tab.set_viewport_size({"width": width, "height": 900})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, page


def test_every_picture_says_what_it_shows(browser, pages):
    tab = browser.new_context(offline=True).new_page()
    for page in pages:
        tab.goto(page.as_uri())
        for picture in tab.locator(".cj-picture > svg").all():
            assert picture.get_attribute("role") == "img"
            assert len(picture.get_attribute("aria-label")) > 10


def test_the_overview_is_one_sheet_of_paper(browser, pages):
    tab = browser.new_context(offline=True).new_page()
    for page in (page for page in pages if page.stem == "index"):
        tab.goto(page.as_uri())
        sheets = re.findall(rb"/Type\s*/Page\b(?!s)", tab.pdf(prefer_css_page_size=True))
        assert len(sheets) == 1
