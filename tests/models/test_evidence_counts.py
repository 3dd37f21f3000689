"""The simulated counts are what the model of counts says they are."""

from __future__ import annotations

import numpy as np

from models.evidence.counts import ranks_of_count, simulate_count


def test_simulated_counts_have_the_mean_that_is_called_true():
    """Over many patients: a day's count over the true mean of its arm, late in its period."""
    shares = []
    for seed in range(400):
        data, truth = simulate_count(0.0, np.random.default_rng(seed))
        late = np.arange(data.days) % 9 == 8
        shares.append(float((data.outcome[late] / truth[data.day_arm[late]]).mean()))

    assert np.median(shares) > 0.5
    assert 0.8 < np.mean(shares) < 1.4


def test_days_go_missing_as_often_as_said_and_counts_are_whole():
    answered = []
    for seed in range(50):
        data, _truth = simulate_count(0.15, np.random.default_rng(seed))
        answered.append(data.observed.mean())
        counted = data.outcome[data.observed]
        assert (counted == np.round(counted)).all()
        assert (counted >= 0).all()

    assert 0.8 < np.mean(answered) < 0.9


def test_truths_lie_anywhere_in_their_posterior():
    ranks = ranks_of_count(0.15, 3, range(60))
    places = np.array([list(one.values()) for one in ranks])

    assert ranks == ranks_of_count(0.15, 3, range(60))
    assert (np.abs(places.mean(axis=0) - 0.5) < 0.13).all()
    assert (places.std(axis=0) > 0.2).all()
