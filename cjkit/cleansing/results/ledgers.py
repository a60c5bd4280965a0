"""The ledgers, as results that a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from cjkit.cleansing.rules import DERIVED, OUTCOMES
from cjkit.labels import Language, format_number, format_percent, label
from cjkit.plots.waterfall import draw_waterfall


@dataclass(frozen=True)
class RecordLedger:
    """What became of the records of each file: `read = mapped + filtered + unreadable`.

    Attributes
    ----------
    table : DataFrame
        `source`, `file`, `read`, `mapped`, `filtered`, `unreadable` (records).
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


@dataclass(frozen=True)
class RowLedger:
    """What became of the rows that each source made for each table.

    Attributes
    ----------
    table : DataFrame
        `table`, `source` ('(derived)': made by the gate itself), `made`, `clean`, `quarantined`,
        `merged`, `withheld`, `retracted`, `erased`, `later` (rows). `made` is the sum of `clean`
        and the outcomes; `later` of the clean rows are at or after `as_of`, and not in the log.
    """

    table: pd.DataFrame

    def finding(self, language: Language) -> str:
        """Say what became of the rows that sources made."""
        given = self.table[~self.table["source"].eq(DERIVED)].sum(numeric_only=True)
        counts = {
            name: format_number(given[name], language) for name in ("made", "clean", *OUTCOMES)
        }
        share = given["quarantined"] / given["made"] if given["made"] else None
        return label("rows_finding", language, share=format_percent(share, language), **counts)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw a waterfall from the rows that sources made to the rows of the log."""
        is_derived = self.table["source"].eq(DERIVED)
        given = self.table[~is_derived].sum(numeric_only=True)
        derived = int(self.table.loc[is_derived, "made"].sum())
        steps = [("made", int(given["made"]), True)]
        steps += [(name, -int(given[name]), False) for name in OUTCOMES if given[name]]
        steps += [
            (name, change, False)
            for name, change in (("later", -int(given["later"])), ("derived", derived))
            if change
        ]
        steps.append(("in_the_log", sum(change for _, change, _ in steps), True))
        names, changes, totals = zip(*steps, strict=True)
        return draw_waterfall(
            [label(f"fate.{name}", language) for name in names],
            changes,
            totals,
            write=lambda value: format_number(value, language),
            ax=ax,
        )
