"""Count, split, follow and time a funnel of five steps: seconds and peak memory.

    python benchmarks/bench_funnel.py [--rows 10000000]

A prepared log is drawn by a hash of each row's number and written as Parquet; it is measured in a
process of its own. One line of JSON is printed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cjkit.engine import DuckDB, text
from cjkit.funnel import measure_funnel, measure_funnel_trend, measure_times

STEPS = ["visit", "view_product", "add_to_cart", "begin_checkout", "purchase"]


def write_events(rows: int, path: Path) -> None:
    """Write a prepared log of `rows` events: 12.5 a customer over two years."""
    engine = DuckDB(threads=2)
    drawn = """case when u < 0.50 then 'visit' when u < 0.75 then 'view_product'
        when u < 0.87 then 'add_to_cart' when u < 0.94 then 'begin_checkout'
        when u < 0.98 then 'purchase' else 'help' end"""
    engine.copy(
        f"""
        select customer_id, {drawn} as event, occurred_us, device, 'second' as time_precision,
            row_number() over (partition by customer_id order by occurred_us) as step_no,
            cast(local as date) as local_date, isodow(local) as local_weekday,
            cast(date_trunc('month', local) as date) as local_month
        from (select 'c' || hash(i, 1) % {rows * 2 // 25} as customer_id, hash(i, 2) / 2.0**64 as u,
                1700000000000000 + cast(hash(i, 3) % 63072000 as bigint) * 1000000 as occurred_us,
                case hash(i, 4) % 3 when 0 then 'phone' when 1 then 'tablet' else 'desktop' end
                    as device, make_timestamp(occurred_us) as local
            from range({rows}) as numbers(i)) as drawn
        order by customer_id, occurred_us""",
        path,
    )


def measure(path: Path) -> dict[str, Any]:
    """Run every call once over the log in `path`; return CPU seconds, wall seconds and memory."""
    engine = DuckDB(threads=2, memory="2GB")
    events = engine.view("events", f"select * from read_parquet({text(str(path))})")
    calls: dict[str, Callable[[], object]] = {
        "funnel": lambda: measure_funnel(events, STEPS, within="60D"),
        "funnel_simultaneous": lambda: measure_funnel(
            events, STEPS, within="60D", ties="simultaneous"
        ),
        "funnel_by_device": lambda: measure_funnel(events, STEPS, within="60D", by="device"),
        "trend_by_month": lambda: measure_funnel_trend(events, STEPS, within="60D"),
        "times": lambda: measure_times(events, STEPS, within="60D"),
    }
    found: dict[str, Any] = {"cpu_seconds": {}, "seconds": {}}
    for name, call in calls.items():
        begin, used = time.perf_counter(), time.process_time()
        call()
        found["cpu_seconds"][name] = round(time.process_time() - used, 2)
        found["seconds"][name] = round(time.perf_counter() - begin, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**found, "peak_memory_mb": peak // 1024, "rows": events.count()}


def main() -> None:
    """Draw, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        # A process for each, so that drawing does not count as memory of measuring.
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            pool.apply(write_events, (rows, path))
            found = pool.apply(measure, (path,))
    print(json.dumps({"benchmark": "funnel", **found}))


if __name__ == "__main__":
    main()
