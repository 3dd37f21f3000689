r"""The crossover model in PyMC: the model of record, readable as its formula.

.. math::
    y_t = \alpha + \sum_k \tau_k w_k(t) + \beta (t - \bar t) / 7 + u_{p(t)} + e_t,
    \qquad u_p \sim \mathrm N(0, s_p), \qquad
    e\ \text{stationary AR(1)},\ \operatorname{corr}(e_s, e_t) = \varphi^{|t - s|}

``models.exact`` integrates the same posterior with other formulas (a recursion for the
exposure, closed forms for the linear part), so that the two check each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from models.data import TrialData
from models.exposure import speeds, switches, targets
from models.operations import Tensor, daily_noise, fading
from models.specification import (
    HalfLifeShared,
    LogNormal,
    Specification,
)

type Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Structure:
    """All of a specification that changes the graph; numbers are data of the graph.

    One compiled model serves every trial of its structure, whatever its days, periods,
    half-lives and priors.
    """

    arms: int
    trend: bool
    period_effect: bool
    carryover: bool
    shared_half_life: bool
    lognormal_sd: bool


def structure_of(specification: Specification) -> Structure:
    """Return the structure a specification needs."""
    return Structure(
        arms=len(specification.arms),
        trend=specification.trend,
        period_effect=specification.period_effect,
        carryover=specification.carryover,
        shared_half_life=specification.carryover
        and isinstance(specification.priors.half_life, HalfLifeShared),
        lognormal_sd=isinstance(specification.priors.sd, LogNormal),
    )


def model_data(data: TrialData, specification: Specification) -> dict[str, NDArray[np.generic]]:
    """Return the numbers of one trial by the names of the model's data containers.

    Shapes: n observed days, K arms, S segments of exposure.
    """
    structure, priors = structure_of(specification), specification.priors
    rows = np.flatnonzero(data.observed)
    target = targets(data)
    sd = (
        (priors.sd.mean_log, priors.sd.sd_log)
        if isinstance(priors.sd, LogNormal)
        else (0.0, priors.sd.scale)
    )
    phi = priors.autocorrelation
    values: dict[str, NDArray[np.generic]] = {
        "rating": data.outcome[rows],
        "gap": np.diff(rows, prepend=rows[0]).astype(np.float64),
        "period": np.unique(data.day_period[rows], return_inverse=True)[1].astype(np.int64),
        "target": target[rows],
        "prior_level": np.array((priors.level.mean, priors.level.sd)),
        "prior_arm": np.array((priors.arm.mean, priors.arm.sd)),
        "prior_sd": np.array(sd),
        "prior_phi": np.array((phi.mean, phi.sd, phi.low, phi.high)),
    }
    if structure.trend:
        values["week"] = data.week[rows]
        values["prior_trend"] = np.array((priors.trend_per_week.mean, priors.trend_per_week.sd))
    if structure.period_effect:
        values["prior_period_sd"] = np.array((priors.period_sd.scale,))
    if structure.carryover:
        switched = switches(target, speeds(data, specification))
        values |= {
            "jump": switched.jump,
            "wait": switched.wait,
            "age": switched.age[rows],
            "segment": switched.segment[rows],
            "prior_half_life": _half_life_prior(specification),
        }
    return values


def _half_life_prior(specification: Specification) -> Floats:
    """Mean and SD of the log half-life: (2,) of the one shared, (2, K) of each arm's own."""
    half_life = specification.priors.half_life
    if isinstance(half_life, HalfLifeShared):
        return np.array((half_life.mean_log, half_life.sd_log))
    centre = np.log(np.array(specification.prior_half_lives()))
    return np.stack((centre, np.full_like(centre, half_life.sd_log)))


def build_pain_model(data: TrialData, specification: Specification) -> pm.Model:
    """Build the model of one trial; nothing is sampled here.

    Args:
        data: the trial; see ``TrialData`` for shapes and units.
        specification: what is fitted, with its priors.

    Returns:
        a model whose ``arm_mean`` (K,) is the outcome on each arm at steady state and
        mid-trial, in points of the outcome's scale.
    """
    structure = structure_of(specification)
    with pm.Model() as model:
        x = {name: pm.Data(name, value) for name, value in model_data(data, specification).items()}
        terms = state_terms(x, structure)
        pm.Potential("rated", log_density(x["rating"], terms, x, structure))
    return model


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of the model in its graph: (n,) expected outcomes, daily SD, autocorrelation."""

    expected: Tensor
    sd: Tensor
    phi: Tensor


def state_terms(x: Mapping[str, Tensor], structure: Structure) -> Terms:
    """State the priors and the expected outcome of each observed day, period effects aside.

    Args:
        x: data containers by name, as from :func:`model_data`.
        structure: which terms there are.
    """
    level, arm_mean = _level_and_arms(x["prior_level"], x["prior_arm"], structure.arms)
    sd = _daily_sd(x["prior_sd"], structure)
    phi = _autocorrelation(x["prior_phi"])
    exposure = x["target"]
    if structure.carryover:
        half_life = _half_life(x["prior_half_life"], structure)
        exposure = exposure + fading(x["jump"], x["wait"], x["age"], x["segment"], half_life)
    expected = level + exposure @ (arm_mean - level)
    if structure.trend:
        trend = pm.Normal("trend_per_week", x["prior_trend"][0], x["prior_trend"][1])
        expected = expected + trend * x["week"]
    return Terms(expected, sd, phi)


def log_density(
    outcome: Tensor, terms: Terms, x: Mapping[str, Tensor], structure: Structure
) -> Tensor:
    """Return the log density of the observed days, period effects integrated out.

    Args:
        outcome: (n,) what was observed, or the latent outcome.
        terms: as stated by :func:`state_terms`.
        x: data containers by name; rows whose gap is ``FILLS_UP`` count for nothing.
        structure: which terms there are.
    """
    period_sd: Tensor = pt.as_tensor(0.0)
    if structure.period_effect:
        # Half-normal, without its wall at zero: only the square enters, so the sign is free.
        period_sd = pm.Normal("period_sd_signed", 0.0, x["prior_period_sd"][0])
        pm.Deterministic("period_sd", pt.abs(period_sd))
    residual = outcome - terms.expected
    return daily_noise(residual, x["gap"], x["period"], terms.sd, terms.phi, period_sd)


def _level_and_arms(prior_level: Tensor, prior_arm: Tensor, arms: int) -> tuple[Tensor, Tensor]:
    r"""State :math:`\alpha \sim \mathrm N(l, s_l)` and K times :math:`\tau \sim \mathrm N(m, s)`.

    The days tell the arms' means :math:`\alpha + \tau_k` well and the level hardly. So the same
    joint prior is stated as: the middle of the arms' means, the level given it, and the K - 1
    contrasts around it. All that a level and the middle share is what the level brings.
    """
    of_middle = prior_level[1] ** 2 + prior_arm[1] ** 2 / arms
    share = prior_level[1] ** 2 / of_middle
    centre = prior_level[0] + prior_arm[0]
    middle = pm.Normal("middle", centre, pt.sqrt(of_middle))
    level = pm.Normal(
        "level",
        prior_level[0] + share * (middle - centre),
        prior_level[1] * pt.sqrt(1.0 - share),
    )
    contrast = pm.Normal("contrast", 0.0, prior_arm[1], shape=arms - 1)
    return level, pm.Deterministic("arm_mean", middle + _contrasts(arms) @ contrast)


def _contrasts(arms: int) -> Floats:
    """(K, K - 1) orthonormal columns that sum to zero (Helmert's)."""
    columns = np.tri(arms - 1, arms).T - np.eye(arms, arms - 1, k=-1) * np.arange(1, arms)
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def _autocorrelation(prior: Tensor) -> Tensor:
    """A normal cut off at two ends: uniform between them, times the normal density.

    PyMC's own truncated normal computes a constant from its ends in every step.
    """
    phi = pm.Uniform("autocorrelation", prior[2], prior[3])
    pm.Potential("autocorrelation_prior", pm.logp(pm.Normal.dist(prior[0], prior[1]), phi))
    return phi


def _daily_sd(prior: Tensor, structure: Structure) -> Tensor:
    if structure.lognormal_sd:
        return pm.LogNormal("sd", prior[0], prior[1])
    return pm.HalfNormal("sd", prior[1])


def _half_life(prior: Tensor, structure: Structure) -> Tensor:
    """(K,) half-lives in days, each arm's own or all the same."""
    if structure.shared_half_life:
        shared = pm.LogNormal("half_life", prior[0], prior[1])
        return pt.full((structure.arms,), shared)
    return pm.LogNormal("half_life", prior[0], prior[1], shape=structure.arms)
