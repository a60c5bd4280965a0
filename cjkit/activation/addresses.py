"""Ids and private fields of people, out of the vault: in batches, and into the engine's memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pandas as pd

from cjkit.activation.plan import CUSTOMER_ID
from cjkit.cleansing.landing import FILE_SIZE
from cjkit.cleansing.log import Log
from cjkit.engine import DuckDB, column, text
from cjkit.privacy import Vault
from cjkit.project import Project

_BATCH = 50_000


def find_ids(
    engine: DuckDB, name: str, folder: Path, vault: Vault | None, namespace: str, who: str
) -> None:
    """Make a table called `name` of ids: `customer_id`, `person_key`, `value`, `rank`.

    Of several ids of one customer that which was first seen last has rank 1: an address that came
    later is more likely to be in use. Who has none is not in the table.

    Parameters
    ----------
    engine : DuckDB
    name : str
    folder : Path
        The prepared log.
    vault : Vault or None
        None where ids are plain: then keys hold them.
    namespace : str
        Of [identity], strong; or `customer_id`.
    who : str
        SQL of the customers, one column `customer_id`.
    """
    keys = engine.materialize(f"{name} keys", _keys_sql(folder, namespace, who))
    if namespace == CUSTOMER_ID:
        engine.materialize(name, f"select *, customer_id as value from {keys}")
    elif vault is None:
        start = len(namespace) + 2
        engine.materialize(name, f"select *, substr(person_key, {start}) as value from {keys}")
    else:
        engine.write_table(name, _unsealed(engine, str(keys), vault))
    engine.run(f"drop table {keys}")


def find_private(
    engine: DuckDB, name: str, log: Log, vault: Vault, fields: Collection[str], who: str
) -> None:
    """Make a table called `name` of private fields: `customer_id`, and a column for each of them.

    Of several records of a person that have a field, those of the source which the project names
    first count, and of these the last of the last file.
    """
    folder, order = log.prepared.folder, _file_order(log.project)
    keys = engine.materialize(
        f"{name} keys",
        f"""select customer_id, person_key from ({_owned_sql(folder)}) as owned
            where owners = 1 and customer_id in ({who})""",
    )
    details = engine.write_table(
        f"{name} details", _details(engine, str(keys), vault, fields, order)
    )
    latest = ", ".join(
        f"arg_max({column(field)}, place) filter ({column(field)} is not null) as {column(field)}"
        for field in fields
    )
    engine.materialize(
        name,
        f"""select customer_id, {latest} from {details} join {keys} using (person_key)
            group by customer_id""",
    )
    for table in (keys, details):
        engine.run(f"drop table {table}")


def _owned_sql(folder: Path) -> str:
    """Write the SQL of the keys of people; a key of a device may have been two people's."""
    return f"""select customer_id, person_key, count(*) over (partition by person_key) as owners
        from read_parquet({text(str(folder / "people.parquet"))})"""


def _keys_sql(folder: Path, namespace: str, who: str) -> str:
    """Write the SQL of the keys in a namespace: `customer_id`, `person_key`, `rank`."""
    anchors = text(str(folder / "anchors.parquet"))
    is_own, newest, only = "true", "owners, person_key", "qualify rank = 1"
    if namespace != CUSTOMER_ID:
        is_own = f"starts_with(person_key, {text(namespace + ':')})"
        newest, only = "first_us desc nulls last, person_key", ""
    return f"""
        select customer_id, person_key, row_number() over (
                partition by customer_id order by {newest}) as rank
        from ({_owned_sql(folder)}) as owned
        left join (select anchor, min(first_us) as first_us from read_parquet({anchors})
            group by anchor) as seen on anchor = person_key
        where {is_own} and customer_id in ({who}) {only}"""


def _unsealed(engine: DuckDB, keys: str, vault: Vault) -> Iterator[pd.DataFrame]:
    columns = ["customer_id", "person_key", "value", "rank"]
    yield pd.DataFrame(columns=columns, dtype="str").astype({"rank": "int64"})
    for frame in engine.batches(f"select customer_id, person_key, rank from {keys}", _BATCH):
        for ids in vault.ids(of=frame["person_key"].tolist()):
            yield frame.merge(ids, on="person_key")[columns]


def _file_order(project: Project) -> dict[str, int]:
    """Return how late each landed file counts, by its name in the vault."""
    sources = {name: place for place, name in enumerate(project.sources)}
    found = []
    for path in (project.state_folder / "landed").glob("*/ledger.json"):
        ledger = json.loads(path.read_text(encoding="utf-8"))
        found.append((-sources.get(ledger["source"], 0), ledger["file"], path.parent.name))
    return {name: place for place, (_, _, name) in enumerate(sorted(found))}


def _details(
    engine: DuckDB, keys: str, vault: Vault, fields: Collection[str], order: Mapping[str, int]
) -> Iterator[pd.DataFrame]:
    columns = ["person_key", *fields]
    yield pd.DataFrame(columns=columns, dtype="str").assign(place=pd.Series(dtype="int64"))
    for frame in engine.batches(f"select person_key from {keys}", _BATCH):
        for found in vault.details(of=frame["person_key"].tolist()):
            held = found.reindex(columns=columns).astype("str").where(found.notna(), None)
            yield held.assign(place=found["landed"].map(order) * FILE_SIZE + found["record_no"])
