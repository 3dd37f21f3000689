"""Both engines about one trial: only what both say is judged, and a sampler is never believed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from models import words
from models.agreement import compare_engines
from models.analysis import Analysis, analyze, judge, provenance_of, weighed_series
from models.checks import Check, predictive_checks
from models.data import TrialData
from models.decision import insufficiencies, refuse, untrustworthy
from models.ends import settled
from models.harm import harms_of
from models.posterior import Posterior
from models.run_in import with_run_in, without_run_in
from models.sampling import DRAWS, TUNE, sample, sample_ends
from models.specification import Ends, Specification

type Sampler = Callable[[TrialData, Specification, int], Posterior]
"""Draws from a trial's posterior with a seed; the tests force one to fail."""

ATTEMPTS = 2
"""A sampler that misses its diagnostics may try once more, carefully and four times as long."""


def confirm(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    sampler: Sampler | None = None,
) -> Analysis:
    """Fit with both engines and judge only what both say.

    The numbers shown are the sampler's, the model of record; a sampler that fails its
    diagnostics, or engines that disagree, refuse the verdict. Nothing is shown then.

    Args:
        data: the trial with masked labels.
        specification: frozen with the protocol.
        seed: of both engines.
        draws: of the exact engine.
        sampler: draws from one posterior; :func:`sample` unless told otherwise.
    """
    began = time.perf_counter()
    first = analyze(data, specification, seed=seed, draws=draws)
    if first.outcome is None or first.burden is None:
        return first
    weighed = weighed_series(data, specification)
    outcome, burden = _sample_both(data, specification, seed, sampler)
    agreement = compare_engines(first.burden, burden, specification)
    checks = predictive_checks(weighed, specification, burden, seed=seed)
    verdict = judge(burden, specification, checks, first.harms, provisional=False)
    reasons = [*untrustworthy(first.burden.diagnostics), *untrustworthy(outcome.diagnostics)]
    if not agreement.agrees:
        reasons.append(words.engines_disagree())
    if reasons:
        verdict = refuse(tuple(reasons))
    return replace(
        first,
        outcome=outcome,
        burden=burden,
        verdict=verdict,
        checks=checks,
        agreement=agreement,
        exact=first.burden,
        seconds=time.perf_counter() - began,
    )


def analyze_by_sampling(
    data: TrialData, specification: Specification, *, seed: int, sampler: Sampler | None = None
) -> Analysis:
    """Fit with PyMC alone; the verdict stays provisional, since nothing confirmed it."""
    began = time.perf_counter()
    weighed = weighed_series(data, specification)
    reasons = insufficiencies(weighed, specification)
    outcome = burden = None
    checks: tuple[Check, ...] = ()
    harms = harms_of(data, specification, seed=seed)
    verdict = refuse(reasons)
    if not reasons:
        outcome, burden = _sample_both(data, specification, seed, sampler)
        checks = predictive_checks(weighed, specification, burden, seed=seed)
        verdict = judge(burden, specification, checks, harms, provisional=True)
    return Analysis(
        data=data,
        specification=specification,
        outcome=outcome,
        burden=burden,
        verdict=verdict,
        checks=checks,
        harms=harms,
        provenance=provenance_of(data, specification, seed),
        seconds=time.perf_counter() - began,
    )


def _sample_both(
    data: TrialData, specification: Specification, seed: int, sampler: Sampler | None
) -> tuple[Posterior, Posterior]:
    """Sample outcome and net burden, which are the same when nothing is weighed."""
    judged, is_same = specification, weighed_series(data, specification) is data
    data, specification = with_run_in(data, specification)
    weighed = weighed_series(data, specification)
    chosen = settled(data, specification)
    if sampler is not None:
        burden = sampler(weighed, specification, seed)
        outcome = burden if is_same else sampler(data, specification, seed)
    elif chosen.ends is not Ends.ALWAYS:
        burden = _sample_well(partial(sample, weighed, chosen), seed)
        outcome = burden if is_same else _sample_well(partial(sample, data, chosen), seed)
    else:
        outcome = _sample_well(partial(sample_ends, data, chosen), seed)
        burden = outcome
        if not is_same:
            burden = _sample_well(partial(sample_ends, data, chosen, weighed=True), seed)
    if burden is outcome:
        outcome = burden = without_run_in(burden, judged)
        return outcome, burden
    return without_run_in(outcome, judged), without_run_in(burden, judged)


def _sample_well(draw: Callable[..., Posterior], seed: int) -> Posterior:
    """Sample, and once more with care and more draws when the diagnostics are not met."""
    posterior = draw(seed=seed)
    for attempt in range(1, ATTEMPTS):
        if not untrustworthy(posterior.diagnostics):
            break
        more = 4**attempt
        posterior = draw(seed=seed + attempt, draws=more * DRAWS, tune=more * TUNE, careful=True)
    return posterior
