"""An export that nobody has described yet: which mapping is nearest, or how one might begin."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, EngineError
from cjkit.events import CONTRACT
from cjkit.sources.checking import read_mapping, shipped_mappings
from cjkit.sources.drafting import Draft, quoted
from cjkit.sources.encoding import likely_encodings
from cjkit.sources.files import ENDINGS, SNIFF, FileRule, Format
from cjkit.sources.mapping import SourceMapping
from cjkit.sources.reading import open_file, words_of

_LOOKED_AT = 1000
"""How many records are looked at."""
_NEAR, _FEWEST = 0.36, 3
"""How near a shipped mapping must be to be proposed."""


@dataclass(frozen=True)
class Proposal:
    """What `propose` found.

    Attributes
    ----------
    toml : str
        What to write: lines of a journey.toml that name a shipped mapping, or a mapping of its own.
    nearest : tuple of (str, float)
        Shipped mappings, the nearest first, each with how near it is (0 to 1): the share of the
        file's columns that it names counts 7/10, and of its own columns that the file has 3/10.
    is_draft : bool
        Whether `toml` is a draft of a mapping, since none that is shipped is near.
    undecided : tuple of str
        What could not be told from the file, in words.
    columns : tuple of str
        The columns of the file; dots lead inside.
    """

    toml: str
    nearest: tuple[tuple[str, float], ...]
    is_draft: bool
    undecided: tuple[str, ...]
    columns: tuple[str, ...]


def propose(path: str | Path) -> Proposal:
    """Look at an export and propose the nearest shipped mapping, or a draft of one.

    Parameters
    ----------
    path : str or Path
        The file. Its first 1,000 records are looked at; values are read and never shown.

    Returns
    -------
    Proposal
        A draft is always one that `read_mapping` accepts.

    Raises
    ------
    CjkitError
        When there is no such file, or it is none that can be read.
    """
    path = Path(path)
    engine = DuckDB(threads=1)
    try:
        rule, undecided = _how_written(path)
        columns, rule = _read(engine, path, rule)
        if not columns:
            raise CjkitError(f"{path} has no record that can be looked at.")
        near = _nearest(columns, rule)
        if near and near[0][1] >= _NEAR:
            toml, more = _use(path, near[0][0], rule)
            return Proposal(toml, tuple(near[:3]), False, (*undecided, *more), tuple(columns))
        draft = Draft(engine, path, rule, columns)
        toml = draft.toml()
        return Proposal(toml, tuple(near[:3]), True, (*undecided, *draft.undecided), tuple(columns))
    except OSError as error:
        raise CjkitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except EngineError as error:
        raise CjkitError(f"{path} cannot be read: {words_of(error)}") from error
    finally:
        engine.close()


def _how_written(path: Path) -> tuple[FileRule, list[str]]:
    """Return how a file is written, and what of that is only likely."""
    with path.open("rb") as file:
        head = file.read(4096)
    form: Format | None = ENDINGS.get(path.suffix.lower())
    if form is None:
        start = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        form = "parquet" if head.startswith(b"PAR1") else "excel" if head[:2] == b"PK" else "csv"
        form = "json" if start in (b"{", b"[") else form
    if form not in ("csv", "json", "ndjson"):
        return _rule(format=form), []
    found = likely_encodings(path)
    undecided = []
    if not found:
        undecided.append("The encoding fits none that is usual; utf-8 is written.")
    elif len(found) > 1 and found[0] != "utf-8":
        undecided.append(f"The encoding could be {' or '.join(found)}; the first is written.")
    encoding = found[0] if found else "utf-8"
    if form == "csv":
        return _rule(format=form, encoding=encoding, delimiter=SNIFF), undecided
    return _rule(format=form, encoding=encoding), undecided


def _rule(**said: str) -> FileRule:
    return FileRule.model_validate(said)


def _read(engine: DuckDB, path: Path, rule: FileRule) -> tuple[dict[str, list[str]], FileRule]:
    """Return the values of each column in the first records, and where the records are."""
    with tempfile.TemporaryDirectory() as room:
        reading = open_file(engine, path, rule, (), Path(room))
        try:
            found = engine.query(f"select record from ({reading.raw}) as raw limit {_LOOKED_AT}")
        except EngineError:
            if reading.repair is None:
                raise
            raw = reading.repair().raw
            found = engine.query(f"select record from ({raw}) as raw limit {_LOOKED_AT}")
    records = [each for each in map(_as_object, found["record"].dropna()) if each]
    if rule.format == "json" and len(records) == 1 and rule.records is None:
        lists = [name for name, value in records[0].items() if _is_records(value)]
        if len(lists) == 1:
            return _read(engine, path, rule.model_copy(update={"records": lists[0]}))
    columns: dict[str, list[str]] = {}
    for record in records:
        for name, value in _leaves(record):
            columns.setdefault(name, []).append(value)
    return columns, rule


def _as_object(record: str) -> dict[str, Any]:
    """Return a record of JSON, or nothing where it is none."""
    try:
        found = json.loads(record)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _leaves(record: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    """Yield what a record holds under which path; a list stands for what is inside it."""
    for name, value in record.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{before}{name}.")
        else:
            is_text = isinstance(value, str)
            yield before + name, "" if value is None else value if is_text else json.dumps(value)


def _nearest(columns: Iterable[str], rule: FileRule) -> list[tuple[str, float]]:
    """Return the shipped mappings that have columns in common with a file, the nearest first."""
    names = {name.casefold() for name in columns}
    found = []
    for mapping in (_shipped(name) for name in shipped_mappings()):
        if mapping.name.startswith("sample/"):
            continue
        if mapping.file.format not in (None, rule.format):
            continue
        wanted = mapping.file_columns
        have = {name: _present(mapping, name, names) for name in wanted}
        made = any(
            all(
                any(have.get(key) for key in row.values[name].columns)
                or not row.values[name].columns
                for name in CONTRACT[row.table].required
            )
            and (not row.ids or any(have.get(c) for i in row.ids for c in mapping.ids[i].columns))
            for row in mapping.rows
        )
        named = {name for places in have.values() for name in places}
        if made and len(named) >= _FEWEST:
            # What is explained of the file counts most: a mapping names more than any export has.
            share = 0.7 * len(named) / len(names)
            share += 0.3 * sum(map(bool, have.values())) / len(wanted)
            found.append((mapping.name, round(share, 2), len(named)))
    # Of those that are about as near, the one that explains most comes first.
    found.sort(key=lambda each: (-round(each[1], 1), -each[2], each[0]))
    return [(name, share) for name, share, _ in found]


def _shipped(name: str) -> SourceMapping:
    return read_mapping(name, folder=Path(), place=name)


def _present(mapping: SourceMapping, name: str, names: set[str]) -> set[str]:
    """Return the columns of a file in which a column of a mapping is found."""
    found = set()
    for called in mapping.file.called(name):
        pair = mapping.file.pair_of(called)
        path = (pair[0] if pair else called).casefold()
        heads = [path, *(path[:at] for at, mark in enumerate(path) if mark == ".")]
        found |= {head for head in heads if head in names}
    return found


def _use(path: Path, name: str, rule: FileRule) -> tuple[str, list[str]]:
    """Write the lines of a journey.toml that use a shipped mapping."""
    mapping = _shipped(name)
    source = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    differs = []
    if rule.encoding not in ("utf-8", mapping.file.encoding):
        differs.append(f"file.encoding = {quoted(rule.encoding)}")
    if rule.format == "json" and rule.records != mapping.file.records:
        differs.append(f"file.records = {quoted(rule.records or '')}")
    head = f"[sources.{source}]\nfiles = [{quoted(str(path))}]\n"
    if differs:
        lines = [f"[sources.{source}.mapping]", f"like = {quoted(name)}", *differs]
        toml = f"{head}\n" + "\n".join(lines) + "\n"
    else:
        toml = f"{head}mapping = {quoted(name)}\n"
    namespaces = list(dict.fromkeys(map(mapping.namespace, mapping.ids)))
    undecided = []
    if namespaces:
        toml += "\n[identity]\n"
        toml += "".join(f'{namespace} = {{ strength = "strong" }}\n' for namespace in namespaces)
        undecided.append(
            f"How far {', '.join(namespaces)} can be trusted: strong merges people, weak (a "
            "cookie) only attaches, link (an order) leads on."
        )
    if mapping.file.time_zone is not None:
        undecided.append(
            "In which zone times are that do not say theirs: set file.time_zone where the "
            "comment of the mapping does not fit."
        )
    return toml, undecided
