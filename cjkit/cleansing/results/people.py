"""Whose rows they are, as results that a notebook shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pandas as pd

from cjkit.labels import Language, format_number, format_percent, label
from cjkit.privacy import Relation, Totals


@dataclass(frozen=True)
class IdentitySummary:
    """Which ids of people there are, and what became of them.

    Attributes
    ----------
    table : DataFrame
        `namespace`, `strength`, `keys`, `super_keys`, `attached`, `stitched`, `undecided`: see
        `cjkit.identity.People`. People who have not agreed are left out here and below.
    whose : DataFrame, the same rows
        Of how many people the counts of ids are.
    customers, merged_customers, largest, alarms : int
        People; those with two keys or more; the most keys of one of them; those with more keys
        than `[identity] alarm` allows.
    minted, merges, splits : int
        Since the run before: new people, people who became part of another, people who came out of
        one.
    alike : int
        Links by likeness between people who share no id.
    alike_precision : float or None
        The share of them that the model expects to be right; None where there are none.
    """

    table: pd.DataFrame
    whose: pd.DataFrame
    customers: float
    merged_customers: float
    largest: int
    alarms: float
    minted: float
    merges: float
    splits: float
    alike: int
    alike_precision: float | None
    formats: ClassVar[dict[str, str]] = {"strength": "strength", "namespace": "namespace"}

    def remade(self, mask: Callable[[Any], Any]) -> IdentitySummary:
        """Return the summary with the ids, and the figures, of few people hidden."""
        names = ["customers", "merged_customers", "alarms", "minted", "merges", "splits"]
        figures = pd.DataFrame({"people": [getattr(self, name) for name in names]})
        shown = mask(_Figures(figures)).table["people"].to_list()
        ids = mask(_Ids(self.table, self.whose)).table
        return replace(self, table=ids, **dict(zip(names, shown, strict=True)))

    def finding(self, language: Language) -> str:
        """Say how many ids became how many people, what changed, and what looks wrong."""
        said = [
            label(
                "identity_finding",
                language,
                keys=format_number(self.table["keys"].sum(), language),
                customers=format_number(self.customers, language),
                merged=format_number(self.merged_customers, language),
            ),
            label(
                "turnover_finding",
                language,
                minted=format_number(self.minted, language),
                merges=format_number(self.merges, language),
                splits=format_number(self.splits, language),
            ),
        ]
        if self.alike:
            said.append(
                label(
                    "alike_finding",
                    language,
                    alike=format_number(self.alike, language),
                    precision=format_percent(self.alike_precision, language),
                )
            )
        if self.alarms:
            said.append(
                label(
                    "alarm_finding",
                    language,
                    alarms=format_number(self.alarms, language),
                    largest=format_number(self.largest, language),
                )
            )
        return ("" if language == "ja" else " ").join(said)


@dataclass(frozen=True)
class _Ids:
    table: pd.DataFrame
    whose: pd.DataFrame
    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("keys", "attached", "stitched", "undecided"), ()
    )


@dataclass(frozen=True)
class _Figures:
    table: pd.DataFrame
    counts: ClassVar[dict[str, tuple[str, ...]]] = {"people": ()}


@dataclass(frozen=True)
class Withheld:
    """Rows of people without consent: counted, and used for nothing.

    Attributes
    ----------
    table : DataFrame
        `source`, `table`, `month`, `people` (whose rows they are), `rows`.
    total : int
        All of these rows.
    """

    table: pd.DataFrame
    total: int
    counts: ClassVar[dict[str, tuple[str, ...]]] = {"people": ("rows",)}
    # The ledger of rows and the sentence below say how many rows there are in all.
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Totals("people"),
        Totals("people", ("source", "table")),
    )

    def finding(self, language: Language) -> str:
        """Say how many rows are withheld."""
        return label("withheld_finding", language, rows=format_number(self.total, language))
