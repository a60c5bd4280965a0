"""The SQL of experiences: who had a good or a bad one where, after what, and who went on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cjkit.engine import Table, text
from cjkit.events import emotion_sql
from cjkit.experience.asking import listed

BEFORE = ("conversions", "activity", "felt", "stage", "channel", "device")
"""What people are compared by: what came before their experience, as codes."""

SEEN = ("stage", "channel", "device")

_GOOD, _LOW = 0.5, -0.5
_MOST_CONVERSIONS = 4
_CLASSES = (1, 3, 6, 11, 21, 51)
_MOST_LEVELS = 7
_CODES = 16
"""More than there are codes: what was seen last is the largest of place x this + the code."""


def levels_sql(events: Table) -> str:
    """Write the SQL that counts where and with what people are seen."""
    seen = ", ".join(SEEN)
    return f"select {seen}, count(*) as n from {events} as events group by {seen}"


def find_levels(events: Table) -> dict[str, list[str]]:
    """Return the most frequent values of the columns in `SEEN`."""
    found = events.engine.query(levels_sql(events))
    return {
        name: sorted(found.groupby(name)["n"].sum().nlargest(_MOST_LEVELS).index) for name in SEEN
    }


def experiences_sql(lived: str, keys: tuple[str, ...], within_us: int, counted: str) -> str:
    """Write the SQL that counts people by touchpoint, experience and what came before it.

    Each person's first experience at a touchpoint that meets the condition `counted` counts. One
    pass forward in time holds what came before each row, and one back its next conversion. A
    conversion at the very moment of an experience comes before it, another experience does not; of
    a good and a bad one at the same moment the bad one counts.
    """
    forward = "partition by customer_id order by at_us, is_conversion desc, place"
    back = "partition by customer_id order by at_us desc, is_conversion, place desc"
    before = "rows between unbounded preceding and 1 preceding"
    person = f"{listed(keys)}customer_id, touchpoint"
    classes = " ".join(
        f"when events_before >= {least} then {number}"
        for number, least in reversed(list(enumerate(_CLASSES, 1)))
    )
    last = ", ".join(
        f"max({name}_seen) over ({forward} {before}) % {_CODES} as {name}_before" for name in SEEN
    )
    codes = ", ".join(f"coalesce({name}_before, 0) as {name}" for name in SEEN)
    return f"""
        select {listed(keys)}touchpoint, is_good, {", ".join(BEFORE)}, count(*) as people,
            sum(goes_on) as went_on
        from (
            select {person}, is_good,
                least(coalesce(conversions_before, 0), {_MOST_CONVERSIONS}) as conversions,
                case {classes} else 0 end as activity,
                case when felt_before < at_us * {_CODES} then felt_before % {_CODES} else 0 end
                    as felt, {codes},
                case when next_us - at_us <= {within_us} then 1 else 0 end as goes_on,
                row_number() over (partition by {person} order by at_us, is_good, place)
                    as experience_no
            from (
                select *, sum(is_conversion) over ({forward} {before}) as conversions_before,
                    sum(is_event) over ({forward} {before}) as events_before,
                    max(at_us * {_CODES} + is_good + 1) over ({forward} {before}) as felt_before,
                    {last},
                    min(case when is_conversion = 1 then at_us end) over ({back} {before})
                        as next_us
                from ({lived}) as lived) as timed
            where is_good is not null and touchpoint is not null and {counted}) as experiences
        where experience_no = 1
        group by {listed(keys)}touchpoint, is_good, {", ".join(BEFORE)}"""


def lived_sql(
    events: str,
    answers: str | None,
    keys: tuple[str, ...],
    conversion: str,
    outcomes: tuple[Collection[str], Collection[str]],
    levels: Mapping[str, Sequence[str]],
) -> str:
    """Write the SQL of all that those did, and answered, who had a good or a bad experience."""
    good, bad = (", ".join(map(text, values)) or "null" for values in outcomes)
    felt = f"case when outcome in ({good}) then 1 when outcome in ({bad}) then 0 end"
    seen = ", ".join(f"{_seen(name, levels[name])} as {name}_seen" for name in SEEN)
    whose = f"select customer_id from {events} as events where outcome in ({good}, {bad})"
    answered = f"select customer_id from {answers} as feedback"
    sql = f"""
        select {listed(keys)}customer_id, touchpoint, occurred_us as at_us, step_no as place,
            {felt} as is_good, case when event = {text(conversion)} then 1 else 0 end
                as is_conversion, 1 as is_event, {seen}
        from {events} as events
        where customer_id in ({whose}{f" union all {answered}" if answers else ""})"""
    if answers is None:
        return sql
    unseen = ", ".join(f"cast(null as bigint) as {name}_seen" for name in SEEN)
    return f"""{sql}
        union all
        select {listed(keys)}customer_id, touchpoint, given_us as at_us, {1 << 40} as place,
            case when metric = 'nps' and score is not null
                then case when score >= 9 then 1 when score <= 6 then 0 end
                when felt >= {_GOOD} then 1 when felt <= {_LOW} then 0 end as is_good,
            0 as is_conversion, 0 as is_event, {unseen}
        from (select *, {emotion_sql()} as felt from {answers} as feedback) as felt
        where customer_id is not null"""


def _seen(name: str, levels: Sequence[str]) -> str:
    """Write the SQL of a row's value of a column as a code, behind the row's place."""
    whens = " ".join(f"when {text(level)} then {code}" for code, level in enumerate(levels, 2))
    code = f"case {name} {whens} else 1 end" if levels else "1"
    return f"case when {name} is not null then cast(step_no as bigint) * {_CODES} + {code} end"
