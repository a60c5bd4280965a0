"""The state of the base: in which stage everybody is now, and where they were a period ago."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, microseconds, parse_duration
from cjkit.engine import Table
from cjkit.events import STAGES, Period
from cjkit.experience.asking import (
    acts,
    check_stages,
    divide,
    listed,
    name_groups,
    refuse_split,
    stage_number,
)
from cjkit.experience.cycle import QUIET
from cjkit.labels import (
    Language,
    display_name,
    format_duration,
    format_number,
    label,
)
from cjkit.plots.flow import draw_flow
from cjkit.privacy import Relation, Totals
from cjkit.statistics import wilson_interval

NEW = "(new)"

_SHARES = ("share", "share_low", "share_high")
_ROOM = 64  # for the number of a stage beside that of a step


@dataclass(frozen=True)
class StageStates:
    """What `measure_stage_states` found: the stage of everybody at two moments.

    Attributes
    ----------
    table : DataFrame, one row for each pair of stages (and each value of `by`), in order
        `stage_before` (the stage when the period began; `(new)`: no event of a stage before that;
        `(quiet)`: none for longer than `quiet`), `stage_now` (the same when it ended), `customers`
        (count), `all_customers` (everybody), `share` of them (0 to 1) with `share_low` and
        `share_high` (Wilson).
    stages : tuple of str
        The stages in order.
    quiet : Timedelta
        How long a stage lasts without an event.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statement that made the counts.
    """

    table: pd.DataFrame
    stages: tuple[str, ...]
    quiet: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": _SHARES,
        "all_customers": _SHARES,
    }
    formats: ClassVar[dict[str, str]] = {"stage_before": "stage", "stage_now": "stage"}

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who is in a stage, and who was, are counts that readers see."""
        group = tuple(self.table.columns[:1]) if self.by else ()
        return tuple(
            Totals("customers", (*group, *side)) for side in ((), ("stage_before",), ("stage_now",))
        )

    def finding(self, language: Language) -> str:
        """Say where most people are who are not quiet, and how many moved on or back."""
        rows = self.table.dropna(subset="share")
        order = {stage: number for number, stage in enumerate(self.stages)}
        now, before = rows["stage_now"].map(order), rows["stage_before"].map(order)
        here = rows[now.notna()].groupby("stage_now")["customers"].sum()
        if here.empty:
            return label("no_cycle", language)
        return label(
            "states_finding",
            language,
            stage=display_name(here.idxmax(), "stage", language),
            customers=format_number(here.max(), language),
            active=format_number(here.sum(), language),
            on=format_number(rows.loc[now > before, "customers"].sum(), language),
            back=format_number(rows.loc[now < before, "customers"].sum(), language),
            came=format_number(
                rows.loc[now.notna() & (rows["stage_before"] == NEW), "customers"].sum(), language
            ),
            quiet=format_number(
                rows.loc[before.notna() & (rows["stage_now"] == QUIET), "customers"].sum(), language
            ),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw both moments as columns of stages, joined by ribbons as wide as people are many."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="customers")
        rows = rows[(rows["stage_before"] != QUIET) | (rows["stage_now"] != QUIET)]
        order = [*reversed(self.stages), QUIET, NEW]
        people = float(rows["customers"].sum())
        ax = draw_flow(
            [
                (0, str(before), str(now), float(customers))
                for before, now, customers in zip(
                    rows["stage_before"], rows["stage_now"], rows["customers"], strict=True
                )
            ],
            order=order,
            faded=(QUIET, NEW),
            names={stage: display_name(stage, "stage", language) for stage in order},
            name_step=lambda step: label("stage_now" if step else "stage_before", language),
            write=lambda share: format_number(round(share * people), language),
            ax=ax,
        )
        quiet = format_duration(self.quiet // pd.Timedelta("1us"), language)
        ax.set_title(label("states_title", language, quiet=quiet))
        return ax


def measure_stage_states(
    events: Table,
    *,
    period: Period,
    stages: Sequence[str] = STAGES,
    quiet: str | pd.Timedelta = "90D",
    without: Collection[str] = (),
    by: str | None = None,
) -> StageStates:
    """Say in which stage everybody is when a period ends, and in which they were when it began.

    A person is in the stage of their last event of any stage before that moment, and `(quiet)`
    when that was longer ago than `quiet`.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    period : Period
        Between the two moments.
    stages : sequence of str
        The stages in order, first to last; events of no stage, or of another, play no part.
    quiet : str or Timedelta, default '90D'
        How long a stage lasts without an event, with its unit.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    by : str, optional
        A column of customers, or of a saved table (`segments.segment`).

    Returns
    -------
    StageStates

    Raises
    ------
    CjkitError
        When `stages` is empty or names one twice, `by` is unknown or no column of customers, or
        `quiet` has no unit.
    """
    check_stages(stages)
    quiet_us = microseconds(quiet, name="quiet")
    split, relation, keys = divide(events, by)
    if split is not None and split.kind == "event":
        raise CjkitError(f"by={by!r} is a column of events: name one that customers have.")
    own = acts(events, relation, keys, without)
    sql = f"""
        select {listed(keys)}before_no, now_no, count(*) as customers from (
            select {listed(keys)}{_state("before", period.start_us, quiet_us)} as before_no,
                {_state("now", period.end_us, quiet_us)} as now_no
            from (
                select customer_id, {"".join(f"max({key}) as {key}, " for key in keys)}
                    {_last("before", period.start_us)}, {_last("now", period.end_us)}
                from (select *, {stage_number(stages)} as stage_no from {own} as events) as numbered
                where stage_no is not null and occurred_us < {period.end_us}
                group by customer_id) as people) as states
        group by {listed(keys)}before_no, now_no"""
    table = events.engine.query(sql)
    names = {-1: NEW, 0: QUIET, **dict(enumerate(stages, 1))}
    table = table.sort_values([*keys, "before_no", "now_no"], ignore_index=True)
    for moment in ("before", "now"):
        table[f"stage_{moment}"] = table[f"{moment}_no"].map(names)
    if keys:
        table["all_customers"] = table.groupby(list(keys))["customers"].transform("sum")
    else:
        table["all_customers"] = table["customers"].sum()
    people = table["all_customers"]
    table["share"] = table["customers"] / people
    table["share_low"], table["share_high"] = wilson_interval(table["customers"], people)
    shown = table[[*keys, "stage_before", "stage_now", "customers", "all_customers", *_SHARES]]
    wide = parse_duration(quiet, name="quiet")
    return StageStates(name_groups(shown, split), tuple(stages), wide, by, (sql,))


def _last(name: str, moment_us: int) -> str:
    """Write the SQL of a person's last stage before a moment, and when that was."""
    seen = f"case when occurred_us < {moment_us} then"
    return (
        f"max({seen} step_no * {_ROOM} + stage_no end) as {name}_code, "
        f"max({seen} occurred_us end) as {name}_us"
    )


def _state(name: str, moment_us: int, quiet_us: int) -> str:
    """Write the SQL of the number of a person's stage: 0 for a quiet one, -1 for none yet."""
    return (
        f"case when {name}_us is null then -1 when {moment_us} - {name}_us > {quiet_us} then 0 "
        f"else {name}_code % {_ROOM} end"
    )
