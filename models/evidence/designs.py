"""What goes wrong when carryover is ignored, and when one peeks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import exact
from models.evidence.table import Table
from models.operating import (
    DesignShape,
    Trace,
    calibrated_threshold,
    draw_order,
    no_difference,
    simulate_piece,
)
from models.operating import Task as Piece
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, DecisionRule, Specification

type Floats = NDArray[np.float64]

EFFECT = -1.5
PIECE = 20
UNADJUSTED = 0.95
FORGIVING = DecisionRule(best=UNADJUSTED, expected_loss=10.0)


def _arms(count: int, half_life: float) -> tuple[Arm, ...]:
    return tuple(Arm(label=a, half_life_days=half_life) for a in "ABCD"[:count])


# -- carryover ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CarryoverTask:
    """Trials whose effects truly fade with a half-life, fitted in one way."""

    half_life: float
    period_days: int
    method: str
    start: int
    count: int
    seed: int


METHODS = (
    "ignored",
    "ignored, first 3 days left out",
    "modelled, h0 right",
    "modelled, h0 a third",
)
CARRYOVER_CASES = ((0.25, 7), (1.0, 7), (1.0, 14), (3.0, 14))

type Estimates = list[tuple[float, bool]]
type Map[T, R] = Callable[[Callable[[T], R], Sequence[T]], Iterator[R]]
"""Like ``map``; a process pool's runs the pieces side by side."""


def estimate_with_carryover(task: CarryoverTask) -> Estimates:
    """Return the error of B minus A, and whether its 90 % interval holds the truth, by trial."""
    design = DesignShape(blocks=2, period_days=task.period_days, scheme="abba")
    assumed = task.half_life / 3 if task.method == METHODS[3] else task.half_life
    specification = Specification(arms=_arms(2, assumed), carryover=task.method in METHODS[2:])
    trials = []
    for n in range(task.start, task.start + task.count):
        generator = np.random.default_rng((task.seed, n))
        order = draw_order(2, design, generator)
        patient = SimulatedPatient(
            level=6.0,
            effects=(0.0, EFFECT),
            half_lives=(task.half_life,) * 2,
            sd=1.1,
            autocorrelation=0.3,
            period_sd=0.2,
        )
        day_period = np.repeat(np.arange(4), task.period_days)
        inside = np.arange(day_period.size) % task.period_days >= 3
        trials.append(
            simulate_trial(
                patient,
                specification,
                np.repeat(order, task.period_days),
                day_period=day_period,
                in_analysis=inside if task.method == METHODS[1] else None,
                generator=generator,
            )
        )
    estimates = []
    for posterior in exact.fit_many(trials, specification, seed=1, draws=1000, only_arms=True):
        difference = posterior.arm_mean[:, 1] - posterior.arm_mean[:, 0]
        low, high = np.quantile(difference, (0.05, 0.95))
        estimates.append((float(difference.mean()) - EFFECT, bool(low <= EFFECT <= high)))
    return estimates


def carryover_table(
    *, trials: int = 200, seed: int = 1, run: Map[CarryoverTask, Estimates] = map
) -> Table:
    """Return bias and coverage with carryover ignored, washed out and modelled."""
    tasks = [
        CarryoverTask(half_life, days, method, start, min(PIECE, trials - start), seed)
        for half_life, days in CARRYOVER_CASES
        for method in METHODS
        for start in range(0, trials, PIECE)
    ]
    found: dict[tuple[float, int, str], Estimates] = {}
    for task, estimates in zip(tasks, run(estimate_with_carryover, tasks), strict=True):
        found.setdefault((task.half_life, task.period_days, task.method), []).extend(estimates)
    rows = []
    for (half_life, days, method), estimates in found.items():
        errors = np.array([e for e, _ in estimates])
        held = float(np.mean([h for _, h in estimates]))
        rows.append(
            (
                f"{half_life:g} d",
                f"{days} d",
                method,
                f"{errors.mean():+.2f} ({errors.std() / np.sqrt(errors.size):.2f})",
                f"{100 * held:.0f} ({100 * np.sqrt(held * (1 - held) / errors.size):.0f})",
            )
        )
    return Table(
        title=f"Carryover: B minus A is truly {EFFECT}; four periods ABBA or BAAB",
        headings=("half-life", "periods", "carryover", "bias (MC error)", "90 % covers (%)"),
        rows=tuple(rows),
        notes=(f"{trials} trials each, daily SD 1.1, autocorrelation 0.3, 10 % missing.",),
    )


# -- peeking ------------------------------------------------------------------------------------


def peeking_table(
    *,
    trials: int = 500,
    seed: int = 1,
    run: Map[Piece, list[Trace]] = map,
) -> Table:
    """Return false winners when one looks after each block, and what threshold repairs it."""
    rows = [_peeking_row(arms, looks, trials, seed, run) for arms in (2, 3) for looks in (1, 2, 4)]
    return Table(
        title="Peeking: arms without any difference, 4 blocks of 7-day periods",
        headings=("arms", "looks", f"best named at {UNADJUSTED} (%)", "threshold for 5 %"),
        rows=tuple(rows),
        notes=(f"{trials} trials each; expected loss not limited, to show the threshold alone.",),
    )


def _peeking_row(
    arms: int, looks: int, trials: int, seed: int, run: Map[Piece, list[Trace]]
) -> tuple[str, ...]:
    specification = Specification(arms=_arms(arms, 0.5), decision=FORGIVING)
    design, neutral = (
        DesignShape(blocks=4, period_days=7, looks=looks),
        no_difference(specification),
    )
    tasks = [
        Piece(specification, design, neutral, seed, 0, start, min(50, trials - start), 1000)
        for start in range(0, trials, 50)
    ]
    traces = [trace for piece in run(simulate_piece, tasks) for trace in piece]
    highest = np.array([max(t.could_be_best, default=0.0) for t in traces])
    threshold, low, high = calibrated_threshold(traces)
    false = float((highest >= UNADJUSTED).mean())
    error = float(np.sqrt(false * (1 - false) / trials))
    return (
        str(arms),
        str(looks),
        f"{100 * false:.1f} ({100 * error:.1f})",
        f"{threshold:.3f} ({low:.3f} to {high:.3f})",
    )
