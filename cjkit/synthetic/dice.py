"""Chance as a function: every draw is a hash of (seed, purpose, ids), written as SQL.

The same id always draws the same number for the same purpose, whatever the order of the rows or
the number of threads, so that one seed gives the same bytes on every run.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from cjkit.engine import text
from cjkit.synthetic.stories import HOUR_US

_PRIMES = (99_991, 999_983, 9_999_991, 19_999_999, 99_999_989)


class Dice:
    """Writes SQL expressions that draw random values for the ids of a row.

    Parameters
    ----------
    seed : int
        Another seed, another company.

    Examples
    --------
    >>> Dice(7).chance("is_member", 0.8, "person_no")
    '(((hash(hash(3550715531, person_no)) >> 11) * 1.1102230246251565e-16) < 0.8)'
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def uniform(self, purpose: str, *ids: str) -> str:
        """Draw from 0 (included) to 1 (excluded)."""
        # The engine combines several keys by exclusive or alone: the outer hash makes the draws of
        # one id for two purposes independent.
        return f"((hash(hash({self.code(purpose)}, {', '.join(ids)})) >> 11) * {2.0**-53!r})"

    def chance(self, purpose: str, probability: float | str, *ids: str) -> str:
        """Claim something with a probability, which may itself be an expression."""
        return f"({self.uniform(purpose, *ids)} < {probability})"

    def whole(self, purpose: str, low: int | str, high: int | str, *ids: str) -> str:
        """Draw a whole number from `low` to `high`, both included."""
        size = f"({high}) - ({low}) + 1"
        return f"(cast(floor({self.uniform(purpose, *ids)} * ({size})) as bigint) + ({low}))"

    def exponential(self, purpose: str, mean: float | str, *ids: str) -> str:
        """Draw a waiting time of the given mean."""
        return f"(-ln(1 - {self.uniform(purpose, *ids)}) * ({mean}))"

    def normal(self, purpose: str, *ids: str) -> str:
        """Draw from the standard normal distribution."""
        radius = f"sqrt(-2 * ln(1 - {self.uniform(purpose + ' radius', *ids)}))"
        return f"({radius} * cos(2 * pi() * {self.uniform(purpose + ' angle', *ids)}))"

    def pick(self, purpose: str, weights: Mapping[str, float], *ids: str) -> str:
        """Draw one of the texts, each with its weight."""
        draw, total, below = self.uniform(purpose, *ids), sum(weights.values()), 0.0
        branches = ""
        *early, last = weights
        for value in early:
            below += weights[value] / total
            branches += f" when {draw} < {below:.6f} then {text(value)}"
        return f"(case{branches} else {text(last)} end)" if early else text(last)

    def permuted(self, purpose: str, number: str, most: int) -> str:
        """Give each whole number below `most` another number of its own, in no visible order.

        Ids made in this way tell nothing of one another, and never collide.
        """
        prime = next(prime for prime in _PRIMES if prime > most)
        factor = 1 + self.code(purpose + " factor") % (prime - 1)
        shift = self.code(purpose + " shift") % prime
        return f"(((({number}) + 1) * {factor} + {shift}) % {prime})"

    def code(self, purpose: str) -> int:
        """Return the whole number that stands for a purpose under this seed."""
        return zlib.crc32(f"{self.seed}:{purpose}".encode())

    def time_of_day(self, purpose: str, hours: Sequence[int], *ids: str) -> str:
        """Draw microseconds since midnight, by one weight for each hour of the day."""
        slots = [hour for hour, weight in enumerate(hours) for _ in range(weight)]
        place = f"1 + cast(floor({self.uniform(purpose, *ids)} * {len(slots)}) as bigint)"
        within = self.uniform(purpose + " within", *ids)
        return f"cast(({slots}[{place}] + {within}) * {HOUR_US} as bigint)"


def by_value(column: str, results: Mapping[str, object]) -> str:
    """Write the SQL that gives each value of `column` its own result, itself SQL.

    Examples
    --------
    >>> by_value("place", {"web": 1, "store": "rate / 2"})
    "(case place when 'web' then 1 when 'store' then rate / 2 end)"
    """
    branches = " ".join(f"when {text(value)} then {result}" for value, result in results.items())
    return f"(case {column} {branches} end)"


def opaque(prefix: str, number: str) -> str:
    """Write the SQL of an id that shows nothing but its own hash."""
    return f"'{prefix}-' || lpad(lower(hex({number})), 16, '0')"
