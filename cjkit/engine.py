"""The engine: where tables live and SQL runs. Nothing else in cjkit opens a connection.

The SQL of the analyses keeps to what DuckDB, Spark SQL and PostgreSQL all run as it stands: windows
with explicit ROWS frames, group by, case, `count(distinct case ...)`, lag and lead, whole numbers.
Time is arithmetic on `occurred_us` (microseconds since 1970, UTC), so that no dialect's interval or
epoch function is needed. What differs between engines (quantiles, reading files) has one method
here. Reading and cleansing may use DuckDB's own functions; the analyses may not.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pandas as pd

from cjkit.checks import CjkitError, unknown_name

EngineError = duckdb.Error
"""What the engine raises when it refuses a statement: for those who can say it in better words."""


class Engine(Protocol):
    """What an analysis may ask of an engine."""

    def query(self, sql: str) -> pd.DataFrame:
        """Run `sql` and bring its rows here: for small results only."""

    def add(self, name: str, source: pd.DataFrame) -> Table:
        """Copy a frame into a table called `name`."""

    def table(self, name: str) -> Table:
        """Return the table called `name`; CjkitError names the nearest where there is none."""

    def tables(self) -> list[str]:
        """Return the names of all tables and views, in alphabetical order."""

    def columns(self, name: str) -> dict[str, str]:
        """Return the columns of table `name` with their types, in order."""

    def materialize(self, name: str, sql: str) -> Table:
        """Keep the rows of `sql` as a table called `name`, replacing one of that name."""

    def batches(self, sql: str, rows: int = 200_000) -> Iterator[pd.DataFrame]:
        """Run `sql` and bring its rows here in frames of at most `rows`."""

    def write_table(self, name: str, batches: Iterable[pd.DataFrame]) -> Table:
        """Write frames of equal columns, one after another, into a table called `name`."""

    def quantiles(
        self, relation: str, value: str, at: Sequence[float], by: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Return interpolated quantiles of column `value`, one row for each group of `by`."""


@dataclass(frozen=True)
class Table:
    """A named table on an engine. In an f-string it stands for its name: `from {events}`."""

    engine: Engine
    name: str

    def __str__(self) -> str:
        return column(self.name)

    @property
    def columns(self) -> dict[str, str]:
        """The columns with their types, in order."""
        return self.engine.columns(self.name)

    def values(self, name: str) -> set[Any]:
        """Return the distinct values of column `name` that are not missing."""
        found = self.engine.query(f"select distinct {column(name)} as value from {self}")
        return set(found["value"].dropna())

    def count(self) -> int:
        """Return the number of rows."""
        return int(self.engine.query(f"select count(*) as n from {self}")["n"].iloc[0])

    def head(self, rows: int = 5) -> pd.DataFrame:
        """Return a few rows, for a look."""
        return self.engine.query(f"select * from {self} limit {int(rows)}")


def column(name: str) -> str:
    """Return `name` quoted as an identifier, whatever it holds.

    Examples
    --------
    >>> print(column('a "strange" name'))
    "a ""strange"" name"
    """
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return `value` quoted as an SQL string, whatever it holds.

    Examples
    --------
    >>> print(text("it's"))
    'it''s'
    """
    return "'" + value.replace("'", "''") + "'"


class DuckDB:
    """DuckDB inside this process: the default engine.

    Parameters
    ----------
    path : str or Path, default ':memory:'
        A database file, or memory.
    threads : int, optional
        Threads that a statement may use; all cores where not given.
    memory : str, optional
        The most memory the engine may take before it spills, such as '1GB'.
    spill : Path, optional
        The folder under which this connection makes its own spill folder; the system's temporary
        folder where not given. The connection's folder is removed when it closes, and folders that
        killed processes left there are removed when a new one opens.
    is_sealed : bool, default False
        Whether nothing may leave memory: no spill, no file, no network. Once `memory` is full a
        statement fails.
    """

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        threads: int | None = None,
        memory: str | None = None,
        spill: Path | None = None,
        is_sealed: bool = False,
    ) -> None:
        root = spill if spill is not None else Path(tempfile.gettempdir()) / "cjkit-spill"
        # DuckDB makes the last folder of the path only.
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_orphans(root)
        own = root / f"{os.getpid()}-{os.urandom(4).hex()}"
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": "" if is_sealed else str(own),
        }
        if threads is not None:
            config["threads"] = threads
        if memory is not None:
            config["memory_limit"] = memory
        self._connection = duckdb.connect(str(path), config=config)
        if is_sealed:
            self._connection.execute("set enable_external_access = false")
        # Global, so that cursors have it too.
        self._connection.execute("set global TimeZone = 'UTC'")
        # What runs is said by who asked for it; a bar would stand in logs and notebook cells.
        self._connection.execute("set enable_progress_bar = false")
        self._close = weakref.finalize(self, _close, self._connection, own)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection itself, for a library that runs SQL of its own."""
        return self._connection

    @property
    def threads(self) -> int:
        """How many threads a statement may use."""
        return int(self.query("select current_setting('threads') as n")["n"].iloc[0])

    def run(self, sql: str) -> None:
        """Run a statement whose rows nobody needs."""
        self._execute(sql)

    def _execute(
        self, sql: str, cursor: duckdb.DuckDBPyConnection | None = None
    ) -> duckdb.DuckDBPyConnection:
        try:
            return (cursor or self._connection).execute(sql)
        except UnicodeDecodeError as error:
            # The engine cuts long messages anywhere, within a character too.
            raise EngineError(error.object.decode(errors="replace")) from error

    def query(self, sql: str) -> pd.DataFrame:
        """Run `sql` and bring its rows here: for small results only."""
        return self._execute(sql).df()

    def add(self, name: str, source: pd.DataFrame) -> Table:
        """Copy a frame into a table called `name`, replacing one of that name."""
        return self.write_table(name, [source])

    def view(self, name: str, sql: str) -> Table:
        """Give the query `sql` a name; its rows are read anew each time."""
        self.run(f"create or replace view {column(name)} as {sql}")
        return Table(self, name)

    def materialize(self, name: str, sql: str) -> Table:
        """Keep the rows of `sql` as a table called `name`, replacing one of that name."""
        self.run(f"create or replace table {column(name)} as {sql}")
        return Table(self, name)

    def table(self, name: str) -> Table:
        """Return the table called `name`; CjkitError names the nearest where there is none."""
        if name not in (known := self.tables()):
            raise unknown_name("table", name, known, where="the log")
        return Table(self, name)

    def tables(self) -> list[str]:
        """Return the names of all tables and views, in alphabetical order."""
        found = self._connection.execute(
            "select table_name from information_schema.tables where table_schema = 'main'"
        ).fetchall()
        return sorted(row[0] for row in found)

    def columns(self, name: str) -> dict[str, str]:
        """Return the columns of table `name` with their types, in order."""
        return self.describe(f"select * from {column(name)}")

    def describe(self, sql: str) -> dict[str, str]:
        """Return the columns that the query `sql` would give, with their types, in order."""
        return {row[0]: row[1] for row in self._execute(f"describe {sql}").fetchall()}

    def batches(self, sql: str, rows: int = 200_000) -> Iterator[pd.DataFrame]:
        """Run `sql` and bring its rows here in frames of at most `rows`.

        The rows stream through a cursor of their own, so that other statements may run between.
        """
        vectors = max(1, rows // 2048)
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
            while len(frame := cursor.fetch_df_chunk(vectors)):
                yield frame
        finally:
            cursor.close()

    def write_table(self, name: str, batches: Iterable[pd.DataFrame]) -> Table:
        """Write frames of equal columns, one after another, into a table called `name`.

        The table takes its columns and types from the first frame and stands only when all frames
        are in. CjkitError where there is no frame at all.
        """
        partial = f"{name} (being written)"
        started = False
        for frame in batches:
            # Registered under a name of its own: the frame is scanned once and let go at once.
            self._connection.register("batch being written", frame)
            source = 'select * from "batch being written"'
            if started:
                self.run(f"insert into {column(partial)} by name {source}")
            else:
                self.run(f"create or replace table {column(partial)} as {source}")
            self._connection.unregister("batch being written")
            started = True
        if not started:
            raise CjkitError(f"No rows were given for table {name!r}: give one frame or more.")
        self.run(f"drop table if exists {column(name)}")
        self.run(f"alter table {column(partial)} rename to {column(name)}")
        return Table(self, name)

    def quantiles(
        self, relation: str, value: str, at: Sequence[float], by: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Return interpolated quantiles of column `value`, one row for each group of `by`.

        Parameters
        ----------
        relation : str
            A table name as SQL, or a query in parentheses.
        value : str
            The column; missing values are left out.
        at : sequence of float
            Ranks between 0 and 1.
        by : sequence of str
            The columns that make the groups; none gives one row.

        Returns
        -------
        DataFrame
            The columns of `by`, `n` (values that are not missing) and one column a rank:
            `p50` for .5, `p2_5` for .025; sorted by the groups.
        """
        keys = "".join(f"{column(name)}, " for name in by)
        ranks = ", ".join(repr(float(rank)) for rank in at)
        # One list call: on DuckDB 2.0 several quantile calls over a window stall.
        found = ", ".join(
            f"found[{place}] as {column(_rank_name(rank))}" for place, rank in enumerate(at, 1)
        )
        grouped = f"group by {keys.rstrip(', ')}" if by else ""
        ordered = f"order by {keys.rstrip(', ')}" if by else ""
        return self.query(
            f"select {keys}n, {found} from (select {keys}count({column(value)}) as n, "
            f"quantile_cont({column(value)}, [{ranks}]) as found from {relation} as measured "
            f"{grouped}) as grouped {ordered}"
        )

    def copy(self, sql: str, path: Path, *, form: str = "parquet", options: str = "") -> None:
        """Write the rows of `sql` to one file, whole or not at all.

        Parameters
        ----------
        sql : str
            The query.
        path : Path
            Where the file goes; it appears there only when it is complete.
        form : {'parquet', 'csv', 'json'}, default 'parquet'
            The format; json is one record a line.
        options : str
            Further options of DuckDB's COPY, such as `row_group_size 100000`.
        """
        partial = path.with_name(path.name + ".partial")
        more = f", {options}" if options else ""
        try:
            self.run(f"copy ({sql}) to {text(str(partial))} (format {form}{more})")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def copy_parts(self, parts: Sequence[str], folder: Path, *, options: str = "") -> None:
        """Write the rows of several queries at the same time, whole or not at all.

        Parameters
        ----------
        parts : sequence of str
            The queries, no more than `threads`.
        folder : Path
            Where a Parquet file for each query goes. `read_parquet` of the folder gives their rows
            in the order of `parts`.
        options : str
            Further options of DuckDB's COPY.
        """
        partial = folder.with_name(folder.name + ".partial")
        more = f", {options}" if options else ""
        cursors = [self._connection.cursor() for _ in parts]
        try:
            partial.mkdir()
            # The threads that ask are those that work: one that only waited would do so busily.
            self.run(f"set external_threads = {len(parts)}")
            with ThreadPoolExecutor(len(parts)) as pool:
                running = []
                for place, (sql, cursor) in enumerate(zip(parts, cursors, strict=True)):
                    path = text(str(partial / f"{place:04}.parquet"))
                    statement = f"copy ({sql}) to {path} (format parquet{more})"
                    running.append(pool.submit(self._execute, statement, cursor))
                try:
                    for each in wait(running, return_when=FIRST_EXCEPTION).done:
                        each.result()
                except BaseException:
                    for cursor in cursors:
                        cursor.interrupt()
                    raise
            shutil.rmtree(folder, ignore_errors=True)
            partial.replace(folder)
        finally:
            self.run("reset external_threads")
            for cursor in cursors:
                cursor.close()
            shutil.rmtree(partial, ignore_errors=True)

    def close(self) -> None:
        """Close the connection and remove its spill folder."""
        self._close()


def _rank_name(rank: float) -> str:
    return "p" + f"{100 * rank:g}".replace(".", "_")


def _close(connection: duckdb.DuckDBPyConnection, spill: Path) -> None:
    connection.close()
    shutil.rmtree(spill, ignore_errors=True)


def _remove_orphans(root: Path) -> None:
    """Remove the spill folders of processes that are gone: a killed engine leaves its own."""
    for folder in root.iterdir():
        process = folder.name.split("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
