"""Original records, as their file has them: for those who must correct them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import DuckDB, EngineError
from cjkit.project import Project
from cjkit.sources.databases import DatabaseTable
from cjkit.sources.encoding import as_utf8
from cjkit.sources.landing import read_mappings, shown_name
from cjkit.sources.reading import format_of, open_file, words_of

_BATCH = 10_000


def read_raw(
    project: Project, source: str, file: str, record_nos: Collection[int]
) -> Iterator[pd.DataFrame]:
    """Yield original records of one file, in its order.

    Parameters
    ----------
    project : Project
        Whose source it is.
    source, file : str
        As a landed row, a ledger and the quarantine name them.
    record_nos : collection of int
        Which records, by their numbers there.

    Yields
    ------
    DataFrame
        `record_no` and `record`: JSON text. A record is an object of all its columns by the names
        of the header (a name that is empty or stands twice gets its column's number), as texts
        where the file holds texts. What could not be read as a record is a string: the line.

    Raises
    ------
    CjkitError
        When there is no such source or file, or it cannot be read (any more).
    """
    mapping = read_mappings(project).get(source)
    if mapping is None:
        raise unknown_name("source", source, list(project.sources), where=str(project.path))
    paths = {shown_name(path, project): path for path in project.input_files()[source]}
    if file not in paths:
        raise unknown_name("file", file, list(paths), where=f"sources.{source}.files")
    path = paths[file]
    wanted = pd.DataFrame({"record_no": pd.Series(sorted(record_nos), dtype="int64")})
    engine = DuckDB(threads=1)
    try:
        with tempfile.TemporaryDirectory() as name:
            room = Path(name)
            declared = project.sources[source]
            if declared.url is not None and not path.exists():
                path = room / "table"
                DatabaseTable(source, declared, mapping).fetch(engine, path)
            if format_of(path, mapping.file) == "ndjson":
                yield from _lines(as_utf8(path, mapping.file, room), set(wanted["record_no"]))
                return
            reading = open_file(engine, path, mapping.file, (), room)
            engine.add("wanted", wanted)
            only = 'select * from ({}) as raw where record_no in (from "wanted") order by record_no'
            try:
                engine.materialize("records", only.format(reading.raw))
            except EngineError:
                if reading.repair is None:
                    raise
                engine.materialize("records", only.format(reading.repair().raw))
            yield from engine.batches('from "records"', _BATCH)
    except EngineError as error:
        raise CjkitError(f"{path} cannot be read: {words_of(error)}") from error
    finally:
        engine.close()


def _lines(path: Path, wanted: set[int]) -> Iterator[pd.DataFrame]:
    """Yield lines that hold JSON objects as they are, other lines as strings."""
    found: list[tuple[int, str]] = []
    number = 0
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            number += 1
            if number in wanted:
                found.append((number, _object_or_string(line.decode().strip())))
            if len(found) == _BATCH:
                yield _frame(found)
                found.clear()
    if found:
        yield _frame(found)


def _object_or_string(line: str) -> str:
    try:
        is_object = isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        is_object = False
    return line if is_object else json.dumps(line, ensure_ascii=False)


def _frame(found: list[tuple[int, str]]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=["record_no", "record"])
