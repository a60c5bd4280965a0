"""How many groups there are, if there are any: stability, silhouette, and what chance gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cjkit.labels import Language, format_number, label
from cjkit.plots.lines import Line, draw_lines
from cjkit.statistics import Floats, one_thread

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

STABLE = 0.8
"""A partition is stable when samples drawn anew give it again with a mean ARI of this or more."""
SUBSTANTIAL = 0.25
"""Below this silhouette there is no substantial structure (Kaufman and Rousseeuw 1990)."""

_COMPARED = 2_000
_STARTS = 5


@dataclass(frozen=True)
class GroupNumber:
    """How many groups customers fall into.

    Attributes
    ----------
    table : DataFrame, one row for each number of groups that was tried
        `groups`, `stability` (mean adjusted Rand index between the partition and those of samples
        drawn with replacement: 1 is always the same, 0 is chance), `silhouette` (mean, -1 to 1: how
        much nearer people are to their own group than to the next), `silhouette_by_chance` (what
        95 in 100 data sets without groups stay below: one cloud of the same spread and
        correlations), `has_structure` (stability at least .8, and a silhouette of at least .25 that
        is above that of chance).
    number : int
        Of those with structure the number with the highest silhouette; without any, of the stable
        ones (or, where none is, of all).
    has_structure : bool
    customers : int
        The customers of the sample that was looked at.
    method : str
    """

    table: pd.DataFrame
    number: int
    has_structure: bool
    customers: int
    method: str = "k-means; bootstrap ARI; silhouette against one normal cloud of equal covariance"

    def finding(self, language: Language) -> str:
        """Say whether there are groups, and how many."""
        row = self.table[self.table["groups"] == self.number].iloc[0]
        return label(
            "groups_found" if self.has_structure else "no_groups_found",
            language,
            number=format_number(self.number, language),
            stability=format_number(row["stability"], language, digits=2),
            silhouette=format_number(row["silhouette"], language, digits=3),
            chance=format_number(row["silhouette_by_chance"], language, digits=3),
            customers=format_number(self.customers, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw stability, silhouette and the silhouette of chance over the number of groups."""
        lines = [
            Line(self.table["groups"], self.table[name], label(name, language), style=style)
            for name, style in (
                ("stability", "-"),
                ("silhouette", "-"),
                ("silhouette_by_chance", "--"),
            )
        ]
        ax = draw_lines(
            lines,
            write=lambda value: format_number(value, language, digits=1),
            mark=(self.number, label("number_taken", language)),
            ax=ax,
        )
        ax.set_xlabel(label("groups", language))
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.05)
        return ax


def choose_number(points: Floats, most: int, seed: int, *, draws: int = 10) -> GroupNumber:
    """Try 2 to `most` groups of scaled points.

    Parameters
    ----------
    points : array of float, one row for each customer
    most : int
        The most groups.
    seed : int
    draws : int, default 10
        Samples drawn for stability, and clouds without groups: for each number.
    """
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(seed)
    covariance = np.atleast_2d(np.cov(points, rowvar=False))
    rows = []
    with one_thread():
        for number in range(2, most + 1):
            labels = partition(points, number, seed).labels_
            again = [
                adjusted_rand_score(labels, drawn)
                for drawn in draw_partitions(points, number, seed, rng, draws)
            ]
            chance = [_chance(covariance, len(points), number, rng) for _ in range(draws)]
            rows.append(
                {
                    "groups": number,
                    "stability": float(np.mean(again)),
                    "silhouette": silhouette(points, labels),
                    # Of a few draws the quantile of their normal distribution is the surer one.
                    "silhouette_by_chance": float(np.mean(chance) + 1.645 * np.std(chance, ddof=1)),
                }
            )
    table = pd.DataFrame(rows)
    table["has_structure"] = (
        (table["stability"] >= STABLE)
        & (table["silhouette"] >= SUBSTANTIAL)
        & (table["silhouette"] > table["silhouette_by_chance"])
    )
    candidates = table[table["has_structure"]]
    if candidates.empty:
        candidates = table[table["stability"] >= STABLE]
    best = (table if candidates.empty else candidates).sort_values("silhouette").iloc[-1]
    return GroupNumber(table, int(best["groups"]), bool(table["has_structure"].any()), len(points))


def draw_partitions(
    points: Floats, number: int, seed: int, rng: np.random.Generator, draws: int
) -> Iterator[NDArray[Any]]:
    """Put the points into the groups of samples that are drawn from them with replacement."""
    for _ in range(draws):
        drawn = points[rng.integers(0, len(points), len(points))]
        yield partition(drawn, number, seed, starts=1).predict(points)


def partition(points: Floats, number: int, seed: int, *, starts: int = _STARTS) -> KMeans:
    """Return k-means with the best of several starts."""
    from sklearn.cluster import KMeans

    return KMeans(number, n_init=starts, random_state=seed).fit(points)


def silhouette(points: Floats, labels: NDArray[Any]) -> float:
    """Return the mean silhouette, of at most 2,000 points."""
    from sklearn.metrics import silhouette_score

    if len(np.unique(labels)) < 2:
        return float("nan")
    some = min(_COMPARED, len(points))
    return float(silhouette_score(points, labels, sample_size=some, random_state=0))


def _chance(covariance: Floats, size: int, number: int, rng: np.random.Generator) -> float:
    """Return the silhouette of one normal cloud, cut into as many pieces."""
    cloud = rng.multivariate_normal(np.zeros(len(covariance)), covariance, min(size, _COMPARED))
    return silhouette(cloud, partition(cloud, number, 0, starts=1).labels_)
