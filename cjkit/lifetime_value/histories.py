"""What the value models need to know of each customer, and how many customers share it.

A purchase is a *purchase day*: a local day with an order line that is no return; several orders on
one day are one purchase. Guests (rows without a customer) have no history.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.engine import Table, text
from cjkit.labels import Language, format_number, label
from cjkit.privacy import min_cell
from cjkit.statistics import Floats

LINES_AT_ONCE = 5_000_000


@dataclass(frozen=True)
class Obstacle:
    """Why the data cannot answer: a term of the words, and the figures that it names.

    `people` are counts of customers, of which readers see no small one.
    """

    term: str
    values: Mapping[str, object] = field(default_factory=dict)
    people: Mapping[str, int] = field(default_factory=dict)

    def words(self, language: Language) -> str:
        """Return the sentence that readers see."""
        counted = {
            name: label("fewer_than", language, people=min_cell())
            if 0 < count < min_cell()
            else format_number(count, language)
            for name, count in self.people.items()
        }
        return label(self.term, language, **self.values, **counted)


@dataclass(frozen=True, eq=False)
class Histories:
    """What customers had bought before a day: each on the engine, and here how many are alike.

    Attributes
    ----------
    table : DataFrame, one row for each distinct history
        `repeats` (purchase days after the first), `first_day`, `last_day`, `later_purchases`
        (purchase days from `until` on), `customers` who share all of these, `repeat_spend` and
        `later_spend` (money of those customers together on those days, returns left out).
    customers : Table
        On the engine, one row for each customer: `customer_id`, `repeats`, `first_day`, `last_day`,
        `spend` (of all purchase days), `repeat_spend`, `later_purchases`, `later_spend`.
    until : date
        The day after the last day of the histories.
    kept_share : float
        Revenue net of returns as a share of revenue before them.
    sql : tuple of str
    """

    table: pd.DataFrame
    customers: Table
    until: datetime.date
    kept_share: float
    sql: tuple[str, ...]

    def times(self, unit: pd.Timedelta) -> tuple[Floats, Floats, Floats]:
        """Return `repeats`, `recency` and `age` in `unit`s.

        The day of the first purchase is day 0, and the last day of the observation the day before
        `until`.
        """
        end = pd.Timestamp(self.until) - pd.Timedelta(days=1)
        first, last = self.table["first_day"], self.table["last_day"]
        return (
            self.table["repeats"].to_numpy(float),
            (last - first).to_numpy() / unit.to_timedelta64(),
            (end - first).to_numpy() / unit.to_timedelta64(),
        )

    def only(self, table: pd.DataFrame) -> Histories:
        """Return the same for some of the customers, whose distinct histories are `table`."""
        return Histories(table, self.customers, self.until, self.kept_share, self.sql)


def read_histories(
    orders: Table,
    *,
    until: str | datetime.date | None = None,
    then: datetime.date | None = None,
) -> Histories:
    """Group the orders by customer, and the customers who bought before `until` by history.

    The orders are grouped once: what every later step asks of a customer is kept on the engine.

    Parameters
    ----------
    orders : Table
        Reads `customer_id`, `local_date`, `revenue`, `is_return`.
    until : str or date, optional
        Histories end before this day; default the day after the last purchase.
    then : date, optional
        What the same customers bought from `until` up to, not with, this day is counted beside.

    Returns
    -------
    Histories

    Raises
    ------
    CjkitError
        When `until` is no day, or is not given and nobody bought.
    """
    end = end_of(orders, until)
    customers_sql = _customers_sql(orders, end, then or end)
    name = f"{orders.name} by customer before {end} and until {then or end}"
    customers = orders.engine.materialize(name, customers_sql)
    sql = f"""
        select repeats, first_day, last_day, later_purchases, count(*) as customers,
            sum(repeat_spend) as repeat_spend, sum(later_spend) as later_spend
        from {customers}
        group by repeats, first_day, last_day, later_purchases
        order by repeats, first_day, last_day, later_purchases"""
    # Purchases are summed up already: of the orders only returns are read again.
    kept_sql = f"""
        select (select sum(spend) from {customers}) as gross,
            (select coalesce(sum(revenue), 0) from {orders}
                where is_return and customer_id is not null and local_date < {day(end)})
                as returned"""
    table = orders.engine.query(sql)
    for first_or_last in ("first_day", "last_day"):
        table[first_or_last] = pd.to_datetime(table[first_or_last])
    gross, returned = orders.engine.query(kept_sql).iloc[0]
    share = float((gross + returned) / gross) if gross > 0 else float("nan")
    return Histories(table, customers, end, share, (customers_sql, sql, kept_sql))


def _customers_sql(orders: Table, until: datetime.date, then: datetime.date) -> str:
    """Write the SQL of one row for each customer who bought before `until`."""
    start = day(until)
    parts = [
        f"""
        select customer_id, min(local_date) as first_day,
            max(case when local_date < {start} then local_date end) as last_day,
            count(case when local_date < {start} then 1 end) - 1 as repeats,
            sum(case when local_date < {start} then revenue else 0 end) as spend,
            greatest(sum(case when purchase_no > 1 and local_date < {start}
                then revenue else 0 end), 0) as repeat_spend,
            count(case when local_date >= {start} then 1 end) as later_purchases,
            sum(case when local_date >= {start} then revenue else 0 end) as later_spend
        from ({purchase_days_sql(orders, then, only)}) as days
        group by customer_id
        having min(local_date) < {start}"""
        for only in _ranges(orders)
    ]
    return " union all ".join(parts)


def purchase_days_sql(orders: Table, until: datetime.date, only: str = "") -> str:
    """Write the SQL of one row for each purchase day of each customer before `until`."""
    return f"""
        select customer_id, local_date, coalesce(sum(revenue), 0) as revenue,
            row_number() over (partition by customer_id order by local_date) as purchase_no
        from {orders}
        where customer_id is not null and not coalesce(is_return, false)
            and local_date < {day(until)}{only}
        group by customer_id, local_date"""


def _ranges(orders: Table) -> list[str]:
    """Part the customers into ranges that an engine can group without its disk; mostly one.

    Where a range begins is seen from the customers of a few days, in the engine's own order.
    """
    parts = orders.count() // LINES_AT_ONCE + 1
    if parts == 1:
        return [""]
    span = orders.engine.query(
        f"select min(local_date) as first_day, max(local_date) as last_day from {orders}"
    )
    days = pd.date_range(span["first_day"].iloc[0], span["last_day"].iloc[0], periods=8)
    some = ", ".join(sorted({day(one.date()) for one in days}))
    seen = orders.engine.query(
        f"select distinct customer_id from {orders}"
        f" where customer_id is not null and local_date in ({some}) order by customer_id"
    )["customer_id"]
    cuts = [text(seen.iloc[len(seen) * k // parts]) for k in range(1, parts) if len(seen)]
    since = ["", *(f" and customer_id >= {cut}" for cut in cuts)]
    until = [*(f" and customer_id < {cut}" for cut in cuts), ""]
    return [low + high for low, high in zip(since, until, strict=True)]


def day(value: datetime.date) -> str:
    """Return `value` as an SQL date."""
    return f"cast({text(value.isoformat())} as date)"


def end_of(table: Table, until: str | datetime.date | None) -> datetime.date:
    """Return `until` as a date or, where it is not given, the day after the last row's.

    Raises
    ------
    CjkitError
        When `until` is no day, or is not given and there is no row of a known customer.
    """
    if until is not None:
        return parse_day(until, name="until")
    found = table.engine.query(
        f"select max(local_date) as last_day from {table} where customer_id is not null"
    )
    last = pd.Timestamp(found["last_day"].iloc[0])
    if pd.isna(last):
        raise CjkitError(f"Table {table.name!r} has no row of a known customer.")
    return last.date() + datetime.timedelta(days=1)


def parse_day(value: str | datetime.date, *, name: str) -> datetime.date:
    """Return `value` ('2026-11-01') as a date; messages call it `name`."""
    try:
        return pd.Timestamp(value).date()
    except (ValueError, TypeError) as error:
        raise CjkitError(f"{name}={value!r} is not a day. Write '2026-11-01'.") from error
