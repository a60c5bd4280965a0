"""Exports of systems for tests: landed under a shipped mapping, and shown as lines of text."""

from pathlib import Path

import pandas as pd

from cjkit.engine import DuckDB
from cjkit.project import read_project
from cjkit.sources import land, read_mapping
from conftest import lacks, real_data_folder


def native(name):
    """Return a sample export that others wrote; tests of them run wherever the public data are."""
    folder = real_data_folder()
    if folder is None:
        lacks("the public data sets are not here: set CJKIT_REAL_DATA")
    return folder / "exports" / name


PROJECT = """
[project]
id = "exports"
name = {{ en = "Exports", ja = "書き出し" }}
time_zone = "{zone}"
currency = "JPY"
[consent]
missing = "allow"
[privacy]
pseudonyms = "plain"
[identity]
{identity}
[sources.export]
files = ["in/*"]
mapping = {mapping}
"""


class Export:
    """One export under one mapping: `given` is a native file, or name and content of a file."""

    def __init__(self, folder, mapping, *given, zone="Asia/Tokyo"):
        place = folder / "in"
        place.mkdir(parents=True)
        for each in given:
            if isinstance(each, tuple):
                name, content = each
                content = content.encode() if isinstance(content, str) else content
                (place / name).write_bytes(content)
            else:
                (place / Path(each).name).write_bytes(native(each).read_bytes())
        declared = {"like": mapping} if isinstance(mapping, str) else mapping
        found = read_mapping(declared, folder=folder, place="export")
        identity = "\n".join(
            f'{name} = {{ strength = "strong" }}'
            for name in dict.fromkeys(map(found.namespace, found.ids))
        )
        shown = f'"{mapping}"'
        if not isinstance(mapping, str):
            shown = "{ " + ", ".join(f"{key} = {_toml(mapping[key])}" for key in mapping) + " }"
        text = PROJECT.format(zone=zone, identity=identity, mapping=shown)
        (folder / "journey.toml").write_text(text)
        self.engine = DuckDB(threads=1)
        self.landed = land(read_project(folder / "journey.toml"), self.engine)

    @property
    def ledger(self):
        """The only ledger."""
        (ledger,) = self.landed.ledgers
        return ledger

    def frame(self, table):
        """Return all rows of a table, in the order of files and records."""
        frames = []
        for folder in self.landed.folders:
            path = folder / f"{table}.parquet"
            if path.is_file():
                read = f"read_parquet('{path}', file_row_number = true)"
                frames.append(self.engine.query(f"from {read} order by file_row_number"))
        return pd.concat(frames, ignore_index=True)

    def show(self, table, *columns):
        """Return rows as lines of cells between `|`; what is missing is empty."""
        frame = self.frame(table)[list(columns)]
        return ["|".join(_shown(value) for value in row) for row in frame.itertuples(index=False)]

    def edges(self):
        """Return the pairs of ids that stood on one record."""
        pairs = []
        for folder in self.landed.folders:
            if (folder / "edges.parquet").is_file():
                path = folder / "edges.parquet"
                sql = f"select key_a, key_b from '{path}' order by record_no, 1, 2"
                pairs += [tuple(pair) for pair in self.engine.query(sql).itertuples(index=False)]
        return pairs


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(value[key])}' for key in value) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value).lower() if isinstance(value, bool) else f'"{value}"'


def _shown(value):
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return value.isoformat(" ")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def lines(text):
    """Return the lines of an indented block."""
    return [line.strip() for line in text.strip().splitlines()]
