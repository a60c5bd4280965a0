"""How the customers lie over the scores, and how the segments grew or shrank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.heat import draw_heat
from cjkit.plots.pairs import draw_pairs
from cjkit.plots.regions import draw_regions
from cjkit.privacy import Relation, Totals
from cjkit.segmentation.assign import Segments, share_of
from cjkit.segmentation.rules import RFM_RULES, SCORES, Rule, check_rules, holds


@dataclass(frozen=True)
class SegmentGrid:
    """What `measure_grid` found: how customers and revenue lie over the scores.

    Attributes
    ----------
    table : DataFrame, one row for each pair of scores, 25 in all
        `recency_score`, `frequency_score` (1 to 5), `segment`, `customers` (count), `revenue` and
        `revenue_share` (0 to 1).
    rules : tuple of Rule
    sql : tuple of str
        The statement.
    """

    table: pd.DataFrame
    rules: tuple[Rule, ...]
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": ("revenue", "revenue_share")}
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Totals("customers"),
        Totals("customers", ("segment",)),
    )

    def finding(self, language: Language) -> str:
        """Say where most customers lie."""
        fullest = self.table.sort_values("customers", na_position="first").iloc[-1]
        if pd.isna(fullest["customers"]) or fullest["customers"] == 0:
            return label("no_orders", language)
        return label(
            "grid_finding",
            language,
            recency=fullest["recency_score"],
            frequency=fullest["frequency_score"],
            segment=display_name(fullest["segment"], "segment", language),
            customers=format_number(fullest["customers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw customers as a heat map, recency upwards and frequency to the right."""
        wide = self.table.pivot(
            index="recency_score", columns="frequency_score", values="customers"
        ).sort_index(ascending=False)
        if ax is None:
            ax = plt.subplots(figsize=(9, 4.6))[1]
        ax = draw_heat(
            wide.to_numpy(dtype=float, na_value=np.nan),
            rows=[str(score) for score in wide.index],
            columns=[str(score) for score in wide.columns],
            write=lambda count: format_number(count, language),
            ax=ax,
        )
        draw_regions(
            [
                (
                    display_name(rule.segment, "segment", language),
                    (rule.frequency[0] - 1, rule.frequency[1] - 1),
                    (SCORES[-1] - rule.recency[1], SCORES[-1] - rule.recency[0]),
                )
                for rule in self.rules
            ],
            ax=ax,
        )
        ax.set(
            xlabel=label("frequency_axis", language),
            ylabel=label("recency_axis", language),
        )
        return ax


@dataclass(frozen=True)
class SegmentChange:
    """What `compare_segments` found.

    Attributes
    ----------
    table : DataFrame, one row for each segment that has customers now or had them before
        `segment`, `customers` and `previous_customers` (counts), `segment_share` and
        `previous_share` (0 to 1; missing where nobody had an order).
    as_of_us, previous_as_of_us : int
        The two moments, in microseconds since 1970.
    sql : tuple of str
        The statements of both.
    """

    table: pd.DataFrame
    as_of_us: int
    previous_as_of_us: int
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("segment_share",),
        "previous_customers": ("previous_share",),
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"), Totals("previous_customers"))

    def finding(self, language: Language) -> str:
        """Say which segment's share of the customers changed most."""
        change = (self.table["segment_share"] - self.table["previous_share"]).astype(float)
        if change.isna().all():
            return label("nothing_to_compare", language)
        row = self.table.iloc[int(np.nanargmax(change.abs()))]
        return label(
            "segment_change_finding",
            language,
            segment=display_name(row["segment"], "segment", language),
            before=format_percent(row["previous_share"], language),
            now=format_percent(row["segment_share"], language),
            customers_before=format_number(row["previous_customers"], language),
            customers_now=format_number(row["customers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each segment's share of the customers before and now."""
        return draw_pairs(
            [display_name(value, "segment", language) for value in self.table["segment"]],
            self.table["previous_share"].to_numpy(dtype=float, na_value=np.nan),
            self.table["segment_share"].to_numpy(dtype=float, na_value=np.nan),
            kinds=(label("previous_share", language), label("segment_share", language)),
            write=lambda share: format_percent(share, language),
            ax=ax,
        )


def measure_grid(customers: Table, *, rules: Sequence[Rule] = RFM_RULES) -> SegmentGrid:
    """Count customers and revenue for each pair of recency and frequency score.

    Parameters
    ----------
    customers : Table
        The table that `assign_segments` made.
    rules : sequence of Rule
        The rules that it was made with.

    Returns
    -------
    SegmentGrid
        All 25 pairs; those that nobody has count 0.
    """
    check_rules(rules)
    sql = f"""
        select recency_score, frequency_score, count(*) as customers, sum(revenue) as revenue
        from {customers} as rfm group by recency_score, frequency_score"""
    found = customers.engine.query(sql).set_index(["recency_score", "frequency_score"])
    places = pd.MultiIndex.from_product([SCORES, SCORES], names=found.index.names)
    table = found.reindex(places).fillna(0).astype({"customers": int, "revenue": float})
    table = table.reset_index()
    table.insert(
        2,
        "segment",
        [
            next(rule.segment for rule in rules if holds(rule, r, f))
            for r, f in zip(table["recency_score"], table["frequency_score"], strict=True)
        ],
    )
    table["revenue_share"] = share_of(table["revenue"])
    return SegmentGrid(table, tuple(rules), (sql,))


def compare_segments(now: Segments, before: Segments) -> SegmentChange:
    """Compare the sizes of the segments at two moments.

    Scores are relative: each is a fifth of the customers of its own moment. A segment grows when
    more customers stand there compared with the others, not when all buy more.

    Parameters
    ----------
    now, before : Segments
        Assigned by the same rules.

    Returns
    -------
    SegmentChange

    Raises
    ------
    CjkitError
        When the rules differ.
    """
    if now.rules != before.rules:
        raise CjkitError("The two were assigned by different rules. Assign both by the same.")
    sizes = [found.table.set_index("segment")["customers"] for found in (now, before)]
    order = dict.fromkeys(rule.segment for rule in now.rules)
    table = pd.DataFrame(
        {
            name: size.reindex(list(order), fill_value=0)
            for name, size in zip(("customers", "previous_customers"), sizes, strict=True)
        }
    )
    table = table[table.sum(axis=1) > 0].rename_axis("segment").reset_index()
    table["segment_share"] = share_of(table["customers"].astype(float))
    table["previous_share"] = share_of(table["previous_customers"].astype(float))
    return SegmentChange(table, now.as_of_us, before.as_of_us, now.sql + before.sql)
