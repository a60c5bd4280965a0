"""The planted segments of the sample company: how far what customers do gives them away.

They differ in what nobody writes down (how often a need arises, who leaves), and overlap: even a
classifier that is told the truth of other people misses many. What is found without any truth is
held against that ceiling, and so is the forecast of what they will be worth.
`pytest -m long -s tests/test_segmentation_sample.py` prints the figures.
"""

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_predict

import cjkit
from cjkit.engine import text
from cjkit.events import local_midnight_us
from cjkit.lifetime_value import backtest_purchases, predict_value
from cjkit.privacy import pseudonym_sql, read_key
from cjkit.segmentation import apply_rules, assign_segments, find_segments, read_features
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
def sample(tmp_path_factory):
    """Return the log of the sample company, and each customer's true segment."""
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder, customers=20_000, threads=2)  # among 2,000 there are only two groups
    shutil.copy(SAMPLE, folder)
    log = cjkit.open(folder / SAMPLE.name)
    return log, true_segments(log, folder).rename(columns={"segment": "truth"})


def describe(log, until_us, name):
    """Return the features of all buyers at a moment."""
    tables = log.orders, log.events, log.feedback
    return read_features(*tables, as_of_us=until_us, support=["contact_support"], name=name)


def numbers_of(people):
    numbers = people.drop(columns=people.select_dtypes(["object", "string"]).columns)
    return numbers.astype("Float64").astype(float)


@pytest.fixture(scope="module")
def told(sample):
    """Return buyers with their true segment, the one that each view gives, and a told guess."""
    log, truth = sample
    now = log.period.end_us
    features = describe(log, now, "features")
    found = find_segments(features, kinds=KINDS)
    everybody = log.engine.query(f"select * from {features.customers} order by customer_id")
    people = everybody.merge(truth, on="customer_id")
    guessed = cross_val_predict(
        HistGradientBoostingClassifier(max_iter=40, random_state=0),
        numbers_of(people),
        people["truth"],
        cv=3,
    )
    views = {
        "groups": found.segments,
        "rfm": assign_segments(log.orders, as_of_us=now),
        "rules": apply_rules(features, log.project.segments, customers=log.customers),
    }
    people = people[["customer_id", "truth"]].assign(told=guessed)
    for name, view in views.items():
        own = log.engine.query(f"select customer_id, segment as {name} from {view.customers}")
        people = people.merge(own, on="customer_id")
    return people, found


def test_planted_segments_are_found_as_far_as_the_data_tell_them(told):
    people, found = told
    ceiling = adjusted_rand_score(people["truth"], people["told"])
    reached = adjusted_rand_score(people["truth"], people["groups"])
    counts = pd.crosstab(people["truth"], people["groups"])
    sys.stdout.write(
        f"{len(people):,} buyers in {found.number.number} groups: ARI {reached:.3f}, that of a "
        f"classifier told the truth {ceiling:.3f} ({(people['told'] == people['truth']).mean():.1%}"
        f" right)\n{counts}\n"
    )
    assert reached > 0.4 * ceiling
    # Each true segment's share in the group that brings most.
    in_first = counts["group_1"] / counts.sum(axis=1)
    assert in_first.idxmax() == "loyal"
    assert in_first["loyal"] > 1.4 * counts["group_1"].sum() / len(people)


def test_each_planted_segment_has_a_view_that_finds_it_nearly_as_well_as_one_told(told):
    people, _ = told
    best = {}
    for view in ("groups", "rfm", "rules", "told"):
        counts = pd.crosstab(people["truth"], people[view])
        sizes = counts.sum(axis=1).to_numpy()[:, None] + counts.sum().to_numpy()[None, :]
        best[view] = (2 * counts / sizes).max(axis=1)
        sys.stdout.write(f"{counts.to_string()}\n")
    table = pd.DataFrame(best)
    sys.stdout.write(f"F1 of the segment that fits best:\n{table.round(3).to_string()}\n")
    views = table.drop(columns="told").max(axis=1) / table["told"]
    assert (views > 0.6).all()
    assert views["loyal"] > 0.85
    # Loyal people are who the groups tell better than scores or rules.
    assert table.loc["loyal", ["groups", "rfm", "rules"]].idxmax() == "groups"


def test_the_forecast_parts_true_segments_as_far_as_their_histories_do(sample):
    """Whoever knows the past alone draws hidden kinds together: also one told others' future."""
    log, truth = sample
    test = backtest_purchases(log.orders, until=log.as_of)
    value = predict_value(test.fit, test.spend, months=12, annual_discount=0.0)
    until_us = local_midnight_us(test.split, log.project.project.time_zone)
    features = describe(log, until_us, "features at the split")
    people = log.engine.query(
        f"""select features.*, later_spend, expected_purchases * expected_spend as predicted
            from {features.customers} as features
            join {test.fit.histories.customers} as later using (customer_id)
            join {value.scores} as scores using (customer_id) order by customer_id"""
    ).merge(truth, on="customer_id")
    past = numbers_of(people).drop(columns=["later_spend", "predicted"])
    booster = HistGradientBoostingRegressor(
        max_iter=60, min_samples_leaf=50, learning_rate=0.05, random_state=0
    )
    people["told"] = cross_val_predict(booster, past, people["later_spend"].astype(float), cv=5)
    means = people.groupby("truth")[["later_spend", "predicted", "told"]].mean()
    sys.stdout.write(f"revenue of the held-out year a customer:\n{means.round(0).to_string()}\n")
    far = means.loc["loyal"] / means.loc["at_risk"]
    assert far["predicted"] > 0.7 * far["told"]
    assert far["told"] < 0.5 * far["later_spend"]
