"""Two more questions to a fitted model: can it foresee, and what did it learn?

Neither refuses a verdict; both stand on the analyst's page. Predictive checks that do refuse
are in ``models.checks``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models import exact
from models.checks import replicate
from models.data import TrialData
from models.posterior import Posterior
from models.specification import HalfLifeShared, LogNormal, Specification

type Floats = NDArray[np.float64]

REPLICATES = 2000


@dataclass(frozen=True, slots=True)
class Foresight:
    """How the last block compares with what the blocks before it foretold.

    Attributes:
        days: rated days of the last block.
        inside_50: share of them inside their 50 % predictive interval; inside_90 likewise.
        error: mean of rating minus prediction, in points.
    """

    days: int
    inside_50: float
    inside_90: float
    error: float


def foresee_last_block(
    data: TrialData, specification: Specification, *, seed: int
) -> Foresight | None:
    """Fit all but the last block and predict its days; None when nothing is left to fit or see.

    The last block is the last K periods. Its period effects are new to the model, and memory
    of the day before is not used, so that a prediction is one of weeks, not of tomorrow.

    Args:
        data: the trial.
        specification: what is fitted.
        seed: of fit and prediction.
    """
    first = data.periods - len(data.arms)
    earlier = replace(data, in_analysis=data.in_analysis & (data.day_period < first))
    seen = data.observed & (data.day_period >= first)
    if not earlier.observed.any() or not seen.any():
        return None
    posterior = exact.fit(earlier, specification, seed=seed)
    drawn = replicate(earlier, specification, posterior, draws=REPLICATES, seed=seed)[:, seen]
    actual = data.outcome[seen]
    low, q25, middle, q75, high = np.quantile(drawn, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    return Foresight(
        days=actual.size,
        inside_50=float(((q25 <= actual) & (actual <= q75)).mean()),
        inside_90=float(((low <= actual) & (actual <= high)).mean()),
        error=float((actual - middle).mean()),
    )


def learned(posterior: Posterior, specification: Specification) -> dict[str, float]:
    """Return what is left of each prior's spread: 1 nothing learned, near 0 almost all.

    Posterior over prior standard deviation, on the log scale for half-lives and daily sd.
    """
    priors, parameters = specification.priors, posterior.parameters
    left = {
        f"effect[{label}]": float((posterior.arm_mean[:, k] - parameters["level"]).std())
        / priors.arm.sd
        for k, label in enumerate(posterior.arms)
    }
    left["level"] = float(parameters["level"].std()) / priors.level.sd
    if "trend_per_week" in parameters:
        left["trend_per_week"] = (
            float(parameters["trend_per_week"].std()) / priors.trend_per_week.sd
        )
    if isinstance(priors.sd, LogNormal):
        left["sd"] = float(np.log(parameters["sd"]).std()) / priors.sd.sd_log
    if "period_sd" in parameters:
        half_normal = priors.period_sd.scale * np.sqrt(1 - 2 / np.pi)
        left["period_sd"] = float(parameters["period_sd"].std() / half_normal)
    spread = priors.half_life.sd_log
    name = "half_life" if isinstance(priors.half_life, HalfLifeShared) else "half_life["
    left |= {
        key: float(np.log(draws).std()) / spread
        for key, draws in parameters.items()
        if key.startswith(name)
    }
    return left
