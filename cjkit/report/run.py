"""Running the notebooks of a project headlessly, and publishing what they say as one report.

The log is prepared once, the notebooks run in threads in the order that they need each other, each
page is written as soon as its notebook is done, and the whole is published by one rename. A run
that fails publishes nothing: the last good report stays.
"""

from __future__ import annotations

import datetime
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from cjkit import labels, privacy
from cjkit.checks import CjkitError
from cjkit.cleansing import Prepared, prepare
from cjkit.cleansing.findings import make_row_ledger
from cjkit.cleansing.log import JOBS, PREPARED
from cjkit.cleansing.results import RowLedger
from cjkit.cleansing.warnings import list_warnings
from cjkit.engine import DuckDB, text
from cjkit.events import Period
from cjkit.labels import Language, format_date, format_number, format_percent, label
from cjkit.project import Project
from cjkit.report.chapters import Chapter, Words, read_chapter
from cjkit.report.execute import Kernels, execute
from cjkit.report.export import Edition, say_in, write_page
from cjkit.report.index import point_latest, read_runs, report_home, write_chooser, write_home
from cjkit.report.paper import find_browser, print_pdf
from cjkit.report.plan import Planned, counted, notebook_files, plan_notebooks, unanswered

CELL_TIMEOUT = 1800.0
STALE_AFTER = 24 * 3600
VERSIONS = ("cjkit", "duckdb", "pandas", "numpy", "scipy", "matplotlib", "papermill", "nbconvert")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """A published run: its folder, and what its manifest says."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def index(self) -> Path:
        """The page to open first: below `latest`, which stays, where that is this run."""
        is_latest = self.manifest["is_complete"]
        return (self.folder.parent / "latest" if is_latest else self.folder) / "index.html"


def run_report(
    project: Project,
    *,
    only: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    languages: Sequence[Language] = (),
    output: str | Path | None = None,
    as_of: datetime.date | None = None,
    jobs: int = 2,
    cell_timeout: float = CELL_TIMEOUT,
    pdf: bool = False,
    say: Say = lambda line: None,
) -> Report:
    """Run the notebooks of a project and publish one report.

    Parameters
    ----------
    project : Project
    only : sequence of str
        Run these notebooks, and those that they need; all of the project where empty.
    settings : mapping from parameter to text, optional
        Values for parameters of the notebooks; `NAME.PARAMETER` sets it in one notebook alone.
    languages : sequence of 'en' and 'ja'
        The languages of the pages, the default one first; those of the project where empty.
    output : path, optional
        Publish below this folder; below `[report] dir` of the working folder where not given.
    as_of : date, optional
        Analyse as of this day; as `cjkit.open` does where not given.
    jobs : int, default 2
        How many notebooks run at a time. Memory and threads of the engine are divided by it.
    cell_timeout : float
        Seconds that one cell may take.
    pdf : bool, default False
        Print each page as PDF too, beside the page, by the Chromium that this machine has.
    say : callable
        Told each step as one line of text.

    Returns
    -------
    Report

    Raises
    ------
    CjkitError
        When a notebook or parameter is unknown, or `pdf` is asked for without a browser (before
        anything runs), the gate refuses the data, or notebooks fail: all failures together.
    """
    if jobs < 1:
        raise CjkitError(f"jobs={jobs!r} must be 1 or more.")
    if pdf:
        find_browser()
    began, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    plan = plan_notebooks(project, only, settings, as_of)
    labels.set_names(project.names)
    labels.set_currency(project.project.currency)
    privacy.set_min_cell(project.privacy.min_cell)
    spoken = tuple(languages) or project.project.languages
    jobs = min(jobs, len(plan))

    home = report_home(project, output)
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home)
    say(f"{project.project.id}: {counted(len(plan), 'notebook')}, {jobs} at a time")
    say("preparing the log")
    prepared = prepare(project, as_of=as_of)
    say(f"{'log prepared':<24}{time.monotonic() - clock:8.1f} s")
    for warning in list_warnings(project, prepared):
        say(f"warning: {warning}")

    run = _free_name(home, began)
    privacy.audit.record(
        project,
        "report",
        data=prepared.fingerprint,
        parameters={
            "run": run,
            "as_of": str(prepared.as_of),
            "notebooks": [planned.name for planned in plan],
            "settings": dict(settings or {}),
            "languages": spoken,
        },
    )
    edition = replace(_edition(project, prepared, plan, spoken, run, began), has_pdf=pdf)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=home) as making:
        staged, scratch = Path(making) / run, Path(making) / "scratch"
        for folder in (scratch, staged / "tables", *(staged / language for language in spoken)):
            folder.mkdir(parents=True)
        environment = {
            "CJKIT_REPORT": "1",
            "CJKIT_LANGUAGES": ",".join(spoken),
            JOBS: str(jobs),
            PREPARED: str(prepared.folder.resolve()),
        }
        kernels = Kernels(scratch, environment)

        def work(planned: Planned) -> Chapter:
            chapter = _run_one(planned, kernels, cell_timeout, project.report.targets)
            _write_chapter(chapter, edition, staged)
            return chapter

        chapters = _run_all(plan, work, jobs=jobs, kernels=kernels, say=say)
        manifest = {
            **_manifest(project, prepared, chapters, edition),
            "is_complete": {planned.name for planned in plan} == set(notebook_files(project)),
            "seconds": round(time.monotonic() - clock, 1),
        }
        _write_front(chapters, edition, project, manifest, read_runs(home), staged)
        if pdf:
            say("printing the pages")
            _print_pages(staged, edition, jobs)
        # Seen whole or not at all.
        folder = staged.rename(home / run)
    if manifest["is_complete"]:
        point_latest(home, run)
    return Report(folder, manifest)


def _sweep(home: Path) -> None:
    """Remove what runs that were killed long ago left behind."""
    for left in home.glob(".making-*"):
        if time.time() - left.stat().st_mtime > STALE_AFTER:
            shutil.rmtree(left, ignore_errors=True)


def _free_name(home: Path, began: datetime.datetime) -> str:
    """Name a run after the second (UTC) in which it began."""
    name = f"{began:%Y-%m-%dT%H%M%SZ}"
    taken = {path.name for path in home.iterdir()}
    again = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in again if other not in taken)


def _edition(
    project: Project,
    prepared: Prepared,
    plan: Sequence[Planned],
    languages: tuple[Language, ...],
    run: str,
    began: datetime.datetime,
) -> Edition:
    """Collect what every page says about the run."""
    period, previous = project.periods(prepared.as_of)
    company = project.project.name
    return Edition(
        company={language: say_in(company, language) for language in languages},
        languages=languages,
        run=run,
        made_at=began.astimezone(ZoneInfo(project.project.time_zone)),
        period=_days(period, languages),
        previous=_days(previous, languages),
        quality=_quality(_row_ledger(prepared).given, languages),
        headings=tuple(planned.heading for planned in plan),
    )


def _quality(given: Mapping[str, int], languages: Sequence[Language]) -> Words:
    """Say what became of the rows that the sources made, from the gate's ledger of rows."""
    made = given["made"]
    words = {}
    for language in languages:
        shares = {
            fate: format_percent(given[fate] / made if made else None, language)
            for fate in ("clean", "quarantined", "merged", "withheld")
        }
        words[language] = label(
            "quality_line", language, made=format_number(made, language), **shares
        )
    return words


def _row_ledger(prepared: Prepared) -> RowLedger:
    return make_row_ledger(_ledger(prepared, "row"))


def _ledger(prepared: Prepared, name: str) -> pd.DataFrame:
    """Return one of the ledgers that the gate wrote beside the log."""
    path = text(str(prepared.folder / f"gate_{name}_ledger.parquet"))
    engine = DuckDB(threads=1)
    try:
        return engine.query(f"select * from read_parquet({path})")
    finally:
        engine.close()


def _days(period: Period, languages: Sequence[Language]) -> Words:
    """Write the days of a period, the last one included."""
    last = period.end - datetime.timedelta(days=1)
    return {
        language: label(
            "from_to",
            language,
            start=format_date(period.start, language),
            end=format_date(last, language),
        )
        for language in languages
    }


def _run_one(
    planned: Planned, kernels: Kernels, cell_timeout: float, targets: Mapping[str, float]
) -> Chapter:
    """Execute a notebook and collect what it recorded."""
    start = time.monotonic()
    executed = execute(
        planned.notebook,
        name=planned.name,
        parameters=planned.parameters,
        kernels=kernels,
        cell_timeout=cell_timeout,
    )
    seconds = time.monotonic() - start
    return read_chapter(planned.heading, executed, planned.parameters, seconds, targets)


def _run_all(
    plan: Sequence[Planned],
    work: Callable[[Planned], Chapter],
    *,
    jobs: int,
    kernels: Kernels,
    say: Say,
) -> list[Chapter]:
    """Run each notebook as soon as those it needs are done; fail with all failures together."""
    chapters: dict[str, Chapter] = {}
    failures: dict[str, str] = {}
    waiting = list(plan)
    running: dict[Future[Chapter], str] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            while waiting or running:
                for planned in list(waiting):
                    lost = [name for name in planned.needs if name in failures]
                    if lost:
                        failures[planned.name] = f"{planned.name} did not run: it needs {lost[0]}."
                        waiting.remove(planned)
                    elif len(running) < jobs and all(name in chapters for name in planned.needs):
                        say(f"{planned.name:<24} started")
                        running[pool.submit(work, planned)] = planned.name
                        waiting.remove(planned)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    try:
                        chapters[name] = future.result()
                        say(f"{name:<24}{chapters[name].seconds:8.1f} s")
                    except CjkitError as error:
                        failures[name] = str(error)
                        say(f"{name:<24}  failed")
        except BaseException:
            kernels.end_all()
            raise
    if failures:
        told = [failures[planned.name] for planned in plan if planned.name in failures]
        said = f"{len(told)} of {counted(len(plan), 'notebook')} failed, and nothing was published."
        raise CjkitError("\n\n".join([said, *told]))
    return [chapters[planned.name] for planned in plan]


def _write_chapter(chapter: Chapter, edition: Edition, folder: Path) -> None:
    """Write the pages and tables of one notebook."""
    for language in edition.languages:
        page = folder / language / f"{chapter.heading.name}.html"
        page.write_text(write_page(chapter, edition, language), encoding="utf-8")
    for table in chapter.tables:
        # With a byte order mark, without which spreadsheets misread Japanese.
        (folder / "tables" / table.file).write_text(table.csv, encoding="utf-8-sig", newline="")


def _write_front(
    chapters: Sequence[Chapter],
    edition: Edition,
    project: Project,
    manifest: Mapping[str, Any],
    past: Sequence[Mapping[str, Any]],
    folder: Path,
) -> None:
    """Write the overview in each language, the page that chooses one, and the manifest."""
    for language in edition.languages:
        page = write_home(
            chapters, edition, language, cannot=unanswered(project), manifest=manifest, past=past
        )
        (folder / language / "index.html").write_text(page, encoding="utf-8")
    (folder / "index.html").write_text(write_chooser(edition), encoding="utf-8")
    written = json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False, default=str)
    (folder / "manifest.json").write_text(written, encoding="utf-8")


def _print_pages(folder: Path, edition: Edition, jobs: int) -> None:
    """Print each page of the run as PDF, several at a time."""
    printed = [folder / name for name in _pdf_names(edition)]
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        list(pool.map(lambda pdf: print_pdf(pdf.with_suffix(".html"), pdf), printed))


def _pdf_names(edition: Edition) -> list[str]:
    """Return the PDF files of a run, from its folder: the overview and each notebook's page."""
    pages = ["index", *(heading.name for heading in edition.headings)] if edition.has_pdf else []
    return [f"{language}/{page}.pdf" for language in edition.languages for page in pages]


def _manifest(
    project: Project, prepared: Prepared, chapters: Sequence[Chapter], edition: Edition
) -> dict[str, Any]:
    """Say what a run was made of and what it found, without anything of the machine's paths."""
    return {
        "project": project.project.id,
        "run": edition.run,
        "made_at": edition.made_at.isoformat(timespec="seconds"),
        "as_of": prepared.as_of.isoformat(),
        "period": edition.period,
        "languages": edition.languages,
        "data": {"fingerprint": prepared.fingerprint, **prepared.facts},
        "ledgers": {
            "records": json.loads(_ledger(prepared, "record").to_json(orient="records")),
            "rows": json.loads(privacy.mask(_row_ledger(prepared)).table.to_json(orient="records")),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in VERSIONS},
        },
        "notebooks": [
            {
                "name": chapter.heading.name,
                "title": chapter.heading.title,
                "seconds": round(chapter.seconds, 1),
                "peak_mb": chapter.notebook.metadata["cjkit"]["peak_mb"],
                "parameters": chapter.shown_parameters,
                "headlines": chapter.headlines,
                "findings": [finding.words for finding in chapter.findings],
                "tables": [
                    {"file": f"tables/{table.file}", "rows": table.rows} for table in chapter.tables
                ],
            }
            for chapter in chapters
        ],
        "pdf": _pdf_names(edition),
        "cannot": project.report.cannot,
    }
