"""The sample company with 300 customers, reported on once for all tests that look for people."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

import cjkit
from cjkit.project import read_project
from cjkit.synthetic import make_sample

ROOT = Path(cjkit.__file__).parent.parent
CUSTOMERS = 300
PRACTICE = {"exercise", "solution"}


@dataclass(frozen=True)
class Company:
    """A folder with the company's project, its state, its report, and all that the run said."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "journey.toml"

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def state(self) -> Path:
        return read_project(self.project).state_folder

    @property
    def report(self) -> Path:
        return self.folder / "reports" / "sample" / "latest"


def run_cjkit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder`, as a schedule does, and return all that it says."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-m", "cjkit", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def make_company(folder: Path, customers: int = CUSTOMERS) -> Company:
    """Write the company and run its report in both languages."""
    make_sample(folder, customers=customers, threads=1)
    project = (ROOT / "data" / "sample" / "journey.toml").read_text(encoding="utf-8")
    (folder / "journey.toml").write_text(project, encoding="utf-8")
    done = run_cjkit(folder, "report", "journey.toml", "--language", "both", "--jobs", "2")
    (folder / "said.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return Company(folder)


def shared_company(factory: pytest.TempPathFactory) -> Company:
    """Return the company of this test run: the first worker to need it makes it."""
    base = factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "small_company"
    folder.mkdir(exist_ok=True)
    with (folder.parent / "small_company.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Company(folder) if (folder / "said.log").exists() else make_company(folder)


def run_notebook(
    name: str, project: Path, *, explorers: bool = False
) -> tuple[dict[str, Any], list[tuple[Any, bool]]]:
    """Run a notebook's cells here, and return their variables and the exact results they show.

    As pairs of a result and whether its table is shown, in the order of the page.
    """
    left_out = PRACTICE if explorers else {*PRACTICE, "interactive"}
    scope: dict[str, Any] = {}
    shown: list[tuple[Any, bool]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cjkit, "headline", lambda *given, **named: None)
        patch.setattr(cjkit, "show", lambda result, table=True, **_: shown.append((result, table)))
        for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells:
            tags = set(cell.metadata.get("tags", []))
            if cell.cell_type == "code" and not tags & left_out:
                exec(compile(cell.source, name, "exec"), scope)
            if "parameters" in tags:
                scope["project"] = str(project)
    return scope, shown


def shown_results(company: Company) -> dict[str, list[tuple[Any, bool]]]:
    """Return what the notebooks of the company's report show, by notebook."""
    pages = sorted(company.report.glob("en/[0-9]*.html"))
    return {page.stem: run_notebook(page.stem, company.project)[1] for page in pages}
