"""Landing: each input file, once, becomes rows of the contract in Parquet and a ledger.

A folder `landed/<fingerprint>/` holds what one file gave under one mapping. It appears whole, by
rename, or not at all; a file whose folder is there is not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from cjkit.checks import CjkitError, nearest
from cjkit.engine import DuckDB, text
from cjkit.project import Project
from cjkit.project.sections import EventPlace
from cjkit.sources.checking import read_mapping
from cjkit.sources.correcting import Correction, Corrections, kept_as
from cjkit.sources.databases import DatabaseTable, forget_tables
from cjkit.sources.ids import People, Pseudonym, Vault
from cjkit.sources.ledgers import Ledger
from cjkit.sources.mapping import SourceMapping
from cjkit.sources.rows import FileLanding

LANDING_VERSION = 12
"""Counts up when landed rows would differ: then all files are landed anew."""


@dataclass(frozen=True)
class Landed:
    """What `land` found or made.

    Attributes
    ----------
    folders : tuple of Path
        One folder for each input file, in the order of the sources and then of the files' names.
    ledgers : tuple of Ledger
        Their ledgers.
    made : int
        How many of them are new.
    """

    folders: tuple[Path, ...]
    ledgers: tuple[Ledger, ...]
    made: int

    @property
    def fingerprint(self) -> str:
        """What names this landing as a whole: it changes when any file or mapping does."""
        return _digest([folder.name for folder in self.folders])


def read_mappings(project: Project) -> dict[str, SourceMapping]:
    """Read the mapping of every source and check them against the project, all faults together.

    Raises
    ------
    CjkitError
        When a mapping has faults, looks up a source that the project lacks, or names people in a
        namespace that [identity] does not describe.
    """
    found, faults = {}, []
    for name, source in project.sources.items():
        try:
            found[name] = read_mapping(
                source.mapping,
                folder=project.folder,
                place=f"sources.{name}.mapping",
                time_zone=project.project.time_zone,
            )
        except CjkitError as error:
            faults.append(str(error))
    for name, mapping in found.items():
        if project.sources[name].url is not None:
            form = mapping.file.model_copy(update={"format": "parquet"})
            found[name] = mapping = replace(mapping, file=form)
        for lookup, rule in mapping.lookups.items():
            if rule.source not in project.sources:
                place = f"sources.{name}: lookup.{lookup}.source"
                faults.append(_no_such(place, rule.source, list(project.sources), "source"))
        for namespace in dict.fromkeys(map(mapping.namespace, mapping.ids)):
            if namespace not in project.identity:
                known = list(project.identity)
                faults.append(
                    _no_such(f"sources.{name}: ids", namespace, known, "namespace of [identity]")
                )
    looked_up = {rule.source for mapping in found.values() for rule in mapping.lookups.values()}
    for name, mapping in found.items():
        if not mapping.rows and name not in looked_up:
            faults.append(f"{mapping.name} has no [[row]], and no other source looks {name!r} up.")
    if faults:
        raise CjkitError("\n".join(faults))
    return found


def event_places(project: Project) -> dict[str, EventPlace]:
    """Return where each event belongs when its row leaves it open.

    What `[events]` of the project says wins over what the mappings of its sources say, of which the
    first counts. Of these a stage that the project does not have is left out.
    """
    found: dict[str, dict[str, str | None]] = {}
    for mapping in read_mappings(project).values():
        for name, place in mapping.events.items():
            said = place.model_dump()
            if said["stage"] not in project.stages.order:
                said["stage"] = None
            known = found.setdefault(name, said)
            known |= {key: known[key] or value for key, value in said.items()}
    for name, place in project.events.items():
        own = {key: value for key, value in place.model_dump().items() if value is not None}
        found[name] = {**found.get(name, {}), **own}
    return {name: EventPlace.model_validate(said) for name, said in found.items()}


def _no_such(place: str, given: str, known: Sequence[str], what: str) -> str:
    near = nearest(given, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"{place} names {given!r}, no {what} of the project.{hint} Known: {', '.join(known)}."


def land(
    project: Project,
    engine: DuckDB,
    *,
    pseudonym: Pseudonym | None = None,
    vault: Vault | None = None,
    erased: Collection[str] = (),
    corrections: Corrections | None = None,
) -> Landed:
    """Read every input file that is new, or whose mapping is, into landed Parquet.

    Parameters
    ----------
    project : Project
        Which files, under which mappings; its state folder receives `landed/`.
    engine : DuckDB
        What reads. Its tables whose names begin with 'landing' are replaced.
    pseudonym : callable, optional
        Writes the SQL that hides an SQL expression under the project's key, such as
        `lambda id: privacy.pseudonym_sql(id, key)`. Without it ids stay as they are, which
        `[privacy] pseudonyms = "plain"` must allow.
    vault : Vault, optional
        Where strong ids and private fields go in clear; without it they go nowhere. A file that is
        landed but has left nothing there is landed again.
    erased : collection of str
        The `person_key` of people who must not come back. Files that are landed anew leave out the
        rows whose person has one of these keys, or that stand with one of a strong namespace on
        their record; their ledgers count them. What is landed already stays: `erase` is for that.
    corrections : mapping from source and file to corrected records, optional
        They take the places of the records that they correct. A file whose corrections changed is
        landed again, and so is one that looks it up.

    Returns
    -------
    Landed
        One folder for each file. It holds `<table>.parquet` for each table that the mapping makes,
        `edges.parquet` where records hold several ids, `staff.parquet` (the keys of employees)
        where they hold e-mails, `unreadable.csv` (the numbers of records that could not be read)
        and `ledger.json`.

    Raises
    ------
    CjkitError
        When files or mappings are wrong (all mappings first, then the first wrong file), or a file
        that was read before is gone without `retention = "forget"`. What was
        landed before stays; nothing half-made does.

    Notes
    -----
    A row holds the columns of the contract, `person_key` (`<namespace>:<pseudonym>` of its
    first id), `record_hash` (equal for equal records), `unique_key`, `row_rule` (the number of
    its [[row]]), `element_no` (its place in the list of `each`, missing elsewhere),
    `time_precision`, `unreadable` and `unknown_codes` (comma lists of columns), `source`,
    `file` and `record_no`. An edge says that two keys stood on one record: one row for each
    pair in a file, with the first and the last time and their records.
    """
    if pseudonym is None and project.privacy.pseudonyms == "keyed":
        raise CjkitError(
            "privacy.pseudonyms='keyed' needs a pseudonym: give land() the one to use."
        )
    mappings = read_mappings(project)
    files = project.input_files()
    root = project.state_folder / "landed"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_orphans(root)
    _refuse_vanished(project, files, root)
    people = People(
        pseudonym=pseudonym,
        salt=_salt(engine, pseudonym),
        strong=frozenset(n for n, rule in project.identity.items() if rule.strength == "strong"),
        staff=project.company.staff_domains,
        vault=vault,
        erased=frozenset(erased),
    )
    corrected = {
        (name, path): (corrections or {}).get((name, shown_name(path, project)), {})
        for name, paths in files.items()
        for path in paths
    }
    forget_tables(project)
    tables = {
        name: DatabaseTable(name, source, mappings[name])
        for name, source in project.sources.items()
        if source.url is not None
    }

    def fetch(name: str) -> None:
        for path in files[name] if name in tables else ():
            if not path.exists():
                tables[name].fetch(engine, path)

    digests = {}
    for (name, path), own in corrected.items():
        version = tables[name].version() if name in tables else None
        if version is None:
            fetch(name)
        digests[name, path] = _digest_of(version or path, own)
    folders, ledgers, made = [], [], 0
    for name, mapping in mappings.items():
        looked_up = [
            [
                mappings[rule.source].text,
                *(digests[rule.source, path] for path in files[rule.source]),
            ]
            for rule in mapping.lookups.values()
        ]
        for path in files[name]:
            shown = shown_name(path, project)
            fingerprint = _digest(
                [
                    LANDING_VERSION,
                    name,
                    shown,
                    digests[name, path],
                    mapping.text,
                    looked_up,
                    project.company.staff_domains,
                    sorted(people.strong & set(map(mapping.namespace, mapping.ids))),
                    people.salt,
                ]
            )
            folder = root / fingerprint
            is_landed = (folder / "ledger.json").is_file()
            if not (is_landed and (vault is None or vault.has(fingerprint))):
                for needed in (name, *(rule.source for rule in mapping.lookups.values())):
                    fetch(needed)
                with _made_whole(folder) as partial:
                    landing = FileLanding(
                        engine,
                        mappings,
                        files,
                        mapping,
                        people=people,
                        corrected=corrected,
                        folder=partial,
                    )
                    landing.run(path, name, shown, fingerprint)
                made += 1
            folders.append(folder)
            ledgers.append(_read_ledger(folder))
    _forget_others(root, folders)
    if vault is not None:
        read = [kept_as(ledger.source, ledger.file) for ledger in ledgers]
        vault.keep_only([*(folder.name for folder in folders), *read])
    return Landed(tuple(folders), tuple(ledgers), made)


def shown_name(path: Path, project: Project) -> str:
    """Return a file's name as the project's folder sees it; elsewhere, its folder and name.

    A table of a database is `VARIABLE/table`.
    """
    for folder in (project.fetched_folder, project.folder):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return Path(*path.parts[-2:]).as_posix()


def _salt(engine: DuckDB, pseudonym: Pseudonym | None) -> str:
    """Return a text that depends on the key, and on how the engine hashes.

    What is landed under another key, or by an engine that hashes otherwise, is not used.
    """
    hidden = pseudonym(text("cjkit landing")) if pseudonym else text("plain")
    found = engine.query(f"select {hidden} || hash('cjkit landing') as salt")
    return str(found["salt"].iloc[0])


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


def _digest_of(version: Path | str, corrected: Mapping[int, Correction]) -> str:
    """Return what tells a file (or a table, by what is known of it) from any other version."""
    if isinstance(version, str):
        found = version
    else:
        try:
            with version.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CjkitError(f"{version} cannot be read: {error.strerror}.") from error
    noted = [(number, *astuple(each)) for number, each in sorted(corrected.items())]
    return _digest([found, noted]) if noted else found


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes its name only when all went well."""
    partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700)
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise CjkitError(
            f"{folder.parent} cannot be written: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_orphans(root: Path) -> None:
    """Remove what runs that were killed had begun."""
    for partial in root.glob(".partial-*"):
        process = int(partial.name.split("-")[1])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            shutil.rmtree(partial, ignore_errors=True)
        except PermissionError:
            continue


def _refuse_vanished(project: Project, files: Mapping[str, Sequence[Path]], root: Path) -> None:
    """Refuse to go on where a file that was read before is gone, and nothing says that it may be.

    A file that is there, but not a source's any more, was left out on purpose.
    """
    faults = []
    for path in sorted(root.glob("*/ledger.json")):
        before = _read_ledger(path.parent)
        source = project.sources.get(before.source)
        if source is None or source.retention == "forget" or source.url is not None:
            continue
        read = {shown_name(each, project) for each in files[before.source]}
        if before.file not in read and not (project.folder / before.file).exists():
            faults.append(
                f"{before.file!r} of source {before.source!r} was read before and is gone: put it "
                f"back, or say sources.{before.source}.retention = 'forget', so that what was in "
                "it leaves the log."
            )
    if faults:
        raise CjkitError("\n".join(dict.fromkeys(faults)))


def _forget_others(root: Path, kept: Sequence[Path]) -> None:
    """Remove landed folders that no input file stands behind any more."""
    for folder in root.iterdir():
        if folder not in kept and not folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)


def _read_ledger(folder: Path) -> Ledger:
    found = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    found["unmapped"] = tuple(found["unmapped"])
    found["problems"] = tuple(found["problems"])
    return Ledger(**found)
