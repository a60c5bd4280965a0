"""The section of what goes back to other systems: to whom, under which id, and who stays out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cjkit.checks import Declared, microseconds


class HoldOut(Declared):
    """`hold_out`: the share of people who are kept aside, so that the effect can be measured.

    Who they are goes by a keyed hash of the `seed`: the same seed and share keep the same people
    aside everywhere. Whoever was assigned once stays where they are.
    """

    share: float = Field(ge=0, lt=1)
    seed: int = 1


class Quiet(Declared):
    """`quiet`: people who were contacted `within` this time are left alone.

    A contact is one of `events`, or what goes out (`direction`) by one of `channels`; where neither
    is given, all that goes out.
    """

    within: str
    events: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @field_validator("within")
    @classmethod
    def _has_unit(cls, given: str) -> str:
        microseconds(given, name="it")
        return given


class Content(Declared):
    """What a column of a file holds: one of these.

    `column` is one of the rows that the target writes (of people: attributes of customers, and what
    notebooks saved of segments), `private` a field of the mappings' `[private]`, `id` an id of
    another namespace, `value` the same text in every row.
    """

    column: str | None = None
    private: str | None = None
    id: str | None = None
    value: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Content:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of column, private, id and value")
        return self


AnyContent = Annotated[
    Content, BeforeValidator(lambda given: {"column": given} if isinstance(given, str) else given)
]


class Activation(Declared):
    """`[activation.<name>]`: what goes to one target.

    Attributes
    ----------
    target : str
        A target that comes with cjkit; the section's own name where not given.
    id : str
        The namespace of `[identity]` by which the target knows people, or `customer_id`, by which
        cjkit does.
    id_column : str
        Which of the target's columns for ids it is; the first where not given.
    segment : list of str
        Only people of these segments (`champions`, or `lifecycle.lapsed` of another view).
    columns : mapping from column to Content
        What stands in further columns; a plain text is the name of a `column`.
    events : mapping from event to str
        What the target calls the events that it is told of.
    within : str
        How far back these events go.
    country_code : str
        In which country phone numbers without + are ("81").
    purpose, hold_out, quiet
        In place of what `[activation]` says.
    """

    target: str | None = None
    id: str | None = None
    id_column: str | None = None
    segment: tuple[str, ...] = ()
    columns: Mapping[str, AnyContent] = {}
    events: Mapping[str, str] = {}
    within: str | None = None
    country_code: str | None = Field(None, pattern=r"^[1-9][0-9]{0,2}$")
    purpose: str | None = None
    hold_out: HoldOut | None = None
    quiet: Quiet | None = None

    @field_validator("within")
    @classmethod
    def _has_unit(cls, given: str | None) -> str | None:
        if given is not None:
            microseconds(given, name="it")
        return given


class ActivatingSection(Declared):
    """`[activation]` beside its targets: where files go, and who is in none of them.

    Only people who agreed to `purpose` are in a file.
    """

    dir: str = "activation"
    purpose: str = "marketing"
    hold_out: HoldOut = HoldOut(share=0.0)
    quiet: Quiet | None = None
