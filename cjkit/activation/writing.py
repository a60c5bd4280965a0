"""Files as a target takes them: cells, bodies and schemas, split where one would be too large."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cjkit.activation.insights import Cells, dumped, make_events
from cjkit.activation.plan import Plan
from cjkit.activation.targets import FileRule
from cjkit.checks import CjkitError

_HEAD, _TAIL = b'{"events":[\n', b"\n]}\n"


@dataclass(frozen=True)
class File:
    """A file that was written: its name, how many rows it holds, its bytes and their SHA-256."""

    name: str
    rows: int
    bytes: int
    sha256: str


def write_rows(folder: Path, plan: Plan, rows: Iterable[Cells]) -> list[File]:
    """Write rows to as many files as the target's limits ask for; none where there are no rows."""
    rule = plan.target.file
    if rule.cells == "json":
        events = (dumped(event) for event in make_events(plan, rows))
        return _split(folder, rule, "json", events, _HEAD, b",\n", _TAIL)
    cell = _coded if rule.cells == "url" else _quoted
    header = rule.mark + ",".join(map(cell, plan.names))
    head = "\n".join([*rule.head, header]).encode() + b"\n"
    lines = (",".join(map(cell, row)).encode() for row in rows)
    return _split(folder, rule, "txt" if rule.cells == "url" else "csv", lines, head, b"\n", b"\n")


def write_schema(folder: Path, plan: Plan, numbers: frozenset[str]) -> None:
    """Write the Avro schema that goes with the file."""
    fields: list[dict[str, Any]] = []
    for name in plan.names:
        rule = plan.rule(name)
        kind = "long" if rule.kind == "whole" else "float" if name in numbers else "string"
        is_open = not rule.needed and name != plan.id_column
        field: dict[str, Any] = {"name": name, "type": [kind, "null"] if is_open else kind}
        if rule.is_text:
            field["textual"] = True
        elif kind == "string" and name not in _RESERVED:
            field["categorical"] = True
        fields.append(field)
    schema = {
        "type": "record",
        "name": plan.target.file.schema_name,
        "namespace": "com.amazonaws.personalize.schema",
        "fields": fields,
        "version": "1.0",
    }
    write_private(folder / "schema.json", json.dumps(schema, indent=1).encode() + b"\n")


_RESERVED = ("USER_ID", "ITEM_ID", "EVENT_TYPE", "IMPRESSION", "RECOMMENDATION_ID")
"""Texts of a schema that are neither categories nor prose."""


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that its owner alone may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _split(
    folder: Path,
    rule: FileRule,
    ending: str,
    lines: Iterator[bytes],
    head: bytes,
    between: bytes,
    tail: bytes,
) -> list[File]:
    """Write lines to files of at most `rule.most_rows` rows and `rule.most_bytes` bytes."""
    files: list[File] = []
    line = next(lines, None)
    while line is not None:
        path = folder / f"{rule.name}-{len(files) + 1:03d}.{ending}"
        size = len(head) + len(line) + len(tail)
        if rule.most_bytes is not None and size > rule.most_bytes:
            raise CjkitError(f"A row of {len(line):,} bytes is larger than a file may be.")
        digest, rows = hashlib.sha256(head + line), 1
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(head + line)
            while (line := next(lines, None)) is not None:
                grown = size + len(between) + len(line)
                if rows == rule.most_rows or (rule.most_bytes and grown > rule.most_bytes):
                    break
                file.write(between + line)
                digest.update(between + line)
                size, rows = grown, rows + 1
            file.write(tail)
            digest.update(tail)
        files.append(File(path.name, rows, size, digest.hexdigest()))
    if len(files) == 1:
        only = files[0]
        name = f"{rule.name}.{ending}"
        (folder / only.name).rename(folder / name)
        return [File(name, only.rows, only.bytes, only.sha256)]
    return files


def _quoted(cell: str | None) -> str:
    """Write a cell of CSV (RFC 4180).

    Examples
    --------
    >>> _quoted('a "b", c')
    '"a ""b"", c"'
    """
    if cell is None:
        return ""
    if any(mark in cell for mark in ',"\n\r'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _coded(cell: str | None) -> str:
    """Write a cell as in addresses, where nothing but commas parts cells.

    Examples
    --------
    >>> _coded("a,b 円")
    'a%2Cb%20%E5%86%86'
    """
    return "" if cell is None else quote(cell, safe="")
