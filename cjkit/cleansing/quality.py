"""What the gate found, counted: per rule and per dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cjkit.checks import CjkitError
from cjkit.cleansing.landing import Landing
from cjkit.cleansing.originals import UNREADABLE_SQL
from cjkit.cleansing.rules import IS_CLEAN, RULE, Rule, outcome_sql, rule_sql
from cjkit.engine import text
from cjkit.events import CONTRACT
from cjkit.project import DIMENSIONS, Project

MOST_EXAMPLES = 100
"""Of the rows that a rule flags, where so many stand is kept."""


def frame(
    rows: Sequence[tuple[object, ...]],
    columns: Sequence[str],
    *,
    whole: Sequence[str] = (),
    number: Sequence[str] = (),
) -> pd.DataFrame:
    """Return a table whose columns have their types even where it has no rows: the rest is text."""
    made = pd.DataFrame(list(rows), columns=list(columns))
    kinds: dict[str, Any] = dict.fromkeys(columns, "str")
    kinds |= dict.fromkeys(whole, "int64") | dict.fromkeys(number, "float64")
    return made.astype(kinds)


def list_rules(landing: Landing) -> pd.DataFrame:
    """Return all rules in order: `rule`, `dimension`, `outcome`, `tables` (a comma list)."""
    rows = [
        (rule.name, rule.dimension, rule.outcome, ",".join(rule.tables)) for rule in landing.rules
    ]
    return frame(rows, ["rule", "dimension", "outcome", "tables"])


def count_failures(landing: Landing) -> pd.DataFrame:
    """Count the rows that fail each rule.

    Returns
    -------
    DataFrame
        `rule`, `dimension`, `outcome`, `table`, `source`, `rows` (that fail the rule, whatever else
        they fail), `decided` (rows that this rule, the first that they fail, set aside). Only rules
        that some row fails.
    """
    found = []
    for table in landing.tables:
        rules = [rule for rule in landing.rules if table in rule.tables]
        sums = ", ".join(
            f"count(*) filter (failed & {rule.bit} <> 0) as {rule.name}, "
            f"count(*) filter (rule = '{rule.name}') as decided_{rule.name}"
            for rule in rules
        )
        counts = landing.engine.query(
            f"""select source, {sums} from (
                select file_no, failed, {rule_sql(landing.rules)} as rule
                from "facts {table}" where failed <> 0) as facts
                join files on files."table" = '{table}' and files.file_no = facts.file_no
                group by source order by min(source_no)"""
        )
        found += [
            (
                rule.name,
                rule.dimension,
                rule.outcome,
                table,
                row["source"],
                row[rule.name],
                row[f"decided_{rule.name}"],
            )
            for _, row in counts.iterrows()
            for rule in rules
            if row[rule.name]
        ]
    columns = ["rule", "dimension", "outcome", "table", "source", "rows", "decided"]
    return frame(found, columns, whole=("rows", "decided"))


def make_scorecard(landing: Landing) -> pd.DataFrame:
    """Score each source and table in each dimension: 1 - failing rows / rows in scope.

    Which rules speak for a dimension stands with the rules. In the words of DAMA UK (2013, The six
    primary dimensions for data quality assessment): completeness is what is needed being there,
    uniqueness nothing standing twice, validity values of the form and range that they should have
    (and, here, rows of customers, not of machines, employees or tests), consistency tables and
    times that do not contradict each other, timeliness times that can be and clocks that are right.
    How late rows come is no share of them: `cjkit.cleansing.freshness` measures it. The sixth,
    accuracy, takes a second source that is known to be true, and is not claimed.

    Rows of people who have not agreed are not in scope.

    Returns
    -------
    DataFrame
        `table`, `source`, `dimension`, `score` (0 to 1), `failing`, `in_scope` (rows), `warn` and
        `stop` (the project's thresholds, missing where it has none), `status` ('good', 'warn' or
        'stop'). A dimension that no rule looks at in a table has no row.
    """
    quality = landing.project.quality
    found = []
    for table in landing.tables:
        bits = {
            dimension: sum(
                rule.bit
                for rule in landing.rules
                if rule.dimension == dimension and table in rule.tables
            )
            for dimension in DIMENSIONS
        }
        sums = ", ".join(
            f"count(*) filter (failed & {bit} <> 0) as {dimension}"
            for dimension, bit in bits.items()
        )
        counts = landing.engine.query(
            f"""select source, count(*) as in_scope, {sums} from "facts {table}" as facts
                join files on files."table" = '{table}' and files.file_no = facts.file_no
                where failed & {RULE["withheld"].bit} = 0
                group by source order by min(source_no)"""
        )
        for _, row in counts.iterrows():
            for dimension, bit in bits.items():
                if not bit:
                    continue
                score = 1 - row[dimension] / row["in_scope"]
                warn, stop = quality.warn.get(dimension), quality.stop.get(dimension)
                status = (
                    "stop"
                    if stop is not None and score < stop
                    else "warn"
                    if warn is not None and score < warn
                    else "good"
                )
                found.append(
                    (
                        table,
                        row["source"],
                        dimension,
                        score,
                        row[dimension],
                        row["in_scope"],
                        warn,
                        stop,
                        status,
                    )
                )
    columns = ["table", "source", "dimension", "score", "failing", "in_scope", "warn", "stop"]
    return frame(
        found,
        [*columns, "status"],
        whole=("failing", "in_scope"),
        number=("score", "warn", "stop"),
    )


def stop_if_too_low(scorecard: pd.DataFrame, project: Project) -> None:
    """Raise CjkitError where a score is below the project's `[quality] stop`, naming all such."""
    low = scorecard[scorecard["status"] == "stop"]
    if len(low):
        lines = [
            f"  - {row['source']}, {row['table']}: {row['dimension']} {row['score']:.3f} is below "
            f"{row['stop']:g} ({row['failing']:,} of {row['in_scope']:,} rows fail)"
            for _, row in low.iterrows()
        ]
        raise CjkitError(
            "\n".join(
                [f"{project.path.name}: the data is worse than [quality] stop allows:", *lines]
            )
        )


def count_withheld(landing: Landing) -> pd.DataFrame:
    """Count what is withheld for want of consent.

    Returns
    -------
    DataFrame
        `source`, `table`, `month`, `people` (whose rows they are), `rows`.
    """
    zone = text(landing.project.project.time_zone)
    tables = " union all ".join(
        f"""select '{table}' as "table", file_no, time_us, person from "facts {table}"
            where failed & {RULE["withheld"].bit} <> 0 and {outcome_sql()} = 'withheld' """
        for table in RULE["withheld"].tables
    )
    local = f"timezone({zone}, timezone('UTC', make_timestamp(time_us)))"
    return landing.engine.query(
        f"""select source, "table", cast(date_trunc('month', {local}) as date) as month,
                count(distinct customer_no) as people, count(*) as rows
            from ({tables}) as facts join files using ("table", file_no)
            left join (select hash(person_key) as person, customer_no from people) as people
                using (person)
            group by all order by source, "table", month"""
    )


def quarantine_sql(landing: Landing) -> str:
    """Write the SQL of the quarantine: one row for each row set aside, without any of its values.

    Its columns: `table`, `source`, `file`, `record_no`, `row_rule`, `rule`, `outcome`, `columns`
    (where the fault is). Rows without consent are not in it.
    """
    named = " ".join(
        f"when '{rule.name}' then '{','.join(rule.columns)}'"
        for rule in landing.rules
        if rule.columns
    )
    parts = []
    for table in landing.tables:
        contract = CONTRACT[table]
        lacking = (
            "concat_ws(',', "
            + ", ".join(
                [
                    "null",
                    *(f"case when {name} is null then '{name}' end" for name in contract.required),
                ]
            )
            + ")"
        )
        parts.append(
            f"""select '{table}' as "table", rows.source, rows.file, rows.record_no, rows.row_rule,
                facts.rule, facts.outcome, case facts.rule
                    when 'unreadable_value' then rows.unreadable
                    when 'unknown_code' then rows.unknown_codes
                    when 'missing_value' then {lacking}
                    else replace(case facts.rule {named} end, '{{time}}', '{contract.time or ""}')
                    end as columns
            from "landed {table}" as rows join (
                select row_id, {rule_sql(landing.rules)} as rule, {outcome_sql()} as outcome
                from "facts {table}" where not {IS_CLEAN}) as facts using (row_id)
            where facts.outcome not in ('withheld', 'erased')"""
        )
    return " union all ".join([*parts, UNREADABLE_SQL])


def flagged_sql(rules: Sequence[Rule]) -> str:
    """Write the SQL of the first rows that each rule flags, with the columns of the quarantine."""
    parts = []
    for table, contract in CONTRACT.items():
        flags = [rule for rule in rules if rule.outcome == "flagged" and table in rule.tables]
        if not flags:
            continue
        first = " union all ".join(
            f"""select * from (select row_id, '{rule.name}' as rule,
                    {_columns_sql(rule, contract.time)} as columns
                from "facts {table}" where {IS_CLEAN} and failed & {rule.bit} <> 0
                order by row_id limit {MOST_EXAMPLES}) as first_ones"""
            for rule in flags
        )
        parts.append(
            f"""select '{table}' as "table", source, file, record_no, row_rule, rule,
                'flagged' as outcome, coalesce(columns, unreadable) as columns
            from "landed {table}" join ({first}) as flagged using (row_id)"""
        )
    return " union all ".join(parts)


def _columns_sql(rule: Rule, time: str | None) -> str:
    """Write the columns that a rule's fault is in; missing where each row says which."""
    named = ",".join(rule.columns).replace("{time}", time or "")
    return f"cast({text(named) if named else 'null'} as varchar)"
