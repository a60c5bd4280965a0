"""What a result says of itself so that it can be compared with another of its kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Compared:
    """Which rate of a result's table is compared.

    Attributes
    ----------
    rate : str
        The column of the rate.
    people : str
        The column of how many people it is of: the sample of its interval.
    within : tuple of str, or None
        Rows that agree in these columns are of the same people, so that a row which is not there is
        0 of them; None where a row that is missing says nothing.
    """

    rate: str
    people: str
    within: tuple[str, ...] | None
