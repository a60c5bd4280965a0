"""What would be read, and what is wrong with it as far as one can see without reading it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.project import Project
from cjkit.sources.databases import DatabaseTable
from cjkit.sources.files import Format
from cjkit.sources.landing import read_mappings, shown_name
from cjkit.sources.mapping import SourceMapping
from cjkit.sources.reading import format_of, open_file


@dataclass(frozen=True)
class FileLook:
    """What is seen of one input file.

    Attributes
    ----------
    source, file : str
        The source's name, and the file as seen from the project's folder.
    system : str
        What it comes from, in the words of the mapping.
    size : int or None
        Bytes; None of a table of a database.
    format : str or None
        How it would be read; None where nothing says so.
    unmapped : tuple of str
        Columns that the mapping does not name, as far as the head of the file shows them.
    problems : tuple of str
        Why it cannot be read: empty, of another encoding or format, without a column.
    """

    source: str
    file: str
    system: str
    size: int | None
    format: Format | Literal["table"] | None
    unmapped: tuple[str, ...]
    problems: tuple[str, ...]


def describe(project: Project) -> tuple[FileLook, ...]:
    """Look at the head of every input file; their texts are looked through for wrong bytes.

    Of tables of databases the names of the columns are asked for.

    Raises
    ------
    CjkitError
        When mappings have faults or files are missing.

    See Also
    --------
    land : reads them.
    """
    mappings = read_mappings(project)
    engine = DuckDB(threads=1)
    found = []
    try:
        for source, paths in project.input_files().items():
            mapping = mappings[source]
            for path in paths:
                form: Format | Literal["table"] | None = None
                declared = project.sources[source]
                unmapped: tuple[str, ...] = ()
                problems: tuple[str, ...] = ()
                try:
                    if declared.url is not None:
                        table = DatabaseTable(source, declared, mapping)
                        form, unmapped = "table", table.unmapped()
                    else:
                        form, unmapped = _look(engine, path, mapping)
                except CjkitError as error:
                    problems = tuple(str(error).splitlines())
                found.append(
                    FileLook(
                        source=source,
                        file=shown_name(path, project),
                        system=mapping.system,
                        size=path.stat().st_size if declared.url is None else None,
                        format=form,
                        unmapped=unmapped,
                        problems=problems,
                    )
                )
    finally:
        engine.close()
    return tuple(found)


def _look(engine: DuckDB, path: Path, mapping: SourceMapping) -> tuple[Format, tuple[str, ...]]:
    form = format_of(path, mapping.file)
    with tempfile.TemporaryDirectory() as room:
        reading = open_file(engine, path, mapping.file, mapping.file_columns, Path(room))
    return form, reading.unmapped
