"""The journey map: what was measured of each stage, lane by lane, on one page.

It measures nothing itself: results of other analyses are passed in, so that every cell can be
traced to the rows behind it. `notebooks/06_journey_map.ipynb` is the analysis that this module
serves.
"""

from cjkit.journey_map.cells import JourneyMap, draw_journey_map, read_comments
from cjkit.journey_map.lanes import LANES

__all__ = ["LANES", "JourneyMap", "draw_journey_map", "read_comments"]
