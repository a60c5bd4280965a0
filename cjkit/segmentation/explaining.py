"""Segments in words: the short rule that tells best who is in one, and how well it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cjkit.labels import Language, format_number, format_percent, label
from cjkit.segmentation.features import CHANNEL, feature_name
from cjkit.statistics import wilson_interval

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

Clause = tuple[str, str, float]
"""A feature, '<=' or '>', and a threshold."""

_DEPTH = 3
_RATES = ("_rate", "_share")


@dataclass(frozen=True)
class SegmentRules:
    """Each segment in a short rule, learnt by a tree and tried on customers held out.

    Attributes
    ----------
    table : DataFrame, one row for each segment
        `segment`, `rule` (clauses that all hold: feature, '<=' or '>', threshold; empty where no
        leaf of the tree is mostly this segment), `customers` (of those held out, who meet it),
        `precision_rate` (of these, who are in the segment; 0 to 1, Wilson) with its `_low` and
        `_high`, `members` (of those held out, in the segment), `coverage_rate` (of these, who meet
        the rule).
    fidelity : float
        The share of those held out whom the whole tree puts into the right segment.
    method : str
    """

    table: pd.DataFrame
    fidelity: float
    method: str = f"decision tree of depth {_DEPTH}, on customers held out (3 in 10)"

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            *("rule", "precision_rate", "precision_rate_low", "precision_rate_high"),
            "coverage_rate",
        ),
        "members": ("coverage_rate",),
    }

    @property
    def formats(self) -> dict[str, Any]:
        """How the rules are written."""
        return {"rule": write_rule}

    def finding(self, language: Language) -> str:
        """Say how well short rules tell the segments."""
        return label(
            "rules_finding",
            language,
            fidelity=format_percent(self.fidelity, language, digits=0),
        )


def write_rule(rule: Sequence[Clause] | None, language: Language) -> str:
    """Write a rule as readers read it.

    Examples
    --------
    >>> write_rule((("orders", ">", 2.5), ("return_rate", "<=", 0.1)), "en")
    'Orders > 2.5, Returned lines for each bought line ≤ 10%'
    """
    if not isinstance(rule, tuple) or not rule:
        return label("no_rule", language)
    return label("rule_and", language).join(
        f"{feature_name(feature, language)} {'≤' if way == '<=' else '>'} "
        f"{write_feature(threshold, feature, language)}"
        for feature, way, threshold in rule
    )


def write_feature(value: float, feature: str, language: Language) -> str:
    """Write the value of a feature: a rate as a percentage, a number with as much as it needs."""
    if feature.endswith(_RATES) or feature.startswith(CHANNEL):
        return format_percent(value, language, digits=0)
    return format_number(value, language, digits=0 if abs(value) >= 100 else 1)


def explain_segments(
    drawn: pd.DataFrame, labels: NDArray[Any], segments: Sequence[str], seed: int
) -> SegmentRules:
    """Learn a tree on 7 of 10 of the drawn customers, and try each segment's best leaf on the rest.

    A missing feature counts as the median of those that are known.
    """
    from sklearn.tree import DecisionTreeClassifier

    known = drawn.astype(float).fillna(drawn.median(numeric_only=True)).fillna(0.0)
    is_held_out = np.random.default_rng(seed).random(len(known)) < 0.3
    smallest = max(5, len(known) // 100)
    tree = DecisionTreeClassifier(max_depth=_DEPTH, min_samples_leaf=smallest, random_state=seed)
    tree.fit(known[~is_held_out].to_numpy(), labels[~is_held_out])
    leaves, truth = tree.apply(known[is_held_out].to_numpy()), labels[is_held_out]
    guessed = tree.predict(known[is_held_out].to_numpy())
    rows = []
    for segment in segments:
        leaf = _best_leaf(tree, segment)
        meets = leaves == leaf if leaf is not None else np.zeros(len(truth), bool)
        right, members = int((truth[meets] == segment).sum()), int((truth == segment).sum())
        low, high = wilson_interval(right, int(meets.sum()))
        rows.append(
            {
                "segment": segment,
                "rule": _path(tree, leaf, list(known.columns)) if leaf is not None else (),
                "customers": int(meets.sum()),
                "precision_rate": right / meets.sum() if meets.any() else np.nan,
                "precision_rate_low": float(low),
                "precision_rate_high": float(high),
                "members": members,
                "coverage_rate": right / members if members else np.nan,
            }
        )
    return SegmentRules(pd.DataFrame(rows), float(np.mean(guessed == truth)))


def _best_leaf(tree: DecisionTreeClassifier, segment: str) -> int | None:
    """Return the leaf in which most of a segment are, of those that are mostly this segment."""
    structure = tree.tree_
    if segment not in tree.classes_:
        return None
    place = int(np.flatnonzero(tree.classes_ == segment)[0])
    shares = structure.value[:, 0, :] / structure.value[:, 0, :].sum(axis=1, keepdims=True)
    is_leaf = (structure.children_left < 0) & (shares.argmax(axis=1) == place)
    if not is_leaf.any():
        return None
    held = np.where(is_leaf, shares[:, place] * structure.weighted_n_node_samples, -1)
    return int(held.argmax())


def _path(tree: DecisionTreeClassifier, leaf: int, names: Sequence[str]) -> tuple[Clause, ...]:
    """Return the clauses on the way to a leaf, the nearest bound of each feature and side once."""
    structure = tree.tree_
    parent = {
        int(child): (node, way)
        for node in range(structure.node_count)
        for child, way in (
            (structure.children_left[node], "<="),
            (structure.children_right[node], ">"),
        )
        if child >= 0
    }
    bounds: dict[tuple[str, str], float] = {}
    node = leaf
    while node in parent:
        node, way = parent[node]
        # Nearer the leaf is narrower, and comes first.
        bounds.setdefault((names[structure.feature[node]], way), float(structure.threshold[node]))
    return tuple((name, way, bound) for (name, way), bound in reversed(bounds.items()))
