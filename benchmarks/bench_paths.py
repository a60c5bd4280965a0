"""Count moves, follow flows and rank journeys on a prepared log: seconds and peak memory.

    python benchmarks/bench_paths.py [--rows 10000000]

A prepared log is drawn by a hash of each row's number and written as Parquet. Each call is measured
in a process of its own, with two threads and 2 GB for the engine, and prints one line of JSON.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from measuring import asked, fresh, say, timed

from cjkit.engine import DuckDB, text
from cjkit.events import sequence_sql
from cjkit.experience import measure_stages, rank_moments, rank_pain_points
from cjkit.paths import measure_flow, measure_transitions, rank_journeys

PLACES = (
    *("ad", "social", "search", "home", "article", "product", "review", "mail", "cart", "store"),
    *("checkout", "purchase", "app", "chat", "loyalty", "referral"),
)
STAGES = ("awareness", "consideration", "purchase", "retention", "advocacy")
CALLS = {
    "transitions": lambda events: measure_transitions(events),
    "transitions_by_channel": lambda events: measure_transitions(events, level="channel"),
    "flow_from_search": lambda events: measure_flow(events, start="search"),
    "flow_to_purchase": lambda events: measure_flow(events, end="purchase"),
    "journeys_of_visits": lambda events: rank_journeys(events, conversion="purchase"),
    "journeys_of_months": lambda events: rank_journeys(events, conversion="purchase", gap="30D"),
    "stages": lambda events: measure_stages(events, stages=STAGES),
    "pain_points": lambda events: rank_pain_points(events, stages=STAGES, across="channel"),
    "moments": lambda events: rank_moments(events),
}


def write_events(rows: int, path: Path) -> None:
    """Write a prepared log of `rows` events: 12.5 a customer, visits of three, over two years."""
    engine = DuckDB(threads=2, memory="4GB")
    places = " ".join(f"when {number} then '{place}'" for number, place in enumerate(PLACES))
    stages = " ".join(
        f"when {number} then '{STAGES[min(number // 4, 4)]}'" for number in range(len(PLACES))
    )
    engine.materialize(
        "drawn",
        f"""select 'c' || (i % {rows * 2 // 25}) as customer_id, 'e' || i as event_id,
            1700000000000000 + 1000000 * (hash(i % {rows * 2 // 25}, visit, 1) % 63072000
                + hash(i, 2) % 1500)::bigint as occurred_us, place,
            case place {places} end as event, case place {places} end as touchpoint,
            case place {stages} end as stage,
            case hash(i, 3) % 5 when 0 then 'web' when 1 then 'email' when 2 then 'app'
                when 3 then 'store' else 'search' end as channel,
            case when hash(i, 4) % 20 = 0 then 'good' when hash(i, 4) % 20 = 1 then 'bad' end
                as outcome,
            'second' as time_precision, null::bigint as event_order, null::date as local_date
        from (select i, i // {rows * 2 // 25} // 3 as visit, hash(i, 5) % {len(PLACES)} as place
            from range({rows}) as numbers(i)) as numbered""",
    )
    engine.copy(
        f"select * from ({sequence_sql('drawn')}) as prepared order by customer_id, step_no", path
    )


def measure(path: Path, name: str) -> dict[str, Any]:
    """Run one call over the log in `path`; return its seconds, CPU seconds and memory."""
    engine = DuckDB(threads=2, memory="2GB")
    events = engine.view("events", f"select * from read_parquet({text(str(path))})")
    found, used = timed(lambda: CALLS[name](events))
    return {**used, "result_rows": len(found.table)}


def main() -> None:
    """Draw, measure and print."""
    rows = asked(__doc__, "rows", 10_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        fresh(write_events, rows, path)
        for name in CALLS:
            say(f"paths.{name}", rows=rows, **fresh(measure, path, name))


if __name__ == "__main__":
    main()
