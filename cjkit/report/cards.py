"""Headline figures as cards: the figure, its interval, and its change from the period before."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from cjkit.labels import (
    NO_VALUE,
    Language,
    format_money,
    format_number,
    format_percent,
    label,
)

Headline = Mapping[str, Any]


def write_card(figure: Headline, language: Language) -> str:
    """Return one headline figure, as `headline` records it, as an HTML card."""
    value = label("hidden", language) if figure["is_masked"] else write_figure(figure, language)
    parts = [
        f"<dt>{escape(label(figure['key'], language))}</dt>",
        f'<dd class="cj-value">{escape(value)}</dd>',
        _change(figure, language),
        _interval(figure, language),
        _note(figure, language),
    ]
    return f'<dl class="cj-card">{"".join(parts)}</dl>'


def write_figure(figure: Headline, language: Language, *, name: str = "value") -> str:
    """Write one number of a headline figure (`value`, `low`, `high`, `previous`) in its unit."""
    return _write(figure[name], figure["kind"], language)


def _write(value: float | None, kind: str, language: Language) -> str:
    if value is None:
        return NO_VALUE
    if kind == "rate":
        return format_percent(value, language)
    if kind == "money":
        return format_money(value, language)
    if kind == "count":
        return format_number(value, language)
    if kind == "days":
        return label("in_days", language, number=format_number(value, language, digits=1))
    digits = 0 if float(value).is_integer() or abs(value) >= 1000 else 2
    return format_number(value, language, digits=digits)


def _change(figure: Headline, language: Language) -> str:
    """Say how far the figure is from the period before.

    A rate changes by points, everything else in per cent. A change within the figure's interval
    is shown without a colour: it may be chance.
    """
    value, previous = figure["value"], figure["previous"]
    if value is None or previous is None or (figure["kind"] != "rate" and not previous):
        return ""
    if figure["kind"] == "rate":
        change = value - previous
        number = (
            f"{format_number(100 * abs(change), language, digits=1)} {label('points', language)}"
        )
    else:
        change = (value - previous) / abs(previous)
        number = format_percent(abs(change), language)
    arrow, sign = ("▲", "+") if change > 0 else ("▼", "−") if change < 0 else ("■", "±")
    words = label(
        "against_previous", language, previous=write_figure(figure, language, name="previous")
    )
    mark = f'<span class="cj-mark" aria-hidden="true">{arrow}</span>'
    return (
        f'<dd class="cj-change cj-{_tone(figure, change)}">{mark} '
        f"<b>{escape(sign + number)}</b> <span>{escape(words)}</span></dd>"
    )


def _tone(figure: Headline, change: float) -> str:
    """Say whether a change is good, bad or neither."""
    low, high, previous = figure["low"], figure["high"], figure["previous"]
    within = low is not None and high is not None and low <= previous <= high
    if figure["better"] is None or change == 0 or within:
        return "even"
    return "good" if (change > 0) == (figure["better"] == "up") else "bad"


def _interval(figure: Headline, language: Language) -> str:
    parts = []
    if figure["low"] is not None and figure["high"] is not None:
        limits = [write_figure(figure, language, name=name) for name in ("low", "high")]
        parts.append(label("interval_of", language, low=limits[0], high=limits[1]))
    if figure["n"] is not None:
        parts.append(f"n = {format_number(figure['n'], language)}")
    return f'<dd class="cj-range">{escape(" · ".join(parts))}</dd>' if parts else ""


def _note(figure: Headline, language: Language) -> str:
    note = figure["note"]
    if note is None:
        return ""
    words = label(note, language) if isinstance(note, str) else note[language]
    return f'<dd class="cj-note">{escape(words)}</dd>'
