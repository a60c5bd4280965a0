"""Moments of truth: touchpoints where a good or a bad experience decides whether people go on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import scipy
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, microseconds, parse_duration, unknown_name
from cjkit.engine import Table
from cjkit.events import PURCHASE, Period
from cjkit.experience.asking import (
    divide,
    during,
    flagged,
    groups_add_up,
    last_us,
    name_groups,
    refuse_split,
)
from cjkit.experience.experiences import (
    BEFORE,
    experiences_sql,
    find_levels,
    levels_sql,
    lived_sql,
)
from cjkit.labels import Language, display_name, format_number, format_percent, format_sizes, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Equation, Relation, Rest
from cjkit.statistics import adjusted_difference, benjamini_hochberg

GOOD_OUTCOMES = ("good", "resolved", "solved", "success", "completed", "answered", "planned")
BAD_OUTCOMES = ("bad", "unresolved", "unsolved", "failure", "failed", "abandoned", "no_result")

FALSE_DISCOVERIES = 0.05
_FEWEST_OUTCOMES = 10
_DRAWN = 12

_COUNTS = ("people", "good", "bad", "good_went_on", "bad_went_on")

# What rests on the counts of people, and is hidden with them.
_RESTS = (
    *("good_rate", "bad_rate", "rate_gap", "rate_gap_low", "rate_gap_high"),
    *("p_value", "at_stake", "is_moment"),
)


@dataclass(frozen=True)
class Moments:
    """What `rank_moments` found: how much the experience at a touchpoint goes with going on.

    Attributes
    ----------
    table : DataFrame, one row for each touchpoint (and each value of `by`)
        `touchpoint`, `people` (with a good or a bad experience there), `good` and `bad` (people),
        `good_went_on` and `bad_went_on` (those of each who convert afterwards), `good_rate` and
        `bad_rate` (their shares, 0 to 1), `rate_gap`
        (good less bad among people alike in what came before, -1 to 1) with `rate_gap_low` and
        `rate_gap_high` (95%), `p_value` (adjusted after Benjamini and Hochberg;
        missing where too few people), `at_stake` (`rate_gap` x people with a bad experience) and
        `is_moment`. Moments of truth first, the one with the largest sure difference at the top.
    conversion : str
        The event that counts as going on.
    within : Timedelta
        The time to it.
    fewest : int
        The fewest people with a good, and with a bad, experience.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statements that made the counts, in order.
    method : str
        What follows the counts.
    """

    table: pd.DataFrame
    conversion: str
    within: pd.Timedelta
    fewest: int
    by: str | None
    sql: tuple[str, ...]
    method: str = "least squares on the experience and what came before, errors HC3"

    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(_COUNTS, _RESTS)
    formats: ClassVar[dict[str, str]] = {"rate_gap": "rate", "p_value": "number"}

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Good and bad are all; who did not go on; and the groups together."""
        cells = [[(name, row) for name in _COUNTS[:3]] for row in range(len(self.table))]
        return (
            *(Equation((people,), (good, bad)) for people, good, bad in cells),
            *(Rest(f"{kind}_went_on", kind) for kind in ("good", "bad")),
            *groups_add_up(self.counts, ("touchpoint",), self.by),
        )

    @property
    def found(self) -> pd.DataFrame:
        """The rows that are moments of truth, the strongest first."""
        return flagged(self.table, "is_moment")

    def finding(self, language: Language) -> str:
        """Say the strongest moment of truth."""
        if self.table.empty:
            return label("no_experience", language)
        if self.found.empty:
            return label("no_moment", language)
        row = self.found.iloc[0]
        return label(
            "strongest_moment",
            language,
            touchpoint=display_name(row["touchpoint"], "touchpoint", language),
            conversion=display_name(self.conversion, "event", language),
            good=format_percent(row["good_rate"], language),
            bad=format_percent(row["bad_rate"], language),
            people=format_number(row["people"], language),
            difference=format_number(100 * row["rate_gap"], language, digits=1),
            low=format_number(100 * row["rate_gap_low"], language, digits=1),
            high=format_number(100 * row["rate_gap_high"], language, digits=1),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the difference that the experience at each touchpoint goes with."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="rate_gap_low").head(_DRAWN)
        ax = draw_rates(
            [display_name(value, "touchpoint", language) for value in rows["touchpoint"]],
            rows["rate_gap"].tolist(),
            rows["rate_gap_low"].tolist(),
            rows["rate_gap_high"].tolist(),
            format_sizes(rows["people"], language),
            zero=True,
            ax=ax,
        )
        ax.set_title(label("moments_title", language))
        return ax


def rank_moments(
    events: Table,
    feedback: Table | None = None,
    *,
    conversion: str = PURCHASE,
    within: str | pd.Timedelta = "30D",
    good: Collection[str] = GOOD_OUTCOMES,
    bad: Collection[str] = BAD_OUTCOMES,
    fewest: int = 30,
    by: str | None = None,
    period: Period | None = None,
) -> Moments:
    """Compare the people with a good experience at a touchpoint with those with a bad one.

    An experience is an event whose `outcome` is in `good` or `bad`, or an answer: NPS of 9 and 10,
    or the highest quarter of another scale, is good; NPS of 0 to 6, or the lowest quarter, is bad.
    Each person's first one at a touchpoint counts. They go on when `conversion` follows within
    `within`; only experiences at least that long before the log's last event count.

    The difference is taken among people alike in what came before (least squares on the levels of
    each, so that loyal customers are compared with loyal ones): how many conversions (0 to 4 or
    more) and events (none, and classes from 1, 3, 6, 11, 21 and 51 on) they had; the stage, channel
    and device that they were last seen in (the seven most frequent, all others, none); and whether
    their last experience was good or bad (unknown where it was at the same moment). A touchpoint is
    a moment of truth when the difference is above 0 with a false discovery rate of 5% over all
    touchpoints, and at least ten people went on and ten did not. Other causes are not ruled out:
    read it as an association.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    feedback : Table, optional
        The answers.
    conversion : str, default 'purchase'
        The event that counts as going on.
    within : str or Timedelta, default '30D'
        The time to it, with its unit.
    good, bad : collections of str
        Which outcomes are good, and which are bad; any other is neither.
    fewest : int, default 30
        The fewest people with a good, and with a bad, experience.
    by : str, optional
        A column of customers, or of a saved table (`segments.segment`).
    period : Period, optional
        Only experiences in it count.

    Returns
    -------
    Moments

    Raises
    ------
    CjkitError
        When `conversion` or `by` is unknown, `by` is a column of events, or `within` has no unit.

    Notes
    -----
    One row a person and touchpoint: the errors (`statistics.adjusted_difference`) need not allow
    for people who come again.
    """
    within_us = microseconds(within, name="within")
    if conversion not in (known := events.values("event")):
        raise unknown_name("conversion", conversion, known)
    split, relation, keys = divide(events, by)
    if split is not None and split.kind == "event":
        raise CjkitError(f"by={by!r} is a column of events: name one of customers here.")
    answers = divide(feedback, by)[1] if feedback is not None else None
    first = f"at_us <= {last_us(events) - within_us} and {during(period, 'at_us')}"
    levels = find_levels(events)
    lived = lived_sql(relation, answers, keys, conversion, (good, bad), levels)
    sql = experiences_sql(lived, keys, within_us, first)
    found = events.engine.query(sql)
    table = name_groups(_tidy(found, list(keys), fewest), split)
    return Moments(
        table,
        conversion,
        parse_duration(within, name="within"),
        fewest,
        by,
        (levels_sql(events), sql),
    )


def _tidy(found: pd.DataFrame, keys: list[str], fewest: int) -> pd.DataFrame:
    """Compare good with bad at each touchpoint, among people alike in what came before."""
    own = [*keys, "touchpoint"]
    found = found.astype({"people": "float64", "went_on": "float64"})
    sides = found.pivot_table(["people", "went_on"], own, "is_good", "sum", fill_value=0.0)
    sides = sides.reindex(
        columns=pd.MultiIndex.from_product([["people", "went_on"], [1, 0]]), fill_value=0.0
    )
    sides.columns = pd.Index(_COUNTS[1:])
    table = sides.reset_index()
    table["people"] = table["good"] + table["bad"]
    for kind in ("good", "bad"):
        table[f"{kind}_rate"] = table[f"{kind}_went_on"] / table[kind].where(table[kind] > 0)
    gaps = [
        adjusted_difference(rows["went_on"], rows["people"], rows["is_good"], rows[[*BEFORE]])
        for _, rows in found.groupby(own)
    ]
    table["rate_gap"], error, degrees = np.array(gaps, dtype=float).reshape(-1, 3).T
    half = scipy.stats.t.ppf(0.975, degrees) * error
    table["rate_gap_low"] = (table["rate_gap"] - half).clip(lower=-1)
    table["rate_gap_high"] = (table["rate_gap"] + half).clip(upper=1)
    went = table["good_went_on"] + table["bad_went_on"]
    enough = (table[["good", "bad"]].min(axis=1) >= fewest) & (error > 0)
    enough &= (went >= _FEWEST_OUTCOMES) & (table["people"] - went >= _FEWEST_OUTCOMES)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = pd.Series(2 * scipy.stats.t.sf(np.abs(table["rate_gap"] / error), degrees))
    table["p_value"] = benjamini_hochberg(p_values.where(enough))
    table["at_stake"] = table["rate_gap"] * table["bad"]
    table["is_moment"] = (table["p_value"] <= FALSE_DISCOVERIES) & (table["rate_gap"] > 0)
    table[[*_COUNTS]] = table[[*_COUNTS]].astype("int64")
    table = table.sort_values(
        ["is_moment", "rate_gap_low", "touchpoint"],
        ascending=[False, False, True],
        ignore_index=True,
    )
    return table[[*own, *_COUNTS, *_RESTS]]
