"""Simulated counts, such as rescue doses: truths from the priors, and the days that have them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from models.data import TrialData, trial_data
from models.evidence.side_effects import DESIGN, DRAWS, SPECIFICATION
from models.exposure import exposures, speeds, targets
from models.operating import draw_order
from models.secondary import ARM_SD, LEVEL_SD, SPREAD_MEDIAN, SPREAD_SD_LOG, fit_count
from models.side_effects import half_lives_of_prior

type Floats = NDArray[np.float64]

COUNT = "doses of rescue medicine, counted"


def ranks_of_count(missing: float, seed: int, numbers: Iterable[int]) -> list[dict[str, float]]:
    """Return the rank of every quantity's truth in some simulations.

    Days are simulated as the model has them, one not like the next, so each counts fully.

    Args:
        missing: share of days not answered.
        seed: of all simulations.
        numbers: of those to run.
    """
    found = []
    for number in numbers:
        generator = np.random.default_rng((seed, number))
        data, truth = simulate_count(missing, generator)
        fitted = fit_count(
            data, SPECIFICATION, seed=1000 * seed + number, draws=DRAWS, day_worth=1.0
        )
        draws = _quantities(fitted.arm_mean)
        exact = {name: float(values[0]) for name, values in _quantities(truth[None]).items()}
        found.append({name: float((draws[name] < exact[name]).mean()) for name in draws})
    return found


def simulate_count(missing: float, generator: np.random.Generator) -> tuple[TrialData, Floats]:
    """Return the counts of a patient drawn from the priors, and the (K,) true means by arm."""
    arms = SPECIFICATION.labels
    level = generator.normal(0.0, LEVEL_SD)
    effects = generator.normal(0.0, ARM_SD, len(arms))
    spread = SPREAD_MEDIAN * np.exp(SPREAD_SD_LOG * generator.standard_normal())
    order = draw_order(len(arms), DESIGN, generator)
    day_arm = np.repeat(order, DESIGN.period_days)
    bare = trial_data(
        arms,
        day_arm,
        np.zeros(day_arm.size),
        day_period=np.repeat(np.arange(len(order)), DESIGN.period_days),
    )
    half_life = half_lives_of_prior(SPECIFICATION, 1, generator)[:, 0]
    exposure = exposures(targets(bare), speeds(bare, SPECIFICATION), half_life)
    mean = np.exp(level + exposure @ effects)
    # A Poisson count whose own mean is gamma distributed is negative binomial.
    doses = generator.poisson(generator.gamma(1.0 / spread, spread * mean)).astype(np.float64)
    doses[generator.random(doses.size) < missing] = np.nan
    return bare.with_outcome(doses), np.exp(level + effects)


def _quantities(mean: Floats) -> dict[str, Floats]:
    return {
        "doses on A": mean[:, 0],
        "doses on C": mean[:, 2],
        "doses: B over A": np.log(mean[:, 1] / mean[:, 0]),
        "doses: C over B": np.log(mean[:, 2] / mean[:, 1]),
    }
