"""How one number becomes another: what is taken away and added, bar by bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cjkit.plots.theme import COMPARED, GOOD, INK, LINE, PRIMARY


def draw_waterfall(
    names: Sequence[str],
    changes: Sequence[float],
    totals: Sequence[bool],
    *,
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw what begins as a total, and what each change makes of it, first at the top.

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
        ax = plt.subplots(figsize=(9, 0.9 + 0.46 * len(names)))[1]
    level, widest = 0.0, max((abs(change) for change in changes), default=1) or 1
    for place, (change, is_total) in enumerate(zip(changes, totals, strict=True)):
        start = 0.0 if is_total else level
        level = start + change
        colour = PRIMARY if is_total else GOOD if change > 0 else COMPARED
        ax.barh(place, change, left=start, height=0.62, color=colour)
        sign = "+" if change > 0 and not is_total else "−" if change < 0 else ""
        note = sign + write(abs(change))
        ax.text(
            max(start, level) + 0.012 * widest, place, note, va="center", color=INK, fontsize=9.5
        )
        if place + 1 < len(names):
            ax.plot([level, level], [place, place + 1], color=LINE, lw=1, zorder=0)
    ax.set_yticks(range(len(names)), labels=list(names))
    ax.invert_yaxis()
    ax.set_xlim(0, widest * 1.18)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax
