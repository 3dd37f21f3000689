"""The end-of-scale model: its rule, its engine against integration by hand, its limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from models import ends, exact
from models.analysis import analyze
from models.burden import net_burden
from models.checks import predictive_checks, replicate
from models.data import NO_ARM, TrialData, trial_data
from models.decision import Kind
from models.ends import (
    Effort,
    expected_rating,
    intervals,
    mean_offset,
    offset_of,
    rounded,
    settled,
    share_at_ends,
    truncated_normal,
)
from models.errors import ModelInputError
from models.fitting import fit_burden, fit_outcome
from models.posterior import Engine
from models.sensitivity import sensitivity
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import (
    Arm,
    Ends,
    HalfLifeShared,
    Priors,
    Scale,
    Specification,
    default_priors,
)
from models.words import render

SHORT = Effort(chains=4, warm_up=150, kept=400, rounds=1)
ALWAYS = Specification(arms=(Arm(label="A"), Arm(label="B"), Arm(label="C")), ends=Ends.ALWAYS)
ORDER = np.array([0, 1, 2, 2, 0, 1, 1, 2, 0])


def _trial(
    level: float = 1.0,
    effects: tuple[float, ...] = (0.0, -0.5, 1.0),
    specification: Specification = ALWAYS,
    **changes: float,
) -> TrialData:
    patient = SimulatedPatient(level=level, effects=effects, rounded=True, **changes)
    return simulate_trial(
        patient,
        specification,
        np.repeat(ORDER, 7),
        day_period=np.repeat(np.arange(9), 7),
        generator=np.random.default_rng(3),
    )


# -- the rule ----------------------------------------------------------------------------------


def _of_ratings(ratings: list[float]) -> TrialData:
    return trial_data(("A", "B", "C"), np.arange(len(ratings)) % 3, ratings)


@pytest.mark.parametrize(
    ("at_ends", "choice"), [(0, Ends.NEVER), (3, Ends.NEVER), (4, Ends.ALWAYS)]
)
def test_more_than_15_percent_of_the_days_at_the_ends_make_the_choice(at_ends, choice):
    ratings = [0.0, 10.0, 0.0, 10.0][:at_ends] + [5.0] * (20 - at_ends)
    by_rule = replace(ALWAYS, ends=Ends.BY_RULE)

    assert share_at_ends(_of_ratings(ratings), by_rule.scale) == at_ends / 20
    assert settled(_of_ratings(ratings), by_rule).ends is choice


def test_days_missing_or_left_out_do_not_count():
    data = _of_ratings([0.0, np.nan, 5.0, 5.0])
    inside = np.array([False, True, True, True])

    assert share_at_ends(data, Scale()) == pytest.approx(1 / 3)
    assert share_at_ends(replace(data, in_analysis=inside), Scale()) == 0.0


def test_the_rule_cannot_tell_the_arms():
    """It says the same whatever arm was in force when."""
    data = _trial()
    other = replace(data, day_arm=2 - data.day_arm)
    by_rule = replace(ALWAYS, ends=Ends.BY_RULE)

    assert settled(data, by_rule) == settled(other, by_rule)


@pytest.mark.parametrize("choice", [Ends.NEVER, Ends.ALWAYS])
def test_what_is_settled_stays(choice):
    asked = replace(ALWAYS, ends=choice)

    assert settled(_trial(level=5.0), asked) is asked
    assert settled(_trial(level=0.0), asked) is asked


def test_the_choice_is_in_the_hash_and_never_leaves_old_hashes_alone():
    never = replace(ALWAYS, ends=Ends.NEVER)
    hashes = {replace(ALWAYS, ends=choice).specification_hash for choice in Ends}

    assert len(hashes) == 3
    assert "ends" not in never.canonical_json()
    assert "step" not in never.canonical_json()
    assert '"step":1.0' in ALWAYS.canonical_json()


# -- what a rating says, and what is reported ------------------------------------------------------


def test_a_rating_says_between_which_bounds_the_day_lay():
    data = _of_ratings([0.0, 3.0, 10.0, np.nan])

    low, high = intervals(data, ALWAYS, np.array([0.0, 0.5, 0.0, 0.0]))

    assert low.tolist() == [-np.inf, 3.0, 9.5, -np.inf]
    assert high.tolist() == [0.5, 4.0, np.inf, np.inf]


def test_bounds_follow_the_step_of_the_scale():
    wide = replace(ALWAYS, scale=Scale(0.0, 100.0, step=10.0))

    low, high = intervals(_of_ratings([0.0, 30.0]), wide, np.zeros(2))

    assert low.tolist() == [-np.inf, 25.0]
    assert high.tolist() == [5.0, 35.0]


@settings(max_examples=60)
@given(
    mean=st.floats(-4, 14),
    sd=st.floats(0.05, 4),
    step=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_the_expected_rating_is_the_mean_of_rounded_and_cut_draws(mean, sd, step):
    scale = Scale(step=step)
    latent = norm.ppf((np.arange(20000) + 0.5) / 20000, mean, sd)

    found = expected_rating(np.array(mean), np.array(sd), scale)

    assert found == pytest.approx(rounded(latent, scale).mean(), abs=2e-3)
    assert scale.low <= found <= scale.high


def test_far_from_the_ends_the_expected_rating_is_the_mean():
    assert expected_rating(np.array(5.2), np.array(1.0), Scale()) == pytest.approx(5.2, abs=1e-3)


@settings(max_examples=60)
@given(
    low=st.one_of(st.just(-np.inf), st.floats(-50, 50)),
    width=st.one_of(st.just(np.inf), st.floats(1e-3, 10)),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_truncated_deviates_lie_between_their_bounds(low, width, uniform):
    high = low + width if np.isfinite(low) else (np.inf if np.isinf(width) else width)

    found = truncated_normal(np.array(low), np.array(high), np.array(uniform))

    assert np.isfinite(found)
    assert low <= found <= high


@pytest.mark.parametrize(
    ("low", "high"), [(-np.inf, np.inf), (-1.0, 0.5), (3.0, np.inf), (-np.inf, -6.0), (8.0, 8.5)]
)
def test_truncated_deviates_have_the_right_distribution(low, high):
    uniform = (np.arange(4000) + 0.5) / 4000

    found = truncated_normal(np.full(4000, low), np.full(4000, high), uniform)

    assert found.mean() == pytest.approx(truncnorm(low, high).mean(), abs=2e-3)
    assert found.std() == pytest.approx(truncnorm(low, high).std(), abs=5e-3)


# -- the engine ------------------------------------------------------------------------------------


def _tiny() -> tuple[TrialData, Specification]:
    """Six days on two arms, one of them missing, without drift and period effects."""
    data = trial_data(
        ("A", "B"),
        [0, 0, 0, 1, 1, 1],
        [0.0, 1.0, np.nan, 0.0, 0.0, 2.0],
        day_period=[0] * 3 + [1] * 3,
    )
    priors = Priors(level=replace(Priors().level, mean=1.5, sd=1.0))
    specification = Specification(
        arms=(Arm(label="A"), Arm(label="B")),
        trend=False,
        period_effect=False,
        priors=priors,
        ends=Ends.ALWAYS,
    )
    return data, specification


def _by_hand(data: TrialData, specification: Specification, points: int) -> dict[str, np.ndarray]:
    """Weighted draws of the prior, the latent days integrated out by quadrature along the chain."""
    generator, priors = np.random.default_rng(8), specification.priors
    level = generator.normal(priors.level.mean, priors.level.sd, points)
    arm = generator.normal(priors.arm.mean, priors.arm.sd, (2, points))
    sd = np.exp(generator.normal(priors.sd.mean_log, priors.sd.sd_log, points))
    phi = generator.normal(0.3, 0.25, 4 * points)
    phi = phi[(phi > -0.3) & (phi < 0.98)][:points]
    nodes, weights = np.polynomial.legendre.leggauss(12)
    low, high = intervals(data, specification, np.zeros(data.days))
    density, before, day_before = None, None, 0
    for t in np.flatnonzero(data.observed):
        mean = level + arm[data.day_arm[t]]
        bottom = np.where(np.isneginf(low[t]), np.minimum(high[t] - 1, mean - 7 * sd), low[t])
        half = 0.5 * (high[t] - bottom)[:, None]
        place = bottom[:, None] + half * (1 + nodes) - mean[:, None]
        if density is None:
            now = norm.pdf(place, 0.0, sd[:, None])
        else:
            rest = (phi ** (t - day_before))[:, None, None]
            spread = sd[:, None, None] * np.sqrt(1 - rest**2)
            step = norm.pdf(place[:, :, None], rest * before[:, None, :], spread)
            now = (step * density[:, None, :]).sum(axis=2)
        density, before, day_before = now * weights * half, place, t
    return {"weight": density.sum(axis=1), "level": level, "arm": arm, "sd": sd, "phi": phi}


def test_the_engine_agrees_with_integration_by_hand():
    data, specification = _tiny()
    hand = _by_hand(data, specification, 30_000)
    weight = hand["weight"] / hand["weight"].sum()

    posterior = ends.fit(data, specification, seed=1, draws=8000)

    for k in (0, 1):
        mean = expected_rating(hand["level"] + hand["arm"][k], hand["sd"], specification.scale)
        expected = float(weight @ mean)
        spread = float(np.sqrt(weight @ (mean - expected) ** 2))
        assert posterior.arm_mean[:, k].mean() == pytest.approx(expected, abs=0.08 * spread)
        assert posterior.arm_mean[:, k].std() == pytest.approx(spread, rel=0.08)
    for name, key in (("level", "level"), ("sd", "sd"), ("autocorrelation", "phi")):
        expected = float(weight @ hand[key])
        spread = float(np.sqrt(weight @ (hand[key] - expected) ** 2))
        assert posterior.parameters[name].mean() == pytest.approx(expected, abs=0.08 * spread)
        assert posterior.parameters[name].std() == pytest.approx(spread, rel=0.08)


def test_far_from_the_ends_and_in_fine_steps_it_is_the_continuous_model():
    scale = Scale(0.0, 100.0)
    fine = replace(ALWAYS, scale=scale, priors=default_priors(scale))
    data = _trial(50.0, (0.0, -5.0, 8.0), fine, sd=11.0)

    cut = ends.fit(data, fine, seed=1)
    continuous = exact.fit(data, replace(fine, ends=Ends.NEVER), seed=1)

    spread = continuous.arm_mean.std(axis=0)
    assert np.abs(cut.arm_mean.mean(axis=0) - continuous.arm_mean.mean(axis=0)) == pytest.approx(
        np.zeros(3), abs=float(0.08 * spread.min())
    )
    assert cut.arm_mean.std(axis=0) == pytest.approx(spread, rel=0.06)
    for name in ("sd", "autocorrelation", "trend_per_week", "period_sd"):
        a, b = cut.parameters[name], continuous.parameters[name]
        assert a.mean() == pytest.approx(b.mean(), abs=float(0.1 * b.std()))


@pytest.mark.parametrize("shared", [False, True])
def test_half_lives_agree_with_the_exact_engine_where_both_models_do(shared):
    scale = Scale(0.0, 100.0)
    half_life = HalfLifeShared(0.5, 0.5) if shared else default_priors(scale).half_life
    fading = Specification(
        arms=(
            Arm(label="A", half_life_days=1.0),
            Arm(label="B", half_life_days=2.0, onset_half_life_days=4.0),
        ),
        carryover=True,
        scale=scale,
        priors=replace(default_priors(scale), half_life=half_life),
        ends=Ends.ALWAYS,
    )
    patient = SimulatedPatient(
        level=50.0, effects=(0.0, -25.0), half_lives=(1.0, 2.0), sd=8.0, rounded=True
    )
    data = simulate_trial(
        patient,
        fading,
        np.repeat([0, 1, 1, 0, 0, 1], 8),
        day_period=np.repeat(np.arange(6), 8),
        generator=np.random.default_rng(5),
    )

    cut = ends.fit(data, fading, seed=1)
    continuous = exact.fit(data, replace(fading, ends=Ends.NEVER), seed=1)

    for name in [n for n in continuous.parameters if n.startswith("half_life")]:
        a, b = np.log(cut.parameters[name]), np.log(continuous.parameters[name])
        assert a.mean() == pytest.approx(b.mean(), abs=float(0.1 * b.std()))
        assert a.std() == pytest.approx(b.std(), rel=0.08)
    spread = continuous.arm_mean.std(axis=0)
    gap = np.abs(cut.arm_mean.mean(axis=0) - continuous.arm_mean.mean(axis=0))
    assert (gap < 0.1 * spread).all()


def test_the_same_seed_gives_the_same_draws_and_another_does_not():
    data = _trial()
    first, again, other = (ends.fit(data, ALWAYS, seed=s, effort=SHORT) for s in (1, 1, 2))

    assert np.array_equal(first.arm_mean, again.arm_mean)
    assert not np.array_equal(first.arm_mean, other.arm_mean)


def test_an_arm_wholly_at_the_end_is_still_sampled_well():
    data = _trial(0.7, (0.3, -6.0, 1.0))
    assert (data.outcome[data.observed & (data.day_arm == 1)] == 0).all()

    posterior = ends.fit(data, ALWAYS, seed=1)

    assert posterior.diagnostics.r_hat <= 1.01
    assert min(posterior.diagnostics.ess_bulk, posterior.diagnostics.ess_tail) >= 1000
    assert 0 <= posterior.arm_mean[:, 1].mean() < 0.1
    assert posterior.latent_mean[:, 1].mean() < 0


def test_the_draws_say_where_they_come_from():
    posterior = ends.fit(_trial(), ALWAYS, seed=4, draws=1000, effort=SHORT)

    assert posterior.engine is Engine.GIBBS
    assert posterior.rounds
    assert posterior.size == posterior.diagnostics.draws == 1000
    assert posterior.size % posterior.diagnostics.chains == 0
    assert posterior.latent_mean.shape == posterior.arm_mean.shape
    assert {f"latent_mean[{a}]" for a in "ABC"} <= set(posterior.parameters)
    assert ((posterior.arm_mean >= 0) & (posterior.arm_mean <= 10)).all()


def test_rounds_stop_when_the_chains_agree():
    lazy = Effort(chains=4, warm_up=50, kept=60, rounds=1)
    posterior = ends.fit(_trial(), ALWAYS, seed=1, effort=lazy)

    more = ends.fit(_trial(), ALWAYS, seed=1, effort=replace(lazy, rounds=7))

    assert posterior.diagnostics.ess_bulk < 1000
    assert more.diagnostics.r_hat <= 1.01


def test_trials_side_by_side_must_have_one_shape():
    short = trial_data(("A", "B", "C"), np.repeat(ORDER, 2), np.ones(18))

    with pytest.raises(ModelInputError, match="same shape"):
        ends.fit_many([_trial(), short], ALWAYS, seed=1)


def test_days_after_the_last_rating_change_nothing():
    data = _trial(missing=0.0)
    later = trial_data(
        data.arms,
        np.append(data.day_arm, [0, 0]),
        np.append(data.outcome, [np.nan, np.nan]),
        day_period=np.append(data.day_period, [8, 8]),
    )
    plain = replace(ALWAYS, trend=False)  # its middle moves with the number of days

    one = ends.fit(data, plain, seed=1, effort=SHORT)
    two = ends.fit(later, plain, seed=1, effort=SHORT)

    assert one.arm_mean == pytest.approx(two.arm_mean)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (_of_ratings([np.nan] * 4), "no rating"),
        (_of_ratings([1.0, 2.0, 11.0, 3.0]), "outside the scale"),
        (trial_data(("X", "Y"), [0, 1], [1.0, 2.0]), "same arms"),
        (trial_data(("A", "B", "C"), [0], [1.0]), "only one day"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_its_reason(data, sentence):
    with pytest.raises(ModelInputError, match=sentence):
        ends.fit(data, ALWAYS, seed=1)


# -- net burden ----------


def _weighed(weight: float) -> tuple[TrialData, Specification]:
    data = _trial()
    bother = np.where(np.isnan(data.outcome), np.nan, 1.0 + (data.day_arm == 1))
    return replace(data, bothers={"bother": bother}), replace(ALWAYS, weights={"bother": weight})


def test_a_bother_moves_the_bounds_of_its_day():
    data, specification = _weighed(0.5)
    offset = offset_of(data, specification)

    low, high = intervals(data, specification, offset)

    weighed = net_burden(data, specification).outcome
    inside = np.isfinite(low) & np.isfinite(high)
    assert 0.5 * (low[inside] + high[inside]) == pytest.approx(weighed[inside])
    assert (np.isneginf(low) == ~(data.outcome > 0)).all()
    assert mean_offset(data, specification, weighed=True).tolist() == [0.5, 1.0, 0.5]


def test_a_constant_bother_of_each_arm_adds_itself():
    """Then the net burden is pain shifted by arm, and so must be the answer, nearly."""
    data, specification = _weighed(0.5)

    pain = ends.fit(data, specification, seed=1)
    burden = ends.fit(data, specification, seed=1, weighed=True)

    added = burden.arm_mean.mean(axis=0) - pain.arm_mean.mean(axis=0)
    assert added == pytest.approx([0.5, 1.0, 0.5], abs=0.08)


def test_a_tiny_weight_changes_nothing():
    data, specification = _weighed(1e-6)

    pain = ends.fit(data, specification, seed=1, effort=SHORT)
    burden = ends.fit(data, specification, seed=1, weighed=True, effort=SHORT)

    assert burden.arm_mean == pytest.approx(pain.arm_mean, abs=1e-3)


# -- where it is used ----------


def test_the_rule_decides_which_engine_answers():
    by_rule = replace(ALWAYS, ends=Ends.BY_RULE)

    assert fit_outcome(_trial(), by_rule, seed=1, effort=SHORT).engine is Engine.GIBBS
    assert fit_outcome(_trial(level=5.0), by_rule, seed=1).engine is Engine.EXACT
    weighed, specification = _weighed(0.5)
    specification = replace(specification, ends=Ends.BY_RULE)
    assert fit_burden(weighed, specification, seed=1, effort=SHORT).engine is Engine.GIBBS


def test_an_analysis_near_the_end_answers_in_ratings():
    data = _trial(0.8, (0.0, -0.5, 2.5))

    analysis = analyze(data, replace(ALWAYS, ends=Ends.BY_RULE), seed=1)

    assert analysis.burden.engine is Engine.GIBBS
    assert analysis.verdict.kind is not Kind.REFUSED
    assert analysis.verdict.p_best["C"] < 0.01
    assert (analysis.burden.arm_mean >= 0).all()


def test_replicates_are_ratings_again():
    data = _trial()
    posterior = ends.fit(data, ALWAYS, seed=1, effort=SHORT)

    drawn = replicate(data, ALWAYS, posterior, draws=50, seed=1)

    assert np.isin(drawn, np.arange(11.0)).all()
    checks = {c.name: c for c in predictive_checks(data, ALWAYS, posterior, seed=1)}
    assert checks["low_end"].passed
    assert abs(checks["low_end"].expected - checks["low_end"].observed) < 0.1


def test_replicates_of_a_burden_keep_the_bothers_of_the_diary():
    data, specification = _weighed(0.5)
    posterior = ends.fit(data, specification, seed=1, weighed=True, effort=SHORT)
    weighed = net_burden(data, specification)
    rows = weighed.observed

    drawn = replicate(weighed, specification, posterior, draws=20, seed=1)[:, rows]

    assert np.isin(drawn - offset_of(data, specification)[rows], np.arange(11.0)).all()


def test_the_table_of_sensitivity_shows_the_other_model():
    data = _trial(0.8, (0.0, -0.5, 2.5))
    few = replace(ALWAYS, period_effect=False)
    analysis = analyze(data, few, seed=1)

    rows = sensitivity(analysis, seed=1, draws=800).rows

    assert render(rows[0].what) == "ratings are taken as if the scale had no ends"
    assert rows[0].p_best["C"] < 0.05


def test_days_on_no_arm_are_fitted_too():
    data = _trial()
    arm = data.day_arm.copy()
    arm[:7] = NO_ARM

    posterior = ends.fit(replace(data, day_arm=arm), ALWAYS, seed=1, effort=SHORT)

    assert np.isfinite(posterior.arm_mean).all()
