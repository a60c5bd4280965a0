"""Conditions: what must hold of a record or a row, in the words of TOML.

Mappings say with them which records they mean (`when`), and project files what a rule of their own
looks for. The reference of the language is the docstring of `cjkit.sources`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cjkit.checks import Declared
from cjkit.engine import column, text

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


def holds_sql(condition: Condition) -> str:
    """Write a condition without `matches` over columns of a table, as portable SQL.

    Only `is_not`, `not` and `present = false` hold of what is missing.
    """
    if condition.not_ is not None:
        return f"not coalesce({holds_sql(condition.not_)}, false)"
    name = column(str(condition.column))
    parts = []
    if condition.is_ is not None:
        parts.append(one_of_sql(str(condition.column), condition.is_))
    if condition.is_not is not None:
        parts.append(f"coalesce(not {one_of_sql(str(condition.column), condition.is_not)}, true)")
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


def one_of_sql(name: str, values: Sequence[Constant]) -> str:
    """Write the condition that a column is one of `values`, as portable SQL."""
    if len(values) == 1:
        return f"{column(name)} = {_literal(values[0])}"
    return f"{column(name)} in ({', '.join(map(_literal, values))})"


def _literal(value: Constant) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return text(value) if isinstance(value, str) else repr(value)


def _like(part: str) -> str:
    """Write a text for LIKE in which nothing stands for anything else."""
    for sign in "!%_":
        part = part.replace(sign, "!" + sign)
    return text(part)
