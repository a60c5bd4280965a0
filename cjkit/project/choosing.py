"""Steps as analyses use them: what was asked for, checked, named, and as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cjkit.checks import CjkitError, read_declared, unknown_name
from cjkit.engine import Table, column, text
from cjkit.labels import Language, display_name
from cjkit.project.conditions import Condition
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
