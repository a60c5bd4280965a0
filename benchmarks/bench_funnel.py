"""A funnel of five steps over a prepared log, side by side with the shortest SQL for the same.

    python benchmarks/bench_funnel.py [--rows 10000000]

A prepared log is drawn by a hash of each row's number and written as Parquet; it is measured in a
process of its own. Each question is asked five times of cjkit and of SQL written by hand for
DuckDB, in turn, and must have the same answer; the figures are medians of CPU seconds, and the
ratio must be at most `most`. One line of JSON is printed.

What stands by hand is free to use what only DuckDB has (ASOF joins) and knows that each step has
an event of its own and that no two events of a customer share a place; cjkit's statements run on
other engines, too, and allow for both.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import asked, fresh, say, timed

from cjkit.engine import DuckDB, text
from cjkit.funnel import measure_curve, measure_funnel, measure_funnel_trend, measure_times

STEPS = ["visit", "view_product", "add_to_cart", "begin_checkout", "purchase"]
DAY = 86_400_000_000
WITHIN = 60 * DAY
STEP = 10 * DAY
RUNS = 5
MOST, MOST_FOR_MORE = 1.5, 2.5
"""The largest ratios allowed: for plain counts, and for what asks more."""


def write_events(rows: int, path: Path) -> None:
    """Write a prepared log of `rows` events: 12.5 a customer over two years."""
    engine = DuckDB(threads=2)
    drawn = """case when u < 0.50 then 'visit' when u < 0.75 then 'view_product'
        when u < 0.87 then 'add_to_cart' when u < 0.94 then 'begin_checkout'
        when u < 0.98 then 'purchase' else 'help' end"""
    engine.copy(
        f"""
        select customer_id, {drawn} as event, occurred_us, device, 'second' as time_precision,
            'r' || key as ref_id, cast(null as bigint) as valid_until_us,
            row_number() over (partition by customer_id order by occurred_us) as step_no,
            cast(local as date) as local_date, isodow(local) as local_weekday,
            cast(date_trunc('month', local) as date) as local_month
        from (select 'c' || hash(i, 1) % {rows * 2 // 25} as customer_id, hash(i, 2) / 2.0**64 as u,
                1700000000000000 + cast(hash(i, 3) % 63072000 as bigint) * 1000000 as occurred_us,
                case hash(i, 4) % 3 when 0 then 'phone' when 1 then 'tablet' else 'desktop' end
                    as device, hash(i, 5) % 3 as key, make_timestamp(occurred_us) as local
            from range({rows}) as numbers(i)) as drawn
        order by customer_id, occurred_us""",
        path,
    )


def by_hand(
    *, key: str = "", step: int | None = None, without: str = "", ends: str = "counts"
) -> str:
    """Write the shortest SQL for a question: one ASOF join a step."""
    same = f"e.customer_id = s.customer_id{f' and e.{key} = s.{key}' if key else ''}"
    keys = f"customer_id{f', {key}' if key else ''}"
    source = "events"
    begin = ""
    if without:
        source, begin = (
            "numbered",
            (
                "numbered as (select *, count(*) filter (event = 'help') over (partition by "
                "customer_id order by step_no rows unbounded preceding) as part from events), "
            ),
        )
        same, keys = f"{same} and e.part = s.part", f"{keys}, part"
    levels = [
        f"s1 as (select {keys}, step_no, occurred_us, occurred_us as began "
        f"from {source} where event = '{STEPS[0]}')"
    ]
    for k, name in enumerate(STEPS[1:], start=2):
        soon = f" and e.occurred_us - s.occurred_us <= {step}" if step else ""
        levels.append(
            f"s{k} as (select e.{keys.replace(', ', ', e.')}, e.step_no, e.occurred_us, s.began "
            f"from {source} e asof join s{k - 1} s on {same} and e.step_no > s.step_no "
            f"where e.event = '{name}' and e.occurred_us - s.began <= {WITHIN}{soon})"
        )
    counts = " union all ".join(
        f"select {k} as step_number, count(distinct customer_id) as customers from s{k}"
        for k in range(1, len(STEPS) + 1)
    )
    return f"with {begin}{', '.join(levels)} {counts} order by 1"


def times_by_hand() -> str:
    """Write the shortest SQL for the median times: from each start the earliest next step."""
    levels = [
        f"t1 as (select customer_id, step_no, occurred_us as a1 from events "
        f"where event = '{STEPS[0]}')"
    ]
    for k, name in enumerate(STEPS[1:], start=2):
        carried = ", ".join(f"s.a{j}" for j in range(1, k))
        first = "s.first_no" if k > 2 else "s.step_no as first_no"
        levels.append(
            f"t{k} as (select e.customer_id, e.step_no, {first}, {carried}, e.occurred_us as a{k} "
            f"from t{k - 1} s asof join (select * from events where event = '{name}') e "
            f"on e.customer_id = s.customer_id and s.step_no < e.step_no)"
        )
    gaps = ", ".join(
        [f"median(a{k + 1} - a{k})" for k in range(1, len(STEPS))] + [f"median(a{len(STEPS)} - a1)"]
    )
    return (
        f"with {', '.join(levels)} select count(*) as n, {gaps} from (select * from "
        f"t{len(STEPS)} where a{len(STEPS)} - a1 <= {WITHIN} "
        "qualify row_number() over (partition by customer_id order by first_no) = 1)"
    )


def measure(path: Path) -> dict[str, Any]:
    """Ask every question over the log in `path`; return CPU seconds, ratios and memory."""
    # Python and its libraries take some 300 MB beside the engine: together below 2 GB.
    engine = DuckDB(threads=2, memory="1200MB")
    events = engine.view("events", f"select * from read_parquet({text(str(path))})")

    def counted(**options: Any) -> Callable[[], list[int]]:
        steps: list[Any] = STEPS
        if options.pop("step", None):
            steps = [STEPS[0], *({"event": name, "within": "10D"} for name in STEPS[1:])]
        call = {"within": "60D", **options}
        return lambda: measure_funnel(events, steps, **call).table["customers"].tolist()

    def written(sql: str) -> Callable[[], list[int]]:
        return lambda: engine.query(sql)["customers"].tolist()

    def waited() -> list[float]:
        table = measure_times(events, STEPS, within="60D").table
        return [float(table["customers"].iloc[-1]), *table["median_us"]]

    def waited_by_hand() -> list[float]:
        return [float(value) for value in engine.query(times_by_hand()).iloc[0]]

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any] | None]] = {
        "counts": (counted(), written(by_hand())),
        "step_windows": (counted(step=True), written(by_hand(step=STEP))),
        "held_key": (counted(hold="ref_id"), written(by_hand(key="ref_id"))),
        "exclusion": (counted(without=["help"]), written(by_hand(without="help"))),
        "times": (waited, waited_by_hand),
        "counts_simultaneous": (counted(ties="simultaneous"), None),
        "counts_by_device": (counted(by="device"), None),
        "trend": (lambda: measure_funnel_trend(events, STEPS, within="60D"), None),
        "curve": (lambda: measure_curve(events, STEPS, within="60D"), None),
    }
    found: dict[str, Any] = {}
    for name, (call, hand) in pairs.items():
        used: dict[str, list[float]] = {"cjkit": [], "by_hand": []}
        for _ in range(RUNS if hand else 1):
            answers = []
            for side, ask in (("cjkit", call), ("by_hand", hand)):
                if ask is not None:
                    answer, cost = timed(ask)
                    answers.append(answer)
                    used[side].append(cost["cpu_seconds"])
            if hand is not None and answers[0] != answers[1]:
                raise SystemExit(f"{name}: {answers[0]} is not {answers[1]}")
        medians = {side: statistics.median(seconds) for side, seconds in used.items() if seconds}
        found[name] = {f"{side}_cpu_seconds": round(value, 2) for side, value in medians.items()}
        if hand is not None:
            found[name]["ratio"] = round(medians["cjkit"] / medians["by_hand"], 2)
            found[name]["most"] = MOST if name == "counts" else MOST_FOR_MORE
    return {"questions": found, "peak_memory_mb": cost["peak_memory_mb"]}


def main() -> None:
    """Draw, measure and print."""
    rows = asked(__doc__, "rows", 10_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        fresh(write_events, rows, path)
        say("funnel", rows=rows, **fresh(measure, path))


if __name__ == "__main__":
    main()
