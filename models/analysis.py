"""From one trial to its verdict by the engines in numpy; what the web and every look use.

A verdict from here is provisional: ``models.confirm`` repeats it with PyMC before release.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from models import words
from models.burden import burden_draws, is_weighed, net_burden
from models.checks import Check, predictive_checks
from models.data import TrialData
from models.decision import Verdict, decide, insufficiencies, refuse, untrustworthy
from models.fitting import QUICK_EFFORT, QUICK_GRID, fit_burden, fit_outcome
from models.harm import Harm, harms_of, worst_by_arm
from models.posterior import Posterior
from models.specification import MODEL_VERSION, Specification


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two engines differ on one posterior.

    Attributes:
        p_best: largest difference of a probability of being best.
        mean: largest difference of an arm's or contrast's mean, in posterior SD.
        p_best_allowed: 0.02 and twice the Monte Carlo error of the difference.
        mean_allowed: 0.05 and twice the Monte Carlo error of the difference.
    """

    p_best: float
    mean: float
    p_best_allowed: float
    mean_allowed: float

    @property
    def agrees(self) -> bool:
        """True when both differences are within what is allowed."""
        return self.p_best <= self.p_best_allowed and self.mean <= self.mean_allowed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Analysis:
    """Everything one analysis says, and where it came from.

    Attributes:
        data: the trial.
        specification: what was fitted and the rule.
        outcome: posterior of the outcome alone; None when refused before the fit.
        burden: posterior of the net burden (the same object as ``outcome`` when nothing is
            weighed); the verdict is about this one.
        verdict: what the frozen rule says.
        checks: predictive checks of the net burden.
        harms: how likely severe side effects exceed the limits of the arms.
        agreement: of the two engines; None until confirmed.
        exact: the exact engine's posterior of the net burden, once the sampler's took its
            place in ``burden``; None until confirmed.
        provenance: hashes, versions and seed, as text.
        seconds: wall time of the whole.
    """

    data: TrialData
    specification: Specification
    outcome: Posterior | None
    burden: Posterior | None
    verdict: Verdict
    checks: tuple[Check, ...] = ()
    harms: tuple[Harm, ...] = ()
    agreement: Agreement | None = None
    exact: Posterior | None = None
    provenance: Mapping[str, str]
    seconds: float

    @property
    def harmful(self) -> tuple[str, ...]:
        """The arms that the rule vetoes for harm, whether or not the rest can be judged."""
        return tuple(worst_by_arm(self.harms, self.specification.decision.veto_probability))


def analyze(
    data: TrialData, specification: Specification, *, seed: int, draws: int = 4000
) -> Analysis:
    """Fit with the exact engine, check, and apply the frozen rule.

    Args:
        data: the trial with masked labels.
        specification: frozen with the protocol.
        seed: the same seed gives the same numbers.
        draws: from each posterior.
    """
    began = time.perf_counter()
    weighed = weighed_series(data, specification)
    reasons = insufficiencies(weighed, specification)
    outcome = burden = None
    checks: tuple[Check, ...] = ()
    harms = harms_of(data, specification, seed=seed)
    verdict = refuse(reasons)
    if not reasons:
        outcome = burden = fit_outcome(data, specification, seed=seed, draws=draws)
        if weighed is not data:
            burden = fit_burden(data, specification, seed=seed, draws=draws)
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


def weighed_series(data: TrialData, specification: Specification) -> TrialData:
    """Return the series the verdict is about: the net burden, or the outcome itself.

    A weighed series that was not recorded leaves the outcome; ``insufficiencies`` then
    refuses, naming it.
    """
    recorded = all(name in data.bothers for name in specification.weights)
    if not is_weighed(specification) or not recorded:
        return data
    return net_burden(data, specification)


def judge(
    burden: Posterior,
    specification: Specification,
    checks: Sequence[Check] = (),
    harms: Sequence[Harm] = (),
    *,
    provisional: bool,
) -> Verdict:
    """Apply the rule to a fit that can be trusted; else refuse with every reason."""
    reasons = list(untrustworthy(burden.diagnostics))
    reasons += [words.check_failed(c.phrase) for c in checks if c.gate and not c.passed]
    unusable = {h.item: h.pareto_k for h in harms if not h.is_reliable}
    reasons += [words.harm_unusable(item, k) for item, k in unusable.items()]
    if reasons:
        return refuse(reasons, provisional=provisional)
    return decide(
        burden_draws(burden.arm_mean, specification),
        specification,
        harms=harms,
        provisional=provisional,
    )


def provenance_of(data: TrialData, specification: Specification, seed: int) -> dict[str, str]:
    """Return where an answer came from, as text."""
    return {
        "data_hash": data.data_hash,
        "specification_hash": specification.specification_hash,
        "model_version": MODEL_VERSION,
        "code_version": _version("lenitive"),
        "seed": str(seed),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numpy", "scipy", "pymc", "nutpie")},
    }


def at_other_weights(
    data: TrialData,
    specification: Specification,
    weights: Mapping[str, float],
    *,
    seed: int,
    draws: int = 4000,
) -> Analysis:
    """Return what the rule would say at other weights: what-if, in milliseconds.

    Under the end-of-scale model it takes a second or two.

    Only the net burden is fitted. It is checked like that at the frozen weights: no weight may
    show a number where the frozen ones show none.

    Args:
        data: the trial.
        specification: frozen with the protocol.
        weights: instead of the frozen ones, by name of the series.
        seed: of the fit.
        draws: from the posterior.
    """
    began = time.perf_counter()
    other = replace(specification, weights=dict(weights))
    weighed = weighed_series(data, other)
    reasons = insufficiencies(weighed, other)
    burden = None
    checks: tuple[Check, ...] = ()
    harms = harms_of(data, other, seed=seed)
    verdict = refuse(reasons)
    if not reasons:
        burden = fit_burden(
            data, other, seed=seed, draws=draws, effort=QUICK_EFFORT, grid=QUICK_GRID
        )
        checks = predictive_checks(weighed, other, burden, seed=seed)
        verdict = judge(burden, other, checks, harms, provisional=True)
    return Analysis(
        data=data,
        specification=other,
        outcome=None,
        burden=burden,
        verdict=verdict,
        checks=checks,
        harms=harms,
        provenance=provenance_of(data, other, seed),
        seconds=time.perf_counter() - began,
    )


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
