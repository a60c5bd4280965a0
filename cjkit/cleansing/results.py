"""What the gate found, as results that a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.cleansing.rules import DERIVED, OUTCOMES
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.plots.ranking import draw_ranking
from cjkit.plots.scores import draw_scores
from cjkit.plots.waterfall import draw_waterfall
from cjkit.project import DIMENSIONS

_MOST_BARS = 15


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
class Scorecard:
    """How good the rows of each source and table are, in each dimension.

    Attributes
    ----------
    table : DataFrame
        `table`, `source`, `dimension`, `score` (1 - failing / in scope), `failing`, `in_scope`
        (rows), `warn`, `stop` (thresholds of the project), `status` ('good', 'warn', 'stop').
    """

    table: pd.DataFrame
    formats: ClassVar[dict[str, str]] = {
        "score": "rate",
        "warn": "rate",
        "stop": "rate",
        "status": "score",
    }

    def finding(self, language: Language) -> str:
        """Name the lowest score."""
        if self.table.empty:
            return label("nothing_here", language)
        low = self.table.nsmallest(1, "score").iloc[0]
        warned = int((self.table["status"] != "good").sum())
        return label(
            "scorecard_finding",
            language,
            dimension=display_name(low["dimension"], "dimension", language),
            source=display_name(low["source"], "source", language),
            table=display_name(low["table"], "table", language),
            score=format_percent(low["score"], language),
            warned=format_number(warned, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the scores as cells; those below a threshold have a frame."""
        key = ["source", "table"]
        order = self.table[key].drop_duplicates()
        dimensions = [name for name in DIMENSIONS if name in set(self.table["dimension"])]
        wide = self.table.set_index([*key, "dimension"])
        index = pd.MultiIndex.from_frame(order)
        scores = wide["score"].unstack().reindex(index=index, columns=dimensions)
        marked = wide["status"].ne("good").unstack().reindex(index=index, columns=dimensions)
        return draw_scores(
            scores.to_numpy(float),
            rows=[
                f"{display_name(source, 'source', language)} · "
                f"{display_name(table, 'table', language)}"
                for source, table in order.itertuples(index=False)
            ],
            columns=[display_name(name, "dimension", language) for name in dimensions],
            marked=marked.eq(True).to_numpy(bool),
            write=lambda score: _below_all(score, language),
            ax=ax,
        )


@dataclass(frozen=True)
class IdentitySummary:
    """Which ids of people there are, and what became of them.

    Attributes
    ----------
    table : DataFrame
        `namespace`, `strength`, `keys`, `super_keys`, `attached`, `undecided`: see
        `cjkit.identity.People`.
    customers, merged_customers, largest : int
        People; those with two keys or more; the most keys of one of them.
    """

    table: pd.DataFrame
    customers: int
    merged_customers: int
    largest: int
    formats: ClassVar[dict[str, str]] = {"strength": "strength"}

    def finding(self, language: Language) -> str:
        """Say how many ids became how many people."""
        return label(
            "identity_finding",
            language,
            keys=format_number(self.table["keys"].sum(), language),
            customers=format_number(self.customers, language),
            merged=format_number(self.merged_customers, language),
        )


@dataclass(frozen=True)
class Changes:
    """What cleansing changed.

    Attributes
    ----------
    table : DataFrame
        One row for `before` (every row that consent allows, each id a person) and one for `after`
        (the log): `moment`, `customers`, `events` (besides purchases and returns), `orders`,
        `revenue`, `conversion_rate` (share of people who bought).
    """

    table: pd.DataFrame
    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("events", "orders", "revenue", "conversion_rate")
    }
    formats: ClassVar[dict[str, str]] = {"moment": "moment"}

    def finding(self, language: Language) -> str:
        """Say what became of people and of the conversion rate."""
        before, after = (self.table.iloc[place] for place in (0, 1))
        return label(
            "changes_finding",
            language,
            before=format_number(before["customers"], language),
            after=format_number(after["customers"], language),
            rate_before=format_percent(before["conversion_rate"], language),
            rate_after=format_percent(after["conversion_rate"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each figure after cleansing as a share of what it was before."""
        before, after = (self.table.iloc[place, 1:].astype(float) for place in (0, 1))
        known = (after / before.where(before != 0)).dropna()
        figures, ratios = known.index.tolist(), known.tolist()
        return draw_ranking(
            [label(name, language) for name in figures],
            ratios,
            [format_percent(ratio, language) for ratio in ratios],
            ax=ax,
        )


@dataclass(frozen=True)
class ClockShifts:
    """Files whose clock seems to be wrong by whole hours.

    Attributes
    ----------
    table : DataFrame
        `source`, `file`, `events`, `shift_hours` (to be added), `agreement` with the daily profile
        of other files (correlation) and `agreement_shifted`.
    """

    table: pd.DataFrame

    def finding(self, language: Language) -> str:
        """Say how many files are suspected."""
        return label(
            "clock_shifts_finding", language, files=format_number(len(self.table), language)
        )


@dataclass(frozen=True)
class Withheld:
    """Rows of people without consent: counted, and used for nothing.

    Attributes
    ----------
    table : DataFrame
        `source`, `table`, `month`, `rows`.
    total : int
        All of these rows.
    """

    table: pd.DataFrame
    total: int
    counts: ClassVar[dict[str, tuple[str, ...]]] = {"rows": ()}

    def finding(self, language: Language) -> str:
        """Say how many rows are withheld."""
        return label(
            "withheld_finding", language, rows=format_number(self.table["rows"].sum(), language)
        )


def _below_all(score: float, language: Language) -> str:
    """Write a score so that only a perfect one reads 100%."""
    return format_percent(min(score, 0.999) if score < 1 else 1.0, language)
