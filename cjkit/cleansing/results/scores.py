"""How good the data of each source are, as results that a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.scores import draw_scores
from cjkit.plots.trends import draw_small_lines
from cjkit.project import DIMENSIONS

_MOST_RUNS = 14


@dataclass(frozen=True)
class Scorecard:
    """How good the rows of each source and table are, in each dimension.

    Attributes
    ----------
    table : DataFrame
        `table`, `source`, `dimension`, `score` (1 - failing / in scope), `failing`, `in_scope`
        (rows), `warn`, `stop` (thresholds of the project), `status` ('good', 'warn', 'stop').
    """

    table: pd.DataFrame
    formats: ClassVar[dict[str, str]] = {
        "score": "rate",
        "warn": "rate",
        "stop": "rate",
        "status": "score",
    }

    def finding(self, language: Language) -> str:
        """Name the lowest score."""
        if self.table.empty:
            return label("no_scores", language)
        low = self.table.nsmallest(1, "score").iloc[0]
        warned = int((self.table["status"] != "good").sum())
        return label(
            "scorecard_finding",
            language,
            dimension=display_name(low["dimension"], "dimension", language),
            source=display_name(low["source"], "source", language),
            table=display_name(low["table"], "table", language),
            score=format_percent(low["score"], language),
            warned=format_number(warned, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the scores as cells; those below a threshold have a frame."""
        key = ["source", "table"]
        order = self.table[key].drop_duplicates()
        dimensions = [name for name in DIMENSIONS if name in set(self.table["dimension"])]
        wide = self.table.set_index([*key, "dimension"])
        index = pd.MultiIndex.from_frame(order)
        scores = wide["score"].unstack().reindex(index=index, columns=dimensions)
        marked = wide["status"].ne("good").unstack().reindex(index=index, columns=dimensions)
        return draw_scores(
            scores.to_numpy(float),
            rows=[
                _place(source, table, language) for source, table in order.itertuples(index=False)
            ],
            columns=[display_name(name, "dimension", language) for name in dimensions],
            marked=marked.eq(True).to_numpy(bool),
            write=lambda score: _below_all(score, language),
            ax=ax,
        )


@dataclass(frozen=True)
class Trend:
    """How the scores changed against the run before, and over all runs.

    Attributes
    ----------
    table : DataFrame
        `source`, `table`, `dimension`, `score`, `score_before` (of the run before),
        `compared_rows`, `change` with its interval `change_low`, `change_high`, `status` ('fell' or
        'steady'): see `cjkit.cleansing.history.compare_scores`. No rows where no run came before.
    past : DataFrame
        The scores of all runs, in order: `run`, `as_of`, `made_at`, `source`, `table`,
        `dimension`, `score`.
    """

    table: pd.DataFrame
    past: pd.DataFrame
    formats: ClassVar[dict[str, str]] = {
        "score": "rate",
        "score_before": "rate",
        "change": "rate",
        "status": "score",
    }

    def finding(self, language: Language) -> str:
        """Say which scores fell, the worst first."""
        runs = self.past["run"].nunique() if len(self.past) else 0
        if self.table.empty:
            return label("trend_of_scores_none", language)
        fell = self.table[self.table["status"] == "fell"]
        if fell.empty:
            return label("trend_of_scores_steady", language, runs=format_number(runs, language))
        worst = fell.iloc[0]
        return label(
            "trend_of_scores_finding",
            language,
            fell=format_number(len(fell), language),
            dimension=display_name(worst["dimension"], "dimension", language),
            source=display_name(worst["source"], "source", language),
            table=display_name(worst["table"], "table", language),
            points=format_number(-100 * worst["change"], language, digits=1),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the scores of the last runs as small lines; those that fell are marked."""
        runs = self.past["run"].unique()[-_MOST_RUNS:]
        key = ["source", "table"]
        places = self.past.loc[self.past["run"] == runs[-1], key].drop_duplicates()
        order = list(places.itertuples(index=False, name=None))
        dimensions = [name for name in DIMENSIONS if name in set(self.past["dimension"])]
        wide = self.past.pivot(index=[*key, "dimension"], columns="run", values="score")[runs]
        lines = {cell: line.to_numpy(float) for cell, line in wide.iterrows()}
        fell = self.table[self.table["status"] == "fell"].set_index([*key, "dimension"]).index
        return draw_small_lines(
            [[lines.get((*place, name)) for name in dimensions] for place in order],
            rows=[_place(source, table, language) for source, table in order],
            columns=[display_name(name, "dimension", language) for name in dimensions],
            marked=[[(*place, name) in fell for name in dimensions] for place in order],
            write=lambda score: _below_all(score, language),
            ax=ax,
        )


@dataclass(frozen=True)
class Freshness:
    """How late the rows of each source come.

    Attributes
    ----------
    table : DataFrame
        `source`, `table`, `rows`, `newest_on` (day of the newest row), `silent_days` (since),
        `longest_silence` (days, between two rows), `is_stale` (silent for longer than ever),
        `late_rows` (of days that were over for the run before): see
        `cjkit.cleansing.freshness.measure_freshness`.
    """

    table: pd.DataFrame

    def finding(self, language: Language) -> str:
        """Name the sources that are silent for longer than ever, and count what came late."""
        stale = self.table[self.table["is_stale"]].sort_values("silent_days", ascending=False)
        said = [label("freshness_good", language)]
        if len(stale):
            longest = stale.iloc[0]
            said = [
                label(
                    "freshness_finding",
                    language,
                    stale=format_number(len(stale), language),
                    place=_place(longest["source"], longest["table"], language),
                    days=format_number(longest["silent_days"], language),
                )
            ]
        if self.table["late_rows"].notna().any():
            late = format_number(self.table["late_rows"].sum(), language)
            said.append(label("late_rows_finding", language, late=late))
        return ("" if language == "ja" else " ").join(said)


def _place(source: str, table: str, language: Language) -> str:
    """Name the rows of one source in one table."""
    names = display_name(source, "source", language), display_name(table, "table", language)
    return " · ".join(names)


def _below_all(score: float, language: Language) -> str:
    """Write a score so that only a perfect one reads 100%."""
    return format_percent(min(score, 0.999) if score < 1 else 1.0, language)
