"""What a model expected beside what happened: group by group, and through time."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.columns import draw_column_pairs
from cjkit.plots.lines import Line, draw_lines
from cjkit.plots.pairs import draw_pairs
from cjkit.privacy import Equation, Relation, Steps


@dataclass(frozen=True)
class Comparison:
    """What a model expected beside what happened, group by group.

    Attributes
    ----------
    table : DataFrame, one row for each group
        The group (`repeats`, `decile` or `segment`), `customers`, and pairs of `actual_...` and
        `predicted_...` columns.
    pair : str
        The ending of the pair that the picture shows.
    group : str
        The column that names the groups.
    counts : dict
        The columns that count customers, and those that rest on each.
    adds_up : tuple of relations
        What readers can compute from these columns.
    sql : tuple of str
    """

    table: pd.DataFrame
    pair: str
    group: str
    counts: dict[str, tuple[str, ...]]
    adds_up: tuple[Relation, ...]
    sql: tuple[str, ...]

    def finding(self, language: Language = "en") -> str:
        """Say what the first and the last group that is seen did, and what was expected of them."""
        if self.table.empty:
            return label("no_model_to_compare", language)
        known = self.table.dropna(subset=f"actual_{self.pair}")
        if known.empty:
            return label("no_group_compared", language)
        figures: dict[str, object] = {}
        for place, at in (("first", 0), ("last", -1)):
            row = known.iloc[at]
            # Of the column: in a row of floats a whole number is none any more.
            figures[place] = display_name(known[self.group].iloc[at], self.group, language)
            for kind in ("actual", "predicted"):
                figures[f"{kind}_{place}"] = self._write(row[f"{kind}_{self.pair}"], language)
        return label(f"finding_{self.pair}_by_{self.group}", language, **figures)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw two bars for each group: what happened, and what was expected.

        A hidden group has no bar: one alone would say that nothing happened.
        """
        pair = [self.table[f"{kind}_{self.pair}"] for kind in ("actual", "predicted")]
        is_known = pair[0].notna() & pair[1].notna()
        figures = [part.where(is_known).to_numpy(float) for part in pair]
        groups = [display_name(name, self.group, language) for name in self.table[self.group]]
        names = (label("actual", language), label("predicted", language))
        title = label(f"{self.pair}_by_{self.group}", language)
        if self.group == "segment":  # words, which need room
            ax = draw_pairs(
                groups, *figures, kinds=names, write=lambda f: self._write(f, language), ax=ax
            )
            ax.set_title(title, pad=28)
            return ax
        ax = draw_column_pairs(
            groups,
            *figures,
            names=names,
            write=lambda figure: self._write(figure, language, digits=None),
            ax=ax,
        )
        ax.set(xlabel=label(self.group, language), title=title)
        return ax

    def _write(self, figure: float, language: Language, *, digits: int | None = 2) -> str:
        """Write a share, a count or a mean; on the scale with no more digits than it needs."""
        if self.pair.endswith("share"):
            return format_percent(figure, language, digits=0)
        if self.pair == "customers":
            return format_number(figure, language)
        return (
            f"{figure:,.6g}" if digits is None else format_number(figure, language, digits=digits)
        )


@dataclass(frozen=True)
class Tracking:
    """Repeat purchases of the calibration's customers through time, beside what the model expected.

    Attributes
    ----------
    table : DataFrame, one row for each week (each day where there are fewer than 12 weeks)
        `until_day` (its last day), `actual_purchases` and `predicted_purchases` in it, and both
        cumulated: `actual_total`, `predicted_total`.
    split : date
        The first day that the model had not seen.
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"actual_purchases": (), "actual_total": ()}
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Equation((("actual_purchases", 0),), (("actual_total", 0),)),
        Steps("actual_total", rest="actual_purchases"),
    )
    formats: ClassVar[dict[str, str]] = {"until_day": "date"}

    table: pd.DataFrame
    split: datetime.date
    sql: tuple[str, ...]

    @property
    def error(self) -> float:
        """Predicted over actual cumulative purchases at the end, less 1."""
        last = self.table.iloc[-1]
        return float(last["predicted_total"] / last["actual_total"] - 1)

    def finding(self, language: Language = "en") -> str:
        """Say how far off the cumulative purchases are at the end."""
        if self.table.empty:
            return label("nothing_to_track", language)
        last = self.table.iloc[-1]
        return label(
            "finding_tracking",
            language,
            actual=format_number(last["actual_total"], language),
            predicted=format_number(last["predicted_total"], language),
            error=signed_percent(self.error, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw both cumulative curves, with a line at the first day the model had not seen."""
        rows = self.table
        days = pd.to_datetime(rows["until_day"]).to_numpy()
        lines = [
            Line(days, rows["actual_total"], label("actual", language)),
            Line(days, rows["predicted_total"], label("predicted", language), style="--"),
        ]
        ax = draw_lines(
            lines,
            write=lambda count: format_number(count, language),
            mark=(np.datetime64(self.split), label("forecast_starts", language)),
            ax=ax,
        )
        ax.set(title=label("cumulative_repeat_purchases", language), ylim=(0, None))
        return ax


def signed_percent(share: float, language: Language) -> str:
    """Write a deviation with its sign."""
    sign = "+" if share > 0 else ""
    return sign + format_percent(share, language)
