"""A design studied: its threshold, then what it can tell when judged with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from models.operating.design import DesignShape, design_hash
from models.operating.looks import PIECE, Task, Trace, simulate_piece
from models.operating.results import Characteristics, result_of
from models.operating.scenarios import Scenario, default_scenarios, no_difference, with_noise
from models.operating.threshold import calibrated_threshold
from models.specification import Specification

type Run = Callable[[Callable[[Task], list[Trace]], Sequence[Task]], Iterator[list[Trace]]]


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
        return with_noise(default_scenarios(self.specification), self.sd, self.autocorrelation)


def calibrate(
    study: Study,
    *,
    trials: int = 1000,
    scenario_trials: int = 250,
    seed: int = 1,
    draws: int = 2000,
    run: Run = map,
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
    neutral = no_difference(specification)
    [(_, traces)] = _simulate(specification, design, [neutral], trials, seed, draws, run)
    threshold, low, high = calibrated_threshold(traces)
    needed = max(specification.decision.best, threshold)
    judged = replace(specification, decision=replace(specification.decision, best=needed))
    told = _simulate(judged, design, study.scenarios(), scenario_trials, seed + 1, draws, run)
    return Characteristics(
        design_hash=study.design_hash,
        threshold=threshold,
        threshold_low=low,
        threshold_high=high,
        best_used=needed,
        results=tuple(result_of(scenario, traces, judged) for scenario, traces in told),
    )


def operating_characteristics(
    specification: Specification,
    design: DesignShape,
    scenarios: Sequence[Scenario] = (),
    *,
    trials: int = 1000,
    seed: int = 1,
    draws: int = 2000,
    run: Run = map,
) -> Characteristics:
    """Simulate a design and calibrate its threshold.

    Args:
        specification: what is fitted and the rule; its ``best`` judges the scenarios.
        design: the shape.
        scenarios: truths; the defaults if none. "No difference", drawn from the priors alone, is
            always simulated first: the threshold rests on nothing else.
        trials: of each scenario.
        seed: the same seed gives the same table.
        draws: from each posterior.
        run: like ``map``; a process pool's ``map`` runs the pieces side by side.

    The predictive checks are left out of the verdicts: they take as long as the fits. How
    often they would refuse is told beside, from the first ``CHECKED`` trials of each scenario.
    """
    neutral = no_difference(specification)
    chosen = list(scenarios or default_scenarios(specification))
    if chosen[0] != neutral:
        chosen.insert(0, neutral)
    told = _simulate(specification, design, chosen, trials, seed, draws, run)
    threshold, low, high = calibrated_threshold(told[0][1])
    return Characteristics(
        design_hash=design_hash(specification, design),
        threshold=threshold,
        threshold_low=low,
        threshold_high=high,
        best_used=specification.decision.best,
        results=tuple(result_of(scenario, traces, specification) for scenario, traces in told),
    )


def _simulate(
    specification: Specification,
    design: DesignShape,
    scenarios: Sequence[Scenario],
    trials: int,
    seed: int,
    draws: int,
    run: Run,
) -> list[tuple[Scenario, list[Trace]]]:
    """Return the scenarios with what became of their trials."""
    tasks = [
        Task(specification, design, scenario, seed, index, start, min(PIECE, trials - start), draws)
        for index, scenario in enumerate(scenarios)
        for start in range(0, trials, PIECE)
    ]
    traces: list[list[Trace]] = [[] for _ in scenarios]
    for task, done in zip(tasks, run(simulate_piece, tasks), strict=True):
        traces[task.index] += done
    return list(zip(scenarios, traces, strict=True))
