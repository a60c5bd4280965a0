"""Consent: who must not enter a computation, and who may be written to."""

from __future__ import annotations

from cjkit.engine import text


def denied_sql(consents: str, people: str, *, purpose: str, missing: str) -> str:
    """Write the SQL that names every customer whose data `purpose` may not use.

    For each id of a person the latest record of the purpose counts; a record without a time counts
    as the oldest, and of two at one time the denial. The person has denied when any of their linked
    ids has: a grant under another id, even a later one, does not undo it.

    Parameters
    ----------
    consents : str
        A table name as SQL, or a query in parentheses: `person_key`, `purpose`, `is_granted`,
        `given_at`.
    people : str
        The same with one row for each id: `person_key`, `customer_id`.
    purpose : str
        The purpose that must be agreed to.
    missing : {'allow', 'withhold'}
        What a person without any record has agreed to.

    Returns
    -------
    str
        SQL with one column, `customer_id`.
    """
    answers = f"""
        select customer_id, is_granted from ({answers_sql(consents, people)}) as answers
        where purpose = {text(purpose)}"""
    if missing == "allow":
        return f"select customer_id from ({answers}) as answers where not is_granted"
    return f"""
        select distinct people.customer_id from {people} as people
        left join ({answers}) as answers using (customer_id)
        where not coalesce(is_granted, false)"""


def answers_sql(consents: str, people: str) -> str:
    """Write the SQL of what each customer has answered about each purpose, by the same rule.

    Parameters
    ----------
    consents, people : str
        As for `denied_sql`.

    Returns
    -------
    str
        SQL with one row for each customer and purpose that has a record: `customer_id`, `purpose`,
        `is_granted`.
    """
    return f"""
        select people.customer_id, purpose, bool_and(is_granted) as is_granted
        from (select person_key, purpose, is_granted, row_number() over (
                partition by person_key, purpose
                order by given_at desc nulls last, is_granted) as age
            from {consents} as records where is_granted is not null) as latest
        join {people} as people using (person_key)
        where age = 1
        group by people.customer_id, purpose"""
