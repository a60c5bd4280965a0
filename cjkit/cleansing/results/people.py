"""Whose rows they are, as results that a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from cjkit.labels import Language, format_number, label


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
