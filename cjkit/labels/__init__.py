"""The words that readers of a report see, in English and Japanese, and how figures are written.

Words of the kit stand in `words/*.toml`, one file for each module that speaks. Words of a company's
data (its events, touchpoints, segments, ...) come from its project file through `set_names`.
Column names and error messages stay in English.
"""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Literal, cast

import pandas as pd
from babel import Locale, dates, numbers

from cjkit.checks import CjkitError

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = ("en", "ja")
MISSING = "(missing)"
OTHER = "(other)"
_LARGEST = 1e15
NO_VALUE = "–"

Names = Mapping[str, Mapping[str, Mapping[Language, str]]]

_LOCALES: dict[Language, str] = {"en": "en_GB", "ja": "ja_JP"}


@dataclass
class _Reader:
    """For whom pages are written now: set when a log is opened."""

    names: Names = field(default_factory=dict)
    languages: tuple[Language, ...] = ("en",)
    currency: str = "JPY"


_reader = _Reader()


def set_names(names: Names) -> None:
    """Take the display names of a company's data: kind, then value, then language."""
    _reader.names = names


def set_languages(languages: Sequence[Language]) -> None:
    """Set the languages that results are shown in, the default one first."""
    _reader.languages = tuple(languages)


def languages() -> tuple[Language, ...]:
    """Return the languages that results are shown in, the default one first."""
    return _reader.languages


def set_currency(code: str) -> None:
    """Set the ISO 4217 code of the money in the log."""
    _reader.currency = code


@cache
def terms() -> dict[str, dict[Language, str]]:
    """Return all words of the kit: term, then language. A term stands in one file only."""
    found: dict[str, dict[Language, str]] = {}
    for entry in sorted(resources.files(__package__).joinpath("words").iterdir(), key=str):
        if not entry.name.endswith(".toml"):
            continue
        for term, wording in tomllib.loads(entry.read_text(encoding="utf-8")).items():
            if term in found:
                raise CjkitError(f"The word {term!r} stands in two files; {entry.name} is one.")
            found[term] = cast("dict[Language, str]", wording)
    return found


def label(term: str, language: Language, **values: object) -> str:
    """Return the words for `term`, with its `{places}` filled, or `term` where it is unknown.

    Examples
    --------
    >>> label("customers", "ja")
    '顧客数'
    >>> label("a_column_of_the_data", "en")
    'a_column_of_the_data'
    """
    wording = terms().get(term, {}).get(language, term)
    return wording.format(**values) if values else wording


def join_sentences(sentences: Iterable[str], language: Language) -> str:
    """Put sentences one after another: Japanese leaves no space between them."""
    return {"en": " ", "ja": ""}[language].join(sentences)


def display_name(value: object, kind: str, language: Language) -> str:
    """Return how readers call a value of the data: the project's name for it, or the value itself.

    Parameters
    ----------
    value : object
        A value of a column: an event, a touchpoint, a segment.
    kind : str
        What it is: 'event', 'touchpoint', 'channel', 'stage', 'segment', ...
    language : {'en', 'ja'}

    Examples
    --------
    >>> display_name("purchase", "stage", "ja"), display_name("pt", "text_language", "ja")
    ('購入', 'ポルトガル語')
    """
    is_missing = value is None or value is pd.NA or value != value
    if is_missing or value in (MISSING, OTHER):
        term = "missing_value" if is_missing or value == MISSING else "other_values"
        own = f"{kind}.{term}"
        return label(own if own in terms() else term, language)
    named = _reader.names.get(kind, {}).get(str(value), {})
    if kind == "text_language" and not named:
        return str(Locale(language).languages.get(str(value), value))
    return named.get(language) or label(f"{kind}.{value}", language).removeprefix(f"{kind}.")


def format_number(value: float | None, language: Language, *, digits: int = 0) -> str:
    """Write a number with the thousands marks of the language; a missing one as a dash.

    From 10^15 on, where digits say nothing any more, it is written in powers of ten.

    Examples
    --------
    >>> format_number(12345.678, "en", digits=1)
    '12,345.7'
    >>> format_number(2.5e30, "en"), format_number(float("inf"), "en")
    ('2.5E30', '∞')
    """
    if _is_missing(value):
        return NO_VALUE
    size = abs(float(cast("float", value)))
    if size >= _LARGEST:
        minus = "-" if float(cast("float", value)) < 0 else ""
        return minus + ("∞" if math.isinf(size) else f"{size:.1e}".replace("e+", "E"))
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    return str(
        numbers.format_decimal(cast("float", value), format=pattern, locale=_LOCALES[language])
    )


def format_sizes(counts: Iterable[float], language: Language) -> list[str]:
    """Write of how many each of several figures is, as it stands beside them.

    Examples
    --------
    >>> format_sizes([1200, 3], "en")
    ['n = 1,200', 'n = 3']
    """
    return [f"{label('n', language)} = {format_number(count, language)}" for count in counts]


def format_signed(value: float | None, language: Language, *, digits: int = 2) -> str:
    """Write a number with its sign, as differences and feelings are; a missing one as a dash.

    Examples
    --------
    >>> format_signed(0.251, "en")
    '+0.25'
    """
    sign = "+" if not _is_missing(value) and cast("float", value) > 0 else ""
    return sign + format_number(value, language, digits=digits)


def format_percent(rate: float | None, language: Language, *, digits: int = 1) -> str:
    """Write a rate (0 to 1) as a percentage; a missing one as a dash.

    Examples
    --------
    >>> format_percent(0.1234, "en")
    '12.3%'
    """
    if _is_missing(rate):
        return NO_VALUE
    return format_number(100 * float(cast("float", rate)), language, digits=digits) + "%"


def format_points(difference: float | None, language: Language) -> str:
    """Write a difference of rates (-1 to 1) in percentage points, with its sign.

    Examples
    --------
    >>> format_points(-0.0126, "en")
    '-1.3 points'
    """
    if _is_missing(difference):
        return NO_VALUE
    points = round(100 * float(cast("float", difference)), 1) + 0.0
    return label("rate_points", language, number=format_signed(points, language, digits=1))


def format_money(
    value: float | None,
    language: Language,
    *,
    currency: str | None = None,
    digits: int | None = None,
) -> str:
    """Write an amount in the log's currency (or `currency`), with the digits that it is counted in.

    Examples
    --------
    >>> format_money(1234.5, "en", currency="GBP")
    '£1,234.50'
    >>> format_money(1234.5, "ja", currency="JPY")
    '¥1,234'
    """
    if _is_missing(value):
        return NO_VALUE
    code = currency or _reader.currency
    if digits is None:
        digits = numbers.get_currency_precision(code)
    sign = numbers.get_currency_symbol(
        code, locale="ja_JP" if code == "JPY" else _LOCALES[language]
    )
    amount = float(cast("float", value))
    minus = "-" if amount < 0 else ""
    return f"{minus}{sign.replace('￥', '¥')}{format_number(abs(amount), language, digits=digits)}"


def format_date(day: datetime.date | None, language: Language) -> str:
    """Write a day as the language writes it.

    Examples
    --------
    >>> format_date(datetime.date(2026, 10, 31), "ja")
    '2026年10月31日'
    """
    if _is_missing(day):
        return NO_VALUE
    form = {"en": "d MMM yyyy", "ja": "y年M月d日"}[language]
    return str(dates.format_date(day, format=form, locale=_LOCALES[language]))


def in_unit(number: str, unit: str, language: Language) -> str:
    """Write a number of days, hours or minutes.

    Examples
    --------
    >>> in_unit("1", "days", "en"), in_unit("2", "days", "en")
    ('1 day', '2 days')
    """
    term = "in_one_day" if (number, unit) == ("1", "days") else f"in_{unit}"
    return label(term, language, number=number)


def format_duration(microseconds: float | None, language: Language) -> str:
    """Write a length of time in the largest unit that leaves a readable number.

    Examples
    --------
    >>> format_duration(90_000_000, "en")
    '1.5 min'
    >>> format_duration(172_800_000_000, "ja")
    '2日'
    """
    if _is_missing(microseconds):
        return NO_VALUE
    seconds = float(cast("float", microseconds)) / 1e6
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            number = seconds / size
            written = format_number(number, language, digits=0 if number.is_integer() else 1)
            return in_unit(written, unit, language)
    return label("in_seconds", language, number=format_number(seconds, language))


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value
