"""From chains to a posterior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.convergence import Convergence, convergence
from models.ends.layout import Problem
from models.ends.ratings import expected_rating
from models.posterior import Diagnostics, Engine, Posterior
from models.specification import HalfLifePerArm, Specification

type Floats = NDArray[np.float64]


def quantities(
    kept: Sequence[dict[str, Floats]], trial: int, specification: Specification, problem: Problem
) -> dict[str, Floats]:
    """Return (C, N) chains of one trial by name: parameters, latent means, reported means."""

    def chains(name: str) -> Floats:
        return np.concatenate([some[name][:, trial] for some in kept]).swapaxes(0, 1)

    terms, sd, labels = chains("terms"), chains("sd"), specification.labels
    found = {"level": terms[..., 0], "sd": sd, "autocorrelation": chains("phi")}
    if specification.trend:
        found["trend_per_week"] = terms[..., 1 + len(labels)]
    spread = sd
    if specification.period_effect:
        found["period_sd"] = chains("period_sd")
        spread = np.sqrt(sd**2 + found["period_sd"] ** 2)
    if specification.carryover:
        node = chains("node")
        if isinstance(specification.priors.half_life, HalfLifePerArm):
            for k, label in enumerate(labels):
                found[f"half_life[{label}]"] = np.exp(problem.nodes[k][node[..., k]])
        else:
            found["half_life"] = np.exp(problem.nodes[0][node[..., 0]])
    spread = spread * chains("ratio")
    for k, label in enumerate(labels):
        latent = terms[..., 0] + terms[..., 1 + k]
        pain = latent - problem.offset_mean[trial, k]
        found[f"latent_mean[{label}]"] = latent
        found[f"reported[{label}]"] = (
            latent + expected_rating(pain, spread, specification.scale) - pain
        )
    return found


def convergences(
    kept: Sequence[dict[str, Floats]], specification: Specification, problem: Problem
) -> list[Convergence]:
    """Judge the chains of each trial, contrasts of the reported means included."""
    found = []
    for trial in range(problem.features.shape[0]):
        every = quantities(kept, trial, specification, problem)
        reported = [every[f"reported[{label}]"] for label in specification.labels]
        contrasts = [a - b for i, a in enumerate(reported) for b in reported[:i]]
        found.append(convergence(np.array([*every.values(), *contrasts])))
    return found


def thinned(quantities: dict[str, Floats], draws: int) -> dict[str, Floats]:
    """Return at most ``draws`` of each, as many from every chain, chain after chain."""
    chains, length = next(iter(quantities.values())).shape
    each = min(max(draws // chains, 1), length)
    chosen = np.linspace(0, length - 1, each).round().astype(np.intp)
    return {name: values[:, chosen].reshape(-1) for name, values in quantities.items()}


def posterior_of(
    thinned: dict[str, Floats],
    specification: Specification,
    worst: Convergence,
    chains: int,
    seed: int,
    seconds: float,
) -> Posterior:
    """Return the posterior that thinned chains make."""
    reported = [thinned.pop(f"reported[{label}]") for label in specification.labels]
    size = reported[0].size
    return Posterior(
        arms=specification.labels,
        arm_mean=np.stack(reported, axis=1),
        parameters=thinned,
        engine=Engine.GIBBS,
        seed=seed,
        diagnostics=Diagnostics(
            draws=size,
            r_hat=worst.r_hat,
            ess_bulk=min(worst.ess_bulk, float(size)),
            ess_tail=min(worst.ess_tail, float(size)),
            chains=chains,
        ),
        seconds=seconds,
    )
