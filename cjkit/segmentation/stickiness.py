"""Stickiness: on how many days of a period customers are active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table
from cjkit.events import Period
from cjkit.labels import Language, format_number, format_percent, label
from cjkit.plots.columns import draw_columns
from cjkit.privacy import Relation, Totals
from cjkit.statistics import mean_interval, wilson_interval


@dataclass(frozen=True)
class Stickiness:
    """What `measure_stickiness` found.

    Attributes
    ----------
    table : DataFrame, one row for each number of days, from 1 to the days of the period
        `days` (local days with something done), `customers` (count), `share` of those who did
        something at all (0 to 1, Wilson) with `share_low` and `share_high`.
    stickiness : float
        Customers active on an average day, as a share of those active in the period (0 to 1); with
        `low` and `high` (95%). Missing where nobody was.
    period : Period
    sql : tuple of str
    """

    table: pd.DataFrame
    stickiness: float
    low: float
    high: float
    period: Period
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("share", "share_low", "share_high")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"),)

    def finding(self, language: Language) -> str:
        """Say what share of the period's customers an average day sees."""
        return label(
            "stickiness_finding",
            language,
            share=format_percent(self.stickiness, language),
            low=format_percent(self.low, language),
            high=format_percent(self.high, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the customers for each number of days, as far as anybody comes."""
        rows = self.table[self.table["customers"].fillna(1) > 0]
        ax = draw_columns(
            [format_number(days, language) for days in rows["days"]],
            rows["share"].to_numpy(float, na_value=np.nan),
            [format_number(customers, language) for customers in rows["customers"]],
            write=lambda share: format_percent(share, language, digits=0),
            ax=ax,
        )
        ax.set_xlabel(label("active_days", language))
        return ax


def measure_stickiness(events: Table, period: Period) -> Stickiness:
    """Count on how many local days of a period each customer did something.

    Messages to customers do not count. An average day sees `stickiness` of the period's customers:
    their active days together, over the days of the period times the customers.

    Parameters
    ----------
    events : Table
        Reads `customer_id`, `occurred_us`, `local_date`, `direction`.
    period : Period
    """
    sql = f"""
        select days, count(*) as customers from (
            select customer_id, count(distinct local_date) as days from {events} as log
            where coalesce(direction, 'inbound') <> 'outbound'
                and occurred_us >= {period.start_us} and occurred_us < {period.end_us}
            group by customer_id) as active group by days"""
    found = events.engine.query(sql).set_index("days")["customers"]
    table = found.reindex(range(1, period.days + 1), fill_value=0).astype("int64").reset_index()
    everybody = int(table["customers"].sum())
    table["share"] = table["customers"] / (everybody or np.nan)
    table["share_low"], table["share_high"] = wilson_interval(table["customers"], everybody)
    days = table["days"] / period.days
    total, squares = (days * table["customers"]).sum(), (days**2 * table["customers"]).sum()
    low, high = mean_interval(total, squares, everybody)
    return Stickiness(
        table, total / everybody if everybody else np.nan, float(low), float(high), period, (sql,)
    )
