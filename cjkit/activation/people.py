"""Who is in an audience: consent, an id that the target knows, no recent contact, no hold-out.

Each person who was chosen has one outcome; of several reasons the first in this order counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from cjkit.activation.addresses import find_ids
from cjkit.activation.forms import is_formula_sql, make_formed
from cjkit.activation.plan import Plan
from cjkit.checks import CjkitError, microseconds, unknown_name
from cjkit.cleansing.assigned import AUDIENCE, HOLD_OUT, assigned_sql
from cjkit.cleansing.log import Log
from cjkit.engine import Table, column, text
from cjkit.events import local_midnight_us
from cjkit.privacy import Vault, derive_key, project_key, pseudonym_sql
from cjkit.project import HoldOut, Project, Quiet

OUTCOMES = (
    "without_consent",
    "without_id",
    "unfit_id",
    "recently_contacted",
    "held_out",
    "written",
)
PEOPLE = "activation people"
"""The table of all who were chosen: `customer_id`, `person_key`, `id`, `outcome`, `is_assigned`."""

_BITS = 48


def choose_people(
    log: Log, plan: Plan, vault: Vault | None, segments: Sequence[str], rows: str | None
) -> Table:
    """Make the table `PEOPLE`, with one row and one outcome for each who was chosen.

    Parameters
    ----------
    log : Log
    plan : Plan
    vault : Vault or None
    segments : sequence of str
        Only people in one of these; all where there are none.
    rows : str or None
        SQL whose `customer_id` says who has a row at all; None where every customer has.
    """
    engine = log.engine
    only = ["true"]
    if rows is not None:
        only.append(f"customer_id in (select customer_id from {rows})")
    if segments:
        only.append(f"customer_id in ({_segments_sql(log, segments)})")
    chosen = engine.materialize(
        "activation chosen", f"select customer_id from customers where {' and '.join(only)}"
    )
    agreed = log.agreed_to(plan.purpose)
    if not agreed.count() and plan.purpose not in (known := log.consents.values("purpose")):
        raise unknown_name("purpose", plan.purpose, known, where="the consents of the log")
    who = f"select customer_id from {chosen} join {agreed} as agreed using (customer_id)"
    folder = log.prepared.folder
    find_ids(engine, "activation ids", folder, vault, str(plan.given.id), who)
    _make_fit(log, plan)
    quiet = "select null as customer_id limit 0"
    if plan.quiet is not None:
        quiet = contacted_sql(
            plan.quiet, local_midnight_us(log.as_of, log.project.project.time_zone)
        )
    before = assigned_sql(log.project.state_folder, folder)
    arm = f"coalesce(before.arm, {arm_sql(log.project, plan.hold_out, 'chosen.customer_id')})"
    return engine.materialize(
        PEOPLE,
        f"""select chosen.customer_id, fit.person_key, fit.id, {arm} as arm,
                before.arm is not null as is_assigned,
                case when agreed.customer_id is null then 'without_consent'
                    when ids.customer_id is null then 'without_id'
                    when fit.id is null then 'unfit_id'
                    when contacted.customer_id is not null then 'recently_contacted'
                    when {arm} = {text(HOLD_OUT)} then 'held_out'
                    else 'written' end as outcome
            from {chosen} as chosen
            left join {agreed} as agreed on agreed.customer_id = chosen.customer_id
            left join (select distinct customer_id from "activation ids") as ids
                on ids.customer_id = chosen.customer_id
            left join "activation fit" as fit on fit.customer_id = chosen.customer_id
            left join (select distinct customer_id from ({quiet}) as contacts) as contacted
                on contacted.customer_id = chosen.customer_id
            left join (select customer_id, arm from ({before}) as known
                where experiment = {text(plan.name)}) as before
                on before.customer_id = chosen.customer_id""",
    )


def _segments_sql(log: Log, segments: Sequence[str]) -> str:
    """Write the SQL of the customers who are in one of `segments`, as a notebook saved them."""
    if "segments" not in log.engine.tables():
        raise CjkitError(
            "The log has no table of segments yet: `python -m cjkit report "
            f"{log.project.path.name} --only 02_segmentation` makes it."
        )
    saved = log.segments
    texts = {name for name, kind in saved.columns.items() if kind == "VARCHAR"}
    views = texts - {"customer_id"}
    parts = []
    for given in segments:
        view, dot, name = given.rpartition(".")
        if not dot:
            view, name = "segment", given
        if view not in views:
            raise unknown_name("view", view, views, where="the table of segments")
        if name not in (known := saved.values(view)):
            raise unknown_name("segment", name, known, where=f"{view!r} of the table of segments")
        parts.append(f"{column(view)} = {text(name)}")
    return f"select customer_id from {saved} where {' or '.join(parts)}"


def _make_fit(log: Log, plan: Plan) -> None:
    """Make the table of ids that the target takes: `customer_id`, `person_key`, `id`.

    Of several ids of a person the newest that fits, and of several people of one id one alone.
    """
    assert plan.target.id is not None
    rule = plan.rule(plan.id_column)
    make_formed(
        log.engine, "activation formed", 'select value from "activation ids"', rule,
        plan.given.country_code,
    )  # fmt: skip
    fits = ["formed is not null"]
    if plan.target.id.pattern is not None:
        fits.append(f"regexp_full_match(formed, {text(plan.target.id.pattern)})")
    if plan.target.file.spreadsheet and not (rule.hash or rule.form in ("phone", "digits")):
        fits.append(f"not {is_formula_sql('formed')}")
    log.engine.materialize(
        "activation fit",
        f"""select * from (select customer_id, person_key, formed as id
                from "activation ids" join "activation formed" using (value)
                where {" and ".join(fits)}
                qualify row_number() over (partition by customer_id order by rank) = 1) as newest
            qualify row_number() over (partition by id order by customer_id) = 1""",
    )


def contacted_sql(quiet: Quiet, as_of_us: int) -> str:
    """Write the SQL of who was contacted lately, as seen from the end of the log."""
    since = as_of_us - microseconds(quiet.within, name="quiet.within")
    out = "direction = 'outbound'"
    if quiet.channels:
        out += f" and channel in ({', '.join(map(text, quiet.channels))})"
    named = f"event in ({', '.join(map(text, quiet.events))})"
    if quiet.events and quiet.channels:
        contact = f"({named} or {out})"
    else:
        contact = named if quiet.events else out
    return f"select customer_id from events where occurred_us >= {since} and {contact}"


def arm_sql(project: Project, hold_out: HoldOut, customer: str) -> str:
    """Write the SQL of the arm of a person who was not assigned before.

    An HMAC-SHA256 of seed and customer_id under a key of its own, as a number from 0 to 1, lies
    below the share or not. Without a key it is a plain SHA-256.
    """
    seeded = f"{text(f'{hold_out.seed}:')} || {customer}"
    key = project_key(project)
    hashed = f"sha256({seeded})"
    if key is not None:
        hashed = pseudonym_sql(seeded, derive_key(key, "activation hold-out"))
    place = f"cast('0x' || left({hashed}, {_BITS // 4}) as bigint)"
    below = int(hold_out.share * 2**_BITS)
    return f"case when {place} < {below} then {text(HOLD_OUT)} else {text(AUDIENCE)} end"
