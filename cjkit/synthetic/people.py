"""The people of the sample company: who they truly are, and the ids that systems know them by."""

from __future__ import annotations

import tomllib
from datetime import date
from importlib import resources
from typing import Any

import pandas as pd

from cjkit.engine import DuckDB
from cjkit.synthetic import stories
from cjkit.synthetic.dice import Dice, opaque
from cjkit.synthetic.stories import DAY_US, DAYS, END_US, START_US

COMPANY_STARTED = date(2015, 4, 1)
STAFF_DOMAIN = "hoshizora.example.jp"
OFFICE_PHONE = "05000000000"
"""The head office's number, which clerks enter where a customer gives none."""

_STAFF_SHARE, _TEST_SHARE = 0.005, 0.0015
_EXISTING_SHARE = 0.45
_PEOPLE_A_BOT = 700
_OPT_OUT_SHARE = 0.075
_DEVICES = {"iphone": 0.42, "android": 0.29, "desktop": 0.24, "tablet": 0.05}


def load_words(engine: DuckDB) -> None:
    """Put names, places, products and calendars into the engine, numbered from 0."""
    names, company = read_words("names"), read_words("company")
    person_name = ["kanji", "kana", "roman"]
    _add(engine, "family", names["family"], person_name)
    _add(engine, "given", names["given"], person_name)
    places = [row for row in names["prefectures"] for _ in range(row[1])]
    _add(engine, "prefectures", places, ["prefecture", "weight", "store_code"])
    for key, single in [("cities", "city"), ("towns", "town"), ("buildings", "building")]:
        _add(engine, key, [[value] for value in names[key]], [single])
    _add(engine, "stores", company["stores"], ["store_code", "store_name"])
    _add(engine, "search_terms", [[term] for term in company["search_terms"]], ["search_term"])
    product = ["product_id", "name_ja", "name_en", "name_receipt", "category", "price", "weight"]
    _add(engine, "products", company["products"], product)
    # One row for each unit of weight: a place drawn evenly is a product drawn by weight.
    engine.materialize(
        "shelf",
        """select *, row_number() over (partition by shelf order by product_id, copy) - 1 as n
        from (select * exclude (n), unnest(range(weight)) as copy, unnest([category, 'all'])
                as shelf from products) as copies""",
    )
    engine.materialize(
        "shelf_sizes",
        "select shelf as category, count(*) as size from shelf group by shelf",
    )
    days = pd.DataFrame({"day": pd.date_range(stories.FIRST_DAY, periods=DAYS)})
    weights = [
        stories.MONTH_WEIGHTS[day.month - 1] * stories.WEEKDAY_WEIGHTS[day.weekday()]
        for day in days["day"]
    ]
    days["season"] = weights
    quarters = days["day"].dt.year.astype(str) + "q" + days["day"].dt.quarter.astype(str)
    days = days.assign(day_no=range(DAYS), quarter=quarters)
    engine.add("calendar", days.assign(ends_quarter=quarters != quarters.shift(-1).ffill()))
    segments = [{"segment": name, **vars(kind)} for name, kind in stories.SEGMENTS.items()]
    engine.add("segments", pd.DataFrame(segments))


def read_words(name: str) -> dict[str, Any]:
    """Return one of the word lists."""
    path = resources.files("cjkit.synthetic") / "words" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def make_people(engine: DuckDB, dice: Dice, first: int, end: int, most: int) -> None:
    """Make table `people`: one row for each true person numbered from `first` to before `end`.

    `first_us` is when the company's systems first see the person in the period; `joined_us` when
    the person registered, years before for those who were customers already. `most` is the number
    of all people, below which every person has numbers of their own.
    """
    d, p = dice, "person_no"
    shares = {name: kind.share for name, kind in stories.SEGMENTS.items()}
    words = ("family", "cities", "towns", "buildings", "prefectures", "given")
    places = ", ".join(
        f"{d.whole(name, 0, engine.table(name).count() - 1, p)} as {name}_n" for name in words
    )
    engine.materialize(
        "drawn_people",
        f"""select person_no, {places},
            {d.pick("segment", shares, p)} as segment,
            {d.pick("home", {"web": 0.45, "omni": 0.35, "store": 0.20}, p)} as home,
            case when {d.uniform("role", p)} < {_STAFF_SHARE} then 'staff'
                when {d.uniform("role", p)} < {_STAFF_SHARE + _TEST_SHARE} then 'test'
                else 'customer' end as role,
            {d.chance("existing", _EXISTING_SHARE, p)} as is_existing,
            {d.pick("device", _DEVICES, p)} as device,
            {d.pick("language", {"ja": 0.93, "en": 0.07}, p)} as language,
            {d.chance("banner denied", 0.04, p)} as is_banner_denied,
            {d.whole("birth year", 1945, 2006, p)} as birth_year,
            {START_US} + {d.whole("first day", 0, DAYS - 5, p)} * {DAY_US}
                + {d.time_of_day("first hour", stories.STORE_HOURS, p)} as arrived_us,
            -ln((1 - {d.uniform("pace 1", p)}) * (1 - {d.uniform("pace 2", p)})) / 2 as pace
        from range({first}, {end}) as numbers(person_no)""",
    )
    engine.materialize(
        "known_people",
        f"""select drawn_people.*, needs_a_month * pace as own_needs_a_month,
            case when is_existing then {START_US} else arrived_us end as first_us,
            role <> 'customer' or {d.chance("member", "member_rate", p)} as is_member,
            is_member and (home <> 'store' or {d.chance("login", 0.4, p)}) as has_login,
            is_member and (home <> 'web' or not has_login or {d.chance("card", 0.15, p)})
                as has_card,
            is_member and {d.chance("opted in", 0.68, p)} as is_opted_in
        from drawn_people join segments using (segment)""",
    )
    founded = stories.start_us(COMPANY_STARTED)
    domains = {"example.com": 0.6, "example.net": 0.25, "example.jp": 0.15}
    favourites = dict.fromkeys(sorted(engine.table("products").values("category")), 1.0)
    engine.materialize(
        "people",
        f"""select person_no, segment, home, role, is_existing, is_member, has_login, has_card,
            is_opted_in, is_banner_denied, device, language, birth_year, prefecture, store_code,
            first_us, own_needs_a_month as needs_a_month,
            {d.pick("favourite", favourites, p)} as favourite,
            case when is_existing then {START_US} - 1000000 - cast(
                    pow({d.uniform("joined", p)}, 2) * {START_US - founded - DAY_US} as bigint)
                else first_us end as joined_us,
            case when not has_login then '店舗'
                when {d.uniform("route", p)} < 0.08 then '紹介'
                when {d.uniform("route", p)} < 0.30 then 'アプリ' else 'WEB' end as joined_by,
            case when has_login then {_number("U", 8, d.permuted("login", p, most))} end
                as login_id,
            case when has_card then {_number("29", 11, d.permuted("card", p, most))} end
                as loyalty_no,
            case when is_member then {_number("C", 8, d.permuted("crm", p, 2 * most))} end
                as crm_no,
            case when is_opted_in and {d.chance("opts out", _OPT_OUT_SHARE, p)}
                then first_us + cast({d.uniform("opt-out", p)} * ({END_US} - first_us) as bigint)
                end as opted_out_us,
            {phone(d, p)} as phone,
            case role when 'test' then 'test' else family.roman || '.' || given.roman || '.'
                end || {d.permuted("email", p, most)} || '@' || case role
                when 'staff' then '{STAFF_DOMAIN}' when 'test' then 'example.jp'
                else {d.pick("domain", domains, p)} end as email,
            case role when 'test' then 'テスト 太郎'
                else family.kanji || ' ' || given.kanji end as full_name,
            case role when 'test' then 'テスト タロウ'
                else family.kana || ' ' || given.kana end as full_kana,
            city || town || {d.whole("block", 1, 9, p)} || '-'
                || {d.whole("house", 1, 30, p)} || '-' || {d.whole("door", 1, 20, p)}
                || case when building = '' then '' else ' ' || building
                    || {d.whole("room", 101, 909, p)} || '号室' end as address,
            {_number("000-", 4, d.whole("postcode", 0, 9999, p))} as postcode
        from known_people
        join family on family.n = family_n
        join given on given.n = given_n
        join prefectures on prefectures.n = prefectures_n
        join cities on cities.n = cities_n
        join towns on towns.n = towns_n
        join buildings on buildings.n = buildings_n""",
    )
    engine.materialize(
        "bots", f"select person_no as bot_no from people where person_no % {_PEOPLE_A_BOT} = 0"
    )


def phone(dice: Dice, number: str) -> str:
    """Write the SQL of a mobile number in a range that no Japanese carrier has been given."""
    drawn = dice.permuted("phone", number, 19_999_998)
    return (
        f"'0' || (7 + {drawn} // 10000000) || '00' || lpad(({drawn} % 10000000)::varchar, 7, '0')"
    )


def cookie(dice: Dice, person: str, device: str, at_us: str) -> str:
    """Write the SQL of the cookie that a browser holds: phones forget theirs after some months.

    Some families share one tablet, and with it one cookie.
    """
    shared = f"{device} = 'tablet' and {dice.chance('shared tablet', 0.3, f'{person} // 2')}"
    owner = f"case when {shared} then {person} - {person} % 2 else {person} end"
    forgets = f"case when {device} in ('iphone', 'android') then 240 else 1000 end"
    age = f"({at_us} - {START_US}) // {DAY_US} + {dice.whole('cookie age', 0, 239, person)}"
    key = f"hash(hash({dice.code('cookie')}, {owner}, {device}, ({age}) // {forgets}))"
    return opaque("c", key)


def _number(prefix: str, digits: int, drawn: str) -> str:
    return f"'{prefix}' || lpad({drawn}::varchar, {digits}, '0')"


def _add(engine: DuckDB, name: str, rows: list[list[Any]], columns: list[str]) -> None:
    frame = pd.DataFrame(rows, columns=columns)
    engine.add(name, frame.assign(n=range(len(frame))))
