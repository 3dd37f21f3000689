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
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from models.data import TrialData
from models.exposure import speeds, switches, targets
from models.specification import (
    HalfLifePerArm,
    HalfLifeShared,
    LogNormal,
    Specification,
)

type Floats = NDArray[np.float64]
type Tensor = Any
"""A node of the graph; PyTensor's own types say less than its name."""


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

    Shapes: n observed days, K arms, J jumps of exposure, P observed periods.
    """
    structure, priors = structure_of(specification), specification.priors
    rows = np.flatnonzero(data.observed)
    target = targets(data)
    observed_periods, period = np.unique(data.day_period[rows], return_inverse=True)
    sd = (
        (priors.sd.mean_log, priors.sd.sd_log)
        if isinstance(priors.sd, LogNormal)
        else (0.0, priors.sd.scale)
    )
    phi = priors.autocorrelation
    values: dict[str, NDArray[np.generic]] = {
        "rating": data.outcome[rows],
        "gap": np.diff(rows, prepend=rows[0]).astype(np.float64),
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
        values["in_period"] = np.eye(observed_periods.size)[period]
        values["prior_period_sd"] = np.array((priors.period_sd.scale,))
    if structure.carryover:
        jump, age = switches(target, speeds(data, specification))
        age = age[rows]
        values["jump"] = np.where(np.isfinite(age), jump, 0.0)
        values["age"] = np.where(np.isfinite(age), age, 0.0)
        half_life = priors.half_life
        centre = np.log(np.array(specification.prior_half_lives()))
        if isinstance(half_life, HalfLifePerArm):
            values["prior_half_life"] = np.stack((centre, np.full_like(centre, half_life.sd_log)))
        else:
            values["prior_half_life"] = np.array((half_life.mean_log, half_life.sd_log))
    return values


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
    level = pm.Normal("level", x["prior_level"][0], x["prior_level"][1])
    arm = pm.Normal("arm", x["prior_arm"][0], x["prior_arm"][1], shape=structure.arms)
    sd = _daily_sd(x["prior_sd"], structure)
    phi = pm.TruncatedNormal(
        "autocorrelation",
        x["prior_phi"][0],
        x["prior_phi"][1],
        lower=x["prior_phi"][2],
        upper=x["prior_phi"][3],
    )
    exposure = x["target"]
    if structure.carryover:
        half_life = _half_life(x["prior_half_life"], structure)
        fading = pt.exp(-np.log(2.0) * x["age"] / half_life)
        exposure = exposure + (x["jump"] * fading).sum(axis=1)
    expected = level + exposure @ arm
    if structure.trend:
        trend = pm.Normal("trend_per_week", x["prior_trend"][0], x["prior_trend"][1])
        expected = expected + trend * x["week"]
    pm.Deterministic("arm_mean", level + arm)
    return Terms(expected, sd, phi)


def log_density(
    outcome: Tensor,
    terms: Terms,
    x: Mapping[str, Tensor],
    structure: Structure,
    counted: Tensor | float = 1.0,
) -> Tensor:
    """Return the log density of the observed days, period effects integrated out.

    Args:
        outcome: (n,) what was observed, or the latent outcome.
        terms: as stated by :func:`state_terms`.
        x: data containers by name.
        structure: which terms there are.
        counted: (n,) 0 for days that only fill up an array, at its end; 1 otherwise.
    """
    # Given the day before, however long ago, today's noise is normal around its rest.
    rest = pt.switch(pt.gt(x["gap"], 0), terms.phi ** x["gap"], 0.0)
    fresh_sd = terms.sd * pt.sqrt(1.0 - rest**2)
    surprise = counted * _less_the_rest(outcome - terms.expected, rest) / fresh_sd
    result = (counted * (pm.logp(pm.Normal.dist(), surprise) - pt.log(fresh_sd))).sum()
    if structure.period_effect:
        # Half-normal, without its wall at zero: only the square enters, so the sign is free.
        period_sd = pm.Normal("period_sd_signed", 0.0, x["prior_period_sd"][0])
        pm.Deterministic("period_sd", pt.abs(period_sd))
        in_period = _less_the_rest(x["in_period"], rest[:, None]) / fresh_sd[:, None]
        result += _of_period_effects(surprise, period_sd * in_period)
    return result


def _less_the_rest(daily: Tensor, rest: Tensor) -> Tensor:
    """What is new on each observed day: its value less what rests of the one before."""
    return pt.concatenate([daily[:1], daily[1:] - rest[1:] * daily[:-1]])


def _of_period_effects(surprise: Tensor, effect: Tensor) -> Tensor:
    """What standard normal period effects add to the log density, integrated out.

    ``surprise`` (n,) is standard normal given the effects; ``effect`` (n, P) is what one unit
    of each period's effect adds to it. By the matrix determinant and inversion lemmas only a
    P x P matrix is factored, and the number of parameters does not depend on P, so that one
    compiled model serves any number of periods.
    """
    factor = pt.linalg.cholesky(pt.identity_like(effect.T @ effect) + effect.T @ effect)
    explained = pt.linalg.solve_triangular(factor, effect.T @ surprise, lower=True)
    return 0.5 * (explained**2).sum() - pt.log(pt.diag(factor)).sum()


def _daily_sd(prior: Tensor, structure: Structure) -> Tensor:
    if structure.lognormal_sd:
        return pm.LogNormal("sd", prior[0], prior[1])
    return pm.HalfNormal("sd", prior[1])


def _half_life(prior: Tensor, structure: Structure) -> Tensor:
    """One half-life (scalar) or one for each arm (K,), in days."""
    if structure.shared_half_life:
        return pm.LogNormal("half_life", prior[0], prior[1])
    return pm.LogNormal("half_life", prior[0], prior[1], shape=structure.arms)
