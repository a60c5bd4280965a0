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
from cjkit.cleansing.landing import FILE_SIZE, Landing
from cjkit.cleansing.rules import IS_CLEAN, RULE, RULES, bits
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
_BOT_EVENTS, _BOT_MINUTES = 30, 3
_STEADY_EVENTS, _STEADY_SHARE = 60, 0.9


def find_row_faults(landing: Landing, table: str) -> None:
    """Scan a landed table once into `facts <table>`, with the bits of all rules about one row.

    Its columns: `row_id`, `file_no`, `failed` (bits of rules), `time_us`, and 64-bit hashes:
    `person` (missing without one), `record` (of the raw record and the row's line in the mapping),
    `unique_key` (missing where nothing declares one) and, for events, `content` (of what happened,
    to whom and where; missing for events that only have a day).
    """
    checks = [
        f"case when {rule.predicate.format_map(_places(landing, table))} then {rule.bit} else 0 end"
        for rule in RULES
        if rule.predicate is not None and table in rule.tables
    ]
    content = (
        f"case when coalesce(time_precision, 'second') <> 'day' and person_key is not null "
        f"then hash(source, person_key, {', '.join(_SAME_EVENT)}) end"
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
            {_key_sql(table)} as unique_key, {content} as content
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
        "absurd": _absurd_sql(landing.engine, table) if table in _SOLD else "",
    }


def _started_us(project: Project) -> int:
    return local_midnight_us(project.company.started_on, project.project.time_zone)


def _absurd_sql(engine: DuckDB, table: str) -> str:
    """Write the SQL of the amount that no sale of a row's source can reach: 10,000 medians."""
    found = engine.query(
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


def find_repeated_rows(engine: DuckDB, table: str) -> None:
    """Mark exact repeats of a record, and rows whose key another row already has; the first stays.

    A record that stands again in its file is a `duplicate_row`; in another file too, unless it has
    a key. Equal records of a source with `duplicates = "keep"` are none. A key that stands again
    within a file is a `duplicate_key`; in another file it is the same thing exported twice, a
    `repeated_export`. Records of customers are not looked at: they are merged by person.
    """
    if table not in RULE["duplicate_row"].tables:
        return
    facts = f'"facts {table}"'
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


def find_replays(engine: DuckDB) -> None:
    """Mark events that repeat the same event of the same person, alike in all, within 5 seconds."""
    mark(
        engine,
        "events",
        ["replayed"],
        f"""row_id in (select row_id from (
            select row_id, time_us, lag(time_us) over (partition by content
                order by time_us, row_id) as before_us
            from "facts events" where {IS_CLEAN} and content in
                (select content from "facts events" where {IS_CLEAN} and content is not null
                    group by content having count(*) > 1)) as neighbours
            where time_us - before_us <= {_REPLAY_US})""",
    )


def find_bots(engine: DuckDB) -> None:
    """Mark all events of whoever acts as no person does: too fast, or as steadily as a clock.

    Too fast are more than 30 events a minute in 3 minutes or more. Steady is an hour of more than
    60 events of which 9 in 10 follow the one before after the same whole seconds. Events that only
    have a day are not counted.
    """
    engine.materialize(
        "acts",
        f"""select customer_no, time_us from "facts events" as facts
            join (select hash(person_key) as person, customer_no from people) as people
                using (person)
            where {IS_CLEAN} and content is not null""",
    )
    mark(
        engine,
        "events",
        ["bot_rate"],
        f"""person in (select hash(person_key) from people where customer_no in (
            select customer_no from (
                select customer_no from acts
                group by customer_no, time_us // 60000000 having count(*) > {_BOT_EVENTS}) as busy
            group by customer_no having count(*) >= {_BOT_MINUTES}
            union select customer_no from (
                select customer_no, hour, count(*) as n from (
                    select *, (time_us - lag(time_us) over (partition by customer_no, hour
                        order by time_us)) // 1000000 as gap
                    from (select *, time_us // 3600000000 as hour from acts) as hourly
                    where (customer_no, hour) in (select (customer_no, time_us // 3600000000)
                        from acts group by customer_no, time_us // 3600000000
                        having count(*) > {_STEADY_EVENTS})) as gaps
                where gap is not null
                group by customer_no, hour, gap) as repeated
            group by customer_no, hour having max(n) >= {_STEADY_SHARE} * sum(n)))""",
    )
    engine.run("drop table acts")


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
