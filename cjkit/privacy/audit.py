"""The audit log: who ran what on which data, in lines that cannot be changed unseen.

`<state>/audit/log.jsonl` holds one JSON object a line, oldest first. Each ends in a hash over
itself and the hash of the line before, so that a line changed, removed, added or moved breaks the
chain there. Where the project has a key the hash is an HMAC-SHA256 under a key derived from it, and
nobody without that key can write a chain that fits; projects with plain pseudonyms have no key, and
their chain is SHA-256: it shows mishaps, not forgers.

`<state>/audit/last.json` holds the number of lines and the last hash, so that lines missing at the
end are seen too. Who can put back an older copy of both files, from one moment, can hide what came
after: to see that, keep the count and hash that `audit verify` prints in another place.

Ids of people stand in it as HMAC only, under a key of their own: they are equal to no `person_key`.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import hmac
import json
import os
import pwd
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cjkit.checks import CjkitError
from cjkit.privacy.pseudonyms import derive_key, project_key
from cjkit.project import Project

_FIRST = "0" * 64


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Attributes
    ----------
    lines : int
        Lines from the first that are as they were written.
    last : str
        The hash of the last of them.
    fault : str or None
        What is wrong after them, naming the line; None where all is well.
    """

    lines: int
    last: str
    fault: str | None


def record(
    project: Project,
    command: str,
    *,
    data: str = "",
    parameters: Mapping[str, Any] | None = None,
    customer: str | None = None,
) -> None:
    """Add one line: the user of this process ran `command` now.

    Several processes may write at once: each waits for the others.

    Parameters
    ----------
    project : Project
        Whose log it is.
    command : str
        What was run, such as 'report'.
    data : str
        The fingerprint of the prepared log on which it ran.
    parameters : mapping, optional
        How it was run. It must name no person.
    customer : str, optional
        Whom it was about, as the user wrote it: the line holds its HMAC (`hide`).

    Raises
    ------
    CjkitError
        When the log cannot be written: then what should be recorded must not be done.
    """
    key = project_key(project)
    with _held(_folder(project)) as log:
        before, end = _last_line(log)
        line = {
            "no": int(before.get("no", 0)) + 1,
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "who": _user(),
            "command": command,
            "project": project.project.id,
            "data": data,
            "customer": None if customer is None else hide(project, customer),
            "parameters": dict(parameters or {}),
            "before": before.get("hash", _FIRST),
        }
        line["hash"] = _hash(line, key)
        # What a killed process began to write was never a line: the next one takes its place.
        os.ftruncate(log, end)
        _write_all(log, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        os.fsync(log)
        _anchor(_folder(project), line, key)


def hide(project: Project, customer: str) -> str:
    """Return what stands in the audit log for a person whom a user wrote as `customer`.

    HMAC-SHA256 of the NFKC form in lower case, without spaces around it, under a key of its own;
    where the project has no key, a plain SHA-256.
    """
    form = unicodedata.normalize("NFKC", customer).strip().lower().encode()
    key = project_key(project)
    if key is None:
        return hashlib.sha256(form).hexdigest()
    return hmac.new(derive_key(key, "audit customers"), form, hashlib.sha256).hexdigest()


def read(project: Project) -> list[dict[str, Any]]:
    """Return the lines of the log, oldest first; `verify` says whether they are what was written.

    Returns
    -------
    list of dict
        `no`, `at` (UTC), `who`, `command`, `project`, `data`, `customer` (HMAC), `parameters`,
        `before` and `hash`.

    Raises
    ------
    CjkitError
        When a line is no JSON.
    """
    lines = []
    for number, text in enumerate(_lines(project), 1):
        line = _parse(text)
        if line is None:
            raise CjkitError(
                f"{_folder(project) / 'log.jsonl'}, line {number} is damaged. "
                "`audit verify` says up to where the log can be trusted."
            )
        lines.append(line)
    return lines


def verify(project: Project) -> Verdict:
    """Follow the chain from the first line to the last, and name the first line that breaks it."""
    key = project_key(project)
    folder = _folder(project)
    last, lines, hashes = _FIRST, 0, {0: _FIRST}
    fault = None
    for number, text in enumerate(_lines(project), 1):
        line = _parse(text)
        if line is None:
            fault = f"line {number} is no line of an audit log"
        elif line.get("no") != number or line.get("before") != last:
            fault = f"line {number} does not follow the line before it: lines are missing or moved"
        elif not hmac.compare_digest(str(line.get("hash")), _hash(line, key)):
            fault = f"line {number} was changed after it was written, or under another key"
        if fault or line is None:
            return Verdict(lines, last, fault)
        last, lines = str(line["hash"]), number
        hashes[number] = last
    if not (folder / "last.json").is_file():
        # A new log has neither lines nor an anchor.
        return Verdict(lines, last, "last.json is missing: lines may be cut off" if lines else None)
    anchor = _parse((folder / "last.json").read_text(encoding="utf-8"))
    if anchor is None or not hmac.compare_digest(str(anchor.get("hash")), _hash(anchor, key)):
        fault = "last.json, which says how many lines there are, was changed"
    elif int(anchor["no"]) > lines:
        fault = f"lines {lines + 1} to {anchor['no']} are cut off at the end"
    elif hashes[int(anchor["no"])] != anchor["before"]:
        fault = f"line {anchor['no']} is not the one that last.json remembers"
    return Verdict(lines, last, fault)


def _folder(project: Project) -> Path:
    return project.state_folder / "audit"


def _lines(project: Project) -> list[str]:
    """Return the whole lines of the log, which is read while nobody writes."""
    if not (_folder(project) / "log.jsonl").is_file():
        return []
    with _held(_folder(project)) as log:
        _, end = _last_line(log)
        return os.pread(log, end, 0).decode(errors="replace").splitlines()


@contextmanager
def _held(folder: Path) -> Iterator[int]:
    """Give the log, open to read and append, that no other process touches meanwhile."""
    try:
        for private in (folder.parent, folder):
            private.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        log = os.open(folder / "log.jsonl", flags, 0o600)
        try:
            fcntl.flock(log, fcntl.LOCK_EX)
            yield log
        finally:
            os.close(log)
    except OSError as error:
        raise CjkitError(
            f"The audit log in {folder} cannot be used: {error.strerror or error}. Nothing runs "
            "unrecorded: make it writable, or name another [state] dir."
        ) from error


def _last_line(log: int) -> tuple[dict[str, Any], int]:
    """Return the last whole line, empty where there is none, and where it ends."""
    size = os.fstat(log).st_size
    tail, start = b"", size
    while start > 0 and tail.count(b"\n") < 2:
        start = max(0, start - 65536)
        tail = os.pread(log, size - start, start)
    end = tail.rfind(b"\n") + 1
    last = tail[: max(end - 1, 0)].rpartition(b"\n")[2]
    return _parse(last.decode(errors="replace")) or {}, start + end


def _write_all(log: int, line: bytes) -> None:
    while line:
        line = line[os.write(log, line) :]


def _anchor(folder: Path, line: Mapping[str, Any], key: bytes | None) -> None:
    """Remember how many lines there are, and the last hash."""
    anchor = {"no": line["no"], "before": line["hash"]}
    anchor["hash"] = _hash(anchor, key)
    partial = folder / "last.json.partial"
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(anchor) + "\n")
    partial.replace(folder / "last.json")


def _hash(line: Mapping[str, Any], key: bytes | None) -> str:
    """Return the hash over all of a line but the hash itself."""
    parts = {name: value for name, value in line.items() if name != "hash"}
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()
    if key is None:
        return hashlib.sha256(text).hexdigest()
    return hmac.new(derive_key(key, "audit chain"), text, hashlib.sha256).hexdigest()


def _parse(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def _user() -> str:
    """Return the user of this process by the system's account of it, which no variable changes."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
