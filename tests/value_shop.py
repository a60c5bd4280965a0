"""Orders that tests make up: written out, without a pattern, or simulated customer by customer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cjkit.engine import DuckDB, Table


def build_orders(rows: list[tuple[str | None, str, float]]) -> Table:
    """Build an `orders` table from (customer, day, revenue); negative revenue is a return."""
    frame = pd.DataFrame(rows, columns=["customer_id", "local_date", "revenue"])
    frame["customer_id"] = frame["customer_id"].astype("str")
    frame.loc[frame["customer_id"] == "None", "customer_id"] = None
    engine = DuckDB(threads=1)
    engine.add("raw", frame)
    return engine.materialize(
        "orders",
        "select cast(row_number() over () as varchar) as order_id, customer_id,"
        " cast(local_date as date) as local_date, revenue,"
        " case when revenue < 0 then true when revenue > 0 then false end as is_return from raw",
    )


def days_of(numbers: np.ndarray) -> list[str]:
    """Write day numbers as days of 2024 and on."""
    return [str(day) for day in (np.datetime64("2024-01-01") + numbers.astype(int)).tolist()]


def random_orders(rng: np.random.Generator, customers: int, days: int, lines: int) -> Table:
    """Build orders without a pattern: some of guests, some returns, many on one day."""
    people = [None if k == 0 else f"c{k}" for k in rng.integers(0, customers + 1, lines)]
    revenue = rng.choice([-5.0, 0.0, 10.0, 20.0, 35.5], lines, p=[0.1, 0.05, 0.4, 0.3, 0.15])
    return build_orders(
        list(zip(people, days_of(rng.integers(0, days, lines)), revenue, strict=True))
    )


def simulated_shop() -> Table:
    """Return orders of 1,500 customers over two years, simulated, with returns and guests."""
    rng = np.random.default_rng(7)
    rows: list[tuple[str | None, str, float]] = []
    for k in range(1500):
        start, rate, stop = rng.integers(0, 400), rng.gamma(0.8) / 45, rng.beta(0.9, 2.5)
        mean, clock = 6 / rng.gamma(4.0) * 15, 0.0
        times = [0]
        while (clock := clock + rng.exponential(1 / max(rate, 1e-9))) < 731 - start:
            times.append(int(clock))
            if rng.random() < stop:
                break
        for day in sorted(set(times)):
            if start + day < 731:
                when = days_of(np.array([start + day]))[0]
                rows.append((f"c{k}", when, float(np.round(mean * rng.gamma(6) / 6, 2))))
                if rng.random() < 0.04:
                    rows.append((f"c{k}", when, -5.0))
    rows += [(None, "2024-03-01", 99.0)] * 20
    return build_orders(rows)
