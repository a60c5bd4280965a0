"""Where people go who do not come through: what is next after the last step, and exit places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, one_of, unknown_name
from cjkit.engine import Table, column, text
from cjkit.events import Period
from cjkit.funnel.arrivals import arrivals_sql
from cjkit.funnel.result import rows_of, write_length
from cjkit.funnel.rules import FunnelOptions, FunnelRules, read_rules
from cjkit.labels import (
    OTHER,
    Language,
    display_name,
    format_number,
    format_percent,
    format_sizes,
    label,
)
from cjkit.plots.ranking import draw_ranking
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest, Totals
from cjkit.project.choosing import AnyStep
from cjkit.statistics import wilson_interval

GONE = "(nothing)"
"""What is next for people of whom nothing more is known in time."""

Place = Literal["event", "touchpoint"]

_EXIT_RATE = ("exit_rate", "exit_rate_low", "exit_rate_high")


@dataclass(frozen=True)
class FunnelExits:
    """What `measure_onward` found.

    Attributes
    ----------
    table : DataFrame, one row for each step before the last and what came next, most people first
        `step_number`, `step` (the furthest that was reached), `next` (an event or touchpoint;
        '(nothing)' where nothing came within the window; '(other)' for the rare), `customers`
        (count) and `share` of those who got no further than the step, with its 95% Wilson interval.
    rules : FunnelRules
    to : {'event', 'touchpoint'}
    sql : tuple of str
    """

    table: pd.DataFrame
    rules: FunnelRules
    to: Place
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("share", "share_low", "share_high")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers", ("step_number",)),)

    @property
    def formats(self) -> dict[str, Any]:
        """How the table's columns are written where their names do not say it."""
        return {"step": self.rules.name_step, "next": self._name}

    @property
    def busiest(self) -> pd.DataFrame:
        """The rows of the step at which most people end."""
        if self.table.empty:
            return self.table
        people = self.table.groupby("step_number")["customers"].sum()
        return self.table[self.table["step_number"] == people.idxmax()]

    def finding(self, language: Language) -> str:
        """Say how many end at the busiest step, and what most of them do next."""
        rows = rows_of(self.busiest.dropna(subset="customers"))
        went = [row for row in rows if row["next"] not in (GONE, OTHER)]
        gone = [row for row in rows if row["next"] == GONE]
        if not went:
            return label("no_onward", language)
        return label(
            "onward_finding",
            language,
            step=self.rules.name_step(went[0]["step"], language),
            gone=format_percent(gone[0]["share"] if gone else 0, language),
            within=write_length(self.rules.within, language),
            next=self._name(went[0]["next"], language),
            share=format_percent(went[0]["share"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw what comes next after the step at which most people end."""
        rows = rows_of(self.busiest.dropna(subset="customers"))
        ax = draw_ranking(
            [self._name(row["next"], language) for row in rows],
            [float(row["customers"]) for row in rows],
            [
                f"{format_number(row['customers'], language)} · "
                f"{format_percent(row['share'], language)}"
                for row in rows
            ],
            ax=ax,
        )
        if rows:
            step = self.rules.name_step(rows[0]["step"], language)
            ax.set_title(label("onward_title", language, step=step))
        return ax

    def _name(self, value: Any, language: Language) -> str:
        return (
            label("nothing_more", language)
            if value == GONE
            else display_name(value, self.to, language)
        )


def measure_onward(
    events: Table,
    steps: Sequence[AnyStep],
    *,
    to: Place = "event",
    most: int = 10,
    **options: Unpack[FunnelOptions],
) -> FunnelExits:
    """Find what people do next who do not come through.

    A customer who never takes the last step stands at the furthest required step that they reached.
    What counts is the very next event of any kind after the first event that took them there, if
    it comes within the window.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads what `measure_funnel` reads, `next_event`,
        `next_touchpoint` and `microseconds_to_next`.
    steps
        As in `measure_funnel`.
    to : {'event', 'touchpoint'}
        What is told of the next event.
    most : int, default 10
        How many next places of each step keep their names; the others are '(other)'.
    **options
        `within`, `order`, `ties`, `entry`, `hold`, `without`, as in
        `measure_funnel`.

    Returns
    -------
    FunnelExits

    Raises
    ------
    CjkitError
        As `measure_funnel`.

    Examples
    --------
    >>> measure_onward(events, ["view", "cart", "buy"]).table[["step", "next", "customers"]]
       step       next  customers
    0  view        buy          1
    1  cart  (nothing)          1
    """
    rules = read_rules(events, steps, **options)
    if rules.hold is not None and any(rules.step_windows):
        raise CjkitError("With both `hold` and a step's `within` the place of a stop is not known.")
    one_of("to", to, ("event", "touchpoint"))
    definitions, arrivals = arrivals_sql(str(events), rules)
    sql = f"""{definitions}, arrivals as ({arrivals}),
        ends as (select customer_id, max(step_number) as step_number from arrivals
            where step_number in ({", ".join(str(k + 1) for k in rules.required)})
            group by customer_id)
        select ends.step_number, case when log.microseconds_to_next > {rules.window}
                or log.next_{to} is null then {text(GONE)} else log.next_{to} end as next,
            count(*) as customers
        from ends join arrivals on ends.customer_id = arrivals.customer_id
                and ends.step_number = arrivals.step_number
            join {events} as log on arrivals.customer_id = log.customer_id
                and arrivals.arrived = log.step_no
        where ends.step_number < {len(steps)}
        group by 1, 2 order by 1, 3 desc, 2"""
    found = events.engine.query(sql)
    named = found["next"] != GONE
    rank = found[named].groupby("step_number").cumcount()
    found.loc[rank.index[rank >= most], "next"] = OTHER
    found["is_other"] = found["next"] == OTHER
    places = found.groupby(["step_number", "is_other", "next"], as_index=False)
    table = places.agg(customers=("customers", "sum")).sort_values(
        ["step_number", "is_other", "customers", "next"], ascending=[True, True, False, True]
    )
    table = table.drop(columns="is_other").reset_index(drop=True)
    table = table.astype({"step_number": int, "customers": int})
    ended = table.groupby("step_number")["customers"].transform("sum")
    table["share"] = table["customers"] / ended
    table["share_low"], table["share_high"] = wilson_interval(table["customers"], ended)
    names = table["step_number"].map(lambda number: rules.names[number - 1])
    table.insert(1, "step", names.astype(str))
    return FunnelExits(table, rules, to, (sql,))


@dataclass(frozen=True)
class ExitPlaces:
    """What `measure_exits` found.

    Attributes
    ----------
    table : DataFrame, one row for each place, that with most exits first
        The place in a column named like `of`, `customers` (people of the sessions that were
        there), `sessions` that were there, `exits` (sessions that ended there) and `exit_rate` of
        the sessions, with its 95% Wilson interval. Events without a place are left out.
    whose : DataFrame, the same rows
        How many people the `sessions`, the `exits` and those that went on (`onward`) are of.
    of : str
    period : Period or None
    sql : tuple of str
    """

    table: pd.DataFrame
    whose: pd.DataFrame
    of: str
    period: Period | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("sessions", "exits", *_EXIT_RATE),
        "sessions": ("customers", "exits", *_EXIT_RATE),
        "exits": _EXIT_RATE,
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Rest("exits", "sessions", "onward"),)

    @property
    def formats(self) -> dict[str, str]:
        """How the table's columns are written where their names do not say it."""
        return {self.of: self.of}

    def finding(self, language: Language) -> str:
        """Say where most sessions end, and where an end is most likely."""
        rows = rows_of(self.table.dropna(subset="exit_rate"))
        if not rows:
            return label("no_exits", language)
        likely = max(rows, key=lambda row: float(row["exit_rate_low"]))
        return label(
            "exits_finding",
            language,
            place=display_name(rows[0][self.of], self.of, language),
            exits=format_number(rows[0]["exits"], language),
            likely=display_name(likely[self.of], self.of, language),
            rate=format_percent(likely["exit_rate"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the share of the sessions that end at each place, with its interval."""
        rows = rows_of(self.table.dropna(subset="exit_rate"))[:15]
        ax = draw_rates(
            [display_name(row[self.of], self.of, language) for row in rows],
            [row["exit_rate"] for row in rows],
            [row["exit_rate_low"] for row in rows],
            [row["exit_rate_high"] for row in rows],
            format_sizes([row["sessions"] for row in rows], language),
            ax=ax,
        )
        ax.set_xlabel(label("exit_rate", language))
        return ax


def measure_exits(
    events: Table, *, of: str = "touchpoint", most: int = 50, period: Period | None = None
) -> ExitPlaces:
    """Find the places at which sessions end.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads `customer_id`, `session_no`, `step_no`, `occurred_us` and
        the column `of`.
    of : str, default 'touchpoint'
        The column of events that says where: 'touchpoint', 'page', 'event', 'channel'.
    most : int, default 50
        How many places are told, those with most exits first.
    period : Period, optional
        Read only these days; the whole log otherwise.

    Returns
    -------
    ExitPlaces

    Raises
    ------
    CjkitError
        When there is no such column.

    Examples
    --------
    >>> measure_exits(events, of="event").table[["event", "sessions", "exits"]]
      event  sessions  exits
    0  view         3      3
    1   buy         2      2
    2  cart         2      2
    """
    if of not in events.columns:
        raise unknown_name("of", of, set(events.columns))
    if most < 1:
        raise CjkitError(f"most={most!r} must be 1 or more.")
    place = column(of)
    wanted = [f"{place} is not null"]
    if period is not None:
        wanted += [f"occurred_us >= {period.start_us}", f"occurred_us < {period.end_us}"]
    sql = f"""
        select {place}, count(distinct customer_id) as customers, count(*) as sessions,
            sum(case when last_no = ended_no then 1 else 0 end) as exits,
            count(distinct case when last_no = ended_no then customer_id end) as left_here,
            count(distinct case when last_no < ended_no then customer_id end) as onward
        from (
            select *, max(last_no) over (partition by customer_id, session_no) as ended_no
            from (
                select customer_id, session_no, {place}, max(step_no) as last_no
                from {events} as log where {" and ".join(wanted)}
                group by customer_id, session_no, {place}
            ) as visited
        ) as ended group by {place} order by exits desc, {place} limit {int(most)}"""
    table = events.engine.query(sql).astype({"exits": int})
    whose = pd.DataFrame(
        {
            "sessions": table["customers"],
            "exits": table.pop("left_here"),
            "onward": table.pop("onward"),
        }
    )
    table["exit_rate"] = table["exits"] / table["sessions"]
    limits = wilson_interval(table["exits"], table["sessions"])
    table["exit_rate_low"], table["exit_rate_high"] = limits
    return ExitPlaces(table, whose, of, period, (sql,))
