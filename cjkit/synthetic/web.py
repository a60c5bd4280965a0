"""Visits of the web shop and the hits that the analytics tool records of each."""

from __future__ import annotations

from cjkit.engine import DuckDB
from cjkit.synthetic.dice import Dice, by_value
from cjkit.synthetic.journeys import OTHER_DEVICES
from cjkit.synthetic.people import cookie
from cjkit.synthetic.stories import DAY_US, END_US, START_US

_LATE_RATE = 0.15
"""Of the visits on the last day of a quarter: they stand in the next quarter's file."""
_CHANNELS = {
    # channel: (sources, medium, campaigns)
    "direct": (["(direct)"], "(none)", []),
    "organic_search": (["google", "google", "yahoo"], "organic", []),
    "paid_search": (["google", "yahoo"], "cpc", ["brand", "generic"]),
    "retargeting": (["adnet"], "retargeting", ["cart_followup"]),
    "video": (["youtube"], "video", ["kurashi_movie"]),
    "social": (["instagram", "x"], "social", []),
    "paid_social": (["instagram"], "paid_social", ["new_life"]),
    "email": (["mailtool"], "email", []),
    "line": (["line"], "line", ["line_coupon"]),
    "affiliate": (["point-portal", "coupon-site"], "affiliate", ["cashback"]),
    "referral": (["kurashi-blog"], "referral", []),
}
_BROWSED = {
    "view_product": 42, "category": 22, "search": 12, "reviews": 6, "magazine": 5, "guide": 5,
    "faq": 3, "stores": 3, "mypage": 2,
}  # fmt: skip
_LANDINGS = {"home": 45, "category": 40, "magazine": 15}


def make_visits(engine: DuckDB, dice: Dice) -> None:
    """Make table `visits`: each session of the web shop, with what happens in it.

    `tail` lists the hits that end it, after the landing page and `browse_count` other pages.
    The pages on the way are drawn alike in every visit: they change nothing.
    """
    d = dice
    need = ("person_no", "session_no")
    engine.materialize(
        "all_visits",
        """select person_no, need_no * 100 + touch_no as session_no, at_us, channel,
            case when touch_no = touch_count then last_device end as own_device,
            case when touch_no = touch_count then case when is_bought then 'purchase'
                when wants then 'failure' else 'last' end else 'other' end as role_in_need,
            is_pain and touch_no = touch_count as is_pain, need_no, touch_no
        from touches where kind = 'web'
        union all
        select person_no, 1000000 + idle_no, at_us, channel, null, 'other', false, null, null
        from idle_touches where kind = 'web'
        union all
        select person_no, 2000000 + mail_no // 1000, clicked_us + 4000000, 'email', null, 'other',
            false, null, null
        from mails where clicked_us is not null and makes_visit""",
    )
    device = d.pick("visit device", OTHER_DEVICES, *need)
    routes, media, campaigns = (
        by_value("channel", {name: told[place] for name, told in _channels(d, need).items()})
        for place in range(3)
    )
    checkout = "['view_product', 'add_to_cart', 'begin_checkout']"
    again = "['checkout_error', 'begin_checkout']"
    engine.materialize(
        "visits",
        f"""select * exclude (tail, depth, own_device, role_in_need),
            tail || case error_count when 3 then {again} || {again} || {again}
                when 2 then {again} || {again} when 1 then {again} else [] end
                || case when depth = 'purchase' then ['purchase'] else [] end as tail,
            {cookie(d, "person_no", "device", "at_us")} as client_id,
            case when sale_us is null then 8000000
                + cast({d.exponential("reads", 40_000_000, *need)} as bigint) end as drawn_gap_us
        from (select *, case depth when 'view' then ['view_product']
                    when 'cart' then ['view_product', 'add_to_cart']
                    when 'checkout' then {checkout} when 'purchase' then {checkout} else [] end
                    as tail,
                case when depth in ('checkout', 'purchase') then case
                    when is_pain and depth = 'checkout' then {d.whole("errors", 1, 3, *need)}
                    when {d.chance("error", "case when is_pain then 0.3 else 0.04 end", *need)}
                    then 1 else 0 end else 0 end as error_count
            from (select all_visits.* exclude (channel), channel,
                {media} as medium, {routes} as traffic_source, {campaigns} as campaign,
                coalesce(own_device, case when {d.chance("visit device same", 0.8, *need)}
                    then people.device else {device} end) as device,
                least(25, cast(floor({d.exponential("browses", 2.4, *need)}) as bigint))
                    as browse_count,
                case role_in_need when 'purchase' then 'purchase' when 'failure' then 'checkout'
                    when 'last' then case when {d.uniform("depth", *need)} < 0.06 then 'checkout'
                        when {d.uniform("depth", *need)} < 0.28 then 'cart' else 'view' end
                    else case when {d.uniform("depth", *need)} < 0.09 then 'cart'
                        when {d.uniform("depth", *need)} < 0.65 then 'view' else 'none' end end
                    as depth,
                has_login and at_us >= joined_us and case when sales.sale_no is not null
                    then is_logged_in else {d.chance("visit login", 0.5, *need)} end as is_known,
                not is_existing and has_login and session_no = 1 as signs_up,
                {d.chance("logs in now", 0.25, *need)} as logs_in_now,
                is_banner_denied, people.login_id, favourite, quarter,
                ends_quarter and {d.chance("arrives late", _LATE_RATE, *need)} as is_late,
                case when is_in_web then sold_us end as sale_us,
                case when is_in_web then amount end as sale_amount, is_in_web, sale_no,
                case when is_in_web and {d.chance("number measured", 0.97, "sale_no")}
                    then order_no end as order_no
            from all_visits join people using (person_no)
            left join (select person_no, need_no, touch_no, at_us as sold_us, sale_no, amount,
                    order_no, is_in_web, is_logged_in from sales) as sales
                using (person_no, need_no, touch_no)
            join calendar on day_no = (all_visits.at_us - {START_US}) // {DAY_US}
            where all_visits.at_us < {END_US}) as led) as planned
        where sale_no is null or is_in_web""",
    )


def hits(dice: Dice, condition: str) -> str:
    """Write the SQL of the hits of those visits that meet a condition.

    `item_no` tells apart the products that a visit looks at; what it decides on has number 0.
    """
    d, ids = dice, ("person_no", "session_no", "place")
    return f"""
        select person_no, session_no, place, sale_no, at_us as session_us, hit_us, client_id,
            case when is_banner_denied then 'denied' else 'granted' end as consent,
            case when is_known and (place > 1 or not signs_up and (not logs_in_now or place > 0))
                then login_id end as user_id,
            event, event in ('view_product', 'add_to_cart') as has_product, device, traffic_source,
            medium, campaign, favourite, case when place > pages then 0 else place end as item_no,
            case when event = 'purchase' then order_no end as order_no,
            case when event = 'purchase' then sale_amount end as amount,
            case when page_type in ('view_product', 'add_to_cart') then 'product'
                when page_type in ('sign_up', 'login') then 'account'
                when page_type in ('begin_checkout', 'checkout_error', 'purchase') then 'checkout'
                else page_type end as page_type
        from (select *, case when page_type in ('home', 'category', 'magazine', 'guide', 'reviews',
                    'faq', 'stores', 'mypage') then 'page_view' else page_type end as event
            from (select *, at_us + place * gap_us + case when place = 0 or tail_place = hit_count
                        and sale_us is not null then 0
                        else cast({d.uniform("jitter", *ids)} * gap_us * 0.9 as bigint) end
                        as hit_us,
                    case when place = 0 then {d.pick("landing", _LANDINGS, *ids)}
                        when place = 1 and signs_up then 'sign_up'
                        when place = 1 and is_known and logs_in_now then 'login'
                        when place > pages then tail[place - pages]
                        else {d.pick("browsed", _BROWSED, *ids)} end as page_type
                from (select *, place + 1 as tail_place,
                        coalesce((sale_us - at_us) // (hit_count - 1), drawn_gap_us) as gap_us
                    from (select *, pages + 1 + len(tail) as hit_count
                        from (select *, browse_count + case when signs_up
                                    or is_known and logs_in_now then 1 else 0 end as pages
                            from visits where {condition}) as led) as counted,
                    unnest(range(hit_count)) as t(place)) as spaced) as walked) as named"""


def _channels(dice: Dice, ids: tuple[str, ...]) -> dict[str, tuple[str, str, str]]:
    """Write the SQL of source, medium and campaign that the tool shows for each channel."""

    def drawn(purpose: str, values: list[str]) -> str:
        weights = {value: float(values.count(value)) for value in values}
        return dice.pick(purpose, weights, *ids) if values else "null"

    return {
        name: (drawn("source", sources), f"'{medium}'", drawn("campaign", campaigns))
        for name, (sources, medium, campaigns) in _CHANNELS.items()
    }
