"""Why ids are one person: every link with where it was seen, and whether it was used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, Table, text
from cjkit.identity.ids import ALIASES
from cjkit.labels import Language, format_number, label

LIKENESS = "likeness"
"""The rule of links that are a model's guess."""
LINKS, PEOPLE = "links.parquet", "people.parquet"
"""In the folder of a prepared log: the evidence, and whose each key is."""


@dataclass(frozen=True)
class Explanation:
    """Why the ids of one customer are one person, and which links were not believed.

    Attributes
    ----------
    table : DataFrame
        One row for each link of an id of the customer in each file, earliest first. `id_a`, `id_b`:
        the kind of id and its number among those of the customer ('login 1'), never the id itself;
        an id of somebody else has no number. `rule`: 'same_record' (both stood on one record),
        'likeness' (a model's guess), 'pinned_same', 'pinned_different' (by hand). `used`: 'yes',
        'later_visits' (only visits from `stitch_within` before they met are this customer's),
        or why not: 'super_key' (an id met too many others), 'several_people' (it met two people or
        more), 'merges_nobody' (neither id is strong), 'kept_apart' (by a pin). `source`, `file`,
        `record_no`: the first record in the file; `first_at`: its time; `probability` of likeness.
    customer_id : str
        The id that the customer has now.
    aliases : tuple of str
        Ids that were other customers once, and are this one now.
    """

    table: pd.DataFrame
    customer_id: str
    aliases: tuple[str, ...]
    formats: ClassVar[dict[str, str]] = {
        "id_a": "text",
        "id_b": "text",
        "rule": "link_rule",
        "used": "link_use",
        "file": "text",
        "probability": "rate",
    }

    def finding(self, language: Language) -> str:
        """Say how many links hold the customer together, and how many were not used."""
        is_used = self.table["used"].isin(["yes", "later_visits"])
        return label(
            "explanation_finding",
            language,
            used=format_number(int(is_used.sum()), language),
            unused=format_number(int((~is_used).sum()), language),
            aliases=format_number(len(self.aliases), language),
        )


def collect_links(
    engine: DuckDB, name: str, seen: Table, numbered: Table, decided: Table, named: Table
) -> Table:
    """Make a table of the evidence: each link once for each customer that it is about.

    Its columns are `customer_id`, `seen_us`, and those of `Explanation.table` without `first_at`.
    Links are those of `seen` and of the table `<name> pins`, between numbered keys.
    """
    known = engine.materialize(
        f"{name} known",
        f"""select key_no, namespace, strength, is_super, is_undecided, owner_no, stitched_no,
                customer_id, namespace || ' ' || row_number() over (
                    partition by owner_no, namespace order by key_no) as shown
            from {numbered} join {decided} using (key_no) left join {named} using (owner_no)""",
    )
    kept = "rule, source, file, record_no, seen_us, probability, used"
    links = engine.materialize(
        f"{name} links",
        f"""with seen as (
                select rule, a_no, b_no, source, file, record_no, seen_us, probability
                from {seen} union all
                select 'pinned_' || relation, a_no, b_no, 'pins', file, line, null, null
                from "{name} pins" where a_no <> b_no),
            linked as (
                select {kept.removesuffix(", used")}, a.customer_id as customer_a,
                    b.customer_id as customer_b, a.shown as shown_a, b.shown as shown_b,
                    a.namespace as namespace_a, b.namespace as namespace_b,
                    case when rule = 'pinned_different' then 'kept_apart'
                        when a.owner_no = b.owner_no then 'yes'
                        when b.owner_no = a.stitched_no or a.owner_no = b.stitched_no
                            then 'later_visits'
                        when a.is_super or b.is_super then 'super_key'
                        when a.is_undecided or b.is_undecided then 'several_people'
                        when a.strength <> 'strong' and b.strength <> 'strong'
                            then 'merges_nobody'
                        else 'kept_apart' end as used
                from seen join {known} as a on a.key_no = a_no
                join {known} as b on b.key_no = b_no)
            select customer_a as customer_id, shown_a as id_a,
                case when customer_b = customer_a then shown_b else namespace_b end as id_b, {kept}
            from linked where customer_a is not null
            union all select customer_b, shown_b, namespace_a, {kept}
            from linked where customer_b <> customer_a or customer_a is null""",
    )
    engine.run(f"drop table {known}")
    return links


def explain_customer(engine: DuckDB, folder: Path, customer_id: str) -> Explanation:
    """Read the evidence about one customer of the prepared log in `folder`.

    Parameters
    ----------
    engine : DuckDB
    folder : Path
    customer_id : str
        Of this log, or one that was in use once.

    Raises
    ------
    CjkitError
        When there is no such customer.
    """

    def read(file: str) -> str:
        return f"read_parquet({text(str(folder / file))})"

    followed = engine.query(
        f"select customer_id from {read(ALIASES)} where alias = {text(customer_id)}"
    )
    current = str(followed["customer_id"].iloc[0]) if len(followed) else customer_id
    keys = engine.query(
        f"select count(*) as n from {read(PEOPLE)} where customer_id = {text(current)}"
    )
    if not keys["n"].iloc[0]:
        raise CjkitError(
            f"customer_id {customer_id!r} is nobody in this log, and was nobody before: "
            "log.customers lists all."
        )
    table = engine.query(
        f"""select id_a, id_b, rule, used, source, file, record_no,
                make_timestamp(seen_us) as first_at, probability
            from {read(LINKS)} where customer_id = {text(current)}
            order by seen_us nulls last, id_a, id_b, source, file, record_no"""
    )
    aliases = engine.query(
        f"select alias from {read(ALIASES)} where customer_id = {text(current)} order by alias"
    )
    return Explanation(table, current, tuple(aliases["alias"]))
