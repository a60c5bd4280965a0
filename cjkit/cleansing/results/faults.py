"""The rows that rules found, as results that a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.labels import Language, display_name, format_number, label
from cjkit.plots.ranking import draw_ranking

_MOST_BARS = 15


@dataclass(frozen=True)
class Quarantine:
    """The rows that each rule found, and what became of them.

    Attributes
    ----------
    table : DataFrame
        `check` (the rule), `reason` (the same, for its sentence), `dimension`, `outcome`
        ('flagged': kept), `rows` (that fail the rule), `decided` (rows that it set aside: the first
        rule a row fails does), `share` of all rows of the tables that it looks at; most rows first.
    """

    table: pd.DataFrame
    formats: ClassVar[dict[str, str]] = {"check": "rule", "outcome": "fate"}

    def finding(self, language: Language) -> str:
        """Name the rule that sets most rows aside."""
        set_aside = self.table[self.table["outcome"] == "quarantined"]
        if not set_aside["decided"].sum():
            return label("quarantine_empty", language)
        first = set_aside.nlargest(1, "decided").iloc[0]
        return label(
            "quarantine_finding",
            language,
            rows=format_number(set_aside["decided"].sum(), language),
            rule=display_name(first["check"], "rule", language),
            most=format_number(first["decided"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the rows that each rule found as bars."""
        shown = self.table.head(_MOST_BARS)
        names = [display_name(rule, "rule", language) for rule in shown["check"]]
        fates = [label(f"fate.{outcome}", language) for outcome in shown["outcome"]]
        notes = [
            f"{format_number(rows, language)} · {fate}"
            for rows, fate in zip(shown["rows"], fates, strict=True)
        ]
        return draw_ranking(names, shown["rows"].tolist(), notes, ax=ax)


@dataclass(frozen=True)
class QuarantineExamples:
    """A few rows of the quarantine: where to look in the source, never what stands there.

    Attributes
    ----------
    table : DataFrame
        `check` (the rule), `table`, `source`, `file`, `record_no` (from 1), `columns` (where the
        fault is).
    """

    table: pd.DataFrame
    formats: ClassVar[dict[str, str]] = {"check": "rule", "columns": "text", "file": "text"}


@dataclass(frozen=True)
class ClockShifts:
    """Files whose clock seems to be wrong by whole hours.

    Attributes
    ----------
    table : DataFrame
        `source`, `file`, `events`, `shift_hours` (to be added), `agreement` with the daily profile
        of others (0 to 1) and `agreement_shifted`.
    """

    table: pd.DataFrame

    def finding(self, language: Language) -> str:
        """Say how many files are suspected."""
        return label(
            "clock_shifts_finding", language, files=format_number(len(self.table), language)
        )
