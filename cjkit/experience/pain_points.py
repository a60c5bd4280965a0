"""Pain points: touchpoints where more people are lost, or unhappy, than beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, microseconds, one_of, parse_duration
from cjkit.engine import Table, text
from cjkit.events import PURCHASE, STAGES, Period
from cjkit.experience.asking import (
    acts,
    check_stages,
    divide,
    during,
    last_us,
    listed,
    name_groups,
    stage_number,
)
from cjkit.experience.emotion import emotion_sql, stage_sql
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest, Totals
from cjkit.statistics import (
    benjamini_hochberg,
    difference_p_value,
    newcombe_interval,
    wilson_interval,
)

Against = Literal["stage", "groups"]

DROP_OFF, LOW_SCORE = "drop_off", "low_score"

FALSE_DISCOVERIES = 0.05
_LOW = -0.5
_DRAWN = 12

# What rests on the counts, and is hidden with them.
_RESTS = (
    *("affected_rate", "affected_rate_low", "affected_rate_high", "other_rate"),
    *("excess_rate", "excess_rate_low", "excess_rate_high"),
    *("p_value", "excess_people", "lost_revenue", "is_pain_point"),
)


@dataclass(frozen=True)
class PainPoints:
    """What `rank_pain_points` found: how each touchpoint compares with those beside it.

    Attributes
    ----------
    table : DataFrame, one row for each touchpoint, stage and symptom (and each value of `by`)
        `stage`, `touchpoint`, `symptom` ('drop_off' or 'low_score'), `people` (for a drop-off the
        people who were there, for a low score the answers), `affected` (count), `affected_rate`
        (0 to 1) with `affected_rate_low` and `affected_rate_high` (Wilson), `other_rate` of what
        it is compared with, `excess_rate` (the difference, -1 to 1) with
        `excess_rate_low` and `excess_rate_high` (Newcombe), `p_value` (adjusted after Benjamini and
        Hochberg over all rows; missing where too few people), `excess_people` (`excess_rate` x
        `people`: how many more than elsewhere), `lost_revenue` (`excess_people` x what a journey
        brings that goes on from there, in the project's currency; missing for low scores, and where
        no event has a revenue) and `is_pain_point`. Pain points first, the one with the largest
        sure excess at the top.
    silence : Timedelta
        How long nothing must follow for somebody to be lost.
    fewest : int
        The fewest people on each side of a comparison.
    by : str or None
        The column that the counts are split by.
    against : {'stage', 'groups'}
        What each touchpoint is compared with.
    sql : tuple of str
        The statements that made the counts, in order.
    """

    table: pd.DataFrame
    silence: pd.Timedelta
    fewest: int
    by: str | None
    against: Against
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(("people", "affected"), _RESTS)
    formats: ClassVar[dict[str, str]] = {
        "symptom": "symptom",
        "excess_rate": "rate",
        "p_value": "number",
    }

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who is not affected; and the rows that are compared, of which each tells the others."""
        group = tuple(self.table.columns[:1]) if self.by else ()
        beside = (*group, "stage") if self.against == "stage" else ("stage", "touchpoint")
        together = (Totals(count, (*beside, "symptom")) for count in self.counts)
        return (Rest("affected", "people"), *together)

    @property
    def found(self) -> pd.DataFrame:
        """The rows that are pain points, worst first."""
        return self.table[self.table["is_pain_point"].fillna(False).astype(bool)]

    def finding(self, language: Language) -> str:
        """Say the worst pain point."""
        if self.found.empty:
            return label("no_pain_point", language)
        row = self.found.iloc[0]
        touchpoint = self._place_name(row, language)
        return label(
            f"worst_{row['symptom']}",
            language,
            beside=label(f"beside_{self.against}", language),
            found=format_number(len(self.found), language),
            touchpoint=touchpoint,
            stage=display_name(row["stage"], "stage", language),
            people=format_number(row["people"], language),
            rate=format_percent(row["affected_rate"], language),
            other=format_percent(row["other_rate"], language),
            difference=format_number(100 * row["excess_rate"], language, digits=1),
            low=format_number(100 * row["excess_rate_low"], language, digits=1),
            high=format_number(100 * row["excess_rate_high"], language, digits=1),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw how far each touchpoint is from what it is compared with, with the interval."""
        rows = self.table.dropna(subset="excess_rate_low").head(_DRAWN)
        ax = draw_rates(
            [
                f"{self._place_name(row, language)} "
                f"({display_name(row['stage'], 'stage', language)}): "
                f"{_symptom(row, language)}"
                for _, row in rows.iterrows()
            ],
            rows["excess_rate"].tolist(),
            rows["excess_rate_low"].tolist(),
            rows["excess_rate_high"].tolist(),
            [f"n = {format_number(n, language)}" for n in rows["people"]],
            zero=True,
            ax=ax,
        )
        beside = label(f"beside_{self.against}", language)
        ax.set_title(label("pain_points_title", language, beside=beside))
        return ax

    def _place_name(self, row: pd.Series[Any], language: Language) -> str:
        """Return what readers call a row's touchpoint, and its group where there are groups."""
        name = display_name(row["touchpoint"], "touchpoint", language)
        if self.by is None:
            return name
        group = self.table.columns[0]
        return f"{name} / {display_name(row[group], group, language)}"


def _symptom(row: pd.Series[Any], language: Language) -> str:
    return label(f"symptom.{row['symptom']}", language)


def rank_pain_points(
    events: Table,
    feedback: Table | None = None,
    *,
    stages: Sequence[str] = STAGES,
    stage_of: Mapping[str, str] | None = None,
    conversion: str | None = PURCHASE,
    silence: str | pd.Timedelta = "30D",
    without: Collection[str] = (),
    fewest: int = 30,
    by: str | None = None,
    against: Against = "stage",
    period: Period | None = None,
) -> PainPoints:
    """Rank the touchpoints where more goes wrong than at comparable ones.

    *Drop-off*: a journey ends when nothing follows for longer than `silence`. Of the people whose
    journey led by the touchpoint, those for whom it ended right there, without a `conversion` on
    the way. Each person's first such journey counts, if it ended at least `silence` before the
    log's last event. *Low score*: of the answers about the touchpoint, NPS of 0 to 6, and the
    lowest quarter of any other scale (1 and 2 of 5).

    The rate is compared with that of the other touchpoints of the same stage together, or, with
    `against="groups"`, with that of the same touchpoint in the other groups of `by` together: this
    finds the touchpoint that hurts on one device only. A pain point is a rate that is higher with a
    false discovery rate of 5% over all comparisons. It is an association: who comes to one
    touchpoint may differ from who comes to another, and some touchpoints are where journeys
    naturally end.

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
        The event that makes the end of a journey no loss. One that the log does not have changes
        nothing.
    silence : str or Timedelta, default '30D'
        How long nothing must follow for a journey to be over, with its unit.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    fewest : int, default 30
        The fewest people on each side of a comparison.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the touchpoint; answers have none and are left out).
    against : {'stage', 'groups'}, default 'stage'
        What a touchpoint is compared with.
    period : Period, optional
        Only journeys that ended in it, and answers given in it, count.

    Returns
    -------
    PainPoints

    Raises
    ------
    CjkitError
        When `stages` names one twice, `by` or an event of `without` is unknown, `silence` has no
        unit, `fewest` is below 1, or `against` is 'groups' and `by` is not given.

    Notes
    -----
    Somebody who was at several touchpoints counts at each: the groups that are compared overlap,
    and Newcombe's interval takes them for separate ones.
    """
    check_stages(stages)
    one_of("against", against, get_args(Against))
    if against == "groups" and by is None:
        raise CjkitError("against='groups' needs groups: name a column with `by`.")
    if fewest < 1:
        raise CjkitError(f"fewest={fewest!r} must be 1 or more.")
    silence_us = microseconds(silence, name="silence")
    split, relation, keys = divide(events, by)
    own = acts(events, relation, keys, without)
    ended = f"ended_us <= {last_us(events) - silence_us} and {during(period, 'ended_us')}"
    drop_offs = _drop_offs(own, stages, conversion, silence_us, keys, ended)
    statements = [drop_offs]
    found = [events.engine.query(drop_offs).assign(symptom=DROP_OFF)]
    if feedback is not None and (split is None or split.kind == "customer"):
        _, answers, _ = divide(feedback, by)
        low_scores = _low_scores(answers, stages, stage_of, keys, period)
        statements.append(low_scores)
        found.append(feedback.engine.query(low_scores).assign(symptom=LOW_SCORE))
    beside = [*keys, "stage_no"] if against == "stage" else ["stage_no", "touchpoint"]
    rows = pd.concat(found).sort_values([*keys, "stage_no", "touchpoint"], ignore_index=True)
    table = _compare(rows, [*beside, "symptom"], fewest)
    table["stage"] = table["stage_no"].map(dict(enumerate(stages, 1)))
    columns = ["stage", "touchpoint", "symptom", *PainPoints.counts, *_RESTS]
    return PainPoints(
        name_groups(table[[*keys, *columns]], split),
        parse_duration(silence, name="silence"),
        fewest,
        by,
        against,
        tuple(statements),
    )


def _drop_offs(
    events: str,
    stages: Sequence[str],
    conversion: str | None,
    silence_us: int,
    keys: tuple[str, ...],
    ended: str,
) -> str:
    """Write the SQL that counts the people at each touchpoint, and whose journey ended there.

    `brought` is the revenue of the journeys that went on.
    """
    is_conversion = "1 = 0" if conversion is None else f"event = {text(conversion)}"
    cut = f"""
        select *, coalesce(max(case when is_last = 1 then step_no end) over (
            partition by customer_id order by step_no
            rows between unbounded preceding and 1 preceding), 0) as began
        from (
            select *, {stage_number(stages)} as stage_no,
                case when {is_conversion} then 1 else 0 end as is_conversion,
                case when waited_us <= {silence_us} then 0 else 1 end as is_last
            from {events} as events) as marked"""
    journey = "partition by customer_id, began"
    place = f"{listed(keys)}stage_no, touchpoint"
    return f"""
        select {place}, count(*) as people,
            sum(case when is_converted = 0 then ends_here else 0 end) as affected,
            sum(case when is_converted = 1 or ends_here = 0 then brought end) as brought
        from (
            select *, min(began) over (partition by customer_id, {place}) as first_began from (
                select customer_id, began, {place}, max(is_last) as ends_here,
                    max(max(is_conversion)) over ({journey}) as is_converted,
                    max(max(occurred_us)) over ({journey}) as ended_us,
                    sum(sum(case when {is_conversion} then revenue end)) over ({journey}) as brought
                from ({cut}) as cut group by customer_id, began, {place}) as journeys
            where stage_no is not null and touchpoint is not null and {ended}) as known
        where began = first_began group by {place}"""


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


def _compare(found: pd.DataFrame, alike: list[str], fewest: int) -> pd.DataFrame:
    """Compare each row with the other rows that are equal in the columns `alike`, together."""
    table = found.astype({"people": "int64", "affected": "int64", "brought": "float64"})
    beside = table.groupby(alike)
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
    went_on = (table["people"] - table["affected"]).where(lambda number: number > 0)
    table["lost_revenue"] = table["excess_people"] * table["brought"] / went_on
    table["is_pain_point"] = (table["p_value"] <= FALSE_DISCOVERIES) & (table["excess_rate"] > 0)
    table["sure"] = table["excess_rate_low"] * table["people"]
    return table.sort_values(
        ["is_pain_point", "sure", "touchpoint"],
        ascending=[False, False, True],
        ignore_index=True,
        na_position="last",
    )
