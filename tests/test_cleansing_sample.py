"""What the gate finds of the dirt that is planted in the sample company: recall and precision.

Every record that is named as dirty in the truth, and every row that a rule marks, is accounted for.
`pytest -m long -s tests/test_cleansing_sample.py` prints the table for the default sample.
"""

import csv
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from cjkit import sources
from cjkit.cleansing import gate
from cjkit.cleansing.rules import RULES, outcome_sql
from cjkit.engine import DuckDB
from cjkit.events import CONTRACT
from cjkit.privacy import pseudonym_sql, read_key
from cjkit.project import read_project
from cjkit.synthetic import make_sample

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).parent.parent / "data" / "sample" / "journey.toml"
PLANTED = {
    "duplicate_row": ["exact_duplicate"],
    "replayed": ["replayed_event"],
    "unknown_code": ["unknown_event"],
    "missing_customer": ["missing_id", "anonymous_visit"],
    "time_1970": ["date_1970"],
    "in_future": ["date_future"],
    "wrong_currency": ["wrong_currency"],
    "negative_amount": ["negative_amount"],
    "absurd_amount": ["absurd_amount"],
    "orphan_line": ["orphan_line"],
    "bot": ["bot_declared"],
    "bot_rate": ["bot_hidden"],
    "staff": ["employee"],
    "test_account": ["test_account"],
    "same_person": ["old_version"],
    "impossible_order": ["impossible_order"],
    "after_opt_out": ["send_after_opt_out"],
    "clock_shift": ["clock_shift"],
    "orphan_reference": [],
    "unknown_customer": [],
    "machine_open": [],
}
"""The kinds of dirt that each rule is there to find."""

BY_PERSON = ("withheld", "staff", "test_account", "missing_customer")
"""Rules that set aside whatever a person did: what else is wrong with a row need not be found."""

BY_TRUTH = {
    "staff": "person_key not in (select person_key from persons where role = 'staff')",
    "test_account": "person_key not in (select person_key from persons where role = 'test')",
    "same_person": """person_key in (select person_key from people where customer_id in (
        select customer_id from people join persons using (person_key)
        where person_key like 'crm:%' group by 1 having count(distinct person_no) > 1))""",
}
"""Rules that mark more than the record in which something was planted, and when that is wrong."""

FILTERED = ("machine_open", "denied_anonymous")
"""The kinds of dirt that a filter of a mapping takes out."""


def hidden(project):
    key = read_key(project.folder / project.privacy.key_file)
    return lambda expression: pseudonym_sql(expression, key)


@pytest.fixture(
    scope="module", params=[5_000, pytest.param(20_000, marks=pytest.mark.long)], ids="{:,}".format
)
def found(request, tmp_path_factory):
    """Cleanse a sample, and give its rows (`rows`) and truth (`dirt`, `persons`) as tables."""
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder, customers=request.param, threads=2)
    shutil.copy(SAMPLE, folder)
    project = read_project(folder / SAMPLE.name)
    engine = DuckDB(threads=2, memory="2GB")
    landed = sources.land(project, engine, pseudonym=hidden(project))
    (folder / "log").mkdir()
    gate.cleanse(
        engine, project, landed, folder / "log", project.period.as_of, hidden(project), None, {}
    )
    failed = ", ".join(
        f"case when failed & {rule.bit} <> 0 then '{rule.name}' end" for rule in RULES
    )
    parts = [
        f"""select '{table}' as "table", rows.file, rows.record_no, rows.person_key,
            {outcome_sql()} as outcome, list_filter([{failed}], name -> name is not null) as failed
        from "landed {table}" as rows join "facts {table}" as facts using (row_id)"""
        for table in CONTRACT
    ]
    engine.materialize("rows", " union all ".join(parts))
    engine.view(
        "dirt",
        f"""select kind, 'exports/' || file as file, record_no
            from read_parquet('{folder}/truth/dirt.parquet')""",
    )
    form = """case namespace when 'email' then lower(source_id)
        when 'phone' then '+81' || substr(source_id, 2) else source_id end"""
    engine.materialize(
        "persons",
        f"""select distinct namespace || ':' || {hidden(project)(form)} as person_key, person_no,
                role
            from read_parquet('{folder}/truth/identities.parquet') as ids
            join read_parquet('{folder}/truth/people.parquet') as people using (person_no)""",
    )
    yield engine, folder
    engine.close()


def measure(engine):
    """Return one row for each rule: what was planted, what became of it, and what else it marked.

    `no_row` records made no row, since a filter of the mapping took them; `person` records are set
    aside because of whose they are. `marked` rows fail the rule, `wrong` ones in a record in which
    nothing of the kind was planted.
    """
    table = []
    for rule, kinds in PLANTED.items():
        listed = ", ".join(f"'{kind}'" for kind in [*kinds, ""])
        planted = engine.query(
            f"""select count(*) as planted, count_if(not has_row) as no_row,
                count_if(is_found) as found, count_if(has_row and not is_found and by_person)
                    as person
            from (select dirt.file, dirt.record_no, bool_or(rows.file is not null) as has_row,
                    bool_or(coalesce(list_contains(rows.failed, '{rule}'), false)) as is_found,
                    bool_or(coalesce(list_has_any(rows.failed, {list(BY_PERSON)}), false))
                        as by_person
                from (select distinct file, record_no from dirt where kind in ({listed})) as dirt
                left join rows on rows.file = dirt.file and rows.record_no = dirt.record_no
                group by all) as records"""
        ).iloc[0]
        unplanted = f"""(file, record_no) not in
            (select (file, record_no) from dirt where kind in ({listed}))"""
        marked = engine.query(
            f"""select count(*) as marked, count_if({BY_TRUTH.get(rule, unplanted)}) as wrong
                from rows where list_contains(failed, '{rule}')"""
        ).iloc[0]
        table.append({"rule": rule, **planted, **marked})
    table = pd.DataFrame(table).set_index("rule").fillna(0).astype(int)
    table["missed"] = table["planted"] - table[["no_row", "found", "person"]].sum(axis=1)
    within_reach = table["found"] + table["missed"]
    table["recall"] = table["found"] / within_reach.where(within_reach > 0)
    table["precision"] = 1 - table["wrong"] / table["marked"].where(table["marked"] > 0)
    return table


def test_every_planted_fault_is_found_and_nothing_else(found):
    engine, folder = found
    table = measure(engine)
    sys.stdout.write(f"\n{table.to_string(float_format='{:.3f}'.format)}\n")
    assert table["wrong"].sum() == 0
    assert table["missed"].drop("staff").sum() == 0
    # Employees are known by their e-mail: a record without one cannot tell.
    missed = engine.query(
        """select distinct dirt.record_no from dirt join rows using (file, record_no)
            where kind = 'employee' and not list_has_any(failed, ['staff', 'withheld'])"""
    )["record_no"]
    content = (folder / "exports/crm/customers.csv").read_bytes().decode("cp932")
    records = list(csv.DictReader(content.splitlines()))
    assert [records[number - 1]["メールアドレス"] for number in missed] == [""] * len(missed)
    assert table.loc["staff", "missed"] == len(missed)


def test_what_filters_take_out_makes_no_row(found):
    engine, _ = found
    for kind in FILTERED:
        made = engine.query(
            f"""select count(*) as planted, count(rows.file) as rows from dirt
                left join rows using (file, record_no) where kind = '{kind}'"""
        ).iloc[0]
        assert made["planted"] > 0 == made["rows"], kind
