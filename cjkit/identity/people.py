"""Who is who, made of keys and the links between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from cjkit.checks import microseconds
from cjkit.engine import DuckDB, Table
from cjkit.identity.deciding import FOUND, decide
from cjkit.identity.evidence import LIKENESS, LINKS, PEOPLE, collect_links
from cjkit.identity.graph import NEVER, Codes, Links
from cjkit.identity.ids import (
    NOTHING,
    Turnover,
    count_turnover,
    mint,
    number_keys,
    remember,
    write_ids,
)
from cjkit.identity.pins import RELATIONS, Pin, refuse_contradictions
from cjkit.project import Namespace


@dataclass(frozen=True)
class People:
    """Who is who.

    Attributes
    ----------
    table : Table
        `person_key`, `customer_id`, `customer_no` (from 0, in the order of `customer_id`), `found`
        (bits of `deciding.FOUND`): one row for each key.
    stitched : Table
        Weak keys that are a person's from some time on only: `person_key`, `since_us`,
        `owner_key` (a key of the person), `customer_id` (the person's). What happened before is the
        key's own, as `table` says.
    links : Table
        The evidence: each link that was found, used or not (see `evidence`).
    anchors : Table
        From which keys ids are minted (see `ids`).
    alias_sql : str
        The SQL of the id that a column `anchor` gives.
    summary : DataFrame
        One row for each namespace: `namespace`, `strength`, `keys` (distinct), `super_keys` (not
        used, because they meet too many), `attached` (weak keys and links that became part of a
        person), `stitched` (weak keys of which only later visits did), `undecided` (that meet
        several people and so none).
    customers : int
        How many people there are.
    merged_customers : int
        How many people have two keys or more.
    largest, alarms : int
        The most keys that one person has, and how many people have more than the `alarm` allows.
    turnover : Turnover
        Ids minted, merges and splits since the last published run.
    alike : int
        How many links are a model's guess.
    alike_precision : float
        The share of them that the model expects to be right; missing where there are none.
    """

    table: Table
    stitched: Table
    links: Table
    anchors: Table
    alias_sql: str
    summary: pd.DataFrame
    customers: int
    merged_customers: int
    largest: int
    alarms: int
    turnover: Turnover
    alike: int
    alike_precision: float


def resolve_people(
    engine: DuckDB,
    keys: str,
    edges: str,
    *,
    namespaces: Mapping[str, Namespace],
    pins: Sequence[Pin] = (),
    before: str = NOTHING,
    alarm: int = 50,
    name: str = "people",
    is_plain: bool = False,
) -> People:
    """Decide which keys are one person.

    1. A key that meets more than `most` keys (of its namespace's rule) of one strong namespace is a
       super-key, such as a shop's own telephone: none of its links is used.
    2. Strong keys that are linked, directly or through each other, are one person.
    3. A link (an order number) that meets one person is theirs, and merges nobody.
    4. A weak key (a cookie) that meets one person, on a record or through a link, is theirs, but
       only from `stitch_within` before they first met: what it did earlier stays a person of its
       own. After a logout it stays theirs. As soon as it meets a second person, none of its
       anonymous visits are anybody's, also those that an earlier run had stitched. Links between
       weak keys are not used: two visitors of one computer are not one person. A meeting without a
       time sets no bound.
    5. Pins win. `same` makes two keys one person whatever their namespaces; `different` keeps them
       apart: their person is built again link by link, pins first, then by first time, likeness
       last, without the links that would bring them together. A link that is a weak key's by hand
       reaches back as far as it does; links alone are nobody while no row goes by one of them.
    6. Each person has the customer_id of its earliest record, for ever (see `ids`).

    Parameters
    ----------
    engine : DuckDB
    keys : str
        SQL of a table or query with `person_key` ('<namespace>:<id>') and `first_us`, the time of a
        row that has the key (missing where unknown); repeats are allowed.
    edges : str
        The same with `key_a` and `key_b`, which were seen on one record, and the evidence: `rule`
        ('same_record' or 'likeness'), `source`, `file`, `record_no`, `seen_us`, `probability`.
    namespaces : mapping from namespace to Namespace
        Those that it does not hold are strong.
    pins : sequence of Pin
        Whose `a` and `b` are keys.
    before : str
        SQL of what the last published run remembered (`remembered`); nothing where not given.
    alarm : int, default 50
        The most keys that one person may have before it is counted as suspicious.
    name : str, default 'people'
        The name of the table that is made; other tables of it begin with that name.
    is_plain : bool, default False
        Whether ids are shown as they are; where `namespaces` holds only one, without its name.

    Returns
    -------
    People

    Raises
    ------
    CjkitError
        When pins contradict each other.

    Examples
    --------
    >>> engine = DuckDB(threads=1)
    >>> _ = engine.materialize(
    ...     "links",
    ...     "select 'login:ann' as key_a, 'cookie:1' as key_b, 'same_record' as rule, "
    ...     "'web' as source, 'web.csv' as file, 1 as record_no, 5 as seen_us, null as probability",
    ... )
    >>> keys = (
    ...     "(values ('login:ann', 5), ('cookie:1', 3), ('cookie:2', 4)) as k(person_key, first_us)"
    ... )
    >>> rules = {"login": Namespace(strength="strong"), "cookie": Namespace(strength="weak")}
    >>> found = resolve_people(engine, keys, "links", namespaces=rules, is_plain=True)
    >>> engine.query(f"select person_key, customer_id from {found.table} order by 1")
      person_key customer_id
    0   cookie:1   login:ann
    1   cookie:2    cookie:2
    2  login:ann   login:ann
    """
    refuse_contradictions(pins)
    rules = _add_rules(engine, name, namespaces)
    numbered, anchors = number_keys(engine, name, keys, edges, str(rules), before)
    seen = _number_links(engine, name, edges, numbered)
    pairs = _pair(engine, name, seen)
    known = engine.query(
        f"select strength, stitch_us, coalesce(rows_us, {NEVER}) as rows_us from {numbered} "
        "order by key_no"
    )
    pinned = _add_pins(engine, name, pins, numbered)
    decided = engine.add(
        f"{name} decided",
        decide(known, _find_super_keys(engine, pairs, numbered), _links(engine, pairs), *pinned),
    )
    minted = partial(mint, is_plain=is_plain, has_one=len(namespaces) == 1)
    named = _name_owners(engine, name, numbered, decided, minted("anchor"))
    is_found = {
        "super_keys": "is_super",
        "attached": "strength <> 'strong' and owner_no <> key_no",
        "stitched": "stitched_no >= 0",
        "undecided": "is_undecided",
    }
    found = " | ".join(f"case when {is_found[n]} then {bit} else 0 end" for n, bit in FOUND.items())
    table = engine.materialize(
        name,
        f"""select person_key, customer_id, customer_no, cast({found} as utinyint) as found
            from {numbered} join {decided} using (key_no) join {named} using (owner_no)""",
    )
    stitched = engine.materialize(
        f"{name} stitched",
        f"""select keys.person_key, since_us, own.person_key as owner_key, customer_id
            from {numbered} as keys join {decided} using (key_no)
            join {numbered} as own on own.key_no = stitched_no
            join {named} as named on named.owner_no = stitched_no""",
    )
    links = collect_links(engine, name, seen, numbered, decided, named)
    remember(engine, anchors, table, minted("anchor"))
    counted = ", ".join(f"count(*) filter ({claim}) as {n}" for n, claim in is_found.items())
    summary = engine.query(
        f"""select namespace, strength, count(*) as keys,
                {counted}
            from {numbered} join {decided} using (key_no)
            group by namespace, strength order by keys desc, namespace"""
    )
    sizes = engine.query(
        f"""select count(*) filter (n > 1) as merged, coalesce(max(n), 0) as largest,
                count(*) filter (n > {int(alarm)}) as alarms
            from (select count(*) as n from {numbered} join {decided} using (key_no)
                where strength <> 'link' group by owner_no) as sizes"""
    ).iloc[0]
    alike = engine.query(
        f"""select count(*) as n, cast(avg(probability) as double) as precision
            from {seen} where rule = '{LIKENESS}'"""
    ).iloc[0]
    customers = engine.query(f"select count(distinct customer_id) as n from {table}")["n"].iloc[0]
    for used in (rules, seen, pairs, numbered, decided, named, engine.table(f"{name} pins")):
        engine.run(f"drop table {used}")
    return People(
        table=table,
        stitched=stitched,
        links=links,
        anchors=anchors,
        alias_sql=minted("anchor"),
        summary=summary,
        customers=int(customers),
        merged_customers=int(sizes["merged"]),
        largest=int(sizes["largest"]),
        alarms=int(sizes["alarms"]),
        turnover=count_turnover(engine, anchors, table),
        alike=int(alike["n"]),
        alike_precision=float(alike["precision"]),
    )


def _add_rules(engine: DuckDB, name: str, namespaces: Mapping[str, Namespace]) -> Table:
    frame = pd.DataFrame(
        {
            "namespace": list(namespaces),
            "strength": [rule.strength for rule in namespaces.values()],
            "most": [rule.most for rule in namespaces.values()],
            "stitch_us": [
                microseconds(rule.stitch_within, name="stitch_within")
                for rule in namespaces.values()
            ],
        }
    )
    kinds = {"namespace": "str", "strength": "str", "most": "int64", "stitch_us": "int64"}
    return engine.add(f"{name} rules", frame.astype(kinds))


def _number_links(engine: DuckDB, name: str, edges: str, numbered: Table) -> Table:
    """Make a table of `edges` with numbers for keys: `a_no`, `b_no`, and the evidence."""
    return engine.materialize(
        f"{name} seen",
        f"""select a.key_no as a_no, b.key_no as b_no, rule, source, file, record_no, seen_us,
                probability
            from {edges} as links
            join {numbered} as a on a.person_key = links.key_a
            join {numbered} as b on b.person_key = links.key_b
            where a.key_no <> b.key_no""",
    )


def _pair(engine: DuckDB, name: str, seen: Table) -> Table:
    """Make a table of each pair of linked keys: `low`, `high`, `first_us`, `is_likely`."""
    return engine.materialize(
        f"{name} pairs",
        f"""select least(a_no, b_no) as low, greatest(a_no, b_no) as high,
                min(seen_us) as first_us, bool_and(rule = '{LIKENESS}') as is_likely
            from {seen} group by low, high""",
    )


def _links(engine: DuckDB, pairs: Table) -> Links:
    found = engine.query(
        f"""select low, high, coalesce(first_us, {NEVER}) as first_us from {pairs}
            order by is_likely, first_us, low, high"""
    )
    return Links(*(found[name].to_numpy(np.int64) for name in ("low", "high", "first_us")))


def _find_super_keys(engine: DuckDB, pairs: Table, numbered: Table) -> Codes:
    """Return the numbers of keys that meet more keys of one strong namespace than theirs allows."""
    met = engine.materialize(
        f"{pairs.name} met",
        f"""select low as key_no, high as other_no from {pairs} where not is_likely
            union all select high, low from {pairs} where not is_likely""",
    )
    found = engine.query(
        f"""select distinct counted.key_no
            from (select met.key_no, other.namespace, count(*) as n from {met} as met
                join {numbered} as other on other.key_no = other_no and other.strength = 'strong'
                -- Few keys meet so many at all: only those are looked at by namespace.
                where met.key_no in (select key_no from {met} group by key_no
                    having count(*) > (select min(most) from {numbered}))
                group by met.key_no, other.namespace) as counted
            join {numbered} as own on own.key_no = counted.key_no
            where n > own.most"""
    )
    engine.run(f"drop table {met}")
    return found["key_no"].to_numpy(np.int64)


def _add_pins(
    engine: DuckDB, name: str, pins: Sequence[Pin], numbered: Table
) -> tuple[Codes, Codes]:
    """Make a table of the pins on known keys; return the pairs that are one, and those apart."""
    columns = ["line", "relation", "key_a", "key_b", "file"]
    rows = [(pin.line, pin.relation, pin.a, pin.b, pin.file) for pin in pins]
    kinds = dict.fromkeys(columns, "str") | {"line": "int64"}
    engine.add(f"{name} given", pd.DataFrame(rows, columns=columns).astype(kinds))
    known = engine.materialize(
        f"{name} pins",
        f"""select pins.*, a.key_no as a_no, b.key_no as b_no from "{name} given" as pins
            join {numbered} as a on a.person_key = pins.key_a
            join {numbered} as b on b.person_key = pins.key_b""",
    )
    engine.run(f'drop table "{name} given"')
    same, different = (
        engine.query(
            f"select a_no, b_no from {known} where relation = '{relation}' order by line"
        ).to_numpy(np.int64)
        for relation in RELATIONS
    )
    return same, different


def _name_owners(engine: DuckDB, name: str, numbered: Table, decided: Table, minted: str) -> Table:
    """Make a table of each person: `owner_no`, `customer_id`, `customer_no`."""
    return engine.materialize(
        f"{name} named",
        f"""select owner_no, {minted} as customer_id,
                row_number() over (order by {minted}) - 1 as customer_no
            from (select distinct owner_no from {decided} join {numbered} using (key_no)
                -- Links under which nothing happened are nobody, pinned to each other or not.
                where strength <> 'link' or has_rows) as owners
            join {numbered} as own on own.key_no = owner_no""",
    )


def write_people(engine: DuckDB, people: People, folder: Path) -> None:
    """Write who is who into the folder of a prepared log.

    `people.parquet` (`person_key`, `customer_id`; a stitched key stands there with both the person
    whose later visits it holds and its own), the evidence, and the ids to remember. Those with keys
    may be read by their owner only.
    """
    paths = folder / PEOPLE, folder / LINKS
    engine.copy(
        f"""select person_key, customer_id from {people.table}
            union all select person_key, customer_id from {people.stitched}
            order by person_key, customer_id""",
        paths[0],
    )
    engine.copy(f"select * from {people.links}", paths[1], options="row_group_size 20480")
    for path in paths:
        path.chmod(0o600)
    write_ids(engine, people.anchors, folder, people.alias_sql)
