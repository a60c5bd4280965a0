"""The landing of one file: from records of text to rows in Parquet, and their ledger."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import pandas as pd

from cjkit.checks import CjkitError, unknown_name
from cjkit.engine import DuckDB, EngineError, column, text
from cjkit.events import CONTRACT, SQL_TYPES
from cjkit.sources import expressions as sql
from cjkit.sources.columns import Reading
from cjkit.sources.correcting import Correction, correct_records
from cjkit.sources.files import FillDown
from cjkit.sources.ids import ERASED, People, make_keys
from cjkit.sources.ledgers import count_records
from cjkit.sources.mapping import SourceMapping, Spelling
from cjkit.sources.reading import read_records, words_of
from cjkit.sources.statements import Statements, words_of_row
from cjkit.sources.texts import make_forms


class FileLanding:
    """The landing of one file: the tables in between, and the SQL that makes rows of them."""

    def __init__(
        self,
        engine: DuckDB,
        mappings: Mapping[str, SourceMapping],
        files: Mapping[str, Sequence[Path]],
        mapping: SourceMapping,
        *,
        people: People,
        corrected: Mapping[tuple[str, Path], Mapping[int, Correction]],
        folder: Path,
    ) -> None:
        self.engine, self.mapping, self.folder = engine, mapping, folder
        self.mappings, self.files, self.people = mappings, files, people
        self.corrected = corrected
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        wanted = mapping.file_columns
        self.fields = {name: f"f{number}" for number, name in enumerate(wanted, 1)}
        self.sql = Statements(mapping, people, self.fields)

    def run(self, path: Path, source: str, shown: str, landed: str) -> None:
        """Land the file at `path`; the vault calls what it gives `landed`."""
        try:
            wanted = self.mapping.file_columns
            reading, corrected = self._read("landing read", source, path, wanted, self.workspace)
            self._join_lookups()
            for each in (None, *self.sql.lists):
                self.engine.view(self.sql.view(each), self.sql.records(each))
            self._refuse_absent_keys(path, reading)
            self._refuse_naive_times(path)
            self._make_keys()
            self._make_texts()
            for table in dict.fromkeys(row.table for row in self.mapping.rows):
                self._write_table(table, source, shown)
            self._write_edges(source, shown)
            self._write_staff()
            self._write_unreadable()
            if self.people.vault is not None:
                self.people.vault.keep(landed, self._ids(), self._details())
            ledger = count_records(
                self.engine,
                self.sql,
                source=source,
                file=shown,
                reading=reading,
                corrected=corrected,
            )
        except EngineError as error:
            raise CjkitError(f"{path} cannot be landed: {words_of(error)}") from error
        finally:
            self._forget_tables()
        (self.folder / "ledger.json").write_text(
            json.dumps(asdict(ledger), ensure_ascii=False, indent=1), encoding="utf-8"
        )
        shutil.rmtree(self.workspace)

    def _read(
        self, name: str, source: str, path: Path, wanted: Sequence[str], room: Path
    ) -> tuple[Reading, int]:
        """Read a file of `source` into table `name`, and say how many records were corrected."""
        rule, salt = self.mappings[source].file, self.people.salt
        if fill := rule.fill_down:
            wanted = list(dict.fromkeys([*wanted, fill.within, *fill.columns]))
        reading = read_records(self.engine, name, path, rule, wanted, salt=salt, workspace=room)
        corrections = self.corrected[source, path]
        corrected = correct_records(
            self.engine, name, path, rule, wanted, corrections, salt=salt, workspace=room
        )
        if rule.fill_down is not None:
            self._fill_down(name, rule.fill_down, wanted)
        return reading, corrected

    def _fill_down(self, name: str, rule: FillDown, wanted: Sequence[str]) -> None:
        """Give empty cells what stands above them in a record that they belong to."""
        place = {column_: f"f{number}" for number, column_ in enumerate(wanted, 1)}
        within = place[rule.within]
        filled = ", ".join(
            f"case when {within} is null then {own} else last_value({own} ignore nulls) over ("
            f"partition by {within} order by record_no rows unbounded preceding) end as {own}"
            for own in (place[column_] for column_ in rule.columns)
        )
        self.engine.materialize(name, f"select * replace ({filled}) from {column(name)}")

    def _forget_tables(self) -> None:
        """Let go of the tables in between: they hold ids in clear, and memory."""
        for name in self.engine.tables():
            if name.startswith(("landing ", "damaged ")):
                is_view = name.startswith(("landing found", "landing records"))
                kind = "view" if is_view else "table"
                self.engine.run(f"drop {kind} if exists {column(name)}")

    def _refuse_absent_keys(self, path: Path, reading: Reading) -> None:
        """Refuse a file that lacks a column of which some record needs to make a row.

        JSON leaves out what is empty, and columns may be optional; but not such a one.
        """
        if not reading.absent:
            return
        for row in self.mapping.rows:
            for name in CONTRACT[row.table].required:
                value = row.values[name]
                lacking = [key for key in value.columns if key in reading.absent]
                if not lacking or (value.first and len(lacking) < len(value.columns)):
                    continue
                applies = f"{column(self.sql.view(row.each))} where {self.sql.applies(row)}"
                if self.engine.query(f"select exists(from {applies}) as is_made")["is_made"].iloc[
                    0
                ]:
                    where = f"{path}, in which {row.table}.{name} should be found"
                    raise unknown_name("key", lacking[0], reading.keys, where=where)

    def _join_lookups(self) -> None:
        """Make `landing found`: the records, with the columns looked up in other sources."""
        joins, carried = [], ["records.*"]
        for place, (name, lookup) in enumerate(self.mapping.lookups.items(), 1):
            named = [
                found for column_ in self.mapping.columns if (found := self._inside(column_, name))
            ]
            self._read_lookup(f"landing lookup {place}", lookup.source, lookup.key, named)
            for number, inner in enumerate(named, 1):
                self.fields[f"{name}.{inner}"] = f"l{place}_{number}"
                carried.append(f"l{place}.f{number + 1} as l{place}_{number}")
            joins.append(
                f'left join "landing lookup {place}" as l{place} '
                f"on records.{self.fields[lookup.on]} = l{place}.f1"
            )
        self.engine.view(
            "landing found",
            f'select {", ".join(carried)} from "landing read" as records {" ".join(joins)}',
        )

    def _inside(self, name: str, lookup: str) -> str | None:
        found = self.mapping.lookup_of(name)
        return found[1] if found and found[0] == lookup else None

    def _read_lookup(self, table: str, source: str, key: str, named: Sequence[str]) -> None:
        """Keep the first record of each key among all files of a source."""
        parts = []
        for number, path in enumerate(self.files[source]):
            part = f"{table} part {number}"
            room = self.workspace / f"{table} {number}"
            room.mkdir()
            self._read(part, source, path, [key, *named], room)
            parts.append(f"select *, {number} as file_no from {column(part)}")
        if not parts:
            nothing = ", ".join(f"null::varchar as f{n}" for n in range(1, len(named) + 2))
            parts.append(f"select 0 as record_no, {nothing}, 0 as file_no where false")
        self.engine.materialize(
            table,
            f"""select * from ({" union all ".join(parts)}) as records where f1 is not null
            qualify row_number() over (partition by f1 order by file_no, record_no) = 1""",
        )

    def _refuse_naive_times(self, path: Path) -> None:
        """Refuse an ISO time without a zone where the mapping does not say which zone it is in."""
        if self.mapping.file.time_zone is not None:
            return
        for row in self.mapping.rows:
            for name, value in row.values.items():
                if "iso" not in value.times or row.kind(name) != "time":
                    continue
                given = sql.base_text(value, self.sql.fields_of(row.each))
                first = self.engine.query(
                    f"select record_no, {given} as given from {column(self.sql.view(row.each))} "
                    f"where {self.sql.applies(row)} and {sql.is_naive(given)} "
                    "order by record_no limit 1"
                )
                if len(first):
                    record_no, written = first.iloc[0]
                    raise CjkitError(
                        f"{path}, record {record_no}: the time {written!r} ({row.table}.{name}) "
                        f"says no zone. Set file.time_zone in the mapping {self.mapping.name}, "
                        "such as 'Asia/Tokyo'."
                    )

    def _make_keys(self) -> None:
        erased = pd.Series(sorted(self.people.erased), dtype="str")
        self.engine.add(ERASED, pd.DataFrame({"person_key": erased}))
        for place, (name, rule) in enumerate(self.mapping.ids.items(), 1):
            rows = [row for row in self.mapping.rows if name in row.ids]
            make_keys(
                self.engine,
                f"landing keys {place}",
                self.sql.values_of(f"id_{place}", rows),
                rule,
                namespace=self.mapping.namespace(name),
                people=self.people,
            )

    def _make_texts(self) -> None:
        """Make the forms of texts that rows hold, and of private fields."""
        as_text = Spelling.model_validate({"column": "any"})
        for row in self.mapping.rows:
            for name in words_of_row(row).values():
                values = self.sql.values_of(name, [row])
                make_forms(self.engine, f"landing {name}", values, as_text)
        if self.people.vault is not None:
            persons = [row for row in self.mapping.rows if row.ids]
            for place, rule in enumerate(self.mapping.private.values(), 1):
                values = self.sql.values_of(f"private_{place}", persons)
                make_forms(self.engine, f"landing private {place}", values, rule)

    def _write_table(self, table: str, source: str, shown: str) -> None:
        rows = [row for row in self.mapping.rows if row.table == table]
        kinds = {name: row.kind(name) for row in rows for name in row.values}
        if any(row.time for row in rows):
            kinds["time_precision"] = "text"
        made = " union all by name ".join(self.sql.row(row) for row in rows)
        values = [
            f"cast({column(name)} as {SQL_TYPES[kind]}) as {column(name)}"
            for name, kind in kinds.items()
        ]
        self.engine.copy(
            f"""select {", ".join([*values, "person_key"])}, record_hash, unique_key, row_rule,
                unreadable, unknown_codes, {text(source)} as source, {text(shown)} as file,
                record_no, element_no
            from ({made}) as made
            order by record_no, row_rule, element_no""",
            self.folder / f"{table}.parquet",
        )

    def _write_staff(self) -> None:
        """Write the keys of employees, whose e-mail is at one of the company's staff domains."""
        emails = [rule.normalise == "email" for rule in self.mapping.ids.values()]
        if self.people.staff and any(emails):
            keys = " union ".join(
                f'select key as person_key from "landing keys {place}" '
                "where is_staff and not is_erased"
                for place, is_email in enumerate(emails, 1)
                if is_email
            )
            self.engine.copy(keys, self.folder / "staff.parquet")

    def _write_unreadable(self) -> None:
        """Write the numbers of the records that could not be read."""
        self.engine.copy(
            'select record_no from "landing read" where record_hash is null order by record_no',
            self.folder / "unreadable.csv",
            form="csv",
        )

    def _write_edges(self, source: str, shown: str) -> None:
        """Write which keys stood on one record: the first and last of each pair in the file."""
        pairs = []
        for row in self.mapping.rows:
            for (a, first), (b, second) in combinations(self.sql.places(row).items(), 2):
                # A missing id has neither key nor is_erased, and makes no pair.
                pairs.append(
                    f"""select k{first}.key as key_a, k{second}.key as key_b,
                        {text(self.mapping.namespace(a))} as namespace_a,
                        {text(self.mapping.namespace(b))} as namespace_b,
                        {self.sql.seen(row)} as seen_us, record_no
                    from {self.sql.joined(row)} where {self.sql.kept(row)}
                        and not k{first}.is_erased and not k{second}.is_erased"""
                )
        if pairs:
            # Two ids of one kind may be the same. Asked of groups, since asked of records the
            # engine would first pair every key with every other.
            self.engine.copy(
                f"""select key_a, key_b, namespace_a, namespace_b, min(seen_us) as seen_us,
                    max(seen_us) as last_us, {text(source)} as source, {text(shown)} as file,
                    first(record_no order by seen_us nulls last, record_no) as record_no,
                    last(record_no order by seen_us nulls first, record_no) as last_record_no
                from ({" union all ".join(pairs)}) as pairs group by all
                having any_value(key_a) <> any_value(key_b)""",
                self.folder / "edges.parquet",
            )

    def _ids(self) -> Iterator[pd.DataFrame]:
        """Yield the ids that name people strongly, in clear, for the vault."""
        found = []
        for place, name in enumerate(self.mapping.ids, 1):
            if self.mapping.namespace(name) not in self.people.strong:
                continue
            seen = "true"
            if self.people.erased:  # what stands on an erased record alone is erased with it
                rows = [row for row in self.mapping.rows if name in row.ids]
                kept = [f"{self.sql.joined(row)} where {self.sql.kept(row)}" for row in rows]
                seen = " or ".join(f"value in (select id_{place} from {part})" for part in kept)
            found.append(
                f"""select key as person_key, {text(self.mapping.namespace(name))} as namespace,
                    form as value
                from "landing keys {place}" where not is_erased and ({seen or "false"})"""
            )
        if found:
            yield from self.engine.batches(f"select distinct * from ({' union all '.join(found)})")

    def _details(self) -> Iterator[pd.DataFrame]:
        """Yield the private fields of people's records, in clear, for the vault."""
        private = dict(enumerate(self.mapping.private, 1))
        if not private:
            return
        fields = "".join(f", p{place}.form as {column(name)}" for place, name in private.items())
        joins = " ".join(
            f'left join "landing private {place}" as p{place} on private_{place} = p{place}.value'
            for place in private
        )
        values = ", ".join(f"p{place}.form" for place in private)
        made = [
            f"""select {self.sql.person(row)} as person_key, record_no{fields}
            from {self.sql.joined(row)} {joins}
            where {self.sql.kept(row)} and coalesce({values}) is not null"""
            for row in self.mapping.rows
            if row.ids
        ]
        yield from self.engine.batches(
            f"""select distinct * from ({" union all ".join(made)}) as made
            where person_key is not null order by record_no"""
        )
