"""Paths: which way customers take, where they go next, and which ways lead to a conversion.

A journey is a customer's events one after another; a silence longer than `gap` ends it. Everything
is counted where the prepared log lives, on the columns that its preparation stored (`step_no`,
`next_event`, `next_touchpoint`, `microseconds_to_next`); what comes back is bounded by the places
that the company has. `notebooks/05_paths.ipynb` is the analysis that this module serves.
"""

from cjkit.paths.conformity import Conformity, measure_conformity
from cjkit.paths.differences import PathDifference, compare_paths
from cjkit.paths.flow import Flow, measure_flow
from cjkit.paths.journey_types import JourneyTypes, find_journey_types
from cjkit.paths.journeys import Journeys, rank_journeys
from cjkit.paths.loops import Loops, measure_loops
from cjkit.paths.matrix import StepMatrix
from cjkit.paths.moves import ENTRY, EXIT, OPEN, Level
from cjkit.paths.transitions import Transitions, measure_transitions

__all__ = [
    "ENTRY",
    "EXIT",
    "OPEN",
    "Conformity",
    "Flow",
    "JourneyTypes",
    "Journeys",
    "Level",
    "Loops",
    "PathDifference",
    "StepMatrix",
    "Transitions",
    "compare_paths",
    "find_journey_types",
    "measure_conformity",
    "measure_flow",
    "measure_loops",
    "measure_transitions",
    "rank_journeys",
]
