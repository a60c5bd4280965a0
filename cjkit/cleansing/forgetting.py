"""Forgetting people: what there is of them is found, then goes, and does not come back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cjkit.checks import CjkitError
from cjkit.cleansing.erasing import (
    Traces,
    begin_erasing,
    find_traces,
    finish_erasing,
    read_tombstones,
)
from cjkit.cleansing.gate import prepare
from cjkit.cleansing.person import at_rest, find_customers, keys_of, possible_keys
from cjkit.cleansing.state import make_state_folder
from cjkit.engine import DuckDB, text
from cjkit.privacy import audit
from cjkit.project import Project


@dataclass(frozen=True)
class Forgetting:
    """What forgetting some people means, before it is done.

    Attributes
    ----------
    customers : tuple of str
        Who was named.
    traces : Traces
        What there is of them.
    already : tuple of str
        Which of them were forgotten before, so that nothing is held of them.
    outside : tuple of str
        Files of the project, seen from its folder, that may still hold them. cjkit only reads them.
    """

    customers: tuple[str, ...]
    traces: Traces
    already: tuple[str, ...]
    outside: tuple[str, ...]


def plan_forgetting(project: Project, customers: Sequence[str]) -> Forgetting:
    """Find what there is of people, and change nothing.

    The log is prepared first where anything changed: whom new files hold is found. If an earlier
    run was killed while it forgot someone, that is finished here.

    Parameters
    ----------
    project : Project
    customers : sequence of str
        An e-mail address, a phone number, `namespace:id`, or a customer_id for each person.

    Raises
    ------
    CjkitError
        When one of them is nobody, or several people, or an id that so many people share that it is
        nobody's own; or `prepare` raises one.
    """
    before = read_tombstones(make_state_folder(project.state_folder))
    for customer in customers:
        audit.record(project, "plan forget", customer=customer)
    prepared = prepare(project)
    already: list[str] = []
    customer_ids: set[str] = set()
    with at_rest(project) as (engine, vault):
        begun = [
            traces
            for traces in before.unfinished
            if any(_is_of(project, customer, traces) for customer in customers)
        ]
        for customer in customers:
            gone = set(before.person_keys).intersection(possible_keys(project, customer))
            if gone or any(_is_of(project, customer, traces) for traces in begun):
                already.append(customer)
            else:
                customer_ids.update(find_customers(project, engine, prepared.folder, customer))
        keys = keys_of(engine, prepared.folder, customer_ids)
        _refuse_shared(project, engine, prepared.folder, keys)
        traces = find_traces(project, engine, vault, customer_ids, keys)
    files = [file for found in (*begun, traces) for file in found.files]
    if project.linking.pins is not None:
        files.append(project.linking.pins)
    return Forgetting(tuple(customers), traces, tuple(already), tuple(dict.fromkeys(files)))


def forget(project: Project, plan: Forgetting) -> None:
    """Remove these people from all that is kept, and remember keyed hashes so that they stay away.

    The next prepare, or report, makes the log anew: it is that of a company which never knew them,
    but for the counts of what is erased. If this is killed, the next of any of these finishes it.
    """
    with at_rest(project) as (engine, vault):
        for customer in plan.customers:
            audit.record(project, "forget", customer=customer)
        if plan.traces.person_keys:
            begin_erasing(project.state_folder, plan.traces)
        finish_erasing(project, engine, vault)


def _is_of(project: Project, customer: str, traces: Traces) -> bool:
    keys = possible_keys(project, customer)
    return customer in traces.customer_ids or not keys.keys().isdisjoint(traces.person_keys)


def _refuse_shared(
    project: Project, engine: DuckDB, folder: Path, person_keys: Collection[str]
) -> None:
    """Refuse an id that stands on the records of many people: all their records would go."""
    edges = sorted((project.state_folder / "landed").glob("*/edges.parquet"))
    strong = [name for name, rule in project.identity.items() if rule.strength == "strong"]
    if not edges or not person_keys or not strong:
        return
    paths, own, names = (
        ", ".join(map(text, listed)) for listed in (map(str, edges), person_keys, strong)
    )
    read = f"read_parquet([{paths}], union_by_name = true)"
    shared = engine.query(
        f"""select split_part(own, ':', 1) as namespace, count(distinct customer_id) as people
            from (select key_a as own, key_b as other from {read} as edges
                union all select key_b, key_a from {read} as edges) as met
            join read_parquet({text(str(folder / "people.parquet"))}) as people
                on people.person_key = other
            where own in ({own}) and other not in ({own})
                and split_part(own, ':', 1) in ({names}) and split_part(other, ':', 1) in ({names})
            group by own order by people desc limit 1"""
    )
    for namespace, people in shared.itertuples(index=False):
        if people > project.identity[namespace].most:
            raise CjkitError(
                f"This {namespace} stands on the records of {people} people, and so is nobody's "
                "own: to forget it would erase them all. Name the person by another id."
            )
