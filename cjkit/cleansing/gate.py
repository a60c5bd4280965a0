"""The gate: from what sources landed to the prepared log, every row accounted for.

The order of its steps is: rules about one row, repeats, who is who (keys only), consent and
withholding, rules about people, one sale in several systems, writing. Each row ends with one
outcome; both ledgers add up, or nothing is published.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cjkit import identity, sources
from cjkit.checks import CjkitError
from cjkit.cleansing import clocks, identities, ledgers, people, quality, rows, sales
from cjkit.cleansing.changes import compare_before
from cjkit.cleansing.corrections import Kept, read_corrections
from cjkit.cleansing.erasing import finish_erasing, read_tombstones
from cjkit.cleansing.freshness import count_days
from cjkit.cleansing.history import remember_run
from cjkit.cleansing.landing import Landing, open_landing
from cjkit.cleansing.originals import keep_originals
from cjkit.cleansing.prepared import write_log
from cjkit.cleansing.state import (
    fingerprint,
    make_state_folder,
    one_at_a_time,
    opened_vault,
    prune,
    published,
)
from cjkit.engine import DuckDB, EngineError
from cjkit.events import CONTRACT, local_midnight_us
from cjkit.privacy import Vault, audit, project_key, pseudonym_sql
from cjkit.project import Project, read_project
from cjkit.sources import Landed

GATE_VERSION = 7
"""Counts up when a prepared log would differ: then all logs are prepared anew."""


@dataclass(frozen=True)
class Prepared:
    """A prepared log on disk.

    Attributes
    ----------
    folder : Path
        Holds one Parquet file for each table, and what the gate found.
    fingerprint : str
        Changes with the files that were read, the project file, the version of cjkit and `as_of`.
    as_of : date
        No row of it is at or after this local day.
    is_new : bool
        Whether it was made now, rather than found as it was.
    facts : mapping
        What `gate.json` says.
    """

    folder: Path
    fingerprint: str
    as_of: datetime.date
    is_new: bool
    facts: Mapping[str, Any]


def prepare(project: str | Path | Project, *, as_of: str | datetime.date | None = None) -> Prepared:
    """Read new and changed files, cleanse everything, and keep the prepared log.

    Where nothing changed since the last time, what is there is returned at once.

    Parameters
    ----------
    project : path of a project file, or Project
    as_of : date or text such as '2026-11-01', optional
        No row of the log is at or after this local day. That of the project file where not given;
        else the latest day on which something happened, whose own rows then stay out, since it may
        not be over (the day after where everything happened on one day).

    Raises
    ------
    CjkitError
        When the project file has faults, a file cannot be read, no row is clean, a dimension of the
        scorecard falls below a threshold of `[quality] stop`, or a ledger does not add up. What was
        prepared before stays as it was.
    """
    if not isinstance(project, Project):
        project = read_project(project)
    chosen = parse_as_of(as_of) or project.period.as_of
    state = make_state_folder(project.state_folder)
    key = project_key(project)
    with one_at_a_time(state), opened_vault(state, key) as vault:
        engine = DuckDB(
            threads=project.engine.threads, memory=project.engine.memory, spill=state / "spill"
        )
        try:
            finish_erasing(project, engine, vault)
            erased = read_tombstones(state).person_keys
            hide = _pseudonym(key)
            corrections = read_corrections(project, vault)
            landed = sources.land(
                project,
                engine,
                pseudonym=hide,
                vault=vault,
                erased=erased,
                corrections=corrections,
            )
            made_by = f"{version('cjkit')} {GATE_VERSION}"
            pins = identities.pins_text(project)
            about = [made_by, project.text, pins, str(chosen), landed.fingerprint, *erased]
            mark = fingerprint(about)
            folder = state / "prepared" / mark
            if is_new := not (folder / "gate.json").is_file():
                with published(folder) as partial:
                    cleanse(engine, project, landed, partial, chosen, hide, vault, corrections)
                    identity.offer_ids(partial, state / "identity", mark)
                identity.settle_ids(state / "identity", folder.parent)
            remember_run(engine, folder, state / "history")
            prune(state / "prepared", folder)
        except (EngineError, OSError) as error:
            raise CjkitError(f"The log cannot be prepared in {state}: {error}") from error
        finally:
            engine.close()
            sources.forget_tables(project)
        prepared = read_prepared(folder, is_new=is_new)
        if is_new:
            audit.record(project, "prepare", data=mark, parameters={"as_of": str(prepared.as_of)})
    return prepared


def read_prepared(folder: Path, *, is_new: bool = False) -> Prepared:
    """Return the prepared log that is in `folder`, which is named after its fingerprint."""
    facts = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    day = datetime.date.fromisoformat(facts["as_of"])
    return Prepared(folder, folder.name, day, is_new, facts)


def _pseudonym(key: bytes | None) -> Callable[[str], str] | None:
    """Return what hides ids under the project's key, or None where they stand as they are."""
    return None if key is None else lambda expression: pseudonym_sql(expression, key)


def parse_as_of(given: str | datetime.date | None) -> datetime.date | None:
    """Return a day, or None where nothing (or an empty text) is given.

    Examples
    --------
    >>> parse_as_of("2026-11-01")
    datetime.date(2026, 11, 1)
    """
    if not given:
        return None
    if isinstance(given, datetime.date):
        return given
    try:
        return datetime.date.fromisoformat(given)
    except ValueError as error:
        raise CjkitError(f"as_of={given!r} is no day: write one such as '2026-11-01'.") from error


def cleanse(
    engine: DuckDB,
    project: Project,
    landed: Landed,
    folder: Path,
    chosen: datetime.date | None,
    hide: Callable[[str], str] | None,
    vault: Vault | None,
    corrections: Kept,
) -> None:
    """Take the steps of the gate over what has landed, and write all of a log into `folder`."""
    landing = open_landing(engine, project, landed)
    for table in CONTRACT:
        rows.find_row_faults(landing, table)
    for table in landing.tables:
        rows.retract(landing, table)
        rows.find_repeated_rows(landing, table)
    found = identities.find_people(landing, landed, hide, vault)
    people.withhold(landing)
    denied, alarm = "select customer_id from denied", project.linking.alarm
    found, whose_ids = identity.leave_out(engine, found, denied, alarm=alarm)
    people.set_aside_people(landing)
    people.find_unknown_customers(landing)
    sales.settle_orders(landing)
    sales.match_sales(landing)
    people.flag_order_of_events(landing)
    people.flag_orphans(landing)
    shifts = clocks.find_clock_shifts(landing)
    people.merge_profiles(landing)

    as_of = chosen or rows.first_day_left_out(landing)
    if as_of is None:
        raise CjkitError(_nothing_clean(landing))
    as_of_us = local_midnight_us(as_of, project.project.time_zone)
    written = write_log(landing, folder, as_of_us)
    fan_out = ledgers.count_fan_out(landing)
    outcomes = ledgers.count_outcomes(landing, as_of_us, written)
    flow = ledgers.follow_records(landing.records, fan_out, outcomes)

    figures, channels = compare_before(landing, as_of_us)
    score = quality.make_scorecard(landing)
    quality.stop_if_too_low(score, project)
    tables = {
        "row_ledger": outcomes,
        "record_ledger": landing.records,
        "fan_out": fan_out,
        "flow": flow,
        "filtered_records": landing.filtered,
        "scorecard": score,
        "days": count_days(landing, as_of_us),
        "rules": quality.list_rules(landing),
        "failures": quality.count_failures(landing),
        "withheld": quality.count_withheld(landing),
        "clock_shifts": shifts,
        "identity": found.summary,
        "identity_people": whose_ids,
        "changes": figures,
        "channels": channels,
    }
    for name, frame in tables.items():
        engine.add(f"gate {name}", frame)
        engine.copy(f'select * from "gate {name}"', folder / f"gate_{name}.parquet")
    engine.copy(quality.quarantine_sql(landing), folder / "quarantine.parquet")
    engine.copy(quality.flagged_sql(landing.rules), folder / "flagged.parquet")
    if vault is not None:
        keep_originals(landing, landed, vault, corrections)
    identity.write_people(engine, found, folder)
    engine.copy(people.agreed_sql(), folder / "agreed.parquet")
    facts = {
        "as_of": as_of.isoformat(),
        "cjkit": version("cjkit"),
        "files": len(landing.records),
        "customers": found.customers,
        "merged_customers": found.merged_customers,
        "most_keys_of_a_customer": found.largest,
        "suspicious_customers": found.alarms,
        "minted_customers": found.turnover.minted,
        "merges": found.turnover.merges,
        "splits": found.turnover.splits,
        "alike_links": found.alike,
        "alike_precision": found.alike_precision if found.alike else None,
    }
    (folder / "gate.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _nothing_clean(landing: Landing) -> str:
    failures = quality.count_failures(landing).groupby("rule")["rows"].sum()
    found = ", ".join(f"{name} {count:,}" for name, count in failures.items()) or "no row was made"
    return (
        f"{landing.project.path.name}: no event, order or feedback is clean, so there is no log. "
        f"What the rules found: {found}. Check the mapping of times and ids."
    )
