"""Figures as upright bars (columns): alone with a note, in pairs, or as shares of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from cjkit.plots import theme


def draw_columns(
    groups: Sequence[str],
    sizes: ArrayLike,
    notes: Sequence[str],
    *,
    write: Callable[[float], str] = "{:,.6g}".format,
    ax: Axes | None = None,
) -> Axes:
    """Draw one bar for each group from left to right, each with its note on top."""
    ax = ax if ax is not None else plt.subplots()[1]
    bars = ax.bar(range(len(groups)), np.asarray(sizes, dtype=float), 0.7, color=theme.PRIMARY)
    ax.bar_label(bars, labels=list(notes), padding=3, fontsize=9.5, color=theme.INK)
    ax.set_xticks(range(len(groups)), labels=list(groups))
    ax.tick_params(axis="x", length=0)
    ax.yaxis.set_major_formatter(lambda value, _: write(value))
    ax.margins(y=0.1)
    return ax


def draw_column_pairs(
    groups: Sequence[str],
    first: ArrayLike,
    second: ArrayLike,
    *,
    names: tuple[str, str],
    write: Callable[[float], str] = "{:,.6g}".format,
    ax: Axes | None = None,
) -> Axes:
    """Draw two bars for each group from left to right; `write` gives the words of the scale."""
    ax = ax if ax is not None else plt.subplots()[1]
    places = np.arange(len(groups))
    ax.bar(places - 0.2, first, 0.4, color=theme.COMPARED, label=names[0])
    ax.bar(places + 0.2, second, 0.4, color=theme.PRIMARY, label=names[1])
    ax.set_xticks(places, labels=list(groups))
    ax.tick_params(axis="x", length=0)
    ax.yaxis.set_major_formatter(lambda value, _: write(value))
    ax.grid(axis="y", color=theme.PALE)
    ax.set_axisbelow(True)
    ax.legend()
    return ax


def draw_density(
    edges: ArrayLike,
    observed: ArrayLike,
    expected: ArrayLike,
    *,
    names: tuple[str, str],
    write: Callable[[float], str],
    ax: Axes | None = None,
) -> Axes:
    """Draw shares as joined bars between `edges`, and the expected shares as a curve over them."""
    ax = ax if ax is not None else plt.subplots()[1]
    limits = np.asarray(edges, dtype=float)
    ax.stairs(
        np.asarray(observed, dtype=float),
        limits,
        fill=True,
        color=theme.COMPARED,
        alpha=0.7,
        label=names[0],
    )
    ax.plot((limits[:-1] + limits[1:]) / 2, expected, color=theme.PRIMARY, lw=2, label=names[1])
    ax.xaxis.set_major_formatter(lambda value, _: write(value))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax
