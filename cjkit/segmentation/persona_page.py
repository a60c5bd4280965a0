"""Persona cards as HTML and CSS: one card for each, every figure with its n."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import pandas as pd

from cjkit.labels import (
    Language,
    display_name,
    format_money,
    format_number,
    format_percent,
    format_signed,
    label,
)
from cjkit.project import Persona
from cjkit.segmentation.features import feature_name

_KINDS = ("touchpoint", "channel", "category")
_LINE = Mapping[Any, Any]


def write_thing(thing: object, language: Language) -> str:
    """Write what a line is about: a place, a feature, a category, or a way of places."""
    if isinstance(thing, tuple):
        return " → ".join(display_name(place, "touchpoint", language) for place in thing)
    if not isinstance(thing, str):
        return ""
    if thing.startswith("part_of_day."):
        return label(thing, language)
    for kind in _KINDS:
        if (name := display_name(thing, kind, language)) != thing:
            return name
    return feature_name(thing, language)


def write_cards(table: pd.DataFrame, words: Mapping[str, Persona], language: Language) -> str:
    """Write a card for each segment of `table`, whose columns `Personas` describes."""
    cards = "".join(
        _write_card(str(segment), own.to_dict("records"), words.get(str(segment)), language)
        for segment, own in table.groupby("segment", sort=False)
    )
    css = resources.files(__package__).joinpath("personas.css").read_text("utf-8")
    return f'<style>{css}</style><div class="cjp" lang="{language}">{cards}</div>'


def _write_card(
    segment: str, lines: Sequence[_LINE], words: Persona | None, language: Language
) -> str:
    of = {line: [row for row in lines if row["line"] == line] for line in _ORDER}
    kind = display_name(segment, "segment", language)
    name = words.name.get(language, kind) if words else kind
    under = f"<small>{escape(kind)}</small>" if name != kind else ""
    story = ""
    if words and (told := words.story.get(language)):
        who = escape(label("told_by_the_team", language))
        story = f'<p class="cjp-story"><small>{who}</small>{escape(told)}</p>'
    parts = [
        f'<header><span class="cjp-mark" aria-hidden="true">{escape(name[:1])}</span>'
        f"<div><h3>{escape(name)}</h3>{under}{_size(of['size'], language)}</div></header>{story}",
        _figures(of, language),
    ]
    for line, write in _SECTIONS.items():
        if of[line]:
            head = escape(label(f"persona_line.{line}", language))
            parts.append(f"<section><h4>{head}</h4>{write(of[line], language)}</section>")
    return f'<article class="cjp-card" aria-label="{escape(name)}">{"".join(parts)}</article>'


def _size(rows: Sequence[_LINE], language: Language) -> str:
    if not rows or pd.isna(rows[0]["value"]):
        return f"<p>{escape(label('hidden', language))}</p>"
    row = rows[0]
    people = label(
        "persona_size",
        language,
        customers=format_number(row["customers"], language),
        share=format_percent(row["value"], language),
    )
    return f'<p title="{_range(row, format_percent, language)}">{escape(people)}</p>'


def _figures(of: Mapping[str, Sequence[_LINE]], language: Language) -> str:
    cells = []
    for line, write in (
        ("revenue_share", format_percent),
        ("customer_value", format_money),
        ("order_value", format_money),
        ("recency", _days),
    ):
        for row in of[line]:
            figure = escape(write(row["value"], language))
            limits = _range(row, write, language)
            below = f"<small>{limits}</small>" if limits else ""
            words = escape(label(f"persona_line.{line}", language))
            cells.append(f"<div><dt>{words}</dt><dd>{figure}{below}</dd></div>")
    return f"<dl>{''.join(cells)}</dl>"


def _bars(rows: Sequence[_LINE], language: Language) -> str:
    """Write shares of people as bars."""
    written = "".join(
        f'<li title="{_range(row, format_percent, language)}"><span>{_thing(row, language)}</span>'
        f'<i style="{_width(row)}"></i>'
        f"<b>{_percent(row, language)}</b></li>"
        for row in rows
    )
    return f'<ul class="cjp-bars">{written}</ul>{_n(rows, "people", language)}'


def _width(row: _LINE) -> str:
    """Write how long a bar is, and where the mark of everybody stands on it."""
    written = f"--w:{0 if pd.isna(row['value']) else 100 * row['value']:.0f}%"
    return written if pd.isna(row["overall"]) else f"{written};--o:{100 * row['overall']:.0f}%"


def _traits(rows: Sequence[_LINE], language: Language) -> str:
    written = "".join(
        f'<li title="{_range(row, format_signed, language)}"><span>{_thing(row, language)}</span>'
        f"<b>{'▲' if row['value'] > 0 else '▼'} {_signed(row['value'], language)}</b></li>"
        for row in rows
    )
    return f"<ul>{written}</ul>{_n(rows, 'customers', language)}"


def _hours(rows: Sequence[_LINE], language: Language) -> str:
    row = rows[0]
    said = f"{_thing(row, language)} {_percent(row, language)}"
    return f"<p>{said}</p>{_n(rows, 'customers', language)}"


def _emotion(rows: Sequence[_LINE], language: Language) -> str:
    row = rows[0]
    place: float = 50 if pd.isna(row["value"]) else 50 + 50 * row["value"]
    return (
        f'<p class="cjp-mood" title="{_range(row, format_signed, language)}">'
        f'<i style="--at:{place:.0f}%"></i><b>{_signed(row["value"], language)}</b></p>'
        f"{_n(rows, 'customers', language)}"
    )


def _path(rows: Sequence[_LINE], language: Language) -> str:
    row = rows[0]
    way: tuple[str, ...] = row["thing"] if isinstance(row["thing"], tuple) else ()
    steps = "".join(
        f"<li>{escape(display_name(step, 'touchpoint', language))}</li>" for step in way
    )
    taken = label(
        "taken_by",
        language,
        customers=format_number(row["customers"], language),
        people=format_number(row["people"], language),
    )
    hidden = f"<p>{escape(label('hidden', language))}</p>"
    return f'<ol>{steps}</ol><small class="cjp-n">{escape(taken)}</small>' if way else hidden


def _thing(row: _LINE, language: Language) -> str:
    known = isinstance(row["thing"], str | tuple)
    return escape(write_thing(row["thing"], language) if known else label("hidden", language))


def _percent(row: _LINE, language: Language) -> str:
    return escape(format_percent(row["value"], language, digits=0))


def _signed(value: float, language: Language) -> str:
    return escape(format_signed(value, language, digits=1))


def _days(value: float, language: Language) -> str:
    return label("in_days", language, number=format_number(value, language))


def _range(row: _LINE, write: Callable[..., str], language: Language) -> str:
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return ""
    return escape(f"{write(row['low'], language)}–{write(row['high'], language)}")


def _n(rows: Sequence[_LINE], column: str, language: Language) -> str:
    """Write on how many people a section rests: one figure, or from the fewest to the most."""
    known = [row[column] for row in rows if pd.notna(row[column])]
    if not known:
        return ""
    ends = sorted({min(known), max(known)})
    written = "–".join(format_number(n, language) for n in ends)
    return f'<small class="cjp-n">n = {escape(written)}</small>'


_SECTIONS: Mapping[str, Callable[[Sequence[_LINE], Language], str]] = {
    "trait": _traits,
    "touchpoint": _bars,
    "channel": _bars,
    "hours": _hours,
    "category": _bars,
    "emotion": _emotion,
    "path": _path,
    "pain_point": _bars,
}
_ORDER = ("size", "revenue_share", "customer_value", "order_value", "recency", *_SECTIONS)
