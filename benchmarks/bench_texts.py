"""Make spellings one: ids and contact data that the engine is sure of, and those for Python.

    python benchmarks/bench_texts.py [--rows 200000]

Distinct texts of each kind, once as most exports write them and once in full width, as by a
Japanese keyboard. CPU seconds and texts per second, one line of JSON a kind.
"""

from __future__ import annotations

import argparse
import json
import time

from cjkit.engine import DuckDB
from cjkit.sources.mapping import Spelling
from cjkit.sources.texts import make_forms

WIDE = "translate({}, '0123456789-@', '０１２３４５６７８９－＠')"
KINDS = {
    "phone": "'090-' || lpad(cast(i // 10000 as varchar), 4, '0') || '-' || "
    "lpad(cast(i % 10000 as varchar), 4, '0')",
    "email": "'ann.' || i || '@example.co.jp'",
    "postal_code": "lpad(cast(i as varchar), 7, '0')",
    "text": "'C-' || i",
    "name": "'Suzuki ' || i",
}


def main() -> None:
    """Write, measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=200_000)
    rows = options.parse_args().rows
    for kind, written in KINDS.items():
        rule = Spelling.model_validate(
            {"column": "x", "normalise": kind} | ({"country_code": "81"} if kind == "phone" else {})
        )
        for width, value in (("half", written), ("full", WIDE.format(written))):
            engine = DuckDB(threads=2)
            engine.materialize("given", f"select {value} as value from range({rows}) as made(i)")
            begin = time.process_time()
            make_forms(engine, "forms", "from given", rule)
            cpu = time.process_time() - begin
            assert engine.table("forms").count() == rows
            found = {"benchmark": "texts", "kind": kind, "width": width, "rows": rows}
            print(json.dumps(found | {"cpu_s": round(cpu, 2), "per_s": round(rows / cpu)}))
            engine.close()


if __name__ == "__main__":
    main()
