"""Where corrected records are kept: in the vault, or, where ids are plain, in a file of the state.

A correction belongs to one record of one file and goes when the file goes. Landing puts it in the
record's place (`cjkit.sources.correcting`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.privacy import Vault
from cjkit.project import Project
from cjkit.sources.correcting import Correction, kept_as
from cjkit.sources.landing import shown_name

Kept = dict[tuple[str, str], dict[int, Correction]]
"""By source and file, then by the record's number there."""


def read_corrections(project: Project, vault: Vault | None) -> Kept:
    """Return the corrections of all files that are there."""
    plain = _read_plain(project) if vault is None else {}
    kept: Kept = {}
    for source, paths in project.input_files().items():
        for path in paths:
            place = (source, shown_name(path, project))
            if vault is None:
                found = plain.get(kept_as(*place), {})
            else:
                found = {
                    str(number): json.loads(record)
                    for batch in vault.records(kept_as(*place))
                    for number, record in zip(batch["record_no"], batch["record"], strict=True)
                }
            if found:
                kept[place] = {int(number): Correction(*pair) for number, pair in found.items()}
    return kept


def keep_corrections(
    project: Project,
    vault: Vault | None,
    kept: Kept,
    person_keys: Mapping[tuple[str, str, int], str] | None = None,
) -> None:
    """Keep these corrections of the files that `kept` names, in place of those before.

    `person_keys` says, by source, file and record number, whose records they are: so that they are
    found when a person must be forgotten.
    """
    if vault is None:
        written = _read_plain(project) | {
            kept_as(*place): {str(n): [each.original, each.corrected] for n, each in own.items()}
            for place, own in kept.items()
        }
        _write_plain(project, {name: pairs for name, pairs in written.items() if pairs})
        return
    for place, own in kept.items():
        frame = pd.DataFrame(
            {
                "record_no": list(own),
                "person_key": [(person_keys or {}).get((*place, number)) for number in own],
                "record": [
                    json.dumps([each.original, each.corrected], ensure_ascii=False)
                    for each in own.values()
                ],
            }
        )
        vault.keep_records(kept_as(*place), [frame])


def _read_plain(project: Project) -> dict[str, dict[str, list[str]]]:
    path = _path(project)
    try:
        found: dict[str, dict[str, list[str]]] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CjkitError(
            f"{path}, which holds corrected records, is damaged: {error}. Move it away and import "
            "the corrections again."
        ) from error


def _write_plain(project: Project, written: Mapping[str, Mapping[str, list[str]]]) -> None:
    partial = _path(project).with_suffix(".partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(written, file, ensure_ascii=True)
    partial.replace(_path(project))


def _path(project: Project) -> Path:
    return project.state_folder / "corrections.json"
