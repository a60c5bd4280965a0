"""Ids of people: their spellings made one, then hidden as keys `<namespace>:<pseudonym>`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from cjkit.engine import DuckDB, column, text
from cjkit.sources.mapping import Spelling
from cjkit.sources.texts import make_forms

Pseudonym = Callable[[str], str]
"""Writes the SQL that hides an SQL expression."""

ERASED = "landing erased"
"""The table of `People.erased`."""


class Vault(Protocol):
    """Where landing leaves what must not stand in Parquet: ids as they are, and private fields."""

    def has(self, landed: str) -> bool:
        """Say whether the landed folder of this name has left here what it holds."""

    def keep(
        self, landed: str, ids: Iterator[pd.DataFrame], details: Iterator[pd.DataFrame]
    ) -> None:
        """Keep what one file holds, instead of what it left here before, whole or not at all.

        `ids` are frames of `person_key`, `namespace`, `value`; `details` of `person_key`,
        `record_no` and one text column for each private field of the mapping.
        """

    def keep_only(self, landed: Collection[str]) -> None:
        """Let go of what other folders left here."""


@dataclass(frozen=True)
class People:
    """How landing treats the people of a project.

    Attributes
    ----------
    pseudonym : callable or None
        Writes the SQL that hides an id; without it keys hold the ids themselves.
    salt : str
        A text that depends on the pseudonyms' key.
    strong : frozenset of str
        The namespaces whose ids name one person.
    staff : sequence of str
        The domains of the e-mails of employees.
    vault : Vault or None
        Where ids and private fields go.
    erased : frozenset of str
        The keys of people who must not come back.
    """

    pseudonym: Pseudonym | None
    salt: str
    strong: frozenset[str]
    staff: Sequence[str]
    vault: Vault | None
    erased: frozenset[str]


def make_keys(
    engine: DuckDB, name: str, values: str, rule: Spelling, *, namespace: str, people: People
) -> None:
    """Make a table called `name` of each distinct id and its key.

    It holds `value` as it was written, its `form` (see `texts.normal_form`), `is_good`, the `key`,
    and of the person whether they `is_staff` (missing unless the id is an e-mail) and `is_erased`.

    Parameters
    ----------
    engine : DuckDB
        Where the ids are.
    name : str
        What the table is called.
    values : str
        A query that gives the ids as `value`.
    rule : Spelling
        How they are made equal.
    namespace : str
        What kind of id they are.
    people : People
        How they are hidden, and who is staff.
    """
    make_forms(engine, f"{name} forms", values, rule)
    hidden = people.pseudonym("form") if people.pseudonym else "form"
    domains = people.staff if rule.normalise == "email" else ()
    is_staff = " or ".join(f"ends_with(form, {text('@' + domain.lower())})" for domain in domains)
    engine.materialize(
        name,
        f"""select *, key in (select person_key from {column(ERASED)}) as is_erased
        from (select *, {text(namespace + ":")} || {hidden} as key, {is_staff or "null"} as is_staff
            from {column(name + " forms")}) as hidden""",
    )
