"""Have Markov chains forgotten where they started, and how many draws are they worth?

Split, rank-normalized R-hat and effective sample sizes of Vehtari et al. (2021), for many
quantities at once; the sampler of ``models.ends`` judges itself by them as PyMC's is judged.
The figures are those of ArviZ to rounding. Its own functions are not used because importing
``arviz_stats`` brings xarray, pandas and scipy.stats along: 3.6 s of processor time and 123 MB,
where a web process may have 150 MB in all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

type Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Convergence:
    """The worst figures over all quantities.

    Attributes:
        r_hat: largest split R-hat of ranks, of the values and of their distance from the median.
        ess_bulk: smallest effective number of draws for a mean.
        ess_tail: smallest effective number of draws for a 5 % or 95 % quantile.
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float


def convergence(chains: Floats) -> Convergence:
    """Judge the chains of one posterior.

    Args:
        chains: (Q, C, N) draws of Q quantities by C chains of N draws, in order.
    """
    halves = _halves(chains)
    folded = np.abs(halves - np.median(halves, axis=(1, 2), keepdims=True))
    ranked = _normal_scores(halves)
    r_hat = np.maximum(_r_hat(ranked), _r_hat(_normal_scores(folded)))
    low, high = np.quantile(chains, (0.05, 0.95), axis=(1, 2))
    tails = [
        effective_draws(_halves((chains <= limit[:, None, None]).astype(np.float64)))
        for limit in (low, high)
    ]
    return Convergence(
        r_hat=float(r_hat.max()),
        ess_bulk=float(effective_draws(ranked).min()),
        ess_tail=float(np.minimum(*tails).min()),
    )


def effective_draws(chains: Floats) -> Floats:
    """(Q,) effective sample sizes of (Q, C, N) chains, by Geyer's initial monotone sequence.

    Autocorrelations are summed in pairs (lags 2k and 2k + 1) up to the first pair that is not
    positive, each pair no larger than the one before; of the pair that ends the sum, an even
    lag above 0 counts once (Vehtari et al. 2021, as Stan does). A quantity that never changes
    counts as its number of draws.
    """
    _, many, length = chains.shape
    centred = chains - chains.mean(axis=2, keepdims=True)
    spectrum = np.fft.rfft(centred, n=2 * length, axis=2)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=2)[..., :length] / length
    within = covariance[..., 0].mean(axis=1) * length / (length - 1)
    total = within * (length - 1) / length
    if many > 1:
        total = total + chains.mean(axis=2).var(axis=1, ddof=1)
    still = total <= 0
    total = np.where(still, 1.0, total)
    correlation = 1.0 - (within[:, None] - covariance.mean(axis=1)) / total[:, None]
    correlation[:, 0] = 1.0
    even = correlation[:, : length // 2 * 2 : 2]
    pairs = even + correlation[:, 1 : length // 2 * 2 : 2]
    last = max((length - 1) // 2 - 1, 0)
    end = np.where((ended := pairs[:, :last] <= 0).any(axis=1), ended.argmax(axis=1), last)
    monotone = np.minimum.accumulate(pairs, axis=1)
    monotone[np.arange(pairs.shape[1]) >= end[:, None]] = 0.0
    row = np.arange(len(even))
    beyond = np.where(pairs[row, end] < 0, np.maximum(even[row, end], 0.0), even[row, end])
    time = np.maximum(-1.0 + 2.0 * monotone.sum(axis=1) + beyond, 1.0 / np.log10(many * length))
    return np.where(still, float(many * length), many * length / time)


def _r_hat(chains: Floats) -> Floats:
    """(Q,) potential scale reduction of (Q, C, N) chains."""
    length = chains.shape[2]
    between = length * chains.mean(axis=2).var(axis=1, ddof=1)
    within = np.maximum(chains.var(axis=2, ddof=1).mean(axis=1), 1e-300)
    return np.asarray(np.sqrt((between / within + length - 1) / length))


def _halves(chains: Floats) -> Floats:
    """(Q, 2C, N/2) each chain as two, so that one that drifts is seen."""
    half = chains.shape[2] // 2
    return np.concatenate([chains[..., :half], chains[..., -half:]], axis=1)


def _normal_scores(chains: Floats) -> Floats:
    """Replace values by the normal quantiles of their ranks; ties share a rank."""
    flat = chains.reshape(len(chains), -1)
    scores = np.empty_like(flat)
    for values, score in zip(flat, scores, strict=True):
        _, index, count = np.unique(values, return_inverse=True, return_counts=True)
        last = np.cumsum(count)
        score[:] = (last - 0.5 * (count - 1))[index]
    return np.asarray(ndtri((scores - 0.375) / (flat.shape[1] + 0.25)).reshape(chains.shape))
