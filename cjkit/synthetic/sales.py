"""Orders, receipts, returns, and the calls that follow: all that a purchase sets going."""

from __future__ import annotations

from cjkit.engine import DuckDB
from cjkit.synthetic import stories
from cjkit.synthetic.dice import Dice
from cjkit.synthetic.stories import DAY_US, END_US, HOUR_US, MINUTE_US, START_US, ZONE_US

_LINES_MORE = (0.45, 0.20, 0.08, 0.03)
_FREE_LINE_RATE = 0.007
_SALE_MONTHS = (1, 7, 11)
_RETURN_REASONS = {"イメージ違い": 4.0, "サイズが合わない": 3.0, "不良品": 2.0, "その他": 1.0}
_CALL_REASONS = ("invoice", "website")


def make_sales(engine: DuckDB, dice: Dice, part: int) -> None:
    """Make tables `sales` (one row for each true sale), `sale_lines` and `returned_lines`.

    A sale says in which systems it left a trace. Sales of the web shop have an `order_no`; those
    paid at a till, also web orders picked up in a store, have a `receipt_no`.
    """
    d, ids = dice, ("person_no", "need_no")
    engine.materialize(
        "placed_sales",
        f"""select person_no, need_no, touch_no, place, touches.category, segment, last_device,
            carrier, promised_days, is_late, place = 'web' and is_pickup as is_pickup,
            at_us + case place when 'web' then {3 * MINUTE_US} else {10 * MINUTE_US} end
                + cast({d.exponential("decides", 9 * MINUTE_US, *ids)} as bigint) as at_us,
            delivered_us,
            has_login and {d.chance("logs in to buy", 0.90, *ids)} as is_logged_in,
            has_card and {d.chance("shows card", 0.88, *ids)} as is_card_shown,
            {d.chance("coupon", "case segment when 'bargain' then 0.45 else 0.12 end", *ids)}
                as has_coupon
        from touches join people using (person_no, segment)
        where touch_no = touch_count and is_bought""",
    )
    engine.materialize(
        "numbered_sales",
        f"""select *, {part} * 10000000
                + row_number() over (order by at_us, person_no, need_no) as sale_no
        from placed_sales where at_us < {END_US - HOUR_US}""",
    )
    count = " + ".join(
        f"case when {d.uniform('lines', *ids)} < {rate} then 1 else 0 end" for rate in _LINES_MORE
    )
    line = ("sale_no", "line_no")
    engine.materialize(
        "sale_lines",
        f"""select * exclude (month, role),
            cast(round(quantity * unit_price * (1 - case when role = 'staff' then 0.15
                when has_coupon then 0.10 when month in {_SALE_MONTHS} then 0.05 else 0 end)
                / 10) as bigint) * 10 as amount
        from (select sale_no, line_no, person_no, has_coupon, role, product_id, name_ja,
                name_receipt, shelf.category,
                month(make_timestamp(at_us + {ZONE_US})) as month,
                case when price < 10000 and {d.chance("is many", 0.25, *line)}
                    then {d.whole("quantity", 2, 4, *line)} else 1 end as quantity,
                case when {d.chance("is free", _FREE_LINE_RATE, *line)} then 0 else price end
                    as unit_price
            from (select *, case when line_no = 1 or {d.chance("same category", 0.5, *line)}
                        then category end as wanted, {d.uniform("product", *line)} as draw
                from numbered_sales, unnest(range(1, 2 + {count})) as lines(line_no)) as drawn
            join people using (person_no)
            join shelf_sizes on shelf_sizes.category = coalesce(wanted, 'all')
            join shelf on shelf.shelf = shelf_sizes.category
                and shelf.n = cast(floor(draw * size) as bigint)) as priced""",
    )
    engine.materialize(
        "sales",
        f"""select sold.* exclude (delivered_us), amount, item_count,
            case when place = 'web' and not is_pickup then sold.delivered_us end as delivered_us,
            case when place = 'web' then 'W' || lpad(sale_no::varchar, 9, '0') end as order_no,
            case when place = 'store' or is_pickup
                then store_code || '-' || lpad(({part} * 10000000 + row_number() over (
                    partition by store_code order by hash(sale_no)))::varchar, 9, '0')
                end as receipt_no,
            case when place = 'store' then sold.at_us when is_pickup then
                ((sold.at_us + {ZONE_US}) // {DAY_US} + {d.whole("picks up", 1, 4, "sale_no")})
                * {DAY_US} - {ZONE_US} + {d.time_of_day("picks up", stories.STORE_HOURS, "sale_no")}
                end as paid_us,
            place = 'web' and {d.chance("is measured", 0.96, "sale_no")} as is_in_web,
            place = 'web' as is_in_shop,
            is_member and case when place = 'web' then is_logged_in else is_card_shown end
                and {d.chance("is in crm", 0.97, "sale_no")} as is_in_crm,
            {d.chance("keeps number", 0.85, "sale_no")} as keeps_number,
            login_id, loyalty_no, crm_no, email, phone, store_code, role
        from numbered_sales as sold join people using (person_no)
        join (select sale_no, cast(sum(amount) as bigint) as amount,
                cast(sum(quantity) as bigint) as item_count
            from sale_lines group by sale_no) as summed using (sale_no)""",
    )
    back = ("sale_no",)
    engine.materialize(
        "returned_lines",
        f"""select *, 'R' || lpad((sale_no * 10 + line_no)::varchar, 10, '0') as return_no
        from (select sales.*, line_no, product_id, name_ja, name_receipt, sale_lines.category
                    as line_category, quantity, unit_price, sale_lines.amount as line_amount,
                coalesce(delivered_us, sales.at_us) + {3 * DAY_US}
                    + {d.whole("comes back", 0, 9, *back)} * {DAY_US} as returned_us,
                {d.pick("reason", _RETURN_REASONS, *back)} as reason
            from sales join segments using (segment) join sale_lines using (sale_no)
            where {d.chance("returns", "returns_rate", *back)} and sale_lines.amount > 0
                and (line_no = 1 or {d.chance("all", 0.5, *back)})) as returned
        where returned_us < {END_US}""",
    )


def make_calls(engine: DuckDB, dice: Dice) -> None:
    """Make table `calls`: about deliveries, about products before buying, and about the rest."""
    d = dice
    ids = ("person_no", "need_no", "call_no")
    asks = " union all ".join(
        f"""select person_no, need_no, {10 + number} as call_no, '{reason}' as reason,
            at_us // {DAY_US} * {DAY_US} + {DAY_US - ZONE_US} as day_us, null as order_no, false
        from sales where {d.chance(reason, 0.015, "sale_no")}"""
        for number, reason in enumerate(_CALL_REASONS)
    )
    # A late parcel is asked after from the day after its promise; each further call days later.
    waited = "case when is_late then (promised_days + 1) else promised_days // 2 end"
    need = ("person_no", "need_no")
    later = " + ".join(
        f"case when call_no >= {k} then {d.whole(f'days to call {k}', 1, 4, *need)} else 0 end"
        for k in (2, 3, 4)
    )
    engine.materialize(
        "calls",
        f"""select *, day_us + {d.time_of_day("call", stories.CALL_HOURS, *ids)} as at_us,
            case when is_followed then 'unresolved'
                when reason = 'delivery' then case
                    when {d.chance("unresolved", 0.09, *ids)} then 'unresolved' else 'resolved' end
                when {d.chance("abandoned", 0.06, *ids)} then 'abandoned'
                when {d.chance("unresolved", 0.25, *ids)} then 'unresolved'
                when {d.chance("escalated", 0.08, *ids)} then 'escalated' else 'resolved' end
                as outcome,
            cast({d.exponential("waits", 75, *ids)} as bigint) as wait_seconds,
            30 + cast({d.exponential("talks", 260, *ids)} as bigint) as talk_seconds,
            'A' || lpad(({d.whole("agent", 1, 24, *ids)})::varchar, 2, '0') as agent_id
        from (
            select person_no, need_no, call_no, 'delivery' as reason,
                (sales.at_us + {ZONE_US}) // {DAY_US} * {DAY_US} - {ZONE_US}
                    + ({waited} + {later}) * {DAY_US} as day_us,
                order_no, call_no < delivery_calls as is_followed
            from (select person_no, need_no, delivery_calls from needs
                where is_real and delivery_calls > 0) as complaints
            join sales using (person_no, need_no),
            unnest(range(1, 1 + delivery_calls)) as t(call_no)
            where not is_pickup
            union all
            select person_no, need_no, 20, 'return_request', returned_us // {DAY_US} * {DAY_US}
                - {DAY_US + ZONE_US}, coalesce(order_no, receipt_no), false
            from returned_lines where line_no = 1 and {d.chance("return call", 0.3, "sale_no")}
            union all
            select person_no, need_no, 30 + touch_no, 'product_question',
                (at_us + {ZONE_US}) // {DAY_US} * {DAY_US} - {ZONE_US}, null, false
            from (select person_no, need_no, touch_no, at_us from touches where kind = 'inquiry'
                union all select person_no, 800, idle_no, at_us from idle_touches
                where kind = 'inquiry') as inquiries
            union all {asks}) as asked
        where day_us between {START_US} and {END_US - DAY_US}""",
    )
