"""CSV and Excel: rows of cells under a header."""

from __future__ import annotations

import csv
import datetime
import re
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import BinaryIO

import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import DuckDB, text
from cjkit.sources.columns import (
    SEPARATOR,
    Reading,
    absent_columns,
    find_columns,
    json_record,
)
from cjkit.sources.encoding import CHUNK
from cjkit.sources.expressions import without_nulls
from cjkit.sources.files import DELIMITERS, SNIFF, FileRule

LONGEST_LINE = 16_000_000
"""The longest record that can be read, in bytes."""
MOST_LINES = 200
"""The most lines that a record of a damaged file may have."""


def open_csv(
    engine: DuckDB,
    path: Path,
    rule: FileRule,
    wanted: Sequence[str],
    workspace: Path,
    *,
    shown: Path,
) -> Reading:
    """Read the head of a CSV file in UTF-8; errors call it `shown`."""
    with path.open("rb") as file:
        head = file.read(CHUNK)
    if b"\r" in head and b"\n" not in head:
        path = _plain_lines(path, workspace / "lines of old")
    if rule.delimiter == SNIFF:
        rule = rule.model_copy(update={"delimiter": _sniff(path, rule)})
    names, body = _read_header(path, rule, shown)
    places = find_columns(wanted, names, shown, rule)
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
        value = place.value(f"c{place.number}") if place else "null::varchar"
        # The engine reads empty cells as missing; what is inside JSON may still be empty.
        nulls = ("", *rule.nulls) if place and place.inner else rule.nulls
        fields.append(f"{without_nulls(value, nulls)} as f{number}")
    taken = {place.number for place in places if place}
    unmapped = tuple(
        name.strip() for number, name in enumerate(names, 1) if number not in taken and name.strip()
    )
    strict = table.read()
    # The only cell of a blank line is missing: such a line is no record.
    rows = strict if len(names) > 1 else f"(select * from {strict} where c1 is not null)"
    record = f"cast({json_record(names, table.cells)} as varchar) as record"
    return Reading(
        f"select {', '.join(fields)} from {rows}",
        f"select row_number() over () as record_no, {record} from {rows}",
        unmapped,
        absent=absent_columns(wanted, places),
        keys=tuple(name.strip() for name in names),
        repair=lambda: replace(
            _repair(engine, table, fields, record, unmapped, workspace),
            absent=absent_columns(wanted, places),
            keys=tuple(name.strip() for name in names),
        ),
    )


@dataclass(frozen=True)
class _CsvTable:
    """The part of a CSV file that holds the records: after `skip` lines, from line `first` on."""

    path: Path
    delimiter: str
    width: int
    skip: int
    first: int

    @property
    def _cell(self) -> tuple[str, str]:
        """The patterns of what divides cells, and of a cell: quoted, or without a quote at first.

        Spaces may stand before the quote, as the engine has it.
        """
        divide = re.escape(self.delimiter)
        return divide, f' *(?:"[^"]*(?:""[^"]*)*" *|(?:[^ "{divide}\\r\\n][^{divide}\\r\\n]*)?)'

    @property
    def shape(self) -> str:
        """The pattern of a record that has all cells."""
        divide, cell = self._cell
        return f"{cell}(?:{divide}{cell}){{{self.width - 1}}}"

    @property
    def open_shape(self) -> str:
        """The pattern of the beginning of a record, up to within a quoted cell."""
        divide, cell = self._cell
        return f'(?:{cell}{divide}){{0,{self.width - 1}}} *"[^"]*(?:""[^"]*)*'

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
    """Where the records begin: byte, line (from 1), and whether it takes more than one skip."""

    offset: int
    line: int
    needs_copy: bool


def _read_header(path: Path, rule: FileRule, shown: Path) -> tuple[list[str], _Body]:
    """Return the column names and where the records begin."""
    with path.open("rb") as file:
        lines = _Lines(file)
        for _ in islice(lines, rule.header_row - 1):
            pass
        reader = csv.reader(lines, delimiter=rule.delimiter)
        try:
            names = _join_headers(list(islice(reader, rule.header_rows)))
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
            f"{shown} has no column names in line {rule.header_row}: set file.header_row to the "
            "line that holds them."
        )
    return names, body


def _sniff(path: Path, rule: FileRule) -> str:
    """Return what divides most cells in the header of a file."""
    with path.open("rb") as file:
        line = next(islice(_Lines(file), rule.header_row - 1, None), "")
    cells = {given: len(next(csv.reader([line], delimiter=given), [])) for given in DELIMITERS}
    return max(cells, key=lambda given: cells[given])


def _join_headers(rows: Sequence[Sequence[str]]) -> list[str]:
    """Make one name of each column: `question / option`, where a question stands over several.

    An empty cell of any row but the last goes on with what stands left of it.
    """
    if len(rows) < 2:
        return [*rows[0]] if rows else []
    width = max(map(len, rows))
    filled = []
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in (*row, *[""] * (width - len(row)))]
        if number < len(rows):
            cells = [*accumulate(cells, _own_or_left)]
        filled.append(cells)
    return [" / ".join(dict.fromkeys(filter(None, cells))) for cells in zip(*filled, strict=True)]


def _own_or_left(left: str, own: str) -> str:
    return own or left


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


def _repair(
    engine: DuckDB,
    table: _CsvTable,
    fields: Sequence[str],
    record: str,
    unmapped: tuple[str, ...],
    workspace: Path,
) -> Reading:
    """Read a CSV file with damaged rows: tell the good records from the bad, and number both.

    A line that has all cells, and no quote that another line might close, is a record. The others
    are put together by `_put_together`.
    """
    whole = _plain_lines(table.path, workspace / "lines")
    mark = _absent_character(whole)
    lines = (
        f"read_csv({text(str(whole))}, header = false, auto_detect = false, delim = {text(mark)}, "
        f"quote = '', escape = '', columns = {{'line': 'varchar'}}, max_line_size = {LONGEST_LINE})"
    )
    # The only cell of a blank line is missing: only within quotes it is anything.
    engine.materialize(
        "damaged lines",
        f"""select *, regexp_full_match(line, {text(table.shape)}, 's') and line <> ''
                and (length(line) - length(replace(line, '"', ''))) % 2 = 0 as is_whole
        from (select row_number() over () as line_no, coalesce(line, '') as line from {lines})
        where line_no > {table.skip}""",
    )
    others = engine.batches(
        'select line_no, line from "damaged lines" where not is_whole order by line_no'
    )
    engine.write_table("damaged others", _frames(_put_together(_rows(others), table)))
    engine.materialize(
        "damaged records",
        """select row_number() over (order by line_no) as record_no, *
        from (select * from "damaged lines" where is_whole union all from "damaged others")
        order by line_no""",
    )
    good = workspace / "good"
    engine.run(
        f"""copy (select record_no || {text(table.delimiter)} || line from "damaged records"
            where is_whole order by record_no)
        to {text(str(good))}
            (format csv, header false, quote '', escape '', delimiter {text(mark)})"""
    )
    bad = engine.query(
        'select line_no from "damaged records" where not is_whole order by line_no limit 5'
    )
    nothing = ", ".join("null" for _ in fields)
    records = engine.query('select count(*) as n from "damaged records"')["n"].iloc[0]
    return Reading(
        f"""select cast(number as bigint) as record_no, {", ".join(fields)}
            from {table.read(good, before=["number"])}
        union all select record_no, {nothing} from "damaged records" where not is_whole""",
        f"""select cast(number as bigint) as record_no, {record}
            from {table.read(good, before=["number"])}
        union all select record_no, cast(to_json(line) as varchar) from "damaged records"
            where not is_whole""",
        unmapped,
        records=int(records),
        unreadable=tuple(
            f"line {line_no + table.first - 1 - table.skip} has not {table.width} cells"
            for line_no in bad["line_no"]
        ),
    )


def _put_together(
    lines: Iterator[tuple[int, str]], table: _CsvTable
) -> Iterator[tuple[int, str, bool]]:
    """Yield records, and lines that are none: the number of the first line, the text, which it is.

    While a quote is open, a line goes on in its neighbour; what then has all cells is a record of
    several lines. A line that leads to none is unreadable, by itself: one stray quote never
    swallows the rows after it.
    """
    is_whole = re.compile(table.shape, re.DOTALL).fullmatch
    is_open = re.compile(table.open_shape, re.DOTALL).fullmatch
    held = deque(islice(lines, MOST_LINES))
    while held:
        number, found = held[0]
        taken = 1
        while is_open(found) and taken < len(held) and held[taken][0] == number + taken:
            found += "\n" + held[taken][1]
            taken += 1
        if is_record := bool(found and is_whole(found)):
            yield number, found, is_record
        else:
            found, taken = held[0][1], 1
            if found:
                yield number, found, is_record
        for _ in range(taken):
            held.popleft()
        held.extend(islice(lines, taken))


def _rows(batches: Iterator[pd.DataFrame]) -> Iterator[tuple[int, str]]:
    for batch in batches:
        yield from zip(batch["line_no"].tolist(), batch["line"].tolist(), strict=True)


def _frames(rows: Iterator[tuple[int, str, bool]]) -> Iterator[pd.DataFrame]:
    while True:
        batch = list(islice(rows, 100_000))
        numbers, lines, whole = zip(*batch, strict=True) if batch else ((), (), ())
        yield pd.DataFrame(
            {
                "line_no": pd.Series(numbers, dtype="int64"),
                "line": pd.Series(lines, dtype="str"),
                "is_whole": pd.Series(whole, dtype="bool"),
            }
        )
        if not batch:
            return


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


def unpack_excel(path: Path, rule: FileRule, workspace: Path) -> Path:
    """Write one sheet as CSV, from its header row on."""
    try:
        book = CalamineWorkbook.from_path(path)
    except (CalamineError, OSError, ValueError) as error:
        raise CjkitError(f"{path} is no Excel workbook: {error}.") from error
    if not book.sheet_names:
        raise CjkitError(f"{path} is an Excel workbook without a sheet.")
    sheet = rule.sheet or book.sheet_names[0]
    if sheet not in book.sheet_names:
        raise unknown_name("file.sheet", sheet, book.sheet_names, where=str(path))
    try:
        rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    except (CalamineError, OSError, ValueError) as error:
        raise CjkitError(f"{path}, sheet {sheet!r} is damaged: {error}.") from error
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
