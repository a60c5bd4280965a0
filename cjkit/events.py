"""THE contract: the tables of a journey log, their columns, order, splits and periods.

Every source is mapped into these tables, every analysis reads them and nothing else. DESIGN words:
an event is what happened, a touchpoint where, a channel through which medium, a stage how far the
customer has come; which event belongs where is data of a project, never code.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

import pandas as pd

from cjkit.checks import CjkitError, microseconds, one_of, unknown_name
from cjkit.engine import Engine, Table, column, text
from cjkit.labels import MISSING, OTHER

Kind = Literal["text", "whole", "number", "claim", "time", "day"]
"""What a column holds: VARCHAR, BIGINT, DOUBLE, BOOLEAN, a UTC TIMESTAMP (with a twin in
microseconds), or DATE."""

SQL_TYPES: dict[Kind, str] = {
    "text": "varchar",
    "whole": "bigint",
    "number": "double",
    "claim": "boolean",
    "time": "timestamp",
    "day": "date",
}

STAGES = (
    "awareness",
    "interest",
    "consideration",
    "purchase",
    "retention",
    "loyalty",
    "advocacy",
)
METRICS = ("nps", "csat", "ces", "review")
NOTE_KINDS = ("need", "expectation", "pain", "quote")
PURCHASE = "purchase"
RETURN = "return"
PROVENANCE = ("source", "file", "record_no")
MOST_GROUPS = 20


@dataclass(frozen=True)
class TableRule:
    """What the contract says of one table.

    Attributes
    ----------
    columns : dict of str to Kind
        The columns that a mapping may fill, in order, without the provenance.
    required : tuple of str
        The columns that must hold a value in every row.
    key : tuple of str
        The columns that name a row: two rows of one table never share them.
    time : str or None
        The column that says when; its twin in microseconds is called `..._us`.
    person : {'required', 'optional', 'none'}
        Whether a row belongs to a person.
    extra : bool
        Whether a mapping may add columns: `x_*` for events, any name for customers.
    """

    columns: dict[str, Kind]
    required: tuple[str, ...]
    key: tuple[str, ...]
    time: str | None
    person: Literal["required", "optional", "none"]
    extra: bool = False


CONTRACT: dict[str, TableRule] = {
    "customers": TableRule(
        {"signed_up_at": "time", "acquired_channel": "text"},
        required=(),
        key=("customer_id",),
        time="signed_up_at",
        person="required",
        extra=True,
    ),
    "events": TableRule(
        {
            "event_id": "text",
            "occurred_at": "time",
            "event": "text",
            "touchpoint": "text",
            "channel": "text",
            "stage": "text",
            "event_order": "whole",
            "time_precision": "text",
            "ref_id": "text",
            "valid_until_at": "time",
            "duration_seconds": "number",
            "revenue": "number",
            "currency": "text",
            "cost": "number",
            "campaign": "text",
            "product_id": "text",
            "page": "text",
            "device": "text",
            "user_agent_class": "text",
            "staff_id": "text",
            "outcome": "text",
            "direction": "text",
            "flags": "text",
        },
        required=("occurred_at", "event"),
        key=("event_id",),
        time="occurred_at",
        person="required",
        extra=True,
    ),
    "orders": TableRule(
        {
            "order_id": "text",
            "line_no": "whole",
            "ordered_at": "time",
            "revenue": "number",
            "quantity": "number",
            "product_id": "text",
            "category": "text",
            "channel": "text",
            "touchpoint": "text",
            "is_return": "claim",
            "discount": "number",
            "currency": "text",
        },
        required=("ordered_at", "revenue"),
        key=("order_id", "line_no"),
        time="ordered_at",
        person="optional",
        extra=True,
    ),
    "feedback": TableRule(
        {
            "feedback_id": "text",
            "given_at": "time",
            "touchpoint": "text",
            "metric": "text",
            "score": "number",
            "score_max": "number",
            "text": "text",
            "text_language": "text",
            "emotion": "number",
            "ref_id": "text",
        },
        required=("given_at", "metric"),
        key=("feedback_id",),
        time="given_at",
        person="optional",
        extra=True,
    ),
    "consents": TableRule(
        {"purpose": "text", "is_granted": "claim", "given_at": "time"},
        required=("purpose", "is_granted"),
        key=(),
        time="given_at",
        person="required",
    ),
    "costs": TableRule(
        {
            "channel": "text",
            "campaign": "text",
            "spent_on": "day",
            "cost": "number",
            "impressions": "whole",
            "clicks": "whole",
            "currency": "text",
        },
        required=("channel", "spent_on", "cost"),
        key=(),
        time=None,
        person="none",
    ),
    "content": TableRule(
        {
            "content_id": "text",
            "channel": "text",
            "title": "text",
            "day": "day",
            "impressions": "whole",
            "engagements": "whole",
        },
        required=("content_id", "day"),
        key=(),
        time=None,
        person="none",
    ),
    "notes": TableRule(
        {
            "stage": "text",
            "touchpoint": "text",
            "persona": "text",
            "kind": "text",
            "text": "text",
            "respondents": "whole",
        },
        required=("kind", "text"),
        key=(),
        time=None,
        person="none",
    ),
    "assignments": TableRule(
        {"experiment": "text", "arm": "text", "assigned_at": "time"},
        required=("experiment", "arm"),
        key=(),
        time="assigned_at",
        person="required",
    ),
    "tombstones": TableRule(
        {"retracted_at": "time"}, required=(), key=(), time="retracted_at", person="required"
    ),
}

ORDER = "occurred_us, coalesce(event_order, 0), event_id"
"""How events that may share a time stand one after another: the one rule for ties."""


def is_known_column(table: str, name: str) -> bool:
    """Say whether a mapping may fill column `name` of `table`.

    Examples
    --------
    >>> is_known_column("events", "x_basket_size"), is_known_column("events", "basket")
    (True, False)
    """
    rule = CONTRACT[table]
    if name in rule.columns:
        return True
    if not rule.extra or name == "customer_id" or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return False
    return table == "customers" or name.startswith("x_")


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


@dataclass(frozen=True)
class Split:
    """How events are divided by a column: what `by` means in every analysis.

    Attributes
    ----------
    name : str
        The column's name, for the result.
    kind : {'customer', 'event'}
        Whether a customer has one value, or each event its own.
    relation : str
        SQL text of the events with one more column, `by_value` (text, never missing).
    values : tuple of str
        The groups, the one with most customers first; `(missing)` and `(other)` last.
    is_shortened : bool
        Whether there were more than 20 values, so that the smallest became `(other)`.
    """

    name: str
    kind: Literal["customer", "event"]
    relation: str
    values: tuple[str, ...]
    is_shortened: bool


def split_by(events: Table, by: str) -> Split:
    """Divide `events` by a column of customers, of a saved table, or of the events themselves.

    Parameters
    ----------
    events : Table
        Any table of the log with `customer_id`.
    by : str
        `column` of customers (joined by customer), else of `events` itself; or `table.column` of a
        table on the same engine that has one row for each customer, such as `segments.segment`.

    Returns
    -------
    Split
        Missing values are the group `(missing)`; with more than 20 values the 19 with most
        customers keep their names and the rest are `(other)`. No row is lost: the groups add up.

    Raises
    ------
    CjkitError
        When there is no such table or column.

    Examples
    --------
    >>> split_by(events, "event").values
    ('view', 'buy', 'cart')
    """
    engine = events.engine
    joined, name = _find_column(engine, events, by)
    owner = "joined" if joined else "base"
    value = f"coalesce(cast({owner}.{column(name)} as varchar), {text(MISSING)})"
    join = (
        f"left join {column(joined)} as joined on base.customer_id = joined.customer_id"
        if joined
        else ""
    )
    counts = engine.query(
        f"select {value} as by_value, count(distinct base.customer_id) as customers "
        f"from {events} as base {join} group by 1 order by 2 desc, 1"
    )
    found = [str(v) for v in counts["by_value"]]
    named = [v for v in found if v != MISSING]
    is_shortened = len(named) > MOST_GROUPS
    if is_shortened:
        named = named[: MOST_GROUPS - 1]
        kept = ", ".join(map(text, [*named, MISSING]))
        value = f"case when {value} in ({kept}) then {value} else {text(OTHER)} end"
        named.append(OTHER)
    values = (*named, *([MISSING] if MISSING in found else []))
    relation = f"(select base.*, {value} as by_value from {events} as base {join})"
    return Split(name, "customer" if joined else "event", relation, values, is_shortened)


def _find_column(engine: Engine, events: Table, by: str) -> tuple[str | None, str]:
    """Return the table to join (None: the events themselves) and the column that `by` names."""
    if "." in by:
        table, name = by.split(".", 1)
        if table not in engine.tables():
            unknown = unknown_name("by: table", table, engine.tables(), where="the log")
            raise CjkitError(f"{unknown} Another notebook may make it: log.save({table!r}, ...).")
        columns = engine.columns(table)
        if name not in columns or "customer_id" not in columns:
            usable = set(columns) - {"customer_id"} if "customer_id" in columns else set()
            raise unknown_name("by: column", name, usable, where=f"table {table!r}")
        return table, name
    attributes = engine.columns("customers") if "customers" in engine.tables() else {}
    if by in attributes and by != "customer_id":
        return "customers", by
    own = events.columns
    if by in own:
        return None, by
    raise unknown_name("by", by, (set(attributes) | set(own)) - {"customer_id"}, where="the log")


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
