"""Group, fit, predict and score: how long lifetime value takes, and how much memory.

    python benchmarks/bench_lifetime_value.py [--customers 10000000]

Orders are simulated customer by customer over two years, written as Parquet, and measured in a
process of their own. Beside it stands what a user would otherwise run on a tenth of them: a table
of customers made by pandas with the same model fitted to every row of it, and the package Lifetimes
where LIFETIMES_PYTHON names the Python of an environment that has it (`beside_lifetimes.py`). All
expect the same purchases; cjkit's part also holds the spend, its discounted value and intervals, so
that the ratio of what both do, reading, grouping and fitting, stands beside that of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import asked, fresh, ratios, say, sum_up, timed

from cjkit.engine import DuckDB, text
from cjkit.lifetime_value import (
    PurchaseModel,
    backtest_purchases,
    fit_purchases,
    fit_spend,
    measure_retention,
    predict_value,
    read_histories,
)
from cjkit.lifetime_value.purchase_model import estimate_purchases

DAYS = 730
WEEKS = 105
UNTIL = "2026-01-01"
LAST_DAY = "2025-12-31"
FIRST_DAY = "2024-01-02"
TRUTH = PurchaseModel(0.8, 50.0, 0.9, 2.5)
BATCH = 50_000


def write_orders(customers: int, path: Path) -> int:
    """Simulate the orders of two years and write them; return how many lines."""
    engine = DuckDB()

    def batches() -> Iterator[pd.DataFrame]:
        for first in range(0, customers, BATCH):
            rng = np.random.default_rng(first)
            size = min(BATCH, customers - first)
            new = np.zeros(size)
            start = rng.uniform(0, DAYS - 1, size)
            counts = TRUTH.simulate(7, WEEKS, new, new, new, rng)
            weeks = np.repeat(np.tile(np.arange(WEEKS), size), counts.ravel())
            who = np.concatenate([np.arange(size), np.repeat(np.arange(size), counts.sum(axis=1))])
            at = start[who] + np.concatenate([new, 7 * (weeks + rng.random(len(weeks)))])
            mean = 90 / rng.gamma(4, size=size)
            revenue = np.round(mean[who] * rng.gamma(6, size=len(who)) / 6, 2)
            inside = at < DAYS
            yield pd.DataFrame(
                {"customer_no": first + who, "day": at.astype(int), "revenue": revenue}
            )[inside]

    engine.write_table("raw", batches())
    engine.copy(
        f"select 'c' || customer_no as customer_id, date '{FIRST_DAY}' + cast(day as int)"
        " as local_date, revenue, false as is_return from raw order by customer_no, day",
        path,
    )
    return engine.table("raw").count()


def group_fit_predict(path: Path) -> dict[str, Any]:
    """Run what a forecast needs, once over the orders in `path`."""
    engine = DuckDB(threads=2, memory="1GB")
    orders = engine.view("orders", f"select * from read_parquet({text(str(path))})")
    histories, grouped = timed(lambda: read_histories(orders, until=UNTIL))
    purchases, fitted = timed(lambda: fit_purchases(histories))
    spend, spent = timed(lambda: fit_spend(histories))
    value, predicted = timed(lambda: predict_value(purchases, spend))
    steps = {"group": grouped, "fit": fitted, "fit_spend": spent, "predict": predicted}
    return {
        "customers": value.customers,
        "histories": len(histories.table),
        "expected_purchases": round(value.purchases.value),
        "steps": steps,
        **sum_up(steps),
    }


def check_beside(path: Path) -> dict[str, Any]:
    """Run what stands beside a forecast: its back-test and the cohorts."""
    engine = DuckDB(threads=2, memory="1GB")
    orders = engine.view("orders", f"select * from read_parquet({text(str(path))})")
    _, backtest = timed(lambda: backtest_purchases(orders, until=UNTIL))
    _, retention = timed(lambda: measure_retention(orders, until=UNTIL))
    return {"backtest": backtest, "retention": retention}


def one_row_each(path: Path) -> dict[str, Any]:
    """Group by pandas, fit to one row for each customer and predict for each: the plain way."""
    orders, read = timed(lambda: pd.read_parquet(path))

    def group() -> pd.DataFrame:
        days = orders.groupby(["customer_id", "local_date"], as_index=False)["revenue"].sum()
        days["local_date"] = pd.to_datetime(days["local_date"])
        found = days.groupby("customer_id")["local_date"].agg(["min", "max", "count"])
        found["recency"] = (found["max"] - found["min"]).dt.days / 7
        found["age"] = (pd.Timestamp(LAST_DAY) - found["min"]).dt.days / 7
        return found

    rows, grouped = timed(group)
    history = (rows["count"].to_numpy(float) - 1, rows["recency"], rows["age"])
    estimate, fitted = timed(lambda: estimate_purchases(*history, np.ones(len(rows))))
    model = PurchaseModel(*estimate.values)
    bought, predicted = timed(lambda: model.expected_purchases(365.25 / 7, *history))
    steps = {"read": read, "group": grouped, "fit": fitted, "predict": predicted}
    found = {"customers": len(rows), "expected_purchases": round(float(bought.sum()))}
    return {**found, "steps": steps, **sum_up(steps)}


def with_lifetimes(path: Path) -> dict[str, Any] | None:
    """Run the package Lifetimes in its own environment; None where there is none."""
    if not (python := os.environ.get("LIFETIMES_PYTHON")):
        return None
    script = str(Path(__file__).with_name("beside_lifetimes.py"))
    done = subprocess.run(
        [python, script, str(path), LAST_DAY], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _to_fit(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """Return how many times as much `one` took to read, group and fit the purchases."""
    parts = [
        {name: found["steps"][name] for name in ("read", "group", "fit") if name in found["steps"]}
        for found in (one, other)
    ]
    return ratios(*map(sum_up, parts))


def main() -> None:
    """Write, measure, print."""
    customers = asked(__doc__, "customers", 10_000_000)
    with tempfile.TemporaryDirectory() as folder:
        whole, tenth = Path(folder) / "orders.parquet", Path(folder) / "tenth.parquet"
        lines = fresh(write_orders, customers, whole)
        found = fresh(group_fit_predict, whole)
        say("lifetime_value", part="group, fit, predict", order_lines=lines, **found)
        whole.unlink()
        lines = fresh(write_orders, max(customers // 10, 1), tenth)
        ours, plain = fresh(group_fit_predict, tenth), fresh(one_row_each, tenth)
        say("lifetime_value", part="group, fit, predict", order_lines=lines, **ours)
        others = {"one row a customer, in pandas": plain, "lifetimes": with_lifetimes(tenth)}
        for part, found in others.items():
            if found is not None:
                figures = {
                    "times_ours": ratios(found, ours),
                    "times_ours_to_fit": _to_fit(found, ours),
                }
                say("lifetime_value", part=part, **found, **figures)
        say("lifetime_value", part="beside it", order_lines=lines, **fresh(check_beside, tenth))


if __name__ == "__main__":
    main()
