"""How good the data of each source are, as results that a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.scores import draw_scores
from cjkit.project import DIMENSIONS


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
            return label("nothing_here", language)
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
                f"{display_name(source, 'source', language)} · "
                f"{display_name(table, 'table', language)}"
                for source, table in order.itertuples(index=False)
            ],
            columns=[display_name(name, "dimension", language) for name in dimensions],
            marked=marked.eq(True).to_numpy(bool),
            write=lambda score: _below_all(score, language),
            ax=ax,
        )


def _below_all(score: float, language: Language) -> str:
    """Write a score so that only a perfect one reads 100%."""
    return format_percent(min(score, 0.999) if score < 1 else 1.0, language)
