"""Touchpoints: how many of the people in a stage are at each, and how soon something follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table
from cjkit.events import STAGES, Period
from cjkit.experience.asking import (
    acts,
    check_stages,
    divide,
    during,
    groups_add_up,
    listed,
    name_groups,
    place,
    refuse_split,
    stage_number,
)
from cjkit.labels import Language, display_name, format_number, format_percent, format_sizes, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest
from cjkit.statistics import wilson_interval

_DRAWN = 20
_SHARES = ("share", "share_low", "share_high")


@dataclass(frozen=True)
class Touchpoints:
    """What `measure_touchpoints` found: where the people of each stage are.

    Attributes
    ----------
    table : DataFrame, one row for each stage and touchpoint (and each value of `by`)
        `stage`, `touchpoint`, `customers` (people who were there), `visits` (events),
        `stage_customers` (all people with an event of that stage) and `share` of these (0 to 1;
        shares overlap, since a person may be at several) with `share_low` and `share_high`
        (Wilson), and `wait_p50_us`, the median time to the person's next event in microseconds.
        Stages in order, largest touchpoint first.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statements that made the counts, in order.
    """

    table: pd.DataFrame
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("visits", *_SHARES, "wait_p50_us"),
        "stage_customers": _SHARES,
    }

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who of a stage was elsewhere, and the groups together."""
        elsewhere = Rest("customers", "stage_customers")
        return (elsewhere, *groups_add_up(["customers"], ("stage", "touchpoint"), self.by))

    def finding(self, language: Language) -> str:
        """Say which touchpoint reaches most people."""
        known = self.table.dropna(subset="customers")
        if known.empty:
            return label("no_touchpoints", language)
        row = known.sort_values("customers").iloc[-1]
        return label(
            "widest_touchpoint",
            language,
            touchpoint=display_name(row["touchpoint"], "touchpoint", language),
            customers=format_number(row["customers"], language),
            stage=display_name(row["stage"], "stage", language),
            share=format_percent(row["share"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each touchpoint's share of the people of its stage."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="share").head(_DRAWN)
        ax = draw_rates(
            [
                f"{display_name(stage, 'stage', language)}: "
                f"{display_name(touchpoint, 'touchpoint', language)}"
                for stage, touchpoint in zip(rows["stage"], rows["touchpoint"], strict=True)
            ],
            rows["share"].tolist(),
            rows["share_low"].tolist(),
            rows["share_high"].tolist(),
            format_sizes(rows["customers"], language),
            ax=ax,
        )
        ax.set_title(label("touchpoints_title", language))
        return ax


def measure_touchpoints(
    events: Table,
    *,
    stages: Sequence[str] = STAGES,
    without: Collection[str] = (),
    by: str | None = None,
    period: Period | None = None,
) -> Touchpoints:
    """Count the people at each touchpoint of each stage.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    stages : sequence of str
        The stages in order; events of no stage, or of another, play no part.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events.
    period : Period, optional
        Only events in it count.

    Returns
    -------
    Touchpoints

    Raises
    ------
    CjkitError
        When `stages` is empty or names one twice, or `by` is unknown.
    """
    check_stages(stages)
    split, relation, keys = divide(events, by)
    own = acts(events, relation, keys, without)
    staged = f"""
        select {listed(keys)}customer_id, {place("touchpoint")} as touchpoint, stage_no,
            measured_us
        from (select *, {stage_number(stages)} as stage_no from {own} as events) as numbered
        where stage_no is not null and {during(period)}"""
    counted = "count(distinct customer_id) as customers"
    statements = (
        f"""
        select {listed(keys)}stage_no, touchpoint, {counted}, count(*) as visits
        from ({staged}) as staged group by {listed(keys)}stage_no, touchpoint""",
        f"""
        select {listed(keys)}stage_no, {counted.replace("customers", "stage_customers")}
        from ({staged}) as staged group by {listed(keys)}stage_no""",
    )
    found, people = (events.engine.query(sql) for sql in statements)
    waits = events.engine.quantiles(
        f"({staged})", "measured_us", (0.5,), (*keys, "stage_no", "touchpoint")
    ).rename(columns={"p50": "wait_p50_us"})
    table = found.merge(people, on=[*keys, "stage_no"])
    table = table.merge(waits.drop(columns="n"), "left", [*keys, "stage_no", "touchpoint"])
    of_stage = table["stage_customers"]
    table["share"] = table["customers"] / of_stage
    table["share_low"], table["share_high"] = wilson_interval(table["customers"], of_stage)
    table["stage"] = table["stage_no"].map(dict(enumerate(stages, 1)))
    table = table.sort_values(
        [*keys, "stage_no", "customers", "touchpoint"],
        ascending=[*(True for _ in keys), True, False, True],
        ignore_index=True,
    )
    counts = ["customers", "visits", "stage_customers"]
    columns = ["stage", "touchpoint", *counts, *_SHARES, "wait_p50_us"]
    return Touchpoints(name_groups(table[[*keys, *columns]], split), by, statements)
