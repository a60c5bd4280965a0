"""Checks at the public door, and errors that a user can act on.

A message says what was given, what is wrong, the nearest valid name and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar, get_args, get_origin

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

D = TypeVar("D", bound="Declared")

SECRET = "secret"
"""The type of a fault (`PydanticCustomError`) whose message does not repeat what was given."""


class CjkitError(ValueError):
    """Base class of every error that cjkit raises on purpose."""


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that looks most like `given`, or None where none does.

    Examples
    --------
    >>> nearest("purchas", ["view", "purchase"])
    'purchase'
    """
    near = get_close_matches(str(given), [str(name) for name in allowed], n=1)
    return near[0] if near else None


def unknown_name(
    role: str, given: str, allowed: Collection[str], *, where: str = "the event log"
) -> CjkitError:
    """Build the error for a name that `where` does not have, with the nearest names that it has.

    Examples
    --------
    >>> print(unknown_name("step", "crat", {"cart", "buy"}))
    step 'crat' is not in the event log. Did you mean 'cart'? It has 'buy', 'cart'.
    """
    shown = sorted(map(str, allowed))
    near = nearest(given, shown)
    hint = f" Did you mean {near!r}?" if near else ""
    more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
    listed = ", ".join(map(repr, shown[:10])) or "none"
    return CjkitError(f"{role} {given!r} is not in {where}.{hint} It has {listed}{more}.")


def one_of(name: str, given: object, allowed: Collection[str]) -> str:
    """Return `given` when it is one of `allowed`; the error calls it `name`.

    Examples
    --------
    >>> one_of("ties", "ordered", ("ordered", "simultaneous"))
    'ordered'
    """
    if isinstance(given, str) and given in allowed:
        return given
    near = nearest(str(given), allowed)
    hint = f" Did you mean {near!r}?" if near else ""
    raise CjkitError(f"{name}={given!r} must be one of {', '.join(map(repr, allowed))}.{hint}")


def parse_duration(duration: str | pd.Timedelta, *, name: str) -> pd.Timedelta:
    """Return `duration` ('30D', '12h') as a positive Timedelta; messages call it `name`.

    Raises
    ------
    CjkitError
        When there is no unit, the text is no duration, or it is not longer than zero.

    Examples
    --------
    >>> parse_duration("36h", name="within")
    Timedelta('1 days 12:00:00')
    """
    has_unit = isinstance(duration, pd.Timedelta) or any(c.isalpha() for c in str(duration))
    if not has_unit:
        raise CjkitError(f"{name}={duration!r} has no unit. Write one, such as '30D' or '12h'.")
    try:
        parsed = pd.Timedelta(duration)
    except ValueError as error:
        raise CjkitError(f"{name}={duration!r} is not a duration. Write '30D' or '12h'.") from error
    if parsed <= pd.Timedelta(0):
        raise CjkitError(f"{name}={duration!r} must be longer than zero.")
    return parsed


def microseconds(duration: str | pd.Timedelta, *, name: str) -> int:
    """Return `duration` in whole microseconds, the unit in which SQL calculates.

    Examples
    --------
    >>> microseconds("30m", name="gap")
    1800000000
    """
    return parse_duration(duration, name=name) // pd.Timedelta("1us")


class Declared(BaseModel):
    """Base of what users declare in TOML (project files, mappings): frozen, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def read_declared(model: type[D], data: object, *, place: str) -> tuple[D | None, list[str]]:
    """Check `data`, as TOML gives it, against `model` and return the value, or all its faults.

    Parameters
    ----------
    model : type of Declared
        What may stand there.
    data : object
        What stands there.
    place : str
        Where that is, such as 'sources.web': each fault begins with it.

    Returns
    -------
    value : instance of `model`, or None where there is a fault
    faults : list of str
        One line a fault: the place, what was given, what is wrong, the nearest valid name and what
        is allowed.

    Examples
    --------
    >>> class Session(Declared):
    ...     gap: str
    >>> for fault in read_declared(Session, {"gpa": 30}, place="session")[1]:
    ...     print(fault)
    session.gap is missing.
    session.gpa is not known. Did you mean 'gap'? Known: 'gap'.
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [_fault(model, found, place) for found in error.errors()]


def _fault(model: type[Declared], found: ErrorDetails, place: str) -> str:
    path = [part for part in found["loc"] if not _is_union_arm(part)]
    where = ".".join([place, *map(str, path)]) if place else ".".join(map(str, path))
    if found["type"] == "missing":
        return f"{where} is missing."
    if found["type"] == "extra_forbidden":
        allowed = _known_keys(model, path[:-1])
        near = nearest(str(path[-1]), allowed)
        hint = f" Did you mean {near!r}?" if near else ""
        return f"{where} is not known.{hint} Known: {', '.join(map(repr, allowed))}."
    if found["type"] == SECRET:
        return f"{where}: {found['msg']}."
    given = repr(found["input"])
    shown = given if len(given) <= 60 else given[:57] + "..."
    if found["type"] == "literal_error":
        expected = str(found["ctx"]["expected"])
        near = nearest(str(found["input"]), re.findall(r"'([^']*)'", expected))
        hint = f" Did you mean {near!r}?" if near else ""
        return f"{where}={shown} must be {expected}.{hint}"
    message = found["msg"].removeprefix("Value error, ")
    return f"{where}={shown}: {message[:1].lower()}{message[1:].rstrip('.')}."


def _is_union_arm(part: str | int) -> bool:
    """Say whether a place in pydantic's path names a type it tried, rather than a key."""
    return isinstance(part, str) and bool(re.search(r"[\[(]|^(str|int|float|bool)$|^[A-Z]", part))


def _known_keys(model: object, path: Sequence[str | int]) -> list[str]:
    """Return the keys that may stand at `path` below `model`."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        if not path:
            return [field.alias or name for name, field in model.model_fields.items()]
        for name, field in model.model_fields.items():
            if path[0] in (name, field.alias):
                return _known_keys(field.annotation, path[1:])
        return []
    arms = get_args(model)
    if get_origin(model) in (dict, Mapping):
        return _known_keys(arms[-1], path[1:])
    if get_origin(model) in (list, tuple) and path:
        return _known_keys(arms[0], path[1:])
    found = [_known_keys(arm, path) for arm in arms if arm is not type(None)]
    return max(found, key=len, default=[])
