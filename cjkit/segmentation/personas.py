"""Personas: each segment with its measured story, one card each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from cjkit.checks import unknown_name
from cjkit.engine import Table
from cjkit.events import PURCHASE, emotion_sql
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.privacy import Relation, Rest, Totals
from cjkit.project import Persona
from cjkit.segmentation.assign import describe_segments
from cjkit.segmentation.engagement import measure_engagement
from cjkit.segmentation.features import Features
from cjkit.segmentation.found import measure_contrasts
from cjkit.segmentation.persona_page import write_cards, write_thing
from cjkit.segmentation.typical import find_ways, typical_way
from cjkit.statistics import mean_interval, wilson_interval

_TOUCHPOINTS, _CHANNELS, _CATEGORIES, _TRAITS, _PAINS = 5, 3, 3, 3, 3
_OWN_LINES = ("orders", "revenue", "recency_days", "average_order_value")
_PARTS_OF_DAY = {"night": (0, 5), "morning": (6, 11), "afternoon": (12, 17), "evening": (18, 23)}
_COLUMNS = ["segment", "line", "thing", "value", "low", "high", "overall", "customers", "people"]


@dataclass(frozen=True)
class Personas:
    """What `describe_personas` found: the lines of each persona's card.

    Attributes
    ----------
    table : DataFrame, one row for each line of each persona
        `segment`, `line`, `thing` (what the line is about, where there are several), `value`,
        `low` and `high` (95% interval), `overall` (the same share of the people of all personas),
        `customers` (on whom the value rests) and `people` (of whom they are some). The lines:

        ==================  ========================================================================
        `size`              share of all customers
        `revenue_share`     share of the revenue (no interval)
        `customer_value`    net revenue a customer
        `order_value`       net revenue an order
        `recency`           median days since the last order (no interval)
        `trait`             what sets them apart: contrast of a feature, in standard deviations
        `touchpoint`, `channel`  share of the people who did something, who did so there; those that
                            differ most from the share of everybody
        `hours`             the part of the day with most of what they do, as its share
        `category`          share of the buyers who bought of it
        `emotion`           mean of their scores from -1 to 1
        `path`              share of the buyers who took the typical way (a tuple of touchpoints)
        `pain_point`        share of the people at a touchpoint who are hurt there
        ==================  ========================================================================
    words : mapping from segment to Persona
        The names and stories that the team gave.
    sql : tuple of str
    method : str
    """

    table: pd.DataFrame
    words: Mapping[str, Persona]
    sql: tuple[str, ...]
    method: str = "the typical way is the medoid of those that several took, by edits"

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("thing", "value", "low", "high", "overall"),
        "people": ("value", "low", "high", "overall"),
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Totals("customers", ("line", "thing")),
        Rest("customers", "people"),
    )
    formats: ClassVar[dict[str, Any]] = {
        "line": "persona_line",
        "thing": write_thing,
        "value": "precise",
    }

    def finding(self, language: Language) -> str:
        """Say who the largest persona is."""
        sizes = self.table[self.table["line"] == "size"].dropna(subset="value")
        if sizes.empty:
            return label("no_orders", language)
        row = sizes.iloc[int(np.argmax(sizes["value"].to_numpy(float)))]
        return label(
            "personas_finding",
            language,
            personas=format_number(sizes["segment"].nunique(), language),
            segment=display_name(row["segment"], "segment", language),
            customers=format_number(row["customers"], language),
            share=format_percent(row["value"], language),
        )

    def to_html(self, language: Language) -> str:
        """Return the cards as HTML."""
        return write_cards(self.table, self.words, language)


def describe_personas(
    segments: Table,
    events: Table,
    orders: Table,
    feedback: Table | None = None,
    *,
    features: Features | None = None,
    order: Sequence[str] = (),
    words: Mapping[str, Persona] | None = None,
    conversion: str = PURCHASE,
    within: str = "30D",
    pain_points: pd.DataFrame | None = None,
    least: int = 5,
) -> Personas:
    """Measure what makes the card of each segment.

    Parameters
    ----------
    segments : Table
        One row for each customer: `customer_id`, `segment`, `orders`, `revenue`, `recency_days`,
        as `assign_segments`, `apply_rules` and `find_segments` make it.
    events : Table
        Reads `customer_id`, `event`, `touchpoint`, `channel`, `occurred_us`, `step_no`,
        `direction`, `local_hour`, `time_precision`.
    orders : Table
        Reads `customer_id`, `category`, `is_return`.
    feedback : Table, optional
        Reads what `read_features` reads of it.
    features : Features, optional
        Of the same customers; without them nobody has traits.
    order : sequence of str
        The segments that get a card, first to last; default all, by name.
    words : mapping from segment to Persona, optional
        `log.project.personas`: names and stories of `[personas.<segment>]`.
    conversion : str, default 'purchase'
        The event to which typical ways lead.
    within : str, default '30D'
        How long before it a way begins.
    pain_points : DataFrame, optional
        Rows measured elsewhere, worst first: `segment`, `touchpoint`, `affected_rate` with its
        `_low` and `_high`, `affected`, `people`.
    least : int, default 5
        The fewest customers who make a way that is shown.

    Raises
    ------
    CjkitError
        When `pain_points` lacks one of its columns.
    """
    if pain_points is not None:
        for name in _PAIN_COLUMNS:
            if name not in pain_points:
                raise unknown_name("column", name, set(map(str, pain_points)), where="pain_points")
    sizes, sizes_sql = describe_segments(segments, [*order] or sorted(segments.values("segment")))
    names = list(sizes["segment"])
    found = [_size_lines(sizes)]
    statements = [sizes_sql]
    if features is not None and len(names) > 1:
        described = features.customers.engine.materialize(
            "personas described",
            f"""select features.*, own.segment from {features.customers} as features
                join {segments} as own on own.customer_id = features.customer_id""",
        )
        contrasts, sql = measure_contrasts(described, names, list(features.names))
        found.append(_trait_lines(contrasts))
        statements.append(sql)
    for level, most in (("touchpoint", _TOUCHPOINTS), ("channel", _CHANNELS)):
        engagement = measure_engagement(events, segments, level=level, order=names)
        found.append(_reach_lines(engagement.table, level, most))
        statements += engagement.sql
    for measure, of in (
        (_hour_lines, events),
        (_category_lines, orders),
        (_emotion_lines, feedback),
    ):
        if of is not None:
            lines, sql = measure(of, segments)
            found.append(lines)
            statements.append(sql)
    ways, sql = find_ways(events, segments, conversion=conversion, within=within, least=least)
    found.append(_path_lines(ways))
    statements.append(sql)
    if pain_points is not None:
        found.append(_pain_lines(pain_points))
    table = pd.DataFrame([line for lines in found for line in lines], columns=_COLUMNS)
    rank = {name: place for place, name in enumerate(names)}
    table = table[table["segment"].isin(rank)]
    table = table.sort_values("segment", key=lambda own: own.map(rank), kind="stable")
    return Personas(table.reset_index(drop=True), dict(words or {}), tuple(statements))


_Line = dict[str, Any]
_PAIN_COLUMNS = (
    *("segment", "touchpoint", "affected_rate", "affected_rate_low", "affected_rate_high"),
    *("affected", "people"),
)


def _size_lines(sizes: pd.DataFrame) -> list[_Line]:
    everybody = int(sizes["customers"].sum())
    lines: list[_Line] = []
    for row in sizes.to_dict("records"):
        whole = {"segment": row["segment"], "thing": None, "customers": row["customers"]}
        for line, measure in (
            ("size", "segment_share"),
            ("revenue_share", "revenue_share"),
            ("customer_value", "customer_value"),
            ("order_value", "average_order_value"),
            ("recency", "recency_days"),
        ):
            lines.append(
                {
                    **whole,
                    "line": line,
                    "value": row[measure],
                    "low": row.get(f"{measure}_low"),
                    "high": row.get(f"{measure}_high"),
                    "people": everybody if line == "size" else row["customers"],
                }
            )
    return lines


def _trait_lines(contrasts: pd.DataFrame) -> list[_Line]:
    """Return the strongest contrasts that are surely none, but those that have a line anyway."""
    sure = (contrasts["contrast_low"] > 0) | (contrasts["contrast_high"] < 0)
    kept = contrasts[sure & ~contrasts["feature"].isin(_OWN_LINES)]
    return [
        {
            "segment": row["segment"],
            "line": "trait",
            "thing": row["feature"],
            "value": row["contrast"],
            "low": row["contrast_low"],
            "high": row["contrast_high"],
            "customers": row["customers"],
            "people": row["customers"],
        }
        for row in kept.groupby("segment").head(_TRAITS).to_dict("records")
    ]


def _reach_lines(table: pd.DataFrame, level: str, most: int) -> list[_Line]:
    sums = table.groupby(level)[["customers", "people"]].transform("sum")
    table = table.assign(overall=sums["customers"] / sums["people"])
    apart = (table["reach_rate"] - table["overall"]).abs().rename("apart")
    widest = table.assign(apart=apart)[table["customers"] > 0]
    widest = widest.sort_values("apart", ascending=False, kind="stable")
    return [
        {
            "segment": row["segment"],
            "line": level,
            "thing": row[level],
            "value": row["reach_rate"],
            "low": row["reach_rate_low"],
            "high": row["reach_rate_high"],
            "overall": row["overall"],
            "customers": row["customers"],
            "people": row["people"],
        }
        for row in widest.groupby("segment").head(most).to_dict("records")
    ]


def _hour_lines(events: Table, segments: Table) -> tuple[list[_Line], str]:
    parts = ", ".join(
        f"sum(case when local_hour between {first} and {last} then 1 else 0 end) as {part}"
        for part, (first, last) in _PARTS_OF_DAY.items()
    )
    sql = f"""
        select own.segment, count(*) as acts, count(distinct log.customer_id) as customers, {parts}
        from {events} as log join {segments} as own on own.customer_id = log.customer_id
        where coalesce(direction, 'inbound') <> 'outbound'
            and coalesce(time_precision, 'second') <> 'day'
        group by own.segment"""
    lines = []
    for row in events.engine.query(sql).to_dict("records"):
        part = max(_PARTS_OF_DAY, key=lambda name: row[name])
        # Acts of one person are not independent: no interval is given.
        lines.append(_line(row, "hours", f"part_of_day.{part}", row[part] / row["acts"]))
    return lines, sql


def _category_lines(orders: Table, segments: Table) -> tuple[list[_Line], str]:
    bought = f"""
        select distinct own.segment, lines.customer_id, lines.category
        from {orders} as lines join {segments} as own on own.customer_id = lines.customer_id
        where not coalesce(is_return, false)"""
    sql = f"""
        select counted.segment, counted.category, counted.customers, buyers.people
        from (select segment, category, count(*) as customers from ({bought}) as bought
            where category is not null group by segment, category) as counted
        join (select segment, count(distinct customer_id) as people from ({bought}) as bought
            group by segment) as buyers on buyers.segment = counted.segment
        order by counted.segment, counted.customers desc, counted.category"""
    found = orders.engine.query(sql)
    everybody = found.drop_duplicates("segment")["people"].sum()
    bought_by = found.groupby("category")["customers"].transform("sum")
    found = found.assign(overall=bought_by / everybody)
    rows = found.groupby("segment").head(_CATEGORIES).to_dict("records")
    return [
        _share_line(row, "category", row["category"]) | {"overall": row["overall"]} for row in rows
    ], sql


def _emotion_lines(feedback: Table, segments: Table) -> tuple[list[_Line], str]:
    sql = f"""
        select segment, count(*) as customers, sum(felt) as total, sum(felt * felt) as squares
        from (select own.segment, answers.customer_id, avg(answers.felt) as felt
            from (select customer_id, {emotion_sql()} as felt from {feedback} as feedback)
                as answers
            join {segments} as own on own.customer_id = answers.customer_id
            where answers.felt is not null group by own.segment, answers.customer_id) as people
        group by segment"""
    lines = []
    for row in feedback.engine.query(sql).to_dict("records"):
        low, high = mean_interval(row["total"], row["squares"], row["customers"])
        mean = row["total"] / row["customers"]
        bounds = (max(float(low), -1.0), min(float(high), 1.0))
        lines.append(_line(row, "emotion", None, mean, *bounds))
    return lines, sql


def _path_lines(ways: pd.DataFrame) -> list[_Line]:
    typical = (typical_way(own) for _, own in ways.groupby("segment"))
    return [_share_line(row, "path", row["path"]) for row in typical if row is not None]


def _pain_lines(pains: pd.DataFrame) -> list[_Line]:
    """Return the worst pain point of each touchpoint."""
    worst = pains.drop_duplicates(["segment", "touchpoint"])
    return [
        {
            "segment": row["segment"],
            "line": "pain_point",
            "thing": row["touchpoint"],
            "value": row["affected_rate"],
            "low": row["affected_rate_low"],
            "high": row["affected_rate_high"],
            "customers": row["affected"],
            "people": row["people"],
        }
        for row in worst.groupby("segment").head(_PAINS).to_dict("records")
    ]


def _share_line(row: Mapping[Any, Any] | pd.Series[Any], line: str, thing: object) -> _Line:
    """Return a line that is a share of people, with its interval."""
    low, high = wilson_interval(row["customers"], row["people"])
    share = row["customers"] / row["people"]
    return _line(row, line, thing, share, float(low), float(high)) | {"people": row["people"]}


def _line(
    row: Mapping[Any, Any] | pd.Series[Any],
    line: str,
    thing: object,
    value: float,
    low: float = np.nan,
    high: float = np.nan,
) -> _Line:
    return {
        "segment": row["segment"],
        "line": line,
        "thing": thing,
        "value": value,
        "low": low,
        "high": high,
        "customers": row["customers"],
        "people": row["customers"],
    }
