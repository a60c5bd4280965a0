"""The pages of the sample company: whatever its data hold reads well in the reader's language."""

import re
from html import unescape

import pytest
from small_company import shared_company

from cjkit.cleansing import open as open_log
from cjkit.events import CONTRACT
from cjkit.labels import terms

pytestmark = pytest.mark.slow

KINDS = {
    "event": ("events", "event"),
    "touchpoint": ("events", "touchpoint"),
    "channel": ("events", "channel"),
    "stage": ("events", "stage"),
    "device": ("events", "device"),
    "category": ("orders", "category"),
    "metric": ("feedback", "metric"),
}
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
CODE = re.compile(
    r"<(style|script|code|pre|title)\b.*?</\1>|<details class=.settings.*?</details>", re.S
)
MEANT = {"customer_id", "n"} | {"r", "alpha", "a", "b", "p", "q", "v"}  # of models, as in papers


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return shared_company(tmp_path_factory)


@pytest.fixture(scope="module")
def values(company):
    """The values of the company's data, by what they are."""
    log = open_log(company.project)
    found = {}
    for kind, (table, name) in KINDS.items():
        found[kind] = set(getattr(log, table).values(name))
    found["channel"] |= set(log.customers.values("acquired_channel"))
    return log.project, found


def cells(page):
    """Return the single texts of a page: cells, heads, labels of pictures, sentences."""
    html = CODE.sub(" ", page.read_text(encoding="utf-8"))
    return {unescape(text).strip() for text in re.findall(r">([^<>]+)<", html)}


def test_every_value_of_the_data_has_a_name_in_both_languages(values):
    project, found = values
    missing = [
        f"names.{kind}.{value}"
        for kind, known in found.items()
        for value in sorted(known)
        if not {"en", "ja"} <= set(project.names.get(kind, {}).get(value, {}))
        and f"{kind}.{value}" not in terms()
    ]
    assert not missing


def test_no_name_is_of_a_value_that_nothing_has(values):
    project, found = values
    declared = {"event": project.events, "touchpoint": project.touchpoints}
    unused = [
        f"names.{kind}.{value}"
        for kind, known in found.items()
        for value in project.names.get(kind, {})
        if value not in known and value not in declared.get(kind, ())
    ]
    assert not unused


def test_no_raw_value_and_no_raw_column_is_left_on_a_japanese_page(company, values):
    raw = {value for known in values[1].values() for value in known}
    meant = {name for table in CONTRACT.values() for name in table.columns}
    meant |= MEANT
    left = {
        (page.stem, text)
        for page in sorted((company.report / "ja").glob("*.html"))
        for text in cells(page)
        if text not in meant and (text in raw or re.fullmatch(r"[a-z_]+|\(missing\)", text))
    }
    assert not left


def test_no_english_sentence_is_left_on_a_japanese_page(company):
    sentence = re.compile(r"(?:\b[A-Za-z']+\b[ ,]+){2,}[A-Za-z']+\b")
    for page in sorted((company.report / "ja").glob("*.html")):
        html = CODE.sub(" ", page.read_text(encoding="utf-8"))
        # What customers and colleagues wrote stands in their own language, in the map's table too.
        own = set(re.findall(r'<q>(.*?)</q>|<div class="cjm-comment">.*?<span>(.*?)<', html))
        own = {words for pair in own for words in pair}
        said = re.findall(r'>([^<>]+)<|\b(?:title|aria-label|alt|placeholder)="([^"]*)"', html)
        said = {text for pair in said for text in pair} - own
        assert not [text for text in said if sentence.search(unescape(text))], page


def test_titles_heads_and_prose_of_an_english_page_are_english(company):
    for page in sorted((company.report / "en").glob("*.html")):
        html = CODE.sub(" ", page.read_text(encoding="utf-8"))
        spoken = re.findall(r"<(?:h[1-3]|th|summary|dt|li|p)\b[^>]*>(.*?)</", html, re.S)
        # What customers wrote stands in quotes, in their language.
        left = [text for text in spoken if JAPANESE.search(re.sub("<[^>]+>|“[^”]*”", "", text))]
        assert not left, page
