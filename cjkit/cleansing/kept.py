"""The SQL of rows that the log keeps: which they are, what they hold, what they are called."""

from __future__ import annotations

from cjkit.cleansing.landing import OWN_ID, Landing, extra_columns
from cjkit.cleansing.rules import RULE, SETS_ASIDE
from cjkit.engine import column, text
from cjkit.events import CONTRACT
from cjkit.project import Project

FORMAT = "row_group_size 122880, compression zstd"
LOCAL_DATE = "cast({local} as date) as local_date"
LOCAL_MONTH = "cast(date_trunc('month', {local}) as date) as local_month"


def clean_rows(table: str, as_of_us: int) -> str:
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
    impossible = RULE["impossible_date"]
    value = f"rows.{column(name)}"
    if table in impossible.tables and name == CONTRACT[table].time:
        value = f"case when coalesce(marks.failed & {impossible.bit}, 0) = 0 then {value} end"
    twin = name.removesuffix("_at") + "_us"
    return [f"{value} as {column(name)}", f"epoch_us({value}) as {column(twin)}"]


def values_sql(landing: Landing, table: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Write the columns of a prepared table that its rows bring, the mapping's own last."""
    chosen: list[str] = []
    for name, kind in CONTRACT[table].columns.items():
        if name in leave_out:
            continue
        chosen += _time(name, table) if kind == "time" else [f"rows.{column(name)}"]
    return chosen + [f"rows.{column(name)}" for name in extra_columns(landing.engine, table)]


def local_sql(project: Project, time: str) -> str:
    return f"timezone({text(project.project.time_zone)}, timezone('UTC', {time}))"


def id_sql(name: str) -> str:
    """Write the SQL of a row's id: its source's own where that is unique, else its provenance."""
    own = f"rows.{column(name)}"
    return (
        f"case when {own} is not null and coalesce(rows.unique_key = {own}, true) "
        f"then rows.source || ':' || {own} else {OWN_ID} end as {column(name)}"
    )
