"""Whole journeys as whole numbers, by which millions of them are grouped exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cjkit.engine import text
from cjkit.events import Period
from cjkit.labels import OTHER
from cjkit.paths.moves import EXIT, Moves, during

ELLIPSIS = "…"
WHOSE = {
    "journeys": "customers",
    "converted": "converted_customers",
    "unconverted": "unconverted_customers",
}
"""The column that counts the people of each count of journeys."""
"""Stands at the end of a way that went on."""

_WORD_BITS = 62
_MOST_NUMBERED = 250


@dataclass(frozen=True)
class Code:
    """How a way becomes whole numbers: the number of each place, written one after another.

    Attributes
    ----------
    names : tuple of str
        The places; the first has number 1. 0 stands for no place.
    longest : int
        The most places of a way.
    """

    names: tuple[str, ...]
    longest: int

    @classmethod
    def of(cls, places: list[str], longest: int) -> Code:
        """Give each place a number, and the rare ones of very many a common one."""
        named = sorted(places[:_MOST_NUMBERED])
        is_whole = 0 < len(places) <= _MOST_NUMBERED
        return cls(tuple(named) if is_whole else (*named, OTHER), longest)

    @property
    def bits(self) -> int:
        """How many bits the number of a place takes."""
        return max(1, len(self.names).bit_length())

    @property
    def words(self) -> dict[str, dict[int, int]]:
        """For each whole number of the code: which steps it holds, and how far each is shifted."""
        size = _WORD_BITS // self.bits
        found: dict[str, dict[int, int]] = {}
        for step in range(self.longest):
            shift = self.bits * (size - 1 - step % size)
            found.setdefault(f"word_{step // size + 1}", {})[step + 1] = shift
        return found

    @property
    def numbers(self) -> str:
        """The number of each place, as SQL of a small table."""
        return " union all ".join(
            f"select {text(name)} as name, {number} as number"
            for number, name in enumerate(self.names, 1)
        )

    def read(self, row: Mapping[Any, int]) -> tuple[str, ...]:
        """Return the way that the numbers `row` stand for."""
        found = (
            (int(row[word]) >> shift) & ((1 << self.bits) - 1)
            for word, shifts in self.words.items()
            for shift in shifts.values()
        )
        return tuple(self.names[number - 1] for number in found if number)


def coded_journeys(moves: Moves, code: Code, conversion: str | None, period: Period | None) -> str:
    """Write the SQL that cuts each customer's events into journeys, and codes these.

    One row for each journey that ended: `customer_id`, `by_value`, the words of the code, whether
    it was `is_cut` there, and whether it `converted`.
    """
    keys = "".join(f"{key}, " for key in moves.keys)
    is_conversion = "1 = 0" if conversion is None else f"event = {text(conversion)}"
    turns_to = "1 = 0" if conversion is None else f"next_event = {text(conversion)}"
    marked = f"""
        select *, case when {is_conversion} then 1 else 0 end as is_conversion,
            case when {is_conversion} or target = {text(EXIT)} then 1 else 0 end as is_last,
            case when {is_conversion} or target <> here or {turns_to} then 1 else 0 end as is_turn
        from {moves.sql} as moves"""
    numbered = f"""
        select *, coalesce(max(case when is_last = 1 then step_no end) over (
            partition by customer_id order by step_no
            rows between unbounded preceding and 1 preceding), 0) as began
        from ({marked}) as marked"""
    turns = f"""
        select customer_id, began, {keys}occurred_us, is_conversion,
            cast(coalesce(number, {len(code.names)}) as bigint) as number,
            row_number() over (partition by customer_id, began order by step_no) as place
        from ({numbered}) as numbered left join ({code.numbers}) as numbers on here = name
        where is_turn = 1"""
    coded = ", ".join(
        f"cast(sum(case when is_conversion = 1 then 0 {_shifts(shifts)} else 0 end) as bigint)"
        f" as {word}"
        for word, shifts in code.words.items()
    )
    by_value = "".join(f"max(case when place = 1 then {key} end) as {key}, " for key in moves.keys)
    ended = "max(occurred_us)"
    return f"""
        select customer_id, {by_value}{coded}, max(is_conversion) as converted,
            max(case when is_conversion = 0 and place > {code.longest} then 1 else 0 end) as is_cut
        from ({turns}) as turns group by customer_id, began
        having {ended} <= {moves.known_until_us} and {during(period, ended)}"""


def _shifts(shifts: dict[int, int]) -> str:
    return " ".join(
        f"when place = {place} then number * {1 << shift}" for place, shift in shifts.items()
    )


def number_places(places: list[str], longest: int) -> Code:
    """Return a code in which every place that is not among the most frequent is `(other)`."""
    return Code((*sorted(places[: _MOST_NUMBERED - 1]), OTHER), longest)
