"""Who are the customers: segments by score, rule, lifecycle or likeness, and their personas.

One row a customer is made where the log lives and stays there; a row for each segment, or pair of
segments, comes back. `notebooks/02_segmentation.ipynb` is the analysis that this module serves; it
publishes the customers' segments for the notebooks after it.

- `assign_segments`: recency, frequency and money (RFM); `apply_rules`: `[segments]` of the project
  file; `measure_lifecycle`: new, active, at risk, dormant, back, lost; `measure_stickiness`.
- `read_features` describes each customer, `find_segments` looks for groups in it and says so when
  there are none; its `definition` puts customers of any moment into the same segments.
- `measure_migration` and `measure_drift`: who moved, and whether a definition still holds.
- `describe_personas`, `measure_engagement`: what each segment is like; `measure_missing`: who is
  not in any. `join_views` puts several views into one table.
"""

from cjkit.segmentation.assign import Segments, SegmentTreemap, assign_segments
from cjkit.segmentation.bias import MissingPeople, measure_missing
from cjkit.segmentation.choosing import GroupNumber
from cjkit.segmentation.declared import apply_rules, check_segments
from cjkit.segmentation.definition import Axis, Definition
from cjkit.segmentation.drift import Drift, measure_drift
from cjkit.segmentation.engagement import Engagement, measure_engagement
from cjkit.segmentation.explaining import SegmentRules
from cjkit.segmentation.features import Features, read_features
from cjkit.segmentation.found import FoundSegments, find_segments
from cjkit.segmentation.lifecycle import STATUSES, Lifecycle, measure_lifecycle
from cjkit.segmentation.migration import Migration, measure_migration
from cjkit.segmentation.personas import Personas, describe_personas
from cjkit.segmentation.rules import RFM_RULES, Rule, check_rules
from cjkit.segmentation.sizes import SegmentChange, SegmentGrid, compare_segments, measure_grid
from cjkit.segmentation.stickiness import Stickiness, measure_stickiness
from cjkit.segmentation.views import join_views

__all__ = [
    "RFM_RULES",
    "STATUSES",
    "Axis",
    "Definition",
    "Drift",
    "Engagement",
    "Features",
    "FoundSegments",
    "GroupNumber",
    "Lifecycle",
    "Migration",
    "MissingPeople",
    "Personas",
    "Rule",
    "SegmentChange",
    "SegmentGrid",
    "SegmentRules",
    "SegmentTreemap",
    "Segments",
    "Stickiness",
    "apply_rules",
    "assign_segments",
    "check_rules",
    "check_segments",
    "compare_segments",
    "describe_personas",
    "find_segments",
    "join_views",
    "measure_drift",
    "measure_engagement",
    "measure_grid",
    "measure_lifecycle",
    "measure_migration",
    "measure_missing",
    "measure_stickiness",
    "read_features",
]
