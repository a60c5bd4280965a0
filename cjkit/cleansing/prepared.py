"""The prepared log: clean rows up to `as_of`, with all that later questions would compute again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cjkit.cleansing.kept import (
    FORMAT,
    LOCAL_DATE,
    LOCAL_MONTH,
    clean_rows,
    id_sql,
    local_sql,
    values_sql,
)
from cjkit.cleansing.landing import Landing, extra_columns
from cjkit.cleansing.rows import IS_RETURN
from cjkit.cleansing.rules import IS_CLEAN, RULE
from cjkit.cleansing.sequence import write_events
from cjkit.engine import DuckDB, column, text
from cjkit.events import CONTRACT

_DATED = ("orders", "feedback")


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
        engine.copy(rows, path, options=FORMAT)
        engine.view(f"prepared {table}", f"select * from read_parquet({text(str(path))})")
        written[table] = Written(_count(engine, table), 0)
    path = folder / "events.parquet"
    made = write_events(landing, path, as_of_us)
    engine.view("prepared events", f"select * from read_parquet({text(str(path))})")
    written["events"] = Written(_count(engine, "events"), made)

    path = folder / "customers.parquet"
    engine.copy(_customers_sql(landing, as_of_us), path, options=FORMAT)
    engine.view("prepared customers", f"select * from read_parquet({text(str(path))})")
    without = engine.query('select count(*) as n from "prepared customers" where not has_profile')
    written["customers"] = Written(_count(engine, "customers"), int(without["n"].iloc[0]))
    return written


def _count(engine: DuckDB, table: str) -> int:
    return int(engine.query(f'select count(*) as n from "prepared {table}"')["n"].iloc[0])


def _rows_sql(landing: Landing, *, table: str, as_of_us: int) -> str:
    """Write the SQL of a prepared table whose rows stand as they were landed."""
    rule = CONTRACT[table]
    chosen = values_sql(landing, table)
    if rule.person != "none":
        chosen.insert(0, "people.customer_id")
    if table == "feedback":
        # The key of the contract is there for every row, whether or not the source has one.
        chosen[chosen.index('rows."feedback_id"')] = id_sql("feedback_id")
    if table in _DATED:
        local = local_sql(landing.project, f"rows.{rule.time}")
        chosen += ["rows.time_precision", LOCAL_DATE.format(local=local)]
        chosen += [LOCAL_MONTH.format(local=local)]
    chosen += [f"rows.{name}" for name in ("source", "file", "record_no")]
    return f"select {', '.join(chosen)} {clean_rows(table, as_of_us)} order by rows.row_id"


def _lines_sql(landing: Landing, *, as_of_us: int) -> str:
    """Write the SQL of the prepared lines of orders, each with its number."""
    # Returned lines carry the numbers of the sold ones, and lines set aside leave gaps.
    line_no = (
        f"row_number() over (partition by rows.order_id order by {IS_RETURN}, rows.line_no, "
        "rows.row_id) as line_no"
    )
    local = local_sql(landing.project, "rows.ordered_at")
    return f"""
        select rows.order_id, {line_no}, people.customer_id,
            {", ".join(values_sql(landing, "orders", ("order_id", "line_no")))},
            rows.time_precision, {LOCAL_DATE.format(local=local)},
            {LOCAL_MONTH.format(local=local)}, rows.source, rows.file, rows.record_no
        {clean_rows("orders", as_of_us)}
        order by rows.order_id, line_no"""


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
    impossible = RULE["impossible_date"]
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
