"""The quarantine: records that were set aside, given out to be corrected, and taken back.

What the gate writes of it names places and rules, never a value. The records themselves are in the
vault (where ids are plain, in their files alone), and in the file that `export_quarantine` writes
for whoever corrects them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.cleansing.correction_file import (
    COLUMNS,
    FILE,
    LINE,
    PLACES,
    RECORD,
    RULE,
    SOURCE,
    Cells,
    read_lines,
    write_lines,
)
from cjkit.cleansing.corrections import Kept, keep_corrections, read_corrections
from cjkit.cleansing.gate import prepare
from cjkit.cleansing.state import make_state_folder, one_at_a_time, opened_vault
from cjkit.engine import DuckDB, text
from cjkit.privacy import Vault, audit, project_key
from cjkit.project import Project
from cjkit.sources import read_mappings, read_raw
from cjkit.sources.correcting import Correction
from cjkit.sources.reading import format_of

_HEAD = range(1, 1001)


@dataclass(frozen=True)
class Exported:
    """What was written to be corrected: how many records, and how many of each rule."""

    path: Path
    records: int
    rules: Mapping[str, int]


@dataclass(frozen=True)
class Imported:
    """What became of a correction file.

    Attributes
    ----------
    corrected : int
        Records that are corrected now, and were not so before.
    unchanged : int
        Lines that change nothing: nobody corrected them, or they were imported before.
    changed : mapping from column to int
        How many cells were changed: a column that nobody meant to change shows here.
    still : mapping from rule to int
        Of the lines that were ever corrected, records that are in quarantine still, by rule.
    is_new : bool
        Whether the log was made anew.
    """

    corrected: int
    unchanged: int
    changed: Mapping[str, int]
    still: Mapping[str, int]
    is_new: bool


def export_quarantine(
    project: Project, path: Path, *, rule: str | None = None, source: str | None = None
) -> Exported:
    """Write the records in quarantine to a CSV file, one line a record, to be corrected there.

    The file is for its owner alone (mode 0600), in UTF-8 with a byte order mark. Its first columns
    say where each record is and what is wrong with it (`correction_file.PLACES`); the others are
    those of the exports, each record's as it stands there. What a spreadsheet would take for a
    formula has an apostrophe before it, which `import_quarantine` takes away again. Of a line that
    could not be read as a record, `cjkit:line` says what stands there, and its cells are empty.

    Parameters
    ----------
    project : Project
        Its log is prepared first, where anything changed.
    path : Path
        A file that is not there yet, outside the reports.
    rule, source : str, optional
        Only records that this rule set aside, or of this source.

    Raises
    ------
    CjkitError
        When there is no such rule or source, nothing is to be written, or the file cannot be.
    """
    if source is not None and source not in project.sources:
        raise unknown_name("source", source, list(project.sources), where=str(project.path))
    reports = Path(project.report.dir).resolve()
    if path.resolve().is_relative_to(reports):
        raise CjkitError(f"{path} is among the reports, which others read: write it elsewhere.")
    prepared = prepare(project)
    with _opened(project) as (engine, vault):
        found = _records_set_aside(engine, prepared.folder, source)
        rules = Counter(name for names in found["rules"] for name in names)
        if rule is not None:
            if rule not in rules:
                raise unknown_name("rule", rule, list(rules), where="the quarantine")
            found = found[[rule in names for names in found["rules"]]]
        if found.empty:
            raise CjkitError("The quarantine is empty: there is nothing to correct.")
        lines = list(_lines(project, vault, found))
    write_lines(path, lines)
    parameters = {"records": len(lines), "rule": rule, "source": source}
    audit.record(project, "quarantine export", data=prepared.fingerprint, parameters=parameters)
    shown = Counter(name for names in found["rules"] for name in names)
    return Exported(path, len(lines), dict(shown.most_common()))


def import_quarantine(project: Project, path: Path) -> Imported:
    """Take corrected records back, and prepare the log with them in the place of the originals.

    The log is then what it would be had the exports been corrected: the same record numbers, the
    same rules. The exports stay as they are. A correction holds as long as its record in the export
    does not change; cells that are put back to what the export says take it away. Importing the
    same file again changes nothing.

    Parameters
    ----------
    project : Project
    path : Path
        A file that `export_quarantine` wrote, with cells corrected; in UTF-8, or in Shift JIS as
        spreadsheets in Japan save it. Lines may be left out, and so may columns.

    Raises
    ------
    CjkitError
        When the file is none, or a line names no record: all such lines together. Nothing is
        imported then.
    """
    lines = read_lines(path)
    prepare(project)  # whatever else changed is not to be counted as what the corrections did
    with _opened(project) as (_, vault):
        kept = read_corrections(project, vault)
        changed, places = _correct(project, vault, kept, lines)
        if changed:
            keep_corrections(project, vault, kept)
    prepared = prepare(project)
    with _opened(project) as (engine, _):
        found = _records_set_aside(engine, prepared.folder, None)
    still = Counter(
        name
        for place, rules in zip(_places(found), found["rules"], strict=True)
        if place in places and place[2] in kept.get(place[:2], {})
        for name in rules
    )
    corrected = len({place for place, _ in changed})
    parameters = {"corrected": corrected, "unchanged": len(lines) - corrected}
    audit.record(project, "quarantine import", data=prepared.fingerprint, parameters=parameters)
    return Imported(
        corrected,
        len(lines) - corrected,
        dict(Counter(name for _, name in changed).most_common()),
        dict(still.most_common()),
        prepared.is_new,
    )


@contextmanager
def _opened(project: Project) -> Iterator[tuple[DuckDB, Vault | None]]:
    """Give an engine and the vault, while nobody else prepares this project."""
    state = make_state_folder(project.state_folder)
    with one_at_a_time(state), opened_vault(state, project_key(project)) as vault:
        engine = DuckDB(threads=1)
        try:
            yield engine, vault
        finally:
            engine.close()


def _records_set_aside(engine: DuckDB, folder: Path, source: str | None) -> pd.DataFrame:
    """Return each record in quarantine once: `source`, `file`, `record_no`, `rules`, `columns`."""
    only = f"and source = {text(source)}" if source is not None else ""
    return engine.query(
        f"""select source, file, record_no, list_sort(list(distinct rule)) as rules,
                string_agg(distinct columns, ',' order by columns) as columns
            from read_parquet({text(str(folder / "quarantine.parquet"))})
            where outcome = 'quarantined' {only} group by all order by source, file, record_no"""
    )


def _places(found: pd.DataFrame) -> Iterator[tuple[str, str, int]]:
    return zip(found["source"], found["file"], found["record_no"], strict=True)


class _Originals:
    """The records of files as they stand there: from the vault, or from the files themselves."""

    def __init__(self, project: Project, vault: Vault | None) -> None:
        self._project, self._vault = project, vault
        self._mappings = read_mappings(project)
        ledgers = (project.state_folder / "landed").glob("*/ledger.json")
        read = {path.parent.name: json.loads(path.read_text("utf-8")) for path in ledgers}
        self._landed = {(each["source"], each["file"]): name for name, each in read.items()}

    def read(self, source: str, file: str, numbers: Collection[int]) -> dict[int, str]:
        """Return the JSON text of records by number; one that is not there is not returned."""
        found: dict[int, str] = {}
        frames: Iterable[pd.DataFrame] = ()
        if self._vault is not None:
            frames = self._vault.records(self._landed[source, file])
        for frame in frames:
            found |= dict(zip(frame["record_no"], frame["record"], strict=True))
        if missing := set(numbers) - set(found):
            for frame in read_raw(self._project, source, file, missing):
                found |= dict(zip(frame["record_no"], frame["record"], strict=True))
        # The engine does not tell what stands in each line that is no record.
        return {
            int(n): found[n] if isinstance(found[n], str) else '""' for n in numbers if n in found
        }

    def has(self, source: str, file: str) -> bool:
        """Say whether there is such a file."""
        return (source, file) in self._landed

    def is_json(self, source: str, file: str) -> bool:
        """Say whether values of its records have types, and keys of their own."""
        return format_of(Path(file), self._mappings[source].file) in ("json", "ndjson")

    def blank(self, source: str, file: str) -> dict[str, Any]:
        """Return a record of the file in which nothing stands, for a line that is none."""
        for frame in read_raw(self._project, source, file, _HEAD):
            for record in frame["record"]:
                if isinstance(record, str) and record.startswith("{"):
                    return dict.fromkeys(json.loads(record))
        return {}


def _current(original: str, correction: Correction | None, blank: Mapping[str, Any]) -> Any:
    """Return the record as it counts now: as corrected, while that holds, else as it stands."""
    if correction is not None and correction.original == original:
        return json.loads(correction.corrected)
    record = json.loads(original)
    return record if isinstance(record, dict) else dict(blank)


def _lines(project: Project, vault: Vault | None, found: pd.DataFrame) -> Iterator[Cells]:
    originals, kept = _Originals(project, vault), read_corrections(project, vault)
    for place, own in found.groupby(["source", "file"], sort=False):
        source, file = map(str, place)
        records = originals.read(source, file, own["record_no"].tolist())
        are_whole = all(record.startswith("{") for record in records.values())
        blank = {} if are_whole else originals.blank(source, file)
        for number, rules, columns in zip(
            own["record_no"], own["rules"], own["columns"], strict=True
        ):
            original = records[number]
            line = json.loads(original)
            current = _current(original, kept.get((source, file), {}).get(number), blank)
            yield {
                SOURCE: source,
                FILE: file,
                RECORD: str(number),
                RULE: ",".join(rules),
                COLUMNS: columns if isinstance(columns, str) else "",
                LINE: line if isinstance(line, str) else "",
                **{name: _cell(value) for name, value in current.items()},
            }


def _correct(
    project: Project, vault: Vault | None, kept: Kept, lines: Sequence[Cells]
) -> tuple[list[tuple[tuple[str, str, int], str]], set[tuple[str, str, int]]]:
    """Change `kept` as the lines say; return each changed cell, and the places of all lines.

    A cell is named by its record's place and its column.
    """
    originals = _Originals(project, vault)
    changed, faults, places = [], [], set()
    for (source, file), own in _by_file(lines).items():
        if not originals.has(source, file):
            faults.append(f"the log has no file {file!r} of a source {source!r}")
            continue
        numbers = [int(line[RECORD]) for line in own if line[RECORD].isdigit()]
        records = originals.read(source, file, numbers)
        is_json = originals.is_json(source, file)
        blank = {} if is_json else originals.blank(source, file)
        corrections = kept.setdefault((source, file), {})
        for line in own:
            number = int(line[RECORD]) if line[RECORD].isdigit() else 0
            if number not in records:
                faults.append(f"{file} has no record {line[RECORD]!r}")
                continue
            original = records[number]
            current = _current(original, corrections.get(number), blank)
            cells = {name: cell for name, cell in line.items() if name not in PLACES}
            strange = [name for name, cell in cells.items() if cell and name not in current]
            if strange and not is_json:
                faults.append(f"{file} has no column {strange[0]!r} (record {number})")
                continue
            new = {
                name: _typed(cell, current.get(name))
                for name, cell in cells.items()
                if cell != _cell(current.get(name))
            }
            places.add((source, file, number))
            changed += [((source, file, number), name) for name in new]
            if new:
                record = json.loads(original)
                whole = {**current, **new}
                if whole == (record if isinstance(record, dict) else blank):
                    del corrections[number]
                else:
                    corrections[number] = Correction(original, _written(whole, original))
    if faults:
        listed = [f"  - {fault}" for fault in faults]
        raise CjkitError("\n".join(["nothing was imported:", *listed]))
    return changed, places


def _by_file(lines: Sequence[Cells]) -> dict[tuple[str, str], list[Cells]]:
    found: dict[tuple[str, str], list[Cells]] = {}
    for line in lines:
        found.setdefault((line[SOURCE], line[FILE]), []).append(line)
    return found


def _cell(value: Any) -> str:
    """Write a value of a record as a cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _typed(cell: str, before: Any) -> Any:
    """Read a changed cell as what stood there before: only what had another type than text does."""
    if before is None or isinstance(before, str):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell or None


def _written(record: Mapping[str, Any], original: str) -> str:
    """Write a record as JSON in the style of another, so that equal records are equal texts."""
    for separators in ((", ", ": "), (",", ":")):
        for ascii_only in (False, True):
            style: dict[str, Any] = {"separators": separators, "ensure_ascii": ascii_only}
            if json.dumps(json.loads(original), **style) == original:
                return json.dumps(record, **style)
    return json.dumps(record, ensure_ascii=False)
