"""The ledgers: what became of each record, which rows it made, and what became of each row.

A run whose ledgers do not add up is no run: each check here ends it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.cleansing.landing import Landing
from cjkit.cleansing.prepared import Written
from cjkit.cleansing.rules import DERIVED, OUTCOMES, RULE, outcome_sql
from cjkit.engine import text
from cjkit.events import CONTRACT

_PEOPLE = {"withheld_people": "withheld", "retracted_people": "retracted"}
_FAULT = "This is a fault of cjkit: please report it."


def count_fan_out(landing: Landing) -> pd.DataFrame:
    """Return the ledger between records and rows: how many of each source made which.

    Every mapped record stands behind at least one row, and every row behind one record: the records
    that are found again in the rows of a file are those that it mapped (fewer only where rows of
    people who must be forgotten were left out), or the run ends here.

    Returns
    -------
    DataFrame
        `source`, `table`, `mapped` (records of the source that made any row), `records` (those of
        them that made rows of this table), `rows` (that they made). A record may stand in several
        tables; the rows of all tables are the rows of the ledger of rows.
    """
    files = landing.files
    found = _count_records(landing)
    made = files.merge(found, on=["source", "file", "table"], how="left")
    made["records"] = made["records"].fillna(0).astype("int64")
    whole = found[found["table"].isna()].set_index(["source", "file"])["records"]
    erased = files.groupby(["source", "file"])["erased"].sum()
    mapped = landing.records[["source", "file", "mapped"]]
    for source, file, records in mapped.itertuples(index=False):
        again, gone = (int(counts.get((source, file), 0)) for counts in (whole, erased))
        if not again <= records <= again + gone:
            raise CjkitError(
                f"{file!r} (source {source!r}) mapped {records} records, but its rows come from "
                f"{again}, and {gone} rows are erased. {_FAULT}"
            )
    table = made.groupby(["source_no", "source", "table"], sort=False, as_index=False)[
        ["records", "made"]
    ].sum()
    table = table.sort_values("source_no", kind="stable").drop(columns="source_no")
    table.insert(2, "mapped", table["source"].map(mapped.groupby("source")["mapped"].sum()))
    return table.rename(columns={"made": "rows"}).reset_index(drop=True)


def _count_records(landing: Landing) -> pd.DataFrame:
    """Count the records behind the rows of each file: for each table, and (missing) for all.

    Where one line of a mapping made all rows of a file, and as many as the file has records that it
    mapped, each row is a record: only the others are counted one by one.
    """
    engine = landing.engine
    if not landing.tables:
        return pd.DataFrame(columns=["source", "file", "table", "records"])
    parts = engine.query(
        " union all ".join(
            f"""select source, file, '{table}' as "table", row_rule, count(*) as records
                from "landed {table}" group by all"""
            for table in landing.tables
        )
    )
    files = parts.groupby(["source", "file"])["records"]
    mapped = landing.records.set_index(["source", "file"])["mapped"]
    expected = mapped.reindex(pd.MultiIndex.from_frame(parts[["source", "file"]])).to_numpy()
    alone = (files.transform("size") == 1) & (parts["records"] <= expected)
    single = parts[alone].drop(columns="row_rule")
    counted = [single, single.assign(table=None)]
    if len(several := parts[~alone]):
        named = ", ".join(text(file) for file in several["file"].unique())
        counted.append(
            engine.query(
                'select source, file, "table", count(distinct record_no) as records from ('
                + " union all ".join(
                    f"""select source, file, '{table}' as "table", record_no
                        from "landed {table}" where file in ({named})"""
                    for table in several["table"].unique()
                )
                + ') as rows group by grouping sets ((source, file, "table"), (source, file))'
            )
        )
        only = several[["source", "file"]].drop_duplicates()
        counted[-1] = counted[-1].merge(only, on=["source", "file"])
    return pd.concat(counted, ignore_index=True)


def count_outcomes(landing: Landing, as_of_us: int, written: Mapping[str, Written]) -> pd.DataFrame:
    """Return the ledger of rows: per source and table, what became of each row that was made.

    `made` is the sum of `clean` and the outcomes; `later` of the clean rows are at or after
    `as_of`, and stay out of this log. Rows that the gate itself made have the source '(derived)'.
    `withheld_people` and `retracted_people` say whose rows these are.
    What is in the prepared tables must be what the ledger says, or the run ends here.
    """
    counts = pd.concat(
        [
            landing.engine.query(
                f"""select '{table}' as "table", source, outcome, count(*) as n,
                        count(*) filter (time_us >= {as_of_us}) as later
                    from (select file_no, time_us, {outcome_sql()} as outcome
                        from "facts {table}") as facts
                    join files on files."table" = '{table}' and files.file_no = facts.file_no
                    group by source, outcome"""
            )
            for table in CONTRACT
        ],
        ignore_index=True,
    )
    sums = landing.files.groupby(["table", "source"])[["made", "erased"]].sum()
    ledger = (
        counts.pivot_table("n", ["table", "source"], "outcome", "sum", fill_value=0)
        .reindex(index=sums[sums["made"] > 0].index, columns=["clean", *OUTCOMES], fill_value=0)
        .astype("int64")
    )
    ledger["erased"] += sums["erased"].reindex(ledger.index)
    clean = counts[counts["outcome"] == "clean"].set_index(["table", "source"])["later"]
    ledger.insert(0, "made", sums["made"].reindex(ledger.index))
    ledger["later"] = clean.reindex(ledger.index).fillna(0).astype("int64")
    for table, result in written.items():
        if result.derived:
            ledger.loc[(table, DERIVED), :] = 0
            ledger.loc[(table, DERIVED), ["made", "clean"]] = result.derived
    ledger = ledger.astype("int64").reset_index()

    parts = ledger[["clean", *OUTCOMES]].sum(axis=1)
    kept = (ledger["clean"] - ledger["later"]).groupby(ledger["table"]).sum()
    unequal = {
        table: (int(kept.get(table, 0)), result.rows)
        for table, result in written.items()
        if kept.get(table, 0) != result.rows
    }
    if (ledger["made"] != parts).any() or unequal:
        wrong = ledger[ledger["made"] != parts].to_dict("records")
        raise CjkitError(
            f"The ledger of rows does not add up: {wrong or ''} {unequal or ''} (rows that should "
            f"be in the log, rows that are). {_FAULT}"
        )
    whole = ledger.merge(_count_people(landing), "left", ["table", "source"])
    return whole.fillna(dict.fromkeys(_PEOPLE, 0)).astype(dict.fromkeys(_PEOPLE, "int64"))


def _count_people(landing: Landing) -> pd.DataFrame:
    """Count the people whose rows are withheld or retracted, by `table` and `source`."""
    bits = RULE["withheld"].bit | RULE["retracted"].bit
    gone = " union all ".join(
        f"""select '{table}' as "table", file_no, person, {outcome_sql()} as outcome
            from "facts {table}" where failed & {bits} <> 0"""
        for table in CONTRACT
    )
    counted = ", ".join(
        f"count(distinct case when outcome = '{outcome}' then customer_no end) as {name}"
        for name, outcome in _PEOPLE.items()
    )
    return landing.engine.query(
        f"""select "table", source, {counted} from ({gone}) as gone
            join files using ("table", file_no)
            left join (select hash(person_key) as person, customer_no from people) as people
                using (person)
            group by all"""
    )


def follow_records(
    records: pd.DataFrame, fan_out: pd.DataFrame, rows: pd.DataFrame
) -> pd.DataFrame:
    """Follow the records that were read to the rows of the log, through all three ledgers.

    Returns
    -------
    DataFrame
        `step`, `counted` ('records' or 'rows'), `amount` (of a total; else what is added or, below
        0, taken away), `is_total`. Each total is the sum of what stands before it, or the run ends
        here. Steps that change nothing are left out.
    """
    is_derived = rows["source"].eq(DERIVED)
    given = rows[~is_derived].sum(numeric_only=True)
    read = records.sum(numeric_only=True)
    made = int(fan_out["rows"].sum())
    steps = [
        ("read", "records", read["read"], True),
        ("filtered", "records", -read["filtered"], False),
        ("unreadable", "records", -read["unreadable"], False),
        ("mapped", "records", read["mapped"], True),
        ("further_rows", "rows", made - read["mapped"], False),
        ("made", "rows", given["made"], True),
        *((name, "rows", -given[name], False) for name in OUTCOMES),
        ("clean", "rows", given["clean"], True),
        ("later", "rows", -given["later"], False),
        ("derived", "rows", rows.loc[is_derived, "made"].sum(), False),
        ("in_the_log", "rows", (rows["clean"] - rows["later"]).sum(), True),
    ]
    level = steps[0][2]
    for step, _, amount, is_total in steps:
        if is_total and amount != level:
            raise CjkitError(
                f"The ledgers do not agree at {step!r}: {level} by what came before, {amount} by "
                f"its own count. {_FAULT}"
            )
        level = amount if is_total else level + amount
    table = pd.DataFrame(steps, columns=["step", "counted", "amount", "is_total"])
    table["amount"] = table["amount"].astype("int64")
    return table[table["is_total"] | table["amount"].ne(0)].reset_index(drop=True)
