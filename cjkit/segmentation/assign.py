"""Scores of recency, frequency and money for each customer, and the segments that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table, text
from cjkit.labels import (
    Language,
    display_name,
    format_money,
    format_number,
    format_percent,
    label,
)
from cjkit.plots.pairs import draw_pairs
from cjkit.plots.treemap import draw_treemap
from cjkit.privacy import Relation, Totals
from cjkit.segmentation.rules import RFM_RULES, SCORES, Rule, check_cuts, check_rules
from cjkit.statistics import mean_interval, ratio_interval, wilson_interval

DAY_US = 86_400_000_000

_VALUES = {"recency": "recency_days", "frequency": "orders", "monetary": "revenue"}
_BETTER = {"recency": "<=", "frequency": ">=", "monetary": ">="}


@dataclass(frozen=True)
class Segments:
    """What `assign_segments` found: the segments, and each customer's on the engine.

    Attributes
    ----------
    table : DataFrame, one row for each segment that has customers, in the order of the rules
        `segment`, `customers` (count), `segment_share` (0 to 1, 95% Wilson interval), `orders`
        (count), `revenue` (net of returns), `revenue_share` (0 to 1; missing unless revenue is
        positive), `average_order_value` (net revenue an order, 95% interval), `customer_value` (net
        revenue a customer, 95% interval), `recency_days` (median days since the last order). The
        bounds of an interval are in `..._low` and `..._high`.
    customers : Table
        On the engine, one row for each customer with an order: `customer_id`, `segment`,
        `recency_score`, `frequency_score`, `monetary_score` (1 to 5, 5 is best), `recency_days`,
        `orders`, `revenue`.
    as_of_us : int
        The moment, in microseconds since 1970, before which orders count.
    rules : tuple of Rule
    sql : tuple of str
        The statements, in order.
    cuts : dict from 'recency', 'frequency' and 'monetary' to four limits
        Those that the scores have: given again as `cuts`, they put a customer who did the same
        into the same segment at any other time. Empty where segments are not made of scores.
    """

    table: pd.DataFrame
    customers: Table
    as_of_us: int
    rules: tuple[Rule, ...]
    sql: tuple[str, ...]
    cuts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            "segment_share",
            "segment_share_low",
            "segment_share_high",
            "orders",
            "revenue",
            "revenue_share",
            "average_order_value",
            "average_order_value_low",
            "average_order_value_high",
            "customer_value",
            "customer_value_low",
            "customer_value_high",
            "recency_days",
        )
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"),)
    formats: ClassVar[dict[str, str]] = {"segment_share": "rate", "revenue_share": "rate"}

    @property
    def treemap(self) -> SegmentTreemap:
        """The same sizes, to be drawn as areas."""
        return SegmentTreemap(self.table, self.sql)

    @property
    def most_valuable(self) -> pd.Series[Any]:
        """The row of the segment that brings most revenue."""
        return self.table.sort_values("revenue").iloc[-1]

    def finding(self, language: Language) -> str:
        """Say which segment brings most revenue, and how much of it."""
        if self.table["revenue_share"].isna().all():
            return label("no_orders", language)
        best = self.table.sort_values("revenue_share", na_position="first").iloc[-1]
        return label(
            "segments_finding",
            language,
            segment=display_name(best["segment"], "segment", language),
            customers=format_number(best["customers"], language),
            segment_share=format_percent(best["segment_share"], language),
            revenue_share=format_percent(best["revenue_share"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw for each segment its share of customers beside its share of revenue."""
        return draw_pairs(
            [display_name(value, "segment", language) for value in self.table["segment"]],
            self.table["segment_share"].to_numpy(dtype=float, na_value=np.nan),
            self.table["revenue_share"].to_numpy(dtype=float, na_value=np.nan),
            kinds=(label("segment_share", language), label("revenue_share", language)),
            write=lambda share: format_percent(share, language),
            ax=ax,
        )


@dataclass(frozen=True)
class SegmentTreemap:
    """The sizes of segments as areas, and their value as colour.

    Attributes
    ----------
    table : DataFrame
        As of `Segments`.
    sql : tuple of str
    """

    table: pd.DataFrame
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = Segments.counts
    adds_up: ClassVar[tuple[Relation, ...]] = Segments.adds_up
    formats: ClassVar[dict[str, str]] = Segments.formats

    def finding(self, language: Language) -> str:
        """Say in which segment customers are surely worth most: by the lower bound."""
        known = self.table.dropna(subset="customer_value_low")
        if known.empty:
            return label("no_orders", language)
        row = known.iloc[int(np.argmax(known["customer_value_low"].to_numpy(float)))]
        return label(
            "treemap_finding",
            language,
            segment=display_name(row["segment"], "segment", language),
            value=format_money(row["customer_value"], language),
            low=format_money(row["customer_value_low"], language),
            high=format_money(row["customer_value_high"], language),
            customers=format_number(row["customers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each segment as large as its customers, and as dark as each of them is worth."""
        rows = self.table.dropna(subset="segment_share")
        return draw_treemap(
            [display_name(name, "segment", language) for name in rows["segment"]],
            rows["segment_share"].tolist(),
            rows["customer_value"].tolist(),
            [
                f"{format_percent(share, language)}\n{format_money(value, language)}"
                for share, value in zip(rows["segment_share"], rows["customer_value"], strict=True)
            ],
            scale=label("customer_value", language),
            write=lambda value: format_money(value, language),
            ax=ax,
        )


def assign_segments(
    orders: Table,
    *,
    as_of_us: int | None = None,
    rules: Sequence[Rule] = RFM_RULES,
    cuts: Mapping[str, Sequence[float]] | None = None,
    name: str = "rfm",
) -> Segments:
    """Score each customer's recency, frequency and money from 1 to 5 and name the segment.

    Only customers with an order count; order lines without a customer (guests) are left out. Net
    revenue is the sum of all lines, returns included; an order is a different `order_id` among the
    lines that are no return; recency is the whole days (of 24 hours) from the last order to
    `as_of_us`.

    A score is the fifth of the customers in which one stands, by average rank: with n customers, of
    whom `b` are worse and `t` stand equal (oneself included), it is ceil(5 (b + (t + 1) / 2) / n).
    Equal customers thus always have equal scores, and a score may have nobody.

    A score with fixed `cuts` is 1 + the number of its four limits that the customer reaches: of
    recency those days or fewer, of frequency those orders or more, of money that revenue or more.
    Fixed scores mean the same at any time; fifths compare customers with one another. The limits
    that fifths turned out to have are in the result's `cuts`, to be kept for later runs: that of a
    score is the worst value in it or above (of money halfway to the next worse one), and where
    nobody reaches a score, just better than the best.

    Parameters
    ----------
    orders : Table
        Reads `customer_id`, `order_id`, `ordered_us`, `revenue`, `is_return`.
    as_of_us : int, optional
        Only orders before this moment count (microseconds since 1970, UTC); default just after the
        last order.
    rules : sequence of Rule
        Which scores make which segment; every pair of scores must belong to exactly one.
    cuts : mapping from 'recency', 'frequency' or 'monetary' to four limits, optional
        In days, orders and money, the limit of score 2 first: `{"recency": (365, 180, 90, 30),
        "frequency": (2, 3, 5, 10)}`. Scores that it leaves out are fifths.
    name : str, default 'rfm'
        What the customers' table is called on the engine; one of that name is replaced.

    Returns
    -------
    Segments

    Raises
    ------
    CjkitError
        When a pair of scores belongs to no rule or to several, or `cuts` are no four limits, none
        worse than the one before.
    """
    check_rules(rules)
    fixed = {score: tuple(limits) for score, limits in (cuts or {}).items()}
    check_cuts(fixed)
    engine = orders.engine
    if as_of_us is None:
        last = engine.query(f"select max(ordered_us) as last_us from {orders}")["last_us"].iloc[0]
        as_of_us = 0 if pd.isna(last) else int(last) + 1
    scored = _scores_sql(orders, as_of_us, fixed)
    customers_sql = f"""
        select customer_id, {_segment_sql(rules)} as segment, recency_score, frequency_score,
            monetary_score, recency_days, orders, revenue
        from ({scored}) as scored"""
    customers = engine.materialize(name, customers_sql)
    names = [rule.segment for rule in rules]
    table, summary_sql = describe_segments(customers, names)
    limits, limits_sql = _limits(customers)
    statements = (customers_sql, summary_sql, limits_sql)
    return Segments(table, customers, as_of_us, tuple(rules), statements, limits | fixed)


def describe_segments(customers: Table, order: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Return the sizes and the value of each segment as `Segments` has them, and the statement.

    Parameters
    ----------
    customers : Table
        Reads `segment`, `orders`, `revenue`, `recency_days`, one row for each customer.
    order : sequence of str
        The segments in the order of the rows; those that nobody is in are left out.
    """
    sql = f"""
        select segment, count(*) as customers, sum(orders) as orders, sum(revenue) as revenue,
            sum(revenue * revenue) as revenue_squared, sum(revenue * orders) as revenue_orders,
            sum(orders * orders) as orders_squared
        from {customers} as customers group by segment"""
    summary = customers.engine.query(sql).set_index("segment")
    recency = customers.engine.quantiles(str(customers), "recency_days", [0.5], by=["segment"])
    summary["recency_days"] = recency.set_index("segment")["p50"]
    return _describe(summary, order), sql


def _scores_sql(orders: Table, as_of_us: int, cuts: Mapping[str, Sequence[float]]) -> str:
    """Write the SQL of one row a customer with its figures and scores."""
    placed = ", ".join(
        f"2 * rank() over (order by {value} {way}) + count(*) over (partition by {value}) - 1"
        f" as twice_{score}"
        for score, value in _VALUES.items()
        for way in ("desc" if _BETTER[score] == "<=" else "asc",)
    )
    # The average rank may be a half: twice the rank keeps the comparison in whole numbers.
    fifths = {
        score: [f"5 * twice_{score} > {2 * fifth} * n" for fifth in SCORES[:-1]]
        for score in _VALUES
    }
    reached = fifths | {
        score: [f"{_VALUES[score]} {_BETTER[score]} {float(limit)!r}" for limit in limits]
        for score, limits in cuts.items()
    }
    scores = ", ".join(
        "1 + "
        + " + ".join(f"case when {limit} then 1 else 0 end" for limit in limits)
        + f" as {score}_score"
        for score, limits in reached.items()
    )
    return f"""
        select customer_id, recency_days, orders, revenue, {scores}
        from (select *, count(*) over () as n, {placed}
            from (select customer_id, orders, revenue,
                    cast(floor(({as_of_us} - last_us) / {DAY_US}.0) as bigint) as recency_days
                from (select customer_id, sum(revenue) as revenue,
                        count(distinct case when not coalesce(is_return, false) then order_id end)
                            as orders,
                        max(case when not coalesce(is_return, false) then ordered_us end) as last_us
                    from {orders} as lines
                    where customer_id is not null and ordered_us < {as_of_us}
                    group by customer_id) as totals
                where orders > 0) as figures) as placed"""


def _limits(customers: Table) -> tuple[dict[str, tuple[float, ...]], str]:
    """Return the limits between the scores that customers have, and the statement."""
    parts = []
    for score, value in _VALUES.items():
        worst, best = ("max", "min") if _BETTER[score] == "<=" else ("min", "max")
        parts.append(f"{best}({value}) as {score}_best")
        for place in SCORES[1:]:
            reached = f"{score}_score >= {place}"
            parts += [
                f"{worst}(case when {reached} then {value} end) as {score}_{place}",
                f"{best}(case when not {reached} then {value} end) as {score}_below_{place}",
            ]
    sql = f"select {', '.join(parts)} from {customers} as customers"
    row = customers.engine.query(sql).iloc[0].astype(float)
    if row.isna().all():
        return {}, sql

    def limit(score: str, place: int) -> float:
        worst, below = row[f"{score}_{place}"], row[f"{score}_below_{place}"]
        if score == "monetary":
            # Sums of money may differ in their last digit from run to run.
            beyond = np.nextafter(row[f"{score}_best"], np.inf)
            return float(beyond if np.isnan(worst) else np.nanmean([worst, below]))
        step = -1 if _BETTER[score] == "<=" else 1
        return float(row[f"{score}_best"] + step if np.isnan(worst) else worst)

    return {score: tuple(limit(score, place) for place in SCORES[1:]) for score in _VALUES}, sql


def _segment_sql(rules: Sequence[Rule]) -> str:
    cases = " ".join(
        f"when recency_score between {rule.recency[0]} and {rule.recency[1]} and frequency_score"
        f" between {rule.frequency[0]} and {rule.frequency[1]} then {text(rule.segment)}"
        for rule in rules
    )
    return f"case {cases} end"


def _describe(summary: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Turn the sums of each segment into its shares and means with their intervals."""
    order = [name for name in dict.fromkeys(names) if name in summary.index]
    sums = summary.loc[order].astype(float)
    customers, orders, revenue = sums["customers"], sums["orders"], sums["revenue"]
    table = pd.DataFrame({"segment": order, "customers": customers.astype(int).to_numpy()})

    def put(name: str, value: pd.Series[float], interval: tuple[Any, Any]) -> None:
        table[name] = value.to_numpy()
        table[f"{name}_low"], table[f"{name}_high"] = map(np.asarray, interval)

    everyone = customers.sum()
    put("segment_share", customers / everyone, wilson_interval(customers, everyone))
    table["orders"] = orders.astype(int).to_numpy()
    table["revenue"] = revenue.to_numpy()
    table["revenue_share"] = share_of(revenue).to_numpy()
    put(
        "average_order_value",
        revenue / orders,
        ratio_interval(
            revenue,
            orders,
            sums["revenue_squared"],
            sums["revenue_orders"],
            sums["orders_squared"],
            customers,
        ),
    )
    put(
        "customer_value",
        revenue / customers,
        mean_interval(revenue, sums["revenue_squared"], customers),
    )
    table["recency_days"] = sums["recency_days"].to_numpy()
    return table


def share_of(parts: pd.Series[float]) -> pd.Series[float]:
    """Return each part's share of the sum; missing where the sum is not positive."""
    return parts / (parts.sum() if parts.sum() > 0 else np.nan)
