"""What a run settled for the runs after it: limits, centres and names that must not jump.

`<state>/history/settled/NAME.json` holds a list, in the order of writing: `as_of` (the end of the
log that it was learnt from), `about` (what was asked) and `value`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "settled"


def read_settled(
    history: Path, name: str, about: Mapping[str, Any], as_of: datetime.date
) -> Any | None:
    """Return the newest value about the same that was learnt from no later day than `as_of`."""
    asked = json.loads(json.dumps(about))
    found = [
        each
        for each in _read(history, name)
        if each["about"] == asked and each["as_of"] <= str(as_of)
    ]
    return max(found, key=lambda each: each["as_of"])["value"] if found else None


def write_settled(
    history: Path, name: str, about: Mapping[str, Any], as_of: datetime.date, value: Any
) -> None:
    """Keep a value, in place of another one about the same of the same day.

    What holds already is not written again.
    """
    if read_settled(history, name, about, as_of) == json.loads(json.dumps(value)):
        return
    new = json.loads(json.dumps({"as_of": str(as_of), "about": about, "value": value}))
    others = [
        each
        for each in _read(history, name)
        if (each["about"], each["as_of"]) != (new["about"], new["as_of"])
    ]
    folder = history / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A reader sees the old file or the new one, never half of it.
    partial = folder / f"{name}.json.partial"
    partial.write_text(json.dumps([*others, new], ensure_ascii=False, indent=1), encoding="utf-8")
    partial.replace(folder / f"{name}.json")


def _read(history: Path, name: str) -> list[dict[str, Any]]:
    path = history / FOLDER / f"{name}.json"
    if not path.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found
