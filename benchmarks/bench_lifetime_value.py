"""Group, fit, predict and score: how long lifetime value takes, and how much memory.

    python benchmarks/bench_lifetime_value.py [--customers 1000000]

Orders are simulated customer by customer in time, written as Parquet, and measured in a process of
their own. One line of JSON is printed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cjkit.engine import DuckDB, text
from cjkit.lifetime_value import (
    PurchaseModel,
    backtest_purchases,
    fit_purchases,
    fit_spend,
    measure_retention,
    predict_value,
)

DAYS = 730
WEEKS = 105
UNTIL = "2026-01-01"
TRUTH = PurchaseModel(0.8, 50.0, 0.9, 2.5)


def write_orders(customers: int, path: Path) -> int:
    """Simulate the orders of two years and write them; return how many lines."""
    engine = DuckDB()
    batch = 50_000

    def batches() -> list[pd.DataFrame]:
        for first in range(0, customers, batch):
            rng = np.random.default_rng(first)
            size = min(batch, customers - first)
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
        "select 'c' || customer_no as customer_id, date '2024-01-02' + cast(day as int)"
        " as local_date, revenue, false as is_return from raw order by customer_no, day",
        path,
    )
    return engine.table("raw").count()


def measure(path: Path) -> dict[str, float]:
    """Run every step once over the orders in `path`; return the seconds of each."""
    engine = DuckDB(threads=2, memory="1GB")
    orders = engine.view("orders", f"select * from read_parquet({text(str(path))})")
    seconds: dict[str, float] = {}

    def timed(name, call):
        begin = time.perf_counter()
        found = call()
        seconds[name] = round(time.perf_counter() - begin, 2)
        return found

    purchases = timed("fit_purchases", lambda: fit_purchases(orders, until=UNTIL))
    spend = timed("fit_spend", lambda: fit_spend(orders, until=UNTIL))
    value = timed("predict_value", lambda: predict_value(orders, purchases, spend))
    seconds["group_fit_predict"] = round(sum(seconds.values()), 2)
    timed("backtest_purchases", lambda: backtest_purchases(orders, until=UNTIL))
    timed("measure_retention", lambda: measure_retention(orders, until=UNTIL))
    return {
        "customers": value.customers,
        "histories": len(purchases.histories.table),
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Write, measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=1_000_000)
    customers = options.parse_args().customers
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        # Each in a fresh process: the memory of one is not counted for the other.
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            lines = pool.apply(write_orders, (customers, path))
            found = pool.apply(measure, (path,))
    print(json.dumps({"benchmark": "lifetime_value", "order_lines": lines, **found}))


if __name__ == "__main__":
    main()
