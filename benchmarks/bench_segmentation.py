"""Score, describe, group and assign a million customers, beside pandas and scikit-learn.

    python benchmarks/bench_segmentation.py [--rows 10000000]

Order lines and events are drawn by a hash of their numbers and written as Parquet; each part is
measured in a process of its own. One line of JSON is printed: RFM, features, groups (found on a
sample, their number chosen) with everybody assigned; then what a user would otherwise run, RFM in
plain pandas and k-means of scikit-learn on all rows, and how many times as long and as large that
is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from measuring import asked, fresh, say, timed

from cjkit.engine import DuckDB, text
from cjkit.segmentation import assign_segments, find_segments, measure_grid, read_features

GROUPS = 5
DAY_US = 86_400_000_000


def write_log(rows: int, folder: Path) -> None:
    """Write `rows` order lines (one in 20 a return) and as many events of rows / 10 customers."""
    engine = DuckDB(threads=2)
    customers = rows // 10
    engine.copy(
        f"""
        select 'c' || hash(order_no, 1) % {customers} as customer_id, 'o' || order_no as order_id,
            1700000000000000 + cast(hash(order_no, 2) % 63072000 as bigint) * 1000000 as ordered_us,
            hash(i, 3) % 20 = 0 as is_return, 'k' || hash(i, 5) % 8 as category,
            case when hash(i, 6) % 4 = 0 then 1.0 else 0.0 end as discount,
            round(case when hash(i, 3) % 20 = 0 then -1 else 1 end
                * exp(3.3 + 1.5 * (hash(i, 4) / 2.0**64)), 2) as revenue
        from (select i, i * 2 // 5 as order_no from range({rows}) as numbers(i)) as lines
        order by customer_id, ordered_us""",
        folder / "orders.parquet",
    )
    engine.copy(
        f"""
        select customer_id, occurred_us, event, channel, touchpoint, 'second' as time_precision,
            case when hash(i, 7) % 9 = 0 then 'outbound' end as direction, hash(i, 8) % 24
            as local_hour, hash(i, 9) % 7 + 1 as local_weekday,
            cast(hash(i, 10) % 6 as bigint) as session_no
        from (select i, 'c' || hash(i, 1) % {customers} as customer_id,
                1700000000000000 + cast(hash(i, 2) % 63072000 as bigint) * 1000000 as occurred_us,
                'e' || hash(i, 3) % 12 as event, 'h' || hash(i, 4) % 9 as channel,
                't' || hash(i, 5) % 20 as touchpoint
            from range({rows}) as numbers(i)) as drawn
        order by customer_id, occurred_us""",
        folder / "events.parquet",
    )


def measure(folder: Path) -> dict[str, Any]:
    """Do it once; return what each part took, and all together."""
    engine = DuckDB(threads=2, memory="1500MB", spill=folder / "spill")
    orders, events = (
        engine.view(name, f"select * from read_parquet({text(str(folder / f'{name}.parquet'))})")
        for name in ("orders", "events")
    )
    segments, rfm = timed(lambda: assign_segments(orders))
    _, grid = timed(lambda: measure_grid(segments.customers))
    features, described = timed(lambda: read_features(orders, events))
    found, grouped = timed(lambda: find_segments(features))
    _, assigned = timed(lambda: found.definition.assign(features, "assigned again"))
    parts = {"rfm": rfm, "grid": grid, "features": described, "groups": grouped}
    frame = engine.query(f"select * from {features.customers}").drop(columns="customer_id")
    frame.to_parquet(folder / "features.parquet")
    return {
        **parts,
        "assign_alone": assigned,
        "all": _together(list(parts.values())),
        "rows": orders.count() + events.count(),
        "customers": segments.customers.count(),
        "features_read": len(features.names),
    }


def run_pandas(folder: Path) -> dict[str, Any]:
    """Score recency, frequency and money in plain pandas, as most tutorials do."""

    def score() -> pd.DataFrame:
        lines = pd.read_parquet(folder / "orders.parquet")
        fine = lines[~lines["is_return"]]
        end = fine["ordered_us"].max() + 1
        people = fine.groupby("customer_id").agg(
            last_us=("ordered_us", "max"), orders=("order_id", "nunique")
        )
        people["revenue"] = lines.groupby("customer_id")["revenue"].sum()
        people["recency_days"] = (end - people["last_us"]) // DAY_US
        for name, value in (("r", -people["recency_days"]), ("f", people["orders"])):
            people[name] = (5 * value.rank(pct=True)).clip(lower=1e-9).apply("ceil")
        return people

    return timed(score)[1]


def run_scikit(folder: Path) -> dict[str, Any]:
    """Group all rows by k-means, with the features given and the number of groups known."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    def group() -> Any:
        frame = pd.read_parquet(folder / "features.parquet").astype(float)
        points = StandardScaler().fit_transform(frame.fillna(frame.mean()).fillna(0.0))
        return KMeans(GROUPS, n_init=5, random_state=0).fit_predict(points)

    return timed(group)[1]


def _together(parts: list[dict[str, float]]) -> dict[str, float]:
    """Return the seconds of all parts, and the peak of memory of any."""
    seconds = {
        key: round(sum(part[key] for part in parts), 2) for key in ("cpu_seconds", "seconds")
    }
    return {**seconds, "peak_memory_mb": max(part["peak_memory_mb"] for part in parts)}


def _ratios(theirs: dict[str, float], ours: dict[str, float]) -> dict[str, float]:
    return {key: round(theirs[key] / ours[key], 2) for key in theirs}


def main() -> None:
    """Draw, measure and print."""
    rows = asked(__doc__, "rows", 10_000_000)
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        fresh(write_log, rows, folder)
        ours = fresh(measure, folder)
        pandas, scikit = fresh(run_pandas, folder), fresh(run_scikit, folder)
        say(
            "segmentation",
            **ours,
            pandas_rfm=pandas,
            scikit_learn_all_rows=scikit,
            pandas_to_rfm=_ratios(pandas, ours["rfm"]),
            scikit_learn_to_groups=_ratios(scikit, ours["groups"]),
        )


if __name__ == "__main__":
    main()
