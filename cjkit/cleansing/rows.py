"""What the gate finds about each row that sources made: one scan of each table.

The scan leaves a narrow table of whole numbers beside the landed rows, `facts`: the row's id, the
bits of the rules that it fails, when it happened, and hashes of what tells it apart. All further
steps work on that.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.cleansing.landing import FILE_SIZE, Landing, extra_columns
from cjkit.cleansing.rules import IS_CLEAN, RULE, bits
from cjkit.engine import DuckDB, column, text
from cjkit.events import CONTRACT, METRICS, NOTE_KINDS, RETURN, local_midnight_us
from cjkit.project import Project

IS_RETURN = "coalesce(is_return, false)"

DAY_US = 86_400_000_000
ABSURD_TIMES_MEDIAN = 10_000
_SAME_EVENT = (
    "event",
    "touchpoint",
    "channel",
    "product_id",
    "ref_id",
    "page",
    "campaign",
    "revenue",
)
_SOLD = RULE["absurd_amount"].tables
_REPLAY_US = 5_000_000


def find_row_faults(landing: Landing, table: str) -> None:
    """Scan a landed table once into `facts <table>`, with the bits of all rules about one row.

    Its columns: `row_id`, `file_no`, `failed` (bits of rules), `time_us`, and 64-bit hashes:
    `person` (missing without one), `record` (of the raw record and the row's line in the mapping),
    `unique_key` (missing where nothing declares one) and, for events, `content` (by which an event
    is known again: its key, else what happened, to whom and where; missing for events of nobody and
    those that only have a day).
    """
    places = _places(landing, table)
    checks = [
        f"case when {rule.predicate.format_map(places)} then {rule.bit} else 0 end"
        for rule in landing.rules
        if rule.predicate is not None and table in rule.tables
    ]
    key = _key_sql(table)
    content = (
        f"case when coalesce(time_precision, 'second') <> 'day' and person_key is not null "
        f"then coalesce({key}, hash(source, person_key, {', '.join(_SAME_EVENT)})) end"
        if table == "events"
        else "cast(null as ubigint)"
    )
    kept = [
        text(name)
        for name, source in landing.project.sources.items()
        if source.duplicates == "keep"
    ]
    landing.engine.materialize(
        f"facts {table}",
        f"""select row_id, cast(row_id // {FILE_SIZE} as integer) as file_no, time_us,
            cast({" | ".join(checks)} as bigint) as failed,
            case when person_key is not null then hash(person_key) end as person,
            case when source in ({", ".join(kept) or "null"}) then row_id
                else hash(source, row_rule, record_hash) end as record,
            {key} as unique_key, {content} as content
        from "landed {table}" """,
    )
    made = landing.files[landing.files["table"] == table].set_index("file_no")
    counted = landing.engine.query(
        f'select file_no, count(*) as n from "facts {table}" group by file_no'
    ).set_index("file_no")["n"]
    for file_no, row in made.iterrows():
        if (landed := counted.get(file_no, 0)) != row["made"] - row["erased"]:
            raise CjkitError(
                f"{row['file']!r} made {row['made']} rows of {table}, of which {row['erased']} are "
                f"erased, but {landed} were landed. "
                f"Remove the folder {landing.project.state.dir!r} and run again."
            )


def _places(landing: Landing, table: str) -> dict[str, str]:
    """Return what fills the places of predicates for one table."""
    project, rule = landing.project, CONTRACT[table]
    required = ", ".join(map(text, rule.required))
    lacks = [
        f"({column(name)} is null and not coalesce(contains(unreadable, {text(name)}), false) "
        f"and not coalesce(contains(unknown_codes, {text(name)}), false))"
        for name in rule.required
    ]
    # A day is allowed for: a clock a little fast, or a zone further east.
    future = int(time.time() * 1e6) + DAY_US
    return {
        "required": f"[{required}]" if required else "cast([] as varchar[])",
        "lacks_required": " or ".join(lacks) or "false",
        "started_us": str(_started_us(project)),
        "future_us": str(future),
        "currency": text(project.project.currency),
        "is_return": f"event = {text(RETURN)}" if table == "events" else IS_RETURN,
        "metrics": f"({', '.join(map(text, METRICS))})",
        "note_kinds": f"({', '.join(map(text, NOTE_KINDS))})",
        "absurd": _absurd_sql(landing, table) if table in _SOLD else "",
    }


def _started_us(project: Project) -> int:
    return local_midnight_us(project.company.started_on, project.project.time_zone)


def _absurd_sql(landing: Landing, table: str) -> str:
    """Write the SQL of the amount that no sale of a row's source can reach.

    It is `[quality] absurd_amount` of the project; else 10,000 times the median of the amounts
    above 0, where a source has 100 or more: beyond any spread of prices that one company has, and
    not moved by what is absurd itself.
    """
    if (declared := landing.project.quality.absurd_amount) is not None:
        return repr(declared)
    found = landing.engine.query(
        f"""select source, {ABSURD_TIMES_MEDIAN} * median(revenue) as largest
            from "landed {table}" where revenue > 0 group by source having count(*) >= 100"""
    )
    cases = " ".join(
        f"when {text(source)} then {float(largest)!r}"
        for source, largest in zip(found["source"], found["largest"], strict=True)
    )
    return f"case source {cases} end" if cases else "cast(null as double)"


def _key_sql(table: str) -> str:
    """Write the SQL of the hash under which a row may stand only once in its source.

    That is what the mapping declares as `unique`; else the key of the contract, where it is mapped.
    """
    own = [name for name in CONTRACT[table].key if name in CONTRACT[table].columns]
    declared = "when unique_key is not null then hash(source, row_rule, unique_key)"
    if not own:
        return f"case {declared} end"
    present = " and ".join(f"{column(name)} is not null" for name in own)
    columns = ", ".join(map(column, own))
    alone = f"{column(own[0])} = unique_key" if len(own) == 1 else "false"
    return (
        f"case when {alone} then hash(source, {columns}) {declared} "
        f"when {present} then hash(source, {columns}) end"
    )


def mark(engine: DuckDB, table: str, names: Iterable[str], condition: str) -> None:
    """Add the bits of the rules called `names` to the rows of `table` that meet `condition`."""
    engine.run(f'update "facts {table}" set failed = failed | {bits(names)} where {condition}')


def retract(landing: Landing, table: str) -> None:
    """Mark the rows that their source took back: those of a person up to the time of a tombstone.

    What the source tells of the person later was made again, and stays. A customer record is as old
    as its `updated_at`, where a mapping gives one. A row without a time goes. A tombstone without
    one takes back what stands before it, in the order of files and of records in them. This comes
    before repeats are looked for, so that a row which was made again is not taken for a copy of one
    that is gone.
    """
    if table not in RULE["retracted"].tables or table == "tombstones":
        return
    is_dated = table == "customers" and "updated_at" in extra_columns(landing.engine, table)
    told_us = "coalesce(epoch_us(rows.updated_at), rows.time_us)" if is_dated else "rows.time_us"
    mark(
        landing.engine,
        table,
        ["retracted"],
        f"""row_id in (select rows.row_id from "landed {table}" as rows
            join "landed tombstones" as gone using (source, person_key)
            where {told_us} is null or {told_us} <= gone.time_us
                or (gone.time_us is null
                    and (rows.file, rows.record_no) < (gone.file, gone.record_no)))""",
    )


def find_repeated_rows(landing: Landing, table: str) -> None:
    """Mark exact repeats of a record, and rows whose key another row already has; the first stays.

    A record that stands again in its file is a `duplicate_row`; in another file too, unless it has
    a key. Equal records of a source with `duplicates = "keep"` are none. A key that stands again
    within seconds is an event `replayed`. Else a key that stands again within a file is a
    `duplicate_key`; in another file it is the same thing exported twice, a `repeated_export`. Of a
    source with `duplicates = "latest"` the last row of a key stays, and those before are
    `superseded`. Records of customers are not looked at: they are merged by person.
    """
    if table not in RULE["duplicate_row"].tables:
        return
    engine, facts = landing.engine, f'"facts {table}"'
    engine.materialize(
        "repeated",
        f"""select row_id, in_file > 1 or (unique_key is null and at_all > 1) as is_repeated from (
            select row_id, unique_key,
                row_number() over (partition by record, file_no order by row_id) as in_file,
                row_number() over (partition by record order by row_id) as at_all
            from {facts} where record in
                (select record from {facts} group by record having count(*) > 1)) as numbered""",
    )
    repeated = "row_id in (select row_id from repeated where is_repeated)"
    mark(engine, table, ["duplicate_row"], repeated)
    _find_superseded(landing, table)
    if table == "events":
        _find_replays(engine)
    engine.materialize(
        "repeated",
        f"""select row_id, in_file, at_all from (
            select row_id,
                row_number() over (partition by unique_key, file_no order by row_id) as in_file,
                row_number() over (partition by unique_key order by row_id) as at_all
            from {facts} where {IS_CLEAN} and unique_key in
                (select unique_key from {facts} where {IS_CLEAN} and unique_key is not null
                    group by unique_key having count(*) > 1)) as numbered
            where at_all > 1""",
    )
    for name, condition in (("duplicate_key", "in_file > 1"), ("repeated_export", "in_file = 1")):
        mark(engine, table, [name], f"row_id in (select row_id from repeated where {condition})")
    engine.run("drop table repeated")


def _find_superseded(landing: Landing, table: str) -> None:
    """Mark all rows of a key but the latest, where a source says that its records change.

    The latest is that with the latest `x_updated_at`, where a mapping gives one, else the last of
    the last file.
    """
    changing = [
        name for name, source in landing.project.sources.items() if source.duplicates == "latest"
    ]
    if not changing:
        return
    updated = "x_updated_at"
    has_time = updated in extra_columns(landing.engine, table)
    order = f"{updated} desc nulls last, row_id desc" if has_time else "row_id desc"
    mark(
        landing.engine,
        table,
        ["superseded"],
        f"""row_id in (select row_id from (
            select row_id,
                row_number() over (partition by facts.unique_key order by {order}) as place
            from (select row_id, unique_key from "facts {table}"
                where {IS_CLEAN} and unique_key is not null) as facts
            join "landed {table}" as rows using (row_id)
            where source in ({", ".join(map(text, changing))})) as ranked where place > 1)""",
    )


def _find_replays(engine: DuckDB) -> None:
    """Mark events that come again within 5 seconds of themselves.

    Where the source gives an event a key, the key alone says which it is, and a second one at the
    same instant is left to the rules about keys. Else it is the same event of the same person,
    alike in all that `_SAME_EVENT` names.
    """
    mark(
        engine,
        "events",
        ["replayed"],
        f"""row_id in (select row_id from (
            select row_id, unique_key, time_us - lag(time_us) over (partition by content
                order by time_us, row_id) as gap_us
            from "facts events" where {IS_CLEAN} and content in
                (select content from "facts events" where {IS_CLEAN} and content is not null
                    group by content having count(*) > 1)) as neighbours
            where gap_us <= {_REPLAY_US} and (gap_us > 0 or unique_key is null))""",
    )


def first_day_left_out(landing: Landing) -> datetime.date | None:
    """Return the latest local day on which something clean happened, which may not be over yet.

    Where everything happened on that one day it is the day after, so that there is a log at all;
    None where nothing is clean.
    """
    spans = [
        landing.engine.query(
            f'select min(time_us) as low, max(time_us) as high from "facts {name}" where {IS_CLEAN}'
        )
        for name in ("events", "orders", "feedback")
    ]
    known = pd.concat(spans).dropna()
    if known.empty:
        return None
    zone = landing.project.project.time_zone
    first, latest = (
        pd.Timestamp(int(us), unit="us", tz="UTC").tz_convert(zone).date()
        for us in (known["low"].min(), known["high"].max())
    )
    return latest if first < latest else latest + datetime.timedelta(days=1)
