"""A typical way: of the ways that several customers took, the one nearest to all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cjkit.checks import microseconds
from cjkit.engine import Table, text
from cjkit.statistics import Floats

STEPS = 6
_MOST_WAYS = 150


def find_ways(
    events: Table, segments: Table, *, conversion: str, within: str = "30D", least: int = 5
) -> tuple[pd.DataFrame, str]:
    """Find the ways to the last conversion of each segment's customers that several of them took.

    A way is the touchpoints of the customer's last conversion and of the events up to `within`
    before it, repeats at one place together, messages to the customer left out; its last six.

    Parameters
    ----------
    events : Table
        Reads `customer_id`, `event`, `touchpoint`, `occurred_us`, `step_no`, `direction`.
    segments : Table
        `customer_id`, `segment`.
    conversion : str
    within : str, default '30D'
    least : int, default 5
        Fewer customers make no way that anybody sees.

    Returns
    -------
    DataFrame, one row for each way of a segment
        `segment`, `path` (tuple of touchpoints, first to last), `customers` (who took just this),
        `people` (all with a conversion); the most taken first.
    sql : str
    """
    before_us = microseconds(within, name="within")
    slots = ", ".join(
        f"max(case when place = {place} then touchpoint end) as slot_{place}"
        for place in range(STEPS, 0, -1)
    )
    names = ", ".join(f"slot_{place}" for place in range(STEPS, 0, -1))
    sql = f"""
        select segment, {names}, count(*) as customers, sum(count(*)) over (
            partition by segment) as people
        from (select customer_id, segment, {slots} from (
            select customer_id, segment, touchpoint, row_number() over (
                partition by customer_id order by step_no desc) as place
            from (select log.customer_id, last.segment, log.touchpoint, log.step_no,
                    lag(log.touchpoint) over (
                        partition by log.customer_id order by log.step_no) as earlier
                from {events} as log join (
                    select own.customer_id, segments.segment, max(own.step_no) as last_no,
                        max(own.occurred_us) as last_us
                    from {events} as own join {segments} as segments
                        on segments.customer_id = own.customer_id
                    where own.event = {text(conversion)}
                    group by own.customer_id, segments.segment) as last
                    on last.customer_id = log.customer_id and log.step_no <= last.last_no
                        and log.occurred_us >= last.last_us - {before_us}
                where log.touchpoint is not null
                    and coalesce(log.direction, 'inbound') <> 'outbound') as led
            where earlier is null or earlier <> touchpoint) as turns
        group by customer_id, segment) as ways
        group by segment, {names}"""
    kept = f"""
        select * from (select *, row_number() over (
                partition by segment order by customers desc, {names}) as place
            from ({sql}) as counted where customers >= {max(int(least), 1)}) as ranked
        where place <= {_MOST_WAYS} order by segment, place"""
    found = events.engine.query(kept)
    slots_of = [f"slot_{place}" for place in range(STEPS, 0, -1)]
    found["path"] = [
        tuple(str(step) for step in row if isinstance(step, str))
        for row in found[slots_of].itertuples(index=False)
    ]
    return found[["segment", "path", "customers", "people"]], kept


def typical_way(ways: pd.DataFrame) -> pd.Series[Any] | None:
    """Return the medoid of the ways of one segment: least edits, on average, from all customers'.

    Distances are Levenshtein's over the length of the longer way; of equal ones the way that more
    customers took. None where there is no way.

    Examples
    --------
    >>> ways = pd.DataFrame({"path": [("a", "d"), ("a", "b", "d"), ("c", "b", "d")],
    ...                      "customers": [9, 8, 7]})
    >>> typical_way(ways)["path"]
    ('a', 'b', 'd')
    """
    if ways.empty:
        return None
    paths, weights = list(ways["path"]), ways["customers"].to_numpy(float)
    far = np.array([[_distance(a, b) for b in paths] for a in paths])
    cost = far @ weights / weights.sum()
    return ways.iloc[int(np.lexsort((-weights, cost.round(12)))[0])]


def _distance(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the edits that make one way of the other, as a share of the longer one."""
    row: Floats = np.arange(len(b) + 1, dtype=float)
    for i, step in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (step != other))
    return float(row[-1]) / max(len(a), len(b), 1)
