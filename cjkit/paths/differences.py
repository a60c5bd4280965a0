"""Two results side by side: what people do otherwise than before, or than another group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, unknown_name
from cjkit.labels import (
    OTHER,
    Language,
    display_name,
    format_number,
    format_percent,
    format_points,
    label,
)
from cjkit.paths.compared import Compared
from cjkit.paths.conformity import Conformity
from cjkit.paths.flow import Flow
from cjkit.paths.journey_types import JourneyTypes
from cjkit.paths.journeys import Journeys
from cjkit.paths.loops import Loops
from cjkit.paths.transitions import Transitions
from cjkit.plots.rates import draw_rates
from cjkit.statistics import benjamini_hochberg, difference_p_value, newcombe_interval

PathResult = Transitions | Flow | Journeys | Loops | Conformity | JourneyTypes
P = TypeVar("P", Transitions, Flow, Journeys, Loops, Conformity, JourneyTypes)

_DRAWN = 12
_CHANCE = 0.05
_SIDE = ("people", "rate")
_BEFORE = ("previous_people", "previous_rate")
_DIFFERENCE = ("difference", "difference_low", "difference_high", "p_value")
_ASKED = ("level", "gap", "by", "conversion", "steps", "anchor", "direction")


@dataclass(frozen=True)
class PathDifference:
    """What `compare_paths` found.

    Attributes
    ----------
    table : DataFrame, one row for each row that both sides have
        The columns that say what it is about (`origin` and `target`, `path`, `place`, ...),
        `people` that the `rate` is of (0 to 1), `previous_people` and `previous_rate` of the other,
        `difference` of the rates with its 95% Newcombe interval (`difference_low`,
        `difference_high`), and `p_value` of the score test, adjusted over all rows
        (Benjamini-Hochberg).
    sides : tuple of results
        What was compared: two results, or one whose groups were.
    groups : tuple of str, or None
        The two groups that were compared.
    sql : tuple of str
        The statements of both sides.
    """

    table: pd.DataFrame
    sides: tuple[PathResult, ...]
    groups: tuple[str, str] | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "people": ("rate", *_DIFFERENCE),
        "previous_people": ("previous_rate", *_DIFFERENCE),
    }

    def remade(self, mask: Callable[[Any], Any]) -> PathDifference:
        """Compare what is left of both sides when `mask` has hidden their small cells."""
        sides = [mask(side) for side in self.sides]
        return _compare(sides, self.groups)

    @property
    def formats(self) -> dict[str, Any]:
        """How the columns are written whose names do not say it."""
        return {**self.sides[0].formats, "difference": "rate", "people": "count"}

    @property
    def clear(self) -> pd.DataFrame:
        """The rows that chance alone does not explain, the largest difference first."""
        rows = self.table[self.table["p_value"] < _CHANCE]
        return rows.sort_values("difference", key=lambda d: -d.abs(), kind="stable")

    def finding(self, language: Language) -> str:
        """Say how many differences are more than chance, and the largest of them."""
        known = self.table.dropna(subset="difference")
        if known.empty:
            return label("no_path_difference_known", language)
        rows = self.clear
        said = {
            "all": format_number(len(known), language),
            "clear": format_number(len(rows), language),
        }
        if rows.empty:
            words = label("no_path_difference", language, **said)
        else:
            row = rows.iloc[0]
            words = label(
                "path_difference_finding",
                language,
                **said,
                what=self.sides[0].name_row(row, language),
                now=format_percent(row["rate"], language),
                before=format_percent(row["previous_rate"], language),
                difference=format_points(row["difference"], language),
                low=format_points(row["difference_low"], language),
                high=format_points(row["difference_high"], language),
            )
        if self.groups is None:
            return words
        one, other = (display_name(group, str(self.sides[0].by), language) for group in self.groups)
        return label("groups_finding", language, one=one, other=other, words=words)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the clearest differences with their intervals, and the rates of both sides."""
        known = self.table.dropna(subset="difference")
        rows = known.sort_values("p_value", kind="stable").head(_DRAWN)
        ax = draw_rates(
            [self.sides[0].name_row(row, language) for _, row in rows.iterrows()],
            rows["difference"].tolist(),
            rows["difference_low"].tolist(),
            rows["difference_high"].tolist(),
            [
                f"{format_percent(before, language)} → {format_percent(now, language)}"
                for before, now in zip(rows["previous_rate"], rows["rate"], strict=True)
            ],
            zero=True,
            ax=ax,
        )
        ax.set(xlabel=label("rate_difference", language), title=label("path_difference", language))
        return ax


def compare_paths(
    now: P, before: P | None = None, *, groups: tuple[str, str] | None = None
) -> PathDifference:
    """Compare two results of this module side by side: two periods, two groups, two companies.

    What is compared is the share of `Transitions`, `Flow`, `Journeys` and `JourneyTypes`, the
    rate of coming back of `Loops`, and the rate of each deviation of `Conformity`.

    Parameters
    ----------
    now : result
        Of `measure_transitions`, `measure_flow`, `rank_journeys`, `find_journey_types`,
        `measure_loops` or `measure_conformity`.
    before : result, optional
        Of the same function, asked in the same way: of the period before, say. Types must be the
        same: `find_journey_types(..., like=now)`.
    groups : pair of str, optional
        Instead of `before`: two values of the column that `now` is split by.

    Returns
    -------
    PathDifference
        What only one side has is 0 on the other, where that one shows all of its places; else it is
        left out, since it may be among `(other)` or below the `top`.

    Raises
    ------
    CjkitError
        When both or neither of `before` and `groups` are given, the two were asked otherwise, or
        there is no such group.

    Notes
    -----
    The people of both sides count as independent; where the same people are in both, intervals are
    a little too wide. One person's moves and journeys resemble each other, so that the sample of a
    share is its people.

    Examples
    --------
    >>> from cjkit.paths import measure_transitions
    >>> moves = measure_transitions(events, level="event", gap="1h")
    >>> compare_paths(moves, moves).clear.empty
    True
    """
    if (before is None) == (groups is None):
        raise CjkitError("Give either `before`, another result, or `groups`, two groups of `now`.")
    if before is not None:
        _need_alike(now, before)
        return _compare([now, before], None)
    return _compare([now], groups)


def _need_alike(now: PathResult, before: PathResult) -> None:
    """Raise CjkitError unless both were asked in the same way."""
    pairs: dict[str, tuple[Any, Any]] = {"kind": (type(now).__name__, type(before).__name__)}
    for name in _ASKED:
        pairs[name] = (getattr(now, name, None), getattr(before, name, None))
    if isinstance(now, JourneyTypes) and isinstance(before, JourneyTypes):
        same = now.grouping is before.grouping
        pairs["types"] = ("these", "these" if same else "those: use like=")
    for name, (one, other) in pairs.items():
        if one != other:
            raise CjkitError(
                f"The two differ in {name}: {one!r} and {other!r}. Measure both alike."
            )


def _compare(sides: list[PathResult], groups: tuple[str, str] | None) -> PathDifference:
    first = sides[0]
    now, before = sides if groups is None else [_of(first, group) for group in groups]
    by = [str(now.table.columns[0])] if now.by else []
    table = _side_by_side(now.table, before.table, [*by, *first.keys], by, first.compared)
    counts = (
        *(table["rate"] * table["people"], table["people"]),
        *(table["previous_rate"] * table["previous_people"], table["previous_people"]),
    )
    table["difference"] = table["rate"] - table["previous_rate"]
    table["difference_low"], table["difference_high"] = newcombe_interval(*counts)
    table["p_value"] = benjamini_hochberg(difference_p_value(*counts))
    statements = (*now.sql, *before.sql) if groups is None else first.sql
    return PathDifference(table, tuple(sides), groups, statements)


def _of(found: PathResult, group: str) -> PathResult:
    """Return what a split result says of one of its groups."""
    if found.by is None:
        raise CjkitError("groups= names two groups, and this is not split: measure with `by`.")
    values = found.table.iloc[:, 0]
    if group not in (known := set(values)):
        raise unknown_name(f"groups: {found.by}", group, known, where="the result")
    own = found.table[values == group].iloc[:, 1:].reset_index(drop=True)
    return replace(found, table=own, by=None)


def _side_by_side(
    now: pd.DataFrame, before: pd.DataFrame, keys: list[str], by: list[str], compared: Compared
) -> pd.DataFrame:
    """Put the rows of two tables beside each other, in the order of the first."""
    old = {compared.people: "people", compared.rate: "rate"}
    parts = [part[[*keys, *old]].rename(columns=old) for part in (now, before)]
    beside = ("", "_before")
    both = parts[0].merge(parts[1], "outer", keys, suffixes=beside, indicator="found")
    for part, only, end in zip(parts, ("right_only", "left_only"), beside, strict=True):
        lacking = both["found"] == only
        shown = part[keys].isin([OTHER]).to_numpy().any()
        if compared.within is None or shown or part.empty:
            both = both[~lacking]
            continue
        shared = [*by, *compared.within]
        people = dict(zip(_rows(part, shared), part["people"], strict=True))
        known = [key in people for key in _rows(both, shared)]
        both = both[np.array(known, bool) | ~lacking]
        lacking = both["found"] == only
        same = pd.Series([people.get(key) for key in _rows(both, shared)], both.index, float)
        both[f"rate{end}"] = both[f"rate{end}"].mask(lacking, 0.0)
        both[f"people{end}"] = both[f"people{end}"].mask(lacking, same)
    place = {key: number for number, key in enumerate(_rows(parts[0], keys))}
    order = np.argsort([place.get(key, len(place)) for key in _rows(both, keys)], kind="stable")
    names = {"people_before": "previous_people", "rate_before": "previous_rate"}
    table = both.iloc[order].rename(columns=names).reset_index(drop=True)
    return table[[*keys, *_SIDE, *_BEFORE]]


def _rows(table: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table[keys].to_numpy(dtype=object)]
