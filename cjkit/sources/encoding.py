"""Text files become UTF-8, or are refused by the byte that does not fit."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cjkit.checks import CjkitError
from cjkit.sources.files import FileRule

CHUNK = 1 << 20
"""Files are looked through in pieces of this many bytes."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LIKELY = ("utf-8", "cp932", "euc_jp", "utf-16", "cp1252", "latin-1")


def as_utf8(path: Path, rule: FileRule, workspace: Path, *, is_looked_through: bool = True) -> Path:
    """Return the file itself where it is clean UTF-8, else a copy of it in UTF-8.

    A byte order mark says more than the declaration: it decides, and is left out of the copy. A
    file that should be UTF-8 need not be looked through by who reads it with other checks.
    """
    with path.open("rb") as file:
        head = file.read(4)
        mark, encoding = next(
            ((mark, name) for mark, name in _BOMS if head.startswith(mark)), (b"", rule.encoding)
        )
        name = codecs.lookup(encoding).name
        file.seek(len(mark) if name == "utf-8" else 0)
        if name in ("utf-8", "ascii") and not mark:
            for _ in _decoded(file, path, name) if is_looked_through else ():
                pass
            return path
        copy = workspace / "utf8"
        with copy.open("w", encoding="utf-8", newline="") as out:
            for chunk in _decoded(file, path, name):
                out.write(chunk)
    return copy


def _decoded(file: BinaryIO, path: Path, encoding: str) -> Iterator[str]:
    """Yield the text of a file in chunks; CjkitError says which byte does not fit."""
    decoder = codecs.getincrementaldecoder(encoding)()
    start, lines = file.tell(), 0
    while True:
        held = len(decoder.getstate()[0])
        chunk = file.read(CHUNK)
        try:
            decoded = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            offset = start - held + error.start
            line = lines + error.object[: error.start].count(b"\n") + 1
            fitting = [other for other in likely_encodings(path) if other != encoding]
            hint = f" It could be {' or '.join(fitting)}: set file.encoding." if fitting else ""
            wrong = error.object[error.start : error.end].hex(" ")
            raise CjkitError(
                f"{path} is not {encoding}: line {line} (byte {offset}) holds {wrong}.{hint}"
            ) from error
        except UnicodeError as error:
            raise CjkitError(f"{path} is not {encoding}: {error}.") from error
        if not chunk:
            return
        start += len(chunk)
        lines += chunk.count(b"\n")
        yield decoded


def likely_encodings(path: Path) -> list[str]:
    """Return the usual encodings that the beginning of a file fits, the likeliest first."""
    with path.open("rb") as file:
        head = file.read(4)
    marked = [name for mark, name in _BOMS if head.startswith(mark)]
    return marked[:1] or [encoding for encoding in _LIKELY if _fits(path, encoding)]


def _fits(path: Path, encoding: str) -> bool:
    with path.open("rb") as file:
        sample = file.read(CHUNK)
    try:
        decoded = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeError:
        return False
    # Every pair of bytes is some UTF-16 and every byte some latin-1: look for signs of text.
    return not re.search(
        "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff]", decoded[:10_000]
    ) and (not encoding.startswith("utf-16") or "\n" in decoded)
