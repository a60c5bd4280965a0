"""Headline figures as cards: the figure, its interval, and its change from the period before."""

from __future__ import annotations

import math
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
    parts = [
        f"<dt>{escape(label(figure['key'], language))}</dt>",
        f'<dd class="cj-value">{escape(_value(figure, language))}</dd>',
        _change(figure, language),
        _interval(figure, language),
        _target(figure, language),
        _note(figure, language),
    ]
    return f'<dl class="cj-card">{"".join(parts)}</dl>'


def write_line(figure: Headline, language: Language) -> str:
    """Return one headline figure as a line of a list: name, figure and change."""
    change = _difference(figure, language)
    return (
        f"<div><dt>{escape(label(figure['key'], language))}</dt>"
        f'<dd><span class="cj-value">{escape(_value(figure, language))}</span> '
        f'<span class="cj-change cj-{_tone(figure) if change else "even"}">{escape(change)}</span>'
        "</dd></div>"
    )


def write_figure(figure: Headline, language: Language, *, name: str = "value") -> str:
    """Write one number of a headline figure (`value`, `low`, `high`, `previous`) in its unit."""
    return _write(figure[name], figure["kind"], language)


def _value(figure: Headline, language: Language) -> str:
    return label("hidden", language) if figure["is_masked"] else write_figure(figure, language)


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
    """Say how far the figure is from the period before, and what it was then."""
    if not (words := _difference(figure, language)):
        return ""
    before = label(
        "against_previous", language, previous=write_figure(figure, language, name="previous")
    )
    return (
        f'<dd class="cj-change cj-{_tone(figure)}"><b>{escape(words)}</b> '
        f"<span>{escape(before)}</span></dd>"
    )


def _difference(figure: Headline, language: Language) -> str:
    """Write the change with its arrow: a rate's in points, any other figure's in per cent."""
    value, previous, kind = figure["value"], figure["previous"], figure["kind"]
    if value is None or previous is None or (kind != "rate" and not previous):
        return ""
    arrow, sign = ("▲", "+") if value > previous else ("▼", "−") if value < previous else ("", "±")
    if kind == "rate":
        number = format_number(100 * abs(value - previous), language, digits=1)
        return f"{arrow} {sign}{number} {label('points', language)}".strip()
    return f"{arrow} {sign}{format_percent(abs(value / previous - 1), language)}".strip()


def _tone(figure: Headline) -> str:
    """Say whether a change is good, bad, or neither because it may be chance.

    Where the figure has an interval, a change must be larger than the longer half of it times the
    square root of 2: the period before is taken to be known about as well as this one.
    """
    value, previous = figure["value"], figure["previous"]
    low, high = figure["low"], figure["high"]
    noise = 0.0
    if low is not None and high is not None:
        noise = math.sqrt(2) * max(value - low, high - value)
    if figure["better"] is None or abs(value - previous) <= noise:
        return "even"
    return "good" if (value > previous) == (figure["better"] == "up") else "bad"


def _interval(figure: Headline, language: Language) -> str:
    parts = []
    if figure["low"] is not None and figure["high"] is not None:
        limits = [write_figure(figure, language, name=name) for name in ("low", "high")]
        parts.append(label("interval_of", language, low=limits[0], high=limits[1]))
    if figure["n"] is not None:
        parts.append(f"n\u00a0=\u00a0{format_number(figure['n'], language)}")
    return "".join(f'<dd class="cj-range">{escape(part)}</dd>' for part in parts)


def _target(figure: Headline, language: Language) -> str:
    """Say what the figure should reach, and whether it does where one side is better."""
    target, value = figure.get("target"), figure["value"]
    if target is None:
        return ""
    words = label("target_of", language, target=_write(target, figure["kind"], language))
    if value is None or figure["better"] is None:
        return f'<dd class="cj-target">{escape(words)}</dd>'
    is_met = value >= target if figure["better"] == "up" else value <= target
    told = label("target_met" if is_met else "target_missed", language)
    tone, mark = ("good", "✓") if is_met else ("bad", "✗")
    return (
        f'<dd class="cj-target cj-change cj-{tone}">{escape(words)} '
        f"<b>{mark} {escape(told)}</b></dd>"
    )


def _note(figure: Headline, language: Language) -> str:
    note = figure["note"]
    if note is None:
        return ""
    words = label(note, language) if isinstance(note, str) else note[language]
    return f'<dd class="cj-note">{escape(words)}</dd>'
