"""Paths over a prepared log, side by side with the shortest SQL for the same.

    python benchmarks/bench_paths.py [--rows 10000000]

A prepared log is drawn by a hash of each row's number and written as Parquet. Each question is
asked in a process of its own, with two threads and 1.2 GB for the engine. Transitions and flows
are asked `RUNS` times of cjkit and of SQL written by hand for DuckDB, in turn, which must give the
same rows; the figures are medians of CPU seconds, and the ratio must be at most `most`. One line of
JSON is printed for each.

What stands by hand is free to use what only DuckDB has, and knows that no time has day precision
and that no place is missing; cjkit's statements run on other engines, too, and allow for both.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from measuring import asked, fresh, say, timed

from cjkit.engine import DuckDB, text
from cjkit.events import sequence_sql
from cjkit.experience import (
    measure_stage_cycle,
    measure_stages,
    rank_moments,
    rank_pain_points,
)
from cjkit.paths import (
    find_journey_types,
    measure_conformity,
    measure_flow,
    measure_loops,
    measure_transitions,
    rank_journeys,
)

RUNS = 5
MOST = 1.5
"""The largest ratio allowed."""
PLACES = (
    *("ad", "social", "search", "home", "article", "product", "review", "mail", "cart", "store"),
    *("checkout", "purchase", "app", "chat", "loyalty", "referral"),
)
STAGES = ("awareness", "consideration", "purchase", "retention", "advocacy")
INTENDED = ("search", "product", "cart", "checkout", {"touchpoint": "purchase", "within": "3D"})
CALLS = {
    "transitions": lambda events: measure_transitions(events),
    "transitions_by_channel": lambda events: measure_transitions(events, level="channel"),
    "flow_from_search": lambda events: measure_flow(events, start="search", top=99),
    "flow_to_purchase": lambda events: measure_flow(events, end="purchase", top=99),
    "loops": lambda events: measure_loops(events),
    "conformity": lambda events: measure_conformity(events, INTENDED),
    "journeys_of_visits": lambda events: rank_journeys(events, conversion="purchase"),
    "journeys_of_months": lambda events: rank_journeys(events, conversion="purchase", gap="30D"),
    "journey_types": lambda events: find_journey_types(events),
    "stages": lambda events: measure_stages(events, stages=STAGES),
    "stage_cycle": lambda events: measure_stage_cycle(events, stages=STAGES),
    "pain_points": lambda events: rank_pain_points(events, stages=STAGES, across="channel"),
    "moments": lambda events: rank_moments(events),
}

GAP = 30 * 86_400_000_000
KNOWN = f"(select max(occurred_us) - {GAP} from events)"
IN_ORDER = "partition by customer_id order by step_no"
BEFORE = "rows between unbounded preceding and 1 preceding"


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
            'second' as time_precision, null::bigint as event_order, null::date as local_date,
            null::double as revenue, null::varchar as ref_id, null::bigint as valid_until_us,
            null::varchar as direction, null::varchar as device
        from (select i, i // {rows * 2 // 25} // 3 as visit, hash(i, 5) % {len(PLACES)} as place
            from range({rows}) as numbers(i)) as numbered""",
    )
    engine.copy(
        f"select * from ({sequence_sql('drawn')}) as prepared order by customer_id, step_no", path
    )


def transitions_by_hand(place: str) -> str:
    """Write the shortest SQL for moves, entries and ends, with people and times."""
    source, told = "events", ""
    if place == "channel":
        # The log stores no next channel.
        source, told = (
            "told",
            f"""told as (select customer_id, step_no, occurred_us, channel,
            microseconds_to_next, lead(channel) over ({IN_ORDER}) as next_channel from events),""",
        )
    return f"""
        with {told} ways as (
            select customer_id, {place} as origin,
                if(microseconds_to_next <= {GAP}, next_{place}, '(exit)') as target,
                if(microseconds_to_next <= {GAP}, microseconds_to_next, null) as us
            from {source} where occurred_us <= {KNOWN}
            union all
            select customer_id, '(entry)', {place}, null from {source}
            where step_no = 1 and occurred_us <= {KNOWN}
            union all
            select customer_id, '(entry)', next_{place}, null from {source}
            where microseconds_to_next > {GAP}
                and occurred_us + microseconds_to_next <= {KNOWN})
        select origin, target, count(*) as moves, count(distinct customer_id) as customers,
            any_value(people) as all_customers, moves / sum(moves) over (partition by origin)
                as share, quantile_cont(us, [0.1, 0.5, 0.9]) as waits
        from ways join (select origin, count(distinct customer_id) as people
            from ways where origin <> target group by 1) using (origin)
        where origin <> target group by origin, target"""


def flow_by_hand(place: str, *, is_back: bool) -> str:
    """Write the shortest SQL for the five steps after the first event at a place, or before it."""
    if is_back:
        beyond = (
            f"case when lag(microseconds_to_next) over ({IN_ORDER}) <= {GAP} "
            f"then lag(touchpoint) over ({IN_ORDER}) else '(entry)' end"
        )
        side, order, ends = "<=", "step_no desc", "('(entry)')"
        known = "true"
    else:
        beyond = (
            f"case when occurred_us > {KNOWN} then '(open)' "
            f"when microseconds_to_next <= {GAP} then next_touchpoint else '(exit)' end"
        )
        side, order, ends = ">=", "step_no", "('(exit)', '(open)')"
        known = f"occurred_us <= {KNOWN}"
    window = f"over (partition by customer_id order by {order} {BEFORE})"
    return f"""
        with first as (select customer_id, min(step_no) as anchor from events
            where touchpoint = '{place}' and {known} group by 1),
        placed as (select *, {beyond} as beyond from events),
        turns as (
            select touchpoint, beyond, 1 + coalesce(count(*) {window}, 0) as place,
                coalesce(count(*) filter (beyond in {ends}) {window}, 0) as ended
            from placed e join first f using (customer_id)
            where step_no {side} anchor and beyond <> touchpoint)
        select place, touchpoint as here, beyond, count(*) as customers from turns
        where ended = 0 and place < 5 group by all"""


BY_HAND = {
    "transitions": transitions_by_hand("touchpoint"),
    "transitions_by_channel": transitions_by_hand("channel"),
    "flow_from_search": flow_by_hand("search", is_back=False),
    "flow_to_purchase": flow_by_hand("purchase", is_back=True),
}


def measure(path: Path, name: str) -> dict[str, Any]:
    """Ask one question over the log in `path`; return its seconds, CPU seconds and memory."""
    # Python and its libraries take some 300 MB beside the engine: together below 2 GB.
    engine = DuckDB(threads=2, memory="1200MB")
    events = engine.view("events", f"select * from read_parquet({text(str(path))})")
    if name not in BY_HAND:
        found, used = timed(lambda: CALLS[name](events))
        return {**used, "result_rows": len(found.table)}
    spent: dict[str, list[float]] = {"cjkit": [], "by_hand": []}
    for _ in range(RUNS):
        found, used = timed(lambda: CALLS[name](events))
        spent["cjkit"].append(used["cpu_seconds"])
        rows, by_hand = timed(lambda: engine.query(BY_HAND[name]))
        spent["by_hand"].append(by_hand["cpu_seconds"])
        compare(name, found.table, rows)
    medians = {side: statistics.median(seconds) for side, seconds in spent.items()}
    return {
        **{f"{side}_cpu_seconds": round(value, 2) for side, value in medians.items()},
        "ratio": round(medians["cjkit"] / medians["by_hand"], 2),
        "most": MOST,
        "peak_memory_mb": by_hand["peak_memory_mb"],
        "result_rows": len(found.table),
    }


def compare(name: str, table: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Stop where both sides differ."""
    if name.startswith("flow"):
        is_back = name == "flow_to_purchase"
        ends = ("target", "origin") if is_back else ("origin", "target")
        steps = -table["step"] if is_back else table["step"] + 1
        ours = set(zip(steps, *(table[end] for end in ends), table["customers"], strict=True))
        theirs = set(rows.itertuples(index=False, name=None))
    else:
        counts = ["origin", "target", "moves", "customers", "all_customers"]
        waits = ["wait_p10_us", "wait_p50_us", "wait_p90_us"]
        for place, name in enumerate(waits):
            rows[name] = rows["waits"].str[place].astype("Float64")
        ours, theirs = (
            set(side[[*counts, *waits]].fillna(-1).round().itertuples(index=False, name=None))
            for side in (table, rows)
        )
    if ours != theirs:
        raise SystemExit(f"{name}: cjkit and SQL by hand differ in {sorted(ours ^ theirs)[:4]}")


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
