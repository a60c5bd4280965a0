"""Pins: pairs of ids that a person at the company has decided on, which win over what ids say."""

from __future__ import annotations

import csv
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cjkit.checks import CjkitError, nearest

RELATIONS = ("same", "different")
_COLUMNS = ("relation", "a", "b")


@dataclass(frozen=True)
class Pin:
    """One line of a pins file: `relation` of the ids `a` and `b` ('same' or 'different')."""

    line: int
    relation: str
    a: str
    b: str
    file: str = "pins"


def read_pins(path: Path) -> tuple[Pin, ...]:
    """Read a pins file: CSV with the columns `relation`, `a`, `b`, and any others for people.

    `a` and `b` are each an id as `namespace:id`, written as in the exports, or a customer_id.

    Raises
    ------
    CjkitError
        When there is no such file, or lines are wrong: all such together.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise CjkitError(
                    f"{path.name} has no column {', '.join(map(repr, lacking))}: a pins file is "
                    "CSV with the columns relation, a, b."
                )
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CjkitError(f"The pins file {str(path)!r} cannot be read: {error}.") from error
    pins, faults = [], []
    for number, row in lines:
        relation, a, b = ((row[name] or "").strip() for name in _COLUMNS)
        if relation not in RELATIONS:
            near = nearest(relation, RELATIONS)
            hint = f" Did you mean {near!r}?" if near else ""
            faults.append(f"line {number}: relation {relation!r} must be same or different.{hint}")
        elif not a or not b:
            faults.append(f"line {number}: both a and b must name someone.")
        else:
            pins.append(Pin(number, relation, a, b, path.name))
    if faults:
        raise CjkitError("\n".join([f"{path.name}:", *(f"  - {fault}" for fault in faults)]))
    return tuple(pins)


def find_keys(
    pins: Sequence[Pin],
    namespaces: Iterable[str],
    make_keys: Callable[[str, Sequence[str]], Mapping[str, str]],
    find_customers: Callable[[Sequence[str]], Mapping[str, str]],
) -> tuple[Pin, ...]:
    """Return the pins with keys in place of ids; a pin on someone whom no record holds is left out.

    Parameters
    ----------
    pins : sequence of Pin
    namespaces : iterable of str
        Those of the project.
    make_keys : callable
        Turns a namespace and ids as they are written into the keys of these ids.
    find_customers : callable
        Turns customer_ids into a key of each.

    Raises
    ------
    CjkitError
        When what stands before a colon is no namespace, and the whole no customer_id either.
    """
    known = tuple(namespaces)
    given = {name for pin in pins for name in (pin.a, pin.b)}
    found = dict(find_customers(sorted(given)))
    by_namespace: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(given - found.keys()):
        namespace, colon, written = name.partition(":")
        if namespace in known:
            by_namespace[namespace].append(written)
        elif colon:
            line = next(pin.line for pin in pins if name in (pin.a, pin.b))
            near = nearest(namespace, known)
            hint = f" Did you mean {near!r}?" if near else ""
            raise CjkitError(
                f"pins, line {line}: {namespace!r} is no namespace of [identity].{hint} "
                f"Known: {', '.join(known)}."
            )
    for namespace, ids in by_namespace.items():
        found |= {f"{namespace}:{id}": key for id, key in make_keys(namespace, ids).items()}
    return tuple(
        replace(pin, a=found[pin.a], b=found[pin.b])
        for pin in pins
        if pin.a in found and pin.b in found
    )


def refuse_contradictions(pins: Sequence[Pin]) -> None:
    """Raise CjkitError, naming lines, where pins say of two that they are one and that they differ.

    Sameness goes on: where a is b and b is c, a is c.
    """
    same: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for pin in pins:
        if pin.relation == "same":
            same[pin.a].append((pin.b, pin.line))
            same[pin.b].append((pin.a, pin.line))
    faults = []
    for pin in pins:
        if pin.relation == "different" and (lines := _way(same, pin.a, pin.b)) is not None:
            plural = "lines" if len(lines) > 1 else "line"
            against = f"against {plural} {' and '.join(map(str, lines))}" if lines else "of one id"
            faults.append(f"line {pin.line} says different, {against}")
    if faults:
        raise CjkitError("The pins contradict each other: " + "; ".join(faults) + ".")


def _way(
    same: Mapping[str, Sequence[tuple[str, int]]], start: str, end: str
) -> tuple[int, ...] | None:
    """Return the lines that lead from one key to another, fewest first found, or None."""
    came: dict[str, tuple[int, ...]] = {start: ()}
    ahead = deque([start])
    while ahead:
        key = ahead.popleft()
        if key == end:
            return tuple(sorted(came[key]))
        for other, line in same.get(key, ()):
            if other not in came:
                came[other] = (*came[key], line)
                ahead.append(other)
    return None
