"""Who are the customers: segments by recency, frequency and money (RFM), in named groups.

One row a customer is made where the orders live and stays there; a row for each segment or pair of
scores comes back. `notebooks/02_segmentation.ipynb` is the analysis that this module serves; it
publishes the customers' segments for the notebooks after it.
"""

from cjkit.segmentation.assign import Segments, assign_segments
from cjkit.segmentation.rules import RFM_RULES, Rule, check_rules
from cjkit.segmentation.sizes import SegmentChange, SegmentGrid, compare_segments, measure_grid

__all__ = [
    "RFM_RULES",
    "Rule",
    "SegmentChange",
    "SegmentGrid",
    "Segments",
    "assign_segments",
    "check_rules",
    "compare_segments",
    "measure_grid",
]
