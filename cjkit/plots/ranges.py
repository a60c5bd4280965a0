"""Ranges of a positive quantity that may differ a thousandfold, such as times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from cjkit.plots.theme import INK, PALE, PRIMARY


def draw_ranges(
    names: Sequence[str],
    lows: ArrayLike,
    middles: ArrayLike,
    highs: ArrayLike,
    *,
    ticks: Mapping[int, str],
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw a bar from low to high for each name with its middle as a mark, on a logarithmic scale.

    All values are 0 or more; missing ones leave their place empty. First name at the top. Of
    `ticks`, those that lie in the picture are marked.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 1.2 + 0.42 * len(names)))[1]
    low, middle, high = (np.asarray(values, dtype=float) for values in (lows, middles, highs))
    known = np.isfinite(middle)
    least = np.min(middle[known & (middle > 0)], initial=np.inf)
    floor = least / 20 if np.isfinite(least) else 1.0
    low, middle, high = (np.maximum(values, floor) for values in (low, middle, high))
    places = np.arange(len(names))
    ax.barh(places, high - low, left=low, height=0.5, color=PRIMARY, alpha=0.35)
    ax.plot(middle, places, "|", color=PRIMARY, markersize=17, markeredgewidth=3)
    for place in places[known]:
        ax.annotate(
            write(float(np.asarray(middles, dtype=float)[place])),
            (high[place], place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    ax.set_xscale("log")
    if known.any():
        left, right = np.min(low[known]) / 1.6, np.max(high[known]) * 3
        shown = {tick: words for tick, words in ticks.items() if left <= tick <= right}
        ax.set_xticks(list(shown), labels=list(shown.values()))
        ax.set_xlim(left, right)
    ax.minorticks_off()
    ax.set_yticks(places, labels=list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="x", color=PALE)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    return ax
