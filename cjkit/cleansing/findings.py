"""Reading what the gate found back from the folder of a prepared log."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cjkit.checks import unknown_name
from cjkit.cleansing.freshness import measure_freshness
from cjkit.cleansing.history import compare_scores, read_history, runs_until
from cjkit.cleansing.originals import UNREADABLE
from cjkit.cleansing.results import (
    Changes,
    ChannelChanges,
    ClockShifts,
    FanOut,
    FilteredRecords,
    Flow,
    Freshness,
    IdentitySummary,
    Quarantine,
    QuarantineExamples,
    RecordLedger,
    RowLedger,
    Scorecard,
    Trend,
    Withheld,
    make_changes,
)
from cjkit.cleansing.rules import DERIVED, OUTCOMES
from cjkit.engine import DuckDB, text


@dataclass(frozen=True)
class Quality:
    """All that the gate found about one prepared log.

    Attributes
    ----------
    records : RecordLedger
    filtered : FilteredRecords
    fan_out : FanOut
    rows : RowLedger
    flow : Flow
    quarantine : Quarantine
    scorecard : Scorecard
    trend : Trend
    freshness : Freshness
    identity : IdentitySummary
    changes : Changes
    channels : ChannelChanges
    clock_shifts : ClockShifts
    withheld : Withheld
    """

    records: RecordLedger
    filtered: FilteredRecords
    fan_out: FanOut
    rows: RowLedger
    flow: Flow
    quarantine: Quarantine
    scorecard: Scorecard
    trend: Trend
    freshness: Freshness
    identity: IdentitySummary
    changes: Changes
    channels: ChannelChanges
    clock_shifts: ClockShifts
    withheld: Withheld


def read_quality(engine: DuckDB, folder: Path, facts: Mapping[str, Any], history: Path) -> Quality:
    """Read what the gate found from the folder of a prepared log, and what earlier runs found.

    `facts` is what its gate.json says; `history` is the folder that `remember_run` writes.
    """

    def read(name: str) -> pd.DataFrame:
        return engine.query(f"from read_parquet({text(str(folder / f'gate_{name}.parquet'))})")

    def past(name: str) -> pd.DataFrame:
        return runs_until(read_history(engine, history, name), folder.name)

    rows, scores, arrivals = read("row_ledger"), past("scorecard"), past("arrivals")
    before = arrivals[arrivals["run"].isin(arrivals["run"].unique()[-2:-1])]
    as_of = datetime.date.fromisoformat(facts["as_of"])
    filtered = read("filtered_records").groupby(["source", "filter"])["records"].sum()
    return Quality(
        records=RecordLedger(read("record_ledger")),
        filtered=FilteredRecords(filtered.reset_index()),
        fan_out=FanOut(read("fan_out")),
        rows=make_row_ledger(rows),
        flow=Flow(read("flow")),
        quarantine=Quarantine(_by_rule(read("failures"), read("rules"), rows)),
        scorecard=Scorecard(read("scorecard")),
        trend=Trend(compare_scores(scores), scores),
        freshness=Freshness(measure_freshness(read("days"), as_of, before)),
        identity=IdentitySummary(
            read("identity"),
            read("identity_people"),
            customers=facts["customers"],
            merged_customers=facts["merged_customers"],
            largest=facts["most_keys_of_a_customer"],
            alarms=facts["suspicious_customers"],
            minted=facts["minted_customers"],
            merges=facts["merges"],
            splits=facts["splits"],
            alike=facts["alike_links"],
            alike_precision=facts["alike_precision"],
        ),
        changes=make_changes(read("changes")),
        channels=ChannelChanges(read("channels")),
        clock_shifts=ClockShifts(read("clock_shifts")),
        withheld=Withheld(withheld := read("withheld"), total=int(withheld["rows"].sum())),
    )


def make_row_ledger(table: pd.DataFrame) -> RowLedger:
    """Return the ledger of rows with the sums of what sources gave."""
    given = table[table["source"] != DERIVED][["made", "clean", *OUTCOMES]].sum()
    # Of how many people erased rows are is not remembered: perhaps of one.
    whose = pd.DataFrame(
        {
            "withheld": table["withheld_people"],
            "retracted": table["retracted_people"],
            "erased": table["erased"].clip(upper=1),
        }
    )
    shown = table.drop(columns=["withheld_people", "retracted_people"])
    return RowLedger(shown, {str(name): int(rows) for name, rows in given.items()}, whose)


def _by_rule(failures: pd.DataFrame, rules: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Sum the failures of each rule over tables and sources."""
    table = failures.groupby("rule", as_index=False)[["rows", "decided"]].sum()
    rules = rules.set_index("rule").loc[table["rule"]]
    made = ledger[ledger["source"] != DERIVED].groupby("table")["made"].sum()
    scope = [made.reindex(tables.split(",")).sum() for tables in rules["tables"]]
    table = table.rename(columns={"rule": "check"})
    table["share"] = table["rows"] / np.array(scope, dtype=float)
    table.insert(1, "reason", table["check"])
    table.insert(2, "dimension", [dimension or None for dimension in rules["dimension"]])
    table.insert(3, "outcome", rules["outcome"].to_list())
    return table.sort_values("rows", ascending=False, ignore_index=True)


def list_examples(engine: DuckDB, folder: Path, rule: str | None, most: int) -> QuarantineExamples:
    """Read the first `most` rows that one rule marked, or that each set aside as a fault."""
    path = text(str(folder / "gate_rules.parquet"))
    known = set(engine.query(f"select rule from read_parquet({path})")["rule"]) | {UNREADABLE}
    if rule is not None and rule not in known:
        raise unknown_name("rule", rule, known, where="the gate")
    wanted = f"rule = {text(rule)}" if rule is not None else "outcome = 'quarantined'"
    files = [text(str(folder / f"{name}.parquet")) for name in ("quarantine", "flagged")]
    return QuarantineExamples(
        engine.query(
            f"""select rule as "check", "table", source, file, record_no, columns
                from (select *, row_number() over (partition by rule
                        order by source, file, record_no, row_rule, "table") as place
                    from read_parquet([{", ".join(files)}])
                    where {wanted}) as numbered
                where place <= {int(most)} order by rule, place"""
        )
    )
