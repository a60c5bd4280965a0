"""Which SQL the analyses may use: what DuckDB, Spark and PostgreSQL all run as it stands."""

from __future__ import annotations

import re
from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

TARGETS = ("spark", "postgres")

REFUSED: dict[type[exp.Expression], str] = {
    exp.Qualify: "qualify",
    exp.Interval: "interval arithmetic",
    exp.Array: "lists",
    exp.Struct: "structs",
    exp.Lambda: "lambdas",
    exp.Unnest: "unnest",
    exp.Bracket: "list or struct access",
    exp.Pivot: "pivot",
    exp.GroupConcat: "string_agg",
    exp.ArrayAgg: "array_agg",
    exp.Quantile: "quantiles (ask the engine)",
    exp.PercentileCont: "quantiles (ask the engine)",
    exp.Median: "median (ask the engine)",
    exp.Star: "",  # allowed; its exclusions are not
    exp.Ntile: "ntile, which splits ties",
    exp.Anonymous: "a function that is not in every dialect",
}


def faults(sql: str) -> list[str]:
    """Return what makes `sql` unfit for some engine; an empty list when it is portable.

    No number makes it so: statements that differ in theirs alone are looked at once (the one of
    md5 is part of a name).
    """
    return _faults(re.sub(r"(?<![A-Za-z])\d+", "1", sql))


@cache
def _faults(sql: str) -> list[str]:
    try:
        tree = sqlglot.parse_one(sql, read="duckdb", error_level=ErrorLevel.RAISE)
    except sqlglot.ParseError as error:
        return [f"cannot be read: {error}"]
    found = []
    for node in tree.walk():
        if isinstance(node, exp.Star):
            if node.args.get("except_") or node.args.get("except") or node.args.get("replace"):
                found.append("star with exclude or replace")
        elif type(node) in REFUSED:
            found.append(f"{REFUSED[type(node)]}: {node.sql()[:60]}")
        elif isinstance(node, exp.Window) and _needs_frame(node):
            found.append(f"a window without a ROWS frame: {node.sql()[:80]}")
        elif isinstance(node, exp.Join) and {node.method, node.kind} & {"ASOF", "SEMI", "ANTI"}:
            found.append(f"a join that not every dialect has: {node.sql()[:60]}")
    for target in TARGETS:
        try:
            tree.sql(dialect=target, unsupported_level=ErrorLevel.RAISE)
        except sqlglot.UnsupportedError as error:
            found.append(f"{target}: {error}")
    return found


def _needs_frame(window: exp.Window) -> bool:
    """Say whether an ordered aggregate leaves its frame to the dialect's default."""
    if not window.args.get("order") or window.args.get("spec"):
        return False
    ranked = (
        exp.RowNumber,
        exp.Lag,
        exp.Lead,
        exp.Rank,
        exp.DenseRank,
        exp.PercentRank,
        exp.CumeDist,
    )
    return not isinstance(window.this, ranked)
