"""The events that are steps of a funnel, as SQL: what every question about a funnel starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import Table, text
from cjkit.events import Period

Ties = Literal["ordered", "simultaneous"]


def check_steps(events: Table, steps: Sequence[str]) -> None:
    """Raise CjkitError unless `steps` is a funnel that the prepared log `events` can have."""
    if isinstance(steps, str) or len(steps) < 2:
        raise CjkitError(f"steps={steps!r} is no funnel: name two events or more, in order.")
    if "step_no" not in events.columns:
        raise CjkitError(
            f"Table {events.name!r} is not prepared: it has no column 'step_no'. "
            "Open the log with cjkit.open(), which prepares it."
        )
    known = events.values("event")
    for step in steps:
        if step not in known:
            raise unknown_name("step", step, known)


def step_codes(steps: Sequence[str]) -> list[int]:
    """Return a small number for each step, equal for equal events: cheaper to carry than a name."""
    names = list(dict.fromkeys(steps))
    return [names.index(step) for step in steps]


def code_sql(steps: Sequence[str]) -> str:
    """Write the SQL that turns `event` into the number that `step_codes` gives it."""
    named = dict(zip(steps, step_codes(steps), strict=True))
    cases = " ".join(f"when event = {text(step)} then {code}" for step, code in named.items())
    return f"case {cases} end"


def steps_taken(
    source: str,
    steps: Sequence[str],
    ties: Ties,
    carried: Sequence[str] = (),
    period: Period | None = None,
) -> str:
    """Write the SQL of the events that are steps: one row an event, or one row an instant.

    An instant holds how often each step happened then (`times_...`) and the first event of each
    (`place_...`), and of the columns `carried` the largest value.
    """
    more = "".join(f", {name}" for name in carried)
    days = (
        f" and occurred_us >= {period.start_us} and occurred_us < {period.end_us}" if period else ""
    )
    taken = f"""
        select customer_id, occurred_us, step_no{more}, {code_sql(steps)} as code
        from {source} as log where event in ({", ".join(map(text, dict.fromkeys(steps)))}){days}"""
    if ties == "ordered":
        return taken
    happened = ", ".join(
        f"count(case when code = {code} then 1 end) as times_{code}, "
        f"min(case when code = {code} then step_no end) as place_{code}"
        for code in sorted(set(step_codes(steps)))
    )
    largest = "".join(f", max({name}) as {name}" for name in carried)
    return f"""
        select customer_id, occurred_us{largest}, {happened}
        from ({taken}) as taken group by customer_id, occurred_us"""


def takes(codes: Sequence[int], ties: Ties) -> str:
    """Write the condition that one row alone takes all the steps `codes`, an event for each.

    Where an instant may take several steps, the longest run of them is the best: it continues the
    chain with the fewest steps, which began last.
    """
    if ties == "ordered":
        return f"code = {codes[0]}"
    return " and ".join(f"times_{code} >= {codes.count(code)}" for code in sorted(set(codes)))
