"""Erasing people from what is remembered of ids."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from cjkit.engine import DuckDB
from cjkit.identity.ids import ANCHORS, remembered

_SOUGHT = "sought anchors"


def count_anchors(engine: DuckDB, state: Path, person_keys: Collection[str]) -> int:
    """Count what is remembered about people with these keys in the folder `state`."""
    sought = _seek(engine, person_keys)
    sql = f"select count(*) as n from {remembered(state)} as anchors where {sought}"
    return int(engine.query(sql)["n"].iloc[0])


def erase_anchors(engine: DuckDB, state: Path, person_keys: Collection[str]) -> None:
    """Remove from the folder `state` all that is remembered about people with these keys."""
    if count_anchors(engine, state, person_keys):
        kept = f"select * from {remembered(state)} as anchors where not ({_SQL})"
        engine.copy(kept, state / ANCHORS)
        (state / ANCHORS).chmod(0o600)
