"""The original records behind rows in quarantine: kept in the vault while their rows are there."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from cjkit import sources
from cjkit.cleansing.corrections import Kept, keep_corrections
from cjkit.cleansing.erasing import read_tombstones
from cjkit.cleansing.landing import Landing
from cjkit.cleansing.recognising import recogniser
from cjkit.cleansing.rules import outcome_sql
from cjkit.engine import text
from cjkit.events import CONTRACT
from cjkit.privacy import Vault
from cjkit.sources import Landed

UNREADABLE = "unreadable_record"
"""The rule under which the quarantine names records that could not be read: they made no row."""

UNREADABLE_SQL = f"""select cast(null as varchar) as "table", source, file, record_no,
    cast(null as bigint) as row_rule, {text(UNREADABLE)} as rule, 'quarantined' as outcome,
    cast(null as varchar) as columns
    from "unreadable records" """
"""The SQL of such records, with the columns of the quarantine."""


def keep_originals(landing: Landing, landed: Landed, vault: Vault, corrections: Kept) -> None:
    """Keep in the vault the records behind quarantined rows, and whose the corrected ones are.

    What is no longer in quarantine goes. A file whose records are all there is not read again.
    """
    engine, project = landing.engine, landing.project
    engine.materialize(
        "quarantined records",
        " union all ".join(
            f"""select rows.source, rows.file, rows.record_no, rows.person_key
                from "landed {table}" as rows join (select row_id from "facts {table}"
                    where {outcome_sql()} = 'quarantined') as facts using (row_id)"""
            for table in CONTRACT
        )
        + """ union all select source, file, record_no, null from "unreadable records" """,
    )
    for folder, ledger in zip(landed.folders, landed.ledgers, strict=True):
        own = engine.query(
            f"""select record_no, min(person_key) as person_key from "quarantined records"
                where source = {text(ledger.source)} and file = {text(ledger.file)}
                group by record_no order by record_no"""
        )
        kept = {number for batch in vault.records(folder.name) for number in batch["record_no"]}
        if kept != set(own["record_no"]):
            vault.keep_records(folder.name, _frames(landing, ledger, own))
    engine.run('drop table "quarantined records"')
    if corrections:
        keep_corrections(project, vault, corrections, _whose(landing, corrections))


def _frames(landing: Landing, ledger: sources.Ledger, own: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the records with these numbers, as the vault takes them: not those of the forgotten."""
    if own.empty:
        return
    forgotten = read_tombstones(landing.project.state_folder).person_keys
    recognise = recogniser(landing.project)
    found = sources.read_raw(landing.project, ledger.source, ledger.file, own["record_no"].tolist())
    for frame in found:
        records = frame.assign(record=frame["record"].fillna('""')).merge(own, on="record_no")
        yield records[
            [
                isinstance(key, str) or not forgotten or recognise(record).isdisjoint(forgotten)
                for key, record in zip(records["person_key"], records["record"], strict=True)
            ]
        ]


def _whose(landing: Landing, corrections: Kept) -> dict[tuple[str, str, int], str]:
    """Return whose rows corrected records made, by source, file and record number."""
    found = {}
    for (source, file), own in corrections.items():
        for table in CONTRACT:
            rows = landing.engine.query(
                f"""select record_no, min(person_key) as person_key from "landed {table}"
                    where source = {text(source)} and file = {text(file)}
                        and record_no in ({", ".join(map(str, own)) or "null"})
                    group by record_no having count(person_key) > 0"""
            )
            for number, key in rows.itertuples(index=False, name=None):
                found[source, file, int(number)] = str(key)
    return found
