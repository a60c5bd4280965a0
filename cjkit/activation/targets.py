"""Targets: what another system takes, as data. `targets/*.toml` are those that come with cjkit."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import Field, field_validator

from cjkit.checks import CjkitError, Declared, read_declared, unknown_name

Each = Literal["person", "interaction", "product"]
Form = Literal["email", "phone", "digits", "lower", "upper", "words", "postal_code", "zip"]
"""How the spellings of a value are made one, as the system asks for; see `columns`."""


class Column(Declared):
    """`[columns.<name>]` of a target: a column that the system knows.

    `column` is what stands in it where a project does not say. A `needed` one must not be empty:
    rows in which it is are left out. `form` makes spellings one, and `hash` gives their SHA-256 in
    small hexadecimal digits; nothing is never hashed. What does not match `pattern` is left empty.
    Texts longer than `longest` are refused. `kind` and `is_text` go into a schema.
    """

    column: str | None = None
    needed: bool = False
    form: Form | None = None
    hash: bool = False
    pattern: str | None = None
    longest: int | None = None
    kind: Literal["text", "number", "whole"] = "text"
    is_text: bool = False

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        re.compile(pattern or "")
        return pattern


class Others(Declared):
    """`[others]`: columns that the system does not know by name may be added, `least` to `most`."""

    least: int = 0
    most: int | None = None
    longest: int | None = None
    prefix: str = ""


class IdColumn(Declared):
    """`[id]`: the columns of which one names the person; ids that do not match are unfit."""

    columns: tuple[str, ...] = Field(min_length=1)
    pattern: str | None = None
    is_open: bool = False


class FileRule(Declared):
    """`[file]`: how rows are written.

    `cells` are quoted as CSV has it, or coded as in addresses (`url`); `json` writes objects.
    `head` stands above the line of column names, `mark` right before its first name. A file of
    more than `most_rows` or `most_bytes` is split. What is opened in a `spreadsheet` holds no text
    that would be taken for a formula. `schema` is the name of a schema that goes beside it.
    """

    name: str
    cells: Literal["csv", "url", "json"] = "csv"
    head: tuple[str, ...] = ()
    mark: str = ""
    most_rows: int | None = None
    most_bytes: int | None = None
    spreadsheet: bool = False
    schema_name: str | None = Field(None, alias="schema")


class Limits(Declared):
    """`[limits]`: what the system refuses as a whole.

    `rows` at least; `people` at least with `rows_of_each`; at most `events` of different names
    together with further columns; at most `products`.
    """

    rows: int = 0
    people: int = 0
    rows_of_each: int = 1
    events: int | None = None
    products: int | None = None


class Target(Declared):
    """What one system takes.

    `each` row is a person, an interaction of a person with a product, or a product. `contacts` says
    whether people are written to because of it: then those who were lately are left alone. The
    columns of `together` are of use only together. `kinds` are the names of events that the system
    knows, each with what it says of them; without, it takes any. Events reach back `within`, if the
    system takes none that are older. `note` is what whoever takes the file there must know.
    """

    system: str
    each: Each
    note: str = ""
    contacts: bool = True
    file: FileRule
    id: IdColumn | None = None
    columns: Mapping[str, Column] = {}
    others: Others | None = None
    together: tuple[str, ...] = ()
    kinds: Mapping[str, Mapping[str, str]] = {}
    within: str | None = None
    limits: Limits = Limits()


def list_targets() -> list[str]:
    """Return the names of the targets that come with cjkit."""
    root = resources.files(__package__).joinpath("targets")
    return sorted(path.name[:-5] for path in root.iterdir() if path.name.endswith(".toml"))


@cache
def read_target(name: str) -> Target:
    """Read a target that comes with cjkit.

    Raises
    ------
    CjkitError
        When there is none of that name.

    Examples
    --------
    >>> read_target("marketo").system
    'Marketo Engage, static list'
    """
    if name not in list_targets():
        raise unknown_name("target", name, list_targets(), where="cjkit")
    path = resources.files(__package__).joinpath("targets", f"{name}.toml")
    declared: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    target, faults = read_declared(Target, declared, place=name)
    if target is None:
        raise CjkitError("\n".join(faults))
    return target
