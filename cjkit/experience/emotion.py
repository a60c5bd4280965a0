"""Emotion: what people's own answers say of how they feel, from -1 to 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import one_of
from cjkit.engine import Table, text
from cjkit.events import Period, emotion_sql
from cjkit.experience.asking import (
    divide,
    during,
    groups_add_up,
    listed,
    name_groups,
    place,
    refuse_split,
)
from cjkit.labels import (
    MISSING,
    Language,
    display_name,
    format_number,
    format_signed,
    format_sizes,
    label,
)
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Totals
from cjkit.statistics import mean_interval

Per = Literal["touchpoint", "stage"]

_DRAWN = 20


@dataclass(frozen=True)
class Emotion:
    """What `measure_emotion` found: how people say they feel.

    Attributes
    ----------
    table : DataFrame, one row for each stage or touchpoint (and each value of `by`)
        `stage` (missing where nothing says it), `touchpoint` (when measured per touchpoint),
        `people` (who answered; who is not known counts once an answer), `answers` (count),
        `emotion` (mean from -1, the worst answer, to 1, the best) with `emotion_low` and
        `emotion_high` (Student's interval of the mean; missing for one answer).
    per : {'touchpoint', 'stage'}
        What a row is.
    by : str or None
        The column that the answers are split by.
    sql : tuple of str
        The statement that made the sums.
    """

    table: pd.DataFrame
    per: Per
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "people": ("answers", "emotion", "emotion_low", "emotion_high")
    }

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """The answers of the touchpoints of a stage, and those of the groups."""
        if self.per == "stage":
            return groups_add_up(self.counts, ("stage",), self.by)
        group = tuple(self.table.columns[:1]) if self.by else ()
        of_groups = groups_add_up(self.counts, ("stage", "touchpoint"), self.by)
        return (Totals("people", (*group, "stage")), *of_groups)

    @property
    def worst(self) -> pd.Series[Any] | None:
        """The row with the lowest emotion; None where none is known."""
        known = self.table.dropna(subset="emotion")
        return None if known.empty else known.sort_values("emotion").iloc[0]

    def finding(self, language: Language) -> str:
        """Say where people feel worst."""
        row = self.worst
        if row is None:
            return label("no_answers", language)
        return label(
            "worst_emotion",
            language,
            place=display_name(row[self.per], self.per, language),
            emotion=format_signed(row["emotion"], language),
            low=format_signed(row["emotion_low"], language),
            high=format_signed(row["emotion_high"], language),
            answers=format_number(row["answers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each mean with its interval, from bad on the left to good on the right."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="emotion").head(_DRAWN)
        ax = draw_rates(
            [display_name(value, self.per, language) for value in rows[self.per]],
            rows["emotion"].tolist(),
            rows["emotion_low"].tolist(),
            rows["emotion_high"].tolist(),
            format_sizes(rows["answers"], language),
            zero=True,
            ax=ax,
        )
        ax.set_xlim(-1.02, 1.02)
        ax.xaxis.set_major_formatter(lambda value, _: format_signed(value, language))
        ax.set_title(label("emotion_title", language))
        return ax


def measure_emotion(
    feedback: Table,
    *,
    per: Per = "touchpoint",
    stage_of: Mapping[str, str] | None = None,
    by: str | None = None,
    period: Period | None = None,
) -> Emotion:
    """Average people's scores, each brought to -1 (the worst answer) to 1 (the best).

    A score becomes `2 x (score - lowest) / (highest - lowest) - 1`: NPS from 0 to 10, CSAT, CES and
    reviews from 1 to `score_max` (5, 7 and 5 where an answer does not say it). A higher score is
    taken for a better one. An answer without a score counts with its `emotion`, if it has one.

    Parameters
    ----------
    feedback : Table
        The answers. Reads `touchpoint`, `metric`, `score`, `score_max`, `emotion`, `given_us`.
    per : {'touchpoint', 'stage'}
        What to average over.
    stage_of : mapping from touchpoint to stage, optional
        Which stage each touchpoint belongs to; without it stages are missing.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of the answers.
    period : Period, optional
        Only answers given in it count.

    Returns
    -------
    Emotion

    Raises
    ------
    CjkitError
        When `per` or `by` is unknown.

    Examples
    --------
    >>> answers = pd.DataFrame({
    ...     "customer_id": ["ann", "bob"], "touchpoint": "store", "metric": "csat",
    ...     "score": [5.0, 3.0], "score_max": 5.0, "emotion": None, "given_us": 0,
    ... })
    >>> found = measure_emotion(events.engine.add("feedback", answers))
    >>> found.table[["touchpoint", "answers", "emotion"]]
      touchpoint  answers  emotion
    0      store        2      0.5
    """
    one_of("per", per, get_args(Per))
    split, relation, keys = divide(feedback, by)
    keys = (*keys, "stage", "touchpoint") if per == "touchpoint" else (*keys, "stage")
    answers = f"""
        select *, {emotion_sql()} as felt, {stage_sql(stage_of)} as stage_or_none
        from {relation} as feedback"""
    sql = f"""
        select {listed(keys)}count(distinct customer_id)
                + sum(case when customer_id is null then 1 else 0 end) as people,
            count(*) as answers, sum(felt) as total, sum(felt * felt) as squares
        from (select {"by_value, " if split else ""}customer_id, felt,
                coalesce(stage_or_none, {text(MISSING)}) as stage,
                {place("touchpoint")} as touchpoint
            from ({answers}) as answers
            where felt is not null and {during(period, "given_us")}) as felt
        group by {", ".join(keys)}"""
    table = feedback.engine.query(sql)
    table["emotion"] = table["total"] / table["answers"]
    low, high = mean_interval(table["total"], table["squares"], table["answers"])
    table["emotion_low"], table["emotion_high"] = np.maximum(low, -1), np.minimum(high, 1)
    order = ["answers", "stage", "touchpoint"] if per == "touchpoint" else ["stage"]
    if split:
        order = ["by_value", *order]
    table = table.sort_values(
        order, ascending=[name != "answers" for name in order], ignore_index=True
    )
    table["people"] = table["people"].astype("int64")
    columns = [*keys, "people", "answers", "emotion", "emotion_low", "emotion_high"]
    return Emotion(name_groups(table[columns], split), per, by, (sql,))


def stage_sql(stage_of: Mapping[str, str] | None) -> str:
    """Write the SQL of the stage that an answer's touchpoint belongs to."""
    if not stage_of:
        return "cast(null as varchar)"
    whens = (
        f"when {text(touchpoint)} then {text(stage)}" for touchpoint, stage in stage_of.items()
    )
    return f"case touchpoint {' '.join(whens)} end"
