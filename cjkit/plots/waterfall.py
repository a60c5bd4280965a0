"""How one number becomes another: what is taken away and added, bar by bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cjkit.plots.theme import COMPARED, INK, LINE, MUTED, PALETTE, PRIMARY

# A lighter blue than that of totals: told apart by its lightness, whatever colours a reader sees.
ADDED = PALETTE[4]


def draw_waterfall(
    names: Sequence[str],
    changes: Sequence[float],
    totals: Sequence[bool],
    *,
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw what begins as a total, and what each change makes of it, first at the top.

    Every bar has its figure, with its sign where it is a change.

    Parameters
    ----------
    names : sequence of str
    changes : sequence of float
        The amount of a total, else what is added or, below 0, taken away.
    totals : sequence of bool
        Which bars stand on the ground: a total is the sum of all changes before it.
    write : callable
        Writes an amount.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 0.9 + 0.42 * len(names)))[1]
    level, levels = 0.0, [0.0]
    for change, is_total in zip(changes, totals, strict=True):
        level = change if is_total else level + change
        levels.append(level)
    widest = max(levels) or 1.0
    for place, (change, is_total) in enumerate(zip(changes, totals, strict=True)):
        start, level = 0.0 if is_total else levels[place], levels[place + 1]
        colour = PRIMARY if is_total else ADDED if change > 0 else COMPARED
        ax.barh(place, change, left=start, height=0.62, color=colour)
        sign = "" if is_total or not change else "+" if change > 0 else "−"
        ax.text(
            max(start, level) + 0.012 * widest,
            place,
            sign + write(abs(change)),
            va="center",
            color=INK,
            fontsize=9.5,
            fontweight="bold" if is_total else None,
        )
        if place + 1 < len(names):
            ax.plot([level, level], [place, place + 1], color=LINE, lw=1, zorder=0)
    ax.set_yticks(range(len(names)), labels=list(names))
    for tick, is_total in zip(ax.get_yticklabels(), totals, strict=True):
        tick.set_color(INK if is_total else MUTED)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(0, widest * 1.16)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax
