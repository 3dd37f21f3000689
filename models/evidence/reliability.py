"""How honest P(best) is: of leaders said to be best with a probability, how many truly are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from models import exact
from models.decision import probability_best
from models.evidence.table import Table
from models.operating import DesignShape, draw_order
from models.simulate import draw_patient, simulate_trial
from models.specification import Arm, Specification

PIECE = 20
EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96, 1.0)


@dataclass(frozen=True, slots=True)
class ReliabilityTask:
    """Trials of patients drawn from the priors."""

    start: int
    count: int
    seed: int


type Leaders = list[tuple[float, bool]]


def leaders(task: ReliabilityTask) -> Leaders:
    """Return the leader's probability of being best, and whether it truly is, by trial."""
    specification = Specification(arms=tuple(Arm(label=a, half_life_days=0.5) for a in "ABC"))
    design = DesignShape(blocks=3, period_days=7)
    best, trials = [], []
    for n in range(task.start, task.start + task.count):
        generator = np.random.default_rng((task.seed, n))
        patient = draw_patient(specification, generator)
        close = tuple(0.4 * effect for effect in patient.effects)
        patient = replace(patient, effects=close, missing=0.1)
        order = draw_order(3, design, generator)
        best.append(int(np.argmin(patient.effects)))
        trials.append(
            simulate_trial(
                patient,
                specification,
                np.repeat(order, design.period_days),
                day_period=np.repeat(np.arange(len(order)), design.period_days),
                generator=generator,
            )
        )
    narrow = replace(specification.priors, arm=replace(specification.priors.arm, sd=0.6))
    fitted = exact.fit_many(
        trials, replace(specification, priors=narrow), seed=1, draws=1000, only_arms=True
    )
    probabilities = [probability_best(posterior.arm_mean) for posterior in fitted]
    return [
        (float(p.max()), int(p.argmax()) == truth)
        for p, truth in zip(probabilities, best, strict=True)
    ]


type Run = Callable[
    [Callable[[ReliabilityTask], Leaders], Sequence[ReliabilityTask]], Iterator[Leaders]
]
"""Like ``map``; a process pool's runs the pieces side by side."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Trials whose leader was said to be best with much the same probability.

    Attributes:
        low, high: the probabilities of the bin.
        trials: how many.
        stated: their mean stated probability.
        true: share in which the leader truly is best.
        error: Monte Carlo standard error of that share, were the statement true.
    """

    low: float
    high: float
    trials: int
    stated: float
    true: float
    error: float

    @property
    def honest(self) -> bool:
        """Whether statement and truth differ by no more than chance explains."""
        return abs(self.true - self.stated) <= 3 * self.error + 0.005


def reliability(*, trials: int = 1000, seed: int = 1, run: Run = map) -> tuple[Bin, ...]:
    """Simulate trials and sort them by the stated probability of the leader.

    Args:
        trials: of patients drawn from the priors.
        seed: of everything.
        run: like ``map``; a process pool's runs the pieces side by side.
    """
    tasks = [ReliabilityTask(s, min(PIECE, trials - s), seed) for s in range(0, trials, PIECE)]
    pairs = [pair for piece in run(leaders, tasks) for pair in piece]
    stated = np.array([p for p, _ in pairs])
    true = np.array([t for _, t in pairs])
    bins = []
    for low, high in pairwise(EDGES):
        own = (stated >= low) & ((stated < high) | (high == EDGES[-1]))
        if own.any():
            expected = float(stated[own].mean())
            error = float(np.sqrt(expected * (1 - expected) / own.sum()))
            bins.append(Bin(low, high, int(own.sum()), expected, float(true[own].mean()), error))
    return tuple(bins)


def reliability_table(bins: Sequence[Bin]) -> Table:
    """Return how often the leader is truly best, by its stated probability."""
    return Table(
        title="Reliability: how often the leader is truly best",
        headings=("stated P(best)", "trials", "mean stated", "share true (MC error)"),
        rows=tuple(
            (
                f"{b.low:.2f} to {b.high:.2f}",
                str(b.trials),
                f"{b.stated:.3f}",
                f"{b.true:.3f} ({b.error:.3f})",
            )
            for b in bins
        ),
        passed=all(b.honest for b in bins),
        notes=("Patients from the priors, arm effects N(0, 0.6), 3 arms, 3 blocks of 7 days.",),
    )


def plot(bins: Sequence[Bin]) -> str:
    """Return an SVG of truth over statement, with bars of two Monte Carlo errors."""
    low, size, edge = 0.3, 320.0, 48.0

    def x(value: float) -> float:
        return edge + size * (value - low) / (1 - low)

    def y(value: float) -> float:
        return edge / 2 + size * (1 - value) / (1 - low)

    ticks = "".join(
        f'<text x="{x(t):.1f}" y="{y(low) + 18:.1f}" text-anchor="middle">{t:.1f}</text>'
        f'<text x="{edge - 8:.1f}" y="{y(t) + 4:.1f}" text-anchor="end">{t:.1f}</text>'
        f'<path d="M{x(t):.1f} {y(low):.1f}v5M{x(low):.1f} {y(t):.1f}h-5" stroke="#555"/>'
        for t in (0.4, 0.6, 0.8, 1.0)
    )
    marks = "".join(
        f'<line x1="{x(b.stated):.1f}" x2="{x(b.stated):.1f}" stroke="#14456b" stroke-width="1.5" '
        f'y1="{y(max(b.true - 2 * b.error, low)):.1f}" y2="{y(min(b.true + 2 * b.error, 1)):.1f}"/>'
        f'<circle cx="{x(b.stated):.1f}" cy="{y(b.true):.1f}" r="4" fill="#14456b"/>'
        for b in bins
    )
    width, height = edge + size + 24, edge / 2 + size + 52
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="img" font-family="sans-serif" font-size="12">'
        "<title>How often the leader is truly best, over its stated probability</title>"
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>'
        f'<path d="M{x(low):.1f} {y(1):.1f}V{y(low):.1f}H{x(1):.1f}" fill="none" stroke="#555"/>'
        f'<line x1="{x(low):.1f}" y1="{y(low):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}" '
        f'stroke="#999" stroke-dasharray="4 4"/>{ticks}{marks}'
        f'<text x="{x(0.65):.1f}" y="{height - 12:.1f}" text-anchor="middle">stated P(best)</text>'
        f'<text x="14" y="{y(0.65):.1f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {y(0.65):.1f})">share truly best</text></svg>\n'
    )
