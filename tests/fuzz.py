"""Mutated input files: real-looking exports, damaged in ways that exports are damaged in.

`make_case(seed)` writes one file and knows which of its records nothing touched; `check` lands it
and holds that it is refused in our words, or every record is accounted for and none is lost.
"""

import csv
import io
import json
import random
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from companies import CONSENT, project_head
from workbook import write_workbook

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.project import read_project
from cjkit.sources import land, read_raw

COLUMNS = ("id", "at", "name", "price", "text")
SOURCE = (
    CONSENT
    + """
[sources.web]
files = ["{file}"]
[sources.web.mapping]
system = "Web"
[sources.web.mapping.file]
time_zone = "Asia/Tokyo"
{how}
[sources.web.mapping.ids]
login = {{ column = "id", normalise = "exact" }}
[[sources.web.mapping.filter]]
name = "bots"
when = {{ column = "name", is = ["bot"] }}
[[sources.web.mapping.row]]
table = "events"
[sources.web.mapping.row.columns]
occurred_at = {{ column = "at", time = "iso" }}
event = "name"
revenue = "price"
x_text = "text"
"""
)
WORDS = (
    *("良い品です", "ﾎﾝﾀﾞﾅ5ﾀﾞﾝ", "髙橋さん", "表示ソ能", "plain words", "it's", "a, b; c\td"),
    *('she said "no"', "two\nlines", "", "- 5%", "=1+1", "{}", "[1", "1e5", "NULL"),
)


@dataclass
class Case:
    """One file: what it holds, how it is declared, and which records nothing touched."""

    name: str
    content: bytes
    how: str
    untouched: dict[str, dict[str, object]]
    story: list[str] = field(default_factory=list)


def make_case(seed: int) -> Case:
    """Make the case of a seed."""
    rng = random.Random(seed)
    makers = (make_csv, make_csv, make_csv, make_ndjson, make_json, make_parquet, make_excel)
    return rng.choice(makers)(rng)


def make_records(rng: random.Random) -> list[dict[str, object]]:
    return [
        {
            "id": f"U{number:05d}",
            "at": f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} 0{rng.randint(0, 9)}:00",
            "name": rng.choice(("view", "cart", "buy", "bot")),
            "price": rng.choice((None, 0, 5, 1980, 12.5, -300)),
            "text": rng.choice(WORDS),
        }
        for number in range(rng.choice((1, 2, 3, 5, 12)))
    ]


# Damage to bytes: each takes the bytes of one record and returns others.


def flip(rng, given, _):
    found = bytearray(given)
    for _ in range(rng.randint(1, 3)):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def cut(rng, given, _):
    begin = rng.randrange(len(given))
    return given[:begin] + given[rng.randint(begin, len(given)) :]


def insert(rng, given, encode):
    place = rng.randint(0, len(given))
    what = rng.choice(
        (
            *(encode(mark) for mark in '",;\t\r\n\0\ufeff\u3000\u2028\x1a\x1f\\\x85あ'),
            *(encode(mark) for mark in ('"""', '","', "\r\n\r\n", "\n\n", " ", '"\n', "}{", ",,")),
            *(b"\xff", b"\x80", b"\xe3\x81", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe"),
        )
    )
    return given[:place] + what + given[place:]


def repeat(rng, given, _):
    begin = rng.randrange(len(given))
    end = rng.randint(begin, len(given))
    return given[:end] + given[begin:]


BYTES = (flip, cut, insert, insert, repeat)


def damage(rng, case, chunks, ids, encode, end):
    """Damage some of the chunks (the head first, then a chunk for each record) or their order."""
    touched = set()
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        before = sum(map(len, chunks))
        if rng.random() < 0.12:
            what = rng.choice(("truncate", "shuffle", "append", "twice", "blank lines", "empty"))
            case.story.append(what)
            if what == "truncate":
                whole = b"".join(chunks)
                whole = whole[: rng.randint(0, len(whole))]
                kept, at = [], 0
                for chunk in chunks:
                    kept.append(whole[at : at + len(chunk)])
                    at += len(chunk)
                touched |= {i for i, (a, b) in enumerate(zip(kept, chunks, strict=True)) if a != b}
                chunks[:] = kept
            elif what == "shuffle":
                order = list(range(1, len(chunks)))
                rng.shuffle(order)
                if all(chunks[i].endswith(end) for i in order):
                    chunks[1:] = [chunks[i] for i in order]
                    ids[:] = [ids[i - 1] for i in order]
                    touched = {order.index(i) + 1 if i else 0 for i in touched}
            elif what == "append":
                if not chunks[-1].endswith(end):
                    touched.add(len(chunks) - 1)
                chunks[-1] += chunks[0]
            elif what == "twice" and len(chunks) > 1:
                place = rng.randrange(1, len(chunks))
                if chunks[place].endswith(end):
                    chunks[place] *= 2
                    touched.add(place)
            elif what == "blank lines":
                place = rng.randrange(len(chunks))
                if chunks[place].endswith(end):
                    chunks[place] += end * rng.randint(1, 3)
            elif rng.random() < 0.2:
                chunks[:] = [b""] * len(chunks)
                touched = set(range(len(chunks)))
            continue
        place = rng.randrange(len(chunks)) if rng.random() < 0.2 else rng.randint(1, len(chunks))
        place = min(place, len(chunks) - 1)
        if not chunks[place]:
            continue
        how = rng.choice(BYTES)
        case.story.append(f"{how.__name__} {place}")
        chunks[place] = how(rng, chunks[place], encode)
        touched.add(place)
        if not chunks[place].endswith(end):
            touched.add(place + 1)
        if len(encode(" ")) == 2 and (sum(map(len, chunks)) - before) % 2:
            touched |= set(range(place, len(chunks)))  # half a character shifts all that follow
    if 0 in touched:
        touched = set(range(len(chunks)))
    case.content = b"".join(chunks)
    for place in touched - {0}:
        if place <= len(ids):
            case.untouched.pop(ids[place - 1], None)


# Formats


def make_csv(rng):
    records = make_records(rng)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "cp932", "utf-16", "utf-16-be"))
    delimiter = rng.choice((",", ",", ";", "\t"))
    ends = rng.choice((("\n",), ("\r\n",), ("\r",), ("\n", "\r\n")))
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC))
    columns = list(COLUMNS)
    extra = rng.sample(("", "note", "備考", "ID2", " name2 "), rng.choice((0, 0, 1, 2)))
    columns += extra
    rng.shuffle(columns)
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)

    def encode(given):
        return given.encode(codec, errors="replace")

    def line(cells):
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerow(cells)
        return encode(out.getvalue().removesuffix("\n") + rng.choice(ends))

    for record in records:
        record["text"] = str(record["text"]).encode(codec, "replace").decode(codec)
        if ends == ("\r",):
            record["text"] = str(record["text"]).replace("\n", " ")
    mark = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}.get(encoding, b"")
    chunks = [mark + line(columns)]
    touched = []
    for record in records:
        cells = [record.get(name, "x") for name in columns]
        if rng.random() < 0.03:  # ragged
            cells = cells[:-1] if rng.random() < 0.5 else [*cells, "more"]
            touched.append(record["id"])
        elif rng.random() < 0.02:
            record["text"] = "あ" * rng.choice((1000, 100_000, 1_000_000))
            record["text"] = record["text"].encode(codec, "replace").decode(codec)
            cells = [record.get(name, "x") for name in columns]
        chunks.append(line(["" if cell is None else cell for cell in cells]))
    if rng.random() < 0.03:
        encoding = rng.choice(("utf-8", "cp932", "euc_jp"))  # declared otherwise than written
        mark, touched = b"", [record["id"] for record in records]
    declared = {"utf-8-sig": "utf-8", "utf-16": rng.choice(("utf-8", "utf-16"))}
    how = f'encoding = "{declared.get(encoding, encoding)}"\ndelimiter = {json.dumps(delimiter)}'
    if rng.random() < 0.2:
        chunks[-1] = chunks[-1].removesuffix(encode("\n")).removesuffix(encode("\r"))
    untouched = {record["id"]: record for record in records if record["id"] not in touched}
    case = Case("a.csv", b"", how, untouched, [f"csv {encoding} {ends} {quoting} {touched}"])
    damage(rng, case, chunks, [record["id"] for record in records], encode, encode(ends[-1]))
    return case


def json_value(rng, record):
    """Return a record as JSON has it: what is missing may be left out, a number be a text."""
    kept = [name for name in record if record[name] is not None or rng.random() < 0.5]
    found = {name: record[name] for name in kept}
    if rng.random() < 0.2 and isinstance(found.get("price"), int | float):
        found["price"] = str(found["price"])
    if rng.random() < 0.1:
        found["more"] = rng.choice(({"a": [1, {"b": None}]}, [], "x", None, 1e300))
    return found


def odd_json(rng):
    deep = rng.choice((5, 500, 5000))
    return rng.choice(
        (
            *("[]", "1", '"x"', "null", "{}", "NaN", '{"id": NaN}', '{"id": "\\ud800"}', "{,}"),
            *('{"id": "U9", "id": "U8"}', '{"id": {"id": 1}, "at": []}', "[1, 2", "{'id': 1}"),
            '{"id": ' + "[" * deep + "]" * deep + "}",
            '{"x": ' * deep + "1" + "}" * deep,
            '{"id": "' + "x" * rng.choice((100, 1_000_000)) + '"}',
        )
    )


def make_ndjson(rng):
    records = make_records(rng)
    end = rng.choice((b"\n", b"\r\n"))
    chunks = [b"\xef\xbb\xbf" if rng.random() < 0.1 else b""]
    touched = []
    for record in records:
        written = json.dumps(json_value(rng, record), ensure_ascii=rng.random() < 0.5)
        if rng.random() < 0.06:
            written = odd_json(rng)
            touched.append(record["id"])
        chunks.append(written.encode() + end)
    untouched = {record["id"]: record for record in records if record["id"] not in touched}
    case = Case("a.ndjson", b"", "", untouched, [f"ndjson {touched}"])
    ids = [record["id"] for record in records]
    damage(rng, case, chunks, ids, lambda given: given.encode("utf-8", "replace"), end)
    return case


def make_json(rng):
    records = make_records(rng)
    chunks, touched = [rng.choice((b"[", b'{"data": {"results": ['))], []
    how = 'records = "data.results"' if len(chunks[0]) > 1 else ""
    for number, record in enumerate(records):
        written = json.dumps(json_value(rng, record), ensure_ascii=rng.random() < 0.5)
        if rng.random() < 0.05:
            written = odd_json(rng)
            touched.append(record["id"])
        comma = "," if number + 1 < len(records) else ("]}}" if how else "]")
        chunks.append((written + comma).encode() + rng.choice((b"", b"\n")))
    untouched = {record["id"]: record for record in records if record["id"] not in touched}
    case = Case("a.json", b"", how, untouched, [f"json {touched}"])
    ids = [record["id"] for record in records]
    before = b"".join(chunks)
    damage(rng, case, chunks, ids, lambda given: given.encode("utf-8", "replace"), b"")
    if case.content != before:  # one text: what is damaged may change all that follows
        case.untouched = {}
    return case


def make_parquet(rng):
    records = make_records(rng)
    kinds = {"price": rng.choice((pa.float64(), pa.string(), pa.float32()))}
    columns = {}
    for name in COLUMNS:
        values = [record[name] for record in records]
        if kinds.get(name) == pa.string():
            values = [None if value is None else str(value) for value in values]
        columns[name] = pa.array(values, type=kinds.get(name, pa.string()))
    if rng.random() < 0.2:
        columns["nested"] = pa.array([[{"a": 1}]] * len(records))
    out = io.BytesIO()
    codec = rng.choice(("snappy", "none", "gzip", "zstd"))
    pq.write_table(pa.table(columns), out, compression=codec, row_group_size=rng.choice((1, 100)))
    case = Case("a.parquet", out.getvalue(), "", {r["id"]: r for r in records}, ["parquet"])
    return damage_whole(rng, case)


def make_excel(rng):
    records = make_records(rng)
    rows = [list(COLUMNS), *([record[name] for name in COLUMNS] for record in records)]
    if rng.random() < 0.2:
        rows.insert(rng.randint(1, len(rows)), [])
    out = io.BytesIO()
    write_workbook(out, {"S": rows})
    case = Case("a.xlsx", b"", "", {record["id"]: record for record in records}, ["excel"])
    with zipfile.ZipFile(out) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    if rng.random() < 0.5:
        name = rng.choice(list(parts))
        how = rng.choice(BYTES)
        case.story.append(f"{how.__name__} in {name}")
        parts[name] = how(rng, parts[name], str.encode)
        case.untouched = {}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as book:
        for name, part in parts.items():
            book.writestr(name, part)
    case.content = out.getvalue()
    return damage_whole(rng, case)


def damage_whole(rng, case):
    """Damage the bytes of a file of which nobody can say which record they belong to."""
    for _ in range(rng.choice((0, 0, 1, 2))):
        how = rng.choice((*BYTES, lambda rng, given, _: given[: rng.randrange(len(given))]))
        if case.content:
            case.story.append(how.__name__)
            case.content = how(rng, case.content, str.encode)
            case.untouched = {}
    return case


# What must hold


def check(case: Case, folder: Path, engine: DuckDB) -> str:
    """Land a case in an empty folder; return 'refused' or 'landed', or fail."""
    path = folder / case.name
    path.write_bytes(case.content)
    (folder / "journey.toml").write_text(
        project_head(login="strong") + SOURCE.format(file=case.name, how=case.how)
    )
    project = read_project(folder / "journey.toml")
    try:
        landed = land(project, engine)
    except CjkitError as error:
        assert case.name in str(error), f"it names no file: {error}"
        assert not list((project.state_folder / "landed").iterdir())
        assert engine.tables() == []
        return "refused"
    (ledger,) = landed.ledgers
    filtered = sum(ledger.filtered.values())
    assert ledger.read == ledger.mapped + filtered + ledger.unreadable
    assert ledger.rows == {"events": ledger.mapped}
    rows = engine.query(f"from '{landed.folders[0] / 'events.parquet'}'")
    assert len(rows) == ledger.mapped
    assert rows["record_no"].between(1, ledger.read).all() and rows["record_no"].is_unique
    rows = rows.astype(object).where(rows.notna(), None)
    found = {
        (row.person_key, row.event, row.revenue, (row.x_text or "").replace("\r", ""))
        for row in rows.itertuples(index=False)
    }
    bots = 0
    for identity, record in case.untouched.items():
        if record["name"] == "bot":
            bots += 1
            continue
        words = str(record["text"]).replace("\r", "")
        expected = (f"login:{identity}", record["name"], record["price"], words)
        assert expected in found, f"{expected} is lost: {found}"
    assert ledger.filtered.get("bots", 0) >= bots
    if (count := count_simply(case)) is not None:
        assert ledger.read - ledger.unreadable == count, f"{count} by a simple reading"
    numbers = range(1, min(ledger.read, 100) + 1)
    told = list(read_raw(project, "web", case.name, numbers))
    assert sum(map(len, told)) == len(numbers), "not every original record can be told"
    return "landed"


def count_simply(case: Case) -> int | None:
    """Count a file's records as Python reads them; None where others may well read otherwise."""
    if case.name == "a.csv":
        return _count_csv(case)
    if case.name not in ("a.ndjson", "a.json") or case.how:
        return None
    if re.search(rb"\\ud|,\s*[}\]]", case.content):  # half characters, and commas before an end
        return None
    try:
        whole = case.content.decode("utf-8-sig")
        if case.name == "a.json":
            return sum(isinstance(one, dict) for one in json.loads(whole))
        return sum(_is_object(line) for line in whole.split("\n") if line.strip())
    except (ValueError, RecursionError, TypeError):
        return None


def _count_csv(case: Case) -> int | None:
    encoding, delimiter = (json.loads(line.split(" = ")[1]) for line in case.how.split("\n"))
    for mark, codec in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16")):
        encoding = codec if case.content.startswith(mark) else encoding
    try:
        whole = case.content.decode(encoding)
        lines = csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter, strict=True)
        rows = [row for row in lines if row]
    except (UnicodeError, csv.Error):
        return None
    is_clear = len({len(row) for row in rows}) == 1 and not re.search(' "', whole)
    return len(rows) - 1 if is_clear else None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
