"""What a schedule must hear of a log that was prepared all the same: scores and silent sources."""

from __future__ import annotations

from cjkit.cleansing.findings import read_quality
from cjkit.cleansing.gate import Prepared
from cjkit.engine import DuckDB
from cjkit.labels import format_percent
from cjkit.project import Project


def list_warnings(project: Project, prepared: Prepared) -> list[str]:
    """Say in sentences what a person should look at.

    Scores that fell against the run before (see `history.compare_scores`), scores below
    `[quality] warn`, and sources that are silent for longer than ever.
    """
    engine = DuckDB(threads=1)
    try:
        history = project.state_folder / "history"
        quality = read_quality(engine, prepared.folder, prepared.facts, history)
    finally:
        engine.close()
    trend, score, fresh = (
        found.table for found in (quality.trend, quality.scorecard, quality.freshness)
    )
    fell = [
        f"{row['source']}, {row['table']}: {row['dimension']} fell to "
        f"{format_percent(row['score'], 'en')} from {format_percent(row['score_before'], 'en')} in "
        "the run before"
        for _, row in trend[trend["status"] == "fell"].iterrows()
    ]
    low = [
        f"{row['source']}, {row['table']}: {row['dimension']} {format_percent(row['score'], 'en')} "
        f"is below [quality] warn {row['warn']:g} ({row['failing']:,} of {row['in_scope']:,} rows "
        "fail)"
        for _, row in score[score["status"] == "warn"].iterrows()
    ]
    silent = [
        f"{row['source']}, {row['table']}: no row since {row['newest_on']}, longer than ever"
        for _, row in fresh[fresh["is_stale"]].iterrows()
    ]
    return fell + low + silent
