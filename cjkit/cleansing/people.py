"""Whose rows they are: who is who, who has agreed, and whose rows must be set aside as a whole."""

from __future__ import annotations

from cjkit.cleansing.identities import CONSENTING
from cjkit.cleansing.landing import Landing, extra_columns
from cjkit.cleansing.machines import find_bots, find_machine_opens
from cjkit.cleansing.rows import mark
from cjkit.cleansing.rules import IS_CLEAN, RULE
from cjkit.engine import column, text
from cjkit.events import CONTRACT, PURCHASE
from cjkit.privacy import answers_sql, denied_sql
from cjkit.sources import event_places

_STAFF = ("is_staff", "x_is_staff")
_TEST = ("is_test", "x_is_test")
_MARKETING = "marketing"
_ADVERTISED = ("email", "sms", "push", "line", "direct_mail")


def withhold(landing: Landing) -> None:
    """Mark all rows of people without consent."""
    consent = landing.project.consent
    landing.engine.materialize(
        "denied",
        denied_sql(
            '"landed consents"',
            column(CONSENTING),
            purpose=consent.purpose,
            missing=consent.missing,
        ),
    )
    _mark_people(landing, "withheld", "select customer_id from denied")


def agreed_sql() -> str:
    """Write the SQL of who has agreed to which purpose: `customer_id`, `purpose`.

    All consent records that were read count, those after `as_of` too: a withdrawal of today must
    not wait until the day is over. Nobody has agreed who was not asked.
    """
    answers = answers_sql('"landed consents"', column(CONSENTING))
    return f"select customer_id, purpose from ({answers}) as answers where is_granted"


def set_aside_people(landing: Landing) -> None:
    """Mark the rows of employees and test accounts, and what machines did in a person's name.

    An employee is known by an e-mail of the company's own, wherever it stands, or by a column that
    says so; a test account by such a column. All rows of the person go, under every id.
    """
    for rule, claims in (("staff", _STAFF), ("test_account", _TEST)):
        known = ['select person_key from "staff keys"'] if rule == "staff" else []
        said = known + [
            f'select person_key from "landed {table}" where try_cast({column(name)} as boolean)'
            for table in CONTRACT
            for name in extra_columns(landing.engine, table)
            if name in claims
        ]
        if said:
            _mark_people(
                landing,
                rule,
                f"select customer_id from people where person_key in ({' union '.join(said)})",
            )
    find_machine_opens(landing)
    find_bots(landing.engine)


def find_unknown_customers(landing: Landing) -> None:
    """Mark rows whose person has no customer record where the source says that all must have one.

    `[sources.<name>] customers` names the source of those records. Whoever has one under any of
    their ids is known.
    """
    for name, source in landing.project.sources.items():
        if source.customers is None:
            continue
        for table in RULE["unknown_customer"].tables:
            mark(
                landing.engine,
                table,
                ["unknown_customer"],
                f"""file_no in (select file_no from files
                        where "table" = '{table}' and source = {text(name)})
                    and person in (select hash(person_key) from people
                        where customer_id not in (select customer_id from people
                            join "landed customers" as known using (person_key)
                            where known.source = {text(source.customers)}))""",
            )


def _mark_people(landing: Landing, rule: str, customers: str) -> None:
    """Mark all rows of the customers that the SQL `customers` names."""
    for table in RULE[rule].tables:
        mark(
            landing.engine,
            table,
            [rule],
            f"""person in (select hash(person_key) from people
                where customer_id in ({customers}))""",
        )


def flag_order_of_events(landing: Landing) -> None:
    """Flag events in an order that cannot be, and mailings after an opt-out; all are kept.

    `[[quality.order]]` of the project names pairs: `then` before `first` of the same `ref_id` is
    impossible. A purchase counts as it stands in orders. A mailing is an `outbound` event by
    e-mail, SMS, push, LINE or post; it came too late when the latest earlier record of the purpose
    `marketing` was a denial.
    """
    engine = landing.engine
    for pair in landing.project.quality.order:
        engine.materialize(
            "ordered events",
            f"""select facts.row_id, rows.event, rows.ref_id, rows.time_us
                from "landed events" as rows join "facts events" as facts using (row_id)
                where {IS_CLEAN} and rows.ref_id is not null
                    and rows.event in ({text(pair.first)}, {text(pair.then)})
                union all select null, 'purchase', order_id, time_us from sales""",
        )
        mark(
            engine,
            "events",
            ["impossible_order"],
            f"""row_id in (select later.row_id from "ordered events" as later
                join (select ref_id, min(time_us) as time_us from "ordered events"
                    where event = {text(pair.first)} group by ref_id) as earlier using (ref_id)
                where later.event = {text(pair.then)} and later.time_us < earlier.time_us)""",
        )
        engine.run('drop table "ordered events"')
    media = ", ".join(map(text, _ADVERTISED))
    placed = [
        text(name)
        for name, place in event_places(landing.project).items()
        if place.channel in _ADVERTISED
    ]
    by_place = f"rows.channel is null and rows.event in ({', '.join(placed) or 'null'})"
    mailed = f"rows.channel in ({media}) or {by_place}"
    mark(
        engine,
        "events",
        ["after_opt_out"],
        f"""row_id in (select sent.row_id from (
                select facts.row_id, facts.time_us, people.customer_no
                from "landed events" as rows join "facts events" as facts using (row_id)
                join people on people.person_key = rows.person_key
                where {IS_CLEAN} and rows.direction = 'outbound' and ({mailed})) as sent
            asof join (select people.customer_no, answers.time_us,
                    bool_and(answers.is_granted) as is_granted
                from "landed consents" as answers
                join people on people.person_key = answers.person_key
                where answers.purpose = {text(_MARKETING)} and answers.time_us is not null
                group by people.customer_no, answers.time_us) as latest
                on sent.customer_no = latest.customer_no and sent.time_us > latest.time_us
            where not latest.is_granted)""",
    )


def flag_orphans(landing: Landing) -> None:
    """Flag what refers to a thing that is not in the data at all; it is kept.

    Of a pair in `[[quality.order]]`, a `then` whose `ref_id` no `first` has. Of feedback, a
    `ref_id` that no order and no event has. What was set aside or withheld is in the data all the
    same. Where not one reference of a source is known, it speaks of things that the project does
    not read, and none of its rows is flagged.
    """
    orders = 'select order_id as ref_id from "landed orders"'
    for pair in landing.project.quality.order:
        things = f"""select ref_id from "landed events" where event = {text(pair.first)}"""
        if pair.first == PURCHASE:
            things += f" union all {orders}"
        _flag_references(landing, "events", f"event = {text(pair.then)}", things)
    _flag_references(
        landing, "feedback", "true", f'select ref_id from "landed events" union all {orders}'
    )


def _flag_references(landing: Landing, table: str, condition: str, things: str) -> None:
    """Flag the rows of `table` whose `ref_id` is not among those of the SQL `things`."""
    mark(
        landing.engine,
        table,
        ["orphan_reference"],
        f"""row_id in (
            with referring as (select row_id, source, ref_id from "landed {table}"
                    where ref_id is not null and {condition}),
                found as (select row_id, source, ref_id in ({things}) as is_known from referring)
            select row_id from found where not coalesce(is_known, false) and source in
                (select source from found where is_known))""",
    )


def merge_profiles(landing: Landing) -> None:
    """Mark all records of a customer but the latest, of the source that the project names first.

    The latest is that with the latest `updated_at`, where a mapping gives one, else the last of the
    last file. The table `profiles` ranks those that are left and those that are merged into them.
    """
    engine = landing.engine
    has_updates = "updated_at" in extra_columns(engine, "customers")
    updated = "rows.updated_at nulls first, " if has_updates else ""
    engine.materialize(
        "profiles",
        f"""select rows.row_id, people.customer_id,
            row_number() over (partition by people.customer_id
                order by files.source_no desc, {updated}rows.row_id) as rank,
            count(*) over (partition by people.customer_id) as records
            from "landed customers" as rows
            join "facts customers" as facts on facts.row_id = rows.row_id and {IS_CLEAN}
            join people on people.person_key = rows.person_key
            join files on files."table" = 'customers' and files.file_no = facts.file_no""",
    )
    mark(
        engine,
        "customers",
        ["same_person"],
        "row_id in (select row_id from profiles where rank < records)",
    )
