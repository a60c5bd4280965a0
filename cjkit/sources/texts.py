"""Texts that mean the same become one form: ids, contact data, names, words.

Each distinct text is treated once. The engine takes those that it is sure of (ASCII in half or full
width, well-formed addresses and numbers), Python the rest, by the same rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import jaconv
import pandas as pd
import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from cjkit.engine import DuckDB, column, text
from cjkit.sources.kanji import NEW_FORMS
from cjkit.sources.mapping import Spelling

CHECKED = ("email", "phone", "postal_code")
"""Forms that say whether a text is what it should be."""

_KANA = "ぁ-ゖァ-ヺー"
_DASHES = "-‐‑‒–—―−─━ー"
_HYPHENS = str.maketrans(dict.fromkeys("‐‑‒−⁃", "-"))
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
_LONG_VOWEL = re.compile(f"(?<=[{_KANA}])[‐‑‒–—―−─━](?=[{_KANA}])")
_ANY_LONG_VOWEL = re.compile(f"(?<=[{_KANA}])[{_DASHES}]+")
_EXTENSION = re.compile(r"\s*(?:\(?内線番?号?[:.)]?|#)\s*(\d{1,7})\)?$")
_NARROW = "".join(map(chr, range(ord(" "), ord("~") + 1)))
_WIDE = "\u3000" + "".join(chr(ord(narrow) + 0xFEE0) for narrow in _NARROW[1:])
"""Full-width characters, of which NFKC makes ASCII."""
_ASCII = "[ -~]*"
_PHONES = {"81": ("0[1-9][0-9]{8,9}", 2), "1": ("[2-9][0-9]{9}", 1)}
"""By country code: numbers, without marks, of which the engine is sure; where to begin them."""
_LABEL = "[a-z0-9]([a-z0-9]|-[a-z0-9]){0,30}"
_EMAIL = rf"[a-z0-9_]+([.+\-][a-z0-9_]+){{0,6}}@({_LABEL}\.){{1,4}}[a-z]{{2,20}}"


def normal_form(value: str, rule: Spelling) -> tuple[str | None, bool]:
    """Return the form that all spellings of a text share, and whether it is what it should be.

    - `exact`: as it stands.
    - `text`: NFKC (full and half width become one); all hyphens and minus signs `-`; a dash
      between two kana the long vowel ー; spaces of every kind, one after another, one space, and
      none at the ends; nothing invisible.
    - `name`: as text, then for comparing only: no space, no case, new forms of kanji, katakana for
      hiragana, every dash after kana ー.
    - `email`: as text, without spaces and in small letters; the domain as people read it. What
      email-validator refuses keeps this form, but is no address.
    - `phone`: as text, then E.164 as the library phonenumbers writes it (`+81312345678;ext=12`).
      `country_code` says which country a number without + is in; a leading 00 is a +. What the
      library refuses keeps its digits, but is no number; without a country code that is not said.
    - `postal_code`: as text, without 〒 and spaces, in capitals; seven digits as `123-4567`. What
      has no digit, or more than ten characters, is none.

    Where nothing is left, the form is None.

    Examples
    --------
    >>> phone = Spelling(column="tel", normalise="phone", country_code="81")
    >>> normal_form("０３－１２３４－５６７８", phone)
    ('+81312345678', True)
    >>> normal_form("Ann..Lee@Example.com", Spelling(column="mail", normalise="email"))
    ('ann..lee@example.com', False)
    """
    if rule.normalise == "exact":
        return value or None, True
    value = _tidy(value)
    if not value:
        return None, True
    if rule.normalise == "name":
        return comparable(value) or None, True
    if rule.normalise == "email":
        return _email(value)
    if rule.normalise == "phone":
        return _phone(value, rule.country_code)
    if rule.normalise == "postal_code":
        return _postal_code(value)
    return value, True


def comparable(value: str) -> str:
    """Return the form of a name or an address in which its spellings can be compared.

    Examples
    --------
    >>> comparable("髙橋　さ-や") == comparable("高橋 サーヤ")
    True
    """
    value = _tidy(value).replace(" ", "").casefold()
    return _ANY_LONG_VOWEL.sub("ー", jaconv.hira2kata(value).translate(NEW_FORMS))


def _tidy(value: str) -> str:
    value = unicodedata.normalize("NFKC", value).translate(_INVISIBLE)
    value = _LONG_VOWEL.sub("ー", value).translate(_HYPHENS)
    return " ".join(value.split())


def _email(value: str) -> tuple[str, bool]:
    value = value.replace(" ", "").lower()
    try:
        return validate_email(value, check_deliverability=False).normalized.lower(), True
    except EmailNotValidError:
        return value, False


def _phone(value: str, code: str | None) -> tuple[str | None, bool]:
    value = re.sub(f"[{_DASHES}]", "-", value)
    value = re.sub(r"^([^0-9+]*)00", r"\1+", _EXTENSION.sub(r";ext=\1", value))
    digits = re.sub(r"[^0-9+]", "", value)
    digits = digits[:1] + digits[1:].replace("+", "")
    if code is None and not digits.startswith("+"):
        return digits or None, bool(digits)
    region = phonenumbers.region_code_for_country_code(int(code)) if code else None
    try:
        found = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return (digits if digits.strip("+") else None), False
    if not phonenumbers.is_possible_number(found):
        return digits, False
    number = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    return number + (f";ext={found.extension}" if found.extension else ""), True


def _postal_code(value: str) -> tuple[str | None, bool]:
    value = re.sub(f"[{_DASHES}]", "-", value).replace("〒", "").replace(" ", "").upper()
    if re.fullmatch(r"[0-9]{3}-?[0-9]{4}", value):
        return f"{value[:3]}-{value[-4:]}", True
    return value or None, len(value) <= 10 and bool(re.search("[0-9]", value))


def _certain_sql(value: str, rule: Spelling) -> str:
    """Write `normal_form` for narrow texts of which the engine is sure: the form, else null.

    A form that is empty says that nothing is left.
    """
    if rule.normalise == "exact":
        return value
    if rule.normalise == "email":
        low = f"lower(trim({value}))"
        refused = rf"\.({'|'.join(SPECIAL_USE_DOMAIN_NAMES)})$|^[^@]{{65}}|.{{255}}"
        return (
            f"case when regexp_full_match({low}, {text(_EMAIL)}) "
            f"and not regexp_matches({low}, {text(refused)}) then {low} end"
        )
    if rule.normalise == "phone":
        if rule.country_code not in _PHONES:
            return "null::varchar"
        pattern, begin = _PHONES[rule.country_code]
        plain = f"regexp_replace({value}, '[ ().-]', '', 'g')"
        return (
            f"case when regexp_full_match({value}, {text('[0-9 ().-]+')}) "
            f"and regexp_full_match({plain}, {text(pattern)}) "
            f"then '+{rule.country_code}' || substr({plain}, {begin}) end"
        )
    if rule.normalise == "postal_code":
        return (
            f"case when regexp_full_match({value}, '[0-9]{{3}}-?[0-9]{{4}}') "
            f"then left({value}, 3) || '-' || right({value}, 4) end"
        )
    tidy = f"trim(regexp_replace({value}, ' +', ' ', 'g'))"
    if rule.normalise == "name":
        tidy = f"lower(replace({value}, ' ', ''))"
    return f"case when regexp_full_match({value}, {text(_ASCII)}) then {tidy} end"


def make_forms(engine: DuckDB, name: str, values: str, rule: Spelling) -> None:
    """Make a table called `name`: `value`, its `form`, and `is_good`, for each distinct text.

    Texts of which nothing is left are not in it.

    Parameters
    ----------
    engine : DuckDB
        Where the texts are.
    name : str
        What the table is called.
    values : str
        A query that gives the texts as `value`.
    rule : Spelling
        How they are made equal.
    """
    narrow = "value"
    if rule.normalise != "exact":
        wide = f"translate(value, {text(_WIDE)}, {text(_NARROW)})"
        narrow = f"case when regexp_full_match(value, {text(_ASCII)}) then value else {wide} end"
    engine.materialize(
        f"{name} given",
        f"""select value, {_certain_sql("narrow", rule)} as form
        from (select value, {narrow} as narrow
            from (select distinct value from ({values}) as given where value is not null) as given
        ) as given""",
    )
    others = engine.batches(f"select value from {column(name + ' given')} where form is null")
    engine.write_table(f"{name} others", _normalised(others, rule))
    engine.materialize(
        name,
        f"""select value, form, true as is_good from {column(name + " given")} where form <> ''
        union all select value, form, is_good from {column(name + " others")}
        where form is not null""",
    )


def _normalised(batches: Iterator[pd.DataFrame], rule: Spelling) -> Iterator[pd.DataFrame]:
    yield _forms([], [])
    for batch in batches:
        values = batch["value"].tolist()
        yield _forms(values, [normal_form(value, rule) for value in values])


def _forms(values: list[str], forms: list[tuple[str | None, bool]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "value": pd.Series(values, dtype="str"),
            "form": pd.Series([form for form, _ in forms], dtype="str"),
            "is_good": pd.Series([is_good for _, is_good in forms], dtype="bool"),
        }
    )
