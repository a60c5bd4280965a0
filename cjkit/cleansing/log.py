"""The journey log as notebooks use it: tables on an engine, and what the gate found."""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cjkit import labels, privacy
from cjkit.checks import CjkitError, nearest
from cjkit.cleansing.assigned import assigned_sql
from cjkit.cleansing.findings import Quality, list_examples, read_quality
from cjkit.cleansing.gate import Prepared, parse_as_of, prepare, read_prepared
from cjkit.cleansing.results import QuarantineExamples
from cjkit.cleansing.settled import read_settled, write_settled
from cjkit.engine import DuckDB, Table, text
from cjkit.events import CONTRACT, Period, local_midnight_us
from cjkit.identity import Explanation, explain_customer, followed
from cjkit.project import Project, read_project

PREPARED = "CJKIT_PREPARED"
"""Names, while a report runs, the folder of the one prepared log that all its notebooks open."""
JOBS = "CJKIT_JOBS"
"""Says how many notebooks run at a time, which share memory and threads."""

_SAVED = "saved"
_SNAKE_CASE = re.compile("[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Log:
    """A company's journey log, as the gate prepared it.

    Tables of the contract (`events`, `customers`, `orders`, `feedback`, `consents`, `costs`,
    `content`, `notes`, `assignments`) and tables that a notebook saved (`segments`) are attributes.

    Attributes
    ----------
    project : Project
    engine : DuckDB
        Where the tables are.
    prepared : Prepared
        The prepared log on disk.
    as_of : date
        No row is at or after this local day.
    period, previous : Period
        The days that are reported on, and those that they are compared with.
    """

    project: Project
    engine: DuckDB
    prepared: Prepared
    as_of: datetime.date
    period: Period
    previous: Period

    def __getattr__(self, name: str) -> Table:
        """Return the table called `name`."""
        if name.startswith("_"):
            raise AttributeError(name)
        known = self.engine.tables()
        if name in known:
            return Table(self.engine, name)
        near = nearest(name, known)
        hint = f" Did you mean {near!r}?" if near else ""
        raise AttributeError(
            f"The log has no table {name!r}.{hint} It has {', '.join(known)}; a notebook adds one "
            "by log.save()."
        )

    def __dir__(self) -> list[str]:
        """List the tables among the attributes."""
        return sorted({*super().__dir__(), *self.engine.tables()})

    @cached_property
    def quality(self) -> Quality:
        """What the gate found: ledgers, quarantine, scorecard, and what cleansing changed."""
        return read_quality(self.engine, self.prepared.folder, self.prepared.facts, self._history)

    @property
    def _history(self) -> Path:
        return self.project.state_folder / "history"

    def list_examples(self, rule: str | None = None, *, most: int = 3) -> QuarantineExamples:
        """List rows of the quarantine: the first `most` of each rule, or of one rule.

        Raises
        ------
        CjkitError
            When there is no such rule.
        """
        return list_examples(self.engine, self.prepared.folder, rule, most)

    def agreed_to(self, purpose: str) -> Table:
        """Return the customers who have agreed to a purpose: of them alone may lists be sent out.

        Of each id the latest record that was read counts, whenever it is dated; a denial under any
        id of a person is one of all; and nobody has agreed who was not asked, whatever `[consent]
        missing` says. A withdrawal thus takes a person out of the next run.

        Parameters
        ----------
        purpose : str
            Such as 'marketing'.

        Returns
        -------
        Table
            `customer_id`, of people of this log only.
        """
        agreed = text(str(self.prepared.folder / "agreed.parquet"))
        return self.engine.view(
            f"agreed to {purpose}",
            f"""select customer_id from read_parquet({agreed}) where purpose = {text(purpose)}
                and customer_id in (select customer_id from customers)""",
        )

    def explain(self, customer_id: str) -> Explanation:
        """Say why the ids of a customer are one person: each link, where it was seen, and its use.

        Parameters
        ----------
        customer_id : str
            Of this log, or one that became part of another since.

        Raises
        ------
        CjkitError
            When there is no such customer.
        """
        return explain_customer(self.engine, self.prepared.folder, customer_id)

    def save(self, name: str, table: Table | pd.DataFrame) -> Table:
        """Keep a table with one row for each customer beside the log, for the notebooks after.

        Parameters
        ----------
        name : str
            What it is called: snake_case, no table of the contract, and none that the notebook has
            made. What was saved under it before is replaced.
        table : Table or DataFrame
            Holds `customer_id`. Ids that other customers had once become those that they have now;
            of rows that thereby become one customer's, that of the id which survived stays.

        Returns
        -------
        Table
            The table, as later notebooks see it.

        Raises
        ------
        CjkitError
            When the name cannot be used, or `customer_id` is missing or stands twice.
        """
        if not _SNAKE_CASE.fullmatch(name) or name in CONTRACT:
            raise CjkitError(
                f"log.save({name!r}): use a name in snake_case that is no table of the contract."
            )
        made = "select table_name from information_schema.tables where table_type = 'BASE TABLE'"
        if name in set(self.engine.query(made)["table_name"]):
            raise CjkitError(
                f"log.save({name!r}): the notebook has made a table of that name itself, and later "
                "ones would not see it: give one of the two another name."
            )
        if isinstance(table, pd.DataFrame):
            table = self.engine.add(f"{name} given", table)
        if "customer_id" not in table.columns:
            raise CjkitError(f"log.save({name!r}): the table has no column 'customer_id'.")
        twice = self.engine.query(
            f"select count(*) - count(distinct customer_id) as n from {table}"
        )["n"].iloc[0]
        if twice:
            raise CjkitError(
                f"log.save({name!r}): {twice} rows have a missing customer_id, or one that stands "
                "in another row: a saved table has one row for each customer."
            )
        folder = self.prepared.folder / _SAVED
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{name}.parquet"
        current = followed(str(table), self.prepared.folder)
        self.engine.copy(f"select * from ({current}) as current order by customer_id", path)
        return self.engine.view(name, _read(path))

    def settle(self, name: str, value: Any, **about: Any) -> None:
        """Keep what this run learnt for the runs after it, which read it by `settled`.

        All else is made anew of the data by every run; what is settled stays, so that a definition
        does not jump from night to night. It is kept with the day up to which the log goes, in
        the project's state folder; a value of the same day about the same is replaced.

        Parameters
        ----------
        name : str
            What it is called, in snake_case.
        value : object
            Of dicts, lists, text and numbers, about no single person: `forget` does not reach it.
        **about
            The settings that it was learnt with: of other settings it says nothing.

        Raises
        ------
        CjkitError
            When the name is not in snake_case.
        """
        write_settled(self._history, _settled_name(name), about, self.as_of, value)

    def settled(self, name: str, **about: Any) -> Any | None:
        """Return what an earlier run, or this one, settled under a name; None where none did.

        Of several with the same settings `about` it is the one of the newest log that is no newer
        than this: a look back at an earlier day knows nothing that was learnt after it.

        Raises
        ------
        CjkitError
            When the name is not in snake_case.
        """
        return read_settled(self._history, _settled_name(name), about, self.as_of)


def _settled_name(name: str) -> str:
    if not _SNAKE_CASE.fullmatch(name):
        raise CjkitError(f"{name!r} is no name to settle under: use snake_case.")
    return name


def open_log(
    project: str | Path = "data/sample/journey.toml",
    *,
    as_of: str | datetime.date | None = None,
) -> Log:
    """Open the journey log of a project; its gate runs first where anything changed.

    Opening also sets the names, languages and currency that results are shown in, and the smallest
    group that they may speak of.

    Parameters
    ----------
    project : path
        The project file. A relative path is looked for in the working folder, then in its parents.
    as_of : date or text such as '2026-11-01', optional
        No row of the log is at or after this local day; see `prepare`.

    Raises
    ------
    CjkitError
        When there is no such file, or the gate raises one.

    Examples
    --------
    >>> log = open_log("data/sample/journey.toml")  # doctest: +SKIP
    >>> log.events.count()  # doctest: +SKIP
    """
    read = read_project(find_project(project))
    handed = os.environ.get(PREPARED)
    prepared = read_prepared(Path(handed)) if handed else prepare(read, as_of=parse_as_of(as_of))
    told = {"as_of": str(prepared.as_of), "report": handed is not None}
    privacy.audit.record(read, "open", data=prepared.fingerprint, parameters=told)
    threads, memory = _share(read, jobs=int(os.environ.get(JOBS, "1")))
    engine = DuckDB(threads=threads, memory=memory, spill=read.state_folder / "spill")
    paths = {table: prepared.folder / f"{table}.parquet" for table in CONTRACT}
    paths |= {path.stem: path for path in sorted((prepared.folder / _SAVED).glob("*.parquet"))}
    for name, path in paths.items():
        engine.view(name, _read(path))
    _add_assignments(engine, read, prepared)
    labels.set_names(read.names)
    labels.set_languages(read.project.languages)
    labels.set_currency(read.project.currency)
    privacy.set_min_cell(read.privacy.min_cell)
    period, previous = read.periods(prepared.as_of)
    return Log(read, engine, prepared, prepared.as_of, period, previous)


def _add_assignments(engine: DuckDB, project: Project, prepared: Prepared) -> None:
    """Let the log's assignments hold those of activations too, up to its end, of its people."""
    until = local_midnight_us(prepared.as_of, project.project.time_zone)
    engine.view(
        "assignments",
        f"""{_read(prepared.folder / "assignments.parquet")} union all by name
            select customer_id, experiment, arm, make_timestamp(assigned_us) as assigned_at,
                assigned_us, 'activation' as source
            from ({assigned_sql(project.state_folder, prepared.folder)}) as assigned
            where assigned_us < {until} and customer_id in (select customer_id from customers)""",
    )


def _share(project: Project, *, jobs: int) -> tuple[int | None, str | None]:
    """Return the threads and memory of one of `jobs` engines that run at a time.

    What the project file does not limit, the machine does: all cores, and 80% of its memory.
    """
    if jobs == 1:
        return project.engine.threads, project.engine.memory
    threads = project.engine.threads or os.cpu_count() or 1
    size = re.fullmatch(r"([\d.]+) ?(\w+)", project.engine.memory or "")
    whole, unit = (float(size[1]), size[2]) if size else (_machine_memory() * 0.8 / 1e6, "MB")
    return max(1, threads // jobs), f"{whole / jobs:.3f}{unit}"


def _machine_memory() -> int:
    """Return the bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def find_project(given: str | Path) -> Path:
    """Return the project file: a relative path is sought in the working folder and its parents.

    Raises
    ------
    CjkitError
        When it is in none of them.
    """
    given = Path(given).expanduser()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / given).is_file():
            return folder / given
    hint = " The sample company is written by `make sample`." if "sample" in given.parts else ""
    raise CjkitError(
        f"There is no project file {str(given)!r} in {here} or the folders above it.{hint}"
    )


def _read(path: Path) -> str:
    return f"select * from read_parquet({text(str(path))})"
