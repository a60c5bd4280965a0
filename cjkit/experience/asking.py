"""What the questions about experience share: the log's last moment, periods, groups and stages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import Table, column, text
from cjkit.events import Period, Split, split_by
from cjkit.labels import MISSING
from cjkit.privacy import Relation, Totals


def last_us(events: Table) -> int:
    """Return the moment of the log's last event; 0 where it is empty."""
    found = events.engine.query(f"select max(occurred_us) as us from {events}")["us"]
    return int(found.fillna(0).iloc[0])


def flagged(table: pd.DataFrame, claim: str) -> pd.DataFrame:
    """Return the rows of which a claim holds; what is masked holds of none."""
    return table[table[claim].fillna(False).astype(bool)]


def during(period: Period | None, us: str = "occurred_us") -> str:
    """Write the condition that the moment `us` lies in `period`."""
    return f"{us} >= {period.start_us} and {us} < {period.end_us}" if period else "1 = 1"


def divide(table: Table, by: str | None) -> tuple[Split | None, str, tuple[str, ...]]:
    """Return how the rows are divided, their relation as SQL, and the column of the groups."""
    if by is None:
        return None, str(table), ()
    split = split_by(table, by)
    return split, split.relation, ("by_value",)


def acts(
    events: Table,
    relation: str,
    keys: Sequence[str],
    without: Collection[str],
    also: Sequence[str] = (),
) -> str:
    """Write the SQL of all events but those in `without`, each with the time until the next.

    It has the columns that every question needs, and those in `also`.

    `waited_us` is 0 where both fall on one day of unknown hours and missing at a customer's last
    event; `measured_us` is the same, missing where it is unknown.
    """
    kept, measured = "", "microseconds_to_next"
    wait = f"case when next_event is not null then coalesce({measured}, 0) end"
    if without:
        known = events.values("event")
        for event in without:
            if event not in known:
                raise unknown_name("without: event", event, known)
        kept = f"where event not in ({', '.join(map(text, without))})"
        order = "over (partition by customer_id order by step_no)"
        wait = measured = f"lead(occurred_us) {order} - occurred_us"
    return f"""(
            select {listed(keys)}customer_id, step_no, occurred_us, event, stage, touchpoint,
                {listed(also)}{wait} as waited_us, {measured} as measured_us
            from {relation} as events {kept})"""


def groups_add_up(
    counts: Iterable[str], key: tuple[str, ...], by: str | None
) -> tuple[Relation, ...]:
    """Say that the groups of a split result add up to the result without it."""
    return tuple(Totals(count, key) for count in counts) if by is not None else ()


def name_groups(rows: pd.DataFrame, split: Split | None) -> pd.DataFrame:
    """Call the column of the groups by its own name."""
    return rows.rename(columns={"by_value": split.name}) if split else rows


def place(name: str) -> str:
    """Write the SQL of a place that is never missing."""
    return f"coalesce({column(name)}, {text(MISSING)})"


def listed(keys: Sequence[str]) -> str:
    """Write columns that others follow."""
    return "".join(f"{key}, " for key in keys)


def stage_number(stages: Sequence[str]) -> str:
    """Write the SQL of how far a stage is, from 1; missing for one that is not in `stages`."""
    cases = " ".join(f"when {text(stage)} then {number}" for number, stage in enumerate(stages, 1))
    return f"case stage {cases} end"


def check_stages(stages: Sequence[str]) -> None:
    """Refuse stages that cannot be put in order."""
    if not stages or len(set(stages)) < len(stages):
        raise CjkitError(f"stages={list(stages)!r}: name each stage once, first to last.")


def refuse_split(by: str | None) -> None:
    """Refuse to draw several groups as one picture."""
    if by is not None:
        raise CjkitError(
            f"plot() draws one group, and this is split by {by!r}: measure without `by`, "
            "or give the function the events of one group."
        )
