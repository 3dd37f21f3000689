"""Simulate, fit and judge some trials, look by look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models import exact
from models.burden import burden_draws, is_weighed, net_burden
from models.checks import predictive_checks
from models.data import NO_ARM, TrialData, analysis_window
from models.decision import Kind, Verdict, could_be_best, decide, insufficiencies, refuse
from models.operating.design import DesignShape, draw_order
from models.operating.scenarios import Scenario
from models.posterior import Posterior
from models.run_in import with_run_in, without_run_in
from models.simulate import SimulatedPatient, draw_patient, simulate_trial
from models.specification import Specification

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]


SMALLEST_DIFFERENCE = 1e-9
CHECKED = 100
"""Trials of each scenario whose diary is compared with replicates of its fit: checking all of
them would double the time."""
REPLICATES = 200
"""Replicates of each: a check then fails with the same chance by itself as with 400."""
PIECE = 50
"""Trials that are simulated and fitted together, and handed to one process."""


@dataclass(frozen=True, slots=True)
class Task:
    """Trials ``start`` to ``start + count`` of a scenario; plain, so that it can travel."""

    specification: Specification
    design: DesignShape
    scenario: Scenario
    seed: int
    index: int
    start: int
    count: int
    draws: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What became of one simulated trial.

    Attributes:
        kind: of its final verdict.
        right: True when "best" named the truly best arm.
        could_be_best: the leader's probability at each look where only c1 could prevent
            "best".
        days: lived until the verdict.
        widths: of the 90 % intervals of contrasts at the end; covered: how many hold the
            truth.
        unlike: whether the predictive checks would refuse at the end; None if not checked.
    """

    kind: Kind
    right: bool
    could_be_best: tuple[float, ...]
    days: int
    widths: tuple[float, ...]
    covered: int
    unlike: bool | None = None


@dataclass(slots=True)
class _Living:
    """A trial on its way through its looks."""

    data: TrialData
    truth: Floats
    could_be_best: list[float] = field(default_factory=list)
    verdict: Verdict | None = None
    days: int = 0
    last: Posterior | None = None
    unlike: bool | None = None


def simulate_piece(task: Task) -> list[Trace]:
    """Simulate, fit and judge the trials of one piece, look by look."""
    specification, design = task.specification, task.design
    arms = len(specification.arms)
    trials = [
        _simulated(task, np.random.default_rng((task.seed, task.index, task.start + n)))
        for n in range(task.count)
    ]
    for look in range(1, design.looks + 1):
        days = design.days_of_look(look, arms)
        cut = [_first_days(trial.data, days) for trial in trials]
        enough = [not insufficiencies(data, specification) for data in cut]
        checked = look == design.looks and task.start < CHECKED
        fitted = _fit([data for data, good in zip(cut, enough, strict=True) if good], task, checked)
        for trial, data, good in zip(trials, cut, enough, strict=True):
            posterior = next(fitted) if good else None
            _look(trial, data, posterior, specification, design, look)
            if checked and posterior is not None:
                trial.unlike = _is_unlike(data, posterior, specification, task.seed)
    return [_trace(trial, specification) for trial in trials]


def _fit(diaries: list[TrialData], task: Task, checked: bool) -> Iterator[Posterior]:  # noqa: FBT001
    """Fit the diaries of one look; yield their posteriors without the run-in's own arm."""
    if not diaries:
        return
    specification = task.specification
    own = [with_run_in(data, specification) for data in diaries]
    for posterior in exact.fit_many(
        [data for data, _ in own],
        own[0][1],
        seed=task.seed,
        draws=task.draws,
        only_arms=not checked,
    ):
        yield without_run_in(posterior, specification)


def _simulated(task: Task, generator: np.random.Generator) -> _Living:
    """Simulate one patient through one order; the net burden takes the outcome's place."""
    specification, design, scenario = task.specification, task.design, task.scenario
    names = specification.labels
    order = draw_order(len(names), design, generator)
    day_arm = np.repeat(order, design.period_days)
    day_period = np.repeat(np.arange(len(order)), design.period_days)
    if design.run_in_days:
        day_arm = np.concatenate((np.full(design.run_in_days, NO_ARM), day_arm))
        day_period = np.concatenate((np.zeros(design.run_in_days, np.int64), day_period + 1))
    patient = _patient(scenario, specification, generator)
    series = [name for name, weight in specification.weights.items() if weight > 0]
    data = simulate_trial(
        patient,
        specification,
        day_arm,
        generator=generator,
        day_period=day_period,
        in_analysis=_window(day_period, design),
        bothers=series,
    )
    weight = sum(specification.weights[name] for name in series)
    bother = np.array(patient.bother)
    truth = np.array(patient.effects) + specification.scale.sign * weight * bother
    if is_weighed(specification):
        data = net_burden(data, specification)
    return _Living(data, truth)


def _window(day_period: Integers, design: DesignShape) -> NDArray[np.bool_]:
    """(T,) the days that are evaluated."""
    window = analysis_window(day_period, design.washout_days)
    if design.washout_first and not design.run_in_days:
        window[: design.washout_days] = False
    return window


def _patient(
    scenario: Scenario, specification: Specification, generator: np.random.Generator
) -> SimulatedPatient:
    """Draw a patient of a scenario: what it leaves open comes from the priors."""
    names = specification.labels
    drawn = draw_patient(specification, generator)
    given = {
        name: getattr(scenario, name)
        for name in ("sd", "autocorrelation", "trend_per_week", "period_sd")
        if getattr(scenario, name) is not None
    }
    return replace(
        drawn,
        effects=tuple(scenario.effects.get(a, 0.0) for a in names),
        bother=tuple(scenario.bother.get(a, 0.0) for a in names),
        half_lives=tuple(scenario.half_life_factor * h for h in drawn.half_lives),
        missing=scenario.missing,
        variant=scenario.variant,
        **given,
    )


def _look(
    trial: _Living,
    data: TrialData,
    posterior: Posterior | None,
    specification: Specification,
    design: DesignShape,
    look: int,
) -> None:
    """Judge one trial at one look; a clear "best" ends it."""
    trial.last = posterior
    if posterior is not None:
        leading = could_be_best(burden_draws(posterior.arm_mean, specification), specification)
        if leading is not None:
            trial.could_be_best.append(leading)
    if trial.verdict is not None:
        return
    verdict = (
        refuse(insufficiencies(data, specification))
        if posterior is None
        else decide(burden_draws(posterior.arm_mean, specification), specification)
    )
    if verdict.kind is Kind.BEST or look == design.looks:
        trial.verdict, trial.days = verdict, data.days


def _is_unlike(
    data: TrialData, posterior: Posterior, specification: Specification, seed: int
) -> bool:
    """Return whether the predictive checks would refuse a verdict on this diary."""
    checks = predictive_checks(data, specification, posterior, seed=seed, replicates=REPLICATES)
    return any(check.gate and not check.passed for check in checks)


def _trace(trial: _Living, specification: Specification) -> Trace:
    """Return what became of a trial."""
    if trial.verdict is None:
        raise RuntimeError("A simulated trial ended without a verdict.")
    own = specification.scale.sign * np.array([arm.burden for arm in specification.arms])
    truth = specification.scale.sign * (trial.truth + own)
    ordered = np.sort(truth)
    best = specification.labels[int(truth.argmin())]
    clear = ordered[1] - ordered[0] > SMALLEST_DIFFERENCE
    widths, covered = _intervals(trial)
    return Trace(
        kind=trial.verdict.kind,
        right=bool(trial.verdict.kind is Kind.BEST and clear and trial.verdict.arm == best),
        could_be_best=tuple(trial.could_be_best),
        days=trial.days,
        widths=tuple(widths),
        covered=covered,
        unlike=trial.unlike,
    )


def _intervals(trial: _Living) -> tuple[list[float], int]:
    """Return widths of the 90 % intervals of contrasts, and how many hold the truth."""
    if trial.last is None:
        return [], 0
    draws, truth = trial.last.arm_mean, trial.truth
    pairs = [(j, k) for j in range(truth.size) for k in range(j)]
    low, high = np.quantile([draws[:, j] - draws[:, k] for j, k in pairs], (0.05, 0.95), axis=1)
    inside = [a <= truth[j] - truth[k] <= b for (j, k), a, b in zip(pairs, low, high, strict=True)]
    return (high - low).tolist(), int(sum(inside))


def _first_days(data: TrialData, days: int) -> TrialData:
    """Return the trial as it stood after so many days."""
    if days >= data.days:
        return data
    return replace(
        data,
        day_arm=data.day_arm[:days].copy(),
        day_period=data.day_period[:days].copy(),
        outcome=data.outcome[:days].copy(),
        in_analysis=data.in_analysis[:days].copy(),
        taken=data.taken[:days].copy(),
        bothers={name: values[:days].copy() for name, values in data.bothers.items()},
    )
