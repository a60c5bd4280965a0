"""The cells of a journey map: one row for each thing that it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cjkit.checks import CjkitError, one_of, unknown_name
from cjkit.engine import Table
from cjkit.journey_map import lanes as made
from cjkit.journey_map.lanes import FIGURES, HIDDEN, LANES, Measured
from cjkit.journey_map.page import write_map
from cjkit.labels import (
    Language,
    display_name,
    format_number,
    format_percent,
    format_signed,
    label,
)

_IN_WORDS, _MOST_WORDS = ("voice", "interviews"), 3


Mask = Callable[[Any], Any]


@dataclass(frozen=True)
class Parts:
    """What a map is made of: the arguments of `draw_journey_map`, the notes read."""

    measured: Mapping[str, Measured]
    comments: pd.DataFrame | None
    worth: float | None
    before: JourneyMap | None
    segment: str | None
    most: int


@dataclass(frozen=True)
class JourneyMap:
    """What `draw_journey_map` put together.

    Attributes
    ----------
    table : DataFrame, one row for each thing in a cell
        `stage`, `lane` (one of `LANES`), `item` (the touchpoint that it is about; missing where it
        is about the stage), `measure` (what the figure is), `value` with `low` and `high`, and `n`,
        the people or answers behind it. The value of measure `customers` is `n` itself, and times
        are in days; all others are rates (0 to 1), differences of rates (-1 to 1) or emotion
        (-1 to 1). Of pain points also `lost_people` and `lost_revenue`: how many more than usual
        are lost there, and what they would have brought, where that is known. Beside an earlier
        map also `previous` (the figure then) and, of pain points and moments, `is_new` and
        `is_gone`: found at one of the two times only, shown or hidden.
    lanes : tuple of str
        The lanes that results were given for, from top to bottom; what one has no row about, it
        found nothing about.
    segment : str or None
        Whom it shows; None: everybody.
    offline : frozenset of str
        The touchpoints that are not online.
    goal : mapping from language to str
        What the company wants to reach.
    kpi : str or None
        The stage whose rate of coming further tells whether the goal comes nearer.
    target : float or None
        What that rate should be (0 to 1).
    across : str or None
        The column that `group` is a value of.
    parts : Parts
        What it is made of: a figure that is masked there is masked here.
    sql : tuple of str
        The statements behind them.
    """

    table: pd.DataFrame
    lanes: tuple[str, ...]
    segment: str | None
    offline: frozenset[str]
    goal: Mapping[Language, str]
    kpi: str | None
    target: float | None
    across: str | None
    parts: Parts
    sql: tuple[str, ...]

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        kinds = {"lane": "lane", "item": "touchpoint", "measure": "measure", "value": "number"}
        return {**kinds, "group": self.across} if self.across else kinds

    def remade(self, mask: Mask) -> JourneyMap:
        """Return the map with the figures that `mask` leaves of the results that it is made of."""
        return replace(self, table=_compose(self.parts, mask))

    @property
    def stages(self) -> list[str]:
        """The stages of the map, first to last."""
        return list(dict.fromkeys(self.table["stage"]))

    def finding(self, language: Language) -> str:
        """Say where the fewest come further, where people feel worst, and how much hurts."""
        parts = []
        progress = self._lowest("people", "progress_rate")
        if progress is not None:
            parts.append(
                label(
                    "map_progress",
                    language,
                    stage=display_name(progress["stage"], "stage", language),
                    rate=format_percent(progress["value"], language),
                )
            )
        emotion = self._lowest("emotion", "emotion")
        if emotion is not None:
            parts.append(
                label(
                    "map_emotion",
                    language,
                    stage=display_name(emotion["stage"], "stage", language),
                    emotion=format_signed(emotion["value"], language),
                )
            )
        lanes = self.table["lane"].value_counts()
        parts.append(
            label(
                "map_points",
                language,
                pain_points=format_number(int(lanes.get("pain_points", 0)), language),
                moments=format_number(int(lanes.get("moments", 0)), language),
            )
        )
        whom = self.name(language)
        return label(
            "map_finding", language, whom=whom, said=label("and_then", language).join(parts)
        )

    def name(self, language: Language) -> str:
        """Return what readers call the people of the map."""
        if self.segment is None:
            return label("everybody", language)
        return display_name(self.segment, "segment", language)

    def to_html(self, language: Language) -> str:
        """Return the map as HTML that stands in any page: escaped, without script or request."""
        return write_map(
            self.table,
            self.lanes,
            goal=self.goal.get(language, ""),
            kpi=self.kpi,
            target=self.target,
            across=self.across,
            name=self.name(language),
            finding=self.finding(language),
            offline=self.offline,
            language=language,
        )

    def _lowest(self, lane: str, measure: str) -> pd.Series[Any] | None:
        rows = self.table[(self.table["lane"] == lane) & (self.table["measure"] == measure)]
        known = rows.dropna(subset="value").sort_values("value", kind="stable")
        return None if known.empty else known.iloc[0]


def draw_journey_map(
    stages: Measured,
    *,
    touchpoints: Measured | None = None,
    emotion: Measured | None = None,
    pain_points: Measured | None = None,
    moments: Measured | None = None,
    themes: Measured | None = None,
    notes: Table | None = None,
    comments: pd.DataFrame | None = None,
    worth: float | None = None,
    before: JourneyMap | None = None,
    goal: Mapping[Language, str] | None = None,
    kpi: str | None = None,
    target: float | None = None,
    segment: str | None = None,
    offline: Collection[str] = (),
    most: int = 5,
) -> JourneyMap:
    """Put results side by side as a journey map: stages across, what was measured down.

    The lane of opportunities follows from pain points and moments: what would be gained if a
    touchpoint lost no more people (by drop-off, delay or loops) than those it is compared with, or
    if each bad experience had been a good one; of several at one touchpoint the largest. It is in
    revenue where all of it is known in revenue, else in people, and an upper bound: pain points and
    moments are associations, and one person may stand behind several.

    Parameters
    ----------
    stages : result of `measure_stages`
        Gives the stages and their order. A stage about which no result says anything is left out.
    touchpoints : result of `measure_touchpoints`, optional
    emotion : result of `measure_emotion` per stage, optional
    pain_points : result of `rank_pain_points`, optional
        The rows that are pain points are shown.
    moments : result of `rank_moments`, optional
        The rows that are moments of truth are shown, each in the stage in which most people are at
        its touchpoint; `touchpoints` is needed for that.
    themes : result of `find_themes` with `stage_of`, optional
        What people write about, each theme in the stage of most of its texts.
    notes : Table, optional
        What people said in interviews: `stage`, `persona`, `kind`, `text`, `respondents`. It is
        drawn unlike what is measured. With `segment` only notes of that persona, or of none.
    comments : DataFrame, optional
        What colleagues wrote beside the map: see `read_comments`.
    worth : float, optional
        What one conversion brings, for the gains of moments.
    before : JourneyMap, optional
        The map of an earlier time: its figures stand beside those of this one.
    goal : mapping from language to str, optional
        What the company wants to reach, to stand above the map.
    kpi : str, optional
        The stage whose rate of coming further tells whether the goal comes nearer: it stands beside
        the goal with its interval, and with that of `before`.
    target : float, optional
        What that rate should be (0 to 1).
    segment : str, optional
        One group of results that were measured with `by`.
    offline : collection of str
        The touchpoints that are not online.
    most : int, default 5
        The most items in a cell, and the most opportunities; of themes and notes three at most.

    Returns
    -------
    JourneyMap

    Raises
    ------
    CjkitError
        When a result is split and no `segment` is named, is not split and one is, has no such
        group, `emotion` was not measured per stage, or `kpi` is no stage.
    """
    if kpi is not None and kpi not in (known := set(stages.table["stage"])):
        raise unknown_name("kpi", kpi, known)
    given: dict[str, Measured | None] = {
        "stages": stages,
        "touchpoints": touchpoints,
        "emotion": emotion,
        "pain_points": pain_points,
        "moments": moments,
        "voice": themes,
    }
    if notes is not None:
        given["interviews"] = made.read_interviews(notes, segment)
    measured = {name: result for name, result in given.items() if result is not None}
    parts = Parts(measured, comments, worth, before, segment, most)
    shown = {*measured, "people", "time"}
    shown |= {"opportunities"} if shown & {"pain_points", "moments"} else set()
    shown |= {"comments"} if comments is not None else set()
    return JourneyMap(
        table=_compose(parts, lambda result: result),
        lanes=tuple(lane for lane in LANES if lane in shown),
        segment=segment,
        offline=frozenset(offline),
        goal=goal or {},
        kpi=kpi,
        target=target,
        across=getattr(pain_points, "across", None),
        parts=parts,
        sql=tuple(dict.fromkeys(text for result in measured.values() for text in result.sql)),
    )


def _compose(parts: Parts, mask: Mask) -> pd.DataFrame:
    """Return the cells of the map; the figures that `mask` takes out of the results are missing."""
    cells, stages = _find_cells(parts, mask)
    if parts.before is not None:
        cells = made.with_previous(cells, _find_cells(parts.before.parts, mask)[0])
    return _in_order(cells, stages, parts.most)


def _find_cells(parts: Parts, mask: Mask) -> tuple[pd.DataFrame, Iterable[str]]:
    """Return all cells, also those that the map has no room for, and its stages in order."""
    tables = {}
    for name, result in parts.measured.items():
        table = result.table
        if name != "interviews":
            table = made.of_segment(name, result, parts.segment)
        hidden = mask(result).table.isna() & result.table.notna()
        tables[name] = table.join(hidden.add_prefix(HIDDEN))
    if "emotion" in tables and "touchpoint" in tables["emotion"]:
        raise CjkitError("emotion was measured per touchpoint: measure it with per='stage'.")
    makers = {
        "touchpoints": made.touchpoint_cells,
        "emotion": made.emotion_cells,
        "pain_points": made.pain_cells,
        "voice": made.theme_cells,
        "interviews": made.interview_cells,
    }
    cells = made.stage_cells(tables["stages"])
    cells += [make(tables[name]) for name, make in makers.items() if name in tables]
    if "moments" in tables:
        cells.append(made.moment_cells(tables["moments"], tables.get("touchpoints")))
    sides = (tables.get(name) for name in ("pain_points", "moments", "touchpoints"))
    cells.append(made.opportunity_cells(*sides, worth=parts.worth, most=parts.most))
    if parts.comments is not None:
        cells.append(made.comment_cells(parts.comments))
    found = pd.concat(cells, ignore_index=True)
    is_hidden = found.pop(HIDDEN).eq(True)
    found.loc[is_hidden, FIGURES] = np.nan
    return found, tables["stages"]["stage"]


def read_comments(path: str | Path) -> pd.DataFrame:
    """Read what colleagues wrote beside a journey map from a CSV file in UTF-8.

    Parameters
    ----------
    path : path
        Its columns: `stage`, `comment`; then `owner`, `status` ('open' where it is empty,
        'decided' or 'done') and `decision`.

    Returns
    -------
    DataFrame
        `stage`, `comment` (with the decision and the owner, where there are some), `status`.

    Raises
    ------
    CjkitError
        When there is no such file, it is no CSV in UTF-8, or a column or status is unknown.
    """
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise CjkitError(f"The comments in {path} cannot be read: {error}.") from error
    for name in ("stage", "comment"):
        if name not in found:
            raise unknown_name("column", name, set(found.columns), where=str(path))
    for name in found.columns:
        if name not in _COMMENT_COLUMNS:
            raise unknown_name("column", name, _COMMENT_COLUMNS, where=str(path))
    found = found.reindex(columns=_COMMENT_COLUMNS, fill_value="")
    found["status"] = found["status"].replace("", "open")
    for status in found["status"]:
        one_of("status", status, _STATUSES)
    found["comment"] += found["decision"].map(lambda words: f" → {words}" if words else "")
    found["comment"] += found["owner"].map(lambda name: f" ({name})" if name else "")
    return found[["stage", "comment", "status"]]


_COMMENT_COLUMNS = ["stage", "comment", "owner", "status", "decision"]
_STATUSES = ("open", "decided", "done")


def _in_order(cells: pd.DataFrame, stages: Iterable[str], most: int) -> pd.DataFrame:
    """Put the cells in the order of the map, and leave out what it has no room or stage for."""
    places = {stage: place for place, stage in enumerate(stages)}
    cells = cells[cells["stage"].isin(places)]
    told = cells.loc[cells["n"] > 0, "stage"].unique()
    cells = cells[cells["stage"].isin(told)]
    room = np.where(cells["lane"].isin(_IN_WORDS), min(most, _MOST_WORDS), most)
    cells = cells[cells.groupby(["stage", "lane"]).cumcount() < room]
    order = cells.assign(
        stage_no=cells["stage"].map(places), lane_no=cells["lane"].map(LANES.index)
    )
    order = order.sort_values(["stage_no", "lane_no"], kind="stable", ignore_index=True)
    return order.drop(columns=["stage_no", "lane_no"])
