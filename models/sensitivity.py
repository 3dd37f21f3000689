"""Does the verdict hold when something nobody knows for sure is taken otherwise?

Every row repeats the whole analysis with one thing changed, by the engine in numpy: in
milliseconds each, or about a second under the end-of-scale model. The table is always
computed; its one sentence says in how many rows the verdict holds, and what would change it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models import words
from models.analysis import Analysis, judge, weighed_series
from models.burden import burden_draws, is_weighed, with_weights_scaled
from models.data import TrialData
from models.decision import (
    Kind,
    Verdict,
    decide,
    insufficiencies,
    probability_best,
    refuse,
    untrustworthy,
    without_vetoed,
)
from models.ends import settled, share_at_ends
from models.fitting import QUICK_EFFORT, fit_burden
from models.harm import Harm, harms_of, in_blind, is_judged
from models.posterior import Posterior
from models.specification import Ends, HalfLifeShared, HalfNormal, Specification
from models.words import Phrase

type Floats = NDArray[np.float64]
type Flags = NDArray[np.bool_]

WIDER_PERIOD_SD = 2.0
"""HalfNormal(0.35) becomes HalfNormal(0.7) on 0-10."""
TELLING_SHARE = 0.05
"""With fewer days at the ends of the scale the two models say the same."""
WORST_SHIFT = 10
"""Points of 10: beyond this the missing days cannot differ from the rated ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """The two ways to count the doses of a day, both (T,) fractions of the planned dose.

    Attributes:
        assigned: as planned: 1, and 0 on days of a pause.
        taken: as the patient reported it, 1 where nothing was reported.
    """

    assigned: Floats
    taken: Floats


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing taken otherwise.

    Attributes:
        what: in words.
        data: the trial then.
        specification: what is fitted and the rule then.
        tells_arms: whether the answer could tell the arms of a blinded trial apart: a period
            or days left out show whose figures move, a half-life belongs to a treatment.
    """

    what: Phrase
    data: TrialData
    specification: Specification
    tells_arms: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One way to see it otherwise.

    Attributes:
        what: what is taken otherwise.
        kind, arm, equal_arms: the verdict then.
        p_best: probability of being best, by arm; empty when refused then.
        holds: True when it is the same verdict about the same arms.
    """

    what: Phrase
    kind: Kind
    arm: str | None
    equal_arms: tuple[str, ...]
    p_best: dict[str, float]
    holds: bool


@dataclass(frozen=True, slots=True)
class TippingPoint:
    """How much worse (or better) the missing days of an arm must be to change the verdict.

    Attributes:
        arm: whose missing days.
        share: of its analysis days that are missing.
        points: smallest shift, in tenths of the scale's range, that changes the verdict: above
            0 is worse; None when none up to the whole scale does.
    """

    arm: str
    share: float
    points: float | None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The table and its sentence.

    Attributes:
        rows: see :class:`Row`.
        tipping: for every arm with missing days.
        sentence: in how many of the rows that can be judged the verdict holds, and what would
            change it.
    """

    rows: tuple[Row, ...]
    tipping: tuple[TippingPoint, ...]
    sentence: Phrase


def sensitivity(
    analysis: Analysis,
    *,
    seed: int,
    draws: int = 4000,
    intake: Intake | None = None,
    late: Flags | None = None,
) -> Sensitivity | None:
    """Return how the verdict depends on what is not known; None for a refused one.

    Args:
        analysis: of the trial, by either engine.
        seed: of the exact engine.
        draws: of each fit.
        intake: both ways to count doses; the one that was not analysed is a row.
        late: (T,) days whose report was not given in its own evening; leaving them out is a row.
    """
    if analysis.burden is None or analysis.verdict.kind is Kind.REFUSED:
        return None
    rows = tuple(
        _row(variant, analysis, seed, draws)
        for variant in _otherwise(analysis.data, analysis.specification, intake, late)
    )
    tipping = tuple(_tipping_points(analysis))
    return Sensitivity(rows, tipping, _sentence(rows))


def sensitivity_in_blind(
    analysis: Analysis,
    bare: Specification,
    *,
    seed: int,
    draws: int = 4000,
    intake: Intake | None = None,
    late: Flags | None = None,
) -> Sensitivity | None:
    """Return the part of the table that a blinded reader may see.

    Only the rows that tell no arm from another, each judged as the verdict of a blinded reader
    is: by the rule without what it asks of single treatments. Missing days by arm would tell
    which periods share an arm, so no tipping point is given.

    Args:
        analysis: of the trial, by either engine.
        bare: the specification without reference, half-lives and burdens of arms.
        seed: of the exact engine.
        draws: of each fit.
        intake: as for :func:`sensitivity`.
        late: likewise.
    """
    if analysis.burden is None or analysis.verdict.kind is Kind.REFUSED:
        return None
    verdict = _judge_in_blind(analysis.burden, bare, analysis.harms)
    rows = []
    for variant in _otherwise(analysis.data, analysis.specification, intake, late):
        if not variant.tells_arms:
            fitted = _fit(variant, analysis.specification, seed, draws)
            other = (
                fitted
                if isinstance(fitted, Verdict)
                else _judge_in_blind(fitted, bare, _harms(variant, seed))
            )
            rows.append(_row_of(variant.what, other, verdict))
    return Sensitivity(tuple(rows), (), _sentence(tuple(rows)))


def _otherwise(
    data: TrialData, specification: Specification, intake: Intake | None, late: Flags | None
) -> Iterator[Variant]:
    """Yield every way to see it otherwise that applies to the trial."""
    specification = settled(data, specification)
    yield from _other_ends(data, specification)
    if specification.carryover:
        for factor in (0.5, 2.0):
            yield Variant(
                words.half_life_times(factor),
                data,
                _half_lives_times(specification, factor),
                tells_arms=True,
            )
    if specification.period_effect:
        wider = HalfNormal(WIDER_PERIOD_SD * specification.priors.period_sd.scale)
        priors = replace(specification.priors, period_sd=wider)
        yield Variant(words.wider_periods(), data, replace(specification, priors=priors))
    if is_weighed(specification):
        for factor in (0.5, 2.0):
            weights = with_weights_scaled(specification, factor)
            yield Variant(
                words.weights_times(factor), data, replace(specification, weights=weights)
            )
    if is_judged(data, specification):
        items = tuple(replace(item, graded=False) for item in specification.side_effects)
        by_themselves = replace(specification, side_effects=items)
        yield Variant(words.severe_by_themselves(), data, by_themselves)
    yield from _other_intake(data, specification, intake)
    if late is not None and (data.observed & late).any():
        yield Variant(
            words.without_late_reports(),
            replace(data, in_analysis=data.in_analysis & ~late),
            specification,
            tells_arms=True,
        )
    for period, arm in enumerate(data.period_arm):
        inside = data.in_analysis & (data.day_period != period)
        if arm >= 0 and (data.observed & (data.day_period == period)).any():
            yield Variant(
                words.without_period(period + 1),
                replace(data, in_analysis=inside),
                specification,
                tells_arms=True,
            )


def _other_intake(
    data: TrialData, specification: Specification, intake: Intake | None
) -> Iterator[Variant]:
    """Yield the way to count doses that was not analysed, where it differs."""
    both = intake or Intake(np.ones(data.days), data.taken)
    if not np.array_equal(both.assigned, data.taken):
        assigned = replace(data, taken=both.assigned.copy())
        yield Variant(words.as_assigned(), assigned, specification)
    if not np.array_equal(both.taken, data.taken):
        yield Variant(words.as_taken(), replace(data, taken=both.taken.copy()), specification)


def _other_ends(data: TrialData, specification: Specification) -> Iterator[Variant]:
    """Yield the other model for the ends of the scale, where enough days lie there to tell."""
    if share_at_ends(data, specification.scale) >= TELLING_SHARE:
        cut = specification.ends is Ends.ALWAYS
        yield Variant(
            words.ends_continuous() if cut else words.ends_cut_off(),
            data,
            replace(specification, ends=Ends.NEVER if cut else Ends.ALWAYS),
        )


def _row(variant: Variant, analysis: Analysis, seed: int, draws: int) -> Row:
    """Repeat the analysis; leaving a period out may leave too few to judge, which is a row too."""
    fitted = _fit(variant, analysis.specification, seed, draws)
    other = (
        fitted
        if isinstance(fitted, Verdict)
        else judge(fitted, variant.specification, (), _harms(variant, seed), provisional=True)
    )
    return _row_of(variant.what, other, analysis.verdict)


def _fit(variant: Variant, frozen: Specification, seed: int, draws: int) -> Posterior | Verdict:
    """Return the posterior of the net burden, or a refusal when the days left do not suffice.

    Whether they do is asked by the frozen specification: a half-life twice as long as assumed is
    what the row is about, and no reason not to answer it.
    """
    weighed = weighed_series(variant.data, variant.specification)
    reasons = insufficiencies(weighed, frozen)
    if reasons:
        return refuse(reasons)
    return fit_burden(
        variant.data, variant.specification, seed=seed, draws=draws, effort=QUICK_EFFORT
    )


def _harms(variant: Variant, seed: int) -> tuple[Harm, ...]:
    return harms_of(variant.data, variant.specification, seed=seed)


def _judge_in_blind(posterior: Posterior, bare: Specification, harms: tuple[Harm, ...]) -> Verdict:
    reasons = untrustworthy(posterior.diagnostics)
    if reasons:
        return refuse(reasons)
    return decide(burden_draws(posterior.arm_mean, bare), bare, harms=in_blind(harms, bare))


def _row_of(what: Phrase, other: Verdict, verdict: Verdict) -> Row:
    return Row(
        what=what,
        kind=other.kind,
        arm=other.arm,
        equal_arms=other.equal_arms,
        p_best=dict(other.p_best),
        holds=_same(other, verdict),
    )


def _same(one: Verdict, other: Verdict) -> bool:
    return (one.kind, one.arm, one.equal_arms) == (other.kind, other.arm, other.equal_arms)


def _half_lives_times(specification: Specification, factor: float) -> Specification:
    """Multiply the prior medians of the half-lives."""
    prior = specification.priors.half_life
    if isinstance(prior, HalfLifeShared):
        shifted = HalfLifeShared(prior.mean_log + math.log(factor), prior.sd_log)
        return replace(specification, priors=replace(specification.priors, half_life=shifted))
    arms = tuple(
        replace(
            arm,
            half_life_days=None if arm.half_life_days is None else factor * arm.half_life_days,
            onset_half_life_days=None
            if arm.onset_half_life_days is None
            else factor * arm.onset_half_life_days,
        )
        for arm in specification.arms
    )
    return replace(specification, arms=arms)


def _tipping_points(analysis: Analysis) -> Iterator[TippingPoint]:
    """Shift the missing days of one arm at a time until the verdict changes.

    With a share f of an arm's days missing, and those days worse by d than the model expects
    of them, the arm's mean over all days is worse by f d: a pattern-mixture shift, which
    keeps the uncertainty of the fit. The arm that leads is made worse first, the others better.
    """
    posterior, specification = analysis.burden, analysis.specification
    if posterior is None:
        return
    weighed = weighed_series(analysis.data, specification)
    burden = burden_draws(posterior.arm_mean, specification)
    may_lead = without_vetoed(burden, specification.labels, analysis.verdict.vetoed)
    leader = int(probability_best(may_lead).argmax())
    for k, label in enumerate(specification.labels):
        days = weighed.in_analysis & (weighed.day_arm == k)
        share = 1.0 - float(weighed.observed[days].mean()) if days.any() else 0.0
        if share > 0:
            direction = 1.0 if k == leader else -1.0
            yield TippingPoint(label, share, _tip(burden, k, share, direction, analysis))


def _tip(
    burden: Floats, arm: int, share: float, direction: float, analysis: Analysis
) -> float | None:
    """Return the smallest shift in whole points (of 10) that changes the verdict.

    Both ways are tried, ``direction`` first.
    """
    unit = analysis.specification.scale.unit
    for points in range(1, WORST_SHIFT + 1):
        for shift in (direction * points * unit, -direction * points * unit):
            shifted = burden.copy()
            shifted[:, arm] += shift * share
            other = decide(shifted, analysis.specification, harms=analysis.harms)
            if not _same(other, analysis.verdict):
                return shift
    return None


def _sentence(rows: tuple[Row, ...]) -> Phrase:
    judged = [row for row in rows if row.kind is not Kind.REFUSED]
    changing = [row.what for row in judged if not row.holds]
    return words.verdict_holds(len(judged) - len(changing), len(judged), changing)
