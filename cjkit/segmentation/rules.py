"""Which scores make which segment: rules as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cjkit.checks import CjkitError, one_of

SCORES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Rule:
    """A segment as a rectangle of scores: lowest and highest recency and frequency score."""

    segment: str
    recency: tuple[int, int]
    frequency: tuple[int, int]


RFM_RULES = (
    Rule("champions", recency=(4, 5), frequency=(4, 5)),
    Rule("loyal", recency=(3, 3), frequency=(4, 5)),
    Rule("potential_loyalists", recency=(4, 5), frequency=(3, 3)),
    Rule("new_customers", recency=(5, 5), frequency=(1, 2)),
    Rule("promising", recency=(4, 4), frequency=(1, 2)),
    Rule("need_attention", recency=(3, 3), frequency=(3, 3)),
    Rule("about_to_sleep", recency=(3, 3), frequency=(1, 2)),
    Rule("cannot_lose", recency=(1, 2), frequency=(5, 5)),
    Rule("at_risk", recency=(1, 2), frequency=(3, 4)),
    Rule("hibernating", recency=(1, 2), frequency=(1, 2)),
)
"""The usual names of RFM, from the best customers to the lost ones: each pair of scores has one.

Frequency 1 and 2 go together: where more than two in five customers bought once, all those score 2.
"""


def check_rules(rules: Sequence[Rule]) -> None:
    """Raise CjkitError unless every pair of scores belongs to exactly one of `rules`."""
    for recency in SCORES:
        for frequency in SCORES:
            owners = [rule.segment for rule in rules if holds(rule, recency, frequency)]
            if len(owners) != 1:
                belongs = f"to {' and '.join(map(repr, owners))}" if owners else "to no segment"
                raise CjkitError(
                    f"rules: recency score {recency} with frequency score {frequency} belongs "
                    f"{belongs}; each pair of scores from 1 to 5 must belong to exactly one."
                )


def holds(rule: Rule, recency: int, frequency: int) -> bool:
    return (
        rule.recency[0] <= recency <= rule.recency[1]
        and rule.frequency[0] <= frequency <= rule.frequency[1]
    )


def check_cuts(cuts: Mapping[str, Sequence[float]]) -> None:
    """Raise CjkitError unless each score has four limits, from the worst to the best.

    Two may be equal: then the score between them has nobody.
    """
    for score, limits in cuts.items():
        one_of("cuts: score", score, ("recency", "frequency", "monetary"))
        way = "falling" if score == "recency" else "rising"
        steps = [later - limit for limit, later in pairwise(limits)]
        if len(limits) != 4 or not all(
            step <= 0 if way == "falling" else step >= 0 for step in steps
        ):
            raise CjkitError(
                f"cuts[{score!r}]={tuple(limits)!r} must be four {way} limits, from score 2 on."
            )
