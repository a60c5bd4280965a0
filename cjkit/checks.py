"""Checks at the public door, and errors that a user can act on.

A message says what was given, what is wrong, the nearest valid name and what is allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

import pandas as pd


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
