"""What stands in the cells of a journey map, thing by thing, as HTML."""

from __future__ import annotations

from collections.abc import Callable, Collection
from html import escape
from typing import Any

import pandas as pd

from cjkit.labels import (
    NO_VALUE,
    Language,
    display_name,
    format_duration,
    format_money,
    format_number,
    format_percent,
    format_signed,
    label,
)

_DAY_US = 86_400_000_000
_HIGH = 0.5
_TOP, _BOTTOM = 14.0, 86.0
"""How high emotion 1 and -1 stand in the emotion lane, in percent from its top."""


def _write_touchpoint(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    is_offline = cell["item"] in offline
    where = words_of(f"place.{'offline' if is_offline else 'online'}", language)
    share = 0.0 if pd.isna(cell["value"]) else float(cell["value"])
    figure = _percent(cell["value"], language, 0)
    return (
        f'<div class="cjm-touch{" cjm-off" if is_offline else ""}" {_title(cell, language, where)}>'
        f"<span><i></i>{_item(cell, language)}</span>"
        f"<u>{_or_hidden(figure, cell, language)}</u>"
        f'<s><s style="width:{100 * share:.0f}%"></s></s></div>'
    )


def write_people(cells: list[dict[Any, Any]], widest: float, language: Language) -> str:
    """Write how many entered the stage, and how many of them come further."""
    parts = []
    for cell in cells:
        if cell["measure"] == "customers":
            share = 0.0 if pd.isna(cell["n"]) or not widest > 0 else cell["n"] / widest
            figure = _or_hidden(format_number(_known(cell["n"]), language), cell, language)
            parts.append(
                f'<div class="cjm-big" {_title(cell, language)}>'
                f"{figure}{_before(cell, language)}</div>"
                f'<s class="cjm-bar"><s style="width:{100 * share:.0f}%"></s></s>'
            )
        else:
            rate = label("map_further", language, rate=_percent(cell["value"], language))
            parts.append(
                f"<small {_title(cell, language)}>{_or_hidden(escape(rate), cell, language)}"
                f"<em>{_limits(cell, language)}</em>{_before(cell, language)}</small>"
            )
    return "".join(parts)


def _write_emotion(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    """Write the point of a stage; it is filled only where the interval leaves no doubt."""
    if pd.isna(cell["value"]):
        return f'<span class="cjm-none" {_title(cell, language)}>{NO_VALUE}</span>'
    value, low, high = (float(cell[name]) for name in ("value", "low", "high"))
    mood = "good" if low > 0 else "bad" if high < 0 else "unsure"
    whisker = ""
    if low <= high:
        whisker = (
            f'<i class="cjm-whisker" style="top:{_at(high)};bottom:calc(100% - {_at(low)})"></i>'
        )
    words = words_of(f"mood.{mood}", language)
    # Near the top there is room only below.
    side = " cjm-under" if value < 0 or value > _HIGH else ""
    return (
        f'<div class="cjm-point cjm-{mood}{side}" {_title(cell, language, words)}>{whisker}'
        f'<i class="cjm-dot" style="top:{_at(value)}"></i>'
        f'<b style="top:{_at(value)}">{format_signed(value, language)}'
        f"{_before(cell, language)}</b></div>"
    )


def _write_time(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    value = None if pd.isna(cell["value"]) else cell["value"] * _DAY_US
    return (
        f'<div class="cjm-big" {_title(cell, language)}>'
        f"{_or_hidden(escape(format_duration(value, language)), cell, language)}"
        f"{_before(cell, language)}</div>"
    )


def _write_pain(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    what = words_of(f"symptom.{cell['measure']}", language)
    return (
        f'<div class="cjm-chip cjm-pain{_gone(cell)}" {_title(cell, language)}>'
        f"<b>{_item(cell, language)}</b>"
        f"<span>{what} <em>{_points(cell['value'], language)}</em></span>"
        f"{_cost(cell, language)}{_before(cell, language)}</div>"
    )


def _cost(cell: dict[Any, Any], language: Language) -> str:
    """Write how many people more than usual are lost at a pain point, and what they would bring."""
    if pd.isna(cell["lost_people"]):
        return ""
    cost = [label("map_lost", language, people=_count(cell["lost_people"], language))]
    if not pd.isna(cell["lost_revenue"]):
        cost.append(_money(cell["lost_revenue"], language))
    return f'<small class="cjm-cost">{escape(" · ".join(cost))}</small>'


def _write_moment(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    return (
        f'<div class="cjm-chip cjm-moment{_gone(cell)}" {_title(cell, language)}>'
        f"<b>★ {_item(cell, language)}</b><em>{_points(cell['value'], language)}</em>"
        f"{_before(cell, language)}</div>"
    )


def _write_gain(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    gain = _FIGURES[cell["measure"]](cell["value"], language)
    if cell["measure"] == "gained_people":
        gain = label("gained_of_people", language, people=gain)
    return (
        f'<div class="cjm-chip cjm-gain" {_title(cell, language)}><b>'
        f"<i>{cell['rank']}</i> {_item(cell, language)}</b><em>{escape(gain)}</em></div>"
    )


def _write_theme(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    value = cell["value"]
    mood = "unsure" if pd.isna(value) else "good" if cell["low"] > 0 else "bad"
    mood = "unsure" if not pd.isna(value) and cell["low"] <= 0 <= cell["high"] else mood
    words = words_of(f"mood.{mood}", language)
    return (
        f'<div class="cjm-theme cjm-{mood}" {_title(cell, language, words)}>'
        f'<i class="cjm-dot"></i><span>{escape(cell["item"])}</span></div>'
    )


def _write_note(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    """Write what an interview said: a slip of paper, so that nobody takes it for a measure."""
    return (
        f'<div class="cjm-note" {_title(cell, language)}>'
        f"<small>{words_of('measure.' + cell['measure'], language)}</small>"
        f"<q>{escape(cell['item'])}</q></div>"
    )


def _write_comment(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    status = words_of("measure." + cell["measure"], language)
    return (
        f'<div class="cjm-comment"><small>{status}</small><span>{escape(cell["item"])}</span></div>'
    )


def _before(cell: dict[Any, Any], language: Language) -> str:
    """Write what a figure was in the earlier map, where there is one."""
    if "previous" not in cell:
        return ""
    if cell["is_new"]:
        return f'<small class="cjm-was">{words_of("map_new", language)}</small>'
    if pd.isna(cell["previous"]) and not cell["is_gone"]:
        return ""
    was = _FIGURES[cell["measure"]](cell["previous"], language)
    term = "map_gone" if cell["is_gone"] else "map_before"
    return f'<small class="cjm-was">{escape(label(term, language, value=was))}</small>'


def write_kpi(
    cells: list[dict[Any, Any]], target: float | None, stage: str, language: Language
) -> str:
    """Write the rate by which the company sees whether it comes nearer to its goal."""
    stage_name = display_name(stage, "stage", language)
    parts = [f"{label('map_kpi', language, stage=stage_name)} "]
    for cell in cells:
        rate = f"<b>{_percent(cell['value'], language)}</b> {_limits(cell, language)}"
        parts.append(f"<span {_title(cell, language)}>{_or_hidden(rate, cell, language)}</span>")
        parts.append(_before(cell, language))
    if not cells:
        parts.append(NO_VALUE)
    if target is not None:
        aim = label("target_of", language, target=_percent(target, language, 0))
        parts.append(f" <small>{escape(aim)}</small>")
    return f'<p class="cjm-goal cjm-kpi">{"".join(parts)}</p>'


def _gone(cell: dict[Any, Any]) -> str:
    """Return the class of a pain point or moment that only the earlier map has."""
    return " cjm-gone" if cell.get("is_gone") else ""


WRITERS = {
    "touchpoints": _write_touchpoint,
    "emotion": _write_emotion,
    "time": _write_time,
    "pain_points": _write_pain,
    "moments": _write_moment,
    "opportunities": _write_gain,
    "voice": _write_theme,
    "interviews": _write_note,
    "comments": _write_comment,
}


def _title(cell: dict[Any, Any], language: Language, *more: str) -> str:
    """Write what a pointer or a screen reader gets: the measure, its figures and their n."""
    measure = cell["measure"]
    n = label("map_n", language, n=format_number(_known(cell["n"]), language))
    said = [label(f"measure.{measure}", language)]
    if cell.get("is_gone"):
        pass  # what it was stands in the cell
    elif pd.isna(cell["n"]):
        said.append(label("map_hidden", language))
    elif cell["lane"] == "interviews" or measure == "customers":
        said.append(n)
    else:
        figure = _FIGURES[measure](cell["value"], language)
        said.append(f"{figure} {_limits(cell, language)}".strip())
        said.append(n)
    words = " · ".join([*said, *more])
    return f'title="{escape(words)}" aria-label="{escape(words)}" role="img" tabindex="0"'


def _or_hidden(written: str, cell: dict[Any, Any], language: Language) -> str:
    """Return what is written of a figure, or that it is masked."""
    hidden = f'<span class="cjm-hidden">{words_of("hidden", language)}</span>'
    return written if pd.notna(cell["n"]) else hidden


def _limits(cell: dict[Any, Any], language: Language) -> str:
    """Write the interval of a cell, or nothing where there is none."""
    low, high = cell["low"], cell["high"]
    if pd.isna(low) or pd.isna(high):
        return ""
    write = _FIGURES[cell["measure"]]
    return f"({write(low, language)}–{write(high, language)})"


def _percent(rate: Any, language: Language, digits: int = 1) -> str:
    return format_percent(_known(rate), language, digits=digits)


def _points(value: Any, language: Language) -> str:
    if pd.isna(value):
        return NO_VALUE
    number = format_signed(100 * value, language, digits=1)
    return escape(label("map_points_unit", language, number=number))


def _emotion(value: Any, language: Language) -> str:
    return format_signed(_known(value), language)


def _days(value: Any, language: Language) -> str:
    return format_duration(None if pd.isna(value) else value * _DAY_US, language)


def _count(value: Any, language: Language) -> str:
    return format_number(_known(value), language, digits=0)


def _money(value: Any, language: Language) -> str:
    return format_money(_known(value), language)


_FIGURES: dict[str, Callable[[Any, Language], str]] = {
    "share": _percent,
    "progress_rate": _percent,
    "emotion": _emotion,
    "days_to_progress": _days,
    "drop_off": _points,
    "delay": _points,
    "loop": _points,
    "late_loop": _points,
    "low_score": _points,
    "rate_gap": _points,
    "customers": _count,
    "theme": _emotion,
    "gained_people": _count,
    "gained_revenue": _money,
}


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _item(cell: dict[Any, Any], language: Language) -> str:
    """Write what a cell is about: a touchpoint, and the group that it concerns."""
    name = display_name(cell["item"], "touchpoint", language)
    if cell["across"] is not None and not pd.isna(cell["group"]):
        name += f" / {display_name(cell['group'], cell['across'].split('.')[-1], language)}"
    return escape(name)


def words_of(term: str, language: Language) -> str:
    return escape(label(term, language))


def height_of(emotion: float) -> float:
    return _TOP + (1 - emotion) / 2 * (_BOTTOM - _TOP)


def _at(emotion: float) -> str:
    return f"{height_of(emotion):.1f}%"
