"""Small lines in a grid: how many figures went, at one glance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from cjkit.plots.theme import BAD, INK, PRIMARY

_LEAST_SPAN = 0.02


def draw_small_lines(
    lines: Sequence[Sequence[ArrayLike | None]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    marked: Sequence[Sequence[bool]],
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw one line in each cell, oldest value first, with its newest value beside it.

    All lines share one scale of change, each in the middle of its cell, so that one that moves is
    seen among many that do not. Cells that are `marked` have a frame, and None stays empty.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 0.9 + 0.36 * len(rows)))[1]
    cells = [
        (row, column, np.asarray(line, dtype=float))
        for row, given in enumerate(lines)
        for column, line in enumerate(given)
        if line is not None
    ]
    span = max((float(np.ptp(line[np.isfinite(line)])) for _, _, line in cells), default=0.0)
    for row, column, line in cells:
        is_marked = marked[row][column]
        colour = BAD if is_marked else PRIMARY
        x = column - 0.44 + 0.44 * np.linspace(0, 1, len(line)) if len(line) > 1 else [column]
        middle = (np.nanmax(line) + np.nanmin(line)) / 2
        y = row - 0.64 * (line - middle) / max(span, _LEAST_SPAN)
        ax.plot(x, y, color=colour, lw=1.5)
        ax.plot(x[-1], y[-1], "o", color=colour, markersize=3.5)
        ax.text(column + 0.07, row, write(float(line[-1])), va="center", color=INK, fontsize=9)
        if is_marked:
            corner = (column - 0.49, row - 0.47)
            ax.add_patch(Rectangle(corner, 0.98, 0.94, fill=False, ec=BAD, lw=1.8))
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), labels=list(columns))
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(rows)), labels=list(rows))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
