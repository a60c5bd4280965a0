# ruff: noqa: E501  (exports stand as they are written)
"""`map`: the nearest shipped mapping, or a draft that check accepts, and what stays open."""

import tomllib
from pathlib import Path

import pytest
from exports import Export, native
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cjkit.__main__ import main
from cjkit.checks import CjkitError
from cjkit.sources import propose, read_mapping


@pytest.mark.parametrize(
    ("name", "mapping"),
    [
        ("ga4/events_raw_velir.ndjson", "ga4/events"),
        ("salesforce/dataloader_opportunityData.csv", "salesforce/opportunities"),
        ("marketo/docs_bulk_activity_extract.csv", "marketo/activities"),
        ("marketo/docs_io_events_0.json", "marketo/activities"),
        ("shopify/ltvkit_shopify_orders_sample.csv", "shopify/orders"),
        ("qualtrics/sample.csv", "survey/qualtrics"),
        ("sendgrid/event_webhook.json", "sendgrid/events"),
        ("pardot/fivetran_prospect.csv", "pardot/prospects"),
        ("zendesk/fivetran_ticket_data.csv", "zendesk/tickets"),
        ("pos_loyalty_completejourney/transactions_sample.csv", "till/receipts"),
    ],
)
def test_the_nearest_shipped_mapping_is_proposed(name, mapping):
    found = propose(native(name))
    (source,) = tomllib.loads(found.toml)["sources"].values()
    assert (source["mapping"], found.is_draft) == (mapping, False)
    assert found.undecided


def test_a_draft_is_accepted_and_lands(tmp_path):
    text = '顧客番号;日時;行動;金額;メール\n1;2024/05/01 09:00;購入;"1,200";a@example.jp\n2;2024/5/2 9:00;閲覧;;b@example.jp\n'
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode("cp932"))
    found = propose(path)
    if found.is_draft:
        mapping = tomllib.loads(found.toml)
    else:
        (source,) = tomllib.loads(found.toml)["sources"].values()
        mapping = source["mapping"]
    landed = Export(tmp_path / "p", mapping, ("log.csv", text.encode("cp932")))
    assert landed.show("events", "person_key", "occurred_at", "event", "revenue") == [
        "customer:1|2024-05-01 00:00:00|購入|1200",
        "customer:2|2024-05-02 00:00:00|閲覧|",
    ]


def test_what_cannot_be_decided_is_said(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(
        "user_id,seen,changed,kind,zeta\nu1,01/02/2024,2024-01-02,a,q\nu2,03/04/2024,2024-01-03,b,q\n"
    )
    found = propose(path)
    said = "\n".join(found.undecided)
    assert found.is_draft
    for expected in ("Which time counts", "In which zone", "What these columns mean: ", "'zeta'"):
        assert expected in said, said
    path.write_text("user_id,day\nu1,01/02/2024\nu2,03/04/2024\n")
    said = "\n".join(propose(path).undecided)
    assert "'%m/%d/%Y' or '%d/%m/%Y'; the first is taken" in said
    assert "it is 'happen'" in said
    path.write_text("a,b\n1,x\n")
    assert "Which column says who the person is" in "\n".join(propose(path).undecided)


def test_records_inside_json_are_found(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"page": 1, "rows": [{"user": {"id": 7}, "time": 1714554000, "action": "a"}]}')
    mapping = tomllib.loads(propose(path).toml)
    assert mapping["file"]["records"] == "rows"
    assert mapping["ids"]["customer"]["column"] == "user.id"
    assert mapping["row"][0]["columns"]["occurred_at"]["time"] == "epoch_s"


def test_the_command_prints_the_mapping_alone_and_never_values(tmp_path, capsys):
    path = tmp_path / "x.csv"
    path.write_text("user_id,time,action\nSECRET,2024-05-01T00:00:00Z,open\n")
    assert main(["map", str(path)]) == 0
    said = capsys.readouterr()
    tomllib.loads(said.out)
    assert "not decided:" in said.err
    assert "SECRET" not in said.out + said.err
    assert main(["map", str(tmp_path / "none.csv")]) == 1
    (tmp_path / "empty.csv").write_text("a,b\n")
    with pytest.raises(CjkitError, match="no record that can be looked at"):
        propose(tmp_path / "empty.csv")


NAMES = st.lists(
    st.text(
        st.characters(
            codec="utf-8",
            exclude_characters='\r\n",;\t|\0',
            exclude_categories=("Cc", "Cs", "Zs", "Cf"),
        ),
        min_size=1,
        max_size=8,
    ).filter(str.strip),
    min_size=2,
    max_size=5,
    unique_by=str.casefold,
)
CELLS = st.sampled_from(
    ["1", "2024-05-01", "a@example.jp", "x", "1,200", "1714554000", "", "05/06/2024 10:00"]
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=NAMES, data=st.data())
def test_every_draft_is_a_mapping(tmp_path, names, data):
    rows = data.draw(
        st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), min_size=1, max_size=4)
    )
    rows = [["k", *row[1:]] for row in rows]
    lines = [names, *rows]
    path = tmp_path / "x.csv"
    path.write_text("".join(",".join(f'"{cell}"' for cell in line) + "\n" for line in lines))
    found = propose(path)
    assert found.is_draft
    assert read_mapping(tomllib.loads(found.toml), folder=Path(), place="x").rows
