"""Land events, and compare with the engine reading and writing the same file by hand-written SQL.

    python benchmarks/bench_sources.py [--rows 1000000]

One file each in NDJSON, CSV and Parquet: ids are keyed, codes and times read, records hashed, links
of logins and cookies kept. Both ways take turns three times, each in a process of its own; the
middle of the CPU seconds counts, and the memory of the middle run. One line of JSON a format.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from measuring import PROJECT, asked, fresh, ratios, say, timed

from cjkit.engine import DuckDB, text
from cjkit.privacy import pseudonym_sql
from cjkit.project import read_project
from cjkit.sources import land

TURNS = 3
FORMATS = ("ndjson", "csv", "parquet")
SOURCE = """
[sources.web]
files = ["events.*"]
[sources.web.mapping]
system = "Web"
[sources.web.mapping.file]
[sources.web.mapping.ids]
login = "user_id"
cookie = "client_id"
[[sources.web.mapping.row]]
table = "events"
[sources.web.mapping.row.columns]
event_id = "id"
page = "page"
device = "device"
revenue = "value"
occurred_at = { column = "us", time = "epoch_us" }
[sources.web.mapping.row.columns.event]
column = "name"
codes = { view = "view_product", cart = "add_to_cart", buy = "purchase" }
"""
EVENTS = """
select 'e' || i as id, 1700000000000000 + i * 60000000 as us,
    ['view', 'view', 'cart', 'buy'][cast(1 + hash(i) % 4 as bigint)] as name,
    case when hash(i // 12, 1) % 5 = 0 then 'U' || hash(i // 12, 2) % 40000 end as user_id,
    'c-' || i // 12 as client_id, '/product/' || hash(i, 3) % 1000 as page,
    ['desktop', 'iphone', 'android'][cast(1 + hash(i // 12, 4) % 3 as bigint)] as device,
    cast(hash(i, 5) % 10000 as double) as value, 'Mozilla/5.0 (X11; Linux x86_64)' as agent
from range({rows}) as numbers(i)"""
BY_HAND = {
    "ndjson": """read_json({file}, format = 'newline_delimited', columns = {{id: 'varchar',
        us: 'bigint', name: 'varchar', user_id: 'varchar', client_id: 'varchar', page: 'varchar',
        device: 'varchar', value: 'double'}})""",
    "csv": """read_csv({file}, header = true, columns = {{id: 'varchar', us: 'bigint',
        name: 'varchar', user_id: 'varchar', client_id: 'varchar', page: 'varchar',
        device: 'varchar', value: 'double', agent: 'varchar'}})""",
    "parquet": "read_parquet({file})",
}


def write_events(rows: int, folder: Path, form: str) -> None:
    """Write the file and the project that reads it."""
    DuckDB(threads=2).copy(
        EVENTS.format(rows=rows),
        folder / f"events.{form}",
        form="json" if form == "ndjson" else form,
    )
    (folder / "journey.toml").write_text(PROJECT + SOURCE, encoding="utf-8")


def by_hand(folder: Path, form: str) -> None:
    """Read the file by hand-written SQL and write what it holds as Parquet."""
    source = BY_HAND[form].format(file=text(str(folder / f"events.{form}")))
    DuckDB(threads=2).copy(
        f"select id, make_timestamp(us) as occurred_at, name, user_id, client_id, page, device, "
        f"value from {source}",
        folder / "by_hand.parquet",
    )


def by_mapping(folder: Path, form: str) -> None:
    """Land the file."""
    engine = DuckDB(threads=2)
    landed = land(
        read_project(folder / "journey.toml"),
        engine,
        pseudonym=lambda id: pseudonym_sql(id, b"k" * 32),
    )
    assert landed.made == 1


def measure(run: Callable[[Path, str], None], folder: Path, form: str) -> dict[str, float]:
    """Run once; return CPU and wall seconds and the peak of memory."""
    return timed(lambda: run(folder, form))[1]


def main() -> None:
    """Write, measure in turns, print."""
    rows = asked(__doc__, "rows", 1_000_000)
    for form in FORMATS:
        taken: dict[str, list[dict[str, float]]] = {"by_hand": [], "landed": []}
        for _ in range(TURNS):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                fresh(write_events, rows, folder, form)
                taken["by_hand"].append(fresh(measure, by_hand, folder, form))
                taken["landed"].append(fresh(measure, by_mapping, folder, form))
        middle = {
            way: sorted(runs, key=lambda run: run["cpu_seconds"])[TURNS // 2]
            for way, runs in taken.items()
        }
        ratio = ratios(middle["landed"], middle["by_hand"])
        say("sources", format=form, rows=rows, **middle, ratio=ratio)


if __name__ == "__main__":
    main()
