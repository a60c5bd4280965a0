"""Values and conditions of a mapping, written as SQL over texts.

Everything that a file holds is text; here is the one place that says how a text becomes a number,
an instant, a day or a claim. What cannot be read so is missing, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cjkit.engine import text
from cjkit.events import Kind
from cjkit.project.conditions import Claim, Condition, Constant
from cjkit.sources.mapping import (
    EPOCHS,
    UNITS,
    Text,
    Value,
    read_instant,
)

Columns = Mapping[str, str]
"""The SQL, as text, of each column that a mapping names."""

POSITION = "position"
"""What the engine calls the place of an element in its list, from 1."""
_FIRST_US = -62_135_596_800_000_000  # 0001-01-01
_LAST_US = 253_402_300_799_999_999  # 9999-12-31
_WIDE = "０１２３４５６７８９，．＋－−△▲（）￥　\u00a0"
_NARROW = "0123456789,.+----()¥  "
_PLAIN = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?"
_GROUPED = r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?"
_CURRENCY = r"[¥$€£円]|\b[A-Z]{3}\b|\s"
_ISO = (
    r"\d{4}([-/])\d{1,2}[-/]\d{1,2}"
    r"([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[-+]\d{2}(:?\d{2})?))?)?"
)
_ZONED = r":\d{2}(\.\d+)? ?(Z|UTC|[-+]\d{2}(:?\d{2})?)$"
_CLOCK = ("%H", "%I")


def without_nulls(given: str, nulls: Collection[str]) -> str:
    """Write a text without those texts that mean missing."""
    if not nulls:
        return given
    if len(nulls) == 1:
        return f"nullif({given}, {text(next(iter(nulls)))})"
    return f"case when {given} not in ({', '.join(map(text, nulls))}) then {given} end"


def base_text(value: Text, columns: Columns) -> str:
    """Write the text that a value begins with, before codes, numbers or times are read from it."""
    found = _origin(value, columns)
    for old, new in value.replace.items():
        found = f"replace({found}, {text(old)}, {text(new)})"
    if value.extract is not None:
        found = f"nullif(regexp_extract({found}, {text(value.extract)}, 1), '')"
    return without_nulls(found, value.nulls if isinstance(value, Value) else ())


def _origin(value: Text, columns: Columns) -> str:
    if isinstance(value, Value) and value.value is not None:
        return text(plain_text(value.value))
    if value.join is not None:
        parts = [columns[name] for name in value.join]
        # Missing parts leave their place empty, so that ('a', missing) and (missing, 'a') differ.
        joined = f" || {text(value.separator)} || ".join(f"coalesce({part}, '')" for part in parts)
        return f"case when coalesce({', '.join(parts)}) is not null then {joined} end"
    if value.first is not None:
        return f"coalesce({', '.join(columns[name] for name in value.first)})"
    return columns[value.columns[0]]


def plain_text(constant: Constant) -> str:
    """Return a constant of TOML as a file would hold it.

    Examples
    --------
    >>> plain_text(True), plain_text(3), plain_text("email")
    ('true', '3', 'email')
    """
    return str(constant).lower() if isinstance(constant, bool) else str(constant)


def coded(base: str, value: Value) -> str:
    """Write the text that a code stands for; an unknown one gives `else`, itself, or nothing.

    A code or a meaning that is empty means missing.
    """
    cases = [
        f"when {base} {f'= {text(code)}' if code else 'is null'} then {text(plain_text(meaning))}"
        for code, meaning in (value.codes or {}).items()
    ]
    if value.else_ is not None or value.keep:
        other = base if value.else_ is None else text(plain_text(value.else_))
        cases.append(f"when {base} is not null then {other}")
    return f"nullif(case {' '.join(cases)} end, '')"


def number(given: str) -> str:
    """Write the number that a text holds, as DOUBLE.

    Full-width digits, spaces, a currency sign or code, commas between groups of three digits,
    parentheses or △ for minus are understood. A comma is never a decimal point.
    """
    narrow = f"regexp_replace(translate({given}, {text(_WIDE)}, {text(_NARROW)}), {text(_CURRENCY)}"
    bare = f"regexp_replace({narrow}, '', 'g'), '^\\((.*)\\)$', '-\\1')"
    grouped = f"case when regexp_full_match({bare}, {text(_GROUPED)}) then replace({bare}, ',', '')"
    read = (
        f"case when regexp_full_match({given}, {text(_PLAIN)}) then try_cast({given} as double) "
        f"else try_cast({grouped} end as double) end"
    )
    return f"nullif(nullif({read}, 'inf'::double), '-inf'::double)"


def whole(given: str) -> str:
    """Write the whole number that a text holds, as BIGINT; 2.0 is 2, and 2.5 is none."""
    found = number(given)
    return (
        rf"case when regexp_full_match({given}, '[-+]?\d{{1,18}}') then cast({given} as bigint) "
        f"when {found} = trunc({found}) and abs({found}) < 9e15 then cast({found} as bigint) end"
    )


def clock(given: str) -> str:
    """Write the seconds that a text such as `1:02:03` or `02:03` counts; a number is seconds."""
    part = "nullif(regexp_extract({0}, '^(?:(\\d+):)?(\\d+):(\\d+(?:\\.\\d+)?)$', {1}), '')"
    hours, minutes, seconds = (f"cast({part.format(given, n)} as double)" for n in (1, 2, 3))
    counted = f"coalesce({hours}, 0) * 3600 + {minutes} * 60 + {seconds}"
    return f"coalesce({counted}, {number(given)})"


def claim(given: str) -> str:
    """Write the truth that a text holds: true, t, yes, y, 1 or their opposites, in any case."""
    return (
        f"case when lower(trim({given})) in ('true', 't', 'yes', 'y', '1') then true "
        f"when lower(trim({given})) in ('false', 'f', 'no', 'n', '0') then false end"
    )


def condition(given: Claim | None, columns: Columns) -> str:
    """Write whether a claim holds: true or false, never missing."""
    return " and ".join(_one_condition(part, columns) for part in given or ()) or "true"


def _one_condition(given: Condition, columns: Columns) -> str:
    if given.not_ is not None:
        return f"not {_one_condition(given.not_, columns)}"
    found, parts = columns[str(given.column)], []
    if given.is_ is not None:
        parts.append(f"{found} in ({', '.join(text(plain_text(v)) for v in given.is_)})")
    if given.is_not is not None:
        listed = ", ".join(text(plain_text(v)) for v in given.is_not)
        parts.append(f"coalesce({found} not in ({listed}), true)")
    if given.starts_with is not None:
        parts.append(f"starts_with({found}, {text(given.starts_with)})")
    if given.ends_with is not None:
        parts.append(f"ends_with({found}, {text(given.ends_with)})")
    if given.contains is not None:
        parts.append(f"contains({found}, {text(given.contains)})")
    if given.matches is not None:
        parts.append(f"regexp_matches({found}, {text(given.matches)})")
    if given.present is not None:
        parts.append(f"{found} is {'not ' if given.present else ''}null")
    if given.below is not None:
        parts.append(f"{number(found)} < {given.below!r}")
    if given.above is not None:
        parts.append(f"{number(found)} > {given.above!r}")
    return f"coalesce({' and '.join(parts)}, false)"


def typed(given: str, value: Value, kind: Kind, zone: str | None, columns: Columns) -> str:
    """Write a value of the type that its column has: a time as microseconds since 1970, UTC."""
    if value.when is not None:
        return condition(value.when, columns)
    if value.position:
        return POSITION
    if value.seconds_between:
        began, ended = (
            instant(columns[name], value, zone, columns) for name in value.seconds_between
        )
        return f"({ended} - {began}) / 1e6"
    if value.clock:
        return clock(given)
    if arithmetic := _arithmetic(value, columns):
        return _whole_of(arithmetic) if kind == "whole" else arithmetic
    if kind == "time":
        return instant(given, value, zone, columns)
    if kind == "day":
        return _day(given, value, zone)
    readers: dict[Kind, Callable[[str], str]] = {"whole": whole, "number": number, "claim": claim}
    return readers[kind](given) if kind in readers else given


def present(given: str | None, value: Value, columns: Columns) -> str:
    """Write whether there is something to read: what then gives no value is unreadable."""
    if value.when is not None or value.position:
        return "false"
    if value.seconds_between:
        return " and ".join(f"{columns[name]} is not null" for name in value.seconds_between)
    parts = value.multiply or value.add or value.subtract
    if parts:
        named = [columns[part] for part in parts if isinstance(part, str)]
        wrong = [f"({name} is not null and {number(name)} is null)" for name in named]
        return f"({' or '.join(wrong)})"
    return f"{given} is not null"


def _arithmetic(value: Value, columns: Columns) -> str | None:
    for sign, parts in (("*", value.multiply), ("+", value.add), ("-", value.subtract)):
        if parts:
            return f" {sign} ".join(
                number(columns[part]) if isinstance(part, str) else repr(float(part))
                for part in parts
            )
    return None


def _whole_of(found: str) -> str:
    return f"case when {found} = trunc({found}) then cast({found} as bigint) end"


def instant(given: str, value: Value, zone: str | None, columns: Columns) -> str:
    """Write the microseconds since 1970, UTC, that a text says, trying each way of writing.

    A time written without a zone is in `zone`. One that the clocks there skipped counts on as if
    they had not been put forward; one that came twice is the second, by standard time.
    """
    ways = [_instant(given, time, value.since, zone) for time in value.times]
    found = ways[0] if len(ways) == 1 else f"coalesce({', '.join(ways)})"
    if value.plus is not None:
        more = number(columns[value.plus.column]) if value.plus.column else repr(value.plus.value)
        found = f"{found} + {_rounded(f'{more} * {UNITS[value.plus.unit]}')}"
    found = f"case when {found} between {_FIRST_US} and {_LAST_US} then {found} end"
    if value.precision != "day":
        return found
    there = text(zone or "UTC")
    local = f"timezone({there}, cast(make_timestamp({found}) as timestamptz))"
    return f"epoch_us(timezone({there}, date_trunc('day', {local})))"


def _instant(given: str, time: str, since: str | None, zone: str | None) -> str:
    if time in EPOCHS:
        return _rounded(f"{_plain_number(given)} * {UNITS[EPOCHS[time]]}")
    if time in UNITS:
        start = read_instant(str(since), zone)
        return f"{start} + {_rounded(f'{_plain_number(given)} * {UNITS[time]}')}"
    if time == "iso":
        spelled = f"case when {_is_iso(given)} then trim({given}) end"
        joined = f"replace(replace({spelled}, ' +', '+'), ' -', '-')"
        zoned = f"epoch_us(try_cast({joined} as timestamptz))"
        wall = f"try_cast({spelled} as timestamp)"
        local = f"epoch_us(timezone({text(zone)}, {wall}))" if zone else "null"
        return f"case when {is_zoned(given)} then {zoned} else {local} end"
    parsed = f"try_strptime({given}, {text(time)})"
    if "%z" in time or "%Z" in time:
        return f"epoch_us({parsed})"
    return f"epoch_us(timezone({text(zone or 'UTC')}, {parsed}))"


def _plain_number(given: str) -> str:
    return f"case when regexp_full_match({given}, {text(_PLAIN)}) then {given}::double end"


def _rounded(found: str) -> str:
    # Within 18 digits, so that sums of two such numbers never overflow.
    return f"cast(try_cast({found} as decimal(18, 0)) as bigint)"


def _is_iso(given: str) -> str:
    return f"regexp_full_match(trim({given}), {text(_ISO)})"


def is_zoned(given: str) -> str:
    """Write whether an ISO time says its own zone."""
    return f"regexp_matches(trim({given}), {text(_ZONED)})"


def is_naive(given: str) -> str:
    """Write whether a text is an ISO time or day that says no zone."""
    return f"({_is_iso(given)} and not {is_zoned(given)})"


def _day(given: str, value: Value, zone: str | None) -> str:
    """Write the local day that a text says; a day needs no zone, unless its text has one."""
    ways = []
    for time in value.times or ("iso",):
        if time == "iso":
            wall = f"case when {_is_iso(given)} then try_cast(trim({given}) as timestamp) end"
        elif "%" in time and "%z" not in time and "%Z" not in time:
            wall = f"try_strptime({given}, {text(time)})"
        else:
            us = _instant(given, time, value.since, zone)
            wall = f"timezone({text(zone or 'UTC')}, cast(make_timestamp({us}) as timestamptz))"
        ways.append(f"cast({wall} as date)")
    return f"coalesce({', '.join(ways)})"


def precision(given: str, read: str, value: Value, zone: str | None) -> str:
    """Write how exact a time is: 'day' where only a day was written, else 'second'.

    `read` is the instant that was read, missing where there is none.
    """
    if value.precision is not None or value.plus is not None:
        return text(value.precision or "second")
    cases = []
    for time in value.times:
        is_day = "false"
        if time == "iso":
            is_day = f"length(trim({given})) <= 10"
        elif "%" in time:
            is_day = "false" if any(part in time for part in _CLOCK) else "true"
        way = read if len(value.times) == 1 else _instant(given, time, value.since, zone)
        said = f"{way} is not null"
        cases.append(f"when {said} then case when {is_day} then 'day' else 'second' end")
    return f"case {' '.join(cases)} end"
