"""Clocks that are wrong by whole hours, known by the hours of the day at which people act.

A file that was written in another zone has the daily profile of the others, some hours away. What
tells it from people with other habits is how alike the others are: a file is suspected only when it
lies far outside their differences as it stands, and fits them once it is shifted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cjkit.cleansing.landing import Landing
from cjkit.cleansing.rows import mark
from cjkit.cleansing.rules import IS_CLEAN
from cjkit.engine import text

LEAST_EVENTS = 200
"""A daily profile of fewer events says nothing about a clock."""

LEAST_OTHERS = 2
"""Of two profiles that differ, nobody can tell which one is right."""

_FAR, _LEFT = 9.0, 0.2
_NIGHT_HOURS = 6
_HOUR_US = 3_600_000_000

Counts = npt.NDArray[np.float64]


def find_clock_shifts(landing: Landing) -> pd.DataFrame:
    """Find files whose daily profile agrees with that of others only when shifted by whole hours.

    Each file's clean events per local hour of the day are compared with those of the other files of
    its source; then each source as a whole, without the files found so, with the other sources,
    which may well have other habits. `find_shift` decides. Profiles of fewer than 200 events, and
    those with fewer than two others to compare with, are left alone. The events of a suspected file
    are flagged, and kept as they are: `[sources.<name>] shift` of the project repairs them.

    Returns
    -------
    DataFrame
        `source`, `file`, `events`, `shift_hours` (to be added), `agreement` (0 to 1, with the
        others as it stands), `agreement_shifted`.
    """
    profiles = _count_hours(landing)
    found = []
    for _, files in profiles.groupby(level="source", sort=False):
        found += _find_among(files)
    right = profiles.drop(index=[name for name, *_ in found])
    sources = right.groupby(level="source", sort=False).sum()
    for source, *shift in _find_among(sources, is_one_habit=False):
        found += [(name, *shift) for name in right.index if name[0] == source]
    rows = [
        (source, file, int(profiles.loc[(source, file)].sum()), *shift)
        for (source, file), *shift in found
    ]
    for source, file, *_ in rows:
        mark(
            landing.engine,
            "events",
            ["clock_shift"],
            f"""{IS_CLEAN} and file_no = (select file_no from files where "table" = 'events'
                and source = {text(source)} and file = {text(file)})""",
        )
    columns = ["source", "file", "events", "shift_hours", "agreement", "agreement_shifted"]
    kinds = ["str", "str", "int64", "int64", "float64", "float64"]
    return pd.DataFrame(rows, columns=columns).astype(dict(zip(columns, kinds, strict=True)))


def find_shift(
    profile: Counts, others: Counts, *, is_one_habit: bool = True
) -> tuple[int, float, float] | None:
    """Say by how many hours a clock is wrong, or None where nothing speaks for it.

    Profiles are told apart by their Hellinger distance d = 1 - sum(sqrt(p q)), p and q being the
    shares of events in each hour. The reference is the median of the other profiles in each hour,
    which a few wrong clocks among them do not move. The clock is wrong by the shift of least
    distance d', where that is not 0, when

    - d is 9 times as large as the others' own distances (their median, times (k / (k - 1))^2 for
      the k of them, since each is part of its own reference), and as what chance alone gives to
      two samples of one habit, 23 / 8 (1 / n + 1 / m);
    - the shift takes four fifths of d away: what is left is no other habit;
    - and, where they need not have one habit, a quarter or more lies between midnight and six,
      and less of the others: beside shops of the day one of the evening is no wrong clock, one
      of the night is.

    Parameters
    ----------
    profile : array of 24 numbers
        Events in each local hour of the day.
    others : array of (profiles, 24) numbers
        Those of others, two or more.
    is_one_habit : bool, default True
        Whether they are files of one source, rather than different sources.

    Returns
    -------
    (hours, agreement, agreement_shifted) or None
        The hours to add (-11 to 12), 1 - d and 1 - d'.

    Examples
    --------
    >>> day = 1000 * np.exp(-((np.arange(24) - 14) ** 2) / 18)
    >>> find_shift(np.roll(day, -9), np.array([day, 2 * day, day]))[0]
    9
    >>> find_shift(day, np.array([day, 2 * day, day])) is None
    True
    """
    shares = others / others.sum(axis=1, keepdims=True)
    reference = np.median(shares, axis=0)
    if not reference.any():
        return None
    agreements = [_agreement(np.roll(profile, hours), reference) for hours in range(24)]
    best = int(np.argmax(agreements))
    distance, left = 1 - agreements[0], 1 - agreements[best]
    own_part = (len(others) / (len(others) - 1)) ** 2
    usual = own_part * float(np.median([1 - _agreement(other, reference) for other in others]))
    chance = 23 / 8 * (1 / profile.sum() + 1 / others.sum())
    if best == 0 or distance < _FAR * max(usual, chance) or left > _LEFT * distance:
        return None
    if not is_one_habit and (_is_by_night(reference) or not _is_by_night(profile)):
        return None
    return best if best <= 12 else best - 24, agreements[0], agreements[best]


def _agreement(profile: Counts, reference: Counts) -> float:
    shares, expected = profile / profile.sum(), reference / reference.sum()
    return float(np.sqrt(shares * expected).sum())


def _is_by_night(profile: Counts) -> bool:
    """Say whether the hours from midnight to six have as much as an even day would give them."""
    return bool(profile[:_NIGHT_HOURS].sum() >= _NIGHT_HOURS / 24 * profile.sum())


def _find_among(
    profiles: pd.DataFrame, *, is_one_habit: bool = True
) -> list[tuple[Any, int, float, float]]:
    """Compare each profile that is large enough with the others that are."""
    large = profiles[profiles.sum(axis=1) >= LEAST_EVENTS]
    counts = large.to_numpy(float)
    if len(large) <= LEAST_OTHERS:
        return []
    found = []
    for place, name in enumerate(large.index):
        others = np.delete(counts, place, axis=0)
        if (shift := find_shift(counts[place], others, is_one_habit=is_one_habit)) is not None:
            found.append((name, *shift))
    return found


def _count_hours(landing: Landing) -> pd.DataFrame:
    """Count the clean events of each file (`source`, `file`) in each local hour of the day."""
    zone = text(landing.project.project.time_zone)
    local = f"timezone({zone}, timezone('UTC', make_timestamp(hour_no * {_HOUR_US})))"
    counts = landing.engine.query(
        f"""select source, file, hour({local}) as hour, sum(n) as n
            from (select file_no, time_us // {_HOUR_US} as hour_no, count(*) as n
                from "facts events" where {IS_CLEAN} and content is not null group by all) as hours
            join (select * from files where "table" = 'events') as files using (file_no)
            group by all order by min(file_no)"""
    )
    table = counts.pivot_table("n", ["source", "file"], "hour", "sum", fill_value=0, sort=False)
    return table.reindex(columns=range(24), fill_value=0)
