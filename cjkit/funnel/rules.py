"""The rules of a funnel: what its steps are and which chains of events count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import pandas as pd

from cjkit.checks import CjkitError, microseconds, one_of, parse_duration, unknown_name
from cjkit.engine import Table
from cjkit.labels import Language
from cjkit.project import Step
from cjkit.project.choosing import (
    AnyStep,
    check_steps,
    condition_sql,
    name_step,
    read_step,
)

Order = Literal["ordered", "strict", "any"]
Ties = Literal["ordered", "simultaneous"]
Entry = Literal["every", "first"]
Count = Literal["customers", "sessions", "cases", "starts"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "order": ("ordered", "strict", "any"),
    "ties": ("ordered", "simultaneous"),
    "entry": ("every", "first"),
    "count": ("customers", "sessions", "cases", "starts"),
}


class FunnelOptions(TypedDict, total=False):
    """What may be said of every funnel, as `measure_funnel` explains it."""

    within: str | pd.Timedelta
    order: Order
    ties: Ties
    entry: Entry
    hold: str | None
    without: Sequence[AnyStep]


@dataclass(frozen=True)
class FunnelRules:
    """The rules by which a funnel was counted.

    Attributes
    ----------
    steps : tuple of Step
    within : Timedelta
        The longest time allowed from the first step to the last.
    order, ties, entry : str
    hold : str or None
        The column of events that all steps of a chain share.
    without : tuple of Step
        The events that break a chain.
    count : str
        What is counted: 'customers', 'sessions', 'cases' or 'starts'.
    """

    steps: tuple[Step, ...]
    within: pd.Timedelta
    order: Order
    ties: Ties
    entry: Entry
    hold: str | None
    without: tuple[Step, ...]
    count: Count

    @property
    def names(self) -> list[str]:
        """What the steps are called, in order."""
        return [step.called for step in self.steps]

    @property
    def conditions(self) -> list[str]:
        """The different conditions of the steps, as SQL."""
        return list(dict.fromkeys(map(condition_sql, self.steps)))

    @property
    def codes(self) -> list[int]:
        """Which of `conditions` each step has."""
        found = self.conditions
        return [found.index(condition_sql(step)) for step in self.steps]

    @property
    def window(self) -> int:
        """`within` in microseconds."""
        return microseconds(self.within, name="within")

    @property
    def step_windows(self) -> list[int | None]:
        """The longest time since the step before, of each step, in microseconds."""
        return [microseconds(s.within, name="within") if s.within else None for s in self.steps]

    def before(self, step: int) -> list[int]:
        """Return the steps that may come right before a step (all from 0), nearest first."""
        found = []
        for earlier in range(step - 1, -1, -1):
            found.append(earlier)
            if not self.steps[earlier].optional:
                break
        return found

    def after(self, step: int) -> list[int]:
        """Return the steps that may come right after a step, nearest first."""
        return [later for later in range(step + 1, len(self.steps)) if step in self.before(later)]

    @property
    def required(self) -> list[int]:
        """The steps that no way may leave out."""
        return [k for k, step in enumerate(self.steps) if not step.optional]

    def name_step(self, name: Any, language: Language) -> str:
        """Return how readers call the step of this name."""
        return name_step(self.steps, name, language)


def read_rules(
    events: Table,
    steps: Sequence[AnyStep],
    *,
    within: str | pd.Timedelta = "30D",
    order: Order = "ordered",
    ties: Ties = "ordered",
    entry: Entry = "every",
    hold: str | None = None,
    without: Sequence[AnyStep] = (),
    count: Count = "customers",
) -> FunnelRules:
    """Check what was asked of the prepared log `events`, and return it as rules."""
    window = parse_duration(within, name="within")
    for name, given in (("order", order), ("ties", ties), ("entry", entry), ("count", count)):
        one_of(name, given, _CHOICES[name])
    if isinstance(steps, str) or len(steps) < 2:
        raise CjkitError(f"steps={steps!r} is no funnel: name two events or more, in order.")
    if "step_no" not in events.columns:
        raise CjkitError(
            f"Table {events.name!r} is not prepared: it has no column 'step_no'. "
            "Open the log with cjkit.open(), which prepares it."
        )
    if isinstance(without, str):
        raise CjkitError(f"without={without!r} must be a list, such as [{without!r}].")
    rules = FunnelRules(
        tuple(read_step(step, f"steps[{place}]") for place, step in enumerate(steps)),
        window,
        order,
        ties,
        entry,
        hold,
        tuple(read_step(step, f"without[{place}]") for place, step in enumerate(without)),
        count,
    )
    _check_names(events, rules)
    _check_together(rules)
    if rules.ties == "simultaneous" or rules.order == "any":
        _check_apart(events, rules)
    return rules


def _check_names(events: Table, rules: FunnelRules) -> None:
    """Raise CjkitError where a step names what the log does not have."""
    check_steps(events, rules.steps, "step")
    check_steps(events, rules.without, "without")
    columns = set(events.columns)
    if rules.hold is not None and (rules.hold not in columns or rules.hold == "customer_id"):
        raise unknown_name("hold", rules.hold, columns - {"customer_id"})


def _check_together(rules: FunnelRules) -> None:
    """Raise CjkitError where two rules contradict each other."""
    steps = rules.steps
    if steps[0].optional or steps[-1].optional:
        raise CjkitError("The first and the last step cannot be optional.")
    if steps[0].within:
        raise CjkitError("The first step has no step before it: leave out its `within`.")
    if rules.count == "cases" and rules.hold is None:
        raise CjkitError("count='cases' needs `hold`, the column whose values are counted.")
    if rules.order == "strict" and rules.ties == "simultaneous":
        raise CjkitError(
            "order='strict' asks which event comes next, and ties='simultaneous' says that it does "
            "not matter: use ties='ordered'."
        )
    if rules.order == "any":
        if any(step.within for step in steps):
            raise CjkitError("order='any' has no step before: leave out the steps' `within`.")
        if rules.entry == "first" or rules.count == "starts":
            raise CjkitError(
                "order='any' has no first step: for entry='first' and count='starts' use another."
            )


def need_a_start(rules: FunnelRules) -> None:
    """Raise CjkitError where chains have no first event to be followed from."""
    if rules.order == "any":
        raise CjkitError(
            "order='any' has no first step to follow people from: use 'ordered' or 'strict'."
        )


def _check_apart(events: Table, rules: FunnelRules) -> None:
    """Raise CjkitError where one event would be two different steps of one time."""
    held = " + ".join(f"case when {sql} then 1 else 0 end" for sql in rules.conditions)
    found = events.engine.query(f"select count(*) as n from {events} where {held} > 1")
    if many := int(found["n"].iloc[0]):
        raise CjkitError(
            f"{many} events are more than one of the steps {', '.join(rules.names)}: with "
            "ties='simultaneous' or order='any' the steps must be equal or have no event in common."
        )
