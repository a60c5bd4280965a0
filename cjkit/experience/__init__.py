"""Experience: how far customers come, how they feel on the way, where it hurts and where it turns.

Counts run where the prepared log lives; rows bounded by stages and touchpoints come back. The
results are the lanes of the journey map. `notebooks/06_journey_map.ipynb` is the analysis that this
module serves.
"""

from cjkit.experience.content import Content, rank_content
from cjkit.experience.cycle import StageCycle, measure_stage_cycle
from cjkit.experience.drivers import Drivers, measure_drivers
from cjkit.experience.emotion import Emotion, measure_emotion
from cjkit.experience.moments import Moments, rank_moments
from cjkit.experience.pain_points import PainPoints, rank_pain_points
from cjkit.experience.stages import Stages, measure_stages
from cjkit.experience.states import StageStates, measure_stage_states
from cjkit.experience.texts import TextEmotion, learn_emotion
from cjkit.experience.themes import Themes, find_themes
from cjkit.experience.touchpoints import Touchpoints, measure_touchpoints

__all__ = [
    "Content",
    "Drivers",
    "Emotion",
    "Moments",
    "PainPoints",
    "StageCycle",
    "StageStates",
    "Stages",
    "TextEmotion",
    "Themes",
    "Touchpoints",
    "find_themes",
    "learn_emotion",
    "measure_drivers",
    "measure_emotion",
    "measure_stage_cycle",
    "measure_stage_states",
    "measure_stages",
    "measure_touchpoints",
    "rank_content",
    "rank_moments",
    "rank_pain_points",
]
