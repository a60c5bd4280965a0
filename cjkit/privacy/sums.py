"""What readers can add up and take away: which counts must go beside the small ones.

A hidden count that stands beside its total is not hidden: the rest is taken away, and there it is.
A result says in `adds_up` which sums its counts make. Each is a linear equation, and a hidden count
is safe when no combination of the equations gives it from what is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from cjkit.privacy.covering import protect

Cell = tuple[str, int]
"""A count of a table: its column, and its row from 0."""


@dataclass(frozen=True)
class Equation:
    """The counts on the `left` are together as many as those on the `right`."""

    left: tuple[Cell, ...]
    right: tuple[Cell, ...]


@dataclass(frozen=True)
class Totals:
    """Rows that agree in `each` add up to a figure that readers see, here or in another result.

    Without `each` all rows add up, and with `known` only those in which that column is not missing.
    It may also be what rests on the count that adds up, such as the moves that people made. Totals
    are masked by the same relations as the rows, so that one that another result hides counts as
    hidden.
    """

    count: str
    each: tuple[str, ...] = ()
    known: str | None = None


@dataclass(frozen=True)
class Rest:
    """What of `whole` is not in `part` is a count too: a rate and its n tell it.

    Where the two do not count people, `whose` is the column that says of how many the rest is.
    """

    part: str
    whole: str
    whose: str | None = None


@dataclass(frozen=True)
class Steps:
    """What counts differ by from row to row is a count too, such as the people lost at a step.

    Rows that agree in `within` follow each other. Readers can compute what each row differs by from
    the one before it, and from the first; `rest` is the column that shows the former, if any does.
    A row after the first that shows none is passed over: the next is held against the one before.
    `are_totals` says that the totals of such rows follow each other in the same way.
    """

    count: str
    within: tuple[str, ...] = ()
    rest: str | None = None
    are_totals: bool = True


Relation = Equation | Totals | Rest | Steps


def find_hidden(
    table: pd.DataFrame,
    counts: Collection[str],
    adds_up: Sequence[Relation],
    smallest: int,
    *,
    beside: Collection[str] = (),
    whose: pd.DataFrame | None = None,
) -> set[Cell]:
    """Return the cells that must be hidden: small counts, and as few others as keep them hidden.

    1. A count from 1 to `smallest` - 1 is hidden. 0 speaks of nobody, and is shown. A count of what
       people did (sessions, answers, rows) is as small as the number of people who did it.
    2. While a hidden count follows from what is seen, or the hidden counts of one sum are together
       fewer than `smallest`, one more is hidden: the smallest that ends it, a difference before a
       count, and a count before a figure that counts no people.

    Parameters
    ----------
    table : DataFrame
    counts : collection of str
        The columns that count people.
    adds_up : sequence of relations
        What readers can compute from them.
    smallest : int
    beside : collection of str
        Columns that add up with the counts and do not count people: no number in them is too small,
        but one may have to go beside a hidden count.
    whose : DataFrame, optional
        For counts that do not count people: under the same name, in the same rows, of how many
        people each is. Sums are taken to be of different people, and so rather for shown.

    Examples
    --------
    >>> table = pd.DataFrame({"customers": [120, 40, 12, 3]})
    >>> sorted(find_hidden(table, ["customers"], [], 5))
    [('customers', 3)]
    >>> sorted(find_hidden(table, ["customers"], [Totals("customers")], 5))
    [('customers', 2), ('customers', 3)]
    """
    rows = table.reset_index(drop=True)
    people = pd.DataFrame(index=rows.index) if whose is None else whose.reset_index(drop=True)
    book = _Book(rows, tuple(counts), tuple(beside), tuple(adds_up), smallest, people)
    return {cell for cell in book.solve() if cell in book.cells}


@dataclass
class _Book:
    """All figures that readers see or can compute from one table, and the equations they are in.

    A figure is a cell of the table, a total of its rows, or a difference. `settled` are those that
    another result shows or hides: what is done there cannot be changed here.
    """

    table: pd.DataFrame
    counts: tuple[str, ...]
    beside: tuple[str, ...]
    adds_up: tuple[Relation, ...]
    smallest: int
    whose: pd.DataFrame
    people: dict[Any, float] = field(default_factory=dict)
    values: dict[Any, float] = field(default_factory=dict)
    settled: dict[Any, bool] = field(default_factory=dict)
    differences: set[Any] = field(default_factory=set)
    equations: list[tuple[list[Any], list[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self._columns:
            numbers = pd.to_numeric(self.table[name]).to_numpy(float, na_value=np.nan)
            self.values |= {
                (name, row): value for row, value in enumerate(numbers) if value == value
            }
        self.cells = set(self.values)
        for count, people in self.whose.items():
            self.people |= {(count, row): float(n) for row, n in enumerate(people)}
        for relation in self.adds_up:
            if isinstance(relation, Totals):
                self._write_totals(relation)
            elif isinstance(relation, Equation):
                self._write(list(relation.left), list(relation.right))
            elif isinstance(relation, Rest):
                for row in range(len(self.table)):
                    whole, part = (relation.whole, row), (relation.part, row)
                    self._write_difference(whole, part, None)
                    if relation.whose is not None:
                        self.people["rest", whole, part] = self.people[relation.whose, row]
            else:
                self._write_steps(relation)

    @property
    def _columns(self) -> list[str]:
        return list(dict.fromkeys((*self.counts, *self.beside)))

    def _write(self, left: list[Any], right: list[Any]) -> None:
        if all(figure in self.values for figure in (*left, *right)):
            self.equations.append((left, right))

    def _write_difference(self, one: Cell, other: Cell, shown: Cell | None) -> None:
        """Write the larger of two counts as the smaller and a rest."""
        if one not in self.values or other not in self.values:
            return
        small, large = sorted((one, other), key=lambda cell: self.values[cell])
        rest = shown or ("rest", one, other)
        self.values[rest] = self.values[large] - self.values[small]
        self.differences.add(rest)
        self._write([large], [small, rest])

    def _write_steps(self, steps: Steps) -> None:
        within = [name for name in steps.within if name in self.table]
        groups = self.table.groupby(within, sort=False, dropna=False) if within else None
        for run in groups.indices.values() if groups else [range(len(self.table))]:
            cells = [(steps.count, int(row)) for row in run]
            place = 0
            for later, cell in enumerate(cells[1:], start=1):
                shown = (steps.rest or "", cell[1])
                is_shown = shown in self.cells
                self._write_difference(cells[place], cell, shown if is_shown else None)
                self._write_difference(cells[0], cell, None)
                if steps.rest is None or is_shown:
                    place = later

    def _write_totals(self, relation: Totals) -> None:
        each, count = list(relation.each), relation.count
        known = self.table[self.table[relation.known or count].notna()]
        if not each:
            whole: Any = ("total", count)
            self.values[whole] = float(pd.to_numeric(known[count]).sum())
            if count in self.whose:
                self.people[whole] = float(self.whose.loc[known.index, count].sum())
            self.settled[whole] = self._is_small(whole) and count not in self.beside
            self._write([whole], [(count, int(row)) for row in known.index])
            return
        groups = known.groupby(each, sort=False, dropna=False)
        totals = groups[self._columns].sum(min_count=1).reset_index()
        by = [known[name] for name in each]
        whose = self.whose.loc[known.index].groupby(by, sort=False, dropna=False).sum()
        hidden = find_hidden(
            totals,
            self.counts,
            self._of_totals(relation),
            self.smallest,
            beside=self.beside,
            whose=whose,
        )
        for place, rows in enumerate(groups.indices.values()):
            whole = ("total", count, relation.each, place)
            self.values[whole] = float(totals[count].iloc[place])
            self.settled[whole] = (count, place) in hidden
            self._write([whole], [(count, int(known.index[row])) for row in rows])

    def _of_totals(self, relation: Totals) -> list[Relation]:
        """Return what is known of the totals themselves: all that does not tell rows apart."""
        return [
            other
            for other in self.adds_up
            if isinstance(other, Rest)
            or (isinstance(other, Steps) and other.are_totals)
            or (isinstance(other, Totals) and set(other.each) < set(relation.each))
        ]

    def _is_small(self, figure: Any) -> bool:
        value = self.values[figure]
        return value > 0 and 0 < self.people.get(figure, value) < self.smallest

    def solve(self) -> set[Any]:
        """Return the figures to hide."""
        if not self.values:
            return set()
        small = [
            self.settled.get(figure, self._is_small(figure) and figure[0] not in self.beside)
            for figure in self.values
        ]
        if not any(small):
            return set()
        figures = list(self.values)
        place = {figure: number for number, figure in enumerate(figures)}
        entries = [
            (number, place[figure], sign)
            for number, sides in enumerate(self.equations)
            for side, sign in zip(sides, (1.0, -1.0), strict=True)
            for figure in side
        ]
        size = len(self.equations), len(figures)
        rows, columns, signs = zip(*entries, strict=True) if entries else ((), (), ())
        matrix = csr_array((np.array(signs, float), (rows, columns)), shape=size)
        values = np.array([self.values[figure] for figure in figures])
        is_free = np.array([figure not in self.settled for figure in figures]) & (values > 0)
        is_count = np.array([figure not in self.differences for figure in figures])
        # A difference is the cheapest to hide, a smaller count before a larger, and the dearest
        # what counts no people: it cannot be too small itself.
        is_beside = np.array([figure[0] in self.beside for figure in figures])
        price = np.empty(len(figures), int)
        price[np.lexsort((values, is_count, is_beside))] = np.arange(len(figures))
        hidden = protect(matrix, values, np.array(small), is_free, price, self.smallest)
        return {figure for figure, is_hidden in zip(figures, hidden, strict=True) if is_hidden}
