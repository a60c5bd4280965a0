"""What cleansing changed: the same figures of the rows as they came, and of the prepared log."""

from __future__ import annotations

import pandas as pd

from cjkit.checks import microseconds
from cjkit.cleansing.landing import Landing, is_made
from cjkit.cleansing.rules import IS_CLEAN, RULE
from cjkit.engine import DuckDB, text
from cjkit.events import PURCHASE, RETURN
from cjkit.labels import MISSING

_NO_SALE = f"coalesce(event not in ('{PURCHASE}', '{RETURN}'), true)"


def compare_before(landing: Landing, as_of_us: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare headline figures of the rows as they came with those of the prepared log.

    Before: all rows that consent allows, earlier than `as_of` or without a readable time, each id a
    person of its own. After: the prepared log. Purchases and returns come from orders where there
    are any; events, sessions and channels are those of all other events, so that both sides count
    the same things. A session ends with a pause longer than `[session] gap`; events without a time
    or a person are in none.

    Returns
    -------
    changes : DataFrame
        One row for `moment` 'before' and one for 'after': `customers` (people with an event or an
        order), `buyers` (of these, with an order), `sessions`, `events`, `orders`, `revenue`.
    channels : DataFrame
        `channel`, `customers_before` (people with an event there), `events_before`, `share_before`
        (of all events), and the same `_after`; most events first.
    """
    engine = landing.engine
    _keep_rows_before(landing, as_of_us)
    engine.view(
        "acts after",
        """select customer_id as person, occurred_us as time_us, event, channel, revenue
            from "prepared events" """,
    )
    engine.view(
        "orders after",
        'select customer_id as person, order_id, revenue from "prepared orders"',
    )
    # The log stands in the order of people and times: no need to sort it again.
    order = {"before": "partition by person order by time_us", "after": ""}
    gap = microseconds(landing.project.session.gap, name="session.gap")
    has_orders = is_made(landing, "orders")
    changes = pd.concat(
        [_count_all(engine, moment, order[moment], gap, has_orders=has_orders) for moment in order],
        ignore_index=True,
    )
    sides = [
        f"""(select coalesce(channel, {text(MISSING)}) as channel,
            count(distinct person) as customers_{moment}, count(*) as events_{moment},
            count(*) / sum(count(*)) over () as share_{moment}
        from "acts {moment}" where {_NO_SALE} group by all) as {moment}"""
        for moment in order
    ]
    figures = ", ".join(
        f"coalesce({name}_{moment}, 0) as {name}_{moment}"
        for moment in order
        for name in ("customers", "events", "share")
    )
    channels = engine.query(
        f"""select channel, {figures} from {sides[0]} full join {sides[1]} using (channel)
            order by events_after desc, events_before desc, channel"""
    )
    engine.run('drop table "acts before"')
    return changes, channels


def _keep_rows_before(landing: Landing, as_of_us: int) -> None:
    """Keep events, and name orders, as they came: without those that consent withholds.

    Clean rows that are later than the log are not what cleansing took away: they stay out too.
    """
    rows = """from "landed {table}" as rows join "facts {table}" as facts using (row_id)"""
    counts = f"""where facts.failed & {RULE["withheld"].bit} = 0
        and not ({IS_CLEAN} and coalesce(facts.time_us >= {as_of_us}, false))"""
    # Where an event belongs when its row does not say is no work of cleansing.
    landing.engine.materialize(
        "acts before",
        f"""select facts.person, facts.time_us, event,
                coalesce(rows.channel, places.channel) as channel, revenue
            {rows.format(table="events")}
            left join "event places" as places using (event) {counts}""",
    )
    landing.engine.view(
        "orders before",
        f"select facts.person, order_id, revenue {rows.format(table='orders')} {counts}",
    )


def _count_all(
    engine: DuckDB, moment: str, order: str, gap: int, *, has_orders: bool
) -> pd.DataFrame:
    acts = f'"acts {moment}"'
    # Without orders each purchase is one.
    sold = (
        f'"orders {moment}"'
        if has_orders
        else f"""(select person, revenue, row_number() over () as order_id
            from {acts} where event = '{PURCHASE}')"""
    )
    return engine.query(
        f"""select '{moment}' as moment, *
            from (select count(distinct person) as customers from (
                select person from {acts} union all select person from {sold} as sold) as seen)
            cross join (select count(distinct person) as buyers from {sold} as sold)
            cross join (select count(*) as sessions from (
                select person, time_us, lag(person) over ({order}) as before,
                    lag(time_us) over ({order}) as before_us
                from {acts}
                where {_NO_SALE} and person is not null and time_us is not null) as acts
                where before is distinct from person or time_us - before_us > {gap})
            cross join (select count(*) as events from {acts} where {_NO_SALE})
            cross join (select count(distinct order_id) as orders,
                coalesce(sum(revenue), 0) as revenue from {sold} as sold)"""
    )
