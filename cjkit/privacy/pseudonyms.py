"""Pseudonyms: a person's ids become keyed hashes when they are read, and stay so ever after.

A plain hash of an e-mail or a phone number can be found by trying them all. HMAC-SHA256 cannot,
as long as its key is secret: the key is made at first use, outside the project by default, and
never enters a log, a table or a report.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cjkit.checks import CjkitError
from cjkit.engine import text
from cjkit.project import Project

KEY_BYTES = 32
_BLOCK = 64  # the block size of SHA-256, to which HMAC pads its key


def project_key(project: Project) -> bytes | None:
    """Return the key of a project, or None where its ids are plain; make it at first use.

    It lies in `[privacy] key_file`, else as `~/.config/cjkit/<project id>.key`.
    """
    if project.privacy.pseudonyms == "plain":
        return None
    if project.privacy.key_file:
        return read_key(project.folder / project.privacy.key_file)
    return read_key(Path("~/.config/cjkit", f"{project.project.id}.key").expanduser())


def read_key(path: Path) -> bytes:
    """Return the key that the file at `path` holds; make both, for the owner alone, at first use.

    Raises
    ------
    CjkitError
        When the file holds no key, or others than its owner may read it.
    """
    try:
        found = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return _make_key(path)
    except (OSError, UnicodeDecodeError) as error:
        raise CjkitError(f"The key of the pseudonyms at {path} cannot be read: {error}.") from error
    if mode & 0o077:
        raise CjkitError(
            f"The key of the pseudonyms at {path} may be read by others (mode {mode:o}): "
            f"run `chmod 600 {path}`."
        )
    try:
        key = bytes.fromhex(found)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise CjkitError(
            f"{path} holds no key: it must be {2 * KEY_BYTES} hexadecimal digits. Restore the file "
            "from a backup; with a new key every customer would get a new customer_id."
        )
    return key


def _make_key(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
    try:
        os.link(partial, path)  # fails where another run was first: then its key is the key
    except FileExistsError:
        return read_key(path)
    finally:
        partial.unlink()
    return key


def derive_key(key: bytes, label: str) -> bytes:
    """Return the key for one use of the project's key, by HKDF-SHA256 (RFC 5869) with its label.

    What is known of the key of one use says nothing about that of another.

    Examples
    --------
    >>> derive_key(b"k" * 32, "audit") == derive_key(b"k" * 32, "vault values")
    False
    """
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"cjkit {label}".encode()).derive(key)


def make_pseudonym(value: str, key: bytes) -> str:
    """Return HMAC-SHA256 of `value` as 64 hexadecimal digits.

    Examples
    --------
    >>> make_pseudonym("ann@example.com", b"k" * 32)[:16]
    '52ecd7806231652c'
    """
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def pseudonym_sql(expression: str, key: bytes) -> str:
    """Write the SQL of `make_pseudonym` over an SQL `expression`, for DuckDB, which has no HMAC.

    The text holds what the key can be found from: it belongs into no log and no result.
    """
    padded = key.ljust(_BLOCK, b"\0")
    inner = "".join(f"\\x{byte ^ 0x36:02x}" for byte in padded)
    outer = "".join(f"\\x{byte ^ 0x5C:02x}" for byte in padded)
    return (
        f"sha256({text(outer)}::blob || unhex(sha256({text(inner)}::blob || encode({expression}))))"
    )
