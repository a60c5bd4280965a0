"""Erasing people from what has landed: a folder that holds one goes, and its file lands anew."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cjkit.engine import DuckDB, column, text
from cjkit.project import Project
from cjkit.sources.correcting import kept_as

_SOUGHT = "sought people"
_KEYS = ("person_key", "key_a", "key_b")


@dataclass(frozen=True)
class LandedTraces:
    """Where people are in what has landed.

    Attributes
    ----------
    rows : mapping from table to int
        Their rows; `edges` are links between ids.
    files : tuple of str
        The input files that these came from, as the project's folder sees them.
    records : mapping from name to set of int
        The numbers of their records, by each name under which a vault may keep these records.
    folders : tuple of Path
        The landed folders.
    """

    rows: dict[str, int]
    files: tuple[str, ...]
    records: dict[str, set[int]]
    folders: tuple[Path, ...]


def find_people(project: Project, engine: DuckDB, person_keys: Collection[str]) -> LandedTraces:
    """Say where people with these keys are in what has landed, also where a killed run left it."""
    rows: Counter[str] = Counter()
    files, folders = [], []
    records: dict[str, set[int]] = {}
    for folder, found in _search(project, engine, person_keys):
        rows.update({table: len(numbers) for table, numbers in found.items()})
        folders.append(folder)
        records[folder.name] = {number for numbers in found.values() for number in numbers}
        ledger = folder / "ledger.json"
        if ledger.is_file():
            read = json.loads(ledger.read_text(encoding="utf-8"))
            files.append(read["file"])
            records[kept_as(read["source"], read["file"])] = records[folder.name]
    return LandedTraces(dict(rows), tuple(sorted(set(files))), records, tuple(folders))


def erase(project: Project, engine: DuckDB, person_keys: Collection[str]) -> None:
    """Remove every landed folder that holds someone with one of these keys.

    Their files land anew at the next `land`, which must be given these keys as `erased`: so what is
    there then is what a first landing without these people gives, whatever their rows held. Nobody
    may be landing meanwhile: what a killed run had begun goes as well.
    """
    for folder in find_people(project, engine, person_keys).folders:
        (folder / "ledger.json").unlink(missing_ok=True)  # from here on it does not count as landed
        shutil.rmtree(folder)
    for unfinished in (project.state_folder / "landed").glob(".partial-*"):
        shutil.rmtree(unfinished)


def _search(
    project: Project, engine: DuckDB, person_keys: Collection[str]
) -> Iterator[tuple[Path, dict[str, list[int]]]]:
    """Yield the landed folders that hold someone, with the record number of each row by table."""
    keys = pd.DataFrame({"person_key": pd.Series(sorted(person_keys), dtype="str")})
    sought = engine.add(_SOUGHT, keys)
    for folder in sorted((project.state_folder / "landed").glob("*")):
        found = {}
        for path in sorted(folder.glob("*.parquet")):
            read = f"read_parquet({text(str(path))})"
            columns = engine.describe(f"select * from {read}")
            where = " or ".join(
                f"cast({column(name)} as varchar) in (select person_key from {sought})"
                for name in columns
                if name in _KEYS
            )
            number = "record_no" if "record_no" in columns else "null"
            rows = engine.query(
                f"select {number} as record_no from {read} where {where or 'false'}"
            )
            if len(rows):
                found[path.stem] = [int(number) for number in rows["record_no"].fillna(0)]
        if found:
            yield folder, found
    engine.run(f"drop table {sought}")
