"""Named areas over a grid of cells."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cjkit.plots.theme import INK

Region = tuple[str, tuple[int, int], tuple[int, int]]
"""A name, its first and last column, its first and last row, counted from 0 at the top left."""


def draw_regions(regions: Sequence[Region], *, ax: Axes) -> Axes:
    """Draw a frame around each region, with its name in the upper left corner."""
    for name, (left, right), (top, bottom) in regions:
        ax.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5),
                right - left + 1,
                bottom - top + 1,
                fill=False,
                edgecolor="white",
                linewidth=4,
            )
        )
        ax.annotate(
            name,
            (left - 0.5, top - 0.5),
            xytext=(6, -6),
            textcoords="offset points",
            va="top",
            fontsize=8.5,
            color=INK,
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"},
        )
    return ax
