"""What cleansing changed, as results that a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import Language, format_number, format_percent, label
from cjkit.plots.ranking import draw_ranking


@dataclass(frozen=True)
class Changes:
    """What cleansing changed.

    Attributes
    ----------
    table : DataFrame
        One row for `before` (every row that consent allows, each id a person) and one for `after`
        (the log): `moment`, `customers`, `events` (besides purchases and returns), `orders`,
        `revenue`, `conversion_rate` (share of people who bought).
    """

    table: pd.DataFrame
    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("events", "orders", "revenue", "conversion_rate")
    }
    formats: ClassVar[dict[str, str]] = {"moment": "moment"}

    def finding(self, language: Language) -> str:
        """Say what became of people and of the conversion rate."""
        before, after = (self.table.iloc[place] for place in (0, 1))
        return label(
            "changes_finding",
            language,
            before=format_number(before["customers"], language),
            after=format_number(after["customers"], language),
            rate_before=format_percent(before["conversion_rate"], language),
            rate_after=format_percent(after["conversion_rate"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each figure after cleansing as a share of what it was before."""
        before, after = (self.table.iloc[place, 1:].astype(float) for place in (0, 1))
        known = (after / before.where(before != 0)).dropna()
        figures, ratios = known.index.tolist(), known.tolist()
        return draw_ranking(
            [label(name, language) for name in figures],
            ratios,
            [format_percent(ratio, language) for ratio in ratios],
            ax=ax,
        )
