# ruff: noqa: E501  (exports stand as they are written)
"""Exports of which nobody gives samples, written from their documentation: thirty rows a system."""

import csv
import io

from exports import Export, lines

# Shopify: the whole header. A line is an item; what is said of the order stands on its first alone.

SHOPIFY = """Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,Billing Name,Billing Street,Billing Address1,Billing Address2,Billing Company,Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,Shipping Street,Shipping Address1,Shipping Address2,Shipping Company,Shipping City,Shipping Zip,Shipping Province,Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,Source,Lineitem discount,Tax 1 Name,Tax 1 Value,Tax 2 Name,Tax 2 Value,Tax 3 Name,Tax 3 Value,Tax 4 Name,Tax 4 Value,Tax 5 Name,Tax 5 Value,Phone,Receipt Number,Duties,Billing Province Name,Shipping Province Name,Payment ID,Payment Terms Name,Next Payment Due At,Payment References"""
ITEMS = """
Name|Email|Financial Status|Paid at|Fulfilled at|Accepts Marketing|Total|Discount Code|Discount Amount|Created at|Lineitem quantity|Lineitem name|Lineitem price|Lineitem sku|Billing Zip|Cancelled at|Refunded Amount|Location|Source|Billing Phone|Phone
#1001|Ann@example.jp|paid|2024-05-01 09:58:20 +0900|2024-05-02 10:00:00 +0900|yes|2400|MAY|100|2024-05-01 09:58:12 +0900|2|Tea|1000|T1|'150-0001||0||web||
#1001|||||||||2024-05-01 09:58:12 +0900|1|Cup|500|C1|||||||
#1002||paid|2024-05-01 11:00:00 +0900||no|500||0|2024-05-01 11:00:00 +0900|1|Cup|500|C1|||0|Ginza|pos||+819012345678
#1003|bob@example.jp|voided|||no|500||0|2024-05-01 12:00:00 +0900|1|Cup|500|C1||2024-05-01 13:00:00 +0900|0||web||
#1004||paid||||700||0|2024-05-01 14:00:00 +0900|1|Pot|700||||0||shopify_draft_order||
#1005|cas@example.jp|refunded|2024-05-01 15:00:00 +0900||yes|500||0|2024-05-01 15:00:00 +0900|1|Cup|500|C1||2024-05-03 15:00:00 +0900|500||web||
#1006|dee@example.jp|partially_refunded|2024-05-02 00:10:00 +0900|2024-05-02 09:00:00 +0900|no|3000||0|2024-05-02 00:05:00 +0900|3|Tea|1000|T1|||1000||web||
#1007|ann@example.jp|paid|2024-05-02 09:00:00 +0000|2024-05-03 09:00:00 +0000||1500||0|2024-05-02 08:59:59 +0000|1|Tea|1000|T1|||0||web||
#1007|||||||||2024-05-02 08:59:59 +0000|1|Cup|500|C1|||||||
#1007|||||||||2024-05-02 08:59:59 +0000|2|Sample|0|S0|||||||
#1008|eve@example.jp|pending||||900||0|2024-05-02 10:00:00 +0900|1|Milk|900|M1|||0||iphone||
#1009|fay@example.jp|paid|2024-05-02 10:30:00 +0900|||800||100|2024-05-02 10:29:00 +0900|1|Milk|900|M1|||0||android||
#1010||paid|2024-05-02 11:00:00 +0900||no|1000||0|2024-05-02 11:00:00 +0900|1|Tea|1000|T1|||0|Umeda|pos||
#1010|||||||||2024-05-02 11:00:00 +0900|1|Bag|0|B0|||||||
#1011||paid|2024-05-02 12:00:00 +0900||yes|1000||0|2024-05-02 12:00:00 +0900|1|Tea|1000|T1|||0||web|09098765432|
#1012|gus@example.jp|expired|||no|500||0|2024-05-02 13:00:00 +0900|1|Cup|500|C1||2024-05-03 13:00:00 +0900|0||web||
#1013|hal@example.jp|paid|2024-05-02 14:00:05 +0900||yes|12500.5||0|2024-05-02 14:00:00 +0900|1|Set|12500.5|SET|||0||web||
#1014|ida@example.jp|authorized||||1000||0|2024-05-02 15:00:00 +0900|1|Tea|1000|T1|||0||web||
#1015|jan@example.jp|paid|2024-05-03 09:00:00 +0900|2024-05-05 09:00:00 +0900|no|4500|FIVE|500|2024-05-03 08:59:00 +0900|5|Tea|1000|T1|||0||web||
#1016|kim@example.jp|paid|2024-05-03 09:30:00 -0400||no|1000||0|2024-05-03 09:29:00 -0400|1|Tea|1000|T1|||0||web||
#1017|leo@example.jp|paid|2024-05-03 23:59:59 +0900||no|1000||0|2024-05-03 23:59:59 +0900|1|Tea|1000|T1|||0||875321||
#1018|mia@example.jp|paid|2024-05-04 00:00:00 +0900||no|500||0|2024-05-04 00:00:00 +0900|1|Cup / red|500||||0||web||
#1018|||||||||2024-05-04 00:00:00 +0900|1|Cup / blue|500||||||||
#1019|ann@example.jp|paid|2024-05-04 09:00:00 +0900||yes|1000||0|2024-05-04 09:00:00 +0900|1|Tea|1000|T1|||0||web||
#1020||paid|2024-05-04 10:00:00 +0900||no|500||0|2024-05-04 10:00:00 +0900|1|Cup|500|C1|||0|Ginza|pos||
#1021||paid|2024-05-04 10:05:00 +0900||no|1000||0|2024-05-04 10:05:00 +0900|2|Cup|500|C1|||500|Ginza|pos||
#1022|nao@example.jp|paid|2024-05-04 11:00:00 +0900|2024-05-04 18:00:00 +0900|yes|900||0|2024-05-04 11:00:00 +0900|1|Milk|900|M1|||0||web||
#1023|oto@example.jp|paid|2024-05-04 12:00:00 +0900||no|1800||0|2024-05-04 12:00:00 +0900|2|Milk|900|M1|||0||web||
#1024|pia@example.jp|paid|2024-05-04 13:00:00 +0900||no|700||0|2024-05-04 13:00:00 +0900|1|Pot|700|P1|||0||shopify_draft_order||
#1025|rei@example.jp|paid|2024-05-04 14:00:00 +0900||no|1000||0||1|Tea|1000|T1|||0||web||
"""
SOLD = """
#1001|email:ann@example.jp|2024-05-01 00:58:12|T1|2|2000||web
#1001|email:ann@example.jp|2024-05-01 00:58:12||0|-100||web
#1001|email:ann@example.jp|2024-05-01 00:58:12|C1|1|500||web
#1002|phone:+819012345678|2024-05-01 02:00:00|C1|1|500||store
#1004|order:#1004|2024-05-01 05:00:00|Pot|1|700||sales
#1005|email:cas@example.jp|2024-05-01 06:00:00|C1|1|500||web
#1005|email:cas@example.jp|2024-05-03 06:00:00|||-500|True|
#1006|email:dee@example.jp|2024-05-01 15:05:00|T1|3|3000||web
#1006|email:dee@example.jp|2024-05-01 15:05:00|||-1000|True|
#1007|email:ann@example.jp|2024-05-02 08:59:59|T1|1|1000||web
#1007|email:ann@example.jp|2024-05-02 08:59:59|C1|1|500||web
#1007|email:ann@example.jp|2024-05-02 08:59:59|S0|2|0||web
#1008|email:eve@example.jp|2024-05-02 01:00:00|M1|1|900||app
#1009|email:fay@example.jp|2024-05-02 01:29:00|M1|1|900||app
#1009|email:fay@example.jp|2024-05-02 01:29:00||0|-100||app
#1010|order:#1010|2024-05-02 02:00:00|T1|1|1000||store
#1010|order:#1010|2024-05-02 02:00:00|B0|1|0||store
#1011|phone:09098765432|2024-05-02 03:00:00|T1|1|1000||web
#1013|email:hal@example.jp|2024-05-02 05:00:00|SET|1|12500.5||web
#1014|email:ida@example.jp|2024-05-02 06:00:00|T1|1|1000||web
#1015|email:jan@example.jp|2024-05-02 23:59:00|T1|5|5000||web
#1015|email:jan@example.jp|2024-05-02 23:59:00||0|-500||web
#1016|email:kim@example.jp|2024-05-03 13:29:00|T1|1|1000||web
#1017|email:leo@example.jp|2024-05-03 14:59:59|T1|1|1000||web
#1018|email:mia@example.jp|2024-05-03 15:00:00|Cup / red|1|500||web
#1018|email:mia@example.jp|2024-05-03 15:00:00|Cup / blue|1|500||web
#1019|email:ann@example.jp|2024-05-04 00:00:00|T1|1|1000||web
#1020|order:#1020|2024-05-04 01:00:00|C1|1|500||store
#1021|order:#1021|2024-05-04 01:05:00|C1|2|1000||store
#1021|order:#1021|2024-05-04 01:05:00|||-500|True|
#1022|email:nao@example.jp|2024-05-04 02:00:00|M1|1|900||web
#1023|email:oto@example.jp|2024-05-04 03:00:00|M1|2|1800||web
#1024|email:pia@example.jp|2024-05-04 04:00:00|P1|1|700||sales
#1025|email:rei@example.jp||T1|1|1000||web
"""


def fill(header, table):
    """Return CSV with a whole header, of a table that has some of its columns."""
    rows = [line.split("|") for line in table.strip().splitlines()]
    names = header.split(",")
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {"Currency": "JPY", **dict(zip(rows[0], row, strict=True))} for row in rows[1:]
    )
    return out.getvalue()


def test_thirty_lines_of_shopify_from_documentation(tmp_path):
    given = fill(SHOPIFY, ITEMS)
    assert len(given.splitlines()) == 31 and len(SHOPIFY.split(",")) == 79
    found = Export(tmp_path, "shopify/orders", ("orders_export_1.csv", given))
    columns = ["order_id", "person_key", "ordered_at", "product_id", "quantity", "revenue"]
    assert sorted(found.show("orders", *columns, "is_return", "channel")) == sorted(lines(SOLD))
    assert found.ledger.filtered == {"cancelled": 2}
    kinds = found.frame("events")["event"].value_counts().to_dict()
    assert kinds == {"pay": 20, "ship_order": 5, "cancel_order": 1}
    unread = found.frame("orders").query("unreadable.notna()")
    assert unread["order_id"].tolist() == []


# HubSpot: the exports of its own interface. Times are of the portal and say no zone.

CONTACTS = """\
Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Associated Company,Lifecycle Stage,Lead Status,Original Source,Create Date,Last Activity Date,Last Modified Date,Unsubscribed from all email,Merged record IDs
51,花子,山田,Hanako@Example.jp,090-1234-5678,Ito,Acme,Lead,New,Organic search,2024-05-01 09:30,2024-05-02 10:00,2024-05-03 10:00,No,
52,Jiro,Sato,jiro@example.jp,,Ito,,Marketing Qualified Lead,,Paid social,2024-05-01 10:30,,2024-05-03 10:00,Yes,76340251:1661707291575;46897301:1661707931852
53,,,,,,,Customer,,Offline sources,2024-05-02 00:00,,,,
54,Ken,Abe,ken@example.jp,,Mori,Beta;Gamma,Sales Qualified Lead,In progress,Paid search,2024-05-02 08:05,,2024-05-02 08:05,No,
55,Lea,Bo,lea@example.jp,,,,Subscriber,,Email marketing,2024-05-02 08:06,,2024-05-02 08:06,No,
56,Mia,Co,mia@example.jp,,,,Opportunity,,Organic social,2024-05-02 23:59,,2024-05-03 00:00,false,
57,Nao,Da,nao@example.jp,,,,Evangelist,,Referrals,2024-05-03 00:00,,2024-05-03 00:00,true,
58,Oto,En,oto@example.jp,,,,Other,,Other campaigns,2024-05-03 09:00,,2024-05-03 09:00,,
59,Pia,Fu,pia@example.jp,,,,Lead,,Direct traffic,2024-05-03 09:01,,2024-05-03 09:01,No,
60,Rei,Go,,,,,Lead,,,2024-05-03 09:02,,,,
61,"Sue, Jr.",Ha,SUE@EXAMPLE.JP ,,,,Lead,,AI referrals,2024-05-03 09:03,,2024-05-03 09:03,Yes,
62,Tom,Ito,tom@example.jp,,,,Customer,,Organic search,2024-05-04 12:00,,2024-05-04 12:00,No,51990001:1700000000000
"""
PEOPLE = """
hubspot:51|2024-05-01 00:30:00|organic_search|Lead|New|
hubspot:52|2024-05-01 01:30:00|paid_social|MarketingQualifiedLead||
hubspot:52|||||2022-08-28 17:21:31.575000
hubspot:52|||||2022-08-28 17:32:11.852000
hubspot:53|2024-05-01 15:00:00|offline|Customer||
hubspot:54|2024-05-01 23:05:00|paid_search|SalesQualifiedLead|In progress|
hubspot:55|2024-05-01 23:06:00|email|Subscriber||
hubspot:56|2024-05-02 14:59:00|social|Opportunity||
hubspot:57|2024-05-02 15:00:00|referral|Evangelist||
hubspot:58|2024-05-03 00:00:00|other|Other||
hubspot:59|2024-05-03 00:01:00|direct|Lead||
hubspot:60|2024-05-03 00:02:00||Lead||
hubspot:61|2024-05-03 00:03:00|AI referrals|Lead||
hubspot:62|2024-05-04 03:00:00|organic_search|Customer||
hubspot:62|||||2023-11-14 22:13:20
"""
DEALS = """\
Record ID,Deal Name,Deal Stage,Pipeline,Amount,Close Date,Create Date,Deal owner,Associated Contact IDs,Associated Company IDs
9,A,Closed Won,Sales,"¥120,000",2024-05-09 18:00,2024-05-01 09:00,Ito,51;52,7
10,B,Closed lost,Sales,5000,2024-05-10 18:00,2024-05-02 09:00,Ito,53,
11,C,Appointment scheduled,Sales,,,2024-05-03 09:00,,,
12,D,Closed won,Sales,0,2024-05-11 00:00,2024-05-04 09:00,Mori,54,
13,E,Contract sent,Renewal,7000.5,2024-06-30 18:00,2024-05-05 09:00,Mori,55; 56,
14,F,受注,営業,300,2024-05-12 18:00,2024-05-06 09:00,Mori,57,
15,G,失注,営業,300,,2024-05-07 09:00,Mori,58,
16,"H ""big"" one",Closed Won,Sales,"1,000,000",2024-05-13 18:00,2024-05-08 09:00,Mori,59;60;61,7;8
"""
TICKETS = """\
Ticket ID,Create date,Close date,Source,Priority,Associated Contact IDs
7,2024-05-01 09:00,2024-05-02 09:00,Phone,High,51;52
8,2024-05-01 09:00,,Email,,53
9,2024-05-01 23:30,2024-05-02 00:30,Chat,Low,54
10,2024-05-02 09:00,,Form,,55
11,2024-05-02 10:00,2024-05-02 11:00,Phone,,
12,2024-05-02 11:00,,Phone,Medium,56
13,2024-05-03 11:00,2024-05-03 11:30,Email,Medium,57
14,2024-05-04 11:00,,Chat,Medium,58
15,2024-05-05 11:00,,Email,Medium,59
16,2024-05-06 11:00,,Email,Medium,60
"""


def test_thirty_rows_of_the_exports_of_hubspot_from_documentation(tmp_path):
    assert sum(len(text.splitlines()) - 1 for text in (CONTACTS, DEALS, TICKETS)) == 30
    found = Export(tmp_path / "c", "hubspot/contacts", ("contacts.csv", CONTACTS))
    columns = ["person_key", "signed_up_at", "acquired_channel", "lifecycle_stage", "lead_status"]
    assert sorted(found.show("customers", *columns, "merged_at")) == sorted(lines(PEOPLE))
    granted = dict(row.split("|") for row in found.show("consents", "person_key", "is_granted"))
    denied = {"52", "57", "61"}
    assert granted == {
        f"hubspot:{n}": str(str(n) not in denied) for n in (51, 52, 54, 55, 56, 57, 59, 61, 62)
    }
    assert ("hubspot:61", "email:sue@example.jp") in found.edges()
    assert {b for a, b in found.edges() if b.startswith("hubspot")} == {
        "hubspot:76340251",
        "hubspot:46897301",
        "hubspot:51990001",
    }

    found = Export(tmp_path / "d", "hubspot/deals", ("deals.csv", DEALS))
    assert found.show("orders", "order_id", "person_key", "ordered_at", "revenue") == lines("""
        9|hubspot:51|2024-05-09 09:00:00|120000
        12|hubspot:54|2024-05-10 15:00:00|0
        14|hubspot:57|2024-05-12 09:00:00|300
        16|hubspot:59|2024-05-13 09:00:00|1000000
    """)
    assert found.show("events", "event", "person_key", "occurred_at", "ref_id") == lines("""
        create_deal|hubspot:51|2024-05-01 00:00:00|9
        create_deal|hubspot:52|2024-05-01 00:00:00|9
        create_deal|hubspot:53|2024-05-02 00:00:00|10
        lose_deal|hubspot:53|2024-05-10 09:00:00|10
        create_deal|hubspot:54|2024-05-04 00:00:00|12
        create_deal|hubspot:55|2024-05-05 00:00:00|13
        create_deal|hubspot:56|2024-05-05 00:00:00|13
        create_deal|hubspot:57|2024-05-06 00:00:00|14
        create_deal|hubspot:58|2024-05-07 00:00:00|15
        create_deal|hubspot:59|2024-05-08 00:00:00|16
        create_deal|hubspot:60|2024-05-08 00:00:00|16
        create_deal|hubspot:61|2024-05-08 00:00:00|16
    """)
    assert found.ledger.filtered == {"no_row": 1}

    found = Export(tmp_path / "t", "hubspot/tickets", ("tickets.csv", TICKETS))
    assert found.show("events", "event", "person_key", "occurred_at", "channel") == lines("""
        contact_support|hubspot:51|2024-05-01 00:00:00|call_center
        solve_case|hubspot:51|2024-05-02 00:00:00|
        contact_support|hubspot:53|2024-05-01 00:00:00|email
        contact_support|hubspot:54|2024-05-01 14:30:00|chat
        solve_case|hubspot:54|2024-05-01 15:30:00|
        contact_support|hubspot:55|2024-05-02 00:00:00|web
        contact_support||2024-05-02 01:00:00|call_center
        solve_case||2024-05-02 02:00:00|
        contact_support|hubspot:56|2024-05-02 02:00:00|call_center
        contact_support|hubspot:57|2024-05-03 02:00:00|email
        solve_case|hubspot:57|2024-05-03 02:30:00|
        contact_support|hubspot:58|2024-05-04 02:00:00|chat
        contact_support|hubspot:59|2024-05-05 02:00:00|email
        contact_support|hubspot:60|2024-05-06 02:00:00|email
    """)


# Zoho: bulk reads (API names, times with their zone) and exports of the interface (labels).

LEADS = """\
Id;First_Name;Last_Name;Email;Phone;Mobile;Company;Lead_Source;Lead_Status;Email_Opt_Out;Converted__s;Converted_Date_Time;Created_Time;Modified_Time;Owner
4150868000000624001;Ann;A;Ann@Example.jp;03-1234-5678;;Acme;Web;Open;false;false;;2024-05-01T09:00:00+09:00;2024-06-01T09:00:00+09:00;O1
4150868000000624002;Bob;B;bob@example.jp;;;Beta;Partner;Open;true;false;;2024-05-02T09:00:00+00:00;2024-06-01T09:00:00+09:00;O1
4150868000000624003;Cas;C;;;090-1111-2222;Gamma;;Contacted;false;true;2024-05-30T09:00:00+09:00;2024-05-03T09:00:00-04:00;2024-06-01T09:00:00+09:00;O2
4150868000000624004;"D; ""dee"" o";D;dee@example.jp;;;"Delta; Inc.";Trade Show;Lost;;false;;2024-05-04T23:59:59+09:00;;O2
4150868000000624005;;E;e@example.jp;;;E;Advertisement;Open;false;false;;2024-05-05T00:00:00+09:00;2024-06-01T09:00:00+09:00;
"""
LABELLED_LEADS = """\
Record Id,First Name,Last Name,Email,Company,Lead Source,Lead Status,Email Opt Out,Created Time,Lead Owner.id
zcrm_4150868000000624006,Fay,F,fay@example.jp,Phi,Web,Open,true,2024-05-06 09:00,zcrm_1
zcrm_4150868000000624007,Gus,G,gus@example.jp,Gamma,Partner,Open,false,2024-05-06 23:30,zcrm_1
"""
ZOHO_CONTACTS = """\
Id,First_Name,Last_Name,Email,Phone,Account_Name,Lead_Source,Mailing_City,Email_Opt_Out,Created_Time
41,Ann,A,ann@example.jp,,Acme,Web,Tokyo,false,2024-05-01T09:00:00+09:00
42,Bob,B,bob@example.jp,,Beta,,Osaka,TRUE,2024-05-01T10:00:00+09:00
43,Cas,C,,,,Partner,,,2024-05-01T11:00:00Z
"""
LABELLED_CONTACTS = """\
Record Id,Last Name,Email,Account Name,Lead Source,Mailing City,Email Opt Out,Created Time
zcrm_44,山田,yamada@example.jp,Acme,Web,東京,false,2024-05-01 09:00
zcrm_45,佐藤,sato@example.jp,,,大阪,true,2024-05-02 09:00
"""
ZOHO_DEALS = """\
Id|Deal_Name|Stage|Amount|Closing_Date|Contact_Name.id|Account_Name.id|Pipeline|Probability|Campaign_Source|Created_Time|Owner
91|A|Qualification|1000|2024-05-31|41|7|Standard|10|X|2024-05-01T09:00:00+09:00|O
92|B|Closed Won|2000.5|2024-05-12|42|7|Standard|100||2024-05-02T09:00:00+09:00|O
93|C|Closed Lost|3000|2024-05-13|43|7|Standard|0||2024-05-03T09:00:00+09:00|O
94|D|Closed Lost to Competition|4000|2024-05-14|44||Standard|0||2024-05-04T09:00:00+09:00|O
95|E|受注|5000|2024-05-15|45||Standard|100||2024-05-05T09:00:00+09:00|O
96|F|失注||2024-05-16|||Standard|0||2024-05-06T09:00:00+09:00|O
"""
LABELLED_DEALS = """\
Record Id,Deal Name,Stage,Amount,Closing Date,Contact Name.id,Created Time,Deal Owner.id
zcrm_97,G,Closed Won,5,2024-05-01,zcrm_41,2024-05-01 09:00,zcrm_2
zcrm_98,H,Negotiation,6,2024-06-01,zcrm_42,2024-05-01 10:00,zcrm_2
"""
ZOHO_CALLS = """\
Id,Subject,Call_Type,Call_Start_Time,Call_Duration,Call_Duration_in_seconds,Call_Result,Who_Id,What_Id,$se_module
1,a,Outbound,2024-05-01T09:00:00+09:00,02:05,125,Interested,41,,Contacts
2,b,Inbound,2024-05-01T10:00:00+09:00,01:00,,,41,,Contacts
3,c,Missed,2024-05-01T11:00:00+09:00,,,,42,,
4,d,Outbound,2024-05-01T11:00:00+09:00,,,,,7,Accounts
5,e,Outbound,2024-05-01T12:00:00-04:00,1:00:01,,No response,zcrm_43,,Leads
6,f,Inbound,2024-05-01T13:00:00+09:00,00:00,0,,44,,Contacts
"""
ZOHO_NOTES = """\
Id,Note_Title,Note_Content,Parent_Id,$se_module,Created_Time
1,a,"Wants a quote,
soon",41,Contacts,2024-05-01T09:00:00+09:00
2,a,b,77,Deals,2024-05-01T09:00:00+09:00
3,,c,42,Leads,2024-05-02T09:00:00+09:00
4,,d,43,,2024-05-03T09:00:00+09:00
5,,e,88,Accounts,2024-05-03T09:00:00+09:00
"""
ZOHO_TASKS = """\
Id,Subject,Due_Date,Status,Closed_Time,Created_Time,Who_Id,What_Id,Owner
1,a,2024-05-01,Completed,2024-05-03T09:30:00+09:00,2024-04-01T09:00:00+09:00,41,,O1
2,b,2024-05-02,Completed,,2024-04-01T09:00:00+09:00,42,,O1
3,c,,Completed,,2024-04-02T23:00:00-04:00,43,,
4,d,2024-05-09,Not Started,,2024-04-01T09:00:00+09:00,44,,O1
5,e,2024-05-02,Completed,,2024-04-01T09:00:00+09:00,,7,O1
6,f,2024-05-04,,,2024-04-01T09:00:00+09:00,zcrm_45,,O1
"""
LABELLED_TASKS = """\
Record Id;Subject;Due Date;Status;Contact Name.id;Task Owner.id
zcrm_7;"a; b";2024-05-05;完了;zcrm_41;zcrm_2
zcrm_8;b;2024-05-05;Deferred;zcrm_41;zcrm_2
"""
ZOHO_EVENTS = """\
Id,Event_Title,Start_DateTime,End_DateTime,Who_Id,Participants
1,a,2024-05-01T09:00:00+09:00,2024-05-01T10:30:00+09:00,41,
2,b,2024-05-01T23:30:00-04:00,2024-05-02T00:00:00-04:00,zcrm_42,"[{""participant"":""x@example.jp""}]"
3,c,2024-05-02T09:00:00Z,,43,
4,d,2024-05-02T10:00:00Z,2024-05-02T11:00:00Z,,"[{""participant"":""staff@example.jp""}]"
"""
LABELLED_EVENTS = """\
Record Id,Title,From,To,Contact Name.id,Host
zcrm_5,e,2024-05-03 09:00,2024-05-03 09:15,zcrm_41,Sato
"""
ZOHO_STAGES = """\
Stage|Amount|Modified_Time|Parent_Id
Qualification|1000|2024-05-01T09:00:00+09:00|91
Proposal|1200.5|2024-05-03T09:00:00+09:00|91
Closed Won||2024-05-12T00:00:00Z|zcrm_92
Proposal|5|2024-05-12T00:00:00Z|
"""
LABELLED_STAGES = """\
Deal Name.id,Deal Name,Stage,Amount,Modified Time
zcrm_97,G,交渉,"¥5,000",2024-05-01 09:00
"""
ZOHO_SHOWN = {
    "customers": ["person_key", "acquired_channel", "signed_up_at"],
    "consents": ["person_key", "is_granted"],
    "orders": ["order_id", "person_key", "ordered_at", "revenue"],
    "events": ["event", "person_key", "occurred_at", "ref_id", "direction", "duration_seconds"],
}


def test_thirty_rows_of_zoho_from_documentation(tmp_path):
    def show(mapping, table, *texts):
        rows = []
        for number, text in enumerate(texts):
            folder = tmp_path / mapping / table / str(number)
            found = Export(folder, f"zoho/{mapping}", ("z.csv", text))
            present = found.frame(table).columns
            rows += found.show(table, *(name for name in ZOHO_SHOWN[table] if name in present))
        return rows

    assert show("leads", "customers", LEADS, LABELLED_LEADS) == lines("""
        zoho:4150868000000624001|Web|2024-05-01 00:00:00
        zoho:4150868000000624002|Partner|2024-05-02 09:00:00
        zoho:4150868000000624003||2024-05-03 13:00:00
        zoho:4150868000000624004|Trade Show|2024-05-04 14:59:59
        zoho:4150868000000624005|Advertisement|2024-05-04 15:00:00
        zoho:4150868000000624006|Web|2024-05-06 00:00:00
        zoho:4150868000000624007|Partner|2024-05-06 14:30:00
    """)
    assert show("leads", "consents", LEADS, LABELLED_LEADS) == lines("""
        zoho:4150868000000624001|True
        zoho:4150868000000624002|False
        zoho:4150868000000624003|True
        zoho:4150868000000624005|True
        zoho:4150868000000624006|False
        zoho:4150868000000624007|True
    """)
    converted = [row for row in show("leads", "events", LEADS) if row.startswith("convert")]
    assert converted == [
        "convert_lead|zoho:4150868000000624003|2024-05-30 00:00:00|4150868000000624003"
    ]
    assert show("contacts", "customers", ZOHO_CONTACTS, LABELLED_CONTACTS) == lines("""
        zoho:41|Web|2024-05-01 00:00:00
        zoho:42||2024-05-01 01:00:00
        zoho:43|Partner|2024-05-01 11:00:00
        zoho:44|Web|2024-05-01 00:00:00
        zoho:45||2024-05-02 00:00:00
    """)
    assert show("contacts", "consents", ZOHO_CONTACTS, LABELLED_CONTACTS) == lines("""
        zoho:41|True
        zoho:42|False
        zoho:44|True
        zoho:45|False
    """)
    assert show("deals", "orders", ZOHO_DEALS, LABELLED_DEALS) == lines("""
        92|zoho:42|2024-05-11 15:00:00|2000.5
        95|zoho:45|2024-05-14 15:00:00|5000
        97|zoho:41|2024-04-30 15:00:00|5
    """)
    assert show("deals", "events", ZOHO_DEALS, LABELLED_DEALS) == lines("""
        create_deal|zoho:41|2024-05-01 00:00:00|91
        create_deal|zoho:42|2024-05-02 00:00:00|92
        create_deal|zoho:43|2024-05-03 00:00:00|93
        lose_deal|zoho:43|2024-05-12 15:00:00|93
        create_deal|zoho:44|2024-05-04 00:00:00|94
        lose_deal|zoho:44|2024-05-13 15:00:00|94
        create_deal|zoho:45|2024-05-05 00:00:00|95
        create_deal|zoho_deal:96|2024-05-06 00:00:00|96
        lose_deal|zoho_deal:96|2024-05-15 15:00:00|96
        create_deal|zoho:41|2024-05-01 00:00:00|97
        create_deal|zoho:42|2024-05-01 01:00:00|98
    """)
    assert show("calls", "events", ZOHO_CALLS) == lines("""
        call|zoho:41|2024-05-01 00:00:00|1|outbound|125
        call|zoho:41|2024-05-01 01:00:00|2|inbound|60
        miss_call|zoho:42|2024-05-01 02:00:00|3|inbound|
        call|zoho:43|2024-05-01 16:00:00|5|outbound|3601
        call|zoho:44|2024-05-01 04:00:00|6|inbound|0
    """)
    assert show("notes", "events", ZOHO_NOTES) == lines("""
        write_note|zoho:41|2024-05-01 00:00:00|1
        write_note|zoho:42|2024-05-02 00:00:00|3
        write_note|zoho:43|2024-05-03 00:00:00|4
    """)


def test_tasks_meetings_and_stages_of_zoho_from_documentation(tmp_path):
    def show(name, columns, *texts):
        found = [
            Export(tmp_path / name / str(number), f"zoho/{name}", ("z.csv", text))
            for number, text in enumerate(texts)
        ]
        return [row for each in found for row in each.show("events", *columns.split())], [
            dict(each.ledger.filtered) for each in found
        ]

    columns = "event person_key occurred_at time_precision ref_id staff_id"
    rows, filtered = show("tasks", columns, ZOHO_TASKS, LABELLED_TASKS)
    assert rows == lines("""
        do_task|zoho:41|2024-05-03 00:30:00|second|1|O1
        do_task|zoho:42|2024-05-01 15:00:00|day|2|O1
        do_task|zoho:43|2024-04-03 03:00:00|second|3|
        do_task|zoho:45|2024-05-03 15:00:00|day|6|O1
        do_task|zoho:41|2024-05-04 15:00:00|day|7|zcrm_2
    """)
    assert filtered == [{"not_done": 1, "without_person": 1}, {"not_done": 1}]
    columns = "event person_key occurred_at duration_seconds ref_id staff_id"
    rows, filtered = show("events", columns, ZOHO_EVENTS, LABELLED_EVENTS)
    assert rows == lines("""
        meet|zoho:41|2024-05-01 00:00:00|5400|1|
        meet|zoho:42|2024-05-02 03:30:00|1800|2|
        meet|zoho:43|2024-05-02 09:00:00||3|
        meet|zoho:41|2024-05-03 00:00:00|900|5|Sato
    """)
    assert filtered == [{"without_person": 1}, {}]
    columns = "person_key occurred_at ref_id x_deal_stage x_amount"
    rows, filtered = show("stage_history", columns, ZOHO_STAGES, LABELLED_STAGES)
    assert rows == lines("""
        zoho_deal:91|2024-05-01 00:00:00|91|Qualification|1000
        zoho_deal:91|2024-05-03 00:00:00|91|Proposal|1200.5
        zoho_deal:92|2024-05-12 00:00:00|92|Closed Won|
        zoho_deal:97|2024-05-01 00:00:00|97|交渉|5000
    """)
    assert filtered == [{"without_deal": 1}, {}]
    deals = Export(tmp_path / "deals", "zoho/deals", ("z.csv", ZOHO_DEALS))
    assert ("zoho:41", "zoho_deal:91") in deals.edges()  # which leads a stage to its person
