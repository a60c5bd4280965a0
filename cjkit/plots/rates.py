"""Rates with what is known of them: points with intervals, and lines over time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cjkit.plots.theme import COMPARED, MUTED, PALE, PRIMARY


def draw_rates(
    names: Sequence[str],
    rates: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    notes: Sequence[str],
    *,
    compared: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one point with its interval for each name, first at the top, with a note at the right.

    `compared` are further rates, drawn as a pale mark beside each point.
    """
    ax = ax if ax is not None else plt.gca()
    places = range(len(names))
    ax.hlines(places, lows, highs, color=PRIMARY, linewidth=2.2)
    if compared is not None:
        ax.plot(compared, places, "|", color=COMPARED, markersize=15, markeredgewidth=3)
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
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.grid(axis="x", color=PALE)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    return ax
