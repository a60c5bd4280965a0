"""Formats of targets against the examples and schemas that their systems publish."""

import csv
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import jsonschema
import pytest
import yaml
from audience_shop import write_shop
from test_activation import ACTIVATION, AS_OF

from cjkit.activation import activate, list_targets, plan, plan_activation, read_target
from cjkit.activation.forms import hashed_sql, make_formed, neutral_sql
from cjkit.activation.targets import Column, Limits
from cjkit.activation.writing import write_rows
from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, text
from cjkit.project import Content, read_project


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return read_project(write_shop(tmp_path_factory.mktemp("shop"), ACTIVATION))


@pytest.fixture(scope="module")
def engine():
    return DuckDB(threads=1)


def formed(engine, rule, *values, country_code="81"):
    """Return what becomes of values under a rule, in order."""
    given = " union all ".join(f"select {text(value)} as value" for value in values)
    make_formed(engine, "formed", given, rule, country_code)
    found = engine.query(f"select value, {hashed_sql('formed')} as h, formed from formed")
    rows = {row.value: row.h if rule.hash else row.formed for row in found.itertuples()}
    return [rows[value] if isinstance(rows.get(value), str) else None for value in values]


def test_google_hashes_are_those_that_it_publishes(engine):
    """Examples of the Customer Match documentation, in the spellings that people write."""
    columns = read_target("google_customer_match").columns
    assert formed(engine, columns["Email"], " Dana@example.COM ", "alex.2@example.com", "") == [
        "07e2f1394b0ea80e2adca010ea8318df697001a005ba7452720edda4b0ce57b3",
        "97a24240e3c76dfc0abdb63a3d73468ff8d94b81fd3dc084cc32994ba4fad7fe",
        None,
    ]
    american = formed(engine, columns["Phone"], "(800) 555-0101", country_code="1")
    assert american == ["61d6c2976b5d92b1ad63073a12fddd26040cd980067d03a93dd1cc50f1a3ac68"]
    assert formed(engine, columns["First Name"], " John") == [
        "96d9632f363564cc3032521409cf22a852f2032eec099ed5967c0d000cec607a"
    ]
    plain = columns["Phone"].model_copy(update={"hash": False})
    assert formed(engine, plain, "090-1234-5678", "0120") == ["+819012345678", None]
    assert formed(engine, plain, "090-1234-5678", country_code=None) == [None]
    assert formed(engine, plain, "03-1234-5678 内線12") == [None]
    assert formed(engine, columns["Country"], "jp", "Japan") == ["JP", None]


def test_meta_asks_for_other_forms(engine):
    columns = {
        name: rule.model_copy(update={"hash": False})
        for name, rule in read_target("meta_custom_audience").columns.items()
    }
    assert formed(engine, columns["phone"], "090-1234-5678") == ["819012345678"]
    assert formed(engine, columns["fn"], " 山田 ", "Jr.", ".") == ["山田", "jr", None]
    assert formed(engine, columns["zip"], "150-0001", "94035-1234") == ["1500001", "94035"]
    assert formed(engine, columns["gen"], "F", "female") == ["f", None]
    assert not columns["extern_id"].hash


def test_nothing_is_never_hashed(engine):
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert formed(engine, Column(hash=True), "", "a") != [nothing, None]
    found = engine.query(f"select {hashed_sql('v')} as h from (values (''), (null), ('a')) as t(v)")
    assert found["h"].notna().tolist() == [False, False, True]


def test_hashed_files_hold_hashes_and_what_stays_plain(shop):
    """Rows as a file has them: names only where all of an address is there."""
    done = activate(shop, "google_customer_match", as_of=AS_OF)
    head, *rows = csv.reader(done.files[0].read_text("utf-8").splitlines())
    assert head == ["Email", "Phone", "First Name", "Last Name", "Country", "Zip"]
    by_zip = {row[5]: row for row in rows}
    assert by_zip.keys() == {"150-0001", "100-0001", ""}
    assert by_zip["150-0001"][4] == "JP"
    assert by_zip[""][1:] == ["", "", "", "", ""]  # gus has no zip, so that his name says nothing
    for row in rows:
        for cell in row[:4]:
            assert re.fullmatch("[0-9a-f]{64}|", cell)
    # sha256 of "ann.lee@example.com", as `sha256sum` gives it
    assert by_zip["150-0001"][0] == SHA["ann.lee@example.com"]
    assert by_zip["150-0001"][1] == SHA["+819012345678"]
    done = activate(shop, "meta_custom_audience", as_of=AS_OF)
    head, *rows = csv.reader(done.files[0].read_text("utf-8").splitlines())
    assert head == ["email", "phone", "fn", "zip", "country", "extern_id"]
    ann = next(row for row in rows if row[5] == "ann")
    told = ["ann.lee@example.com", "819012345678", "ann", "1500001", "jp"]
    assert ann[:5] == [SHA[value] for value in told]


SHA = {
    "ann.lee@example.com": "b7e0d8372a47f54bbefeb251ab9ac1e9e6b2d1983263de10196101be3961ed23",
    "+819012345678": "3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64",
    "819012345678": "0ad07193350775c6d4377f8b039d32877e66c69a454ed886b05279771c0fca0b",
    "ann": "49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1",
    "1500001": "9fb0766ca7f24958c6d122e5687bc2759164d1913b1edf773a14e6f9f51b07bd",
    "jp": "9732c83e3e03fffde2ee65a9d826df8c4dd623c27fb92b952fe62a02f0726f87",
}


def read_api(real_data):
    """Return the schema of a body, from the attributes of the OpenAPI file."""
    attributes = yaml.safe_load(
        (real_data / "exports" / "algolia" / "EventAttributes.spec.yml").read_text("utf-8")
    )
    known = json.loads(json.dumps(attributes).replace('"#/', '"#/$defs/'))
    for attribute in known.values():
        if "pattern" in attribute:  # of the whole text, as the examples of refused events say
            attribute["pattern"] = f"^(?:{attribute['pattern']})$"
    names = ("eventName", "index", "userToken", "authenticatedUserToken", "timestamp", "objectIDs")
    names = (*names, "currency", "value", "queryID", "positions")
    properties = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    properties["objectData"] = {"$ref": "#/$defs/objectDataAfterSearchList"}
    properties["eventType"] = {"enum": ["click", "conversion", "view"]}
    properties["eventSubtype"] = {"enum": ["addToCart", "purchase"]}
    event = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": ["eventName", "eventType", "index", "userToken", "objectIDs"],
        "dependentRequired": {
            "objectData": ["eventSubtype", "currency"],
            "positions": ["queryID"],
        },
    }
    path = real_data / "exports" / "algolia" / "pushEvents.spec.yml"
    content = yaml.safe_load(path.read_text("utf-8"))["post"]["requestBody"]["content"]
    body = content["application/json"]["schema"]
    body["properties"]["events"]["items"] = event
    return body | {"$defs": known}


def test_bodies_are_valid_by_the_api_itself(shop, real_data):
    schema = read_api(real_data)
    done = activate(shop, "algolia_events", as_of=AS_OF)
    bodies = [json.loads(path.read_text("utf-8")) for path in done.files]
    for body in bodies:
        jsonschema.validate(body, schema)
        for event in body["events"]:
            assert len(event["objectIDs"]) == len(event.get("objectData", event["objectIDs"]))
    for spoilt in ({"eventName": "商品"}, {"userToken": "a@x.jp"}, {"objectIDs": []}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"events": [bodies[0]["events"][0] | spoilt]}, schema)


def test_large_orders_are_several_events(shop, tmp_path):
    made = plan_activation(shop, "algolia_events")
    cells = {"userToken": "ann", "index": "i", "event": "purchase", "timestamp": "5", "order": "o"}
    lines = [
        cells | {"objectIDs": f"p{n}", "price": "3.335", "quantity": "2.0", "currency": "JPY"}
        for n in range(45)
    ]
    lines.append(cells | {"objectIDs": "cloth", "price": "100", "quantity": "1.5", "order": "o2",
                          "currency": "JPY"})  # fmt: skip
    write_rows(tmp_path, made, [[line.get(n) for n in made.names] for line in lines])
    events = json.loads((tmp_path / "events.json").read_text("utf-8"))["events"]
    assert [len(event["objectIDs"]) for event in events] == [20, 20, 5, 1]
    assert {event["timestamp"] for event in events} == {5}
    assert events[2]["value"] == pytest.approx(sum(
        each["price"] * each["quantity"] for each in events[2]["objectData"]
    ))  # fmt: skip
    assert events[3]["objectData"] == [{"price": 150, "quantity": 1}]


def test_events_after_a_search_name_it(shop, real_data, tmp_path):
    one, other = "7dfe2ada7bca48bdd0629649df0bee07", "54ed4c9d94050a25e4e5ccf5d256ca42"
    given = shop.activation["algolia_events"]
    columns = {
        **given.columns,
        "queryID": Content(column="x_q"),
        "positions": Content(column="x_p"),
    }
    events = {**given.events, "click": "click"}
    more = given.model_copy(update={"columns": columns, "events": events})
    made = plan_activation(
        replace(shop, activation={**shop.activation, "algolia_events": more}), "algolia_events"
    )
    cells = {"userToken": "ann", "index": "i", "objectIDs": "p", "currency": "JPY", "queryID": one}
    paid = cells | {"event": "purchase", "order": "o", "price": "5", "timestamp": "9"}
    lines = [
        cells | {"event": "click", "timestamp": "1", "positions": "3"},
        cells | {"event": "click", "timestamp": "2"},  # where it stood is not known
        cells | {"event": "view", "timestamp": "3"},
        cells | {"event": "addToCart", "timestamp": "4", "price": "5"},
        cells | {"event": "conversion", "timestamp": "5"},
        paid,
        paid | {"queryID": other},
        paid | {"queryID": None},
    ]
    write_rows(tmp_path, made, [[line.get(n) for n in made.names] for line in lines])
    body = json.loads((tmp_path / "events.json").read_text("utf-8"))
    jsonschema.validate(body, read_api(real_data))
    told = [
        (each["timestamp"], each.get("queryID"), each.get("positions")) for each in body["events"]
    ]
    assert told == [
        (1, one, [3]), (2, None, None), (3, None, None), (4, one, None), (5, one, None),
        (9, None, None),
    ]  # fmt: skip
    bought = body["events"][-1]["objectData"]
    assert [line.get("queryID") for line in bought] == [one, other, None]


def test_schemas_are_of_the_documented_shape(shop, real_data, monkeypatch):
    """What stands in the examples of the developer guide stands in ours, with the same types."""
    lenient = SimpleNamespace(rows=0, people=0, rows_of_each=1, events=10, products=None)
    monkeypatch.setattr(
        plan, "read_target", lambda name: read_target(name).model_copy(update={"limits": lenient})
    )
    examples = real_data / "exports" / "amazon_personalize"
    for name, number in (("interactions", 0), ("users", 0)):
        kind = name.removesuffix("s")
        path = next(examples.glob(f"docs_{kind}*-dataset-requirements_{number}.avsc.json"))
        theirs = json.loads(path.read_text("utf-8"))
        done = activate(shop, f"personalize_{name}", as_of=AS_OF)
        ours = json.loads((done.files[0].parent / "schema.json").read_text("utf-8"))
        for key in ("type", "name", "namespace", "version"):
            assert ours[key] == theirs[key]
        known = {field["name"]: field for field in theirs["fields"]}
        own = {field["name"]: field for field in ours["fields"]}
        for field in own.keys() & known.keys() - {"EVENT_TYPE", "EVENT_VALUE", "DEVICE"}:
            assert own[field]["type"] == known[field]["type"], field
        head = done.files[0].read_text("utf-8").split("\n", 1)[0].split(",")
        assert head == list(own)
    assert own["TIER"] == {"name": "TIER", "type": ["string", "null"], "categorical": True}
    assert own["POINTS"] == {"name": "POINTS", "type": ["float", "null"]}


def test_what_personalize_would_refuse_is_refused_here(shop, monkeypatch):
    with pytest.raises(CjkitError) as caught:
        activate(shop, "personalize_interactions", as_of=AS_OF)
    assert "6 rows: at least 1,000 are needed" in str(caught.value)
    assert "1 people with 2 rows or more: at least 25 are needed" in str(caught.value)
    target = read_target("personalize_users")
    short = target.model_copy(update={"others": target.others.model_copy(update={"longest": 4})})
    monkeypatch.setattr(plan, "read_target", lambda name: short)
    with pytest.raises(CjkitError, match="TIER has 2 texts of more than 4 characters"):
        activate(shop, "personalize_users", as_of=AS_OF)


@pytest.mark.parametrize(("name", "products"), [("interactions", 3), ("items", 3)])
def test_personalize_considers_so_many_products_and_no_more(shop, monkeypatch, name, products):
    target = read_target(f"personalize_{name}")
    assert target.limits.products == 750_000

    def activate_with(most):
        limits = Limits(products=most)
        own = target.model_copy(update={"limits": limits})
        monkeypatch.setattr(plan, "read_target", lambda _: own)
        return activate(shop, f"personalize_{name}", as_of=AS_OF)

    assert activate_with(products).rows
    with pytest.raises(CjkitError, match=f"{products} products: at most {products - 1} are"):
        activate_with(products - 1)


@pytest.mark.parametrize("limit", [{"most_rows": 2}, {"most_bytes": 22}])
def test_files_are_split_at_the_limits(shop, tmp_path, limit):
    made = plan_activation(shop, "marketo")
    rule = made.target.file.model_copy(update=limit)
    made = replace(made, target=made.target.model_copy(update={"file": rule}), columns={})
    files = write_rows(tmp_path, made, [[f"p{n}@x.jp"] for n in range(5)])
    assert [file.name for file in files] == [f"list-00{n}.csv" for n in (1, 2, 3)]
    assert [file.rows for file in files] == [2, 2, 1]
    texts = [(tmp_path / file.name).read_bytes() for file in files]
    assert texts[1] == b"email\np2@x.jp\np3@x.jp\n"
    assert [len(each) for each in texts] == [file.bytes for file in files]
    with pytest.raises(CjkitError, match="larger than a file may be"):
        small = rule.model_copy(update={"most_bytes": 8})
        made = replace(made, target=made.target.model_copy(update={"file": small}))
        write_rows(tmp_path / "small", made, [["p@x.jp"]])


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("+HYPERLINK(1)", "'+HYPERLINK(1)"),
        ("\t=1", "'\t=1"),
        ("-5.5", "-5.5"),
        ("+81 (3) 1234-5678", "+81 (3) 1234-5678"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_spreadsheet_takes_nothing_for_a_formula(engine, cell, written):
    found = engine.query(f"select {neutral_sql('v')} as v from (select {text(cell)} as v)")
    assert found["v"].iloc[0] == written


def test_every_target_says_what_it_is():
    for name in list_targets():
        target = read_target(name)
        assert target.system
        assert (target.each == "product") == (target.id is None), name
    with pytest.raises(CjkitError, match=r"target 'hubspto' is not in cjkit. Did you mean 'hubspo"):
        read_target("hubspto")
