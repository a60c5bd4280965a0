"""Who belongs together, as whole numbers: components of links, and what attaches to them.

Keys are numbered so that a smaller number is senior: the smallest number of a person names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Codes = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Claims = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

NEVER = int(np.iinfo(np.int64).max)
"""The time of what nobody dated."""


@dataclass(frozen=True)
class Links:
    """Pairs of keys and when they were first seen together, those that win a dispute first."""

    low: Codes
    high: Codes
    first_us: Codes

    def where(self, chosen: Claims) -> Links:
        """Return the chosen links."""
        return Links(self.low[chosen], self.high[chosen], self.first_us[chosen])


def find_components(size: int, low: Codes, high: Codes) -> Codes:
    """Return for each key the smallest key that links lead to."""
    links = coo_array((np.ones(len(low), np.int8), (low, high)), shape=(size, size))
    component = connected_components(links, directed=False)[1].astype(np.int64)
    first = np.full(component.max(initial=-1) + 1, size, np.int64)
    np.minimum.at(first, component, np.arange(size))
    return first[component]


def join(size: int, low: Codes, high: Codes, apart: Codes) -> Codes:
    """Return `find_components`, but with the two keys of each row of `apart` in different ones.

    A component that holds such a pair is built again link by link, in the order given, without the
    links that would bring two together that must be apart.
    """
    owner = find_components(size, low, high)
    broken = np.unique(owner[apart[:, 0]][owner[apart[:, 0]] == owner[apart[:, 1]]])
    for name in broken:
        inside, foes = owner[low] == name, owner[apart[:, 0]] == name
        links = zip(low[inside].tolist(), high[inside].tolist(), strict=True)
        members = np.flatnonzero(owner == name)
        owner[members] = _rebuild(members.tolist(), links, apart[foes].tolist())
    return owner


def _rebuild(
    members: Iterable[int], links: Iterable[tuple[int, int]], apart: Iterable[list[int]]
) -> list[int]:
    """Return the owner of each member after joining link by link."""
    parent = {member: member for member in members}
    foes: defaultdict[int, set[int]] = defaultdict(set)
    for a, b in apart:
        foes[a].add(b)
        foes[b].add(a)

    def root(key: int) -> int:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    for a, b in links:
        senior, junior = sorted((root(a), root(b)))
        if senior != junior and all(root(foe) != senior for foe in foes[junior] if foe in parent):
            parent[junior] = senior
            foes[senior] |= foes.pop(junior, set())
    return [root(member) for member in parent]


@dataclass(frozen=True)
class Attached:
    """Where guests went: all arrays have one place for each key.

    `owner` names each key's person, `met_us` says when a guest first met its host (`NEVER` where
    undated or not attached), `is_undecided` marks guests that met several hosts.
    """

    owner: Codes
    met_us: Codes
    is_undecided: Claims


def attach(owner: Codes, guests: Claims, hosts: Claims, links: Links, apart: Codes) -> Attached:
    """Give each group of guests to the one host that its members meet.

    Guests of one `owner` decide together. Hosts of one `owner` are one. A host from whom a guest
    must be `apart` is not met.
    """
    low_first, high_first = (
        guests[links.low] & hosts[links.high],
        guests[links.high] & hosts[links.low],
    )
    guest = owner[np.concatenate([links.low[low_first], links.high[high_first]])]
    host = owner[np.concatenate([links.high[low_first], links.low[high_first]])]
    first_us = np.concatenate([links.first_us[low_first], links.first_us[high_first]])

    size = len(owner)
    foes = np.concatenate([apart, apart[:, ::-1]])
    barred = owner[foes[:, 0]] * size + owner[foes[:, 1]]
    meeting, place = np.unique(guest * size + host, return_inverse=True)
    met = np.full(len(meeting), NEVER)
    np.minimum.at(met, place, first_us)
    allowed = ~np.isin(meeting, barred)
    meeting, met = meeting[allowed], met[allowed]

    guest, host = meeting // size, meeting % size
    hosts_met = np.bincount(guest, minlength=size)
    decided = hosts_met[guest] == 1
    person, met_us = np.arange(size), np.full(size, NEVER)
    person[guest[decided]] = host[decided]
    met_us[guest[decided]] = met[decided]
    return Attached(person[owner], met_us[owner], hosts_met[owner] > 1)
