"""The prepared events: those of the sources and those of the orders, one after another.

Rows are sorted once, by customer and time, with no more than they carry. What depends on the events
before and after is found while they stream by in that order, on their way to the file: windows over
a partition would sort all of them again, and hold them while they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cjkit.checks import microseconds
from cjkit.cleansing.kept import FORMAT, clean_rows, id_sql, local_sql
from cjkit.cleansing.landing import Landing, extra_columns
from cjkit.cleansing.sales import order_events_sql
from cjkit.engine import DuckDB, column, text
from cjkit.events import CONTRACT, ORDER, SQL_TYPES
from cjkit.sources import event_places

_NO_FLAG = "unreadable_detail"
"""Is no flag of the event: the detail is missing, which the row itself shows."""

_ROWS_A_PART = 1_000_000
_ALWAYS = ("touchpoint", "channel", "stage", "time_precision", "event_order")
_SO_FAR = "over (rows between unbounded preceding and current row)"


def write_events(landing: Landing, path: Path, as_of_us: int) -> int:
    """Write the prepared events to the folder `path`, and return how many of them orders yielded.

    Needs what `write_log` needs, and the prepared orders.
    """
    engine = landing.engine
    _add_places(landing)
    engine.view("order events", order_events_sql('"prepared orders"'))
    gap = microseconds(landing.project.session.gap, name="session.gap")
    parts = []
    for condition in _parts(landing):
        in_order = f"({_in_order_sql(landing, as_of_us, condition)})"
        parts.append(_columns_sql(landing, sequence_in_order_sql(in_order, gap)))
    engine.copy_parts(parts, path, options=FORMAT)
    return int(engine.query('select count(*) as n from "order events"')["n"].iloc[0])


def _parts(landing: Landing) -> list[str]:
    """Write conditions that cut the customers, in their order, into one part for each thread.

    Rows that stream by keep one thread busy, so that each thread streams customers of its own. Few
    rows are one part.
    """
    files = landing.files
    made = int(files.loc[files["table"].isin(["events", "orders"]), "made"].sum())
    parts = min(landing.engine.threads, 1 + made // _ROWS_A_PART)
    ranks = [place / parts for place in range(1, parts)]
    found = landing.engine.query(
        f"select unnest(quantile_disc(customer_id, {ranks}::double[])) as cut from people"
    )
    cuts = [text(customer) for customer in found["cut"].unique()]
    above = ["true", *(f"customer_id >= {cut}" for cut in cuts)]
    below = [*(f"customer_id < {cut}" for cut in cuts), "true"]
    return [f"{low} and {high}" for low, high in zip(above, below, strict=True)]


def _in_order_sql(landing: Landing, as_of_us: int, part: str) -> str:
    """Write the SQL of the events of a part of the customers, sorted by customer and time.

    Only columns that hold anything are there.

    What neither a row nor the event's own entry in the project says, its touchpoint's entry says.
    """
    flags = ", ".join(
        f"case when marks.failed & {rule.bit} <> 0 then '{rule.name}' end"
        for rule in landing.rules
        if rule.outcome == "flagged" and "events" in rule.tables and rule.name != _NO_FLAG
    )
    landed = landing.columns["events"]
    own = [name for name in CONTRACT["events"].columns if name in {*landed, *_ALWAYS}]
    own += extra_columns(landing.engine, "events")
    chosen = ", ".join(f"rows.{column(name)}" for name in own if name not in ("event_id", "flags"))
    local = local_sql(landing.project, "happened.occurred_at")
    return f"""
        select happened.* replace (
                coalesce(happened.touchpoint, here.touchpoint) as touchpoint,
                coalesce(happened.channel, here.channel) as channel,
                coalesce(happened.stage, here.stage, there.stage) as stage),
            epoch_us(happened.occurred_at) as occurred_us, {local} as local_at
        from (select people.customer_id, {id_sql("event_id")}, {chosen},
                nullif(concat_ws(',', rows.flags, {flags}), '') as flags,
                rows.source, rows.file, rows.record_no
            {clean_rows("events", as_of_us)}
            union all by name from "order events") as happened
        left join "event places" as here on here.event = happened.event
        left join "touchpoint places" as there
            on there.touchpoint = coalesce(happened.touchpoint, here.touchpoint)
        where {part}
        order by customer_id, {ORDER}"""


def sequence_in_order_sql(relation: str, gap_us: int) -> str:
    """Write the SQL of `events.sequence_sql` for rows that already stand by customer and `ORDER`.

    Only windows over all rows before are used, which the engine answers row by row.

    Parameters
    ----------
    relation : str
        A table name as SQL, or a query in parentheses, whose rows come in order: `customer_id`,
        `event`, `touchpoint`, `occurred_us`, `time_precision`, `local_at`.
    gap_us : int
        A new session begins when nothing happened for longer than this.
    """
    return f"""
        select * exclude (is_first, goes_on, number, sessions, after_event, after_touchpoint,
                after_us, after_at, after_precision, before_us),
            cast(sessions - max(case when is_first then sessions - 1 end) {_SO_FAR} as bigint)
                as session_no,
            number - max(case when is_first then number - 1 end) {_SO_FAR} as step_no,
            case when goes_on then after_event end as next_event,
            case when goes_on then after_touchpoint end as next_touchpoint,
            case when goes_on and not (
                    (coalesce(time_precision, '') = 'day' or coalesce(after_precision, '') = 'day')
                    and cast(local_at as date) = cast(after_at as date))
                then after_us - occurred_us end as microseconds_to_next
        from (select *, row_number() over () as number,
                sum(case when is_first or occurred_us - before_us > {gap_us} then 1 else 0 end)
                    {_SO_FAR} as sessions
            from (select * exclude (before_customer, after_customer),
                    before_customer is distinct from customer_id as is_first,
                    coalesce(after_customer = customer_id, false) as goes_on
                from (select *, lag(customer_id) over () as before_customer,
                        lag(occurred_us) over () as before_us,
                        lead(customer_id) over () as after_customer,
                        lead(event) over () as after_event,
                        lead(touchpoint) over () as after_touchpoint,
                        lead(occurred_us) over () as after_us,
                        lead(local_at) over () as after_at,
                        lead(time_precision) over () as after_precision
                    from {relation} as in_order) as neighbours) as chained) as counted"""


def _columns_sql(landing: Landing, steps: str) -> str:
    """Write the SQL that gives all columns of the prepared events their place and type."""
    found = landing.engine.describe(steps)

    def typed(name: str, kind: str) -> str:
        return f"cast({column(name) if name in found else 'null'} as {kind}) as {column(name)}"

    chosen = ["event_id", "customer_id"]
    for name, kind in CONTRACT["events"].columns.items():
        if name != "event_id":
            chosen.append(typed(name, SQL_TYPES[kind]))
        if kind == "time":
            value = column(name) if name in found else "null"
            twin = name.removesuffix("_at") + "_us"
            chosen.append(f"epoch_us(cast({value} as timestamp)) as {column(twin)}")
    return f"""
        select {", ".join(chosen)}, source, file, record_no,
            cast(local_at as date) as local_date, hour(local_at) as local_hour,
            isodow(local_at) as local_weekday,
            cast(date_trunc('month', local_at) as date) as local_month,
            session_no, step_no, next_event, next_touchpoint, microseconds_to_next
            {"".join(f", {column(name)}" for name in extra_columns(landing.engine, "events"))}
        from ({steps}) as sequenced"""


def _add_places(landing: Landing) -> None:
    """Write what the project says of events and touchpoints as two small tables."""
    project, engine = landing.project, landing.engine
    events = [
        (name, place.touchpoint, place.channel, place.stage)
        for name, place in event_places(project).items()
    ]
    touchpoints = [(name, place.stage) for name, place in project.touchpoints.items()]
    _add_texts(engine, "event places", ("event", "touchpoint", "channel", "stage"), events)
    _add_texts(engine, "touchpoint places", ("touchpoint", "stage"), touchpoints)


def _add_texts(
    engine: DuckDB, name: str, columns: tuple[str, ...], rows: Sequence[tuple[str | None, ...]]
) -> None:
    """Write a small table of texts, which may have no rows."""
    selects = [", ".join("null" if value is None else text(value) for value in row) for row in rows]
    values = ", ".join(f"({row})" for row in selects) or f"({', '.join(['null'] * len(columns))})"
    casts = ", ".join(f"cast({column} as varchar) as {column}" for column in columns)
    engine.materialize(
        name,
        f"select {casts} from (values {values}) as given({', '.join(columns)}) "
        f"where {columns[0]} is not null",
    )
