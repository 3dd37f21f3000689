"""The end-of-scale model in PyMC: its numbers, and agreement with the other engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import ends
from models.agreement import compare_engines
from models.confirm import confirm
from models.data import TrialData, trial_data
from models.ends_pymc import BUCKET, build_ends_model, ends_model_data, ends_structure_of
from models.sampling import sample_ends
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, Ends, Specification

TWO = Specification(arms=(Arm(label="A"), Arm(label="B")), ends=Ends.ALWAYS)


def _trial() -> TrialData:
    patient = SimulatedPatient(level=1.0, effects=(0.0, -0.8), rounded=True)
    return simulate_trial(
        patient,
        TWO,
        np.repeat([0, 1, 1, 0, 0, 1], 7),
        day_period=np.repeat(np.arange(6), 7),
        generator=np.random.default_rng(11),
    )


def test_days_are_filled_up_so_that_one_model_serves_many_patients():
    data = _trial()
    values = ends_model_data(data, TWO)
    structure = ends_structure_of(data, TWO)

    assert structure.days % BUCKET == 0
    assert {values[n].shape[0] for n in ("gap", "target", "week", "period", "edge")} == {
        structure.days
    }
    assert values["counted"].sum() == data.observed.sum()
    assert ends_structure_of(replace(data, outcome=np.roll(data.outcome, 1)), TWO) == structure


def test_the_density_is_that_of_the_formula():
    """At one point, by dense matrices: latent days, their stretch, priors aside."""
    data = trial_data(("A", "B"), [0, 0, 1, 1], [0.0, 2.0, np.nan, 10.0], day_period=[0, 0, 1, 1])
    plain = replace(TWO, trend=False, period_effect=False)
    model = build_ends_model(data, plain)
    point = model.initial_point()
    free = np.zeros(BUCKET)
    free[:3] = [0.3, -0.2, 0.5]
    # Arm means 1.5 and 6.0: their middle, and what stands between them.
    point |= {"day": free, "level": np.array(2.0), "middle": np.array(3.75)}
    point |= {"contrast": np.array([-4.5 / np.sqrt(2)])}
    (density,) = model.replace_rvs_by_values([model["rated"]])
    rated = float(model.compile_fn(density, point_fn=True, mode="FAST_COMPILE")(point))
    sd = float(np.exp(point["sd_log__"]))
    low, high = plain.priors.autocorrelation.low, plain.priors.autocorrelation.high
    share = 1 / (1 + np.exp(-point["autocorrelation_interval__"]))
    phi = float(low + (high - low) * share)

    softplus = np.log1p(np.exp(free[:3]))
    sigmoid = 1 / (1 + np.exp(-free[:3]))
    latent = np.array([0.5 - softplus[0], 1.5 + sigmoid[1], 9.5 + softplus[2]])
    stretch = np.log(sigmoid).sum() + np.log1p(-sigmoid[1])
    days = np.array([0, 1, 3])
    covariance = sd**2 * phi ** np.abs(days[:, None] - days)
    away = latent - np.array([1.5, 1.5, 6.0])
    density = -0.5 * away @ np.linalg.solve(covariance, away)
    density -= 0.5 * (np.linalg.slogdet(covariance)[1] + 3 * np.log(2 * np.pi))

    assert rated == pytest.approx(density + stretch, abs=1e-8)


@pytest.mark.sampling
def test_both_engines_give_the_same_posterior():
    data = _trial()

    first = ends.fit(data, TWO, seed=1)
    second = sample_ends(data, TWO, seed=1)

    assert second.diagnostics.divergences == 0
    assert second.diagnostics.r_hat <= 1.01
    assert compare_engines(first, second, TWO).agrees
    for name in ("sd", "autocorrelation", "period_sd", "latent_mean[B]"):
        a, b = first.parameters[name], second.parameters[name]
        assert a.mean() == pytest.approx(b.mean(), abs=float(0.12 * b.std()))


@pytest.mark.sampling
def test_both_engines_confirm_a_verdict_about_the_net_burden():
    data = _trial()
    bother = np.where(np.isnan(data.outcome), np.nan, 1.0 + (data.day_arm == 1) + data.outcome // 2)
    data = replace(data, bothers={"bother": bother})
    specification = replace(TWO, weights={"bother": 0.5}, ends=Ends.BY_RULE)

    analysis = confirm(data, specification, seed=1)

    assert analysis.agreement.agrees
    assert analysis.burden.rounds
    assert analysis.exact.rounds
