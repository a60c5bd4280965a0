"""The stories planted in the sample company, looked for in twenty such companies.

    python benchmarks/bench_experience.py [--seeds 20]

Each seed is another company of 20,000 customers with the same stories. In a process of its own its
exports are written and prepared, and notebook 06 runs as it stands up to the moments of truth. What
it found is then held against `truth.json`, which nothing before has read: whether each planted
story is there, whether its size is within a factor of two of the true one, and how much was found
at touchpoints where nothing is. One line of JSON a seed is printed, and one of all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from measuring import asked, fresh, say, timed

import cjkit

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "06_journey_map.ipynb"
CUSTOMERS = 20_000


def look(seed: int) -> dict[str, Any]:
    """Make the company of a seed, and return what is found in it beside what is true."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cjkit.make_sample(folder, customers=CUSTOMERS, seed=seed)
        shutil.copy(ROOT / "data" / "sample" / "journey.toml", folder)
        (pain, moments), used = timed(lambda: run_notebook(folder / "journey.toml"))
        truth = json.loads((folder / "truth" / "truth.json").read_text("utf-8"))
    found = pd.concat([pain.found, moments.found.assign(symptom="moment")])
    is_null = found["touchpoint"].isin(truth["null_touchpoints"])
    return {
        **used,
        "discoveries": len(found),
        "false_discoveries": sorted(found.loc[is_null, "touchpoint"]),
        "stories": {story: judge(*sides) for story, sides in stories(found, truth).items()},
    }


def run_notebook(project: Path) -> tuple[Any, Any]:
    """Run the cells of the notebook until it has the pain points and the moments of truth."""
    cjkit.show = lambda *_, **__: None
    names: dict[str, Any] = {}
    notebook = nbformat.read(NOTEBOOK, 4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if cell.cell_type == "code" and "moments" not in names:
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", []):
                names["project"] = str(project)
    return names["pain"], names["moments"]


def stories(found: pd.DataFrame, truth: dict[str, Any]) -> dict[str, tuple[pd.Series[Any], float]]:
    """Return, for each planted story, the sizes found where it is planted, and the true size."""
    checkout, consultation, loop = (
        truth["stories"][name]
        for name in ("checkout_pain", "store_consultation", "late_delivery_loop")
    )
    where = found.set_index(["symptom", "touchpoint"]).sort_index()

    def sizes(symptom: str, touchpoint: str, column: str) -> pd.Series[Any]:
        rows = where[where.index == (symptom, touchpoint)]
        if symptom == "drop_off":
            rows = rows[rows["group"] == checkout["device"]]
        return rows[column]

    return {
        "checkout_pain": (
            sizes("drop_off", "checkout", "excess_rate"),
            checkout["checkout_to_purchase_rate_elsewhere"] - checkout["checkout_to_purchase_rate"],
        ),
        "store_consultation": (
            sizes("moment", "store_consultation", "rate_gap"),
            consultation["true_effect_good"] - consultation["true_effect_bad"],
        ),
        "late_delivery_loop": (
            sizes("late_loop", "call_center", "excess_rate"),
            loop["leaving_rate_loop"] - loop["leaving_rate_late_no_loop"],
        ),
    }


def judge(sizes: pd.Series[Any], true: float) -> dict[str, Any]:
    """Say whether a story was found, and whether about as large as it is."""
    size = float(sizes.max()) if len(sizes) else None
    return {
        "is_found": size is not None,
        "size": size and round(size, 4),
        "true_size": round(true, 4),
        "is_right_size": size is not None and true / 2 <= size <= true * 2,
    }


def main() -> None:
    """Look in every company, and count."""
    seeds = range(1, asked(__doc__, "seeds", 20) + 1)
    results = []
    for seed in seeds:
        results.append(fresh(look, seed))
        say("experience", seed=seed, **results[-1])
    found = {
        story: {
            claim: sum(result["stories"][story][claim] for result in results)
            for claim in ("is_found", "is_right_size")
        }
        for story in results[0]["stories"]
    }
    discoveries = sum(result["discoveries"] for result in results)
    false = sum(len(result["false_discoveries"]) for result in results)
    say(
        "experience.all",
        seeds=len(seeds),
        stories=found,
        discoveries=discoveries,
        false_discoveries=false,
        false_share=round(false / discoveries, 4) if discoveries else None,
    )


if __name__ == "__main__":
    main()
