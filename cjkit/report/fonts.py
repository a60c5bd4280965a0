"""The fonts of a page: only the glyphs that it needs, inside the page itself.

Pictures are drawn with these fonts, so that their text stands where it was measured; to prose they
are the last resort of a machine that has no Japanese font of its own.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from functools import cache
from html import unescape

from fontTools import subset
from fontTools.ttLib import TTFont

from cjkit.labels import Language
from cjkit.plots.theme import FONTS, font_file


def page_fonts(html: str, language: Language) -> str:
    """Return the style rules that hold a page's fonts, cut to the characters of the page.

    The language's own font comes first; the other one is added for characters that it lacks.
    """
    wanted = {ord(character) for character in unescape(html) if character >= " "}
    faces = []
    for family in FONTS[language]:
        held = wanted & _glyphs(family)
        wanted -= held
        if held:
            data = base64.b64encode(_cut(family, held)).decode()
            source = f"url(data:font/woff2;base64,{data}) format('woff2')"
            faces.append(f'@font-face{{font-family:"{family}";src:{source}}}')
    return "\n".join(faces)


@cache
def _glyphs(family: str) -> frozenset[int]:
    """Return the characters that a font family can write."""
    with TTFont(font_file(family), lazy=True) as font:
        return frozenset(font.getBestCmap())


def _cut(family: str, characters: Iterable[int]) -> bytes:
    """Return a font with the glyphs of `characters` only, as WOFF2."""
    options = subset.Options(flavor="woff2", layout_features=[], hinting=False, notdef_outline=True)
    options.drop_tables += ["FFTM"]  # when the font was made
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=characters)
    cut = io.BytesIO()
    with subset.load_font(font_file(family), options) as font:
        cutter.subset(font)
        subset.save_font(font, cut, options)
    return cut.getvalue()
