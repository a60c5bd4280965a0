"""Marketing mail: newsletters, the test series, and mails that bring a customer back."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd

from cjkit.engine import DuckDB
from cjkit.synthetic import stories
from cjkit.synthetic.dice import Dice
from cjkit.synthetic.journeys import MAIL_NEED
from cjkit.synthetic.people import read_words
from cjkit.synthetic.stories import END_US, HOUR_US, MINUTE_US, start_us

_SENT_AFTER_MIDNIGHT_US = 8 * HOUR_US
_AUDIENCE_RATE = 0.75
_CLICK_RATE = 0.10
_BOUNCE_RATE = 0.004
_MACHINE_SHARE = 0.35
_SENT_IN_SPITE_RATE = 0.04
"""Of the mails to people who opted out: sent all the same, by mistake."""


def load_campaigns(engine: DuckDB) -> None:
    """Put the mails that went out, and when, into table `campaigns`."""
    rows: list[tuple[int, str, str, int, str | None]] = [
        (number, identity, name, start_us(date.fromisoformat(day)) + _SENT_AFTER_MIDNIGHT_US, None)
        for number, (day, identity, name) in enumerate(read_words("company")["mail_campaigns"])
    ]
    for week in range(stories.MAIL_TEST_MAILS):
        at_us = start_us(stories.MAIL_TEST[0] + timedelta(days=7 * week)) + _SENT_AFTER_MIDNIGHT_US
        name = f"春のくらし提案 第{week + 1}回"
        rows.append((100 + week, f"T26{week + 1:02d}", name, at_us, "treatment"))
    columns = ["campaign_no", "campaign_id", "campaign_name", "sent_us", "arm"]
    engine.add("campaigns", pd.DataFrame(rows, columns=columns))


def make_mails(engine: DuckDB, dice: Dice) -> None:
    """Make table `mails`: one row for each mail, with the times it was opened and clicked."""
    d, ids = dice, ("person_no", "campaign_no")
    opens = "opens_rate * case when sent_us >= coalesce(left_us, sent_us + 1) then 0.25 else 1 end"
    engine.materialize(
        "newsletters",
        f"""select person_no, email, device, campaign_no, campaign_id, campaign_name, sent_us,
            sent_us >= coalesce(opted_out_us, {END_US}) as is_after_opt_out,
            sent_us + cast({d.exponential("opens after", 9 * HOUR_US, *ids)} as bigint)
                + {MINUTE_US} as would_open_us,
            {d.chance("opens", opens, *ids)} as is_opened,
            campaigns.arm is null and {d.chance("clicks", _CLICK_RATE, *ids)} as would_click
        from people join segments using (segment) left join arms using (person_no)
        left join leavers using (person_no)
        join campaigns on sent_us > joined_us and case when campaigns.arm is null
            then {d.chance("audience", _AUDIENCE_RATE, *ids)} else arms.arm = campaigns.arm end
        where is_opted_in and (sent_us < coalesce(opted_out_us, {END_US})
            or {d.chance("in spite", _SENT_IN_SPITE_RATE, *ids)})""",
    )
    # A visit that came by mail has its mail here: one of the test series, or a recommendation.
    engine.materialize(
        "answered",
        f"""select person_no, need_no, touch_no, touches.at_us, campaign_no,
            coalesce(campaign_id, 'REC') as campaign_id,
            coalesce(campaign_name, 'おすすめ商品のお知らせ') as campaign_name,
            coalesce(sent_us, at_us - {10 * MINUTE_US} - cast({
            d.exponential("sent before", 10 * HOUR_US, "person_no", "need_no", "touch_no")
        } as bigint)) as sent_us
        from touches left join campaigns on need_no = {MAIL_NEED}
            and sent_us = begins_us + {_SENT_AFTER_MIDNIGHT_US}
        where channel = 'email'""",
    )
    engine.materialize(
        "mails",
        """select person_no, email, device, campaign_id, campaign_name, is_after_opt_out, sent_us,
            case when answered.at_us is not null then answered.at_us - 40000000
                when is_opened then would_open_us end as opened_us,
            case when answered.at_us is not null then answered.at_us - 4000000
                when is_opened and would_click then would_open_us + 30000000 end as clicked_us,
            campaign_no * 1000 as mail_no, answered.at_us is null as makes_visit
        from newsletters left join answered using (person_no, campaign_no, campaign_id,
            campaign_name, sent_us)
        union all
        select person_no, email, people.device, campaign_id, campaign_name, false, sent_us,
            at_us - 40000000, at_us - 4000000, 500000 + need_no * 100 + touch_no, false
        from answered join people using (person_no) where campaign_no is null""",
    )


def mail_events(dice: Dice) -> str:
    """Write the SQL of all that the mail tool records: sent, bounce, open, click, unsubscribe."""
    ids = ("person_no", "mail_no")
    machine = (
        f"device = 'iphone' and {dice.chance('machine', _MACHINE_SHARE, 'person_no')} "
        "and not is_bounced"
    )
    mails = f"(select *, {dice.chance('bounces', _BOUNCE_RATE, *ids)} as is_bounced from mails)"
    common = "person_no, email, campaign_id, campaign_name, mail_no"
    return f"""
        select {common}, 'sent' as event, sent_us as at_us, false as is_machine, is_after_opt_out
        from {mails}
        union all select {common}, 'bounce', sent_us + 9000000, false, false from {mails}
        where is_bounced
        union all select {common}, 'open', opened_us, false, false from {mails}
        where opened_us is not null and not is_bounced
        union all select {common}, 'open', sent_us + {MINUTE_US} + {
        dice.whole("machine opens", 0, 60, *ids)
    } * 1000000, true, false from {mails} where {machine}
        union all select {common}, 'click', clicked_us, false, false from {mails}
        where clicked_us is not null and not is_bounced
        union all select person_no, email, null, null, 0, 'unsubscribe', opted_out_us, false, false
        from people where opted_out_us is not null"""
