"""The kernels against dense matrices and differences, which share nothing with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.kernels import FILLS_UP, daily_noise, fading

DAYS = np.array([0, 1, 2, 4, 5, 9, 10, 11, 12, 16])
PERIOD = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 3])
GAP = np.diff(DAYS, prepend=DAYS[0]).astype(np.float64)
RESIDUAL = np.array([0.3, -1.2, 0.1, 2.0, -0.4, 0.9, 1.1, -0.2, 0.0, -1.5])
STEP = 1e-6


def dense(residual, sd, phi, period_sd):
    """The log density of the n residuals by their whole covariance."""
    covariance = sd**2 * phi ** np.abs(DAYS[:, None] - DAYS)
    covariance = covariance + period_sd**2 * (PERIOD[:, None] == PERIOD)
    quadratic = residual @ np.linalg.solve(covariance, residual)
    return -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])


@pytest.mark.parametrize(
    "at", [(1.1, 0.4, 0.35), (0.7, -0.28, -0.5), (0.9, 0.0, 0.0), (0.05, 0.3, 1e-3), (2, 0.97, 2)]
)
def test_density_and_gradient_are_those_of_the_covariance(at):
    density, by_residual, *by_parameter = daily_noise(RESIDUAL, GAP, PERIOD, *at)

    assert density == pytest.approx(dense(RESIDUAL, *at), rel=1e-9)
    for k, slope in enumerate(by_parameter):
        up, down = np.array(at, float), np.array(at, float)
        up[k], down[k] = up[k] + STEP, down[k] - STEP
        change = (dense(RESIDUAL, *up) - dense(RESIDUAL, *down)) / (2 * STEP)
        assert slope == pytest.approx(change, rel=1e-4, abs=1e-4)
    for i, slope in enumerate(by_residual):
        away = STEP * np.eye(RESIDUAL.size)[i]
        change = (dense(RESIDUAL + away, *at) - dense(RESIDUAL - away, *at)) / (2 * STEP)
        assert slope == pytest.approx(change, rel=1e-4, abs=1e-4)


def test_rows_that_fill_up_count_for_nothing():
    plain = daily_noise(RESIDUAL, GAP, PERIOD, 1.1, 0.4, 0.35)
    filled = daily_noise(
        np.append(RESIDUAL, [7.0, -3.0]),
        np.append(GAP, [FILLS_UP, FILLS_UP]),
        np.append(PERIOD, [0, 0]),
        1.1,
        0.4,
        0.35,
    )

    assert filled[0] == plain[0]
    assert filled[1][-2:].tolist() == [0.0, 0.0]
    assert filled[2:] == plain[2:]


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    st.floats(0.2, 6.0),
)
def test_what_is_left_is_the_sum_over_all_jumps(jumps, half_life):
    """Each jump halves in a half-life; segments of three days, two days into the last."""
    jump = np.array(jumps)[:, None]
    wait = np.full_like(jump, 3.0)
    since = 3.0 * np.arange(jump.size)[::-1] + 2.0
    last = np.array([jump.size - 1])

    def left(h):
        return float(jump[:, 0] @ 2.0 ** (-since / h))

    found, slope = fading(jump, wait, np.array([[2.0]]), last, np.array([half_life]))

    assert found[0, 0] == pytest.approx(left(half_life), abs=1e-12)
    change = (left(half_life + STEP) - left(half_life - STEP)) / (2 * STEP)
    assert slope[0, 0] == pytest.approx(change, abs=1e-6)
