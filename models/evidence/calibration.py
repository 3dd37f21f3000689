"""Simulation-based calibration: truths drawn from the prior must lie anywhere in their posterior.

Each simulation draws a patient from the priors, a diary from the patient, and fits it. If the
engine is right, the rank of the truth among the posterior draws is uniform, for every
quantity (Talts et al. 2018); the distribution of ranks is compared with its simultaneous band
(Sailynoja et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models import ends, exact
from models.ends import Effort, expected_rating
from models.evidence.counts import COUNT, ranks_of_count
from models.evidence.side_effects import ITEMS, ranks_of_item
from models.evidence.table import Table
from models.operating import DesignShape, draw_order
from models.posterior import Posterior
from models.simulate import SimulatedPatient, draw_patient, simulate_trial
from models.specification import Arm, Ends, HalfLifeShared, Priors, Specification

type Floats = NDArray[np.float64]

DRAWS = 999
LEVEL = 0.9
BAND = 0.99
"""Share of right engines whose worst rank distribution, over one table, stays in the band."""
PIECE = 20

_ARMS = (
    Arm(label="A", half_life_days=0.5),
    Arm(label="B", half_life_days=1.5),
    Arm(label="C", half_life_days=3.0),
)
SPECIFICATIONS: Mapping[str, Specification] = {
    "AR(1), trend, period": Specification(arms=_ARMS),
    "the same, half-lives of the arms": Specification(arms=_ARMS, carryover=True),
    "the same, one shared half-life": Specification(
        arms=_ARMS, carryover=True, priors=Priors(half_life=HalfLifeShared(0.0, 0.7))
    ),
    "ends of the scale": Specification(arms=_ARMS, ends=Ends.ALWAYS),
}
MODELS = (*SPECIFICATIONS, *ITEMS, COUNT)
"""What can be calibrated: the models of the outcome, those of side effects, and that of counts."""
DESIGN = DesignShape(blocks=3, period_days=9)
EFFORT = Effort(chains=4, warm_up=200, kept=750, rounds=1)
"""Of the end-of-scale model's chains; a rank needs fewer draws than a verdict."""


@dataclass(frozen=True, slots=True)
class Task:
    """Simulations ``start`` to ``start + count`` of a model; plain, so that it can travel."""

    model: str
    missing: float
    seed: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Ranks:
    """The rank of the truth among the draws, as a share from 0 to 1, by quantity.

    Attributes:
        model: one of ``MODELS``.
        missing: share of days not rated.
        ranks: (simulations,) by name of the quantity.
    """

    model: str
    missing: float
    ranks: Mapping[str, Floats]


type Run = Callable[
    [Callable[[Task], list[dict[str, float]]], Sequence[Task]], Iterator[list[dict[str, float]]]
]


def calibrate(
    *,
    models: Sequence[str] = MODELS,
    simulations: int = 500,
    seed: int = 1,
    missing: Iterable[float] = (0.0, 0.15),
    run: Run = map,
) -> list[Ranks]:
    """Simulate and fit every model with every share of missing days.

    Args:
        models: some of ``MODELS``.
        simulations: of each.
        seed: of everything.
        missing: shares of days not rated.
        run: like ``map``; a process pool's runs the pieces side by side.
    """
    cases = [(model, share) for model in models for share in missing]
    tasks = [
        Task(model, share, seed, start, min(PIECE, simulations - start))
        for model, share in cases
        for start in range(0, simulations, PIECE)
    ]
    found: dict[tuple[str, float], list[dict[str, float]]] = {case: [] for case in cases}
    for task, ranks in zip(tasks, run(ranks_of, tasks), strict=True):
        found[task.model, task.missing] += ranks
    return [
        Ranks(model, share, {name: np.array([r[name] for r in ranks]) for name in ranks[0]})
        for (model, share), ranks in found.items()
    ]


def ranks_of(task: Task) -> list[dict[str, float]]:
    """Return the rank of every quantity's truth in the simulations of one piece."""
    numbers = range(task.start, task.start + task.count)
    if task.model == COUNT:
        return ranks_of_count(task.missing, task.seed, numbers)
    if task.model in ITEMS:
        return ranks_of_item(task.model, task.missing, task.seed, numbers)
    specification = SPECIFICATIONS[task.model]
    patients, trials = [], []
    for n in numbers:
        generator = np.random.default_rng((task.seed, n))
        patient = replace(
            draw_patient(specification, generator),
            missing=task.missing,
            rounded=specification.ends is Ends.ALWAYS,
        )
        order = draw_order(len(specification.arms), DESIGN, generator)
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
    seed = task.seed + task.start
    if specification.ends is Ends.ALWAYS:
        fitted = ends.fit_many(trials, specification, seed=seed, draws=DRAWS, effort=EFFORT)
    else:
        fitted = exact.fit_many(trials, specification, seed=seed, draws=DRAWS)
    ranks = []
    for patient, posterior in zip(patients, fitted, strict=True):
        truth, draws = _truth(patient, specification), _draws(posterior)
        ranks.append(
            {name: float((draws[name] < truth[name]).mean()) for name in truth if name in draws}
        )
    return ranks


def calibration_table(every: Sequence[Ranks]) -> Table:
    """Return how far each distribution of ranks is from uniform, and what 90 % intervals hold."""
    rows, passed = [], True
    for ranks in every:
        simulations = next(iter(ranks.ranks.values())).size
        allowed = band(simulations, BAND ** (1 / len(ranks.ranks)))
        for name, values in ranks.ranks.items():
            far = farthest(values)
            inside = float((np.abs(values - 0.5) <= LEVEL / 2).mean())
            error = float(np.sqrt(LEVEL * (1 - LEVEL) / simulations))
            passed &= far <= allowed
            rows.append(
                (
                    ranks.model,
                    f"{100 * ranks.missing:.0f} %",
                    name,
                    str(simulations),
                    f"{far:.3f}",
                    f"{allowed:.3f}",
                    f"{100 * inside:.1f} ({100 * error:.1f})",
                    "yes" if far <= allowed else "NO",
                )
            )
    return Table(
        title="Simulation-based calibration",
        headings=(
            "model", "missing", "quantity", "simulations", "rank ECDF off by", "band",
            "90 % intervals hold (%)", "in band",
        ),
        rows=tuple(rows),
        passed=passed,
        notes=(f"Bands: {BAND:.0%} simultaneous over the quantities of one model.",),
    )  # fmt: skip


def farthest(ranks: Floats) -> float:
    """Return the largest distance of the ranks' distribution from uniform."""
    ordered = np.sort(ranks)
    steps = np.arange(ordered.size + 1) / ordered.size
    return float(max(np.abs(steps[1:] - ordered).max(), np.abs(steps[:-1] - ordered).max()))


def band(simulations: int, level: float, *, seed: int = 0, repeats: int = 4000) -> float:
    """Return the distance that a share ``level`` of truly uniform ranks stays within."""
    generator = np.random.default_rng(seed)
    far = [farthest(generator.random(simulations)) for _ in range(repeats)]
    return float(np.quantile(far, level))


def plot(every: Sequence[Ranks]) -> str:
    """Return an SVG of all rank distributions minus uniform, with their bands."""
    width, height, gap = 220, 130, 34
    parts = []
    panels = [(r, name, values) for r in every for name, values in r.ranks.items()]
    columns = max(len(r.ranks) for r in every)
    row = -1
    before: Ranks | None = None
    column = 0
    for ranks, name, values in panels:
        if ranks is not before:
            row, column, before = row + 1, 0, ranks
        x, y = gap + column * (width + gap), gap + row * (height + gap)
        parts.append(_panel(ranks, name, values, x, y, width, height))
        column += 1
    size = (gap + columns * (width + gap), gap + (row + 1) * (height + gap))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" '
        f'role="img" font-family="sans-serif" font-size="11">'
        "<title>Rank ECDF minus uniform, with simultaneous bands</title>"
        f'<rect width="{size[0]}" height="{size[1]}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _panel(
    ranks: Ranks, name: str, values: Floats, x: float, y: float, width: float, height: float
) -> str:
    """One quantity: the difference of its rank distribution from uniform."""
    allowed = band(values.size, BAND ** (1 / len(ranks.ranks)))
    scale = height / 2 / 0.12
    places = np.linspace(0, 1, 101)
    ecdf = np.searchsorted(np.sort(values), places, side="right") / values.size - places
    points = " ".join(
        f"{x + p * width:.1f},{y + height / 2 - d * scale:.1f}"
        for p, d in zip(places, ecdf, strict=True)
    )
    top = y + height / 2 - allowed * scale
    middle, right = y + height / 2, x + width
    label = f"{ranks.model}, {100 * ranks.missing:.0f} % missing: {name}"
    return (
        f'<text x="{x}" y="{y - 6}">{label}</text>'
        f'<rect x="{x}" y="{top:.1f}" width="{width}" height="{2 * allowed * scale:.1f}" '
        f'fill="#dfe8f2"/><line x1="{x}" x2="{right}" y1="{middle}" y2="{middle}" stroke="#888"/>'
        f'<polyline points="{points}" fill="none" stroke="#14456b" stroke-width="1.5"/>'
    )


def _truth(patient: SimulatedPatient, specification: Specification) -> dict[str, float]:
    mean = patient.level + np.array(patient.effects)
    latent = float(mean[0])
    if specification.ends is Ends.ALWAYS:
        spread = np.full(mean.size, np.hypot(patient.sd, patient.period_sd))
        mean = expected_rating(mean, spread, specification.scale)
    truth = {
        "latent mean on A": latent,
        "mean on A": float(mean[0]),
        "B minus A": float(mean[1] - mean[0]),
        "C minus B": float(mean[2] - mean[1]),
        "trend": patient.trend_per_week,
        "sd": patient.sd,
        "autocorrelation": patient.autocorrelation,
        "period sd": patient.period_sd,
    }
    if specification.carryover:
        truth["half-life"] = patient.half_lives[2]
    return truth


def _draws(posterior: Posterior) -> dict[str, Floats]:
    mean, parameters = posterior.arm_mean, posterior.parameters
    draws = {
        "mean on A": mean[:, 0],
        "B minus A": mean[:, 1] - mean[:, 0],
        "C minus B": mean[:, 2] - mean[:, 1],
        "trend": parameters["trend_per_week"],
        "sd": parameters["sd"],
        "autocorrelation": parameters["autocorrelation"],
        "period sd": parameters["period_sd"],
    }
    if posterior.rounds:
        draws["latent mean on A"] = posterior.latent_mean[:, 0]
    half_life = parameters.get("half_life", parameters.get("half_life[C]"))
    if half_life is not None:
        draws["half-life"] = half_life
    return draws
