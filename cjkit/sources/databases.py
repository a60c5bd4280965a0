"""Databases as sources: a table, or what a query gives, becomes one Parquet file of texts.

The rows stream through a cursor of the server into that file, a few thousand at a time, so that a
table of any size takes little memory. From there on it is a file like any other; it goes when the
log is prepared. SQLAlchemy opens the connection, so what it has a dialect for can be a source.
"""

from __future__ import annotations

import csv
import datetime
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import DuckDB, EngineError, column, text
from cjkit.project import Project, Source
from cjkit.sources.cells import LONGEST_LINE
from cjkit.sources.columns import Place, find_columns
from cjkit.sources.connecting import connected
from cjkit.sources.mapping import SourceMapping

if TYPE_CHECKING:
    from sqlalchemy import Connection

_BATCH = 5_000
"""How many rows are in memory at a time."""
_MYSQL_TIMESTAMP = 7
"""PyMySQL's number of the type TIMESTAMP, whose values are instants; those of DATETIME are not."""


@dataclass(frozen=True)
class DatabaseTable:
    """The table of one source, or what its query gives.

    Attributes
    ----------
    name : str
        The source's name.
    source : Source
    mapping : SourceMapping
    """

    name: str
    source: Source
    mapping: SourceMapping

    @property
    def shown(self) -> Path:
        """What messages call it: the variable that holds the URL of its database, and its name."""
        return self.source.place(self.name)

    def unmapped(self) -> tuple[str, ...]:
        """Return the columns that the mapping does not name; no row is read.

        Raises
        ------
        CjkitError
            When the database cannot be reached, or it lacks the table or a column.
        """
        with self._connected() as connection:
            names = self._names(connection)
        taken = {place.number for place in self._places(names) if place}
        return tuple(name for number, name in enumerate(names, 1) if number not in taken)

    def version(self) -> str | None:
        """Return what its rows are known by without reading them: None where nothing says so.

        Where the source names a column `updated`, they are known by how many they are and by the
        latest value there.
        """
        if self.source.updated is None:
            return None
        with self._connected() as connection:
            names = self._names(connection)
            if self.source.updated not in names:
                raise unknown_name("column", self.source.updated, names, where=str(self.shown))
            latest = _quote(connection, self.source.updated)
            found = _run(
                connection, f"select count(*), max({latest}) from {self._relation(connection)}"
            ).one()
        return _write_json([self.source.table, self.source.query, *found])

    def fetch(self, engine: DuckDB, path: Path) -> None:
        """Write all rows to a Parquet file at `path`, whole or not at all.

        Every value is a text, as a CSV export would hold it. A table stands in the order of its
        primary key; where it has none, and what a query gives, in that of its columns, left to
        right, as texts: so that equal rows are equal files.

        Raises
        ------
        CjkitError
            As `unmapped`, and when the connection breaks.
        """
        copy = path.with_name(f"{path.name}.csv")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._connected() as connection, _open(copy) as file:
                names = self._names(connection)
                self._places(names)
                key = self._primary_key(connection)
                writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
                count = 0
                for rows in self._stream(connection, key):
                    writer.writerows(rows)
                    count += len(rows)
            _write_parquet(engine, copy, names, path, is_sorted=bool(key))
            kept = engine.query(f"select count(*) as n from read_parquet({text(str(path))})")
            if int(kept["n"].iloc[0]) != count:
                raise CjkitError(f"{self.shown}: {count} rows came, {kept['n'].iloc[0]} were kept.")
        except (EngineError, OSError) as error:
            raise CjkitError(f"{self.shown} cannot be kept while it is read: {error}.") from error
        finally:
            copy.unlink(missing_ok=True)

    def _connected(self) -> AbstractContextManager[Connection]:
        return connected(str(self.source.variable), self.shown)

    def _places(self, names: Sequence[str]) -> list[Place | None]:
        return find_columns(self.mapping.file_columns, names, self.shown, self.mapping.file)

    # What is read

    def _relation(self, connection: Connection) -> str:
        """Write the table, or the query in parentheses, as SQL of its database."""
        if self.source.table is None:
            return f"({self._query}\n) as records"
        return ".".join(_quote(connection, part) for part in self.source.table.split("."))

    @property
    def _query(self) -> str:
        return str(self.source.query).strip().rstrip(";")

    @property
    def _parts(self) -> tuple[str, str | None]:
        """The table and its schema, if it names one."""
        schema, _, name = str(self.source.table).rpartition(".")
        return name, schema or None

    def _names(self, connection: Connection) -> list[str]:
        """Return the names of the columns; a missing table is said with the nearest."""
        from sqlalchemy import inspect

        if self.source.table is not None:
            seen, (name, schema) = inspect(connection), self._parts
            if not seen.has_table(name, schema):
                known = [*seen.get_table_names(schema), *seen.get_view_names(schema)]
                named = [f"{schema}.{each}" if schema else each for each in known]
                where = str(self.source.variable)
                raise unknown_name("table", self.source.table, named, where=where)
        # What changes anything, and a second statement, cannot stand within a query.
        sql = f"select * from {self._relation(connection)} where 1 = 0"
        found = _run(connection, sql).keys()
        names = [str(name) for name in found]
        small = [name.casefold() for name in names]
        for name in names:
            if small.count(name.casefold()) > 1:
                raise CjkitError(f"{self.shown} has two columns called {name!r}: rename one (as).")
        return names

    def _primary_key(self, connection: Connection) -> list[str]:
        from sqlalchemy import inspect

        if self.source.table is None:
            return []
        try:
            return list(inspect(connection).get_pk_constraint(*self._parts)["constrained_columns"])
        except NotImplementedError:  # by dialects of warehouses, which have no keys
            return []

    def _stream(self, connection: Connection, key: Sequence[str]) -> Iterator[list[list[Any]]]:
        """Yield all rows, a few thousand at a time, as texts."""
        sql = self._query
        if self.source.table is not None:
            order = ", ".join(_quote(connection, name) for name in key)
            sql = f"select * from {self._relation(connection)}"
            sql += f" order by {order}" if order else ""
        found = _run(connection.execution_options(yield_per=_BATCH), sql)
        # MySQL's TIMESTAMP is an instant, which comes in the zone of the connection.
        is_mysql = connection.dialect.name in ("mysql", "mariadb")
        described = enumerate(found.cursor.description if is_mysql else ())
        instants = [number for number, each in described if each[1] == _MYSQL_TIMESTAMP]
        for rows in found.partitions(_BATCH):
            yield [_texts(row, instants) for row in rows]


def forget_tables(project: Project) -> None:
    """Remove the tables that were fetched: they hold ids and names in clear."""
    shutil.rmtree(project.fetched_folder, ignore_errors=True)


def _open(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


def _run(connection: Connection, sql: str) -> Any:
    from sqlalchemy import text as statement

    # A colon would name a parameter, of which there are none.
    return connection.execute(statement(sql.replace(":", r"\:")))


def _quote(connection: Connection, name: str) -> str:
    return str(connection.dialect.identifier_preparer.quote(name))


def _write_parquet(
    engine: DuckDB, copy: Path, names: Sequence[str], path: Path, *, is_sorted: bool
) -> None:
    columns = ", ".join(f"'c{number}': 'varchar'" for number in range(1, len(names) + 1))
    chosen = ", ".join(f"c{number} as {column(name)}" for number, name in enumerate(names, 1))
    engine.copy(
        f"""select {chosen} from read_csv({text(str(copy))}, header = false, auto_detect = false,
            delim = ',', quote = '"', escape = '"', columns = {{{columns}}},
            max_line_size = {LONGEST_LINE}) {"" if is_sorted else "order by all"}""",
        path,
    )


def _texts(row: Sequence[Any], instants: Sequence[int]) -> list[Any]:
    cells = [write(value) if (write := _WRITERS.get(type(value))) else value for value in row]
    for number in instants:
        cells[number] = f"{cells[number]}+00:00" if cells[number] else None
    return cells


def _write_float(value: float) -> str:
    is_whole = value.is_integer() and abs(value) < 1e15
    return str(int(value)) if is_whole else repr(value)


def _write_time(value: datetime.datetime) -> str:
    instant = value if value.tzinfo is None else value.astimezone(datetime.UTC)
    return instant.isoformat(sep=" ")


def _write_duration(value: datetime.timedelta) -> str:
    """Write hours, minutes and seconds, as `clock` reads them."""
    seconds, rest = divmod(abs(value), datetime.timedelta(seconds=1))
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    sign = "-" if value < datetime.timedelta(0) else ""
    return f"{sign}{clock}{f'.{rest.microseconds:06}' if rest else ''}"


def _write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_write)


def _write(value: Any) -> str:
    return _WRITERS.get(type(value), str)(value)


_WRITERS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: str(value).lower(),
    float: _write_float,
    Decimal: lambda value: format(value, "f"),
    datetime.datetime: _write_time,
    datetime.timedelta: _write_duration,
    bytes: bytes.hex,
    bytearray: bytearray.hex,
    memoryview: memoryview.hex,
    dict: _write_json,
    list: _write_json,
    tuple: _write_json,
}
"""How values of Python are written, as a CSV export would hold them; others as `str` has them."""
