"""Corrected records: read as their file is read, in the place of those that they correct.

A log of corrected records is the log of a corrected file: same record numbers, same hashes, same
rules. So a correction only holds while the record that it corrects is still the same.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cjkit.engine import DuckDB, column
from cjkit.sources.columns import record_hash
from cjkit.sources.files import FileRule
from cjkit.sources.reading import format_of, read_records


@dataclass(frozen=True)
class Correction:
    """One record as it is in its file, and as it should be: JSON text, as `read_raw` gives it.

    What could not be read as a record is a string; what should be there is always an object.
    """

    original: str
    corrected: str


Corrections = Mapping[tuple[str, str], Mapping[int, Correction]]
"""By source and file, as a ledger names them; then by the record's number in the file."""


def kept_as(source: str, file: str) -> str:
    """Return the name under which a vault keeps the corrections of a file."""
    return json.dumps(["corrected", source, file], ensure_ascii=False)


def correct_records(
    engine: DuckDB,
    name: str,
    path: Path,
    rule: FileRule,
    wanted: Sequence[str],
    corrections: Mapping[int, Correction],
    *,
    salt: str,
    workspace: Path,
) -> int:
    """Put corrected records in their places in the table `name` that `read_records` has made.

    Parameters
    ----------
    engine, name, path, rule, wanted, salt
        As they were given to `read_records`.
    corrections : mapping from record number to Correction
    workspace : Path
        A folder for a file in between; whoever made it removes it.

    Returns
    -------
    int
        How many corrections hold. The others speak of records that are no longer what they were.
    """
    is_json = format_of(path, rule) in ("json", "ndjson")
    numbers = _those_that_hold(engine, name, corrections, salt, is_json=is_json)
    if not numbers:
        return 0
    room = workspace / "corrected"
    room.mkdir()
    copy = room / "records"
    records = [corrections[number].corrected for number in numbers]
    if is_json:
        copy.write_text(f"[{','.join(records)}]", encoding="utf-8")
    else:
        rows = [json.loads(record) for record in records]
        with copy.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([list(rows[0]), *(list(row.values()) for row in rows)])
    plain = rule.model_copy(
        update={
            "format": "json" if is_json else "csv",
            "encoding": "utf-8",
            "records": None,
            "delimiter": ",",
            "header_row": 1,
            "header_rows": 1,
            "skip_rows": 0,
        }
    )
    read_records(
        engine,
        f"{name} corrected",
        copy,
        plain,
        wanted,
        salt=salt,
        workspace=room,
    )
    places = pd.DataFrame({"place": range(1, len(numbers) + 1), "number": numbers})
    engine.add(f"{name} places", places)
    engine.run(f"delete from {column(name)} where record_no in ({', '.join(map(str, numbers))})")
    engine.run(
        f"""insert into {column(name)} by name
            select records.* replace (places.number as record_no)
            from {column(f"{name} corrected")} as records
            join {column(f"{name} places")} as places on records.record_no = places.place"""
    )
    return len(numbers)


def _those_that_hold(
    engine: DuckDB,
    name: str,
    corrections: Mapping[int, Correction],
    salt: str,
    *,
    is_json: bool,
) -> list[int]:
    """Return the numbers of the records that are what they were when they were corrected."""
    if not corrections:
        return []
    found = [json.loads(each.original) for each in corrections.values()]
    texts = [
        None
        if isinstance(record, str)
        else each.original
        if is_json
        else "\x1f".join("" if cell is None else cell for cell in record.values())
        for each, record in zip(corrections.values(), found, strict=True)
    ]
    given = pd.DataFrame({"record_no": list(corrections), "record": pd.Series(texts, dtype="str")})
    engine.add(f"{name} originals", given)
    held = engine.query(
        f"""select record_no
            from {column(f"{name} originals")} join {column(name)} using (record_no)
            where record_hash is not distinct from {record_hash("record", salt)}
            order by record_no"""
    )
    return [int(number) for number in held["record_no"]]
