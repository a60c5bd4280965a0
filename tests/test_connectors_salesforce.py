# ruff: noqa: E501  (exports stand as they are written)
"""Salesforce: Data Loader extracts and NPSP records as they are; the rest from documentation."""

import csv

from exports import Export, lines, native

OPPORTUNITIES = """
    1YtCr won  1YtCs won  1YtCt open 1YtwJ open 1YtwK open 1YtwL open 1YtwM open 1YtwN open
    1YtwO open 1YuG5 won  1YuG6 won  1YuG7 open 1YuG8 open 1YuNy open 1YuNz open 1YuO0 open
    1YuO1 open 1YuO2 open 1YuTS won  1YuTT won  1YuTU open 1YuTV open 1YuTW open 1YuTX open
    1YuTY open 1YuTZ open 1YuTa open 1YuTb open 1YuTc open 1YuTd won  1YuTe won  1YuTf open
    1YuTg open 1YuTh open 1YuTi open 1YuTj open 1YuTk open 1YuTl open
"""


def test_the_opportunities_of_data_loader(tmp_path):
    found = Export(
        tmp_path, "salesforce/opportunities", "salesforce/dataloader_opportunityData.csv"
    )
    told = OPPORTUNITIES.split()
    kept = dict(zip(told[::2], told[1::2], strict=True))
    events = found.frame("events")
    created = events[events["event"] == "create_opportunity"]
    assert [ref[10:15] for ref in created["ref_id"]] == list(kept)
    assert (created["person_key"] == "opportunity:" + created["ref_id"].str[:15]).all()
    assert created["occurred_at"].dt.strftime("%H:%M:%S").tolist()[:9] == [
        *("20:47:07", "20:47:09", "20:47:09", "20:47:09", "20:47:09"),
        *("20:47:09", "20:47:09", "20:47:10", "20:47:10"),
    ]
    amounts = [500, 50, 140, 100, 40, 200, 500, 20, None]
    assert [None if a != a else a / 1000 for a in created["x_amount"][:9]] == amounts
    won = events[events["event"] == "win_opportunity"]
    assert [ref[10:15] for ref in won["ref_id"]] == [k for k, fate in kept.items() if fate == "won"]
    assert set(won["time_precision"]) == {"day"}
    orders = found.show("orders", "order_id", "ordered_at", "revenue", "channel", "unreadable")
    assert [line[:15] + line[18:] for line in orders] == [
        f"006x000000{key}|2005-11-08 15:00:00|{amount}|sales|"
        for key, amount in zip(
            [k for k, fate in kept.items() if fate == "won"], [500000, 50000] * 4, strict=True
        )
    ]
    assert (found.ledger.read, found.ledger.mapped) == (38, 38)


def test_the_contacts_and_members_of_npsp(tmp_path):
    contacts = Export(tmp_path / "c", "salesforce/contacts", "salesforce/npsp_Contact.csv")
    shown = contacts.show("customers", "person_key", "account", "title", "signed_up_at")
    assert shown[:4] == lines("""
        salesforce:1|60||
        salesforce:2|141|Senior Editor|
        salesforce:3|142||
        salesforce:4|143||
    """)
    assert len(shown) == 102 == contacts.ledger.mapped
    assert ("salesforce:2", "email:jwarren26@linkedin.com") in contacts.edges()
    members = Export(
        tmp_path / "m", "salesforce/campaign_members", "salesforce/npsp_CampaignMember.csv"
    )
    assert members.ledger.filtered == {"no_row": 120}  # they say no time


def test_the_opportunities_of_npsp(tmp_path):
    mapping = {
        "like": "salesforce/opportunities",
        "row": [
            {
                "table": "orders",
                "when": {"column": "StageName", "is": ["Closed Won"]},
                "columns": {
                    "order_id": "Id",
                    "ordered_at": {"column": "CloseDate", "time": "iso"},
                    "revenue": "Amount",
                },
            }
        ],
    }
    found = Export(tmp_path, mapping, "salesforce/npsp_Opportunity.csv")
    with native("salesforce/npsp_Opportunity.csv").open() as file:
        won = [row for row in csv.DictReader(file) if row["stage_name"] == "Closed Won"]
    assert len(won) == 117
    assert found.show("orders", "order_id", "revenue", "person_key") == [
        f"{row['id']}|{float(row['amount']):g}|salesforce:{row['Primary_Contact__c']}"
        if row["Primary_Contact__c"]
        else f"{row['id']}|{float(row['amount']):g}|opportunity:{row['id']}"
        for row in won
    ]


CONTACTS = """\
ID,ISDELETED,MASTERRECORDID,FIRSTNAME,LASTNAME,EMAIL,LEADSOURCE,HASOPTEDOUTOFEMAIL,CREATEDDATE,SYSTEMMODSTAMP
"003x0000001AAAaAAO","false","","花子","山田","Hanako@Example.jp","Web","false","2024-05-01T09:00:00.000Z","2024-05-02T09:00:00.000Z"
"003x0000001AAAb","false","","Jiro","Sato","jiro@example.jp","Phone Inquiry","true","2024-05-01T10:00:00.000Z","2024-05-03T09:00:00.000Z"
"003x0000001AAAcAAO","true","003x0000001AAAbAAO","J","Sato","","Other","false","2024-05-01T11:00:00.000Z","2024-05-03T09:00:00.000Z"
"003x0000001AAAdAAO","true","","","","x@example.jp","","false","2024-05-01T12:00:00.000Z","2024-05-03T09:00:00.000Z"
"003x0000001AAAeAAO　 　","false","","","","#N/A","#N/A","false","2024-05-01T13:00:00.000Z","2024-05-03T09:00:00.000Z"
"""


def test_contacts_from_documentation(tmp_path):
    found = Export(tmp_path, "salesforce/contacts", ("c.csv", CONTACTS))
    assert found.show("customers", "person_key", "acquired_channel", "accepts_email") == lines("""
        salesforce:003x0000001AAAa|web|true
        salesforce:003x0000001AAAb|call_center|false
        salesforce:003x0000001AAAc|Other|true
        salesforce:003x0000001AAAe||true
    """)
    assert ("salesforce:003x0000001AAAc", "salesforce:003x0000001AAAb") in found.edges()
    assert found.show("consents", "purpose", "is_granted", "given_at") == lines("""
        marketing|True|2024-05-02 09:00:00
        marketing|False|2024-05-03 09:00:00
        marketing|True|2024-05-03 09:00:00
        marketing|True|2024-05-03 09:00:00
    """)
    assert found.ledger.filtered == {"deleted": 1}
    assert len(found.frame("events")) == 4


LEADS = """\
Id,Company,Email,Status,LeadSource,IsConverted,ConvertedDate,ConvertedContactId,CreatedDate
00Qx0000001AAAa,Acme,hanako@example.jp,Closed - Converted,Web,true,2024-05-03,003x0000001AAAaAAO,2024-05-01T09:00:00.000Z
00Qx0000001AAAb,Beta,,Open,Trade Show,false,,,2024-05-01T09:00:00.000+0000
"""


def test_leads_from_documentation(tmp_path):
    found = Export(tmp_path, "salesforce/leads", ("l.csv", LEADS))
    assert found.show("events", "event", "occurred_at", "time_precision", "person_key") == lines("""
        create_lead|2024-05-01 09:00:00|second|salesforce:00Qx0000001AAAa
        convert_lead|2024-05-02 15:00:00|day|salesforce:00Qx0000001AAAa
        create_lead|2024-05-01 09:00:00|second|salesforce:00Qx0000001AAAb
    """)
    assert ("salesforce:00Qx0000001AAAa", "salesforce:003x0000001AAAa") in found.edges()
    assert found.show("customers", "acquired_channel", "company") == ["web|Acme", "trade_show|Beta"]


ROLES = """\
OpportunityId,ContactId,Role,IsPrimary
006x0000001AAAaAAO,003x0000001AAAaAAO,Decision Maker,true
006x0000001AAAa,003x0000001AAAbAAO,Influencer,false
"""
HISTORY = """\
OpportunityId;Field;OldValue;NewValue;CreatedDate
006x0000001AAAaAAO;StageName;Prospecting;Closed Won;2024-05-01T09:00:00.000Z
006x0000001AAAaAAO;Amount;1;2;2024-05-01T09:00:00.000Z
"""
CAMPAIGNS = """\
Id,Name,Type,StartDate,ActualCost,CurrencyIsoCode
701x0000001AAAaAAO,May,Email,2024-05-01,"120000.0",JPY
701x0000001AAAbAAO,June,Road Show,2024-06-01,1,JPY
701x0000001AAAcAAO,July,Email,2024-07-01,,JPY
"""
MEMBERS = """\
Id,CampaignId,ContactId,LeadId,Status,HasResponded,FirstRespondedDate,CreatedDate
00vx1,701x1,003x0000001AAAaAAO,,Responded,true,2024-05-04,2024-05-01T09:00:00.000Z
00vx2,701x1,,00Qx0000001AAAbAAO,Sent,false,,2024-05-01T09:00:00.000Z
00vx3,701x1,003x0000001AAAaAAO,00Qx0000001AAAaAAO,Sent,false,,2024-05-01T09:00:00.000Z
"""
TASKS = """\
Id,WhoId,WhatId,Subject,ActivityDate,Status,TaskSubtype,CallType,CallDurationInSeconds,IsClosed,CreatedDate
00T1,003x0000001AAAaAAO,006x0000001AAAaAAO,Call,2024-05-01,Completed,Call,Outbound,125,true,2024-04-30T09:00:00.000Z
00T2,00Qx0000001AAAbAAO,,Mail,2024-05-01,Completed,Email,,,true,2024-04-30T09:00:00.000Z
00T3,,006x0000001AAAaAAO,Plan,,Completed,Task,,,true,2024-04-30T09:00:00.000Z
00T4,003x0000001AAAaAAO,,Later,2024-06-01,Open,Task,,,false,2024-04-30T09:00:00.000Z
00T5,,001x0000001AAAaAAO,Account,2024-05-01,Completed,Task,,,true,2024-04-30T09:00:00.000Z
00T6,003x0000001AAAaAAO,,In,2024-05-02,Completed,Call,Inbound,,true,2024-04-30T09:00:00.000Z
"""
MEETINGS = """\
Id,WhoId,StartDateTime,EndDateTime,Type
00U1,003x0000001AAAaAAO,2024-05-01T09:00:00.000Z,2024-05-01T09:45:00.000Z,Demo
"""
CASES = """\
Id,CaseNumber,ContactId,SuppliedEmail,Status,Priority,Origin,Reason,IsEscalated,CreatedDate,ClosedDate
500x1,00001001,003x0000001AAAaAAO,,Closed,High,Phone,Delivery,true,2024-05-01T09:00:00.000Z,2024-05-02T09:00:00.000Z
500x2,00001002,,Guest@Example.jp,New,Low,Twitter,,false,2024-05-01T10:00:00.000Z,
"""


def test_activities_from_documentation(tmp_path):
    def show(mapping, content, *columns, table="events"):
        return Export(tmp_path / mapping, f"salesforce/{mapping}", ("a.csv", content)).show(
            table, *columns
        )

    roles = Export(tmp_path / "r", "salesforce/opportunity_contact_roles", ("r.csv", ROLES))
    assert roles.edges() == [("salesforce:003x0000001AAAa", "opportunity:006x0000001AAAa")]
    assert roles.ledger.filtered == {"not_primary": 1}
    assert show("opportunity_history", HISTORY, "x_stage_before", "x_stage_name") == [
        "Prospecting|Closed Won"
    ]
    assert show("campaigns", CAMPAIGNS, "channel", "spent_on", "cost", table="costs") == lines("""
        email|2024-05-01 00:00:00|120000
        Road Show|2024-06-01 00:00:00|1
    """)
    assert show("campaign_members", MEMBERS, "event", "occurred_at", "person_key") == lines("""
        join_campaign|2024-05-01 09:00:00|salesforce:003x0000001AAAa
        respond_to_campaign|2024-05-03 15:00:00|salesforce:003x0000001AAAa
        join_campaign|2024-05-01 09:00:00|salesforce:00Qx0000001AAAb
        join_campaign|2024-05-01 09:00:00|salesforce:003x0000001AAAa
    """)
    columns = ["event", "occurred_at", "person_key", "direction", "duration_seconds"]
    assert show("tasks", TASKS, *columns) == lines("""
        call|2024-04-30 15:00:00|salesforce:003x0000001AAAa|outbound|125
        send_email|2024-04-30 15:00:00|salesforce:00Qx0000001AAAb||
        do_task|2024-04-30 09:00:00|opportunity:006x0000001AAAa||
        call|2024-05-01 15:00:00|salesforce:003x0000001AAAa|inbound|
    """)
    assert show("events", MEETINGS, "event", "duration_seconds") == ["meet|2700"]
    assert show("cases", CASES, "event", "channel", "person_key", "x_is_escalated") == lines("""
        contact_support|call_center|salesforce:003x0000001AAAa|True
        solve_case|call_center|salesforce:003x0000001AAAa|
        contact_support|Twitter|email:guest@example.jp|False
    """)
