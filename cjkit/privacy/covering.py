"""Which figures to hide besides, so that no equation gives a hidden one: on matrices alone."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import lsqr

from cjkit.statistics import Floats

Claims = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Places = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

_NEARLY = 1e-6


def protect(
    matrix: csr_array,
    values: Floats,
    small: Claims,
    is_free: Claims,
    price: Places,
    smallest: int,
) -> Claims:
    """Say which figures to hide so that none of the hidden follows from those that are seen.

    Parameters
    ----------
    matrix : sparse array, one row for each equation, one column for each figure
        Every row times `values` is 0.
    values : array
    small : array of bool
        The figures that are hidden in any case.
    is_free : array of bool
        The figures that may be hidden besides.
    price : array of int
        The order in which figures are hidden, the cheapest first.
    smallest : int
        The figures hidden of one equation are together at least as many.

    Returns
    -------
    array of bool
        The hidden figures. Those that follow whatever else is hidden, because they are themselves
        a total that is seen, are hidden all the same.
    """
    hidden = small.copy()
    # What follows from the equations even with all hidden that may be: hiding it helps nobody.
    pinned = np.zeros(len(values), bool)
    pinned[_determined(matrix, hidden | is_free)] = True
    is_free = is_free & ~pinned
    while True:
        _hide_in_single_sums(matrix, values, hidden, is_free, price, smallest)
        exposed = [place for place in _determined(matrix, hidden) if not pinned[place]]
        if not exposed:
            return hidden
        hidden[_cover(matrix, hidden, exposed[0], is_free & ~hidden, price)] = True


def _hide_in_single_sums(
    matrix: csr_array,
    values: Floats,
    hidden: Claims,
    is_free: Claims,
    price: Places,
    smallest: int,
) -> None:
    """Hide one more figure of each equation that has one hidden, or several that are few together.

    Whatever protects a figure that is alone in an equation must hide another one of the same. Short
    equations come first, since they leave least to choose from.
    """
    waiting = deque(np.argsort(np.diff(matrix.indptr), kind="stable"))
    columns = matrix.tocsc()
    while waiting:
        number = waiting.popleft()
        span = slice(matrix.indptr[number], matrix.indptr[number + 1])
        places, signs = matrix.indices[span], matrix.data[span]
        gone = hidden[places]
        if not gone.any() or (
            gone.sum() > 1 and (len(set(signs[gone])) > 1 or values[places[gone]].sum() >= smallest)
        ):
            continue
        left = places[~gone & is_free[places]]
        if len(left):
            chosen = left[np.argmin(price[left])]
            hidden[chosen] = True
            waiting.extend(columns.indices[columns.indptr[chosen] : columns.indptr[chosen + 1]])


def _determined(matrix: csr_array, hidden: Claims) -> Places:
    """Return the hidden figures that the equations give from those that are seen.

    The hidden figures may be anything that solves the equations: a random vector is moved to the
    nearest such solution, and a figure on which it then has no part is the same in all of them.
    """
    own = matrix[:, hidden]
    own = own[np.diff(own.indptr) > 0]
    if not own.nnz:
        return np.zeros(0, np.int64)
    start = np.random.default_rng(0).standard_normal(own.shape[1])
    change = start - _least_squares(own, own @ start)
    in_equation = np.diff(own.tocsc().indptr) > 0
    return np.flatnonzero(hidden)[(np.abs(change) < _NEARLY) & in_equation]


def _cover(matrix: csr_array, hidden: Claims, place: int, is_left: Claims, price: Places) -> int:
    """Return the cheapest figure that keeps the figure at `place` hidden, or is a step towards it.

    A figure follows from the others when its column is no combination of those of other hidden
    ones; another column that lies along what is missing fills the gap.
    """
    others = hidden.copy()
    others[place] = False
    own = matrix[:, others]

    def beyond(column: int) -> Floats:
        dense = matrix[:, [column]].toarray()[:, 0]
        return dense - own @ _least_squares(own, dense) if own.nnz else dense

    missing = beyond(place)
    along = np.abs(matrix.T @ missing) > _NEARLY
    candidates = np.flatnonzero(is_left & along)
    candidates = candidates[np.argsort(price[candidates])]
    for candidate in map(int, candidates):
        found = beyond(candidate)
        share = found @ missing / (missing @ missing)
        if np.abs(found - share * missing).max() < _NEARLY:
            return candidate
    return int(candidates[0])


def _least_squares(matrix: Any, target: Floats) -> Floats:
    solved: Floats = lsqr(matrix, target, atol=1e-14, btol=1e-14, iter_lim=20 * sum(matrix.shape))[
        0
    ]
    return solved
