"""Who is who: the ids under which systems know a person become one customer.

Only keys and the links between them are read, never a name or an address. A strong namespace (a
login, a loyalty number) merges people; a weak one (a cookie, a shared telephone) merges nobody: it
attaches to the one person it meets, and stays a person of its own where it meets none or several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cjkit.engine import DuckDB, Table, text

MOST_STRONG = 30
"""A key that meets more strong keys than this is nobody's own, such as a shop's telephone."""

_ID_DIGITS = 16


@dataclass(frozen=True)
class People:
    """Who is who.

    Attributes
    ----------
    table : Table
        `person_key`, `customer_id`, `customer_no` (from 0, in the order of `customer_id`): one row
        for each key.
    summary : DataFrame
        One row for each namespace: `namespace`, `strength`, `keys` (distinct), `super_keys` (keys
        not used because they meet more than `MOST_STRONG` strong keys), `attached` (weak keys that
        became part of a strong person), `undecided` (weak keys that meet several and so none).
    customers : int
        How many people there are.
    merged_customers : int
        How many people have two keys or more.
    largest : int
        The most keys that one person has.
    """

    table: Table
    summary: pd.DataFrame
    customers: int
    merged_customers: int
    largest: int


def resolve_people(
    engine: DuckDB,
    keys: str,
    edges: str,
    *,
    strengths: Mapping[str, str],
    name: str = "people",
    is_plain: bool = False,
) -> People:
    """Decide which keys are one person.

    1. A key that meets more than 30 strong keys is a super-key: none of its links is used.
    2. Strong keys that are linked, directly or through each other, are one person.
    3. A weak key that meets strong keys of exactly one person is theirs. Links between weak keys
       are not used: two visitors of one computer are not one person.
    4. `customer_id` follows from the alphabetically smallest strong key of the person (the weak key
       where there is none), so that it stays the same from run to run: the first 16 digits of its
       SHA-256, or the key as it stands where ids are plain.

    Parameters
    ----------
    engine : DuckDB
    keys : str
        SQL of a table or query with `person_key` ('<namespace>:<id>'); repeats are allowed.
    edges : str
        The same with `key_a` and `key_b`, which were seen on one record.
    strengths : mapping from namespace to 'strong' or 'weak'
        A namespace that it does not hold is strong.
    name : str, default 'people'
        The name of the table that is made.
    is_plain : bool, default False
        Whether ids are shown as they are; with one namespace only, without its name.

    Returns
    -------
    People

    Examples
    --------
    >>> engine = DuckDB(threads=1)
    >>> _ = engine.materialize("links", "select 'login:ann' as key_a, 'cookie:1' as key_b")
    >>> keys = "(values ('login:ann'), ('cookie:1'), ('cookie:2')) as keys(person_key)"
    >>> found = resolve_people(
    ...     engine, keys, "links", strengths={"login": "strong", "cookie": "weak"}, is_plain=True
    ... )
    >>> engine.query(f"select person_key, customer_id from {found.table} order by 1")
      person_key customer_id
    0   cookie:1   login:ann
    1   cookie:2    cookie:2
    2  login:ann   login:ann
    """
    numbered = engine.materialize(
        f"{name} keys",
        f"""select person_key, namespace, namespace not in ({_listed(strengths)}) as is_strong,
                row_number() over (order by person_key) - 1 as key_no
            from (select person_key, split_part(person_key, ':', 1) as namespace
                from (select person_key from {keys} union
                    select key_a from {edges} union select key_b from {edges}) as seen
                where person_key is not null) as distinct_keys""",
    )
    known = engine.query(f"select namespace, is_strong from {numbered} order by key_no")
    is_strong = known["is_strong"].to_numpy(bool)
    pairs = engine.query(
        f"""select distinct least(a.key_no, b.key_no) as low, greatest(a.key_no, b.key_no) as high
            from (select distinct key_a, key_b from {edges}) as links
            join {numbered} as a on a.person_key = links.key_a
            join {numbered} as b on b.person_key = links.key_b
            where a.key_no <> b.key_no and (a.is_strong or b.is_strong)"""
    ).to_numpy(np.int64)
    owner, super_keys, undecided = _find_owners(is_strong, pairs[:, 0], pairs[:, 1])

    has_one = known["namespace"].nunique() == 1
    table = _name_people(engine, name, numbered, owner, is_plain, has_one)
    sizes = np.bincount(owner, minlength=len(owner)) if len(owner) else np.zeros(0, np.int64)
    facts = pd.DataFrame(
        {
            "namespace": known["namespace"],
            "strength": np.where(is_strong, "strong", "weak"),
            "keys": 1,
            "super_keys": super_keys.astype(int),
            "attached": (~is_strong & (owner != np.arange(len(owner)))).astype(int),
            "undecided": undecided.astype(int),
        }
    )
    summary = facts.groupby(["namespace", "strength"], as_index=False).sum()
    return People(
        table=table,
        summary=summary.sort_values("keys", ascending=False, ignore_index=True),
        customers=int((sizes > 0).sum()),
        merged_customers=int((sizes > 1).sum()),
        largest=int(sizes.max(initial=0)),
    )


def _listed(strengths: Mapping[str, str]) -> str:
    weak = [text(namespace) for namespace, strength in strengths.items() if strength == "weak"]
    return ", ".join(weak) or "''"


Codes = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Claims = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def _find_owners(is_strong: Claims, low: Codes, high: Codes) -> tuple[Codes, Claims, Claims]:
    """Return for each key the key that names its person, whether it is a super-key, or undecided.

    Keys are numbered in alphabetical order, so the smallest number of a person is its name.
    """
    size = len(is_strong)
    meets = np.bincount(low[is_strong[high]], minlength=size)
    meets += np.bincount(high[is_strong[low]], minlength=size)
    super_keys = meets > MOST_STRONG
    used = ~super_keys[low] & ~super_keys[high]
    low, high = low[used], high[used]

    both = is_strong[low] & is_strong[high]
    links = coo_array((np.ones(both.sum(), np.int8), (low[both], high[both])), shape=(size, size))
    component = connected_components(links, directed=False)[1].astype(np.int64)
    first = np.full(component.max(initial=-1) + 1, size, np.int64)
    np.minimum.at(first, component, np.arange(size))
    owner: Codes = first[component]

    # Every weak key with the people it meets, each once: it is decided where there is one only.
    mixed = ~both
    weak = np.where(is_strong[low[mixed]], high[mixed], low[mixed])
    person = owner[np.where(is_strong[low[mixed]], low[mixed], high[mixed])]
    met = np.unique(np.stack([weak, person]), axis=1)
    met_by = np.bincount(met[0], minlength=size)
    decided = met_by[met[0]] == 1
    owner[met[0][decided]] = met[1][decided]
    return owner, super_keys, met_by > 1


def _name_people(
    engine: DuckDB,
    name: str,
    numbered: Table,
    owner: Codes,
    is_plain: bool,
    has_one: bool,
) -> Table:
    owners = f"{name} owners"
    engine.add(owners, pd.DataFrame({"key_no": np.arange(len(owner)), "owner_no": owner}))
    if is_plain:
        # With one namespace its name says nothing; with several it keeps equal ids apart.
        named = (
            "substr(own.person_key, strpos(own.person_key, ':') + 1)"
            if has_one
            else "own.person_key"
        )
    else:
        named = f"substr(sha256(own.person_key), 1, {_ID_DIGITS})"
    table = engine.materialize(
        name,
        f"""select person_key, customer_id,
                dense_rank() over (order by customer_id) - 1 as customer_no
            from (select keys.person_key, {named} as customer_id
                from {numbered} as keys
                join "{owners}" as owners using (key_no)
                join {numbered} as own on own.key_no = owners.owner_no) as named""",
    )
    for used in (numbered.name, owners):
        engine.run(f'drop table "{used}"')
    return table
