"""What `by` means: events divided by a column of customers, of a saved table, or their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import Engine, Table, column, text
from cjkit.labels import MISSING, OTHER

MOST_GROUPS = 20


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


def split_by(events: Table, by: str, *, beside: Split | None = None) -> Split:
    """Divide `events` by a column of customers, of a saved table, or of the events themselves.

    Parameters
    ----------
    events : Table
        Any table of the log with `customer_id`.
    by : str
        `column` of customers (joined by customer), else of `events` itself; or `table.column` of a
        table on the same engine that has one row for each customer, such as `segments.segment`.
    beside : Split, optional
        How the same events are divided already: the relation then holds `by_value` of that split,
        and `beside_value` of this one.

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
    divided, as_ = (beside.relation, "beside_value") if beside else (str(events), "by_value")
    relation = f"(select base.*, {value} as {as_} from {divided} as base {join})"
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
