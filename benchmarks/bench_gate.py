"""Cleanse and prepare raw events, and compare with writing the same rows sorted: seconds, memory.

    python benchmarks/bench_gate.py [--rows 10000000]

Landed events are drawn by a hash of each row's number: 1% stand twice, .5% are replayed within two
seconds, .2% are of 1970, .1% have no customer; a fifth of the cookies meet a login. The gate and
the plain sort are each measured in a process of their own. One line of JSON is printed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from measuring import PROJECT, asked, fresh, ratios, say, timed

from cjkit.cleansing.gate import cleanse
from cjkit.engine import DuckDB, text
from cjkit.project import read_project
from cjkit.sources import Landed, Ledger

MEMORY = "3GB"
SOURCE = """
[identity.order]
strength = "link"
[sources.web]
files = ["*.parquet"]
mapping = "sample/web"
"""


def write_landed(rows: int, folder: Path) -> None:
    """Write landed events of `rows` rows, 12.5 a cookie over two years, and the links of logins."""
    engine = DuckDB(threads=2, memory=MEMORY)
    own = f"""(select i, case when hash(i, 9) % 1000 < 15 then greatest(i - 1, 0) else i end as r,
        hash(i, 9) % 1000 >= 10 as is_own from range({rows}) as numbers(i))"""
    page = "'https://example.jp/' || hash(r, 5) % 500"
    engine.copy(
        f"""
        select make_timestamp(case when hash(r, 7) % 1000 < 2 then 0 else 1700000000000000
                + cast(hash(r, 3) % 63072000 as bigint) * 1000000
                + case when is_own and r < i then 1000000 else 0 end end) as occurred_at,
            ['page_view', 'view_product', 'search', 'add_to_cart', 'begin_checkout']
                [cast(1 + hash(r, 2) % 5 as bigint)] as event, 'product_page' as touchpoint,
            'organic_search' as channel, cast(r % 100 as bigint) as event_order,
            'second' as time_precision, 'P' || hash(r, 6) % 20000 as product_id, {page} as page,
            case hash(r, 4) % 3 when 0 then 'phone' when 1 then 'tablet' else 'desktop' end
                as device, 'human' as user_agent_class,
            case when hash(r, 8) % 1000 > 0 then 'cookie:' || sha256(cast(hash(r, 1) %
                {rows * 2 // 25} as varchar)) end as person_key,
            sha256(cast(case when is_own then i else r end as varchar)) as record_hash,
            cast(null as varchar) as unique_key, 1 as row_rule,
            cast(null as varchar) as unreadable, cast(null as varchar) as unknown_codes,
            'web' as source, 'web.parquet' as file, i + 1 as record_no
        from {own} as drawn""",
        folder / "events.parquet",
    )
    engine.copy(
        f"""select 'cookie:' || sha256(cast(i as varchar)) as key_a,
                'login:' || sha256(cast(i // 2 as varchar)) as key_b, 'web' as source,
                'web.parquet' as file, i as record_no, 1700000000000000 as seen_us,
                i as last_record_no, 1700000000000000 as last_us
            from range({rows * 2 // 125}) as numbers(i)""",
        folder / "edges.parquet",
    )


def measure_gate(rows: int, folder: Path) -> dict[str, float]:
    """Run the gate over the landed events."""
    (folder / "journey.toml").write_text(PROJECT + SOURCE, encoding="utf-8")
    project = read_project(folder / "journey.toml")
    ledger = Ledger("web", "web.parquet", rows, rows, {}, 0, {"events": rows})
    landed = Landed((folder,), (ledger,), 1)
    (folder / "prepared").mkdir(exist_ok=True)
    _, used = timed(
        lambda: cleanse(
            DuckDB(threads=2, memory=MEMORY),
            project,
            landed,
            folder / "prepared",
            None,
            str,
            None,
            {},
        )
    )
    return used


def measure_sort(folder: Path) -> dict[str, float]:
    """Write the same rows sorted by person and time, as the engine alone does it."""
    engine = DuckDB(threads=2, memory=MEMORY)
    source = text(str(folder / "events.parquet"))
    _, used = timed(
        lambda: engine.copy(
            f"from read_parquet({source}) order by person_key, occurred_at",
            folder / "sorted.parquet",
            options="compression zstd",
        )
    )
    return used


def main() -> None:
    """Draw, measure and print."""
    rows = asked(__doc__, "rows", 10_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fresh(write_landed, rows, folder)
        sort, gate = fresh(measure_sort, folder), fresh(measure_gate, rows, folder)
    say("gate", rows=rows, gate=gate, sort=sort, times_the_sort=ratios(gate, sort))


if __name__ == "__main__":
    main()
