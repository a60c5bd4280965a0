"""What sources have landed, as the gate reads it: one view for each table of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.cleansing.declared import declared_rules
from cjkit.cleansing.rules import RULES, Rule
from cjkit.engine import DuckDB, column, text
from cjkit.events import CONTRACT, SQL_TYPES, Kind
from cjkit.project import Project
from cjkit.sources import Landed, Ledger, read_mappings

PROVENANCE: dict[str, Kind] = {
    "person_key": "text",
    "record_hash": "text",
    "unique_key": "text",
    "row_rule": "whole",
    "unreadable": "text",
    "unknown_codes": "text",
    "time_precision": "text",
    "source": "text",
    "file": "text",
    "record_no": "whole",
    "element_no": "whole",
}
"""The columns that a landed row has beside those of the contract."""

OWN_ID = (
    "rows.source || '-' || substr(md5(rows.file), 1, 6) || '-' || "
    "lpad(cast(rows.record_no as varchar), 9, '0') || '-' || rows.row_rule "
    "|| coalesce('-' || rows.element_no, '')"
)
"""The SQL of an id for a row whose source gives it none: where it came from."""

FILE_SIZE = 1 << 40
"""Row ids of one file lie this far from those of the next."""


@dataclass(frozen=True)
class Landing:
    """What sources have landed, as the gate reads it.

    Attributes
    ----------
    engine : DuckDB
    project : Project
    files : DataFrame
        One row for each table that a file made: `table`, `file_no` (its place among the files of
        the table: sources in the project's order, then files by name), `source`, `source_no`
        (from 0, in the project's order), `file`, `made` (rows), `erased` (of these, left out).
    records : DataFrame
        One row for each file: `source`, `file`, `read`, `mapped`, `filtered`, `unreadable` records,
        and those of them that were read as they were `corrected` by hand.
    filtered : DataFrame
        `source`, `file`, `filter`, `records`: which line of a mapping took records out.
    columns : mapping from table to frozenset of str
        The columns that its files have; those that they lack are missing in every row.
    rules : tuple of Rule
        Those of the kit, then those of the project, in order of precedence.
    """

    engine: DuckDB
    project: Project
    files: pd.DataFrame
    records: pd.DataFrame
    filtered: pd.DataFrame
    columns: Mapping[str, frozenset[str]]
    rules: tuple[Rule, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that files made, in the contract's order; all others have no row."""
        made = set(self.files["table"])
        return tuple(table for table in CONTRACT if table in made)


def open_landing(engine: DuckDB, project: Project, landed: Landed) -> Landing:
    """Read the ledgers of landed folders, and give each table of the contract a view of its rows.

    Raises
    ------
    CjkitError
        When a ledger of records does not add up, or says other rows than there are; or a rule of
        the project cannot be run.
    """
    own = declared_rules(project, read_mappings(project)) if project.quality.rule else ()
    order = {name: place for place, name in enumerate(project.sources)}
    files: list[dict[str, Any]] = []
    found: dict[str, frozenset[str]] = {}
    for table in CONTRACT:
        paths: list[Path] = []
        for folder, ledger in zip(landed.folders, landed.ledgers, strict=True):
            if (path := folder / f"{table}.parquet").is_file():
                files.append(
                    {
                        "table": table,
                        "file_no": len(paths),
                        "source": ledger.source,
                        "source_no": order[ledger.source],
                        "file": ledger.file,
                        "made": ledger.rows.get(table, 0),
                        "erased": ledger.erased.get(table, 0),
                    }
                )
                paths.append(path)
        found[table] = _make_view(engine, project, table, paths)
    _make_staff(engine, landed)
    _make_unreadable(engine, landed)
    edges = [folder / "edges.parquet" for folder in landed.folders]
    _make_edges(engine, project, [path for path in edges if path.is_file()])
    columns = ["table", "file_no", "source", "source_no", "file", "made", "erased"]
    numbers = dict.fromkeys(("file_no", "source_no", "made", "erased"), "int64")
    known = pd.DataFrame(files, columns=columns).astype(numbers)
    engine.add("files", known)
    return Landing(
        engine=engine,
        project=project,
        files=known,
        records=_record_ledger(landed.ledgers),
        filtered=pd.DataFrame(
            [
                (ledger.source, ledger.file, name, number)
                for ledger in landed.ledgers
                for name, number in ledger.filtered.items()
            ],
            columns=["source", "file", "filter", "records"],
        ),
        columns=found,
        rules=(*RULES, *own),
    )


def _record_ledger(ledgers: Iterable[Ledger]) -> pd.DataFrame:
    """Return the ledger of records per file; it adds up, or the run ends here."""
    rows = [
        {
            "source": ledger.source,
            "file": ledger.file,
            "read": ledger.read,
            "mapped": ledger.mapped,
            "filtered": sum(ledger.filtered.values()),
            "unreadable": ledger.unreadable,
            "corrected": ledger.corrected,
        }
        for ledger in ledgers
    ]
    columns = ["source", "file", "read", "mapped", "filtered", "unreadable", "corrected"]
    table = pd.DataFrame(rows, columns=columns)
    parts = table[["mapped", "filtered", "unreadable"]].sum(axis=1)
    for row in table[table["read"] != parts].itertuples():
        raise CjkitError(
            f"The records of {row.file!r} (source {row.source!r}) do not add up: {row.read} read, "
            f"but {row.mapped} mapped + {row.filtered} filtered + {row.unreadable} unreadable. "
            "This is a fault of cjkit: please report it."
        )
    return table


def _make_view(
    engine: DuckDB, project: Project, table: str, paths: Sequence[Path]
) -> frozenset[str]:
    """Give the files of one table one view with every column of the contract, each of its type.

    Return the columns that the files have: the others are missing in every row.
    """
    expected = CONTRACT[table].columns | PROVENANCE
    if paths:
        listed = ", ".join(text(str(path)) for path in paths)
        read = f"read_parquet([{listed}], union_by_name = true)"
        found = engine.describe(f"select * from {read}")
        row_id = f"cast(file_index as bigint) * {FILE_SIZE} + file_row_number"
    else:
        read, found, row_id = "(select 1) as nothing where false", {}, "cast(null as bigint)"
    chosen = [
        f"{_cast(project, name, kind) if name in found else f'cast(null as {SQL_TYPES[kind]})'} "
        f"as {column(name)}"
        for name, kind in expected.items()
    ]
    # The twins in microseconds are made anew from times, after a declared shift.
    twins = {name.removesuffix("_at") + "_us" for name, kind in expected.items() if kind == "time"}
    chosen += [column(name) for name in found if name not in expected and name not in twins]
    # A line without a number of an order is an order of its own.
    whole = f"* replace (coalesce(order_id, {OWN_ID}) as order_id)" if table == "orders" else "*"
    engine.view(
        f"landed {table}",
        f"select {whole}, {_time_sql(table, project)} as time_us "
        f"from (select {row_id} as row_id, {', '.join(chosen)} from {read}) as rows",
    )
    return frozenset(found)


def extra_columns(engine: DuckDB, table: str) -> list[str]:
    """Return the columns of a landed table that its mapping added to the contract."""
    known = {"row_id", "time_us", *CONTRACT[table].columns, *PROVENANCE}
    return [name for name in engine.columns(f"landed {table}") if name not in known]


def _cast(project: Project, name: str, kind: Kind) -> str:
    value = f"cast({column(name)} as {SQL_TYPES[kind]})"
    shift = _shift_sql(project)
    return f"{value} + to_microseconds({shift})" if kind == "time" and shift else value


def _shift_sql(project: Project) -> str | None:
    """Write the SQL of the microseconds by which a file's clock is set right, if any's is."""
    cases = " ".join(
        f"when source = {text(source)} and file glob {text(pattern)} then {by}"
        for source, declared in project.sources.items()
        for pattern, by in declared.shifts_us.items()
    )
    return f"case {cases} else 0 end" if cases else None


def _time_sql(table: str, project: Project) -> str:
    """Write the SQL of a row's time in microseconds: that of the contract, or of its day."""
    rule = CONTRACT[table]
    if rule.time is not None:
        return f"epoch_us({rule.time})"
    days = [name for name, kind in rule.columns.items() if kind == "day"]
    if not days:
        return "cast(null as bigint)"
    zone = text(project.project.time_zone)
    return f"epoch_us(timezone('UTC', timezone({zone}, cast({days[0]} as timestamp))))"


def _make_edges(engine: DuckDB, project: Project, paths: Sequence[Path]) -> None:
    listed = ", ".join(text(str(path)) for path in paths)
    shift = _shift_sql(project) or 0
    engine.view(
        "edges",
        f"""select key_a, key_b, source, file, record_no, seen_us + {shift} as seen_us,
                last_record_no, last_us + {shift} as last_us
            from read_parquet([{listed}], union_by_name = true)"""
        if paths
        else """select '' as key_a, '' as key_b, '' as source, '' as file,
            cast(0 as bigint) as record_no, cast(0 as bigint) as seen_us,
            cast(0 as bigint) as last_record_no, cast(0 as bigint) as last_us limit 0""",
    )


def _make_staff(engine: DuckDB, landed: Landed) -> None:
    """Give the keys of employees, as files tell them, a view."""
    paths = [folder / "staff.parquet" for folder in landed.folders]
    listed = ", ".join(text(str(path)) for path in paths if path.is_file())
    engine.view(
        "staff keys",
        f"select person_key from read_parquet([{listed}])"
        if listed
        else "select '' as person_key where false",
    )


def _make_unreadable(engine: DuckDB, landed: Landed) -> None:
    """Give the numbers of the records that could not be read a view."""
    parts = [
        f"""select {text(ledger.source)} as source, {text(ledger.file)} as file, record_no
            from read_csv({text(str(folder / "unreadable.csv"))}, header = true,
                columns = {{'record_no': 'bigint'}}, auto_detect = false)"""
        for folder, ledger in zip(landed.folders, landed.ledgers, strict=True)
        if ledger.unreadable
    ]
    nothing = "select '' as source, '' as file, cast(0 as bigint) as record_no where false"
    engine.view("unreadable records", " union all ".join(parts) or nothing)


def is_made(landing: Landing, table: str) -> bool:
    """Say whether any source makes rows of `table`."""
    return bool(landing.files["table"].eq(table).any())
