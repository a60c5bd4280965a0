"""Events of Algolia Insights: what one call of its API takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from cjkit.activation.plan import Plan

Cells = Sequence[str | None]
"""What stands in one row, in the order of the plan's columns."""

_PER_EVENT = 20


def make_events(plan: Plan, rows: Iterable[Cells]) -> Iterator[dict[str, Any]]:
    """Yield the events of rows that stand in the order of people and times.

    Lines of one order are one event, or several of at most 20 products. What came of a search has
    its `queryID`: a click needs the positions too, and each product of a purchase has its own.
    """
    place = {name: number for number, name in enumerate(plan.names)}
    user, kind, at, order = (place[n] for n in (plan.id_column, "event", "timestamp", "order"))
    amounts = [place[n] for n in ("price", "quantity", "currency")]
    for (token, name, moment, _), lines in groupby(
        rows, key=lambda row: (row[user], row[kind], row[at], row[order])
    ):
        told = plan.target.kinds[str(name)]
        while some := list(islice(lines, _PER_EVENT)):
            event: dict[str, Any] = {
                **told,
                "index": some[0][place["index"]],
                plan.id_column: token,
                "timestamp": int(str(moment)),
                "objectIDs": [line[place["objectIDs"]] for line in some],
            }
            priced = [tuple(line[n] for n in amounts) for line in some]
            if told.get("eventSubtype") and all(price for price, *_ in priced):
                event |= _priced(priced)
            searches, positions = (
                [line[place[name]] if name in place else None for line in some]
                for name in ("queryID", "positions")
            )
            yield event | _after_search(event, searches, positions)


def _after_search(event: dict[str, Any], searches: Cells, positions: Cells) -> dict[str, Any]:
    """Return what an event says of the searches that led to its products."""
    if event.get("eventSubtype") == "purchase":
        data = event.get("objectData")
        if data is None:
            return {}
        named = [{"queryID": search} if search else {} for search in searches]
        return {"objectData": [line | name for line, name in zip(data, named, strict=True)]}
    search = searches[0] if len(set(searches)) == 1 else None
    if not search or event["eventType"] == "view":
        return {}
    if event["eventType"] == "click":
        if not all(positions):
            return {}
        return {"queryID": search, "positions": [int(str(each)) for each in positions]}
    return {"queryID": search}


def _priced(lines: Sequence[tuple[str | None, ...]]) -> dict[str, Any]:
    """Return what an event says of amounts, from price, quantity and currency of its lines.

    Prices have two decimals; of parts of a unit (1.5 m of cloth) the whole is one.
    """
    data = []
    for price, quantity, _ in lines:
        each, units = float(str(price)), float(quantity or 1)
        is_whole = units == int(units)
        amount = each if is_whole else each * units
        data.append({"price": _short(amount), "quantity": int(units) if is_whole else 1})
    value = sum(line["price"] * line["quantity"] for line in data)
    return {"objectData": data, "value": _short(value), "currency": lines[0][2]}


def _short(amount: float) -> float:
    """Return an amount to two decimals, and without any where it is whole."""
    return int(amount) if amount == int(amount) else round(amount, 2)


def dumped(event: dict[str, Any]) -> bytes:
    """Write an event in as few bytes as JSON can."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
