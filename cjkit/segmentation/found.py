"""Segments found in what customers do: learnt on a sample, assigned to all on the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import Table, column
from cjkit.labels import Language, display_name, format_signed, label
from cjkit.plots.heat import draw_heat
from cjkit.privacy import Relation, Totals
from cjkit.segmentation.assign import Segments, describe_segments
from cjkit.segmentation.choosing import GroupNumber, choose_number, partition
from cjkit.segmentation.definition import Axis, Definition, draw_customers, learn_axes, scale
from cjkit.segmentation.explaining import SegmentRules, explain_segments
from cjkit.segmentation.features import TENURE, Features, feature_name, kind_of
from cjkit.statistics import Floats, one_thread

GROUP = "group_"

_FEWEST = 50
_DRAWN = 12


@dataclass(frozen=True)
class FoundSegments:
    """What `find_segments` found: whether there are groups, and what tells them apart.

    Attributes
    ----------
    table : DataFrame, one row for each segment and feature, the strongest contrast first
        `segment`, `feature`, `customers` (of the segment, with a value), `mean` (of theirs),
        `other_mean` (of all others with a value), `contrast` (the difference in standard deviations
        of all customers) with `contrast_low` and `contrast_high` (Welch's 95% interval).
    segments : Segments
        Sizes and value; `segments.customers` holds each customer's segment beside the features.
    number : GroupNumber
        How the number of groups was chosen, and whether there are any.
    rules : SegmentRules
        Each segment in a short rule, with how well the rule tells it.
    definition : Definition
        What makes a customer one of a segment, for other moments too.
    sql : tuple of str
    method : str

    Notes
    -----
    Groups are made to differ, so that a test of whether they do would always say yes: contrasts
    carry intervals and no p-values.
    """

    table: pd.DataFrame
    segments: Segments
    number: GroupNumber
    rules: SegmentRules
    definition: Definition
    sql: tuple[str, ...]
    method: str = "k-means on scaled features of a sample; nearest centre for all"

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("mean", "other_mean", "contrast", "contrast_low", "contrast_high")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers", ("feature",)),)
    formats: ClassVar[dict[str, Any]] = {
        "feature": feature_name,
        "mean": "precise",
        "other_mean": "precise",
    }

    @property
    def has_structure(self) -> bool:
        """Whether the customers fall into groups at all."""
        return self.number.has_structure

    def finding(self, language: Language) -> str:
        """Say what sets a segment apart most, and that pieces are no groups where they are none."""
        known = self.table.dropna(subset="contrast")
        if known.empty:
            return self.number.finding(language)
        row = known.iloc[int(np.argmax(known["contrast"].abs().to_numpy()))]
        said = label(
            "strongest_contrast",
            language,
            segment=display_name(row["segment"], "segment", language),
            feature=feature_name(row["feature"], language),
            contrast=format_signed(row["contrast"], language, digits=1),
        )
        return said if self.has_structure else said + label("pieces_no_groups", language)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the features that tell most as rows, segments as columns, contrasts as colours."""
        wide = self.table.pivot(index="feature", columns="segment", values="contrast").astype(float)
        order = wide.abs().max(axis=1).sort_values(ascending=False).index[:_DRAWN]
        wide = wide.loc[order, [name for name in self.definition.names if name in wide]]
        return draw_heat(
            wide.to_numpy(),
            rows=[feature_name(name, language) for name in wide.index],
            columns=[display_name(name, "segment", language) for name in wide.columns],
            write=lambda value: format_signed(value, language, digits=1),
            diverging=True,
            ax=ax,
        )


def find_segments(
    features: Features,
    *,
    kinds: Sequence[str] | None = None,
    number: int | None = None,
    definition: Definition | None = None,
    most: int = 8,
    sample: int = 20_000,
    seed: int = 0,
    name: str = "found",
) -> FoundSegments:
    """Look for groups of customers who do alike, and say so when there are none.

    Features are scaled (those with few large values on the log scale), cut at 3 standard
    deviations and weighted so that each kind of feature weighs the same; a missing feature stands
    at the mean. k-means groups a sample; all customers get the nearest centre in one statement on
    the engine. Groups are numbered from the one with most revenue a customer.

    Where no number of groups has structure (`GroupNumber`), the customers are cut all the same,
    into pieces of a whole that has no borders of its own, and `has_structure` is False.

    Groups found anew may lie and be numbered otherwise, though customers hardly changed. With the
    `definition` of an earlier result nothing is learnt: everybody gets the nearest of its centres,
    on its scales, under its names. `number` still says what the customers of now would fall into,
    and `measure_drift` when to find groups anew.

    Parameters
    ----------
    features : Features
    kinds : sequence of str, optional
        Which kinds of features count, such as 'frequency', 'value', 'channel'; default all but
        'tenure'.
    number : int, optional
        How many groups to make; default what `GroupNumber` says.
    definition : Definition, optional
        Of an earlier result; then neither `kinds` nor `number` is given.
    most : int, default 8
        The most groups that are tried.
    sample : int, default 20_000
        The most customers that are learnt from, drawn by a hash of their ids.
    seed : int, default 0
    name : str, default 'found'
        What the customers' table is called on the engine.

    Raises
    ------
    CjkitError
        When there are fewer than 50 customers, fewer than two features that vary, no such kind, or
        `number` or `most` is out of range, a definition is given with `kinds` or `number`, or one
        of its features is not there.
    """
    if definition and (kinds or number):
        raise CjkitError("A definition has its kinds and number: give none beside it.")
    known = list(dict.fromkeys(features.table["kind"]))
    for kind in kinds or ():
        if kind not in known:
            raise unknown_name("kind", kind, known, where="the features")
    if not 2 <= most <= 20 or not (number is None or 2 <= number <= 20):
        raise CjkitError(f"number={number!r}, most={most!r}: make 2 to 20 groups.")
    wanted = (
        [axis.feature for axis in definition.axes] if definition else _features(features, kinds)
    )
    for feature in wanted:
        if feature not in features.names:
            raise unknown_name("feature", feature, features.names, where="the features")
    drawn, drawn_sql = draw_customers(features, wanted, sample, seed)
    if len(drawn) < _FEWEST:
        raise CjkitError(
            f"{len(drawn)} customers are too few to look for groups: {_FEWEST} or more are needed."
        )
    axes = definition.axes if definition else learn_axes(drawn)
    if len(axes) < 2:
        raise CjkitError("Fewer than two features vary: there is nothing to group customers by.")
    points = scale(drawn, axes)
    chosen = choose_number(points[:_SEARCHED], max(most, number or 2), seed)
    definition = definition or _define(
        drawn, axes, points, number or chosen.number, features.as_of_us, seed
    )
    names = list(definition.names)
    customers, assign_sql = definition.assign(features, name)
    table, sizes_sql = describe_segments(customers, names)
    found = Segments(table, customers, features.as_of_us, (), (assign_sql, sizes_sql))
    labels = np.array(names)[definition.nearest(points)]
    contrasts, contrast_sql = measure_contrasts(customers, names, [axis.feature for axis in axes])
    return FoundSegments(
        contrasts,
        found,
        chosen,
        explain_segments(drawn, labels, names, seed),
        definition,
        (*features.sql, drawn_sql, assign_sql, sizes_sql, contrast_sql),
    )


_SEARCHED = 4_000


def _features(features: Features, kinds: Sequence[str] | None) -> list[str]:
    return [
        name
        for name in features.names
        if (name != TENURE if kinds is None else kind_of(name) in kinds)
    ]


def _define(
    drawn: pd.DataFrame,
    axes: tuple[Axis, ...],
    points: Floats,
    count: int,
    learnt_us: int,
    seed: int,
) -> Definition:
    """Learn the centres of so many groups, the one with most revenue a customer first."""
    with one_thread():
        fitted = partition(points, count, seed)
    order = _by_value(drawn, fitted.labels_, count)
    centres = tuple(tuple(map(float, centre)) for centre in fitted.cluster_centers_[order])
    names = tuple(f"{GROUP}{place}" for place in range(1, count + 1))
    return Definition(axes, centres, names, learnt_us)


def _by_value(drawn: pd.DataFrame, labels: NDArray[Any], count: int) -> list[int]:
    """Return the clusters, the one with most revenue a customer first, then the largest."""
    sizes = np.bincount(labels, minlength=count)
    revenue = drawn["revenue"].to_numpy(float) if "revenue" in drawn else np.zeros(len(drawn))
    worth = np.bincount(labels, revenue, minlength=count) / np.maximum(sizes, 1)
    return [int(place) for place in np.lexsort((-sizes, -worth))]


def measure_contrasts(
    customers: Table, segments: Sequence[str], features: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """Compare each segment's mean of each feature with that of all others, in one statement."""
    sums = ", ".join(
        f"count({column(name)}) as n_{place}, sum({column(name)} * 1.0) as sum_{place}, "
        f"sum({column(name)} * 1.0 * {column(name)}) as squares_{place}"
        for place, name in enumerate(features)
    )
    sql = f"select segment, {sums} from {customers} as customers group by segment"
    found = customers.engine.query(sql).set_index("segment").reindex(list(segments)).fillna(0.0)
    rows = []
    for place, feature in enumerate(features):
        n, total, squares = (
            found[f"{part}_{place}"].to_numpy(float) for part in ("n", "sum", "squares")
        )
        contrast = _contrast(n, total, squares)
        rows.append(
            pd.DataFrame(
                {
                    "segment": list(segments),
                    "feature": feature,
                    "customers": n.astype(int),
                    **dict(zip(_MEASURES, contrast, strict=True)),
                }
            )
        )
    table = pd.concat(rows, ignore_index=True)
    order = pd.Categorical(table["segment"], categories=list(segments), ordered=True)
    table = table.assign(place=order.codes, size=-table["contrast"].abs())
    return (
        table.sort_values(["place", "size", "feature"], ignore_index=True)[
            ["segment", "feature", "customers", *_MEASURES]
        ],
        sql,
    )


_MEASURES = ("mean", "other_mean", "contrast", "contrast_low", "contrast_high")


def _contrast(n: Floats, total: Floats, squares: Floats) -> tuple[Floats, ...]:
    """Return the means of each group and of all others, and their difference with its interval."""
    others, other_total, other_squares = (part.sum() - part for part in (n, total, squares))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, other = total / n, other_total / others
        spread = np.sqrt(squares.sum() / n.sum() - (total.sum() / n.sum()) ** 2)
        error = np.sqrt(
            _variance(n, total, squares) / n
            + _variance(others, other_total, other_squares) / others
        )
        difference = np.where(spread > 0, (mean - other) / spread, np.nan)
        half = 1.96 * error / spread
    return mean, other, difference, difference - half, difference + half


def _variance(n: Floats, total: Floats, squares: Floats) -> Floats:
    return np.where(n > 1, np.maximum(squares - total**2 / n, 0) / (n - 1), np.nan)
