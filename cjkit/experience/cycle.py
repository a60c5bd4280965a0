"""The cycle of stages: who enters each, who goes on, falls back or grows quiet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import microseconds, parse_duration
from cjkit.engine import Table
from cjkit.events import STAGES, Period
from cjkit.experience.asking import (
    acts,
    check_stages,
    divide,
    during,
    last_us,
    listed,
    name_groups,
    refuse_split,
    stage_number,
)
from cjkit.labels import (
    Language,
    display_name,
    format_duration,
    format_number,
    format_percent,
    join_sentences,
    label,
)
from cjkit.plots.graph import draw_graph
from cjkit.privacy import Relation, Totals
from cjkit.statistics import wilson_interval

QUIET = "(quiet)"
STILL = "(still)"

_SHARES = ("share", "share_low", "share_high")
_STAYS = {"p10": "stay_p10_us", "p50": "stay_p50_us", "p90": "stay_p90_us"}
_ARROW_FROM = 0.02


@dataclass(frozen=True)
class StageCycle:
    """What `measure_stage_cycle` found: how often people enter each stage, and where they go next.

    Attributes
    ----------
    table : DataFrame, one row for each stage and what follows it (and each value of `by`)
        `stage`, `next_stage` (`(quiet)`: nothing for longer than `quiet`; `(still)`: still there
        when the log ends), `direction` (`progress` to a later stage, `back` to an earlier one,
        `quiet`, `still`), `stays` (count), `customers` (people who made them), `all_customers`
        (people who entered the stage), `share` of the stays in the stage (0 to 1) with `share_low`
        and `share_high`, and how long a stay was that another stage followed, in microseconds:
        `stay_p10_us`, `stay_p50_us`, `stay_p90_us`.
    stages : tuple of str
        The stages in order.
    quiet : Timedelta
        The longest silence inside a stay.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statements that made the counts, in order.
    """

    table: pd.DataFrame
    stages: tuple[str, ...]
    quiet: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("stays", *_SHARES, *_STAYS.values()),
        "all_customers": _SHARES,
    }
    formats: ClassVar[dict[str, str]] = {
        "stage": "stage",
        "next_stage": "stage",
        "direction": "direction",
    }

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """What follows a stage, and what leads to one, adds up to what readers see elsewhere."""
        group = tuple(self.table.columns[:1]) if self.by else ()
        return tuple(Totals("customers", (*group, side)) for side in ("stage", "next_stage"))

    @property
    def entries(self) -> pd.DataFrame:
        """How often each stage was entered, and what share of the stays went which way."""
        group = list(self.table.columns[:1]) if self.by else []
        wide = self.table.pivot_table(
            "stays", [*group, "stage"], "direction", "sum", sort=False, fill_value=0
        )
        names = ["progress", "back", "quiet", "still"]
        wide = wide.reindex(columns=names, fill_value=0)
        wide.insert(0, "entries", wide.sum(axis=1))
        return wide.reset_index().rename_axis(columns=None)

    def finding(self, language: Language) -> str:
        """Say from which stage the largest share falls back, and from which most grow quiet."""
        known = self.table.dropna(subset="share")
        found = []
        for direction in ("back", "quiet"):
            rows = known[known["direction"] == direction]
            if direction == "back" and not rows.empty:
                group = list(self.table.columns[:1]) if self.by else []
                rows = rows.groupby([*group, "stage"], as_index=False)[["stays", "share"]].sum()
            if rows.empty:
                continue
            row = rows.sort_values("share").iloc[-1]
            found.append(
                label(
                    f"cycle_{direction}",
                    language,
                    stage=display_name(row["stage"], "stage", language),
                    share=format_percent(row["share"], language),
                    stays=format_number(row["stays"], language),
                )
            )
        return join_sentences(found, language) or label("no_cycle", language)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the stages as a ring: discs for entries, blue arrows on, red arrows back."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="share")
        sizes = rows.groupby("stage")["stays"].sum()
        moved = rows[rows["direction"].isin(("progress", "back")) & (rows["share"] >= _ARROW_FROM)]
        ax = draw_graph(
            [
                (
                    str(row["stage"]),
                    str(row["next_stage"]),
                    float(row["stays"]),
                    format_percent(row["share"], language, digits=0),
                )
                for _, row in moved.iterrows()
            ],
            sizes={stage: float(sizes.get(stage, 0)) for stage in self.stages},
            names={
                stage: "\n".join(
                    (
                        display_name(stage, "stage", language),
                        label(
                            "stage_entries",
                            language,
                            entries=format_number(sizes.get(stage, 0), language),
                        ),
                    )
                )
                for stage in self.stages
            },
            backward={
                (str(row["stage"]), str(row["next_stage"]))
                for _, row in moved[moved["direction"] == "back"].iterrows()
            },
            ax=ax,
        )
        quiet = format_duration(self.quiet // pd.Timedelta("1us"), language)
        ax.set_title(label("cycle_title", language, quiet=quiet))
        return ax


def measure_stage_cycle(
    events: Table,
    *,
    stages: Sequence[str] = STAGES,
    quiet: str | pd.Timedelta = "30D",
    without: Collection[str] = (),
    by: str | None = None,
    period: Period | None = None,
) -> StageCycle:
    """Follow people through the stages as a cycle: on, back, round again, or into silence.

    A stay in a stage begins with an event of that stage when the person's event of a stage before
    it was of another one, or longer ago than `quiet`, or there was none. It ends with the next stay
    of that person; when this begins after a silence longer than `quiet`, or none follows, the
    person had grown quiet. The time of a stay runs from its first event to the first of the stage
    that followed. Stays count that began at least `quiet` before the log's last event; of these,
    whoever was still active in the last `quiet` is `(still)` there.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    stages : sequence of str
        The stages in order, first to last; events of no stage, or of another, play no part.
    quiet : str or Timedelta, default '30D'
        The longest silence inside a stay, with its unit.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the first event of the stay).
    period : Period, optional
        Only stays that began in it count.

    Returns
    -------
    StageCycle

    Raises
    ------
    CjkitError
        When `stages` is empty or names one twice, `by` is unknown, or `quiet` has no unit.

    Notes
    -----
    The interval of a share is Wilson's with the people who entered the stage as its sample.

    Examples
    --------
    >>> log = events.engine.materialize(
    ...     "staged",
    ...     "select customer_id, step_no, occurred_us, event, touchpoint, next_event, "
    ...     "microseconds_to_next, "
    ...     "case event when 'buy' then 'purchase' else 'interest' end as stage from events",
    ... )
    >>> found = measure_stage_cycle(log, stages=["interest", "purchase"], quiet="90m")
    >>> found.table[["stage", "next_stage", "stays"]]
          stage next_stage  stays
    0  interest    (still)      1
    1  interest    (quiet)      1
    2  interest   purchase      1
    """
    check_stages(stages)
    quiet_us = microseconds(quiet, name="quiet")
    split, relation, keys = divide(events, by)
    known_us = last_us(events) - quiet_us
    own = acts(events, relation, keys, without)
    stays = _stays(own, stages, keys, quiet_us, known_us, period)
    group = f"{listed(keys)}stage_no"
    sql = f"""
        select {group}, next_no, count(*) as stays, count(distinct customer_id) as customers
        from ({stays}) as stays group by {group}, next_no"""
    people = f"""
        select {group}, count(distinct customer_id) as all_customers
        from ({stays}) as stays group by {group}"""
    engine, places = events.engine, [*keys, "stage_no"]
    times = engine.quantiles(f"({stays})", "stay_us", (0.1, 0.5, 0.9), (*places, "next_no"))
    table = engine.query(sql).merge(engine.query(people), on=places)
    table = table.merge(
        times.rename(columns=_STAYS).drop(columns="n"), "left", [*places, "next_no"]
    )
    table = _tidy(table, stages, list(keys))
    wide = parse_duration(quiet, name="quiet")
    return StageCycle(name_groups(table, split), tuple(stages), wide, by, (sql, people))


def _stays(
    relation: str,
    stages: Sequence[str],
    keys: tuple[str, ...],
    quiet_us: int,
    known_us: int,
    period: Period | None,
) -> str:
    """Write the SQL of each stay: its stage, and that of the next one.

    Next is 0 where there was silence first, and -1 where that is not known yet.
    """
    order = "over (partition by customer_id order by step_no)"
    return f"""
        select {listed(keys)}customer_id, stage_no,
            case when next_is_fresh = 0 then next_no when next_is_fresh = 1 then 0
                when last_us <= {known_us} then 0 else -1 end as next_no,
            case when next_is_fresh = 0 then next_us - occurred_us end as stay_us
        from (
            select *, lead(stage_no) {order} as next_no, lead(is_fresh) {order} as next_is_fresh,
                lead(occurred_us) {order} as next_us
            from (
                select *,
                    case when occurred_us - before_us <= {quiet_us} then 0 else 1 end as is_fresh
                from (
                    select *, lag(stage_no) {order} as before_no,
                        lag(occurred_us) {order} as before_us,
                        max(occurred_us) over (partition by customer_id) as last_us
                    from (select *, {stage_number(stages)} as stage_no from {relation} as events)
                        as numbered
                    where stage_no is not null) as staged) as told
            where is_fresh = 1 or before_no <> stage_no) as entered
        where occurred_us <= {known_us} and {during(period)}"""


def _tidy(table: pd.DataFrame, stages: Sequence[str], keys: list[str]) -> pd.DataFrame:
    """Name the stages and directions, and give each row its share."""
    order = [*keys, "stage_no", "next_no"]
    table = table.sort_values(order, ignore_index=True)
    names = {0: QUIET, -1: STILL, **dict(enumerate(stages, 1))}
    table["stage"], table["next_stage"] = (table[n].map(names) for n in ("stage_no", "next_no"))
    is_back = table["next_no"] < table["stage_no"]
    table["direction"] = is_back.map({True: "back", False: "progress"})
    table.loc[table["next_no"] == 0, "direction"] = "quiet"
    table.loc[table["next_no"] == -1, "direction"] = "still"
    table["share"] = table["stays"] / table.groupby([*keys, "stage_no"])["stays"].transform("sum")
    people = table["all_customers"]
    table["share_low"], table["share_high"] = wilson_interval(table["share"] * people, people)
    counts = ["stays", "customers", "all_customers"]
    shown = ["stage", "next_stage", "direction", *counts, *_SHARES, *_STAYS.values()]
    return table[[*keys, *shown]]
