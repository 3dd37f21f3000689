"""The exact engine against dense formulas, against itself, and against what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data import NO_ARM, trial_data
from models.decision import probability_best, untrustworthy
from models.errors import ModelInputError
from models.exact import DEFAULT_GRID, FINE_GRID, fit, fit_many
from models.exposure import exposures, speeds, targets
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import (
    Arm,
    BoundedNormal,
    HalfLifeShared,
    HalfNormal,
    LogNormal,
    Normal,
    Priors,
    Specification,
)


def dense_posterior(data, specification, *, points=60_000, seed=0):
    """Arm means and their spread by brute force: prior points weighed by a dense likelihood."""
    priors, rng = specification.priors, np.random.default_rng(seed)
    rows = np.flatnonzero(data.observed)
    days = rows.astype(float)
    columns = [np.ones(rows.size)]
    target = targets(data)
    shared = isinstance(priors.half_life, HalfLifeShared)
    mean, spread, totals = [], [], []
    lag = np.abs(days[:, None] - days)
    same = data.day_period[rows][:, None] == data.day_period[rows]
    y = data.outcome[rows]
    terms = [priors.level, *[priors.arm] * len(data.arms)]
    if specification.trend:
        terms.append(priors.trend_per_week)
    m, v = np.array([t.mean for t in terms]), np.array([t.sd for t in terms]) ** 2
    pick = np.zeros((len(data.arms), len(terms)))
    pick[:, 0] = 1.0
    pick[np.arange(len(data.arms)), 1 + np.arange(len(data.arms))] = 1.0
    for _ in range(points):
        phi = np.inf
        bounds = priors.autocorrelation
        while not bounds.low < phi < bounds.high:
            phi = rng.normal(bounds.mean, bounds.sd)
        sd = (
            np.exp(rng.normal(priors.sd.mean_log, priors.sd.sd_log))
            if isinstance(priors.sd, LogNormal)
            else abs(rng.normal(0, priors.sd.scale))
        )
        period = abs(rng.normal(0, priors.period_sd.scale)) if specification.period_effect else 0.0
        exposure = target
        if specification.carryover:
            centre = np.log(specification.prior_half_lives())
            half_life = (
                np.exp(
                    np.full(
                        len(data.arms),
                        rng.normal(priors.half_life.mean_log, priors.half_life.sd_log),
                    )
                )
                if shared
                else np.exp(rng.normal(centre, priors.half_life.sd_log))
            )
            exposure = exposures(target, speeds(data, specification), half_life)
        columns = [np.ones(rows.size), *exposure[rows].T]
        if specification.trend:
            columns.append(data.week[rows])
        design = np.stack(columns, axis=1)
        noise = sd**2 * np.sign(phi) ** lag * np.abs(phi) ** lag + period**2 * same
        total = noise + (design * v) @ design.T
        rest = y - design @ m
        solved = np.linalg.solve(total, np.column_stack((rest, (design * v))))
        _, log_det = np.linalg.slogdet(total)
        totals.append(-0.5 * (log_det + rest @ solved[:, 0]))
        after = m + (design * v).T @ solved[:, 0]
        covariance = np.diag(v) - (design * v).T @ solved[:, 1:]
        mean.append(pick @ after)
        spread.append(np.diag(pick @ covariance @ pick.T))
    weight = np.exp(np.array(totals) - max(totals))
    weight /= weight.sum()
    mean, spread = np.array(mean), np.array(spread)
    centre = weight @ mean
    return centre, np.sqrt(weight @ (spread + (mean - centre) ** 2)), 1 / (weight**2).sum()


def tiny(days=10):
    rng = np.random.default_rng(5)
    arm = np.array([NO_ARM, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1])[:days]
    outcome = rng.normal(5, 1, days)
    outcome[[2, 6]] = np.nan
    return trial_data(("A", "B"), arm, outcome, taken=np.where(np.arange(days) == 5, 0.5, 1.0))


ARMS = (Arm(label="A", half_life_days=1.0), Arm(label="B", half_life_days=2.0))


@pytest.mark.parametrize(
    "specification",
    [
        Specification(arms=ARMS),
        Specification(arms=ARMS, trend=False, period_effect=False),
        Specification(arms=ARMS, carryover=True),
        Specification(
            arms=ARMS,
            carryover=True,
            priors=Priors(
                half_life=HalfLifeShared(0.5, 0.7),
                sd=HalfNormal(2.0),
                arm=Normal(0.5, 1.0),
                autocorrelation=BoundedNormal(0.0, 0.4, -0.9, 0.9),
            ),
        ),
    ],
    ids=["default", "bare", "half-lives", "shared half-life, other priors"],
)
def test_it_integrates_the_formula(specification):
    """Twelve days with a run-in, a half-taken dose and gaps, against dense matrices."""
    data = tiny(12)
    mean, sd, effective = dense_posterior(data, specification, points=4000)
    posterior = fit(data, specification, seed=1, draws=20_000)

    assert effective > 300
    assert posterior.arm_mean.mean(axis=0) == pytest.approx(mean, abs=4 * sd.max() / effective**0.5)
    assert posterior.arm_mean.std(axis=0) == pytest.approx(sd, rel=0.15)


@pytest.mark.parametrize("case", ["specification", "fading"])
def test_a_finer_grid_changes_nothing_that_matters(case, trial, request):
    specification = request.getfixturevalue(case)
    usual = fit(trial, specification, seed=1)
    fine = fit(trial, specification, seed=2, draws=40_000, grid=FINE_GRID)

    spread = fine.arm_mean.std(axis=0)
    assert (abs(usual.arm_mean.mean(axis=0) - fine.arm_mean.mean(axis=0)) < 0.02 * spread).all()
    assert usual.arm_mean.std(axis=0) == pytest.approx(spread, rel=0.03)
    for name, draws in fine.parameters.items():
        assert abs(usual.parameters[name].mean() - draws.mean()) < 0.06 * draws.std(), name
        assert usual.parameters[name].std() == pytest.approx(draws.std(), rel=0.08), name


@pytest.mark.parametrize("case", ["specification", "fading"])
def test_a_trial_is_fitted_the_same_alone_and_among_others(case, trial, request):
    specification = request.getfixturevalue(case)
    short = trial_data(trial.arms, trial.day_arm[:63], trial.outcome[:63])
    together = fit_many([short, trial, short], specification, seed=3, draws=500)
    alone = fit(trial, specification, seed=3, draws=500)

    assert together[1].arm_mean == pytest.approx(alone.arm_mean, abs=1e-9)
    assert together[0].arm_mean == pytest.approx(together[2].arm_mean, abs=1e-9)


def test_leaving_the_other_parameters_out_changes_no_arm(trial, specification):
    whole, arms = (
        fit_many([trial], specification, seed=3, draws=500, only_arms=only)[0]
        for only in (False, True)
    )

    assert np.array_equal(whole.arm_mean, arms.arm_mean)
    assert arms.parameters == {}


def test_the_same_seed_gives_the_same_draws_and_another_does_not(trial, fading):
    one, again = (fit(trial, fading, seed=7, draws=200) for _ in range(2))
    other = fit(trial, fading, seed=8, draws=200)

    assert np.array_equal(one.arm_mean, again.arm_mean)
    assert not np.array_equal(one.arm_mean, other.arm_mean)


def test_names_of_arms_do_not_matter(trial, specification):
    """Two arms that change places change places in the answer, and nothing else."""
    swapped = trial_data(trial.arms, np.array([1, 0, 2])[trial.day_arm], trial.outcome)
    usual = fit(trial, specification, seed=1).arm_mean.mean(axis=0)
    other = fit(swapped, specification, seed=1).arm_mean.mean(axis=0)

    assert other == pytest.approx(usual[[1, 0, 2]], abs=0.02)


def test_a_scale_of_a_hundred_gives_ten_times_the_numbers(trial, specification):
    priors = Priors(
        level=Normal(50, 25),
        arm=Normal(0, 15),
        trend_per_week=Normal(-0.5, 2),
        sd=LogNormal(np.log(11), 0.45),
        period_sd=HalfNormal(3.5),
    )
    usual = fit(trial, specification, seed=1)
    tenfold = fit(
        trial.with_outcome(10 * trial.outcome), replace(specification, priors=priors), seed=1
    )

    assert tenfold.arm_mean == pytest.approx(10 * usual.arm_mean, rel=1e-6)


def test_without_a_rating_on_an_arm_its_prior_remains(specification):
    data = trial_data(("A", "B", "C"), [0] * 10 + [1] * 10, np.linspace(4, 6, 20))
    effect = fit(data, specification, seed=1)
    own = effect.arm_mean[:, 2] - effect.parameters["level"]

    assert own.mean() == pytest.approx(0.0, abs=0.03)
    assert own.std() == pytest.approx(1.5, rel=0.02)


def test_before_any_rating_on_an_arm_each_is_as_likely_best(specification):
    run_in = np.r_[np.random.default_rng(2).normal(6, 1, 14), [np.nan] * 3]
    data = trial_data(("A", "B", "C"), [NO_ARM] * 14 + [0, 1, 2], run_in)

    best = probability_best(fit(data, specification, seed=1, draws=20_000).arm_mean)

    assert best == pytest.approx([1 / 3] * 3, abs=0.01)


def test_a_day_outside_the_window_is_not_fitted_but_still_exposes(fading, trial):
    window = np.ones(trial.days, dtype=bool)
    window[10:14] = False
    wild = trial.outcome.copy()
    wild[10:14] = 10.0
    left_out = [
        fit(
            trial_data(
                trial.arms, trial.day_arm, y, day_period=trial.day_period, in_analysis=window
            ),
            fading,
            seed=1,
        )
        for y in (trial.outcome, wild)
    ]

    assert np.array_equal(left_out[0].arm_mean, left_out[1].arm_mean)


def test_strong_drift_and_no_noise_do_not_break_it(specification):
    day_arm = np.tile(np.repeat([0, 1, 2], 7), 4)
    steady = np.linspace(9.0, 1.0, day_arm.size)
    posterior = fit(trial_data(("A", "B", "C"), day_arm, steady), specification, seed=1)

    assert np.isfinite(posterior.arm_mean).all()
    assert all(np.isfinite(draws).all() for draws in posterior.parameters.values())
    assert posterior.parameters["autocorrelation"].max() <= 0.98


def test_a_year_of_diary_is_as_exact_as_a_month(specification):
    """Narrow posteriors need the grid to follow them."""
    rng = np.random.default_rng(1)
    day_arm = np.tile(np.repeat([0, 1, 2], 14), 10)
    data = trial_data(("A", "B", "C"), day_arm, 5 + rng.normal(0, 1, day_arm.size))
    usual = fit(data, specification, seed=1)
    fine = fit(data, specification, seed=1, grid=FINE_GRID)

    for name in ("autocorrelation", "sd", "period_sd"):
        a, b = usual.parameters[name], fine.parameters[name]
        assert abs(a.mean() - b.mean()) < 0.05 * b.std(), name
        assert a.std() == pytest.approx(b.std(), rel=0.06), name


def test_importance_weights_are_fit_to_use(trial, fading):
    diagnostics = fit(trial, fading, seed=1).diagnostics

    assert diagnostics.pareto_k is not None
    assert diagnostics.pareto_k < 0.5
    assert diagnostics.effective_points is not None
    assert diagnostics.effective_points > 0.5 * DEFAULT_GRID.points


def test_other_arms_than_specified_are_refused(trial, specification):
    other = replace(specification, arms=(Arm(label="X"), Arm(label="B"), Arm(label="C")))

    with pytest.raises(ModelInputError, match="same arms"):
        fit(trial, other, seed=1)


def test_no_rating_at_all_is_refused(specification):
    nothing = trial_data(("A", "B", "C"), [0, 1, 2], [np.nan] * 3)

    with pytest.raises(ModelInputError, match="no rating"):
        fit(nothing, specification, seed=1)


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_a_quiet_patient_who_contradicts_the_half_lives_gets_no_wrong_number(seed):
    """Noise of 0.05 points and effects that last no day, where half a day and more is expected.

    Autocorrelation and spread lie elsewhere at the half-lives found than at the expected ones:
    a surface that leaves them out gives no number, and any other the number of a finer one.
    """
    specification = Specification(
        arms=tuple(
            Arm(label=a, half_life_days=h) for a, h in zip("ABC", (0.5, 1.5, 1.0), strict=True)
        ),
        carryover=True,
    )
    patient = SimulatedPatient(level=6.0, effects=(0.0, -1.5, -0.5), sd=0.05, missing=0.1)
    generator = np.random.default_rng(seed)
    arms = np.concatenate([generator.permutation(3) for _ in range(4)])
    data = simulate_trial(
        patient,
        specification,
        np.repeat(arms, 7),
        day_period=np.repeat(np.arange(12), 7),
        generator=generator,
    )

    usual = fit(data, specification, seed=1)
    if untrustworthy(usual.diagnostics):
        return
    finer = fit(data, specification, seed=1, grid=replace(FINE_GRID, sd=DEFAULT_GRID.sd))
    spread = finer.arm_mean.std(axis=0)
    assert usual.arm_mean.std(axis=0) == pytest.approx(spread, rel=0.1)
    assert (np.abs(usual.arm_mean.mean(axis=0) - finer.arm_mean.mean(axis=0)) < 0.1 * spread).all()
