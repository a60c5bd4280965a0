"""A whole divided into rectangles: area says how many, colour how much each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from cjkit.plots import theme

Box = tuple[float, float, float, float]
"""Left, bottom, width, height."""

_WIDTH, _HEIGHT = 9.0, 4.8


def draw_treemap(
    names: Sequence[str],
    sizes: Sequence[float],
    shades: Sequence[float],
    notes: Sequence[str],
    *,
    scale: str,
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw a rectangle for each name, with its note below the name where there is room.

    `shades` colour the rectangles on the scale that `scale` names and `write` writes.
    """
    if ax is None:
        ax = plt.subplots(figsize=(_WIDTH, _HEIGHT))[1]
    ax.set_axis_off()
    kept = [place for place, size in enumerate(sizes) if np.isfinite(size) and size > 0]
    if not kept:
        return ax
    kept.sort(key=lambda place: -sizes[place])
    boxes = squarify([sizes[place] for place in kept], (0.0, 0.0, _WIDTH, _HEIGHT))
    known = [shades[place] for place in kept if np.isfinite(shades[place])]
    colour_of = Normalize(min(0.0, *known, 0.0), max(known, default=1.0) or 1.0)
    palette = mpl.colormaps[theme.SEQUENTIAL]
    for place, (left, bottom, width, height) in zip(kept, boxes, strict=True):
        shade = shades[place]
        colour = palette(0.12 + 0.8 * colour_of(shade)) if np.isfinite(shade) else theme.PALE
        red, green, blue = mpl.colors.to_rgb(colour)
        is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        ax.add_patch(Rectangle((left, bottom), width, height, fc=colour, ec="white", lw=2))
        words = _fitting(names[place], notes[place], width, height)
        ax.text(
            left + 0.08,
            bottom + height - 0.08,
            words,
            va="top",
            fontsize=9,
            linespacing=1.5,
            color="white" if is_dark else theme.INK,
            clip_on=True,
        )
    ax.set_xlim(0, _WIDTH)
    ax.set_ylim(0, _HEIGHT)
    mappable = mpl.cm.ScalarMappable(colour_of, palette)
    bar = ax.figure.colorbar(mappable, ax=ax, format=lambda value, _: write(value), pad=0.02)
    bar.set_label(scale)
    bar.outline.set_visible(False)
    return ax


def squarify(sizes: Sequence[float], box: Box) -> list[Box]:
    """Divide a box into boxes of areas in proportion to `sizes`, as near to squares as can be.

    Rows are filled along the shorter side as long as the worst ratio of sides falls (Bruls, Huizing
    and van Wijk 2000, Squarified treemaps).

    Parameters
    ----------
    sizes : sequence of float
        Above 0, from the largest down.
    box : left, bottom, width, height

    Examples
    --------
    >>> squarify([2, 1, 1], (0.0, 0.0, 2.0, 1.0))
    [(0.0, 0.0, 1.0, 1.0), (1.0, 0.0, 1.0, 0.5), (1.0, 0.5, 1.0, 0.5)]
    """
    left, bottom, width, height = box
    areas = [size * width * height / sum(sizes) for size in sizes]
    boxes: list[Box] = []
    while areas:
        side = min(width, height)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(
            areas[:count], side
        ):
            count += 1
        depth = sum(areas[:count]) / side
        along = 0.0
        for area in areas[:count]:
            length = area / depth
            if width >= height:
                boxes.append((left, bottom + along, depth, length))
            else:
                boxes.append((left + along, bottom, length, depth))
            along += length
        if width >= height:
            left, width = left + depth, width - depth
        else:
            bottom, height = bottom + depth, height - depth
        areas = areas[count:]
    return boxes


def _worst(areas: Sequence[float], side: float) -> float:
    """Return the worst ratio of sides of a row along `side`."""
    depth = sum(areas) / side
    return max(max(depth * depth / area, area / (depth * depth)) for area in areas)


def _fitting(name: str, note: str, width: float, height: float) -> str:
    """Return the words for which a rectangle has room; wide letters take two places."""
    places = sum(2 if ord(letter) > 0x2E80 else 1 for letter in name)
    room = int((width - 0.12) / 0.085)
    if places > room:
        kept = name[: max(room // (2 if ord(name[0]) > 0x2E80 else 1) - 1, 0)]
        name = f"{kept}…" if kept else ""
    lines = note.splitlines()
    return "\n".join([name, *lines][: max(int((height - 0.08) / 0.22), 0)]) if name else ""
