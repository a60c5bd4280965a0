"""The offers of the Starbucks recipe: every figure, and why one differs from what is published."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import cjkit
from cjkit.funnel import measure_funnel, measure_shortcuts

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parent.parent / "data" / "recipes" / "starbucks_rewards.toml"
FIGURES = ["76,277", "56,895", "33,631", "23,864", "9,767"]
FIGURES += ["33,579", "33,182", "23,677", "9,954", "187"]
RECEIVE, VIEW, COMPLETE = "receive_offer", "view_offer", "complete_offer"


@pytest.fixture(scope="module")
def log(real_data, tmp_path_factory):
    path = shutil.copy(RECIPE, tmp_path_factory.mktemp("starbucks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CJKIT_REAL_DATA", str(real_data))
        yield cjkit.open(path)


def by_offer(real_data):
    """Return each offer received with its views and completions while it is valid."""
    folder = real_data / "starbucks_rewards"
    rows = pd.read_parquet(folder / "transcript.parquet")
    days = pd.read_parquet(folder / "portfolio.parquet").set_index("id")["duration"]
    offers = rows[rows["event"] == "offer received"].reset_index(names="offer_no")
    offers["until"] = offers["time_hours"] + 24 * offers["offer_id"].map(days)
    for event in ("viewed", "completed"):
        found = offers.merge(
            rows[rows["event"] == f"offer {event}"],
            on=["customer_id", "offer_id"],
            suffixes=("", "_then"),
        )
        found = found[found["time_hours_then"].between(found["time_hours"], found["until"])]
        times = found.groupby("offer_no")["time_hours_then"]
        offers = offers.join(times.agg(["min", "max"]).add_prefix(f"{event}_"), on="offer_no")
    return offers


def test_offers_give_the_published_figures_but_for_those_whose_first_completion_came_too_early(
    log, real_data
):
    told = log.project.funnel
    asked = {**told.options, "count": told.count}
    assert (told.hold, told.ties, told.count) == ("ref_id", "simultaneous", "starts")
    counts = measure_funnel(log.events, [RECEIVE, VIEW, COMPLETE], **asked).table["starts"].tolist()
    shortcuts = measure_shortcuts(log.events, [RECEIVE, VIEW, COMPLETE], **asked).table
    unaware = int(shortcuts["without_step"].iloc[0])
    assert counts == [76_277, 56_895, 23_864]
    assert int(shortcuts["completed"].iloc[0]) == 33_631
    assert unaware == 9_767

    offers = by_offer(real_data)
    completed = offers["completed_min"].notna()
    published = completed & (offers["viewed_min"] <= offers["completed_min"])
    ours = completed & (offers["viewed_min"] <= offers["completed_max"])
    assert (int(published.sum()), int(completed.sum()) - int(published.sum())) == (23_677, 9_954)
    assert (int(ours.sum()), int(completed.sum()) - int(ours.sum())) == (23_864, 9_767)
    # Row by row: whatever is ours alone was completed before its first view, and again after it.
    extra = offers[ours & ~published]
    assert len(extra) == 187
    assert (extra["completed_min"] < extra["viewed_min"]).all()
    assert (extra["completed_max"] >= extra["viewed_min"]).all()
    assert not (published & ~ours).any()


def test_the_page_tells_these_figures(log):
    plain = int(
        log.engine.query(f"select count(*) from events where event = '{COMPLETE}'").iloc[0, 0]
    )
    assert plain == 33_579 - 397 == 33_182
    for words in log.project.funnel.note.values():
        for figure in FIGURES:
            assert figure in words
