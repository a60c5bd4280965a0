"""Pain points: touchpoints where more people are lost, or unhappy, than beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, microseconds, parse_duration
from cjkit.engine import Table, text
from cjkit.events import PURCHASE, STAGES, Period
from cjkit.experience.asking import (
    check_stages,
    divide,
    during,
    last_us,
    listed,
    name_groups,
    refuse_split,
    stage_number,
)
from cjkit.experience.emotion import emotion_sql, stage_sql
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.rates import draw_rates
from cjkit.statistics import (
    benjamini_hochberg,
    difference_p_value,
    newcombe_interval,
    wilson_interval,
)

DROP_OFF, LOW_SCORE = "drop_off", "low_score"

FALSE_DISCOVERIES = 0.05
_LOW = -0.5
_DRAWN = 12


@dataclass(frozen=True)
class PainPoints:
    """What `rank_pain_points` found: how each touchpoint compares with those beside it.

    Attributes
    ----------
    table : DataFrame, one row for each touchpoint, stage and symptom (and each value of `by`)
        `stage`, `touchpoint`, `symptom` ('drop_off' or 'low_score'), `people` (for a drop-off the
        people who were there, for a low score the answers), `affected` (count), `affected_rate`
        (0 to 1) with `affected_rate_low` and `affected_rate_high` (Wilson), `other_rate` of the
        same stage's other touchpoints, `excess_rate` (the difference, -1 to 1) with
        `excess_rate_low` and `excess_rate_high` (Newcombe), `p_value` (adjusted after Benjamini and
        Hochberg over all rows; missing where too few people), `excess_people` (`excess_rate` x
        `people`: how many more than elsewhere) and `is_pain_point`. Pain points first, the one
        with the largest sure excess at the top.
    silence : Timedelta
        How long nothing must follow for somebody to be lost.
    fewest : int
        The fewest people on each side of a comparison.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statements that made the counts, in order.
    """

    table: pd.DataFrame
    silence: pd.Timedelta
    fewest: int
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "people": (
            *(
                "affected",
                "affected_rate",
                "affected_rate_low",
                "affected_rate_high",
                "other_rate",
                "excess_rate",
            ),
            *("excess_rate_low", "excess_rate_high", "p_value", "excess_people", "is_pain_point"),
        )
    }
    formats: ClassVar[dict[str, str]] = {
        "symptom": "symptom",
        "excess_rate": "rate",
        "p_value": "number",
    }

    @property
    def found(self) -> pd.DataFrame:
        """The rows that are pain points, worst first."""
        return self.table[self.table["is_pain_point"].fillna(False).astype(bool)]

    def finding(self, language: Language) -> str:
        """Say the worst pain point."""
        if self.found.empty:
            return label("no_pain_point", language)
        row = self.found.iloc[0]
        return label(
            f"worst_{row['symptom']}",
            language,
            found=format_number(len(self.found), language),
            touchpoint=display_name(row["touchpoint"], "touchpoint", language),
            stage=display_name(row["stage"], "stage", language),
            people=format_number(row["people"], language),
            rate=format_percent(row["affected_rate"], language),
            other=format_percent(row["other_rate"], language),
            difference=format_number(100 * row["excess_rate"], language, digits=1),
            low=format_number(100 * row["excess_rate_low"], language, digits=1),
            high=format_number(100 * row["excess_rate_high"], language, digits=1),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw how far each touchpoint is from the others of its stage, with the interval."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="excess_rate_low").head(_DRAWN)
        ax = draw_rates(
            [
                f"{display_name(touchpoint, 'touchpoint', language)}: "
                f"{display_name(symptom, 'symptom', language)}"
                for touchpoint, symptom in zip(rows["touchpoint"], rows["symptom"], strict=True)
            ],
            rows["excess_rate"].tolist(),
            rows["excess_rate_low"].tolist(),
            rows["excess_rate_high"].tolist(),
            [f"n = {format_number(n, language)}" for n in rows["people"]],
            zero=True,
            ax=ax,
        )
        ax.set_title(label("pain_points_title", language))
        return ax


def rank_pain_points(
    events: Table,
    feedback: Table | None = None,
    *,
    stages: Sequence[str] = STAGES,
    stage_of: Mapping[str, str] | None = None,
    conversion: str | None = PURCHASE,
    silence: str | pd.Timedelta = "30D",
    fewest: int = 30,
    by: str | None = None,
    period: Period | None = None,
) -> PainPoints:
    """Rank the touchpoints where more goes wrong than at the other touchpoints of their stage.

    *Drop-off*: of the people who were at the touchpoint, those for whom nothing followed an event
    there for longer than `silence`. After `conversion` silence is no loss. Only events at least
    `silence` before the log's last event count. *Low score*: of the answers about the touchpoint,
    NPS of 0 to 6, and the lowest quarter of any other scale (1 and 2 of 5).

    The rate is compared with that of the stage's other touchpoints together. A pain point is a rate
    that is higher with a false discovery rate of 5% over all comparisons. This is an association:
    who comes to a touchpoint may differ from who comes to the others.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    feedback : Table, optional
        The answers; without them low scores are left out.
    stages : sequence of str
        The stages in order; what belongs to no stage, or to another, plays no part.
    stage_of : mapping from touchpoint to stage, optional
        Which stage the touchpoint of an answer belongs to. Answers need it.
    conversion : str or None, default 'purchase'
        The event after which silence is no loss; an event that the log does not have changes
        nothing.
    silence : str or Timedelta, default '30D'
        How long nothing must follow for somebody to be lost, with its unit.
    fewest : int, default 30
        The fewest people on each side of a comparison.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events; a touchpoint is
        compared with the others of its own group.
    period : Period, optional
        Only events and answers in it count.

    Returns
    -------
    PainPoints

    Raises
    ------
    CjkitError
        When `stages` names one twice, `by` is unknown, `silence` has no unit, or `fewest` is
        below 1.

    Notes
    -----
    Somebody who was at several touchpoints counts at each; the groups that are compared overlap,
    and Newcombe's interval takes them for separate ones.
    """
    check_stages(stages)
    if fewest < 1:
        raise CjkitError(f"fewest={fewest!r} must be 1 or more.")
    silence_us = microseconds(silence, name="silence")
    split, relation, keys = divide(events, by)
    known_until = last_us(events) - silence_us
    kept = "1 = 1" if conversion is None else f"event <> {text(conversion)}"
    gone = f"(next_event is null or microseconds_to_next > {silence_us}) and {kept}"
    drop_offs = f"""
        select {listed(keys)}stage_no, touchpoint, count(*) as people, sum(is_lost) as affected
        from (select {listed(keys)}stage_no, touchpoint, customer_id,
                max(case when {gone} then 1 else 0 end) as is_lost
            from (select *, {stage_number(stages)} as stage_no from {relation} as events)
                as numbered
            where stage_no is not null and touchpoint is not null
                and occurred_us <= {known_until} and {during(period)}
            group by {listed(keys)}stage_no, touchpoint, customer_id) as people
        group by {listed(keys)}stage_no, touchpoint"""
    statements = [drop_offs]
    found = [events.engine.query(drop_offs).assign(symptom=DROP_OFF)]
    if feedback is not None and (split is None or split.kind == "customer"):
        _, answers, _ = divide(feedback, by)
        low_scores = _low_scores(answers, stages, stage_of, keys, period)
        statements.append(low_scores)
        found.append(feedback.engine.query(low_scores).assign(symptom=LOW_SCORE))
    table = _compare(pd.concat(found, ignore_index=True), list(keys), fewest)
    table["stage"] = table["stage_no"].map(dict(enumerate(stages, 1)))
    columns = ["stage", "touchpoint", "symptom", *PainPoints.counts, *PainPoints.counts["people"]]
    return PainPoints(
        name_groups(table[[*keys, *columns]], split),
        parse_duration(silence, name="silence"),
        fewest,
        by,
        tuple(statements),
    )


def _low_scores(
    answers: str,
    stages: Sequence[str],
    stage_of: Mapping[str, str] | None,
    keys: tuple[str, ...],
    period: Period | None,
) -> str:
    """Write the SQL that counts the answers about each touchpoint, and the low ones."""
    return f"""
        select {listed(keys)}stage_no, touchpoint, count(*) as people, sum(is_low) as affected
        from (select {listed(keys)}touchpoint, {stage_number(stages)} as stage_no,
                case when metric = 'nps' and score is not null
                    then case when score <= 6 then 1 else 0 end
                    when felt <= {_LOW} then 1 else 0 end as is_low
            from (select *, {emotion_sql()} as felt, {stage_sql(stage_of)} as stage
                from {answers} as feedback) as felt
            where felt is not null and {during(period, "given_us")}) as answers
        where stage_no is not null and touchpoint is not null
        group by {listed(keys)}stage_no, touchpoint"""


def _compare(found: pd.DataFrame, keys: list[str], fewest: int) -> pd.DataFrame:
    """Compare each row with the other touchpoints of its group, stage and symptom together."""
    table = found.astype({"people": "int64", "affected": "int64"})
    beside = table.groupby([*keys, "stage_no", "symptom"])
    other_people = beside["people"].transform("sum") - table["people"]
    other_affected = beside["affected"].transform("sum") - table["affected"]
    sides = (table["affected"], table["people"], other_affected, other_people)
    table["affected_rate"] = table["affected"] / table["people"]
    table["affected_rate_low"], table["affected_rate_high"] = wilson_interval(
        table["affected"], table["people"]
    )
    table["other_rate"] = other_affected / other_people.where(other_people > 0)
    table["excess_rate"] = table["affected_rate"] - table["other_rate"]
    table["excess_rate_low"], table["excess_rate_high"] = newcombe_interval(*sides)
    enough = (table["people"] >= fewest) & (other_people >= fewest)
    table["p_value"] = benjamini_hochberg(pd.Series(difference_p_value(*sides)).where(enough))
    table["excess_people"] = table["excess_rate"] * table["people"]
    table["is_pain_point"] = (table["p_value"] <= FALSE_DISCOVERIES) & (table["excess_rate"] > 0)
    table["sure"] = table["excess_rate_low"] * table["people"]
    return table.sort_values(
        ["is_pain_point", "sure", "touchpoint"],
        ascending=[False, False, True],
        ignore_index=True,
        na_position="last",
    )
