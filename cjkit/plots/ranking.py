"""Things beside each other by size: plain bars from the left."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cjkit.plots.theme import INK, MUTED, PRIMARY


def draw_ranking(
    names: Sequence[str],
    sizes: Sequence[float],
    notes: Sequence[str],
    *,
    mark: tuple[float, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one horizontal bar for each name, first at the top, each with its note at the end.

    `mark` is a size at which a vertical line stands, and its words.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 0.7 + 0.36 * len(names)))[1]
    bars = ax.barh(range(len(names)), sizes, height=0.62, color=PRIMARY)
    written = ax.bar_label(bars, labels=list(notes), padding=5, fontsize=9.5, color=INK)
    ax.set_yticks(range(len(names)), labels=list(names))
    ax.invert_yaxis()
    ax.set_xlim(0, max(sizes, default=1) * 1.3 or 1)
    ax.set_xticks([])
    if mark is not None:
        ax.axvline(mark[0], color=MUTED, linewidth=1, linestyle=":", zorder=0)
        for note in written:
            note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
        ax.set_xticks([mark[0]], labels=[mark[1]])
        ax.xaxis.tick_top()
        ax.tick_params(axis="x", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax
