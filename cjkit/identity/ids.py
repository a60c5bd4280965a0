"""Customer ids: minted once from a person's earliest record, and kept from run to run.

Each key has an *anchor*, itself, from which an id can be minted. The id of a person is that of the
most senior of the anchors that the person's keys carry. Seniority never changes: strong keys come
before others, keys known from an earlier run before new ones, then the earlier first record, then
the name. So on a merge the earliest id stays and the other becomes an alias of it, on a split the
part with the earliest record keeps it, and undoing either gives back what was there.

When the key of an id in use leaves the data, the most senior key that is left of the person carries
its anchor on. An earlier record that arrives later is junior to what an earlier run knew: an id in
use does not change for it, while a build without the state would mint from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cjkit.engine import DuckDB, Table, text
from cjkit.project import Namespace

_DIGITS = 16
_MOST = Namespace(strength="strong").most
ANCHORS = "anchors.parquet"
"""In the state folder `identity/`: what is remembered from run to run."""
ALIASES = "aliases.parquet"
"""Ids that were in use once, and those that they became."""

_OFFERED = ".offered"

NOTHING = """(select '' as anchor, '' as person_key, 0 as run_no, cast(null as bigint) as first_us,
    false as is_issued, '' as customer_id limit 0)"""
"""The SQL of what is remembered before the first run."""


def mint(anchor: str, *, is_plain: bool, has_one: bool = False) -> str:
    """Write the SQL of the id that an anchor gives.

    The first 16 hexadecimal digits of its SHA-256; where ids are plain the anchor itself, and with
    one namespace only without its name, which then says nothing.
    """
    if not is_plain:
        return f"substr(sha256({anchor}), 1, {_DIGITS})"
    return f"substr({anchor}, strpos({anchor}, ':') + 1)" if has_one else anchor


def remembered(state: Path | None) -> str:
    """Write the SQL of what the last published run left in the folder `state`."""
    path = state / ANCHORS if state is not None else None
    if path is None or not path.is_file():
        return NOTHING
    return f"(select * from read_parquet({text(str(path))}))"


def offer_ids(folder: Path, state: Path, log: str) -> None:
    """Put the ids of the log in `folder` beside those in use, until it is published as `log`."""
    state.mkdir(mode=0o700, exist_ok=True)
    partial = state / f"{ANCHORS}.partial"
    partial.touch(mode=0o600)
    partial.write_bytes((folder / ANCHORS).read_bytes())
    partial.replace(state / f"{log}{_OFFERED}")


def settle_ids(state: Path, logs: Path) -> None:
    """Remember the ids of a log that was published in `logs`, and drop those of one that was not.

    Whether a run was killed before it published its log or right after, the next one finds out.
    """
    for offered in state.glob(f"*{_OFFERED}"):
        if (logs / offered.name.removesuffix(_OFFERED)).is_dir():
            offered.replace(state / ANCHORS)
        else:
            offered.unlink()


def followed(table: str, folder: Path) -> str:
    """Write the SQL of `table` with the ids that customers have now, of the log in `folder`.

    Of rows that have become one customer's, that of the id which survived stays, else the first by
    its former id.
    """
    current = "coalesce(aliases.customer_id, cast(given.customer_id as varchar))"
    return f"""
        select given.* replace ({current} as customer_id) from {table} as given
        left join read_parquet({text(str(folder / ALIASES))}) as aliases
            on aliases.alias = cast(given.customer_id as varchar)
        qualify row_number() over (partition by {current} order by aliases.alias nulls first) = 1"""


def number_keys(
    engine: DuckDB, name: str, keys: str, edges: str, rules: str, before: str
) -> tuple[Table, Table]:
    """Make a table of each distinct key, numbered from 0 by seniority, and one of the anchors.

    Returns
    -------
    keys : Table
        `key_no`, `person_key`, `namespace` and its rules (`strength`, `most`, `stitch_us`),
        `rows_us` (the time of its first row), `has_rows`, and the `anchor` that it goes by.
    anchors : Table
        `anchor`, the `person_key` that carries it, `run_no` and `first_us` (when it was first
        seen, for ever), `is_issued`, `customer_before`.
    """
    present = engine.materialize(
        f"{name} present",
        f"""select *, split_part(person_key, ':', 1) as namespace from (
            select person_key, min(rows_us) as rows_us, min(first_us) as first_us,
                bool_or(has_rows) as has_rows
            from (select person_key, first_us as rows_us, first_us, true as has_rows from {keys}
                union all select key_a, null, seen_us, false from {edges}
                union all select key_b, null, seen_us, false from {edges}) as seen
            where person_key is not null group by person_key) as present""",
    )
    anchors = engine.materialize(
        f"{name} anchors",
        f"""with known as (
                select before.*, present.person_key is not null as is_present,
                    coalesce(rules.strength, 'strong') <> 'strong' as is_weak
                from {before} as before
                left join {present} as present on present.person_key = before.anchor
                left join {rules} as rules on rules.namespace = split_part(before.anchor, ':', 1)),
            heirs as (
                select customer_id, anchor as heir from known where is_present
                qualify row_number() over (partition by customer_id
                    order by is_weak, run_no, first_us nulls last, anchor) = 1)
            select anchor, case when is_present then anchor else heir end as person_key, run_no,
                first_us, is_issued, customer_id as customer_before
            from known left join heirs using (customer_id)
            where is_present or (is_issued and heir is not null)
            union all
            select person_key, person_key, (select coalesce(max(run_no), 0) + 1 from known),
                first_us, false, null
            from {present} as present
            where not exists (select 1 from known where known.anchor = present.person_key)""",
    )
    numbered = engine.materialize(
        f"{name} keys",
        f"""select row_number() over (order by strength <> 'strong', run_no,
                    senior_us nulls last, anchor) - 1 as key_no,
                person_key, namespace, strength, coalesce(most, {_MOST}) as most,
                coalesce(stitch_us, 0) as stitch_us, rows_us, has_rows, anchor
            from (select present.*, coalesce(strength, 'strong') as strength, most, stitch_us
                from {present} as present left join {rules} as rules using (namespace)) as ruled
            join (select person_key, anchor, run_no, first_us as senior_us from {anchors}
                qualify row_number() over (partition by person_key
                    order by run_no, first_us nulls last, anchor) = 1) as carriers
                using (person_key)""",
    )
    engine.run(f"drop table {present}")
    return numbered, anchors


@dataclass(frozen=True)
class Turnover:
    """What became of people since the last published run.

    Attributes
    ----------
    minted : int
        People of whom no key was known.
    merges : int
        People of the last run who became part of another.
    splits : int
        People who came out of one of the last run.
    """

    minted: int
    merges: int
    splits: int


def remember(engine: DuckDB, anchors: Table, people: Table, minted: str) -> None:
    """Say in `anchors` which ids are in use now, for the next run.

    Parameters
    ----------
    engine : DuckDB
    anchors, people : Table
        As `number_keys` and `resolve_people` made them.
    minted : str
        The SQL of the id that the column `anchor` gives.
    """
    engine.materialize(
        anchors.name,
        f"""select anchor, person_key, run_no, first_us, customer_id, customer_before,
                is_issued or {minted} = customer_id as is_issued
            from {anchors} join {people} as people using (person_key)""",
    )


def count_turnover(
    engine: DuckDB, anchors: Table, people: Table, but: str = "select ''"
) -> Turnover:
    """Count what became of people since the last published run, but for customers of the SQL `but`.

    Needs what `remember` adds to `anchors`.
    """
    counts = engine.query(
        f"""with known as (select customer_id, customer_before from {anchors}
                where anchor = person_key and customer_before is not null
                    and customer_id not in ({but}))
            select (select count(distinct customer_id) from {people}
                    where customer_id not in (select customer_id from known)
                        and customer_id not in ({but})) as minted,
                (select coalesce(sum(n - 1), 0) from (select count(distinct customer_before) as n
                    from known group by customer_id)) as merges,
                (select coalesce(sum(n - 1), 0) from (select count(distinct customer_id) as n
                    from known group by customer_before)) as splits"""
    ).iloc[0]
    return Turnover(*(int(counts[name]) for name in ("minted", "merges", "splits")))


def write_ids(engine: DuckDB, anchors: Table, folder: Path, minted: str) -> None:
    """Write what the next run remembers, and `aliases.parquet` (`alias`, `customer_id`)."""
    engine.copy(f"select * exclude (customer_before) from {anchors}", folder / ANCHORS)
    engine.copy(
        f"""select {minted} as alias, customer_id from {anchors}
            where is_issued and alias <> customer_id order by alias""",
        folder / ALIASES,
    )
    (folder / ANCHORS).chmod(0o600)
