"""A flow in steps (alluvial): columns of places joined by ribbons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from cjkit.plots import theme

Ribbon = tuple[int, str, str, float]
"""Step of the origin, origin, target, size; the target stands one step later."""

_WIDTH = 0.11
_GAP = 0.022
_BEHIND = {"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.6}


def draw_flow(
    ribbons: Sequence[Ribbon],
    *,
    order: Sequence[str],
    faded: Collection[str],
    names: Mapping[str, str],
    name_step: Callable[[int], str],
    write: Callable[[float], str],
    sizes: Mapping[tuple[int, str], float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw each step as a column of places, in one order everywhere, and each move as a ribbon.

    Parameters
    ----------
    ribbons : sequence of (step, origin, target, size)
    order : sequence of str
        All places, top to bottom.
    faded : collection of str
        Places that take no colour of their own: ends, and the rest.
    names : mapping from place to its words
    name_step, write : callables
        The words above a step's column, and those of a place's share of the largest column.
    sizes : mapping from (step, place) to size, optional
        Of places that are larger than their ribbons, as where some must not be shown.
    """
    if ax is None:
        ax = plt.subplots(figsize=(10.5, 5.2))[1]
    ax.axis("off")
    if not ribbons:
        return ax
    coloured = [place for place in order if place not in faded]
    colours = dict(zip(coloured, theme.colours(len(coloured)), strict=True))
    columns = _sizes(ribbons, sizes or {})
    whole = max(sum(column.values()) for column in columns.values())
    tops = {
        step: _stack({place: column[place] for place in order if place in column}, whole)
        for step, column in columns.items()
    }
    _draw_ribbons(ax, ribbons, order, colours, tops, whole)
    for step, column in columns.items():
        for place, size in column.items():
            height, top = size / whole, tops[step][place]
            colour = colours.get(place, theme.LINE)
            ax.add_patch(Rectangle((step, top - height), _WIDTH, height, color=colour, lw=0))
            if height >= 0.018:
                words = f"{names.get(place, place)}  {write(height)}"
                ax.text(
                    step + _WIDTH + 0.025,
                    top - height / 2,
                    words,
                    va="center",
                    fontsize=8.5,
                    bbox=_BEHIND,
                )
    first, last = min(columns), max(columns)
    for step in range(first, last + 1):
        ax.text(step, 1.05, name_step(step), fontsize=9, color=theme.MUTED)
    lowest = min(
        top - columns[step][place] / whole
        for step, column in tops.items()
        for place, top in column.items()
    )
    ax.set_xlim(first - 0.02, last + 0.72)
    ax.set_ylim(lowest - 0.02, 1.1)
    return ax


def _sizes(
    ribbons: Sequence[Ribbon], known: Mapping[tuple[int, str], float]
) -> dict[int, dict[str, float]]:
    """Return how large each place is at each step: as known, or what comes in or goes out."""
    going: dict[tuple[int, str], float] = defaultdict(float)
    coming: dict[tuple[int, str], float] = defaultdict(float)
    for step, origin, target, size in ribbons:
        going[step, origin] += size
        coming[step + 1, target] += size
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for step, place in sorted({*going, *coming, *known}):
        flows = max(going[step, place], coming[step, place])
        found[step][place] = known.get((step, place), flows)
    return found


def _stack(column: dict[str, float], whole: float) -> dict[str, float]:
    """Return the upper edge of each place of a column, one below another."""
    edges, edge = {}, 1.0
    for place, size in column.items():
        edges[place] = edge
        edge -= size / whole + _GAP
    return edges


def _draw_ribbons(
    ax: Axes,
    ribbons: Sequence[Ribbon],
    order: Sequence[str],
    colours: Mapping[str, str],
    tops: Mapping[int, Mapping[str, float]],
    whole: float,
) -> None:
    """Draw the ribbons in the order of both columns, so that they cross as little as can be."""
    rank = {place: number for number, place in enumerate(order)}
    leaving = {step: dict(column) for step, column in tops.items()}
    arriving = {step: dict(column) for step, column in tops.items()}
    for step, origin, target, size in sorted(
        ribbons, key=lambda ribbon: (ribbon[0], rank[ribbon[1]], rank[ribbon[2]])
    ):
        height = size / whole
        left, right = leaving[step][origin], arriving[step + 1][target]
        leaving[step][origin] -= height
        arriving[step + 1][target] -= height
        start, end = step + _WIDTH, step + 1
        middle = (start + end) / 2
        points = [
            (start, left), (middle, left), (middle, right), (end, right),
            (end, right - height), (middle, right - height), (middle, left - height),
            (start, left - height), (start, left),
        ]  # fmt: skip
        curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        colour = colours.get(target if target in colours else origin, theme.LINE)
        if target not in colours:
            colour = theme.LINE
        ax.add_patch(PathPatch(Path(points, curve), fc=colour, ec="none", alpha=0.42))
