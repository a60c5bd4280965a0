"""Each customer's own clock: days since their first purchase, as whole numbers SQL can reckon with.

No way of subtracting dates runs on every engine, so that a small table numbers the days.
"""

from __future__ import annotations

import datetime

import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import Table, text
from cjkit.lifetime_value.histories import day

MONTH_DAYS = 365.25 / 12


def number_days(table: Table, until: datetime.date) -> Table:
    """Make the table `days`: each `local_date` before `until` that `table` may hold, and `day_no`.

    The day before `until`, the last one observed, is day 0; earlier ones are below.
    """
    found = table.engine.query(
        f"select min(local_date) as first_day from {table} where local_date < {day(until)}"
    )
    last = pd.Timestamp(until) - pd.Timedelta(days=1)
    first = pd.Timestamp(found["first_day"].iloc[0])
    days = pd.date_range(last if pd.isna(first) else min(first, last), last)
    numbers = pd.DataFrame({"local_date": days.date, "day_no": range(1 - len(days), 1)})
    return table.engine.add("numbered days", numbers)


def active_days_sql(table: Table, until: datetime.date, event: str | None) -> str:
    """Write the SQL of one row for each customer and day with `day_no` and their `first_no`.

    What counts is a purchase in a table of orders (a line that is no return), and in a table of
    events any event, or `event`.
    """
    columns = table.columns
    conditions = ["days.customer_id is not null"]
    if event is not None:
        if "event" not in columns:
            raise CjkitError(f"event={event!r}: table {table.name!r} has no column 'event'.")
        if event not in (known := table.values("event")):
            raise unknown_name("event", event, known)
        conditions.append(f"days.event = {text(event)}")
    if "is_return" in columns:
        conditions.append("not coalesce(days.is_return, false)")
    return f"""
        select customer_id, local_date, day_no,
            min(day_no) over (partition by customer_id) as first_no
        from (select days.customer_id, days.local_date, numbers.day_no
            from {table} as days join {number_days(table, until)} as numbers
                on days.local_date = cast(numbers.local_date as date)
            where {" and ".join(conditions)}
            group by days.customer_id, days.local_date, numbers.day_no) as active"""
