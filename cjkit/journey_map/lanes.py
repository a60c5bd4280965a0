"""The lanes of a journey map: how each result becomes cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import Table, text

LANES = (
    *("touchpoints", "people", "emotion", "time", "pain_points", "moments"),
    *("opportunities", "voice", "interviews", "comments"),
)
"""The lanes of the map, from top to bottom."""

COME_AND_GO = ("pain_points", "moments")
"""The lanes whose things may be found at one time and not at another."""

FIGURES = ["value", "low", "high", "n", "lost_people", "lost_revenue"]
COLUMNS = ["stage", "lane", "item", "group", "measure", *FIGURES]
HIDDEN = "hidden "
"""Begins the name of the column that says whether a column's figure is hidden."""

LOW_SCORE = "low_score"
"""The symptom that has lost nobody yet."""

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


def of_segment(name: str, result: Measured, segment: str | None) -> pd.DataFrame:
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
    cells[HIDDEN] = _is_hidden(rows, columns.values())
    return cells.assign(lane=lane, measure=measure).reindex(columns=[*COLUMNS, HIDDEN])


def _is_hidden(rows: pd.DataFrame, columns: Iterable[str]) -> pd.Series[bool]:
    """Say of each row whether a figure in any of `columns` is hidden."""
    flags = [f"{HIDDEN}{name}" for name in columns]
    return rows[[flag for flag in flags if flag in rows]].any(axis=1)


def stage_cells(table: pd.DataFrame) -> list[pd.DataFrame]:
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


def touchpoint_cells(table: pd.DataFrame) -> pd.DataFrame:
    columns = {"stage": "stage", "item": "touchpoint", "value": "share"}
    limits = {"low": "share_low", "high": "share_high", "n": "customers"}
    return _cells("touchpoints", table, "share", {**columns, **limits})


def emotion_cells(table: pd.DataFrame) -> pd.DataFrame:
    columns = {"stage": "stage", "value": "emotion", "low": "emotion_low"}
    return _cells("emotion", table, "emotion", {**columns, "high": "emotion_high", "n": "answers"})


def pain_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the pain points, each with what it costs: low answers are no loss yet."""
    rows = table[table["is_pain_point"].astype(bool)]
    rows = rows.assign(lost=rows["excess_people"].where(rows["symptom"] != LOW_SCORE))
    columns = {"stage": "stage", "item": "touchpoint", "group": "group", "value": "excess_rate"}
    limits = {"low": "excess_rate_low", "high": "excess_rate_high", "n": "people"}
    cost = {"lost_people": "lost", "lost_revenue": "lost_revenue"}
    return _cells("pain_points", rows, rows["symptom"], {**columns, **limits, **cost})


def moment_cells(table: pd.DataFrame, touchpoints: pd.DataFrame | None) -> pd.DataFrame:
    """Return the moments of truth, each in the stage in which most people are there."""
    if touchpoints is None:
        raise CjkitError("moments need touchpoints: these say in which stage a moment is.")
    rows = _at_home(table[table["is_moment"].astype(bool)], touchpoints)
    columns = {"stage": "stage", "item": "touchpoint", "value": "rate_gap"}
    limits = {"low": "rate_gap_low", "high": "rate_gap_high", "n": "people"}
    return _cells("moments", rows, "rate_gap", {**columns, **limits})


def _at_home(rows: pd.DataFrame, touchpoints: pd.DataFrame) -> pd.DataFrame:
    """Give each row the stage in which most people are at its touchpoint."""
    home = touchpoints.sort_values("customers", ascending=False, kind="stable")
    stages = home.drop_duplicates("touchpoint").set_index("touchpoint")["stage"]
    rows = rows[rows["touchpoint"].isin(stages.index)]
    return rows.assign(stage=rows["touchpoint"].map(stages.to_dict()))


def opportunity_cells(
    pain_points: pd.DataFrame | None,
    moments: pd.DataFrame | None,
    touchpoints: pd.DataFrame | None,
    *,
    worth: float | None,
    most: int,
) -> pd.DataFrame:
    """Return what would be gained, the largest first: in revenue if all of it is known in revenue.

    A pain point that loses people gains those whom it loses beyond the others; a moment of truth
    those who would go on if each bad experience had been a good one, each worth `worth`. Of several
    at one touchpoint (and in one group) the largest counts: the same people are behind them.
    """
    parts = []
    if pain_points is not None:
        lost = pain_points[pain_points["is_pain_point"].astype(bool)]
        lost = lost[lost["symptom"] != LOW_SCORE]
        parts.append(
            pd.DataFrame(
                {
                    "stage": lost["stage"],
                    "item": lost["touchpoint"],
                    "group": lost["group"],
                    "n": lost["people"],
                    "gained": lost["excess_people"],
                    "each": lost["lost_revenue"] / lost["excess_people"],
                    "low": lost["excess_rate_low"] * lost["people"],
                    "high": lost["excess_rate_high"] * lost["people"],
                    HIDDEN: _is_hidden(lost, ["people", "excess_people"]),
                }
            )
        )
    if moments is not None and touchpoints is not None:
        turns = _at_home(moments[moments["is_moment"].astype(bool)], touchpoints)
        parts.append(
            pd.DataFrame(
                {
                    "stage": turns["stage"],
                    "item": turns["touchpoint"],
                    "group": None,
                    "n": turns["people"],
                    "gained": turns["at_stake"],
                    "each": float("nan") if worth is None else worth,
                    "low": turns["rate_gap_low"] * turns["bad"],
                    "high": turns["rate_gap_high"] * turns["bad"],
                    HIDDEN: _is_hidden(turns, ["people", "bad", "at_stake"]),
                }
            )
        )
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["gained"])
    if found.empty:
        return pd.DataFrame(columns=[*COLUMNS, HIDDEN])
    in_money = bool(found["each"].notna().all())
    factor = found["each"] if in_money else 1.0
    found = found.assign(
        lane="opportunities",
        measure="gained_revenue" if in_money else "gained_people",
        value=found["gained"] * factor,
        low=found["low"] * factor,
        high=found["high"] * factor,
    )
    found = found.sort_values("value", ascending=False, kind="stable")
    found = found.drop_duplicates(["stage", "item", "group"])
    return found.head(most).reindex(columns=[*COLUMNS, HIDDEN])


def theme_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the themes that people write about, each in the stage of most of its texts."""
    rows = table.dropna(subset=["theme", "stage"])
    named = {"stage": "stage", "item": "theme", "value": "emotion"}
    limits = {"low": "emotion_low", "high": "emotion_high", "n": "answers"}
    return _cells("voice", rows, "theme", {**named, **limits})


@dataclass(frozen=True)
class Interviews:
    """What people said in interviews.

    Attributes
    ----------
    table : DataFrame
        `stage`, `kind`, `text`, `respondents` (people who said so).
    sql : tuple of str
        The statement that read them.
    """

    table: pd.DataFrame
    sql: tuple[str, ...]
    by: str | None = None
    counts: ClassVar[dict[str, tuple[str, ...]]] = {"respondents": ()}


def read_interviews(notes: Table, persona: str | None) -> Interviews:
    """Read what was said in interviews, by those of one persona or of none."""
    whose = f" and (persona is null or persona = {text(persona)})" if persona else ""
    sql = f"""
        select stage, kind, text, respondents from {notes} as notes
        where text is not null and stage is not null{whose}
        order by stage, kind, respondents desc, text"""
    return Interviews(notes.engine.query(sql), (sql,))


def interview_cells(notes: pd.DataFrame) -> pd.DataFrame:
    """Return what people said in interviews: needs, expectations, pains and quotes."""
    columns = {"stage": "stage", "item": "text", "n": "respondents"}
    return _cells("interviews", notes, "note." + notes["kind"], columns)


def comment_cells(comments: pd.DataFrame) -> pd.DataFrame:
    """Return what colleagues have written beside the map."""
    columns = {"stage": "stage", "item": "comment"}
    return _cells("comments", comments, "comment." + comments["status"], columns)


def with_previous(cells: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Put what each cell was before beside it, and add the pain points that are gone."""
    key = ["stage", "lane", "item", "group", "measure"]
    # What is missing counts as equal here: cells about a whole stage have no item.
    was = before.assign(
        previous=before["value"].where(before["measure"] != "customers", before["n"])
    )
    was = was[[*key, "previous"]].drop_duplicates(key)
    compared = cells.merge(was, "left", key, indicator="found")
    is_alone = compared.pop("found") == "left_only"
    compared["is_new"] = is_alone & compared["lane"].isin(COME_AND_GO)
    gone = was[was["lane"].isin(COME_AND_GO)]
    gone = gone.merge(cells[key].drop_duplicates(), "left", key, indicator="found")
    gone = gone[gone.pop("found") == "left_only"].assign(is_new=False, is_gone=True)
    compared = compared.assign(is_gone=False)
    return pd.concat([compared, gone], ignore_index=True) if len(gone) else compared
