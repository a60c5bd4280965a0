"""What `import cjkit` offers: one verb a question, each documented."""

import subprocess
import sys

import cjkit
from cjkit import labels

NAMES = {
    "CjkitError",
    "assign_segments",
    "backtest_purchases",
    "compare_funnels",
    "compare_segments",
    "describe_personas",
    "draw_journey_map",
    "explore",
    "find_segments",
    "fit_purchases",
    "fit_spend",
    "headline",
    "make_sample",
    "measure_cohort_revenue",
    "measure_emotion",
    "measure_flow",
    "measure_funnel",
    "measure_retention",
    "measure_stages",
    "measure_touchpoints",
    "measure_transitions",
    "open",
    "predict_value",
    "rank_journeys",
    "rank_moments",
    "rank_pain_points",
    "read_histories",
    "show",
}


def test_the_surface_is_small_and_known():
    assert set(cjkit.__all__) == NAMES
    assert len(NAMES) <= 30


def test_every_name_teaches():
    for name in NAMES:
        assert len((getattr(cjkit, name).__doc__ or "").split()) >= 5, name


def test_importing_loads_no_library_that_few_questions_need():
    heavy = {
        "sklearn",
        "seaborn",
        "scipy.stats",
        "pandas.io.formats.style",
        "nbconvert",
        "papermill",
        "splink",
    }
    told = "import sys, cjkit; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert not heavy & set(run.stdout.split())


def test_a_result_that_ends_a_cell_shows_itself_masked(event_log):
    labels.set_languages(["ja"])
    funnel = cjkit.measure_funnel(event_log("ann: view 0h, buy 1h"), ["view", "buy"])
    shown, again = funnel._repr_html_(), funnel._repr_html_()
    assert "秘匿" in shown
    assert "<svg" in shown
    assert shown != again  # no id stands twice in a notebook
    assert not hasattr(cjkit.CjkitError, "_repr_html_")


def test_completion_offers_the_verbs_and_the_rooms():
    assert NAMES | {"funnel", "paths", "segmentation", "experience"} <= set(dir(cjkit))
