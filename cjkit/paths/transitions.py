"""Transitions: from each place, where customers go next, how soon, and how often not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import parse_duration
from cjkit.engine import Table, text
from cjkit.events import Period
from cjkit.labels import OTHER, Language, display_name, format_number, format_percent, label
from cjkit.paths.compared import Compared
from cjkit.paths.moves import (
    ENTRY,
    EXIT,
    Level,
    Moves,
    check_top,
    during,
    find_moves,
    refuse_split,
    shown_place,
)
from cjkit.plots.graph import draw_graph
from cjkit.plots.heat import draw_heat
from cjkit.privacy import Relation, Totals
from cjkit.statistics import wilson_interval

_DRAWN = 10
_DISCS = 9
_ARROWS = 2
_NAMED_FROM = 0.1
_WAITS = {"p10": "wait_p10_us", "p50": "wait_p50_us", "p90": "wait_p90_us"}


@dataclass(frozen=True)
class Transitions:
    """What `measure_transitions` found: where customers go from each place.

    Attributes
    ----------
    table : DataFrame, one row for each pair of places (and each value of `by`), most moves first
        `origin` and `target` (`(entry)` as origin: a journey begins; `(exit)` as target: it ends),
        `moves` (count), `customers` (people who made them), `all_customers` (people who left
        `origin`), `share` of the moves from `origin` (0 to 1) with `share_low` and `share_high`,
        and how long the move took in microseconds:
        `wait_p10_us`, `wait_p50_us`, `wait_p90_us` (missing for entries and exits).
    level : str
        What a place is: 'event', 'touchpoint', 'channel' or 'stage'.
    gap : Timedelta
        The longest silence inside a journey.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statement that made the counts.
    picture : {'heat', 'graph'}
        What `plot` draws; `graph` gives the same moves as a graph.
    """

    table: pd.DataFrame
    level: Level
    gap: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]
    picture: Literal["heat", "graph"] = "heat"

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("moves", "share", "share_low", "share_high", *_WAITS.values()),
        "all_customers": ("share", "share_low", "share_high"),
    }
    compared: ClassVar[Compared] = Compared("share", "all_customers", within=("origin",))

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """The moves from a place, and those to one, add up to what readers see elsewhere."""
        group = tuple(self.table.columns[:1]) if self.by else ()
        return tuple(Totals("customers", (*group, side)) for side in ("origin", "target"))

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say what a row is about, `by` apart."""
        return ("origin", "target")

    def name_row(self, row: pd.Series[Any], language: Language) -> str:
        """Return how readers call what a row is about."""
        return " → ".join(display_name(row[end], self.level, language) for end in self.keys)

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        return {"origin": self.level, "target": self.level}

    @property
    def graph(self) -> Transitions:
        """The same moves, drawn as a graph of the most frequent places."""
        return replace(self, picture="graph")

    @property
    def largest_move(self) -> pd.Series[Any] | None:
        """The row with most moves from one place to another; None where there is none."""
        inner = (self.table["origin"] != ENTRY) & (self.table["target"] != EXIT)
        found = self.table[inner & self.table["share"].notna()]
        return None if found.empty else found.iloc[0]

    def finding(self, language: Language) -> str:
        """Say the most frequent move, and what share of all moves from its origin it is."""
        row = self.largest_move
        if row is None:
            return label("no_moves", language)
        return label(
            "largest_move",
            language,
            origin=display_name(row["origin"], self.level, language),
            target=display_name(row["target"], self.level, language),
            share=format_percent(row["share"], language),
            low=format_percent(row["share_low"], language),
            high=format_percent(row["share_high"], language),
            moves=format_number(row["moves"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the shares as a heat map (a row for each place left), or the moves as a graph."""
        refuse_split(self.by)
        if self.picture == "graph":
            return self._plot_graph(ax, language)
        order = self.table.groupby("origin")["moves"].sum().sort_values(ascending=False).index
        places = [place for place in order if place not in (ENTRY, OTHER)][:_DRAWN]
        wide = self.table.pivot(index="origin", columns="target", values="share")
        rows, columns = [ENTRY, *places], [*places, EXIT]
        ax = draw_heat(
            wide.reindex(index=rows, columns=columns).to_numpy(dtype=float),
            rows=[display_name(place, self.level, language) for place in rows],
            columns=[display_name(place, self.level, language) for place in columns],
            write=lambda share: format_percent(share, language, digits=0),
            ax=ax,
        )
        plt.setp(ax.get_xticklabels(), rotation=30, ha="right", rotation_mode="anchor")
        ax.set(xlabel=label("target", language), ylabel=label("origin", language))
        moves = format_number(self.table["moves"].sum(), language)
        ax.set_title(label("transitions_title", language, moves=moves))
        return ax

    def _plot_graph(self, ax: Axes | None, language: Language) -> Axes:
        """Draw discs as large as the moves from a place, and the arrows of its usual moves."""
        known = self.table.dropna(subset="share")
        left = known[~known["origin"].isin([ENTRY, OTHER])].groupby("origin")["moves"].sum()
        sizes = left.sort_values(ascending=False)[:_DISCS]
        ended = known[known["target"] == EXIT].set_index("origin")["share"]
        inner = known[known["origin"].isin(sizes.index) & known["target"].isin(sizes.index)]
        inner = inner[inner["origin"] != inner["target"]].sort_values("moves", ascending=False)
        usual = inner.groupby("origin").head(_ARROWS)
        names = {
            place: label(
                "graph_place",
                language,
                place=display_name(place, self.level, language),
                ended=format_percent(ended.get(place), language, digits=0),
            )
            for place in sizes.index
        }
        ax = draw_graph(
            [
                (
                    str(row["origin"]),
                    str(row["target"]),
                    float(row["moves"]),
                    format_percent(row["share"], language, digits=0)
                    if row["share"] >= _NAMED_FROM
                    else "",
                )
                for _, row in usual.iterrows()
            ],
            sizes={str(place): float(size) for place, size in sizes.items()},
            names=names,
            ax=ax,
        )
        ax.set_title(label("graph_title", language, arrows=_ARROWS))
        return ax


def measure_transitions(
    events: Table,
    *,
    level: Level = "touchpoint",
    gap: str | pd.Timedelta = "30D",
    repeats: bool = False,
    without: Collection[str] = (),
    top: int = 20,
    by: str | None = None,
    period: Period | None = None,
) -> Transitions:
    """Count the moves from each place to the next, the beginnings of journeys and their ends.

    A customer's next event is a move when it comes at most `gap` later. Otherwise the journey has
    ended (`(exit)`), and the next event, if there is one, begins another (`(entry)`). Only events
    at least `gap` before the log's last event count, since later on an end cannot be told from a
    journey that still goes on.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    level : {'touchpoint', 'event', 'channel', 'stage'}
        What a place is. An event without one is at the place `(missing)`.
    gap : str or Timedelta, default '30D'
        The longest silence inside a journey, with its unit; '30m' gives single visits.
    repeats : bool, default False
        Whether to count moves from a place to itself.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    top : int, default 20
        Places beyond the `top` with most events become `(other)`.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the event that is left, or entered).
    period : Period, optional
        Only events in it count as left or entered.

    Returns
    -------
    Transitions

    Raises
    ------
    CjkitError
        When `level` or `by` is unknown, `gap` has no unit, or `top` is below 1.

    Notes
    -----
    The interval of a share is Wilson's with the people who left the origin as its sample, not the
    moves: one person's moves resemble each other, and counting each as a witness of its own would
    make the interval too narrow.

    Examples
    --------
    >>> found = measure_transitions(events, level="event", gap="1h")
    >>> found.table[["origin", "target", "moves", "customers", "share"]].round(2)
        origin  target  moves  customers  share
    0  (entry)    view      3          3   1.00
    1     view    cart      2          2   0.67
    2     cart  (exit)      1          1   0.50
    3     cart     buy      1          1   0.50
    4     view  (exit)      1          1   0.33
    """
    moves = find_moves(events, level, gap, by, without)
    check_top(top)
    origin = [*moves.keys, "origin"]
    keys = ", ".join(origin)
    sql = f"""
        with moves as (select * from {moves.sql} as moves),
        ways as ({_left(moves, "moves", top, period, repeats=repeats)}
            union all {_entered(moves, "moves", top, period)}),
        pairs as (
            select {keys}, target, count(*) as moves, count(distinct customer_id) as customers
            from ways group by {keys}, target),
        people as (
            select {keys}, count(distinct customer_id) as all_customers from ways group by {keys})
        select pairs.*, all_customers
        from pairs join people on {" and ".join(f"pairs.{key} = people.{key}" for key in origin)}"""
    left = _left(moves, f"{moves.sql} as moves", top, period, repeats=repeats)
    waits = events.engine.quantiles(
        f"({left})", "measured_us", (0.1, 0.5, 0.9), (*origin, "target")
    )
    table = events.engine.query(sql)
    table = table.merge(waits.rename(columns=_WAITS).drop(columns="n"), "left", [*origin, "target"])
    table["share"] = table["moves"] / table.groupby(origin)["moves"].transform("sum")
    table["share_low"], table["share_high"] = wilson_interval(
        table["share"] * table["all_customers"], table["all_customers"]
    )
    table = table.sort_values(
        [*moves.keys, "moves", "origin", "target"],
        ascending=[*(True for _ in moves.keys), False, True, True],
        ignore_index=True,
    )
    rates = ["share", "share_low", "share_high"]
    counts = ["moves", "customers", "all_customers"]
    table = table[[*origin, "target", *counts, *rates, *_WAITS.values()]]
    return Transitions(moves.named(table), level, parse_duration(gap, name="gap"), by, (sql,))


def _left(moves: Moves, relation: str, top: int, period: Period | None, *, repeats: bool) -> str:
    """Write the SQL of the events that customers went on from, or ended with."""
    return f"""
        select {_listed(moves.keys)}{shown_place(moves, "here", top)} as origin,
            {shown_place(moves, "target", top)} as target, customer_id,
            case when target = {text(EXIT)} then null else measured_us end as measured_us
        from {relation}
        where occurred_us <= {moves.known_until_us} and {during(period)}
            and {"1 = 1" if repeats else "target <> here"}"""


def _entered(moves: Moves, relation: str, top: int, period: Period | None) -> str:
    """Write the SQL of the events that began a journey: a customer's first, or after a silence.

    An event after a silence is found from the event before it, so that nothing must be sorted.
    """
    entered_us = "occurred_us + waited_us"
    return f"""
        select {_listed(moves.keys)}{text(ENTRY)} as origin,
            {shown_place(moves, "here", top)} as target, customer_id, null as measured_us
        from {relation}
        where step_no = 1 and occurred_us <= {moves.known_until_us} and {during(period)}
        union all
        select {_listed(f"next_{key} as {key}" for key in moves.keys)}{text(ENTRY)} as origin,
            {shown_place(moves, "next_here", top)} as target, customer_id, null as measured_us
        from {relation}
        where waited_us > {moves.gap_us} and {entered_us} <= {moves.known_until_us}
            and {during(period, entered_us)}"""


def _listed(keys: Iterable[str]) -> str:
    return "".join(f"{key}, " for key in keys)
