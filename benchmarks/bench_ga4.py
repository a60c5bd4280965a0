"""Land GA4 events (NDJSON), and compare with hand-written SQL that flattens the same file.

    python benchmarks/bench_ga4.py [--rows 1000000]

The events are written as the BigQuery export has them (2.2 kB each: ten parameters, items, device,
place, traffic sources). By hand they become the same rows, value by value, as is made sure of, in
the same order and kind of file, without what landing adds: the file's digest, numbers and hashes of
records, keyed ids and their links, what cannot be read, and ledgers. Both ways take turns three
times, each in a process of its own; the middle of the CPU seconds counts, and the memory of that
run. `speed` is that of landing by the CPU, where hand-written SQL has 1.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path

from measuring import PROJECT, asked, fresh, ratios, say, timed

from cjkit.engine import DuckDB, text
from cjkit.privacy import pseudonym_sql
from cjkit.project import read_project
from cjkit.sources import land

SOURCE = """
[sources.web]
files = ["events.ndjson"]
mapping = "ga4/events"
duplicates = "latest"
"""
TURNS = 3
NAMES = ("page_view", "session_start", "view_item", "scroll", "add_to_cart", "user_engagement")
VALUE = "string_value: {}, int_value: {}, float_value: null::double, double_value: {}"


def _param(key: str, kind: str, value: str) -> str:
    """Write one parameter as the export has it: its value in one of four places."""
    given = {"string": "null::varchar", "int": "null::varchar", "double": "null::double"}
    given[kind] = value
    places = VALUE.format(given["string"], given["int"], given["double"])
    return f"{{key: '{key}', value: {{{places}}}}}"


def _one_of(*values: str) -> str:
    """Write which of four texts the visits of a person have."""
    return f"{list(values)}[cast(1 + hash(i // 12, 8) % 4 as bigint)]"


PARAMS = ", ".join(
    _param(*each)
    for each in (  # name, kind, value
        ("ga_session_id", "int", "cast(1700000000 + i // 12 as varchar)"),
        ("ga_session_number", "int", "cast(1 + hash(i // 12, 6) % 9 as varchar)"),
        ("session_engaged", "string", "'1'"),
        ("page_location", "string", "'https://shop.example.jp/product/' || hash(i, 3) % 1000"),
        ("page_title", "string", "'商品 ' || hash(i, 3) % 1000 || ' | Example Shop'"),
        ("page_referrer", "string", "if(i % 3 = 0, 'https://www.google.com/', '')"),
        ("engagement_time_msec", "int", "cast(hash(i, 7) % 60000 as varchar)"),
        ("medium", "string", _one_of("organic", "cpc", "(none)", "email")),
        ("source", "string", _one_of("google", "yahoo", "(direct)", "news")),
        ("campaign", "string", _one_of("(organic)", "spring", "(direct)", "news")),
    )
)
EVENTS = f"""
select '20240501' as event_date, cast(1714489200000000 + i * 86400 as varchar) as event_timestamp,
    {list(NAMES)}[cast(1 + hash(i) % {len(NAMES)} as bigint)] as event_name,
    [{PARAMS}] as event_params,
    cast(1445270839 + i // 3 as varchar) as event_bundle_sequence_id,
    case when hash(i // 12, 1) % 5 = 0 then 'U' || hash(i // 12, 2) % 40000 end as user_id,
    (745846450 + i // 12) || '.1644156613' as user_pseudo_id,
    {{analytics_storage: 'Yes', ads_storage: null::varchar, uses_transient_token: 'No'}}
        as privacy_info,
    {{category: ['mobile', 'desktop'][cast(1 + hash(i // 12, 4) % 2 as bigint)],
        mobile_brand_name: 'Samsung', mobile_model_name: 'SM-M426B', operating_system: 'Android',
        operating_system_version: 'Android 12', language: 'ja-jp', is_limited_ad_tracking: 'No',
        web_info: {{browser: 'Chrome', browser_version: '101.0.4951.61',
            hostname: 'shop.example.jp'}}}} as device,
    {{continent: 'Asia', country: 'Japan', region: 'Tokyo', city: 'Shibuya City',
        sub_continent: 'Eastern Asia', metro: '(not set)'}} as geo,
    {{name: '(organic)', medium: 'organic', source: 'google'}} as traffic_source,
    {{manual_campaign_name: null::varchar, manual_medium: 'organic', manual_source: 'google'}}
        as collected_traffic_source,
    '1966637064' as stream_id, 'WEB' as platform, cast(i % 5 as varchar) as batch_event_index,
    case when i % 50 = 0 then {{transaction_id: 'T' || i, purchase_revenue: hash(i, 5) % 10000}} end
        as ecommerce,
    case when i % 4 = 0 then [{{item_id: 'SKU' || hash(i, 3) % 1000, item_name: 'Item',
        price: 1200.0, quantity: 1}}] else [] end as items
from range({{rows}}) as numbers(i)"""

SHAPE = """{event_timestamp: 'varchar', event_name: 'varchar', event_params: 'struct(key varchar,
    value struct(string_value varchar, int_value varchar, float_value varchar,
        double_value varchar))[]', event_bundle_sequence_id: 'varchar', user_id: 'varchar',
    user_pseudo_id: 'varchar', privacy_info: 'struct(analytics_storage varchar)',
    device: 'struct(category varchar)', geo: 'struct(country varchar)',
    collected_traffic_source: 'struct(manual_campaign_name varchar, manual_medium varchar)',
    platform: 'varchar', batch_page_id: 'varchar', batch_ordering_id: 'varchar',
    batch_event_index: 'varchar', ecommerce: 'struct(transaction_id varchar,
        purchase_revenue double)', items: 'struct(item_id varchar)[]',
    session_traffic_source_last_click: 'struct(cross_channel_campaign struct(campaign_name varchar,
        medium varchar), manual_campaign struct(campaign_name varchar, medium varchar))'}"""


def _known(value: str) -> str:
    """Write a value without those that mean missing."""
    return f"case when {value} not in ('', '(not set)', '(data deleted)', '[]') then {value} end"


def _taken(key: str, *kinds: str) -> str:
    """Write the value of one parameter, as people write it who know of which kinds it is."""
    found = f"list_filter(event_params, lambda pair: pair.key = '{key}')[1].value"
    parts = [f"{found}.{kind}_value" for kind in kinds or ("string",)]
    return _known(parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})")


def _first(kind: str, parameter: str) -> str:
    """Write what a session came by: as collected, as a parameter, else by its last click."""
    last = "session_traffic_source_last_click"
    campaign = kind if kind == "medium" else "campaign_name"
    inner = (f"{last}.{source}_campaign.{campaign}" for source in ("cross_channel", "manual"))
    collected = f"collected_traffic_source.manual_{campaign}"
    return f"coalesce({_known(collected)}, {_taken(parameter)}, {', '.join(map(_known, inner))})"


BY_HAND = f"""
select event_timestamp || ':' || event_name || ':' || event_bundle_sequence_id || ':'
        || coalesce(batch_page_id, '') || ':' || coalesce(batch_ordering_id, '') || ':'
        || coalesce(batch_event_index, '') as event_id,
    make_timestamp(cast(event_timestamp as bigint)) as occurred_at, 'second' as time_precision,
    case event_name when 'view_item' then 'view_product' when 'view_item_list' then 'view_list'
        when 'view_search_results' then 'search' when 'add_to_wishlist' then 'add_to_favourites'
        when 'form_submit' then 'submit_form' when 'refund' then 'return' else event_name end
        as event,
    try_cast(batch_event_index as bigint) as event_order, user_id, user_pseudo_id,
    coalesce({_known("ecommerce.transaction_id")}, {_taken("transaction_id")}) as ref_id,
    coalesce(ecommerce.purchase_revenue, try_cast({_taken("value", "double", "int")} as double))
        as revenue,
    {_taken("currency")} as currency, {_known("items[1].item_id")} as product_id,
    nullif(regexp_extract({_taken("page_location")}, '^(?:https?://[^/?#]+)?(/[^?#]*)', 1), '')
        as page,
    try_cast({_taken("engagement_time_msec", "int")} as double) * 0.001 as duration_seconds,
    {_known("device.category")} as device, {_known("platform")} as x_platform,
    {_known("geo.country")} as x_country, {_taken("ga_session_id", "int")} as x_ga_session,
    try_cast({_taken("ga_session_number", "int")} as double) as x_ga_session_number,
    {_taken("page_referrer")} as x_referrer, {_taken("search_term")} as x_search,
    case when campaign not in ('(direct)', '(organic)', '(referral)') then campaign end as campaign,
    case channel when '(none)' then 'direct' when 'organic' then 'organic_search'
        when 'cpc' then 'paid_search' when 'ppc' then 'paid_search'
        when 'paidsearch' then 'paid_search' when 'cpm' then 'display'
        when '<Other>' then 'other' else channel end as channel,
    'web' as source, 'events.ndjson' as file
from (select *, {_first("campaign", "campaign")} as campaign,
        {_first("medium", "medium")} as channel
    from read_json({{file}}, format = 'newline_delimited', columns = {SHAPE})) as events
where coalesce(user_id, user_pseudo_id) is not null
    and privacy_info.analytics_storage is distinct from 'No'"""


def write_events(rows: int, folder: Path) -> None:
    """Write the file and the project that reads it."""
    DuckDB(threads=2).copy(
        EVENTS.replace("{rows}", str(rows)), folder / "events.ndjson", form="json"
    )
    (folder / "journey.toml").write_text(PROJECT + SOURCE, encoding="utf-8")


def by_hand(folder: Path) -> dict[str, float]:
    """Flatten the file by hand-written SQL into Parquet; return seconds and memory."""
    sql = BY_HAND.replace("{file}", text(str(folder / "events.ndjson")))
    engine = DuckDB(threads=2)
    return timed(lambda: engine.copy(sql, folder / "by_hand.parquet"))[1]


def by_mapping(folder: Path) -> dict[str, float]:
    """Land the file from scratch; return seconds and memory."""
    project, engine = read_project(folder / "journey.toml"), DuckDB(threads=2)
    shutil.rmtree(project.state_folder, ignore_errors=True)
    hide = partial(pseudonym_sql, key=b"k" * 32)
    landed, taken = timed(lambda: land(project, engine, pseudonym=hide))
    assert landed.made == 1
    return taken


def compare(folder: Path) -> None:
    """Make sure that both ways gave the same rows."""
    engine = DuckDB(threads=2)
    (landed,) = folder.glob(".cjkit/*/landed/*/events.parquet")
    hand = folder / "by_hand.parquet"
    names = [name for name in engine.describe(f"from {text(str(hand))}") if "user" not in name]
    one, other = (f"select {', '.join(names)} from {text(str(path))}" for path in (hand, landed))
    for first, then in ((one, other), (other, one)):
        assert engine.query(f"{first} except all {then} limit 1").empty


def main() -> None:
    """Write, measure in turns, print."""
    rows = asked(__doc__, "rows", 1_000_000)
    with tempfile.TemporaryDirectory() as name:
        fresh(write_events, rows, Path(name))
        runs = [(fresh(by_hand, Path(name)), fresh(by_mapping, Path(name))) for _ in range(TURNS)]
        fresh(compare, Path(name))
    hand, landed = (
        sorted(way, key=lambda run: run["cpu_seconds"])[TURNS // 2]
        for way in zip(*runs, strict=True)
    )
    speed = round(hand["cpu_seconds"] / landed["cpu_seconds"], 2)
    ratio = ratios(landed, hand)
    say("ga4", rows=rows, by_hand=hand, landed=landed, ratio=ratio, speed=speed)


if __name__ == "__main__":
    main()
