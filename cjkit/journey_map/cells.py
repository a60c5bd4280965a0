"""The cells of a journey map: one row for each thing that it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.journey_map.page import write_map
from cjkit.labels import (
    Language,
    display_name,
    format_number,
    format_percent,
    format_signed,
    label,
)

LANES = ("touchpoints", "people", "emotion", "time", "pain_points", "moments")
"""The lanes of the map, from top to bottom."""

_COLUMNS = ["stage", "lane", "item", "measure", "value", "low", "high", "n"]
_HIDDEN = "hidden "
_DAY_US = 86_400_000_000


class Measured(Protocol):
    """A result of an analysis that can be a lane of the map."""

    @property
    def table(self) -> pd.DataFrame:
        """The figures, the column of `by` first where there is one."""

    @property
    def by(self) -> str | None:
        """The column that the figures are split by."""

    @property
    def sql(self) -> tuple[str, ...]:
        """The statements that made the figures."""


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
        (-1 to 1).
    lanes : tuple of str
        The lanes that results were given for, from top to bottom; what one has no row about, it
        found nothing about.
    segment : str or None
        Whom it shows; None: everybody.
    offline : frozenset of str
        The touchpoints that are not online.
    made_of : mapping from str to result
        The results that were passed in: a figure that is masked there is masked here.
    most : int
        The most items in a cell.
    sql : tuple of str
        The statements behind them.
    """

    table: pd.DataFrame
    lanes: tuple[str, ...]
    segment: str | None
    offline: frozenset[str]
    made_of: Mapping[str, Measured]
    most: int
    sql: tuple[str, ...]

    formats: ClassVar[dict[str, str]] = {
        "lane": "lane",
        "item": "touchpoint",
        "measure": "measure",
        "value": "number",
    }

    def remade(self, mask: Callable[[Measured], Measured]) -> JourneyMap:
        """Return the map with the figures that `mask` leaves of the results that it is made of."""
        return replace(self, table=_compose(self.made_of, self.segment, self.most, mask))

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
    segment: str | None = None,
    offline: Collection[str] = (),
    most: int = 5,
) -> JourneyMap:
    """Put results side by side as a journey map: stages across, what was measured down.

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
    segment : str, optional
        One group of results that were measured with `by`.
    offline : collection of str
        The touchpoints that are not online.
    most : int, default 5
        The most items in a cell.

    Returns
    -------
    JourneyMap

    Raises
    ------
    CjkitError
        When a result is split and no `segment` is named, is not split and one is, has no such
        group, or `emotion` was not measured per stage.
    """
    given = {
        "stages": stages,
        "touchpoints": touchpoints,
        "emotion": emotion,
        "pain_points": pain_points,
        "moments": moments,
    }
    measured = {name: result for name, result in given.items() if result is not None}
    return JourneyMap(
        table=_compose(measured, segment, most, lambda result: result),
        lanes=tuple(lane for lane in LANES if lane in {*measured, "people", "time"}),
        segment=segment,
        offline=frozenset(offline),
        made_of=measured,
        most=most,
        sql=tuple(dict.fromkeys(text for result in measured.values() for text in result.sql)),
    )


def _compose(
    measured: Mapping[str, Measured],
    segment: str | None,
    most: int,
    mask: Callable[[Measured], Measured],
) -> pd.DataFrame:
    """Return the cells of the map; the figures that `mask` takes out of the results are missing."""
    tables = {name: _of_segment(name, result, segment) for name, result in measured.items()}
    if "emotion" in tables and "touchpoint" in tables["emotion"]:
        raise CjkitError("emotion was measured per touchpoint: measure it with per='stage'.")
    for name, result in measured.items():
        hidden = mask(result).table.isna() & result.table.notna()
        tables[name] = tables[name].join(hidden.add_prefix(_HIDDEN))
    cells = [*_stage_cells(tables["stages"])]
    makers = {
        "touchpoints": _touchpoint_cells,
        "emotion": _emotion_cells,
        "pain_points": _pain_cells,
    }
    for name, make in makers.items():
        if name in tables:
            cells.append(make(tables[name]))
    if "moments" in tables:
        cells.append(_moment_cells(tables["moments"], tables.get("touchpoints")))
    table = _in_order(pd.concat(cells, ignore_index=True), list(tables["stages"]["stage"]), most)
    table.loc[table.pop(_HIDDEN).astype(bool), ["value", "low", "high", "n"]] = np.nan
    return table


def _of_segment(name: str, result: Measured, segment: str | None) -> pd.DataFrame:
    """Return the rows of one group, or of everybody."""
    if result.by is None:
        if segment is None:
            return result.table
        raise CjkitError(
            f"{name} was measured for everybody: measure it with `by` to map {segment!r}."
        )
    groups = result.table[result.table.columns[0]]
    if segment is None:
        known = ", ".join(map(repr, sorted(set(groups))))
        raise CjkitError(f"{name} is split by {result.by!r}: choose segment= one of {known}.")
    rows = result.table[groups == segment]
    if rows.empty and name == "stages":
        raise unknown_name("segment", segment, set(groups), where=name)
    return rows


def _cells(lane: str, rows: pd.DataFrame, measure: Any, columns: dict[str, str]) -> pd.DataFrame:
    """Return rows of a result as cells; `columns` says which column becomes which."""
    cells = pd.DataFrame({name: rows[source] for name, source in columns.items()}, rows.index)
    flags = [f"{_HIDDEN}{source}" for source in columns.values()]
    cells[_HIDDEN] = rows[[flag for flag in flags if flag in rows]].any(axis=1)
    return cells.assign(lane=lane, measure=measure).reindex(columns=[*_COLUMNS, _HIDDEN])


def _stage_cells(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the cells of the lanes that are about whole stages."""
    rows = table.assign(days=table["progress_p50_us"] / _DAY_US)
    named = {"stage": "stage"}
    rate = {
        "value": "progress_rate",
        "low": "progress_rate_low",
        "high": "progress_rate_high",
        "n": "known_customers",
    }
    return [
        _cells("people", rows, "customers", {**named, "n": "customers"}),
        _cells("people", rows.dropna(subset="progress_rate"), "progress_rate", {**named, **rate}),
        _cells(
            "time",
            rows.dropna(subset="days"),
            "days_to_progress",
            {**named, "value": "days", "n": "progressed"},
        ),
    ]


def _touchpoint_cells(table: pd.DataFrame) -> pd.DataFrame:
    columns = {"stage": "stage", "item": "touchpoint", "value": "share"}
    limits = {"low": "share_low", "high": "share_high", "n": "customers"}
    return _cells("touchpoints", table, "share", {**columns, **limits})


def _emotion_cells(table: pd.DataFrame) -> pd.DataFrame:
    columns = {"stage": "stage", "value": "emotion", "low": "emotion_low"}
    return _cells("emotion", table, "emotion", {**columns, "high": "emotion_high", "n": "answers"})


def _pain_cells(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[table["is_pain_point"].astype(bool)]
    columns = {"stage": "stage", "item": "touchpoint", "value": "excess_rate"}
    limits = {"low": "excess_rate_low", "high": "excess_rate_high", "n": "people"}
    return _cells("pain_points", rows, rows["symptom"], {**columns, **limits})


def _moment_cells(table: pd.DataFrame, touchpoints: pd.DataFrame | None) -> pd.DataFrame:
    """Return the moments of truth, each in the stage in which most people are there."""
    if touchpoints is None:
        raise CjkitError("moments need touchpoints: these say in which stage a moment is.")
    rows = table[table["is_moment"].astype(bool)]
    home = touchpoints.sort_values("customers", ascending=False, kind="stable")
    stages = home.drop_duplicates("touchpoint").set_index("touchpoint")["stage"]
    rows = rows[rows["touchpoint"].isin(stages.index)]
    rows = rows.assign(stage=rows["touchpoint"].map(stages.to_dict()))
    columns = {"stage": "stage", "item": "touchpoint", "value": "rate_gap"}
    limits = {"low": "rate_gap_low", "high": "rate_gap_high", "n": "people"}
    return _cells("moments", rows, "rate_gap", {**columns, **limits})


def _in_order(cells: pd.DataFrame, stages: list[str], most: int) -> pd.DataFrame:
    """Put the cells in the order of the map, and leave out what it has no room or stage for."""
    cells = cells[cells["stage"].isin(stages)]
    told = cells.loc[cells["n"] > 0, "stage"].unique()
    cells = cells[cells["stage"].isin(told)]
    cells = cells[cells.groupby(["stage", "lane"]).cumcount() < most]
    order = cells.assign(
        stage_no=cells["stage"].map(stages.index), lane_no=cells["lane"].map(LANES.index)
    )
    order = order.sort_values(["stage_no", "lane_no"], kind="stable", ignore_index=True)
    return order[[*_COLUMNS, _HIDDEN]]
