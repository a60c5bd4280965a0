"""The rules of a funnel: what its steps are and which chains of events count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import pandas as pd

from cjkit.checks import (
    CjkitError,
    microseconds,
    one_of,
    parse_duration,
    read_declared,
    unknown_name,
)
from cjkit.engine import Table, column, text
from cjkit.labels import Language, display_name
from cjkit.project import Step
from cjkit.project.conditions import Condition

Order = Literal["ordered", "strict", "any"]
Ties = Literal["ordered", "simultaneous"]
Entry = Literal["every", "first"]
Count = Literal["customers", "sessions", "cases", "starts"]
AnyStep = str | Sequence[str] | Mapping[str, Any] | Step

_CHOICES: dict[str, tuple[str, ...]] = {
    "order": ("ordered", "strict", "any"),
    "ties": ("ordered", "simultaneous"),
    "entry": ("every", "first"),
    "count": ("customers", "sessions", "cases", "starts"),
}
_PLACES = ("event", "touchpoint", "stage")


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
        for step in self.steps:
            if step.called == name and not step.name:
                kinds = [kind for kind in _PLACES if getattr(step, kind)]
                return "・".join(
                    " / ".join(display_name(one, kind, language) for one in getattr(step, kind))
                    for kind in kinds
                )
        return display_name(name, "event", language)


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
        tuple(_read_step(step, f"steps[{place}]") for place, step in enumerate(steps)),
        window,
        order,
        ties,
        entry,
        hold,
        tuple(_read_step(step, f"without[{place}]") for place, step in enumerate(without)),
        count,
    )
    _check_names(events, rules)
    _check_together(rules)
    if rules.ties == "simultaneous" or rules.order == "any":
        _check_apart(events, rules)
    return rules


def _read_step(given: AnyStep, place: str) -> Step:
    if isinstance(given, Step):
        return given
    data = given if isinstance(given, Mapping) else {"event": given}
    step, faults = read_declared(Step, data, place=place)
    if step is None:
        raise CjkitError(" ".join(faults))
    return step


def _check_names(events: Table, rules: FunnelRules) -> None:
    """Raise CjkitError where a step names what the log does not have."""
    known: dict[str, set[Any]] = {}
    columns = events.columns
    for role, asked in (("step", rules.steps), ("without", rules.without)):
        for step in asked:
            for kind in _PLACES:
                for name in getattr(step, kind) or ():
                    if kind not in known:
                        known[kind] = events.values(kind)
                    if name not in known[kind]:
                        raise unknown_name(role, name, known[kind])
            for condition in step.when or ():
                if condition.columns[0] not in columns:
                    raise unknown_name(f"{role}: column", condition.columns[0], set(columns))
                if condition.innermost.matches is not None:
                    raise CjkitError(
                        f"{role} {step.called!r}: `matches` is not for steps. Use is, is_not, "
                        "starts_with, ends_with, contains, present, below or above."
                    )
    if rules.hold is not None and (rules.hold not in columns or rules.hold == "customer_id"):
        raise unknown_name("hold", rules.hold, set(columns) - {"customer_id"})


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


def condition_sql(step: Step) -> str:
    """Write the condition that an event is this step."""
    parts = [_one_of(kind, getattr(step, kind)) for kind in _PLACES if getattr(step, kind)]
    parts += [_holds(condition) for condition in step.when or ()]
    return " and ".join(parts)


def any_of(steps: Sequence[Step]) -> str:
    """Write the condition that an event is any of these steps."""
    simple = [step.event or () for step in steps]
    if all(step.model_fields_set <= {"event", "within", "optional", "name"} for step in steps):
        return _one_of("event", tuple(dict.fromkeys(name for names in simple for name in names)))
    return "(" + " or ".join(f"({condition_sql(step)})" for step in steps) + ")"


def _one_of(name: str, values: Sequence[Any]) -> str:
    if len(values) == 1:
        return f"{column(name)} = {_literal(values[0])}"
    return f"{column(name)} in ({', '.join(map(_literal, values))})"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return text(value) if isinstance(value, str) else repr(value)


def _holds(condition: Condition) -> str:
    """Write one condition; only `is_not` and `present = false` hold of what is missing."""
    if condition.not_ is not None:
        return f"not coalesce({_holds(condition.not_)}, false)"
    name = column(str(condition.column))
    parts = []
    if condition.is_ is not None:
        parts.append(_one_of(str(condition.column), condition.is_))
    if condition.is_not is not None:
        parts.append(f"coalesce(not {_one_of(str(condition.column), condition.is_not)}, true)")
    if condition.starts_with is not None:
        parts.append(f"{name} like {_like(condition.starts_with)} || '%' escape '!'")
    if condition.ends_with is not None:
        parts.append(f"{name} like '%' || {_like(condition.ends_with)} escape '!'")
    if condition.contains is not None:
        parts.append(f"{name} like '%' || {_like(condition.contains)} || '%' escape '!'")
    if condition.present is not None:
        parts.append(f"{name} is {'not ' if condition.present else ''}null")
    if condition.below is not None:
        parts.append(f"{name} < {condition.below!r}")
    if condition.above is not None:
        parts.append(f"{name} > {condition.above!r}")
    return "(" + " and ".join(parts) + ")"


def _like(part: str) -> str:
    """Write a text for LIKE in which nothing stands for anything else."""
    for sign in "!%_":
        part = part.replace(sign, "!" + sign)
    return text(part)
