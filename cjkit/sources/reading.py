"""Files become relations of text: one row for each record, numbered as the file has it.

The engine reads. Python only looks at the head of a file, turns other encodings into UTF-8 in
chunks, and unpacks Excel.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from python_calamine import CalamineError, CalamineWorkbook

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import DuckDB, EngineError, column, text
from cjkit.sources.expressions import without_nulls
from cjkit.sources.mapping import ENDINGS, FileRule, Format

CHUNK = 1 << 22
LONGEST_LINE = 16_000_000
SEPARATOR = "chr(31)"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LIKELY = ("utf-8", "cp932", "euc_jp", "utf-16", "cp1252", "latin-1")


@dataclass(frozen=True)
class Reading:
    """How the engine reads one file.

    Attributes
    ----------
    sql : str
        A query that gives `record_no` (from 1), `record_text` (the whole record; missing where it
        could not be read), and the columns that were asked for, as text: `f1`, `f2`, ... in order.
    unmapped : tuple of str
        The columns of the file that nobody asked for, as far as its head shows them.
    unreadable : tuple of str
        The first records that could not be read, in words.
    repair : callable or None
        What to do when the engine refuses `sql`: it returns a reading that tells bad records from
        good ones.
    """

    sql: str
    unmapped: tuple[str, ...]
    unreadable: tuple[str, ...] = ()
    repair: Callable[[], Reading] | None = None


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
        What it will be called. Its columns are `record_no` (from 1), `record_hash` (64 bits of MD5
        over `salt` and the whole record; missing where the record could not be read), and `f1`,
        `f2`, ...: the columns `wanted`, as text.
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
        When the file is empty, is not in its encoding or format, or lacks a column. Ragged rows
        and damaged lines are no error: they are counted.
    """
    try:
        reading = _open_file(engine, path, rule, wanted, workspace)
    except OSError as error:
        raise CjkitError(f"{path} cannot be read: {error.strerror or error}.") from error
    # || keeps a missing text missing, which marks the records that could not be read.
    hashed = f"md5_number_lower({text(salt)} || record_text) as record_hash"
    try:
        try:
            _keep(engine, name, reading, hashed)
        except EngineError:
            if reading.repair is None:
                raise
            reading = reading.repair()
            _keep(engine, name, reading, hashed)
    except EngineError as error:
        raise CjkitError(
            f"{path} cannot be read as {format_of(path, rule)}: {_first_line(error)}"
        ) from error
    return reading


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
    engine.materialize(name, f"select * exclude (record_text), {hashed} from ({reading.sql})")


def _first_line(error: Exception) -> str:
    """Return what an error of the engine says, without the advice on its own options."""
    return str(error).split("\nPossible", 1)[0].replace("\n", " ").strip()


def _open_file(
    engine: DuckDB, path: Path, rule: FileRule, wanted: Sequence[str], workspace: Path
) -> Reading:
    if path.stat().st_size == 0:
        raise CjkitError(f"{path} is empty (0 bytes): export it again, or take it away.")
    form = format_of(path, rule)
    if form == "parquet":
        return _open_parquet(engine, path, rule, wanted)
    if form == "excel":
        copy = _unpack_excel(path, rule, workspace)
        plain = rule.model_copy(update={"format": "csv", "header_row": 1})
        return _open_csv(engine, copy, plain, wanted, workspace, shown=path)
    copy = _as_utf8(path, rule, workspace)
    if form == "csv":
        return _open_csv(engine, copy, rule, wanted, workspace, shown=path)
    if form == "ndjson":
        return _open_ndjson(copy, rule, wanted)
    return _open_json(copy, rule, wanted)


# Encodings


def _as_utf8(path: Path, rule: FileRule, workspace: Path) -> Path:
    """Return the file itself where it is clean UTF-8, else a copy of it in UTF-8.

    A byte order mark says more than the declaration: it decides, and is left out of the copy.
    """
    with path.open("rb") as file:
        head = file.read(4)
        mark, encoding = next(
            ((mark, name) for mark, name in _BOMS if head.startswith(mark)), (b"", rule.encoding)
        )
        name = codecs.lookup(encoding).name
        file.seek(len(mark) if name == "utf-8" else 0)
        if name in ("utf-8", "ascii") and not mark:
            for _ in _decoded(file, path, name):
                pass
            return path
        copy = workspace / "utf8"
        with copy.open("w", encoding="utf-8", newline="") as out:
            for chunk in _decoded(file, path, name):
                out.write(chunk)
    return copy


def _decoded(file: BinaryIO, path: Path, encoding: str) -> Iterator[str]:
    """Yield the text of a file in chunks; CjkitError says which byte does not fit."""
    decoder = codecs.getincrementaldecoder(encoding)()
    start, lines = file.tell(), 0
    while True:
        held = len(decoder.getstate()[0])
        chunk = file.read(CHUNK)
        try:
            decoded = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            offset = start - held + error.start
            line = lines + error.object[: error.start].count(b"\n") + 1
            fitting = [other for other in _LIKELY if other != encoding and _fits(path, other)]
            hint = f" It could be {' or '.join(fitting)}: set file.encoding." if fitting else ""
            wrong = error.object[error.start : error.end].hex(" ")
            raise CjkitError(
                f"{path} is not {encoding}: line {line} (byte {offset}) holds {wrong}.{hint}"
            ) from error
        if not chunk:
            return
        start += len(chunk)
        lines += chunk.count(b"\n")
        yield decoded


def _fits(path: Path, encoding: str) -> bool:
    with path.open("rb") as file:
        sample = file.read(CHUNK)
    try:
        decoded = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    # Every pair of bytes is some UTF-16 and every byte some latin-1: look for signs of text.
    return not re.search(
        "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff]", decoded[:10_000]
    ) and (not encoding.startswith("utf-16") or "\n" in decoded)


# CSV and Excel


def _open_csv(
    engine: DuckDB,
    path: Path,
    rule: FileRule,
    wanted: Sequence[str],
    workspace: Path,
    *,
    shown: Path,
) -> Reading:
    """Read the head of a CSV file in UTF-8; errors call it `shown`."""
    names, body = _read_header(path, rule, shown)
    places = [_find_column(name, names, shown) for name in wanted]
    if body.needs_copy:
        source = path
        path = workspace / "body"
        with source.open("rb") as whole, path.open("wb") as copy:
            whole.seek(body.offset)
            shutil.copyfileobj(whole, copy, CHUNK)
    table = _CsvTable(path, rule.delimiter, len(names), 0 if body.needs_copy else 1, body.line)
    cells = [f"coalesce({cell}, '')" for cell in table.cells]
    fields = [f"concat_ws({SEPARATOR}, {', '.join(cells)}) as record_text"]
    for number, place in enumerate(places, 1):
        value = _reach_json(f"c{place.number}", place.inner) if place.inner else f"c{place.number}"
        fields.append(f"{without_nulls(value, rule.nulls)} as f{number}")
    taken = {place.number for place in places}
    unmapped = tuple(name for number, name in enumerate(names, 1) if number not in taken)
    strict = table.read()
    # The only cell of a blank line is missing: such a line is no record.
    rows = strict if len(names) > 1 else f"(select * from {strict} where c1 is not null)"
    return Reading(
        f"select row_number() over () as record_no, {', '.join(fields)} from {rows}",
        unmapped,
        repair=lambda: _repair(engine, table, fields, unmapped, workspace),
    )


@dataclass(frozen=True)
class _CsvTable:
    """The part of a CSV file that holds the records: `skip` lines on, from line `first` (from 1)."""

    path: Path
    delimiter: str
    width: int
    skip: int
    first: int

    @property
    def cells(self) -> list[str]:
        """The names of its columns in SQL."""
        return [f"c{number}" for number in range(1, self.width + 1)]

    def read(self, path: Path | None = None, before: Sequence[str] = ()) -> str:
        """Write the strict reading of this part, or of a file of the same form."""
        columns = ", ".join(f"{text(cell)}: 'varchar'" for cell in (*before, *self.cells))
        return (
            f"read_csv({text(str(path or self.path))}, header = false, auto_detect = false, "
            f"skip = {0 if path else self.skip}, delim = {text(self.delimiter)}, quote = '\"', "
            f"escape = '\"', columns = {{{columns}}}, max_line_size = {LONGEST_LINE})"
        )


@dataclass(frozen=True)
class _Body:
    """Where the records of a CSV file begin: byte, line (from 1), and whether one skip reaches it."""

    offset: int
    line: int
    needs_copy: bool


@dataclass(frozen=True)
class _Place:
    """A column of a file (from 1), and the path inside it, if any."""

    number: int
    inner: tuple[str, ...] = ()


def _read_header(path: Path, rule: FileRule, shown: Path) -> tuple[list[str], _Body]:
    """Return the column names and where the records begin."""
    with path.open("rb") as file:
        lines = _Lines(file)
        for _ in islice(lines, rule.header_row - 1):
            pass
        reader = csv.reader(lines, delimiter=rule.delimiter)
        try:
            names = next(reader, [])
            own = lines.count
            for _ in islice(reader, rule.skip_rows):
                pass
        except csv.Error as error:
            raise CjkitError(
                f"{shown}, line {lines.count}: no header can be read: {error}."
            ) from error
        body = _Body(lines.offset, lines.count + 1, (own, lines.count) != (1, 1))
    if not any(name.strip() for name in names):
        raise CjkitError(
            f"{shown} has no column names in line {rule.header_row}: set file.header_row to the line "
            "that holds them."
        )
    return names, body


class _Lines:
    """The lines of a UTF-8 file as text, with how many lines and bytes were taken."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0
        self.offset = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self.count += 1
        self.offset += len(line)
        return line.decode("utf-8", errors="replace")


def _find_column(wanted: str, names: Sequence[str], path: Path) -> _Place:
    """Find a column by its exact name, else whatever its case, else as the path inside a column."""
    parts = wanted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        for same in (str.strip, lambda given: given.strip().casefold()):
            found = [number for number, other in enumerate(names, 1) if same(other) == same(name)]
            if len(found) > 1:
                raise CjkitError(
                    f"{path} has {len(found)} columns called {name!r} (columns "
                    f"{' and '.join(map(str, found))}): give each its own name."
                )
            if found:
                return _Place(found[0], tuple(parts[length:]))
    raise unknown_name("column", wanted, [name.strip() for name in names], where=str(path))


def _repair(
    engine: DuckDB,
    table: _CsvTable,
    fields: Sequence[str],
    unmapped: tuple[str, ...],
    workspace: Path,
) -> Reading:
    """Read a CSV file with damaged rows: tell the good records from the bad, and number both.

    A line that has all cells is a record. Neighbours that have not are put together while a quote
    is open; what then has all cells is a record of several lines. All other lines are unreadable,
    each counted by itself, so that one stray quote never swallows the rows after it.
    """
    whole = _plain_lines(table.path, workspace / "lines")
    mark = _absent_character(whole)
    divide = re.escape(table.delimiter)
    cell = f'(?:"(?:[^"]|"")*"|(?:[^"{divide}\\r\\n][^{divide}\\r\\n]*)?)'
    shape = text(f"{cell}(?:{divide}{cell}){{{table.width - 1}}}")
    lines = (
        f"read_csv({text(str(whole))}, header = false, auto_detect = false, delim = {text(mark)}, "
        f"quote = '', escape = '', columns = {{'line': 'varchar'}}, max_line_size = {LONGEST_LINE})"
    )
    engine.materialize(
        "damaged lines",
        f"""select line_no, line, coalesce(regexp_full_match(line, {shape}, 's'), false) as is_whole
        from (select row_number() over () as line_no, line from {lines}) as numbered
        where line_no > {table.skip}""",
    )
    engine.materialize(
        "damaged records",
        f"""with part as (
            select *, line_no - row_number() over (order by line_no) as run
            from "damaged lines" where not is_whole),
        quoted as (
            select *, sum(length(line) - length(replace(line, '"', ''))) over (partition by run
                order by line_no rows between unbounded preceding and 1 preceding) as quotes_before
            from part),
        begun as (
            select *, sum(case when coalesce(quotes_before, 0) % 2 = 0 then 1 else 0 end) over (
                partition by run order by line_no rows unbounded preceding) as record
            from quoted),
        joined as (
            select run, record, min(line_no) as line_no,
                string_agg(coalesce(line, ''), chr(10) order by line_no) as line
            from begun group by run, record),
        repaired as (
            select *, regexp_full_match(line, {shape}, 's') and line <> '' as is_whole from joined),
        found as (
            select line_no, line, is_whole from "damaged lines" where is_whole
            union all select line_no, line, is_whole from repaired where is_whole
            union all select begun.line_no, begun.line, false
                from begun join repaired using (run, record)
                where not repaired.is_whole and begun.line is not null)
        select row_number() over (order by line_no) as record_no, * from found order by line_no""",
    )
    good = workspace / "good"
    engine.run(
        f"""copy (select record_no || {text(table.delimiter)} || line from "damaged records"
            where is_whole order by record_no)
        to {text(str(good))} (format csv, header false, quote '', escape '', delimiter {text(mark)})"""
    )
    bad = engine.query(
        'select line_no, line from "damaged records" where not is_whole order by line_no limit 5'
    )
    nothing = ", ".join("null" for _ in fields)
    return Reading(
        f"""select cast(number as bigint) as record_no, {", ".join(fields)}
            from {table.read(good, before=["number"])}
        union all select record_no, {nothing} from "damaged records" where not is_whole""",
        unmapped,
        tuple(
            f"line {line_no + table.first - 1 - table.skip} has not {table.width} cells: {line[:60]!r}"
            for line_no, line in zip(bad["line_no"], bad["line"], strict=True)
        ),
    )


def _plain_lines(path: Path, copy: Path) -> Path:
    """Copy a file with all its line ends made one kind, since the engine refuses a mixture."""
    held = b""
    with path.open("rb") as source, copy.open("wb") as out:
        while chunk := source.read(CHUNK):
            chunk = held + chunk
            held = chunk[-1:] if chunk.endswith(b"\r") else b""
            chunk = chunk[: len(chunk) - len(held)]
            out.write(chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        out.write(b"\n" if held else b"")
    return copy


def _absent_character(path: Path) -> str:
    """Return a control character that a file does not hold, to read its lines whole."""
    left = {bytes([code]) for code in range(1, 32) if code not in (9, 10, 13)}
    with path.open("rb") as file:
        while left and (chunk := file.read(CHUNK)):
            left = {mark for mark in left if mark not in chunk}
    if not left:
        raise CjkitError(f"{path} holds every control character: it is no text file.")
    return max(left).decode()


def _unpack_excel(path: Path, rule: FileRule, workspace: Path) -> Path:
    """Write one sheet as CSV, from its header row on."""
    try:
        book = CalamineWorkbook.from_path(path)
    except (CalamineError, OSError, ValueError) as error:
        raise CjkitError(f"{path} is no Excel workbook: {error}.") from error
    sheet = rule.sheet or book.sheet_names[0]
    if sheet not in book.sheet_names:
        raise unknown_name("file.sheet", sheet, book.sheet_names, where=str(path))
    rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    copy = workspace / "sheet.csv"
    with copy.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for row in islice(rows, rule.header_row - 1, None):
            if any(cell != "" for cell in row):
                writer.writerow([_excel_text(cell) for cell in row])
    if copy.stat().st_size == 0:
        raise CjkitError(
            f"{path}, sheet {sheet!r}: there is nothing from row {rule.header_row} on."
        )
    return copy


def _excel_text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ")
    return str(cell)


# JSON


def _open_ndjson(path: Path, rule: FileRule, wanted: Sequence[str]) -> Reading:
    read = f"read_ndjson_objects({text(str(path))}, ignore_errors = true)"
    # A line that is JSON but no object has no columns: it cannot be read either.
    return _json_reading(
        f"select case when starts_with(ltrim(json), '{{') then json end as json from {read}",
        rule,
        wanted,
    )


def _open_json(path: Path, rule: FileRule, wanted: Sequence[str]) -> Reading:
    size = max(path.stat().st_size + 1024, LONGEST_LINE)
    form = "auto" if rule.records is None else "unstructured"
    read = f"read_json_objects({text(str(path))}, format = '{form}', maximum_object_size = {size})"
    rows = f"select json from {read}"
    if rule.records is not None:
        inside = _json_path(tuple(rule.records.split("."))) + "[*]"
        rows = f"select unnest(json_extract(json, {text(inside)})) as json from {read}"
    return _json_reading(rows, rule, wanted)


def _json_reading(rows: str, rule: FileRule, wanted: Sequence[str]) -> Reading:
    """Take all columns of each record out in one go: it is parsed once."""
    paths = ", ".join(text(_json_path(tuple(name.split(".")))) for name in wanted)
    found = f"json_extract_string(json, [{paths}])" if wanted else "null"
    fields = "".join(
        f", {without_nulls(f'found[{number}]', ('', *rule.nulls))} as f{number}"
        for number in range(1, len(wanted) + 1)
    )
    return Reading(
        f"""select record_no, cast(json as varchar) as record_text{fields}
        from (select record_no, json, {found} as found
            from (select row_number() over () as record_no, json from ({rows}) as read) as numbered)
            as taken""",
        (),
    )


def _json_path(parts: Sequence[str]) -> str:
    """Write a path into JSON; a part that is a number counts into a list, from 0.

    Examples
    --------
    >>> _json_path(("items", "0", "price"))
    '$."items"[0]."price"'
    """
    return "$" + "".join(f"[{part}]" if part.isdigit() else f".{column(part)}" for part in parts)


def _reach_json(value: str, inner: Sequence[str]) -> str:
    """Write the SQL that reaches into a text that holds JSON; what is no JSON has nothing inside."""
    valid = f"case when json_valid({value}) then {value} end"
    return f"json_extract_string({valid}, {text(_json_path(inner))})"


# Parquet


def _open_parquet(engine: DuckDB, path: Path, rule: FileRule, wanted: Sequence[str]) -> Reading:
    read = f"read_parquet({text(str(path))}, file_row_number = true)"
    try:
        types = engine.describe(f"select * exclude (file_row_number) from {read}")
    except EngineError as error:
        raise CjkitError(f"{path} is no Parquet file: {_first_line(error)}") from error
    names = list(types)
    places = [_find_column(name, names, path) for name in wanted]
    fields = []
    for number, place in enumerate(places, 1):
        name = names[place.number - 1]
        value, kind = column(name), types[name]
        if place.inner and kind.startswith("STRUCT"):
            value += "".join(f".{column(part)}" for part in place.inner)
            try:
                (kind,) = engine.describe(f"select {value} from {read}").values()
            except EngineError as error:
                raise CjkitError(
                    f"{path}: column {name!r} is {kind}: {_first_line(error)}"
                ) from error
            value = _as_text(value, kind)
        else:
            value = _as_text(value, kind)
            value = _reach_json(value, place.inner) if place.inner else value
        fields.append(f", {without_nulls(value, ('', *rule.nulls))} as f{number}")
    cells = ", ".join(f"coalesce({_as_text(column(n), kind)}, '')" for n, kind in types.items())
    taken = {place.number for place in places}
    return Reading(
        f"""select file_row_number + 1 as record_no,
            concat_ws({SEPARATOR}, {cells}) as record_text{"".join(fields)} from {read}""",
        tuple(name for number, name in enumerate(names, 1) if number not in taken),
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
