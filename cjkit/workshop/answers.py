"""Whether an answer is right, and if not, what can be said of it without giving it away."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

TOLERANCE = 0.02
NEAR = 0.15


@dataclass(frozen=True)
class Comparison:
    """How an answer stands to the one that was expected.

    Attributes
    ----------
    is_right : bool
    remark : str
        A term of `labels` that may be said of a wrong answer; empty where nothing may.
    right, of : int
        How many parts of an answer in parts are right, of how many.
    """

    is_right: bool
    remark: str = ""
    right: int = 0
    of: int = 0


def is_given(answer: object) -> bool:
    """Whether there is an answer at all: no dots are left in it."""
    if isinstance(answer, Mapping):
        return all(map(is_given, answer.values()))
    if isinstance(answer, (list, tuple, set, frozenset)):
        return all(map(is_given, answer))
    return answer is not ... and answer is not None


def compare(answer: Any, expected: Any, names: Mapping[str, Collection[str]]) -> Comparison:
    """Compare an answer with the expected one.

    Numbers may differ by 2%, so that rounding is no fault. A name counts however its letters are
    written, and by the words that readers see. A set's order does not matter; a tuple's does, and
    a dict goes by its keys.

    Parameters
    ----------
    answer, expected : number, str, or a set, tuple or dict of them
    names : mapping from str to collection of str
        The words that readers see for a value of the data.

    Examples
    --------
    >>> compare(0.451, 0.4512, {}).is_right, compare(45.1, 0.4512, {}).remark
    (True, 'workshop_percent')
    >>> compare("Android phone", "android", {"android": ["Android phone"]}).is_right
    True
    >>> compare({"b", "c"}, {"a", "b"}, {})
    Comparison(is_right=False, remark='workshop_some_right', right=1, of=2)
    """
    if isinstance(expected, Mapping):
        if not isinstance(answer, Mapping):
            return Comparison(False, "workshop_needs_dict")
        pairs = [(answer.get(key, ...), value) for key, value in expected.items()]
        return _in_parts(pairs, names)
    if isinstance(expected, (set, frozenset)):
        return _sets(answer, expected, names)
    if isinstance(expected, tuple):
        if not isinstance(answer, (list, tuple)) or len(answer) != len(expected):
            return Comparison(False, "workshop_needs_several")
        return _in_parts(zip(answer, expected, strict=True), names)
    if isinstance(expected, str):
        if not isinstance(answer, str):
            return Comparison(False, "workshop_needs_name")
        return Comparison(_plain(answer) in _spellings(expected, names))
    if not isinstance(answer, Real) or isinstance(answer, bool):
        return Comparison(False, "workshop_needs_number")
    return _numbers(float(answer), float(expected))


def _numbers(answer: float, expected: float) -> Comparison:
    def is_within(value: float, tolerance: float) -> bool:
        return abs(value - expected) <= tolerance * abs(expected) + 1e-9

    if is_within(answer, TOLERANCE):
        return Comparison(True)
    if is_within(answer / 100, TOLERANCE):
        return Comparison(False, "workshop_percent")
    return Comparison(False, "workshop_near" if is_within(answer, NEAR) else "")


def _sets(
    answer: Any, expected: Collection[str], names: Mapping[str, Collection[str]]
) -> Comparison:
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        return Comparison(False, "workshop_needs_set")
    given = {_plain(str(one)) for one in answer}
    hits = [given & _spellings(one, names) for one in expected]
    right = sum(map(bool, hits))
    is_right = right == len(expected) and not given.difference(*hits)
    return Comparison(is_right, "workshop_some_right", right, len(expected))


def _in_parts(pairs: Iterable[tuple[Any, Any]], names: Mapping[str, Collection[str]]) -> Comparison:
    found = [compare(answer, expected, names).is_right for answer, expected in pairs]
    return Comparison(all(found), "workshop_some_right", sum(found), len(found))


def _spellings(value: str, names: Mapping[str, Collection[str]]) -> set[str]:
    return {_plain(word) for word in (value, *names.get(value, ()))}


def _plain(word: str) -> str:
    """Write a name without what does not tell names apart: case, width, spaces and dashes."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return "".join(letter for letter in folded if letter.isalnum())
