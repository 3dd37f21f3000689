"""Sampling the PyMC models with nutpie: compiled once for all patients of a structure.

Compilation is the cost, not sampling. A compiled model cannot be pickled, so each process gets
its own when first asked and keeps it: from the cache on disk in a few seconds, or by compiling,
which takes a minute and ``lenitive warm`` does beforehand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from models.compiling import compile_model
from models.data import TrialData, trial_data
from models.ends import expected_rating, mean_offset
from models.ends_pymc import (
    EndsStructure,
    build_ends_model,
    ends_model_data,
    ends_structure_of,
)
from models.pain import Structure, build_pain_model, model_data, structure_of
from models.posterior import Diagnostics, Engine, Posterior
from models.specification import (
    Arm,
    HalfLifePerArm,
    HalfLifeShared,
    HalfNormal,
    LogNormal,
    Priors,
    Specification,
)

type Floats = NDArray[np.float64]

CHAINS = 4
TUNE = 300
DRAWS = 1000
CROSSOVER = {"adaptation": "diag", "target_accept": 0.8}
"""The crossover model is stated in coordinates that hardly depend on each other."""
ENDS = {"adaptation": "low_rank", "target_accept": 0.9}
"""Latent days lean on each other."""
CAREFUL = {"adaptation": "low_rank", "target_accept": 0.95}
"""For a patient whose first attempt failed: shorter steps, along the posterior's own axes."""

USUAL = Structure(
    arms=3,
    trend=True,
    period_effect=True,
    carryover=True,
    shared_half_life=False,
    lognormal_sd=True,
)
"""The structure of every protocol, but for the number of arms."""

_compiled: dict[Structure | EndsStructure, Any] = {}
_lock = threading.Lock()


def sample(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = DRAWS,
    tune: int = TUNE,
    cores: int = 2,
    careful: bool = False,
) -> Posterior:
    """Draw from the PyMC model with nutpie, compiling the structure once in this process.

    Args:
        data: the trial.
        specification: what is fitted.
        seed: of the chains.
        draws: kept from each of the four chains.
        tune: warm-up steps of each.
        cores: chains that run at once.
        careful: take shorter steps, after a first attempt that failed.
    """
    began = time.perf_counter()
    structure = structure_of(specification)
    with _lock:
        if structure not in _compiled:
            model = build_pain_model(data, specification)
            _compiled[structure] = compile_model(model, repr(structure), kept(structure))
    ready = _compiled[structure].with_data(**model_data(data, specification))
    how = CAREFUL if careful else CROSSOVER
    trace = _run(ready, how, seed=seed, draws=draws, tune=tune, cores=cores)
    return _posterior(trace, specification, seed, time.perf_counter() - began)


def sample_ends(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = DRAWS,
    tune: int = TUNE,
    cores: int = 2,
    weighed: bool = False,
    careful: bool = False,
) -> Posterior:
    """Draw from the end-of-scale model with nutpie; the arguments are those of :func:`sample`.

    Args:
        data: the trial, with the ratings as they were given.
        specification: what is fitted.
        seed: of the chains.
        draws: kept from each of the four chains.
        tune: warm-up steps of each; a third more are made, for all the latent days.
        cores: chains that run at once.
        weighed: fit the net burden.
        careful: take shorter steps, after a first attempt that failed.

    Returns:
        a posterior whose ``arm_mean`` is the expected rating (or burden) on each arm.
    """
    began = time.perf_counter()
    structure = ends_structure_of(data, specification, weighed=weighed)
    with _lock:
        if structure not in _compiled:
            model = build_ends_model(data, specification, weighed=weighed)
            keep = (*kept(structure.crossover), *(["ratio"] if structure.weighed else []))
            _compiled[structure] = compile_model(model, repr(structure), keep)
    numbers = ends_model_data(data, specification, weighed=weighed)
    ready = _compiled[structure].with_data(**numbers)
    how = CAREFUL if careful else ENDS
    trace = _run(ready, how, seed=seed, draws=draws, tune=tune * 4 // 3, cores=cores)
    chains = trace["posterior"]
    latent = chains["arm_mean"].to_numpy()
    spread = chains["sd"].to_numpy()
    if specification.period_effect:
        spread = np.sqrt(spread**2 + chains["period_sd"].to_numpy() ** 2)
    if structure.weighed:
        spread = spread * chains["ratio"].to_numpy()
    offset = mean_offset(data, specification, weighed=weighed)
    pain = latent - offset
    reported = latent + expected_rating(pain, spread[..., None], specification.scale) - pain
    return _posterior(trace, specification, seed, time.perf_counter() - began, reported=reported)


def sample_plainly(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = DRAWS,
    tune: int = TUNE,
    cores: int = 2,
) -> Posterior:
    """Draw with PyMC's own sampler: slower, and the yardstick the quick way is measured by."""
    began = time.perf_counter()
    with build_pain_model(data, specification):
        trace = pm.sample(
            draws=draws,
            tune=tune,
            chains=CHAINS,
            cores=cores,
            random_seed=seed,
            nuts_sampler="pymc",
            target_accept=0.9,
            progressbar=False,
            compute_convergence_checks=False,
        )
    return _posterior(trace, specification, seed, time.perf_counter() - began)


def kept(structure: Structure) -> tuple[str, ...]:
    """Return the variables whose draws a posterior is made of."""
    wanted = {
        "trend_per_week": structure.trend,
        "period_sd": structure.period_effect,
        "half_life": structure.carryover,
    }
    return (
        "arm_mean",
        "level",
        "sd",
        "autocorrelation",
        *(n for n, is_in in wanted.items() if is_in),
    )


def warm(structure: Structure) -> float:
    """Compile a structure in this process and into the cache on disk; return the seconds.

    A few draws are made as well, since what is compiled when first called belongs to it.
    """
    began = time.perf_counter()
    data, specification = _smallest_trial(structure)
    sample(data, specification, seed=1, draws=20, tune=20)
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class _Worst:
    """The worst convergence figures over all parameters."""

    r_hat: float
    ess_bulk: float
    ess_tail: float


def _run(
    compiled: Any, how: dict[str, Any], *, seed: int, draws: int, tune: int, cores: int
) -> xr.DataTree:
    trace: xr.DataTree = nutpie.sample(
        compiled,
        draws=draws,
        tune=tune,
        chains=CHAINS,
        cores=cores,
        seed=seed,
        progress_bar=False,
        save_warmup=False,
        **how,
    )
    return trace


def _posterior(
    trace: xr.DataTree,
    specification: Specification,
    seed: int,
    seconds: float,
    *,
    reported: Floats | None = None,
) -> Posterior:
    """Return a trace as a posterior; draws run chain after chain.

    What is ``reported`` (chains, draws, K), if given, takes the place of the arms' means, which
    become the latent ones.
    """
    names = set(kept(structure_of(specification))) - {"arm_mean", "half_life"}
    chains = {name: trace["posterior"][name].to_numpy() for name in sorted(names)}
    labels = specification.labels
    if specification.carryover:
        half_life = trace["posterior"]["half_life"].to_numpy()
        if isinstance(specification.priors.half_life, HalfLifeShared):
            chains["half_life"] = half_life
        else:
            chains |= {f"half_life[{a}]": half_life[..., k] for k, a in enumerate(labels)}
    arm_mean = trace["posterior"]["arm_mean"].to_numpy()
    if reported is not None:
        chains |= {f"latent_mean[{a}]": arm_mean[..., k] for k, a in enumerate(labels)}
        arm_mean = reported
    every = [*chains.values(), *(arm_mean[..., k] for k in range(len(labels)))]
    every += [arm_mean[..., j] - arm_mean[..., k] for k in range(len(labels)) for j in range(k)]
    worst = _worst(every)
    return Posterior(
        arms=labels,
        arm_mean=arm_mean.reshape(-1, len(labels)),
        parameters={name: values.reshape(-1) for name, values in chains.items()},
        engine=Engine.PYMC,
        seed=seed,
        diagnostics=Diagnostics(
            draws=arm_mean.shape[0] * arm_mean.shape[1],
            r_hat=worst.r_hat,
            ess_bulk=worst.ess_bulk,
            ess_tail=worst.ess_tail,
            divergences=int(trace["sample_stats"]["diverging"].to_numpy().sum()),
            chains=arm_mean.shape[0],
        ),
        seconds=seconds,
    )


def _worst(every: Sequence[Floats]) -> _Worst:
    """Return the worst R-hat and effective sizes of (chains, draws) arrays."""
    return _Worst(
        r_hat=max(float(az.rhat(values)) for values in every),
        ess_bulk=min(float(az.ess(values, method="bulk")) for values in every),
        ess_tail=min(float(az.ess(values, method="tail", prob=(0.05, 0.95))) for values in every),
    )


def _smallest_trial(structure: Structure) -> tuple[TrialData, Specification]:
    """A trial of a structure with as little data as compiling needs."""
    names = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: structure.arms])
    day_arm = np.repeat(np.tile(np.arange(structure.arms), 2), 2)
    priors = Priors(
        sd=LogNormal(0.1, 0.45) if structure.lognormal_sd else HalfNormal(2.0),
        half_life=HalfLifeShared() if structure.shared_half_life else HalfLifePerArm(),
    )
    specification = Specification(
        arms=tuple(Arm(label=name, half_life_days=1.0) for name in names),
        trend=structure.trend,
        period_effect=structure.period_effect,
        carryover=structure.carryover,
        priors=priors,
    )
    outcome = 5.0 + 0.1 * np.arange(day_arm.size)
    return trial_data(names, day_arm, outcome), specification
