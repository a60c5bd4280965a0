"""Erasing people from all that the gate keeps, so that a killed run is finished by the next.

`<state>/forgotten.json` remembers the keys of people who must not come back, and what is begun but
not finished. It is written before anything goes; whoever prepares the log next finishes what is in
it, so that no log is ever made of a state from which somebody is half gone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cjkit import identity
from cjkit.checks import CjkitError
from cjkit.cleansing.assigned import erase_assignments, read_assignments
from cjkit.cleansing.corrections import keep_corrections, read_corrections
from cjkit.cleansing.recognising import recogniser
from cjkit.cleansing.state import PARTIAL
from cjkit.engine import DuckDB, text
from cjkit.privacy import Vault, audit
from cjkit.project import Project
from cjkit.sources import erasing as landed
from cjkit.sources.correcting import Correction, kept_as


@dataclass(frozen=True)
class Traces:
    """Where people are in what the gate keeps.

    Attributes
    ----------
    customer_ids : tuple of str
        Who they are in the prepared log.
    person_keys : tuple of str
        All their keys.
    counts : mapping from place to int
        How much there is of them: `vault ids`, `vault details`, `vault records`, `landed <table>`
        (rows), `prepared logs`, `remembered ids` and `assignments` of activations; without a vault
        `corrected records`.
    files : tuple of str
        Input files, as the project's folder sees them, that have rows of theirs.
    """

    customer_ids: tuple[str, ...]
    person_keys: tuple[str, ...]
    counts: dict[str, int]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Tombstones:
    """What `forgotten.json` says: the keys that must not come back, and what is not finished."""

    person_keys: tuple[str, ...] = ()
    unfinished: tuple[Traces, ...] = ()


def read_tombstones(state: Path) -> Tombstones:
    """Return who must not come back to the state folder.

    Raises
    ------
    CjkitError
        When the file is damaged: nothing may be read before it is restored.
    """
    path = _path(state)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        unfinished = [
            Traces(
                tuple(traces["customer_ids"]),
                tuple(traces["person_keys"]),
                traces["counts"],
                tuple(traces["files"]),
            )
            for traces in found["unfinished"]
        ]
        return Tombstones(tuple(found["person_keys"]), tuple(unfinished))
    except FileNotFoundError:
        return Tombstones()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CjkitError(
            f"{path}, which remembers who was forgotten, is damaged: {error!r}. Restore it from a "
            "backup; without it forgotten people would come back from the exports."
        ) from error


def begin_erasing(state: Path, traces: Traces) -> None:
    """Remember that these people must go; from here on the next run finishes it."""
    before = read_tombstones(state)
    keys = tuple(sorted({*before.person_keys, *traces.person_keys}))
    _write(state, Tombstones(keys, (*before.unfinished, traces)))


def finish_erasing(project: Project, engine: DuckDB, vault: Vault | None) -> bool:
    """Erase whom `begin_erasing` named, and say whether there was anyone; hold the state's lock.

    Each step may have been done before. Ids that a killed run left unsettled are settled first.
    """
    state = project.state_folder
    identity.settle_ids(state / "identity", state / "prepared")
    tombstones = read_tombstones(state)
    if not tombstones.unfinished:
        return False
    keys = {key for traces in tombstones.unfinished for key in traces.person_keys}
    for stale in (state / "prepared").glob(f"{PARTIAL}*"):
        shutil.rmtree(stale)
    for log in _logs_with(engine, state, keys):
        shutil.rmtree(log.rename(log.with_name(PARTIAL + log.name)))
    identity.erase_anchors(engine, state / "identity", keys)
    erase_assignments(engine, state, keys)
    found = landed.find_people(project, engine, keys)
    if vault is None:
        _erase_plain_corrections(project, keys, found)
    else:
        for name, numbers in list(_raw_records(project, vault, keys, found)):
            vault.forget_records(name, numbers)
        vault.forget(keys)
    landed.erase(project, engine, keys)
    for traces in tombstones.unfinished:
        audit.record(project, "erase", parameters=traces.counts)
    _write(state, Tombstones(tombstones.person_keys))
    return True


def find_traces(
    project: Project,
    engine: DuckDB,
    vault: Vault | None,
    customer_ids: Collection[str],
    person_keys: Collection[str],
) -> Traces:
    """Say what there is of people in what the gate keeps, and change nothing."""
    state = project.state_folder
    found = landed.find_people(project, engine, person_keys)
    counts = {f"landed {table}": rows for table, rows in sorted(found.rows.items())}
    counts["prepared logs"] = sum(1 for _ in _logs_with(engine, state, person_keys))
    counts["remembered ids"] = identity.count_anchors(engine, state / "identity", person_keys)
    counts["assignments"] = len(read_assignments(engine, state, person_keys))
    if vault is None:
        theirs = corrections_of(project, person_keys, found)
        counts["corrected records"] = sum(map(len, theirs.values()))
    else:
        counts["vault ids"] = sum(map(len, vault.ids(of=person_keys)))
        counts["vault details"] = sum(map(len, vault.details(of=person_keys)))
        records = _raw_records(project, vault, person_keys, found)
        counts["vault records"] = sum(len(numbers) for _, numbers in records)
    return Traces(tuple(sorted(customer_ids)), tuple(sorted(person_keys)), counts, found.files)


def _logs_with(engine: DuckDB, state: Path, person_keys: Collection[str]) -> Iterator[Path]:
    """Yield the prepared logs that hold one of the keys, or of which nobody can say."""
    listed = ", ".join(map(text, sorted(person_keys))) or "null"
    for log in sorted((state / "prepared").iterdir()):
        people = log / "people.parquet"
        if (
            not people.is_file()
            or (
                engine.query(
                    f"""select count(*) as n from read_parquet({text(str(people))})
                    where person_key in ({listed})"""
                )["n"].iloc[0]
            )
        ):
            yield log


def _raw_records(
    project: Project, vault: Vault, person_keys: Collection[str], found: landed.LandedTraces
) -> Iterator[tuple[str, list[int]]]:
    """Yield the numbers of raw records that are theirs, by the name they are kept under.

    A record is theirs when it has a key of theirs, or a row that landed from it has; one that is
    nobody's, when an id of theirs stands in its text.
    """
    recognise = recogniser(project)
    for batch in vault.records():
        theirs = [
            key in person_keys
            or number in found.records.get(name, ())
            or (not isinstance(key, str) and not recognise(record).isdisjoint(person_keys))
            for name, number, key, record in batch.itertuples(index=False)
        ]
        for name, numbers in batch[theirs].groupby("landed")["record_no"]:
            yield str(name), numbers.tolist()


def corrections_of(
    project: Project, person_keys: Collection[str], found: landed.LandedTraces
) -> dict[tuple[str, str], dict[int, Correction]]:
    """Return the corrected records that are theirs where ids are plain, and no vault keeps them."""
    recognise = recogniser(project)
    theirs = {}
    for place, kept in read_corrections(project, None).items():
        rows = found.records.get(kept_as(*place), ())
        own = {
            number: each
            for number, each in kept.items()
            if number in rows
            or not recognise(f"{each.original} {each.corrected}").isdisjoint(person_keys)
        }
        if own:
            theirs[place] = own
    return theirs


def _erase_plain_corrections(
    project: Project, person_keys: Collection[str], found: landed.LandedTraces
) -> None:
    """Remove the corrected records that `corrections_of` finds."""
    kept = read_corrections(project, None)
    for place, own in corrections_of(project, person_keys, found).items():
        kept[place] = {n: each for n, each in kept[place].items() if n not in own}
    if kept:
        keep_corrections(project, None, kept)


def _write(state: Path, tombstones: Tombstones) -> None:
    """Write the file whole, on the disk before anything else happens."""
    partial = _path(state).with_suffix(".partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(tombstones), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(_path(state))


def _path(state: Path) -> Path:
    return state / "forgotten.json"
