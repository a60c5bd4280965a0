"""The journey map as HTML and CSS: a grid on a screen, a stack on a phone, one sheet in print."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from html import escape
from importlib import resources
from itertools import pairwise
from typing import Any

import pandas as pd

from cjkit.journey_map.lanes import COME_AND_GO
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
from cjkit.plots import theme

_DAY_US = 86_400_000_000
_TOP, _BOTTOM = 14.0, 86.0
"""How high emotion 1 and -1 stand in the emotion lane, in percent from its top."""


def write_map(
    table: pd.DataFrame,
    lanes: Sequence[str],
    *,
    name: str,
    finding: str,
    goal: str,
    across: str | None,
    offline: Collection[str],
    language: Language,
) -> str:
    """Write the map of the cells in `table`, stages across and `lanes` down.

    Every figure carries its interval and n as a title, which a
    screen reader reads too.
    """
    stages = list(dict.fromkeys(table["stage"]))
    gains = table["value"].where(table["lane"] == "opportunities")
    table = table.assign(
        rank=gains.rank(ascending=False, method="first").fillna(0).astype(int), across=across
    )
    heads = "".join(
        f'<div class="cjm-lane" style="--r:{row}" aria-hidden="true">{words}</div>'
        for row, words in enumerate((_words(f"lane.{lane}", language) for lane in lanes), 2)
    )
    colours = _stage_colours(stages)
    columns = "".join(
        _write_stage(
            table[table["stage"] == stage],
            lanes,
            column,
            stage=stage,
            colour=colours[stage],
            widest=float(table.loc[table["measure"] == "customers", "n"].max()),
            offline=offline,
            language=language,
        )
        for column, stage in enumerate(stages, 2)
    )
    curve = ""
    if "emotion" in lanes:
        row = 2 + lanes.index("emotion")
        curve = f'<div class="cjm-curve" style="--r:{row}">{_write_curve(table, stages)}</div>'
    entered = table.loc[table["measure"] == "customers", "n"].max()
    aim = f'<p class="cjm-goal">{_words("map_goal", language)} <b>{escape(goal)}</b></p>'
    aim = aim if goal else ""
    size = label("map_size", language, people=format_number(entered, language))
    return (
        f"<style>{_style()}</style>"
        f'<div class="cjm" lang="{language}" role="group" aria-label="{escape(finding)}">'
        f'<div class="cjm-head"><span class="cjm-mark" aria-hidden="true">{escape(name[:1])}</span>'
        f"<div><b>{escape(name)}</b><small>{escape(size)}</small></div>{aim}{_write_legend(language)}"
        f'</div><div class="cjm-scroll" tabindex="0"><div class="cjm-grid" '
        f'style="--n:{max(len(stages), 1)}">{heads}{curve}{columns}</div></div></div>'
    )


def _write_stage(
    cells: pd.DataFrame,
    lanes: Sequence[str],
    column: int,
    *,
    stage: str,
    colour: str,
    widest: float,
    offline: Collection[str],
    language: Language,
) -> str:
    """Write one column: the stage's name, and a cell for each lane."""
    stage_name = escape(display_name(stage, "stage", language))
    parts = [f'<h4 class="cjm-stage">{stage_name}</h4>']
    for row, lane in enumerate(lanes, 2):
        things = cells[cells["lane"] == lane].to_dict("records")
        if lane == "people":
            inside = _write_people(things, widest, language)
        else:
            inside = "".join(_WRITERS[lane](thing, offline, language) for thing in things)
        lane_name = _words(f"lane.{lane}", language)
        inside = inside or f'<span class="cjm-none">{NO_VALUE}</span>'
        parts.append(
            f'<div class="cjm-cell cjm-{lane}" style="--r:{row}" '
            f'data-lane="{lane_name}">'
            f"{inside}</div>"
        )
    return (
        f'<section aria-label="{stage_name}" style="--c:{column};--s:{colour};'
        f'--deep:{_deeper(colour)}">{"".join(parts)}</section>'
    )


def _write_touchpoint(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    is_offline = cell["item"] in offline
    where = _words(f"place.{'offline' if is_offline else 'online'}", language)
    share = 0.0 if pd.isna(cell["value"]) else float(cell["value"])
    figure = _percent(cell["value"], language, 0)
    return (
        f'<div class="cjm-touch{" cjm-off" if is_offline else ""}" {_title(cell, language, where)}>'
        f"<span><i></i>{_item(cell, language)}</span>"
        f"<u>{_or_hidden(figure, cell, language)}</u>"
        f'<s><s style="width:{100 * share:.0f}%"></s></s></div>'
    )


def _write_people(cells: list[dict[Any, Any]], widest: float, language: Language) -> str:
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
    words = _words(f"mood.{mood}", language)
    side = " cjm-under" if value < 0 else ""
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
    what = _words(f"symptom.{cell['measure']}", language)
    return (
        f'<div class="cjm-chip cjm-pain{_gone(cell)}" {_title(cell, language)}>'
        f"<b>{_item(cell, language)}</b>"
        f"<span>{what} <em>{_points(cell['value'], language)}</em></span>"
        f"{_before(cell, language)}</div>"
    )


def _write_moment(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    return (
        f'<div class="cjm-chip cjm-moment{_gone(cell)}" {_title(cell, language)}>'
        f"<b>★ {_item(cell, language)}</b><em>{_points(cell['value'], language)}</em>"
        f"{_before(cell, language)}</div>"
    )


def _write_gain(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    gain = escape(_FIGURES[cell["measure"]](cell["value"], language))
    return (
        f'<div class="cjm-chip cjm-gain" {_title(cell, language)}><b>'
        f"<i>{cell['rank']}</i> {_item(cell, language)}</b><em>{gain}</em></div>"
    )


def _write_theme(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    value = cell["value"]
    mood = "unsure" if pd.isna(value) else "good" if cell["low"] > 0 else "bad"
    mood = "unsure" if not pd.isna(value) and cell["low"] <= 0 <= cell["high"] else mood
    words = _words(f"mood.{mood}", language)
    return (
        f'<div class="cjm-theme cjm-{mood}" {_title(cell, language, words)}>'
        f'<i class="cjm-dot"></i><span>{escape(cell["item"])}</span></div>'
    )


def _write_note(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    """Write what an interview said: a slip of paper, so that nobody takes it for a measure."""
    return (
        f'<div class="cjm-note" {_title(cell, language)}>'
        f"<small>{_words('measure.' + cell['measure'], language)}</small>"
        f"<q>{escape(cell['item'])}</q></div>"
    )


def _write_comment(cell: dict[Any, Any], offline: Collection[str], language: Language) -> str:
    return (
        f'<div class="cjm-comment"><small>{_words("measure." + cell["measure"], language)}</small>'
        f"<span>{escape(cell['item'])}</span></div>"
    )


def _before(cell: dict[Any, Any], language: Language) -> str:
    """Write what a figure was in the earlier map, where there is one."""
    if "previous" not in cell:
        return ""
    if pd.isna(cell["previous"]):
        is_new = cell["lane"] in COME_AND_GO and not pd.isna(cell["n"])
        return f'<small class="cjm-was">{_words("map_new", language)}</small>' if is_new else ""
    was = _FIGURES[cell["measure"]](cell["previous"], language)
    term = "map_gone" if _gone(cell) else "map_before"
    return f'<small class="cjm-was">{escape(label(term, language, value=was))}</small>'


def _gone(cell: dict[Any, Any]) -> str:
    """Return the class of a pain point or moment that only the earlier map has."""
    was_found = cell["lane"] in COME_AND_GO and not pd.isna(cell.get("previous"))
    return " cjm-gone" if was_found and pd.isna(cell["value"]) else ""


_WRITERS = {
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


def _write_curve(table: pd.DataFrame, stages: Sequence[str]) -> str:
    """Write the line through the emotion of the stages: dashed over a stage without answers."""
    felt = table[table["lane"] == "emotion"].dropna(subset="value").set_index("stage")["value"]
    points = [
        (100 * column + 50.0, _height(float(felt[stage])))
        for column, stage in enumerate(stages)
        if stage in felt.index
    ]
    gap = ' class="cjm-gap"'
    lines = "".join(
        f'<path d="{path}"{gap if end - start > 100 else ""}/>'
        for path, start, end in _smooth(points)
    )
    width = 100 * len(stages)
    zero = _height(0)
    return (
        f'<svg viewBox="0 0 {width} 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="cjm-zero" d="M0,{zero:.1f}H{width}"/>{lines}</svg>'
    )


def _smooth(points: list[tuple[float, float]]) -> list[tuple[str, float, float]]:
    """Return each piece of a curve through `points` that never runs higher or lower than they do.

    Tangents are 0 at turns and the harmonic mean of the slopes elsewhere (Fritsch and Butland 1984,
    SIAM Journal on Scientific and Statistical Computing 5, 300-304).
    """
    slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in pairwise(points)]
    inner = [
        2 * before * after / (before + after) if before * after > 0 else 0.0
        for before, after in pairwise(slopes)
    ]
    tangents = [*slopes[:1], *inner, *slopes[-1:]]
    pieces = []
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        third = (x1 - x0) / 3
        first, second = y0 + third * tangents[number], y1 - third * tangents[number + 1]
        path = (
            f"M{x0:.1f},{y0:.1f}C{x0 + third:.1f},{first:.1f} "
            f"{x1 - third:.1f},{second:.1f} {x1:.1f},{y1:.1f}"
        )
        pieces.append((path, x0, x1))
    return pieces


def _write_legend(language: Language) -> str:
    moods = {mood: _words(f"mood.{mood}", language) for mood in ("good", "unsure", "bad")}
    marks = "".join(
        f'<span><i class="cjm-dot cjm-{mood}"></i>{words}</span>' for mood, words in moods.items()
    )
    online, offline = (_words(f"place.{place}", language) for place in ("online", "offline"))
    places = (
        f'<span class="cjm-touch"><i></i>{online}</span>'
        f'<span class="cjm-touch cjm-off"><i></i>{offline}</span>'
    )
    return f'<div class="cjm-legend">{places}{marks}</div>'


def _title(cell: dict[Any, Any], language: Language, *more: str) -> str:
    """Write what a pointer or a screen reader gets: the measure, its figures and their n."""
    measure = cell["measure"]
    n = label("map_n", language, n=format_number(_known(cell["n"]), language))
    said = [label(f"measure.{measure}", language)]
    if pd.isna(cell["n"]):
        said.append(label("map_hidden", language))
    elif cell["lane"] == "interviews" or measure == "customers":
        said.append(n)
    else:
        figure = _FIGURES[measure](cell["value"], language)
        said.append(f"{figure} {_limits(cell, language)}".strip())
        said.append(n)
    words = " · ".join([*said, *more])
    return f'title="{escape(words)}" aria-label="{escape(words)}" role="img"'


def _or_hidden(written: str, cell: dict[Any, Any], language: Language) -> str:
    """Return what is written of a figure, or that it is masked."""
    return written if pd.notna(cell["n"]) else f"<i>{_words('hidden', language)}</i>"


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
    "loop": _points,
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


def _words(term: str, language: Language) -> str:
    return escape(label(term, language))


def _height(emotion: float) -> float:
    return _TOP + (1 - emotion) / 2 * (_BOTTOM - _TOP)


def _at(emotion: float) -> str:
    return f"{_height(emotion):.1f}%"


def _stage_colours(stages: Sequence[str]) -> dict[str, str]:
    """Return the colour of each stage: its own, or the next of the palette."""
    spare = iter(theme.colours(len(stages)))
    return {stage: theme.STAGE_COLOURS.get(stage) or next(spare) for stage in stages}


def _deeper(colour: str) -> str:
    """Return the colour dark enough for white words on it."""
    channels = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(channel * 0.74):02x}" for channel in channels)


def _style() -> str:
    return resources.files(__package__).joinpath("map.css").read_text("utf-8")
