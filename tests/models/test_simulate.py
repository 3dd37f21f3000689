from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.simulate import VARIANTS, SimulatedPatient, draw_patient, simulate_trial
from models.specification import HalfLifeShared, HalfNormal, Priors

PATIENT = SimulatedPatient(
    level=6.0,
    effects=(0.0, -2.0, 1.0),
    half_lives=(1.0, 1.0, 1.0),
    sd=1.0,
    autocorrelation=0.4,
    period_sd=0.0,
    trend_per_week=0.0,
    missing=0.0,
)
LONG = np.repeat([0, 1, 2] * 20, 30)


def diary(specification, patient=PATIENT, day_arm=LONG, seed=1, **changes):
    return simulate_trial(
        patient, specification, day_arm, generator=np.random.default_rng(seed), **changes
    )


def test_a_seed_gives_the_same_patient_for_ever(fading):
    first, again, other = (diary(fading, seed=seed, day_arm=LONG[:90]) for seed in (1, 1, 2))

    assert np.array_equal(first.outcome, again.outcome)
    assert not np.array_equal(first.outcome, other.outcome)


def test_the_diary_shows_the_truth_it_was_made_from(fading):
    data = diary(fading)
    late = np.arange(data.days) % 30 >= 10

    means = [data.outcome[late & (data.day_arm == k)].mean() for k in range(3)]
    rest = data.outcome - np.array(means)[data.day_arm]
    assert means == pytest.approx([6.0, 4.0, 7.0], abs=0.15)
    assert rest[late].std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(rest[late][:-1], rest[late][1:])[0, 1] == pytest.approx(0.4, abs=0.06)


def test_an_effect_builds_up_with_its_half_life(fading):
    quiet = replace(PATIENT, sd=1e-6)
    data = diary(fading, quiet, day_arm=np.repeat([0, 1], 10))

    assert data.outcome[10] == pytest.approx(6.0 - 2.0 * 0.5, abs=1e-3)
    assert data.outcome[12] == pytest.approx(6.0 - 2.0 * 0.875, abs=1e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_lives(variant, fading):
    data = diary(fading, replace(PATIENT, variant=variant, missing=0.2))

    assert np.isfinite(data.outcome).sum() == pytest.approx(0.8 * data.days, rel=0.15)


def test_rounded_ratings_are_whole_points_of_the_scale(fading):
    data = diary(fading, replace(PATIENT, level=9.0, sd=2.0, variant="rounded"))

    assert set(np.unique(data.outcome)) <= set(range(11))
    assert data.outcome.max() == 10


def test_heavy_tails_have_the_same_spread_and_more_outliers(specification):
    usual, heavy = (
        diary(specification, replace(PATIENT, effects=(0, 0, 0), variant=v)).outcome - 6.0
        for v in ("model", "heavy_tails")
    )

    assert heavy.std() == pytest.approx(usual.std(), rel=0.15)
    assert (np.abs(heavy) > 3.5).sum() > (np.abs(usual) > 3.5).sum()


def test_bad_days_are_missing_more_often(specification):
    hidden = replace(PATIENT, effects=(0, 0, 0), missing=0.3, variant="missing_when_bad")

    assert np.nanmean(diary(specification, hidden).outcome) < 5.8


def test_a_waning_effect_wanes(specification):
    data = diary(specification, replace(PATIENT, variant="waning", half_lives=()))
    on_b = data.day_arm == 1

    assert data.outcome[on_b][-100:].mean() == pytest.approx(6.0, abs=0.3)


def test_bother_follows_the_arm(specification):
    patient = replace(PATIENT, bother=(0.0, 3.0, 0.0), half_lives=())
    bother = diary(specification, patient, bothers=("bother",)).bothers["bother"]

    assert bother[LONG == 1].mean() - bother[LONG == 0].mean() == pytest.approx(3.0, abs=0.1)


def test_patients_drawn_from_the_priors_scatter_like_them(fading):
    shared = Priors(half_life=HalfLifeShared(0.0, 0.7), sd=HalfNormal(2.0))
    for specification in (fading, replace(fading, priors=shared)):
        drawn = [draw_patient(specification, np.random.default_rng(n)) for n in range(400)]

        assert np.std([p.effects for p in drawn]) == pytest.approx(1.5, rel=0.1)
        assert all(-0.3 < p.autocorrelation < 0.98 for p in drawn)
        assert all(len(p.half_lives) == 3 for p in drawn)
    assert len(set(drawn[0].half_lives)) == 1


def test_an_unknown_variant_is_a_mistake():
    with pytest.raises(ValueError, match="no variant"):
        SimulatedPatient(level=5.0, effects=(0.0,), variant="magic")
