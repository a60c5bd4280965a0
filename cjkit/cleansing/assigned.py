"""What people were assigned to when lists were sent out: kept beside the logs, whatever is rebuilt.

`<state>/activation/assignments.parquet` has one row for each person and activation: `person_key`
(one of the person's own), `experiment` (the activation), `arm` ('audience' or 'hold_out') and
`assigned_us`. The first assignment stays. A log has them in its table `assignments`, under the
customer_id that the key has there.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from cjkit.engine import DuckDB, text

AUDIENCE, HOLD_OUT = ARMS = ("audience", "hold_out")


def assigned_sql(state: Path, prepared: Path) -> str:
    """Write the SQL of who is in which arm, as the people of the log in `prepared` are now.

    Of two people who have become one, the earlier assignment stays.

    Returns
    -------
    str
        SQL with one row for each customer and experiment: `customer_id`, `person_key`,
        `experiment`, `arm`, `assigned_us`.
    """
    people = text(str(prepared / "people.parquet"))
    return f"""
        select customer_id, person_key, experiment, arm, assigned_us
        from {_read(state)} as assigned join read_parquet({people}) as people using (person_key)
        qualify row_number() over (partition by customer_id, experiment
            order by assigned_us, person_key) = 1"""


def remember_assignments(engine: DuckDB, state: Path, rows: str) -> None:
    """Add the rows of the SQL `rows`: `person_key`, `experiment`, `arm`, `assigned_us`."""
    path = _path(state)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    engine.copy(
        f"""select * from {_read(state)} union all
            select person_key, experiment, arm, assigned_us from ({rows}) as made""",
        path,
    )
    path.chmod(0o600)


def read_assignments(engine: DuckDB, state: Path, person_keys: Collection[str]) -> pd.DataFrame:
    """Return the rows of these people: `experiment`, `arm`, `assigned_at` (UTC)."""
    return engine.query(
        f"""select experiment, arm, make_timestamp(assigned_us) as assigned_at from {_read(state)}
            where person_key in ({_listed(person_keys)}) order by assigned_us, experiment"""
    )


def erase_assignments(engine: DuckDB, state: Path, person_keys: Collection[str]) -> None:
    """Remove the rows of these people."""
    if len(read_assignments(engine, state, person_keys)):
        kept = f"person_key not in ({_listed(person_keys)})"
        engine.copy(f"select * from {_read(state)} where {kept}", _path(state))
        _path(state).chmod(0o600)


def _path(state: Path) -> Path:
    return state / "activation" / "assignments.parquet"


def _read(state: Path) -> str:
    if _path(state).is_file():
        return f"read_parquet({text(str(_path(state)))})"
    return """(select '' as person_key, '' as experiment, '' as arm,
        cast(0 as bigint) as assigned_us limit 0)"""


def _listed(values: Collection[str]) -> str:
    return ", ".join(map(text, sorted(values))) or "null"
