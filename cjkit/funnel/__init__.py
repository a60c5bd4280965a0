"""Where do we lose people: ordered funnels, their trend, times and differences.

One SQL statement runs where the event log lives; rows bounded by steps, groups or periods come back
to pandas. `notebooks/03_funnel.ipynb` is the analysis that this module serves.
"""

from cjkit.funnel.counts import Funnel, Ties, measure_funnel

__all__ = ["Funnel", "Ties", "measure_funnel"]
