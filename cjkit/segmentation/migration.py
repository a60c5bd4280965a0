"""Migration: who was in which segment before, and is in which now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table, text
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.flow import draw_flow
from cjkit.privacy import Relation, Totals
from cjkit.statistics import wilson_interval

OUTSIDE = "outside"
"""The place of those who were no customers before, or are none now."""


@dataclass(frozen=True)
class MigrationSizes:
    """How many were in each segment before, and are now.

    Attributes
    ----------
    table : DataFrame, one row for each segment, and `outside`
        `segment`, `previous_customers`, `customers`.
    """

    table: pd.DataFrame

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"previous_customers": (), "customers": ()}
    adds_up: ClassVar[tuple[Relation, ...]] = tuple(Totals(count) for count in counts)


@dataclass(frozen=True)
class Migration:
    """What `measure_migration` found.

    Attributes
    ----------
    table : DataFrame, one row for each pair of segments that somebody moved (or stayed) between
        `previous_segment`, `segment` (either may be `outside`: no customer then, or not any more),
        `customers` (count), `move_rate` (of those who were in `previous_segment`; 0 to 1, Wilson)
        with `move_rate_low` and `move_rate_high`.
    order : tuple of str
        The segments, first to last.
    sizes : MigrationSizes
        Of all in a segment, those included whose moves are hidden in a masked result.
    sql : tuple of str
    """

    table: pd.DataFrame
    order: tuple[str, ...]
    sizes: MigrationSizes
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("move_rate", "move_rate_low", "move_rate_high")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Totals("customers", ("previous_segment",)),
        Totals("customers", ("segment",)),
    )

    @property
    def largest_move(self) -> pd.Series[Any] | None:
        """The row of the most customers who changed their segment; None where nobody did."""
        inside = self.table[(self.table[["previous_segment", "segment"]] != OUTSIDE).all(axis=1)]
        moved = inside[inside["previous_segment"] != inside["segment"]].dropna(subset="customers")
        if moved.empty:
            return None
        return moved.iloc[int(np.argmax(moved["customers"].to_numpy(float)))]

    def finding(self, language: Language) -> str:
        """Say which move most customers made."""
        row = self.largest_move
        if row is None:
            return label("nobody_moved", language)
        return label(
            "migration_finding",
            language,
            before=display_name(row["previous_segment"], "segment", language),
            now=display_name(row["segment"], "segment", language),
            customers=format_number(row["customers"], language),
            rate=format_percent(row["move_rate"], language),
            low=format_percent(row["move_rate_low"], language),
            high=format_percent(row["move_rate_high"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the segments before and now, joined by those who went between them.

        A segment stands in its whole size, whatever of its moves is hidden.
        """
        rows = self.table.dropna(subset="customers")
        order = (*self.order, OUTSIDE)
        sizes = self.sizes.table.set_index("segment")
        ax = draw_flow(
            [
                (0, before, now, float(customers))
                for before, now, customers in zip(
                    rows["previous_segment"], rows["segment"], rows["customers"], strict=True
                )
            ],
            order=order,
            faded=(OUTSIDE,),
            names={name: display_name(name, "segment", language) for name in order},
            name_step=lambda step: label("then" if step == 0 else "now", language),
            write=lambda share: format_percent(share, language, digits=0),
            sizes={
                (step, str(segment)): float(customers)
                for step, name in enumerate(("previous_customers", "customers"))
                for segment, customers in sizes[name].items()
                if customers > 0
            },
            ax=ax,
        )
        if len(rows) < len(self.table):
            ax.set_title(label("few_moves_hidden", language), loc="left")
        return ax


def measure_migration(now: Table, before: Table, *, order: Sequence[str] = ()) -> Migration:
    """Count who went from which segment to which.

    Parameters
    ----------
    now, before : Table
        One row for each customer with `customer_id` and `segment`: what `assign_segments`,
        `apply_rules`, `measure_lifecycle` or a definition of found segments gave at two moments.
    order : sequence of str
        The segments, first to last; those that it leaves out follow by name.
    """
    sql = f"""
        select coalesce(cast(previous.segment as varchar), {text(OUTSIDE)})
                as previous_segment,
            coalesce(cast(present.segment as varchar), {text(OUTSIDE)}) as segment,
            count(*) as customers
        from {now} as present full outer join {before} as previous
            on present.customer_id = previous.customer_id
        group by 1, 2"""
    found = now.engine.query(sql)
    named = {*found["previous_segment"], *found["segment"]} - {OUTSIDE, *order}
    segments = (*order, *sorted(named))
    rank = {name: place for place, name in enumerate((*segments, OUTSIDE))}
    found = found.assign(
        first=found["previous_segment"].map(rank), second=found["segment"].map(rank)
    )
    moves = found.sort_values(["first", "second"], ignore_index=True)
    moves = moves.drop(columns=["first", "second"])
    were = moves.groupby("previous_segment")["customers"].transform("sum")
    moves["move_rate"] = moves["customers"] / were
    moves["move_rate_low"], moves["move_rate_high"] = wilson_interval(moves["customers"], were)
    come = moves["previous_segment"] == OUTSIDE
    moves.loc[come, ["move_rate", "move_rate_low", "move_rate_high"]] = float("nan")
    return Migration(moves, segments, _sizes(moves, segments), (sql,))


def _sizes(moves: pd.DataFrame, segments: Sequence[str]) -> MigrationSizes:
    table = pd.DataFrame(
        {
            name: moves.groupby(side)["customers"].sum()
            for name, side in (
                ("previous_customers", "previous_segment"),
                ("customers", "segment"),
            )
        }
    )
    table = table.reindex([*segments, OUTSIDE]).fillna(0).astype("int64")
    return MigrationSizes(table.rename_axis("segment").reset_index())
