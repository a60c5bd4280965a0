"""How values are written for a target: one form for all spellings, hashed where it asks for that.

====================  ==============================================================================
`email`               As `sources.texts.normal_form` has it; what is no address is left out.
`phone`               E.164 with `+`; what is no number, is of an unknown country or has an
                      extension is left out.
`digits`              The same without `+`.
`lower`, `upper`      Trimmed, in small or capital letters.
`words`               Trimmed, of full stops too, in small letters.
`postal_code`         As `normal_form` has it (`123-4567`).
`zip`                 The same without hyphens and spaces; five digits of a US code with nine.
====================  ==============================================================================
"""

from __future__ import annotations

from typing import Literal

from cjkit.activation.targets import Column
from cjkit.engine import DuckDB, column, text
from cjkit.sources.mapping import Spelling
from cjkit.sources.texts import make_forms
from cjkit.spreadsheets import FORMULA, NUMBER

_SPELLED: dict[str, Literal["email", "phone", "postal_code"]] = {
    "email": "email",
    "phone": "phone",
    "digits": "phone",
    "postal_code": "postal_code",
    "zip": "postal_code",
}
"""The forms that begin with a normal form."""
_WRITTEN = {
    "phone": "case when regexp_full_match({value}, '[+][0-9]+') then {value} end",
    "digits": "case when regexp_full_match({value}, '[+][0-9]+') then substr({value}, 2) end",
    "lower": "lower(trim({value}))",
    "upper": "upper(trim({value}))",
    "words": "lower(trim({value}, ' .' || chr(9) || chr(10) || chr(13)))",
    "zip": "case when regexp_full_match({value}, '[0-9]{{5}}-[0-9]{{4}}') then left({value}, 5) "
    "else replace(lower({value}), '-', '') end",
}
_PHONE = r"[+-][0-9][0-9 ().-]*"
"""A number of a phone, which the systems must find as it is."""


def make_formed(
    engine: DuckDB, name: str, values: str, rule: Column, country_code: str | None
) -> None:
    """Make a table called `name` of each distinct `value` of the SQL `values` and its `formed`.

    `formed` is missing where the value does not have the form of `rule`, or not its pattern.
    """
    spelled = _SPELLED.get(rule.form or "")
    if spelled is None:
        same = f"select distinct value, value as form, true as is_good from ({values}) as given"
        engine.materialize(f"{name} forms", same)
    else:
        spelling = {"column": "value", "normalise": spelled}
        if spelled == "phone" and country_code is not None:
            spelling["country_code"] = country_code
        make_forms(engine, f"{name} forms", values, Spelling.model_validate(spelling))
    written = _WRITTEN.get(rule.form or "", "{value}").format(value="form")
    fits = "" if rule.pattern is None else f"and regexp_full_match(formed, {text(rule.pattern)})"
    engine.materialize(
        name,
        f"""select value, case when formed <> '' {fits} then formed end as formed
            from (select value, {written} as formed from {column(f"{name} forms")} where is_good)
            where value is not null""",
    )
    for left in ("forms", "forms given", "forms others"):
        engine.run(f"drop table if exists {column(f'{name} {left}')}")


def plain_sql(value: str, kind: str) -> str:
    """Write a value of SQL type `kind` as text that other systems read.

    Whole amounts have no decimals, claims are `true` and `false`, times ISO 8601 in UTC.
    """
    if kind in ("DOUBLE", "FLOAT"):
        return f"regexp_replace(cast({value} as varchar), '\\.0$', '')"
    if kind.startswith("TIMESTAMP"):
        return f"strftime({value}, '%Y-%m-%dT%H:%M:%SZ')"
    return f"cast({value} as varchar)"


def is_number(kind: str) -> bool:
    """Say whether values of an SQL type are numbers."""
    return kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or kind.endswith("INT")


def hashed_sql(value: str) -> str:
    """Write the SHA-256 of a text in small hexadecimal digits; of nothing there is none."""
    return f"case when {value} <> '' then sha256({value}) end"


def neutral_sql(value: str) -> str:
    """Write a text with an apostrophe before what a spreadsheet would take for a formula."""
    return f"case when {is_formula_sql(value)} then '''' || {value} else {value} end"


def is_formula_sql(value: str) -> str:
    """Write whether a spreadsheet would take a text for a formula, which is no number either."""
    is_number = f"regexp_full_match({value}, {text(f'{NUMBER}|{_PHONE}')})"
    return f"(regexp_matches({value}, {text('^' + FORMULA)}) and not {is_number})"
