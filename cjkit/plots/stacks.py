"""Columns made of parts, one on another: how a whole is divided, over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from cjkit.plots.theme import INK

_LEAST_WRITTEN = 0.06


def draw_stacks(
    names: Sequence[str],
    parts: Sequence[tuple[str, NDArray[np.float64], str]],
    *,
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw a column for each name, made of a part (0 to 1) of each kind, the first at the bottom.

    A kind has its name, its parts and its colour. Missing parts are left open; those of 6% and more
    have their figure in them.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 4.6))[1]
    places = np.arange(len(names))
    floor = np.zeros(len(names))
    for kind, sizes, colour in parts:
        known = np.nan_to_num(sizes)
        red, green, blue = to_rgb(colour)
        ink = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else INK
        ax.bar(places, known, bottom=floor, width=0.78, color=colour, label=kind)
        for place, size in enumerate(known):
            if size >= _LEAST_WRITTEN:
                ax.text(
                    place,
                    floor[place] + size / 2,
                    write(float(size)),
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    color=ink,
                )
        floor += known
    ax.set_xticks(places, labels=list(names))
    ax.tick_params(length=0)
    ax.set_yticks([])
    ax.set_ylim(0, 1.0)
    ax.spines[:].set_visible(False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=True)
    return ax
