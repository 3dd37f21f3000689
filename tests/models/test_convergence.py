"""Figures of chains, against arviz and against what is known."""

from __future__ import annotations

import arviz as az
import numpy as np
import pytest

from models.convergence import convergence, effective_draws


def _chains(correlation: float, *, seed: int = 1, shape: tuple[int, int] = (4, 600)):
    white = np.random.default_rng(seed).standard_normal(shape)
    chains = np.empty(shape)
    chains[:, 0] = white[:, 0]
    for t in range(1, shape[1]):
        chains[:, t] = correlation * chains[:, t - 1] + np.sqrt(1 - correlation**2) * white[:, t]
    return chains


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.3, 0.7, 0.95, 0.999])
@pytest.mark.parametrize("shape", [(4, 600), (1, 37), (2, 101), (8, 50), (3, 12)])
def test_the_figures_are_those_of_arviz(correlation, shape):
    chains = _chains(correlation, shape=shape)

    found = convergence(chains[np.newaxis])

    if shape[0] > 1:  # ArviZ gives no R-hat of a single chain, though its halves have one
        assert found.r_hat == pytest.approx(float(az.rhat(chains)), rel=1e-9)
    assert found.ess_bulk == pytest.approx(float(az.ess(chains, method="bulk")), rel=1e-9)
    tail = float(az.ess(chains, method="tail", prob=(0.05, 0.95)))
    assert found.ess_tail == pytest.approx(tail, rel=1e-9)


def test_the_worst_quantity_counts():
    good, bad = _chains(0.0), _chains(0.95)

    assert convergence(np.stack([good, bad])) == convergence(bad[np.newaxis])


def test_a_chain_somewhere_else_is_noticed():
    chains = _chains(0.0)
    chains[0] += 1.0

    assert convergence(chains[np.newaxis]).r_hat > 1.05


def test_a_chain_of_another_width_is_noticed():
    chains = _chains(0.0)
    chains[0] *= 3.0

    assert convergence(chains[np.newaxis]).r_hat > 1.05


def test_what_never_changes_counts_as_all_its_draws():
    assert effective_draws(np.ones((1, 4, 100)))[0] == 400.0
