"""Engagement: how many of each segment's people were at each touchpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import unknown_name
from cjkit.engine import Table, column
from cjkit.events import Period
from cjkit.labels import Language, display_name, format_percent, label
from cjkit.plots.heat import draw_heat
from cjkit.privacy import Relation, Rest, Totals
from cjkit.statistics import wilson_interval

_DRAWN = 20


@dataclass(frozen=True)
class Engagement:
    """What `measure_engagement` found: the engagement map.

    Attributes
    ----------
    table : DataFrame, one row for each segment and place that anybody was at
        `segment`, the place (`touchpoint` or `channel`), `customers` (of the segment, who were
        there), `people` (of the segment, who did anything), `reach_rate` (0 to 1, Wilson) with
        `reach_rate_low` and `reach_rate_high`. Places with most people first.
    level : str
        What a place is.
    sql : tuple of str
    """

    table: pd.DataFrame
    level: str
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("customers", "people"), ("reach_rate", "reach_rate_low", "reach_rate_high")
    )

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """The people of all segments at a place, and those of a segment who were not there."""
        return (Totals("customers", (self.level,)), Rest("customers", "people"))

    @property
    def widest(self) -> pd.Series[Any] | None:
        """The place whose reach differs most between two segments; None where none is known."""
        rates = self.table.dropna(subset="reach_rate").groupby(self.level)["reach_rate"]
        spread = rates.max() - rates.min()
        if spread.empty:
            return None
        place = spread.idxmax()
        own = self.table[self.table[self.level] == place].dropna(subset="reach_rate")
        return own.iloc[int(np.argmax(own["reach_rate"].to_numpy(float)))]

    def finding(self, language: Language) -> str:
        """Say where segments differ most."""
        row = self.widest
        if row is None:
            return label("no_engagement", language)
        own = self.table[self.table[self.level] == row[self.level]].dropna(subset="reach_rate")
        least = own.iloc[int(np.argmin(own["reach_rate"].to_numpy(float)))]
        if row["reach_rate"] == least["reach_rate"]:
            return label("engagement_equal", language)
        return label(
            "engagement_finding",
            language,
            place=display_name(row[self.level], self.level, language),
            most=display_name(row["segment"], "segment", language),
            most_rate=format_percent(row["reach_rate"], language, digits=0),
            least=display_name(least["segment"], "segment", language),
            least_rate=format_percent(least["reach_rate"], language, digits=0),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw places as rows, segments as columns, and the reach as colour."""
        places = list(dict.fromkeys(self.table[self.level]))[:_DRAWN]
        segments = list(dict.fromkeys(self.table["segment"]))
        wide = self.table.pivot(index=self.level, columns="segment", values="reach_rate")
        wide = wide.reindex(index=places, columns=segments)
        ax = draw_heat(
            wide.to_numpy(dtype=float, na_value=np.nan),
            rows=[display_name(place, self.level, language) for place in places],
            columns=[display_name(name, "segment", language) for name in segments],
            write=lambda rate: format_percent(rate, language, digits=0),
            ax=ax,
        )
        if len(segments) > 5:
            ax.tick_params(axis="x", rotation=30)
        return ax


def measure_engagement(
    events: Table,
    segments: Table,
    *,
    level: str = "touchpoint",
    order: Sequence[str] = (),
    period: Period | None = None,
) -> Engagement:
    """Count for each segment the people who did something at each touchpoint.

    Messages to customers are no engagement; what customers did with them is.

    Parameters
    ----------
    events : Table
        Reads `customer_id`, `occurred_us`, `direction` and the column of `level`.
    segments : Table
        `customer_id` and `segment`, one row for each customer.
    level : {'touchpoint', 'channel'} or another column of events
    order : sequence of str
        The segments, first to last; those that it leaves out follow by name.
    period : Period, optional
        Only what was done in it counts.

    Raises
    ------
    CjkitError
        When events have no such column.
    """
    if level not in events.columns:
        raise unknown_name("level", level, set(events.columns))
    when = ""
    if period is not None:
        when = f" and occurred_us >= {period.start_us} and occurred_us < {period.end_us}"
    # The places of each person first: a person counts once at each, and once in all.
    sql = f"""
        select segments.segment, visited.place, count(*) as customers
        from (select distinct customer_id, {column(level)} as place from {events} as log
            where coalesce(direction, 'inbound') <> 'outbound'{when}) as visited
        join {segments} as segments on segments.customer_id = visited.customer_id
        where visited.place is not null group by segments.segment, visited.place"""
    people_sql = f"""
        select segments.segment, count(*) as people
        from (select distinct customer_id from {events} as log
            where coalesce(direction, 'inbound') <> 'outbound'{when}) as acting
        join {segments} as segments on segments.customer_id = acting.customer_id
        group by segments.segment"""
    found = events.engine.query(sql)
    people = events.engine.query(people_sql).set_index("segment")["people"]
    names = [name for name in order if name in people.index]
    names += sorted(set(people.index) - set(names))
    reached = found.groupby("place")["customers"].sum()
    places = sorted(reached.index, key=lambda place: (-reached[place], place))
    keys = pd.MultiIndex.from_product([names, places], names=["segment", "place"])
    table = found.set_index(["segment", "place"]).reindex(keys, fill_value=0).reset_index()
    table["people"] = table["segment"].map(people).astype("int64")
    table = table.rename(columns={"place": level})
    table["reach_rate"] = table["customers"] / table["people"]
    table["reach_rate_low"], table["reach_rate_high"] = wilson_interval(
        table["customers"], table["people"]
    )
    return Engagement(table, level, (sql, people_sql))
