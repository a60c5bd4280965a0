"""Where the gate keeps what it made: whole or not at all, and one run at a time."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cjkit.checks import CjkitError
from cjkit.privacy import Vault, open_vault

KEPT = 3
"""How many prepared logs stay: those still open in another notebook are among them."""

PARTIAL = "partial-"


def make_state_folder(folder: Path) -> Path:
    """Make the state folder of a project, for its owner alone, and return it."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for private in (folder, folder / "prepared"):
            private.mkdir(mode=0o700, exist_ok=True)
            private.chmod(0o700)
        (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise CjkitError(
            f"The state folder {folder} cannot be made: {error}. Name another one as [state] dir."
        ) from error
    return folder


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other run prepares this project, and keep others waiting.

    The lock goes with the process that holds it, however that ends.
    """
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def opened_vault(state: Path, key: bytes | None) -> Iterator[Vault | None]:
    """Give the vault of a project; None where its ids are plain, and so nothing is hidden."""
    if key is None:
        yield None
        return
    with open_vault(state / "vault.sqlite", key) as vault:
        yield vault


def fingerprint(parts: Iterable[str]) -> str:
    """Return 16 hexadecimal digits that change when any of `parts` does.

    Examples
    --------
    >>> fingerprint(["a", "bc"]) == fingerprint(["ab", "c"])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:16]


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Give a folder to write in that becomes `folder` once all is written, and goes if not.

    Whatever a killed run left beside it is removed first: the caller holds the lock.
    """
    for stale in folder.parent.glob(f"{PARTIAL}*"):
        shutil.rmtree(stale, ignore_errors=True)
    partial = folder.parent / f"{PARTIAL}{folder.name}"
    partial.mkdir(mode=0o700)
    try:
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def prune(folder: Path, newest: Path) -> None:
    """Remove the oldest prepared logs in `folder`: the last few stay, and `newest` in any case."""
    logs = [log for log in folder.iterdir() if log.is_dir() and not log.name.startswith(PARTIAL)]
    for log in sorted(logs, key=lambda log: log.stat().st_mtime, reverse=True)[KEPT:]:
        if log != newest:
            shutil.rmtree(log, ignore_errors=True)
