"""What the Gaussian loses near an end of the scale, and whether the other model repairs it.

Simulated patients whose ratings are rounded and cut to 0-10 are fitted by the continuous model
and by that for the ends of the scale. Both are asked for the same: the rating to expect on an
arm over many days and periods, and the difference of two arms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models import ends, exact
from models.checks import predictive_checks
from models.data import TrialData
from models.ends import Effort, expected_rating, share_at_ends
from models.evidence.table import Table
from models.operating import DesignShape, draw_order
from models.posterior import Posterior
from models.simulate import SimulatedPatient, draw_patient, simulate_trial
from models.specification import Arm, Ends, Specification

type Floats = NDArray[np.float64]

ARMS = ("A", "B", "C")
DESIGN = DesignShape(blocks=3, period_days=7)
LEVEL = 0.9
PIECE = 20
EFFORT = Effort(chains=4, warm_up=200, kept=1000, rounds=2)
DRAWS = 1000
MODELS = ("continuous", "rounded and cut off")


@dataclass(frozen=True, slots=True)
class Patients:
    """Where the patients of one group lie, uniform; all else is drawn from the priors."""

    level: tuple[float, float]
    sd: tuple[float, float]


GROUPS: Mapping[str, Patients] = {
    "level 1.0 to 1.5, SD 1": Patients((1.0, 1.5), (0.9, 1.1)),
    "level 0.0 to 0.5, SD 1": Patients((0.0, 0.5), (0.9, 1.1)),
    "level 1.0 to 1.5, SD 0.4": Patients((1.0, 1.5), (0.35, 0.45)),
    "level 4.0 to 6.0, SD 1": Patients((4.0, 6.0), (0.9, 1.1)),
}


@dataclass(frozen=True, slots=True)
class EndsTask:
    """Simulations ``start`` to ``start + count`` of a group; plain, so that it can travel."""

    group: str
    seed: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Held:
    """One trial fitted by one model.

    Attributes:
        model: one of ``MODELS``.
        means: (K,) whether the 90 % interval of each arm's mean holds the truth, from the arm
            that is truly nearest the low end to that farthest from it.
        differences: (K (K - 1) / 2,) the same of the arms' differences.
        width: mean width of the intervals of the differences.
        bias: mean over arms of posterior mean minus truth.
        share: of the rated days at the ends.
        refused: whether a predictive check would refuse the verdict.
        r_hat: of the chains; 1 for the continuous model, which has none.
    """

    model: str
    means: tuple[bool, ...]
    differences: tuple[bool, ...]
    width: float
    bias: float
    share: float
    refused: bool
    r_hat: float


type Run = Callable[[Callable[[EndsTask], list[Held]], Sequence[EndsTask]], Iterator[list[Held]]]


def ends_table(*, trials: int = 100, seed: int = 1, run: Run = map) -> Table:
    """Simulate every group and return the coverage of both models side by side.

    Args:
        trials: of each group.
        seed: of everything.
        run: like ``map``; a process pool's runs the pieces side by side.
    """
    tasks = [
        EndsTask(group, seed, start, min(PIECE, trials - start))
        for group in GROUPS
        for start in range(0, trials, PIECE)
    ]
    found: dict[str, list[Held]] = {group: [] for group in GROUPS}
    for task, held in zip(tasks, run(held_of, tasks), strict=True):
        found[task.group] += held
    rows, passed = [], True
    for group, every in found.items():
        for model in MODELS:
            own = [h for h in every if h.model == model]
            row, within = _row(group, model, own)
            rows.append(row)
            passed &= within or model == MODELS[0]
    return Table(
        title="Near the ends of the scale",
        headings=(
            "patients", "days at the ends (%)", "model", "trials",
            "90 % interval holds the mean of the lowest arm (%)", "of the highest arm (%)",
            "a difference (%, MC error)", "width of a difference", "bias of a mean",
            "refused by a check (%)", "R-hat above 1.01",
        ),
        rows=tuple(rows),
        passed=passed,
        notes=(
            "Three arms, 3 blocks of 7 days, 10 % missing; all but level and SD from the priors.",
            "MC error by trial. Passed: the second model holds 90 % of differences, less three.",
        ),
    )  # fmt: skip


def held_of(task: EndsTask) -> list[Held]:
    """Return what both models make of the simulations of one piece."""
    specification = Specification(arms=tuple(Arm(label=label) for label in ARMS), ends=Ends.ALWAYS)
    patients, trials = [], []
    for n in range(task.start, task.start + task.count):
        generator = np.random.default_rng((task.seed, list(GROUPS).index(task.group), n))
        patient = _patient(GROUPS[task.group], specification, generator)
        order = draw_order(len(ARMS), DESIGN, generator)
        patients.append(patient)
        trials.append(
            simulate_trial(
                patient,
                specification,
                np.repeat(order, DESIGN.period_days),
                day_period=np.repeat(np.arange(len(order)), DESIGN.period_days),
                generator=generator,
            )
        )
    continuous = exact.fit_many(
        trials, replace(specification, ends=Ends.NEVER), seed=task.seed, draws=DRAWS
    )
    cut_off = ends.fit_many(
        trials, specification, seed=task.seed + task.start, draws=DRAWS, effort=EFFORT
    )
    return [
        _held(model, patient, data, posterior, specification)
        for model, fitted in zip(MODELS, (continuous, cut_off), strict=True)
        for patient, data, posterior in zip(patients, trials, fitted, strict=True)
    ]


def _patient(
    group: Patients, specification: Specification, generator: np.random.Generator
) -> SimulatedPatient:
    return replace(
        draw_patient(specification, generator),
        level=float(generator.uniform(*group.level)),
        sd=float(generator.uniform(*group.sd)),
        missing=0.1,
        rounded=True,
    )


def _held(
    model: str,
    patient: SimulatedPatient,
    data: TrialData,
    posterior: Posterior,
    specification: Specification,
) -> Held:
    spread = np.full(len(ARMS), np.hypot(patient.sd, patient.period_sd))
    truth = expected_rating(patient.level + np.array(patient.effects), spread, specification.scale)
    draws = posterior.arm_mean
    checks = predictive_checks(data, specification, posterior, seed=posterior.seed)
    pairs = [(j, k) for k in range(len(ARMS)) for j in range(k)]
    contrasts = np.stack([draws[:, k] - draws[:, j] for j, k in pairs], axis=1)
    low, high = np.quantile(contrasts, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2), axis=0)
    return Held(
        model=model,
        means=_inside(draws[:, np.argsort(truth)], np.sort(truth)),
        differences=_inside(contrasts, np.array([truth[k] - truth[j] for j, k in pairs])),
        width=float((high - low).mean()),
        bias=float((draws.mean(axis=0) - truth).mean()),
        share=share_at_ends(data, specification.scale),
        refused=any(c.gate and not c.passed for c in checks),
        r_hat=posterior.diagnostics.r_hat or 1.0,
    )


def _inside(draws: Floats, truth: Floats) -> tuple[bool, ...]:
    low, high = np.quantile(draws, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2), axis=0)
    return tuple(bool(inside) for inside in (low <= truth) & (truth <= high))


def _row(group: str, model: str, every: Sequence[Held]) -> tuple[tuple[str, ...], bool]:
    """Return one row, and whether the differences' coverage is that of 90 % or above."""
    means = np.array([h.means for h in every], dtype=np.float64).mean(axis=0)
    by_trial = np.array([h.differences for h in every], dtype=np.float64).mean(axis=1)
    share, error = by_trial.mean(), by_trial.std(ddof=1) / np.sqrt(by_trial.size)
    unsettled = sum(h.r_hat > ends.TARGET_R_HAT for h in every)
    return (
        group,
        f"{100 * np.mean([h.share for h in every]):.0f}",
        model,
        str(len(every)),
        f"{100 * means[0]:.1f}",
        f"{100 * means[-1]:.1f}",
        f"{100 * share:.1f} ({100 * error:.1f})",
        f"{np.mean([h.width for h in every]):.2f}",
        f"{np.mean([h.bias for h in every]):+.3f}",
        f"{100 * np.mean([h.refused for h in every]):.0f}",
        str(unsettled),
    ), bool(share >= LEVEL - 3 * error)
