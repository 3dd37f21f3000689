"""Real noise without any effect: random schedules laid over diaries of patients on placebo.

Whatever differs between arms in such a trial is not an effect. A method that names a winner
too often here would do so in the clinic. Every method is held to the threshold that
simulation calibrates for the layout, as a protocol's is before its freeze; the real diaries
have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from models import exact
from models.data import TrialData, trial_data
from models.decision import could_be_best, probability_best
from models.evidence.table import Table
from models.operating import DesignShape, draw_order, threshold_for
from models.specification import Arm, Specification

type Floats = NDArray[np.float64]

LOOSE_THRESHOLD = 0.95
CALIBRATION_TRIALS = 1000
LARGEST_FALSE = 0.07
COVERED = (0.87, 0.97)
LEAST_COVERAGE = 0.6
SHORTEST_PERIODS = 4
"""A diary shorter than the layout is used when it lasts so many periods."""
LAYS = 8
"""Random schedules laid over each diary that is long enough."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Arms and days of a schedule: blocks x arms periods."""

    name: str
    arms: int
    blocks: int
    period_days: int


LAYOUTS = (
    Layout("2 arms, 3 blocks x 7 d", 2, 3, 7),
    Layout("2 arms, 4 blocks x 7 d", 2, 4, 7),
    Layout("2 arms, 2 blocks x 14 d", 2, 2, 14),
    Layout("2 arms, 3 blocks x 14 d", 2, 3, 14),
)

METHODS = (
    "t-test on days",
    "AR(1) + trend",
    "AR(1) + trend + period",
    "and half-lives around 0.5 d",
    "and half-lives around a quarter period",
)
JUDGED = METHODS[2:]
"""The methods held to the limits; those with half-lives are what a trial is analysed with."""
LEAST = {METHODS[3]: 0.96, METHODS[4]: 0.985}
"""The least probability a protocol asks for, by its half-lives, whatever simulation says."""


@dataclass(frozen=True, slots=True)
class Task:
    """One layout over all diaries; plain, so that it can travel."""

    layout: Layout
    diaries: tuple[tuple[float, ...], ...]
    seed: int
    calibration_trials: int = CALIBRATION_TRIALS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the methods said of the trials of one layout.

    Attributes:
        highest: (trials,) largest probability of an arm, by method.
        covered: (trials,) whether the 90 % interval of the contrast holds 0, by method.
        threshold: c1 as calibrated for this layout, by method.
        named: (trials,) whether the whole rule, at that c1, names an arm best; by Bayesian
            method.
    """

    layout: Layout
    highest: Mapping[str, Floats]
    covered: Mapping[str, Floats]
    threshold: Mapping[str, float]
    named: Mapping[str, Floats]


type Run = Callable[[Callable[[Task], Outcome], Sequence[Task]], Iterator[Outcome]]


def diaries_of(
    days_by_patient: Mapping[str, Mapping[int, tuple[float, str]]],
) -> list[tuple[float, ...]]:
    """Return each patient's days in a row, missing days as ``NaN``."""
    diaries = []
    for days in days_by_patient.values():
        first, last = min(days), max(days)
        diaries.append(tuple(days[d][0] if d in days else np.nan for d in range(first, last + 1)))
    return diaries


def placebo_test(
    diaries: Sequence[tuple[float, ...]],
    *,
    seed: int = 1,
    calibration_trials: int = CALIBRATION_TRIALS,
    run: Run = map,
) -> list[Outcome]:
    """Lay every layout over every diary that is long enough, and fit.

    Args:
        diaries: each patient's days in a row.
        seed: of schedules and calibration.
        calibration_trials: simulated for the threshold of each layout.
        run: like ``map``; a process pool's runs the layouts side by side.
    """
    tasks = [Task(layout, tuple(diaries), seed, calibration_trials) for layout in LAYOUTS]
    return list(run(try_layout, tasks))


def try_layout(task: Task) -> Outcome:
    """Fit one layout over all diaries by all methods."""
    layout = task.layout
    arms = tuple(Arm(label=label) for label in "ABCDEF"[: layout.arms])
    full = Specification(arms=arms)
    trials = _trials(task, full)
    design = DesignShape(blocks=layout.blocks, period_days=layout.period_days)
    plain = threshold_for(full, design, {}, trials=task.calibration_trials, seed=task.seed)
    threshold = dict.fromkeys(METHODS, plain)
    highest: dict[str, Floats] = {}
    covered: dict[str, Floats] = {}
    named: dict[str, Floats] = {}
    tested = [_t_test(trial) for trial in trials]
    highest[METHODS[0]] = np.array([h for h, _ in tested])
    covered[METHODS[0]] = np.array([c for _, c in tested])
    fading = {
        METHODS[3]: _fading(full, 0.5),
        METHODS[4]: _fading(full, layout.period_days / 4),
    }
    for name, specification in fading.items():
        found = threshold_for(
            specification, design, {}, trials=task.calibration_trials, seed=task.seed
        )
        threshold[name] = max(found, LEAST[name])
    for name, specification in (
        (METHODS[1], replace(full, period_effect=False)),
        (METHODS[2], full),
        *fading.items(),
    ):
        fitted = exact.fit_many(trials, specification, seed=task.seed)
        highest[name] = np.array([probability_best(p.arm_mean).max() for p in fitted])
        covered[name] = np.array([_holds_zero(p.arm_mean[:, 0] - p.arm_mean[:, 1]) for p in fitted])
        leading = [could_be_best(p.arm_mean, specification) for p in fitted]
        named[name] = np.array([p is not None and p >= threshold[name] for p in leading])
    return Outcome(layout, highest, covered, threshold, named)


def _fading(specification: Specification, days: float) -> Specification:
    """Return the model of a trial: effects build up and fade, their half-lives uncertain."""
    arms = tuple(replace(arm, half_life_days=days) for arm in specification.arms)
    return replace(specification, arms=arms, carryover=True)


def placebo_table(outcomes: Sequence[Outcome]) -> Table:
    """Return false winners and coverage by layout and method."""
    rows, passed = [], True
    for outcome in outcomes:
        for method in METHODS:
            row, good = _row(outcome, method)
            rows.append(row)
            passed &= good or method not in JUDGED
    return Table(
        title="Placebo test on real diaries: an arm is named although there is nothing to find",
        headings=(
            "layout", "method", "trials", f"P > {LOOSE_THRESHOLD} (%)", "calibrated c1",
            "P >= c1 (%, MC error)", "best by the whole rule (%)", "90 % interval holds 0 (%)",
            "within limits",
        ),
        rows=tuple(rows),
        passed=passed,
        notes=(_LIMITS,),
    )  # fmt: skip


def _row(outcome: Outcome, method: str) -> tuple[tuple[str, ...], bool]:
    """Return one method's row, and whether its figures keep the limits."""
    highest, covered = outcome.highest[method], outcome.covered[method]
    threshold = outcome.threshold[method]
    false = float((highest >= threshold).mean())
    error = float(np.sqrt(false * (1 - false) / highest.size))
    held = float(covered.mean())
    good = false <= LARGEST_FALSE and COVERED[0] <= held <= COVERED[1]
    return (
        outcome.layout.name,
        method,
        str(highest.size),
        f"{100 * (highest > LOOSE_THRESHOLD).mean():.1f}",
        f"{threshold:.4f}",
        f"{100 * false:.1f} ({100 * error:.1f})",
        f"{100 * outcome.named[method].mean():.1f}" if method in outcome.named else "",
        f"{100 * held:.1f}",
        ("yes" if good else "NO") if method in JUDGED else "",
    ), good


_LIMITS = (
    f"Limits of the last three: false winners at most {LARGEST_FALSE:.0%}, intervals hold 0 in "
    f"{COVERED[0]:.0%} to {COVERED[1]:.0%}. With half-lives no less than "
    f"{LEAST[METHODS[3]]} and {LEAST[METHODS[4]]} is asked for, as by a protocol. Several "
    "schedules are laid over each diary, so the Monte Carlo error, which takes trials as "
    "independent, is somewhat too small. No diary has 84 days: there the schedule ends with the "
    "diary, after four periods or more."
)


def _trials(task: Task, specification: Specification) -> list[TrialData]:
    """Lay random schedules over the diaries; thin or constant pieces are left out."""
    layout = task.layout
    design = DesignShape(blocks=layout.blocks, period_days=layout.period_days)
    days = layout.arms * layout.blocks * layout.period_days
    trials = []
    for index, diary in enumerate(task.diaries):
        for lay in range(LAYS):
            generator = np.random.default_rng((task.seed, index, lay, days))
            lived = min(days, len(diary))
            if lived < days and lived < SHORTEST_PERIODS * layout.period_days:
                continue
            start = int(generator.integers(len(diary) - lived + 1))
            piece = np.array(diary[start : start + lived])
            order = draw_order(layout.arms, design, generator)
            periods = np.repeat(np.arange(len(order)), layout.period_days)[:lived]
            if np.isfinite(piece).mean() < LEAST_COVERAGE or np.nanstd(piece) == 0:
                continue
            data = trial_data(
                specification.labels,
                np.repeat(order, layout.period_days)[:lived],
                piece,
                day_period=periods,
            )
            if all(data.observed[data.day_arm == k].sum() >= 2 for k in range(layout.arms)):
                trials.append(data)
    return trials


def _t_test(data: TrialData) -> tuple[float, bool]:
    """What an app that takes days as independent would say of the first two arms."""
    a, b = (data.outcome[data.observed & (data.day_arm == k)] for k in (0, 1))
    freedom = a.size + b.size - 2
    pooled = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / freedom
    error = np.sqrt(max(pooled, 1e-12) * (1 / a.size + 1 / b.size))
    below = float(stdtr(freedom, (b.mean() - a.mean()) / error))
    return max(below, 1 - below), 0.05 <= below <= 0.95


def _holds_zero(difference: Floats) -> bool:
    low, high = np.quantile(difference, (0.05, 0.95))
    return bool(low <= 0 <= high)
