"""Time and memory of whole reports: the sample company, and the public data sets where they are.

Each report is made by the command line in a process of its own, from nothing: the state is in a
temporary folder. One JSON line a project: seconds of the whole, most memory of the gate's process,
and seconds and most memory of each notebook.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEAK = "import resource,subprocess,sys; code=subprocess.call(sys.argv[1:]); " + (
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024); sys.exit(code)"
)


def measure(project: Path, folder: Path) -> dict[str, object]:
    """Make one report and return its figures."""
    output = folder / "reports"
    command = ["-m", "cjkit", "report", str(project), "--output", str(output)]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - start
    manifest = json.loads(next(output.glob("*/latest/manifest.json")).read_text("utf-8"))
    return {
        "project": manifest["project"],
        "seconds": round(seconds, 1),
        "largest_process_mb": int(done.stdout.splitlines()[-1]),
        "notebooks": {
            one["name"]: {"seconds": one["seconds"], "peak_mb": one["peak_mb"]}
            for one in manifest["notebooks"]
        },
    }


def main() -> None:
    projects = [ROOT / "data" / "sample" / "journey.toml"]
    if os.environ.get("CJKIT_REAL_DATA"):
        projects += sorted((ROOT / "data" / "recipes").glob("*.toml"))
    for project in projects:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            copied = folder / project.name
            shutil.copy(project, copied)
            exports = project.parent / "exports"
            if exports.is_dir():
                (folder / "exports").symlink_to(exports)
            print(json.dumps(measure(copied, folder)), flush=True)


if __name__ == "__main__":
    main()
