"""What cleansing changed, as results that a notebook shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import (
    Language,
    display_name,
    format_money,
    format_number,
    format_percent,
    label,
)
from cjkit.plots.pairs import draw_pairs
from cjkit.plots.ranking import draw_ranking
from cjkit.statistics import wilson_interval

_MOST_CHANNELS = 12
_WRITERS: Mapping[str, Callable[[float, Language], str]] = {
    "customers": format_number,
    "sessions": format_number,
    "events": format_number,
    "orders": format_number,
    "revenue": format_money,
    "conversion_rate": format_percent,
}


@dataclass(frozen=True)
class Changes:
    """What cleansing changed of the headline figures.

    Attributes
    ----------
    table : DataFrame
        One row for `before` (every row that consent allows, each id a person) and one for `after`
        (the log): `moment`, `customers`, `buyers` (of these), `sessions` and `events` (besides
        purchases and returns), `orders`, `revenue`, `conversion_rate` (share of people who bought)
        with its Wilson interval `conversion_rate_low`, `conversion_rate_high`.
    """

    table: pd.DataFrame
    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            "buyers",
            "sessions",
            "events",
            "orders",
            "revenue",
            "conversion_rate",
            "conversion_rate_low",
            "conversion_rate_high",
        ),
        "buyers": (
            "orders",
            "revenue",
            "conversion_rate",
            "conversion_rate_low",
            "conversion_rate_high",
        ),
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
        """Draw each figure after cleansing as a share of what it was before, and write both."""
        before, after = (self.table.iloc[place] for place in (0, 1))
        shown = [name for name in _WRITERS if before[name] > 0 and after[name] >= 0]
        return draw_ranking(
            [label(name, language) for name in shown],
            [after[name] / before[name] for name in shown],
            [
                f"{_WRITERS[name](before[name], language)} → "
                f"{_WRITERS[name](after[name], language)}"
                for name in shown
            ],
            mark=(1, label("as_before", language)),
            ax=ax,
        )


def make_changes(counts: pd.DataFrame) -> Changes:
    """Add the conversion rate to what the gate counted before and after."""
    table = counts.astype(dict.fromkeys(counts.columns.drop("moment"), "float64"))
    buyers, people = table["buyers"].to_numpy(), table["customers"].to_numpy()
    with np.errstate(invalid="ignore"):
        table["conversion_rate"] = buyers / people
    low, high = wilson_interval(buyers, people)
    table["conversion_rate_low"], table["conversion_rate_high"] = low, high
    return Changes(table)


@dataclass(frozen=True)
class ChannelChanges:
    """What cleansing changed of the channels' shares of events, purchases and returns left out.

    Attributes
    ----------
    table : DataFrame
        `channel`, `customers_before`, `events_before`, `share_before` (of all events then),
        `customers_after`, `events_after`, `share_after`; most events after cleansing first. Before
        it each id is a person.
    """

    table: pd.DataFrame
    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers_before": ("events_before", "share_before"),
        "customers_after": ("events_after", "share_after"),
    }

    def finding(self, language: Language) -> str:
        """Name the channel whose share cleansing changed most."""
        change = (self.table["share_after"] - self.table["share_before"]).abs()
        if not change.gt(0).any():
            return label("channel_changes_none", language)
        most = self.table.iloc[int(change.argmax())]
        return label(
            "channel_changes_finding",
            language,
            channel=display_name(most["channel"], "channel", language),
            before=format_percent(most["share_before"], language),
            after=format_percent(most["share_after"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each channel's share of events before and after, side by side."""
        shown = self.table.head(_MOST_CHANNELS)
        return draw_pairs(
            [display_name(channel, "channel", language) for channel in shown["channel"]],
            shown["share_before"],
            shown["share_after"],
            kinds=(label("moment.before", language), label("moment.after", language)),
            write=lambda share: format_percent(share, language),
            ax=ax,
        )
