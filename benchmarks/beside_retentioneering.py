"""The package Retentioneering on the same log, run by the Python of an environment of its own.

    RETENTIONEERING_PYTHON=/path/to/python python benchmarks/bench_peers.py

That environment holds `retentioneering`; it needs nothing of cjkit. What it finds and what it takes
is printed as JSON. It would tell its makers of each call: here it must not.
"""

from __future__ import annotations

import json
import os
import sys

from measuring import timed

os.environ["RETENTIONEERING_NO_TRACK"] = "1"

import pandas as pd
from retentioneering.eventstream import Eventstream


def main(path: str, places: str, steps: str) -> None:
    """Read the log, and ask for moves, steps and a funnel."""
    columns = ["customer_id", "touchpoint", "occurred_us"]

    def read() -> Eventstream:
        log = pd.read_parquet(path, columns=columns)
        log["at"] = pd.to_datetime(log.pop("occurred_us"), unit="us")
        schema = {"path_cols": ["customer_id"], "event_col": "touchpoint", "timestamp_col": "at"}
        return Eventstream(log, schema)

    stream, taken = timed(read)
    moves, moved = timed(lambda: stream.transition_graph_data(edge_weight="count"))
    flow, flowed = timed(lambda: stream.step_sankey_data(max_steps=int(places)))
    funnel, counted = timed(lambda: stream.funnel_data(steps.split(",")))
    found = {
        "transitions": moves.stack().astype(int).rename_axis(["a", "b"]).reset_index().to_numpy(),
        "funnel": [[step["step"], step["unique_paths"]] for step in funnel["steps"]],
    }
    used = {"read": taken, "transitions": moved, "steps": flowed, "funnel": counted}
    found = {name: [[str(a), *more] for a, *more in rows] for name, rows in found.items()}
    print(json.dumps({"found": found, "used": used, "places": len(flow)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
