"""The verdict: a frozen rule applied to the posterior of the net burden.

The rule sees draws, never an engine, and says one of four things or refuses. Whatever it
refuses, it says why; a refused verdict carries no number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models import words
from models.data import TrialData
from models.harm import Harm, worst_by_arm
from models.importance import LARGEST_PARETO_K
from models.posterior import Diagnostics
from models.specification import Arm, HalfLifeShared, Specification
from models.words import Phrase

type Floats = NDArray[np.float64]

LARGEST_R_HAT = 1.01
SMALLEST_ESS = 400.0
HALF_LIVES_IN_PERIOD = 3.0
PERIODS_FOR_TREND = 4


class Kind(StrEnum):
    """What a verdict can say."""

    BEST = "best"
    EQUAL = "equal"
    NONE = "none"
    UNDETERMINED = "undetermined"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the frozen rule says of the posterior.

    Attributes:
        kind: one of the four answers, or refused.
        arm: the best arm (best), the reference (none), None otherwise.
        equal_arms: the arms that are practically equal (equal), else empty.
        sentence: the answer as a phrase to translate.
        reasons: why, most important first; all reasons of a refusal.
        p_best: probability of the lowest net burden by arm; empty when refused.
        expected_loss: mean points lost by choosing the arm; empty when refused.
        vetoed: arms excluded for harm; vetoes: a phrase about each, also among the reasons.
        provisional: True until PyMC has confirmed the exact engine.
    """

    kind: Kind
    arm: str | None = None
    equal_arms: tuple[str, ...] = ()
    sentence: Phrase
    reasons: tuple[Phrase, ...] = ()
    p_best: Mapping[str, float] = field(default_factory=dict)
    expected_loss: Mapping[str, float] = field(default_factory=dict)
    vetoed: tuple[str, ...] = ()
    vetoes: tuple[Phrase, ...] = ()
    provisional: bool = True

    @property
    def is_left_over(self) -> bool:
        """True when an arm is named because all others are left out for harm: not found better."""
        return bool(self.vetoed) and len(self.vetoed) == len(self.p_best) - 1


def refuse(
    reasons: Sequence[Phrase], *, vetoed: Sequence[str] = (), provisional: bool = False
) -> Verdict:
    """Return the honest refusal that names all its reasons."""
    return Verdict(
        kind=Kind.REFUSED,
        sentence=words.refused(),
        reasons=tuple(reasons),
        vetoed=tuple(vetoed),
        provisional=provisional,
    )


# -- before any fit: do the data suffice? ----------------------------------------------------


def insufficiencies(data: TrialData, specification: Specification) -> tuple[Phrase, ...]:
    """Return every reason why these data cannot be judged; none when they can.

    A period counts when enough of the days in its analysis window were rated, whether the
    file has a row for them or not. One thin period among many does not refuse the trial: it
    does not count, and its days are fitted for what they are. (Refusing at any thin period
    refused a quarter of ordinary trials of 12 weekly periods with 10 % missing.)
    """
    rule, observed = specification.decision, data.observed
    reasons: list[Phrase] = []
    period_arm, share = data.period_arm, coverage(data)
    lacking = False
    for k, label in enumerate(data.arms):
        own = np.flatnonzero(period_arm == k)
        if not observed[data.day_arm == k].any():
            reasons.append(words.no_data_on_arm(label))
            continue
        enough = share[own] >= rule.minimum_coverage
        if enough.sum() < rule.minimum_periods:
            reasons.append(words.too_few_periods(label, int(enough.sum()), rule.minimum_periods))
            lacking = True
    if lacking:
        # Every thin period is named, whatever its arm: those of the lacking arm alone would
        # tell which periods share an arm.
        reasons += [
            words.too_few_ratings(int(p) + 1, float(share[p]), rule.minimum_coverage)
            for p in np.flatnonzero((share < rule.minimum_coverage) & (period_arm >= 0))
        ]
    in_force = data.in_analysis & (data.day_arm >= 0)
    overall = float(observed[in_force].mean()) if in_force.any() else 0.0
    if overall < rule.minimum_coverage:
        reasons.append(words.too_few_ratings_overall(overall, rule.minimum_coverage))
    ratings = data.outcome[observed]
    if ratings.size and np.ptp(ratings) == 0:
        reasons.append(words.constant_ratings())
    reasons += _short_periods(data, specification)
    arm_periods = int((period_arm >= 0).sum())
    if specification.trend and arm_periods < PERIODS_FOR_TREND:
        reasons.append(words.too_few_for_trend(arm_periods))
    reasons += [
        words.weighed_series_missing(name)
        for name, weight in specification.weights.items()
        if weight > 0 and name not in data.bothers
    ]
    return tuple(reasons)


def coverage(data: TrialData) -> Floats:
    """(P,) share of the analysis days of each period that were rated; 0 where it has none."""
    days = np.bincount(data.day_period, data.in_analysis, data.periods)
    rated = np.bincount(data.day_period, data.observed, data.periods)
    return np.asarray(rated / np.maximum(days, 1.0))


def _short_periods(data: TrialData, specification: Specification) -> list[Phrase]:
    """Arms for which the trial's periods are shorter than three of their effect half-lives.

    The last period may have been cut short, or not be over: it is left out. The shortest of
    the others is held against every arm, whichever it was given to, so that a refusal depends
    on the design and never tells which arm was in force when.
    """
    lengths = np.bincount(data.day_period)[:-1][data.period_arm[:-1] >= 0]
    if not lengths.size:
        return []
    shortest = int(lengths.min())
    slowest = ((arm.label, _slowest(arm, specification)) for arm in specification.arms)
    return [
        words.period_too_short(label, shortest, days)
        for label, days in slowest
        if shortest < HALF_LIVES_IN_PERIOD * days
    ]


def _slowest(arm: Arm, specification: Specification) -> float:
    """Return the longest half-life, in days, with which an arm's effect builds up or fades."""
    prior = specification.priors.half_life
    of_all = (
        math.exp(prior.mean_log)
        if specification.carryover and isinstance(prior, HalfLifeShared)
        else 0.0
    )
    return max(arm.half_life_days or 0.0, arm.onset_half_life_days or 0.0, of_all)


# -- after the fit: can it be trusted? -------------------------------------------------------


def untrustworthy(diagnostics: Diagnostics) -> tuple[Phrase, ...]:
    """Return why draws with these diagnostics must not be shown; none when they may."""
    reasons: list[Phrase] = []
    if diagnostics.r_hat is not None:
        ess = min(diagnostics.ess_bulk or 0.0, diagnostics.ess_tail or 0.0)
        divergences = diagnostics.divergences or 0
        converged = diagnostics.r_hat <= LARGEST_R_HAT and ess >= SMALLEST_ESS
        if not converged or divergences:
            reasons.append(words.not_converged(diagnostics.r_hat, ess, divergences))
    if diagnostics.pareto_k is not None and not diagnostics.pareto_k <= LARGEST_PARETO_K:
        reasons.append(words.weights_unusable(diagnostics.pareto_k))
    return tuple(reasons)


# -- the rule ----------------------------------------------------------------------------------


def probability_best(burden: Floats) -> Floats:
    """(K,) share of the (n, K) draws in which each arm has the lowest net burden."""
    lowest = np.bincount(burden.argmin(axis=1), minlength=burden.shape[1])
    return np.asarray(lowest / burden.shape[0])


def expected_loss(burden: Floats) -> Floats:
    """(K,) mean points of net burden lost by choosing each arm instead of the lowest."""
    return np.asarray((burden - burden.min(axis=1, keepdims=True)).mean(axis=0))


def without_vetoed(burden: Floats, names: Sequence[str], vetoed: Sequence[str]) -> Floats:
    """(n, K) draws in which a vetoed arm is never lowest."""
    return np.where([name in vetoed for name in names], np.inf, burden)


def decide(
    burden: Floats,
    specification: Specification,
    *,
    harms: Sequence[Harm] = (),
    provisional: bool = True,
) -> Verdict:
    """Apply the frozen rule.

    Args:
        burden: (n, K) draws of the arms' net burden, less being better.
        specification: for the labels and the rule.
        harms: how likely severe side effects exceed the limits of the arms.
        provisional: whether a second engine has still to confirm.
    """
    rule, names = specification.decision, specification.labels
    harmful = worst_by_arm(harms, rule.veto_probability)
    vetoes = tuple(words.vetoed(h.arm, h.item, h.limit, h.probability) for h in harmful.values())
    if len(harmful) == len(names):
        return refuse((words.harm_in_every_arm(), *vetoes), vetoed=names, provisional=provisional)
    allowed = np.array([name not in harmful for name in names])
    eligible = without_vetoed(burden, names, tuple(harmful))
    best, loss = probability_best(eligible), expected_loss_of(burden, eligible)
    answer = (
        _only_left(allowed, specification)
        or _best(eligible, best, loss, specification)
        or _equal(burden, best, allowed, specification)
        or _none_better(burden, allowed, specification)
        or _undetermined(eligible, best, loss, specification)
    )
    return Verdict(
        kind=answer.kind,
        arm=answer.arm,
        equal_arms=answer.equal_arms,
        sentence=answer.sentence,
        reasons=(*answer.reasons, *vetoes),
        p_best=dict(zip(names, probability_best(burden).tolist(), strict=True)),
        expected_loss=dict(zip(names, expected_loss(burden).tolist(), strict=True)),
        vetoed=tuple(harmful),
        vetoes=vetoes,
        provisional=provisional,
    )


def could_be_best(burden: Floats, specification: Specification) -> float | None:
    """Return the leader's probability where only the threshold could keep it from "best".

    None where it could not be named best at any threshold. What calibrates the threshold.
    """
    best = probability_best(burden)
    leader = int(best.argmax())
    rule = specification.decision
    if specification.labels[leader] == rule.comparator:
        return None
    easiest = replace(specification, decision=replace(rule, best=float(best[leader])))
    loss = expected_loss(burden)
    if _objections(burden, best, loss, leader, easiest):
        return None
    return float(best[leader])


def expected_loss_of(burden: Floats, eligible: Floats) -> Floats:
    """(K,) mean points lost by choosing each arm instead of the lowest eligible one."""
    return np.asarray((burden - eligible.min(axis=1, keepdims=True)).mean(axis=0))


@dataclass(frozen=True, slots=True)
class _Answer:
    """One of the four answers, before what all verdicts carry is added."""

    kind: Kind
    sentence: Phrase
    reasons: tuple[Phrase, ...] = ()
    arm: str | None = None
    equal_arms: tuple[str, ...] = ()


def _only_left(allowed: NDArray[np.bool_], specification: Specification) -> _Answer | None:
    """What remains when all others are left out for harm: chosen, not found better."""
    if allowed.sum() != 1:
        return None
    name = specification.labels[int(allowed.argmax())]
    reference = name == specification.decision.comparator
    return _Answer(Kind.NONE if reference else Kind.BEST, words.only_left(name), arm=name)


def _best(
    eligible: Floats, best: Floats, loss: Floats, specification: Specification
) -> _Answer | None:
    """The first rule: likely lowest, little to lose, and clearly below the reference."""
    leader = int(best.argmax())
    name = specification.labels[leader]
    if name == specification.decision.comparator or _objections(
        eligible, best, loss, leader, specification
    ):
        return None
    said = words.best_of_rest if np.isinf(eligible[0]).any() else words.best
    return _Answer(
        Kind.BEST,
        said(name, float(best[leader])),
        _sizes(eligible, leader, specification),
        arm=name,
    )


def _objections(
    eligible: Floats, best: Floats, loss: Floats, leader: int, specification: Specification
) -> tuple[Phrase, ...]:
    """Return what keeps the leader from being named best."""
    rule, names = specification.decision, specification.labels
    reasons: list[Phrase] = []
    if best[leader] < rule.best:
        reasons.append(words.not_likely_enough(names[leader], float(best[leader]), rule.best))
    if loss[leader] > rule.expected_loss:
        reasons.append(
            words.too_much_to_lose(names[leader], float(loss[leader]), rule.expected_loss)
        )
    if rule.comparator is not None and names[leader] != rule.comparator:
        reference = eligible[:, names.index(rule.comparator)]
        ahead = float((eligible[:, leader] <= reference - rule.equal_margin).mean())
        if ahead < rule.comparator_probability:
            reasons.append(
                words.not_enough_over_comparator(
                    names[leader], rule.comparator, rule.equal_margin, ahead
                )
            )
    return tuple(reasons)


def _equal(
    burden: Floats, best: Floats, allowed: NDArray[np.bool_], specification: Specification
) -> _Answer | None:
    """The second rule: the leaders lie within the margin, and one of them is likely lowest.

    The leaders are the eligible arm with the lowest mean and all that are within the margin
    of it with enough probability. They answer the question only if the best arm is likely
    among them; else an arm left aside could still be better.
    """
    rule, names = specification.decision, specification.labels
    mean = np.where(allowed, burden.mean(axis=0), np.inf)
    leader = int(mean.argmin())
    near = (np.abs(burden - burden[:, [leader]]) < rule.equal_margin).mean(axis=0)
    group = np.flatnonzero(allowed & (near >= rule.equal_probability))
    if group.size < 2 or best[group].sum() < rule.equal_probability:
        return None
    chosen = tuple(names[k] for k in group)
    nearest = float(min(near[k] for k in group if k != leader))
    return _Answer(
        Kind.EQUAL,
        words.equal(chosen, rule.equal_margin, nearest),
        _sizes(np.where(allowed, burden, np.inf), leader, specification),
        equal_arms=chosen,
    )


def _none_better(
    burden: Floats, allowed: NDArray[np.bool_], specification: Specification
) -> _Answer | None:
    """The third rule: likely no arm that may be chosen is below the reference by the margin."""
    rule, names = specification.decision, specification.labels
    if rule.comparator is None or not allowed[names.index(rule.comparator)]:
        return None
    reference = names.index(rule.comparator)
    eligible = np.where(allowed, burden, np.inf)
    others = np.delete(eligible, reference, axis=1).min(axis=1)
    none = float((others > burden[:, reference] - rule.equal_margin).mean())
    if none < rule.equal_probability:
        return None
    return _Answer(
        Kind.NONE,
        words.none_better(rule.comparator, rule.equal_margin, none),
        _sizes(eligible, reference, specification),
        arm=rule.comparator,
    )


def _undetermined(
    eligible: Floats, best: Floats, loss: Floats, specification: Specification
) -> _Answer:
    """The data do not decide: say who is ahead and what is lacking."""
    leader = int(best.argmax())
    return _Answer(
        Kind.UNDETERMINED,
        words.undetermined(specification.labels[leader], float(best[leader])),
        (
            *_objections(eligible, best, loss, leader, specification),
            *_sizes(eligible, leader, specification),
        ),
    )


def _sizes(burden: Floats, leader: int, specification: Specification) -> tuple[Phrase, ...]:
    """Say how likely differences of 0, 1 and 2 points (of 10) and of 30 % are to each arm."""
    unit, names = specification.scale.unit, specification.labels
    phrases: list[Phrase] = []
    good_end = specification.scale.sign * (
        specification.scale.low if specification.scale.sign > 0 else specification.scale.high
    )
    for k, name in enumerate(names):
        if k == leader or not np.isfinite(burden[0, k]):
            continue
        less = burden[:, k] - burden[:, leader]
        phrases += [
            words.difference(names[leader], name, size * unit, float((less >= size * unit).mean()))
            for size in (0.0, 1.0, 2.0)
        ]
        relative = float((less >= 0.3 * (burden[:, k] - good_end)).mean())
        phrases.append(words.relative_difference(names[leader], name, 30, relative))
    return tuple(phrases)
