"""What people want and what becomes of it: needs, their outcome, and the touches on the way.

A need is one reason to buy something. It has touches (visits of site or store, calls), may end in
an order, and after it the person may leave for good. All planted effects act here.
"""

from __future__ import annotations

import pandas as pd

from cjkit.engine import DuckDB
from cjkit.synthetic import stories
from cjkit.synthetic.dice import Dice, by_value
from cjkit.synthetic.stories import (
    DAY_US,
    DAYS,
    END_US,
    HOUR_US,
    MINUTE_US,
    START_US,
    ZONE_US,
    start_us,
)

MAIL_NEED = 900
"""The number of the need that a mail of the test series wakes; others count from 0."""

_FIRST_CHANNELS = {
    "organic_search": 34, "paid_search": 18, "direct": 13, "social": 12, "paid_social": 9,
    "affiliate": 6, "line": 4, "referral": 4,
}  # fmt: skip
_LATER_CHANNELS = {
    "direct": 34, "organic_search": 23, "paid_search": 12, "email": 11, "line": 8,
    "affiliate": 5, "social": 5, "referral": 2,
}  # fmt: skip
# home, kind, how often a month somebody comes without a need: as often beside the touches of needs
# for every kind, so that it does not tell where one touches.
_IDLE_A_MONTH = [
    ("web", "web", 0.24), ("omni", "web", 0.24), ("omni", "store", 0.042),
    ("store", "store", 0.042), ("web", "inquiry", 0.0036), ("omni", "inquiry", 0.0036),
    ("store", "inquiry", 0.0036),
]  # fmt: skip
_IDLE_SEARCH_SHARE = 0.82
OTHER_DEVICES = {"iphone": 4.0, "android": 3.0, "desktop": 3.0, "tablet": 1.0}
_CATEGORIES = {
    "furniture": 14, "bedding": 16, "kitchen": 22, "lighting": 10, "storage": 15, "fabric": 13,
    "seasonal": 10,
}  # fmt: skip
_OF_PEOPLE = """person_no, segment, home, device, favourite, first_us, is_existing, is_opted_in,
    opted_out_us"""
_BULKY = ("furniture", "bedding")


def make_needs(engine: DuckDB, dice: Dice) -> None:
    """Make table `needs`: the needs that people really have, with their outcome.

    `wants_rate` is the true chance of wanting to buy; `no_video_rate` and `no_consultation_rate`
    are what it would be without the one or other experience, and `completion_rate` is the chance
    that somebody who wants to buy also gets through the checkout.
    """
    d, ids = dice, ("person_no", "need_no")
    _draw_arms(engine, d)
    _draw_needs(engine, d)
    video = f"case when has_video then {stories.VIDEO_GAIN} else 0 end"
    consultation = (
        f"case consultation when 'good' then {stories.CONSULTATION_GOOD_GAIN} "
        f"when 'bad' then -{stories.CONSULTATION_BAD_LOSS} else 0 end"
    )
    intent = (
        f"case when need_no = {MAIL_NEED} then {stories.MAIL_WANTS_RATE} else wants_rate "
        f"+ case when is_strong then {stories.STRONG_INTENT_GAIN} "
        f"else -{stories.WEAK_INTENT_LOSS} end end"
    )
    retargeting = stories.RETARGETING_GAIN
    engine.materialize(
        "outcomes",
        f"""select *, {d.chance("wants", "wants_rate", *ids)} as wants,
            {d.chance("completes", "completion_rate", *ids)} as completes
        from (select * exclude (wants_rate, leaves_rate, returns_rate), leaves_rate, returns_rate,
                {_bounded(f"{intent} + {video} + {consultation} + {retargeting}")} as wants_rate,
                {_bounded(f"{intent} + {consultation}")} as no_video_rate,
                {_bounded(f"{intent} + {video}")} as no_consultation_rate,
                case when place = 'store' then {stories.STORE_CHECKOUT_RATE}
                    when is_pain then {stories.PAIN_CHECKOUT_RATE}
                    else {stories.CHECKOUT_RATE} end as completion_rate
            from (select drawn_needs.*, wants_rate, leaves_rate, returns_rate,
                    place = 'web' and last_device = '{stories.PAIN_DEVICE}'
                        and decided_us >= {start_us(stories.PAIN_SINCE)} as is_pain
                from drawn_needs join segments using (segment)) as eased) as rated""",
    )
    bought = f"wants and completes and decided_us < {END_US}"
    late = by_value("carrier", stories.LATE_RATES)
    engine.materialize(
        "deliveries",
        f"""select *, {_calls(d, ids)} as delivery_calls,
            ((decided_us + {ZONE_US}) // {DAY_US} + promised_days + case when is_late
                then 2 + cast({d.exponential("delay", 5, *ids)} as bigint)
                else -cast(floor({d.uniform("early", *ids)} * 0.55 * promised_days) as bigint) end
            ) * {DAY_US} - {ZONE_US} + {d.time_of_day("delivered", stories.DELIVERY_HOURS, *ids)}
                as delivered_us
        from (select *, {bought} as is_bought, {bought} and place = 'web' and not is_pickup
                and {d.chance("late", late, *ids)} as is_late
            from outcomes) as shipped""",
    )
    leaves = (
        f"leaves_rate + case when is_late then {stories.LEAVES_AFTER_LATE} else 0 end"
        f" + case when is_late and delivery_calls > 1 then {stories.LEAVES_AFTER_LOOP} else 0 end"
    )
    engine.materialize(
        "needs",
        f"""select * from (
            select *, need_no <> {MAIL_NEED} or arm = 'treatment' as is_real,
                coalesce(begins_us < min(case when leaves then left_us end) over (
                    partition by person_no order by begins_us, need_no
                    rows between unbounded preceding and 1 preceding), true) as is_alive
            from (select *, case when is_late then delivered_us + {6 * DAY_US} else decided_us end
                    as left_us, need_no <> {MAIL_NEED} and {d.chance("leaves", leaves, *ids)}
                    as leaves
                from deliveries) as weighed) as lived
        where is_alive and begins_us < {END_US}""",
    )
    engine.materialize(
        "leavers",
        """select person_no, min(left_us) as left_us from needs where leaves group by person_no""",
    )


def make_touches(engine: DuckDB, dice: Dice) -> None:
    """Make table `touches`: the visits and calls of each need in their order, numbered from 1."""
    d, ids = dice, ("person_no", "need_no", "draw_no")
    day = (
        f"(begins_us + {ZONE_US}) // {DAY_US} + case when draw_no = 0 then 0 "
        "when draw_no = touch_count - 1 then span_days "
        f"else cast(floor({d.uniform('day', *ids)} * (span_days + 1)) as bigint) end"
    )
    engine.materialize(
        "ranked_touches",
        f"""select *, row_number() over (partition by person_no, need_no
                order by day_no, draw_no = touch_count - 1, draw_no > 0, moment, draw_no)
                as touch_no
        from (select needs.*, draw_no, {day} as day_no, {d.uniform("moment", *ids)} as moment
            from needs, unnest(range(touch_count)) as draws(draw_no) where is_real) as drawn""",
    )
    keys = ("person_no", "need_no", "touch_no")
    shares = "case home when 'store' then 0.5 when 'omni' then 0.2 else 0 end"
    in_store = d.chance("store touch", shares, *keys)
    kind = f"""case when touch_no = touch_count then place
        when touch_no = consultation_no then 'consultation'
        when touch_no = inquiry_no then 'inquiry'
        when touch_no = 1 and has_video then 'web'
        when {in_store} then 'store' else 'web' end"""
    # One profile for all touches of a need keeps them in order on a day of several.
    moment = f"""case when kind = 'inquiry' then {_moment(stories.CALL_HOURS)}
        when home = 'web' then {_moment(stories.WEB_HOURS)}
        else {_moment(stories.STORE_HOURS)} end"""
    test_from, test_to = (start_us(day) for day in stories.RETARGETING_TEST)
    channel = f"""case when kind in ('store', 'consultation') then 'store'
        when kind = 'inquiry' then 'call_center'
        when need_no = {MAIL_NEED} then 'email'
        when touch_no = 1 and has_video then 'video'
        when touch_no = touch_count and is_retargeted and not (retargeting_arm = 'control'
            and at_us >= {test_from} and at_us < {test_to + DAY_US}) then 'retargeting'
        when touch_no = 1 and touch_count > 1 then {d.pick("channel", _FIRST_CHANNELS, *keys)}
        else {d.pick("channel", _LATER_CHANNELS, *keys)} end"""
    engine.materialize(
        "touches",
        f"""select * exclude (channel), case when channel = 'email' and need_no <> {MAIL_NEED}
                and not (is_opted_in and at_us < coalesce(opted_out_us, {END_US}))
                then 'direct' else channel end as channel
        from (select *, {channel} as channel
            from (select * exclude (at_us), case when at_us <= earlier_us
                        then earlier_us + {40 * MINUTE_US} + touch_no * {7 * MINUTE_US}
                        else at_us end as at_us
                from (select *, max(at_us) over (partition by person_no, need_no order by touch_no
                        rows between unbounded preceding and 1 preceding) as earlier_us
                    from (select *, case when touch_no = 1 and begins_us = first_us
                                and not is_existing then first_us
                            when need_no = {MAIL_NEED} then begins_us + {9 * HOUR_US}
                                + cast(least(moment * 40, 14) * {HOUR_US} as bigint)
                            else day_no * {DAY_US} - {ZONE_US} + {moment} end as at_us
                        from (select *, {kind} as kind from ranked_touches) as placed
                    ) as timed) as ordered) as settled) as routed
        where at_us < {END_US}""",
    )


def make_idle_touches(engine: DuckDB, dice: Dice) -> None:
    """Make table `idle_touches`: looking around without a need, on site, in store or by phone."""
    d, stay = dice, ("person_no", "kind")
    each = ("person_no", "kind", "idle_no")
    month = 365.25 / 12 * DAY_US
    rates = pd.DataFrame(_IDLE_A_MONTH, columns=["home", "kind", "a_month"])
    engine.add("idle_rates", rates)
    pace = f"a_month * 2 * {d.uniform('idle pace', *stay)}"
    count = f"(until_us - from_us) / {month} * {pace} + {d.uniform('idle rounding', *stay)}"
    from_us = f"(first_us + {DAY_US + ZONE_US}) // {DAY_US} * {DAY_US} - {ZONE_US}"
    search = d.chance("idle search", _IDLE_SEARCH_SHARE, *each)
    hours = f"""case kind when 'web' then {d.time_of_day("idle hour", stories.WEB_HOURS, *each)}
        when 'store' then {d.time_of_day("idle hour", stories.STORE_HOURS, *each)}
        else {d.time_of_day("idle hour", stories.CALL_HOURS, *each)} end"""
    engine.materialize(
        "idle_touches",
        f"""select * from (
            select person_no, kind, idle_no, case when kind <> 'web' then null when {search}
                    then 'organic_search' else 'direct' end as channel,
                from_us + {d.whole("idle day", 0, "days - 1", *each)} * {DAY_US} + {hours} as at_us
            from (select *, (until_us - from_us) // {DAY_US} as days
                from (select person_no, kind, a_month, {from_us} as from_us,
                        least(coalesce(left_us, {END_US}), {END_US}) as until_us
                    from people join idle_rates using (home) left join leavers using (person_no)
                ) as present where until_us > from_us + {DAY_US}) as stays,
            unnest(range(cast(floor({count}) as bigint))) as t(idle_no)) as idle
        where channel is distinct from 'organic_search' or at_us >= {start_us(stories.SHIFT_DAY)}
            or {d.chance("before shift", stories.BROWSE_BEFORE_SHIFT, *each)}""",
    )


def _draw_arms(engine: DuckDB, dice: Dice) -> None:
    """Make table `arms`: who takes part in the two randomized tests, and on which side."""
    mail_from, mail_to = (start_us(day) for day in stories.MAIL_TEST)
    adverts_from = start_us(stories.RETARGETING_TEST[0])
    arms = {"treatment": 1.0, "control": 1.0}
    engine.materialize(
        "arms",
        f"""select person_no,
            case when is_opted_in and joined_us < {mail_from} - {DAY_US}
                and coalesce(opted_out_us > {mail_to}, true)
                then {dice.pick("mail arm", arms, "person_no")} end as arm,
            case when joined_us < {adverts_from} - {DAY_US}
                then {dice.pick("retargeting arm", arms, "person_no")} end as retargeting_arm
        from people where has_login and role = 'customer'""",
    )


def _draw_needs(engine: DuckDB, dice: Dice) -> None:
    """Make table `drawn_needs`: every need that could arise, and what it would be like.

    Needs arise by a Poisson process with seasons: they are drawn at the pace of the busiest day,
    and one is kept by the weight of the day on which it is decided.
    """
    d, ids = dice, ("person_no", "need_no")
    busiest = max(stories.MONTH_WEIGHTS) * max(stories.WEEKDAY_WEIGHTS)
    month = 365.25 / 12 * DAY_US
    gap = d.exponential("gap", f"({END_US} - first_us) / expected", *ids)
    test_mail = d.whole("test mail", 0, stories.MAIL_TEST_MAILS - 1, "person_no")
    engine.materialize(
        "possible_needs",
        f"""select person_no, need_no, first_us + cast(sum(gap) over (
                partition by person_no order by need_no rows unbounded preceding) as bigint)
                as begins_us
        from (select person_no, need_no, first_us, case when need_no = 0 and not is_existing then 0
                    else cast({gap} as bigint) end as gap
            from (select *, needs_a_month * {busiest} / (select avg(season) from calendar)
                    * ({END_US} - first_us) / {month} as expected from people) as paced,
            unnest(range(cast(expected + 4 * sqrt(expected) + 3 as bigint))) as t(need_no)) as gaps
        union all
        select person_no, {MAIL_NEED},
            {start_us(stories.MAIL_TEST[0])} + {test_mail} * {7 * DAY_US}
        from arms where arm is not null
            and {d.chance("woken", stories.MAIL_VISIT_RATE, "person_no")}""",
    )
    consulted = by_value("segment", stories.CONSULTATION_RATES)
    retargeted = (
        f"case when is_strong then {stories.RETARGETING_RATE_STRONG} "
        f"else {stories.RETARGETING_RATE_WEAK} end"
    )
    carriers = dict(zip(stories.LATE_RATES, (0.45, 0.35, 0.20), strict=True))
    good = d.chance("good", f"{list(stories.STAFF_GOOD_RATES)}[staff_no]", *ids)
    plain = f"need_no <> {MAIL_NEED}"
    touches = d.exponential("touches", "case home when 'store' then 1.0 else 2.2 end", *ids)
    store = d.chance("place", "case home when 'store' then 0.88 else 0.4 end", *ids)
    engine.materialize(
        "drawn_needs",
        f"""select described.* from (
            select * exclude (extra_touches, is_consulted),
                case when is_consulted then case when {good} then 'good' else 'bad' end end
                    as consultation,
                case when {plain} then greatest(1 + extra_touches, case
                    when is_consulted or has_video or is_retargeted then 2 else 1 end) else 1 end
                    as touch_count,
                case when touch_count = 1 then 0
                    else least(45, cast(exp(1.6 + {d.normal("span", *ids)}) as bigint)) end
                    as span_days,
                case when is_consulted
                    then {d.whole("consultation no", 1, "touch_count - 1", *ids)} end
                    as consultation_no,
                case when touch_count > 1 and {d.chance("inquiry", 0.05, *ids)}
                    then {d.whole("inquiry no", 1, "touch_count - 1", *ids)} end as inquiry_no,
                begins_us + span_days * {DAY_US} as decided_us
            from (select {_OF_PEOPLE}, arm, retargeting_arm, need_no, begins_us,
                    case when {plain} and home <> 'web' and {store} then 'store' else 'web' end
                        as place,
                    {d.chance("strong", stories.STRONG_INTENT_SHARE, *ids)} as is_strong,
                    least(29, cast(floor({touches}) as bigint)) as extra_touches,
                    {plain} and home <> 'store' and {d.chance("video", stories.VIDEO_RATE, *ids)}
                        as has_video,
                    {plain} and home <> 'web' and {d.chance("consulted", consulted, *ids)}
                        as is_consulted,
                    {d.whole("staff", 1, len(stories.STAFF_GOOD_RATES), *ids)} as staff_no,
                    {plain} and place = 'web' and {d.chance("retargeted", retargeted, *ids)}
                        as is_retargeted,
                    case when {d.chance("same device", 0.8, *ids)} then device
                        else {d.pick("other device", OTHER_DEVICES, *ids)} end as last_device,
                    case when {d.chance("favourite", 0.5, *ids)} then favourite
                        else {d.pick("category", _CATEGORIES, *ids)} end as category,
                    {d.chance("pickup", 0.06, *ids)} as is_pickup,
                    {d.pick("carrier", carriers, *ids)} as carrier,
                    case when category in {_BULKY} then {d.whole("long promise", 9, 20, *ids)}
                        else {d.whole("promise", 3, 7, *ids)} end as promised_days
                from possible_needs join people using (person_no) left join arms using (person_no)
            ) as basic) as described
        join calendar on day_no = least({DAYS - 1}, (decided_us - {START_US}) // {DAY_US})
        where begins_us < {END_US} and (begins_us = first_us or not ({plain})
            or {d.chance("season", f"season / {busiest}", *ids)})""",
    )


def _calls(dice: Dice, ids: tuple[str, ...]) -> str:
    """Write the SQL that counts the calls about a delivery: each unresolved one brings another."""
    again = stories.UNRESOLVED_RATE * stories.CALL_AGAIN_RATE
    rate = f"case when is_late then {stories.LATE_CALL_RATE} else {stories.ON_TIME_CALL_RATE} end"
    more = " + ".join(
        "case when "
        + " and ".join(dice.chance(f"call {k}", again, *ids) for k in range(2, n + 1))
        + " then 1 else 0 end"
        for n in (2, 3, 4)
    )
    first = f"place = 'web' and is_bought and {dice.chance('call 1', rate, *ids)}"
    return f"case when {first} then 1 + {more} else 0 end"


def _moment(hours: tuple[int, ...]) -> str:
    """Write the SQL of the time of day that stands at quantile `moment` of an hourly profile."""
    slots = [hour for hour, weight in enumerate(hours) for _ in range(weight)]
    place = f"moment * {len(slots)}"
    return (
        f"cast(({slots}[1 + cast(floor({place}) as bigint)] + {place} - floor({place}))"
        f" * {stories.HOUR_US} as bigint)"
    )


def _bounded(rate: str) -> str:
    return f"greatest(0.0, least(1.0, {rate}))"
