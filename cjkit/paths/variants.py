"""Variants: the different ways of a log, what they are made of, and the groups that they fall into.

numpy and scikit-learn over distinct ways, each with its count; nobody's own journey is here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from cjkit.paths.codes import Code
from cjkit.statistics import Floats, one_thread

if TYPE_CHECKING:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

Whole = NDArray[np.int64]

MOST_TYPES = 8
LEAST_STABILITY = 0.8
LEAST_APART = 0.1
_DIMENSIONS = 20
_HALVINGS = 6
_SHUFFLES = 2
_MOST_SHUFFLED = 20_000
_BEGINNINGS = 4


@dataclass(frozen=True, eq=False)
class Grouping:
    """How ways are told apart: learnt once, and used for any journeys after.

    Attributes
    ----------
    code : Code
        The places and how ways are written.
    weights : TfidfTransformer
        How much each run of places says.
    axes : TruncatedSVD
        The few directions in which the ways differ most.
    centres : array, one row for each type
    stability : float
        The mean adjusted Rand index (at most 1) of divisions learnt from halves of the journeys.
    silhouette : float
        How much nearer journeys are to their own type than to the next one (0 to 1).
    by_chance : float
        The same where the places of the journeys are shuffled.
    """

    code: Code
    weights: TfidfTransformer
    axes: TruncatedSVD
    centres: Floats
    stability: float
    silhouette: float
    by_chance: float

    @property
    def is_clear(self) -> bool:
        """Whether the ways fall into types at all, by the two bounds of `find_journey_types`."""
        is_apart = self.silhouette >= self.by_chance + LEAST_APART
        return self.stability >= LEAST_STABILITY and is_apart

    def assign(self, places: Whole) -> tuple[Whole, Floats]:
        """Return the type (from 0) of each way, and how far from its middle the way is."""
        runs = _runs(places, len(self.code.names))
        points = _directions(self.axes.transform(self.weights.transform(runs)))
        distances = _distances(points, self.centres)
        types = distances.argmin(axis=1)
        return types, distances[np.arange(len(types)), types]


def read_places(coded: pd.DataFrame, code: Code) -> Whole:
    """Return the number of the place at each step of each way; 0 where there is none."""
    steps = [
        (coded[word].to_numpy(np.int64) >> shift) & ((1 << code.bits) - 1)
        for word, shifts in code.words.items()
        for shift in shifts.values()
    ]
    return np.column_stack(steps)


def learn_grouping(
    places: Whole, journeys: Whole, code: Code, types: int | None, seed: int
) -> Grouping:
    """Learn how the ways fall into types, the one with most journeys first.

    Parameters
    ----------
    places : array, one row for each way
        As `read_places` gives them; at least one.
    journeys : array
        How many journeys took each way.
    code : Code
    types : int or None
        How many types; None: the number from 2 to 8 that is the most stable, of those that are
        clear if any is. Without a clear division there is one type.
    seed : int
    """
    rng = np.random.default_rng(seed)
    size = len(code.names)
    with one_thread(), np.errstate(invalid="ignore"):  # ways that are all alike
        weights, axes, points = _place(places, journeys, size, seed)
        shuffled = [_shuffle(places, journeys, rng) for _ in range(_SHUFFLES)]
        chance = [(_place(*drawn, size, seed)[2], drawn[1]) for drawn in shuffled]
        counts = [
            count
            for count in ([types] if types else range(2, MOST_TYPES + 1))
            if 2 * count <= min(len(one) for one in (points, *(drawn for drawn, _ in chance)))
        ]
        found = []
        for count in counts:
            centres = _centres(points, journeys, count, rng)
            stability = _stability(points, journeys, count, rng)
            expected = [_silhouette(*drawn, _centres(*drawn, count, rng)) for drawn in chance]
            own, by_chance = _silhouette(points, journeys, centres), float(np.mean(expected))
            found.append(Grouping(code, weights, axes, centres, stability, own, by_chance))
    whole = np.average(points, axis=0, weights=journeys)[None, :]
    best = max(
        found,
        key=lambda one: (one.is_clear, one.stability),
        default=Grouping(code, weights, axes, whole, 0.0, 0.0, 0.0),
    )
    if types is None and not best.is_clear:
        return replace(best, centres=whole)
    nearest = _distances(points, best.centres).argmin(axis=1)
    sizes = np.bincount(nearest, journeys, minlength=len(best.centres))
    return replace(best, centres=best.centres[np.argsort(-sizes, kind="stable")])


def _place(
    places: Whole, journeys: Whole, size: int, seed: int
) -> tuple[TfidfTransformer, TruncatedSVD, Floats]:
    """Put each way at a point, so that ways which are alike lie near each other."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    runs = _runs(places, size)
    weights = TfidfTransformer(sublinear_tf=True).fit(runs)
    said = weights.transform(runs)
    axes = TruncatedSVD(max(min(_DIMENSIONS, len(places) - 1), 1), random_state=seed)
    # Frequent ways are more of what is to be told apart.
    axes.fit(csr_array(said.multiply(np.sqrt(journeys)[:, None])))
    return weights, axes, _directions(axes.transform(said))


def _directions(points: Floats) -> Floats:
    """Return points at distance 1: rare places must not bring a way near to everything."""
    lengths = np.sqrt((points**2).sum(axis=1, keepdims=True))
    found: Floats = points / np.where(lengths > 0, lengths, 1)
    return found


def _shuffle(places: Whole, journeys: Whole, rng: np.random.Generator) -> tuple[Whole, Whole]:
    """Draw ways as long as these, of places as frequent as these, in no order."""
    longest = places.shape[1]
    count = min(int(journeys.sum()), _MOST_SHUFFLED)
    frequency = np.bincount(places.ravel(), np.repeat(journeys, longest))
    frequency[0] = 0
    lengths = rng.choice(np.count_nonzero(places, axis=1), count, p=journeys / journeys.sum())
    drawn = rng.choice(len(frequency), (count, longest), p=frequency / frequency.sum())
    drawn[np.arange(longest) >= lengths[:, None]] = 0
    # A place that follows itself is one step.
    is_new = np.column_stack([np.ones(count, bool), drawn[:, 1:] != drawn[:, :-1]]) & (drawn > 0)
    ways = np.zeros_like(drawn)
    rows, _ = np.nonzero(is_new)
    ways[rows, (np.cumsum(is_new, axis=1) - 1)[is_new]] = drawn[is_new]
    different, counts = np.unique(ways, axis=0, return_counts=True)
    most = np.argsort(-counts, kind="stable")[: len(places)]
    return different[most], counts[most]


def _centres(points: Floats, journeys: Whole, count: int, rng: np.random.Generator) -> Floats:
    """Return the middles of `count` types, of the ways that anybody took."""
    from sklearn.cluster import KMeans

    taken = journeys > 0
    means = KMeans(count, n_init=_BEGINNINGS, random_state=int(rng.integers(2**31)))
    found: Floats = means.fit(points[taken], sample_weight=journeys[taken]).cluster_centers_
    return found


def _stability(points: Floats, journeys: Whole, count: int, rng: np.random.Generator) -> float:
    """Return how far two halves of the journeys agree on their types, drawn several times."""
    agreed = []
    for _ in range(_HALVINGS):
        half = rng.binomial(journeys, 0.5)
        halves = half, journeys - half
        if min(np.count_nonzero(own) for own in halves) < count:
            return 0.0
        one, other = (
            _distances(points, _centres(points, own, count, rng)).argmin(axis=1) for own in halves
        )
        agreed.append(adjusted_rand(one, other, journeys))
    return float(np.mean(agreed))


def _silhouette(points: Floats, journeys: Whole, centres: Floats) -> float:
    """Return how much nearer journeys are to their own middle than to the next, at the mean."""
    nearest = np.sort(_distances(points, centres), axis=1)[:, :2]
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num((nearest[:, 1] - nearest[:, 0]) / nearest[:, 1])
    return float(np.average(apart, weights=journeys))


def adjusted_rand(one: Whole, other: Whole, weights: Whole) -> float:
    """Return how far two divisions of weighted things agree beyond chance: 1 wholly, 0 by chance.

    Notes
    -----
    Hubert and Arabie (1985), Journal of Classification 2, 193-218; a thing of weight w is w things.

    Examples
    --------
    >>> adjusted_rand(np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([2, 1, 3]))
    1.0
    """
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), weights)
    pairs = [float((n * (n - 1) / 2).sum()) for n in (table, table.sum(1), table.sum(0))]
    together, first, second = pairs
    whole = float(weights.sum())
    expected = first * second / max(whole * (whole - 1) / 2, 1)
    most = (first + second) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))


def _runs(places: Whole, size: int) -> csr_array:
    """Count, for each way, its places and its pairs of neighbours, begin and end among them."""
    rows, steps = np.nonzero(places)
    own = places[rows, steps]
    before = np.where(steps > 0, places[rows, steps - 1], 0)
    lengths = np.count_nonzero(places, axis=1)
    last = np.flatnonzero(lengths)
    ends = places[last, lengths[last] - 1] * (size + 1)
    columns = np.concatenate([own, size + 1 + before * (size + 1) + own, size + 1 + ends])
    rows = np.concatenate([rows, rows, last])
    shape = (len(places), (size + 1) * (size + 2))
    return csr_array(coo_array((np.ones(len(rows)), (rows, columns)), shape=shape))


def _distances(points: Floats, centres: Floats) -> Floats:
    squares = (points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
    found: Floats = np.sqrt(np.maximum(squares, 0))
    return found


def held_places(places: Whole, size: int) -> csr_array:
    """Return which of the places 1 to `size` each way holds, as 0 and 1."""
    held = np.zeros((len(places), size + 1), np.int8)
    np.put_along_axis(held, places, 1, axis=1)
    return csr_array(held[:, 1:])
