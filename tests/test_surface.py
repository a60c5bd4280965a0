"""What `import cjkit` offers: one verb a question, each documented."""

import cjkit

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
