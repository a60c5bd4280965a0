"""Sequences: each a row of named boxes, with figures at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch

from cjkit.plots import theme

_MOST_COLOURS = len(theme.PALETTE) - 2
_FEWEST = 5
_FIRST, _FURTHER = 0.6, 1.15  # where the first column of notes ends, and each further one


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
    widest = max([_FEWEST, *map(len, sequences)])
    rights = [_FIRST + _FURTHER * number for number in range(len(notes))]
    margin = rights[-1] + 0.2 if rights else 0.0
    for row, sequence in enumerate(sequences):
        for right, column in zip(rights, notes, strict=True):
            ax.text(right, row, column[row], ha="right", va="center", fontsize=9)
        if not sequence:
            ax.text(margin, row, nothing, va="center", fontsize=9, color=theme.MUTED)
        for place, value in enumerate(sequence):
            colour = colours.get(value, theme.MUTED)
            box = FancyBboxPatch(
                (margin + place, row - 0.34),
                0.94,
                0.68,
                boxstyle="round,pad=0,rounding_size=0.06",
                fc=to_rgba(colour, 0.2),
                ec="none",
            )
            ax.add_patch(box)
            ax.text(
                margin + place + 0.47,
                row,
                names.get(value, value),
                ha="center",
                va="center",
                fontsize=8.5,
            )
    for right, head in zip(rights, heads, strict=False):
        ax.text(right, -0.75, head, ha="right", va="center", fontsize=8.5, color=theme.MUTED)
    ax.set_xlim(-0.05, margin + widest)
    ax.set_ylim(len(sequences) - 0.4, -1.1)
    return ax
