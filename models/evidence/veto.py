"""How often severe side effects veto an arm, by how often they truly come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from models.data import TrialData, trial_data
from models.evidence.table import Table
from models.harm import harms_of, worst_by_arm
from models.items import SideEffectItem
from models.operating import DesignShape, draw_order
from models.side_effects import STEP_LOG, fit_side_effect
from models.specification import Arm, Specification

type Floats = NDArray[np.float64]

LIMIT = 0.1
SHARES = (0.0, 0.03, 0.1, 0.2, 0.4)
"""Of severe days on arm B; on the others 1 in 200."""
RARE = 0.005
MEMORY = 0.5
"""Correlation of neighbouring days' latent severity where days are alike."""
MISSING = 0.1
DESIGN = DesignShape(blocks=4, period_days=7)
ITEM = SideEffectItem(name="item")
SPECIFICATION = Specification(
    arms=tuple(Arm(label=label, half_life_days=1.0, severe_limit=LIMIT) for label in "ABC"),
    carryover=True,
    side_effects=(ITEM,),
)


@dataclass(frozen=True, slots=True)
class Task:
    """Simulations of one truth; plain, so that it can travel."""

    share: float
    memory: float
    seed: int
    trials: int


type Counts = tuple[int, int, int]
"""Trials in which B is vetoed, another arm is, and the 90 % interval holds B's share."""
type Run = Callable[[Callable[[Task], Counts], Sequence[Task]], Iterator[Counts]]


def veto_table(*, trials: int = 200, seed: int = 1, run: Run = map) -> Table:
    """Return how often the arm is vetoed, rightly or not, and what its intervals hold.

    Args:
        trials: simulated of each truth.
        seed: of everything.
        run: like ``map``; a process pool's runs the truths side by side.
    """
    tasks = [Task(share, memory, seed, trials) for memory in (0.0, MEMORY) for share in SHARES]
    rows = []
    for task, (vetoed, another, held) in zip(tasks, run(count, tasks), strict=True):
        rows.append(
            (
                "each like the one before" if task.memory else "one by one",
                f"{100 * task.share:g} %",
                *(f"{100 * n / trials:.1f} %" for n in (vetoed, another)),
                f"{100 * held / trials:.1f} %" if task.share else "-",
            )
        )
    return Table(
        title=f"Severe days on arm B, accepted up to {LIMIT:.0%}",
        headings=("days", "truly severe", "B vetoed", "another vetoed", "90 % interval holds"),
        rows=tuple(rows),
        notes=(_how(trials),),
    )


def _how(trials: int) -> str:
    veto = SPECIFICATION.decision.veto_probability
    return (
        f"{trials} trials each: 3 arms, {DESIGN.blocks} blocks of {DESIGN.period_days} days, "
        f"{MISSING:.0%} missing; vetoed when the chance is above {veto:.0%}."
    )


def count(task: Task) -> Counts:
    """Simulate, fit and judge the trials of one truth."""
    vetoed = another = held = 0
    for number in range(task.trials):
        generator = np.random.default_rng((task.seed, number))
        data = simulate_days(task.share, task.memory, generator)
        harms = harms_of(data, SPECIFICATION, seed=number)
        out = worst_by_arm(harms, SPECIFICATION.decision.veto_probability)
        vetoed += "B" in out
        another += bool({"A", "C"} & set(out))
        severe = fit_side_effect(data, SPECIFICATION, ITEM, seed=number).severe[:, 1]
        low, high = np.quantile(severe, (0.05, 0.95))
        held += bool(low <= task.share <= high)
    return vetoed, another, held


def simulate_days(share: float, memory: float, generator: np.random.Generator) -> TrialData:
    """Return a diary in which an item is severe on a share of the days of arm B.

    Milder grades are likelier by the usual steps; the effect is there at once.
    """
    order = draw_order(3, DESIGN, generator)
    day_arm = np.repeat(order, DESIGN.period_days)
    truth = np.where(np.arange(3) == 1, max(share, 1e-6), RARE)[day_arm]
    step = np.exp(STEP_LOG)
    reach = expit(logit(truth)[:, None] + step * np.arange(2, -1, -1))
    grade = (_even(day_arm.size, memory, generator)[:, None] < reach).sum(axis=1).astype(float)
    grade[generator.random(day_arm.size) < MISSING] = np.nan
    return trial_data(
        SPECIFICATION.labels,
        day_arm,
        np.full(day_arm.size, 5.0),
        day_period=np.repeat(np.arange(len(order)), DESIGN.period_days),
        severities={ITEM.name: grade},
    )


def _even(days: int, memory: float, generator: np.random.Generator) -> Floats:
    """(T,) numbers even in (0, 1), each like the one before."""
    white = generator.standard_normal(days)
    latent = white.copy()
    for day in range(1, days):
        latent[day] = memory * latent[day - 1] + np.sqrt(1 - memory**2) * white[day]
    return np.asarray(ndtr(latent))
