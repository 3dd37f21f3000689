"""The side effect's model in PyMC against the integration in numpy. Seeded, slow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data import trial_data
from models.items import SideEffectItem
from models.side_effects import fit_side_effect
from models.specification import Arm, HalfLifeShared, Priors, Specification

pytestmark = pytest.mark.sampling

NAUSEA = SideEffectItem(name="nausea", frequency=0.2)
PLAIN = Specification(arms=tuple(Arm(label=a) for a in "ABC"))
FADING = Specification(
    arms=tuple(Arm(label=a, half_life_days=h) for a, h in zip("ABC", (0.5, 1.5, 3.0), strict=True)),
    carryover=True,
)
SHARED = replace(FADING, priors=Priors(half_life=HalfLifeShared()))


@pytest.fixture(scope="module")
def sample():
    """Imported late: PyMC takes seconds to load, and only these tests need it."""
    from models.side_effects_pymc import sample_side_effect

    return sample_side_effect


@pytest.fixture(scope="module")
def data():
    """84 days, a tenth not answered, nausea that grows from A to C."""
    rng = np.random.default_rng(6)
    arm = np.repeat([0, 1, 2, 2, 0, 1, 1, 2, 0, 0, 2, 1], 7)
    latent = rng.logistic(size=arm.size) + np.array([-2.5, -0.5, 1.0])[arm]
    grade = (latent > 0).astype(float) + (latent > 1.4) + (latent > 2.8)
    grade[rng.random(arm.size) < 0.1] = np.nan
    return trial_data(tuple("ABC"), arm, np.full(arm.size, 5.0), severities={"nausea": grade})


@pytest.mark.parametrize(
    ("specification", "item"),
    [
        (PLAIN, NAUSEA),
        (FADING, NAUSEA),
        (SHARED, NAUSEA),
        (FADING, replace(NAUSEA, graded=False)),
    ],
    ids=["no carryover", "half-lives of the arms", "a shared half-life", "severe or not"],
)
def test_two_engines_that_share_no_formula_agree(sample, data, specification, item):
    fitted = fit_side_effect(data, specification, item, seed=1, draws=16_000, points=32_768)
    sampled = sample(data, specification, item, seed=1)
    drawn = sampled.reshape(-1, *sampled.shape[2:])

    assert fitted.reaches.shape[1:] == drawn.shape[1:]
    # Of the logits: shares near 0 have long tails, in which means say little.
    ours, theirs = (np.log(x / (1 - x)) for x in (fitted.reaches, drawn))
    spread = theirs.std(axis=0)
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 0.1 * spread.min()
    for quantile in (0.05, 0.95):
        far = np.quantile(ours, quantile, axis=0) - np.quantile(theirs, quantile, axis=0)
        assert (np.abs(far) / spread).max() < 0.15
    for limit in (0.05, 0.1, 0.2):
        gap = (fitted.reaches > limit).mean(axis=0) - (drawn > limit).mean(axis=0)
        assert np.abs(gap).max() < 0.04
