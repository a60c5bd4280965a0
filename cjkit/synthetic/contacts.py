"""Exports of every contact: web hits, mail, calls, store visits, consent and test assignments."""

from __future__ import annotations

from cjkit.engine import DuckDB
from cjkit.synthetic import stories
from cjkit.synthetic.dice import Dice, opaque
from cjkit.synthetic.exports import Exports, local, repeated, utc
from cjkit.synthetic.mail import mail_events
from cjkit.synthetic.people import read_words
from cjkit.synthetic.stories import DAY_US, DAYS, END_US, HOUR_US, START_US, ZONE_US, start_us
from cjkit.synthetic.trade import by_year
from cjkit.synthetic.web import hits

SHIFTED_QUARTER = "2025q3"
"""The quarter whose store visits were exported in UTC, nine hours early."""

_REPLAY_RATE, _TWICE_RATE = 0.006, 0.003
_TEN_YEARS_US = 3652 * DAY_US
_OFFSET = "%Y-%m-%dT%H:%M:%S+09:00"


def quarters(engine: DuckDB) -> list[str]:
    """Return the names of the calendar's quarters, in order."""
    return sorted(engine.table("calendar").values("quarter"))


def write_web(exports: Exports, dice: Dice, ending: str) -> None:
    """Write the hits of the web shop, one file for each quarter."""
    known = quarters(exports.engine)
    for number, quarter in enumerate(known):
        own = f"quarter = '{quarter}' and not is_late"
        records = _hit_records(dice, own, "null::varchar")
        if number:
            late = f"quarter = '{known[number - 1]}' and is_late"
            records += " union all " + _hit_records(dice, late, "'late_event'")
        records = _dirty_hits(dice, f"{records} union all {_bot_hits(dice, quarter)}")
        exports.write(f"web/web_events_{quarter}.{ending}", records)


def write_mail(exports: Exports, dice: Dice) -> None:
    """Write what the mail tool recorded, one file for each year."""
    d, key = dice, ("person_no", "mail_no", "event", "is_machine")
    identity = f"hash({dice.code('mail event')}, {', '.join(key)})"
    missing = d.chance("no address", 0.001, "event_hash")
    records = f"""
        select {opaque("EV", "event_hash")} as event_id, {utc("at_us")} as occurred_at, event,
            case when {missing} then null else email end as email, campaign_id, campaign_name,
            case when event = 'click' then '/campaign/' || lower(campaign_id) end as link,
            is_machine as machine_open, at_us as _at, event_hash as _id,
            nullif(concat_ws(',', case when is_machine then 'machine_open' end,
                case when is_after_opt_out then 'send_after_opt_out' end,
                case when {missing} then 'missing_id' end), '') as _dirt
        from (select *, {identity} as event_hash from ({mail_events(dice)}) as sent
            where at_us < {END_US}) as events"""
    by_year(exports, "mail/mail_events", repeated(d, records, "twice mail", _TWICE_RATE))


def write_calls(exports: Exports, dice: Dice) -> None:
    """Write the call centre's log, one file for each year."""
    d, key = dice, ("person_no", "need_no", "call_no")
    call = f"hash({d.code('call id')}, {', '.join(key)})"
    records = f"""
        select {opaque("CL", call)} as call_id, {local("at_us", "%Y/%m/%d %H:%M:%S")} as started_at,
            'inbound' as direction, case when {d.chance("international", 0.1, *key)}
                then '+81' || substr(phone, 2) else phone end as phone,
            case when {d.chance("gives card", 0.5, *key)} then loyalty_no end as loyalty_no,
            order_no, reason, wait_seconds, talk_seconds, agent_id, outcome, at_us as _at,
            {call} as _id, null::varchar as _dirt
        from calls join people using (person_no)"""
    by_year(exports, "call_center/calls", repeated(d, records, "twice call", _TWICE_RATE))


def write_store_visits(exports: Exports, dice: Dice) -> None:
    """Write who came to a store to look or to be advised, one file for each quarter.

    Who comes to buy stands in the receipts alone.
    """
    d, key = dice, ("person_no", "need_no", "touch_no")
    visit = f"hash({d.code('visit id')}, {', '.join(key)})"
    shifted = f"quarter = '{SHIFTED_QUARTER}'"
    clock = local(f"at_us - case when {shifted} then {ZONE_US} else 0 end", "%Y-%m-%dT%H:%M:%S")
    length = "case kind when 'consultation' then 45 else 22 end"
    card = f"case when {d.chance('checks in', 0.88, *key)} then loyalty_no end"
    records = f"""
        select {opaque("VI", visit)} as visit_id,
            case kind when 'consultation' then 'consultation' else 'visit' end as visit_type,
            store_code, {clock} as started_at,
            5 + cast({d.exponential("stays", length, *key)} as bigint) as minutes,
            cast({d.exponential("waits in store", 6, *key)} as bigint) as wait_minutes,
            {card} as loyalty_no,
            case when kind = 'consultation' then store_code || '-' || staff_no end as staff_id,
            category as topic,
            case when kind = 'consultation' then case consultation when 'good' then 'plan_made'
                else 'no_plan' end end as outcome,
            quarter, at_us as _at, {visit} as _id,
            nullif(concat_ws(',', case when {shifted} then 'clock_shift' end,
                case when ({card}) is null then 'anonymous_visit' end), '') as _dirt
        from (select person_no, need_no, touch_no, kind, category, staff_no,
                consultation, at_us
            from touches where kind in ('store', 'consultation') and touch_no < touch_count
            union all select person_no, 800, idle_no, 'store', null, null, null, at_us
            from idle_touches where kind = 'store') as looked
        join people using (person_no)
        join calendar on calendar.day_no = (at_us - {START_US}) // {DAY_US}"""
    every = exports.engine.materialize("every_quarter", records)
    for quarter in quarters(exports.engine):
        own = f"select * exclude (quarter) from {every} where quarter = '{quarter}'"
        exports.write(f"store/visits_{quarter}.csv", own)


def write_consents(exports: Exports) -> None:
    """Write the history of consent: at sign-up, on the cookie banner, by the opt-out link."""
    records = f"""
        select person_no, 1 as n, joined_us as at_us, login_id, null as client_id,
            case when login_id is null then email end as email, 'analytics' as purpose,
            'granted' as status, 'signup' as source from people where is_member
        union all select person_no, 2, joined_us, login_id, null,
            case when login_id is null then email end, 'marketing',
            case when is_opted_in then 'granted' else 'denied' end, 'signup'
        from people where is_member
        union all select person_no, 3, opted_out_us, null, null, email, 'marketing', 'denied',
            'unsubscribe_link' from people where opted_out_us is not null
        union all select person_no, 4, first_us + {2 * DAY_US}, login_id, null,
            case when login_id is null then email end, 'analytics', 'denied', 'preference_center'
        from people where is_banner_denied and is_member
        union all select person_no, 5, min(at_us), null, client_id, null, 'analytics', 'granted',
            'cookie_banner' from visits where not is_banner_denied group by person_no, client_id"""
    record = "hash(person_no, n, client_id)"
    exports.write(
        "consent/consents.csv",
        f"""select {opaque("CO", record)} as record_id, {utc("at_us")} as recorded_at, login_id,
            client_id, email, purpose, status, source, at_us as _at, {record} as _id,
            null::varchar as _dirt from ({records}) as given where at_us < {END_US}""",
    )


def write_assignments(exports: Exports) -> None:
    """Write who was drawn into which arm of the two randomized tests."""
    tests = [
        ("mail_holdout_2026", "arm", start_us(stories.MAIL_TEST[0]) - DAY_US),
        ("retargeting_holdout_2026", "retargeting_arm", start_us(stories.RETARGETING_TEST[0])),
    ]
    records = " union all ".join(
        f"""select '{name}' as experiment, login_id, {arm} as arm,
            {local(str(at_us), _OFFSET)} as assigned_at, {at_us} as _at,
            hash(login_id) as _id, null::varchar as _dirt
        from arms join people using (person_no) where {arm} is not null"""
        for name, arm, at_us in tests
    )
    exports.write("experiments/assignments.csv", records)


def _hit_records(dice: Dice, condition: str, dirt: str) -> str:
    """Write the SQL of a quarter's hits in the columns of the export."""
    d, ids = dice, ("person_no", "session_no", "place")
    item = ("person_no", "session_no", "item_no")
    wanted = f"case when {d.chance('hit favourite', 0.5, *item)} then favourite else 'all' end"
    product = f"cast(floor({d.uniform('hit product', *item)} * size) as bigint)"
    term = d.whole("term", 0, len(read_words("company")["search_terms"]) - 1, *ids)
    return f"""
        select hit_us as event_timestamp, event as event_name,
            case when consent = 'granted' then client_id end as client_id, user_id,
            session_us // 1000000 as session_id, place + 1 as hit_no, page_type,
            case page_type when 'product' then '/product/' || shown_id when 'home' then '/'
                else '/' || page_type end as page,
            case when has_product then shown_id end as product_id,
            case when event = 'search' then search_term end as search_term,
            case when event = 'search' then case when {d.chance("nothing found", 0.12, *ids)} then 0
                else {d.whole("found", 1, 60, *ids)} end end as search_results,
            amount as value, case when amount is not null then 'JPY' end as currency, order_no,
            device, case device when 'iphone' then 'Safari' when 'tablet' then 'Safari'
                when 'android' then 'Chrome' else {
        d.pick("browser", {"Chrome": 6, "Edge": 4}, "person_no")
    } end as browser,
            traffic_source as source, medium, campaign, 'browser' as user_agent_class, consent,
            hit_us as _at, hash(person_no, session_no, place) as _id,
            case when event = 'purchase' then sale_no end as _sale_no, {dirt} as _dirt
        from (select hits.*, case when item_no = 0 then coalesce(bought_id, product_id)
                    else product_id end as shown_id
            from ({hits(d, condition)}) as hits
            join shelf_sizes on category = {wanted}
            join shelf on shelf.shelf = shelf_sizes.category and shelf.n = {product}
            left join (select sale_no, product_id as bought_id from sale_lines where line_no = 1)
                as bought using (sale_no)) as hits
        left join search_terms on search_terms.n = {term}"""


def _dirty_hits(dice: Dice, records: str) -> str:
    """Spoil some hits, and add replays, copies and events that nobody knows."""
    fault = dice.uniform("hit fault", "_id")
    plain = "_dirt is null and event_name = 'page_view' and consent = 'granted'"
    spoilt = f"""
        select * replace (
            case when {plain} and fault < 0.0005 then event_timestamp % 86400000000
                when {plain} and fault < 0.0007 then event_timestamp + {_TEN_YEARS_US}
                else event_timestamp end as event_timestamp,
            case when {plain} and fault between 0.0007 and 0.003 then null else client_id end
                as client_id,
            case when {plain} and fault between 0.0007 and 0.003 then null else user_id end
                as user_id,
            case when {plain} and fault < 0.0005 then 'date_1970'
                when {plain} and fault < 0.0007 then 'date_future'
                when {plain} and fault < 0.003 then 'missing_id'
                when client_id is null and user_id is null then 'denied_anonymous'
                else _dirt end as _dirt)
        from (select *, {fault} as fault from ({records}) as hits) as hits"""
    again = dice.uniform("hit again", "_id")
    seconds = dice.whole("replayed after", 1, 4, "_id")
    unknown = dice.pick("unknown", {"gtm_debug": 2, "xx_test": 1}, "_id")
    return f"""
        with spoilt as materialized ({spoilt})
        select * exclude (fault) from spoilt
        union all select * exclude (fault) replace ('exact_duplicate' as _dirt) from spoilt
        where _dirt is null and {again} < {_TWICE_RATE}
        union all select * exclude (fault) replace (
            event_timestamp + {seconds} * 1000000 as event_timestamp,
            _at + {seconds} * 1000000 as _at, 'replayed_event' as _dirt) from spoilt
        where _dirt is null and {again} between {_TWICE_RATE} and {_TWICE_RATE + _REPLAY_RATE}
        union all select * exclude (fault) replace ({unknown} as event_name, null as value,
            null as order_no, null as _sale_no, event_timestamp + 250000 as event_timestamp,
            _at + 250000 as _at, 'unknown_event' as _dirt) from spoilt
        where _dirt is null and {again} between 0.9992 and 1"""


def _bot_hits(dice: Dice, quarter: str) -> str:
    """Write the SQL of a quarter's machines: declared, hidden behind a browser's name, monitors.

    Each comes back on a few days. A hidden one asks for a page every ten seconds, day or night.
    """
    d = dice
    kind = d.pick("bot kind", {"bot": 5, "browser": 4, "monitor": 1}, "bot_no")
    start = d.whole("bot hour", 0, 20, "bot_no", "visit_no")
    return f"""
        select started_us + hit_no * gap_us as event_timestamp, 'page_view' as event_name,
            {opaque("c", f"hash({d.code('bot')}, bot_no)")} as client_id,
            null as user_id, started_us // 1000000 as session_id, hit_no + 1 as hit_no,
            'category' as page_type, '/category' as page, null as product_id, null as search_term,
            null as search_results, null as value, null as currency, null as order_no,
            'desktop' as device, 'Chrome' as browser, '(direct)' as source, '(none)' as medium,
            null as campaign, user_agent_class, 'granted' as consent,
            started_us + hit_no * gap_us as _at, hash(-bot_no - 1, visit_no, hit_no) as _id,
            null as _sale_no, case user_agent_class when 'browser' then 'bot_hidden'
                else 'bot_declared' end as _dirt
        from (select *, {START_US} + day_no * {DAY_US} + {start} * {HOUR_US} as started_us,
                case user_agent_class when 'browser' then 10000000 else 2000000 end as gap_us
            from (select *, {kind} as user_agent_class,
                    {d.whole("bot day", 0, DAYS - 1, "bot_no", "visit_no")} as day_no
                from bots, unnest(range(6)) as t(visit_no)) as planned) as bots
        join calendar using (day_no),
        unnest(range(case user_agent_class when 'monitor' then 40 when 'bot' then 90 else 180 end))
            as t(hit_no) where quarter = '{quarter}'"""
