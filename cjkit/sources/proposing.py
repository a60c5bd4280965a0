"""An export that nobody has described yet: which mapping is nearest, or how one might begin."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, EngineError, text
from cjkit.events import CONTRACT
from cjkit.sources import expressions as sql
from cjkit.sources.checking import read_mapping, shipped_mappings
from cjkit.sources.encoding import likely_encodings
from cjkit.sources.files import ENDINGS, SNIFF, FileRule, Format
from cjkit.sources.mapping import SourceMapping, Value
from cjkit.sources.reading import open_file, words_of

_LOOKED_AT = 1000
"""How many records are looked at."""
_NEAR, _FEWEST = 0.36, 3
"""How near a shipped mapping must be to be proposed."""
_PATTERNS = (
    *("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y"),
    *("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M"),
    *("%d.%m.%Y", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日", "%Y%m%d%H%M%S", "%Y%m%d"),
)
_NAMES = {
    "event": "event|action|activity|type|status|kind|イベント|行動|種別|区分|操作",
    "revenue": "amount|revenue|total|price|sales|金額|売上|合計",
    "quantity": "qty|quantity|数量|個数",
    "product_id": "product|item|sku|jan|商品",
    "campaign": "campaign|キャンペーン",
    "channel": "channel|medium|チャネル|媒体",
    "page": "url|page|ページ",
    "device": "device|端末|デバイス",
    "order_id": "order|receipt|transaction|invoice|注文|受注|伝票|レシート",
}
_ID = re.compile("(?i:(^|[ _.])(id|no|number|code|key|guid|uuid)$)|[a-z](Id|ID|No)$|番号$|コード$")
_PERSON = re.compile(
    "user|customer|member|client|contact|person|visitor|lead|顧客|会員|利用者|お客様", re.I
)
_EMAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"


@dataclass(frozen=True)
class Proposal:
    """What `propose` found.

    Attributes
    ----------
    toml : str
        What to write: lines of a journey.toml that name a shipped mapping, or a mapping of its own.
    nearest : tuple of (str, float)
        Shipped mappings, the nearest first, each with how near it is (0 to 1): the share of the
        file's columns that it names counts 7/10, and of its own columns that the file has 3/10.
    is_draft : bool
        Whether `toml` is a draft of a mapping, since none that is shipped is near.
    undecided : tuple of str
        What could not be told from the file, in words.
    columns : tuple of str
        The columns of the file; dots lead inside.
    """

    toml: str
    nearest: tuple[tuple[str, float], ...]
    is_draft: bool
    undecided: tuple[str, ...]
    columns: tuple[str, ...]


def propose(path: str | Path) -> Proposal:
    """Look at an export and propose the nearest shipped mapping, or a draft of one.

    Parameters
    ----------
    path : str or Path
        The file. Its first 1,000 records are looked at; values are read and never shown.

    Returns
    -------
    Proposal
        A draft is always one that `read_mapping` accepts.

    Raises
    ------
    CjkitError
        When there is no such file, or it is none that can be read.
    """
    path = Path(path)
    engine = DuckDB(threads=1)
    try:
        rule, undecided = _how_written(path)
        columns, rule = _read(engine, path, rule)
        if not columns:
            raise CjkitError(f"{path} has no record that can be looked at.")
        near = _nearest(columns, rule)
        if near and near[0][1] >= _NEAR:
            toml, more = _use(path, near[0][0], rule)
            return Proposal(toml, tuple(near[:3]), False, (*undecided, *more), tuple(columns))
        draft = _Draft(engine, path, rule, columns)
        toml = draft.toml()
        return Proposal(toml, tuple(near[:3]), True, (*undecided, *draft.undecided), tuple(columns))
    except OSError as error:
        raise CjkitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except EngineError as error:
        raise CjkitError(f"{path} cannot be read: {words_of(error)}") from error
    finally:
        engine.close()


def _how_written(path: Path) -> tuple[FileRule, list[str]]:
    """Return how a file is written, and what of that is only likely."""
    with path.open("rb") as file:
        head = file.read(4096)
    form: Format | None = ENDINGS.get(path.suffix.lower())
    if form is None:
        start = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        form = "parquet" if head.startswith(b"PAR1") else "excel" if head[:2] == b"PK" else "csv"
        form = "json" if start in (b"{", b"[") else form
    if form not in ("csv", "json", "ndjson"):
        return _rule(format=form), []
    found = likely_encodings(path)
    undecided = []
    if not found:
        undecided.append("The encoding fits none that is usual; utf-8 is written.")
    elif len(found) > 1 and found[0] != "utf-8":
        undecided.append(f"The encoding could be {' or '.join(found)}; the first is written.")
    encoding = found[0] if found else "utf-8"
    if form == "csv":
        return _rule(format=form, encoding=encoding, delimiter=SNIFF), undecided
    return _rule(format=form, encoding=encoding), undecided


def _rule(**said: str) -> FileRule:
    return FileRule.model_validate(said)


def _read(engine: DuckDB, path: Path, rule: FileRule) -> tuple[dict[str, list[str]], FileRule]:
    """Return the values of each column in the first records, and where the records are."""
    with tempfile.TemporaryDirectory() as room:
        reading = open_file(engine, path, rule, (), Path(room))
        try:
            found = engine.query(f"select record from ({reading.raw}) as raw limit {_LOOKED_AT}")
        except EngineError:
            if reading.repair is None:
                raise
            raw = reading.repair().raw
            found = engine.query(f"select record from ({raw}) as raw limit {_LOOKED_AT}")
    records = [each for each in map(_as_object, found["record"].dropna()) if each]
    if rule.format == "json" and len(records) == 1 and rule.records is None:
        lists = [name for name, value in records[0].items() if _is_records(value)]
        if len(lists) == 1:
            return _read(engine, path, rule.model_copy(update={"records": lists[0]}))
    columns: dict[str, list[str]] = {}
    for record in records:
        for name, value in _leaves(record):
            columns.setdefault(name, []).append(value)
    return columns, rule


def _as_object(record: str) -> dict[str, Any]:
    """Return a record of JSON, or nothing where it is none."""
    try:
        found = json.loads(record)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _leaves(record: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    """Yield what a record holds under which path; a list stands for what is inside it."""
    for name, value in record.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{before}{name}.")
        else:
            is_text = isinstance(value, str)
            yield before + name, "" if value is None else value if is_text else json.dumps(value)


def _nearest(columns: Iterable[str], rule: FileRule) -> list[tuple[str, float]]:
    """Return the shipped mappings that have columns in common with a file, the nearest first."""
    names = {name.casefold() for name in columns}
    found = []
    for mapping in (_shipped(name) for name in shipped_mappings()):
        if mapping.name.startswith("sample/"):
            continue
        if mapping.file.format not in (None, rule.format):
            continue
        wanted = mapping.file_columns
        have = {name: _present(mapping, name, names) for name in wanted}
        made = any(
            all(
                any(have.get(key) for key in row.values[name].columns)
                or not row.values[name].columns
                for name in CONTRACT[row.table].required
            )
            and (not row.ids or any(have.get(c) for i in row.ids for c in mapping.ids[i].columns))
            for row in mapping.rows
        )
        named = {name for places in have.values() for name in places}
        if made and len(named) >= _FEWEST:
            # What is explained of the file counts most: a mapping names more than any export has.
            share = 0.7 * len(named) / len(names)
            share += 0.3 * sum(map(bool, have.values())) / len(wanted)
            found.append((mapping.name, round(share, 2), len(named)))
    # Of those that are about as near, the one that explains most comes first.
    found.sort(key=lambda each: (-round(each[1], 1), -each[2], each[0]))
    return [(name, share) for name, share, _ in found]


def _shipped(name: str) -> SourceMapping:
    return read_mapping(name, folder=Path(), place=name)


def _present(mapping: SourceMapping, name: str, names: set[str]) -> set[str]:
    """Return the columns of a file in which a column of a mapping is found."""
    found = set()
    for called in mapping.file.called(name):
        pair = mapping.file.pair_of(called)
        path = (pair[0] if pair else called).casefold()
        heads = [path, *(path[:at] for at, mark in enumerate(path) if mark == ".")]
        found |= {head for head in heads if head in names}
    return found


def _use(path: Path, name: str, rule: FileRule) -> tuple[str, list[str]]:
    """Write the lines of a journey.toml that use a shipped mapping."""
    mapping = _shipped(name)
    source = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    differs = []
    if rule.encoding not in ("utf-8", mapping.file.encoding):
        differs.append(f"file.encoding = {_quoted(rule.encoding)}")
    if rule.format == "json" and rule.records != mapping.file.records:
        differs.append(f"file.records = {_quoted(rule.records or '')}")
    head = f"[sources.{source}]\nfiles = [{_quoted(str(path))}]\n"
    if differs:
        lines = [f"[sources.{source}.mapping]", f"like = {_quoted(name)}", *differs]
        toml = f"{head}\n" + "\n".join(lines) + "\n"
    else:
        toml = f"{head}mapping = {_quoted(name)}\n"
    namespaces = list(dict.fromkeys(map(mapping.namespace, mapping.ids)))
    undecided = []
    if namespaces:
        toml += "\n[identity]\n"
        toml += "".join(f'{namespace} = {{ strength = "strong" }}\n' for namespace in namespaces)
        undecided.append(
            f"How far {', '.join(namespaces)} can be trusted: strong merges people, weak (a "
            "cookie) only attaches, link (an order) leads on."
        )
    if mapping.file.time_zone is not None:
        undecided.append(
            "In which zone times are that do not say theirs: set file.time_zone where the "
            "comment of the mapping does not fit."
        )
    return toml, undecided


class _Draft:
    """A draft of a mapping, from the names of columns and the look of their values."""

    def __init__(
        self, engine: DuckDB, path: Path, rule: FileRule, columns: Mapping[str, Sequence[str]]
    ) -> None:
        self.engine, self.path, self.rule = engine, path, rule
        self.columns = {name: [v for v in values if v] for name, values in columns.items()}
        self.undecided: list[str] = []

    def toml(self) -> str:
        """Write the draft; what it leaves open is in `undecided`."""
        time, how = self._time()
        ids = self._ids()
        taken = {time, *(column for column, _ in ids.values())}
        guessed = self._guess(taken)
        table = "customers"
        if time is not None:
            is_sale = "revenue" in guessed and "order_id" in guessed
            table = "orders" if is_sale else "events"
        if not ids:
            first = next(name for name in self.columns if name != time or len(self.columns) == 1)
            ids["customer"] = (first, "")
            self.undecided.append(
                f"Which column says who the person is: {first!r} stands there for now."
            )
        lines = [f"system = {_quoted(self.path.stem)}", "", "[file]", *self._file(how), "", "[ids]"]
        for name, (column, normal) in ids.items():
            more = f", normalise = {_quoted(normal)}" if normal else ""
            lines.append(f"{name} = {{ column = {_quoted(column)}{more} }}")
        lines += ["", "[[row]]", f"table = {_quoted(table)}", "[row.columns]"]
        lines += self._columns(table, time, how, guessed)
        used = {*taken, *guessed.values(), *(column for column, _ in ids.values())}
        if rest := [name for name in self.columns if name not in used]:
            self.undecided.append(f"What these columns mean: {', '.join(map(repr, rest))}.")
        return "\n".join(lines) + "\n"

    def _file(self, how: Sequence[str]) -> list[str]:
        rule = self.rule
        lines = [f"format = {_quoted(str(rule.format))}"]
        if rule.format in ("csv", "json", "ndjson") and rule.encoding != "utf-8":
            lines.append(f"encoding = {_quoted(rule.encoding)}")
        if rule.format == "csv":
            lines.append(f"delimiter = {_quoted(SNIFF)}")
        if rule.records:
            lines.append(f"records = {_quoted(rule.records)}")
        if how:
            lines.append('time_zone = "project"')
        return lines

    def _columns(
        self, table: str, time: str | None, how: Sequence[str], guessed: Mapping[str, str]
    ) -> list[str]:
        lines = []
        written = f"time = {_quoted(how[0])}" if how else ""
        if table == "events":
            lines.append(f"occurred_at = {{ column = {_quoted(str(time))}, {written} }}")
            if "event" in guessed:
                lines.append(f"event = {_quoted(guessed['event'])}")
            else:
                lines.append('event = { value = "happen" }')
                self.undecided.append("What happened: no column says it, so that it is 'happen'.")
            wanted = {"order_id": "ref_id", "revenue": "revenue", "product_id": "product_id"}
            wanted |= {name: name for name in ("campaign", "channel", "page", "device")}
        elif table == "orders":
            lines.append(f"ordered_at = {{ column = {_quoted(str(time))}, {written} }}")
            wanted = {name: name for name in ("order_id", "revenue", "quantity", "product_id")}
        else:
            wanted = {}
            if time is not None:
                lines.append(f"signed_up_at = {{ column = {_quoted(time)}, {written} }}")
        lines += [
            f"{to} = {_quoted(guessed[name])}" for name, to in wanted.items() if name in guessed
        ]
        return lines

    def _time(self) -> tuple[str | None, list[str]]:
        """Return the column that says when, and the ways in which it may be written."""
        found = {}
        for name, values in self.columns.items():
            if values and (how := self._ways(values)):
                found[name] = how
        if not found:
            self.undecided.append("When things happened: no column holds times that cjkit knows.")
            return None, []
        likely = re.compile("occur|creat|time|date|_at$|start|日時|日付|日$", re.I)
        name = min(found, key=lambda each: (not likely.search(each), list(found).index(each)))
        if others := [each for each in found if each != name]:
            listed = ", ".join(map(repr, others))
            self.undecided.append(f"Which time counts: {name!r} is taken, there is also {listed}.")
        if len(found[name]) > 1:
            ways = " or ".join(map(repr, found[name]))
            self.undecided.append(f"How {name!r} is written: {ways}; the first is taken.")
        if not found[name][0].startswith("epoch"):
            self.undecided.append(
                f"In which zone {name!r} is where it does not say: that of the project is written."
            )
        return name, found[name]

    def _ways(self, values: Sequence[str]) -> list[str]:
        """Return the ways of writing times in which all values can be read."""
        if all(re.fullmatch(r"\d{10}(\.\d+)?", value) for value in values):
            return ["epoch_s"]
        for length, way in ((13, "epoch_ms"), (16, "epoch_us")):
            if all(re.fullmatch(rf"1\d{{{length - 1}}}", value) for value in values):
                return [way]
        return [way for way in ("iso", *_PATTERNS) if self._reads(way, values)]

    def _reads(self, way: str, values: Sequence[str]) -> bool:
        value = Value.model_validate({"column": "v", "time": way})
        listed = ", ".join(f"({text(each)})" for each in values[:200])
        read = sql.instant("v", value, "UTC", {"v": "v"})
        query = f"select count(*) as n, count({read}) as read from (values {listed}) as given(v)"
        counts = self.engine.query(query).iloc[0]
        return bool(counts["n"] == counts["read"])

    def _ids(self) -> dict[str, tuple[str, str]]:
        """Return the columns that name people, by namespace, and how their spellings are one."""
        found: dict[str, tuple[str, str]] = {}
        for name, values in self.columns.items():
            if values and all(re.fullmatch(_EMAIL, value.strip()) for value in values):
                found.setdefault("email", (name, "email"))
            elif _PERSON.search(name) and _ID.search(name):
                if "customer" in found:
                    self.undecided.append(
                        f"Whom {name!r} names: {found['customer'][0]!r} is taken for the person."
                    )
                found.setdefault("customer", (name, ""))
            elif re.search("phone|tel|電話", name, re.I):
                self.undecided.append(
                    f"Whether {name!r} names people: then ids.phone = {{ column = {_quoted(name)}, "
                    'normalise = "phone", country_code = "81" } }.'.replace(" } }", " }")
                )
        if found:
            self.undecided.append(
                f"Which namespaces {', '.join(found)} really are, and [identity] of journey.toml "
                "must name each."
            )
        return dict(sorted(found.items(), key=lambda pair: pair[0] != "customer"))

    def _guess(self, taken: Iterable[str | None]) -> dict[str, str]:
        """Return the columns whose names say what of the contract they fill."""
        found: dict[str, str] = {}
        numbers = ("revenue", "quantity")
        for meaning, pattern in _NAMES.items():
            fits: Callable[[list[str]], bool] = _are_numbers if meaning in numbers else bool
            names = [
                name
                for name, values in self.columns.items()
                if re.search(pattern, name, re.I)
                and name not in taken
                and name not in found.values()
                and fits(values)
            ]
            words = pattern.split("|")
            names.sort(key=lambda name: [not re.search(word, name, re.I) for word in words])
            if names:
                found[meaning] = names[0]
            if len(names) > 1:
                listed = ", ".join(map(repr, names[1:]))
                self.undecided.append(f"{meaning}: {names[0]!r} is taken, it could be {listed}.")
        return found


def _are_numbers(values: Sequence[str]) -> bool:
    number = r"[-+△▲(]?[¥$€]?\d[\d,]*(\.\d+)?\)?"
    return bool(values) and all(re.fullmatch(number, value.strip()) for value in values)


def _quoted(value: str) -> str:
    """Write a text as TOML does."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
