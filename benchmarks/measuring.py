"""What every benchmark needs: a process of its own, its seconds and memory, a line of JSON."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

PROJECT = """
[project]
id = "bench"
name = { en = "Bench", ja = "Bench" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[company]
started_on = 2015-04-01
[consent]
missing = "allow"
[identity]
login = { strength = "strong" }
cookie = { strength = "weak" }
"""


def asked(about: str | None, option: str, default: int) -> int:
    """Return the size that the command line asks for as `--option`."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(f"--{option}", type=int, default=default)
    size: int = getattr(parser.parse_args(), option)
    return size


def fresh(function: Callable[..., Any], *given: Any) -> Any:
    """Call in a process of its own, so that the memory of one part counts for no other."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.apply(function, given)


def timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return what a call gives, its CPU and wall seconds, and this process's peak of memory."""
    begin, used = time.perf_counter(), time.process_time()
    found = call()
    return found, {
        "cpu_seconds": round(time.process_time() - used, 2),
        "seconds": round(time.perf_counter() - begin, 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def sum_up(steps: dict[str, dict[str, float]]) -> dict[str, float]:
    """Add up the seconds of the steps of one process; its peak is that of the last."""
    seconds = ("cpu_seconds", "seconds")
    return {name: round(sum(step[name] for step in steps.values()), 2) for name in seconds} | {
        "peak_memory_mb": max(step["peak_memory_mb"] for step in steps.values())
    }


def ratios(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Return how many times as much `one` took as `other`, of the same run."""
    measures = ("cpu_seconds", "seconds", "peak_memory_mb")
    return {name: round(one[name] / other[name], 2) for name in measures}


def say(benchmark: str, **found: Any) -> None:
    """Print what was measured, for `run.py` to keep."""
    print(json.dumps({"benchmark": benchmark, **found}), flush=True)
