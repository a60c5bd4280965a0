"""Erasing people from what is remembered of ids from run to run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cjkit.engine import DuckDB, text
from cjkit.identity.ids import ANCHORS, remembered


def count_anchors(engine: DuckDB, state: Path, person_keys: Collection[str]) -> int:
    """Count what the folder `state` remembers of people with these keys."""
    sql = f"select count(*) as n from {remembered(state)} as anchors where {_are(person_keys)}"
    return int(engine.query(sql)["n"].iloc[0])


def erase_anchors(engine: DuckDB, state: Path, person_keys: Collection[str]) -> None:
    """Remove from the folder `state` what it remembers of people with these keys."""
    if count_anchors(engine, state, person_keys):
        left = f"select * from {remembered(state)} as anchors where not {_are(person_keys)}"
        engine.copy(left, state / ANCHORS)
        (state / ANCHORS).chmod(0o600)


def _are(person_keys: Collection[str]) -> str:
    listed = ", ".join(map(text, sorted(person_keys))) or "null"
    return f"(anchor in ({listed}) or person_key in ({listed}))"
