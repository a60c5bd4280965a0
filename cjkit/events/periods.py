"""Periods: half-open local days, and those that they are compared with."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pandas as pd

from cjkit.checks import CjkitError, one_of


@dataclass(frozen=True)
class Period:
    """Half-open local days `start` to `end`, with the same bounds in UTC microseconds.

    Attributes
    ----------
    start, end : date
        The first day, and the day after the last.
    start_us, end_us : int
        Local midnight of both in microseconds since 1970, UTC.
    """

    start: datetime.date
    end: datetime.date
    start_us: int
    end_us: int

    @property
    def days(self) -> int:
        """How many local days it holds."""
        return (self.end - self.start).days


def local_midnight_us(day: datetime.date, time_zone: str) -> int:
    """Return local midnight of `day` in microseconds since 1970, UTC.

    Examples
    --------
    >>> local_midnight_us(datetime.date(1970, 1, 2), "Asia/Tokyo") // 3_600_000_000
    15
    """
    midnight = datetime.datetime.combine(day, datetime.time(), ZoneInfo(time_zone))
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (midnight - epoch) // datetime.timedelta(microseconds=1)


def make_period(start: datetime.date, end: datetime.date, time_zone: str) -> Period:
    """Return the period of the local days from `start` up to, not with, `end`."""
    if end <= start:
        raise CjkitError(f"The period from {start} to {end} is empty: end must be after start.")
    return Period(
        start, end, local_midnight_us(start, time_zone), local_midnight_us(end, time_zone)
    )


def find_periods(
    as_of: datetime.date, *, length: str, compare: str, time_zone: str
) -> tuple[Period, Period]:
    """Return the period that ends at `as_of`, and the one that it is compared with.

    Parameters
    ----------
    as_of : date
        The day after the last day that counts.
    length : str
        A number and a unit: D (days), W (weeks of 7 days), M, Q, Y (calendar months, quarters and
        years back from `as_of`; a day that a month lacks becomes its last).
    compare : {'previous', 'year_before'}
        The period just before, or the same days a year earlier.
    time_zone : str
        The zone of the company, whose days these are.

    Examples
    --------
    >>> now, before = find_periods(
    ...     datetime.date(2026, 11, 1), length="1M", compare="previous", time_zone="Asia/Tokyo"
    ... )
    >>> now.start.isoformat(), before.start.isoformat(), before.end.isoformat()
    ('2026-10-01', '2026-09-01', '2026-10-01')
    """
    one_of("period.compare", compare, ("previous", "year_before"))
    start = _step_back(as_of, length)
    now = make_period(start, as_of, time_zone)
    if compare == "previous":
        return now, make_period(_step_back(start, length), start, time_zone)
    return now, make_period(_step_back(start, "1Y"), _step_back(as_of, "1Y"), time_zone)


def _step_back(day: datetime.date, length: str) -> datetime.date:
    found = re.fullmatch(r"([1-9][0-9]*)([DWMQY])", length)
    if not found:
        raise CjkitError(
            f"period.length={length!r} is no length: write a number and D, W, M, Q or Y, like '1M'."
        )
    number, unit = int(found[1]), found[2]
    offsets: Mapping[str, pd.DateOffset] = {
        "D": pd.DateOffset(days=number),
        "W": pd.DateOffset(weeks=number),
        "M": pd.DateOffset(months=number),
        "Q": pd.DateOffset(months=3 * number),
        "Y": pd.DateOffset(years=number),
    }
    return (pd.Timestamp(day) - offsets[unit]).date()
