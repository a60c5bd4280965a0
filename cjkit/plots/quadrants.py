"""Points on two scales, each with its intervals, and the corners that matter named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cjkit.plots.theme import INK, MUTED, PALE, PRIMARY

_SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 4), (-1, 4), (1, -4), (-1, -4))
"""Where a name may stand: to the right or left of its point, above or below it."""


def draw_quadrants(
    names: Sequence[str],
    across: Sequence[Sequence[float]],
    up: Sequence[Sequence[float]],
    strong: Sequence[bool],
    *,
    middle: float,
    corners: tuple[str, str],
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw one point for each name; `across` and `up` hold their values, lows and highs.

    Lines stand at `middle` across and at 0 up, `corners` name what lies above, left and right of
    the former. Points that are not `strong` are pale.
    """
    if ax is None:
        ax = plt.subplots(figsize=(9, 5.6))[1]
    ax.axvline(middle, color=MUTED, linewidth=1)
    ax.axhline(0, color=MUTED, linewidth=1)
    rows = zip(strong, zip(*across, strict=True), zip(*up, strict=True), strict=True)
    for is_strong, (x, left, right), (y, low, high) in rows:
        colour = PRIMARY if is_strong else MUTED
        ax.plot([left, right], [y, y], color=colour, alpha=0.35, linewidth=1.6)
        ax.plot([x, x], [low, high], color=colour, alpha=0.35, linewidth=1.6)
        ax.plot(x, y, "o", color=colour, markersize=8)
    ax.margins(0.2)
    _write_names(ax, names, across[0], up[0])
    for corner, place, side in zip(corners, (0.01, 0.99), ("left", "right"), strict=True):
        ax.text(place, 0.985, corner, transform=ax.transAxes, ha=side, va="top", color=MUTED)
    ax.xaxis.set_major_formatter(lambda value, _: write(value))
    ax.yaxis.set_major_formatter(lambda value, _: write(value))
    ax.grid(color=PALE)
    ax.set_axisbelow(True)
    return ax


def _write_names(
    ax: Axes, names: Sequence[str], across: Sequence[float], up: Sequence[float]
) -> None:
    """Write each name beside its point, on the first side where it covers no other."""
    taken: list[Any] = []
    for name, x, y in zip(names, across, up, strict=True):
        for side, (right, above) in enumerate(_SIDES, 1):
            note = ax.annotate(
                name,
                (x, y),
                (7 * right, 5 * above),
                textcoords="offset points",
                ha="left" if right > 0 else "right",
                va="bottom" if above > 0 else "top",
                fontsize=9,
                color=INK,
            )
            box = note.get_window_extent()
            if side == len(_SIDES) or not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()
