"""Where do we lose people: ordered funnels, their trend, times and differences.

The statements run where the event log lives; rows bounded by steps, groups or periods come back to
pandas. `notebooks/03_funnel.ipynb` is the analysis that this module serves.
"""

from cjkit.funnel.counts import Funnel, measure_funnel
from cjkit.funnel.differences import FunnelDifference, compare_funnels
from cjkit.funnel.rules import FunnelRules
from cjkit.funnel.times import FunnelTimes, measure_times
from cjkit.funnel.trend import Every, FunnelTrend, measure_funnel_trend

__all__ = [
    "Every",
    "Funnel",
    "FunnelDifference",
    "FunnelRules",
    "FunnelTimes",
    "FunnelTrend",
    "compare_funnels",
    "measure_funnel",
    "measure_funnel_trend",
    "measure_times",
]
