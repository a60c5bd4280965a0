"""Where do we lose people: ordered funnels, their trend, times and differences.

The statements run where the event log lives; rows bounded by steps, groups or periods come back to
pandas. `notebooks/03_funnel.ipynb` is the analysis that this module serves.
"""

from cjkit.funnel.changes import FunnelChange, explain_change
from cjkit.funnel.counts import measure_funnel
from cjkit.funnel.curve import FunnelCurve, measure_curve
from cjkit.funnel.differences import FunnelDifference, compare_funnels
from cjkit.funnel.onward import ExitPlaces, FunnelExits, measure_exits, measure_onward
from cjkit.funnel.result import Funnel
from cjkit.funnel.rules import FunnelRules
from cjkit.funnel.shortcuts import FunnelShortcuts, measure_shortcuts
from cjkit.funnel.times import FunnelTimes, measure_times
from cjkit.funnel.trend import Every, FunnelTrend, measure_funnel_trend

__all__ = [
    "Every",
    "ExitPlaces",
    "Funnel",
    "FunnelChange",
    "FunnelCurve",
    "FunnelDifference",
    "FunnelExits",
    "FunnelRules",
    "FunnelShortcuts",
    "FunnelTimes",
    "FunnelTrend",
    "compare_funnels",
    "explain_change",
    "measure_curve",
    "measure_exits",
    "measure_funnel",
    "measure_funnel_trend",
    "measure_onward",
    "measure_shortcuts",
    "measure_times",
]
