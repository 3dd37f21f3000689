"""The crossover model in PyMC: its joint density is that of the formula, priors and all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.data import TrialData
from models.exposure import exposures, speeds, targets
from models.pain import build_pain_model
from models.specification import Specification

pytestmark = pytest.mark.sampling


def formula(data: TrialData, specification: Specification, values: dict[str, np.ndarray]) -> float:
    """The log joint density in the words of STATISTICS, by dense matrices."""
    priors, rows = specification.priors, np.flatnonzero(data.observed)
    level, arm = values["level"], values["arm_mean"] - values["level"]
    half_life, sd, phi = values["half_life"], values["sd"], values["phi"]
    total = stats.norm.logpdf(level, priors.level.mean, priors.level.sd)
    total += stats.norm.logpdf(arm, priors.arm.mean, priors.arm.sd).sum()
    trend = priors.trend_per_week
    total += stats.norm.logpdf(values["trend"], trend.mean, trend.sd)
    total += stats.norm.logpdf(np.log(sd), priors.sd.mean_log, priors.sd.sd_log)
    total += stats.norm.logpdf(phi, priors.autocorrelation.mean, priors.autocorrelation.sd)
    total += stats.norm.logpdf(values["period_sd"], 0.0, priors.period_sd.scale)
    centre = np.log(specification.prior_half_lives())
    total += stats.norm.logpdf(np.log(half_life), centre, priors.half_life.sd_log).sum()
    exposure = exposures(targets(data), speeds(data, specification), half_life)
    expected = level + exposure @ arm + values["trend"] * data.week
    covariance = sd**2 * phi ** np.abs(rows[:, None] - rows)
    period = data.day_period[rows]
    covariance += values["period_sd"] ** 2 * (period[:, None] == period)
    rated = stats.multivariate_normal.logpdf(data.outcome[rows], expected[rows], covariance)
    return float(total + rated)


def test_the_joint_density_is_that_of_the_formula(trial, fading):
    """Up to a constant: two points differ by what the formula says."""
    model = build_pain_model(trial, fading)
    density = model.compile_fn(model.logp(jacobian=False), point_fn=True, mode="FAST_COMPILE")
    found, wanted = [], []
    for seed in (1, 2, 3):
        draw = np.random.default_rng(seed).normal(size=9)
        low, high = -0.3, 0.98
        share = 1 / (1 + np.exp(-draw[0]))
        half_life = np.exp(0.3 * draw[1:4])
        point = {
            "middle": np.array(5.0 + draw[4]),
            "contrast": draw[5:7],
            "level": np.array(6.0 + draw[7]),
            "sd_log__": np.array(0.2 * draw[8]),
            "autocorrelation_interval__": np.array(draw[0]),
            "half_life_log__": np.log(half_life),
            "trend_per_week": np.array(0.1 * draw[1]),
            "period_sd_signed": np.array(-0.3 * draw[2]),
        }
        # Deviations from the middle, by Gram and Schmidt rather than Helmert's formula.
        first = np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
        second = np.array([1.0, 1.0, -2.0]) / np.sqrt(6)
        arm_mean = point["middle"] + first * draw[5] + second * draw[6]
        found.append(float(density(point)))
        wanted.append(
            formula(
                trial,
                fading,
                {
                    "level": point["level"],
                    "arm_mean": arm_mean,
                    "half_life": half_life,
                    "sd": np.exp(point["sd_log__"]),
                    "phi": low + (high - low) * share,
                    "trend": point["trend_per_week"],
                    "period_sd": point["period_sd_signed"],
                },
            )
            # PyMC's log-normals have densities of the value, ours of its logarithm.
            - float(point["sd_log__"] + np.log(half_life).sum())
        )

    assert np.diff(found) == pytest.approx(np.diff(wanted), abs=1e-6)
