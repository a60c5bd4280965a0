"""Every statement that an analysis sends to the engine in a test must be portable."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from portable import faults

from cjkit.engine import DuckDB

ANALYSES = {
    "funnel",
    "segmentation",
    "lifetime_value",
    "paths",
    "experience",
    "journey_map",
    "events",
}


@pytest.fixture(autouse=True)
def portable_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse statements of the analyses that not every engine would run."""

    def checked(method: Any, place: int) -> Any:
        def call(self: DuckDB, *given: Any, **named: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller.startswith("cjkit.") and caller.split(".")[1] in ANALYSES:
                sql = given[place] if len(given) > place else named["sql"]
                found = faults(sql)
                assert not found, f"{caller} sends SQL that is not portable: {found}\n{sql}"
            return method(self, *given, **named)

        return call

    monkeypatch.setattr(DuckDB, "query", checked(DuckDB.query, 0))
    monkeypatch.setattr(DuckDB, "materialize", checked(DuckDB.materialize, 1))
    monkeypatch.setattr(DuckDB, "batches", checked(DuckDB.batches, 0))
