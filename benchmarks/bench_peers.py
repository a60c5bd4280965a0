"""Moves, steps and a funnel, side by side with the package Retentioneering on the same log.

    RETENTIONEERING_PYTHON=/path/to/python python benchmarks/bench_peers.py [--rows 1000000]

A prepared log is drawn as for `bench_paths.py`. cjkit asks it in a process of its own, with the
intervals, people and times that its results carry; the peer reads the same file in its own
environment (`beside_retentioneering.py`), and must count the same moves and people. One line of
JSON is printed; without RETENTIONEERING_PYTHON it holds cjkit's part alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench_paths import PLACES as PLACE_NAMES
from bench_paths import write_events
from measuring import asked, fresh, ratios, say, sum_up, timed

from cjkit.engine import DuckDB, text
from cjkit.funnel import measure_funnel
from cjkit.paths import measure_flow, measure_transitions

STEPS = ["search", "product", "cart", "purchase"]
PLACES = 5
# A journey is all that somebody ever did, as it is to the peer.
EVER = "3650D"


def write_log(rows: int, path: Path) -> None:
    """Write the log, and somebody so much later that every journey in it is over for cjkit too."""
    drawn = path.with_name("drawn.parquet")
    write_events(rows, drawn)
    log = f"read_parquet({text(str(drawn))})"
    later = 2 * int(EVER.removesuffix("D")) * 86_400_000_000
    DuckDB(threads=2).copy(
        f"""select * from {log} union all (select * replace ('later' as customer_id,
            occurred_us + {later} as occurred_us, 1 as step_no) from {log}
            where microseconds_to_next is null and touchpoint = 'home' limit 1)""",
        path,
    )


def measure(path: Path) -> dict[str, Any]:
    """Ask cjkit; return what it counts and what that took."""
    engine = DuckDB(threads=2, memory="1200MB")
    events, read = timed(
        lambda: engine.view("events", f"select * from read_parquet({text(str(path))})")
    )
    moves, moved = timed(lambda: measure_transitions(events, gap=EVER))
    _, flowed = timed(lambda: measure_flow(events, start=STEPS[0], steps=PLACES, gap=EVER))
    funnel, counted = timed(lambda: measure_funnel(events, STEPS, within=EVER))
    return {
        "found": {
            "transitions": moves.table[["origin", "target", "moves"]].to_numpy().tolist(),
            "funnel": funnel.table[["step", "customers"]].to_numpy().tolist(),
        },
        "used": {"read": read, "transitions": moved, "steps": flowed, "funnel": counted},
    }


def ask_peer(path: Path) -> dict[str, Any] | None:
    """Run the peer in its own environment; None where there is none."""
    if not (python := os.environ.get("RETENTIONEERING_PYTHON")):
        return None
    script = str(Path(__file__).with_name("beside_retentioneering.py"))
    done = subprocess.run(
        [python, script, str(path), str(PLACES), ",".join(STEPS)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Stop where both sides count differently."""
    places = {origin for origin, target, _ in ours["transitions"] if not origin.startswith("(")}
    if len(places) < len(PLACE_NAMES):
        raise SystemExit(f"cjkit saw moves from {sorted(places)} alone")
    moves = [
        {(a, b): count for a, b, count in found["transitions"] if {a, b} <= places and a != b}
        for found in (ours, theirs)
    ]
    if moves[0] != {pair: count for pair, count in moves[1].items() if count}:
        raise SystemExit("cjkit and the peer count different moves")
    if [tuple(step) for step in ours["funnel"]] != [tuple(step) for step in theirs["funnel"]]:
        raise SystemExit(f"the funnels differ: {ours['funnel']} and {theirs['funnel']}")


def main() -> None:
    """Write, ask both, print."""
    rows = asked(__doc__, "rows", 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        fresh(write_log, rows, path)
        ours, theirs = fresh(measure, path), ask_peer(path)
    found: dict[str, Any] = {"cjkit": {**ours["used"], **sum_up(ours["used"])}}
    if theirs is not None:
        compare(ours["found"], theirs["found"])
        found["peer"] = {**theirs["used"], **sum_up(theirs["used"])}
        found["peer_to_cjkit"] = {
            name: ratios(theirs["used"][name], ours["used"][name])
            for name in ("transitions", "steps", "funnel")
        } | {"whole": ratios(found["peer"], found["cjkit"])}
    say("peers", rows=rows, **found)


if __name__ == "__main__":
    main()
