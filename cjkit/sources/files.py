"""`[file]`: how the files of a system are written, before anything is said of what they mean."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from cjkit.checks import Declared

Format = Literal["csv", "ndjson", "json", "parquet", "excel"]
ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
"""What a file is, by the end of its name, where the mapping does not say."""

DELIMITERS = (",", ";", "\t", "|")
"""What may divide the cells of a file of which a mapping says `delimiter = "sniff"`."""
SNIFF = "sniff"

_ONLY_FOR = {
    "delimiter": ("csv",),
    "encoding": ("csv", "ndjson", "json"),
    "header_row": ("csv", "excel"),
    "header_rows": ("csv", "excel"),
    "skip_rows": ("csv", "excel"),
    "sheet": ("excel",),
    "records": ("json",),
}


class Pairs(Declared):
    """`[file.pairs]`: a list of keys and values; of several `value`s the first that is there."""

    key: str = "key"
    value: str | tuple[str, ...] = "value"

    @property
    def values(self) -> tuple[str, ...]:
        """Where in a pair its value may be, in the order of trying."""
        return (self.value,) if isinstance(self.value, str) else self.value


class FillDown(Declared):
    """`[file.fill_down]`: cells that stand only on the first of the records that belong together.

    `within` names the column whose value such records share.
    """

    columns: tuple[str, ...] = Field(min_length=1)
    within: str


class FileRule(Declared):
    """`[file]`: how the files are written."""

    format: Format | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    header_row: int = Field(1, ge=1)
    header_rows: int = Field(1, ge=1, le=3)
    skip_rows: int = Field(0, ge=0)
    sheet: str | None = None
    records: str | None = None
    nulls: tuple[str, ...] = ()
    time_zone: str | None = None
    optional: bool = False
    names: Mapping[str, tuple[str, ...]] = {}
    pairs: Mapping[str, Pairs] = {}
    fill_down: FillDown | None = None

    def called(self, name: str) -> tuple[str, ...]:
        """Return what a column may be called in a file: its name in the mapping comes first."""
        return (name, *self.names.get(name, ()))

    def pair_of(self, name: str) -> tuple[str, str] | None:
        """Return the list of pairs and the key in it that `name` means, or None."""
        for pairs in self.pairs:
            if name.startswith(f"{pairs}."):
                return pairs, name.removeprefix(f"{pairs}.")
        return None

    @field_validator("encoding")
    @classmethod
    def _is_codec(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError("is no encoding that Python knows, such as 'cp932'") from error
        return encoding

    @field_validator("delimiter")
    @classmethod
    def _can_divide(cls, delimiter: str) -> str:
        if delimiter != SNIFF and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ValueError("cannot divide cells: write one such as ',', ';', a tab, or 'sniff'")
        return delimiter

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, zone: str | None) -> str | None:
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no time zone: write one such as 'Asia/Tokyo'") from error
        return zone

    @model_validator(mode="after")
    def _fits_the_format(self) -> FileRule:
        for key in sorted(self.model_fields_set & set(_ONLY_FOR)):
            if self.format is not None and self.format not in _ONLY_FOR[key]:
                raise ValueError(
                    f"{key} means nothing for {self.format} files, only for "
                    f"{' and '.join(_ONLY_FOR[key])}: leave it out"
                )
        return self
