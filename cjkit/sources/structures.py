"""NDJSON read with a declared structure: the engine then makes columns while it parses.

That spares parsing each record a second time, and its lists a third. Some sets of names have no
such structure, and some records do not fit it: both are read from the text of the record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cjkit.engine import DuckDB, EngineError, column, text
from cjkit.sources.columns import Reading, member_lists, pair_in
from cjkit.sources.expressions import without_nulls
from cjkit.sources.files import FileRule

Parts = tuple[str, ...]
"""A path into a record, part by part."""

_RECORD = "record"
_ELEMENT = ""
"""What stands for all elements of a list where members of an object have their names."""


class _NoStructureError(Exception):
    """No one structure holds all that is asked for."""


def structured(path: Path, rule: FileRule, wanted: Collection[str]) -> str | None:
    """Write the query that reads columns of NDJSON by their structure.

    Returns
    -------
    str or None
        It gives one row for each line that is not blank, in order: `f1`, `f2`, ... as text, all
        missing where the line is no object, and `is_told`: false where the record may hold more
        than was found, since it, or a list of pairs in it, does not fit. None where names have no
        structure: one is asked for whole and in part, or as a list and by name.

    Notes
    -----
    Values are those that the text has, but for numbers with a fraction or an exponent from 1e16 on,
    or below 1e-4: they are the same numbers, written as `1e+16`.
    """
    called = [name for each in wanted for name in rule.called(each)]
    pairs = {pair[0]: rule.pairs[pair[0]] for name in called if (pair := rule.pair_of(name))}
    places = [_parts(name) for name in called if not rule.pair_of(name)]
    for head, each in pairs.items():
        places += [(*_parts(head), "0", *_parts(member)) for member in (each.key, *each.values)]
    try:
        columns = _columns(places)
    except _NoStructureError:
        return None

    made: dict[str, str] = {}
    for number, (head, each) in enumerate(pairs.items(), 1):
        lists = member_lists(_place(_parts(head)), each)
        made[f"keys_{number}"], made[f"values_{number}"] = lists
    found: dict[str, str] = {}

    def taken(name: str) -> str:
        label = f"taken_{len(made) + len(found)}"
        if pair := rule.pair_of(name):
            number = list(pairs).index(pair[0]) + 1
            found[label] = pair_in((f"keys_{number}", f"values_{number}"), pair[1])
        else:
            made[label] = _place(_parts(name))
        return without_nulls(label, ("", *rule.nulls))

    fields = {
        f"f{number}": f"coalesce({', '.join(map(taken, rule.called(name)))})"
        for number, name in enumerate(wanted, 1)
    }
    # A record that does not fit is missing as a whole, and a list that is none by itself.
    any_column = " or ".join(f"{_place((name,))} is not null" for name in columns)
    every_list = "".join(f" and {_place(_parts(head))} is not null" for head in pairs)
    declared = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in columns.items())
    return f"""select is_told{_named(fields)} from (select *{_named(found)}
        from (select ({any_column or "false"}){every_list} as is_told{_named(made)}
            from read_json({text(str(path))}, format = 'newline_delimited', records = true,
                ignore_errors = true, columns = {{{declared}}}) as {_RECORD}
            ) as {_RECORD}) as taken"""


def _parts(name: str) -> Parts:
    return tuple(name.split("."))


def _columns(paths: Collection[Parts]) -> dict[str, str]:
    """Return the columns of which these places are parts, with their types: texts at the ends."""
    tree: dict[str, Any] = {}
    known = set(paths)
    for parts in paths:
        if "" in parts or any(parts[:length] in known for length in range(1, len(parts))):
            raise _NoStructureError
        inner = tree
        for part in parts:
            inner = inner.setdefault(_ELEMENT if part.isdigit() else part, {})
    if not tree or _ELEMENT in tree:
        raise _NoStructureError
    _type(tree)  # refuses names that differ by case alone
    return {name: _type(inner) for name, inner in tree.items()}


def _type(tree: Mapping[str, Any]) -> str:
    if not tree:
        return "varchar"
    # The engine does not tell names apart by their case.
    if len({name.casefold() for name in tree}) < len(tree) or (_ELEMENT in tree and len(tree) > 1):
        raise _NoStructureError
    if _ELEMENT in tree:
        return f"{_type(tree[_ELEMENT])}[]"
    return f"struct({', '.join(f'{column(name)} {_type(inner)}' for name, inner in tree.items())})"


def _place(parts: Parts) -> str:
    """Write where a part of a record is, once the engine has made columns of it."""
    inner = (f"[{int(part) + 1}]" if part.isdigit() else f".{column(part)}" for part in parts)
    return _RECORD + "".join(inner)


def _named(columns: Mapping[str, str]) -> str:
    return "".join(f", {value} as {name}" for name, value in columns.items())


def keep_structured(engine: DuckDB, name: str, reading: Reading, hashed: str) -> bool:
    """Make the table of `reading.read_records` by structure, and say whether that could be done.

    The hashes are made of the text of each record in a reading of their own, which is cheap, and
    lie in the same order. What the structure did not tell is read from the text.
    """
    hashes, again = f"{name} hashes", f"{name} again"
    engine.materialize(hashes, f"select {hashed} from ({reading.sql}) as read")
    try:
        engine.materialize(name, str(reading.structured))
    except EngineError:
        return False
    same, own = column(hashes), column(name)
    if engine.table(hashes).count() != engine.table(name).count():
        return False
    kind = engine.columns(hashes)["record_hash"]
    for added in (f"record_hash {kind}", "record_no bigint"):
        engine.run(f"alter table {own} add column {added}")
    engine.run(
        f"""update {own} set record_no = {own}.rowid + 1, record_hash = {same}.record_hash
        from {same} where {same}.rowid = {own}.rowid"""
    )
    engine.materialize(
        again,
        f"""select record_no, record_hash from {own}
        where not is_told and record_hash is not null order by record_no""",
    )
    engine.run(f"alter table {own} drop column is_told")
    if reading.sql_of is not None and engine.table(again).count():
        numbers = f"select record_no from {column(again)}"
        engine.materialize(f"{name} told", reading.sql_of(numbers))
        engine.run(f"delete from {own} where record_no in ({numbers})")
        engine.run(
            f"""insert into {own} by name
            select told.* exclude (record_text), again.*
            from {column(f"{name} told")} as told
            join {column(again)} as again on told.rowid = again.rowid"""
        )
    return True
