"""Files as the company's systems would export them, each record's faults noted for the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cjkit.engine import DuckDB, text
from cjkit.synthetic.dice import Dice
from cjkit.synthetic.stories import ZONE_US

_CHUNK = 1 << 20
_FORMATS = {
    ".csv": ("csv", "header true"),
    ".ndjson": ("json", ""),
    ".parquet": ("parquet", "row_group_size 100000"),
}


@dataclass
class Exports:
    """Writes records to files, and keeps what is true of them in tables `dirt` and `copies`.

    The SQL of records gives the columns of the file and, beside them, columns whose names begin
    with an underscore, which no file shows: `_at` and `_id` order the records (no two are equal),
    `_dirt` names what is wrong with one (comma list), `_sale_no` the sale that it tells of.

    Attributes
    ----------
    engine : DuckDB
        Where the tables of this part of the company are.
    folder : Path
        The folder `exports`.
    suffix : str
        What the names of this part's files end with.
    rows : dict of str to int
        The records of each file, by its path below `folder`.
    """

    engine: DuckDB
    folder: Path
    suffix: str = ""
    rows: dict[str, int] = field(default_factory=dict)

    def write(self, name: str, records: str, *, encoding: str = "utf-8") -> None:
        """Write the rows of `records` to file `name`, whose ending names the format."""
        path = self.folder / name
        path = path.with_name(f"{path.stem}{self.suffix}{path.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        # The engine keeps the order of rows from here to the file, so that a record's number is
        # the number of its row.
        made = self.engine.materialize(
            "records", f"select * from ({records}) as made order by _at, _id, _dirt nulls first"
        )
        shown = ", ".join(f'"{name}"' for name in made.columns if not name.startswith("_"))
        form, options = _FORMATS[path.suffix]
        self.engine.copy(f"select {shown} from records", path, form=form, options=options)
        if encoding != "utf-8":
            _transcode(path, encoding)
        file = path.relative_to(self.folder).as_posix()
        self.engine.run(
            f"""insert into dirt select unnest(string_split(_dirt, ',')), {text(file)}, rowid + 1
                from records where _dirt is not null"""
        )
        if "_sale_no" in made.columns:
            self.engine.run(
                f"""insert into copies select _sale_no, {text(file)}, rowid + 1
                    from records where _sale_no is not null"""
            )
        self.rows[file] = made.count()
        self.engine.run("drop table records")


def prepare_truth(engine: DuckDB) -> None:
    """Make the empty tables that collect what is wrong with records and where sales appear."""
    engine.run("create or replace table dirt (kind varchar, file varchar, record_no bigint)")
    engine.run("create or replace table copies (sale_no bigint, file varchar, record_no bigint)")


def local(at_us: str, form: str) -> str:
    """Write the SQL of a time as Tokyo's clocks show it."""
    return f"strftime(make_timestamp(({at_us}) + {ZONE_US}), {text(form)})"


def utc(at_us: str) -> str:
    """Write the SQL of a time in UTC, in ISO format."""
    return f"strftime(make_timestamp({at_us}), '%Y-%m-%dT%H:%M:%SZ')"


def repeated(dice: Dice, records: str, purpose: str, rate: float) -> str:
    """Add exact copies of some records, as an export that was run twice does."""
    return f"""
        with once as materialized ({records})
        select * from once union all
        select * replace ('exact_duplicate' as _dirt) from once
        where _dirt is null and {dice.chance(purpose, rate, "_id")}"""


def full_width(value: str) -> str:
    """Write the SQL that turns ASCII digits, letters and signs into their full-width forms."""
    narrow = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@.-"
    wide = "".join(chr(ord(character) + 0xFEE0) for character in narrow)
    return f"translate({value}, '{narrow}', '{wide}')"


def _transcode(path: Path, encoding: str) -> None:
    """Write a UTF-8 file anew in another encoding, a piece at a time."""
    partial = path.with_name(path.name + ".partial")
    with (
        path.open(encoding="utf-8", newline="") as source,
        partial.open("w", encoding=encoding, newline="") as target,
    ):
        target.writelines(iter(lambda: source.read(_CHUNK), ""))
    partial.replace(path)
