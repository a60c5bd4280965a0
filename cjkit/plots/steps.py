"""Steps one below another: bars that shrink."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cjkit.plots.theme import INK, PALE, PRIMARY


def draw_steps(
    names: Sequence[str], sizes: Sequence[float], notes: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draw one horizontal bar for each step, first at the top, each with its note at the end.

    What a step has less than the one before is drawn pale behind it, so that losses are seen.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 0.6 + 0.6 * len(names)))[1]
    places = range(len(names))
    ax.barh(places, [sizes[max(0, place - 1)] for place in places], height=0.62, color=PALE)
    bars = ax.barh(places, sizes, height=0.62, color=PRIMARY)
    widest = max((size for size in sizes if size == size), default=1) or 1
    for bar, size, note, behind in zip(
        bars, sizes, notes, [sizes[max(0, place - 1)] for place in places], strict=True
    ):
        end = max(value for value in (size, behind, 0) if value == value)
        ax.text(
            end + 0.012 * widest,
            bar.get_y() + bar.get_height() / 2,
            note,
            va="center",
            color=INK,
            fontsize=9.5,
        )
    ax.set_yticks(places, labels=list(names))
    ax.invert_yaxis()
    ax.set_xlim(0, widest * 1.42)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax
