"""One person: who is meant, and what is held about them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cjkit import identity, sources
from cjkit.checks import CjkitError, unknown_name
from cjkit.cleansing.assigned import read_assignments
from cjkit.cleansing.erasing import corrections_of, read_tombstones
from cjkit.cleansing.gate import prepare
from cjkit.cleansing.state import make_state_folder, one_at_a_time, opened_vault
from cjkit.engine import DuckDB, EngineError, column, text
from cjkit.events import CONTRACT
from cjkit.privacy import Vault, audit, make_pseudonym, project_key
from cjkit.project import Project
from cjkit.sources import erasing as landed
from cjkit.sources.texts import normal_form

_REACHABLE = ("email", "phone")
_PLACE = ["source", "file", "record_no"]
_INTERNAL = ("person_key", "record_hash", "unique_key", "row_rule", "element_no", *_PLACE)
_WIDTH = 18


@dataclass(frozen=True)
class Held:
    """What is held about one person.

    Attributes
    ----------
    customer_ids : tuple of str
        Who they are in the log.
    ids : DataFrame
        `namespace`, `value`: every id of theirs. The value is missing where the id is kept as a
        keyed hash only.
    details : DataFrame
        What the vault knows from each record: `source`, `file`, `record_no`, the private fields.
    records : DataFrame
        Their raw records in quarantine, or as they were corrected: `source`, `file`, `record_no`,
        `record`.
    rows : mapping from table to DataFrame
        Every landed row of theirs, with `source`, `file` and `record_no`; `set_aside` names the
        rule that keeps it out of the log.
    saved : mapping from name to DataFrame
        Their rows in tables that notebooks saved, such as `segments`, and `assignments` of
        activations.
    """

    customer_ids: tuple[str, ...]
    ids: pd.DataFrame
    details: pd.DataFrame
    records: pd.DataFrame
    rows: dict[str, pd.DataFrame]
    saved: dict[str, pd.DataFrame]

    def to_json(self) -> str:
        """Return all of it as one JSON object; times are UTC."""
        held: dict[str, Any] = {
            "customer_ids": self.customer_ids,
            "ids": _objects(self.ids),
            "details": _objects(self.details),
            "quarantined_records": _objects(self.records),
            "rows": {table: _objects(frame) for table, frame in self.rows.items()},
            "saved": {name: _objects(frame) for name, frame in self.saved.items()},
        }
        return json.dumps(held, ensure_ascii=False, indent=1)

    def to_text(self) -> str:
        """Return it for reading: who they are and what they agreed to in full, rows counted."""
        lines = [_line("customer_id", customer) for customer in self.customer_ids]
        for namespace, values in self.ids.groupby("namespace")["value"]:
            lines += [_line(namespace, value) for value in values.dropna()]
            if hashed := int(values.isna().sum()):
                lines.append(_line(namespace, f"{hashed} kept as keyed hashes only"))
        for name in self.details.columns.drop(_PLACE):
            lines += [_line(name, value) for value in self.details[name].dropna().unique()]
        for table, frame in self.rows.items():
            lines.append("")
            for (source, file), found in frame.groupby(["source", "file"]):
                aside = f", {n} set aside" if (n := found["set_aside"].count()) else ""
                lines.append(_line(table, f"{len(found):>6,} rows of {source} in {file}{aside}"))
        if len(self.records):
            lines += ["", _line("quarantine", f"{len(self.records):>6,} raw records")]
        whole = {"consents": self.rows.get("consents", pd.DataFrame()), **self.saved}
        for name, frame in whole.items():
            if len(frame):
                shown = frame.drop(columns=_PLACE, errors="ignore").dropna(
                    axis="columns", how="all"
                )
                lines += ["", f"{name}:", shown.to_string(index=False)]
        return "\n".join(lines)


def read_person(project: Project, customer: str) -> Held:
    """Return all that is held about one person; the audit log says that it was read.

    The log is prepared first where anything changed, so that what new files hold is in it.

    Parameters
    ----------
    project : Project
    customer : str
        An e-mail address, a phone number, `namespace:id`, or a customer_id.

    Raises
    ------
    CjkitError
        When nobody, or more than one person, is known by it; or `prepare` raises one.
    """
    prepared = prepare(project)
    audit.record(project, "person", data=prepared.fingerprint, customer=customer)
    with at_rest(project) as (engine, vault):
        customer_ids = find_customers(project, engine, prepared.folder, customer)
        keys = keys_of(engine, prepared.folder, customer_ids)
        held = _plain(project, engine, keys) if vault is None else _from_vault(project, vault, keys)
        return Held(
            customer_ids,
            *held,
            rows=_landed_rows(project, engine, prepared.folder, keys),
            saved=_saved(engine, prepared.folder, customer_ids)
            | _assigned(engine, project.state_folder, keys),
        )


@contextmanager
def at_rest(project: Project) -> Iterator[tuple[DuckDB, Vault | None]]:
    """Give an engine and the vault of a project while nobody prepares its log."""
    state = make_state_folder(project.state_folder)
    with one_at_a_time(state), opened_vault(state, project_key(project)) as vault:
        engine = DuckDB(
            threads=project.engine.threads, memory=project.engine.memory, spill=state / "spill"
        )
        try:
            yield engine, vault
        except (EngineError, OSError) as error:
            raise CjkitError(f"What {state} holds cannot be used: {error}") from error
        finally:
            engine.close()


def find_customers(
    project: Project, engine: DuckDB, folder: Path, customer: str
) -> tuple[str, ...]:
    """Return the customer_ids, in the prepared log in `folder`, of the person named `customer`.

    They are two where a device was used before its owner was known.

    Raises
    ------
    CjkitError
        When nobody is known by it, or several people are.
    """
    sought = possible_keys(project, customer)
    found = engine.query(
        f"""select customer_id, person_key from {_read(folder / "people.parquet")}
            where person_key in ({_listed(sought)}) or customer_id = {text(customer)}
                or customer_id in (select customer_id from {_read(folder / identity.ALIASES)}
                    where alias = {text(customer)})"""
    )
    by_key = found[found["person_key"].isin(list(sought))]
    if by_key["person_key"].nunique() > 1 and by_key["customer_id"].nunique() > 1:
        names = sorted({f"{sought[key]}:{customer}" for key in by_key["person_key"]})
        raise CjkitError(
            f"{customer!r} is several people: say which id you mean, as {' or '.join(names)}."
        )
    if found.empty:
        if not sought.keys().isdisjoint(read_tombstones(project.state_folder).person_keys):
            raise CjkitError(
                f"{customer!r} was forgotten: nothing is held, and files are read without them."
            )
        raise CjkitError(
            f"Nobody is known as {customer!r}. Sought: customer_id"
            f"{''.join(f', {name}' for name in dict.fromkeys(sought.values()))}. Write an e-mail "
            "address, a phone number, NAMESPACE:id as the exports have it, or a customer_id."
        )
    return tuple(sorted(found["customer_id"].unique()))


def possible_keys(project: Project, customer: str) -> dict[str, str]:
    """Return each `person_key` that `customer` may stand for, with its namespace.

    An id is normalised as landing does; without a namespace it is an e-mail or a phone number.

    Raises
    ------
    CjkitError
        When it names a namespace that no mapping reads.
    """
    key = project_key(project)
    mappings = sources.read_mappings(project).values()
    known = {mapping.namespace(name) for mapping in mappings for name in mapping.ids}
    namespace, colon, written = customer.partition(":")
    if colon and namespace not in known:
        raise unknown_name("namespace", namespace, known, where="the mappings of the project")
    found = {}
    for mapping in mappings:
        for id_name, rule in mapping.ids.items():
            name = mapping.namespace(id_name)
            if name != namespace if colon else rule.normalise not in _REACHABLE:
                continue
            form, is_good = normal_form(written if colon else customer, rule)
            if form is not None and (colon or is_good):
                hidden = form if key is None else make_pseudonym(form, key)
                found[f"{name}:{hidden}"] = name
    return found


def keys_of(engine: DuckDB, folder: Path, customer_ids: Collection[str]) -> tuple[str, ...]:
    """Return every `person_key` of these customers."""
    found = engine.query(
        f"""select distinct person_key from {_read(folder / "people.parquet")}
            where customer_id in ({_listed(customer_ids)}) order by person_key"""
    )
    return tuple(found["person_key"])


def _plain(
    project: Project, engine: DuckDB, keys: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return ids, details (none are kept) and corrected records of a person whose keys are ids."""
    ids = pd.DataFrame([key.split(":", 1) for key in keys], columns=["namespace", "value"])
    theirs = corrections_of(project, keys, landed.find_people(project, engine, keys))
    records = [
        (*place, number, each.corrected)
        for place, own in theirs.items()
        for number, each in own.items()
    ]
    return ids, pd.DataFrame(columns=_PLACE), pd.DataFrame(records, columns=[*_PLACE, "record"])


def _from_vault(
    project: Project, vault: Vault, keys: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return ids, details and raw records of a person."""
    ids = pd.DataFrame(
        [(key, *key.split(":", 1)) for key in keys], columns=["person_key", "namespace", "value"]
    )
    nothing = pd.DataFrame(columns=_PLACE)
    clear = {
        key: value
        for batch in vault.ids(of=keys)
        for key, value in zip(batch["person_key"], batch["value"], strict=True)
    }
    ids["value"] = ids.pop("person_key").map(clear)
    places = pd.DataFrame(
        [
            (path.parent.name, ledger["source"], ledger["file"])
            for path in sorted((project.state_folder / "landed").glob("*/ledger.json"))
            for ledger in [json.loads(path.read_text(encoding="utf-8"))]
        ],
        columns=["landed", "source", "file"],
    )

    def placed(batches: Iterable[pd.DataFrame]) -> pd.DataFrame:
        found = list(batches)
        if not found:
            return nothing
        table = places.merge(pd.concat(found), on="landed", how="right")
        return table.drop(columns=["landed", "person_key"]).dropna(axis="columns", how="all")

    return ids, placed(vault.details(of=keys)), placed(vault.records(of=keys))


def _landed_rows(
    project: Project, engine: DuckDB, folder: Path, keys: Collection[str]
) -> dict[str, pd.DataFrame]:
    """Return all landed rows of a person, by table."""
    rows = {}
    for table in [table for table, rule in CONTRACT.items() if rule.person != "none"]:
        paths = sorted((project.state_folder / "landed").glob(f"*/{table}.parquet"))
        if not paths:
            continue
        read = f"read_parquet([{_listed(map(str, paths))}], union_by_name = true)"
        found = engine.query(
            f"""select rows.*, aside.rule as set_aside from {read} as rows
                left join (select "table", file, record_no, row_rule, min(rule) as rule
                    from {_read(folder / "quarantine.parquet")} group by all) as aside
                    on aside."table" = {text(table)} and aside.file = rows.file
                    and aside.record_no = rows.record_no and aside.row_rule = rows.row_rule
                where rows.person_key in ({_listed(keys)})
                order by rows.source, rows.file, rows.record_no"""
        )
        if len(found):
            values = [name for name in found if name not in (*_INTERNAL, "set_aside")]
            given = [name for name in values if found[name].notna().any()]
            rows[table] = found[[*_PLACE, *given, "set_aside"]]
    return rows


def _saved(engine: DuckDB, folder: Path, customer_ids: Collection[str]) -> dict[str, pd.DataFrame]:
    saved = {}
    for path in sorted((folder / "saved").glob("*.parquet")):
        where = f"{column('customer_id')} in ({_listed(customer_ids)})"
        found = engine.query(f"select * from {_read(path)} where {where}")
        if len(found):
            saved[path.stem] = found
    return saved


def _assigned(engine: DuckDB, state: Path, keys: Collection[str]) -> dict[str, pd.DataFrame]:
    found = read_assignments(engine, state, keys)
    return {"assignments": found} if len(found) else {}


def _objects(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as objects without what is missing."""
    whole = frame.convert_dtypes()  # numbers that may be missing stay whole numbers
    written = json.loads(whole.to_json(orient="records", date_format="iso", force_ascii=False))
    return [{name: value for name, value in row.items() if value is not None} for row in written]


def _line(name: object, value: object) -> str:
    return f"{name!s:<{_WIDTH}}{value}"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(map(text, values)) or "null"


def _read(path: Path) -> str:
    return f"read_parquet({text(str(path))})"
