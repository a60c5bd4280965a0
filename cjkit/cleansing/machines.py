"""What acts as no person does: too fast, too steadily, or before anybody can have read."""

from __future__ import annotations

from cjkit.cleansing.landing import Landing
from cjkit.cleansing.rows import mark
from cjkit.cleansing.rules import IS_CLEAN, RULE, SETS_ASIDE
from cjkit.engine import DuckDB, text

_BOT_EVENTS, _BOT_MINUTES = 30, 3
_STEADY_EVENTS, _STEADY_SHARE = 60, 0.9
_UNREAD_US = 5_000_000
_AT_ONCE, _ALIKE = 3, 5


def find_bots(engine: DuckDB) -> None:
    """Mark all events of whoever acts as no person does: too fast, or as steadily as a clock.

    Too fast are more than 30 events a minute in 3 minutes or more. Steady is an hour of more than
    60 events of which 9 in 10 follow the one before after the same whole seconds. Replayed events
    count: a machine may ask for one page again and again. Those that only have a day do not.
    """
    engine.materialize(
        "acts",
        f"""select customer_no, time_us from "facts events" as facts
            join (select hash(person_key) as person, customer_no from people) as people
                using (person)
            where failed & {SETS_ASIDE & ~RULE["replayed"].bit} = 0 and content is not null""",
    )
    mark(
        engine,
        "events",
        ["bot_rate"],
        f"""person in (select hash(person_key) from people where customer_no in (
            select customer_no from (
                select customer_no from acts
                group by customer_no, time_us // 60000000 having count(*) > {_BOT_EVENTS}) as busy
            group by customer_no having count(*) >= {_BOT_MINUTES}
            union select customer_no from (
                select customer_no, hour, count(*) as n from (
                    select *, (time_us - lag(time_us) over (partition by customer_no, hour
                        order by time_us)) // 1000000 as gap
                    from (select *, time_us // 3600000000 as hour from acts) as hourly
                    where (customer_no, hour) in (select (customer_no, time_us // 3600000000)
                        from acts group by customer_no, time_us // 3600000000
                        having count(*) > {_STEADY_EVENTS})) as gaps
                where gap is not null
                group by customer_no, hour, gap) as repeated
            group by customer_no, hour having max(n) >= {_STEADY_SHARE} * sum(n)))""",
    )
    engine.run("drop table acts")


def find_machine_opens(landing: Landing) -> None:
    """Mark openings of messages by mail programs and scanners, which nobody has read.

    `[quality] opens` names the events by which people open or follow what was sent to them. Such an
    event is a machine's

    - less than 5 seconds after an `outbound` event of the same `campaign` (else `ref_id`) to the
      same person;
    - in one second with openings of the same person of 3 or more messages or pages in all;
    - of a person of whom 9 in 10 openings, 5 or more, follow the sending after the same whole
      seconds.

    Replayed events, and those that only have a day, are not looked at.
    """
    opens = ", ".join(map(text, landing.project.quality.opens))
    if not opens:
        return
    engine = landing.engine
    messages = f"""select row_id, customer_no, facts.time_us, rows.page,
            coalesce(rows.campaign, rows.ref_id) as message
        from "landed events" as rows
        join (select * from "facts events" where {IS_CLEAN} and content is not null) as facts
            using (row_id)
        join people on people.person_key = rows.person_key"""
    engine.materialize(
        "openings",
        f"""with opened as ({messages} where rows.event in ({opens})),
            sent as ({messages} where rows.direction = 'outbound')
            select opened.*, opened.time_us // 1000000 as second,
                opened.time_us - sent.time_us as waited_us
            from opened asof left join sent
                on sent.customer_no = opened.customer_no and sent.message = opened.message
                and sent.time_us <= opened.time_us""",
    )
    mark(
        engine,
        "events",
        ["machine_open"],
        f"""row_id in (select row_id from "openings" where waited_us < {_UNREAD_US}
            or (customer_no, second) in (select (customer_no, second) from "openings"
                group by customer_no, second
                having count(distinct concat_ws(' ', message, page)) >= {_AT_ONCE})
            or customer_no in (select customer_no from (
                    select customer_no, waited_us // 1000000 as waited, count(*) as n
                    from "openings" where waited_us is not null
                    group by customer_no, waited) as alike
                group by customer_no
                having sum(n) >= {_ALIKE} and max(n) >= {_STEADY_SHARE} * sum(n)))""",
    )
    engine.run('drop table "openings"')
