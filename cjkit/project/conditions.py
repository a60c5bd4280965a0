"""Conditions: what must hold of a record or a row, in the words of TOML.

Mappings say with them which records they mean (`when`), and project files what a rule of their own
looks for. The reference of the language is the docstring of `cjkit.sources`.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cjkit.checks import Declared

Constant = bool | int | float | str


class Condition(Declared):
    """What must hold of one column: all keys that are given, together; or what must not hold."""

    column: str | None = None
    is_: tuple[Constant, ...] | None = Field(None, alias="is", min_length=1)
    is_not: tuple[Constant, ...] | None = Field(None, min_length=1)
    starts_with: str | None = None
    ends_with: str | None = None
    contains: str | None = None
    matches: str | None = None
    present: bool | None = None
    below: float | None = None
    above: float | None = None
    not_: Condition | None = Field(None, alias="not")

    @field_validator("matches")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if self.model_fields_set == {"not_"}:
            return self
        if self.column is None or self.not_ is not None:
            raise ValueError("it must name a column, or hold one condition under not")
        if self.model_fields_set == {"column"}:
            raise ValueError(
                "it says nothing of the column: add is, is_not, starts_with, ends_with, contains, "
                "matches, present, below or above"
            )
        return self

    @property
    def innermost(self) -> Condition:
        """The condition that names a column, within any `not`."""
        return self.not_.innermost if self.not_ else self

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that it reads, as a tuple of one."""
        return (str(self.innermost.column),)


Claim = Annotated[
    tuple[Condition, ...],
    Field(min_length=1),
    BeforeValidator(lambda given: [given] if isinstance(given, dict) else given),
]
"""One condition, or a list of which all must hold."""


def claimed_columns(claim: Claim | None) -> list[str]:
    """Return the columns that a claim reads."""
    return [name for condition in claim or () for name in condition.columns]
