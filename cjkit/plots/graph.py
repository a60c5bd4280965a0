"""A graph of places on a ring, joined by arrows as wide as the moves are many."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from cjkit.plots import theme

Edge = tuple[str, str, float, str]
"""Origin, target, size, and the words beside the arrow (empty: none)."""

_WIDEST = 7.0
_LARGEST = 0.17
_SMALLEST = 0.05
_BEND = -0.22


def draw_graph(
    edges: Sequence[Edge],
    *,
    sizes: Mapping[str, float],
    names: Mapping[str, str],
    backward: Collection[tuple[str, str]] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw the places clockwise from the top, and an arrow for each edge, bent to the left.

    Parameters
    ----------
    edges : sequence of (origin, target, size, words)
    sizes : mapping from place to how large its disc is, in the order of the ring
    names : mapping from place to its words
    backward : collection of (origin, target)
        Edges in the colour of what goes wrong.
    """
    if ax is None:
        ax = plt.subplots(figsize=(8.2, 6.4))[1]
    ax.axis("off")
    ax.set_aspect("equal")
    ax.set_xlim(-1.75, 1.75)
    ax.set_ylim(-1.35, 1.5)
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(sizes)) / max(len(sizes), 1)
    spots = dict(zip(sizes, np.column_stack([np.cos(angles), np.sin(angles)]), strict=True))
    most = max(sizes.values(), default=1) or 1
    radii = {
        place: max(_LARGEST * (size / most) ** 0.5, _SMALLEST) for place, size in sizes.items()
    }
    widest = max((size for *_, size, _ in edges), default=1) or 1
    for origin, target, size, words in sorted(edges, key=lambda edge: edge[2]):
        start, end = spots[origin], spots[target]
        along = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
        colour = theme.BAD if (origin, target) in backward else theme.PRIMARY
        arrow = FancyArrowPatch(
            tuple(start + along * radii[origin]),
            tuple(end - along * (radii[target] + 0.02)),
            connectionstyle=f"arc3,rad={_BEND}",
            arrowstyle="-|>",
            mutation_scale=9 + 9 * size / widest,
            lw=max(_WIDEST * size / widest, 0.7),
            color=colour,
            alpha=0.35 + 0.4 * size / widest,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
        ax.add_patch(arrow)
        if words:
            # Nearer to the origin than to the target, since arrows meet in the middle.
            turned = np.array([-(end - start)[1], (end - start)[0]])
            corner = (start + end) / 2 - _BEND * turned
            t = 0.36
            x, y = (1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end
            box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
            ax.text(
                x, y, words, ha="center", va="center", fontsize=8, color=colour, bbox=box, zorder=3
            )
    for place, (x, y) in spots.items():
        ax.add_patch(Circle((x, y), radii[place], fc=theme.INK, ec="white", lw=1.5, zorder=2))
        out = 1 + (radii[place] + 0.07)
        side = "left" if x > 0.12 else "right" if x < -0.12 else "center"
        ax.text(
            x * out,
            y * out + (0.03 * np.sign(y) if side == "center" else 0),
            names.get(place, place),
            ha=side,
            va="bottom" if side == "center" and y > 0 else "top" if side == "center" else "center",
            fontsize=9.5,
            zorder=4,
        )
    return ax
