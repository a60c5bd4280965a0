"""The vault: the one place where what identifies people is kept, encrypted.

One SQLite file beside the landed data. Each value is encrypted by AES-256-GCM under a key that is
derived from the project's own, with a random nonce, and bound to the row where it stands: a value
moved to another person's row cannot be read. Rows are looked up by `person_key`, the keyed hash by
which a person is known everywhere else; what the hash was made of stands here alone.

What is deleted is overwritten in the file (`secure_delete`), and the file is a rollback journal's,
not a write-ahead log's, so that no older copy of a page stays beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pandas as pd
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cjkit.checks import CjkitError
from cjkit.privacy.pseudonyms import derive_key

_NONCE = 12  # bytes, as NIST SP 800-38D recommends for AES-GCM
_BATCH = 50_000
_FORMAT = "1"
_SCHEMA = """
create table facts (name text primary key, value blob) without rowid;
create table landed (landed_no integer primary key, landed text unique, is_kept integer);
create table fields (name text primary key) without rowid;
create table ids (person_key text, landed_no integer, sealed blob,
    primary key (person_key, landed_no)) without rowid;
create table details (person_key text, landed_no integer, record_no integer, sealed blob);
create table records (person_key text, landed_no integer, record_no integer, sealed blob);
create index details_person on details (person_key);
create index records_person on records (person_key);
create index details_landed on details (landed_no);
create index records_landed on records (landed_no);
"""
_KINDS = ("ids", "details", "records")


def open_vault(path: Path, key: bytes) -> Vault:
    """Open the vault at `path`; make it, for its owner alone, where there is none.

    Parameters
    ----------
    path : Path
        The SQLite file.
    key : bytes
        The project's key (`read_key`); the vault's own is derived from it.

    Raises
    ------
    CjkitError
        When others than its owner may read the file, it was written under another key, or it is
        damaged.
    """
    try:
        # Made with its mode before anything is in it; SQLite gives its journal the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise CjkitError(f"The vault {path} cannot be opened: {error.strerror}.") from error
    if mode & 0o077:
        raise CjkitError(
            f"The vault {path} may be read by others (mode {mode:o}): run `chmod 600 {path}`."
        )
    return Vault(path, derive_key(key, "vault values"))


class Vault:
    """What identifies people, by `person_key`; open it with `open_vault`, and close it.

    Rows are of three kinds: `ids` (the ids that a key was made of), `details` (what a mapping's
    `[private]` names, one row for each record) and `records` (raw records that the gate set aside).
    Each belongs to one landed file, which goes and comes as a whole.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._cipher = path, AESGCM(key)
        self._file = sqlite3.connect(path, isolation_level=None, timeout=60)
        try:
            with self._explained():
                self._file.execute("pragma secure_delete = on")
                self._file.execute("pragma temp_store = memory")
                self._file.execute("pragma cache_size = -65536")
                self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        """Make the tables of a new vault; refuse one under another key or of another format."""
        if not self._is_made():
            with self._whole():
                if not self._is_made():  # another run may have made them while this one waited
                    for statement in _SCHEMA.split(";"):
                        self._file.execute(statement)
                    proof = self._seal(_FORMAT, "facts:format")
                    self._file.execute("insert into facts values ('format', ?)", (proof,))
        found = self._file.execute("select value from facts where name = 'format'").fetchone()
        try:
            written = self._cipher.decrypt(found[0][:_NONCE], found[0][_NONCE:], b"facts:format")
        except (InvalidTag, TypeError) as error:
            raise CjkitError(
                f"The vault {self._path} was written under another key. Restore the project's key "
                "([privacy] key_file) from a backup; or move the vault away, and the next prepare "
                "makes a new one from the exports."
            ) from error
        if written.decode() != _FORMAT:
            raise CjkitError(
                f"The vault {self._path} has format {written.decode()!r}, not {_FORMAT!r}: another "
                "version of cjkit wrote it. Move it away, and the next prepare makes a new one."
            )

    def _is_made(self) -> bool:
        return self._file.execute("select 1 from sqlite_master").fetchone() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def has(self, landed: str) -> bool:
        """Say whether what the landed file gave is in, whole."""
        with self._explained():
            found = self._file.execute(
                "select 1 from landed where landed = ? and is_kept", (landed,)
            ).fetchone()
        return found is not None

    def keep(
        self, landed: str, ids: Iterable[pd.DataFrame], details: Iterable[pd.DataFrame]
    ) -> None:
        """Keep what one landed file gave, all or nothing; what it gave before goes.

        Parameters
        ----------
        landed : str
            The file's fingerprint.
        ids : frames
            `person_key`, `value`. The same key again is the same id.
        details : frames
            `person_key`, `record_no`, and a column of text for each private field.
        """
        with self._explained(), self._whole():
            number = self._emptied(landed, ("ids", "details"))
            for frame in ids:
                self._file.executemany(
                    "insert or ignore into ids values (?, ?, ?)", self._sealed_ids(frame, number)
                )
            for frame in details:
                given = [name for name in frame if name not in ("person_key", "record_no")]
                self._file.executemany(
                    "insert or ignore into fields values (?)", [(name,) for name in given]
                )
                bodies = (
                    json.dumps(
                        {name: text for name, text in row.items() if isinstance(text, str)},
                        ensure_ascii=False,
                    )
                    for row in frame[given].to_dict("records")
                )
                self._add("details", landed, number, frame, bodies)
            self._file.execute("update landed set is_kept = 1 where landed_no = ?", (number,))

    def keep_records(self, landed: str, records: Iterable[pd.DataFrame]) -> None:
        """Keep raw records of one landed file, all or nothing; those kept before go.

        Parameters
        ----------
        landed : str
            The file's fingerprint.
        records : frames
            `record_no`, `person_key` (missing where nobody is known), `record` (JSON text).
        """
        with self._explained(), self._whole():
            number = self._emptied(landed, ("records",))
            for frame in records:
                self._add("records", landed, number, frame, frame["record"])

    def keep_only(self, landed: Collection[str]) -> None:
        """Remove what other landed files than these gave."""
        with self._explained(), self._whole():
            known = self._file.execute("select landed, landed_no from landed").fetchall()
            for name, number in known:
                if name not in landed:
                    for kind in (*_KINDS, "landed"):
                        self._file.execute(f"delete from {kind} where landed_no = ?", (number,))

    def ids(
        self, namespace: str | None = None, *, of: Collection[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """Give each id once, in batches: `person_key`, `namespace`, `value`.

        Parameters
        ----------
        namespace : str, optional
            Only ids of this namespace.
        of : collection of str, optional
            Only those with these person keys.
        """
        # The namespace is how a key begins: ';' follows ':' in ASCII.
        within = "person_key >= ? and person_key < ?" if namespace is not None else "true"
        bounds = (f"{namespace}:", f"{namespace};") if namespace is not None else ()
        whose, keys = _whose(of)
        sql = f"select person_key, sealed from ids where {within} and {whose} group by person_key"
        for rows in self._batches(sql, (*bounds, *keys)):
            yield pd.DataFrame(
                [
                    (key, key.split(":", 1)[0], self._unseal(sealed, f"ids:{key}"))
                    for key, sealed in rows
                ],
                columns=["person_key", "namespace", "value"],
                dtype="str",
            )

    def details(self, *, of: Collection[str] | None = None) -> Iterator[pd.DataFrame]:
        """Give each record's details, in batches.

        Parameters
        ----------
        of : collection of str, optional
            Only those with these person keys.

        Yields
        ------
        DataFrame
            `person_key`, `landed`, `record_no`, and a column for each private field of any file.
        """
        with self._explained():
            fields = [name for (name,) in self._file.execute("select name from fields")]
        for rows in self._bodies("details", "true", (), of):
            values = pd.DataFrame([json.loads(row[3]) for row in rows], columns=fields, dtype="str")
            yield pd.concat([_placed(rows), values], axis=1)

    def records(
        self, landed: str | None = None, *, of: Collection[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """Give raw records, in batches: `landed`, `record_no`, `person_key`, `record`.

        Parameters
        ----------
        landed : str, optional
            Only those of this landed file.
        of : collection of str, optional
            Only those with these person keys.
        """
        only = "true" if landed is None else "landed = ?"
        for rows in self._bodies("records", only, () if landed is None else (landed,), of):
            frame = _placed(rows)[["landed", "record_no", "person_key"]]
            yield frame.assign(record=pd.Series([row[3] for row in rows], dtype="str"))

    def forget(self, person_keys: Collection[str]) -> Mapping[str, int]:
        """Remove all that is kept under these keys, and return how many rows of each kind went."""
        whose, keys = _whose(person_keys)
        with self._explained(), self._whole():
            return {
                kind: self._file.execute(f"delete from {kind} where {whose}", keys).rowcount
                for kind in _KINDS
            }

    def forget_records(self, landed: str, record_nos: Collection[int]) -> int:
        """Remove raw records by their number, and return how many went.

        For records on which nobody was recognised: they have no key by which `forget` finds them.
        """
        with self._explained(), self._whole():
            return self._file.executemany(
                """delete from records where record_no = ? and landed_no =
                    (select landed_no from landed where landed = ?)""",
                [(int(number), landed) for number in record_nos],
            ).rowcount

    def _emptied(self, landed: str, kinds: Collection[str]) -> int:
        """Return the number of a landed file, of which nothing of these kinds is kept now."""
        known = self._file.execute("select landed_no from landed where landed = ?", (landed,))
        if found := known.fetchone():
            for kind in kinds:
                self._file.execute(f"delete from {kind} where landed_no = ?", found)
            return int(found[0])
        made = self._file.execute("insert into landed (landed, is_kept) values (?, 0)", (landed,))
        return int(made.lastrowid or 0)

    def _sealed_ids(self, frame: pd.DataFrame, number: int) -> Iterator[tuple[str, int, bytes]]:
        # In the order of the keys pages fill one after another, which is twice as fast.
        ordered = sorted(zip(frame["person_key"].tolist(), frame["value"].tolist(), strict=True))
        nonces = os.urandom(_NONCE * len(ordered))
        for place, (key, value) in enumerate(ordered):
            nonce = nonces[place * _NONCE : (place + 1) * _NONCE]
            yield key, number, self._seal(value, f"ids:{key}", nonce)

    def _add(
        self, kind: str, landed: str, number: int, frame: pd.DataFrame, bodies: Iterable[str]
    ) -> None:
        rows = zip(frame["person_key"], frame["record_no"], bodies, strict=True)
        self._file.executemany(
            f"insert into {kind} values (?, ?, ?, ?)",
            (
                (key, number, int(record), self._seal(body, _place(kind, landed, record, key)))
                for key, record, body in (
                    (k if isinstance(k, str) else None, r, b) for k, r, b in rows
                )
            ),
        )

    def _bodies(
        self, kind: str, only: str, values: tuple[str, ...], of: Collection[str] | None
    ) -> Iterator[list[tuple[str | None, str, int, str]]]:
        whose, keys = _whose(of)
        sql = f"""select person_key, landed, record_no, sealed from {kind}
            join landed using (landed_no) where {only} and {whose}
            order by landed_no, {kind}.rowid"""
        for rows in self._batches(sql, (*values, *keys)):
            yield [
                (key, landed, record, self._unseal(sealed, _place(kind, landed, record, key)))
                for key, landed, record, sealed in rows
            ]

    def _batches(self, sql: str, values: tuple[str, ...]) -> Iterator[list[Any]]:
        with self._explained():
            found = self._file.execute(sql, values)
        while True:
            with self._explained():
                rows = found.fetchmany(_BATCH)
            if not rows:
                return
            yield rows

    def _seal(self, value: str, place: str, nonce: bytes | None = None) -> bytes:
        nonce = nonce or os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, value.encode(), place.encode())

    def _unseal(self, sealed: bytes, place: str) -> str:
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode()).decode()
        except (InvalidTag, TypeError, ValueError) as error:
            raise self._damaged("a value does not belong where it stands") from error

    def _damaged(self, what: str) -> CjkitError:
        return CjkitError(
            f"The vault {self._path} is damaged: {what}. Restore it from a backup; or move it "
            "away, and the next prepare makes a new one from the exports."
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in clear words what SQLite refuses."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise CjkitError(f"The vault {self._path} cannot be used: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Do all of a block, or nothing."""
        self._file.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._file.execute("rollback")
            raise
        self._file.execute("commit")


def _whose(keys: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition that keeps rows of these keys (all, where None), and its values."""
    if keys is None:
        return "true", ()
    return "person_key in (select value from json_each(?))", (json.dumps(list(keys)),)


def _place(kind: str, landed: str, record: int, key: str | None) -> str:
    return f"{kind}:{landed}:{record}:{key or ''}"


def _placed(rows: list[tuple[str | None, str, int, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_key": pd.Series([row[0] for row in rows], dtype="str"),
            "landed": pd.Series([row[1] for row in rows], dtype="str"),
            "record_no": pd.Series([row[2] for row in rows], dtype="int64"),
        }
    )
