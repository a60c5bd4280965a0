# ruff: noqa: E501  (exports stand as they are written)
"""Pardot's sample of a warehouse; Woopra, Eloqua, Zoho, stores, social media from documentation."""

import csv
import json

import pytest
from exports import Export, lines, native

import cjkit

# Woopra


def visit(pid, actions, **visitor):
    return {
        "date": "2024-05-01",
        "country": "JP",
        "os": "iOS",
        "pid": pid,
        "visitor": visitor,
        "actions": [
            {"name": name, "time": 1714554000000 + at, "properties": {"url": url} if url else {}}
            for at, name, url in actions
        ],
    }


FIRST = [
    visit("p1", [(n, "pv", f"https://s.jp/page{n}?a=b") for n in range(15)]),
    visit(
        "p2",
        [(20, "pv", "/a"), (21, "signup", None), (21, "signup", None)],
        email="Ann@example.jp",
        name="Ann",
    ),
    visit("p3", [(30, "pv", None), (31, "buy", None)], id="u7"),
    visit("p4", []),
]
SECOND = [
    {"type": "delete", "pid": "p1"},
    visit(
        "p9", [(n, "pv", f"https://s.jp/page{n}?a=b") for n in range(10)], email="ann@example.jp"
    ),
    {"type": "system", "method": "delete", "pid": "p3"},
    visit("p3", [(40, "pv", "/again")]),
]


def test_woopra_from_documentation(tmp_path):
    given = [
        (f"2024-05-0{n}.ndjson", "\n".join(map(json.dumps, part)))
        for n, part in enumerate((FIRST, SECOND), 1)
    ]
    found = Export(tmp_path, "woopra", *given)
    assert found.show("events", "person_key", "occurred_at", "event", "event_order", "page") == [
        *(
            f"woopra:p1|2024-05-01 09:00:00{f'.{n:03}000' if n else ''}|page_view|{n + 1}|/page{n}"
            for n in range(15)
        ),
        "woopra:p2|2024-05-01 09:00:00.020000|page_view|1|/a",
        "woopra:p2|2024-05-01 09:00:00.021000|signup|2|",
        "woopra:p2|2024-05-01 09:00:00.021000|signup|3|",
        "woopra:p3|2024-05-01 09:00:00.030000|page_view|1|",
        "woopra:p3|2024-05-01 09:00:00.031000|buy|2|",
        *(
            f"woopra:p9|2024-05-01 09:00:00{f'.{n:03}000' if n else ''}|page_view|{n + 1}|/page{n}"
            for n in range(10)
        ),
        "woopra:p3|2024-05-01 09:00:00.040000|page_view|1|/again",
    ]
    assert sorted(found.edges()) == [
        ("woopra:p2", "email:ann@example.jp"),
        ("woopra:p3", "login:u7"),
        ("woopra:p9", "email:ann@example.jp"),
    ]
    assert found.show("tombstones", "person_key") == ["woopra:p1", "woopra:p3"]
    log = cjkit.open(tmp_path / "journey.toml")
    told = log.events.engine.query(f"select event, page from {log.events} order by occurred_us")
    assert told["page"].tolist()[-1] == "/again"
    assert len(told) == 10 + 3 + 1  # of p1 and p3 nothing is left that stood before their deletion


# Pardot


def native_rows(name):
    with native(name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_activities_of_pardot(tmp_path):
    name = "pardot/fivetran_visitor_activity.csv"
    found = Export(tmp_path, "pardot/visitor_activities", name)
    names = {
        "8": "create_opportunity",
        "9": "win_opportunity",
        "10": "lose_opportunity",
        "12": "unsubscribe",
        "14": "report_spam",
        "35": "unsubscribe",
        "36": "bounce_email",
    }
    expected = [
        f"{row['id']}|{names[row['type']]}|pardot:{row['prospect_id']}|{row['created_at'].removesuffix(' UTC')}|{row['campaign_id']}"
        for row in native_rows(name)
    ]
    assert expected[0] == "1520152562|unsubscribe|pardot:395861995|2019-03-29 07:24:17|77640"
    assert (
        found.show("events", "event_id", "event", "person_key", "occurred_at", "campaign")
        == expected
    )
    linked = {row["visitor_id"] for row in native_rows(name) if row["visitor_id"]}
    assert {second for _, second in found.edges()} == {f"pardot_visitor:{each}" for each in linked}


def test_the_prospects_of_pardot(tmp_path):
    name = "pardot/fivetran_prospect.csv"
    found = Export(tmp_path, "pardot/prospects", name)
    expected = [
        f"pardot:{row['id']}|{row['created_at'].removesuffix(' UTC')}|{row['score']}|{row['grade']}|{row['industry']}"
        for row in native_rows(name)
    ]
    assert (
        found.show("customers", "person_key", "signed_up_at", "score", "grade", "industry")
        == expected
    )


ACTIVITY = [
    ("Email", 6, "send_email"),
    ("Email", 11, "open_email"),
    ("Email", 1, "click_email"),
    ("Form", 2, "view_form"),
    ("Form", 4, "submit_form"),
    ("Form Handler", 4, "submit_form"),
    ("Landing Page", 2, "view_landing_page"),
    ("Landing Page", 4, "submit_form"),
    ("Page View", 2, "page_view"),
    ("File", 1, "download_file"),
    ("Custom Redirect", 1, "click_link"),
    ("Quiz", 4, "Quiz/4"),
    ("Site Search", 7, "search"),
    ("Email", 13, "bounce_email"),
    ("Email", 15, "change_subscription"),
    ("Email", 16, "resubscribe"),
    ("Email", 17, "click_email"),
    ("Opportunity", 18, "reopen_opportunity"),
    ("Opportunity", 19, "link_opportunity"),
    ("Visit", 20, "visit_website"),
    ("Custom URL", 21, "click_link"),
    ("Olark", 22, "chat"),
    ("Webinar", 23, "invite_to_webinar"),
    ("Webinar", 24, "attend_webinar"),
    ("Webinar", 25, "register_for_webinar"),
    ("Social", 26, "click_social_post"),
    ("Video", 27, "watch_video"),
    ("Event", 28, "register_for_event"),
    ("Event", 29, "attend_event"),
    ("Video", 30, "submit_form"),
    ("UserVoice", 33, "contact_support"),
    ("Video", 34, "watch_video"),
    ("Email", 37, "resubscribe"),
    ("Opportunity", 38, "unlink_opportunity"),
    ("Form", 3, None),
    ("Email", 99, ""),
]


@pytest.mark.parametrize("version", [4, 5])
def test_pardot_from_documentation(tmp_path, version):
    header = "id,prospect_id,visitor_id,type,type_name,created_at"
    time = "2024-05-01 09:00:00"
    if version == 5:
        header, time = (
            "id,prospectId,visitorId,type,typeName,createdAt",
            "2024-05-01T09:00:00+09:00",
        )
    text = (
        header
        + "\n"
        + "".join(
            f"{n},{'' if n == 1 else 7},v{n},{kind},{name},{time}\n"
            for n, (name, kind, _) in enumerate(ACTIVITY)
        )
    )
    found = Export(tmp_path, "pardot/visitor_activities", ("a.csv", text))
    assert found.show("events", "event", "person_key", "occurred_at") == [
        f"{event}|{'pardot_visitor:v1' if n == 1 else 'pardot:7'}|2024-05-01 00:00:00"
        for n, (_, _, event) in enumerate(ACTIVITY)
        if event is not None
    ]
    assert found.frame("events")["unknown_codes"].dropna().tolist() == ["event"]
    assert found.ledger.filtered == {"error": 1}


def test_prospects_from_documentation(tmp_path):
    text = "id,email,crm_lead_fid,crm_contact_fid,opted_out,last_activity_at,created_at,updated_at\n5,Ann@example.jp,00Qx0000001AAAaAAO,003x0000001AAAa,true,Never active.,2024-05-01 09:00:00,2024-05-02 09:00:00\n"
    found = Export(tmp_path, "pardot/prospects", ("p.csv", text))
    assert found.show(
        "customers", "person_key", "signed_up_at", "last_active_at", "unreadable"
    ) == ["pardot:5|2024-05-01 00:00:00||"]
    assert sorted(found.edges())[-3:] == [
        ("pardot:5", "salesforce:003x0000001AAAa"),
        ("pardot:5", "salesforce:00Qx0000001AAAa"),
        ("salesforce:003x0000001AAAa", "salesforce:00Qx0000001AAAa"),
    ]
    assert found.show("consents", "is_granted", "given_at") == ["False|2024-05-02 00:00:00"]


# Eloqua

ELOQUA = [
    ("EmailSend", {}, "send_email", "outbound"),
    ("EmailOpen", {}, "open_email", "inbound"),
    ("EmailClickthrough", {"EmailClickedThruLink": "https://s.jp/a?x"}, "click_email", "inbound"),
    ("Subscribe", {"ContactId": ""}, "resubscribe", "inbound"),
    ("Unsubscribe", {"ContactId": ""}, "unsubscribe", "inbound"),
    ("Bounceback", {"SmtpErrorCode": "550"}, "bounce_email", "outbound"),
    (
        "WebVisit",
        {
            "ContactId": "",
            "EmailAddress": "",
            "VisitorId": "v1",
            "FirstPageViewUrl": "https://s.jp/b",
            "NumberOfPages": "3",
            "Duration": "00:02:05",
        },
        "visit_website",
        "inbound",
    ),
    ("PageView", {"Url": "https://s.jp/c#d", "VisitorId": "v1"}, "page_view", "inbound"),
    (
        "FormSubmit",
        {"RawData": "email=ann%40example.jp", "AssetName": "Trial"},
        "submit_form",
        "inbound",
    ),
    ("External", {"AssetName": "Fair"}, "external_activity", "inbound"),
    ("Quiz", {}, "Quiz", "inbound"),
]


def test_eloqua_from_documentation(tmp_path):
    items = [
        {
            "ActivityId": str(number),
            "ActivityType": kind,
            "ActivityDate": f"2024-03-0{day} 10:15:32.123",
            "EmailAddress": "Ann@example.com",
            "ContactId": "12345",
            "AssetType": "Email",
            "AssetName": "News",
            "CampaignId": "",
            **more,
        }
        for day in (1, 2, 3)
        for number, (kind, more, _, _) in enumerate(ELOQUA, 10 * day)
    ]
    page = {"items": items, "totalResults": len(items), "hasMore": False}
    columns = [
        "event_id",
        "event",
        "person_key",
        "occurred_at",
        "page",
        "direction",
        "duration_seconds",
        "campaign",
    ]
    expected = []
    for item, (_, _, event, direction) in zip(items, ELOQUA * 3, strict=True):
        person = (
            "eloqua:12345"
            if item["ContactId"]
            else "email:ann@example.com"
            if item["EmailAddress"]
            else "eloqua_visitor:v1"
        )
        where = {"click_email": "/a", "visit_website": "/b", "page_view": "/c"}.get(event, "")
        expected.append(
            f"{item['ActivityType']}:{item['ActivityId']}|{event}|{person}|{item['ActivityDate']}000|{where}|{direction}|{125 if event == 'visit_website' else ''}|"
        )
    assert len(expected) == 33
    assert (
        Export(tmp_path / "j", "eloqua", ("e.json", json.dumps(page))).show("events", *columns)
        == expected
    )
    names = list(dict.fromkeys(key for item in items for key in item))
    text = (
        ",".join(names)
        + "\n"
        + "".join(",".join(item.get(name, "") for name in names) + "\n" for item in items)
    )
    assert Export(tmp_path / "c", "eloqua", ("e.csv", text)).show("events", *columns) == expected


# Zoho


def test_zoho_from_documentation(tmp_path):
    def land(mapping, text):
        return Export(tmp_path / mapping / str(len(text)), f"zoho/{mapping}", ("z.csv", text))

    sources = ["Web", "Partner", "", "Trade Show", "Advertisement"]
    leads = "Id,First_Name,Last_Name,Email,Company,Lead_Source,Lead_Status,Email_Opt_Out,Created_Time,Modified_Time,Converted_Date_Time\n"
    leads += "".join(
        f"41508680000006240{n:02},A,B,p{n}@example.jp,C{n},{sources[n % 5]},Open,{'true' if n % 3 == 0 else 'false'},2024-05-{n + 1:02}T09:00:00+09:00,2024-06-01T09:00:00+09:00,{'2024-05-30T09:00:00+09:00' if n == 4 else ''}\n"
        for n in range(15)
    )
    found = land("leads", leads)
    assert found.show("customers", "person_key", "acquired_channel", "company", "signed_up_at") == [
        f"zoho:41508680000006240{n:02}|{sources[n % 5]}|C{n}|2024-05-{n + 1:02} 00:00:00"
        for n in range(15)
    ]
    assert found.show("consents", "is_granted") == [str(n % 3 != 0) for n in range(15)]
    converted = found.frame("events").query("event == 'convert_lead'")
    assert converted["ref_id"].tolist() == ["4150868000000624004"]

    labels = "Record Id,Last Name,Email,Account Name,Lead Source,Mailing City,Email Opt Out,Created Time\nzcrm_4150868000000624001,山田,ann@example.jp,Acme,Web,東京,false,2024-05-01 09:00\n"
    contacts = land("contacts", labels)
    assert contacts.show("customers", "person_key", "account", "city", "signed_up_at") == [
        "zoho:4150868000000624001|Acme|東京|2024-05-01 00:00:00"
    ]

    deals = "Id,Deal_Name,Stage,Amount,Closing_Date,Contact_Name.id,Campaign_Source,Created_Time,Owner\n"
    stages = ["Qualification", "Closed Won", "Closed Lost"]
    deals += "".join(
        f"9{n},D{n},{stages[n % 3]},{n}000,2024-05-1{n},415086800000062400{n},X,2024-05-0{n + 1}T09:00:00+09:00,O\n"
        for n in range(9)
    )
    found = land("deals", deals)
    assert found.show("orders", "order_id", "person_key", "ordered_at", "revenue") == [
        f"9{n}|zoho:415086800000062400{n}|2024-05-{10 + n - 1:02} 15:00:00|{n}000"
        for n in (1, 4, 7)
    ]
    events = found.show("events", "event", "ref_id")
    assert [each for each in events if each.startswith("lose")] == [
        "lose_deal|92",
        "lose_deal|95",
        "lose_deal|98",
    ]
    assert len(events) == 12
    labelled = "Record Id,Stage,Amount,Closing Date,Contact Name.id,Created Time\nzcrm_9,Closed Won,5,2024-05-01,zcrm_41,2024-05-01 09:00\n"
    assert land("deals", labelled).show("orders", "order_id", "person_key") == ["9|zoho:41"]

    calls = "Id,Subject,Call_Type,Call_Start_Time,Call_Duration,Call_Duration_in_seconds,Call_Result,Who_Id,What_Id,$se_module\n"
    calls += "1,a,Outbound,2024-05-01T09:00:00+09:00,02:05,125,Interested,41,,Contacts\n2,b,Inbound,2024-05-01T10:00:00+09:00,01:00,,,41,,Contacts\n3,c,Missed,2024-05-01T11:00:00+09:00,,,,41,,\n4,d,Outbound,2024-05-01T11:00:00+09:00,,,,,7,Accounts\n"
    found = land("calls", calls)
    assert found.show("events", "event", "direction", "duration_seconds", "person_key") == lines("""
        call|outbound|125|zoho:41
        call|inbound|60|zoho:41
        miss_call|inbound||zoho:41
    """)
    assert found.ledger.filtered == {"without_person": 1}
    notes = "Id,Note_Title,Note_Content,Parent_Id,$se_module,Created_Time\n1,a,Wants a quote,41,Contacts,2024-05-01T09:00:00+09:00\n2,a,b,77,Deals,2024-05-01T09:00:00+09:00\n"
    found = land("notes", notes)
    assert found.show("events", "event", "person_key", "occurred_at") == [
        "write_note|zoho:41|2024-05-01 00:00:00"
    ]
    assert found.ledger.filtered == {"of_no_person": 1}


# Stores, social media, interviews


def test_stores_social_media_and_interviews_from_documentation(tmp_path):
    text = "device_id,member_id,store_id,zone_id,enter_ts,exit_ts,rssi,source\nd1,,S1,Z1,2024/05/01 09:00:00,2024/05/01 09:20:00,-60,beacon\nd1,M1,S1,,1714554000,1714554600,,wifi\nd2,,S1,,2024/05/01 10:00:00,,-95,beacon\n,M2,S2,,2024/05/01 11:00:00,,,camera\n"
    found = Export(tmp_path / "v", "store/visits", ("v.csv", text))
    assert found.show(
        "events", "event", "person_key", "occurred_at", "duration_seconds", "x_seen_by"
    ) == lines("""
        visit_store|device:d1|2024-05-01 00:00:00|1200|beacon
        visit_store|loyalty:M1|2024-05-01 09:00:00|600|wifi
        visit_store|loyalty:M2|2024-05-01 02:00:00||camera
    """)
    assert found.ledger.filtered == {"faint_signal": 1}
    assert found.edges() == [("loyalty:M1", "device:d1")]

    meta = "Post ID,Description,Publish time,Reach,Reactions,Comments,Shares\n1,新茶です,05/01/2024 09:00,1000,30,4,6\n"
    x = "Tweet id,Tweet text,time,impressions,engagements\n2,Hello,2024-05-02 09:00,500,25\n"
    found = Export(tmp_path / "s", "social/posts", ("1.csv", meta), ("2.csv", x))
    assert found.show(
        "content", "content_id", "title", "day", "impressions", "engagements"
    ) == lines("""
        1|新茶です|2024-05-01 00:00:00|1000|40
        2|Hello|2024-05-02 00:00:00|500|25
    """)
    text = "Comment ID,Created time,Comment,lang,Parent post ID\n9,2024-05-01 09:00,とても美味しい,ja,1\n10,2024-05-01 09:05,,ja,1\n"
    found = Export(tmp_path / "c", "social/comments", ("c.csv", text))
    assert found.show(
        "feedback", "feedback_id", "given_at", "metric", "text", "ref_id", "person_key"
    ) == ["9|2024-05-01 00:00:00|review|とても美味しい|1|"]
    text = "ステージ,接点,ペルソナ,種類,内容,人数\n検討,商品ページ,新規,不満,ﾚﾋﾞｭｰが少ない,3\nadvocacy,store,loyal,Quote,また来ます,1\n"
    found = Export(tmp_path / "n", "research/interview_notes", ("n.csv", text))
    assert found.show("notes", "stage", "kind", "text", "respondents") == lines("""
        consideration|pain|レビューが少ない|3
        advocacy|quote|また来ます|1
    """)
