"""What the value models need to know of each customer, and how many customers share it.

A purchase is a *purchase day*: a local day with an order line that is no return; several orders on
one day are one purchase. Guests (rows without a customer) have no history.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.engine import Table, text
from cjkit.labels import Language, label
from cjkit.statistics import Floats


@dataclass(frozen=True)
class Obstacle:
    """Why the data cannot answer: a term of the words, and the figures that it names."""

    term: str
    values: dict[str, object]

    def words(self, language: Language) -> str:
        """Return the sentence that readers see."""
        return label(self.term, language, **self.values)


@dataclass(frozen=True, eq=False)
class Histories:
    """Distinct purchase histories.

    Attributes
    ----------
    table : DataFrame, one row for each distinct history
        `repeats` (purchase days after the first), `first_day`, `last_day`, `later_purchases`
        (purchase days from `until` on), `customers` who share all of these, `repeat_spend` and
        `later_spend` (money of those customers together on those days, returns left out).
    until : date
        The day after the last day of the histories.
    sql : str
    """

    table: pd.DataFrame
    until: datetime.date
    sql: str

    def times(self, unit: pd.Timedelta) -> tuple[Floats, Floats, Floats]:
        """Return `repeats`, `recency` and `age` in `unit`s.

        The day of the first purchase is day 0, and the last day of the observation the day before
        `until`.
        """
        end = pd.Timestamp(self.until) - pd.Timedelta(days=1)
        first, last = pd.to_datetime(self.table["first_day"]), self.table["last_day"]
        return (
            self.table["repeats"].to_numpy(float),
            (last - first).to_numpy() / unit.to_timedelta64(),
            (end - first).to_numpy() / unit.to_timedelta64(),
        )


def read_histories(
    orders: Table, until: datetime.date, *, then: datetime.date | None = None
) -> Histories:
    """Group the customers who bought before `until` by their history, in one statement.

    Parameters
    ----------
    orders : Table
        Reads `customer_id`, `local_date`, `revenue`, `is_return`.
    until : date
        Histories end before this day.
    then : date, optional
        What the same customers bought from `until` up to, not with, this day is counted beside.
    """
    sql = f"""
        select repeats, first_day, last_day, later_purchases, count(*) as customers,
            sum(repeat_spend) as repeat_spend, sum(later_spend) as later_spend
        from ({customers_sql(orders, until, then)}) as customers
        group by repeats, first_day, last_day, later_purchases
        order by repeats, first_day, last_day, later_purchases"""
    table = orders.engine.query(sql)
    for day in ("first_day", "last_day"):
        table[day] = pd.to_datetime(table[day])
    return Histories(table, until, sql)


def customers_sql(orders: Table, until: datetime.date, then: datetime.date | None = None) -> str:
    """Write the SQL of one row for each customer who bought before `until`."""
    start = day(until)
    return f"""
        select customer_id, first_day,
            max(case when local_date < {start} then local_date end) as last_day,
            count(case when local_date < {start} then 1 end) - 1 as repeats,
            greatest(sum(case when local_date > first_day and local_date < {start}
                then revenue else 0 end), 0) as repeat_spend,
            count(case when local_date >= {start} then 1 end) as later_purchases,
            sum(case when local_date >= {start} then revenue else 0 end) as later_spend
        from ({purchase_days_sql(orders, then or until)}) as days
        where first_day < {start}
        group by customer_id, first_day"""


def purchase_days_sql(orders: Table, until: datetime.date) -> str:
    """Write the SQL of one row for each purchase day of each customer before `until`."""
    return f"""
        select customer_id, local_date, coalesce(sum(revenue), 0) as revenue,
            min(local_date) over (partition by customer_id) as first_day
        from {orders}
        where customer_id is not null and not coalesce(is_return, false)
            and local_date < {day(until)}
        group by customer_id, local_date"""


def day(value: datetime.date) -> str:
    """Return `value` as an SQL date."""
    return f"cast({text(value.isoformat())} as date)"


def end_of(orders: Table, until: str | datetime.date | None) -> datetime.date:
    """Return `until` as a date or, where it is not given, the day after the last purchase.

    Raises
    ------
    CjkitError
        When `until` is no day, or is not given and there is no purchase.
    """
    if until is not None:
        return parse_day(until, name="until")
    found = orders.engine.query(
        f"select max(local_date) as last_day from {orders} where customer_id is not null"
    )
    last = pd.Timestamp(found["last_day"].iloc[0])
    if pd.isna(last):
        raise CjkitError(f"Table {orders.name!r} has no purchase of a known customer.")
    return last.date() + datetime.timedelta(days=1)


def parse_day(value: str | datetime.date, *, name: str) -> datetime.date:
    """Return `value` ('2026-11-01') as a date; messages call it `name`."""
    try:
        return pd.Timestamp(value).date()
    except (ValueError, TypeError) as error:
        raise CjkitError(f"{name}={value!r} is not a day. Write '2026-11-01'.") from error
