"""How much of each arm's effect is present on each day.

An effect builds up while its arm is in force and fades afterwards::

    w_k(t) = l w_k(t-1) + (1 - l) a_t 1[k(t) = k],   l = 2 ** (-speed / h_k)

It is 1 at steady state under full intake. On the first day it is that of the arm then in
force, unless no arm was (a run-in that is none of its own) or the specification says that the
arm begins then (``in_force_before``). ``speed`` is 1, and h0 / onset half-life on
days when the arm is in force, for effects that build up slower than they fade.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Switches:
    """The changes of the targets, each the start of a segment of days.

    Attributes:
        jump: (S, K) target before minus target after, zero where an arm's does not change; of
            segment 0, minus the target of an effect that begins on the first day.
        wait: (S, K) days of fading from the start of the segment before to this one's.
        segment: (T,) the segment of each day.
        age: (T, K) days of fading since the start of a day's segment.
    """

    jump: Floats
    wait: Floats
    segment: NDArray[np.int64]
    age: Floats


def switches(target: Floats, speed: Floats) -> Switches:
    """Return the same exposure as jumps of the target and the fading since each.

    ``w(t) = target(t) + left_s 2 ** (-age_t / h)`` on the days of segment s, where
    ``left_s = left_(s - 1) 2 ** (-wait_s / h) + jump_s``: a form whose work grows with the
    switches, for the engine that differentiates. The target is ``target`` (T, K), the speed of
    fading ``speed`` (T, K); an arm fades on its own clock. An effect that begins on the first
    day jumps in segment 0, from nothing.
    """
    begins = np.isfinite(speed[0])
    starts = np.flatnonzero((np.diff(target, axis=0) != 0).any(axis=1)) + 1
    clock = np.cumsum(np.where(np.isfinite(speed), speed, 0.0), axis=0)
    segment = np.searchsorted(starts, np.arange(target.shape[0]), side="right")
    begun = np.concatenate([np.zeros((1, target.shape[1])), clock[starts - 1]])
    first = np.where(begins, -target[0], 0.0)[np.newaxis]
    jump = np.concatenate([first, target[starts - 1] - target[starts]])
    wait = np.diff(begun, axis=0, prepend=0.0)
    return Switches(jump, wait, segment.astype(np.int64), clock - begun[segment])
