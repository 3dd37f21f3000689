"""What is linear and Gaussian, integrated in closed form at many nodes at once.

Cross-products under the inverse correlation of the noise come first; one sweep takes the
period effects out of them, and a Cholesky factor the level, the arm effects and the drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.exact.layout import Batch, prior_of_terms
from models.specification import Specification

type Floats = NDArray[np.float64]


type Symmetric = list[list[Floats]]
"""The lower triangle of a matrix for many nodes at once: element [i][j], j <= i, is an array."""


def noise_precision(gap: Floats, real: Floats, phi: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the inverse correlation of AR(1) noise over gaps, a tridiagonal matrix.

    Args:
        gap: (B, n, 1) days since the last observed day.
        real: (B, n, 1) 1 for observed days.
        phi: (B, 1, F) autocorrelations.

    Returns:
        diagonal (B, n, F); element (i, i + 1) (B, n, F), the last being 0; log determinant
        of the correlation (B, F).
    """
    lag = np.where(np.isfinite(gap) & (real > 0), gap, 0.0)
    rho = np.where(lag > 0, np.power(phi, lag), 0.0)
    inverse = real / (1.0 - rho**2)
    diagonal = inverse.copy()
    diagonal[:, :-1] += rho[:, 1:] ** 2 * inverse[:, 1:]
    beside = np.zeros_like(diagonal)
    beside[:, :-1] = -rho[:, 1:] * inverse[:, 1:]
    return diagonal, beside, np.log1p(-(rho**2)).sum(axis=1)


@dataclass(frozen=True, slots=True)
class Products:
    """Cross-products under the noise precision, before period effects.

    Attributes:
        gram: symmetric m x m of design and rating.
        period: (P, m, ...) of periods with design and rating.
        diagonal: (P, ...) of periods with themselves.
        beside: (P, ...) of each period with the next.
        log_det: log determinant of the noise correlation.
    """

    gram: Symmetric
    period: Floats
    diagonal: Floats
    beside: Floats
    log_det: Floats


def cross_products(batch: Batch, phi: Floats) -> Products:
    """Return the cross-products at (B, F) autocorrelations; trailing axes (B, H, F)."""
    diagonal, beside, log_det = noise_precision(
        batch.gap[..., None], batch.real[..., None], phi[:, None, :]
    )
    columns = batch.columns
    m, size, shared = columns.shape[3], columns.shape[0], columns.shape[1]
    after, before = np.zeros_like(columns), np.zeros_like(columns)
    after[:, :, :-1] = columns[:, :, 1:]
    before[:, :, 1:] = columns[:, :, :-1]
    beside_before = np.zeros_like(beside)
    beside_before[:, 1:] = beside[:, :-1]
    weighted = (
        diagonal[:, None, :, :, None] * columns[:, :, :, None, :]
        + beside[:, None, :, :, None] * after[:, :, :, None, :]
        + beside_before[:, None, :, :, None] * before[:, :, :, None, :]
    )  # (B, H, n, F, m)
    nodes = phi.shape[1]
    flat = weighted.reshape(size, shared, columns.shape[2], nodes * m)
    own = np.matmul(columns.transpose(0, 1, 3, 2), flat).reshape(size, shared, m, nodes, m)
    by_period = np.matmul(batch.period.transpose(0, 2, 1)[:, None], flat)
    by_period = by_period.reshape(size, shared, -1, nodes, m)
    same = np.zeros_like(batch.real)
    same[:, :-1] = (batch.period[:, :-1] * batch.period[:, 1:]).sum(axis=2)
    within = diagonal + 2.0 * beside * same[..., None]
    across = beside * (1.0 - same[..., None])
    to_period = batch.period.transpose(0, 2, 1)
    gram = [[np.ascontiguousarray(own[:, :, i, :, j]) for j in range(i + 1)] for i in range(m)]
    return Products(
        gram,
        np.ascontiguousarray(by_period.transpose(2, 4, 0, 1, 3)),
        np.matmul(to_period, within).transpose(1, 0, 2)[:, :, None, :],
        np.matmul(to_period, across).transpose(1, 0, 2)[:, :, None, :],
        log_det[:, None, :],
    )


def without_periods(products: Products, ratio: Floats | None) -> tuple[Symmetric, Floats]:
    """Integrate the period effects out of the cross-products.

    The periods' own matrix is tridiagonal, since only neighbouring days are correlated, so
    one sweep over the periods eliminates them for all nodes at once.

    Args:
        products: with trailing axes that broadcast against ``ratio``.
        ratio: variance of period effects over that of the noise; None leaves them out.

    Returns:
        the m x m cross-products under noise and periods; log determinant of both.
    """
    if ratio is None:
        return products.gram, products.log_det
    m = products.period.shape[1]
    gram = [
        [np.broadcast_to(g, np.broadcast_shapes(g.shape, ratio.shape)).copy() for g in row]
        for row in products.gram
    ]
    log_det = products.log_det + np.zeros_like(ratio)
    pivot = 1.0 + ratio * products.diagonal[0]
    row = products.period[0] + np.zeros_like(pivot)
    for p in range(products.period.shape[0]):
        if p:
            off = ratio * products.beside[p - 1]
            factor = off / pivot
            pivot = 1.0 + ratio * products.diagonal[p] - factor * off
            row = products.period[p] - factor * row
        scaled = row * (ratio / pivot)
        for i in range(m):
            for j in range(i + 1):
                gram[i][j] -= scaled[i] * row[j]
        log_det = log_det + np.log(pivot)
    return gram, log_det


def in_prior_units(gram: Symmetric, specification: Specification) -> Symmetric:
    """Return the cross-products with terms in prior standard deviations from their means."""
    mean, sd = prior_of_terms(specification)
    q = mean.size
    shifted = [i for i in range(q) if mean[i]]
    row = list(gram[q])
    for i in shifted:
        row[q] = row[q] - 2 * mean[i] * gram[q][i] + mean[i] ** 2 * gram[i][i]
        for j in range(i):
            if mean[j]:
                row[q] = row[q] + 2 * mean[i] * mean[j] * gram[i][j]
    for j in range(q):
        for i in shifted:
            row[j] = row[j] - mean[i] * gram[max(i, j)][min(i, j)]
    scaled: Symmetric = [[gram[i][j] * (sd[i] * sd[j]) for j in range(i + 1)] for i in range(q)]
    scaled.append([row[j] * sd[j] for j in range(q)] + [row[q]])
    return scaled


def factorize(scaled: Symmetric, variance: Floats) -> tuple[Symmetric, list[Floats]]:
    """Return Cholesky rows of (variance I + X'X) and the solved right-hand side.

    The last row of ``scaled`` is X'y; both come from one sweep. The diagonal of the factor
    holds the reciprocals.
    """
    q = len(scaled) - 1
    factor: Symmetric = []
    solved: list[Floats] = []
    for i in range(q):
        line: list[Floats] = []
        for j in range(i + 1):
            value = scaled[i][j] + variance if i == j else scaled[i][j] + np.zeros_like(variance)
            for k in range(j):
                value -= line[k] * (factor[j][k] if j < i else line[k])
            line.append(1.0 / np.sqrt(value) if i == j else value * factor[j][j])
        factor.append(line)
    for i in range(q):
        value = scaled[q][i] + np.zeros_like(variance)
        for k in range(i):
            value -= factor[i][k] * solved[k]
        solved.append(value * factor[i][i])
    return factor, solved
