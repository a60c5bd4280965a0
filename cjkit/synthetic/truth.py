"""The truth beside the exports: who is who, what was planted, and what became of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cjkit.engine import DuckDB
from cjkit.synthetic import stories
from cjkit.synthetic.exports import utc
from cjkit.synthetic.stories import DAY_US, END_US, ZONE_US, start_us

_SYSTEMS = {"in_web": "is_in_web", "in_shop": "is_in_shop", "in_crm": "is_in_crm"}
_TABLES = {
    "people": f"""select person_no, role, segment, home, is_member, is_existing, language,
        {utc("first_us")} as first_seen_at, {utc("left_us")} as left_at, arm as mail_arm,
        retargeting_arm, coalesce(revenue, 0) as revenue, coalesce(sales, 0) as sales
        from people left join leavers using (person_no) left join arms using (person_no)
        left join (select person_no, cast(sum(amount) as bigint) as revenue, count(*) as sales
            from sales group by person_no) as bought using (person_no) order by person_no""",
    "identities": """select * from (
        select 'login' as namespace, login_id as source_id, person_no from people
        union select 'loyalty', loyalty_no, person_no from people
        union select 'crm', crm_no, person_no from crm_records
        union select 'email', email, person_no from people
        union select 'phone', phone, person_no from people
        union select 'cookie', client_id, person_no from visits where not is_banner_denied) as ids
        where source_id is not null order by namespace, source_id, person_no""",
    "needs": f"""select person_no, need_no, {utc("begins_us")} as begins_at,
        {utc("decided_us")} as decided_at, place, category, touch_count, is_strong, has_video,
        is_retargeted, consultation, is_pain, wants, is_bought, is_late, delivery_calls, leaves,
        wants_rate, no_video_rate, no_consultation_rate, completion_rate
        from needs where is_real order by person_no, need_no""",
    "sales": f"""select sale_no, person_no, need_no, {utc("at_us")} as sold_at, place, amount,
        order_no, receipt_no, is_in_web, is_in_shop, is_in_crm,
        receipt_no is not null and paid_us < {END_US} as is_in_till
        from sales order by sale_no""",
    "sale_copies": "select * from copies order by sale_no, file, record_no",
    "voices": """select person_no, voice_no, about, metric, touchpoint, score, theme, mood,
        language, comment is not null as has_comment
        from voices order by person_no, about, voice_no""",
    "dirt": "select * from dirt order by kind, file, record_no",
}


def write_truth_tables(engine: DuckDB, folder: Path, suffix: str) -> None:
    """Write the tables of one part of the company."""
    for name, sql in _TABLES.items():
        path = folder / f"{name}{suffix}.parquet"
        engine.copy(sql, path, form="parquet", options="row_group_size 100000")


def measure_part(engine: DuckDB) -> Counter[str]:
    """Return the sums of one part of the company from which `tell_truth` makes its figures."""
    found = engine.query(_sums())
    # A part may hold nobody of some kind: their sum is 0.
    values = found["value"].astype(float).fillna(0)
    return Counter(dict(zip(found["name"], values, strict=True)))


def tell_truth(
    sums: Counter[str], rows: dict[str, int], *, customers: int, seed: int
) -> dict[str, Any]:
    """Return what `truth.json` holds."""

    def ratio(part: str, whole: str) -> float | None:
        return round(sums[part] / sums[whole], 4) if sums[whole] else None

    def group(prefix: str) -> dict[str, int]:
        return {
            name.removeprefix(prefix): round(value)
            for name, value in sorted(sums.items())
            if name.startswith(prefix)
        }

    arms = {
        arm: {
            "people": round(sums[f"mail.{arm}.people"]),
            "visit_rate": ratio(f"mail.{arm}.visited", f"mail.{arm}.people"),
            "purchase_rate": ratio(f"mail.{arm}.bought", f"mail.{arm}.people"),
        }
        for arm in ("treatment", "control")
    }
    return {
        "customers": customers,
        "seed": seed,
        "first_day": stories.FIRST_DAY.isoformat(),
        "days": stories.DAYS,
        "records": rows,
        "stories": {
            "checkout_pain": {
                "device": stories.PAIN_DEVICE,
                "since": stories.PAIN_SINCE.isoformat(),
                "planted_completion_rate": stories.PAIN_CHECKOUT_RATE,
                "planted_completion_rate_elsewhere": stories.CHECKOUT_RATE,
                "ready_to_buy": round(sums["pain.ready"]),
                "completion_rate": ratio("pain.done", "pain.ready"),
                "completion_rate_elsewhere": ratio("plain.done", "plain.ready"),
                "checkout_to_purchase_rate": ratio("pain.purchases", "pain.checkouts"),
                "checkout_to_purchase_rate_elsewhere": ratio("plain.purchases", "plain.checkouts"),
                "lost_orders": round(sums["pain.lost"]),
            },
            "store_consultation": {
                "planted_gain_good": stories.CONSULTATION_GOOD_GAIN,
                "planted_loss_bad": stories.CONSULTATION_BAD_LOSS,
                "good": round(sums["good.needs"]),
                "bad": round(sums["bad.needs"]),
                "purchase_rate_good": ratio("good.bought", "good.needs"),
                "purchase_rate_bad": ratio("bad.bought", "bad.needs"),
                "true_effect_good": ratio("good.effect", "good.needs"),
                "true_effect_bad": ratio("bad.effect", "bad.needs"),
            },
            "late_delivery_loop": {
                "planted_added_leaving_late": stories.LEAVES_AFTER_LATE,
                "planted_added_leaving_loop": stories.LEAVES_AFTER_LOOP,
                "late_rate": ratio("late.orders", "home.orders"),
                "late": round(sums["late.orders"]),
                "loops": round(sums["loop.orders"]),
                "leaving_rate_on_time": ratio("on_time.leaves", "on_time.orders"),
                "leaving_rate_late_no_loop": ratio("late_only.leaves", "late_only.orders"),
                "leaving_rate_loop": ratio("loop.leaves", "loop.orders"),
            },
            "retargeting": {
                "true_effect": stories.RETARGETING_GAIN,
                "last_touch_share_of_web_purchases": ratio("retargeting.last", "web.purchases"),
                "purchase_rate_followed": ratio("followed.bought", "followed.needs"),
                "purchase_rate_not_followed": ratio("unfollowed.bought", "unfollowed.needs"),
                "test": "retargeting_holdout_2026",
                "days": [day.isoformat() for day in stories.RETARGETING_TEST],
                "arms": {
                    arm: {
                        "people": round(sums[f"adverts.{arm}.people"]),
                        "purchase_rate": ratio(f"adverts.{arm}.bought", f"adverts.{arm}.people"),
                    }
                    for arm in ("treatment", "control")
                },
            },
            "video": {
                "planted_gain": stories.VIDEO_GAIN,
                "needs": round(sums["video.needs"]),
                "true_effect": ratio("video.effect", "video.needs"),
                "first_touch_share_of_web_purchases": ratio("video.first", "web.purchases"),
                "last_touch_share_of_web_purchases": ratio("video.last", "web.purchases"),
                "purchases_it_caused": round(sums["video.effect"]),
            },
            "mail_holdout": {
                "test": "mail_holdout_2026",
                "days": [day.isoformat() for day in stories.MAIL_TEST],
                "planted_woken_rate": stories.MAIL_VISIT_RATE,
                "arms": arms,
                "true_visit_lift": ratio("mail.visit_lift", "mail.people"),
                "true_purchase_lift": ratio("mail.purchase_lift", "mail.people"),
            },
            "level_shift": {
                "kpi": "web visits a day",
                "day": stories.SHIFT_DAY.isoformat(),
                "visits_a_day_before": round(sums["shift.before"] / 60, 1),
                "visits_a_day_after": round(sums["shift.after"] / 60, 1),
            },
            "segments": {
                name: {
                    **asdict(kind),
                    "people": round(sums[f"people.{name}"]),
                    "buyers": round(sums[f"buyers.{name}"]),
                    "sales": round(sums[f"sales.{name}"]),
                    "revenue_a_person": ratio(f"revenue.{name}", f"people.{name}"),
                    "left_rate": ratio(f"left.{name}", f"people.{name}"),
                }
                for name, kind in stories.SEGMENTS.items()
            },
            "season": {
                "month_weights": stories.MONTH_WEIGHTS,
                "weekday_weights": stories.WEEKDAY_WEIGHTS,
                "sales_by_month": group("month."),
                "sales_by_weekday": group("weekday."),
            },
        },
        "null_touchpoints": list(stories.NULL_TOUCHPOINTS),
        "roles": group("role."),
        "sales": group("sale."),
        "shared_cookies": round(sums["shared.cookies"]),
        "dirt": group("dirt."),
    }


def write_truth(folder: Path, truth: dict[str, Any]) -> None:
    """Write `truth.json`."""
    told = json.dumps(truth, ensure_ascii=False, indent=2)
    (folder / "truth.json").write_text(told + "\n", encoding="utf-8")


def _sums() -> str:
    """Write the SQL of named sums: what is true of the needs, people, sales and visits."""
    ready = "wants and place = 'web' and is_real"
    effect = "(wants_rate - {}) * completion_rate"
    mail_from, mail_to = (start_us(day) for day in stories.MAIL_TEST)
    within = f"between {mail_from} and {mail_to + 2 * DAY_US}"
    shift = start_us(stories.SHIFT_DAY)
    may_be_followed = "place = 'web' and touch_count > 1 and not is_retargeted"
    adverts_from, adverts_to = (start_us(day) for day in stories.RETARGETING_TEST)
    groups = {
        "needs where is_real": {
            "plain.ready": f"{ready} and not is_pain",
            "plain.done": f"{ready} and not is_pain and completes",
            "pain.ready": f"{ready} and is_pain",
            "pain.done": f"{ready} and is_pain and completes",
            "good.needs": "consultation = 'good'",
            "good.bought": "consultation = 'good' and is_bought",
            "bad.needs": "consultation = 'bad'",
            "bad.bought": "consultation = 'bad' and is_bought",
            "home.orders": "is_bought and place = 'web' and not is_pickup",
            "late.orders": "is_late",
            "on_time.orders": "is_bought and place = 'web' and not is_late",
            "on_time.leaves": "is_bought and place = 'web' and not is_late and leaves",
            "late_only.orders": "is_late and delivery_calls < 2",
            "late_only.leaves": "is_late and delivery_calls < 2 and leaves",
            "loop.orders": "is_late and delivery_calls > 1",
            "loop.leaves": "is_late and delivery_calls > 1 and leaves",
            "video.needs": "has_video",
            "followed.needs": "is_retargeted",
            "followed.bought": "is_retargeted and is_bought",
            "unfollowed.needs": may_be_followed,
            "unfollowed.bought": f"{may_be_followed} and is_bought",
        },
        "visits": {
            "web.purchases": "sale_no is not null",
            "retargeting.last": "sale_no is not null and channel = 'retargeting'",
            "video.last": "sale_no is not null and channel = 'video'",
            "pain.checkouts": "'begin_checkout' in tail and is_pain",
            "pain.purchases": "sale_no is not null and is_pain",
            "plain.checkouts": "'begin_checkout' in tail and not is_pain",
            "plain.purchases": "sale_no is not null and not is_pain",
            "shift.before": f"at_us >= {shift - 60 * DAY_US} and at_us < {shift}",
            "shift.after": f"at_us >= {shift} and at_us < {shift + 60 * DAY_US}",
        },
        "sales": {
            "sale.true": "true",
            **{f"sale.{name}": claim for name, claim in _SYSTEMS.items()},
            "sale.in_till": f"receipt_no is not null and paid_us < {END_US}",
            "sale.guest": "not case when place = 'web' then is_logged_in else is_card_shown end",
        },
    }
    counted = [
        f"select '{name}' as name, count_if({claim})::double as value from {table}"
        for table, claims in groups.items()
        for name, claim in claims.items()
    ]
    pain_gap = stories.CHECKOUT_RATE - stories.PAIN_CHECKOUT_RATE
    local_time = f"make_timestamp(at_us + {ZONE_US})"
    summed = [
        f"select 'pain.lost', count(*) * {pain_gap} from needs where {ready} and is_pain",
        f"""select consultation || '.effect', sum({effect.format("no_consultation_rate")})
            from needs where is_real and consultation is not null group by consultation""",
        f"""select 'video.effect', sum({effect.format("no_video_rate")})
            from needs where is_real and has_video""",
        """select 'video.first', count(*) from visits join needs using (person_no, need_no)
            where sale_no is not null and has_video""",
        f"""select 'mail.' || name, value from (
            with seen as (select person_no, arm,
                    count_if(visits.at_us {within}) > 0 as visited
                from arms left join visits using (person_no) where arm is not null group by all),
            known as (select person_no, arm, count_if(is_bought and need_no = 900) > 0 as woken,
                    count_if(need_no = 900) > 0 as would_visit,
                    count_if(is_bought and need_no <> 900 and decided_us {within}) > 0 as bought
                from arms left join needs using (person_no, arm) where arm is not null group by all)
            select unnest(['people', 'visit_lift', 'purchase_lift']) as name, unnest([count(*),
                count_if(would_visit and not plain_visit), count_if(woken and not bought)]) as value
            from known join (select person_no, count_if(at_us {within}
                    and coalesce(need_no, 0) <> 900) > 0 as plain_visit
                from arms left join visits using (person_no) group by person_no) as plain
                using (person_no)
            union all select arm || '.' || unnest(['people', 'visited', 'bought']),
                unnest([count(*), count_if(visited),
                    count_if(bought or woken and arm = 'treatment')])
            from known join seen using (person_no, arm) group by arm) as mail""",
        f"""select 'adverts.' || retargeting_arm || '.' || unnest(['people', 'bought']),
                unnest([count(*), count_if(bought)])
            from (select person_no, arms.retargeting_arm, count_if(is_bought and is_real
                    and decided_us >= {adverts_from} and decided_us < {adverts_to + DAY_US}) > 0
                    as bought
                from arms left join needs using (person_no)
                where arms.retargeting_arm is not null group by all) as tested
            group by retargeting_arm""",
        "select 'role.' || role, count(*) from people group by role",
        "select 'people.' || segment, count(*) from people group by segment",
        """select 'left.' || segment, count(*) from people join leavers using (person_no)
            group by segment""",
        "select 'buyers.' || segment, count(distinct person_no) from sales group by segment",
        "select 'sales.' || segment, count(*) from sales group by segment",
        "select 'revenue.' || segment, sum(amount) from sales group by segment",
        f"select 'month.' || strftime({local_time}, '%Y-%m'), count(*) from sales group by all",
        f"select 'weekday.' || isodow({local_time}), count(*) from sales group by all",
        """select 'shared.cookies', count(*) from (select client_id from visits
            group by client_id having count(distinct person_no) > 1) as families""",
        "select 'dirt.' || kind, count(*) from dirt group by kind",
    ]
    return " union all ".join(counted + summed)
