"""What tells types of journeys apart: places that one type holds more often than the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import (
    Language,
    display_name,
    format_number,
    format_percent,
    join_sentences,
    label,
)
from cjkit.paths.moves import Level
from cjkit.plots.rates import draw_rates
from cjkit.statistics import (
    Floats,
    benjamini_hochberg,
    difference_p_value,
    newcombe_interval,
)

_MOST = 4
_CHANCE = 0.05
_DIFFERENCE = ("difference", "difference_low", "difference_high", "p_value")


@dataclass(frozen=True)
class JourneyTraits:
    """What tells the types of `find_journey_types` apart.

    Attributes
    ----------
    table : DataFrame, one row for each type and place, the largest difference of a type first
        `type`, `place`, `journeys` of the type that hold the place (count), their `share` of the
        type (0 to 1) and that of the `other_journeys` among the other types (`other_share`),
        `difference` of both with its 95% Newcombe interval (`difference_low`, `difference_high`)
        and `p_value` of the score test, adjusted over all types and places (Benjamini-Hochberg).
        At most four places a type, those that chance alone does not explain (adjusted p below .05).
    level : str
        What a place is.
    sql : tuple of str
        None: the counts are those of the types.
    """

    table: pd.DataFrame
    level: Level
    sql: tuple[str, ...] = ()

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "journeys": ("share", *_DIFFERENCE),
        "other_journeys": ("other_share", *_DIFFERENCE),
    }

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        return {"place": self.level, "type": "number", "difference": "rate"}

    def finding(self, language: Language) -> str:
        """Say, for each type, the place that tells it apart most."""
        rows = self.table.dropna(subset="difference").drop_duplicates("type")
        if rows.empty:
            return label("no_traits", language)
        said = (
            label(
                "trait_finding",
                language,
                number=format_number(row["type"], language),
                place=display_name(row["place"], self.level, language),
                share=format_percent(row["share"], language, digits=0),
                other=format_percent(row["other_share"], language, digits=0),
            )
            for _, row in rows.sort_values("type").iterrows()
        )
        return join_sentences(said, language)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw how much more often each type holds its places than the others, with intervals."""
        rows = self.table.dropna(subset="difference").sort_values("type", kind="stable")
        ax = draw_rates(
            [
                label(
                    "trait_name",
                    language,
                    number=format_number(number, language),
                    place=display_name(place, self.level, language),
                )
                for number, place in zip(rows["type"], rows["place"], strict=True)
            ],
            rows["difference"].tolist(),
            rows["difference_low"].tolist(),
            rows["difference_high"].tolist(),
            [
                f"{format_percent(other, language, digits=0)} → "
                f"{format_percent(share, language, digits=0)}"
                for other, share in zip(rows["other_share"], rows["share"], strict=True)
            ],
            zero=True,
            ax=ax,
        )
        ax.set(xlabel=label("rate_difference", language), title=label("traits_title", language))
        return ax


def tell_apart(
    held: Floats,
    journeys: Floats,
    people: Floats,
    other_people: Floats,
    places: tuple[str, ...],
    level: Level,
) -> JourneyTraits:
    """Compare each type with all others, place by place.

    Parameters
    ----------
    held : array, one row for each type and one column for each of `places`
        How many journeys of the type hold the place.
    journeys, people, other_people : arrays, one entry for each type
        Its journeys, the people who made them, and the people of all other types. The intervals
        take people as the sample, since one person's journeys resemble each other.
    places : tuple of str
    level : str
    """
    if len(journeys) < 2:
        return JourneyTraits(_shown(pd.DataFrame()), level)
    rows = pd.DataFrame(
        {
            "type": np.repeat(np.arange(len(journeys)) + 1, len(places)),
            "place": np.tile(np.array(places, dtype=object), len(journeys)),
            "journeys": held.ravel().astype("int64"),
            "other_journeys": (held.sum(axis=0) - held).ravel().astype("int64"),
        }
    )
    size, other_size, n, other_n = (
        np.repeat(figures, len(places))
        for figures in (journeys, journeys.sum() - journeys, people, other_people)
    )
    rows["share"], rows["other_share"] = (
        rows["journeys"] / size,
        rows["other_journeys"] / other_size,
    )
    rows["difference"] = rows["share"] - rows["other_share"]
    sides: Any = (rows["share"] * n, n, rows["other_share"] * other_n, other_n)
    rows["difference_low"], rows["difference_high"] = newcombe_interval(*sides)
    rows["p_value"] = benjamini_hochberg(difference_p_value(*sides))
    rows = rows[rows["p_value"] < _CHANCE]
    order = rows["difference"].abs().sort_values(ascending=False).index
    rows = rows.loc[order].sort_values("type", kind="stable").groupby("type").head(_MOST)
    return JourneyTraits(_shown(rows.reset_index(drop=True)), level)


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["type", "place", "journeys", "share", "other_journeys", "other_share"]
    return rows.reindex(columns=[*columns, *_DIFFERENCE])
