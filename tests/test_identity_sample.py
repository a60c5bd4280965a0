"""Who is who in the sample company, whose true people are known: precision and recall of pairs.

`pytest -m long -s tests/test_identity_sample.py` prints the figures of the default sample.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from cjkit.cleansing import prepare
from cjkit.engine import DuckDB
from cjkit.privacy import pseudonym_sql, read_key
from cjkit.synthetic import make_sample

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).parent.parent / "data" / "sample" / "journey.toml"


@pytest.fixture(
    scope="module", params=[2_000, pytest.param(20_000, marks=pytest.mark.long)], ids="{:,}".format
)
def pairs(request, tmp_path_factory):
    """Prepare a sample, and give each pair of ids that is truly or supposedly one person's.

    Its columns: `is_true`, `is_found`, and `is_tied`: whether each of the two stands on some record
    with another id. An id that stands alone wherever it stands is tied to nobody by any key.
    """
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder, customers=request.param, threads=2)
    shutil.copy(SAMPLE, folder)
    prepared = prepare(folder / SAMPLE.name).folder
    key = read_key(folder / "exports/pseudonym.key")
    engine = DuckDB(threads=2)
    form = """case namespace when 'email' then lower(source_id)
        when 'phone' then '+81' || substr(source_id, 2) else source_id end"""
    engine.materialize(
        "ids",
        f"""select person_key, customer_id, person_no,
                person_key in (select unnest([key_a, key_b]) from
                    read_parquet('{folder}/.cjkit/sample/landed/*/edges.parquet')) as is_tied
            from read_parquet('{prepared}/people.parquet') join (
                select distinct namespace || ':' || {pseudonym_sql(form, key)} as person_key,
                    person_no from read_parquet('{folder}/truth/identities.parquet'))
                using (person_key)""",
    )
    found = engine.query(
        """select a.person_key, b.person_key, bool_or(a.person_no = b.person_no) as is_true,
                bool_or(a.customer_id = b.customer_id) as is_found,
                bool_and(a.is_tied and b.is_tied) as is_tied
            from ids as a join ids as b on a.person_key < b.person_key
                and (a.person_no = b.person_no or a.customer_id = b.customer_id)
            group by a.person_key, b.person_key"""
    )
    engine.close()
    return found


def test_hardly_any_pair_is_wrong_and_lost_pairs_are_those_that_no_key_ties(pairs):
    both = (pairs["is_true"] & pairs["is_found"]).sum()
    precision, recall = both / pairs["is_found"].sum(), both / pairs["is_true"].sum()
    tied = pairs[pairs["is_true"] & pairs["is_tied"]]
    f1 = 2 * precision * recall / (precision + recall)
    sys.stdout.write(
        f"{len(pairs):,} pairs: precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f}; "
        f"recall of ids that some record ties {tied['is_found'].mean():.4f}\n"
    )
    assert precision >= 0.995
    assert recall > 0.72
    assert tied["is_found"].mean() > 0.99
