"""Pain points: touchpoints where more people are lost, come again or are unhappy than is usual."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, microseconds, parse_duration
from cjkit.engine import Table
from cjkit.events import PURCHASE, STAGES, Period, split_by
from cjkit.experience.asking import (
    acts,
    check_stages,
    divide,
    during,
    flagged,
    last_us,
    name_groups,
    refuse_split,
)
from cjkit.experience.symptoms import drop_offs_sql, low_scores_sql, matters_sql
from cjkit.labels import Language, display_name, format_number, format_percent, format_sizes, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest, Totals
from cjkit.statistics import (
    benjamini_hochberg,
    difference_p_value,
    newcombe_interval,
    wilson_interval,
)

DROP_OFF, LOW_SCORE = "drop_off", "low_score"
DELAY, LOOP, LATE_LOOP = "delay", "loop", "late_loop"

FALSE_DISCOVERIES = 0.05
LEAST = 0.02
"""How much worse, surely, a pain point is than what it is compared with: two points."""
_DRAWN = 12

# What rests on the counts, and is hidden with them.
_RESTS = (
    *("affected_rate", "affected_rate_low", "affected_rate_high", "other_rate"),
    *("excess_rate", "excess_rate_low", "excess_rate_high"),
    *("p_value", "excess_people", "lost_revenue", "is_pain_point"),
)


@dataclass(frozen=True)
class PainPoints:
    """What `rank_pain_points` found: how each touchpoint compares with what is usual there.

    Attributes
    ----------
    table : DataFrame, one row for each touchpoint, stage and symptom (and group, and value of `by`)
        `stage`, `touchpoint`, `symptom` ('drop_off', 'delay', 'loop', 'late_loop' or 'low_score'),
        `group` (of `across`, for drop-offs; else missing), `people` (for a drop-off those who were
        there, for a delay those who were served late, for a loop those who had to come again, for
        a low score those who answered), `affected` (count),
        `affected_rate` (0 to 1) with `affected_rate_low` and `affected_rate_high` (Wilson),
        `other_rate` of what it is compared with, `excess_rate` (the difference, -1 to 1) with
        `excess_rate_low` and `excess_rate_high` (Newcombe), `p_value` (adjusted after Benjamini and
        Hochberg over all rows; missing where too few people), `excess_people` (`excess_rate` x
        `people`: how many more than usual), `lost_revenue` (`excess_people` x what each of the
        `people` who are not affected brings, in the project's currency, where events have a
        revenue; missing for low scores) and `is_pain_point`. Pain points first, the largest sure
        excess at the top.
    silence : Timedelta
        How long nothing must follow for somebody to be lost.
    fewest : int
        The fewest people on each side of a comparison.
    across : str or None
        The column in whose groups drop-offs are compared.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statements that made the counts, in order.
    """

    table: pd.DataFrame
    silence: pd.Timedelta
    fewest: int
    across: str | None
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(("people", "affected"), _RESTS)

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        across = {"group": self.across} if self.across else {}
        return {**across, "symptom": "symptom", "excess_rate": "rate", "p_value": "number"}

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who is not affected; and the rows that are compared, of which each tells the others."""
        group = tuple(self.table.columns[:1]) if self.by else ()
        together = (
            Totals(count, (*group, "stage", *place, "symptom"))
            for count in self.counts
            for place in ((), ("touchpoint",))
        )
        return (Rest("affected", "people"), *together)

    @property
    def found(self) -> pd.DataFrame:
        """The rows that are pain points, worst first."""
        return flagged(self.table, "is_pain_point")

    def finding(self, language: Language) -> str:
        """Say the worst pain point."""
        if self.found.empty:
            return label("no_pain_point", language)
        row = self.found.iloc[0]
        touchpoint = self._place_name(row, language)
        return label(
            f"worst_{row['symptom']}",
            language,
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
            format_sizes(rows["people"], language),
            zero=True,
            ax=ax,
        )
        refuse_split(self.by)
        ax.set_title(label("pain_points_title", language))
        return ax

    def _place_name(self, row: pd.Series[Any], language: Language) -> str:
        """Return what readers call a row's touchpoint, and its group where there are groups."""
        name = display_name(row["touchpoint"], "touchpoint", language)
        if self.across is None or pd.isna(row["group"]):
            return name
        kind = self.across.split(".")[-1]
        return f"{name} / {display_name(row['group'], kind, language)}"


def _symptom(row: pd.Series[Any], language: Language) -> str:
    return label(f"symptom.{row['symptom']}", language)


def rank_pain_points(
    events: Table,
    feedback: Table | None = None,
    *,
    stages: Sequence[str] = STAGES,
    stage_of: Mapping[str, str] | None = None,
    conversion: str | None = PURCHASE,
    across: str | None = None,
    silence: str | pd.Timedelta = "30D",
    again: str | pd.Timedelta = "7D",
    quiet: str | pd.Timedelta = "90D",
    without: Collection[str] = (),
    fewest: int = 30,
    by: str | None = None,
    period: Period | None = None,
) -> PainPoints:
    """Rank the touchpoints where more goes wrong than is usual there.

    *Drop-off*: a journey ends when nothing follows for longer than `silence`. Of the people whose
    journey led by the touchpoint, those for whom it ended right there, without a `conversion` on
    the way. Each person's first such journey counts, if it ended at least `silence` before the
    log's last event. Journeys end more naturally at some touchpoints than at others; so each is
    compared with itself: with the same touchpoint in the other groups of `across` together.

    *Loop*: somebody comes about one matter (`ref_id`) and has to come again, for the same event at
    the same touchpoint within `again` of the time before. Of those people, the ones who never
    come back, compared with those who came once. A *late loop* is one about a matter of which
    something came after its deadline (`valid_until_at`); it is compared with those who came once
    about a matter that was late as well. *Delay*: of the people for whom an event at the touchpoint
    came after its own deadline, the ones who never come back, compared with those for whom it came
    in time.

    Somebody never comes back if nothing of them follows from `again` after the last time on, but
    what happens about a matter that they had begun, such as its delivery, or at a touchpoint where
    the company itself begins (it has events of direction 'outbound'), such as to open a
    newsletter. Each person's first matter at a touchpoint counts, if it ended there at least
    `quiet` before the log's last event.

    What somebody brings is the revenue of each `conversion`: of a journey that goes on, of the
    whole journey; of who comes back about no matter any more, from `again` to `quiet` after it.

    *Low score*: of the people who answered about the touchpoint, those whose first answer was an
    NPS of 0 to 6, or in the lowest quarter of any other scale (1 and 2 of 5), compared with the
    other touchpoints of the stage together. Of people who are not known each answer counts.

    A pain point is surely at least two points worse (95% interval), with a false discovery rate of
    5% over all comparisons. It is an association: who comes to a touchpoint in one group may differ
    from who comes there in another.

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
    across : str, optional
        A column of events (such as 'device'), of customers, or of a saved table in whose groups
        drop-offs are compared; without it drop-offs are left out.
    silence : str or Timedelta, default '30D'
        How long nothing must follow for a journey to be over, with its unit.
    again : str or Timedelta, default '7D'
        How soon somebody comes again about the same matter.
    quiet : str or Timedelta, default '90D'
        How long before the log's last event a matter ended that counts as a loop.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    fewest : int, default 30
        The fewest people on each side of a comparison.
    by : str, optional
        A column of customers or of a saved table (`segments.segment`) by which all is split.
    period : Period, optional
        Only journeys that ended in it, matters that ended in it, and answers given in it, count.

    Returns
    -------
    PainPoints

    Raises
    ------
    CjkitError
        When `stages` names one twice, `across`, `by` or an event of `without` is unknown, `by` is a
        column of events, a duration has no unit, or `fewest` is below 1.

    Notes
    -----
    Somebody who was at several touchpoints, or in several groups of an event column, counts in
    each: the groups that are compared may overlap, and Newcombe's interval takes them for separate
    ones.
    """
    check_stages(stages)
    if fewest < 1:
        raise CjkitError(f"fewest={fewest!r} must be 1 or more.")
    silence_us = microseconds(silence, name="silence")
    again_us, quiet_us = microseconds(again, name="again"), microseconds(quiet, name="quiet")
    split, relation, keys = divide(events, by)
    if split is not None and split.kind == "event":
        raise CjkitError(f"by={by!r} is a column of events: name one of customers here.")
    last = last_us(events)
    statements: dict[str, str] = {}
    if across is not None:
        groups = split_by(events, across, beside=split)
        divided = "beside_value" if split else "by_value"
        own = acts(events, groups.relation, (*keys, divided), without, ["revenue"])
        own = f"(select *, {divided} as group_value from {own} as own)"
        ended = f"ended_us <= {last - silence_us} and {during(period, 'ended_us')}"
        statements[DROP_OFF] = drop_offs_sql(
            own, stages, conversion, silence_us, (*keys, "group_value"), ended
        )
    own = acts(events, relation, keys, without, ["ref_id", "valid_until_us", "revenue"])
    known = f"ended_us <= {last - quiet_us} and {during(period, 'ended_us')}"
    statements[LOOP] = matters_sql(own, events, stages, conversion, again_us, quiet_us, keys, known)
    if feedback is not None:
        answers = divide(feedback, by)[1]
        statements[LOW_SCORE] = low_scores_sql(answers, stages, stage_of, keys, period)
    found = {
        symptom: events.engine.query(sql).assign(symptom=symptom, is_judged=True)
        for symptom, sql in statements.items()
    }
    found[LOOP] = _matters(found[LOOP], [*keys, "stage_no", "touchpoint"])
    rows = pd.concat(found.values())
    rows = rows.sort_values([*keys, "stage_no", "touchpoint"], ignore_index=True)
    table = _compare(rows, list(keys), fewest)
    table["stage"] = table["stage_no"].map(dict(enumerate(stages, 1)))
    columns = ["stage", "touchpoint", "symptom", "group", *PainPoints.counts, *_RESTS]
    return PainPoints(
        name_groups(table[[*keys, *columns]], split),
        parse_duration(silence, name="silence"),
        fewest,
        across,
        by,
        tuple(statements.values()),
    )


def _matters(found: pd.DataFrame, place: list[str]) -> pd.DataFrame:
    """Return those who had to come again, or were served late, each beside those who were not."""
    counts = ["people", "affected", "brought"]

    def add_up(rows: pd.DataFrame, *told: str) -> pd.DataFrame:
        # Revenue that nobody knows stays unknown.
        return rows.groupby([*place, *told], as_index=False)[counts].sum(min_count=1)

    loops = add_up(found, "is_late_matter", "came_again")
    loops["symptom"] = loops["is_late_matter"].map({0: LOOP, 1: LATE_LOOP})
    loops["is_judged"] = loops["came_again"].eq(1)
    delays = add_up(found.dropna(subset="is_late"), "is_late").assign(symptom=DELAY)
    delays["is_judged"] = delays["is_late"].eq(1)
    return pd.concat([loops, delays])[[*place, "symptom", "is_judged", *counts]]


def _compare(found: pd.DataFrame, keys: list[str], fewest: int) -> pd.DataFrame:
    """Compare each row with what is usual there, and rank the rows."""
    table = found.reindex(columns=[*found.columns, *({"group_value", "brought"} - {*found})])
    table = table.rename(columns={"group_value": "group"})
    numbers = {"people": "float64", "affected": "float64", "brought": "float64"}
    table = table.astype(numbers)
    # What a row is compared with: other groups, the other touchpoints, or who had no trouble.
    alike = [*keys, "symptom", "stage_no", "beside"]
    table["beside"] = table["touchpoint"].where(table["symptom"] != LOW_SCORE, "")
    beside = table.groupby(alike, dropna=False)
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
    # Who had no trouble is what the others are compared with, and no row of its own.
    enough = (table["people"] >= fewest) & (other_people >= fewest) & table["is_judged"]
    table["p_value"] = benjamini_hochberg(pd.Series(difference_p_value(*sides)).where(enough))
    table["excess_people"] = table["excess_rate"] * table["people"]
    went_on = (table["people"] - table["affected"]).where(lambda number: number > 0)
    table["lost_revenue"] = table["excess_people"] * table["brought"] / went_on
    table["is_pain_point"] = (table["p_value"] <= FALSE_DISCOVERIES) & (
        table["excess_rate_low"] >= LEAST
    )
    table["sure"] = table["excess_rate_low"] * table["people"]
    table = table[table["is_judged"]].astype({"people": "int64", "affected": "int64"})
    return table.sort_values(
        ["is_pain_point", "sure", "touchpoint", "group"],
        ascending=[False, False, True, True],
        ignore_index=True,
        na_position="last",
    )
