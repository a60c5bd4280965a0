"""The package Lifetimes on the same orders, run by the Python of an environment of its own.

    LIFETIMES_PYTHON=/path/to/python python benchmarks/bench_lifetime_value.py

That environment holds `lifetimes` and `pyarrow`; it needs nothing of cjkit. Printed as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings

import pandas as pd
from lifetimes import BetaGeoFitter
from lifetimes.utils import summary_data_from_transaction_data
from measuring import sum_up, timed


def main(path: str, last_day: str) -> None:
    """Read, group, fit and predict, one row for each customer."""
    warnings.simplefilter("ignore")
    orders, read = timed(lambda: pd.read_parquet(path))
    rows, grouped = timed(
        lambda: summary_data_from_transaction_data(
            orders, "customer_id", "local_date", observation_period_end=last_day
        )
    )
    history = (rows["frequency"], rows["recency"], rows["T"])
    fit, fitted = timed(lambda: BetaGeoFitter().fit(*history))
    bought, predicted = timed(
        lambda: fit.conditional_expected_number_of_purchases_up_to_time(365.25, *history)
    )
    steps = {"read": read, "group": grouped, "fit": fitted, "predict": predicted}
    found = {"customers": len(rows), "expected_purchases": round(float(bought.sum()))}
    print(json.dumps({**found, "steps": steps, **sum_up(steps)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
