"""Fixtures that the tests and the docstring examples share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

# Tests run side by side; threads that wait for small matrices would burn the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from portable import faults

from cjkit import labels, privacy
from cjkit.engine import DuckDB, Table
from cjkit.events import CONTRACT, SQL_TYPES, sequence_sql

matplotlib.use("Agg")

ANALYSES = {
    "funnel",
    "segmentation",
    "lifetime_value",
    "paths",
    "experience",
    "journey_map",
    "events",
}
START_US = 1_704_034_800_000_000  # 2024-01-01 00:00 in Tokyo
HOUR_US = 3_600_000_000


def prepare_events(engine: DuckDB, rows: pd.DataFrame) -> Table:
    """Turn rows with a few columns of the contract into an `events` table as the gate prepares it.

    `occurred_us` is needed; `event_id`, and columns that are left out, are filled in.
    """
    rows = rows.copy()
    if "event_id" not in rows:
        rows["event_id"] = [f"{number:09d}" for number in range(len(rows))]
    engine.add("raw events", rows)
    filled = [
        f"cast({name if name in rows else 'null'} as {SQL_TYPES[kind]}) as {name}"
        for name, kind in CONTRACT["events"].columns.items()
        if kind != "time"
    ]
    local = "make_timestamp(occurred_us) + interval 9 hours"
    engine.materialize(
        "unsequenced events",
        f"""select cast(customer_id as varchar) as customer_id, {", ".join(filled)}, occurred_us,
            make_timestamp(occurred_us) as occurred_at,
            cast({"valid_until_us" if "valid_until_us" in rows else "null"} as bigint)
                as valid_until_us,
            cast({local} as date) as local_date, hour({local}) as local_hour,
            isodow({local}) as local_weekday, cast(date_trunc('month', {local}) as date)
                as local_month from "raw events" """,
    )
    return engine.materialize("events", sequence_sql('"unsequenced events"'))


def build_log(journeys: str, **columns: dict[str, Any]) -> Table:
    """Build an event log from lines such as 'ann: view 0h, cart 1h, buy 2h'.

    Further columns of events are given as a mapping from the event, such as
    `touchpoint={"view": "site"}`. Customers have their names in a table `customers`.
    """
    rows = [
        (customer.strip(), *step.split())
        for customer, path in (line.split(":") for line in journeys.strip().splitlines())
        for step in path.split(",")
    ]
    log = pd.DataFrame(rows, columns=["customer_id", "event", "after"])
    log["occurred_us"] = START_US + pd.to_timedelta(log.pop("after")) // pd.Timedelta("1us")
    for name, values in columns.items():
        log[name] = log["event"].map(values)
    engine = DuckDB(threads=1)
    engine.materialize("customers", "select null as customer_id limit 0")
    events = prepare_events(engine, log)
    engine.materialize("customers", 'select distinct customer_id from "raw events"')
    return events


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow modules: none of them is left over for one worker at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def event_log() -> Callable[..., Table]:
    """Return the builder, so that a test shows the journeys that it is about."""
    return build_log


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20240401)


@pytest.fixture(autouse=True)
def example_log(request: pytest.FixtureRequest) -> None:
    """Give every docstring example the same small log, as `events`."""
    if isinstance(request.node, pytest.DoctestItem):
        request.getfixturevalue("doctest_namespace")["events"] = build_log(
            """
            ann: view 0h, cart 1h, buy 2h
            bob: view 0h, cart 1h
            cas: view 0h, buy 2h
            """
        )


@pytest.fixture(autouse=True)
def nothing_left_over() -> None:
    """Begin each test as a fresh process does: no project's names, no open figure."""
    labels.set_names({})
    labels.set_languages(["en"])
    labels.set_currency("JPY")
    privacy.set_min_cell(5)
    plt.close("all")


def real_data_folder() -> Path | None:
    """Return the folder of the public data sets, or None where this machine has none."""
    given = os.environ.get("CJKIT_REAL_DATA")
    folder = Path(given) if given else Path(__file__).parent.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def lacks(what: str) -> NoReturn:
    """Skip a test for want of something; where `CI` is set, nothing may be wanting."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(what)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the public data sets; tests that need it run whenever it is there."""
    folder = real_data_folder()
    if folder is None:
        lacks("the public data sets are not here: set CJKIT_REAL_DATA")
    return folder


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
