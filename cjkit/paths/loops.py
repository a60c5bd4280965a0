"""Loops: where customers come back to a place that they had left, and where they stay on it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import parse_duration
from cjkit.engine import Table
from cjkit.events import Period
from cjkit.labels import (
    Language,
    display_name,
    format_duration,
    format_number,
    format_percent,
    label,
)
from cjkit.paths.compared import Compared
from cjkit.paths.moves import (
    Level,
    Moves,
    check_top,
    during,
    find_moves,
    one_of_sql,
    refuse_split,
    shown_place,
)
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest
from cjkit.statistics import wilson_interval

_DRAWN = 15
_RATES = ("back_rate", "back_rate_low", "back_rate_high")


@dataclass(frozen=True)
class Loops:
    """What `measure_loops` found: the places that people come back to within one journey.

    Attributes
    ----------
    table : DataFrame, one row for each place (and each value of `by`), most people back first
        `place`, `customers` (people who were there), `came_back` (those who, within one journey,
        left it and came back) and their `back_rate` (0 to 1) with `back_rate_low` and
        `back_rate_high` (Wilson), `times_back` (how often they did), `via` (where they had gone
        most times), `via_share` of the times (0 to 1), `away_p50_us` (median time from the last
        event there to the first one back, in microseconds), `repeated` (people with two events or
        more there one right after another) and their `repeated_rate` (0 to 1).
    level : str
        What a place is.
    gap : Timedelta
        The longest silence inside a journey.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statements that made the counts, in order.
    """

    table: pd.DataFrame
    level: Level
    gap: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (*_RATES, "repeated_rate"),
        "came_back": (*_RATES, "times_back", "via", "via_share", "away_p50_us"),
        "repeated": ("repeated_rate",),
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Rest("came_back", "customers"),
        Rest("repeated", "customers"),
    )
    compared: ClassVar[Compared] = Compared("back_rate", "customers", within=None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say what a row is about, `by` apart."""
        return ("place",)

    def name_row(self, row: pd.Series[Any], language: Language) -> str:
        """Return how readers call what a row is about."""
        return display_name(row["place"], self.level, language)

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        return {"place": self.level, "via": self.level}

    @property
    def largest(self) -> pd.Series[Any] | None:
        """The row of the place that most people come back to; None where nobody does."""
        found = self.table[self.table["came_back"] > 0].dropna(subset="back_rate")
        return None if found.empty else found.sort_values("came_back").iloc[-1]

    def finding(self, language: Language) -> str:
        """Say the place that most people come back to, from where, and after how long."""
        row = self.largest
        if row is None:
            return label("no_loops", language)
        return label(
            "loops_finding",
            language,
            place=display_name(row["place"], self.level, language),
            via=display_name(row["via"], self.level, language),
            came_back=format_number(row["came_back"], language),
            customers=format_number(row["customers"], language),
            rate=format_percent(row["back_rate"], language),
            low=format_percent(row["back_rate_low"], language),
            high=format_percent(row["back_rate_high"], language),
            away=format_duration(row["away_p50_us"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the rate of return of each place with its interval, and where people had gone."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="back_rate").head(_DRAWN)
        ax = draw_rates(
            [display_name(place, self.level, language) for place in rows["place"]],
            rows["back_rate"].tolist(),
            rows["back_rate_low"].tolist(),
            rows["back_rate_high"].tolist(),
            [
                label(
                    "loop_note",
                    language,
                    via=display_name(via, self.level, language),
                    customers=format_number(customers, language),
                )
                for via, customers in zip(rows["via"], rows["customers"], strict=True)
            ],
            ax=ax,
        )
        ax.set_title(label("loops_title", language))
        return ax


def measure_loops(
    events: Table,
    *,
    level: Level = "touchpoint",
    gap: str | pd.Timedelta = "30D",
    without: Collection[str] = (),
    top: int = 20,
    by: str | None = None,
    period: Period | None = None,
) -> Loops:
    """Count the people who come back to a place within one journey: loops, and work done again.

    A return is an event at a place when the event before it was at another place and an earlier
    one of the same journey was at this place. A repeat is an event right after another one at the
    same place. A silence longer than `gap` ends a journey, and what comes after it is no return.
    Journeys count that ended at least `gap` before the log's last event. Each person counts once at
    each place.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    level : {'touchpoint', 'event', 'channel', 'stage'}
        What a place is. An event without one is at the place `(missing)`.
    gap : str or Timedelta, default '30D'
        The longest silence inside a journey, with its unit.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    top : int, default 20
        Places beyond the `top` with most events become `(other)` where people went in between,
        and have no row of their own.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the place).
    period : Period, optional
        Only journeys that ended in it count.

    Returns
    -------
    Loops

    Raises
    ------
    CjkitError
        When `level` or `by` is unknown, `gap` has no unit, or `top` is below 1.

    Notes
    -----
    A return is no fault by itself: a cart is looked at again before it is paid. Compare the rate
    with that of another time or group (`compare_paths`), and ask where people had gone.

    Examples
    --------
    >>> found = measure_loops(events, level="event", gap="30m")
    >>> found.table[["place", "customers", "came_back"]]
      place  customers  came_back
    0  cart          2          0
    1  view          3          0
    """
    check_top(top)
    moves = find_moves(events, level, gap, by, without)
    visits = _visits(moves, top, period)
    keys = ", ".join((*moves.keys, "place"))
    people = f"""
        select {keys}, count(*) as customers,
            sum(case when times_back > 0 then 1 else 0 end) as came_back,
            sum(case when repeats > 0 then 1 else 0 end) as repeated, sum(times_back) as times_back
        from (
            select {keys}, customer_id, sum(is_back) as times_back, sum(is_repeat) as repeats
            from ({visits}) as visits group by {keys}, customer_id) as people
        group by {keys}"""
    gone = f"""
        select {keys}, via, count(*) as times from ({visits}) as visits
        where is_back = 1 group by {keys}, via"""
    engine = events.engine
    away = engine.quantiles(f"({visits})", "away_us", (0.5,), (*moves.keys, "place"))
    table = _tidy(
        engine.query(people),
        engine.query(gone),
        away.rename(columns={"p50": "away_p50_us"}).drop(columns="n"),
        [*moves.keys, "place"],
    )
    return Loops(moves.named(table), level, parse_duration(gap, name="gap"), by, (people, gone))


def _visits(moves: Moves, top: int, period: Period | None) -> str:
    """Write the SQL of each event of a journey that ended, held against the last one at its place.

    That one had the event number just before where nothing else came between.
    """
    keys = "".join(f"{key}, " for key in moves.keys)
    kept = moves.places[:top]
    inside = "" if len(moves.places) <= top else f" and {one_of_sql('here', kept)}"
    at_place = "over (partition by customer_id, ended_us, here order by step_no)"
    return f"""
        select {keys}here as place, customer_id,
            case when step_no > left_no + 1 then 1 else 0 end as is_back,
            case when step_no = left_no + 1 then 1 else 0 end as is_repeat,
            case when step_no > left_no + 1 then occurred_us - left_us end as away_us,
            {shown_place(moves, "gone_to", top)} as via
        from (
            select {keys}customer_id, here, step_no, occurred_us,
                lag(step_no) {at_place} as left_no, lag(occurred_us) {at_place} as left_us,
                lag(next_here) {at_place} as gone_to
            from {moves.in_journeys} as moves
            where ended_us <= {moves.known_until_us} and {during(period, "ended_us")}{inside}
            ) as visited"""


def _tidy(
    people: pd.DataFrame, gone: pd.DataFrame, away: pd.DataFrame, keys: list[str]
) -> pd.DataFrame:
    """Give each place its rates, and the place where most times_back had gone."""
    usual = gone.sort_values(["times", "via"], ascending=[False, True]).drop_duplicates(keys)
    table = people.merge(usual, "left", keys).merge(away, "left", keys)
    counts = ["customers", "came_back", "repeated", "times_back"]
    table[counts] = table[counts].astype("int64")
    table["back_rate"] = table["came_back"] / table["customers"]
    table["back_rate_low"], table["back_rate_high"] = wilson_interval(
        table["came_back"], table["customers"]
    )
    table["via_share"] = table["times"] / table["times_back"].where(table["times_back"] > 0)
    table["repeated_rate"] = table["repeated"] / table["customers"]
    table = table.sort_values(
        [*keys[:-1], "came_back", "place"],
        ascending=[*(True for _ in keys[:-1]), False, True],
        ignore_index=True,
    )
    shown = ["customers", "came_back", *_RATES, "times_back", "via", "via_share", "away_p50_us"]
    return table[[*keys, *shown, "repeated", "repeated_rate"]]
