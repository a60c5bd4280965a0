"""Sequences: each a row of named boxes, with figures at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from cjkit.plots import theme

_MOST_COLOURS = len(theme.PALETTE) - 2


def draw_sequences(
    sequences: Sequence[Sequence[str]],
    *,
    names: Mapping[str, str],
    nothing: str,
    notes: Sequence[Sequence[str]],
    heads: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw one row for each sequence, first at the top: a box for each of its places.

    Parameters
    ----------
    sequences : sequence of sequences of places
    names : mapping from place to its words
    nothing : str
        The words of an empty sequence.
    notes : sequence of columns
        Columns of figures to stand before the boxes, each with a note for each sequence.
    heads : sequence of str
        The words above each column of notes.
    """
    if ax is None:
        ax = plt.subplots(figsize=(10.5, 0.9 + 0.42 * max(len(sequences), 1)))[1]
    ax.axis("off")
    seen = Counter(place for sequence in sequences for place in set(sequence))
    common = [place for place, _ in seen.most_common(_MOST_COLOURS)]
    colours = dict(zip(common, theme.colours(len(common)), strict=True))
    widest = max((len(sequence) for sequence in sequences), default=1) or 1
    margin = [0.0, *(0.9 + 1.1 * number for number in range(len(notes)))][-1] + 0.6
    for row, sequence in enumerate(sequences):
        for number, column in enumerate(notes):
            right = 0.8 + 1.25 * number if number else 0.55
            ax.text(right, row, column[row], ha="right", va="center", fontsize=9)
        if not sequence:
            ax.text(
                margin, row, nothing, va="center", fontsize=9, color=theme.MUTED, style="italic"
            )
        for place, value in enumerate(sequence):
            left = margin + place
            box = FancyBboxPatch(
                (left, row - 0.32), 0.9, 0.64,
                boxstyle="round,pad=0,rounding_size=0.08",
                fc=colours.get(value, theme.MUTED), ec="none", alpha=0.22,
            )  # fmt: skip
            ax.add_patch(box)
            ax.text(
                left + 0.45, row, names.get(value, value),
                ha="center", va="center", fontsize=8.5, clip_on=True,
            )  # fmt: skip
    for number, head in enumerate(heads[: len(notes)]):
        right = 0.8 + 1.25 * number if number else 0.55
        ax.text(right, -0.75, head, ha="right", va="center", fontsize=8.5, color=theme.MUTED)
    ax.set_xlim(-0.1, margin + widest)
    ax.set_ylim(len(sequences) - 0.4, -1.1)
    return ax
