"""What may be a step of a funnel or journey, in project files and in Python alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cjkit.checks import Declared, microseconds
from cjkit.project.conditions import Claim

Names = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
]
"""One name, or a list of alternatives."""


class Step(Declared):
    """One step: what an event must be to count as it. All that is given must hold.

    Attributes
    ----------
    event, touchpoint, stage : str or list of str, optional
        The events that are the step; of a list, any one.
    when : Condition or list of Condition, optional
        What else must hold of the event: `{column = "outcome", is = ["plan_made"]}`. The words are
        those of mappings, without `matches`.
    name : str, optional
        What the step is called; needed with `when`. `[names.event.NAME]` says it to readers.
    within : str, optional
        The longest time since the step before (`"1h"`).
    optional : bool, default False
        Whether the way may leave the step out.
    """

    event: Names | None = None
    touchpoint: Names | None = None
    stage: Names | None = None
    when: Claim | None = None
    name: str | None = None
    within: str | None = None
    optional: bool = False

    @field_validator("within")
    @classmethod
    def _has_unit(cls, given: str | None) -> str | None:
        if given is not None:
            microseconds(given, name="it")
        return given

    @model_validator(mode="after")
    def _says_something(self) -> Step:
        if not any((self.event, self.touchpoint, self.stage, self.when)):
            raise ValueError("it must say which events it means: event, touchpoint, stage or when")
        if self.when and not self.name:
            raise ValueError("a step with `when` needs a name, which readers see")
        return self

    @property
    def called(self) -> str:
        """What tables call it: its name, or the names of what it means."""
        places = (self.event, self.touchpoint, self.stage)
        return self.name or ", ".join(" / ".join(names) for names in places if names)

    @property
    def plain(self) -> str | list[str] | dict[str, object]:
        """The shortest way of writing it: an event, a list of events, or keys."""
        if self.model_fields_set == {"event"} and self.event:
            return self.event[0] if len(self.event) == 1 else list(self.event)
        return self.model_dump(by_alias=True, exclude_unset=True)


def _plainly(kind: str) -> BeforeValidator:
    """Let a text or a list of texts stand for what a step is of one kind."""
    return BeforeValidator(lambda given: given if isinstance(given, dict | Step) else {kind: given})


AnyStep = Annotated[Step, _plainly("event")]
"""A step as people write it: an event, a list of alternative events, or the keys of `Step`."""
IntendedStep = Annotated[Step, _plainly("touchpoint")]
"""The same of an intended journey: a touchpoint, a list of alternatives, or the keys of `Step`."""
