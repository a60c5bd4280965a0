"""Texts that mean the same: one form, from the engine and from Python alike."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjkit.engine import DuckDB
from cjkit.sources import comparable
from cjkit.sources.kanji import NEW_FORMS
from cjkit.sources.mapping import Spelling
from cjkit.sources.texts import make_forms, normal_form


def form(value, normalise, code=None):
    return normal_form(value, Spelling(column="x", normalise=normalise, country_code=code))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("０３−１２３４−５６７８", "+81312345678"),
        ("（０３）１２３４－５６７８", "+81312345678"),
        ("03ー1234ー5678", "+81312345678"),
        ("+81 (0)90-1234-5678", "+819012345678"),
        ("0081 90 1234 5678", "+819012345678"),
        ("9012345678", "+819012345678"),
        ("tel:090-1234-5678", "+819012345678"),
        ("03-1234-5678 内線12", "+81312345678;ext=12"),
        ("03-1234-5678（内線：１２）", "+81312345678;ext=12"),
        ("03-1234-5678 ext. 12", "+81312345678;ext=12"),
        ("+1 650 253 0000", "+16502530000"),
        ("0120-444-444", "+81120444444"),
    ],
)
def test_numbers_that_ring_one_phone_are_one(given, expected):
    assert form(given, "phone", "81") == (expected, True)


@pytest.mark.parametrize(
    ("given", "code", "expected"),
    [
        ("110", "81", ("110", False)),
        ("090-1234-567890123456", "81", ("0901234567890123456", False)),
        ("なし", "81", (None, False)),
        ("+", "81", (None, False)),
        ("03-1234-5678", None, ("0312345678", True)),
        ("+44 20 7946 0018", None, ("+442079460018", True)),
        ("", "81", (None, True)),
    ],
)
def test_what_is_no_number_keeps_its_digits_so_that_nobody_is_lost(given, code, expected):
    assert form(given, "phone", code) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (" Ａｎｎ＠Example.COM ", ("ann@example.com", True)),
        ("ann@xn--wgv71a119e.jp", ("ann@日本語.jp", True)),
        ("ann..lee@docomo.ne.jp", ("ann..lee@docomo.ne.jp", False)),
        ("ann@example", ("ann@example", False)),
        ("ann@a.test", ("ann@a.test", False)),
        ("ann example.com", ("annexample.com", False)),
        ("\u3000", (None, True)),
    ],
)
def test_addresses(given, expected):
    assert form(given, "email") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1234567", ("123-4567", True)),
        ("〒１２３－４５６７", ("123-4567", True)),
        ("123ー4567", ("123-4567", True)),
        ("sw1a 1aa", ("SW1A1AA", True)),
        ("12345-6789", ("12345-6789", True)),
        ("不明", ("不明", False)),
        ("1234567890-1", ("1234567890-1", False)),
    ],
)
def test_postal_codes(given, expected):
    assert form(given, "postal_code") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ｶﾞｽﾃｰﾌﾞﾙ\u00a0 \u3000（大）\u200b", "ガステーブル (大)"),
        ("サ−ビス", "サービス"),
        ("Ａ－１　‐　Ｂ", "A-1 - B"),
        ("一—二", "一—二"),
        ("デ-タ", "デ-タ"),
        ("①㌢\r\n２", "1センチ 2"),
        ("髙橋", "髙橋"),
    ],
)
def test_words(given, expected):
    assert form(given, "text") == (expected, True)


@pytest.mark.parametrize(
    "spellings",
    [
        ("髙橋 一郎", "高橋　一郎", "高橋一郎"),
        ("渡邊", "渡邉", "渡辺"),
        ("山﨑", "山嵜", "山崎"),
        ("𠮷野", "吉野"),
        ("さとう サ-ヤ", "サトウ　サーヤ", "ｻﾄｳ ｻｰﾔ"),
        ("市ヶ谷", "市ケ谷"),
        ("O'Hara Ann", "o'hara ANN"),
    ],
)
def test_names_compare_by_their_new_forms(spellings):
    assert len({comparable(spelling) for spelling in spellings}) == 1


def test_names_that_differ_stay_apart():
    names = ["斉藤", "斎藤", "渡部", "渡辺", "島田", "嶋村", "ハヤシ", "ハヤシー"]
    assert len({comparable(name) for name in names}) == len(names)


def test_forms_of_kanji_are_each_written_once_and_lead_to_the_end():
    assert not set(NEW_FORMS) & set(map(ord, NEW_FORMS.values()))
    assert all(len(new) == 1 and comparable(chr(old)) == new for old, new in NEW_FORMS.items())


RULES = [
    *(("text", None), ("name", None), ("exact", None), ("postal_code", None), ("email", None)),
    *(("phone", code) for code in (None, "81", "1", "44")),
]
DIGITS = st.from_regex(r"\A[0-9]{9,11}\Z")
LIKELY = {
    "phone": st.one_of(
        DIGITS,
        st.from_regex(r"\A(\+81|0081|\(?0)?[0-9]{1,3}\)?[ .-]?[0-9]{3,4}[ .-]{0,2}[0-9]{4}\Z"),
    ),
    "email": st.one_of(
        st.from_regex(r"\A[a-zA-Z0-9._+-]{1,8}@([a-z0-9-]{1,4}\.){1,3}[a-zA-Z]{1,5}\Z"),
        st.from_regex(r"\A[a-z]{60,66}@(xn--)?[a-z0-9-]{58,66}\.(com|test|local)\Z"),
        st.builds("ann@{}.com".format, st.text(alphabet="ab-.", min_size=240, max_size=256)),
    ),
    "postal_code": st.from_regex(r"\A[0-9]{2,4}-?[0-9]{3,5}\Z"),
}
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
ANY = st.text(alphabet="0018+- (aB@.,Ａ＠０＋\u3000ー－−か内線\t\x7f", min_size=1, max_size=12)


@pytest.mark.parametrize(("normalise", "code"), RULES)
def test_engine_and_python_make_texts_equal_alike(normalise, code):
    rule = Spelling(column="x", normalise=normalise, country_code=code)
    likely = LIKELY.get(normalise, ANY)
    wide = likely.map(lambda given: given.translate(WIDE))
    texts = st.one_of(ANY, likely, wide)
    engine = DuckDB(threads=1)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(texts, min_size=1, max_size=60))
    def check(values):
        engine.add("given", pd.DataFrame({"value": values}))
        make_forms(engine, "forms", "from given", rule)
        found = engine.query("from forms")
        expected = {value: normal_form(value, rule) for value in values}
        assert {
            value: (form, is_good)
            for value, form, is_good in found.itertuples(index=False, name=None)
        } == {value: (same, good) for value, (same, good) in expected.items() if same is not None}

    check()
