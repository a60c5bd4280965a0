"""Curves over one scale, with intervals and names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from cjkit.plots import theme


@dataclass(frozen=True, eq=False)
class Line:
    """A curve: its points, its name and, where it has one, its interval. `style` is '-' or '--'."""

    x: ArrayLike
    y: ArrayLike
    name: str
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    style: str = "-"


def draw_lines(
    lines: Sequence[Line],
    *,
    write: Callable[[float], str],
    shaded: bool = False,
    mark: tuple[Any, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw curves; `write` gives the words of the vertical scale.

    With `shaded` the lines are an ordered family: colours run from dark (first) to light (last) and
    the names of at most five stand in the legend. `mark` is a place on the horizontal scale
    (a number or a day) at which a vertical line stands, and its words.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    if shaded:
        shades = mpl.colormaps["cividis"](np.linspace(0, 0.9, max(len(lines), 2)))
        named = {round(at) for at in np.linspace(0, len(lines) - 1, min(len(lines), 5))}
    else:
        shades = np.array([mpl.colors.to_rgba(colour) for colour in theme.colours(len(lines))])
        named = set(range(len(lines)))
    for place, (line, colour) in enumerate(zip(lines, shades, strict=False)):
        y = np.asarray(line.y, dtype=float)
        lonely = _without_neighbours(y)
        ax.plot(
            line.x,
            y,
            line.style,
            color=colour,
            linewidth=1.4 if shaded else 2,
            marker="o" if lonely else None,
            markevery=lonely,
            markersize=4,
            label=line.name if place in named else "_",
        )
        if line.low is not None and line.high is not None:
            low, high = np.asarray(line.low, dtype=float), np.asarray(line.high, dtype=float)
            ax.fill_between(line.x, low, high, color=colour, alpha=0.18, linewidth=0)
            alone = np.asarray(line.x)[lonely]
            ax.vlines(alone, low[lonely], high[lonely], color=colour, alpha=0.35, linewidth=3)
    if mark is not None:
        ax.axvline(mark[0], color=theme.MUTED, linewidth=1, linestyle=":")
        ax.annotate(
            mark[1],
            (mark[0], 1),
            xycoords=("data", "axes fraction"),
            xytext=(5, -4),
            textcoords="offset points",
            va="top",
            fontsize=9,
            color=theme.MUTED,
        )
    if all(np.issubdtype(np.asarray(line.x).dtype, np.integer) for line in lines):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(lambda value, _: write(value))
    if lines:
        ax.legend(loc="best")
    return ax


def _without_neighbours(y: NDArray[np.float64]) -> list[int]:
    """Return the places of values between two missing ones, which no line would show."""
    known = np.isfinite(y)
    before, after = np.r_[False, known[:-1]], np.r_[known[1:], False]
    return [int(place) for place in np.flatnonzero(known & ~before & ~after)]
