"""Posterior densities, one line per arm over a common axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trials.web.charts.axes import (
    WIDE,
    WIDTHS,
    Frame,
    Scale,
    Tick,
    area_path,
    finite,
    line_path,
    pixel,
)
from trials.web.charts.rows import BOLD_CHARACTER, lay_rows

_GRID_POINTS = 160


@dataclass(frozen=True, slots=True)
class Curve:
    """The density of one quantity and the figures that are read from it.

    Attributes:
        label: masked arm or parameter.
        xs: grid, ascending.
        density: height at each grid point, any common unit.
        mean: posterior mean.
        q05: 5 % quantile.
        q50: median.
        q95: 95 % quantile.
    """

    label: str
    xs: tuple[float, ...]
    density: tuple[float, ...]
    mean: float
    q05: float
    q50: float
    q95: float


def kernel_density(
    draws: Sequence[float], points: int = _GRID_POINTS
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a Gaussian kernel density of draws on a grid (Silverman's rule, robust spread).

    Draws that are not finite are left out. No draws give two empty tuples.
    """
    values = np.sort(np.asarray(finite(draws), dtype=np.float64))
    if values.size == 0:
        return (), ()
    quartiles = np.quantile(values, [0.25, 0.75])
    robust = float(quartiles[1] - quartiles[0]) / 1.349
    spreads = [s for s in (float(values.std()), robust) if s > 0]
    spread = min(spreads, default=max(0.01, abs(float(values[0])) * 0.01))
    width = 0.9 * spread * values.size ** (-0.2)
    grid = np.linspace(values[0] - 3 * width, values[-1] + 3 * width, points)
    # Linear binning keeps the cost at points² however many draws there are.
    step = float(grid[1] - grid[0])
    place = (values - grid[0]) / step
    left = np.clip(np.floor(place).astype(np.intp), 0, points - 2)
    share = place - left
    weights = np.bincount(left, 1 - share, points) + np.bincount(left + 1, share, points)
    kernel = np.exp(-0.5 * ((grid[:, None] - grid[None, :]) / max(width, step)) ** 2)
    density = kernel @ weights
    density /= density.sum() * step
    return tuple(grid.tolist()), tuple(density.tolist())


def curve(label: str, draws: Sequence[float]) -> Curve:
    """Return the density curve of draws with its mean and quantiles.

    Raises:
        ValueError: no draw is finite; a failed fit has no picture.
    """
    clean = finite(draws)
    if not clean:
        raise ValueError(f"There are no finite draws of {label}.")
    xs, density = kernel_density(clean)
    q05, q50, q95 = np.quantile(clean, [0.05, 0.5, 0.95]).tolist()
    return Curve(label, xs, density, math.fsum(clean) / len(clean), q05, q50, q95)


@dataclass(frozen=True, slots=True)
class Ridge:
    """One density as drawn on its own line: area, outline, the 5-95 % part and the median."""

    label: str
    index: int
    area: str
    outline: str
    inner: str
    median: float
    median_top: float
    baseline: float
    label_y: float


@dataclass(frozen=True, slots=True)
class DensityPlot:
    """One layout of several densities over a common axis; long labels stand above their line."""

    size: str
    frame: Frame
    x_ticks: tuple[Tick, ...]
    ridges: tuple[Ridge, ...]
    reference: float | None
    labels_above: bool


@dataclass(frozen=True, slots=True)
class DensityChart:
    """Posterior densities, one line per arm. ``rows`` are the curves with their figures."""

    plots: tuple[DensityPlot, ...]
    rows: tuple[Curve, ...]


def density_chart(curves: Sequence[Curve], *, reference: float | None = None) -> DensityChart:
    """Lay out densities below each other on one axis; every line carries its own label.

    Args:
        curves: in the order to show; heights are comparable between them.
        reference: a value to mark with a vertical line, such as 0 or another arm's mean.
    """
    shown = [c for c in curves if c.xs]
    return DensityChart(
        plots=tuple(_density_plot(size, width, shown, reference) for size, width in WIDTHS),
        rows=tuple(curves),
    )


def _density_plot(
    size: str, width: float, curves: Sequence[Curve], reference: float | None
) -> DensityPlot:
    space = 78.0 if size == WIDE else 70.0
    longest = max((len(c.label) for c in curves), default=1)
    beside = max(44.0 if size == WIDE else 30.0, longest * BOLD_CHARACTER + 16.0)
    above = beside > width * 0.3
    rows = lay_rows(
        size,
        width,
        [v for c in curves for v in (c.xs[0], c.xs[-1])],
        include=() if reference is None else (reference,),
        count=len(curves),
        height=space + 22.0 if above else space,
        beside=beside,
        above=above,
        top=12.0,
        bottom=46.0,
    )
    x = rows.x
    peak = max((max(c.density) for c in curves), default=1.0) or 1.0
    ridges = []
    for index, item in enumerate(curves):
        baseline = rows.frame.top + rows.height * (index + 1)
        y = Scale(0.0, peak, baseline, baseline - space + 10.0)
        points = [(x.at(a), y.at(b)) for a, b in zip(item.xs, item.density, strict=True)]
        inner = [
            p for p, value in zip(points, item.xs, strict=True) if item.q05 <= value <= item.q95
        ]
        middle = float(np.interp(item.q50, item.xs, item.density))
        ridges.append(
            Ridge(
                label=item.label,
                index=index,
                area=area_path(points, baseline),
                outline=line_path(points),
                inner=area_path(inner, baseline) if len(inner) > 1 else "",
                median=x.at(item.q50),
                median_top=y.at(middle),
                baseline=pixel(baseline),
                label_y=pixel(baseline - rows.height + 22.0 if above else baseline - 6.0),
            )
        )
    return DensityPlot(
        size=size,
        frame=rows.frame,
        x_ticks=rows.x_ticks,
        ridges=tuple(ridges),
        reference=None if reference is None else x.at(reference),
        labels_above=above,
    )
