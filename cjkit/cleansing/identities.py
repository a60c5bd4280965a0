"""Who is who in what has landed: keys, links and pins, and visits that become a person's later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

import pandas as pd

from cjkit import identity, sources
from cjkit.checks import CjkitError
from cjkit.cleansing.landing import Landing
from cjkit.cleansing.rules import IS_CLEAN, RULE
from cjkit.engine import DuckDB, column, text
from cjkit.events import CONTRACT, local_midnight_us
from cjkit.identity import People, Pin, resolve_people
from cjkit.project import Likeness, Project
from cjkit.sources import Landed
from cjkit.sources.ids import Pseudonym
from cjkit.sources.texts import normal_form

CONSENTING = "people of consents"
"""Whom an answer given under a key concerns: a stitched key speaks for both people it had."""

_VISITS = ("events", "orders", "feedback", "assignments")


def pins_text(project: Project) -> str:
    """Return what the pins file says; nothing where the project has none."""
    if project.linking.pins is None:
        return ""
    path = project.folder / project.linking.pins
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CjkitError(f"identity.pins={path.name!r} cannot be read: {error}.") from error


class Details(Protocol):
    """The vault, of which linking by likeness reads the private fields."""

    def details(self) -> Iterator[pd.DataFrame]:
        """Give `person_key`, `landed`, `record_no` and the private fields, in batches."""


def find_people(
    landing: Landing, landed: Landed, hide: Pseudonym | None, vault: Details | None
) -> People:
    """Make the table `people`: each key that a row or a link has, and its customer.

    Rows of visits that are a person's, though the key they came under is not as a whole, go by a
    key of the person from here on. Records of which all rows are retracted link nobody: a link
    whose first record is one counts from its last record on. `hide` writes the SQL that makes an id
    a pseudonym.
    """
    engine, project = landing.engine, landing.project
    started_us = local_midnight_us(project.company.started_on, project.project.time_zone)
    _find_retracted_records(engine)
    engine.view(
        "linked",
        f"""select key_a, key_b, 'same_record' as rule, source, file, record_no,
            case when seen_us >= {started_us} then seen_us end as seen_us,
            cast(null as double) as probability
            from (select edges.*
                from edges anti join "retracted records" using (source, file, record_no)
                union all
                -- Of those whose first record is gone, the last one still says it.
                select edges.* replace (last_record_no as record_no, last_us as seen_us)
                from edges semi join "retracted records" using (source, file, record_no)
                anti join "retracted records" as gone on gone.source = edges.source
                    and gone.file = edges.file and gone.record_no = last_record_no) as said""",
    )
    keys = " union all ".join(
        _keys_sql(table) for table, rule in CONTRACT.items() if rule.person != "none"
    )
    resolve = partial(
        resolve_people,
        engine,
        f"({keys})",
        namespaces=project.identity,
        pins=_read_pins(landing, f"({keys})", hide),
        before=identity.remembered(project.state_folder / "identity"),
        alarm=project.linking.alarm,
        is_plain=hide is None,
    )
    found = resolve("linked")
    if project.linking.likeness is not None:
        _link_alike(landing, landed, project.linking.likeness, vault)
        found = resolve(column("likely linked"))
    _stitch(engine, found)
    return found


def _find_retracted_records(engine: DuckDB) -> None:
    """Make the table `retracted records`: those of which no row is left, so that no link is either.

    `source`, `file`, `record_no`.
    """
    gone = " union all ".join(
        f"""select source, file, record_no, {is_retracted} as is_retracted
            from "landed {table}" join "facts {table}" using (row_id)"""
        for table in RULE["retracted"].tables
        for is_retracted in [f"failed & {RULE['retracted'].bit} <> 0"]
    )
    engine.materialize(
        "retracted records",
        f"""select source, file, record_no from ({gone}) as told
            where source in (select source from "landed tombstones")
            group by all having bool_and(is_retracted)""",
    )


def _link_alike(landing: Landing, landed: Landed, rules: Likeness, vault: Details | None) -> None:
    """Make the view `likely linked`: `linked`, and links between people who are alike.

    Only people who share no key are linked so: each pair of them once, by its likeliest records.
    """
    if vault is None:
        raise CjkitError(
            "[identity.likeness] needs private fields, and [privacy] pseudonyms = 'plain' keeps "
            "none: leave one of the two out."
        )
    engine, memory = landing.engine, landing.project.engine.memory
    files = [
        (folder.name, ledger.source, ledger.file)
        for folder, ledger in zip(landed.folders, landed.ledgers, strict=True)
    ]
    engine.add("landed folders", pd.DataFrame(files, columns=["landed", "source", "file"]))
    engine.add("alike", identity.find_alike(vault.details(), rules, memory=memory))
    alike = engine.query(
        """select key_a, key_b, probability, source, file, record_no from alike
            join people as a on a.person_key = key_a join people as b on b.person_key = key_b
            left join "landed folders" using (landed)
            where a.customer_id <> b.customer_id
            qualify row_number() over (partition by least(a.customer_id, b.customer_id),
                greatest(a.customer_id, b.customer_id)
                order by probability desc, key_a, key_b) = 1
            order by probability desc, key_a, key_b"""
    )
    accepted = identity.accept(alike["probability"], rules.expected_precision)
    engine.add("alike", alike.head(accepted))
    engine.view(
        "likely linked",
        f"""select * from linked union all by name
            select key_a, key_b, '{identity.LIKENESS}' as rule, source, file, record_no,
                cast(null as bigint) as seen_us, probability from alike""",
    )


def _keys_sql(table: str) -> str:
    """Write the SQL of the keys of a landed table, each with the time of its first clean row."""
    return f"""
        select person_key, first_us from (select distinct person_key from "landed {table}") as keys
        left join (select person, min(time_us) as first_us from "facts {table}"
            where {IS_CLEAN} group by person) as dated on dated.person = hash(keys.person_key)"""


def _read_pins(landing: Landing, keys: str, hide: Pseudonym | None) -> tuple[Pin, ...]:
    """Return the pins of the project with keys in place of ids."""
    named = landing.project.linking.pins
    if named is None:
        return ()
    return identity.find_keys(
        identity.read_pins(landing.project.folder / named),
        landing.project.identity,
        partial(_hide_ids, landing, hide),
        partial(_find_customers, landing, keys, hide),
    )


def _hide_ids(
    landing: Landing, hide: Pseudonym | None, namespace: str, ids: Sequence[str]
) -> Mapping[str, str]:
    """Return the key of each id as it is written in an export."""
    mappings = sources.read_mappings(landing.project).values()
    rule = next((m.ids[namespace] for m in mappings if namespace in m.ids), None)
    if rule is None:
        raise CjkitError(f"pins name ids of {namespace!r}, which no mapping of the project reads.")
    forms = [normal_form(id, rule)[0] for id in ids]
    given = landing.engine.add("pinned ids", pd.DataFrame({"id": ids, "form": forms}, dtype="str"))
    hidden = hide("form") if hide is not None else "form"
    found = landing.engine.query(
        f"select id, {text(namespace + ':')} || {hidden} as key from {given}"
    )
    landing.engine.run(f"drop table {given}")
    return dict(zip(found["id"], found["key"], strict=True))


def _find_customers(
    landing: Landing, keys: str, hide: Pseudonym | None, ids: Sequence[str]
) -> Mapping[str, str]:
    """Return a key of each customer_id that is in use or was."""
    before = identity.remembered(landing.project.state_folder / "identity")
    listed = ", ".join(map(text, ids)) or "null"
    has_one = len(landing.project.identity) == 1
    minted = identity.mint("anchor", is_plain=hide is None, has_one=has_one)
    found = landing.engine.query(
        f"""select {minted} as id, person_key from (
            select anchor, person_key from {before} as before union all
            select person_key, person_key from {keys} as keys union all
            select key_a, key_a from linked union all select key_b, key_b from linked) as known
            where {minted} in ({listed})"""
    )
    return dict(zip(found["id"], found["person_key"], strict=True))


def _stitch(engine: DuckDB, found: People) -> None:
    """Let the rows of stitched visits go by a key of the person whose they are."""
    engine.view(
        CONSENTING,
        f"""select person_key, customer_id from {found.table}
            union all select person_key, customer_id from {found.stitched}""",
    )
    if not found.stitched.count():
        return
    for table in _VISITS:
        engine.run(f'alter view "landed {table}" rename to "unstitched {table}"')
        engine.view(
            f"landed {table}",
            f"""select rows.* replace (case when rows.time_us >= stitched.since_us
                    then stitched.owner_key else rows.person_key end as person_key)
                from "unstitched {table}" as rows left join {found.stitched} as stitched
                    on stitched.person_key = rows.person_key""",
        )
        engine.run(
            f"""update "facts {table}" set person = hash(stitched.owner_key)
                from {found.stitched} as stitched
                where person = hash(stitched.person_key) and time_us >= stitched.since_us"""
        )
