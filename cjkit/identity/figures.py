"""The figures of who is who, without people who must be in none."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from cjkit.engine import DuckDB, text
from cjkit.identity.deciding import FOUND
from cjkit.identity.ids import count_turnover
from cjkit.identity.people import People

_KEYS = {"keys": "true"} | {name: f"found & {bit} <> 0" for name, bit in FOUND.items()}


def leave_out(
    engine: DuckDB, people: People, customers: str, *, alarm: int
) -> tuple[People, pd.DataFrame]:
    """Return who is who with the figures of all but some customers, whose keys stay what they are.

    Parameters
    ----------
    engine : DuckDB
    people : People
    customers : str
        SQL of the `customer_id` of those who are left out.
    alarm : int
        As `resolve_people` has it.

    Returns
    -------
    people : People
    whose : DataFrame, in the rows of `people.summary`
        Of how many people each count of keys there is.
    """
    counts = {
        name: f"count(*) filter ({claim} and is_out) as {name}, "
        f"count(distinct case when {claim} and not is_out then customer_no end) as {name}_people"
        for name, claim in _KEYS.items()
    }
    found = engine.query(
        f"""select split_part(person_key, ':', 1) as namespace, {", ".join(counts.values())}
            from (select *, customer_id in ({customers}) as is_out from {people.table}) as people
            group by namespace"""
    ).set_index("namespace")
    found = found.reindex(people.summary["namespace"], fill_value=0).reset_index(drop=True)
    summary = people.summary.copy()
    summary[list(_KEYS)] -= found[list(_KEYS)]
    links = summary.loc[summary["strength"] == "link", "namespace"]
    listed = ", ".join(map(text, links)) or "null"
    is_id = f"coalesce(split_part(person_key, ':', 1) not in ({listed}), true)"
    sizes = engine.query(
        f"""select count(*) as customers, count(*) filter (n > 1) as merged,
                coalesce(max(n), 0) as largest, count(*) filter (n > {int(alarm)}) as alarms
            from (select count(*) filter ({is_id}) as n from {people.table}
                where customer_id not in ({customers}) group by customer_no) as sizes"""
    ).iloc[0]
    figures = replace(
        people,
        summary=summary,
        customers=int(sizes["customers"]),
        merged_customers=int(sizes["merged"]),
        largest=int(sizes["largest"]),
        alarms=int(sizes["alarms"]),
        turnover=count_turnover(engine, people.anchors, people.table, customers),
    )
    whose = found[[f"{name}_people" for name in _KEYS]]
    return figures, whose.rename(columns=lambda name: name.removesuffix("_people"))
