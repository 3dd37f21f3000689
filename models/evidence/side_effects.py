"""Simulated side effects: truths from the priors, and the days of patients that have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.data import TrialData, trial_data
from models.exposure import exposures, speeds, targets
from models.graded import reaching
from models.items import SideEffectItem
from models.operating import DesignShape, draw_order
from models.posterior import Diagnostics
from models.side_effects import SideEffect, fit_side_effect, half_lives_of_prior, priors_of
from models.specification import Arm, Specification

type Floats = NDArray[np.float64]

SPECIFICATION = Specification(
    arms=(
        Arm(label="A", half_life_days=0.5),
        Arm(label="B", half_life_days=1.5),
        Arm(label="C", half_life_days=3.0),
    ),
    carryover=True,
)
ITEMS: Mapping[str, SideEffectItem] = {
    "side effect in grades": SideEffectItem(name="item"),
    "side effect, yes or no": SideEffectItem(name="item", severest=1, severe=1),
}
DESIGN = DesignShape(blocks=3, period_days=9)
DRAWS = 999


def ranks_of_item(
    model: str, missing: float, seed: int, numbers: Iterable[int]
) -> list[dict[str, float]]:
    """Return the rank of every quantity's truth in some simulations.

    Days are simulated as the model has them, one not like the next, so each counts fully.

    Args:
        model: key of ``ITEMS``.
        missing: share of days not answered.
        seed: of all simulations.
        numbers: of those to run.
    """
    item, found = ITEMS[model], []
    for number in numbers:
        generator = np.random.default_rng((seed, number))
        data, truth = simulate_item(item, missing, generator)
        fitted = fit_side_effect(
            data, SPECIFICATION, item, seed=(seed, number), draws=DRAWS, day_worth=1.0
        )
        draws = _quantities(fitted)
        exact = {name: float(values[0]) for name, values in _quantities(truth).items()}
        found.append({name: float((draws[name] < exact[name]).mean()) for name in draws})
    return found


def simulate_item(
    item: SideEffectItem, missing: float, generator: np.random.Generator
) -> tuple[TrialData, SideEffect]:
    """Return the diary of a patient drawn from the priors, and the truth as its only draw."""
    arms = SPECIFICATION.labels
    prior = priors_of(item, len(arms))
    terms = generator.normal(prior.mean, prior.sd)[None]
    order = draw_order(len(arms), DESIGN, generator)
    day_arm = np.repeat(order, DESIGN.period_days)
    bare = trial_data(
        arms,
        day_arm,
        np.full(day_arm.size, 5.0),
        day_period=np.repeat(np.arange(len(order)), DESIGN.period_days),
    )
    half_life = half_lives_of_prior(SPECIFICATION, 1, generator)[:, 0]
    exposure = exposures(targets(bare), speeds(bare, SPECIFICATION), half_life)
    reach = reaching(terms, exposure, item.severest)[0]
    grade = (generator.random(bare.days)[:, None] < reach).sum(axis=1).astype(np.float64)
    grade[generator.random(bare.days) < missing] = np.nan
    data = trial_data(
        arms,
        day_arm,
        bare.outcome,
        day_period=bare.day_period,
        severities={item.name: grade},
    )
    return data, _truth(item, terms)


def _truth(item: SideEffectItem, terms: Floats) -> SideEffect:
    """Return known terms as a posterior of one draw."""
    arms = SPECIFICATION.labels
    return SideEffect(
        item=item,
        arms=arms,
        reaches=reaching(terms, np.eye(len(arms)), item.severest),
        days=(0,) * len(arms),
        severe_days=(0,) * len(arms),
        diagnostics=Diagnostics(draws=1),
    )


def _quantities(fitted: SideEffect) -> dict[str, Floats]:
    grade = fitted.grade
    return {
        "any on A": fitted.any[:, 0],
        "severe on A": fitted.severe[:, 0],
        "severe on C": fitted.severe[:, 2],
        "grade on B": grade[:, 1],
        "grade: C minus B": grade[:, 2] - grade[:, 1],
    }
