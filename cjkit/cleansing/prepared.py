"""The prepared log: clean rows up to `as_of`, with all that later questions would compute again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cjkit.cleansing.rows import IS_RETURN, OWN_ID, Landing, extra_columns
from cjkit.cleansing.rules import IS_CLEAN, RULES, SETS_ASIDE
from cjkit.cleansing.sales import order_events_sql
from cjkit.engine import DuckDB, column, text
from cjkit.events import CONTRACT, ORDER, SQL_TYPES, sequence_sql
from cjkit.project import Project

_FLAGS = tuple(rule for rule in RULES if rule.outcome == "flagged" and rule.tables == ("events",))
_LOCAL_DATE = "cast({local} as date) as local_date"
_LOCAL_MONTH = "cast(date_trunc('month', {local}) as date) as local_month"
_DATED = ("orders", "feedback")
_ROWS = "row_group_size 122880, compression zstd"


@dataclass(frozen=True)
class Written:
    """How many rows of one prepared table there are, and how many of them no source made."""

    rows: int
    derived: int


def write_log(landing: Landing, folder: Path, as_of_us: int) -> dict[str, Written]:
    """Write every table of the contract to `folder` as Parquet, without rows from `as_of_us` on.

    Needs the facts of all tables, `people`, `profiles`, `order lines` and `sale places`.
    """
    engine = landing.engine
    written: dict[str, Written] = {}
    for table in CONTRACT:
        if table in ("customers", "events"):
            continue
        rows = (_lines_sql if table == "orders" else partial(_rows_sql, table=table))(
            landing, as_of_us=as_of_us
        )
        path = folder / f"{table}.parquet"
        engine.copy(rows, path, options=_ROWS)
        engine.view(f"prepared {table}", f"select * from read_parquet({text(str(path))})")
        written[table] = Written(_count(engine, table), 0)
    derived = order_events_sql('"prepared orders"')
    path = folder / "events.parquet"
    engine.copy(_events_sql(landing, as_of_us, derived), path, options=_ROWS)
    engine.view("prepared events", f"select * from read_parquet({text(str(path))})")
    made = engine.query(f"select count(*) as n from ({derived}) as derived")["n"].iloc[0]
    written["events"] = Written(_count(engine, "events"), int(made))

    path = folder / "customers.parquet"
    engine.copy(_customers_sql(landing, as_of_us), path, options=_ROWS)
    engine.view("prepared customers", f"select * from read_parquet({text(str(path))})")
    without = engine.query('select count(*) as n from "prepared customers" where not has_profile')
    written["customers"] = Written(_count(engine, "customers"), int(without["n"].iloc[0]))
    return written


def _count(engine: DuckDB, table: str) -> int:
    return int(engine.query(f'select count(*) as n from "prepared {table}"')["n"].iloc[0])


def _clean_rows(table: str, as_of_us: int) -> str:
    """Write the join that keeps the clean rows of a landed table that are earlier than `as_of_us`.

    What is set aside is little beside what is kept: it is joined and left out.
    """
    return f"""
        from "landed {table}" as rows
        left join (select row_id, failed from "facts {table}" where failed <> 0) as marks
            on marks.row_id = rows.row_id
        left join people on people.person_key = rows.person_key
        where coalesce(marks.failed & {SETS_ASIDE}, 0) = 0
            and (rows.time_us is null or rows.time_us < {as_of_us})"""


def _time(name: str, table: str) -> list[str]:
    """Write a time with its twin; one that cannot be, in a column that may be missing, is blank."""
    impossible = next(rule for rule in RULES if rule.name == "impossible_date")
    value = f"rows.{column(name)}"
    if table in impossible.tables and name == CONTRACT[table].time:
        value = f"case when coalesce(marks.failed & {impossible.bit}, 0) = 0 then {value} end"
    twin = name.removesuffix("_at") + "_us"
    return [f"{value} as {column(name)}", f"epoch_us({value}) as {column(twin)}"]


def _values(landing: Landing, table: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Write the columns of a prepared table that its rows bring, the mapping's own last."""
    chosen: list[str] = []
    for name, kind in CONTRACT[table].columns.items():
        if name in leave_out:
            continue
        chosen += _time(name, table) if kind == "time" else [f"rows.{column(name)}"]
    return chosen + [f"rows.{column(name)}" for name in extra_columns(landing.engine, table)]


def _local(project: Project, time: str) -> str:
    return f"timezone({text(project.project.time_zone)}, timezone('UTC', {time}))"


def _rows_sql(landing: Landing, *, table: str, as_of_us: int) -> str:
    """Write the SQL of a prepared table whose rows stand as they were landed."""
    rule = CONTRACT[table]
    chosen = _values(landing, table)
    if rule.person != "none":
        chosen.insert(0, "people.customer_id")
    if table == "feedback":
        # The key of the contract is there for every row, whether or not the source has one.
        chosen[chosen.index('rows."feedback_id"')] = _id_sql("feedback_id")
    if table in _DATED:
        local = _local(landing.project, f"rows.{rule.time}")
        chosen += ["rows.time_precision", _LOCAL_DATE.format(local=local)]
        chosen += [_LOCAL_MONTH.format(local=local)]
    chosen += [f"rows.{name}" for name in ("source", "file", "record_no")]
    return f"select {', '.join(chosen)} {_clean_rows(table, as_of_us)} order by rows.row_id"


def _id_sql(name: str) -> str:
    """Write the SQL of a row's id: its source's own where that is unique, else its provenance."""
    own = f"rows.{column(name)}"
    return (
        f"case when {own} is not null and coalesce(rows.unique_key = {own}, true) "
        f"then rows.source || ':' || {own} else {OWN_ID} end as {column(name)}"
    )


def _lines_sql(landing: Landing, *, as_of_us: int) -> str:
    """Write the SQL of the prepared lines of orders, each with its number."""
    # Returned lines carry the numbers of the sold ones, and lines set aside leave gaps.
    line_no = (
        f"row_number() over (partition by rows.order_id order by {IS_RETURN}, rows.line_no, "
        "rows.row_id) as line_no"
    )
    local = _local(landing.project, "rows.ordered_at")
    return f"""
        select rows.order_id, {line_no}, people.customer_id,
            {", ".join(_values(landing, "orders", ("order_id", "line_no")))}, rows.time_precision,
            {_LOCAL_DATE.format(local=local)}, {_LOCAL_MONTH.format(local=local)},
            rows.source, rows.file, rows.record_no
        {_clean_rows("orders", as_of_us)}
        order by rows.order_id, line_no"""


def _events_sql(landing: Landing, as_of_us: int, derived: str) -> str:
    """Write the SQL of the prepared events: those of the sources and those of the orders, in order.

    What neither a row nor the event's own entry in the project says, its touchpoint's entry says.
    """
    project = landing.project
    _add_defaults(landing)
    own = _values(landing, "events", ("event_id", "flags", "occurred_at"))
    flags = ", ".join(
        f"case when marks.failed & {rule.bit} <> 0 then '{rule.name}' end" for rule in _FLAGS
    )
    local = _local(project, "occurred_at")
    placed = ("touchpoint", "channel", "stage")
    order = [name for name in CONTRACT["events"].columns if name not in placed]
    named = ", ".join(f"happened.{column(name)}" for name in [*order, "valid_until_us"])
    mapped = extra_columns(landing.engine, "events")
    extra = "".join(f", happened.{column(name)}" for name in mapped)
    relation = f"""(
        select customer_id, {named}, epoch_us(occurred_at) as occurred_us,
            coalesce(happened.touchpoint, here.touchpoint) as touchpoint,
            coalesce(happened.channel, here.channel) as channel,
            coalesce(happened.stage, here.stage, there.stage) as stage,
            source, file, record_no{extra},
            {_LOCAL_DATE.format(local=local)}, hour({local}) as local_hour,
            isodow({local}) as local_weekday, {_LOCAL_MONTH.format(local=local)}
        from (select {_id_sql("event_id")}, people.customer_id, rows.occurred_at, {", ".join(own)},
                nullif(concat_ws(',', rows.flags, {flags}), '') as flags,
                rows.source, rows.file, rows.record_no
            {_clean_rows("events", as_of_us)}
            union all by name {derived}) as happened
        left join "event places" as here on here.event = happened.event
        left join "touchpoint places" as there
            on there.touchpoint = coalesce(happened.touchpoint, here.touchpoint))"""
    chosen = ", ".join(
        f"cast({column(name)} as {SQL_TYPES[kind]}) as {column(name)}"
        + (f", {column(name.removesuffix('_at') + '_us')}" if kind == "time" else "")
        for name, kind in CONTRACT["events"].columns.items()
        if name != "event_id"
    )
    more = "".join(f", {column(name)}" for name in mapped)
    return f"""
        select event_id, customer_id, {chosen}, source, file, record_no,
            local_date, local_hour, local_weekday, local_month,
            cast(session_no as bigint) as session_no, step_no,
            next_event, next_touchpoint, microseconds_to_next{more}
        from ({sequence_sql(relation, gap=project.session.gap)}) as sequenced
        order by customer_id, {ORDER}"""


def _add_defaults(landing: Landing) -> None:
    """Write what the project says of events and touchpoints as two small tables."""
    project, engine = landing.project, landing.engine
    events = [
        (name, place.touchpoint, place.channel, place.stage)
        for name, place in project.events.items()
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


def _customers_sql(landing: Landing, as_of_us: int) -> str:
    """Write the SQL of one row for each person of the log.

    Of several records of a person each attribute is the latest that is not missing.
    """
    engine = landing.engine
    attributes = ["acquired_channel", *extra_columns(engine, "customers")]
    latest = "".join(
        f", arg_max(rows.{column(name)}, profiles.rank) as {column(name)}" for name in attributes
    )
    carried = "".join(f", known.{column(name)}" for name in attributes)
    seen = " union ".join(
        f'select customer_id from "prepared {table}" where customer_id is not null'
        for table in ("events", "orders", "feedback", "assignments")
    )
    impossible = next(rule for rule in RULES if rule.name == "impossible_date")
    return f"""
        with known as (
            select profiles.customer_id, min(case when facts.failed & {impossible.bit} = 0
                    then rows.signed_up_at end) as signed_up_at{latest}
            from profiles join "landed customers" as rows using (row_id)
            join "facts customers" as facts using (row_id)
            where profiles.customer_id in (select customer_id
                from profiles join "facts customers" using (row_id)
                where {IS_CLEAN} and (time_us is null or time_us < {as_of_us}))
            group by profiles.customer_id)
        select customer_id, known.signed_up_at, epoch_us(known.signed_up_at) as signed_up_us
            {carried}, known.customer_id is not null as has_profile
        from (select customer_id from known union {seen}) as people
        left join known using (customer_id)
        order by customer_id"""
