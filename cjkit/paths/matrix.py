"""Step matrix: where people are at each step of a flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import OTHER, Language, display_name, format_number, format_percent, label
from cjkit.paths.moves import ENTRY, EXIT, OPEN, Level, refuse_split
from cjkit.plots.heat import draw_heat
from cjkit.privacy import Relation, Totals
from cjkit.statistics import wilson_interval

_ENDS = (ENTRY, EXIT, OPEN)


@dataclass(frozen=True)
class StepMatrix:
    """Where the people of a `Flow` are at each step: `flow.matrix`.

    Attributes
    ----------
    table : DataFrame, one row for each step and place (and each value of `by`), in order
        `step` (0 is the anchor), `place` (an end stands at the step at which the journey ended, or
        before which it began), `customers` (count), `all_customers` who were followed, `share` of
        them (0 to 1) with `share_low` and `share_high` (Wilson).
    name_step : callable
        What readers call a step.
    level : str
        What a place is.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statements of the flow.
    """

    table: pd.DataFrame
    name_step: Callable[[int, Language], str]
    level: Level
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("share", "share_low", "share_high"),
        "all_customers": ("share", "share_low", "share_high"),
    }

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Everybody whose journey still goes on at a step is somewhere."""
        return (Totals("customers", (*(self.table.columns[:1] if self.by else ()), "step")),)

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        return {"place": self.level, "step": "number"}

    def finding(self, language: Language) -> str:
        """Say where most people are at the step that is furthest from the anchor."""
        rows = self.table.dropna(subset="share")
        rows = rows[~rows["place"].isin([OTHER, *_ENDS]) & (rows["step"] != 0)]
        if rows.empty:
            return label("no_moves", language)
        furthest = rows.loc[rows["step"].abs().sort_values(kind="stable").index[-1], "step"]
        row = rows[rows["step"] == furthest].sort_values("customers").iloc[-1]
        return label(
            "matrix_finding",
            language,
            step=self.name_step(int(row["step"]), language),
            place=display_name(row["place"], self.level, language),
            customers=format_number(row["customers"], language),
            share=format_percent(row["share"], language),
            low=format_percent(row["share_low"], language),
            high=format_percent(row["share_high"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the shares as a heat map: a row for each place, a column for each step."""
        refuse_split(self.by)
        wide = self.table.pivot(index="place", columns="step", values="share")
        last = [place for place in (OTHER, *_ENDS) if place in wide.index]
        sizes = self.table.groupby("place")["customers"].sum().sort_values(ascending=False)
        order = [place for place in sizes.index if place not in last] + last
        ax = draw_heat(
            wide.reindex(index=order).to_numpy(dtype=float),
            rows=[display_name(place, self.level, language) for place in order],
            columns=[self.name_step(int(step), language) for step in wide.columns],
            write=lambda share: format_percent(share, language, digits=0),
            ax=ax,
        )
        people = format_number(self.table["all_customers"].max(), language)
        ax.set_title(label("matrix_title", language, people=people))
        return ax


def count_places(flow: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return how many people of a flow's table are at each place at each step."""
    there = [*keys, "step", "place", "customers", "all_customers"]
    came = flow.assign(step=flow["step"] + 1, place=flow["target"])[there]
    # Whoever is at the first of all steps came from nowhere that is shown.
    is_first = (flow["step"] == flow["step"].min()) | (flow["origin"] == ENTRY)
    first = flow[is_first].assign(place=flow["origin"])[there]
    rows = pd.concat([first, came]).groupby([*keys, "step", "place"], as_index=False)
    table: pd.DataFrame = rows.agg({"customers": "sum", "all_customers": "first"})
    table["share"] = table["customers"] / table["all_customers"]
    table["share_low"], table["share_high"] = wilson_interval(
        table["customers"], table["all_customers"]
    )
    return table
