"""One sale in several systems: orders are where revenue comes from; other reports of it join them.

Where a project has orders, every `purchase` event that a source made is a report of a sale. It is
matched to an order and gives it where it happened, or is set aside; each order then yields exactly
one `purchase` event, and its returned lines one `return` event.
"""

from __future__ import annotations

from cjkit.checks import microseconds
from cjkit.cleansing.landing import Landing, is_made
from cjkit.cleansing.rows import DAY_US, IS_RETURN, mark
from cjkit.cleansing.rules import IS_CLEAN
from cjkit.engine import text
from cjkit.events import PURCHASE, RETURN

_PLACES = ("touchpoint", "channel", "device", "campaign", "page", "user_agent_class", "staff_id")


def settle_orders(landing: Landing) -> None:
    """Give each order to one source, and write the table `order lines` of those that are clean.

    The same `order_id` in two sources is one order when it was made within a day: the source that
    the project names first keeps it, the lines of the others are `same_order`. Further apart it is
    a clash of numbers: their lines are `order_id_clash`. Returned lines may come from a source of
    their own.
    """
    engine = landing.engine
    engine.materialize(
        "order lines",
        f"""select rows.row_id, rows.order_id, rows.time_us, rows.source, rows.revenue,
                {IS_RETURN} as is_return, people.customer_no
            from "landed orders" as rows
            join "facts orders" as facts on facts.row_id = rows.row_id and {IS_CLEAN}
            left join people on people.person_key = rows.person_key""",
    )
    engine.materialize(
        "other systems",
        f"""select row_id, abs(time_us - first_us) <= {DAY_US} as is_same from (
            select row_id, time_us, source,
                first(source) over (partition by order_id, is_return order by row_id
                    rows unbounded preceding) as first_source,
                first(time_us) over (partition by order_id, is_return order by row_id
                    rows unbounded preceding) as first_us
            from "order lines"
            where (order_id, is_return) in (select (order_id, is_return) from "order lines"
                group by order_id, is_return having count(distinct source) > 1)) as shared
            where source <> first_source""",
    )
    for name, condition in (("same_order", "is_same"), ("order_id_clash", "not is_same")):
        mark(
            engine,
            "orders",
            [name],
            f'row_id in (select row_id from "other systems" where {condition})',
        )
    engine.run('delete from "order lines" where row_id in (select row_id from "other systems")')
    engine.run('drop table "other systems"')


def match_sales(landing: Landing) -> None:
    """Match reports of sales to orders, and write `sale places`: what the reports add to each.

    A report belongs to the order whose `order_id` is its `ref_id`; else to the order of the same
    customer and amount that is nearest in time, at most `[orders] match_within` away (on the same
    day, where the report only has a day). It is merged
    (`sale_report`); a report that no order answers is `sale_without_order`. Where several reports
    belong to one order, the earliest that says a place counts. Without any orders nothing is
    matched: purchases stand as they are reported.
    """
    engine = landing.engine
    within = microseconds(landing.project.orders.match_within, name="orders.match_within")
    engine.materialize(
        "sales",
        """select order_id, min(customer_no) as customer_no, min(time_us) as time_us,
                sum(revenue) as revenue
            from "order lines" where not is_return group by order_id""",
    )
    engine.materialize(
        "reports",
        f"""select rows.row_id, rows.ref_id, rows.revenue, rows.time_us, people.customer_no,
                case when rows.time_precision = 'day' then {DAY_US} else {within} end as until_us,
                {", ".join(_PLACES)}
            from "landed events" as rows
            join "facts events" as facts on facts.row_id = rows.row_id and {IS_CLEAN}
            join people on people.person_key = rows.person_key
            where rows.event = {text(PURCHASE)} and {is_made(landing, "orders")}""",
    )
    engine.materialize(
        "matched",
        f"""with declared as (
                select row_id, order_id from reports join sales on order_id = ref_id),
            likely as (
                select row_id, order_id, row_number() over (partition by row_id
                    order by abs(reports.time_us - sales.time_us), order_id) as place
                from reports join sales using (customer_no)
                where row_id not in (select row_id from declared)
                    and round(reports.revenue, 2) = round(sales.revenue, 2)
                    and sales.time_us - reports.time_us between {-within} and until_us)
            select row_id, order_id from declared
            union all select row_id, order_id from likely where place = 1""",
    )
    mark(engine, "events", ["sale_report"], "row_id in (select row_id from matched)")
    mark(
        engine,
        "events",
        ["sale_without_order"],
        "row_id in (select row_id from reports) and row_id not in (select row_id from matched)",
    )
    chosen = ", ".join(f"arg_min({name}, (time_us, row_id)) as {name}" for name in _PLACES)
    engine.materialize(
        "sale places",
        f"select order_id, {chosen} from matched join reports using (row_id) group by order_id",
    )
    for used in ("reports", "matched"):
        engine.run(f"drop table {used}")


def order_events_sql(orders: str) -> str:
    """Write the SQL of the events that prepared orders yield: purchases and returns.

    Parameters
    ----------
    orders : str
        A table name as SQL: the prepared lines of orders, of customers who are known.
    """

    def said(name: str) -> str:
        """Give what the order says, else what the reports of the sale say."""
        if name in ("touchpoint", "channel"):
            return f"coalesce(arg_min(orders.{name}, line_no), any_value(places.{name})) as {name}"
        return f"any_value(places.{name}) as {name}"

    def yields(event: str, condition: str) -> str:
        return f"""
            select {text(event + ":")} || order_id as event_id,
                arg_min(customer_id, line_no) as customer_id,
                min(ordered_at) as occurred_at, {text(event)} as event,
                min(time_precision) as time_precision,
                order_id as ref_id, sum(revenue) as revenue, any_value(currency) as currency,
                case when count(distinct product_id) = 1 then any_value(product_id) end
                    as product_id,
                {", ".join(map(said, _PLACES))},
                arg_min(source, line_no) as source, arg_min(file, line_no) as file,
                arg_min(record_no, line_no) as record_no
            from {orders} as orders left join "sale places" as places using (order_id)
            where customer_id is not null and {condition}
            group by order_id"""

    return f"{yields(PURCHASE, f'not {IS_RETURN}')} union all by name {yields(RETURN, IS_RETURN)}"
