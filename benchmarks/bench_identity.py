"""Decide who is who in many records by keys alone: seconds, peak memory, precision and recall.

    python benchmarks/bench_identity.py [--records 1000000]

A quarter as many people as records. Each record shows some of its person's ids: a login, a
loyalty number, one of two e-mails, a telephone, and, on half of the records, a browser's cookie or
an order number. One record in 200 has the shop's own telephone, and one household in 50 shares a
tablet. One line of JSON is printed; pairs of ids are compared with the true people.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from measuring import asked, fresh, say, timed

from cjkit.engine import DuckDB, Table, text
from cjkit.identity import resolve_people, write_people
from cjkit.project import Namespace

MEMORY = "2GB"
NAMESPACES = {
    "login": Namespace(strength="strong"),
    "loyalty": Namespace(strength="strong"),
    "email": Namespace(strength="strong"),
    "phone": Namespace(strength="strong"),
    "cookie": Namespace(strength="weak", stitch_within="90D"),
    "order": Namespace(strength="link"),
}


def write_records(records: int, path: Path) -> None:
    """Write one row for each id of each record: `record_no`, `key`, `person_no`, `at_us`."""
    people = records // 4

    def key(namespace: str, value: str) -> str:
        return f"'{namespace}:' || sha256('{namespace}' || {value})"

    shared = "person_no % 100 < 2 and device = 0"
    ids = {
        key("login", "person_no"): "hash(i, 2) % 10 < 4",
        key("loyalty", "person_no"): "hash(i, 3) % 10 < 3",
        key("email", "(person_no || '-' || hash(i, 4) % 2)"): (
            "hash(i, 5) % 10 < 5 or hash(i, 2) % 10 >= 4 and hash(i, 3) % 10 >= 3"
        ),
        f"case when i % 200 = 0 then 'phone:shop' else {key('phone', 'person_no')} end": (
            "hash(i, 6) % 10 < 3"
        ),
        key(
            "cookie",
            f"(case when {shared} then person_no // 2 * 2 else person_no end || '-' || device)",
        ): "i % 4 = 0",
        key("order", "(i // 8)"): "i % 8 in (1, 3)",
    }
    # Both records of an order are of one person, and one of them is of a browser.
    listed = ", ".join(f"case when {claim} then {value} end" for value, claim in ids.items())
    DuckDB(threads=2, memory=MEMORY).copy(
        f"""
        select i as record_no, person_no, at_us, unnest(list_filter([{listed}], x -> x is not null))
            as key
        from (select *, hash(i, 7) % 3 as device from (
            select i, hash(case when i % 8 in (1, 3) then i // 8 * 8 else i end) % {people}
                    as person_no,
                1700000000000000 + cast(hash(i, 1) % 31536000 as bigint) * 1000000 as at_us
            from range({records}) as numbers(i)) as drawn) as drawn""",
        path,
    )


def measure(path: Path) -> dict[str, Any]:
    """Resolve the people once, write them, and compare them with the truth."""
    engine = DuckDB(threads=2, memory=MEMORY)
    rows = engine.view("shown", f"select * from read_parquet({text(str(path))})")
    keys = f"(select key as person_key, min(at_us) as first_us from {rows} group by key)"
    engine.materialize(
        "links",
        f"""select a.key as key_a, b.key as key_b, 'same_record' as rule, 'bench' as source,
            'bench' as file, a.record_no, a.at_us as seen_us, cast(null as double) as probability
            from {rows} as a join {rows} as b on a.record_no = b.record_no and a.key < b.key""",
    )

    def resolve() -> Any:
        found = resolve_people(engine, keys, "links", namespaces=NAMESPACES)
        write_people(engine, found, path.parent)
        return found

    found, used = timed(resolve)
    ids = engine.query(f"select count(*) as n, count(distinct key) as keys from {rows}").iloc[0]
    return {
        "resolve": used,
        "records": int(
            engine.query(f"select count(distinct record_no) as n from {rows}")["n"].iloc[0]
        ),
        "ids": int(ids["n"]),
        "distinct_ids": int(ids["keys"]),
        "people": found.customers,
        "largest": found.largest,
        **_score(engine, found.table),
    }


def _score(engine: DuckDB, people: Table) -> dict[str, float]:
    """Return precision and recall of pairs of ids, orders and what is shared left aside."""
    engine.materialize(
        "truth",
        """select key, min(person_no) as person_no from shown where key not like 'order:%'
            group by key having count(distinct person_no) = 1""",
    )
    counts = engine.query(
        f"""with known as (select person_no, customer_id from truth
                join {people} on person_key = key)
            select
                (select sum(n * (n - 1) / 2) from (select count(*) as n from known
                    group by person_no)) as true,
                (select sum(n * (n - 1) / 2) from (select count(*) as n from known
                    group by customer_id)) as found,
                (select sum(n * (n - 1) / 2) from (select count(*) as n from known
                    group by person_no, customer_id)) as both"""
    ).iloc[0]
    return {
        "pair_precision": round(counts["both"] / counts["found"], 5),
        "pair_recall": round(counts["both"] / counts["true"], 5),
    }


def main() -> None:
    """Draw, measure and print."""
    records = asked(__doc__, "records", 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.parquet"
        fresh(write_records, records, path)
        say("identity", **fresh(measure, path))


if __name__ == "__main__":
    main()
