"""The SQL of what hurts at a touchpoint: journeys that end, matters that return, low answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cjkit.engine import Table, text
from cjkit.events import Period, emotion_sql
from cjkit.experience.asking import during, listed, stage_number
from cjkit.experience.emotion import stage_sql

_LOW = -0.5


def drop_offs_sql(
    events: str,
    stages: Sequence[str],
    conversion: str | None,
    silence_us: int,
    keys: tuple[str, ...],
    ended: str,
) -> str:
    """Write the SQL that counts the people at each touchpoint, and whose journey ended there.

    `brought` is the revenue of the journeys that went on.
    """
    is_conversion = _is_conversion(conversion)
    cut = f"""
        select *, coalesce(max(case when is_last = 1 then step_no end) over (
            partition by customer_id order by step_no
            rows between unbounded preceding and 1 preceding), 0) as began
        from (
            select *, {stage_number(stages)} as stage_no,
                case when {is_conversion} then 1 else 0 end as is_conversion,
                case when waited_us <= {silence_us} then 0 else 1 end as is_last
            from {events} as events) as marked"""
    journey = "partition by customer_id, began"
    place = f"{listed(keys)}stage_no, touchpoint"
    return f"""
        select {place}, count(*) as people,
            sum(case when is_converted = 0 then ends_here else 0 end) as affected,
            sum(case when is_converted = 1 or ends_here = 0 then brought end) as brought
        from (
            select *, min(began) over (partition by customer_id, {place}) as first_began from (
                select customer_id, began, {place}, max(is_last) as ends_here,
                    max(max(is_conversion)) over ({journey}) as is_converted,
                    max(max(occurred_us)) over ({journey}) as ended_us,
                    sum(sum(case when {is_conversion} then revenue end)) over ({journey}) as brought
                from ({cut}) as cut group by customer_id, began, {place}) as journeys
            where stage_no is not null and touchpoint is not null and {ended}) as known
        where began = first_began group by {place}"""


def matters_sql(
    events: str,
    log: Table,
    stages: Sequence[str],
    conversion: str | None,
    again_us: int,
    quiet_us: int,
    keys: tuple[str, ...],
    known: str,
) -> str:
    """Write the SQL that counts the people with a matter at each touchpoint, and who were gone.

    They are told apart by `came_again` (1 or 0), `is_late` (whether the event itself came after its
    deadline; missing where it had none) and `is_late_matter` (whether any event of the matter did).
    What somebody does where the company itself begins, such as to open its newsletter, is no sign
    of coming back. `brought` is the revenue of those who came back, up to `quiet_us` after.
    """
    is_conversion = _is_conversion(conversion)
    place = f"{listed(keys)}stage_no, touchpoint"
    matter = "partition by customer_id, stage_no, touchpoint, event, ref_id order by step_no"
    begins = f"""select touchpoint from {log} as log
        where direction = 'outbound' and touchpoint is not null"""
    is_own = f"touchpoint is null or touchpoint not in ({begins})"
    late = (
        "case when occurred_us > valid_until_us then 1 when valid_until_us is not null then 0 end"
    )
    told = "came_again, is_late, is_late_matter"
    later = "cast(null as double)"
    if quiet_us > again_us:
        later = f"""sum(case when {is_conversion} then revenue end) over (
            partition by customer_id order by occurred_us
            range between {again_us + 1} following and {quiet_us} following)"""
    return f"""
        select {place}, {told}, count(*) as people, sum(is_gone) as affected,
            sum(brought) as brought
        from (
            select *, row_number() over (partition by customer_id, stage_no, touchpoint
                order by began_us, ref_id, event) as matter_no
            from (
                select customer_id, {place}, event, ref_id, min(occurred_us) as began_us,
                    max(occurred_us) as ended_us, max(came_again) as came_again,
                    max(case when occurred_us = last_us then brought_later end) as brought,
                    max({late}) as is_late, max(is_late_matter) as is_late_matter,
                    case when max(seen_us) - max(occurred_us) > {again_us} then 0 else 1 end
                        as is_gone
                from (
                    select *, case when occurred_us - lag(occurred_us) over ({matter})
                            <= {again_us} then 1 else 0 end as came_again,
                        max(case when occurred_us > valid_until_us then 1 else 0 end)
                            over (partition by customer_id, ref_id) as is_late_matter,
                        max(occurred_us) over ({matter}
                            rows between unbounded preceding and unbounded following) as last_us
                    from (select *, {stage_number(stages)} as stage_no, {later} as brought_later,
                            max(case when (ref_id is null and ({is_own})) or {is_conversion}
                                then occurred_us end) over (partition by customer_id) as seen_us
                        from {events} as events) as seen
                    where ref_id is not null) as asked
                where touchpoint is not null and stage_no is not null
                group by customer_id, {place}, event, ref_id) as matters) as numbered
        where matter_no = 1 and {known} group by {place}, {told}"""


def _is_conversion(conversion: str | None) -> str:
    return "1 = 0" if conversion is None else f"event = {text(conversion)}"


def low_scores_sql(
    answers: str,
    stages: Sequence[str],
    stage_of: Mapping[str, str] | None,
    keys: tuple[str, ...],
    period: Period | None,
) -> str:
    """Write the SQL that counts who answered about each touchpoint, and whose answer was low.

    Each person's first answer about a touchpoint counts; of people who are not known, each.
    """
    person = "customer_id, touchpoint, case when customer_id is null then feedback_id end"
    return f"""
        select {listed(keys)}stage_no, touchpoint, count(*) as people, sum(is_low) as affected
        from (select {listed(keys)}touchpoint, {stage_number(stages)} as stage_no,
                case when metric = 'nps' and score is not null
                    then case when score <= 6 then 1 else 0 end
                    when felt <= {_LOW} then 1 else 0 end as is_low,
                row_number() over (partition by {person} order by given_us, feedback_id)
                    as answer_no
            from (select *, {emotion_sql()} as felt, {stage_sql(stage_of)} as stage
                from {answers} as feedback) as felt
            where felt is not null and {during(period, "given_us")}) as answers
        where stage_no is not null and touchpoint is not null and answer_no = 1
        group by {listed(keys)}stage_no, touchpoint"""
