# ruff: noqa: E501  (exports stand as they are written)
"""Support, tills, surveys, mail tools and costs: native samples, and exports from documentation."""

import csv
import json

from exports import Export, lines, native


def native_rows(name):
    with native(name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# Zendesk

TICKETS = [
    {
        "id": 1,
        "created_at": "2024-05-01T00:00:00Z",
        "updated_at": "2024-05-03T00:00:00Z",
        "status": "solved",
        "requester_id": 77,
        "requester": {"email": "Ann@example.jp"},
        "via": {"channel": "voice"},
        "priority": "high",
        "tags": ["late", "vip"],
        "satisfaction_rating": {"score": "good", "comment": "早い"},
        "metric_set": {"solved_at": "2024-05-02T00:00:00Z"},
    },
    {
        "id": 2,
        "created_at": "2024-05-01T01:00:00Z",
        "updated_at": "2024-05-03T01:00:00Z",
        "status": "open",
        "requester_id": 78,
        "via": {"channel": "chat"},
        "tags": [],
        "satisfaction_rating": {"score": "unoffered"},
    },
    {
        "id": 3,
        "created_at": "2024-05-01T02:00:00Z",
        "updated_at": "2024-05-03T02:00:00Z",
        "status": "closed",
        "requester_id": 79,
        "via": {"channel": "any"},
        "satisfaction_rating": {"score": "bad", "comment": None},
    },
    {
        "id": 4,
        "created_at": "2024-05-01T02:00:00Z",
        "status": "deleted",
        "requester_id": 79,
        "via": {"channel": "web"},
    },
]
VIEW = """\
ID,Requester,Requester email,Status,Created at,Solved at,Satisfaction Score,Via
5,Ann,ann@example.jp,Solved,2024-05-01 09:00,2024-05-02 09:00,Good,Mail
"""


def test_zendesk_tickets_from_documentation(tmp_path):
    found = Export(
        tmp_path / "j", "zendesk/tickets", ("t.ndjson", "\n".join(map(json.dumps, TICKETS)))
    )
    assert found.show("events", "event", "person_key", "occurred_at", "channel", "x_tags") == lines("""
        contact_support|zendesk:77|2024-05-01 00:00:00|call_center|["late","vip"]
        solve_case|zendesk:77|2024-05-02 00:00:00||
        contact_support|zendesk:78|2024-05-01 01:00:00|chat|
        contact_support|zendesk:79|2024-05-01 02:00:00|any|
        solve_case|zendesk:79|2024-05-03 02:00:00||
    """)
    assert found.show("feedback", "score", "score_max", "metric", "text") == [
        "1|1|csat|早い",
        "0|1|csat|",
    ]
    assert ("zendesk:77", "email:ann@example.jp") in found.edges()
    assert found.ledger.filtered == {"deleted": 1}
    mapping = {"like": "zendesk/tickets", "file": {"time_zone": "project"}}
    view = Export(tmp_path / "v", mapping, ("t.csv", VIEW))
    assert view.show("events", "event", "person_key", "occurred_at", "channel") == lines("""
        contact_support|email:ann@example.jp|2024-05-01 00:00:00|email
        solve_case|email:ann@example.jp|2024-05-02 00:00:00|
    """)


def test_the_tickets_and_history_of_fivetran(tmp_path):
    name = "zendesk/fivetran_ticket_data.csv"
    found = Export(tmp_path / "t", "zendesk/tickets", name)
    expected = []
    for row in native_rows(name):
        person = f"zendesk:{row['requester_id']}" if row["requester_id"] else f"ticket:{row['id']}"
        if row["status"] != "deleted":
            expected.append(f"contact_support|{person}|{row['created_at']}|{row['via_channel']}")
        if row["status"] in ("solved", "closed"):
            expected.append(f"solve_case|{person}|{row['updated_at']}|")
    assert found.show("events", "event", "person_key", "occurred_at", "channel") == expected
    name = "zendesk/fivetran_ticket_field_history_data.csv"
    history = Export(tmp_path / "h", "zendesk/ticket_history", name)
    assert history.show("events", "event", "person_key", "occurred_at") == [
        f"solve_case|ticket:{row['ticket_id']}|{row['updated']}" for row in native_rows(name)
    ]


# The generic log, tills and calls


def test_a_log_under_names_that_are_common(tmp_path):
    text = 'user_id;timestamp;action;amount;url\nu1;2024-05-01 09:00;購入;"1,200";/a\nu2;1714554000;view;;\n'
    found = Export(tmp_path / "c", "event_log", ("log.csv", text))
    columns = ["person_key", "occurred_at", "event", "revenue", "page"]
    assert found.show("events", *columns) == lines("""
        customer:u1|2024-05-01 00:00:00|購入|1200|/a
        customer:u2|2024-05-01 09:00:00|view||
    """)
    other = {"like": "event_log", "file": {"names": {"event": ["what"]}}}
    text = '{"client_id":"c1","time":"2024-05-01T00:00:00Z","what":"open"}'
    assert Export(tmp_path / "n", other, ("log.ndjson", text)).show("events", *columns) == [
        "cookie:c1|2024-05-01 00:00:00|open||"
    ]


def test_the_tills_of_complete_journey(tmp_path):
    name = "pos_loyalty_completejourney/transactions_sample.csv"
    found = Export(tmp_path / "t", "till/receipts", name, zone="UTC")
    columns = [
        "order_id",
        "person_key",
        "ordered_at",
        "product_id",
        "quantity",
        "revenue",
        "x_store",
    ]
    expected = [
        f"{row['basket_id']}|loyalty:{row['household_id']}|{row['transaction_timestamp']}|"
        f"{row['product_id']}|{float(row['quantity']):g}|{float(row['sales_value']):g}|{row['store_id']}"
        for row in native_rows(name)
    ]
    assert expected[0] == "31198705046|loyalty:906|2017-01-01 12:30:27|1075313|1|1.5|319"
    assert found.show("orders", *columns) == expected


JAPANESE = """\
レシート番号,行番号,店舗コード,会員番号,JANコード,数量,単価,値引額,取引日時,取引区分
R1,1,S1,Ｍ００１,4901234567894,２,"１,０００",100,2024/05/01 10:05,販売
R1,2,S1,Ｍ００１,ﾎｯﾄﾃｨｰ,1,500,0,2024/05/01 10:05,販売
R2,1,S1,,4901234567894,1,1000,,2024/5/1 9:05,返品
"""


def test_japanese_receipts_from_documentation(tmp_path):
    mapping = {"like": "till/receipts", "file": {"encoding": "cp932"}}
    found = Export(tmp_path, mapping, ("r.csv", JAPANESE.encode("cp932")))
    columns = [
        "order_id",
        "person_key",
        "ordered_at",
        "product_id",
        "quantity",
        "revenue",
        "is_return",
    ]
    assert found.show("orders", *columns) == lines("""
        R1|loyalty:M001|2024-05-01 01:05:00|4901234567894|2|2000|False
        R1|loyalty:M001|2024-05-01 01:05:00||0|-100|
        R1|loyalty:M001|2024-05-01 01:05:00|ホットティー|1|500|False
        R2||2024-05-01 00:05:00|4901234567894|1|1000|True
    """)


POINTS = """\
member_id,txn_type,points,balance,occurred_at,receipt_id,rank
M1,earn,10,110,2024-05-01 10:05:00,R1,gold
M1,利用,-50,60,2024/05/02,,gold
M1,expire,-5,55,2024-05-03,,gold
M1,gift,5,60,2024-05-04,,gold
"""
CALLS = """\
call_id,caller_number,queue,agent,start,answer,end,wait_sec,talk_sec,disposition,direction
c1,090-1234-5678,返品,A1,2024/05/01 09:00:00,2024/05/01 09:00:40,2024/05/01 09:03:25,00:40,0:02:45,解決,着信
c2,+81312345678,注文,A2,2024/05/01 10:00:00,,2024/05/01 10:05:00,300,0,abandoned,
c3,03-1234-5678,注文,A2,2024/05/01 11:00:00,,2024/05/01 11:01:00,,,,outbound
"""


def test_points_and_calls_from_documentation(tmp_path):
    points = Export(tmp_path / "p", "till/loyalty", ("p.csv", POINTS))
    assert points.show(
        "events", "event", "occurred_at", "x_points", "x_balance", "unknown_codes"
    ) == lines("""
        earn_points|2024-05-01 01:05:00|10|110|
        redeem_points|2024-05-01 15:00:00|-50|60|
        lose_points|2024-05-02 15:00:00|-5|55|
        |2024-05-03 15:00:00|5|60|event
    """)
    mapping = {
        "like": "call_center",
        "ids": {"phone": {"column": "caller_number", "normalise": "phone", "country_code": "81"}},
    }
    calls = Export(tmp_path / "c", mapping, ("c.csv", CALLS))
    columns = [
        "event",
        "person_key",
        "direction",
        "duration_seconds",
        "x_wait_seconds",
        "x_talk_seconds",
        "outcome",
    ]
    assert calls.show("events", *columns) == lines("""
        contact_support|phone:+819012345678|inbound|205|40|165|good
        contact_support|phone:+81312345678|inbound|300|300|0|bad
        call|phone:+81312345678|outbound|60|||
    """)


# Surveys


def survey(name, **names):
    return {
        "like": f"survey/{name}",
        "file": {"names": {key: [value] for key, value in names.items()}},
    }


def test_the_answers_of_qualtrics(tmp_path):
    found = Export(
        tmp_path / "n",
        survey("qualtrics", csat="Q1", comment="Q2"),
        "qualtrics/sample.csv",
        zone="UTC",
    )
    columns = ["feedback_id", "person_key", "given_at", "metric", "score", "text", "text_language"]
    assert found.show("feedback", *columns) == [
        "R_2YPOQ602ER1jkf1||2017-07-18 08:28:48|csat|2|Hello World!|de"
    ]
    assert (found.ledger.read, found.ledger.mapped) == (1, 1)

    header = "Status,Progress,Duration (in seconds),Finished,RecordedDate,ResponseId,RecipientEmail,ExternalReference,UserLanguage,Q5,Q5_NPS_GROUP,Q6\n"
    text = (
        header
        + 'Antworttyp,x,x,x,x,x,x,x,x,"How, so",x,x\n'
        + "{},{},{},{},{},{},{},{},{},{},{},{}\n"
    )
    text += "0,100,38,1,2024-05-01 09:00:00,R_1,Ann@example.jp,,JA,9,3,良い\n"
    text += "IP Address,100,38,True,2024-05-01 10:00:00,R_2,,u7,EN,10 - Extremely likely,3,\n"
    text += "1,100,3,1,2024-05-01 10:00:00,R_3,,,EN,0,1,\n0,20,3,False,2024-05-01 10:00:00,R_4,,,EN,0,1,\n"
    found = Export(tmp_path / "d", survey("qualtrics", nps="Q5", comment="Q6"), ("q.csv", text))
    assert found.show("feedback", *columns) == lines("""
        R_1|email:ann@example.jp|2024-05-01 00:00:00|nps|9|良い|ja
        R_2|login:u7|2024-05-01 01:00:00|nps|10||en
    """)
    assert found.show("events", "event", "person_key", "duration_seconds") == [
        "answer_survey|email:ann@example.jp|38",
        "answer_survey|login:u7|38",
    ]
    assert found.ledger.filtered == {"preview": 1, "unfinished": 1}


def test_the_answers_of_surveymonkey(tmp_path):
    mapping = survey("surveymonkey", csat="Please rate each aspect: / Support", ces="Overall")
    found = Export(tmp_path / "n", mapping, "surveymonkey/matrix.csv", zone="UTC")
    text = native("surveymonkey/matrix.csv").read_text().splitlines()[2:]
    expected = []
    for line in text:
        person, day, _, _, support, overall = line.split(",")
        expected += [
            f"{person}|{day} 00:00:00|csat|{support}",
            f"{person}|{day} 00:00:00|ces|{overall}",
        ]
    assert expected[:2] == ["1001|2024-01-01 00:00:00|csat|3", "1001|2024-01-01 00:00:00|ces|5"]
    assert found.show("feedback", "feedback_id", "given_at", "metric", "score") == expected
    mapping = survey("surveymonkey", csat="Satisfaction", comment="Which brands do you use? / HP")
    found = Export(tmp_path / "m", mapping, "surveymonkey/multiselect.csv", zone="UTC")
    rows = [
        line.split(",")
        for line in native("surveymonkey/multiselect.csv").read_text().splitlines()[2:]
    ]
    assert found.show("feedback", "feedback_id", "score", "text") == [
        f"{r[0]}|{r[5]}|{r[3]}" for r in rows
    ]
    text = "Respondent ID,Collector ID,Start Date,End Date,Email Address,How likely?\n,,,,,Response\n1,2,05/01/2024 09:00:00 AM,05/01/2024 01:30:00 PM,Ann@example.jp,8\n"
    found = Export(
        tmp_path / "d", survey("surveymonkey", nps="How likely? / Response"), ("s.csv", text)
    )
    assert found.show("feedback", "person_key", "given_at", "score") == [
        "email:ann@example.jp|2024-05-01 04:30:00|8"
    ]
    assert found.show("events", "event", "occurred_at") == ["answer_survey|2024-05-01 04:30:00"]


def test_the_answers_of_google_forms_from_documentation(tmp_path):
    columns = ["person_key", "given_at", "metric", "score", "text"]
    text = "タイムスタンプ,メールアドレス,お薦めしますか,理由\n2024/05/01 10:00:00 午後 GMT+9,Ann@example.jp,9,ﾃｽﾄ\n2024/05/01 10:00:00,,3,\n"
    mapping = survey("google_forms", nps="お薦めしますか", comment="理由")
    assert Export(tmp_path / "j", mapping, ("f.csv", text)).show("feedback", *columns) == lines("""
        email:ann@example.jp|2024-05-01 13:00:00|nps|9|テスト
        |2024-05-01 01:00:00|nps|3|
    """)
    text = "Timestamp,Email Address,Satisfied?\n5/1/2024 10:00:00,ann@example.jp,4\n"
    found = Export(tmp_path / "e", survey("google_forms", csat="Satisfied?"), ("f.csv", text))
    assert found.show("feedback", *columns) == ["email:ann@example.jp|2024-05-01 01:00:00|csat|4|"]


# Mail tools


def test_the_webhook_of_sendgrid(tmp_path):
    found = Export(tmp_path / "n", "sendgrid/events", "sendgrid/event_webhook.json")
    columns = [
        "event_id",
        "event",
        "person_key",
        "occurred_at",
        "campaign",
        "ref_id",
        "page",
        "direction",
    ]
    assert found.show("events", *columns) == lines("""
        nOSv8m0eTQ-vxvwNwt3fZQ|deliver_email|email:recipient@example.com|2016-04-19 19:47:30||wrfRRvF7Q0GgwUo2CvDmEA||outbound
        3NPOePGOTkeM_U3fgWApfg|drop_email|email:invalid@invalid|2016-04-19 19:47:30||filter0093p1las1||outbound
        zmzJhfJgAfUSOW80yEbPyw==|drop_email|email:example@example.com|2017-12-15 00:59:29|cat facts|14c5d75ce93||outbound
        oxy9OLwMTAy5EsuZn1qhIg|drop_email|email:unsubscribe@example.com|2016-04-19 19:47:30||filter0199p1las1||outbound
        lC0Rc-FuQmKbnxCWxX1jRQ|bounce_email|email:noreply@example.com|2016-04-19 19:47:30||Lli-03HcQ5-JLybO9fXsJg||outbound
        MjIwNDg5NTgtZGE3OC00NDI1LWFiMmMtMDUyZTU2ZmFkOTFm|open_email|email:recipient@example.com|2016-04-19 19:47:30||wrfRRvF7Q0GgwUo2CvDmEA||inbound
        OTdlOGUzYjctYjc5Zi00OWE4LWE4YWUtNjIxNjk2ZTJlNGVi|click_email|email:recipient@example.com|2016-04-19 19:47:30||_fjPjuJfRW-IPs5SuvYotg|http://www.example.com|inbound
    """)
    assert found.ledger.filtered == {"on_the_way": 2}
    events = [
        {
            "email": "a@example.jp",
            "timestamp": 1714554000,
            "event": kind,
            "sg_event_id": kind,
            "category": ["c1", "c2"],
        }
        for kind in ("spamreport", "unsubscribe", "group_unsubscribe", "group_resubscribe")
    ]
    events.append({**events[0], "event": "open", "sg_machine_open": True})
    found = Export(tmp_path / "d", "sendgrid/events", ("e.json", json.dumps(events)))
    assert found.show("events", "event", "campaign", "outcome") == lines("""
        report_spam|c1|bad
        unsubscribe|c1|
        unsubscribe|c1|
        resubscribe|c1|
    """)
    assert found.ledger.filtered == {"machine_event": 1}


MEMBERS = """\
Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,CC,LAST_CHANGED,TAGS
Ann@example.jp,Ann,A,4,,2024-05-01 00:00:00,jp,2024-05-02 00:00:00,VIP
"""


def test_mailchimp(tmp_path):
    name = "mailchimp/fivetran_campaign_recipient_activity.csv"
    found = Export(tmp_path / "n", "mailchimp/activity", name)
    names = {"open": "open_email", "click": "click_email", "bounce": "bounce_email"}
    expected = [
        f"{names[row['action']]}|mailchimp:{row['member_id']}|{row['timestamp']}|{row['campaign_id']}"
        for row in native_rows(name)
    ]
    assert len(expected) == 17
    assert found.show("events", "event", "person_key", "occurred_at", "campaign") == expected
    left = "Email Address,CONFIRM_TIME,UNSUB_TIME\nbob@example.jp,2024-05-01 00:00:00,2024-05-03 00:00:00\n"
    cleaned = "Email Address,CLEAN_TIME\ncat@example.jp,2024-05-04 00:00:00\n"
    members = Export(
        tmp_path / "m", "mailchimp/members", ("1.csv", MEMBERS), ("2.csv", left), ("3.csv", cleaned)
    )
    assert members.show(
        "customers", "person_key", "signed_up_at", "member_rating", "country"
    ) == lines("""
        email:ann@example.jp|2024-05-01 00:00:00|4|jp
        email:bob@example.jp|2024-05-01 00:00:00||
        email:cat@example.jp|||
    """)
    assert members.show("consents", "person_key", "is_granted") == [
        "email:ann@example.jp|True",
        "email:bob@example.jp|False",
    ]
    assert members.show("events", "event", "person_key") == [
        "unsubscribe|email:bob@example.jp",
        "bounce_email|email:cat@example.jp",
    ]


# Costs


def test_costs(tmp_path):
    columns = ["channel", "campaign", "spent_on", "cost", "impressions", "clicks", "currency"]
    name = "meta_ads/fivetran_facebook_ads_basic_ad.csv"
    found = Export(tmp_path / "n", "costs/meta_ads", name)
    assert found.show("costs", *columns) == [
        f"paid_social|{r['ad_id']}|{r['date']} 00:00:00|{float(r['spend']):g}|{r['impressions']}|{r['inline_link_clicks']}|"
        for r in native_rows(name)
    ]
    page = {
        "data": [
            {
                "date_start": "2024-05-01",
                "campaign_name": "May",
                "spend": "12.5",
                "impressions": "100",
                "clicks": "3",
                "account_currency": "JPY",
            }
        ],
        "paging": {},
    }
    found = Export(tmp_path / "p", "costs/meta_ads", ("m.json", json.dumps(page)))
    assert found.show("costs", *columns) == ["paid_social|May|2024-05-01 00:00:00|12.5|100|3|JPY"]
    text = "キャンペーン名,日,消化金額 (JPY),インプレッション,リンクのクリック\n五月,2024-05-01,1200,100,3\n,,1200,100,3\n"
    found = Export(tmp_path / "j", "costs/meta_ads", ("m.csv", text))
    assert found.show("costs", *columns) == ["paid_social|五月|2024-05-01 00:00:00|1200|100|3|"]
    text = 'Campaign report\n"May 1, 2024 - May 2, 2024"\nDay,Campaign,Campaign type,Currency code,Cost,Impr.,Clicks\n2024-05-01,A,Search,JPY,"1,200.50","10,000",30\n2024-05-02,B,Display,JPY,--,5,0\nTotal: Account,,,,1200.50,10005,30\n'
    found = Export(tmp_path / "g", "costs/google_ads", ("g.csv", text))
    assert found.show("costs", *columns) == lines("""
        paid_search|A|2024-05-01 00:00:00|1200.5|10000|30|JPY
        display|B|2024-05-02 00:00:00||5|0|JPY
    """)
    assert found.ledger.filtered == {"totals": 1}
