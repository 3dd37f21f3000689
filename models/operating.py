"""What a design can tell, before a patient gives weeks to it.

Many patients are simulated under each scenario, each through a sequence of the design, and
judged by the frozen rule with the exact engine. The threshold ``best`` (c1) is calibrated so
that without any true difference a false "best" is named in at most 5 % of trials over all
planned looks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from models import exact
from models.burden import burden_draws, is_weighed, net_burden
from models.checks import predictive_checks
from models.data import NO_ARM, TrialData, analysis_window
from models.decision import Kind, Verdict, could_be_best, decide, insufficiencies, refuse
from models.posterior import Posterior
from models.simulate import SimulatedPatient, draw_patient, simulate_trial
from models.specification import Specification

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

FALSE_BEST = 0.05
"""Largest share of false "best" without any difference, over all planned looks."""
SMALLEST_DIFFERENCE = 1e-9
CHECKED = 100
"""Trials of each scenario whose diary is compared with replicates of its fit: checking all of
them would double the time."""
REPLICATES = 200
"""Replicates of each: a check then fails with the same chance by itself as with 400."""
PIECE = 50
"""Trials that are simulated and fitted together, and handed to one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignShape:
    """The shape of a trial.

    Attributes:
        blocks: times each arm is given.
        period_days: days of each period.
        washout_days: first days of each later period left out of the fit.
        run_in_days: days on no arm before the first period.
        scheme: ``blocks``, ``latin``, ``abba`` or ``fixed``; see :func:`draw_order`.
        looks: evenly spaced looks, the last included.
        washout_first: leave the washout days of the first period out too, as the product's
            calendar does.
        order: with ``fixed``, the arm of each period given by hand; which arm each number
            stands for is drawn. () is the order of the arms, repeated.
    """

    blocks: int = 3
    period_days: int = 14
    washout_days: int = 0
    run_in_days: int = 0
    scheme: str = "blocks"
    looks: int = 1
    washout_first: bool = False
    order: tuple[int, ...] = ()

    def days_of_look(self, look: int, arms: int) -> int:
        """Return the days lived when look ``look`` (from 1) is taken."""
        blocks = int(np.ceil(self.blocks * look / self.looks))
        return self.run_in_days + blocks * arms * self.period_days


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A truth to simulate; what is None is drawn from the priors for each patient.

    Attributes:
        name: shown in tables.
        effects: points by arm label, 0 where not named.
        bother: mean bother by arm label.
        half_life_factor: true half-lives over those the protocol assumes.
        sd, autocorrelation, trend_per_week, period_sd: of every patient.
        missing: share of days not rated.
        variant: see ``SimulatedPatient``.
    """

    name: str
    effects: Mapping[str, float] = field(default_factory=dict)
    bother: Mapping[str, float] = field(default_factory=dict)
    half_life_factor: float = 1.0
    sd: float | None = None
    autocorrelation: float | None = None
    trend_per_week: float | None = None
    period_sd: float | None = None
    missing: float = 0.1
    variant: str = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of trials with its Monte Carlo standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """What became of the trials of one scenario.

    Attributes:
        scenario: the truth.
        trials: how many.
        right: named the truly best arm best; wrong: named another.
        equal, none, undetermined, refused: the other verdicts.
        interval_width: mean width of the 90 % interval of contrasts, in points; NaN where
            every trial was refused before its fit.
        interval_width_error, days_error: Monte Carlo standard errors of the two means.
        days: mean length under the interim rule.
        covered: share of 90 % intervals of contrasts that hold the truth.
        unlike: share of the first ``CHECKED`` trials with a fit whose diary the predictive checks
            would refuse at the end, whatever the verdict; None where none was checked. The
            other shares leave these checks out.
    """

    scenario: Scenario
    trials: int
    right: Share
    wrong: Share
    equal: Share
    none: Share
    undetermined: Share
    refused: Share
    interval_width: float
    interval_width_error: float
    days: float
    days_error: float
    covered: Share
    unlike: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristics:
    """What a design can tell.

    Attributes:
        design_hash: of specification (but for c1) and design.
        threshold: the calibrated c1; the ``best`` to freeze.
        threshold_low, threshold_high: its 95 % Monte Carlo interval.
        best_used: the c1 the scenarios were judged with.
        results: one for each scenario, the first being "no difference".
    """

    design_hash: str
    threshold: float
    threshold_low: float
    threshold_high: float
    best_used: float
    results: tuple[ScenarioResult, ...]


def design_hash(specification: Specification, design: DesignShape) -> str:
    """Return what a calibrated threshold is cached by: all that decides it, c1 left out."""
    neutral = replace(specification, decision=replace(specification.decision, best=1.0))
    content = json.dumps(
        {"specification": neutral.canonical_json(), "design": asdict(design)}, sort_keys=True
    )
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A design to be studied before it is frozen.

    Attributes:
        specification: as it will be frozen; its ``best`` is the least that may be asked of a
            best arm, whatever the simulation says.
        design: the shape, with its planned looks.
        sd: the patient's own day-to-day standard deviation in points, such as a run-in or an
            earlier diary showed; None draws each simulated patient's from the prior.
        autocorrelation: of one day with the next, likewise.
    """

    specification: Specification
    design: DesignShape
    sd: float | None = None
    autocorrelation: float | None = None

    @property
    def design_hash(self) -> str:
        """What the study is cached by: all that decides its outcome."""
        content = json.dumps(
            {
                "design": design_hash(self.specification, self.design),
                "least_best": self.specification.decision.best,
                "sd": self.sd,
                "autocorrelation": self.autocorrelation,
            },
            sort_keys=True,
        )
        return hashlib.sha256(content.encode()).hexdigest()

    def scenarios(self) -> tuple[Scenario, ...]:
        """Return the questions a clinician asks, put to this patient's noise if it is known."""
        return tuple(
            replace(scenario, sd=self.sd, autocorrelation=self.autocorrelation)
            for scenario in default_scenarios(self.specification)
        )


def calibrate(
    study: Study,
    *,
    trials: int = 1000,
    scenario_trials: int = 250,
    seed: int = 1,
    draws: int = 2000,
    run: Callable[[Callable[[Task], list[Trace]], Sequence[Task]], Iterator[list[Trace]]] = map,
) -> Characteristics:
    """Calibrate a design's threshold, then tell what the design can tell when judged with it.

    This is what the set-up page shows and the freeze keeps. The threshold comes from patients
    drawn from the priors, so that it does not rest on what is believed of this one. The
    scenarios are other simulated patients, so the share of false "best" among them checks the
    threshold on trials it was not made from.

    Args:
        study: specification, design and what is known of the patient.
        trials: without any difference, for the threshold.
        scenario_trials: of each scenario, judged with the threshold.
        seed: the same seed gives the same table.
        draws: from each posterior.
        run: like ``map``; a process pool's ``map`` runs the pieces side by side.
    """
    specification, design = study.specification, study.design
    neutral = Scenario(name="no difference")
    tasks = [
        Task(specification, design, neutral, seed, 0, start, min(PIECE, trials - start), draws)
        for start in range(0, trials, PIECE)
    ]
    traces = [trace for piece in run(simulate_piece, tasks) for trace in piece]
    threshold, low, high = calibrated_threshold(traces)
    needed = max(specification.decision.best, threshold)
    judged = replace(specification, decision=replace(specification.decision, best=needed))
    told = operating_characteristics(
        judged,
        design,
        study.scenarios(),
        trials=scenario_trials,
        seed=seed + 1,
        draws=draws,
        run=run,
    )
    return replace(
        told,
        design_hash=study.design_hash,
        threshold=threshold,
        threshold_low=low,
        threshold_high=high,
    )


def default_scenarios(specification: Specification) -> tuple[Scenario, ...]:
    """Return the questions a clinician asks of a design.

    The first is always "no difference". The arm that differs is the last, never the
    comparator unless there are only two arms and it comes last.
    """
    names = specification.labels
    arm = next(a for a in reversed(names) if a != specification.decision.comparator)
    better = -specification.scale.sign * specification.scale.unit
    scenarios = [
        Scenario(name="no difference"),
        Scenario(name="one better by 1 point", effects={arm: better}),
        Scenario(name="one better by 2 points", effects={arm: 2 * better}),
        Scenario(name="2 points, 30 % missing when bad", effects={arm: 2 * better}, missing=0.3,
                 variant="missing_when_bad"),
        Scenario(name="2 points, strong drift", effects={arm: 2 * better},
                 trend_per_week=0.4 * better),
        Scenario(name="no difference, slow wandering", variant="wandering"),
        Scenario(name="2 points, heavy tails", effects={arm: 2 * better}, variant="heavy_tails"),
        Scenario(name="2 points, rounded to whole numbers", effects={arm: 2 * better},
                 variant="rounded"),
        Scenario(name="2 points at first, then waning", effects={arm: 2 * better},
                 variant="waning"),
    ]  # fmt: skip
    if specification.carryover:
        scenarios.append(
            Scenario(
                name="2 points, half-lives twice as long as assumed",
                effects={arm: 2 * better},
                half_life_factor=2.0,
            )
        )
    weighed = [w for w in specification.weights.values() if w > 0]
    if weighed:
        scenarios.append(
            Scenario(
                name="2 points less pain, undone by bother",
                effects={arm: 2 * better},
                bother={arm: 2.0 * specification.scale.unit / sum(weighed)},
            )
        )
    return tuple(scenarios)


def operating_characteristics(
    specification: Specification,
    design: DesignShape,
    scenarios: Sequence[Scenario] = (),
    *,
    trials: int = 1000,
    seed: int = 1,
    draws: int = 2000,
    run: Callable[[Callable[[Task], list[Trace]], Sequence[Task]], Iterator[list[Trace]]] = map,
) -> Characteristics:
    """Simulate a design and calibrate its threshold.

    Args:
        specification: what is fitted and the rule; its ``best`` judges the scenarios.
        design: the shape.
        scenarios: truths; the defaults if none. "No difference" is always simulated first.
        trials: of each scenario.
        seed: the same seed gives the same table.
        draws: from each posterior.
        run: like ``map``; a process pool's ``map`` runs the pieces side by side.

    The predictive checks are left out of the verdicts: they take as long as the fits. How
    often they would refuse is told beside, from the first ``CHECKED`` trials of each scenario.
    """
    chosen = list(scenarios or default_scenarios(specification))
    neutral = Scenario(name="no difference")
    if not _is_neutral(chosen[0]):
        chosen.insert(0, neutral)
    tasks = [
        Task(specification, design, scenario, seed, index, start, min(PIECE, trials - start), draws)
        for index, scenario in enumerate(chosen)
        for start in range(0, trials, PIECE)
    ]
    traces: dict[int, list[Trace]] = {index: [] for index in range(len(chosen))}
    for task, done in zip(tasks, run(simulate_piece, tasks), strict=True):
        traces[task.index] += done
    threshold, low, high = calibrated_threshold(traces[0])
    return Characteristics(
        design_hash=design_hash(specification, design),
        threshold=threshold,
        threshold_low=low,
        threshold_high=high,
        best_used=specification.decision.best,
        results=tuple(
            _result(scenario, traces[index], specification) for index, scenario in enumerate(chosen)
        ),
    )


def threshold_for(
    specification: Specification,
    design: DesignShape,
    cache: MutableMapping[str, float],
    *,
    trials: int = 1000,
    seed: int = 1,
    draws: int = 2000,
) -> float:
    """Return the calibrated c1 of a design, simulating only when its hash is not in the cache.

    Args:
        specification: as it will be frozen; its own ``best`` does not matter.
        design: the shape, with the planned looks.
        cache: thresholds by design hash; the new one is added.
        trials: simulated without any difference.
        seed: of the simulation.
        draws: from each posterior.
    """
    key = design_hash(specification, design)
    if key not in cache:
        neutral = Scenario(name="no difference")
        pieces = (
            Task(specification, design, neutral, seed, 0, s, min(PIECE, trials - s), draws)
            for s in range(0, trials, PIECE)
        )
        traces = [trace for piece in pieces for trace in simulate_piece(piece)]
        cache[key] = calibrated_threshold(traces)[0]
    return cache[key]


def calibrated_threshold(traces: Sequence[Trace]) -> tuple[float, float, float]:
    """Return c1 with its 95 % Monte Carlo interval, from trials without any difference.

    c1 is the smallest threshold that at most 5 % of the trials reach at any look, the other
    conditions of "best" being met.
    """
    highest = np.sort([max(trace.could_be_best, default=0.0) for trace in traces])
    count = highest.size
    spread = 1.96 * np.sqrt(count * FALSE_BEST * (1 - FALSE_BEST))
    places = [count * (1 - FALSE_BEST) + shift for shift in (0.0, -spread, spread)]
    value, low, high = (
        float(highest[int(np.clip(np.ceil(place) - 1, 0, count - 1))]) for place in places
    )
    return min(value + 1e-6, 1.0), low, high


def draw_order(arms: int, design: DesignShape, generator: np.random.Generator) -> list[int]:
    """Return the arm of each period.

    ``blocks``: each block holds every arm once in random order. ``latin``: block orders are
    taken in turn from a set in which each arm follows each other equally often (Williams).
    ``abba``: every second block is the mirror of the one before. ``fixed``: always the order
    of the arms, or the order given by hand with the arms dealt to its numbers.
    """
    order: list[int] = []
    rows = _williams(arms)
    start = int(generator.integers(len(rows)))
    names = generator.permutation(arms)
    if design.scheme == "fixed" and design.order:
        return [int(names[k]) for k in design.order]
    for block in range(design.blocks):
        if design.scheme == "fixed":
            one = list(range(arms))
        elif design.scheme == "latin":
            one = [int(names[k]) for k in rows[(start + block) % len(rows)]]
        elif design.scheme == "abba" and block % 2:
            one = order[-arms:][::-1]
        else:
            one = [int(k) for k in generator.permutation(arms)]
        order += one
    return order


# -- one piece of work ------------------------------------------------------------------------


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
        fitted = iter(
            exact.fit_many(
                [data for data, good in zip(cut, enough, strict=True) if good],
                specification,
                seed=task.seed,
                draws=task.draws,
                only_arms=not checked,
            )
        )
        for trial, data, good in zip(trials, cut, enough, strict=True):
            posterior = next(fitted) if good else None
            _look(trial, data, posterior, specification, design, look)
            if checked and posterior is not None:
                trial.unlike = _is_unlike(data, posterior, specification, task.seed)
    return [_trace(trial, specification) for trial in trials]


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


def _result(
    scenario: Scenario, traces: Sequence[Trace], specification: Specification
) -> ScenarioResult:
    """Count what became of a scenario's trials."""
    count = len(traces)

    def share(true: Sequence[bool]) -> Share:
        value = float(np.mean(true)) if len(true) else 0.0
        return Share(value=value, error=float(np.sqrt(value * (1 - value) / max(len(true), 1))))

    pairs = len(specification.arms) * (len(specification.arms) - 1) // 2
    checked = [t.unlike for t in traces if t.unlike is not None]
    held = [n < t.covered for t in traces if t.widths for n in range(pairs)]
    width, width_error = _mean([float(np.mean(t.widths)) for t in traces if t.widths])
    days, days_error = _mean([float(t.days) for t in traces])
    return ScenarioResult(
        scenario=scenario,
        trials=count,
        right=share([t.right for t in traces]),
        wrong=share([t.kind is Kind.BEST and not t.right for t in traces]),
        equal=share([t.kind is Kind.EQUAL for t in traces]),
        none=share([t.kind is Kind.NONE for t in traces]),
        undetermined=share([t.kind is Kind.UNDETERMINED for t in traces]),
        refused=share([t.kind is Kind.REFUSED for t in traces]),
        interval_width=width,
        interval_width_error=width_error,
        days=days,
        days_error=days_error,
        covered=share(held),
        unlike=share(checked) if checked else None,
    )


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean with its Monte Carlo standard error; NaN of nothing."""
    if not values:
        return float("nan"), float("nan")
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)), spread / float(np.sqrt(len(values)))


def _is_neutral(scenario: Scenario) -> bool:
    """Say whether a scenario is the model without any difference."""
    same = not any(scenario.effects.values()) and not any(scenario.bother.values())
    return same and scenario.variant == "model" and scenario.half_life_factor == 1.0


def _williams(arms: int) -> list[tuple[int, ...]]:
    """Return orders in which each arm follows each other arm equally often."""
    if arms == 2:
        return list(permutations(range(2)))
    zigzag = [0] + [(step + 1) // 2 if step % 2 else arms - step // 2 for step in range(1, arms)]
    rows = [tuple((k + shift) % arms for k in zigzag) for shift in range(arms)]
    return rows + [row[::-1] for row in rows] if arms % 2 else rows
