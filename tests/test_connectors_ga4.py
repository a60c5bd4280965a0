"""GA4: its native sample, and exports written from its documentation."""

import json

import pandas as pd
import pytest
from exports import Export, lines

from cjkit.engine import DuckDB


def param(key, value):
    """Return an event parameter as BigQuery writes it: whole numbers as texts, nulls or nothing."""
    kind = "string_value" if isinstance(value, str) else "int_value"
    kind = "double_value" if isinstance(value, float) else kind
    filled = {"string_value": None, "int_value": None, "float_value": None, "double_value": None}
    return {"key": key, "value": {**filled, kind: str(value) if kind == "int_value" else value}}


def hit(us, name, user="c1", login=None, *, params=None, **more):
    """Return one event of the export (from documentation)."""
    return {
        "event_date": "20240501",
        "event_timestamp": str(us),
        "event_name": name,
        "event_bundle_sequence_id": "7",
        "user_id": login,
        "user_pseudo_id": user,
        "event_params": [param(key, value) for key, value in (params or {}).items()],
        **more,
    }


T = 1714554000000000  # 2024-05-01 09:00:00 UTC
ITEMS = [
    {
        "item_id": "s1",
        "item_category": "tea",
        "price": "500",
        "quantity": "2",
        "item_revenue": "1000",
    },
    {"item_id": "s2", "item_category": "cup", "price": "980.5", "quantity": "1"},
]
SALE = {"transaction_id": "o1", "purchase_revenue": "1980.5"}
HITS = [
    hit(T, "session_start", params={"ga_session_id": 11, "source": "google", "medium": "organic"}),
    hit(
        T,
        "page_view",
        params={"page_location": "https://s.jp/a?x=1#top", "engagement_time_msec": 1500},
    ),
    hit(
        T + 1,
        "page_view",
        params={"page_location": "https://s.jp", "page_referrer": "https://g.com/"},
    ),
    hit(T + 2, "view_item_list"),
    hit(T + 3, "view_item", items=ITEMS[:1], params={"value": 500.0, "currency": "JPY"}),
    hit(T + 4, "view_search_results", params={"search_term": "茶"}),
    hit(T + 5, "add_to_cart", items=ITEMS),
    hit(T + 6, "begin_checkout", login="u1"),
    hit(T + 7, "purchase", login="u1", items=ITEMS, ecommerce=SALE, params={"currency": "JPY"}),
    hit(
        T + 8,
        "purchase",
        login="u2",
        ecommerce={"transaction_id": "(not set)"},
        params={"value": 70},
    ),
    hit(T + 9, "refund", login="u1", ecommerce={"transaction_id": "o1", "refund_value": "500"}),
    hit(T + 10, "login", login="u1"),
    hit(T + 11, "sign_up", user=None, login="u3"),
    hit(T + 12, "page_view", user=None),
    hit(T + 13, "page_view", privacy_info={"analytics_storage": "No"}),
    hit(T + 14, "page_view", privacy_info={"analytics_storage": "Yes"}),
    hit(
        T + 15,
        "campaign_details",
        collected_traffic_source={"manual_medium": "cpc", "manual_campaign_name": "may"},
    ),
    hit(
        T + 16,
        "click",
        session_traffic_source_last_click={
            "manual_campaign": {"medium": "email", "campaign_name": "mail1"}
        },
    ),
    hit(
        T + 17,
        "scroll",
        session_traffic_source_last_click={
            "cross_channel_campaign": {"medium": "display", "campaign_name": "(organic)"}
        },
    ),
    hit(T + 18, "first_visit", params={"medium": "(none)", "campaign": "(direct)"}),
    hit(T + 19, "user_engagement", params={"medium": "<Other>"}),
    hit(T + 20, "form_submit", geo={"country": "Japan"}, platform="IOS"),
    hit(T + 20, "generate_lead", batch_event_index="2", batch_ordering_id="1"),
    hit(T + 20, "generate_lead", batch_event_index="3", batch_ordering_id="1"),
    hit(T + 21, "add_to_wishlist", device={"category": "mobile"}),
    hit(T + 22, "quiz_done", params={"session_engaged": "1"}),
    hit(T + 23, "quiz_done", params={"session_engaged": 1}),
    hit(T + 24, "page_view", traffic_source={"medium": "cpc"}),
    hit(T + 25, "page_view", items=[], ecommerce=None, event_params=[]),
    {"event_timestamp": str(T + 26), "event_name": "page_view", "user_pseudo_id": "c9"},
]
EVENTS = """
    0|session_start|cookie:c1|organic_search|||
    0|page_view|cookie:c1|||/a|1.5
    1|page_view|cookie:c1||||
    2|view_list|cookie:c1||||
    3|view_product|cookie:c1||||
    4|search|cookie:c1||||
    5|add_to_cart|cookie:c1||||
    6|begin_checkout|login:u1||||
    7|purchase|login:u1||||
    8|purchase|login:u2||||
    9|return|login:u1||||
    10|login|login:u1||||
    11|sign_up|login:u3||||
    14|page_view|cookie:c1||||
    15|campaign_details|cookie:c1|paid_search|may||
    16|click|cookie:c1|email|mail1||
    17|scroll|cookie:c1|display|||
    18|first_visit|cookie:c1|direct|||
    19|user_engagement|cookie:c1|other|||
    20|submit_form|cookie:c1||||
    20|generate_lead|cookie:c1||||
    20|generate_lead|cookie:c1||||
    21|add_to_favourites|cookie:c1||||
    22|quiz_done|cookie:c1||||
    23|quiz_done|cookie:c1||||
    24|page_view|cookie:c1||||
    25|page_view|cookie:c1||||
    26|page_view|cookie:c9||||
"""


def ndjson():
    return ("events_20240501.json", "\n".join(map(json.dumps, HITS)))


def parquet(folder):
    """Write the same events with the types of the export."""
    (folder / "a.json").write_text(ndjson()[1])
    value = "string_value VARCHAR, int_value BIGINT, float_value DOUBLE, double_value DOUBLE"
    campaign = "STRUCT(medium VARCHAR, campaign_name VARCHAR)"
    types = {
        "event_timestamp": "BIGINT",
        "event_name": "VARCHAR",
        "event_bundle_sequence_id": "BIGINT",
        "batch_ordering_id": "BIGINT",
        "batch_event_index": "BIGINT",
        "user_id": "VARCHAR",
        "user_pseudo_id": "VARCHAR",
        "event_params": f'STRUCT("key" VARCHAR, "value" STRUCT({value}))[]',
        "items": "STRUCT(item_id VARCHAR, item_category VARCHAR, price DOUBLE, quantity BIGINT, "
        "item_revenue DOUBLE)[]",
        "ecommerce": "STRUCT(transaction_id VARCHAR, purchase_revenue DOUBLE, refund_value DOUBLE)",
        "privacy_info": "STRUCT(analytics_storage VARCHAR)",
        "collected_traffic_source": "STRUCT(manual_medium VARCHAR, manual_campaign_name VARCHAR)",
        "session_traffic_source_last_click": f"STRUCT(manual_campaign {campaign}, "
        f"cross_channel_campaign {campaign})",
        "device": "STRUCT(category VARCHAR)",
        "geo": "STRUCT(country VARCHAR)",
        "platform": "VARCHAR",
    }
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in types.items())
    read = (
        f"read_json('{folder / 'a.json'}', format = 'newline_delimited', columns = {{{columns}}})"
    )
    DuckDB(threads=1).run(f"copy (from {read}) to '{folder / 'a.parquet'}' (format parquet)")
    return ("events_20240501.parquet", (folder / "a.parquet").read_bytes())


@pytest.fixture(params=["ndjson", "parquet"])
def given(request, tmp_path):
    """The events in one kind of file."""
    return ndjson() if request.param == "ndjson" else parquet(tmp_path)


def test_the_native_sample(tmp_path):
    found = Export(tmp_path, "ga4/events", "ga4/events_raw_velir.ndjson")
    columns = ["occurred_at", "event", "person_key", "channel", "page", "device", "x_country"]
    assert found.show("events", *columns) == [
        "2022-05-27 19:30:18.347831|session_start|cookie:745846450.1644156613||"
        "/ideas/2021/09/22/connecting-sitecore-identity-to-saml-part-1|mobile|India"
    ]
    columns = ["x_ga_session", "x_ga_session_number", "x_referrer", "x_platform", "event_id"]
    assert found.show("events", *columns, "campaign", "unreadable", "unknown_codes") == [
        "1653679817|6|https://www.google.com/|WEB|1653679818347831:session_start:1445270839:::|||"
    ]
    assert (found.ledger.read, found.ledger.mapped) == (1, 1)


def test_events_from_documentation(tmp_path, given):
    found = Export(tmp_path / "p", "ga4/events", given)
    frame = found.frame("events")
    frame["after"] = (frame["occurred_at"] - pd.Timestamp(T, unit="us")) // pd.Timedelta("1us")
    columns = ["after", "event", "person_key", "channel", "campaign", "page", "duration_seconds"]
    assert [
        "|".join("" if pd.isna(v) else f"{v:g}" if isinstance(v, float) else str(v) for v in row)
        for row in frame[columns].itertuples(index=False)
    ] == lines(EVENTS)
    assert found.ledger.filtered == {"consent_denied": 1, "without_id": 1}
    sold = frame[frame["revenue"].notna()]
    columns = ["event", "ref_id", "revenue", "currency", "product_id"]
    assert sold[columns].astype(object).where(sold[columns].notna(), "").to_numpy().tolist() == [
        ["view_product", "", 500.0, "JPY", "s1"],
        ["purchase", "o1", 1980.5, "JPY", "s1"],
        ["purchase", "", 70.0, "", ""],
    ]
    assert frame.loc[frame["event"] == "search", "x_search"].tolist() == ["茶"]
    assert frame.loc[frame["event"] == "add_to_favourites", "device"].tolist() == ["mobile"]
    assert frame["unique_key"].dropna().is_unique
    assert ("login:u1", "cookie:c1") in found.edges()


def test_sales_from_documentation(tmp_path, given):
    found = Export(tmp_path / "p", "ga4/orders", given)
    columns = ["order_id", "line_no", "revenue", "quantity", "product_id", "category", "is_return"]
    assert found.show("orders", *columns, "person_key") == lines("""
        o1|1|1000|2|s1|tea||login:u1
        o1|2|980.5|1|s2|cup||login:u1
        ||70|||||login:u2
        o1||-500||||True|login:u1
    """)
    assert found.ledger.filtered == {"consent_denied": 1, "not_a_sale": 26}
