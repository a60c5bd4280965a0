"""What became of the records of one file: the ledger that landing leaves beside its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cjkit.engine import DuckDB, column, text
from cjkit.sources.columns import Reading
from cjkit.sources.statements import Statements

NO_ROW = "no_row"
"""The name under which records are filtered that no [[row]] applies to."""


@dataclass(frozen=True)
class Ledger:
    """What became of the records of one file: `read = mapped + filtered + unreadable`.

    Attributes
    ----------
    source, file : str
        The source's name, and the file as seen from the project's folder.
    read, mapped, unreadable : int
        Records in the file, records that made at least one row, records that could not be read.
    filtered : dict of str to int
        Records left out, by the name of the filter; `no_row` are those that no [[row]] applies to.
    rows : dict of str to int
        Rows made, by table.
    erased : dict of str to int
        Of these, by table, the rows of people who must be forgotten: made, and left out.
    unmapped : tuple of str
        Columns of the file that the mapping does not name.
    problems : tuple of str
        The first records that could not be read, in words.
    corrected : int
        Records that were read as they were corrected by hand.
    """

    source: str
    file: str
    read: int
    mapped: int
    filtered: Mapping[str, int]
    unreadable: int
    rows: Mapping[str, int]
    unmapped: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    erased: Mapping[str, int] = field(default_factory=dict)
    corrected: int = 0


def count_records(
    engine: DuckDB,
    sql: Statements,
    *,
    source: str,
    file: str,
    reading: Reading,
    corrected: int,
) -> Ledger:
    """Count what became of each record, and the rows that were made of them."""
    applies = " or ".join(
        f"row_{row.number}"
        if row.each is None
        else f"record_no in (select record_no from {column(sql.view(row.each))} "
        f"where row_{row.number})"
        for row in sql.mapping.rows
    )
    counts = engine.query(
        f"""select case when record_hash is null then ''
                when filter_name is not null then filter_name
                when {applies or "false"} then null else {text(NO_ROW)} end as fate,
            count(*) as records from "landing records" group by 1"""
    )
    fates = {
        (fate if isinstance(fate, str) else None): int(records)
        for fate, records in zip(counts["fate"], counts["records"], strict=True)
    }
    rows: dict[str, int] = {}
    erased: dict[str, int] = {}
    for table, made, gone in _rows(engine, sql):
        rows[table] = rows.get(table, 0) + made
        if gone:
            erased[table] = erased.get(table, 0) + gone
    named = [*(rule.name for rule in sql.mapping.filters), NO_ROW]
    return Ledger(
        source=source,
        file=file,
        read=int(counts["records"].sum()),
        mapped=fates.get(None, 0),
        filtered={name: fates[name] for name in named if name in fates},
        unreadable=fates.get("", 0),
        rows=rows,
        unmapped=reading.unmapped,
        problems=reading.unreadable,
        corrected=corrected,
        erased=erased,
    )


def _rows(engine: DuckDB, sql: Statements) -> Iterator[tuple[str, int, int]]:
    """Yield of each [[row]] its table, the rows made, and those of people to be forgotten."""
    for each in (None, *sql.lists):
        rules = [row for row in sql.mapping.rows if row.each == each]
        if not rules:
            continue
        per_row = ", ".join(
            f"count(*) filter ({sql.applies(row)}) as rows_{row.number}" for row in rules
        )
        counts = engine.query(f"select {per_row} from {column(sql.view(each))}").iloc[0]
        for row in rules:
            gone = 0
            if sql.people.erased:
                where = f"{sql.applies(row)} and {sql.is_erased(row)}"
                found = engine.query(f"select count(*) as n from {sql.joined(row)} where {where}")
                gone = int(found["n"].iloc[0])
            yield row.table, int(counts[f"rows_{row.number}"]), gone
