"""Lifecycle: who is new, active, at risk, dormant, back again or lost, and how that changed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, parse_duration, unknown_name
from cjkit.engine import Table, text
from cjkit.events import PURCHASE
from cjkit.labels import Language, display_name, format_date, format_number, format_percent, label
from cjkit.plots.stacks import draw_stacks
from cjkit.plots.theme import COMPARED, PALETTE
from cjkit.privacy import Relation, Totals
from cjkit.segmentation.assign import DAY_US
from cjkit.statistics import wilson_interval

STATUSES = ("new", "active", "resurrected", "at_risk", "dormant", "lost")
_DEFAULT_WINDOW = 90
_COLOURS = {
    "new": PALETTE[0],
    "active": PALETTE[2],
    "resurrected": PALETTE[4],
    "at_risk": PALETTE[5],
    "dormant": PALETTE[3],
    "lost": COMPARED,
}


@dataclass(frozen=True)
class Lifecycle:
    """What `measure_lifecycle` found: how many customers stand where, window by window.

    Attributes
    ----------
    table : DataFrame, one row for each window and status
        `until` (the local day after the window), `lifecycle` (the status at its end), `customers`
        (count), `share` of all who had been customers by then (0 to 1, Wilson) with `share_low` and
        `share_high`.
    customers : Table
        On the engine, one row for each customer at the end of the last window: `customer_id`,
        `segment` (the status).
    window : Timedelta
    lost_after : int
        Windows without anything after which somebody is lost.
    sql : tuple of str
    """

    table: pd.DataFrame
    customers: Table
    window: pd.Timedelta
    lost_after: int
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("share", "share_low", "share_high")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers", ("until",)),)
    formats: ClassVar[dict[str, str]] = {"lifecycle": "lifecycle"}

    @property
    def now(self) -> pd.DataFrame:
        """The rows of the last window."""
        last: pd.DataFrame = self.table[self.table["until"] == self.table["until"].max()]
        return last

    @property
    def pulse(self) -> float:
        """New and resurrected customers for each who fell quiet in the last window.

        Above 1 the circle of active customers grows. Missing where nobody fell quiet.
        """
        customers = self.now.set_index("lifecycle")["customers"].astype(float)
        if customers.empty or not customers["at_risk"] > 0:
            return float("nan")
        return float((customers["new"] + customers["resurrected"]) / customers["at_risk"])

    def finding(self, language: Language) -> str:
        """Say how many won and won back stand against those who fell quiet."""
        if self.table.empty:
            return label("no_lifecycle", language)
        now = self.now.set_index("lifecycle")
        is_calm = now["customers"]["at_risk"] == 0
        return label(
            "lifecycle_calm" if is_calm else "lifecycle_finding",
            language,
            days=format_number(self.window / pd.Timedelta("1D"), language),
            share=format_percent(now["share"]["active"], language),
            customers=format_number(now["customers"]["active"], language),
            quiet=format_number(now["customers"]["at_risk"], language),
            pulse=format_number(self.pulse, language, digits=2),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the shares of the statuses at the end of each window."""
        wide = self.table.pivot(index="until", columns="lifecycle", values="share")
        return draw_stacks(
            [format_date(day, language) for day in wide.index],
            [
                (display_name(status, "lifecycle", language), wide[status].to_numpy(float), colour)
                for status, colour in _COLOURS.items()
                if status in wide
            ],
            write=lambda share: format_percent(share, language, digits=0),
            ax=ax,
        )


def measure_lifecycle(
    events: Table,
    *,
    event: str | None = PURCHASE,
    as_of_us: int | None = None,
    window: str | pd.Timedelta | None = None,
    lost_after: int = 4,
    windows: int = 8,
    time_zone: str = "UTC",
    name: str = "lifecycle",
) -> Lifecycle:
    """Say for the end of each window where customers stand, by the windows in which they acted.

    Time is cut into windows of equal length back from `as_of_us`. At the end of a window somebody
    who acted in it is `new` (never before), `active` (also in the window before) or `resurrected`
    (before, but not in the window before); who did not is `at_risk` (acted in the window before),
    `lost` (in none of the last `lost_after` windows) or `dormant` (between the two). Each customer
    has exactly one status from the first act on.

    Windows that the log does not hold whole are left out, and so is the first one, in which
    everybody is new.

    Parameters
    ----------
    events : Table
        Reads `customer_id`, `event`, `occurred_us`, `direction`.
    event : str or None, default 'purchase'
        What counts as acting; None: all that is not a message to the customer.
    as_of_us : int, optional
        The end of the last window (microseconds since 1970, UTC); default just after the last
        event.
    window : str or Timedelta, optional
        Default the whole days within which three in four people who act again do so (90 days where
        nobody does), but at most a fifth of the log, so that there are windows to compare.
    lost_after : int, default 4
        At least 2.
    windows : int, default 8
        The most windows that are counted.
    time_zone : str, default 'UTC'
        In which the days of `until` are named.
    name : str, default 'lifecycle'
        What the customers' table is called on the engine.

    Raises
    ------
    CjkitError
        When the log has no such event, `window` has no unit, or `lost_after` or `windows` is too
        small.
    """
    if lost_after < 2 or windows < 1:
        raise CjkitError(
            f"lost_after={lost_after!r}, windows={windows!r}: give at least 2 and at least 1."
        )
    # Purchases come from orders: a log without any has none, and is no mistake.
    if event not in (None, PURCHASE) and event not in (known := events.values("event")) and known:
        raise unknown_name("event", event, known)
    engine = events.engine
    wanted = f"event = {text(event)}" if event else "coalesce(direction, 'inbound') <> 'outbound'"
    acts = f"select customer_id, occurred_us from {events} as log where {wanted}"
    span = engine.query(
        f"select min(occurred_us) as first_us, max(occurred_us) as last_us from ({acts}) as acts"
    ).iloc[0]
    if as_of_us is None:
        as_of_us = 0 if pd.isna(span["last_us"]) else int(span["last_us"]) + 1
    acts += f" and occurred_us < {as_of_us}"
    length = parse_duration(window, name="window") if window else _usual_gap(events, acts, span)
    width = length // pd.Timedelta("1us")
    # Of the windows that the log holds whole, the first has none before it.
    whole = 0 if pd.isna(span["first_us"]) else (as_of_us - int(span["first_us"])) // width
    placed = _statuses_sql(acts, as_of_us, width, lost_after, max(1, min(windows, whole - 1)))
    customers_sql = (
        f"select customer_id, lifecycle as segment from ({placed}) as placed where back = 0"
    )
    customers = engine.materialize(name, customers_sql)
    sql = f"""
        select back, lifecycle, count(*) as customers from ({placed}) as placed
        group by back, lifecycle"""
    return Lifecycle(
        _tidy(engine.query(sql), as_of_us, width, time_zone),
        customers,
        length,
        lost_after,
        (customers_sql, sql),
    )


def _usual_gap(events: Table, acts: str, span: pd.Series[Any]) -> pd.Timedelta:
    gaps = f"""(select (occurred_us - lag(occurred_us) over (
            partition by customer_id order by occurred_us)) / {DAY_US}.0 as days
        from ({acts}) as acts)"""
    found = events.engine.quantiles(gaps, "days", [0.75])["p75"].iloc[0]
    days = _DEFAULT_WINDOW if pd.isna(found) else int(np.ceil(found))
    held = 0 if pd.isna(span["last_us"]) else int(span["last_us"] - span["first_us"]) // DAY_US
    return pd.Timedelta(days=max(1, min(days, held // 5)))


def _statuses_sql(acts: str, as_of_us: int, width: int, lost_after: int, windows: int) -> str:
    """Write the SQL of each customer's status at the end of each of the last windows.

    An active window is the last one for the ends of all windows up to the next active one: so each
    stands beside its neighbours once, and no end is looked up for each customer.
    """
    ends = " union all ".join(f"select {back} as back" for back in range(windows))
    return f"""
        select customer_id, back, case
            when ago = back and earlier is null then 'new'
            when ago = back and earlier = ago + 1 then 'active'
            when ago = back then 'resurrected'
            when ago = back + 1 then 'at_risk'
            when ago - back < {int(lost_after)} then 'dormant'
            else 'lost' end as lifecycle
        from (select customer_id, ago,
                coalesce(lag(ago) over (partition by customer_id order by ago) + 1, 0) as since,
                lead(ago) over (partition by customer_id order by ago) as earlier
            from (select distinct customer_id,
                    cast(floor(({as_of_us - 1} - occurred_us) / {width}.0) as bigint) as ago
                from ({acts}) as acts) as windows) as neighbours
        join ({ends}) as ends on back between since and ago"""


def _tidy(found: pd.DataFrame, as_of_us: int, width: int, time_zone: str) -> pd.DataFrame:
    counts = found.pivot(index="back", columns="lifecycle", values="customers")
    counts = counts.reindex(columns=list(STATUSES)).fillna(0).astype("int64")
    counts = counts.sort_index(ascending=False)
    table = counts.reset_index().melt("back", var_name="lifecycle", value_name="customers")
    table = table.sort_values("back", ascending=False, kind="stable", ignore_index=True)
    everybody = table.groupby("back")["customers"].transform("sum")
    zone = ZoneInfo(time_zone)
    table.insert(
        0,
        "until",
        [
            datetime.datetime.fromtimestamp((as_of_us - int(back) * width) / 1e6, zone).date()
            for back in table.pop("back")
        ],
    )
    table["share"] = table["customers"] / everybody
    table["share_low"], table["share_high"] = wilson_interval(table["customers"], everybody)
    return table
