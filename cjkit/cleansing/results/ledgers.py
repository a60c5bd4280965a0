"""The ledgers, as results that a notebook shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.cleansing.rules import OUTCOMES
from cjkit.labels import Language, format_number, format_percent, label
from cjkit.plots.waterfall import draw_waterfall
from cjkit.privacy import Equation, Relation, Totals


@dataclass(frozen=True)
class RecordLedger:
    """What became of the records of each file: `read = mapped + filtered + unreadable`.

    Attributes
    ----------
    table : DataFrame
        `source`, `file`, `read`, `mapped`, `filtered`, `unreadable` (records), `corrected` (those
        read as they were corrected by hand).
    """

    table: pd.DataFrame

    def finding(self, language: Language) -> str:
        """Say how many records of how many files were read."""
        read, lost = int(self.table["read"].sum()), int(self.table["unreadable"].sum())
        return label(
            "records_finding",
            language,
            files=format_number(len(self.table), language),
            read=format_number(read, language),
            unreadable=format_number(lost, language),
        )


@dataclass(frozen=True)
class FilteredRecords:
    """Records that a line of a mapping left out.

    Attributes
    ----------
    table : DataFrame
        `source`, `filter` (the line's name; `no_row`: no [[row]] applies), `records`.
    """

    table: pd.DataFrame

    formats: ClassVar[dict[str, str]] = {"filter": "filter"}


@dataclass(frozen=True)
class RowLedger:
    """What became of the rows that each source made for each table.

    Attributes
    ----------
    table : DataFrame
        `table`, `source` ('(derived)': made by the gate itself), `made`, `clean`, `quarantined`,
        `merged`, `withheld`, `retracted`, `erased`, `later` (rows). `made` is the sum of `clean`
        and the outcomes; `later` of the clean rows are at or after `as_of`, and not in the log.
    given : mapping from column to int
        The sums of `made`, `clean` and the outcomes over all sources, derived rows left out.
    whose : DataFrame, the same rows
        Whose rows are `withheld`, `retracted` or `erased`: of the last, one at least.
    """

    table: pd.DataFrame
    given: Mapping[str, int]
    whose: pd.DataFrame

    # What people chose is masked; other faults are those of systems.
    counts: ClassVar[dict[str, tuple[str, ...]]] = {"withheld": (), "retracted": (), "erased": ()}
    beside: ClassVar[tuple[str, ...]] = ("made", "clean", "quarantined", "merged")

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Each row is the sum of its outcomes, and all rows add up to what the waterfall shows."""
        parts = ("clean", *OUTCOMES)
        rows = range(len(self.table))
        return (
            *(Equation((("made", row),), tuple((name, row) for name in parts)) for row in rows),
            *(Totals(name) for name in ("made", *parts)),
        )

    def finding(self, language: Language) -> str:
        """Say what became of the rows that sources made."""
        given = self.given
        counts = {
            name: format_number(given[name], language) for name in ("made", "clean", *OUTCOMES)
        }
        share = given["quarantined"] / given["made"] if given["made"] else None
        return label("rows_finding", language, share=format_percent(share, language), **counts)


@dataclass(frozen=True)
class FanOut:
    """Which rows the mapped records made: the ledger between records and rows.

    Attributes
    ----------
    table : DataFrame
        `source`, `table`, `mapped` (records of the source that made any row), `records` (those of
        them that made rows of this table), `rows` (that they made). A record may stand in several
        tables; all `rows` together are the `made` of the ledger of rows.
    """

    table: pd.DataFrame

    def finding(self, language: Language) -> str:
        """Say how many records made how many rows."""
        mapped = self.table.drop_duplicates("source")["mapped"].sum()
        rows = self.table["rows"].sum()
        return label(
            "fan_out_finding",
            language,
            mapped=format_number(mapped, language),
            rows=format_number(rows, language),
            each=format_number(rows / mapped if mapped else None, language, digits=2),
        )


@dataclass(frozen=True)
class Flow:
    """The way from the records that were read to the rows of the log.

    Attributes
    ----------
    table : DataFrame
        `step`, `counted` ('records' or 'rows'), `amount` (of a total; else what is added or, below
        0, taken away), `is_total`. Each total is the sum of what stands before it. Steps that
        change nothing are left out.
    """

    table: pd.DataFrame
    formats: ClassVar[dict[str, str]] = {"step": "fate", "counted": "counted"}

    def finding(self, language: Language) -> str:
        """Say how many records came in, and how many rows are in the log."""
        amounts = self.table.set_index("step")["amount"]
        made, quarantined = (int(amounts.get(name, 0)) for name in ("made", "quarantined"))
        return label(
            "ledgers_finding",
            language,
            read=format_number(amounts["read"], language),
            made=format_number(made, language),
            clean=format_number(amounts["clean"], language),
            quarantined=format_number(-quarantined, language),
            share=format_percent(-quarantined / made if made else None, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw a waterfall from the records that were read to the rows of the log."""
        return draw_waterfall(
            [label(f"fate.{name}", language) for name in self.table["step"]],
            self.table["amount"].tolist(),
            self.table["is_total"].tolist(),
            write=lambda value: format_number(value, language),
            ax=ax,
        )
