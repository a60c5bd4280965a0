"""Journeys: which ways are taken most often, and how often each of them ends in a conversion."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, parse_duration, unknown_name
from cjkit.engine import Table
from cjkit.events import Period
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.paths.codes import ELLIPSIS, WHOSE, Code, coded_journeys
from cjkit.paths.compared import Compared
from cjkit.paths.moves import Level, Moves, check_top, find_moves, refuse_split
from cjkit.plots.sequences import draw_sequences
from cjkit.privacy import Relation, Rest, Totals
from cjkit.statistics import wilson_interval

_DRAWN = 12
_SHARES = ("share", "share_low", "share_high")
_RATES = ("conversion_rate", "conversion_rate_low", "conversion_rate_high")


@dataclass(frozen=True)
class Journeys:
    """What `rank_journeys` found: the most frequent ways, and what became of them.

    Attributes
    ----------
    table : DataFrame, one row for each way (within each value of `by`), most journeys first
        `path` (tuple of places; ends in `…` when it went on; empty when nothing came before the
        conversion), `journeys` (count), `customers` (people who made them), `all_customers` (people
        who made any), `share` of all journeys (0 to 1) with `share_low` and `share_high`,
        `converted` (journeys), `conversion_rate` (0 to 1, missing without a conversion) with
        `conversion_rate_low` and `conversion_rate_high`.
    whose : DataFrame, the same rows
        How many people the `journeys`, the `converted` and the `unconverted` ones are of.
    journeys : int
        All journeys that ended, the shown ones and the others.
    conversion : str or None
        The event that counts.
    level : str
        What a place is.
    gap : Timedelta
        The longest silence inside a journey.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statement that made the counts.
    """

    table: pd.DataFrame
    whose: pd.DataFrame
    journeys: int
    conversion: str | None
    level: Level
    gap: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("journeys", *_SHARES, "converted", *_RATES),
        "journeys": ("customers", *_SHARES, "converted", *_RATES),
        "all_customers": _SHARES,
        "converted": _RATES,
    }
    compared: ClassVar[Compared] = Compared("share", "all_customers", within=None)

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """What did not convert; and all journeys, where the table holds every way."""
        rest = Rest("converted", "journeys", "unconverted")
        is_whole = self.table["journeys"].sum() == self.journeys
        group = tuple(self.table.columns[:1]) if self.by else ()
        return (rest, Totals("journeys", group)) if is_whole else (rest,)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say what a row is about, `by` apart."""
        return ("path",)

    def name_row(self, row: pd.Series[Any], language: Language) -> str:
        """Return how readers call what a row is about."""
        return self._path_name(row["path"], language)

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        return {"path": self.level}

    def finding(self, language: Language) -> str:
        """Say the most frequent way, its share, and how often it converts."""
        rows = self.table.dropna(subset="journeys")
        rows = rows[rows["path"].map(len) > 0]
        if rows.empty:
            return label("no_journeys", language)
        row = rows.iloc[0]
        return label(
            "journeys_finding" if self.conversion is None else "journeys_conversion_finding",
            language,
            journeys=format_number(self.journeys, language),
            path=self._path_name(row["path"], language),
            share=format_percent(row["share"], language),
            rate=format_percent(row["conversion_rate"], language),
            low=format_percent(row["conversion_rate_low"], language),
            high=format_percent(row["conversion_rate_high"], language),
            conversion=display_name(self.conversion, "event", language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each way as a row of named places, with how many took it and how many converted."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="journeys").head(_DRAWN)
        notes = [format_number(journeys, language) for journeys in rows["journeys"]]
        rates = [
            ""
            if self.conversion is None
            else format_percent(rate, language)
            if pd.isna(rate)
            else f"{format_percent(rate, language)}  "
            f"({format_percent(low, language)}–{format_percent(high, language)})"
            for rate, low, high in zip(*(rows[name] for name in _RATES), strict=True)
        ]
        places = sorted({place for path in rows["path"] for place in path})
        ax = draw_sequences(
            [list(path) for path in rows["path"]],
            names={place: display_name(place, self.level, language) for place in places},
            nothing=label("directly", language),
            notes=[notes, rates] if self.conversion is not None else [notes],
            heads=[label("journeys", language), label("conversion_rate", language)],
            ax=ax,
        )
        ax.set_title(label("journeys_title", language))
        return ax

    def _path_name(self, path: tuple[str, ...], language: Language) -> str:
        names = [display_name(place, self.level, language) for place in path]
        return " → ".join(names) if names else label("directly", language)


def rank_journeys(
    events: Table,
    *,
    conversion: str | None = None,
    level: Level = "touchpoint",
    gap: str | pd.Timedelta = "30m",
    longest: int = 8,
    without: Collection[str] = (),
    top: int = 20,
    by: str | None = None,
    period: Period | None = None,
) -> Journeys:
    """Rank the ways that customers take by how often they are taken, and say which convert.

    A customer's journey ends with a conversion, or when a silence longer than `gap` follows; the
    next event begins another. Its way is the places before the conversion in order, those at one
    place one after another as one, and beyond `longest` of them cut off and marked `…`. A journey
    counts when it ended at least `gap` before the log's last event, converted or not, so that
    neither outcome is known sooner than the other.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    conversion : str, optional
        The event that counts; without it journeys end by silence alone.
    level : {'touchpoint', 'event', 'channel', 'stage'}
        What a place is. An event without one is at the place `(missing)`.
    gap : str or Timedelta, default '30m'
        The longest silence inside a journey: '30m' ranks visits, '30D' journeys over many visits,
        and '9999D' each person's whole history.
    longest : int, default 8
        The most places of a way that are told apart, 1 to 20.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    top : int, default 20
        How many ways to return (for each value of `by`).
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the end of the journey's first step).
    period : Period, optional
        Only journeys that ended in it count.

    Returns
    -------
    Journeys

    Raises
    ------
    CjkitError
        When `conversion`, `level` or `by` is unknown, or `longest` or `top` is out of range.

    Notes
    -----
    A way is counted by its code: each place has a number, and a whole journey is one or two whole
    numbers, so that millions of journeys are grouped exactly without making a text of any. The
    interval of a rate is Wilson's with the people as its sample, since one person's journeys
    resemble each other.

    Examples
    --------
    >>> found = rank_journeys(events, conversion="buy", level="event", gap="30m")
    >>> found.table[["path", "journeys", "converted"]]
          path  journeys  converted
    0  (view,)         3          0
    1  (cart,)         2          0
    """
    if not 1 <= longest <= 20:
        raise CjkitError(f"longest={longest!r} is out of range: tell 1 to 20 places apart.")
    check_top(top)
    if conversion is not None and conversion not in (known := events.values("event")):
        raise unknown_name("conversion", conversion, known)
    moves = find_moves(events, level, gap, by, without)
    code = Code.of(moves.places, longest)
    sql = _ranked(moves, code, conversion, period, top)
    found = events.engine.query(sql)
    # Each group's total stands on each of its rows; a group has one row that is first.
    journeys = int(found.loc[found["position"] == 1, "total"].sum())
    whose = found[list(WHOSE.values())].set_axis(list(WHOSE), axis=1)
    table = moves.named(_tidy(found, code, list(moves.keys), has_rate=conversion is not None))
    window = parse_duration(gap, name="gap")
    return Journeys(table, whose, journeys, conversion, level, window, by, (sql,))


def _ranked(
    moves: Moves, code: Code, conversion: str | None, period: Period | None, top: int
) -> str:
    """Write the SQL that counts each way, and keeps those that are taken most."""
    keys = "".join(f"{key}, " for key in moves.keys)
    words = ", ".join(code.words)
    journeys = coded_journeys(moves, code, conversion, period)
    order = f"count(*) desc, {words}, is_cut"
    within = "partition by by_value" if moves.keys else ""
    return f"""
        select * from (
            select {keys}{words}, is_cut, count(*) as journeys,
                count(distinct customer_id) as customers, sum(converted) as converted,
                count(distinct case when converted = 1 then customer_id end) as converted_customers,
                count(distinct case when converted = 0 then customer_id end)
                    as unconverted_customers,
                sum(count(*)) over ({within}) as total,
                sum(sum(case when nth = 1 then 1 else 0 end)) over ({within}) as all_customers,
                row_number() over ({within} order by {order}) as position
            from (
                select *, row_number() over (partition by {keys}customer_id order by word_1) as nth
                from ({journeys}) as journeys) as journeys
            group by {keys}{words}, is_cut) as ranked
        where position <= {top} order by {keys}position"""


def _tidy(found: pd.DataFrame, code: Code, keys: list[str], *, has_rate: bool) -> pd.DataFrame:
    """Read the codes, and give each way its share and its rate."""
    counts = ["journeys", "customers", "all_customers", "converted"]
    table = found[[*keys, *counts]].astype(dict.fromkeys(counts, "int64"))
    ways = [code.read(row) for row in found[list(code.words)].to_dict("records")]
    cut = found["is_cut"].astype(bool)
    ways = [(*way, ELLIPSIS) if is_cut else way for way, is_cut in zip(ways, cut, strict=True)]
    table.insert(len(keys), "path", pd.Series(ways, index=table.index, dtype=object))
    people = table["all_customers"]
    table["share"] = table["journeys"] / found["total"]
    table["share_low"], table["share_high"] = wilson_interval(table["share"] * people, people)
    rate = table["converted"] / table["journeys"] if has_rate else float("nan")
    table["conversion_rate"] = rate
    table["conversion_rate_low"], table["conversion_rate_high"] = wilson_interval(
        table["conversion_rate"] * table["customers"], table["customers"]
    )
    return table[[*keys, "path", *counts[:-1], *_SHARES, "converted", *_RATES]]
