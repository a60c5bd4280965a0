"""The planted segments of the sample company: how far what customers do gives them away.

They differ in what nobody writes down (how often a need arises, who leaves), and overlap: even a
classifier that is told the truth of other people misses many. What is found without any truth is
held against that ceiling. `pytest -m long -s tests/test_segmentation_sample.py` prints the figures.
"""

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_predict

import cjkit
from cjkit.engine import text
from cjkit.privacy import pseudonym_sql, read_key
from cjkit.segmentation import find_segments, read_features
from cjkit.synthetic import make_sample

pytestmark = pytest.mark.long

SAMPLE = Path(__file__).parent.parent / "data" / "sample" / "journey.toml"
KINDS = ("frequency", "recency", "value", "returns", "discounts")


def true_segments(log, folder):
    """Return the true segment of each customer, most of whose ids belong to one person."""
    key = read_key(folder / "exports/pseudonym.key")
    form = """case namespace when 'email' then lower(source_id)
        when 'phone' then '+81' || substr(source_id, 2) else source_id end"""
    files = {
        name: text(str(path))
        for name, path in (
            ("known", log.prepared.folder / "people.parquet"),
            ("ids", folder / "truth/identities.parquet"),
            ("people", folder / "truth/people.parquet"),
        )
    }
    found = log.engine.query(
        f"""select customer_id, segment, count(*) as ids
            from read_parquet({files["known"]}) join (
                select distinct namespace || ':' || {pseudonym_sql(form, key)} as person_key,
                    person_no from read_parquet({files["ids"]})) using (person_key)
            join read_parquet({files["people"]}) using (person_no)
            group by customer_id, person_no, segment order by ids desc, person_no"""
    )
    return found.drop_duplicates("customer_id")[["customer_id", "segment"]]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return the features of buyers, the group they are put into, and their true segment."""
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder, customers=20_000, threads=2)  # among 2,000 there are only two groups
    shutil.copy(SAMPLE, folder)
    log = cjkit.open(folder / SAMPLE.name)
    features = read_features(
        log.orders,
        log.events,
        log.feedback,
        as_of_us=log.period.end_us,
        support=["contact_support"],
    )
    found = find_segments(features, kinds=KINDS)
    people = log.engine.query(f"select * from {found.segments.customers}")
    truth = true_segments(log, folder).rename(columns={"segment": "truth"})
    return people.merge(truth, on="customer_id"), found


def test_planted_segments_are_found_as_far_as_the_data_tell_them(told):
    people, found = told
    numbers = people.drop(columns=["customer_id", "segment", "truth"]).astype("Float64")
    guessed = cross_val_predict(
        HistGradientBoostingClassifier(max_iter=40, random_state=0),
        numbers.astype(float),
        people["truth"],
        cv=3,
    )
    ceiling = adjusted_rand_score(people["truth"], guessed)
    reached = adjusted_rand_score(people["truth"], people["segment"])
    counts = pd.crosstab(people["truth"], people["segment"])
    sys.stdout.write(
        f"{len(people):,} buyers in {found.number.number} groups: ARI {reached:.3f}, that of a "
        f"classifier told the truth {ceiling:.3f} ({(guessed == people['truth']).mean():.1%} "
        f"right)\n{counts}\n"
    )
    assert reached > 0.4 * ceiling
    # Each true segment's share in the group that brings most.
    in_first = counts["group_1"] / counts.sum(axis=1)
    assert in_first.idxmax() == "loyal"
    assert in_first["loyal"] > 1.4 * counts["group_1"].sum() / len(people)
