"""Stages: how many people enter each, how many come further, and how long that takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
    groups_add_up,
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
    format_sizes,
    label,
)
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest
from cjkit.statistics import wilson_interval

_RATES = ("progress_rate", "progress_rate_low", "progress_rate_high")


@dataclass(frozen=True)
class Stages:
    """What `measure_stages` found: who entered each stage, and who came further.

    Attributes
    ----------
    table : DataFrame, one row for each stage (and each value of `by`), in order
        `stage`, `customers` (people who entered it), `known_customers` (those of them whose whole
        `within` is seen), `progressed` (those of these who came to a later stage in that time),
        `progress_rate` (0 to 1; missing where nobody is known, and for the last stage of which the
        log holds an event, whatever stages might follow) with `progress_rate_low` and
        `progress_rate_high` (Wilson), and `progress_p50_us`, the median time to it in microseconds
        among those who progressed.
    within : Timedelta
        The time that people have to come further.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statement that made the counts.
    """

    table: pd.DataFrame
    within: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (),
        "known_customers": _RATES,
        "progressed": (*_RATES, "progress_p50_us"),
    }

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who is not known yet, who did not come further, and the groups together."""
        nested = (Rest("known_customers", "customers"), Rest("progressed", "known_customers"))
        return (*nested, *groups_add_up(self.counts, ("stage",), self.by))

    @property
    def hardest_stage(self) -> pd.Series[Any] | None:
        """The row with the lowest rate of progress; None where no rate is known."""
        known = self.table.dropna(subset="progress_rate")
        return None if known.empty else known.sort_values("progress_rate").iloc[0]

    def finding(self, language: Language) -> str:
        """Say from which stage the smallest share comes further."""
        row = self.hardest_stage
        if row is None:
            return label("no_progress_known", language)
        return label(
            "hardest_stage",
            language,
            stage=display_name(row["stage"], "stage", language),
            customers=format_number(row["known_customers"], language),
            rate=format_percent(row["progress_rate"], language),
            low=format_percent(row["progress_rate_low"], language),
            high=format_percent(row["progress_rate_high"], language),
            within=format_duration(self.within // pd.Timedelta("1us"), language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the rate of progress of each stage with its interval."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="progress_rate")
        ax = draw_rates(
            [display_name(stage, "stage", language) for stage in rows["stage"]],
            rows["progress_rate"].tolist(),
            rows["progress_rate_low"].tolist(),
            rows["progress_rate_high"].tolist(),
            format_sizes(rows["known_customers"], language),
            ax=ax,
        )
        within = format_duration(self.within // pd.Timedelta("1us"), language)
        ax.set_title(label("progress_title", language, within=within))
        return ax


def measure_stages(
    events: Table,
    *,
    stages: Sequence[str] = STAGES,
    within: str | pd.Timedelta = "14D",
    without: Collection[str] = (),
    by: str | None = None,
    period: Period | None = None,
) -> Stages:
    """Count the people who enter each stage, and those who come to a later one.

    A person enters a stage with an event of that stage when their event of a stage before it was of
    another one, or there was none. Their first entry counts. They progress when an event of any
    later stage follows within `within`. The rate is of the people whose entry is at least `within`
    before the log's last event: for the others it is not known yet.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    stages : sequence of str
        The stages in order, first to last; events of no stage, or of another, play no part.
    within : str or Timedelta, default '14D'
        The time to come further, with its unit.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the entry).
    period : Period, optional
        Only entries in it count.

    Returns
    -------
    Stages

    Raises
    ------
    CjkitError
        When `stages` is empty or names one twice, `by` is unknown, or `within` has no unit.

    Examples
    --------
    >>> log = events.engine.materialize(
    ...     "staged",
    ...     "select customer_id, step_no, occurred_us, event, touchpoint, next_event, "
    ...     "microseconds_to_next, "
    ...     "case event when 'buy' then 'purchase' else 'interest' end as stage from events",
    ... )
    >>> found = measure_stages(log, stages=["interest", "purchase"], within="2h")
    >>> found.table[["stage", "customers", "known_customers", "progressed"]]
          stage  customers  known_customers  progressed
    0  interest          3                3           2
    1  purchase          2                0           0
    """
    check_stages(stages)
    within_us = microseconds(within, name="within")
    split, relation, keys = divide(events, by)
    own = acts(events, relation, keys, without)
    entries = _entries(own, stages, keys, period)
    known = f"occurred_us <= {last_us(events) - within_us}"
    progressed = f"{known} and waited_us <= {within_us}"
    sql = f"""
        select {listed(keys)}stage_no, count(*) as customers,
            sum(case when {known} then 1 else 0 end) as known_customers,
            sum(case when {progressed} then 1 else 0 end) as progressed
        from ({entries}) as entries group by {listed(keys)}stage_no"""
    found = events.engine.query(sql)
    times = events.engine.quantiles(
        f"(select * from ({entries}) as entries where {progressed})",
        "waited_us",
        (0.5,),
        (*keys, "stage_no"),
    )
    groups = split.values if split else ()
    held = events.values("stage")
    last = max((number for number, stage in enumerate(stages, 1) if stage in held), default=0)
    table = _tidy(found, times, stages, list(groups), list(keys), last)
    return Stages(name_groups(table, split), parse_duration(within, name="within"), by, (sql,))


def _entries(
    relation: str, stages: Sequence[str], keys: tuple[str, ...], period: Period | None
) -> str:
    """Write the SQL of each person's first entry into each stage, with the time to a later one.

    The first event of a later stage is itself an entry, so that one running minimum for each stage
    over the entries alone, from the last one back, holds when it comes.
    """
    back = (
        "over (partition by customer_id order by step_no desc "
        "rows between unbounded preceding and 1 preceding)"
    )
    numbers = range(1, len(stages) + 1)
    later = ", ".join(
        f"min(case when stage_no > {number} then occurred_us end) {back} as later_{number}"
        for number in numbers
    )
    waited = " ".join(f"when {number} then later_{number} - occurred_us" for number in numbers)
    since = f"and occurred_us >= {period.start_us}" if period else ""
    return f"""
        select {listed(keys)}stage_no, occurred_us, case stage_no {waited} end as waited_us
        from (
            select *, min(step_no) over (partition by customer_id, stage_no) as first_no from (
                select *, {later} from (
                    select *, lag(stage_no) over (partition by customer_id order by step_no)
                        as before_no
                    from (select *, {stage_number(stages)} as stage_no from {relation} as events)
                        as numbered
                    where stage_no is not null) as staged
                where coalesce(before_no, 0) <> stage_no {since}) as entered
            where {during(period)}) as first_entered
        where step_no = first_no"""


def _tidy(
    found: pd.DataFrame,
    times: pd.DataFrame,
    stages: Sequence[str],
    groups: list[str],
    keys: list[str],
    last: int,
) -> pd.DataFrame:
    """Give every stage (of every group) its row, in order, with rates and times before `last`."""
    rows = pd.DataFrame({"stage_no": range(1, len(stages) + 1), "stage": list(stages)})
    if keys:
        rows = pd.DataFrame({keys[0]: groups}).merge(rows, how="cross")
    table = rows.merge(found, "left", [*keys, "stage_no"])
    counts = ["customers", "known_customers", "progressed"]
    table[counts] = table[counts].fillna(0).astype("int64")
    is_last = table["stage_no"] >= last
    table["progress_rate"] = (table["progressed"] / table["known_customers"]).mask(is_last)
    low, high = wilson_interval(table["progressed"], table["known_customers"])
    table["progress_rate_low"] = pd.Series(low, table.index).mask(is_last)
    table["progress_rate_high"] = pd.Series(high, table.index).mask(is_last)
    times = times.rename(columns={"p50": "progress_p50_us"}).drop(columns="n")
    table = table.merge(times, "left", [*keys, "stage_no"])
    return table.drop(columns="stage_no")
