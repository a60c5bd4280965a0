"""A first mapping of an export, from the names of its columns and the look of their values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from cjkit.engine import DuckDB, text
from cjkit.sources import expressions as sql
from cjkit.sources.files import SNIFF, FileRule
from cjkit.sources.mapping import Value

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


class Draft:
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
        lines = [f"system = {quoted(self.path.stem)}", "", "[file]", *self._file(how), "", "[ids]"]
        for name, (column, normal) in ids.items():
            more = f", normalise = {quoted(normal)}" if normal else ""
            lines.append(f"{name} = {{ column = {quoted(column)}{more} }}")
        lines += ["", "[[row]]", f"table = {quoted(table)}", "[row.columns]"]
        lines += self._columns(table, time, how, guessed)
        used = {*taken, *guessed.values(), *(column for column, _ in ids.values())}
        if rest := [name for name in self.columns if name not in used]:
            self.undecided.append(f"What these columns mean: {', '.join(map(repr, rest))}.")
        return "\n".join(lines) + "\n"

    def _file(self, how: Sequence[str]) -> list[str]:
        rule = self.rule
        lines = [f"format = {quoted(str(rule.format))}"]
        if rule.format in ("csv", "json", "ndjson") and rule.encoding != "utf-8":
            lines.append(f"encoding = {quoted(rule.encoding)}")
        if rule.format == "csv":
            lines.append(f"delimiter = {quoted(SNIFF)}")
        if rule.records:
            lines.append(f"records = {quoted(rule.records)}")
        if how:
            lines.append('time_zone = "project"')
        return lines

    def _columns(
        self, table: str, time: str | None, how: Sequence[str], guessed: Mapping[str, str]
    ) -> list[str]:
        lines = []
        written = f"time = {quoted(how[0])}" if how else ""
        if table == "events":
            lines.append(f"occurred_at = {{ column = {quoted(str(time))}, {written} }}")
            if "event" in guessed:
                lines.append(f"event = {quoted(guessed['event'])}")
            else:
                lines.append('event = { value = "happen" }')
                self.undecided.append("What happened: no column says it, so that it is 'happen'.")
            wanted = {"order_id": "ref_id", "revenue": "revenue", "product_id": "product_id"}
            wanted |= {name: name for name in ("campaign", "channel", "page", "device")}
        elif table == "orders":
            lines.append(f"ordered_at = {{ column = {quoted(str(time))}, {written} }}")
            wanted = {name: name for name in ("order_id", "revenue", "quantity", "product_id")}
        else:
            wanted = {}
            if time is not None:
                lines.append(f"signed_up_at = {{ column = {quoted(time)}, {written} }}")
        lines += [
            f"{to} = {quoted(guessed[name])}" for name, to in wanted.items() if name in guessed
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
                    f"Whether {name!r} names people: then ids.phone = {{ column = {quoted(name)}, "
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


def quoted(value: str) -> str:
    """Write a text as TOML does."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
