"""Patients that do not exist: diaries with the model's dynamics, and with others.

A simulated patient obeys the equations of the crossover model, so that the models can be
tested against a known truth; the variants break one assumption each, so that one can see what
a wrong model costs. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.data import TrialData, trial_data
from models.exposure import exposures, speeds, targets
from models.specification import HalfLifePerArm, HalfLifeShared, LogNormal, Specification

type Floats = NDArray[np.float64]

VARIANTS = ("model", "wandering", "heavy_tails", "rounded", "missing_when_bad", "waning")
WANDERING_DAYS = 21.0
WANDERING_SD = 0.5
WANING_DAYS = 21.0
TAIL_DEGREES = 4.0
BOTHER_LEVEL = 2.0
"""Bother on any arm, high enough that cutting at 0 hardly moves the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPatient:
    """The truth about a patient, in points of the outcome's scale.

    Attributes:
        level: outcome without any arm, mid-trial.
        effects: (K,) effect of each arm at steady state.
        half_lives: (K,) days; an effect is there at once where it is 0.
        trend_per_week: drift.
        sd: marginal standard deviation of the daily noise.
        autocorrelation: of one day's noise with the next day's.
        period_sd: spread of period effects.
        bother: (K,) bother each arm adds at steady state, on its own scale of 0 to 10.
        missing: share of days not rated.
        variant: ``model``, or the assumption that is broken: ``wandering`` adds slow waves of
            0.5 points (of 10) over three weeks, ``heavy_tails`` draws Student-4 shocks,
            ``rounded`` rounds and cuts to the scale, ``missing_when_bad`` leaves out the
            worst days more often, ``waning`` lets effects halve every three weeks.
        rounded: round to whole points and cut to the scale, whatever the variant.
    """

    level: float
    effects: tuple[float, ...]
    half_lives: tuple[float, ...] = ()
    trend_per_week: float = -0.05
    sd: float = 1.1
    autocorrelation: float = 0.3
    period_sd: float = 0.2
    bother: tuple[float, ...] = ()
    missing: float = 0.1
    variant: str = "model"
    rounded: bool = False

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"There is no variant '{self.variant}'.")


def draw_patient(specification: Specification, generator: np.random.Generator) -> SimulatedPatient:
    """Draw a patient from the priors of a specification: the truth that calibration needs."""
    priors, arms = specification.priors, len(specification.arms)
    sd = priors.sd
    daily = (
        float(np.exp(generator.normal(sd.mean_log, sd.sd_log)))
        if isinstance(sd, LogNormal)
        else abs(float(generator.normal(0.0, sd.scale)))
    )
    phi, bounds = np.inf, priors.autocorrelation
    while not bounds.low < phi < bounds.high:
        phi = float(generator.normal(bounds.mean, bounds.sd))
    return SimulatedPatient(
        level=float(generator.normal(priors.level.mean, priors.level.sd)),
        effects=tuple(generator.normal(priors.arm.mean, priors.arm.sd, arms).tolist()),
        half_lives=_draw_half_lives(specification, generator),
        trend_per_week=float(generator.normal(priors.trend_per_week.mean, priors.trend_per_week.sd))
        if specification.trend
        else 0.0,
        sd=daily,
        autocorrelation=phi,
        period_sd=abs(float(generator.normal(0.0, priors.period_sd.scale)))
        if specification.period_effect
        else 0.0,
        missing=0.0,
    )


def simulate_trial(
    patient: SimulatedPatient,
    specification: Specification,
    day_arm: ArrayLike,
    *,
    generator: np.random.Generator,
    day_period: ArrayLike | None = None,
    in_analysis: ArrayLike | None = None,
    taken: ArrayLike | None = None,
    bothers: Sequence[str] = (),
) -> TrialData:
    """Return the diary of a simulated patient.

    Args:
        patient: the truth.
        specification: for labels, scale and onset; its priors are not used.
        day_arm: (T,) index of the arm in force, ``NO_ARM`` for none.
        generator: the only source of chance.
        day_period: (T,) as in ``trial_data``.
        in_analysis: (T,) as in ``trial_data``.
        taken: (T,) fraction of the dose taken.
        bothers: names of the bother series to simulate, all alike.
    """
    bare = trial_data(
        specification.labels,
        day_arm,
        np.zeros(np.size(day_arm)),
        day_period=day_period,
        in_analysis=in_analysis,
        taken=taken,
    )
    exposure = _exposure(patient, specification, bare)
    effect = exposure @ np.array(patient.effects)
    if patient.variant == "waning":
        effect = effect * np.exp2(-np.arange(bare.days) / WANING_DAYS)
    offset = generator.normal(0.0, max(patient.period_sd, 0.0), bare.periods)
    outcome = (
        patient.level
        + effect
        + patient.trend_per_week * bare.week
        + offset[bare.day_period]
        + _noise(patient, bare.days, generator)
    )
    if patient.variant == "wandering":
        outcome += specification.scale.unit * _wandering(bare.days, generator)
    if patient.rounded or patient.variant == "rounded":
        scale = specification.scale
        outcome = np.clip(np.round(outcome), scale.low, scale.high)
    missing = _missing(patient, outcome, specification, generator)
    series = {
        name: np.where(missing, np.nan, _bother(patient, exposure, generator)) for name in bothers
    }
    return replace(
        bare,
        outcome=np.where(missing, np.nan, outcome),
        bothers=series,
    )


def _draw_half_lives(
    specification: Specification, generator: np.random.Generator
) -> tuple[float, ...]:
    """Draw the half-lives from their prior; without carryover there are none."""
    if not specification.carryover:
        return ()
    prior, arms = specification.priors.half_life, len(specification.arms)
    if isinstance(prior, HalfLifeShared):
        return (float(np.exp(generator.normal(prior.mean_log, prior.sd_log))),) * arms
    spread = prior.sd_log if isinstance(prior, HalfLifePerArm) else 0.0
    centre = np.log(np.array(specification.prior_half_lives()))
    return tuple(np.exp(generator.normal(centre, spread)).tolist())


def _exposure(patient: SimulatedPatient, specification: Specification, bare: TrialData) -> Floats:
    """(T, K) exposures with the patient's own half-lives."""
    target = targets(bare)
    if not any(patient.half_lives):
        return target
    half_life = np.maximum(np.array(patient.half_lives), 1e-3)
    return exposures(target, speeds(bare, specification), half_life)


def _noise(patient: SimulatedPatient, days: int, generator: np.random.Generator) -> Floats:
    """(T,) stationary AR(1) noise."""
    if patient.variant == "heavy_tails":
        spread = np.sqrt(TAIL_DEGREES / (TAIL_DEGREES - 2.0))
        white = np.asarray(generator.standard_t(TAIL_DEGREES, days) / spread)
    else:
        white = generator.standard_normal(days)
    noise = np.empty(days)
    noise[0] = white[0]
    fresh = np.sqrt(1.0 - patient.autocorrelation**2)
    for t in range(1, days):
        noise[t] = patient.autocorrelation * noise[t - 1] + fresh * white[t]
    return patient.sd * noise


def _wandering(days: int, generator: np.random.Generator) -> Floats:
    """(T,) a slow stationary wave, in points of a 0-10 scale."""
    rest = np.exp(-1.0 / WANDERING_DAYS)
    white = generator.standard_normal(days)
    wave = np.empty(days)
    wave[0] = white[0]
    for t in range(1, days):
        wave[t] = rest * wave[t - 1] + np.sqrt(1.0 - rest**2) * white[t]
    return WANDERING_SD * wave


def _missing(
    patient: SimulatedPatient,
    outcome: Floats,
    specification: Specification,
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    """(T,) True on days not rated; bad days three times as often per SD in that variant."""
    chance = np.full(outcome.size, patient.missing)
    if patient.variant == "missing_when_bad" and patient.missing > 0:
        worse = specification.scale.sign * (outcome - outcome.mean()) / max(patient.sd, 1e-9)
        odds = patient.missing / (1.0 - patient.missing) * 3.0**worse
        chance = odds / (1.0 + odds)
    return np.asarray(generator.random(outcome.size) < chance)


def _bother(patient: SimulatedPatient, exposure: Floats, generator: np.random.Generator) -> Floats:
    """(T,) bother from 0 to 10: that of every day, what the arms add, noise; rounded."""
    mean = exposure @ np.array(patient.bother or (0.0,) * exposure.shape[1])
    noisy = BOTHER_LEVEL + mean + generator.normal(0.0, 0.7, mean.size)
    return np.asarray(np.clip(np.round(noisy), 0.0, 10.0))
