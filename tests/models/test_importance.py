from __future__ import annotations

import math

import numpy as np
import pytest

from models.importance import effective_size, kronecker, pareto_k, smoothed, systematic


def test_even_points_fill_every_corner():
    points = kronecker(1024, 3, np.zeros(3))
    cells = np.floor(points * 4).astype(int) @ [16, 4, 1]

    counts = np.bincount(cells, minlength=64)
    assert counts.min() >= 10
    assert counts.max() <= 22


def test_each_node_is_drawn_as_often_as_it_deserves():
    weights = np.array([0.5, 0.125, 0.375])
    found = systematic(weights, (np.arange(8) + 0.5) / 8)

    assert np.bincount(found).tolist() == [4, 1, 3]


@pytest.mark.parametrize("shape", [0.1, 0.5, 0.9])
def test_the_tail_shape_of_a_known_tail_is_found(shape):
    uniform = np.random.default_rng(3).random(20_000)
    weights = (uniform**-shape - 1) / shape + 0.1

    assert pareto_k(np.log(weights)) == pytest.approx(shape, abs=0.15)


def test_weights_that_are_alike_have_no_tail():
    assert pareto_k(np.zeros(1000)) == -math.inf


def test_too_few_weights_cannot_be_judged():
    assert pareto_k(np.zeros(10)) == math.inf


def test_equal_weights_count_fully_and_one_heavy_weight_counts_once():
    assert effective_size(np.ones(10)) == 10
    assert effective_size(np.array([1.0, 0.0, 0.0])) == 1


def test_smoothed_weights_are_those_of_an_independent_implementation():
    stats = pytest.importorskip("arviz_stats.base").array_stats
    rng = np.random.default_rng(1)
    for log_weights in (rng.normal(size=2000), 0.5 * rng.standard_t(6, size=4000)):
        theirs, their_k = stats.psislw(-log_weights)
        ours, k = smoothed(log_weights)

        assert k == pytest.approx(float(their_k), abs=0.05)
        assert k == pareto_k(log_weights)
        assert np.allclose(
            np.exp(ours - np.logaddexp.reduce(ours)),
            np.exp(theirs - np.logaddexp.reduce(theirs)),
            atol=5e-4,
        )


def test_smoothing_keeps_the_order_and_raises_nothing_above_the_largest():
    log_weights = np.random.default_rng(2).standard_t(3, size=1000)
    found, _k = smoothed(log_weights)

    assert found.max() <= log_weights.max()
    assert np.array_equal(np.argsort(found), np.argsort(log_weights))
    even = np.zeros(500)
    assert smoothed(even)[0] is even
