"""An event's place in its journey: its session and step, and what comes next."""

from __future__ import annotations

import pandas as pd

from cjkit.checks import microseconds
from cjkit.events.contract import ORDER


def sequence_sql(relation: str, *, gap: str | pd.Timedelta = "30m", carried: str = "*") -> str:
    """Write the SQL that adds what the prepared log stores about each event's place in its journey.

    Parameters
    ----------
    relation : str
        A table name as SQL, or a query in parentheses, with the columns of `events`.
    gap : str or Timedelta, default '30m'
        A new session begins when nothing happened for longer than this.
    carried : str, default '*'
        The columns to keep, as SQL.

    Returns
    -------
    str
        SQL that gives the columns of `carried` and `session_no` (from 1 within a customer),
        `step_no` (from 1 within a customer), `next_event`, `next_touchpoint` and
        `microseconds_to_next` (missing at a customer's last event, and where either end has day
        precision and both fall on one day, since then the time between is unknown).
    """
    pause = microseconds(gap, name="gap")
    order = f"partition by customer_id order by {ORDER}"
    return f"""
        select {carried},
            sum(case when us_before is null or occurred_us - us_before > {pause} then 1 else 0 end)
                over ({order} rows between unbounded preceding and current row) as session_no,
            row_number() over ({order}) as step_no,
            lead(event) over ({order}) as next_event,
            lead(touchpoint) over ({order}) as next_touchpoint,
            case when (coalesce(time_precision, 'second') = 'day'
                    or coalesce(lead(time_precision) over ({order}), 'second') = 'day')
                and lead(local_date) over ({order}) = local_date then null
                else lead(occurred_us) over ({order}) - occurred_us end as microseconds_to_next
        from (select *, lag(occurred_us) over ({order}) as us_before
            from {relation} as unsequenced) as sequenced"""
