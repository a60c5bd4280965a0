"""Files become relations of text: one row for each record, numbered as the file has it.

The engine reads. Python only looks at the head of a file, turns other encodings into UTF-8 in
chunks, and unpacks Excel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, EngineError, column, text
from cjkit.sources.cells import LONGEST_LINE, open_csv, unpack_excel
from cjkit.sources.columns import (
    SEPARATOR,
    Reading,
    absent_columns,
    begins,
    find_columns,
    json_path,
    json_record,
    pair_lists,
    pair_value,
    record_hash,
)
from cjkit.sources.encoding import as_utf8
from cjkit.sources.expressions import without_nulls
from cjkit.sources.files import ENDINGS, FileRule, Format
from cjkit.sources.structures import keep_structured, structured

HEAD = 1000
"""How many records are asked which keys there are."""


def read_records(
    engine: DuckDB,
    name: str,
    path: Path,
    rule: FileRule,
    wanted: Sequence[str],
    *,
    salt: str,
    workspace: Path,
) -> Reading:
    """Read one file into a table called `name`: one row for each record, in the file's order.

    Parameters
    ----------
    engine : DuckDB
        Where the table will be.
    name : str
        What it will be called. Its columns are `record_no` (from 1), `record_hash` (of the whole
        record, under `salt`; missing where the record could not be read), and `f1`, `f2`, ...: the
        columns `wanted`, as text.
    path : Path
        The file; it is only read.
    rule : FileRule
        How it is written.
    wanted : sequence of str
        The columns to read. A name that no column has, but that begins with one and a dot, reaches
        into the JSON or the structure that the column holds.
    salt : str
        What keeps the hash of a record from telling what the record held.
    workspace : Path
        A folder for files in between; whoever made it removes it.

    Returns
    -------
    Reading
        What was seen on the way.

    Raises
    ------
    CjkitError
        When the file is empty, is not in its encoding or format, lacks a column, or holds not one
        record that can be read. Ragged rows and damaged lines are no error: they are counted.
    """
    reading = open_file(engine, path, rule, wanted, workspace, is_looked_through=False)
    form = format_of(path, rule)
    hashed = f"{record_hash('record_text', salt)} as record_hash"
    try:
        try:
            _keep(engine, name, reading, hashed)
        except EngineError:
            if reading.repair is None:
                raise
            reading = reading.repair()
            _keep(engine, name, reading, hashed)
    except EngineError as error:
        raise CjkitError(f"{path} cannot be read as {form}: {words_of(error)}") from error
    counts = engine.query(
        f"select count(*) as n, count(record_hash) as readable from {column(name)}"
    ).iloc[0]
    if counts["n"] > counts["readable"] and form == "ndjson":
        as_utf8(path, rule, workspace)  # it may be in another encoding
    if reading.records not in (None, counts["n"]):
        raise CjkitError(
            f"{path} cannot be read as {form}: its quotes are damaged so that {reading.records} "
            f"records become {counts['n']}. Export it again. The first: {reading.unreadable[0]}."
        )
    if counts["n"] > counts["readable"] and not reading.unreadable:
        bad = engine.query(
            f"select record_no from {column(name)} where record_hash is null order by 1 limit 5"
        )
        reading = replace(reading, unreadable=tuple(f"record {n}" for n in bad["record_no"]))
    if counts["n"] > counts["readable"] == 0:
        raise CjkitError(
            f"{path} cannot be read as {form}: not one of its {counts['n']} records is whole. "
            f"The first: {reading.unreadable[0]}."
        )
    return _with_keys(engine, name, reading, wanted, rule) if reading.names else reading


def _with_keys(
    engine: DuckDB, name: str, reading: Reading, wanted: Sequence[str], rule: FileRule
) -> Reading:
    """Add what records of JSON tell only by themselves: which keys there are, and are not."""
    keys = engine.query(str(reading.names))["name"].tolist()
    heads = {called.split(".")[0] for key in wanted for called in rule.called(key)}
    counted = "".join(f", count(f{number}) as f{number}" for number in range(1, len(wanted) + 1))
    found = engine.query(f"select count(*) as n{counted} from {column(name)}").iloc[0]
    absent = [
        key
        for number, key in enumerate(wanted, 1)
        if found[f"f{number}"] == 0
        and not any(called.split(".")[0] in keys for called in rule.called(key))
    ]
    unmapped = tuple(sorted(key for key in keys if key not in heads))
    return replace(reading, unmapped=unmapped, absent=tuple(absent), keys=tuple(sorted(keys)))


def format_of(path: Path, rule: FileRule) -> Format:
    """Return the format of a file: as the mapping says, else by the end of its name."""
    found = rule.format or ENDINGS.get(path.suffix.lower())
    if found is None:
        raise CjkitError(
            f"{path}: nothing says what this file is. Set file.format in the mapping; by its name "
            f"it would be known with {', '.join(ENDINGS)}."
        )
    return found


def _keep(engine: DuckDB, name: str, reading: Reading, hashed: str) -> None:
    if reading.structured and keep_structured(engine, name, reading, hashed):
        return
    engine.materialize(name, f"select * exclude (record_text), {hashed} from ({reading.sql})")
    if "record_no" not in engine.columns(name):
        # Rows lie in the order of reading. Counting them while they are read, by a window, would
        # let one thread alone read.
        engine.run(f"alter table {column(name)} add column record_no bigint")
        engine.run(f"update {column(name)} set record_no = rowid + 1")


def words_of(error: Exception) -> str:
    """Return what an error of the engine says, without SQL and the advice on its own options."""
    said = re.split(r"\n+(?:LINE \d+:|Possible)", str(error), maxsplit=1)[0]
    return said.replace("\n", " ").strip()


def open_file(
    engine: DuckDB,
    path: Path,
    rule: FileRule,
    wanted: Sequence[str],
    workspace: Path,
    *,
    is_looked_through: bool = True,
) -> Reading:
    """Look at the head of a file and say how the engine reads it; as `read_records`, without it.

    NDJSON need not be looked through for bytes that are no UTF-8: no line with such is read.
    """
    try:
        return _open_file(engine, path, rule, wanted, workspace, is_looked_through)
    except OSError as error:
        raise CjkitError(f"{path} cannot be read: {error.strerror or error}.") from error


def _open_file(
    engine: DuckDB,
    path: Path,
    rule: FileRule,
    wanted: Sequence[str],
    workspace: Path,
    is_looked_through: bool,
) -> Reading:
    if path.stat().st_size == 0:
        raise CjkitError(f"{path} is empty (0 bytes): export it again, or take it away.")
    form = format_of(path, rule)
    if form == "parquet":
        return _open_parquet(engine, path, rule, wanted)
    if form == "excel":
        copy = unpack_excel(path, rule, workspace)
        plain = rule.model_copy(update={"format": "csv", "header_row": 1})
        return open_csv(engine, copy, plain, wanted, workspace, shown=path)
    is_checked = is_looked_through or form != "ndjson"
    copy = as_utf8(path, rule, workspace, is_looked_through=is_checked)
    if form == "csv":
        return open_csv(engine, copy, rule, wanted, workspace, shown=path)
    if form == "ndjson":
        return _open_ndjson(copy, rule, wanted)
    return _open_json(engine, copy, rule, wanted, shown=path)


# JSON


def _open_ndjson(path: Path, rule: FileRule, wanted: Sequence[str]) -> Reading:
    read = f"read_ndjson_objects({text(str(path))}, ignore_errors = true)"
    rows = f"select json from {read}"

    def sql_of(numbers: str) -> str:
        numbered = f"select json, row_number() over () as record_no from {read}"
        some = f"select json from ({numbered}) as numbered where record_no in ({numbers})"
        return _json_reading(some, rule, wanted).sql

    reading = _json_reading(rows, rule, wanted)
    return replace(reading, structured=structured(path, rule, wanted), sql_of=sql_of)


def _open_json(
    engine: DuckDB, path: Path, rule: FileRule, wanted: Sequence[str], *, shown: Path
) -> Reading:
    size = max(path.stat().st_size + 1024, LONGEST_LINE)
    form = "auto" if rule.records is None else "unstructured"
    read = f"read_json_objects({text(str(path))}, format = '{form}', maximum_object_size = {size})"
    rows = f"select json from {read}"
    if rule.records is not None:
        inside = json_path(tuple(rule.records.split(".")))
        kinds = f"select coalesce(json_type(json, {text(inside)}), 'nothing') as kind from {read}"
        try:
            found = engine.query(kinds)["kind"]
        except EngineError as error:
            raise CjkitError(f"{shown} cannot be read as json: {words_of(error)}") from error
        if wrong := [kind for kind in found if kind != "ARRAY"]:
            raise CjkitError(
                f"{shown}: file.records={rule.records!r} leads to {wrong[0].lower()}, not to the "
                "list of records."
            )
        rows = f"select unnest(json_extract(json, {text(inside + '[*]')})) as json from {read}"
    return _json_reading(rows, rule, wanted)


def _json_reading(rows: str, rule: FileRule, wanted: Sequence[str]) -> Reading:
    """Take all columns of each record out in one go: it is parsed once.

    What is JSON but no object has no columns: it cannot be read either.
    """
    is_object = begins("json", "{")
    whole = f"case when {is_object} then json else to_json(cast(json as varchar)) end"
    raw = f"select row_number() over () as record_no, {whole} as record from ({rows}) as read"
    rows = f"select case when {is_object} then json end as json from ({rows}) as read"
    asked: dict[str, int] = {}
    paired: dict[str, str] = {}

    def place(name: str) -> str:
        pair = rule.pair_of(name)
        path = json_path(tuple((pair[0] if pair else name).split(".")))
        number = asked.setdefault(path, len(asked) + 1)
        if pair is None:
            return f"found[{number}]"
        pairs, lists = rule.pairs[pair[0]], (f"keys_{number}", f"values_{number}")
        for name, made in zip(lists, pair_lists(f"found[{number}]", pairs), strict=True):
            paired[name] = made
        return pair_value(f"found[{number}]", pair[1], pairs, lists)

    nulls = ("", *rule.nulls)
    fields = ""
    for number, name in enumerate(wanted, 1):
        values = [without_nulls(place(called), nulls) for called in rule.called(name)]
        value = values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"
        fields += f", {value} as f{number}"
    paths = ", ".join(map(text, asked))
    found = f"json_extract_string(json, [{paths}])" if wanted else "null"
    # Made once, and not for each key: a list of pairs is parsed only here.
    lists = "".join(f", {made} as {name}" for name, made in paired.items())
    return Reading(
        sql=f"""select cast(json as varchar) as record_text{fields}
        from (select *{lists} from (select json, {found} as found from ({rows}) as read) as taken)
            as paired""",
        raw=raw,
        names=f"""select distinct unnest(json_keys(json)) as name
            from (select json from ({rows}) as read where json is not null limit {HEAD}) as head""",
    )


# Parquet


def _open_parquet(engine: DuckDB, path: Path, rule: FileRule, wanted: Sequence[str]) -> Reading:
    read = f"read_parquet({text(str(path))}, file_row_number = true)"
    try:
        types = engine.describe(f"select * exclude (file_row_number) from {read}")
    except EngineError as error:
        raise CjkitError(f"{path} is no Parquet file: {words_of(error)}") from error
    names = list(types)
    places = find_columns(wanted, names, path, rule)
    fields = []
    for number, place in enumerate(places, 1):
        if place is None:
            fields.append(f", null::varchar as f{number}")
            continue
        name = names[place.number - 1]
        value, kind = column(name), types[name]
        if place.inner and kind.startswith("STRUCT") and not kind.endswith("]"):
            value += "".join(f".{column(part)}" for part in place.inner)
            try:
                (kind,) = engine.describe(f"select {value} from {read}").values()
            except EngineError as error:
                raise CjkitError(f"{path}: column {name!r} is {kind}: {words_of(error)}") from error
            value = replace(place, inner=()).value(_as_text(value, kind))
        else:
            value = place.value(_as_text(value, kind))
        fields.append(f", {without_nulls(value, ('', *rule.nulls))} as f{number}")
    cells = ", ".join(f"coalesce({_as_text(column(n), kind)}, '')" for n, kind in types.items())
    record = json_record(names, [_as_text(column(name), kind) for name, kind in types.items()])
    taken = {place.number for place in places if place}
    return Reading(
        f"""select file_row_number + 1 as record_no,
            concat_ws({SEPARATOR}, {cells}) as record_text{"".join(fields)} from {read}""",
        f"select file_row_number + 1 as record_no, cast({record} as varchar) as record from {read}",
        tuple(name for number, name in enumerate(names, 1) if number not in taken),
        absent=absent_columns(wanted, places),
        keys=tuple(names),
    )


def _as_text(value: str, kind: str) -> str:
    """Write a typed value as the text that a CSV export would hold."""
    if kind == "VARCHAR":
        return value
    if kind in ("FLOAT", "DOUBLE"):
        whole = f"cast(cast({value} as bigint) as varchar)"
        is_whole = f"{value} = trunc({value}) and abs({value}) < 1e15"
        return f"case when {is_whole} then {whole} else cast({value} as varchar) end"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        return f"cast(to_json({value}) as varchar)"
    return f"cast({value} as varchar)"
