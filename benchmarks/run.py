"""Run every benchmark in its own process and keep what it prints, with commit and machine.

`python benchmarks/run.py [NAME ...] [--rows 1000000]` runs `bench_NAME.py` for each name (all of
them without one), and hands them the options, such as a smaller size.
A benchmark prints one JSON object a line; `results/NAME.json` holds them with the commit, the
machine and the versions that matter.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent


def main(given: list[str]) -> int:
    names = list(itertools.takewhile(lambda word: not word.startswith("-"), given))
    options = given[len(names) :]
    found = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = set(names) - set(found)
    if unknown:
        print(f"no benchmark {sorted(unknown)}; there are {sorted(found)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or found:
        print(f"bench: {name}", flush=True)
        lines = []
        command = [sys.executable, str(found[name]), *options]
        with subprocess.Popen(
            command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                lines.append(line)
        if process.returncode:
            failed.append(name)
            continue
        figures = [json.loads(line) for line in lines if line.startswith("{")]
        result = {"commit": commit(), "machine": machine(), "figures": figures}
        path = HERE / "results" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def commit() -> str:
    """Return the commit that was measured, marked when the tree differs from it."""
    shown = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(shown, cwd=HERE, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() or "unknown"


def machine() -> dict[str, object]:
    """Return what bears on speed: cores, memory, system, and the versions of the engine's parts."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("duckdb", "pandas", "numpy", "scipy")},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
