"""Steps as analyses use them: what was asked for, checked, named, and as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cjkit.checks import CjkitError, read_declared, unknown_name
from cjkit.engine import Table
from cjkit.labels import Language, display_name
from cjkit.project.conditions import holds_sql, one_of_sql
from cjkit.project.steps import Step

AnyStep = str | Sequence[str] | Mapping[str, Any] | Step

_PLACES = ("event", "touchpoint", "stage")


def read_step(
    given: AnyStep, place: str, *, plain: Literal["event", "touchpoint"] = "event"
) -> Step:
    """Return a step as it was asked for; a bare name, or list of names, is `plain`.

    Raises
    ------
    CjkitError
        When it is no step; its faults begin with `place`.
    """
    if isinstance(given, Step):
        return given
    data = given if isinstance(given, Mapping) else {plain: given}
    step, faults = read_declared(Step, data, place=place)
    if step is None:
        raise CjkitError(" ".join(faults))
    return step


def check_steps(events: Table, steps: Sequence[Step], role: str) -> None:
    """Raise CjkitError where a step names what the log does not have."""
    known: dict[str, set[Any]] = {}
    columns = events.columns
    for step in steps:
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


def name_step(steps: Sequence[Step], name: Any, language: Language) -> str:
    """Return how readers call the one of `steps` that tables call `name`."""
    for step in steps:
        if step.called == name and not step.name:
            kinds = [kind for kind in _PLACES if getattr(step, kind)]
            return "・".join(
                " / ".join(display_name(one, kind, language) for one in getattr(step, kind))
                for kind in kinds
            )
    return display_name(name, "event", language)


def condition_sql(step: Step) -> str:
    """Write the condition that an event is this step."""
    parts = [one_of_sql(kind, getattr(step, kind)) for kind in _PLACES if getattr(step, kind)]
    parts += [holds_sql(condition) for condition in step.when or ()]
    return " and ".join(parts)


def any_of(steps: Sequence[Step]) -> str:
    """Write the condition that an event is any of these steps."""
    simple = [step.event or () for step in steps]
    if all(step.model_fields_set <= {"event", "within", "optional", "name"} for step in steps):
        return one_of_sql("event", tuple(dict.fromkeys(name for names in simple for name in names)))
    return "(" + " or ".join(f"({condition_sql(step)})" for step in steps) + ")"
