"""PyMC against the exact engine, and what happens when a sampler fails. Few, seeded, slow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import exact
from models.agreement import compare_engines
from models.analysis import Agreement
from models.confirm import confirm
from models.decision import Kind
from models.draws import load_draws, save_draws
from models.posterior import Diagnostics, Engine, Posterior
from models.sampling import sample
from models.words import render

pytestmark = pytest.mark.sampling


def test_two_engines_that_share_no_formula_agree(trial, fading):
    analysis = confirm(trial, fading, seed=3)

    assert analysis.agreement.agrees
    assert analysis.agreement.mean < 0.1
    assert analysis.burden.engine is Engine.PYMC
    assert analysis.burden.diagnostics.divergences == 0
    assert analysis.burden.diagnostics.r_hat <= 1.01
    assert (analysis.verdict.kind, analysis.verdict.arm) == (Kind.BEST, "B")
    assert not analysis.verdict.provisional
    parameters = exact.fit(trial, fading, seed=3).parameters
    assert set(parameters) == set(analysis.burden.parameters)
    for name, draws in parameters.items():
        assert analysis.burden.parameters[name].mean() == pytest.approx(
            draws.mean(), abs=0.15 * draws.std()
        ), name


def test_a_compiled_model_serves_a_patient_with_other_days(trial, fading):
    short = replace(
        trial.with_outcome(trial.outcome),
        day_arm=trial.day_arm[:63].copy(),
        day_period=trial.day_period[:63].copy(),
        outcome=trial.outcome[:63].copy(),
        in_analysis=trial.in_analysis[:63].copy(),
        taken=trial.taken[:63].copy(),
    )
    sampled = sample(short, fading, seed=1)

    agreement = compare_engines(exact.fit(short, fading, seed=1), sampled, fading)
    assert agreement.agrees


def failing(trial, specification, **changes):
    """A sampler that drew well and reports that it did not."""
    posterior = exact.fit(trial, specification, seed=1)
    good = {"draws": 4000, "r_hat": 1.0, "ess_bulk": 2000.0, "ess_tail": 2000.0, "divergences": 0}
    return lambda *_: replace(
        posterior, engine=Engine.PYMC, diagnostics=Diagnostics(**{**good, **changes})
    )


@pytest.mark.parametrize("failure", [{"r_hat": 1.2}, {"ess_bulk": 100.0}, {"divergences": 5}])
def test_a_sampler_that_failed_is_never_believed(trial, specification, failure):
    sampler = failing(trial, specification, **failure)

    verdict = confirm(trial, specification, seed=1, sampler=sampler).verdict

    assert verdict.kind is Kind.REFUSED
    assert "did not converge" in render(verdict.reasons[0])
    assert verdict.p_best == {}


def test_engines_that_disagree_are_both_refused(trial, specification):
    def shifted(*_):
        posterior = failing(trial, specification)()
        return replace(posterior, arm_mean=posterior.arm_mean + np.array([0.0, 1.0, 0.0]))

    analysis = confirm(trial, specification, seed=1, sampler=shifted)

    assert analysis.verdict.kind is Kind.REFUSED
    assert "disagree" in render(analysis.verdict.reasons[0])


def test_agreement_allows_for_chance_and_no_more():
    assert Agreement(0.03, 0.05, 0.03, 0.05).agrees
    assert not Agreement(0.031, 0.05, 0.03, 0.05).agrees
    assert not Agreement(0.03, 0.051, 0.03, 0.05).agrees


def test_draws_survive_being_kept(trial, fading, tmp_path):
    posterior = exact.fit(trial, fading, seed=1, draws=50)
    save_draws(tmp_path / "draws.nc", posterior)

    kept: Posterior = load_draws(tmp_path / "draws.nc")

    assert np.array_equal(kept.arm_mean, posterior.arm_mean)
    assert kept.parameters.keys() == posterior.parameters.keys()
    assert (kept.arms, kept.engine, kept.seed) == (posterior.arms, posterior.engine, posterior.seed)
    assert kept.diagnostics == posterior.diagnostics
