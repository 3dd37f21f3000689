"""Sampling the PyMC model, judging the sampler, and comparing it with the exact engine.

Compilation is the cost, not sampling: the first model of a structure (number of arms, terms)
takes seconds, every further patient of that structure a fraction of one. Compiled models
cannot be pickled, so each process compiles for itself when first asked and keeps the result;
long-lived workers amortize it. ``warm`` fills PyTensor's cache on disk beforehand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from models import words
from models.analysis import (
    Agreement,
    Analysis,
    analyze,
    judge,
    provenance_of,
    weighed_series,
)
from models.burden import burden_draws
from models.checks import Check, predictive_checks
from models.data import TrialData, trial_data
from models.decision import insufficiencies, probability_best, refuse, untrustworthy
from models.ends import expected_rating, mean_offset, settled
from models.ends_pymc import (
    EndsStructure,
    build_ends_model,
    ends_model_data,
    ends_structure_of,
)
from models.harm import harms_of
from models.pain import Structure, build_pain_model, model_data, structure_of
from models.posterior import Diagnostics, Engine, Posterior
from models.run_in import with_run_in, without_run_in
from models.specification import (
    Arm,
    Ends,
    HalfLifePerArm,
    HalfLifeShared,
    HalfNormal,
    LogNormal,
    Priors,
    Specification,
)

type Floats = NDArray[np.float64]
type Sampler = Callable[[TrialData, Specification, int], Posterior]
"""Draws from a trial's posterior with a seed; the tests force one to fail."""

CHAINS = 4
TUNE = 400
DRAWS = 1000
P_BEST_TOLERANCE = 0.02
MEAN_TOLERANCE = 0.05
ATTEMPTS = 2
"""A sampler that misses its diagnostics may try once more, with four times the draws."""

_compiled: dict[Structure | EndsStructure, object] = {}
_lock = threading.Lock()


def sample(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = DRAWS,
    tune: int = TUNE,
    cores: int = 2,
) -> Posterior:
    """Draw from the PyMC model with nutpie, compiling the structure once in this process.

    Args:
        data: the trial.
        specification: what is fitted.
        seed: of the chains.
        draws: kept from each of the four chains.
        tune: warm-up steps of each.
        cores: chains that run at once.
    """
    began = time.perf_counter()
    compiled = _compiled_for(data, specification)
    trace = nutpie.sample(
        compiled,
        draws=draws,
        tune=tune,
        chains=CHAINS,
        cores=cores,
        seed=seed,
        adaptation="low_rank",  # level and arms lie on a ridge: 2.5 times the effective draws
        target_accept=0.9,
        progress_bar=False,
        save_warmup=False,
    )
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
) -> Posterior:
    """Draw from the end-of-scale model with nutpie; the arguments are those of :func:`sample`.

    Args:
        data: the trial, with the ratings as they were given.
        specification: what is fitted.
        seed: of the chains.
        draws: kept from each of the four chains.
        tune: warm-up steps of each.
        cores: chains that run at once.
        weighed: fit the net burden.

    Returns:
        a posterior whose ``arm_mean`` is the expected rating (or burden) on each arm.
    """
    began = time.perf_counter()
    structure = ends_structure_of(data, specification, weighed=weighed)
    with _lock:
        if structure not in _compiled:
            model = build_ends_model(data, specification, weighed=weighed)
            _compiled[structure] = nutpie.compile_pymc_model(model)
        compiled = _compiled[structure]
    numbers = ends_model_data(data, specification, weighed=weighed)
    trace = nutpie.sample(
        compiled.with_data(**numbers),  # type: ignore[attr-defined]
        draws=draws,
        tune=tune,
        chains=CHAINS,
        cores=cores,
        seed=seed,
        adaptation="low_rank",
        target_accept=0.9,
        progress_bar=False,
        save_warmup=False,
    )
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


def confirm(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    sampler: Sampler | None = None,
) -> Analysis:
    """Fit with both engines and judge only what both say.

    The numbers shown are the sampler's, the model of record; a sampler that fails its
    diagnostics, or engines that disagree, refuse the verdict. Nothing is shown then.

    Args:
        data: the trial with masked labels.
        specification: frozen with the protocol.
        seed: of both engines.
        draws: of the exact engine.
        sampler: draws from one posterior; :func:`sample` unless told otherwise.
    """
    began = time.perf_counter()
    first = analyze(data, specification, seed=seed, draws=draws)
    if first.outcome is None or first.burden is None:
        return first
    weighed = weighed_series(data, specification)
    outcome, burden = _sample_both(data, specification, seed, sampler)
    agreement = compare_engines(first.burden, burden, specification)
    checks = predictive_checks(weighed, specification, burden, seed=seed)
    verdict = judge(burden, specification, checks, first.harms, provisional=False)
    reasons = [*untrustworthy(first.burden.diagnostics), *untrustworthy(outcome.diagnostics)]
    if not agreement.agrees:
        reasons.append(words.engines_disagree())
    if reasons:
        verdict = refuse(tuple(reasons))
    return replace(
        first,
        outcome=outcome,
        burden=burden,
        verdict=verdict,
        checks=checks,
        agreement=agreement,
        exact=first.burden,
        seconds=time.perf_counter() - began,
    )


def analyze_by_sampling(
    data: TrialData, specification: Specification, *, seed: int, sampler: Sampler | None = None
) -> Analysis:
    """Fit with PyMC alone; the verdict stays provisional, since nothing confirmed it."""
    began = time.perf_counter()
    weighed = weighed_series(data, specification)
    reasons = insufficiencies(weighed, specification)
    outcome = burden = None
    checks: tuple[Check, ...] = ()
    harms = harms_of(data, specification, seed=seed)
    verdict = refuse(reasons)
    if not reasons:
        outcome, burden = _sample_both(data, specification, seed, sampler)
        checks = predictive_checks(weighed, specification, burden, seed=seed)
        verdict = judge(burden, specification, checks, harms, provisional=True)
    return Analysis(
        data=data,
        specification=specification,
        outcome=outcome,
        burden=burden,
        verdict=verdict,
        checks=checks,
        harms=harms,
        provenance=provenance_of(data, specification, seed),
        seconds=time.perf_counter() - began,
    )


def compare_engines(exact: Posterior, mcmc: Posterior, specification: Specification) -> Agreement:
    """Compare two posteriors of one trial: probabilities of being best, means, contrasts.

    The limits are those of STATISTICS (0.02 and 0.05 posterior SD) for the posteriors
    themselves; what is compared are estimates, so twice the Monte Carlo standard error of
    their difference is allowed on top.
    """
    sizes = [p.diagnostics.ess_bulk or float(p.size) for p in (exact, mcmc)]
    best = [probability_best(burden_draws(p.arm_mean, specification)) for p in (exact, mcmc)]
    gap = float(np.abs(best[0] - best[1]).max())
    middle = 0.5 * (best[0] + best[1])
    p_error = float(np.sqrt((middle * (1 - middle)).max() * sum(1 / n for n in sizes)))
    means = []
    for a, b in _quantities(exact.arm_mean, mcmc.arm_mean):
        spread = max(float(a.std()), 1e-12)
        means.append(abs(float(a.mean() - b.mean())) / spread)
    mean_error = float(np.sqrt(sum(1 / n for n in sizes)))
    return Agreement(
        p_best=gap,
        mean=max(means),
        p_best_allowed=P_BEST_TOLERANCE + 2 * p_error,
        mean_allowed=MEAN_TOLERANCE + 2 * mean_error,
    )


def save_draws(path: Path, posterior: Posterior) -> None:
    """Write the draws and all that is known of them as netCDF.

    Group-free and plain: variables ``arm_mean`` (draw, arm) and one per parameter (draw);
    the diagnostics are attributes. Any netCDF reader opens it.
    """
    variables: dict[str, tuple[tuple[str, ...], Floats]] = {
        "arm_mean": (("draw", "arm"), posterior.arm_mean),
        **{name: (("draw",), values) for name, values in posterior.parameters.items()},
    }
    known = {k: v for k, v in asdict(posterior.diagnostics).items() if v is not None}
    dataset = xr.Dataset(
        variables,
        coords={"arm": list(posterior.arms)},
        attrs={
            "engine": posterior.engine.value,
            "seed": posterior.seed,
            "seconds": posterior.seconds,
            **{f"diagnostics_{name}": value for name, value in known.items()},
        },
    )
    dataset.to_netcdf(path, engine="h5netcdf")


def load_draws(path: Path) -> Posterior:
    """Read what :func:`save_draws` wrote."""
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        parameters = {
            str(name): np.array(values)
            for name, values in dataset.data_vars.items()
            if name != "arm_mean"
        }
        known = {
            str(name).removeprefix("diagnostics_"): np.asarray(value).item()
            for name, value in dataset.attrs.items()
            if str(name).startswith("diagnostics_")
        }
        return Posterior(
            arms=tuple(str(label) for label in dataset["arm"].to_numpy()),
            arm_mean=np.array(dataset["arm_mean"]),
            parameters=parameters,
            engine=Engine(dataset.attrs["engine"]),
            seed=int(dataset.attrs["seed"]),
            diagnostics=Diagnostics(**known),
            seconds=float(dataset.attrs["seconds"]),
        )


def warm(structures: Sequence[Structure] | None = None) -> dict[Structure, float]:
    """Compile structures in this process, which also fills the cache on disk.

    Args:
        structures: which; the defaults of two to four arms with and without carryover if
            not given.

    Returns:
        the seconds each took.
    """
    chosen = structures or [
        Structure(arms, True, True, carryover, False, True)  # noqa: FBT003
        for arms in (2, 3, 4)
        for carryover in (True, False)
    ]
    seconds = {}
    for structure in chosen:
        began = time.perf_counter()
        data, specification = _smallest_trial(structure)
        _compiled_for(data, specification)
        seconds[structure] = time.perf_counter() - began
    return seconds


@dataclass(frozen=True, slots=True)
class _Worst:
    """The worst convergence figures over all parameters."""

    r_hat: float
    ess_bulk: float
    ess_tail: float


def _compiled_for(data: TrialData, specification: Specification) -> object:
    """Return the compiled model of the trial's structure with the trial's numbers in it."""
    structure = structure_of(specification)
    with _lock:
        if structure not in _compiled:
            _compiled[structure] = nutpie.compile_pymc_model(build_pain_model(data, specification))
        compiled = _compiled[structure]
    return compiled.with_data(**model_data(data, specification))  # type: ignore[attr-defined]


def _sample_both(
    data: TrialData, specification: Specification, seed: int, sampler: Sampler | None
) -> tuple[Posterior, Posterior]:
    """Sample outcome and net burden, which are the same when nothing is weighed."""
    judged, is_same = specification, weighed_series(data, specification) is data
    data, specification = with_run_in(data, specification)
    weighed = weighed_series(data, specification)
    chosen = settled(data, specification)
    if sampler is not None:
        burden = sampler(weighed, specification, seed)
        outcome = burden if is_same else sampler(data, specification, seed)
    elif chosen.ends is not Ends.ALWAYS:
        burden = _sample_well(partial(sample, weighed, chosen), seed)
        outcome = burden if is_same else _sample_well(partial(sample, data, chosen), seed)
    else:
        outcome = _sample_well(partial(sample_ends, data, chosen), seed)
        burden = outcome
        if not is_same:
            burden = _sample_well(partial(sample_ends, data, chosen, weighed=True), seed)
    if burden is outcome:
        outcome = burden = without_run_in(burden, judged)
        return outcome, burden
    return without_run_in(outcome, judged), without_run_in(burden, judged)


def _sample_well(draw: Callable[..., Posterior], seed: int) -> Posterior:
    """Sample, and once more with more draws when the diagnostics are not met."""
    posterior = draw(seed=seed)
    for attempt in range(1, ATTEMPTS):
        if not untrustworthy(posterior.diagnostics):
            break
        more = 4**attempt
        posterior = draw(seed=seed + attempt, draws=more * DRAWS, tune=more * TUNE)
    return posterior


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
    names = ["level", "sd", "autocorrelation"]
    if specification.trend:
        names.append("trend_per_week")
    if specification.period_effect:
        names.append("period_sd")
    chains = {name: trace["posterior"][name].to_numpy() for name in names}
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


def _quantities(a: Floats, b: Floats) -> list[tuple[Floats, Floats]]:
    """Every arm mean and every contrast of two (n, K) sets of draws."""
    arms = range(a.shape[1])
    single = [(a[:, k], b[:, k]) for k in arms]
    return single + [(a[:, j] - a[:, k], b[:, j] - b[:, k]) for k in arms for j in range(k)]


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
