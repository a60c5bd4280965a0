"""What the gate found, counted: per rule, per dimension, per hour, and before against after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cjkit.checks import CjkitError
from cjkit.cleansing.landing import Landing
from cjkit.cleansing.rows import mark
from cjkit.cleansing.rules import IS_CLEAN, RULE, RULES, outcome_sql, rule_sql
from cjkit.engine import text
from cjkit.events import CONTRACT
from cjkit.project import DIMENSIONS, Project

LEAST_EVENTS = 200
"""A daily profile of fewer events says nothing about a clock."""

_CLOSE, _FAR = 0.8, 0.3

Profile = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


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
    for table in CONTRACT:
        rules = [rule for rule in RULES if table in rule.tables]
        sums = ", ".join(
            f"count(*) filter (failed & {rule.bit} <> 0) as {rule.name}, "
            f"count(*) filter (rule = '{rule.name}') as decided_{rule.name}"
            for rule in rules
        )
        counts = landing.engine.query(
            f"""select source, {sums} from (select file_no, failed, {rule_sql()} as rule
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

    Returns
    -------
    DataFrame
        `table`, `source`, `dimension`, `score` (0 to 1), `failing`, `in_scope` (rows), `warn` and
        `stop` (the project's thresholds, missing where it has none), `status` ('good', 'warn' or
        'stop'). A dimension that no rule looks at in a table has no row.
    """
    quality = landing.project.quality
    found = []
    for table in CONTRACT:
        bits = {
            dimension: sum(
                rule.bit for rule in RULES if rule.dimension == dimension and table in rule.tables
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


def find_clock_shifts(landing: Landing) -> pd.DataFrame:
    """Find files whose daily profile agrees with that of others only when shifted by whole hours.

    Each file's clean events per hour of the day are correlated with those of the other files of
    its source (of the other sources, where it is the only one or they hold fewer than 200 events),
    at every shift. A file is suspected when its best shift is not 0 and correlates by .8 or more,
    while as it stands it correlates by .3 or less. Its events are flagged, and kept as they are:
    `[sources.<name>] shift` of the project repairs them.

    Returns
    -------
    DataFrame
        `source`, `file`, `events`, `shift_hours` (to be added), `agreement` (correlation as it
        stands), `agreement_shifted`.
    """
    counts = landing.engine.query(
        f"""select file_no, source, file, cast(time_us // 3600000000 % 24 as integer) as hour,
                count(*) as n
            from "facts events" as facts
            join (select * from files where "table" = 'events') as files using (file_no)
            where {IS_CLEAN} and content is not null group by all"""
    )
    profiles = counts.pivot_table(
        "n", ["file_no", "source", "file"], "hour", "sum", fill_value=0
    ).reindex(columns=range(24), fill_value=0)
    found: list[tuple[str, str, int, int, float, float]] = []
    rows = zip(profiles.index, profiles.to_numpy(float), strict=True)
    for (file_no, source, file), profile in rows:
        is_other = profiles.index.get_level_values("file_no") != file_no
        is_same = is_other & (profiles.index.get_level_values("source") == source)
        reference = profiles[is_same].to_numpy(float).sum(axis=0)
        if reference.sum() < LEAST_EVENTS:
            reference = profiles[is_other].to_numpy(float).sum(axis=0)
        if min(profile.sum(), reference.sum()) < LEAST_EVENTS:
            continue
        agreement = [_correlation(np.roll(profile, hours), reference) for hours in range(24)]
        best = int(np.argmax(agreement))
        if best and agreement[best] >= _CLOSE and agreement[0] <= _FAR:
            hours = best if best <= 12 else best - 24
            found.append((source, file, int(profile.sum()), hours, agreement[0], agreement[best]))
            mark(landing.engine, "events", ["clock_shift"], f"{IS_CLEAN} and file_no = {file_no}")
    names = ["source", "file", "events", "shift_hours", "agreement", "agreement_shifted"]
    return frame(found, names, whole=names[2:4], number=names[4:])


def _correlation(a: Profile, b: Profile) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else 0.0


def count_withheld(landing: Landing) -> pd.DataFrame:
    """Count the rows withheld for want of consent: `source`, `table`, `month`, `rows`."""
    zone = text(landing.project.project.time_zone)
    tables = " union all ".join(
        f"""select '{table}' as "table", file_no, time_us from "facts {table}"
            where failed & {RULE["withheld"].bit} <> 0 and {outcome_sql()} = 'withheld' """
        for table in RULE["withheld"].tables
    )
    local = f"timezone({zone}, timezone('UTC', make_timestamp(time_us)))"
    return landing.engine.query(
        f"""select source, "table", cast(date_trunc('month', {local}) as date) as month,
                count(*) as rows
            from ({tables}) as facts join files using ("table", file_no)
            group by all order by source, "table", month"""
    )


def quarantine_sql() -> str:
    """Write the SQL of the quarantine: one row for each row set aside, without any of its values.

    Its columns: `table`, `source`, `file`, `record_no`, `row_rule`, `rule`, `outcome`, `columns`
    (where the fault is). Rows without consent are not in it.
    """
    named = " ".join(
        f"when '{rule.name}' then '{','.join(rule.columns)}'" for rule in RULES if rule.columns
    )
    parts = []
    for table, contract in CONTRACT.items():
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
                select row_id, {rule_sql()} as rule, {outcome_sql()} as outcome
                from "facts {table}" where not {IS_CLEAN}) as facts using (row_id)
            where facts.outcome not in ('withheld', 'erased')"""
        )
    return " union all ".join(parts)
