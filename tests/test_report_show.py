import json
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text

from cjkit import labels, privacy
from cjkit.checks import CjkitError
from cjkit.plots.theme import lay_out, theme
from cjkit.report import cards
from cjkit.report.show import HEADLINE, headline, render, show, write_csv
from cjkit.report.tables import write_table

HOSTILE = "<script>alert(1)</script>"


@dataclass(frozen=True)
class TouchpointCount:
    """A small result, as analyses make them."""

    table: pd.DataFrame
    sql: tuple[str, ...] = ()
    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": ("return_rate",)}

    def finding(self, language):
        return {"en": f"Most go to {self.table['touchpoint'].iloc[0]}.", "ja": "最多の接点です。"}[
            language
        ]

    def plot(self, *, ax=None, language="en"):
        ax = ax if ax is not None else plt.gca()
        ax.barh(self.table["touchpoint"], self.table["customers"])
        ax.set_xlabel(labels.label("customers", language))
        return ax


@pytest.fixture
def result():
    return TouchpointCount(
        pd.DataFrame(
            {
                "touchpoint": [HOSTILE, "store"],
                "customers": [1200, 3],
                "return_rate": [0.25, 0.5],
                "return_rate_low": [0.2, np.nan],
                "return_rate_high": [0.3, np.nan],
            }
        ),
        sql=("select *\n            from events\n            where a < 'b'",),
    )


@pytest.fixture(autouse=True)
def reader():
    """Nothing that a test sets stays for the next one."""
    before = labels.languages(), privacy.min_cell()
    labels.set_languages(("en", "ja"))
    privacy.set_min_cell(5)
    yield
    labels.set_languages(before[0])
    privacy.set_min_cell(before[1])
    labels.set_names({})


@pytest.fixture
def displayed(monkeypatch):
    """Collect what is displayed, as (data, metadata)."""
    seen = []
    monkeypatch.setattr(
        "IPython.display.display",
        lambda data, raw, metadata=None: seen.append((data, metadata or {})),
    )
    return seen


def test_a_report_gets_one_output_for_each_language_and_one_csv(result, displayed, monkeypatch):
    monkeypatch.setenv("CJKIT_REPORT", "1")
    monkeypatch.setenv("CJKIT_LANGUAGES", "en,ja")
    show(result)
    about = [metadata["cjkit"] for _, metadata in displayed]
    assert [each["language"] for each in about] == ["en", "ja"]
    assert [each["name"] for each in about] == ["touchpoint_count"] * 2
    assert about[0]["key"] == about[1]["key"]
    assert about[1]["finding"] == "最多の接点です。"
    assert ["text/csv" in data for data, _ in displayed] == [True, False]
    assert displayed[0][0]["text/csv"].splitlines()[1:] == [
        f"{HOSTILE},1200,0.25,0.2,0.3",
        "store,,,,",
    ]
    assert "顧客数" in displayed[1][0]["text/html"]
    assert "Customers" not in displayed[1][0]["text/html"]


def test_a_run_in_one_language_shows_that_language_alone(result, displayed, monkeypatch):
    monkeypatch.setenv("CJKIT_REPORT", "1")
    monkeypatch.setenv("CJKIT_LANGUAGES", "ja")
    show(result)
    assert [metadata["cjkit"]["language"] for _, metadata in displayed] == ["ja"]


def test_jupyterlab_sees_the_first_language_with_its_style(result, displayed, monkeypatch):
    monkeypatch.delenv("CJKIT_REPORT", raising=False)
    show(result)
    assert len(displayed) == 1
    assert displayed[0][0]["text/html"].startswith("<style>")
    assert "text/csv" not in displayed[0][0]


def test_what_comes_from_data_is_escaped_everywhere(result):
    html = render(result, "en")
    assert HOSTILE not in html
    assert html.count("&lt;script&gt;") >= 4  # sentence, alternative text, drawing, table
    assert "where a &lt; 'b'" in html or "where a &lt; &#x27;b&#x27;" in html


def test_the_picture_is_svg_with_text_and_an_alternative(result):
    html = render(result, "ja", key="r7")
    assert 'role="img" aria-label="最多の接点です。"' in html
    assert "<text" in html
    assert "顧客数</text>" in html
    assert "IPAexGothic" in html
    assert "<style" not in html
    assert "<metadata" not in html
    assert plt.get_fignums() == []


def test_ids_of_two_results_on_a_page_differ(result):
    first, second = (
        set(re.findall(r'\bid="([^"]+)"', render(result, "en", key=key))) for key in ("r1", "r2")
    )
    assert first
    assert not first & second


def test_each_reference_within_a_picture_is_kept(result):
    html = render(result, "en", key="r1")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', html))
    assert used
    assert used <= set(re.findall(r'\bid="([^"]+)"', html))


def test_small_cells_are_hidden_and_say_so(result):
    html = render(result, "en", picture=False)
    assert html.count("hidden</span>") == 2
    assert "50.0%" not in html
    assert "Hidden: figures about fewer than 5 people, and those that" in html


def test_a_missing_figure_is_a_dash_and_not_hidden():
    html = write_table(pd.DataFrame({"step_rate": [np.nan, 0.5]}), "en")
    assert "–" in html
    assert "hidden" not in html


def test_an_interval_stands_beside_its_figure(result):
    html = write_table(result.table, "en")
    assert '25.0% <span class="cj-range">20.0%–30.0%</span>' in html
    assert html.count("<th ") == 3


@pytest.mark.parametrize(
    ("name", "value", "english", "japanese"),
    [
        ("customers", 12345, "12,345", "12,345"),
        ("step_rate", 0.1234, "12.3%", "12.3%"),
        ("revenue", 1234.0, "¥1,234", "¥1,234"),
        ("median_us", 172_800_000_000, "2 days", "2日"),
        ("p_value", 0.0123, "0.012", "0.012"),
        ("p_value_adjusted", 0.0001, "&lt;0.001", "&lt;0.001"),
        ("first_day", pd.Timestamp("2026-10-31"), "31 Oct 2026", "2026年10月31日"),
        ("local_month", pd.Timestamp("2026-10-01"), "2026-10", "2026年10月"),
        ("stage", "purchase", "Purchase", "購入"),
        ("step", "view", "Viewed", "閲覧"),
        ("is_converted", True, "yes", "はい"),
    ],
)
def test_values_are_written_as_the_language_writes_them(name, value, english, japanese):
    labels.set_names({"event": {"view": {"en": "Viewed", "ja": "閲覧"}}})
    labels.set_currency("JPY")
    table = pd.DataFrame({name: [value]})
    assert f">{english}<" in write_table(table, "en")
    assert f">{japanese}<" in write_table(table, "ja")


def test_a_result_may_say_what_a_column_holds():
    table = pd.DataFrame({"index_value": [0.5]})
    assert ">50.0%<" in write_table(table, "en", formats={"index_value": "rate"})


def test_a_long_table_is_cut_and_says_so():
    html = render(pd.DataFrame({"n": range(1000)}), "en")
    assert html.count("<tr>") == 1 + 200
    assert "Table, 1,000 rows (the first 200 are shown" in html


def test_an_empty_result_says_so(result):
    html = render(TouchpointCount(result.table.assign(touchpoint="x").head(1)), "en")
    assert "Nothing to show" not in html

    @dataclass(frozen=True)
    class Empty:
        table: pd.DataFrame

        def finding(self, language):
            return "Nobody left a comment."

    html = render(Empty(pd.DataFrame({"n": []})), "en")
    assert "Nobody left a comment." in html
    assert "Nothing to show here." in html


def test_a_spreadsheet_reads_no_formula():
    pages = ["=cmd()", "@x", "plain", "-5", "-5+cmd()"]
    csv = write_csv(pd.DataFrame({"page": pages, "change": [-1, 2, 3, 4, 5]}))
    assert csv.splitlines() == [
        "page,change",
        "'=cmd(),-1",
        "'@x,2",
        "plain,3",
        "-5,4",
        "'-5+cmd(),5",
    ]


def test_a_headline_is_recorded_as_numbers(displayed, monkeypatch):
    monkeypatch.setenv("CJKIT_REPORT", "1")
    headline("conversion_rate", np.float64(0.14), low=0.13, high=np.nan, n=900, kind="rate")
    recorded = displayed[0][0][HEADLINE]
    assert json.loads(json.dumps(recorded))["value"] == 0.14
    assert recorded["high"] is None
    assert recorded["n"] == 900


@pytest.mark.parametrize(("value", "n"), [(0.5, np.nan), (np.nan, 40)])
def test_a_headline_of_a_masked_result_is_hidden(displayed, monkeypatch, value, n):
    monkeypatch.setenv("CJKIT_REPORT", "1")
    headline("conversion_rate", value, n=n, previous=0.4, kind="rate")
    assert displayed[0][0][HEADLINE]["is_masked"]
    assert displayed[0][0][HEADLINE]["value"] is None


def test_a_headline_says_no_small_number_of_before(displayed, monkeypatch):
    monkeypatch.setenv("CJKIT_REPORT", "1")
    headline("customers", 40, n=40, previous=3, kind="count")
    headline("pain_points_found", 2, previous=3, kind="count")
    assert [data[HEADLINE]["previous"] for data, _ in displayed] == [None, 3]


def test_a_headline_about_few_people_is_hidden(displayed, monkeypatch):
    monkeypatch.setenv("CJKIT_REPORT", "1")
    headline("conversion_rate", 0.5, low=0.2, high=0.8, n=4, previous=0.4, kind="rate")
    recorded = displayed[0][0][HEADLINE]
    assert recorded["is_masked"]
    assert [recorded[name] for name in ("value", "low", "high", "n", "previous")] == [None] * 5
    assert "hidden" in cards.write_card(recorded, "en")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kind": "percent"}, "must be one of"), ({"better": "higher"}, "must be one of")],
)
def test_a_headline_of_no_known_kind_is_refused(options, message):
    with pytest.raises(CjkitError, match=message):
        headline("customers", 1, **options)


def figure(**given):
    names = ("value", "low", "high", "n", "previous", "better", "note")
    return {
        "key": "customers",
        "kind": "count",
        "is_masked": False,
        **dict.fromkeys(names),
        **given,
    }


@pytest.mark.parametrize(
    ("given", "words", "tone"),
    [
        ({"value": 110, "previous": 100, "better": "up"}, "▲ +10.0%", "good"),
        ({"value": 110, "previous": 100, "better": "down"}, "▲ +10.0%", "bad"),
        ({"value": 90, "previous": 100, "better": "up"}, "▼ −10.0%", "bad"),
        ({"value": 90, "previous": 100}, "▼ −10.0%", "even"),
        ({"value": 110, "previous": 100, "better": "up", "low": 103, "high": 117}, "▲", "good"),
        ({"value": 110, "previous": 100, "better": "up", "low": 102, "high": 118}, "▲", "even"),
        ({"value": 90, "previous": 100, "better": "up", "low": 80, "high": 98}, "▼", "even"),
        ({"value": 0.14, "previous": 0.13, "kind": "rate", "better": "up"}, "▲ +1.0 pt", "good"),
    ],
)
def test_a_card_says_how_the_figure_changed(given, words, tone):
    card = cards.write_card(figure(**given), "en")
    assert words in card
    assert f"cj-{tone}" in card


def test_a_card_without_a_figure_before_says_nothing_of_a_change():
    assert "cj-change" not in cards.write_card(figure(value=110), "en")
    assert "cj-change" not in cards.write_card(figure(value=110, previous=0), "en")


@pytest.mark.parametrize(
    ("given", "words", "tone"),
    [
        ({"value": 110, "better": "up"}, "Target 100 <b>✓ met", "good"),
        ({"value": 100, "better": "up"}, "✓ met", "good"),
        ({"value": 90, "better": "up"}, "✗ missed", "bad"),
        ({"value": 110, "better": "down"}, "✗ missed", "bad"),
    ],
)
def test_a_card_says_whether_the_target_is_met(given, words, tone):
    card = cards.write_card(figure(target=100, **given), "en")
    assert words in card
    assert f"cj-target cj-change cj-{tone}" in card


def test_a_figure_with_no_better_side_or_value_is_not_judged():
    for given in ({"value": 110}, {"value": None, "better": "up"}):
        card = cards.write_card(figure(target=100, **given), "ja")
        assert "目標 100" in card
        assert "達" not in card


@pytest.mark.parametrize(
    "words", ["How much more goes wrong than is usual there", "ふだんとの差" * 6]
)
def test_a_title_stays_inside_its_picture_however_long_the_names_are(words):
    with theme("ja"):
        figure, ax = plt.subplots(figsize=(9, 3))
        ax.barh(["a place with a name that is long enough to fill half of the picture"], [1])
        ax.set_title(words)
        lay_out(figure)
        figure.draw_without_rendering()
        shown = next(text for text in ax.findobj(Text) if text.get_text() == words)
        extent = shown.get_window_extent()
    assert 0 <= extent.x0 < extent.x1 <= figure.bbox.x1
