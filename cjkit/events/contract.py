"""The tables of a journey log: their columns, what each holds, and the one order of events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

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
