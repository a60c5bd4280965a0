import os
import sqlite3

import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.privacy import make_pseudonym, open_vault

KEY = b"k" * 32


def key_of(value, namespace="email"):
    return f"{namespace}:{make_pseudonym(value, KEY)}"


def ids(*values, namespace="email"):
    keys = [key_of(value, namespace) for value in values]
    return pd.DataFrame({"person_key": keys, "namespace": namespace, "value": values})


def details(**named):
    return pd.DataFrame(
        {
            "person_key": [key_of(email) for email in named["email"]],
            "record_no": range(1, len(named["email"]) + 1),
            **named,
        }
    )


def whole(batches):
    return pd.concat(batches, ignore_index=True)


@pytest.fixture
def vault(tmp_path):
    with open_vault(tmp_path / "vault.sqlite", KEY) as vault:
        yield vault


def test_gives_back_what_it_keeps_each_id_once(vault):
    vault.keep("one", [ids("ann@x.jp", "bob@x.jp"), ids("ann@x.jp")], [])
    vault.keep("two", [ids("ann@x.jp"), ids("+8190", namespace="phone")], [])
    found = whole(vault.ids())
    assert list(found.columns) == ["person_key", "namespace", "value"]
    assert sorted(found["value"]) == ["+8190", "ann@x.jp", "bob@x.jp"]
    assert whole(vault.ids("phone"))["value"].tolist() == ["+8190"]
    assert whole(vault.ids("phone"))["person_key"].tolist() == [key_of("+8190", "phone")]
    assert whole(vault.ids(of=[key_of("bob@x.jp")]))["value"].tolist() == ["bob@x.jp"]
    assert list(vault.ids("mail")) == []


def test_details_have_the_fields_of_every_file_and_what_is_missing_is_missing(vault):
    vault.keep("one", [], [details(email=["ann@x.jp", "bob@x.jp"], name=["山田", None])])
    vault.keep("two", [], [details(email=["cas@x.jp"], address=["東京都"])])
    found = whole(vault.details()).set_index("email")
    assert found.loc["ann@x.jp", "name"] == "山田"
    assert pd.isna(found.loc["bob@x.jp", "name"])
    assert pd.isna(found.loc["ann@x.jp", "address"])
    assert found["landed"].tolist() == ["one", "one", "two"]
    assert found["record_no"].tolist() == [1, 2, 1]


def test_a_landed_file_comes_and_goes_as_a_whole(vault):
    assert not vault.has("one")
    vault.keep_records("one", [records([1], [None])])
    assert not vault.has("one")
    vault.keep("one", [ids("ann@x.jp")], [])
    vault.keep("two", [ids("bob@x.jp")], [details(email=["bob@x.jp"])])
    vault.keep("one", [ids("cas@x.jp")], [])
    assert sorted(whole(vault.ids())["value"]) == ["bob@x.jp", "cas@x.jp"]
    vault.keep_only(["one"])
    assert vault.has("one") and not vault.has("two")
    assert whole(vault.ids())["value"].tolist() == ["cas@x.jp"]
    assert list(vault.details()) == []
    assert len(whole(vault.records())) == 1


def records(numbers, keys):
    made = {"record_no": numbers, "person_key": keys}
    return pd.DataFrame({**made, "record": [f'{{"mail": "{number}"}}' for number in numbers]})


def test_records_are_replaced_and_may_be_nobodys(vault):
    vault.keep_records("one", [records([1, 2], [None, key_of("ann@x.jp")])])
    vault.keep_records("one", [records([2, 3], [key_of("ann@x.jp"), None])])
    vault.keep_records("two", [records([9], [None])])
    found = whole(vault.records("one"))
    assert found["record_no"].tolist() == [2, 3]
    assert found["record"].tolist() == ['{"mail": "2"}', '{"mail": "3"}']
    assert found["person_key"].isna().tolist() == [False, True]
    assert len(whole(vault.records())) == 3
    assert vault.forget_records("one", [3, 9]) == 1
    assert whole(vault.records("one"))["record_no"].tolist() == [2]


def test_nothing_is_kept_of_a_file_that_could_not_be_read_to_its_end(vault):
    def broken():
        yield ids("ann@x.jp")
        raise CjkitError("the file ends in the middle")

    vault.keep("one", [ids("bob@x.jp")], [])
    with pytest.raises(CjkitError, match="in the middle"):
        vault.keep("one", broken(), [])
    assert whole(vault.ids())["value"].tolist() == ["bob@x.jp"]
    with pytest.raises(CjkitError, match="in the middle"):
        vault.keep("two", broken(), [])
    assert not vault.has("two")


def test_forgets_a_person_and_leaves_no_trace_in_the_file(vault, tmp_path):
    ann, bob = key_of("ann@x.jp"), key_of("bob@x.jp")
    vault.keep("one", [ids("ann@x.jp", "bob@x.jp")], [details(email=["ann@x.jp", "bob@x.jp"])])
    vault.keep("two", [ids("ann@x.jp")], [])
    vault.keep_records("one", [records([1, 2], [ann, bob])])
    assert ann.encode() in (tmp_path / "vault.sqlite").read_bytes()
    assert dict(vault.forget([ann, "email:unknown"])) == {"ids": 2, "details": 1, "records": 1}
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert ann.encode() not in held
    assert bob.encode() in held
    assert whole(vault.ids())["value"].tolist() == ["bob@x.jp"]


def test_no_value_stands_in_the_file_in_clear_and_none_is_sealed_twice_alike(vault, tmp_path):
    vault.keep("one", [ids("ann@x.jp")], [details(email=["ann@x.jp"], name=["山田"])])
    vault.keep("two", [ids("ann@x.jp")], [])
    held = (tmp_path / "vault.sqlite").read_bytes()
    for value in ("ann@x.jp", "山田"):
        assert value.encode() not in held
    rows = sqlite3.connect(tmp_path / "vault.sqlite").execute("select sealed from ids").fetchall()
    assert len(set(rows)) == 2


def test_the_file_and_its_journal_are_the_owners_alone(tmp_path):
    path, seen = tmp_path / "vault.sqlite", {}

    def watched():
        yield ids(*[f"{number}@x.jp" for number in range(20_000)])
        seen.update({file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()})

    before = os.umask(0)
    try:
        with open_vault(path, KEY) as vault:
            vault.keep("zero", [ids("ann@x.jp")], [])
            vault.keep("one", watched(), [])
    finally:
        os.umask(before)
    assert seen == {"vault.sqlite": 0o600, "vault.sqlite-journal": 0o600}
    path.chmod(0o640)
    with pytest.raises(CjkitError, match=r"may be read by others .* run `chmod 600"):
        open_vault(path, KEY)


def test_another_key_is_refused(vault, tmp_path):
    with pytest.raises(CjkitError, match=r"under another key\. Restore the project's key"):
        open_vault(tmp_path / "vault.sqlite", b"x" * 32)


@pytest.mark.parametrize("content", [b"no database" * 500, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "vault.sqlite"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(CjkitError, match=r"vault.sqlite is damaged: .* move it away"):
        open_vault(path, KEY)


def test_a_database_that_is_no_vault_is_refused(tmp_path):
    path = tmp_path / "vault.sqlite"
    path.touch(0o600)
    sqlite3.connect(path).execute("create table other (name text)").connection.close()
    with pytest.raises(CjkitError, match="cannot be used"):
        open_vault(path, KEY)


def test_a_value_moved_to_another_person_cannot_be_read(vault, tmp_path):
    vault.keep("one", [ids("ann@x.jp", "bob@x.jp")], [])
    with sqlite3.connect(tmp_path / "vault.sqlite") as file:
        sealed = file.execute("select min(sealed) from ids").fetchone()
        file.execute("update ids set sealed = ?", sealed)
    with pytest.raises(CjkitError, match="a value does not belong where it stands"):
        list(vault.ids())


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(CjkitError, match="cannot be opened: No such file or directory"):
        open_vault(tmp_path / "gone" / "vault.sqlite", KEY)


def test_many_ids_are_kept_in_good_order(vault, rng):
    values = [f"{number}@x.jp" for number in rng.permutation(120_000)]
    halves = [ids(*values[:60_000]), ids(*values[60_000:])]
    vault.keep("one", iter(halves), [])
    found = whole(vault.ids("email"))
    expected = whole(halves).sort_values("person_key", ignore_index=True)
    pd.testing.assert_frame_equal(found.sort_values("person_key", ignore_index=True), expected)
