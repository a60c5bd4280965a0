"""cjkit: a Jupyter notebook analysis kit for customer journeys.

`cjkit.open("journey.toml")` gives the journey log of a company; one verb here answers one question
about it, and `cjkit.show` shows the answer. The rest is in the modules: `cjkit.funnel`,
`cjkit.paths`, ...
"""

from cjkit.checks import CjkitError
from cjkit.cleansing import open
from cjkit.experience import (
    measure_emotion,
    measure_stages,
    measure_touchpoints,
    rank_moments,
    rank_pain_points,
)
from cjkit.funnel import compare_funnels, measure_funnel
from cjkit.journey_map import draw_journey_map
from cjkit.lifetime_value import (
    backtest_purchases,
    fit_purchases,
    fit_spend,
    measure_cohort_revenue,
    measure_retention,
    predict_value,
    read_histories,
)
from cjkit.paths import measure_flow, measure_transitions, rank_journeys
from cjkit.report import explore, headline, show
from cjkit.report.show import show_at_the_end_of_a_cell
from cjkit.segmentation import (
    assign_segments,
    compare_segments,
    describe_personas,
    find_segments,
)
from cjkit.synthetic import make_sample

show_at_the_end_of_a_cell()

__version__ = "0.1.0"

__all__ = [
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
]
