"""Where do we lose people: ordered funnels, their trend, times and differences.

The statements run where the event log lives; rows bounded by steps, groups or periods come back to
pandas. `notebooks/03_funnel.ipynb` is the analysis that this module serves.
"""

from cjkit.funnel.counts import Funnel, Ties, measure_funnel
from cjkit.funnel.differences import FunnelDifference, compare_funnels
from cjkit.funnel.entries import (
    Every,
    FunnelTimes,
    FunnelTrend,
    measure_funnel_trend,
    measure_times,
)

__all__ = [
    "Every",
    "Funnel",
    "FunnelDifference",
    "FunnelTimes",
    "FunnelTrend",
    "Ties",
    "compare_funnels",
    "measure_funnel",
    "measure_funnel_trend",
    "measure_times",
]
