"""Ids of people: made equal where they mean the same, then turned into keys.

A key is `<namespace>:<pseudonym>`. Ids are treated once for each distinct value: the engine does
what is plain ASCII, Python the rest, by the same rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from cjkit.engine import DuckDB, column, text
from cjkit.sources.mapping import Id

Pseudonym = Callable[[str], str]
"""Writes the SQL that hides an SQL expression."""

_ASCII = r"[ -~]*"


def normalise_id(value: str, rule: Id) -> str | None:
    """Return the form of an id that all its spellings share, or None where nothing is left.

    - `exact`: as it stands.
    - `text`: NFKC (full-width and half-width become one), spaces at both ends gone.
    - `email`: as text, and lower-case.
    - `phone`: as text, then its digits, with `+` in front where it was written or a leading 00
      stood. With `country_code` a leading 0 becomes that code, and a 0 just after it goes.

    Examples
    --------
    >>> normalise_id("０９０-1234-5678", Id(column="tel", normalise="phone", country_code="81"))
    '+819012345678'
    """
    if rule.normalise == "exact":
        return value or None
    value = unicodedata.normalize("NFKC", value).strip()
    if rule.normalise == "email":
        value = value.lower()
    if rule.normalise == "phone":
        digits = re.sub(r"[^0-9+]", "", value)
        value = re.sub(r"^00", "+", digits[:1] + digits[1:].replace("+", ""))
        if code := rule.country_code:
            value = re.sub(rf"^\+{code}0|^0", f"+{code}", value)
        value = "" if value == "+" else value
    return value or None


def _normalise_sql(value: str, rule: Id) -> str:
    """Write `normalise_id` for ids of printable ASCII."""
    if rule.normalise == "exact":
        return value
    value = f"trim({value})"
    if rule.normalise == "email":
        value = f"lower({value})"
    if rule.normalise == "phone":
        digits = f"regexp_replace({value}, '[^0-9+]', '', 'g')"
        single = f"left({digits}, 1) || replace(substr({digits}, 2), '+', '')"
        value = f"regexp_replace({single}, '^00', '+')"
        if code := rule.country_code:
            value = rf"regexp_replace({value}, '^\+{code}0|^0', '+{code}')"
        value = f"nullif({value}, '+')"
    return f"nullif({value}, '')"


def make_keys(
    engine: DuckDB,
    name: str,
    values: str,
    rule: Id,
    *,
    namespace: str,
    pseudonym: Pseudonym | None,
    staff: Sequence[str] = (),
) -> None:
    """Make a table called `name` of `value`, its `key` and `is_staff`, for each distinct id.

    Parameters
    ----------
    engine : DuckDB
        Where the ids are.
    name : str
        What the table is called.
    values : str
        A query that gives the ids as `value`.
    rule : Id
        How they are made equal.
    namespace : str
        What kind of id they are.
    pseudonym : callable, optional
        Writes the SQL that hides an id; without it the key holds the id itself.
    staff : sequence of str
        The domains of the e-mails of employees.
    """
    engine.materialize(
        f"{name} plain",
        f"select distinct value from ({values}) as given where value is not null",
    )
    is_ascii = f"regexp_full_match(value, {text(_ASCII)})"
    others = engine.batches(f"select value from {column(name + ' plain')} where not {is_ascii}")
    engine.write_table(f"{name} others", _normalised(others, rule))
    hidden = pseudonym("same") if pseudonym else "same"
    is_staff = " or ".join(f"ends_with(same, {text('@' + domain.lower())})" for domain in staff)
    engine.materialize(
        name,
        f"""select value, {text(namespace + ":")} || {hidden} as key,
            {is_staff or "null"} as is_staff
        from (
            select value, {_normalise_sql("value", rule)} as same
            from {column(name + " plain")} where {is_ascii}
            union all select value, same from {column(name + " others")}) as normalised
        where same is not null""",
    )


def _normalised(batches: Iterator[pd.DataFrame], rule: Id) -> Iterator[pd.DataFrame]:
    yield pd.DataFrame({"value": pd.Series([], dtype="str"), "same": pd.Series([], dtype="str")})
    for batch in batches:
        same = [normalise_id(value, rule) for value in batch["value"]]
        yield pd.DataFrame({"value": batch["value"], "same": pd.Series(same, dtype="str")})
