"""How pictures look: colours, fonts and sizes. Words are drawn as text, so that SVG keeps them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import matplotlib_fontja
from cycler import cycler
from matplotlib import font_manager
from matplotlib.figure import Figure

from cjkit.labels import Language

INK = "#22303C"
MUTED = "#5B6773"
LINE = "#CBD2D9"
PALE = "#E8EDF1"

# Okabe and Ito's colours, told apart by colour-blind readers; yellow last, since it is faint.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F", "#F0E442")
PRIMARY = PALETTE[0]
COMPARED = "#9AA7B3"
GOOD = "#00795A"
BAD = "#B5401B"
SEQUENTIAL = "Blues"
DIVERGING = "PuOr"

STAGE_COLOURS = {
    "awareness": "#4B86B4",
    "interest": "#2F8F9D",
    "consideration": "#3A9273",
    "purchase": "#C98A1B",
    "retention": "#8A6FB0",
    "loyalty": "#B0558F",
    "advocacy": "#C65D4A",
}

# IPAexGothic has every Japanese glyph and comes with matplotlib-fontja, so that pictures look the
# same on every machine; DejaVu Sans comes with matplotlib.
FONTS: dict[Language, tuple[str, str]] = {
    "en": ("DejaVu Sans", "IPAexGothic"),
    "ja": ("IPAexGothic", "DejaVu Sans"),
}

# IPAexGothic has no bold weight, and matplotlib says so at every bold text.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


@contextmanager
def theme(language: Language = "en") -> Iterator[None]:
    """Draw in cjkit's style with the fonts of `language`, and restore what was set before."""
    import seaborn as sns

    known = {font.name for font in font_manager.fontManager.ttflist}
    if "IPAexGothic" not in known:
        font_manager.fontManager.addfont(font_file("IPAexGothic"))
    with mpl.rc_context():
        sns.set_theme(style="white")
        # After set_theme, which resets the fonts.
        mpl.rcParams.update(
            {
                "font.family": list(FONTS[language]),
                "font.size": 10.5,
                "axes.unicode_minus": False,
                "axes.prop_cycle": cycler(color=PALETTE),
                "axes.edgecolor": LINE,
                "axes.labelcolor": MUTED,
                "axes.labelsize": 10,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.titlelocation": "left",
                "axes.titlesize": 12,
                "axes.titlepad": 12,
                "text.color": INK,
                "xtick.color": MUTED,
                "ytick.color": MUTED,
                "xtick.labelsize": 9.5,
                "ytick.labelsize": 9.5,
                "legend.frameon": False,
                "legend.fontsize": 9.5,
                "figure.dpi": 110,
                "figure.figsize": (9.0, 4.4),
                "figure.facecolor": "white",
                "figure.constrained_layout.use": True,
                "savefig.facecolor": "white",
                "svg.fonttype": "none",
                "svg.hashsalt": "cjkit",
            }
        )
        yield


def lay_out(figure: Figure) -> None:
    """Lay a figure out once for all, and move titles to the left that would end beyond its edge.

    A title begins where the axes begin, which is far to the right where names are long. A figure
    that lays itself out does so anew whenever it is drawn, which is half of the work.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        with mpl.rc_context({"figure.constrained_layout.use": False}):
            figure.set_layout_engine(None)
    for ax in figure.axes:
        title = ax.set_title(ax.get_title(loc="left"), loc="left")
        beyond = title.get_window_extent().x1 - figure.bbox.x1
        if beyond > 0:
            title.set_x(-min(beyond + 8, ax.bbox.x0) / ax.bbox.width)


def font_file(family: str) -> str:
    """Return the path of the file of a font family that cjkit draws with."""
    if family == "IPAexGothic":
        return str(matplotlib_fontja.get_font_ttf_path())
    return font_manager.findfont(family)


def colours(count: int) -> Sequence[str]:
    """Return `count` colours for things without an order.

    When the palette runs out it repeats, each time halfway darker.
    """
    found = []
    for darker, place in (divmod(number, len(PALETTE)) for number in range(count)):
        red, green, blue = (part / 2**darker for part in mpl.colors.to_rgb(PALETTE[place]))
        found.append(mpl.colors.to_hex((red, green, blue)).upper())
    return found
