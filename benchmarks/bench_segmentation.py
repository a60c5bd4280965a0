"""Score and name the customers of many order lines: seconds and peak memory.

    python benchmarks/bench_segmentation.py [--rows 10000000]

Order lines are drawn by a hash of each line's number and written as Parquet; they are measured in a
process of its own. One line of JSON is printed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from measuring import asked, fresh, say, timed

from cjkit.engine import DuckDB, text
from cjkit.segmentation import assign_segments, measure_grid


def write_orders(rows: int, path: Path) -> None:
    """Write `rows` order lines of rows / 10 customers, 2.5 lines an order, one in 20 a return."""
    DuckDB(threads=2).copy(
        f"""
        select 'c' || hash(order_no, 1) % {rows // 10} as customer_id, 'o' || order_no as order_id,
            1700000000000000 + cast(hash(order_no, 2) % 63072000 as bigint) * 1000000 as ordered_us,
            hash(i, 3) % 20 = 0 as is_return,
            round(case when hash(i, 3) % 20 = 0 then -1 else 1 end
                * exp(3.3 + 1.5 * (hash(i, 4) / 2.0**64)), 2) as revenue
        from (select i, i * 2 // 5 as order_no from range({rows}) as numbers(i)) as lines
        order by customer_id, ordered_us""",
        path,
    )


def measure(path: Path) -> dict[str, Any]:
    """Assign segments and count the grid once; return what each took."""
    engine = DuckDB(threads=2, memory="2GB")
    orders = engine.view("orders", f"select * from read_parquet({text(str(path))})")
    segments, used = timed(lambda: assign_segments(orders))
    _, grid = timed(lambda: measure_grid(segments.customers))
    return {
        "assign": used,
        "grid": grid,
        "rows": orders.count(),
        "customers": segments.customers.count(),
    }


def main() -> None:
    """Draw, measure and print."""
    rows = asked(__doc__, "rows", 10_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        fresh(write_orders, rows, path)
        say("segmentation", **fresh(measure, path))


if __name__ == "__main__":
    main()
