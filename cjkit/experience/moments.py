"""Moments of truth: touchpoints where a good or a bad experience decides whether people go on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from cjkit.checks import CjkitError, microseconds, parse_duration, unknown_name
from cjkit.engine import Table, text
from cjkit.events import PURCHASE, Period
from cjkit.experience.asking import (
    divide,
    during,
    groups_add_up,
    last_us,
    listed,
    name_groups,
    refuse_split,
)
from cjkit.experience.emotion import emotion_sql
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Equation, Relation, Rest
from cjkit.statistics import benjamini_hochberg

GOOD_OUTCOMES = ("good", "resolved", "solved", "success", "completed", "answered", "planned")
BAD_OUTCOMES = ("bad", "unresolved", "unsolved", "failure", "failed", "abandoned", "no_result")

FALSE_DISCOVERIES = 0.05
_GOOD, _LOW = 0.5, -0.5
_MOST_BEFORE = 4
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
        (good less bad among people with equally many conversions before, -1 to 1) with
        `rate_gap_low` and `rate_gap_high`, `p_value` (adjusted after Benjamini and Hochberg;
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
        The statement that made the counts.
    method : str
        What follows the counts.
    """

    table: pd.DataFrame
    conversion: str
    within: pd.Timedelta
    fewest: int
    by: str | None
    sql: tuple[str, ...]
    method: str = "Mantel-Haenszel risk difference over the number of conversions before"

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
        return self.table[self.table["is_moment"].fillna(False).astype(bool)]

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
            [f"n = {format_number(n, language)}" for n in rows["people"]],
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

    The difference is taken among people with equally many conversions before (0, 1, 2, 3, 4 or
    more), so that loyal customers are compared with loyal ones. A touchpoint is a moment of truth
    when it is above 0 with a false discovery rate of 5% over all touchpoints, and at least ten
    people went on and ten did not. Other causes are not ruled out: read it as an association.

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
    Risk difference of Mantel and Haenszel with the variance of Sato, Greenland and Robins (Sato
    1989, Biometrics 45, 1323-1324), which holds for few large strata as for many small ones.
    """
    within_us = microseconds(within, name="within")
    if conversion not in (known := events.values("event")):
        raise unknown_name("conversion", conversion, known)
    split, relation, keys = divide(events, by)
    if split is not None and split.kind == "event":
        raise CjkitError(f"by={by!r} is a column of events: name one of customers here.")
    answers = divide(feedback, by)[1] if feedback is not None else None
    lived = _experiences(relation, answers, keys, conversion, good, bad)
    sql = _counted(lived, keys, within_us, last_us(events) - within_us, period)
    found = events.engine.query(sql)
    table = name_groups(_tidy(found, list(keys), fewest), split)
    return Moments(table, conversion, parse_duration(within, name="within"), fewest, by, (sql,))


def _experiences(
    events: str,
    answers: str | None,
    keys: tuple[str, ...],
    conversion: str,
    good: Collection[str],
    bad: Collection[str],
) -> str:
    """Write the SQL of everybody's experiences, good and bad, and conversions."""
    outcomes = (
        f"case when outcome in ({_texts(good)}) then 1 when outcome in ({_texts(bad)}) then 0 end"
    )
    sql = f"""
        select {listed(keys)}customer_id, touchpoint, occurred_us as at_us, {outcomes} as is_good,
            0 as is_conversion
        from {events} as events where outcome is not null
        union all
        select {listed(keys)}customer_id, null as touchpoint, occurred_us as at_us,
            null as is_good, 1 as is_conversion
        from {events} as events where event = {text(conversion)}"""
    if answers is None:
        return sql
    return f"""{sql}
        union all
        select {listed(keys)}customer_id, touchpoint, given_us as at_us,
            case when metric = 'nps' and score is not null
                then case when score >= 9 then 1 when score <= 6 then 0 end
                when felt >= {_GOOD} then 1 when felt <= {_LOW} then 0 end as is_good,
            0 as is_conversion
        from (select *, {emotion_sql()} as felt from {answers} as feedback) as felt
        where customer_id is not null"""


def _counted(
    lived: str, keys: tuple[str, ...], within_us: int, known_until: int, period: Period | None
) -> str:
    """Write the SQL that counts people by touchpoint, experience and conversions before.

    One pass back in time holds each row's next conversion, and one forward the number before it. A
    conversion at the very moment of an experience comes before it; of a good and a bad one at the
    same moment the bad one counts.
    """
    forward = "partition by customer_id order by at_us, is_conversion desc"
    back = "partition by customer_id order by at_us desc, is_conversion"
    before = "rows between unbounded preceding and 1 preceding"
    person = f"{listed(keys)}customer_id, touchpoint"
    return f"""
        select {listed(keys)}touchpoint, is_good, before_count, count(*) as people,
            sum(goes_on) as went_on
        from (
            select {person}, min(is_good) as is_good,
                max(least(coalesce(before_count, 0), {_MOST_BEFORE})) as before_count,
                max(case when next_us - at_us <= {within_us} then 1 else 0 end) as goes_on
            from (
                select *, min(at_us) over (partition by customer_id, touchpoint) as first_us
                from (
                    select *, sum(is_conversion) over ({forward} {before}) as before_count,
                        min(case when is_conversion = 1 then at_us end) over ({back} {before})
                            as next_us
                    from ({lived}) as lived) as timed
                where is_good is not null and touchpoint is not null and at_us <= {known_until}
                    and {during(period, "at_us")}) as experiences
            where at_us = first_us group by {person}) as people
        group by {listed(keys)}touchpoint, is_good, before_count"""


def _texts(values: Collection[str]) -> str:
    return ", ".join(map(text, values)) or "null"


def _tidy(found: pd.DataFrame, keys: list[str], fewest: int) -> pd.DataFrame:
    """Compare good with bad at each touchpoint, within equally many conversions before."""
    own = [*keys, "touchpoint"]
    wide = (
        found.astype({"people": "float64", "went_on": "float64"})
        .pivot(index=[*own, "before_count"], columns="is_good", values=["people", "went_on"])
        .reindex(columns=pd.MultiIndex.from_product([["people", "went_on"], [0, 1]]))
        .fillna(0.0)
    )
    n1, n0 = wide["people", 1], wide["people", 0]
    y1, y0 = wide["went_on", 1], wide["went_on", 0]
    whole = n1 + n0
    sums = pd.DataFrame(
        {
            "good": n1,
            "bad": n0,
            "good_went_on": y1,
            "bad_went_on": y0,
            "weighted": (y1 * n0 - y0 * n1) / whole,
            "weight": n1 * n0 / whole,
            "p": (n1**2 * y0 - n0**2 * y1 + n1 * n0 * (n0 - n1) / 2) / whole**2,
            "q": (y1 * (n0 - y0) + y0 * (n1 - y1)) / (2 * whole),
        }
    )
    table = sums.groupby(level=own).sum().reset_index()
    table["people"] = table["good"] + table["bad"]
    for kind in ("good", "bad"):
        table[f"{kind}_rate"] = table[f"{kind}_went_on"] / table[kind].where(table[kind] > 0)
    weight = table["weight"].where(table["weight"] > 0)
    table["rate_gap"] = table["weighted"] / weight
    error = np.sqrt((table["rate_gap"] * table["p"] + table["q"]).clip(lower=0)) / weight
    half = stats.norm.ppf(0.975) * error
    table["rate_gap_low"] = (table["rate_gap"] - half).clip(lower=-1)
    table["rate_gap_high"] = (table["rate_gap"] + half).clip(upper=1)
    went = table["good_went_on"] + table["bad_went_on"]
    enough = (table[["good", "bad"]].min(axis=1) >= fewest) & (error > 0)
    enough &= (went >= _FEWEST_OUTCOMES) & (table["people"] - went >= _FEWEST_OUTCOMES)
    p_values = pd.Series(2 * stats.norm.sf(np.abs(table["rate_gap"] / error)), table.index)
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
