"""What stands in the rows of a file: people, their interactions with products, or products."""

from __future__ import annotations

from dataclasses import dataclass

from cjkit.activation.addresses import find_ids, find_private
from cjkit.activation.forms import hashed_sql, is_number, make_formed, neutral_sql, plain_sql
from cjkit.activation.people import PEOPLE
from cjkit.activation.plan import Plan
from cjkit.checks import CjkitError, microseconds, unknown_name
from cjkit.cleansing.log import Log
from cjkit.engine import column, text
from cjkit.events import PURCHASE, local_midnight_us
from cjkit.privacy import Vault
from cjkit.project import Content

ROWS = "activation rows"
"""The view of rows before they are written: typed columns that `Content.column` may name."""
WRITTEN = f"select customer_id from {column(PEOPLE)} where outcome = 'written'"
_PRICE = "case when quantity > 0 then revenue / quantity end"
_LATEST = "arg_max({name}, ordered_us) filter ({name} is not null) as {name}"


@dataclass(frozen=True)
class Rows:
    """The rows of a file: SQL that gives one text column for each of the plan's, in order.

    `made` rows there were, of which some were `left_out`: they lacked what is needed. `numbers`
    names the columns that hold numbers alone.
    """

    sql: str
    numbers: frozenset[str]
    made: int
    left_out: int


def view_interactions(log: Log, plan: Plan) -> None:
    """Make the view `ROWS` of interactions with products, each under the target's name for it.

    Purchases are lines of orders; all else is events that name a product. Further columns (`x_...`)
    of the log are texts, missing where only the other of the two tables has them.
    """
    named = plan.given.events
    kinds = " ".join(f"when {text(event)} then {text(kind)}" for event, kind in named.items())
    spans = [span for span in (plan.target.within, plan.given.within) if span is not None]
    end = local_midnight_us(log.as_of, log.project.project.time_zone)
    currency = f"coalesce(currency, {text(log.project.project.currency)}) as currency"
    since = max((end - microseconds(span, name="within") for span in spans), default=None)
    later = f"and {{at}} >= {since}" if since is not None else ""
    seen = [event for event in named if event != PURCHASE]
    sides = [log.events.columns, log.orders.columns]
    further = dict.fromkeys(name for side in sides for name in side if name.startswith("x_"))
    own, ordered = (
        "".join(
            f", cast({column(name) if name in side else 'null'} as varchar) as {column(name)}"
            for name in further
        )
        for side in sides
    )
    parts = [
        f"""select customer_id, case event {kinds} end as event, product_id, occurred_us,
                cast(null as double) as value, cast(null as double) as quantity,
                cast(null as double) as price, {currency}, event_id as ref_id, channel, touchpoint,
                device, campaign, cast(null as varchar) as category{own}
            from events where event in ({", ".join(map(text, seen)) or "null"})
                and product_id is not null {later.format(at="occurred_us")}"""
    ]
    if PURCHASE in named:
        parts.append(
            f"""select customer_id, {text(named[PURCHASE])}, product_id, ordered_us, revenue,
                    quantity, {_PRICE}, {currency}, order_id, channel, touchpoint, null, null,
                    category{ordered}
                from orders where not coalesce(is_return, false) and customer_id is not null
                    and product_id is not null {later.format(at="ordered_us")}"""
        )
    log.engine.view(
        ROWS,
        f"""select *, occurred_us // 1000000 as seconds, occurred_us // 1000 as milliseconds
            from ({" union all ".join(parts)}) as told""",
    )


def view_products(log: Log) -> None:
    """Make the view `ROWS` of products: what the latest sale says, and when each was first seen."""
    own = [name for name in log.orders.columns if name.startswith("x_")]
    told = "".join(", " + _LATEST.format(name=column(name)) for name in ("category", *own))
    log.engine.view(
        ROWS,
        f"""select product_id, least(first_us, seen_us) // 1000000 as seconds,
                sales.* exclude (product_id, first_us)
            from (select product_id, min(ordered_us) as first_us{told},
                    arg_max({_PRICE}, ordered_us) filter (quantity > 0) as price
                from orders where not coalesce(is_return, false) group by product_id) as sales
            full join (select product_id, min(occurred_us) as seen_us from events
                group by product_id) as seen using (product_id)
            where product_id is not null""",
    )


def view_people(log: Log) -> None:
    """Make the view `ROWS` of people: attributes of customers, then what notebooks saved."""
    joined, added = "", ""
    if "segments" in log.engine.tables():
        own = set(log.customers.columns)
        saved = [name for name in log.segments.columns if name not in own]
        added = "".join(f", saved.{column(name)}" for name in saved)
        joined = "left join segments as saved using (customer_id)"
    log.engine.view(ROWS, f"select customers.*{added} from customers {joined}")


def make_rows(log: Log, plan: Plan, vault: Vault | None) -> Rows:
    """Write the SQL of the file's rows: contents found, made one, hashed, and checked for length.

    Raises
    ------
    CjkitError
        When a column names what there is not, or texts are longer than the target takes.
    """
    engine = log.engine
    kinds = engine.columns(ROWS)
    for name, (_, content) in plan.columns.items():
        if content.column is not None and content.column not in kinds:
            place = f"activation.{plan.name}.columns.{name}: column"
            raise unknown_name(place, content.column, kinds, where=f"the {plan.target.each}s")
    join = _find_contents(log, plan, vault)
    ids = f", people.id as {column(plan.id_column)}" if plan.is_of_people else ""
    raw = "".join(
        f", {_content_sql(content, kinds)} as {column(name)}"
        for name, (_, content) in plan.columns.items()
    )
    people = f"join {column(PEOPLE)} as people using (customer_id)" if plan.is_of_people else ""
    only = "where people.outcome = 'written'" if plan.is_of_people else ""
    engine.view(
        "activation raw",
        f"""select {_order(plan, "rows.")} as place{ids}{raw}
            from {column(ROWS)} as rows {people} {join} {only}""",
    )
    whole = engine.view("activation whole", _formed_sql(log, plan))
    numbers = frozenset(
        name
        for name, (rule, content) in plan.columns.items()
        if rule.kind != "text" or is_number(kinds.get(content.column or "", ""))
    )
    _refuse_long(log, plan)
    made = engine.table("activation raw").count()
    left_out = made - whole.count()
    if left_out and plan.target.each == "person":
        needed = " or ".join(name for name, (rule, _) in plan.columns.items() if rule.needed)
        raise CjkitError(f"{left_out:,} people lack {needed}, which {plan.target.system} needs.")
    return Rows(_written_sql(plan, numbers), numbers, made, left_out)


def _find_contents(log: Log, plan: Plan, vault: Vault | None) -> str:
    """Find ids of other namespaces and private fields; return the joins that bring them."""
    folder, joins = log.prepared.folder, []
    contents = [content for _, content in plan.columns.values()]
    for namespace in dict.fromkeys(content.id for content in contents if content.id):
        table = f"activation ids {namespace}"
        find_ids(log.engine, table, folder, vault, namespace, WRITTEN)
        joins.append(_joined(f"(select * from {column(table)} where rank = 1)", f"ids {namespace}"))
    fields = list(dict.fromkeys(content.private for content in contents if content.private))
    if fields and vault is not None:
        find_private(log.engine, "activation private", log, vault, fields, WRITTEN)
        joins.append(_joined(column("activation private"), "private"))
    return " ".join(joins)


def _joined(table: str, name: str) -> str:
    return f"left join {table} as {column(name)} on {column(name)}.customer_id = rows.customer_id"


def _content_sql(content: Content, kinds: dict[str, str]) -> str:
    """Write what stands in a column, as text."""
    if content.value is not None:
        return text(content.value)
    if content.id is not None:
        return f"{column('ids ' + content.id)}.value"
    if content.private is not None:
        return f"private.{column(content.private)}"
    name = str(content.column)
    return plain_sql(f"rows.{column(name)}", kinds[name])


def _order(plan: Plan, table: str) -> str:
    """Write by what rows are sorted, so that the same people give the same file."""
    if plan.target.each == "person":
        return f"row({table}customer_id)"
    if plan.target.each == "product":
        return f"row({table}product_id)"
    return f"row({table}customer_id, {table}occurred_us, {table}ref_id, {table}product_id)"


def _formed_sql(log: Log, plan: Plan) -> str:
    """Write the SQL of rows with all forms made, without those that lack what is needed."""
    joins, formed = "", {}
    for number, (name, (rule, _)) in enumerate(plan.columns.items()):
        formed[name] = f"nullif(raw.{column(name)}, '')"
        if rule.kind != "text":
            is_number = f"try_cast(raw.{column(name)} as double) is not null"
            formed[name] = f"case when {is_number} then raw.{column(name)} end"
        if rule.form is not None or rule.pattern is not None:
            table = f"activation formed {number}"
            values = f'select {column(name)} as value from "activation raw"'
            make_formed(log.engine, table, values, rule, plan.given.country_code)
            joins += (
                f" left join {column(table)} as formed_{number}"
                f" on formed_{number}.value = raw.{column(name)}"
            )
            formed[name] = f"formed_{number}.formed"
    if plan.id_column:
        formed = {plan.id_column: f"raw.{column(plan.id_column)}", **formed}
    if all(name in formed for name in plan.target.together):
        found = " and ".join(f"{formed[name]} is not null" for name in plan.target.together)
        for name in plan.target.together:
            formed[name] = f"case when {found} then {formed[name]} end"
    needed = [f"{formed[name]} is not null" for name in formed if plan.rule(name).needed]
    chosen = ", ".join(f"{value} as {column(name)}" for name, value in formed.items())
    return f"""select place, {chosen} from "activation raw" as raw {joins}
        where {" and ".join(needed) or "true"}"""


def _written_sql(plan: Plan, numbers: frozenset[str]) -> str:
    """Write the SQL of what stands in the file: hashed, and without formulas."""
    cells = []
    for name in plan.names:
        rule, cell = plan.rule(name), column(name)
        if rule.hash:
            cell = hashed_sql(cell)
        elif (
            plan.target.file.spreadsheet
            and name not in numbers
            and name != plan.id_column  # which is unfit where it would be one
            and rule.form not in ("phone", "digits")
        ):
            cell = neutral_sql(cell)
        cells.append(f"{cell} as {column(name)}")
    return f'select {", ".join(cells)} from "activation whole" order by place'


def _refuse_long(log: Log, plan: Plan) -> None:
    """Refuse texts that the target does not take: it would refuse the whole file."""
    limits = {
        name: rule.longest for name, (rule, _) in plan.columns.items() if rule.longest is not None
    }
    if not limits:
        return
    counts = ", ".join(
        f"count(*) filter (length({column(name)}) > {most}) as {column(name)}"
        for name, most in limits.items()
    )
    found = log.engine.query(f'select {counts} from "activation whole"').iloc[0]
    faults = [
        f"  - {name} has {int(found[name]):,} texts of more than {most:,} characters"
        for name, most in limits.items()
        if found[name]
    ]
    if faults:
        raise CjkitError("\n".join([f"{plan.target.system} takes no such texts:", *faults]))
