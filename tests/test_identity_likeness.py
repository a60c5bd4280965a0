"""Linking by likeness: splink's own tutorial, the same links each time, and nothing on disk."""

from __future__ import annotations

import logging
import sys

import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, EngineError
from cjkit.identity import find_alike
from cjkit.project import Likeness

COLUMNS = {
    "first_name": "name",
    "surname": "name",
    "dob": "date",
    "city": "category",
    "email": "email",
}
TUTORIAL = (("first_name", "city"), ("surname",))


@pytest.fixture(scope="module")
def fake(real_data):
    """Return splink's example records as details of the vault, and the person of each key."""
    records = pd.read_parquet(real_data / "identity/fake_1000.parquet")
    keys = "record:" + records["unique_id"].astype("str")
    details = records.assign(person_key=keys, landed="fake", record_no=records["unique_id"] + 1)
    return details, dict(zip(keys, records["cluster"], strict=True))


def find(details, blocks=TUTORIAL, threshold=0.5):
    rules = Likeness(
        columns=COLUMNS, blocks=blocks, threshold=threshold, expected_precision=threshold
    )
    return find_alike([details.iloc[:300], details.iloc[300:]], rules)


def scores(links, person):
    """Return precision, recall and F1 of pairs."""
    sizes = pd.Series(person).value_counts()
    true = (sizes * (sizes - 1) // 2).sum()
    right = (links["key_a"].map(person) == links["key_b"].map(person)).sum()
    return right / len(links), right / true, 2 * right / (len(links) + true)


def run_splink(details):
    """Return the pairs that splink finds by the settings of its tutorial, run without cjkit."""
    import splink
    import splink.comparison_library as library

    block = splink.block_on
    settings = splink.SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            library.NameComparison("first_name"),
            library.NameComparison("surname"),
            library.LevenshteinAtThresholds("dob", 1),
            library.ExactMatch("city").configure(term_frequency_adjustments=True),
            library.EmailComparison("email"),
        ],
        blocking_rules_to_generate_predictions=[block(*names) for names in TUTORIAL],
    )
    engine = DuckDB(threads=1)
    api = splink.DuckDBAPI(connection=engine.connection)
    linker = splink.Linker(api.register(details), settings)
    near = "levenshtein(l.{0}, r.{0}) <= {1}"
    learn = linker.training
    learn.estimate_probability_two_random_records_match(
        [
            f"l.first_name = r.first_name and {near.format('dob', 1)}",
            f"l.surname = r.surname and {near.format('dob', 1)}",
            f"l.first_name = r.first_name and {near.format('surname', 2)}",
            "l.email = r.email",
        ],
        recall=0.7,
    )
    learn.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for names in (("first_name", "surname"), ("dob",)):
        learn.estimate_parameters_using_expectation_maximisation(block(*names))
    found = linker.inference.predict(threshold_match_probability=0.5).as_pandas_dataframe()
    keys = "record:" + found[["unique_id_l", "unique_id_r"]].astype("str")
    return keys.set_axis(["key_a", "key_b"], axis=1)


def test_the_tutorials_settings_reach_its_f1(fake):
    details, person = fake
    logging.disable(logging.CRITICAL)
    try:
        theirs = scores(run_splink(details), person)
    finally:
        logging.disable(logging.NOTSET)
    ours = scores(find(details), person)
    assert ours[2] >= theirs[2] > 0.5
    assert ours[0] > 0.99


def test_more_blocks_find_more(fake):
    details, person = fake
    precision, recall, f1 = scores(
        find(details, blocks=(("first_name",), ("surname",), ("dob",), ("email",))), person
    )
    assert precision > 0.99
    assert (recall, f1) > (0.68, 0.81)


def test_the_same_records_give_the_same_links(fake, caplog):
    details, _ = fake
    first, again = find(details), find(details.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(first[["key_a", "key_b"]], again[["key_a", "key_b"]])
    pd.testing.assert_frame_equal(first, find(details), check_exact=True)
    assert not caplog.records
    assert first["probability"].is_monotonic_decreasing


def test_records_that_say_too_little_are_refused():
    details = pd.DataFrame(
        {"person_key": ["a:1", "a:2"], "landed": "x", "record_no": [1, 2], "dob": ["1", "1"]}
    )
    with pytest.raises(CjkitError, match="fewer than two records"):
        find(details)


def test_what_is_lacking_is_named(monkeypatch, fake):
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(CjkitError, match=r"pip install cjkit\[identity\]"):
        find(fake[0])


def test_a_sealed_engine_reaches_nothing(tmp_path):
    engine = DuckDB(is_sealed=True, memory="50MB")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(EngineError, match="disabled"):
        engine.query(f"from '{tmp_path}/secret.csv'")
    with pytest.raises(EngineError, match="disabled"):
        engine.run(f"copy (select 1) to '{tmp_path}/out.csv'")
    with pytest.raises(EngineError, match="could not allocate"):
        engine.materialize("large", "select * from range(100_000_000)")


@pytest.mark.parametrize(
    ("blocks", "message"),
    [([["dob"], ["nane"]], "'nane', which is none of its columns"), ([["dob"]], "leave 'dob' out")],
)
def test_wrong_blocks_are_refused(blocks, message):
    with pytest.raises(ValueError, match=message):
        Likeness(columns={"dob": "date", "email": "email"}, blocks=blocks)
