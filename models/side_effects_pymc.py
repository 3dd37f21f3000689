r"""The side effect's model in PyMC: graded days on the exposure of the arms.

.. math::
    \operatorname{logit} P(y_t \ge j) = \eta - \sum_{i<j} e^{d_i} + \sum_k \gamma_k w_k(t)

each day's log density counted ``DAY_WORTH`` times. It shares no formula with the integration in
numpy: exposures are sums over switches, and the density is PyMC's ordered logistic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from models.data import TrialData
from models.exposure import speeds, switches, targets
from models.items import SideEffectItem
from models.side_effects import DAY_WORTH, answered_days, grades, priors_of
from models.specification import HalfLifePerArm, HalfLifeShared, Specification

type Tensor = Any
type Floats = NDArray[np.float64]


def build_side_effect_model(
    data: TrialData,
    specification: Specification,
    item: SideEffectItem,
    *,
    day_worth: float = DAY_WORTH,
) -> pm.Model:
    """Build the model of one side effect; nothing is sampled here.

    Args:
        data: the trial; see ``TrialData`` for shapes and units.
        specification: for carryover and half-lives.
        item: which side effect.
        day_worth: what a day counts for.

    Returns:
        a model whose ``reaches`` (K, M) is the share of days with at least grade 1..M on each
        arm at steady state.
    """
    answered = answered_days(data, item)
    prior, arms = priors_of(item, len(data.arms)), len(data.arms)
    steps = prior.mean.size - arms - 1
    with pm.Model() as model:
        level = pm.Normal("level", prior.mean[0], prior.sd[0])
        below = pt.zeros(1)
        if steps:
            log_step = pm.Normal(
                "log_step", prior.mean[1 : 1 + steps], prior.sd[1 : 1 + steps], shape=steps
            )
            below = pt.concatenate([below, pt.cumsum(pt.exp(log_step))])
        arm = pm.Normal("arm", 0.0, prior.sd[-1], shape=arms)
        effect = _exposure(data, specification, answered) @ arm
        grade = pm.OrderedLogistic.dist(eta=effect, cutpoints=below - level, compute_p=False)
        rated = pm.logp(grade, grades(data, item, answered))
        pm.Potential("rated", day_worth * rated.sum())
        pm.Deterministic("reaches", pm.math.sigmoid(level + arm[:, None] - below[None, :]))
    return model


def sample_side_effect(
    data: TrialData,
    specification: Specification,
    item: SideEffectItem,
    *,
    seed: int,
    draws: int = 1000,
    day_worth: float = DAY_WORTH,
) -> Floats:
    """(4, draws, K, M) draws of ``reaches`` from four chains.

    Args:
        data: the trial.
        specification: as for :func:`build_side_effect_model`, like ``item`` and ``day_worth``.
        item: which side effect.
        seed: of the chains.
        draws: kept from each.
        day_worth: what a day counts for.
    """
    model = build_side_effect_model(data, specification, item, day_worth=day_worth)
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model),
        draws=draws,
        tune=500,
        chains=4,
        cores=2,
        seed=seed,
        target_accept=0.9,
        progress_bar=False,
        save_warmup=False,
    )
    return np.asarray(trace["posterior"]["reaches"].to_numpy())


def _exposure(data: TrialData, specification: Specification, answered: NDArray[np.bool_]) -> Tensor:
    """(n, K) exposures of the answered days, as a sum over switches."""
    target = targets(data)[answered]
    if not specification.carryover:
        return target
    prior = specification.priors.half_life
    centre = np.log(np.array(specification.prior_half_lives()))
    if isinstance(prior, HalfLifeShared):
        half_life = pm.LogNormal("half_life", prior.mean_log, prior.sd_log)
    else:
        assert isinstance(prior, HalfLifePerArm)  # noqa: S101  # there are two kinds
        half_life = pm.LogNormal("half_life", centre, prior.sd_log, shape=centre.size)
    switched = switches(targets(data), speeds(data, specification))
    left, at_starts = pt.zeros(centre.size), []
    for jump, wait in zip(switched.jump, switched.wait, strict=True):
        left = left * pt.exp(-np.log(2.0) * wait / half_life) + jump
        at_starts.append(left)
    fading = pt.exp(-np.log(2.0) * switched.age[answered] / half_life)
    return target + pt.stack(at_starts)[switched.segment[answered]] * fading
