"""How much of each arm's effect is present on each day.

An effect builds up while its arm is in force and fades afterwards::

    w_k(t) = l w_k(t-1) + (1 - l) a_t 1[k(t) = k],   l = 2 ** (-speed / h_k)

It is 1 at steady state under full intake. On the first day it is that of the arm then in
force, unless no arm was (a run-in that is none of its own) or the specification says that the
arm begins then (``in_force_before``). ``speed`` is 1, and h0 / onset half-life on
days when the arm is in force, for effects that build up slower than they fade.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.data import TrialData
from models.specification import Specification

type Floats = NDArray[np.float64]


def targets(data: TrialData) -> Floats:
    """(T, K) the exposure each arm is heading for: the dose fraction taken while in force."""
    in_force = data.day_arm[:, None] == np.arange(len(data.arms))
    return np.asarray(in_force * data.taken[:, None], dtype=np.float64)


def speeds(data: TrialData, specification: Specification) -> Floats:
    """(T, K) how many times faster than its half-life an effect changes on each day.

    On the first day at once (infinitely fast) where the arm in force was taken before.
    """
    in_force = data.day_arm[:, None] == np.arange(len(data.arms))
    ratio = np.ones(len(data.arms))
    for k, (arm, h0) in enumerate(
        zip(specification.arms, specification.prior_half_lives(), strict=True)
    ):
        if arm.onset_half_life_days is not None:
            ratio[k] = h0 / arm.onset_half_life_days
    speed = np.where(in_force, ratio, 1.0)
    if specification.in_force_before:
        speed[0, in_force[0]] = np.inf
    return speed


def exposures(target: Floats, speed: Floats, half_life: Floats) -> Floats:
    """Return the exposures by running the recursion day by day.

    Args:
        target: (T, K) as from :func:`targets`.
        speed: (T, K) as from :func:`speeds`.
        half_life: (K, ...) days, any number of trailing points.

    Returns:
        (T, K, ...) exposures between 0 and 1.
    """
    points = (np.newaxis,) * (half_life.ndim - 1)
    same = bool((speed[1:] == 1.0).all())
    decay = np.exp2(-1.0 / half_life)
    result = np.empty((target.shape[0], *half_life.shape))
    result[0] = target[0][(..., *points)] * -np.expm1(
        -np.log(2.0) * speed[0][(..., *points)] / half_life
    )
    for t in range(1, target.shape[0]):
        towards = target[t][(..., *points)]
        if not same:
            decay = np.exp2(-speed[t][(..., *points)] / half_life)
        np.subtract(result[t - 1], towards, out=result[t])
        result[t] *= decay
        result[t] += towards
    return result


def switches(target: Floats, speed: Floats) -> tuple[Floats, Floats]:
    """Return the same exposure as jumps of the target and the time since each.

    ``w(t) = target(t) + sum_j jump_j 2 ** (-age_tj / h)`` over the jumps up to day t: a form
    without recursion, for the engine that differentiates.

    Returns:
        jump: (J, K) size of each jump (before minus after), zero where an arm has none;
        age: (T, J, K) days of fading since the jump, infinite before it.
    """
    days = target.shape[0]
    begins = np.isfinite(speed[0])
    jumps = np.diff(target, axis=0, prepend=np.where(begins, 0.0, target[0])[None])
    at = np.flatnonzero((jumps != 0).any(axis=1))
    clock = np.cumsum(np.where(np.isfinite(speed), speed, 0.0), axis=0)
    earlier = np.vstack((np.zeros_like(clock[:1]), clock))[at]
    age = clock[:, None, :] - earlier[None]
    before = np.arange(days)[:, None] < at[None, :]
    return -jumps[at], np.where(before[..., None], np.inf, age)
