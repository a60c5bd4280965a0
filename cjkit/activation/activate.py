"""One activation: who is chosen, what is written, and what is remembered of it."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from cjkit.activation.people import OUTCOMES, PEOPLE, choose_people
from cjkit.activation.plan import Plan, plan_activation
from cjkit.activation.rows import (
    ROWS,
    Rows,
    make_rows,
    view_interactions,
    view_people,
    view_products,
)
from cjkit.activation.writing import File, write_private, write_rows, write_schema
from cjkit.checks import CjkitError
from cjkit.cleansing import open as open_log
from cjkit.cleansing.assigned import remember_assignments
from cjkit.cleansing.log import Log
from cjkit.cleansing.state import one_at_a_time, opened_vault, published
from cjkit.engine import EngineError, column, text
from cjkit.labels import Language, format_number, label
from cjkit.privacy import Vault, audit, project_key
from cjkit.project import Project
from cjkit.sources.reading import words_of

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Activated:
    """What an activation wrote.

    Attributes
    ----------
    table : DataFrame
        `outcome`, `people`: `chosen`, then what became of them, which adds up to it. Empty where no
        people are in the files.
    name, system : str
        The activation and its target.
    rows, rows_left_out : int
        What stands in the files, and rows that lacked what the target needs.
    files : tuple of Path
        None where there was no row.
    note : str
        What whoever takes the files to the system must know.
    """

    table: pd.DataFrame
    name: str
    system: str
    rows: int
    rows_left_out: int
    files: tuple[Path, ...]
    note: str

    @property
    def counts(self) -> dict[str, int]:
        """How many people had each outcome."""
        return _counts(self.table)

    def finding(self, language: Language) -> str:
        """Say how many people are in the files, and how many were kept aside to compare."""
        if self.table.empty:
            return label("activation_rows", language, rows=format_number(self.rows, language))
        shown = {name: format_number(count, language) for name, count in self.counts.items()}
        return label("activation_people", language, **shown)


def activate(
    project: Project,
    name: str,
    *,
    segments: Sequence[str] = (),
    as_of: str | datetime.date | None = None,
) -> Activated:
    """Write the files of one activation of a project; nothing is sent anywhere.

    The log is prepared first where anything changed. The files stand in `[activation] dir`, in a
    folder of the activation's name, for their owner alone; they replace those of the run before,
    whole or not at all. Who is in them and who was held out is remembered (`cleansing.assigned`)
    and recorded in the audit log, before they stand there.

    Parameters
    ----------
    project : Project
    name : str
        Of a section `[activation.<name>]`.
    segments : sequence of str
        Only people of these segments, in place of those that the project file names.
    as_of : date or text, optional
        See `prepare`.

    Raises
    ------
    CjkitError
        When the section does not fit its target, there is no such segment or column, the target
        would refuse the files, or they cannot be written.
    """
    plan = plan_activation(project, name)
    if segments and not plan.is_of_people:
        raise CjkitError(f"--segment: no people are in {plan.target.system}.")
    home = _make_home(project)
    log = open_log(project.path, as_of=as_of)
    state = project.state_folder
    try:
        with one_at_a_time(state), opened_vault(state, project_key(project)) as vault:
            rows = _prepare_rows(log, plan, vault, segments or plan.given.segment)
            with published(home / name) as partial:
                files = write_rows(partial, plan, _cells(log, rows))
                if plan.target.file.schema_name:
                    write_schema(partial, plan, rows.numbers)
                found = _count_outcomes(log) if plan.is_of_people else pd.DataFrame()
                _write_manifest(partial, log, plan, found, rows, files)
                _record(log, plan, found)
    except (EngineError, OSError) as error:
        raise CjkitError(f"activation {name!r} cannot be written: {words_of(error)}") from error
    finally:
        log.engine.close()
    return Activated(
        table=found,
        name=name,
        system=plan.target.system,
        rows=sum(file.rows for file in files),
        rows_left_out=rows.left_out,
        files=tuple(home / name / file.name for file in files),
        note=plan.target.note,
    )


def find_files(project: Project) -> list[str]:
    """Return the folders of activations whose files hold people, as the project's folder sees them.

    A later activation of the same name replaces them; else they stay until somebody removes them.
    What a killed run left half-made is among them.
    """
    home = project.folder / project.activating.dir
    return [
        f"{project.activating.dir}/{folder.name}"
        for folder in sorted(home.glob("*/"))
        if not (manifest := folder / MANIFEST).is_file()
        or json.loads(manifest.read_text(encoding="utf-8"))["people"]
    ]


def _make_home(project: Project) -> Path:
    """Make the folder of activations, for its owner alone and outside what others read."""
    home = (project.folder / project.activating.dir).resolve()
    reports = Path(project.report.dir).resolve()
    if home.is_relative_to(reports) or reports.is_relative_to(home):
        raise CjkitError(
            f"activation.dir={project.activating.dir!r} is among the reports, which others read: "
            "name another folder."
        )
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        (home / ".gitignore").write_text("*\n")
    except OSError as error:
        raise CjkitError(f"The folder {home} cannot be made: {error.strerror}.") from error
    return home


def _prepare_rows(log: Log, plan: Plan, vault: Vault | None, segments: Sequence[str]) -> Rows:
    """Choose people, and make the rows of the file ready on the engine."""
    if plan.target.each == "product":
        view_products(log)
        _refuse(plan, _too_many_products(log, plan, column(ROWS)))
    elif plan.target.each == "interaction":
        view_interactions(log, plan)
        choose_people(log, plan, vault, segments, column(ROWS))
        _refuse(plan, _interaction_faults(log, plan))
    else:
        choose_people(log, plan, vault, segments, None)
        view_people(log)
    return make_rows(log, plan, vault)


def _refuse(plan: Plan, faults: Sequence[str]) -> None:
    """Refuse what the system would refuse as a whole."""
    if faults:
        listed = [f"  - {fault}" for fault in faults]
        raise CjkitError("\n".join([f"{plan.target.system} would refuse this:", *listed]))


def _interaction_faults(log: Log, plan: Plan) -> list[str]:
    """Return what is too few or too many in the interactions of those who are written."""
    limits = plan.target.limits
    rows = f"{column(ROWS)} join {column(PEOPLE)} using (customer_id) where outcome = 'written'"
    found = log.engine.query(
        f"""select coalesce(sum(n), 0) as rows, count(*) filter (n >= {limits.rows_of_each})
                as people
            from (select count(*) as n from {rows} group by customer_id) as counted"""
    ).iloc[0]
    faults = []
    if found["rows"] < limits.rows:
        faults.append(f"{int(found['rows']):,} rows: at least {limits.rows:,} are needed")
    if found["people"] < limits.people:
        faults.append(
            f"{int(found['people']):,} people with {limits.rows_of_each} rows or more: at least "
            f"{limits.people:,} are needed"
        )
    told = len(set(plan.given.events.values())) + len(plan.given.columns)
    if limits.events is not None and told > limits.events:
        faults.append(f"{told} names of events and further columns: at most {limits.events} are")
    return [*faults, *_too_many_products(log, plan, rows)]


def _too_many_products(log: Log, plan: Plan, rows: str) -> list[str]:
    most = plan.target.limits.products
    if most is None:
        return []
    found = log.engine.query(f"select count(distinct product_id) as products from {rows}")
    products = int(found["products"].iloc[0])
    return [f"{products:,} products: at most {most:,} are"] if products > most else []


def _cells(log: Log, rows: Rows) -> Iterator[tuple[str | None, ...]]:
    """Yield what stands in each row, batch by batch."""
    for frame in log.engine.batches(rows.sql):
        columns = [frame[name].astype(object).where(frame[name].notna(), None) for name in frame]
        yield from zip(*columns, strict=True)


def _count_outcomes(log: Log) -> pd.DataFrame:
    """Return `outcome`, `people`: those who were chosen, and what became of them."""
    counted = log.engine.query(
        f"select outcome, count(*) as people from {column(PEOPLE)} group by outcome"
    )
    found = dict(zip(counted["outcome"], counted["people"].tolist(), strict=True))
    counts = {"chosen": sum(found.values())} | {name: found.get(name, 0) for name in OUTCOMES}
    return pd.DataFrame({"outcome": list(counts), "people": list(counts.values())})


def _write_manifest(
    folder: Path,
    log: Log,
    plan: Plan,
    found: pd.DataFrame,
    rows: Rows,
    files: Sequence[File],
) -> None:
    told = {
        "activation": plan.name,
        "system": plan.target.system,
        "as_of": log.as_of.isoformat(),
        "data": log.prepared.fingerprint,
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "people": _counts(found),
        "rows": sum(file.rows for file in files),
        "rows_left_out": rows.left_out,
        "files": [asdict(file) for file in files],
    }
    write_private(folder / MANIFEST, json.dumps(told, indent=1).encode() + b"\n")


def _counts(found: pd.DataFrame) -> dict[str, int]:
    return {} if found.empty else dict(zip(found["outcome"], found["people"].tolist(), strict=True))


def _record(log: Log, plan: Plan, found: pd.DataFrame) -> None:
    """Tell the audit log, and remember who is in which arm: the first assignment stays."""
    told = {"activation": plan.name, **_counts(found)}
    audit.record(log.project, "activate", data=log.prepared.fingerprint, parameters=told)
    if plan.is_of_people:
        remember_assignments(
            log.engine,
            log.project.state_folder,
            f"""select person_key, {text(plan.name)} as experiment, arm,
                    cast({time.time_ns() // 1000} as bigint) as assigned_us
                from {column(PEOPLE)}
                where outcome in ('held_out', 'written') and not is_assigned""",
        )
