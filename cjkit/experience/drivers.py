"""Drivers: at which touchpoints how people feel goes with how they feel about the whole company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import scipy
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, one_of
from cjkit.engine import Table, text
from cjkit.events import METRICS, Period, emotion_sql
from cjkit.experience.asking import during, flagged
from cjkit.labels import Language, display_name, format_number, format_signed, label
from cjkit.plots.quadrants import draw_quadrants
from cjkit.statistics import benjamini_hochberg, correlation_interval, mean_interval

OVERALL = "nps"
FALSE_DISCOVERIES = 0.05

_PERFORMANCE = ("performance", "performance_low", "performance_high")
_IMPORTANCE = ("importance", "importance_low", "importance_high", "p_value", "is_driver")


@dataclass(frozen=True)
class Drivers:
    """What `measure_drivers` found: how important each touchpoint is, and how it performs.

    Attributes
    ----------
    table : DataFrame, one row for each touchpoint, the most important first
        `touchpoint`, `customers` (who answered about it and about the whole), `performance` (the
        mean of their emotion about it, -1 to 1) with `performance_low` and `performance_high`
        (Student), `importance` (the correlation of that emotion with the one about the whole, -1 to
        1; missing where everybody answers alike) with `importance_low` and `importance_high`
        (Fisher), `p_value` (adjusted after Benjamini and Hochberg; missing where too few people)
        and `is_driver`.
    overall : str
        The metric of the answers about the whole.
    fewest : int
        The fewest people.
    sql : tuple of str
        The statement that made the sums.
    """

    table: pd.DataFrame
    overall: str
    fewest: int
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": (*_PERFORMANCE, *_IMPORTANCE)}
    formats: ClassVar[dict[str, str]] = {"p_value": "number"}

    @property
    def first_to_mend(self) -> pd.Series[Any] | None:
        """The most important driver that performs below the mean of all touchpoints, if any."""
        drivers = flagged(self.table, "is_driver")
        found = drivers[drivers["performance"] < self._middle]
        return None if found.empty else found.iloc[0]

    @property
    def _middle(self) -> float:
        return float(self.table["performance"].mean())

    def finding(self, language: Language) -> str:
        """Say which touchpoint to mend first."""
        drivers = flagged(self.table, "is_driver")
        if drivers.empty:
            return label("no_driver", language)
        row = self.first_to_mend
        shown = drivers.iloc[0] if row is None else row
        return label(
            "drivers_good" if row is None else "drivers_finding",
            language,
            touchpoint=display_name(shown["touchpoint"], "touchpoint", language),
            importance=format_signed(shown["importance"], language),
            low=format_signed(shown["importance_low"], language),
            high=format_signed(shown["importance_high"], language),
            performance=format_signed(shown["performance"], language),
            middle=format_signed(self._middle, language),
            customers=format_number(shown["customers"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw importance against performance, with intervals and the mean performance."""
        rows = self.table.dropna(subset=["importance", "performance"])
        ax = draw_quadrants(
            [
                label(
                    "driver_name",
                    language,
                    touchpoint=display_name(row["touchpoint"], "touchpoint", language),
                    n=format_number(row["customers"], language),
                )
                for _, row in rows.iterrows()
            ],
            [rows[name].tolist() for name in _PERFORMANCE],
            [rows[name].tolist() for name in _IMPORTANCE[:3]],
            [bool(value) for value in rows["is_driver"]],
            middle=self._middle,
            corners=(label("drivers_mend", language), label("drivers_keep", language)),
            write=lambda value: format_signed(value, language),
            ax=ax,
        )
        ax.set(xlabel=label("performance", language), ylabel=label("importance", language))
        ax.set_title(label("drivers_title", language))
        return ax


def measure_drivers(
    feedback: Table,
    *,
    overall: str = OVERALL,
    fewest: int = 30,
    period: Period | None = None,
) -> Drivers:
    """Compare how important each touchpoint is with how it performs.

    Of each person the answers about a touchpoint are averaged, each from -1 to 1 as in
    `measure_emotion`, and so are the answers of metric `overall` to the whole, wherever they were
    given. Those who gave both count: *performance* is the mean of the former, *importance* the
    correlation (Pearson) of the former with the latter. A driver is a touchpoint whose importance
    is above 0 with a false discovery rate of 5% over all touchpoints. It is an association: who is
    fond of a company may find everything better.

    Parameters
    ----------
    feedback : Table
        The answers. Reads `customer_id`, `touchpoint`, `metric`, `score`, `score_max`, `emotion`,
        `given_us`. Answers of people who are not known are left out.
    overall : str, default 'nps'
        The metric of the answers about the whole; all others are about their touchpoint.
    fewest : int, default 30
        Fewer people than this are not judged.
    period : Period, optional
        Only answers given in it count.

    Returns
    -------
    Drivers

    Raises
    ------
    CjkitError
        When `overall` is no metric, or `fewest` is below 4.

    Notes
    -----
    People answer about few touchpoints each, so that a regression on all of them at once would rest
    on almost nobody: importance is that of each touchpoint by itself.
    """
    if fewest < 4:
        raise CjkitError(
            f"fewest={fewest!r} must be 4 or more: a correlation of fewer says nothing."
        )
    one_of("overall", overall, METRICS)
    sql = f"""
        with felt as (
            select customer_id, touchpoint, {emotion_sql()} as felt,
                case when metric = {text(overall)} then 1 else 0 end as is_overall
            from {feedback} as feedback
            where customer_id is not null and {during(period, "given_us")}),
        whole as (
            select customer_id, avg(felt) as whole from felt
            where is_overall = 1 and felt is not null group by customer_id),
        own as (
            select customer_id, touchpoint, avg(felt) as own from felt
            where is_overall = 0 and felt is not null and touchpoint is not null
            group by customer_id, touchpoint)
        select touchpoint, count(*) as customers, sum(own) as own, sum(own * own) as own_squares,
            sum(whole) as whole, sum(whole * whole) as whole_squares, sum(own * whole) as products
        from own join whole on own.customer_id = whole.customer_id group by touchpoint"""
    table = _correlate(feedback.engine.query(sql), fewest)
    return Drivers(table, overall, fewest, (sql,))


def _correlate(sums: pd.DataFrame, fewest: int) -> pd.DataFrame:
    """Return performance and importance of each touchpoint, from its sums."""
    table = sums[["touchpoint"]].assign(customers=sums["customers"].astype("int64"))
    n = sums["customers"].astype(float)
    table["performance"] = sums["own"] / n
    low, high = mean_interval(sums["own"], sums["own_squares"], n)
    table["performance_low"] = pd.Series(low, table.index).clip(lower=-1)
    table["performance_high"] = pd.Series(high, table.index).clip(upper=1)
    spread = [sums[f"{side}_squares"] / n - (sums[side] / n) ** 2 for side in ("own", "whole")]
    together = sums["products"] / n - sums["own"] * sums["whole"] / n**2
    # Where everybody answers alike rounding leaves next to nothing, and there is no correlation.
    known = (spread[0] > 1e-12) & (spread[1] > 1e-12)
    r = (together / (spread[0] * spread[1]).where(known) ** 0.5).clip(-1, 1)
    table["importance"] = r
    table["importance_low"], table["importance_high"] = correlation_interval(r, n)
    t = r * ((n - 2) / (1 - r**2).clip(lower=1e-12)) ** 0.5
    p_values = pd.Series(2 * scipy.stats.t.sf(t.abs(), n - 2), table.index)
    table["p_value"] = benjamini_hochberg(p_values.where(known & (n >= fewest)))
    table["is_driver"] = (table["p_value"] <= FALSE_DISCOVERIES) & (r > 0)
    return table.sort_values(
        ["importance", "touchpoint"], ascending=[False, True], ignore_index=True
    )
