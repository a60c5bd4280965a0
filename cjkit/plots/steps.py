"""Steps one below another: bars that shrink."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cjkit.plots.theme import INK, PALE, PRIMARY


def draw_steps(
    names: Sequence[str],
    sizes: Sequence[float],
    notes: Sequence[str],
    *,
    behind: Sequence[float],
    ax: Axes | None = None,
) -> Axes:
    """Draw one horizontal bar for each step, first at the top, each with its note at the end.

    A pale bar of the size `behind` stands behind each, so that losses are seen.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 0.6 + 0.6 * len(names)))[1]
    places = range(len(names))
    ax.barh(places, behind, height=0.62, color=PALE)
    ax.barh(places, sizes, height=0.62, color=PRIMARY)
    widest = max((size for size in sizes if size == size), default=1) or 1
    for place, (size, pale, note) in enumerate(zip(sizes, behind, notes, strict=True)):
        end = max(value for value in (size, pale, 0) if value == value)
        ax.text(end + 0.012 * widest, place, note, va="center", color=INK, fontsize=9.5)
    ax.set_yticks(places, labels=list(names))
    ax.invert_yaxis()
    ax.set_xlim(0, widest * 1.42)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax
