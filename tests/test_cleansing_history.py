"""What earlier runs found: the trend of scores, and how late rows come."""

import datetime

import numpy as np
import pandas as pd
import pytest
from companies import make_company

from cjkit import cleansing
from cjkit.__main__ import main
from cjkit.checks import CjkitError
from cjkit.cleansing.freshness import LEAST_DAYS, measure_freshness
from cjkit.cleansing.history import LEAST_FALL, compare_scores
from cjkit.statistics import newcombe_interval

HITS = "id, at, login, event, channel, direction, ref"


def hits(days, *, bad=0, start=1):
    """Write one good hit a day, then `bad` hits without a time."""
    lines = [f"{k}, 2026-01-{k:02} 10:00:00, ann, view, , ," for k in range(start, start + days)]
    lines += [f"x{k}, , ann, view, , ," for k in range(bad)]
    return "\n".join([HITS, *lines])


def test_each_published_log_is_remembered_once(tmp_path):
    path = make_company(tmp_path, {"hits.csv": hits(9)})
    log = cleansing.open(path, as_of="2026-01-05")
    assert log.quality.trend.table.empty
    assert log.quality.trend.past["run"].unique().tolist() == [log.prepared.fingerprint]
    for day in ("2026-01-05", "2026-01-08", "2026-01-05", "2026-01-08"):
        log = cleansing.open(path, as_of=day)
    past = log.quality.trend.past
    assert past.groupby("as_of", sort=False).size().nunique() == 1
    assert past["as_of"].drop_duplicates().dt.day.tolist() == [5, 8]
    # An earlier log does not look ahead.
    assert cleansing.open(path, as_of="2026-01-05").quality.trend.table.empty


def test_a_run_that_is_stopped_is_not_remembered(tmp_path):
    path = make_company(tmp_path, {"hits.csv": hits(9)})
    log = cleansing.open(path)
    path.write_text("[quality]\nstop = { completeness = 0.9 }\n" + path.read_text())
    (tmp_path / "in" / "hits.csv").write_text(hits(2, bad=9).replace(", ", ","))
    with pytest.raises(CjkitError, match="completeness"):
        cleansing.open(path)
    history = log.project.state_folder / "history"
    assert [file.name for file in sorted(history.iterdir())] == [
        "arrivals.parquet",
        "scorecard.parquet",
    ]
    assert len(set(log.engine.query(f"from '{history}/scorecard.parquet'")["run"])) == 1


def test_a_log_that_was_published_but_not_remembered_is_remembered_next_time(tmp_path):
    path = make_company(tmp_path, {"hits.csv": hits(9)})
    log = cleansing.open(path)
    for file in (log.project.state_folder / "history").iterdir():
        file.unlink()
    assert not cleansing.prepare(path).is_new
    assert cleansing.open(path).quality.trend.past["run"].nunique() == 1


def test_a_bad_delivery_is_seen_however_much_good_data_lies_behind_it(tmp_path):
    path = make_company(tmp_path, {"hits.csv": hits(28)})
    for day in range(2, 5):
        many = [f"{day}-{k}, 2026-01-0{day} 10:00:00, p{k}, view, , ," for k in range(2000)]
        (tmp_path / "in" / f"hits_{day}.csv").write_text(
            "\n".join([HITS, *many]).replace(", ", ",")
        )
    cleansing.open(path)
    (tmp_path / "in" / "hits_5.csv").write_text(hits(5, bad=15).replace(", ", ","))
    log = cleansing.open(path)
    trend = log.quality.trend.table.set_index("dimension")
    worst = log.quality.trend.table.iloc[0]
    assert worst[["source", "table", "dimension", "status"]].tolist() == [
        "hits", "events", "completeness", "fell",
    ]  # fmt: skip
    assert worst["compared_rows"] == 20
    assert worst["change"] == pytest.approx(5 / 20 - 1)
    assert worst["score"] > 0.99  # diluted by what lies behind it
    assert trend["status"].value_counts().to_dict() == {"steady": 4, "fell": 1}
    for language, said in (("en", "75.0 points"), ("ja", "75.0 ポイント")):
        assert said in log.quality.trend.finding(language)
        drawn = log.quality.trend.plot(language=language)
        assert len(drawn.patches) == 1
        assert len([line for line in drawn.lines if line.get_marker() == "o"]) == 5


def scorecard(runs):
    """Return the history of one score: (failing, in scope) of each run."""
    return pd.DataFrame(
        [
            ("web", "events", "validity", f"r{k}", 1 - failing / rows, failing, rows)
            for k, (failing, rows) in enumerate(runs)
        ],
        columns=["source", "table", "dimension", "run", "score", "failing", "in_scope"],
    )


@pytest.mark.parametrize(
    ("then", "now", "compared", "failing", "status"),
    [
        ((10, 1000), (60, 1100), 100, 50, "fell"),  # it grew: the new rows alone
        ((10, 1000), (11, 1100), 100, 1, "steady"),
        ((10, 1000), (300, 1000), 1000, 300, "fell"),  # rows went bad: all of them
        ((300, 1000), (10, 900), 900, 10, "steady"),  # rows went away
        ((50, 1000), (45, 1100), 1100, 45, "steady"),  # rows were mended while it grew
        ((1, 20), (2, 25), 5, 1, "steady"),  # too few to tell
    ],
)
def test_a_fall_is_judged_by_the_interval_of_the_difference(then, now, compared, failing, status):
    found = compare_scores(scorecard([(0, 10), then, now])).iloc[0]
    assert found[["compared_rows", "status"]].tolist() == [compared, status]
    low, high = newcombe_interval(compared - failing, compared, then[1] - then[0], then[1])
    assert found[["change_low", "change_high"]].tolist() == pytest.approx([float(low), float(high)])
    assert (found["change_high"] < -LEAST_FALL) == (status == "fell")


def test_a_large_table_that_falls_by_a_hair_does_not_warn():
    found = compare_scores(scorecard([(10_000, 1_000_000), (15_000, 1_000_000)])).iloc[0]
    assert found["change_high"] < 0
    assert found["status"] == "steady"


def slow_freshness(days, as_of):
    """Walk the calendar day by day."""
    seen, longest, silent = set(days), 0, 0
    day = min(days)
    while day < as_of:
        silent = 0 if day in seen else silent + 1
        day += datetime.timedelta(days=1)
        if day in seen:
            longest = max(longest, silent)
    return silent, longest


def test_silence_agrees_with_walking_the_calendar(rng):
    as_of = datetime.date(2026, 6, 1)
    for _ in range(30):
        size = int(rng.integers(1, 40))
        on = [as_of - datetime.timedelta(days=int(k)) for k in rng.integers(1, 60, size)]
        counted = pd.Series(1, on).groupby(level=0).sum()
        days = pd.DataFrame(
            {"source": "web", "table": "events", "day": pd.to_datetime(counted.index)}
        ).assign(rows=counted.to_numpy())
        found = measure_freshness(days, as_of, pd.DataFrame()).iloc[0]
        silent, longest = slow_freshness(on, as_of)
        assert found[["silent_days", "longest_silence", "rows"]].tolist() == [silent, longest, size]
        assert found["newest_on"] == max(on)
        assert found["is_stale"] == (silent > longest and len(set(on)) >= LEAST_DAYS)


def test_a_schedule_hears_what_fell_what_is_low_and_what_is_silent(tmp_path, capsys):
    path = make_company(tmp_path, {"hits.csv": hits(20)})
    path.write_text("[quality]\nwarn = { completeness = 0.9 }\n" + path.read_text())
    assert main(["prepare", str(path), "--as-of", "2026-01-21"]) == 0
    assert "warning" not in capsys.readouterr().err
    (tmp_path / "in" / "hits.csv").write_text(hits(20, bad=30).replace(", ", ","))
    for _ in range(2):  # also where nothing has changed since
        assert main(["prepare", str(path), "--as-of", "2026-01-25"]) == 0
        said = capsys.readouterr().err
        assert "warning: hits, events: completeness fell to 40.0% from 100.0%" in said
        assert "completeness 40.0% is below [quality] warn 0.9 (30 of 50 rows fail)" in said
        assert "warning: hits, events: no row since 2026-01-20, longer than ever" in said


def test_rows_that_came_after_their_day_was_reported_are_counted(tmp_path):
    path = make_company(tmp_path, {"hits.csv": hits(9)})
    log = cleansing.open(path, as_of="2026-01-08")
    assert log.quality.freshness.table["late_rows"].isna().all()
    late = "\n".join(
        [HITS, *(f"late{k}, 2026-01-0{k} 10:00:00, bob, view, , ," for k in (3, 7, 9))]
    )
    (tmp_path / "in" / "hits_2.csv").write_text(late.replace(", ", ","))
    fresh = cleansing.open(path, as_of="2026-01-10").quality.freshness
    assert fresh.table[["rows", "late_rows", "silent_days"]].iloc[0].tolist() == [12, 2, 0]
    assert "2 rows came after" in fresh.finding("en")
    again = cleansing.open(path, as_of="2026-01-12").quality.freshness
    assert again.table[["late_rows", "silent_days"]].iloc[0].tolist() == [0, 2]


def test_a_source_that_stops_is_called_stale(tmp_path):
    lines = [f"{k}, 2026-01-{k:02} 23:59:59, ann, view, , ," for k in range(1, LEAST_DAYS + 1)]
    files = {"hits.csv": "\n".join([HITS, *lines])}
    path = make_company(tmp_path, files)
    day = f"2026-01-{LEAST_DAYS + 1}"
    assert not cleansing.open(path, as_of=day).quality.freshness.table["is_stale"].any()
    fresh = cleansing.open(path, as_of=f"2026-01-{LEAST_DAYS + 2}").quality.freshness
    assert fresh.table["is_stale"].tolist() == [True]
    for language in ("en", "ja"):
        assert "{" not in fresh.finding(language)
    assert np.all(fresh.table["newest_on"] == datetime.date(2026, 1, LEAST_DAYS))
