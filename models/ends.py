r"""Patients near an end of the scale: a rounded and censored latent Gaussian.

The crossover model holds for a latent pain that knows no ends; what is written down is that
pain rounded to the steps of the scale and cut to its ends::

    y*_t = alpha + sum_k tau_k w_k(t) + beta week_t + u_p(t) + e_t    (the crossover model)
    y_t  = clip(round(y*_t), low, high)

so that a rating says in which interval y* lay: (y - 1/2, y + 1/2), open at the ends. What is
reported is the rating to expect on each arm, E clip(round(N(alpha + tau_k, sigma^2 + s_p^2))):
over the days and the periods of a long future, at steady state and mid-trial.

The posterior is sampled by data augmentation, many chains side by side in numpy: the latent
days one after the other given their neighbours (even days together, then odd days); level,
effects, drift and period effects together given the days; the rest from conditionals in one or
two dimensions. An arm whose ratings all lie at one end is moved together with its days, without
which it would wander for ever. ``models.ends_pymc`` states the same model for the sampler that
differentiates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from models.burden import is_weighed, net_burden
from models.convergence import Convergence, convergence
from models.data import TrialData
from models.errors import ModelInputError
from models.exposure import exposures, speeds, targets
from models.posterior import Diagnostics, Engine, Posterior
from models.specification import (
    Ends,
    HalfLifePerArm,
    HalfLifeShared,
    LogNormal,
    Scale,
    Specification,
)

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

LARGEST_SHARE = 0.15
"""By rule, this model is used when a larger share of the rated days lies at the ends."""
HALF_LIFE_NODES = 48
HALF_LIFE_SPAN = 3.5
"""Half-lives are taken from nodes that reach so many prior SD to each side."""
SMALLEST_PERIOD_SD = 1e-4
NOISE_STEPS = 4
"""Metropolis steps of autocorrelation and daily SD in each iteration; they are cheap."""
FAR = -36.0
"""Beyond so many SD the normal distribution function is no longer a number above 0."""
TARGET_R_HAT = 1.01
TARGET_ESS = 1000.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How long the chains run.

    Attributes:
        chains: side by side, of each trial.
        warm_up: iterations before any draw is kept.
        kept: iterations kept from each chain in one round.
        rounds: at most so many; each after the first is as long as all before together, and
            is run when the chains do not agree yet.
    """

    chains: int = 8
    warm_up: int = 250
    kept: int = 1250
    rounds: int = 4


DEFAULT_EFFORT = Effort()


# -- when, and what is reported ----------------------------------------------------------------


def share_at_ends(data: TrialData, scale: Scale) -> float:
    """Return the share of the rated analysis days at either end of the scale, arms pooled."""
    ratings = data.outcome[data.observed]
    if not ratings.size:
        return 0.0
    half = 0.5 * scale.step
    return float(((ratings < scale.low + half) | (ratings > scale.high - half)).mean())


def settled(data: TrialData, specification: Specification) -> Specification:
    """Return the specification with the choice by rule made: always or never.

    The rule sees the ratings of all arms together, so it is blind to what differs between
    arms. What repeats an analysis with something changed settles it first, by the trial as it
    is, so that no row of a table changes the model by the way.
    """
    if specification.ends is not Ends.BY_RULE:
        return specification
    many = share_at_ends(data, specification.scale) > LARGEST_SHARE
    return replace(specification, ends=Ends.ALWAYS if many else Ends.NEVER)


def expected_rating(mean: Floats, sd: Floats, scale: Scale) -> Floats:
    """Return the expected rating of a latent normal, rounded and cut to the scale.

    Args:
        mean: (...) of the latent outcome.
        sd: (...) of the same shape; 0 is allowed.
        scale: its ends and its step.
    """
    total = np.full(np.shape(mean), scale.low)
    for cut in np.arange(scale.low + 0.5 * scale.step, scale.high, scale.step):
        total += scale.step * ndtr((mean - cut) / np.maximum(sd, 1e-12))
    return np.asarray(total)


def rounded(latent: Floats, scale: Scale) -> Floats:
    """Return the ratings that latent values give: on the steps of the scale, within its ends."""
    steps = np.round((latent - scale.low) / scale.step)
    return np.asarray(np.clip(scale.low + scale.step * steps, scale.low, scale.high))


def intervals(data: TrialData, specification: Specification, offset: Floats) -> Floats:
    """(2, T) between which bounds each day's latent value lay; without bounds where not fitted.

    Args:
        data: the trial with its ratings as they were given.
        specification: for the scale.
        offset: (T,) what is added to the rating, 0 or the weighed bothers.
    """
    scale, half = specification.scale, 0.5 * specification.scale.step
    rating, fitted = data.outcome, data.observed & np.isfinite(offset)
    low = np.where(rating < scale.low + half, -np.inf, rating - half + offset)
    high = np.where(rating > scale.high - half, np.inf, rating + half + offset)
    return np.stack((np.where(fitted, low, -np.inf), np.where(fitted, high, np.inf)))


def offset_of(data: TrialData, specification: Specification) -> Floats:
    """(T,) what the weighed bothers add to the outcome; 0 when nothing is weighed."""
    if not is_weighed(specification):
        return np.zeros(data.days)
    return net_burden(data.with_outcome(np.zeros(data.days)), specification).outcome


def mean_offset(data: TrialData, specification: Specification, *, weighed: bool) -> Floats:
    """(K,) mean of what the weighed bothers add on each arm's rated analysis days."""
    offset = offset_of(data, specification) if weighed else np.zeros(data.days)
    rated = data.observed & np.isfinite(offset)
    arm = rated[:, None] & (data.day_arm[:, None] == np.arange(len(data.arms)))
    total = np.where(rated, offset, 0.0) @ arm
    return np.asarray(total / np.maximum(arm.sum(axis=0), 1))


# -- fitting -----------------------------------------------------------------------------------


def fit(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    weighed: bool = False,
    effort: Effort = DEFAULT_EFFORT,
) -> Posterior:
    """Return the posterior of one trial; the same seed gives the same draws.

    Args:
        data: the trial, with the ratings as they were given (not the net burden).
        specification: what is fitted, with its priors.
        seed: of the chains.
        draws: how many to return, taken evenly from all chains (a multiple of their number).
        weighed: fit the net burden, whose interval each rating and the day's bothers give.
        effort: how long the chains run.

    Returns:
        a posterior whose ``arm_mean`` is the expected rating (or burden) on each arm; the
        latent means are the parameters ``latent_mean[LABEL]``.

    Raises:
        ModelInputError: when no day can be fitted, or a rating lies outside the scale.
    """
    return fit_many([data], specification, seed=seed, draws=draws, weighed=weighed, effort=effort)[
        0
    ]


def fit_many(
    trials: Sequence[TrialData],
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    weighed: bool = False,
    effort: Effort = DEFAULT_EFFORT,
) -> list[Posterior]:
    """Return the posteriors of trials of one specification and shape, fitted side by side.

    Args:
        trials: with the same number of days and periods; see :func:`fit`.
        specification: of all of them.
        seed: of all chains; a trial's draws depend on its company.
        draws: from each posterior.
        weighed: as for :func:`fit`.
        effort: as for :func:`fit`; rounds go on until every trial is content.
    """
    began = time.perf_counter()
    for data in trials:
        _check(data, specification)
    problem = _Problem.of(trials, specification, weighed=weighed)
    sampler = _Sampler(problem, specification, effort.chains, np.random.default_rng(seed))
    sampler.run(effort.warm_up)
    kept = [sampler.run(effort.kept)]
    worst = _convergences(kept, specification, problem)
    for _ in range(1, effort.rounds):
        if all(w.r_hat <= TARGET_R_HAT and _ess(w) >= TARGET_ESS for w in worst):
            break
        kept.append(sampler.run(sum(len(some["sd"]) for some in kept)))
        worst = _convergences(kept, specification, problem)
    seconds = (time.perf_counter() - began) / len(trials)
    return [
        _posterior(
            _thinned(_quantities(kept, b, specification, problem), draws),
            specification,
            worst[b],
            effort.chains,
            seed,
            seconds,
        )
        for b in range(len(trials))
    ]


def _check(data: TrialData, specification: Specification) -> None:
    if data.arms != specification.labels:
        raise ModelInputError("The data and the specification must name the same arms.")
    if not data.observed.any() or data.days < 2:
        raise ModelInputError("There is no rating to fit, or only one day.")
    scale, half = specification.scale, 0.5 * specification.scale.step
    ratings = data.outcome[data.observed]
    if ratings.min() < scale.low - half or ratings.max() > scale.high + half:
        raise ModelInputError(
            "A rating lies outside the scale: the end-of-scale model needs the ratings as given."
        )


def _ess(worst: Convergence) -> float:
    return min(worst.ess_bulk, worst.ess_tail)


# -- the trials as arrays ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Problem:
    """B trials of n days as arrays, with all cross-products the chains need.

    A feature is a column of the design: level, each arm's exposure at each node of its
    half-life, drift, each period. Cross-products under AR(1) noise on consecutive days are
    quadratic in the autocorrelation: (own - phi beside + phi^2 inner) / (1 - phi^2).

    Attributes:
        bounds: (2, B, n) of the latent days.
        features: (B, n, f).
        own, beside, inner: (B, f, f) the three cross-products.
        period: (B, n) index of the period.
        offset: (B, n) weighed bothers less their mean in the period; 0 on days not fitted.
        offset_mean: (B, K) mean of the weighed bothers on each arm's rated days.
        rated: (B, n) 1 for the days that are fitted.
        averaging: (B, n, P) takes the mean of each period's fitted days.
        nodes: (K, G) log half-lives; log_prior (K, G) of each.
        arms, periods: K and P.
        trend: whether drift is among the features.
        weighed: whether an offset is in use.
    """

    bounds: Floats
    features: Floats
    own: Floats
    beside: Floats
    inner: Floats
    period: Integers
    offset: Floats
    offset_mean: Floats
    rated: Floats
    averaging: Floats
    nodes: Floats
    log_prior: Floats
    arms: int
    periods: int
    trend: bool
    weighed: bool

    @classmethod
    def of(
        cls, trials: Sequence[TrialData], specification: Specification, *, weighed: bool
    ) -> _Problem:
        """Lay the trials out; days after the last rating of all are left out."""
        days, periods = trials[0].days, trials[0].periods
        if any(data.days != days or data.periods != periods for data in trials):
            raise ModelInputError("Trials fitted side by side must have the same shape.")
        offsets = [offset_of(data, specification) if weighed else np.zeros(days) for data in trials]
        bounds = np.stack(
            [
                intervals(data, specification, offset)
                for data, offset in zip(trials, offsets, strict=True)
            ],
            axis=1,
        )
        rated = np.isfinite(bounds).any(axis=0)
        if not rated.any(axis=1).all():
            raise ModelInputError("There is no rating to fit.")
        n = max(int(np.flatnonzero(rated.any(axis=0)).max()) + 1, 2)
        nodes, log_prior = _half_life_nodes(specification)
        features = np.stack([_features(data, specification, nodes)[:n] for data in trials])
        after, before = features[:, 1:], features[:, :-1]
        crossed = after.transpose(0, 2, 1) @ before
        within = features[:, 1:-1]
        period = np.stack([data.day_period[:n] for data in trials])
        offset = np.where(rated, np.stack(offsets), 0.0)[:, :n]
        counted = rated[:, :n].astype(np.float64)
        member = (period[..., None] == np.arange(periods)) * counted[..., None]
        averaging = member / np.maximum(member.sum(axis=1, keepdims=True), 1.0)
        return cls(
            bounds=bounds[:, :, :n],
            features=features,
            own=features.transpose(0, 2, 1) @ features,
            beside=crossed + crossed.transpose(0, 2, 1),
            inner=within.transpose(0, 2, 1) @ within,
            period=period,
            offset=(offset - _period_means(offset, averaging, period)) * counted,
            offset_mean=np.stack(
                [mean_offset(data, specification, weighed=weighed) for data in trials]
            ),
            rated=counted,
            averaging=averaging,
            nodes=nodes,
            log_prior=log_prior,
            arms=len(specification.arms),
            periods=periods if specification.period_effect else 0,
            trend=specification.trend,
            weighed=weighed and is_weighed(specification),
        )


def _period_means(daily: Floats, averaging: Floats, period: Integers) -> Floats:
    """(B, ..., n) the mean of each day's period, given a daily series (B, ..., n).

    Args:
        daily: the series, 0 on days not fitted where it is not known.
        averaging: (B, n, P) as in ``_Problem``.
        period: (B, n).
    """
    between = (1,) * (daily.ndim - 2)
    means = daily.reshape(daily.shape[0], -1, daily.shape[-1]) @ averaging
    means = means.reshape(*daily.shape[:-1], -1)
    return np.take_along_axis(means, period.reshape(len(period), *between, -1), axis=-1)


def _half_life_nodes(specification: Specification) -> tuple[Floats, Floats]:
    """(K, G) log half-lives and their log prior; one node when effects come and go at once."""
    arms = len(specification.arms)
    if not specification.carryover:
        return np.zeros((arms, 1)), np.zeros((arms, 1))
    prior = specification.priors.half_life
    standard = np.linspace(-HALF_LIFE_SPAN, HALF_LIFE_SPAN, HALF_LIFE_NODES)
    centre = np.log(np.array(specification.prior_half_lives()))
    nodes = centre[:, None] + prior.sd_log * standard
    return nodes, np.broadcast_to(-0.5 * standard**2, nodes.shape).copy()


def _features(data: TrialData, specification: Specification, nodes: Floats) -> Floats:
    """(T, f) level, exposures arm by arm and node by node, drift, periods."""
    target = targets(data)
    exposure = target[:, :, None]
    if specification.carryover:
        exposure = exposures(target, speeds(data, specification), np.exp(nodes))
    columns = [np.ones((data.days, 1)), exposure.reshape(data.days, -1)]
    if specification.trend:
        columns.append(data.week[:, None])
    if specification.period_effect:
        columns.append(np.eye(data.periods)[data.day_period])
    return np.concatenate(columns, axis=1)


# -- the chains ----------------------------------------------------------------------------------


class _Sampler:
    """The state of C chains for each of B trials; arrays begin with (B, C)."""

    def __init__(
        self,
        problem: _Problem,
        specification: Specification,
        chains: int,
        generator: np.random.Generator,
    ) -> None:
        self.problem, self.specification, self.generator = problem, specification, generator
        size, days = problem.features.shape[:2]
        self.shape = (size, chains)
        priors, terms = specification.priors, [specification.priors.level]
        terms += [priors.arm] * problem.arms
        if problem.trend:
            terms.append(priors.trend_per_week)
        self.prior_mean = np.concatenate([[t.mean for t in terms], np.zeros(problem.periods)])
        self.prior_precision = np.array([1.0 / t.sd**2 for t in terms])
        self.trial = np.arange(size)[:, None]
        self._start(days)

    def _start(self, days: int) -> None:
        """Start every chain somewhere else."""
        problem, generator = self.problem, self.generator
        low, high = problem.bounds[:, :, None, :]
        shape = (*self.shape, days)
        step = self.specification.scale.step
        prior = self.specification.priors.sd
        usual = np.exp(prior.mean_log) if isinstance(prior, LogNormal) else 0.67 * prior.scale
        self.sd = usual * np.exp(0.3 * generator.standard_normal(self.shape))
        self.phi = generator.uniform(0.0, 0.7, self.shape)
        bounds = self.specification.priors.autocorrelation
        self.phi = np.clip(self.phi, bounds.low + 0.01, bounds.high - 0.01)
        scale = self.specification.priors.period_sd.scale
        self.period_sd = scale * np.abs(generator.standard_normal(self.shape)) + 0.05 * scale
        nodes = problem.nodes.shape[1]
        shared = isinstance(self.specification.priors.half_life, HalfLifeShared)
        middle = generator.integers(
            nodes // 4, nodes - nodes // 4, (*self.shape, 1 if shared else problem.arms)
        )
        self.node = np.broadcast_to(middle, (*self.shape, problem.arms)).copy()
        if not self.specification.carryover:
            self.node[:] = 0
        away = step * generator.exponential(0.5, shape)
        inside = np.where(np.isfinite(low), low, high - step) + step * generator.random(shape)
        inside = np.where(np.isneginf(low), high - away, inside)
        inside = np.where(np.isposinf(high), low + away, inside)
        rated = problem.rated[:, None, :] > 0
        usual_value = np.where(rated, inside, 0.0).sum(axis=2) / rated.sum(axis=2)
        free = usual_value[..., None] + self.sd[..., None] * generator.standard_normal(shape)
        self.latent = np.where(rated, inside, free)
        self.mean = np.zeros(shape)
        self.terms = np.zeros((*self.shape, self.prior_mean.size))
        self.residual = self.latent
        self._draw_terms()

    def run(self, iterations: int) -> dict[str, Floats]:
        """Go on and return (iterations, B, C, ...) of every parameter."""
        k, trend = self.problem.arms, self.problem.trend
        kept: dict[str, list[Floats]] = {
            name: [] for name in ("terms", "sd", "phi", "period_sd", "node", "ratio")
        }
        carryover = self.specification.carryover
        shared = isinstance(self.specification.priors.half_life, HalfLifeShared)
        for _ in range(iterations):
            self._draw_days(0)
            self._draw_days(1)
            self._shift_arms()
            self.latent = self.mean + self.residual
            if carryover and shared:
                self._draw_shared_node()
            elif carryover:
                self._draw_nodes()
            self._draw_terms()
            if self.problem.periods:
                self._scale_periods()
                self._draw_period_sd()
            self._draw_noise()
            kept["terms"].append(self.terms[..., : 1 + k + int(trend)])
            kept["sd"].append(self.sd)
            kept["phi"].append(self.phi)
            kept["period_sd"].append(self.period_sd)
            kept["node"].append(self.node.copy())
            kept["ratio"].append(self._ratio())
        return {name: np.array(values) for name, values in kept.items()}

    # Products under the noise precision, all without the factor 1 / sd^2.

    def _gram(self, rows: Integers, columns: Integers) -> Floats:
        """(B, C, i, j) products of features, rows (B, C, i) with columns (B, C, j)."""
        p, trial = self.problem, np.arange(self.shape[0])[:, None, None, None]
        at = (trial, rows[..., :, None], columns[..., None, :])
        phi = self.phi[..., None, None]
        return np.asarray((p.own[at] - phi * p.beside[at] + phi**2 * p.inner[at]) / (1.0 - phi**2))

    def _weighted(self, daily: Floats) -> Floats:
        """(B, C, n) a daily series times the noise precision."""
        phi = self.phi[..., None]
        result = (1.0 + phi**2) * daily
        result[..., 0] = daily[..., 0]
        result[..., -1] = daily[..., -1]
        result[..., 1:] -= phi * daily[..., :-1]
        result[..., :-1] -= phi * daily[..., 1:]
        return np.asarray(result / (1.0 - phi**2))

    def _columns(self) -> Integers:
        """(B, C, m) which features the chains use at their half-lives."""
        p = self.problem
        nodes = p.nodes.shape[1]
        arms = 1 + np.arange(p.arms) * nodes + self.node
        last = 1 + p.arms * nodes + np.arange(int(p.trend) + p.periods)
        shape = (*self.shape, 1)
        return np.concatenate(
            [np.zeros(shape, np.int64), arms, np.broadcast_to(last, (*self.shape, last.size))],
            axis=-1,
        )

    def _set_mean(self) -> None:
        """Bring the days' means and residuals up to the terms and half-lives."""
        weights = np.zeros((*self.shape, self.problem.features.shape[2]))
        np.put_along_axis(weights, self._columns(), self.terms, axis=-1)
        self.mean = weights @ self.problem.features.transpose(0, 2, 1)
        self.residual = self.latent - self.mean

    # The steps of one iteration.

    def _draw_days(self, first: int) -> None:
        """Draw every second latent day given its neighbours and its interval."""
        r, phi = self.residual, self.phi[..., None]
        days = r.shape[-1]
        rows = slice(first, days, 2)
        neighbours = np.zeros_like(r)
        neighbours[..., 1:] += r[..., :-1]
        neighbours[..., :-1] += r[..., 1:]
        both = np.ones(days)
        both[[0, -1]] = 0.0
        both = both[rows]
        precision = (1.0 + both * phi**2) / (1.0 - phi**2)
        centre = neighbours[..., rows] * phi / (1.0 + both * phi**2)
        spread = self.sd[..., None] / np.sqrt(precision)
        low, high = self.problem.bounds[:, :, None, rows]
        away = self.mean[..., rows] + centre
        drawn = truncated_normal(
            (low - away) / spread, (high - away) / spread, self.generator.random(centre.shape)
        )
        self.residual = r.copy()
        self.residual[..., rows] = centre + spread * drawn

    def _shift_arms(self) -> None:
        """Move an arm's effect and its days together, as far as their intervals allow.

        The residuals stay what they are, so that only the effect's prior and the intervals
        speak (a generalized Gibbs step of Liu and Sabatti 2000).
        """
        problem, priors = self.problem, self.specification.priors
        low, high = problem.bounds[:, :, None, :]
        columns = self._columns()
        for k in range(problem.arms):
            weight = np.take_along_axis(
                problem.features.transpose(0, 2, 1), columns[..., 1 + k][..., None], axis=1
            )
            moved = weight > 1e-9
            size = np.where(moved, weight, 1.0)
            latent = self.mean + self.residual
            least = np.where(moved, (low - latent) / size, -np.inf).max(axis=-1)
            most = np.where(moved, (high - latent) / size, np.inf).min(axis=-1)
            effect = self.terms[..., 1 + k]
            at = priors.arm.mean - effect
            shift = at + priors.arm.sd * truncated_normal(
                (np.minimum(least, 0.0) - at) / priors.arm.sd,
                (np.maximum(most, 0.0) - at) / priors.arm.sd,
                self.generator.random(self.shape),
            )
            self.terms[..., 1 + k] += shift
            self.mean = self.mean + shift[..., None] * weight

    def _draw_terms(self) -> None:
        """Draw level, effects, drift and period effects together, given the days."""
        columns, variance = self._columns(), self.sd**2
        precision = self._gram(columns, columns) / variance[..., None, None]
        own = np.broadcast_to(self.prior_precision, (*self.shape, self.prior_precision.size))
        if self.problem.periods:
            of_periods = np.broadcast_to(
                self.period_sd[..., None] ** -2.0, (*self.shape, self.problem.periods)
            )
            own = np.concatenate([own, of_periods], axis=-1)
        diagonal = np.arange(own.shape[-1])
        precision[..., diagonal, diagonal] += own
        products = self._weighted(self.latent) @ self.problem.features
        right = np.take_along_axis(products, columns, axis=-1) / variance[..., None]
        right += own * self.prior_mean
        factor = np.linalg.cholesky(precision)
        half = np.linalg.solve(factor, right[..., None])
        half += self.generator.standard_normal(half.shape)
        self.terms = np.linalg.solve(factor.swapaxes(-1, -2), half)[..., 0]
        self._set_mean()

    def _scale_periods(self) -> None:
        """Draw the size of all period effects at once; its sign is free, only sizes count."""
        first = self.terms.shape[-1] - self.problem.periods
        unit = self.terms[..., first:] / self.period_sd[..., None]
        trial = np.arange(self.shape[0])[:, None, None]
        daily = unit[trial, np.arange(self.shape[1])[None, :, None], self.problem.period[:, None]]
        free = self.residual + self.period_sd[..., None] * daily
        weighted = self._weighted(daily)
        scale = self.specification.priors.period_sd.scale
        precision = (weighted * daily).sum(axis=-1) / self.sd**2 + scale**-2.0
        centre = (weighted * free).sum(axis=-1) / self.sd**2 / precision
        signed = centre + self.generator.standard_normal(self.shape) / np.sqrt(precision)
        size = np.maximum(np.abs(signed), SMALLEST_PERIOD_SD)
        signed = np.copysign(size, signed)
        self.period_sd = size
        self.terms[..., first:] = signed[..., None] * unit
        self.residual = free - signed[..., None] * daily
        self.mean = self.latent - self.residual

    def _draw_period_sd(self) -> None:
        """Move the period SD given the period effects, by a Metropolis step of its logarithm."""
        periods = self.problem.periods
        squares = (self.terms[..., -periods:] ** 2).sum(axis=-1)
        scale = self.specification.priors.period_sd.scale

        def log_density(log_sd: Floats) -> Floats:
            variance = np.exp(2.0 * log_sd)
            return np.asarray(
                (1.0 - periods) * log_sd - 0.5 * squares / variance - 0.5 * variance / scale**2
            )

        now = np.log(self.period_sd)
        then = now + self.generator.normal(0.0, 1.7 / np.sqrt(periods), self.shape)
        accepted = np.log(self.generator.random(self.shape)) < log_density(then) - log_density(now)
        accepted &= then > np.log(SMALLEST_PERIOD_SD)
        self.period_sd = np.where(accepted, np.exp(then), self.period_sd)

    def _draw_noise(self) -> None:
        """Move autocorrelation and daily SD given the residuals, by Metropolis steps.

        In the coordinates atanh(phi) and log of the SD of what is new each day the two are
        nearly independent.
        """
        r, priors = self.residual, self.specification.priors
        days = r.shape[-1]
        squares = (r**2).sum(axis=-1)
        beside = (r[..., 1:] * r[..., :-1]).sum(axis=-1)
        inner = (r[..., 1:-1] ** 2).sum(axis=-1)
        bounds = priors.autocorrelation

        def log_density(angle: Floats, log_new: Floats) -> Floats:
            phi = np.tanh(angle)
            rest = 1.0 - phi**2
            log_sd = log_new - 0.5 * np.log(rest)
            product = squares - 2.0 * phi * beside + phi**2 * inner
            value = -days * log_new + 0.5 * np.log(rest) - 0.5 * product * np.exp(-2.0 * log_new)
            value -= 0.5 * ((phi - bounds.mean) / bounds.sd) ** 2
            value += np.log(rest)  # d phi = (1 - phi^2) d angle
            if isinstance(priors.sd, LogNormal):
                value -= 0.5 * ((log_sd - priors.sd.mean_log) / priors.sd.sd_log) ** 2
            else:
                value += log_sd - 0.5 * np.exp(2.0 * log_sd) / priors.sd.scale**2
            return np.where((phi > bounds.low) & (phi < bounds.high), value, -np.inf)

        angle = np.arctanh(self.phi)
        log_new = np.log(self.sd) + 0.5 * np.log1p(-(self.phi**2))
        now = log_density(angle, log_new)
        steps = self.generator.standard_normal((NOISE_STEPS, 2, *self.shape))
        steps *= (1.7 / np.sqrt(days)) * np.array([1.0, 0.7])[None, :, None, None]
        chances = np.log(self.generator.random((NOISE_STEPS, *self.shape)))
        for step, chance in zip(steps, chances, strict=True):
            then = log_density(angle + step[0], log_new + step[1])
            accepted = chance < then - now
            angle = np.where(accepted, angle + step[0], angle)
            log_new = np.where(accepted, log_new + step[1], log_new)
            now = np.where(accepted, then, now)
        self.phi = np.tanh(angle)
        self.sd = np.exp(log_new - 0.5 * np.log1p(-(self.phi**2)))

    def _draw_nodes(self) -> None:
        """Draw each arm's half-life with its effect, given all else; the effect integrated."""
        p, prior = self.problem, self.specification.priors.arm
        nodes = p.nodes.shape[1]
        variance = self.sd[..., None] ** 2
        trial = np.arange(self.shape[0])[:, None, None]
        phi = self.phi[..., None]
        by_feature = p.features.transpose(0, 2, 1)
        for k in range(p.arms):
            all_nodes = 1 + k * nodes + np.arange(nodes)
            current = 1 + k * nodes + self.node[..., k]
            own = p.own[trial, all_nodes, all_nodes]
            own = own - phi * p.beside[trial, all_nodes, all_nodes]
            own = (own + phi**2 * p.inner[trial, all_nodes, all_nodes]) / (1.0 - phi**2)
            free = self.residual + self.terms[..., 1 + k, None] * by_feature[trial[..., 0], current]
            product = self._weighted(free) @ p.features[:, :, all_nodes]
            spread = 1.0 / (own / variance + prior.sd**-2.0)
            centre = spread * (product / variance + prior.mean * prior.sd**-2.0)
            log_weight = 0.5 * np.log(spread) + 0.5 * centre**2 / spread + p.log_prior[k]
            self.node[..., k] = _chosen(log_weight, self.generator)
            at = self.node[..., k, None]
            effect = np.take_along_axis(centre, at, axis=-1)[..., 0]
            sd = np.sqrt(np.take_along_axis(spread, at, axis=-1)[..., 0])
            effect = effect + sd * self.generator.standard_normal(self.shape)
            self.terms[..., 1 + k] = effect
            chosen = by_feature[trial[..., 0], 1 + k * nodes + self.node[..., k]]
            self.residual = free - effect[..., None] * chosen
        self.mean = self.latent - self.residual

    def _draw_shared_node(self) -> None:
        """Draw the one half-life of all arms given the effects."""
        p = self.problem
        nodes = p.nodes.shape[1]
        size, days = p.features.shape[:2]
        exposure = p.features[:, :, 1 : 1 + p.arms * nodes].reshape(size, days, p.arms, nodes)
        effect = self.terms[..., 1 : 1 + p.arms]
        daily = np.einsum("bck,bnkg->bcng", effect, exposure, optimize=True)
        at = self.node[..., :1][..., None]
        free = self.residual + np.take_along_axis(daily, at, axis=-1)[..., 0]
        rest = (free[..., None] - daily).swapaxes(-1, -2)
        phi = self.phi[..., None]
        product = (rest**2).sum(axis=-1) - 2 * phi * (rest[..., 1:] * rest[..., :-1]).sum(axis=-1)
        product += phi**2 * (rest[..., 1:-1] ** 2).sum(axis=-1)
        log_weight = p.log_prior[0] - 0.5 * product / (1.0 - phi**2) / self.sd[..., None] ** 2
        self.node[...] = _chosen(log_weight, self.generator)[..., None]
        self.residual = np.take_along_axis(rest, self.node[..., :1][..., None], axis=-2)[..., 0, :]
        self.mean = self.latent - self.residual

    def _ratio(self) -> Floats:
        """(B, C) the SD of latent pain as a share of that of the latent net burden, in periods."""
        p = self.problem
        if not p.weighed:
            return np.ones(self.shape)
        latent = self.mean + self.residual
        inside = (latent - _period_means(latent, p.averaging, p.period)) * p.rated[:, None, :]
        burden = (inside**2).sum(axis=-1)
        pain = ((inside - p.offset[:, None, :]) ** 2).sum(axis=-1)
        return np.asarray(np.sqrt(pain / np.maximum(burden, 1e-12)))


def _chosen(log_weight: Floats, generator: np.random.Generator) -> Integers:
    """Draw one index along the last axis by weight (Gumbel's trick)."""
    noise = -np.log(generator.standard_exponential(log_weight.shape))
    return np.asarray((log_weight + noise).argmax(axis=-1))


def truncated_normal(low: Floats, high: Floats, uniform: Floats) -> Floats:
    """Return standard normal deviates between two bounds, by inversion in the nearer tail.

    Args:
        low: (...) lower bounds, -inf for none.
        high: (...) upper bounds, inf for none; not below ``low``.
        uniform: (...) deviates in [0, 1).
    """
    flip = low > -high
    least, most = np.where(flip, -high, low), np.where(flip, -low, high)
    below, above = ndtr(least), ndtr(most)
    value = ndtri(below + np.clip(uniform, 1e-15, 1.0 - 1e-15) * (above - below))
    far = most < FAR
    if far.any():
        # So far out the tail is an exponential.
        reach = -np.log(np.clip(uniform, 1e-15, 1.0)) / np.maximum(-most, 1.0)
        value = np.where(far, most - reach, value)
    value = np.clip(value, least, most)
    return np.asarray(np.where(flip, -value, value))


# -- from chains to a posterior --------------------------------------------------------------------


def _quantities(
    kept: Sequence[dict[str, Floats]], trial: int, specification: Specification, problem: _Problem
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


def _convergences(
    kept: Sequence[dict[str, Floats]], specification: Specification, problem: _Problem
) -> list[Convergence]:
    """Judge the chains of each trial, contrasts of the reported means included."""
    found = []
    for trial in range(problem.features.shape[0]):
        every = _quantities(kept, trial, specification, problem)
        reported = [every[f"reported[{label}]"] for label in specification.labels]
        contrasts = [a - b for i, a in enumerate(reported) for b in reported[:i]]
        found.append(convergence(np.array([*every.values(), *contrasts])))
    return found


def _thinned(quantities: dict[str, Floats], draws: int) -> dict[str, Floats]:
    """Return at most ``draws`` of each, as many from every chain, chain after chain."""
    chains, length = next(iter(quantities.values())).shape
    each = min(max(draws // chains, 1), length)
    chosen = np.linspace(0, length - 1, each).round().astype(np.intp)
    return {name: values[:, chosen].reshape(-1) for name, values in quantities.items()}


def _posterior(
    thinned: dict[str, Floats],
    specification: Specification,
    worst: Convergence,
    chains: int,
    seed: int,
    seconds: float,
) -> Posterior:
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
