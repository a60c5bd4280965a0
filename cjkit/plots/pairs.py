"""Bars that stand for shares, two for each name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from cjkit.plots.theme import COMPARED, INK, PRIMARY


def draw_pairs(
    names: Sequence[str],
    first: ArrayLike,
    second: ArrayLike,
    *,
    kinds: tuple[str, str],
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw two horizontal bars for each name, first name at the top, each with its figure.

    `kinds` are the words of the legend for the first (pale) and the second (strong) bar.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 1.2 + 0.52 * len(names)))[1]
    places = np.arange(len(names))
    widest = 0.0
    for values, shift, colour, kind in (
        (first, -0.19, COMPARED, kinds[0]),
        (second, 0.19, PRIMARY, kinds[1]),
    ):
        sizes = np.asarray(values, dtype=float)
        bars = ax.barh(places + shift, np.nan_to_num(sizes), height=0.36, color=colour, label=kind)
        notes = [write(size) if np.isfinite(size) else "–" for size in sizes]
        ax.bar_label(bars, labels=notes, padding=4, fontsize=9, color=INK)
        widest = max(widest, *np.nan_to_num(sizes), 0.0)
    ax.set_yticks(places, labels=list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(min(0.0, ax.get_xlim()[0]), widest * 1.15 or 1)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return ax
