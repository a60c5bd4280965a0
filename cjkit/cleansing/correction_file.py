"""The file in which records are corrected: CSV that a spreadsheet opens and runs nothing of."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from cjkit.checks import CjkitError
from cjkit.spreadsheets import neutral, restored

SOURCE, FILE, RECORD, RULE, COLUMNS, LINE = PLACES = (
    "cjkit:source",
    "cjkit:file",
    "cjkit:record",
    "cjkit:rule",
    "cjkit:columns",
    "cjkit:line",
)
"""The columns of a correction file that say where a record is, and what is wrong with it."""

Cells = dict[str, str]
"""One line: its cells by column."""


def write_lines(path: Path, lines: Sequence[Cells]) -> None:
    """Write lines to a new file for its owner alone, in UTF-8 as spreadsheets know it."""
    names = list(dict.fromkeys([*PLACES, *(name for line in lines for name in line)]))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise CjkitError(f"{path} is there already: name a file that is not.") from error
    except OSError as error:
        raise CjkitError(f"{path} cannot be written: {error.strerror}.") from error
    with open(descriptor, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(map(neutral, names))
        writer.writerows([neutral(line.get(name, "")) for name in names] for line in lines)


def read_lines(path: Path) -> list[Cells]:
    """Read what `write_lines` wrote and a spreadsheet may have saved, in UTF-8 or Shift JIS."""
    rows = list(csv.reader(io.StringIO(_decoded(path), newline="")))
    names = [restored(name) for name in rows[0]] if rows else []
    if lacking := [name for name in (SOURCE, FILE, RECORD) if name not in names]:
        raise CjkitError(
            f"{path} is no file of records to correct: it has no column {', '.join(lacking)}. "
            "`quarantine export` writes one."
        )
    faults = [
        f"  - line {number} has {len(row)} cells, not {len(names)}"
        for number, row in enumerate(rows[1:], 2)
        if row and len(row) != len(names)
    ]
    if faults:
        raise CjkitError("\n".join([f"{path} is damaged, and nothing was imported:", *faults]))
    return [dict(zip(names, map(restored, row), strict=True)) for row in rows[1:] if any(row)]


def _decoded(path: Path) -> str:
    try:
        given = path.read_bytes()
    except OSError as error:
        raise CjkitError(f"{path} cannot be read: {error.strerror}.") from error
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return given.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CjkitError(f"{path} is neither UTF-8 nor Shift JIS: save it as CSV in UTF-8.")
