"""Journey types: the few kinds that journeys fall into, or that they fall into none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, parse_duration, unknown_name
from cjkit.engine import Table
from cjkit.events import Period
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.paths.assigning import RATES, SHARES, CodedJourneys
from cjkit.paths.codes import coded_journeys, number_places
from cjkit.paths.compared import Compared
from cjkit.paths.moves import Level, find_moves, refuse_split
from cjkit.paths.traits import JourneyTraits
from cjkit.paths.variants import LEAST_APART, LEAST_STABILITY, MOST_TYPES, Grouping
from cjkit.plots.sequences import draw_sequences
from cjkit.privacy import Relation, Rest, Totals


@dataclass(frozen=True)
class JourneyTypes:
    """What `find_journey_types` found.

    Attributes
    ----------
    table : DataFrame, one row for each type (and each value of `by`), in order
        `type` from 1, `path` (of its 20 most frequent ways the one nearest to the middle of the
        type, among those that enough people took to be shown; `…` alone where there is none),
        `journeys` (count), `customers` (people who made them), `all_customers` (people who made
        any), `share` of all journeys (0 to 1) with `share_low` and `share_high`, `steps` (mean
        number of places), `converted` (journeys), `conversion_rate` (0 to 1; missing without a
        conversion) with `conversion_rate_low` and `conversion_rate_high`.
    whose : DataFrame, the same rows
        How many people the `journeys`, the `converted` and the `unconverted` ones are of.
    traits : JourneyTraits
        Which places a type's journeys hold more often, or less, than the others.
    people : int
        How many people made the journeys.
    grouping : Grouping
        How journeys are told apart: `grouping.is_clear`, `grouping.stability`,
        `grouping.silhouette` and `grouping.by_chance` say how well.
    conversion : str or None
        The event that counts.
    level : str
        What a place is.
    gap : Timedelta
        The longest silence inside a journey.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statement that cuts and codes the journeys.
    method : str
        What follows it.
    """

    table: pd.DataFrame
    whose: pd.DataFrame
    traits: JourneyTraits
    people: int
    grouping: Grouping | None = field(repr=False)
    conversion: str | None
    level: Level
    gap: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]
    method: str = "TF-IDF of places and pairs of them, truncated SVD, weighted k-means"

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("journeys", *SHARES, "steps", "converted", *RATES),
        "journeys": ("customers", *SHARES, "steps", "converted", *RATES),
        "all_customers": SHARES,
        "converted": RATES,
    }
    compared: ClassVar[Compared] = Compared("share", "all_customers", within=())

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say what a row is about, `by` apart."""
        return ("type", "path")

    def name_row(self, row: pd.Series[Any], language: Language) -> str:
        """Return how readers call what a row is about."""
        return f"{self._type_name(row['type'], language)}: {self._path_name(row['path'], language)}"

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """What did not convert; and all journeys, since each has a type."""
        group = tuple(self.table.columns[:1]) if self.by else ()
        return (Rest("converted", "journeys", "unconverted"), Totals("journeys", group))

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        return {"path": self.level, "type": "number"}

    def finding(self, language: Language) -> str:
        """Say how many types there are and the most frequent one; or that there are none."""
        rows = self.table.dropna(subset="share")
        if rows.empty or self.grouping is None:
            return label("no_journeys", language)
        row = rows.sort_values("journeys").iloc[-1]
        said = {
            "types": format_number(self.table["type"].nunique(), language),
            "stability": format_number(self.grouping.stability, language, digits=2),
            "silhouette": format_number(self.grouping.silhouette, language, digits=2),
            "path": self._path_name(row["path"], language),
            "share": format_percent(row["share"], language),
            "low": format_percent(row["share_low"], language),
            "high": format_percent(row["share_high"], language),
            "least_stability": format_number(LEAST_STABILITY, language, digits=2),
            "needed": format_number(self.grouping.by_chance + LEAST_APART, language, digits=2),
        }
        if self.table["type"].nunique() < 2:
            return label("no_types_finding", language, **said)
        words = label("types_finding", language, **said)
        if not self.grouping.is_clear:
            words += label("types_unclear", language, **said)
        return words

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the typical way of each type, with its share and how often it converts."""
        refuse_split(self.by)
        rows = self.table.dropna(subset="share")
        notes = [[self._type_name(number, language) for number in rows["type"]]]
        heads = ["", label("share", language)]
        notes.append([format_percent(share, language) for share in rows["share"]])
        if self.conversion is not None:
            notes.append([format_percent(rate, language) for rate in rows["conversion_rate"]])
            heads.append(label("conversion_rate", language))
        places = {place for path in rows["path"] for place in path}
        ax = draw_sequences(
            [list(path) for path in rows["path"]],
            names={place: display_name(place, self.level, language) for place in places},
            nothing=label("directly", language),
            notes=notes,
            heads=heads,
            ax=ax,
        )
        people = format_number(self.people, language)
        ax.set_title(label("types_title", language, people=people))
        return ax

    def _type_name(self, number: float, language: Language) -> str:
        return label("type_number", language, number=format_number(number, language))

    def _path_name(self, path: tuple[str, ...], language: Language) -> str:
        return " → ".join(display_name(place, self.level, language) for place in path)


def find_journey_types(
    events: Table,
    *,
    conversion: str | None = None,
    level: Level = "touchpoint",
    gap: str | pd.Timedelta = "30D",
    longest: int = 12,
    types: int | None = None,
    like: JourneyTypes | None = None,
    without: Collection[str] = (),
    by: str | None = None,
    period: Period | None = None,
    seed: int = 1,
) -> JourneyTypes:
    """Find the few types that journeys fall into, where they do.

    Journeys are those of `rank_journeys`; one without a place before the conversion has no type.
    Two are alike when they hold the same places and the same pairs of neighbours, first and last
    place among them, rare ones counting more. The number of types is the one, from 2 to 8, whose
    division is the most stable: learnt anew from each half of the journeys, it puts the same ones
    together (mean adjusted Rand index of 6 halvings). The types are clear when that is at least .8,
    and when journeys are nearer to their own type than to the next (mean simplified silhouette) by
    .1 more than they are where the places of the journeys are shuffled. Where they are not clear,
    there is one type, and the finding says so.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    conversion : str, optional
        The event that counts; without it journeys end by silence alone.
    level : {'touchpoint', 'event', 'channel', 'stage'}
        What a place is. An event without one is at the place `(missing)`.
    gap : str or Timedelta, default '30D'
        The longest silence inside a journey, with its unit.
    longest : int, default 12
        The most places of a way that are told apart, 2 to 20.
    types : int, optional
        How many types to make, 2 to 8, clear or not.
    like : JourneyTypes, optional
        Types found before, of another period or other people: journeys are given these types, and
        nothing is learnt, so that the shares of both compare (`compare_paths`).
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the end of the journey's first step). The types are those of all together.
    period : Period, optional
        Only journeys that ended in it count.
    seed : int, default 1
        For what is drawn at random: halves, and beginnings of k-means.

    Returns
    -------
    JourneyTypes

    Raises
    ------
    CjkitError
        When a name is unknown, a number is out of range, or `like` was found otherwise.

    Notes
    -----
    Types are learnt from at most 5,000 different ways, those with most journeys, and all others are
    given the nearest one, in batches of ways, never of people. Stability alone is not enough: with
    many journeys any division is stable, also one through the middle of a cloud, and short ways
    always form clumps; the shuffled journeys (as long, of places as frequent) have both. Silhouette
    by the distance to middles: Hruschka and others (2006), Information Sciences 176, 1898-1927;
    comparison with a reference: Tibshirani, Walther and Hastie (2001), Journal of the Royal
    Statistical Society B 63, 411-423.

    Examples
    --------
    >>> found = find_journey_types(events, level="event", gap="30m")
    >>> found.table[["type", "journeys", "share"]]
       type  journeys  share
    0     1         5    1.0
    """
    if not 2 <= longest <= 20:
        raise CjkitError(f"longest={longest!r} is out of range: tell 2 to 20 places apart.")
    if types is not None and not 2 <= types <= MOST_TYPES:
        raise CjkitError(f"types={types!r} is out of range: ask for 2 to {MOST_TYPES} types.")
    if conversion is not None and conversion not in (known := events.values("event")):
        raise unknown_name("conversion", conversion, known)
    moves = find_moves(events, level, gap, by, without)
    if like is not None and (like.level, like.grouping is None) != (level, False):
        raise CjkitError(
            f"like= holds types of level={like.level!r}: give types that were found with "
            f"level={level!r}."
        )
    code = like.grouping.code if like and like.grouping else number_places(moves.places, longest)
    sql = coded_journeys(moves, code, conversion, period)
    coded = CodedJourneys(events.engine, code, moves.keys)
    coded.keep(sql)
    grouping = like.grouping if like else coded.learn(types, seed)
    table, whose, traits, people = coded.count(grouping, like.table if like else None, level)
    if conversion is None:
        table[list(RATES)] = float("nan")
    wide = parse_duration(gap, name="gap")
    return JourneyTypes(
        moves.named(table), whose, traits, people, grouping, conversion, level, wide, by, (sql,)
    )
