"""Exports of what is said: surveys, reviews, referrals, posts and interviews; and ad costs."""

from __future__ import annotations

import pandas as pd

from cjkit.engine import DuckDB
from cjkit.synthetic.dice import Dice, by_value, opaque
from cjkit.synthetic.exports import Exports, full_width, local
from cjkit.synthetic.people import read_words
from cjkit.synthetic.stories import DAY_US, DAYS, END_US, FIRST_DAY, HOUR_US, START_US

_SECOND, _OFFSET = "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+09:00"
_NPS_LEVELS = {"loyal": 9.1, "regular": 7.8, "bargain": 7.4, "at_risk": 6.3, "browser": 7.0}
_COMMENT_RATE = 0.55
_REVIEW_RATE = 0.12
_ON_TIME_STARS = {"1": 7.5, "2": 2.6, "3": 7.6, "4": 20.0, "5": 62.3}
_LATE_STARS = {"1": 46.0, "2": 8.0, "3": 13.0, "4": 12.0, "5": 21.0}
_MOST_THEMES = {
    "quality": 30,
    "price": 25,
    "staff": 15,
    "website": 15,
    "delivery": 10,
    "returns": 5,
}
# medium: platform, campaign, yen a click, impressions a click
_ADVERTS = {
    "cpc": ("google", "brand_generic", 48, 24),
    "retargeting": ("adnet", "cart_followup", 62, 310),
    "video": ("youtube", "kurashi_movie", 75, 140),
    "paid_social": ("instagram", "new_life", 55, 95),
    "affiliate": ("point-portal", "cashback", 90, 12),
}


def load_phrases(engine: DuckDB) -> None:
    """Put the sentences of comments into the engine, one row for each language, theme and mood."""
    rows = [
        (language, theme, mood, sentences, themes["opening"][mood], themes["ending"][mood])
        for language, themes in read_words("feedback").items()
        for theme, moods in themes.items()
        if theme not in ("opening", "ending")
        for mood, sentences in moods.items()
    ]
    columns = ["language", "theme", "mood", "sentences", "openings", "endings"]
    engine.add("phrases", pd.DataFrame(rows, columns=columns))


def make_voices(engine: DuckDB, dice: Dice) -> None:
    """Make table `voices`: every answer and review, with its true theme and mood."""
    d, ids = dice, ("person_no", "voice_no", "about")
    nps = by_value("segment", _NPS_LEVELS)
    theme = d.pick("theme", _MOST_THEMES, *ids)
    stars = (
        f"cast(case when is_late then {d.pick('late stars', _LATE_STARS, 'sale_no', 'line_no')} "
        f"else {d.pick('stars', _ON_TIME_STARS, 'sale_no', 'line_no')} end as double)"
    )
    reviewed = d.whole("reviews after", 2, 20, "sale_no", "line_no")
    engine.materialize(
        "asked",
        f"""
        select person_no, sale_no as voice_no, 1 as about, 'nps' as metric, 'brand' as touchpoint,
            at_us + {3 * DAY_US} as at_us,
            {nps} - case when is_late then 2.8 else 0 end as level, 1.5 as spread,
            10 as score_max, coalesce(order_no, receipt_no) as ref_no,
            case when is_late then 'delivery' end as theme, null as product_id
        from sales where {d.chance("asked nps", 0.07, "sale_no")}
        union all select person_no, need_no * 100 + touch_no, 2, 'csat', 'store', at_us + {HOUR_US},
            4.0, 0.8, 5, null, 'staff', null from touches
        where kind = 'store' and {d.chance("asked store", 0.05, "person_no", "need_no", "touch_no")}
        union all select person_no, need_no * 100 + touch_no, 3, 'csat', 'store_consultation',
            at_us + {2 * HOUR_US}, case consultation when 'good' then 4.6 else 2.6 end, 0.7, 5,
            null, 'staff', null from touches where kind = 'consultation'
            and {d.chance("asked consultation", 0.35, "person_no", "need_no", "touch_no")}
        union all select person_no, sale_no, 4, 'csat', 'delivery', delivered_us + {20 * HOUR_US},
            case when is_late then 2.2 else 4.4 end, 0.8, 5, order_no, 'delivery', null
        from sales where delivered_us is not null and {d.chance("asked delivery", 0.1, "sale_no")}
        union all select person_no, need_no * 100 + call_no, 5, 'csat', 'call_center',
            at_us + {HOUR_US}, case outcome when 'resolved' then 4.2 else 2.2 end, 0.8, 5, order_no,
            'staff', null from calls
        where {d.chance("asked call", 0.3, "person_no", "need_no", "call_no")}
        union all select person_no, session_no, 6, 'csat', 'website', at_us + {HOUR_US}, 3.9, 0.9,
            5, null, 'website', null from visits
        where {d.chance("asked website", 0.012, "person_no", "session_no")}
        union all select person_no, session_no, 7, 'ces', 'checkout', at_us + {HOUR_US},
            6.0 - 1.7 * error_count - case when sale_no is null then 0.8 else 0 end, 0.9, 7,
            order_no, 'website', null
        from visits where len(tail) > 2
            and {d.chance("asked checkout", 0.08, "person_no", "session_no")}
        union all select person_no, sale_no * 10 + line_no, 8, 'review', 'product_review',
            coalesce(delivered_us, sales.at_us) + {reviewed} * {DAY_US}, {stars}, 0.0, 5, order_no,
            case when is_late and {stars} < 4 then 'delivery' else 'quality' end, product_id
        from sales join sale_lines using (sale_no, person_no)
        where place = 'web' and is_logged_in
            and {d.chance("reviews", _REVIEW_RATE, "sale_no", "line_no")}""",
    )
    pick = "{0}[1 + cast(floor({1} * len({0})) as bigint)]"
    first, second = d.uniform("sentence", *ids), d.uniform("second sentence", *ids)
    comment = f"""{pick.format("openings", d.uniform("opening", *ids))}
        || {pick.format("sentences", first)}
        || case when {d.chance("says more", 0.3, *ids)}
            and {pick.format("sentences", first)} <> {pick.format("sentences", second)}
            then case language when 'en' then ' ' else '' end || {pick.format("sentences", second)}
            else '' end
        || {pick.format("endings", d.uniform("ending", *ids))}"""
    engine.materialize(
        "voices",
        f"""select scored.*, email, login_id, language,
            case when metric = 'review' or {d.chance("comments", _COMMENT_RATE, *ids)}
                then {comment} end as comment
        from (select * exclude (theme, level, spread), coalesce(theme, {theme}) as theme,
                case when metric = 'review' then level else least(score_max, greatest(
                    case metric when 'nps' then 0 else 1 end,
                    round(level + spread * {d.normal("score", *ids)}))) end as score,
                case when score >= 0.62 * score_max then 'good' else 'bad' end as mood
            from asked join (select person_no, segment from people) as people using (person_no)
            where at_us < {END_US}) as scored
        join (select person_no, email, login_id, language from people) as people using (person_no)
        join phrases using (language, theme, mood)""",
    )


def write_voices(exports: Exports, dice: Dice) -> None:
    """Write survey answers and product reviews."""
    d, ids = dice, ("person_no", "voice_no", "about")
    wide = d.chance("wide e-mail", 0.02, *ids)
    early = d.chance("no clock", 0.003, *ids)
    key = f"hash({d.code('voice')}, {', '.join(ids)})"
    exports.write(
        "survey/responses.csv",
        f"""select {opaque("SV", key)} as response_id,
            case when {early} then '1970-01-01T09:00:00+09:00' else {local("at_us", _OFFSET)} end
                as answered_at, metric, touchpoint, score::int as score, score_max,
            case when {wide} then {full_width("email")} else email end as email, ref_no as order_no,
            language, comment, at_us as _at, {key} as _id, case when {early} then 'date_1970'
                when {wide} then 'width_variant' end as _dirt
        from voices where metric <> 'review'""",
    )
    title = """case when score >= 4
            then case language when 'en' then 'Good' else '買ってよかった' end
        when score >= 3 then case language when 'en' then 'So-so' else 'まあまあ' end
        else case language when 'en' then 'Not good' else '残念' end end"""
    exports.write(
        "reviews/product_reviews.csv",
        f"""select {opaque("RV", key)} as review_id,
            {local("at_us", _SECOND)} as posted_at, login_id, ref_no as order_no, product_id,
            score::int as rating, {title} as title, comment as body, language, at_us as _at,
            {key} as _id, null::varchar as _dirt
        from voices where metric = 'review'""",
    )


def write_referrals(exports: Exports, dice: Dice) -> None:
    """Write who recommended the shop to whom; some friends never came."""
    d = dice
    number = d.whole("recommender", 1, "members", "person_no")
    exports.write(
        "referrals/referrals.csv",
        f"""with members as (
            select login_id, joined_us, row_number() over (order by person_no) as n,
                count(*) over () as members
            from people where has_login and segment in ('loyal', 'regular') and is_existing)
        select {opaque("RF", "hash(person_no, asked_us)")} as referral_id,
            {local("asked_us", _SECOND)} as referred_at, login_id, friend_email,
            friend_login_id, 'HOSHI-' || substr(login_id, 5) as code, status, asked_us as _at,
            hash(person_no, status) as _id, null::varchar as _dirt
        from (select person_no, email as friend_email, login_id as friend_login_id,
                joined_us - {6 * HOUR_US} as asked_us, case when person_no in (
                    select person_no from sales) then 'purchased' else 'registered' end as status,
                {number} as n
            from people, (select max(members) as members from members) as counted
            where joined_by = '紹介' and not is_existing and role = 'customer'
            union all select person_no, 'friend.' || ({d.permuted("friend", "person_no", 99999988)})
                    || '@example.net', null, first_us + cast({d.uniform("invites", "person_no")}
                    * ({END_US} - first_us) as bigint), 'invited', {number}
            from people, (select max(members) as members from members) as counted
            where segment = 'loyal' and {d.chance("invites", 0.08, "person_no")}) as friends
        join members using (n) where asked_us between {START_US} and {END_US}""",
    )


def collect_adverts(engine: DuckDB) -> None:
    """Add the visits that advertising brought to table `advert_days`."""
    engine.run(
        f"""insert into advert_days select (at_us - {START_US}) // {DAY_US}, medium, count(*)
            from visits where medium in {tuple(_ADVERTS)} group by all"""
    )


def write_company_files(exports: Exports, dice: Dice) -> None:
    """Write what is about no person: ad costs, own posts, and notes of interviews."""
    d, engine = dice, exports.engine
    rows = [(medium, *values) for medium, values in _ADVERTS.items()]
    columns = ["medium", "platform", "campaign", "click_cost", "click_views"]
    engine.add("adverts", pd.DataFrame(rows, columns=columns))
    noise = d.uniform("ad noise", "day_no", "click_cost")
    exports.write(
        "ads/ad_costs.csv",
        f"""select strftime(date '{FIRST_DAY}' + day_no::int, '%Y-%m-%d') as day, platform, medium,
            campaign, cast(clicks * click_views * (0.9 + 0.2 * {noise}) as bigint) as impressions,
            cast(round(clicks * 1.06) as bigint) as clicks,
            cast(round(clicks * click_cost * (0.85 + 0.3 * {noise})) as bigint) as cost,
            'JPY' as currency, day_no as _at, click_cost as _id, null::varchar as _dirt
        from (select day_no, medium, sum(visits) as clicks from advert_days group by all) as days
        join adverts using (medium)""",
    )
    research = read_words("research")
    engine.add("posts", pd.DataFrame(research["posts"], columns=["theme", "pull", "text"]))
    views = d.exponential("views", 9000, "post_no")
    exports.write(
        "social/posts.csv",
        f"""select 'P' || lpad(post_no::varchar, 5, '0') as post_id, platform,
            {local("at_us", _OFFSET)} as posted_at, case platform when 'youtube' then 'video'
                when 'x' then 'text' else {d.pick("form", {"photo": 6, "reel": 4}, "post_no")} end
                as post_type, theme, text, impressions,
            cast(impressions * 0.021 * pull as bigint) as likes,
            cast(impressions * 0.0012 * pull as bigint) as comments,
            cast(impressions * 0.0025 * pull as bigint) as shares,
            cast(impressions * 0.006 * pull as bigint) as link_clicks, at_us as _at,
            post_no as _id, null::varchar as _dirt
        from (select *, 800 + cast({views} as bigint) as impressions,
                {START_US} + post_no * {DAY_US} + {12 * HOUR_US}
                    + {d.whole("post minute", 0, 540, "post_no")} * 60000000 as at_us,
                {d.pick("platform", {"instagram": 6, "x": 3, "youtube": 1}, "post_no")} as platform
            from (select post_no, {d.whole("post", 1, len(research["posts"]), "post_no")} as wanted
                from range({DAYS}) as t(post_no)) as planned
            join (select *, row_number() over (order by text) as wanted from posts) as posts
                using (wanted)
            where {d.chance("posts", 0.7, "post_no")}) as posted""",
    )
    columns = ["persona", "stage", "touchpoint", "kind", "language", "respondents", "text"]
    notes = pd.DataFrame(research["notes"], columns=columns)
    engine.add("notes", notes.assign(n=range(len(notes))))
    exports.write(
        "research/interview_notes.csv",
        """select 'N' || lpad((n + 1)::varchar, 3, '0') as note_id,
            case when n % 2 = 0 then '2026-02-18' else '2026-09-09' end as interviewed_on, persona,
            stage, touchpoint, kind, text, language, respondents, n % 2 as _at, n as _id,
            null::varchar as _dirt from notes""",
    )
    columns = ["stage", "comment", "owner", "status", "decision"]
    comments = pd.DataFrame(research["comments"], columns=columns)
    engine.add("map_comments", comments.assign(n=range(len(comments))))
    exports.write(
        "research/map_comments.csv",
        f"""select {", ".join(columns)}, 0 as _at, n as _id, null::varchar as _dirt
        from map_comments""",
    )
