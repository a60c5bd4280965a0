# ruff: noqa: E501  (exports stand as they are written)
"""HubSpot, Marketo and Shopify: native samples where there are any, and their documentation."""

import json

import pytest
from exports import Export, lines, native

from cjkit.checks import CjkitError

CONTACTS = """\
Record ID,First Name,Last Name,Email,Phone Number,Lifecycle Stage,Lead Status,Original Source,Create Date,Last Modified Date,Unsubscribed from all email,Merged record IDs
51,花子,山田,Hanako@Example.jp,090-1234-5678,Lead,New,Organic search,2024-05-01 09:30,2024-05-03 10:00,No,
52,Jiro,Sato,jiro@example.jp,,Marketing Qualified Lead,,Paid social,2024-05-01 10:30,2024-05-03 10:00,Yes,76340251:1661707291575;46897301:1661707931852
53,,,,,Customer,,Offline sources,2024-05-02 00:00,,,
"""
IN_JAPANESE = """\
レコードID,姓,名,Eメール,ライフサイクルステージ,オリジナルソース,作成日
51,山田,花子,hanako@example.jp,リード,DIRECT_TRAFFIC,2024-05-01 09:30
"""
PAGE = {
    "results": [
        {
            "id": "51",
            "properties": {
                "email": "hanako@example.jp",
                "lifecyclestage": "marketingqualifiedlead",
                "createdate": "2024-05-01T00:30:00.000Z",
                "hs_analytics_source": "EMAIL_MARKETING",
                "hs_email_optout": "true",
                "hs_calculated_merged_vids": "7:1661707291575",
            },
            "updatedAt": "2024-05-02T00:00:00.000Z",
            "archived": False,
        },
        {"id": "52", "properties": {"email": None}, "archived": True},
    ],
    "paging": {"next": {"after": "52"}},
}


def test_hubspot_contacts_from_documentation(tmp_path):
    columns = ["person_key", "signed_up_at", "acquired_channel", "lifecycle_stage"]
    found = Export(tmp_path / "en", "hubspot/contacts", ("c.csv", CONTACTS))
    assert found.show("customers", *columns, "merged_at") == lines(
        """
        hubspot:51|2024-05-01 00:30:00|organic_search|Lead|
        hubspot:52|2024-05-01 01:30:00|paid_social|MarketingQualifiedLead|
        hubspot:52||||2022-08-28 17:21:31.575000
        hubspot:52||||2022-08-28 17:32:11.852000
        hubspot:53|2024-05-01 15:00:00|Offline sources|Customer|
    """.replace("Offline sources|", "offline|")
    )
    assert found.edges() == [
        ("hubspot:51", "email:hanako@example.jp"),
        ("hubspot:52", "email:jiro@example.jp"),
        ("hubspot:52", "hubspot:46897301"),
        ("hubspot:52", "hubspot:76340251"),
    ]
    assert found.show("consents", "person_key", "is_granted") == [
        "hubspot:51|True",
        "hubspot:52|False",
    ]
    japanese = Export(tmp_path / "ja", "hubspot/contacts", ("c.csv", IN_JAPANESE))
    assert japanese.show("customers", *columns) == ["hubspot:51|2024-05-01 00:30:00|direct|リード"]
    page = Export(tmp_path / "api", "hubspot/contacts", ("c.json", json.dumps(PAGE)))
    assert page.show("customers", *columns)[0] == (
        "hubspot:51|2024-05-01 00:30:00|email|marketingqualifiedlead"
    )
    assert page.show("consents", "is_granted", "given_at") == ["False|2024-05-02 00:00:00"]
    assert page.ledger.filtered == {"archived": 1}


DEALS = """\
Record ID,Deal Name,Deal Stage,Pipeline,Amount,Close Date,Create Date,Deal owner,Associated Contact IDs
9,A,Closed Won,Sales,"¥120,000",2024-05-09 18:00,2024-05-01 09:00,Ito,51;52
10,B,Closed lost,Sales,5000,2024-05-10 18:00,2024-05-02 09:00,Ito,53
11,C,Appointment scheduled,Sales,,,2024-05-03 09:00,,
"""
DEAL_PAGE = {
    "results": [
        {
            "id": "9",
            "properties": {
                "dealstage": "closedwon",
                "amount": "120000",
                "closedate": "2024-05-09T09:00:00Z",
                "createdate": "2024-05-01T00:00:00Z",
            },
            "associations": {
                "contacts": {
                    "results": [
                        {"id": "51", "type": "deal_to_contact"},
                        {"id": "52", "type": "deal_to_contact"},
                    ]
                }
            },
        }
    ]
}


@pytest.mark.parametrize("given", [("d.csv", DEALS), ("d.json", json.dumps(DEAL_PAGE))])
def test_hubspot_deals_from_documentation(tmp_path, given):
    found = Export(tmp_path, "hubspot/deals", given)
    columns = ["event", "person_key", "occurred_at", "ref_id"]
    assert found.show("events", *columns)[:2] == lines("""
        create_deal|hubspot:51|2024-05-01 00:00:00|9
        create_deal|hubspot:52|2024-05-01 00:00:00|9
    """)
    assert found.show("orders", "order_id", "person_key", "ordered_at", "revenue") == [
        "9|hubspot:51|2024-05-09 09:00:00|120000"
    ]
    if given[0] == "d.csv":
        assert found.show("events", *columns)[2:] == lines("""
            create_deal|hubspot:53|2024-05-02 00:00:00|10
            lose_deal|hubspot:53|2024-05-10 09:00:00|10
        """)
        assert found.ledger.filtered == {"no_row": 1}


KINDS = [
    "SENT",
    "PROCESSED",
    "DELIVERED",
    "DEFERRED",
    "DROPPED",
    "BOUNCE",
    "OPEN",
    "CLICK",
    "PRINT",
    "FORWARD",
    "STATUSCHANGE",
    "SPAMREPORT",
    "UNBOUNCE",
]


def test_hubspot_mail_engagements_tickets_and_forms_from_documentation(tmp_path):
    mails = [
        {
            "id": f"e{n}",
            "created": 1714554000000 + n,
            "type": kind,
            "recipient": "Ann@example.jp",
            "emailCampaignId": 5,
            "duration": 27004 if kind == "OPEN" else None,
            "filteredEvent": False,
        }
        for n, kind in enumerate(KINDS)
    ]
    mails.append({**mails[6], "id": "bot", "filteredEvent": True})
    found = Export(
        tmp_path / "m", "hubspot/email_events", ("m.ndjson", "\n".join(map(json.dumps, mails)))
    )
    assert found.show("events", "event", "direction", "duration_seconds") == lines("""
        send_email|outbound|
        deliver_email|outbound|
        drop_email|outbound|
        bounce_email|outbound|
        open_email|inbound|27.004
        click_email|inbound|
        print_email|inbound|
        forward_email|inbound|
        change_subscription|inbound|
        report_spam|inbound|
        recover_email|outbound|
    """)
    assert set(found.frame("events")["person_key"]) == {"email:ann@example.jp"}
    assert found.ledger.filtered == {"machine_event": 1, "on_the_way": 2}

    acts = [
        {
            "engagement": {
                "id": n,
                "type": kind,
                "timestamp": 1409172644778,
                "createdAt": 1646163783000,
                "ownerId": 3,
            },
            "associations": {"contactIds": people, "dealIds": [9]},
            "metadata": {"durationMilliseconds": 61000} if kind == "CALL" else {},
        }
        for n, (kind, people) in enumerate(
            [
                ("CALL", [51]),
                ("EMAIL", [51, 52]),
                ("INCOMING_EMAIL", [52]),
                ("MEETING", [51]),
                ("NOTE", [51]),
                ("TASK", []),
            ]
        )
    ]
    found = Export(tmp_path / "e", "hubspot/engagements", ("e.json", json.dumps({"results": acts})))
    assert found.show(
        "events", "event", "person_key", "occurred_at", "direction", "duration_seconds"
    ) == lines("""
        call|hubspot:51|2014-08-27 20:50:44.778000||61
        send_email|hubspot:51|2014-08-27 20:50:44.778000|outbound|
        send_email|hubspot:52|2014-08-27 20:50:44.778000|outbound|
        receive_email|hubspot:52|2014-08-27 20:50:44.778000|inbound|
        meet|hubspot:51|2014-08-27 20:50:44.778000||
        write_note|hubspot:51|2014-08-27 20:50:44.778000||
    """)
    assert found.ledger.filtered == {"no_row": 1}

    tickets = "Ticket ID,Create date,Close date,Source,Priority,Associated Contact IDs\n7,2024-05-01 09:00,2024-05-02 09:00,Phone,High,51;52\n8,2024-05-01 09:00,,Email,,53\n"
    found = Export(tmp_path / "t", "hubspot/tickets", ("t.csv", tickets))
    assert found.show("events", "event", "person_key", "channel", "ref_id") == lines("""
        contact_support|hubspot:51|call_center|7
        solve_case|hubspot:51||7
        contact_support|hubspot:53|email|8
    """)
    form = {
        "conversionId": "c1",
        "title": "Newsletter",
        "pageUrl": "https://x.jp/news?a=1",
        "submittedAt": 1714554000000,
        "values": [
            {"name": "email", "value": "Ann@example.jp"},
            {"name": "firstname", "value": "Ann"},
        ],
    }
    found = Export(tmp_path / "f", "hubspot/form_submissions", ("f.ndjson", json.dumps(form)))
    assert found.show("events", "event", "person_key", "page", "x_form", "occurred_at") == [
        "submit_form|email:ann@example.jp|/news|Newsletter|2024-05-01 09:00:00"
    ]


# Marketo


def test_the_documented_bulk_extract_of_marketo(tmp_path):
    found = Export(tmp_path, "marketo/activities", "marketo/docs_bulk_activity_extract.csv")
    columns = [
        "event_id",
        "person_key",
        "occurred_at",
        "event",
        "campaign",
        "x_asset",
        "x_old_status",
        "x_new_status",
        "outcome",
    ]
    assert found.show("events", *columns) == lines("""
        783957693|marketo:5414087|2022-02-13 14:06:20|change_program_status|8497|MembershipTest1|Not in Program|On List|
        783958220|marketo:5414094|2022-02-13 14:08:50|change_program_status|17240|SuccessWebCPS|Not in Program|Attended|good
        783958306|marketo:5414094|2022-02-13 14:09:16|change_program_status|17240|SuccessWebCPS|Attended|Attended|
        783961924|marketo:5316669|2022-02-13 14:27:21|change_program_status|11614|Nurture Automation|Not in Program|Member|
    """)


def test_the_bulk_extracts_of_embulk(tmp_path):
    found = Export(
        tmp_path,
        "marketo/activities",
        "marketo/embulk_activity_extract1.csv",
        "marketo/embulk_activity_extract2.csv",
    )
    expected = []
    for name in ("embulk_activity_extract1", "embulk_activity_extract2"):
        text = native(f"marketo/{name}.csv").read_text()
        for line in text.strip().splitlines()[1:]:
            guid, lead, time, kind, *_ = line.split(",")
            event = {
                "12": "create_lead",
                "13": "change_data",
                "22": "change_score",
                "24": "join_list",
            }[kind]
            expected.append(f"{guid}|marketo:{lead}|{time[:10]} {time[11:19]}|{event}")
    assert found.show("events", "event_id", "person_key", "occurred_at", "event") == expected
    assert expected[0] == "558681|marketo:102419|2017-09-08 16:38:14|create_lead"
    assert set(found.frame("events")["campaign"].dropna()) == set()


def test_the_data_streams_of_marketo(tmp_path):
    found = Export(
        tmp_path,
        "marketo/activities",
        "marketo/docs_io_events_0.json",
        "marketo/docs_io_events_1.json",
    )
    assert found.show(
        "events", "event_id", "person_key", "occurred_at", "event", "device"
    ) == lines("""
        1234567890|marketo:1234|2024-12-17 18:39:33|open_email|Device Name
        1234567890|marketo:1234|2024-12-17 18:42:49|page_view|
        1234567890|marketo:1234|2024-12-17 18:43:56|click_link|
    """)


def test_marketo_merges_deletions_custom_types_and_other_delimiters(tmp_path):
    rows = [
        ("1", "5", "2024-05-01T00:00:00Z", "1", "null", "/a", '{"Webpage URL":"/a"}'),
        ("2", "5", "2024-05-01T00:00:01+0000", "100001", "null", "null", "{}"),
        ("3", "5", "2024-05-01T00:00:02Z", "32", "null", "null", '{"Merge IDs":"6,7"}'),
        ("4", "8", "2024-05-01T00:00:03Z", "37", "null", "null", "{}"),
        ("5", "5", "2024-05-01T00:00:04Z", "10", "null", "Mail", '{"Is Bot Activity":true}'),
        (
            "6",
            "5",
            "2024-05-01T00:00:05Z",
            "10",
            "3",
            "Mail",
            '{"Is Bot Activity":false,"Device":"iPhone"}',
        ),
    ]
    header = "marketoGUID;leadId;activityDate;activityTypeId;campaignId;primaryAttributeValue;attributes\n"
    text = header + "".join(
        ";".join([*row[:6], '"' + row[6].replace('"', '""') + '"']) + "\n" for row in rows
    )
    found = Export(tmp_path, "marketo/activities", ("a.csv", text))
    assert found.show("events", "event", "page", "campaign", "device", "x_asset") == lines("""
        page_view|/a|||/a
        100001||||
        open_email||3|iPhone|Mail
    """)
    assert found.edges() == [("marketo:5", "marketo:6"), ("marketo:5", "marketo:7")]
    assert found.show("tombstones", "person_key", "retracted_at") == [
        "marketo:8|2024-05-01 00:00:03"
    ]
    assert found.ledger.filtered == {"machine_event": 1}


def test_leads_and_members_of_marketo(tmp_path):
    leads = Export(tmp_path / "l", "marketo/leads", "marketo/embulk_lead_extract1.csv")
    shown = leads.show(
        "customers", "person_key", "signed_up_at", "company", "acquired_channel", "lead_score"
    )
    assert shown[0] == "marketo:102488|2017-09-08 16:39:14|TD_TESTING|List import|"
    assert len(shown) == leads.ledger.read == len(leads.frame("consents"))
    assert set(leads.frame("consents")["is_granted"]) == {True}
    damaged = {"like": "marketo/leads", "ids": {"marketo": {"column": "lastName"}}}
    name = "marketo/embulk_lead_extract_with_quote_in_quote_field.csv"
    with pytest.raises(CjkitError, match="not one of its 1 records is whole"):
        Export(tmp_path / "q", damaged, name)
    text = native(name).read_text().rstrip() + '\n"second","last2"\n'
    quotes = Export(tmp_path / "r", damaged, ("l.csv", text))
    assert (quotes.ledger.read, quotes.ledger.unreadable) == (2, 1)
    assert quotes.show("customers", "person_key") == ["marketo:last2"]
    members = Export(
        tmp_path / "m", "marketo/program_members", "marketo/embulk_program_members_extract.csv"
    )
    assert members.show(
        "events", "person_key", "occurred_at", "event", "x_status", "campaign"
    ) == lines("""
        marketo:452|2019-04-12 05:58:10|join_program|02 Opened|1001
        marketo:453|2019-04-12 05:58:10|join_program|01 Sent|1001
        marketo:454|2019-04-12 05:58:10|join_program|03 Clicked|1001
    """)


# Shopify

SHOP = """\
Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Billing Name,Billing Zip,Billing Phone,Cancelled at,Payment Method,Refunded Amount,Location,Id,Source,Lineitem discount,Phone
#1,Ann@example.jp,paid,2024-05-01 09:58:20 +0900,fulfilled,2024-05-02 10:00:00 +0900,yes,JPY,2500,0,0,2400,MAY,100,Post,2024-05-01 09:58:12 +0900,2,Tea,1000,T1,Ann,'150-0001,,,Card,0,,501,web,0,
#1,,,,,,,,,,,,,,,2024-05-01 09:58:12 +0900,1,Cup,500,C1,,,,,,,,,,0,
#2,,paid,2024-05-01 11:00:00 +0900,,,no,JPY,500,0,0,500,,0,,2024-05-01 11:00:00 +0900,1,Cup,500,C1,,,,,Cash,500,Ginza,502,pos,0,+819012345678
#3,b@example.jp,voided,,,,no,JPY,500,0,0,500,,0,,2024-05-01 12:00:00 +0900,1,Cup,500,C1,,,,2024-05-01 13:00:00 +0900,Card,0,,503,web,0,
#4,,paid,,,,,JPY,700,0,0,700,,0,,2024-05-01 14:00:00 +0900,1,Pot,700,,,,,,Card,0,,504,shopify_draft_order,0,
#5,c@example.jp,refunded,2024-05-01 15:00:00 +0900,,,yes,JPY,500,0,0,500,,0,,2024-05-01 15:00:00 +0900,1,Cup,500,C1,,,,2024-05-03 15:00:00 +0900,Card,500,,505,web,0,
"""


def test_shopify_orders_from_documentation(tmp_path):
    found = Export(tmp_path, "shopify/orders", ("o.csv", SHOP))
    columns = [
        "order_id",
        "person_key",
        "ordered_at",
        "product_id",
        "quantity",
        "revenue",
        "is_return",
        "channel",
    ]
    assert found.show("orders", *columns) == lines("""
        #1|email:ann@example.jp|2024-05-01 00:58:12|T1|2|2000||web
        #1|email:ann@example.jp|2024-05-01 00:58:12||0|-100||web
        #1|email:ann@example.jp|2024-05-01 00:58:12|C1|1|500||web
        #2|phone:+819012345678|2024-05-01 02:00:00|C1|1|500||store
        #2|phone:+819012345678|2024-05-01 02:00:00|||-500|True|
        #4|order:#4|2024-05-01 05:00:00|Pot|1|700||sales
        #5|email:c@example.jp|2024-05-01 06:00:00|C1|1|500||web
        #5|email:c@example.jp|2024-05-03 06:00:00|||-500|True|
    """)
    assert found.show("events", "event", "ref_id", "occurred_at") == lines("""
        ship_order|#1|2024-05-02 01:00:00
        pay|#1|2024-05-01 00:58:20
        pay|#2|2024-05-01 02:00:00
        pay|#5|2024-05-01 06:00:00
        cancel_order|#5|2024-05-03 06:00:00
    """)
    assert found.show("consents", "person_key", "is_granted") == lines("""
        email:ann@example.jp|True
        phone:+819012345678|False
        email:c@example.jp|True
    """)
    assert found.ledger.filtered == {"cancelled": 1}


def test_the_orders_of_ltvkit(tmp_path):
    found = Export(tmp_path, "shopify/orders", "shopify/ltvkit_shopify_orders_sample.csv")
    shown = found.show("orders", "order_id", "person_key", "ordered_at", "revenue", "is_return")
    assert shown[:2] == lines("""
        #1001|email:customer1@example.com|2025-01-15 22:41:00|183.5|
        #1002|email:customer2@example.com|2025-01-10 15:06:00|89|
    """)
    text = native("shopify/ltvkit_shopify_orders_sample.csv").read_text().splitlines()[1:]
    first = [line.split(",") for line in text if line.split(",")[3]]
    people = [f"email:{row[1]}" if row[1] else f"order:{row[0]}" for row in first]
    sold = [
        f"{row[0]}|{person}|{float(row[3]):g}" for row, person in zip(first, people, strict=True)
    ]
    orders = found.frame("orders")
    is_sale = orders["is_return"].isna()
    assert [
        f"{row.order_id}|{row.person_key}|{row.revenue:g}" for row in orders[is_sale].itertuples()
    ] == sold
    assert [-row.revenue for row in orders[~is_sale].itertuples()] == [
        float(row[4]) for row in first if float(row[4])
    ]
