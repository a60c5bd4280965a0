"""Paper: pages as PDF and results as pictures, by the Chromium that this machine has.

The browser runs without a window, a profile or a network. Which one: the program that
`CJKIT_BROWSER` names, else the first of `BROWSERS` on the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cjkit.checks import CjkitError, one_of
from cjkit.labels import Language
from cjkit.report.export import finish, policy, read_template
from cjkit.report.show import render, style

if TYPE_CHECKING:
    from PIL.Image import Image

BROWSER = "CJKIT_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT = 120.0
_OFFLINE = ("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND")
_WIDTH, _HEIGHT, _DOTS = 1280, 7000, 2


def find_browser() -> str:
    """Return the browser that prints.

    Raises
    ------
    CjkitError
        When there is none.
    """
    given = os.environ.get(BROWSER)
    found = map(shutil.which, [given] if given else BROWSERS)
    browser = next(filter(None, found), None)
    if browser is None:
        looked = f"{BROWSER}={given!r}" if given else ", ".join(BROWSERS)
        raise CjkitError(
            f"A PDF or PNG needs Chromium or Google Chrome, and there is none here ({looked}). "
            f"Install one, or name its program in the variable {BROWSER}."
        )
    return browser


def print_pdf(page: Path, pdf: Path) -> None:
    """Write a page of HTML as PDF, as its print style has it.

    Raises
    ------
    CjkitError
        When there is no browser, or it cannot print.
    """
    _browse(page, pdf, "--no-pdf-header-footer", f"--print-to-pdf={pdf.resolve()}")


def save_result(result: Any, path: str | Path, *, language: Language = "en") -> Path:
    """Write a result as a file of its own: what it found in a sentence, and its picture.

    Small cells are masked, as everywhere. The file asks no network, and holds its fonts.

    Parameters
    ----------
    result : a result of an analysis
        Such as a `JourneyMap`.
    path : path
        Ends in `.html`, `.pdf` or `.png`; the latter two need Chromium.
    language : {'en', 'ja'}

    Returns
    -------
    Path

    Raises
    ------
    CjkitError
        When the file's ending is another one, there is no browser, or the picture is too tall.

    Examples
    --------
    >>> save_result(journey_map, "map.png", language="ja")  # doctest: +SKIP
    """
    path = Path(path)
    kind = one_of("ending of the file", path.suffix.lower(), (".html", ".pdf", ".png"))
    html = _single_page(result, language)
    if kind == ".html":
        path.write_text(html, encoding="utf-8")
        return path
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(html, encoding="utf-8")
        picture = _photograph(page)
        if kind == ".png":
            picture.save(path, optimize=True)
            return path
        # One sheet as large as the picture, drawn as on a screen: rules for paper would cut it.
        sheet = f"@page{{size:{_WIDTH}px {picture.height // _DOTS + 24}px;margin:0}}"
        html = html.replace("@media print", "@media not all")
        page.write_text(html.replace("</style>", f"{sheet}</style>", 1), encoding="utf-8")
        print_pdf(page, path)
    return path


def _single_page(result: Any, language: Language) -> str:
    section = render(result, language, table=False)
    html = (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy("")}">'
        f"<title>cjkit</title><style>{style()}{read_template('single.css')}/*fonts*/</style></head>"
        f"<body>{section}</body></html>"
    )
    return finish(html, language)


def _photograph(page: Path) -> Image:
    """Return a page as a picture with two dots a pixel, without the empty ground around it."""
    from PIL import Image as images
    from PIL import ImageChops

    taken = page.with_suffix(".png")
    size = f"--window-size={_WIDTH},{_HEIGHT}"
    _browse(page, taken, size, f"--force-device-scale-factor={_DOTS}", f"--screenshot={taken}")
    with images.open(taken) as shot:
        picture = shot.convert("RGB")
    ground = images.new("RGB", picture.size, "white")
    _, _, right, low = ImageChops.difference(picture, ground).getbbox() or (0, 0, 1, 1)
    if low == picture.height:
        raise CjkitError(f"The picture would be taller than {_HEIGHT} pixels: save it as HTML.")
    edge = _DOTS * 24
    return picture.crop((0, 0, min(right + edge, picture.width), low + edge))


def _browse(page: Path, made: Path, *options: str) -> None:
    """Let the browser make one file of a page."""
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        own = ["--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        command = [find_browser(), *own, *_OFFLINE, *as_root, *options, page.resolve().as_uri()]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired as error:
            raise CjkitError(
                f"{made.name} was not made: {command[0]} took longer than {TIMEOUT:g} seconds."
            ) from error
    if ended.returncode or not made.is_file():
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise CjkitError(
            f"{made.name} was not made: {command[0]} ended with {ended.returncode}. "
            f"{said[-1] if said else ''}".strip()
        )
