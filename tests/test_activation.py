"""What goes out to other systems: each target's file row by row, and who is in none."""

import json

import pytest
from audience_shop import read_manifest, write_shop

from cjkit.activation import activate, plan, read_target
from cjkit.activation.targets import Limits
from cjkit.checks import CjkitError
from cjkit.project import read_project

AS_OF = "2026-02-01"
ACTIVATION = """
[activation]
quiet = { within = "7D" }
[activation.csv]
id = "mail"
[activation.csv.columns]
tier = "tier"
points = "points"
first = { private = "first" }
last = { private = "last" }
tel = { id = "tel" }
[activation.hubspot]
id = "mail"
[activation.hubspot.columns]
"Last Name" = { private = "last" }
"Phone Number" = { id = "tel" }
"Lead Status" = { value = "NEW" }
[activation.marketo]
id = "mail"
columns = { firstName = { private = "first" }, tier = "tier" }
[activation.contacts]
target = "salesforce_campaign_members"
id = "sf"
columns = { CampaignId = { value = "701000000000001AAA" }, Status = { value = "Sent" } }
[activation.leads]
target = "salesforce_campaign_members"
id = "sf"
id_column = "LeadId"
columns = { CampaignId = { value = "701000000000001AAA" } }
[activation.google_customer_match]
id = "mail"
[activation.google_customer_match.columns]
Phone = { id = "tel" }
"First Name" = { private = "first" }
"Last Name" = { private = "last" }
Country = { value = "jp" }
Zip = { private = "zip" }
[activation.meta_custom_audience]
id = "mail"
[activation.meta_custom_audience.columns]
phone = { id = "tel" }
fn = { private = "first" }
zip = { private = "zip" }
country = { value = "JP" }
extern_id = { id = "login" }
[activation.personalize_interactions]
id = "login"
events = { view = "View", add = "Cart", purchase = "Purchase" }
columns = { DEVICE = "device" }
[activation.personalize_users]
id = "login"
columns = { TIER = "tier", POINTS = "points" }
[activation.personalize_items]
[activation.adobe_profiles]
id = "login"
columns = { "loyalty tier" = "tier", name = { private = "last" } }
[activation.adobe_recommendations]
columns = { "entity.name" = "x_name", "entity.brand" = { value = 'Tiny, "真"' } }
[activation.algolia_events]
id = "login"
columns = { index = { value = "products" } }
events = { view = "view", add = "addToCart", purchase = "purchase" }
"""
EXPECTED = {
    "csv": """\
id,tier,points,first,last,tel
ann.lee@example.com,gold,12.5,Ann,Lee,+819012345678
fay@x.jp,'@gold,-5,'=1+1,"Fay, ""O""\",+81312345678
gus@x.jp,,,楽,,
""",
    "hubspot": """\
Email,Last Name,Phone Number,Lead Status
ann.lee@example.com,Lee,+819012345678,NEW
fay@x.jp,"Fay, ""O""\",+81312345678,NEW
gus@x.jp,,,NEW
""",
    "marketo": """\
email,firstName,tier
ann.lee@example.com,Ann,gold
fay@x.jp,'=1+1,'@gold
gus@x.jp,楽,
""",
    "contacts": """\
ContactId,CampaignId,Status
003000000000001AAA,701000000000001AAA,Sent
003000000000006AAA,701000000000001AAA,Sent
""",
    "leads": """\
LeadId,CampaignId
00Q000000000004AAA,701000000000001AAA
""",
    "personalize_interactions": """\
USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP,DEVICE
ann,p1,Cart,,1768006860,iphone
ann,p1,Purchase,2000,1768010400,
ann,p1,View,,1767315600,iphone
ann,p1,View,,1768006800,iphone
ann,p2,Purchase,500.5,1768010400,
fay,p3,View,,1768179600,desktop
""",
    "personalize_users": """\
USER_ID,TIER,POINTS
ann,gold,12.5
dee,gold,7
eve,silver,1
fay,@gold,-5
gus+1/x,,
""",
    "personalize_items": """\
ITEM_ID,PRICE,CATEGORY_L1,CREATION_TIMESTAMP
p1,1000,lamp,1767315600
p2,900,rug,1768010400
""",
    "adobe_profiles": """\
batch=thirdPartyId,loyalty%20tier,name
ann,gold,Lee
dee,gold,
eve,silver,
fay,%40gold,Fay%2C%20%22O%22
""",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = write_shop(tmp_path_factory.mktemp("shop"), ACTIVATION)
    return read_project(path)


@pytest.fixture
def lenient(monkeypatch):
    """Let targets take fewer rows than their systems do."""
    monkeypatch.setattr(
        plan, "read_target", lambda name: read_target(name).model_copy(update={"limits": Limits()})
    )


def content(shop, name, **options):
    done = activate(shop, name, as_of=AS_OF, **options)
    return done, [path.read_text("utf-8") for path in done.files]


def in_order(text):
    """Return the text with its rows in order: customers stand in that of their ids."""
    head, *rows = text.splitlines(keepends=True)
    return "".join([head, *sorted(rows)])


@pytest.mark.parametrize("name", EXPECTED)
def test_each_row_is_as_written_by_hand(shop, lenient, name):
    done, (text,) = content(shop, name)
    assert in_order(text) == EXPECTED[name]
    assert done.rows == EXPECTED[name].count("\n") - 1


def test_the_counts_name_every_reason_and_add_up(shop):
    done, _ = content(shop, "csv")
    assert done.counts == {
        "chosen": 8,  # ann to gus, and a visitor whom nobody knows
        "without_consent": 3,  # bob denied under his mail, cas was never asked, nor the visitor
        "without_id": 1,  # dee
        "unfit_id": 0,
        "recently_contacted": 1,  # eve, just within seven days; fay was just before
        "held_out": 0,
        "written": 3,
    }
    assert "8" in done.finding("en")
    assert "3人をファイルに" in done.finding("ja")
    found = read_manifest(shop.folder, "csv")
    assert found["people"] == done.counts
    assert found["files"][0]["rows"] == 3


def test_an_id_that_the_target_refuses_is_unfit(shop):
    done, _ = content(shop, "adobe_profiles")  # gus+1/x
    assert done.counts["unfit_id"] == 1
    done, _ = content(shop, "contacts")  # dee is a lead
    assert (done.counts["unfit_id"], done.counts["without_id"]) == (1, 2)


def test_the_feed_of_products_keeps_its_marks(shop):
    done, (text,) = content(shop, "adobe_recommendations")
    head, marked, *rows = text.splitlines()
    assert head.startswith("## RECS")
    assert marked.startswith("## RECS''## RECS''")
    assert rows[0] == "## RECSentity.id,entity.name,entity.categoryId,entity.value,entity.brand"
    assert rows[1:] == [
        'p1,Lamp,lamp,1000,"Tiny, ""真"""',
        'p2,Rug,rug,900,"Tiny, ""真"""',
        'p3,,,,"Tiny, ""真"""',
    ]
    assert done.table.empty
    assert done.rows == 3
    assert "3 rows" in done.finding("en")


def test_products_without_what_is_needed_are_left_out_and_counted(shop):
    done, _ = content(shop, "personalize_items")
    assert (done.rows, done.rows_left_out) == (2, 1)  # p3 was never sold


def test_events_are_bodies_that_the_api_takes(shop):
    done, (text,) = content(shop, "algolia_events")
    events = {(each["timestamp"], each["eventName"]): each for each in json.loads(text)["events"]}
    assert events.keys() == {
        (1768006800000, "Product Viewed"),  # that of January 2 is too old
        (1768006860000, "Product Added to Cart"),
        (1768010400000, "Products Purchased"),
        (1768179600000, "Product Viewed"),
    }
    assert events[1768010400000, "Products Purchased"] == {
        "eventName": "Products Purchased",
        "eventType": "conversion",
        "eventSubtype": "purchase",
        "index": "products",
        "userToken": "ann",
        "timestamp": 1768010400000,
        "objectIDs": ["p1", "p2"],
        "objectData": [{"price": 1000, "quantity": 2}, {"price": 500.5, "quantity": 1}],
        "value": 2500.5,
        "currency": "JPY",
    }
    assert events[1768006800000, "Product Viewed"] == {
        "eventName": "Product Viewed",
        "eventType": "view",
        "index": "products",
        "userToken": "ann",
        "timestamp": 1768006800000,
        "objectIDs": ["p1"],
    }
    assert done.rows == 4


def test_files_are_for_their_owner_alone_and_outside_reports(shop, tmp_path):
    done, _ = content(shop, "csv")
    folder = done.files[0].parent
    assert folder == shop.folder.resolve() / "activation" / "csv"
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700, 0o700]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert (folder.parent / ".gitignore").read_text() == "*\n"
    reports = f'[activation]\ndir = "{tmp_path}/reports/x"\n[report]\ndir = "{tmp_path}/reports"\n'
    section = '[activation.csv]\nid = "mail"\n'
    inside = read_project(write_shop(tmp_path / "in", reports + section))
    with pytest.raises(CjkitError, match="is among the reports, which others read"):
        activate(inside, "csv", as_of=AS_OF)
