"""The journey map as HTML and CSS: a grid on a screen, a stack on a phone, one sheet in print."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from importlib import resources
from itertools import pairwise

import pandas as pd

from cjkit.journey_map.writers import WRITERS, height_of, words_of, write_kpi, write_people
from cjkit.labels import (
    NO_VALUE,
    Language,
    display_name,
    format_number,
    label,
)
from cjkit.plots import theme


def write_map(
    table: pd.DataFrame,
    lanes: Sequence[str],
    *,
    name: str,
    finding: str,
    goal: str,
    kpi: str | None,
    target: float | None,
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
        for row, words in enumerate((words_of(f"lane.{lane}", language) for lane in lanes), 2)
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
    aim = f'<p class="cjm-goal">{words_of("map_goal", language)} <b>{escape(goal)}</b></p>'
    aim = aim if goal else ""
    if kpi is not None:
        rates = table[(table["stage"] == kpi) & (table["measure"] == "progress_rate")]
        aim += write_kpi(rates.to_dict("records"), target, kpi, language)
    mark = escape(name.strip("(（")[:1])
    size = label("map_size", language, people=format_number(entered, language))
    return (
        f"<style>{_style()}</style>"
        f'<div class="cjm" lang="{language}" role="group" aria-label="{escape(finding)}">'
        f'<div class="cjm-head"><span class="cjm-mark" aria-hidden="true">{mark}</span>'
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
    parts = [f'<h3 class="cjm-stage">{stage_name}</h3>']
    for row, lane in enumerate(lanes, 2):
        things = cells[cells["lane"] == lane].to_dict("records")
        if lane == "people":
            inside = write_people(things, widest, language)
        else:
            inside = "".join(WRITERS[lane](thing, offline, language) for thing in things)
        lane_name = words_of(f"lane.{lane}", language)
        inside = inside or f'<span class="cjm-none">{NO_VALUE}</span>'
        parts.append(
            f'<div class="cjm-cell cjm-{lane}" style="--r:{row}" '
            f'data-lane="{lane_name}">'
            f"{inside}</div>"
        )
    return (
        f'<div class="cjm-column" role="group" aria-label="{stage_name}" '
        f'style="--c:{column};--s:{colour};--deep:{_deeper(colour)}">{"".join(parts)}</div>'
    )


def _write_curve(table: pd.DataFrame, stages: Sequence[str]) -> str:
    """Write the line through the emotion of the stages: dashed over a stage without answers."""
    felt = table[table["lane"] == "emotion"].dropna(subset="value").set_index("stage")["value"]
    points = [
        (100 * column + 50.0, height_of(float(felt[stage])))
        for column, stage in enumerate(stages)
        if stage in felt.index
    ]
    gap = ' class="cjm-gap"'
    lines = "".join(
        f'<path d="{path}"{gap if end - start > 100 else ""}/>'
        for path, start, end in _smooth(points)
    )
    width = 100 * len(stages)
    zero = height_of(0)
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
    moods = {mood: words_of(f"mood.{mood}", language) for mood in ("good", "unsure", "bad")}
    marks = "".join(
        f'<span><i class="cjm-dot cjm-{mood}"></i>{words}</span>' for mood, words in moods.items()
    )
    online, offline = (words_of(f"place.{place}", language) for place in ("online", "offline"))
    places = (
        f'<span class="cjm-touch"><i></i>{online}</span>'
        f'<span class="cjm-touch cjm-off"><i></i>{offline}</span>'
    )
    return f'<div class="cjm-legend">{places}{marks}</div>'


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
