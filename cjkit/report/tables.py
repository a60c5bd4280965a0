"""Tables of results as readers see them: words for names, figures as the language writes them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import pandas as pd

from cjkit.labels import (
    NO_VALUE,
    Language,
    display_name,
    format_date,
    format_duration,
    format_money,
    format_number,
    format_percent,
    label,
)

SHOWN_ROWS = 200

Format = Callable[[Any, Language], str]

# What a column holds is read from its name: the last word, or any word for money.
_RATES = {"rate", "share", "probability", "percentile"}
_MONEY = {"revenue", "cost", "price", "discount", "margin", "profit", "spend", "money", "value"}
_NAMES = {
    "step": "event",
    "conversion": "event",
    "event": "event",
    "touchpoint": "touchpoint",
    "channel": "channel",
    "stage": "stage",
    "segment": "segment",
    "persona": "segment",
    "device": "device",
    "metric": "metric",
    "product": "product",
    "category": "category",
    "region": "region",
    "plan": "plan",
    "reason": "reason",
    "rule": "rule",
    "dimension": "dimension",
    "source": "source",
    "table": "table",
    "status": "status",
}


def write_table(
    table: pd.DataFrame,
    language: Language,
    *,
    prefix: str = "t",
    formats: Mapping[str, str | Format] | None = None,
    heads: Mapping[str, str] | None = None,
    hidden: pd.DataFrame | None = None,
) -> str:
    """Write a table as HTML, everything in it escaped.

    A figure that has `<name>_low` and `<name>_high` beside it carries them as its interval, so
    that they take no columns of their own. At most 200 rows are written.

    Parameters
    ----------
    table : DataFrame
    language : {'en', 'ja'}
    prefix : str
        In the id of the table, which must differ between the tables of a page.
    formats : mapping from column to format, optional
        One of 'rate', 'money', 'duration', 'date', 'month', 'number', 'precise' (three decimals),
        'p_value', 'text', or a kind of name ('event', 'touchpoint', ...), where the column's name
        does not say it; or a function of a value and the language that writes it.
    heads : mapping from column to str, optional
        The words above columns, where these are not those of `labels`.
    hidden : DataFrame of bool, optional
        Which cells are masked: they say so.

    Returns
    -------
    str
        One `<table>` element.
    """
    from pandas.io.formats.style import Styler

    formats, heads = formats or {}, heads or {}
    shown = table.head(SHOWN_ROWS)
    bounds = {bound for name in table for bound in _interval(table, str(name))}
    cells: dict[str, list[str]] = {}
    sides: dict[str, str] = {}
    words: list[str] = []
    for name in map(str, table.columns):
        if name in bounds:
            continue
        kind = formats.get(name) or _kind(name, table[name])
        write = _writer(kind, table[name])
        written = [escape(write(value, language)) for value in shown[name]]
        if limits := _interval(table, name):
            pairs = zip(*(shown[limit] for limit in limits), strict=True)
            written = [
                f"{figure}{_range(low, high, write, language)}"
                for figure, (low, high) in zip(written, pairs, strict=True)
            ]
        if hidden is not None:
            written = [
                f'<span class="cj-masked">{escape(label("hidden", language))}</span>'
                if gone
                else cell
                for cell, gone in zip(written, hidden[name], strict=False)
            ]
        cells[name] = written
        sides[name] = "cj-figure" if kind in _FIGURES else "cj-words"
        words.append(_above(heads.get(name) or _head(name, language), sides[name]))
    built = Styler(pd.DataFrame(cells), uuid=prefix, cell_ids=False)
    built = built.format().hide(axis="index").relabel_index(words, axis="columns")
    raw = built.set_td_classes(pd.DataFrame(sides, index=range(len(shown)))).to_html()
    return raw[raw.index("<table") :]


def _head(name: str, language: Language) -> str:
    """Return the words for a column; a length of time is named without the unit it is kept in."""
    words = label(name, language)
    return words if words != name else label(name.removesuffix("_us"), language)


def _above(words: str, side: str) -> str:
    """Write the words above a column, which get room where they are long and the figures short."""
    width = sum(2 if ord(letter) > 0x2E80 else 1 for letter in words)
    return f'<span class="{side}{" cj-long" if width > 14 else ""}">{escape(words)}</span>'


def _interval(table: pd.DataFrame, name: str) -> tuple[str, ...]:
    """Return the columns that hold the interval of column `name`, where there are both."""
    limits = (f"{name}_low", f"{name}_high")
    return limits if all(limit in table for limit in limits) else ()


def _range(low: Any, high: Any, write: Format, language: Language) -> str:
    """Write an interval small beside its figure; nothing where there is none."""
    if pd.isna(low) or pd.isna(high):
        return ""
    limits = f"{escape(write(low, language))}–{escape(write(high, language))}"
    return f' <span class="cj-range">{limits}</span>'


def _kind(name: str, column: pd.Series[Any]) -> str:
    """Say what a column holds, from its name and type."""
    words = name.removesuffix("_low").removesuffix("_high").split("_")
    if pd.api.types.is_bool_dtype(column):
        return "claim"
    if pd.api.types.is_datetime64_any_dtype(column) or _holds_days(column):
        return "month" if words[-1] == "month" else "date"
    if not pd.api.types.is_numeric_dtype(column):
        return next((_NAMES[word] for word in reversed(words) if word in _NAMES), "text")
    if words[-1] in _RATES:
        return "rate"
    if words[-1] == "us" or "microseconds" in words:
        return "duration"
    if words[:2] == ["p", "value"]:
        return "p_value"
    if _MONEY.intersection(words):
        return "money"
    return "number"


def _holds_days(column: pd.Series[Any]) -> bool:
    """Say whether a column of objects holds days."""
    present = column.dropna()
    return len(present) > 0 and isinstance(present.iloc[0], datetime.date)


def _writer(kind: str | Format, column: pd.Series[Any]) -> Format:
    """Return the function that writes the values of a column of this kind."""
    if callable(kind):
        return kind
    if kind == "number":
        digits = _digits(column)
        return lambda value, language: format_number(_number(value), language, digits=digits)
    if kind in _WRITERS:
        return _WRITERS[kind]
    return lambda value, language: _named(value, kind, language)


def _named(value: Any, kind: str, language: Language) -> str:
    """Write the name of a value of the data, or those of a path one after another."""
    if isinstance(value, list | tuple):
        return " → ".join(display_name(part, kind, language) for part in value) or NO_VALUE
    return display_name(value, kind, language)


def _digits(column: pd.Series[Any]) -> int:
    """Choose the decimals of a column: none for whole numbers, fewer the larger they are."""
    sizes = pd.to_numeric(column, errors="coerce").abs().dropna()
    if pd.api.types.is_integer_dtype(column) or not len(sizes) or (sizes % 1 == 0).all():
        return 0
    largest = sizes.max()
    return 0 if largest >= 1000 else 1 if largest >= 100 else 2 if largest >= 1 else 3


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else value


def _p_value(value: Any, language: Language) -> str:
    if not pd.isna(value) and value < 0.001:
        return f"<{format_number(0.001, language, digits=3)}"
    return format_number(_number(value), language, digits=3)


def _month(value: Any, language: Language) -> str:
    if pd.isna(value):
        return NO_VALUE
    return label("month_of_year", language, year=value.year, month=f"{value.month:02d}")


def _text(value: Any, language: Language) -> str:
    if isinstance(value, list | tuple):
        return " → ".join(str(part) for part in value)
    return NO_VALUE if pd.isna(value) else str(value)


def _claim(value: Any, language: Language) -> str:
    return NO_VALUE if pd.isna(value) else label("yes" if value else "no", language)


_WRITERS: dict[str, Format] = {
    "precise": lambda value, language: format_number(_number(value), language, digits=3),
    "rate": lambda value, language: format_percent(_number(value), language),
    "money": lambda value, language: format_money(_number(value), language),
    "duration": lambda value, language: format_duration(_number(value), language),
    "date": lambda value, language: format_date(None if pd.isna(value) else value, language),
    "month": _month,
    "claim": _claim,
    "p_value": _p_value,
    "text": _text,
}
_FIGURES = {"precise", "rate", "money", "duration", "date", "month", "number", "p_value"}
