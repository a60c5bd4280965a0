"""Words: complete in both languages, with the same places to fill, and used."""

import ast
import datetime
import re
from pathlib import Path

from cjkit import labels

ROOT = Path(__file__).parent.parent


def places(wording):
    return sorted(re.findall(r"\{(\w+)", wording))


def test_every_word_stands_in_both_languages_with_the_same_places():
    for term, wording in labels.terms().items():
        assert set(wording) == {"en", "ja"}, term
        assert all(words.strip() for words in wording.values()), term
        assert places(wording["en"]) == places(wording["ja"]), term


def test_japanese_words_are_japanese():
    """A wording without one Japanese letter may only be figures, signs or a name."""
    allowed = re.compile(
        r"[\W\d_]*((BG|MBG)/NBD|Gamma-Gamma|RFM|NPS|CSAT|CES|SQL|CSV|n|R|F|M|p)?[\W\d_]*"
    )
    japanese = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
    for term, wording in labels.terms().items():
        bare = re.sub(r"\{\w+[^}]*\}", "", wording["ja"])
        assert japanese.search(bare) or allowed.fullmatch(bare), (term, wording["ja"])


def test_the_names_of_a_project_come_before_the_kits_own():
    labels.set_names({"event": {"view": {"en": "Viewed", "ja": "見た"}}})
    assert labels.display_name("view", "event", "ja") == "見た"
    assert labels.display_name("purchase", "event", "ja") == "購入"
    assert labels.display_name("x_custom", "event", "ja") == "x_custom"
    assert labels.display_name(None, "event", "ja") == "（不明）"


def test_figures_are_written_as_the_language_writes_them():
    labels.set_currency("GBP")
    assert labels.format_money(-1234.5, "en") == "-£1,234.50"
    assert labels.format_money(float("nan"), "en") == "–"
    assert labels.format_percent(0.05, "ja", digits=0) == "5%"
    assert labels.format_date(datetime.date(2026, 1, 2), "en") == "2 Jan 2026"
    assert labels.format_duration(5_400_000_000, "ja") == "1.5時間"


def test_every_word_is_used():
    """A term stands as text in the package or a notebook, whole or as its kind (`stage.purchase`).

    Terms that are put together hold a part of such a text: f"rule_{name}".
    """
    spoken: set[str] = set()
    parts: set[str] = set()
    for path in [*ROOT.glob("cjkit/**/*.j2"), *ROOT.glob("notebooks/*.ipynb")]:
        spoken |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    for path in ROOT.glob("cjkit/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                spoken |= set(re.findall(r"\w+", node.value))
            elif isinstance(node, ast.JoinedStr):
                texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
                parts |= {text for text in texts if re.fullmatch(r"[a-z_.]{3,}", str(text))}
    unused = [
        term
        for term in labels.terms()
        if term.split(".")[0] not in spoken and not any(part in term for part in parts)
    ]
    assert not unused
