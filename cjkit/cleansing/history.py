"""What earlier runs found, kept beside the logs: small tables that grow by one run at a time.

`<state>/history/` holds one Parquet file for each of `_TABLES`, with rows for every log that was
published: `run` (the log's fingerprint), `as_of` and `made_at`, then the table's own columns.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pandas as pd

from cjkit.engine import DuckDB, text
from cjkit.statistics import newcombe_interval

_TABLES = {
    "scorecard": "select * from {scorecard}",
    "arrivals": 'select source, "table", sum(rows)::bigint as rows from {days} group by all',
}
"""What is kept of each run, made of the gate's tables."""

LEAST_FALL = 0.01
"""A score fell when, with 95% confidence, it lost more than this: one point of a hundred."""


def remember_run(engine: DuckDB, folder: Path, history: Path) -> None:
    """Add what the gate found for the published log in `folder` to the history, once.

    A log is known by its fingerprint, the name of its folder: made again, it changes nothing.
    """
    history.mkdir(mode=0o700, exist_ok=True)
    facts = folder / "gate.json"
    as_of = json.loads(facts.read_text(encoding="utf-8"))["as_of"]
    made_at = datetime.datetime.fromtimestamp(int(facts.stat().st_mtime), datetime.UTC)
    about = f"""{text(folder.name)} as run, cast({text(as_of)} as date) as as_of,
        cast({text(made_at.strftime("%Y-%m-%d %H:%M:%S"))} as timestamp) as made_at"""
    for name, sql in _TABLES.items():
        path = history / f"{name}.parquet"
        if folder.name in read_history(engine, history, name)["run"].unique():
            continue
        found = f"select {about}, * from ({sql.format_map(_Paths(folder))})"
        if path.is_file():
            found = f"from read_parquet({text(str(path))}) union all by name {found}"
        engine.copy(found, path)


class _Paths(dict[str, str]):
    """Writes the reading of the gate's table that a place in SQL names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __missing__(self, name: str) -> str:
        return f"read_parquet({text(str(self._folder / f'gate_{name}.parquet'))})"


def read_history(engine: DuckDB, history: Path, name: str) -> pd.DataFrame:
    """Return what is kept of all runs, in the order of their `as_of` and of their making."""
    path = history / f"{name}.parquet"
    if not path.is_file():
        return pd.DataFrame(columns=["run", "as_of", "made_at"])
    return engine.query(f"from read_parquet({text(str(path))}) order by as_of, made_at, run")


def runs_until(history: pd.DataFrame, run: str) -> pd.DataFrame:
    """Leave out the runs that come after `run`; none is left where the history lacks it."""
    order = list(history["run"].unique())
    return history[history["run"].isin(order[: order.index(run) + 1] if run in order else [])]


def compare_scores(history: pd.DataFrame) -> pd.DataFrame:
    """Compare the scores of the last run with those of the run before it.

    Where a table only grew, the rows that came since are compared with all rows of the run before,
    so that one bad day is seen however much good data lie behind it. Where rows were corrected or
    went, all rows are compared with all rows: they are largely the same, so that the interval is
    wider than it need be.

    Parameters
    ----------
    history : DataFrame
        The scorecards of runs, in order.

    Returns
    -------
    DataFrame
        `source`, `table`, `dimension`, `score`, `score_before`, `compared_rows` (the rows that came
        since, or all), `change` (their score less that of the run before) with its Newcombe
        interval `change_low`, `change_high`, `status`: 'fell' where the interval lies below
        -`LEAST_FALL`, else 'steady'. Largest falls first; no rows where no run came before.
    """
    key = ["source", "table", "dimension"]
    figures = ["score", "failing", "in_scope"]
    runs = history["run"].unique()
    columns = [*key, "score", "score_before", "compared_rows"]
    columns += ["change", "change_low", "change_high", "status"]
    if len(runs) < 2:
        return pd.DataFrame(columns=columns)
    now, then = (history[history["run"] == name][[*key, *figures]] for name in (runs[-1], runs[-2]))
    table: pd.DataFrame = now.merge(then, on=key, suffixes=("", "_before"))
    rows = table["in_scope"] - table["in_scope_before"]
    failing = table["failing"] - table["failing_before"]
    grew = rows.gt(0) & failing.between(0, rows)
    rows, failing = rows.where(grew, table["in_scope"]), failing.where(grew, table["failing"])
    before = table["in_scope_before"] - table["failing_before"], table["in_scope_before"]
    table["compared_rows"] = rows
    table["change"] = 1 - failing / rows - table["score_before"]
    table["change_low"], table["change_high"] = newcombe_interval(rows - failing, rows, *before)
    fell = table["change_high"] < -LEAST_FALL
    table["status"] = fell.map({True: "fell", False: "steady"})
    table = table.assign(fell=fell).sort_values(
        ["fell", "change"], ascending=[False, True], kind="stable", ignore_index=True
    )
    return table[columns]
