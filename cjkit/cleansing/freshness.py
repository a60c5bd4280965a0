"""How late the rows of each source come: its newest row against `as_of`, and its own rhythm."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cjkit.cleansing.landing import Landing
from cjkit.cleansing.rules import IS_CLEAN
from cjkit.engine import text
from cjkit.events import CONTRACT

LEAST_DAYS = 20
"""A source that was seen on fewer days has no rhythm yet."""

_QUARTER_US = 900_000_000


def count_days(landing: Landing, as_of_us: int) -> pd.DataFrame:
    """Count the clean rows of each local day before `as_of`: `source`, `table`, `day`, `rows`."""
    # Days begin on a quarter of an hour in every zone: few quarters are converted, not all rows.
    zone = text(landing.project.project.time_zone)
    quarters = " union all ".join(
        f"""select '{table}' as "table", file_no, time_us // {_QUARTER_US} as quarter, count(*) as n
            from "facts {table}" where {IS_CLEAN} and time_us < {as_of_us} group by all"""
        for table in CONTRACT
    )
    at = f"timezone({zone}, timezone('UTC', make_timestamp(quarter * {_QUARTER_US})))"
    return landing.engine.query(
        f"""select source, "table", cast({at} as date) as day, cast(sum(n) as bigint) as rows
            from ({quarters}) as quarters join files using ("table", file_no)
            group by all order by min(source_no), "table", day"""
    )


def measure_freshness(
    days: pd.DataFrame, as_of: datetime.date, before: pd.DataFrame
) -> pd.DataFrame:
    """Say how old the newest row of each source and table is, and how many rows came late.

    A source is stale when it has been silent for longer than ever before: when more whole days
    without a row lie between its newest row and `as_of` than between any two rows of it. One that
    was seen on fewer than 20 days never is. Only clean rows with a time before `as_of` count.

    Parameters
    ----------
    days : DataFrame
        What `count_days` gives.
    as_of : date
        The local day before which the log ends.
    before : DataFrame
        `as_of`, `source`, `table`, `rows` of the run before; no rows where there was none.

    Returns
    -------
    DataFrame
        `source`, `table`, `rows`, `newest_on` (day of the newest row), `silent_days` (whole days
        without a row since), `longest_silence` (most days without one between two rows),
        `is_stale`, and `late_rows`: rows of days that were over for the run before, beyond those
        that it had (missing where there was none, or where it ended later than this one).

    Examples
    --------
    >>> on = pd.to_datetime(["2026-01-01", "2026-01-04", "2026-01-05"])
    >>> days = pd.DataFrame({"source": "web", "table": "events", "day": on, "rows": [5, 2, 1]})
    >>> fresh = measure_freshness(days, datetime.date(2026, 1, 9), pd.DataFrame())
    >>> fresh[["silent_days", "longest_silence", "is_stale"]].values.tolist()
    [[3, 2, False]]
    """
    past = pd.Timestamp(before["as_of"].iloc[0]) if len(before) else pd.Timestamp.max
    known: Mapping[Any, int] = (
        before.set_index(["source", "table"])["rows"].to_dict() if len(before) else {}
    )
    found = []
    for (source, table), own in days.groupby(["source", "table"], sort=False):
        on = pd.to_datetime(own["day"])
        silences = on.diff().dt.days.dropna() - 1
        silent = (pd.Timestamp(as_of) - on.iloc[-1]).days - 1
        longest = int(silences.max()) if len(silences) else 0
        late: int | None = None
        if past <= pd.Timestamp(as_of):
            late = max(int(own["rows"][on < past].sum()) - known.get((source, table), 0), 0)
        is_stale = silent > longest and len(on) >= LEAST_DAYS
        rows = int(own["rows"].sum())
        found.append((source, table, rows, on.iloc[-1].date(), silent, longest, is_stale, late))
    columns = ["source", "table", "rows", "newest_on", "silent_days", "longest_silence"]
    made = pd.DataFrame(found, columns=[*columns, "is_stale", "late_rows"])
    return made.astype({"is_stale": bool, "late_rows": "Int64"})
