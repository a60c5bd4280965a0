"""Consent: who must not enter a computation."""

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
        select people.customer_id, bool_or(not is_granted) as is_denied
        from (select person_key, is_granted, row_number() over (partition by person_key
                order by given_at desc nulls last, is_granted) as age
            from {consents} as records
            where purpose = {text(purpose)} and is_granted is not null) as latest
        join {people} as people using (person_key)
        where age = 1
        group by people.customer_id"""
    if missing == "allow":
        return f"select customer_id from ({answers}) as answers where is_denied"
    return f"""
        select distinct people.customer_id from {people} as people
        left join ({answers}) as answers using (customer_id)
        where coalesce(is_denied, true)"""
