"""What a design can tell, before a patient gives weeks to it.

Many patients are simulated under each scenario, each through a sequence of the design, and
judged by the frozen rule with the exact engine. The threshold ``best`` (c1) is calibrated so
that without any true difference a false "best" is named in at most 5 % of trials over all
planned looks.
"""

from models.operating.design import DesignShape, design_hash, draw_order
from models.operating.looks import CHECKED, Task, Trace, simulate_piece
from models.operating.results import Characteristics, ScenarioResult, Share
from models.operating.scenarios import (
    Scenario,
    default_scenarios,
    no_difference,
    with_noise,
)
from models.operating.study import Study, calibrate, operating_characteristics
from models.operating.threshold import calibrated_threshold, threshold_for

__all__ = [
    "CHECKED",
    "Characteristics",
    "DesignShape",
    "Scenario",
    "ScenarioResult",
    "Share",
    "Study",
    "Task",
    "Trace",
    "calibrate",
    "calibrated_threshold",
    "default_scenarios",
    "design_hash",
    "draw_order",
    "no_difference",
    "operating_characteristics",
    "simulate_piece",
    "threshold_for",
    "with_noise",
]
