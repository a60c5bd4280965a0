"""A table of figures drawn as coloured cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from cjkit.plots import theme

MOST_WRITTEN = 400
MOST_COLUMNS_WRITTEN = 26


def draw_heat(
    values: NDArray[np.float64],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    write: Callable[[float], str],
    diverging: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw one cell for each figure, first row at the top; a missing one stays empty.

    With `diverging` figures below and above 0 have colours of their own.

    Figures are written into the cells as `write` gives them, in ink that the colour lets one read;
    with more than 400 figures or 26 columns a colour bar stands beside them instead.
    """
    if ax is None:
        height = min(1.6 + 0.34 * len(rows), 10)
        ax = plt.subplots(figsize=(9, height))[1]
    if not values.size:
        ax.set_axis_off()
        return ax
    known = values[np.isfinite(values)]
    most = max(float(np.abs(known).max()), 1e-12) if len(known) else 1.0
    scale = Normalize(-most if diverging else 0, most)
    palette = theme.DIVERGING if diverging else theme.SEQUENTIAL
    image = ax.imshow(np.ma.masked_invalid(values), cmap=palette, norm=scale, aspect="auto")
    if known.size <= MOST_WRITTEN and len(columns) <= MOST_COLUMNS_WRITTEN:
        colour_map = mpl.colormaps[palette]
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                red, green, blue, _ = colour_map(scale(value))
                is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
                ax.text(
                    column,
                    row,
                    write(float(value)),
                    ha="center",
                    va="center",
                    fontsize=8.5 if len(columns) <= 18 else 7,
                    color="white" if is_dark else theme.INK,
                )
    else:
        bar = ax.figure.colorbar(image, ax=ax, format=lambda value, _: write(value), pad=0.02)
        bar.outline.set_visible(False)
    ax.set_xticks(_spread(len(columns)), labels=[columns[at] for at in _spread(len(columns))])
    ax.set_yticks(_spread(len(rows)), labels=[rows[at] for at in _spread(len(rows))])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _spread(count: int, most: int = 26) -> range:
    """Return places of ticks: all, or evenly spread ones where there is no room for all."""
    return range(0, count, -(-count // most) if count else 1)
