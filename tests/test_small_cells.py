"""A report on 300 customers: no figure of it speaks of fewer people than the project allows."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from small_company import CUSTOMERS, make_company, shared_company, shown_results

from cjkit import labels, privacy
from cjkit.labels import format_duration, format_money, format_number, format_percent, format_signed
from cjkit.project import read_project
from cjkit.report.show import render

pytestmark = pytest.mark.slow

SMALLEST = 5

# Whole numbers that do not count people: places, days, and the rows of the gate.
NOT_PEOPLE = {
    *(
        "longest_silence",
        "from_day",
        "payback_months",
        "month_no",
        "value_tier",
        "groups",
        "type",
        "p_value",
        "performance_high",
    ),
    *("step_number", "step", "period_no", "decile", "repeats", "days_since_last", "record_no"),
    *("recency_score", "frequency_score", "shift_hours", "in_scope", "failing", "previous"),
    *("read", "mapped", "filtered", "unreadable", "records", "made", "clean", "quarantined"),
    *("merged", "later", "rows", "decided", "amount", "visits", "people_before", "people_after"),
    *(
        "files",
        "silent_days",
        "usual_days",
        "days",
        "before",
        "after",
        "keys",
        "super_keys",
        "attached",
        "undecided",
    ),
}
FOLLOWED = re.compile(r"n\s*=\s*[1-4](?![\d,.])")


class Words(HTMLParser):
    """All that a reader sees, hears or points at: text and descriptions, by section of a result."""

    SPOKEN = ("alt", "title", "aria-label", "aria-valuetext")

    def __init__(self, html):
        super().__init__()
        self.sections, self._own, self._silent = {}, None, 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "cj-result" in (given.get("class") or ""):
            self._own = self.sections.setdefault(given["id"], [])
        self._silent += tag in ("style", "script", "pre")
        if self._own is not None:
            self._own += [
                value
                for name, value in attributes
                if value and (name in self.SPOKEN or name.startswith("data-"))
            ]

    def handle_endtag(self, tag):
        self._silent -= tag in ("style", "script", "pre")

    def handle_data(self, data):
        if self._own is not None and not self._silent and data.strip():
            self._own.append(data)


def small_counts(table):
    """Return the counts of people from 1 to 4 in a table, as (column, row, value)."""
    found = []
    for name in table.columns:
        if name in NOT_PEOPLE or not pd.api.types.is_numeric_dtype(table[name]):
            continue
        numbers = pd.to_numeric(table[name]).to_numpy(float, na_value=np.nan)
        known = numbers[~np.isnan(numbers)]
        if re.search(r"_(rate|share)(_low|_high)?$", name) and known.max(initial=0) <= 1:
            continue  # a rate or its limit, even where all of them are 1
        if not pd.api.types.is_bool_dtype(table[name]) and (known % 1 == 0).all():
            found += [
                (name, row, value) for row, value in enumerate(numbers) if 0 < value < SMALLEST
            ]
    return found


def ways_to_write(value, language):
    """Return how a page may write a figure: long enough not to be met by chance."""
    if isinstance(value, bool | np.bool_ | str) or not np.isscalar(value) or pd.isna(value):
        return set()
    if not isinstance(value, int | float | np.number):
        return set()
    value = float(value)
    decimals = (0,) if value.is_integer() else (1, 2, 3)
    written = {format_number(value, language, digits=digits) for digits in decimals}
    written |= {format_percent(value, language, digits=digits) for digits in (0, 1, 2)}
    written |= {format_money(value, language), format_duration(value, language)}
    if 0 <= value < 0.001:  # a p-value reads <0.001
        written.add(format_number(0.001, language, digits=3))
    written |= {format_signed(value, language), format_signed(100 * value, language, digits=1)}
    return {text for text in written if sum(letter.isdigit() for letter in text) >= 3}


def hidden_words(exact, masked, language):
    """Return how the hidden figures of a table would read, but for what visible ones say too."""
    hidden, seen = set(), set()
    for name in exact.columns:
        for value, left in zip(exact[name], masked[name], strict=True):
            is_hidden = (
                np.isscalar(value) and pd.notna(value) and np.isscalar(left) and pd.isna(left)
            )
            (hidden if is_hidden else seen).update(ways_to_write(value, language))
    return hidden - seen


def said_of(words, said):
    """Return which of `words` stand in what is said, as whole figures."""
    text = "\n".join(said)
    found = [word for word in words if word in text]
    ends = r"(?![\d%]|[.,]\d)"
    return [word for word in found if re.search(rf"(?<![\d.,-]){re.escape(word)}{ends}", text)]


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return shared_company(tmp_path_factory)


@pytest.fixture(scope="module")
def exact(company):
    return shown_results(company)


@pytest.fixture(autouse=True)
def reader(company):
    """Words are written as the company's pages write them."""
    project = read_project(company.project)
    assert project.privacy.min_cell == SMALLEST
    labels.set_names(project.names)
    labels.set_currency(project.project.currency)


def shown_tables(company, exact):
    """Give each result that has a file of its own, its key on the page, and that file's table."""
    for notebook, results in exact.items():
        number = 0
        for place, (result, has_table) in enumerate(results, start=1):
            table = getattr(result, "table", None)
            if not has_table or table is None or table.empty:
                continue
            number += 1
            (path,) = (company.report / "tables").glob(f"{notebook}-{number}-*.csv")
            yield notebook, f"r{place}", result, pd.read_csv(path)


def test_no_file_holds_a_small_count(company, exact):
    files = shown = small = 0
    for _, _, result, written in shown_tables(company, exact):
        files += 1
        small += len(small_counts(result.table))
        assert small_counts(written) == [], type(result).__name__
        figures = [name for name in written if pd.api.types.is_numeric_dtype(result.table[name])]
        for name in figures:
            seen = written[name].notna().to_numpy()
            # A comparison is made again of what is left of its sides.
            true = privacy.mask(result).table if hasattr(result, "remade") else result.table
            both = (table.loc[seen, name].to_numpy(float) for table in (written, true))
            np.testing.assert_allclose(*both, err_msg=f"{type(result).__name__} {name}")
            shown += seen.sum()
    assert files == len(list((company.report / "tables").glob("*.csv")))
    # The company is small enough for the test to mean something, and the files are not empty.
    assert small > CUSTOMERS
    assert shown > 10 * CUSTOMERS


def test_no_page_says_a_hidden_figure(company, exact):
    sought = 0
    for language in ("en", "ja"):
        pages = {
            notebook: Words((company.report / language / f"{notebook}.html").read_text("utf-8"))
            for notebook in exact
        }
        for notebook, key, result, written in shown_tables(company, exact):
            said = pages[notebook].sections[key]
            assert not FOLLOWED.search("\n".join(said)), (notebook, key)
            words = hidden_words(result.table, written, language)
            sought += len(words)
            assert said_of(words, said) == [], (notebook, key, type(result).__name__)
    assert sought > 10 * CUSTOMERS


def test_the_manifest_names_no_small_number_of_people(company):
    manifest = json.loads((company.report / "manifest.json").read_text("utf-8"))
    headlines = [figure for each in manifest["notebooks"] for figure in each["headlines"]]
    assert len(headlines) > 10
    for figure in headlines:
        if figure["is_masked"]:
            assert figure["value"] is figure["n"] is figure["low"] is figure["previous"] is None
        assert not 0 < (figure["n"] or 0) < SMALLEST, figure
    findings = [words for each in manifest["notebooks"] for words in each["findings"]]
    assert len(findings) > 20
    assert not [said for words in findings for said in words.values() if FOLLOWED.search(said)]
    for row in manifest["ledgers"]["rows"]:
        for fate in ("withheld", "retracted", "erased"):
            assert not 0 < (row[fate] or 0) < SMALLEST, row


def test_the_search_finds_what_an_unmasked_page_says(company, exact):
    """Without masking the same search fails, so that it does not pass by looking past things."""
    privacy.set_min_cell(0)
    met = 0
    for _, key, result, written in shown_tables(company, exact):
        if type(result).__name__ not in ("Transitions", "Touchpoints", "SegmentGrid", "PainPoints"):
            continue
        said = Words(render(result, "en", key=key)).sections[key]
        met += len(said_of(hidden_words(result.table, written, "en"), said))
    assert met > 100


@pytest.mark.long
@pytest.mark.parametrize("customers", [100, 1000])
def test_companies_of_other_sizes(tmp_path, customers):
    company = make_company(tmp_path, customers)
    exact = shown_results(company)
    for _, _, result, written in shown_tables(company, exact):
        assert small_counts(written) == [], type(result).__name__
