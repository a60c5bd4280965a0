"""What a mapping says, written as SQL: the records, and the rows that each [[row]] makes of them.

The statements speak of tables that landing makes on the engine: `landing found` (the records, with
what was looked up), the view `landing records` over it, `landing records <n>` over the elements of
its n-th list, `landing keys <n>` (the n-th of [ids]) and
`landing text_<row>_<n>` (words whose spellings are made one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cjkit.engine import column, text
from cjkit.sources import expressions as sql
from cjkit.sources.columns import as_list, reach_json
from cjkit.sources.expressions import POSITION, without_nulls
from cjkit.sources.ids import People
from cjkit.sources.mapping import Each, RowRule, SourceMapping
from cjkit.sources.texts import CHECKED


@dataclass(frozen=True)
class Statements:
    """The SQL of one mapping.

    Attributes
    ----------
    mapping : SourceMapping
        What is written.
    people : People
        How people are treated.
    fields : mapping from str to str
        What the engine calls each column that the mapping names.
    """

    mapping: SourceMapping
    people: People
    fields: Mapping[str, str]

    def records(self, each: Each | None = None) -> str:
        """Write the query of readable records, each with the filter and the rows it falls under.

        With `each` there is one for every element of that list, and its `position`.
        """
        fields = self.fields_of(each)
        filters = " ".join(
            f"when {sql.condition(rule.when, self.fields_of(None))} then {text(rule.name)}"
            for rule in self.mapping.filters
        )
        named = f"case {filters} end" if filters else "null::varchar"
        applies = "".join(
            f", {sql.condition(row.when, fields)} as row_{row.number}"
            for row in self.mapping.rows
            if row.each == each
        )
        spelled = "".join(
            f", {sql.base_text(rule, fields)} as {kind}_{place}"
            for kind, rules in (("id", self.mapping.ids), ("private", self.mapping.private))
            for place, rule in enumerate(rules.values(), 1)
        )
        texts = "".join(
            f", {sql.base_text(row.values[name], fields)} as {text_name}"
            for row in self.mapping.rows
            if row.each == each
            for name, text_name in words_of_row(row).items()
        )
        found = '"landing found"' if each is None else f"({self._elements(each)})"
        return f"select *, {named} as filter_name{applies}{spelled}{texts} from {found} as found"

    @cached_property
    def lists(self) -> tuple[Each, ...]:
        """The lists of which rows are made, one for each element."""
        return tuple(dict.fromkeys(row.each for row in self.mapping.rows if row.each))

    def view(self, each: Each | None) -> str:
        """Return the name of the view over `records(each)`."""
        return f"landing records {self.lists.index(each) + 1}" if each else "landing records"

    def fields_of(self, each: Each | None) -> dict[str, str]:
        """Return what the engine calls each column where the records are elements of a list."""
        fields = dict(self.fields)
        for other in self.lists:
            for name in self.mapping.columns:
                if other.has(name) and name != other.column:
                    inner = tuple(name.removeprefix(f"{other.column}.").split("."))
                    inside = reach_json("element", inner) if other == each else "null::varchar"
                    fields[name] = without_nulls(inside, ("", *self.mapping.file.nulls))
        if each is not None:
            fields[each.column] = "element"
        return fields

    def _elements(self, each: Each) -> str:
        """Write the query of the elements of a list, in its order, each with its record."""
        given = self.fields[each.column]
        found = f"list_transform({as_list(given)}, lambda each: json_extract_string(each, '$'))"
        if each.separator is not None:
            divided = f"list_transform(string_split({given}, {text(each.separator)}), "
            divided += "lambda each: trim(each))"
            found = f"list_filter({divided}, lambda each: each <> '')"
        return f"""select found.* exclude (elements), elements[place] as element,
                place as {POSITION}
            from (select found.*, elements, unnest(generate_series(1, len(elements))) as place
                from (select *, {found} as elements from "landing found") as found) as found"""

    def row(self, row: RowRule) -> str:
        """Write the rows that one [[row]] makes: texts first, then values, then what went wrong."""
        places, fields = self.places(row), self.fields_of(row.each)
        normal, zone = words_of_row(row), self.mapping.file.time_zone
        texts, codes, values, made, unknown, wrong = [], [], [], [], [], []
        for number, (name, value) in enumerate(row.values.items(), 1):
            kind = row.kind(name)
            has_text = value.origins()[0] in ("column", "join", "first", "value")
            base = sql.base_text(value, fields) if has_text else "null"
            if name in normal:
                base = f"{column(normal[name])}.form"
            texts.append(f"{base} as t{number}")
            if value.codes is not None:
                codes.append(f"{sql.coded(f't{number}', value)} as c{number}")
                if value.else_ is None and not value.keep:
                    is_unknown = f"t{number} is not null and c{number} is null"
                    unknown.append(f"case when {is_unknown} then {text(name)} end")
            given = f"c{number}" if value.codes is not None else f"t{number}"
            values.append(f"{sql.typed(given, value, kind, zone, fields)} as v{number}")
            result = f"make_timestamp(v{number})" if kind == "time" else f"v{number}"
            made.append(f"{result} as {column(name)}")
            if kind != "text":
                is_wrong = f"v{number} is null and {sql.present(given, value, fields)}"
                wrong.append(f"case when {is_wrong} then {text(name)} end")
        if row.time and "time_precision" not in row.values:
            number = list(row.values).index(row.time) + 1
            exact = sql.precision(f"t{number}", f"v{number}", row.values[row.time], zone)
            made.append(f"{exact} as time_precision")
        wrong += [
            f"case when not is_good_{place} then {text('ids.' + name)} end"
            for name, place in places.items()
            if self.mapping.ids[name].normalise in CHECKED
        ]
        parts = [self._unique_part(row, name) for name in row.unique]
        whole = " || chr(31) || ".join(parts)
        unique = f"case when {' and '.join(f'{p} is not null' for p in parts)} then {whole} end"
        carried = "".join(
            f", k{place}.{name} as {name}_{place}"
            for place in places.values()
            for name in ("key", "is_good")
        )
        joins = "".join(
            f" left join {column('landing ' + name)} as {column(name)}"
            f" on records.{column(name)} = {column(name)}.value"
            for name in normal.values()
        )
        level = f"""select records.*, {", ".join([*texts, f"{self.person(row)} as person_key"])}
            {carried} from {self.joined(row)}{joins} where {self.kept(row)}"""
        if codes:
            level = f"select *, {', '.join(codes)} from ({level}) as texts"
        level = f"select *, {', '.join(values)} from ({level}) as coded"
        element = POSITION if row.each else None
        record = f"md5_number_lower(record_hash || '/' || {element})" if element else "record_hash"
        return f"""select {", ".join([*made, "person_key"])}, {record} as record_hash,
                {unique if parts else "null"} as unique_key, {row.number} as row_rule,
                {_comma_list(wrong)} as unreadable, {_comma_list(unknown)} as unknown_codes,
                record_no, {element or "null::bigint"} as element_no
            from ({level}) as valued"""

    def values_of(self, name: str, rows: Sequence[RowRule]) -> str:
        """Write the query that gives as `value` what records have that become any of `rows`."""
        parts = []
        for each in dict.fromkeys(row.each for row in rows):
            used = " or ".join(self.applies(row) for row in rows if row.each == each)
            parts.append(f"select {name} as value from {column(self.view(each))} where {used}")
        return " union all ".join(parts) or "select null::varchar as value where false"

    def _unique_part(self, row: RowRule, name: str) -> str:
        if name in row.values:
            return f"cast(v{list(row.values).index(name) + 1} as varchar)"
        return f"key_{self.places(row)[name]}"

    def applies(self, row: RowRule) -> str:
        """Write whether a record becomes rows of `row`, as far as the mapping says."""
        return f"record_hash is not null and filter_name is null and row_{row.number}"

    def kept(self, row: RowRule) -> str:
        """Write which of them become rows: not those of people who must be forgotten."""
        return f"{self.applies(row)} and not {self.is_erased(row)}"

    def is_erased(self, row: RowRule) -> str:
        """Write whether a record's person must be forgotten, by its own key or any strong id."""
        if not (self.people.erased and row.ids):
            return "false"
        places = self.places(row)
        own = ", ".join(f"k{place}.is_erased" for place in places.values())
        strong = "".join(
            f" or coalesce(k{place}.is_erased, false)"
            for name, place in places.items()
            if name in self.people.strong
        )
        return f"(coalesce({own}, false){strong})"

    def joined(self, row: RowRule) -> str:
        """Write where a row's records come from: those that it applies to, joined with keys."""
        joins = [
            f'left join "landing keys {place}" as k{place} on id_{place} = k{place}.value'
            for place in self.places(row).values()
        ]
        return f"{column(self.view(row.each))} as records {' '.join(joins)}"

    def seen(self, row: RowRule) -> str:
        """Write when a record's thing happened, in microseconds."""
        if row.time is None:
            return "null::bigint"
        value = row.values[row.time]
        fields = self.fields_of(row.each)
        given = sql.base_text(value, fields)
        return sql.instant(given, value, self.mapping.file.time_zone, fields)

    def person(self, row: RowRule) -> str:
        """Write the key of a record's person: that of the first id that it has."""
        keys = ", ".join(f"k{place}.key" for place in self.places(row).values())
        return f"coalesce({keys}, null)" if keys else "null"

    def places(self, row: RowRule) -> dict[str, int]:
        """Return the number of each of the row's ids in the mapping, from 1, in the row's order."""
        return {name: list(self.mapping.ids).index(name) + 1 for name in row.ids}


def words_of_row(row: RowRule) -> dict[str, str]:
    """Return the columns of a row whose texts are made one form, and what the engine calls them."""
    return {
        name: f"text_{row.number}_{number}"
        for number, (name, value) in enumerate(row.values.items(), 1)
        if value.normalise is not None
    }


def _comma_list(parts: Sequence[str]) -> str:
    return f"nullif(concat_ws(',', {', '.join(parts)}), '')" if parts else "null::varchar"
