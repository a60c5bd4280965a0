"""Scores near 1: the cells that fall short stand out, the rest stays quiet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from cjkit.plots.theme import BAD, INK

_LEAST_SPAN = 0.1


def draw_scores(
    scores: NDArray[np.float64],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    marked: NDArray[np.bool_],
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw one cell for each score (0 to 1), the darker the further below 1; first row at the top.

    Cells that are `marked` have a frame; missing scores stay empty.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 0.9 + 0.34 * len(rows)))[1]
    lack = 1 - scores
    known = lack[np.isfinite(lack)]
    scale = Normalize(0, max(float(known.max(initial=0)), _LEAST_SPAN))
    ax.imshow(np.ma.masked_invalid(lack), cmap="OrRd", norm=scale, aspect="auto", alpha=0.85)
    for (row, column), score in np.ndenumerate(scores):
        if np.isfinite(score):
            red, green, blue, _ = mpl.colormaps["OrRd"](scale(1 - score))
            is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            ax.text(
                column,
                row,
                write(float(score)),
                ha="center",
                va="center",
                fontsize=9,
                color="white" if is_dark else INK,
            )
        if marked[row, column]:
            corner = (column - 0.49, row - 0.48)
            ax.add_patch(Rectangle(corner, 0.98, 0.96, fill=False, ec=BAD, lw=1.8))
    ax.set_xticks(range(len(columns)), labels=list(columns))
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(rows)), labels=list(rows))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
