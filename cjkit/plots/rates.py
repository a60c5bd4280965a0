"""Rates with what is known of them: points with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cjkit.plots.theme import MUTED, PALE, PRIMARY


def draw_rates(
    names: Sequence[str],
    rates: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    notes: Sequence[str],
    *,
    zero: bool = False,
    write: Callable[[float], str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one point with its interval for each name, first at the top, with a note at the right.

    With `zero` a line stands at 0, for differences. `write` gives the words of the scale, which is
    per cent without it.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 1.3 + 0.36 * max(len(names), 2)))[1]
    places = range(len(names))
    ax.hlines(places, lows, highs, color=PRIMARY, linewidth=2.2)
    if zero:
        ax.axvline(0, color=MUTED, linewidth=1)
    ax.plot(rates, places, "o", color=PRIMARY, markersize=7)
    ax.set_yticks(places, labels=list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    for place, note in zip(places, notes, strict=True):
        ax.text(
            1.01,
            place,
            note,
            transform=ax.get_yaxis_transform(),
            va="center",
            color=MUTED,
            fontsize=9,
        )
    ax.xaxis.set_major_formatter(
        PercentFormatter(1, decimals=None) if write is None else lambda value, _: write(value)
    )
    ax.grid(axis="x", color=PALE)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    return ax
