"""How a sampler went: traces and rank histograms of its chains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from trials.web.charts.axes import (
    WIDE,
    WIDTHS,
    Frame,
    Scale,
    Tick,
    domain,
    finite,
    line_path,
    pixel,
    ticks,
)


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One chain as drawn."""

    index: int
    path: str


@dataclass(frozen=True, slots=True)
class TracePlot:
    """One layout of the chains of one quantity."""

    size: str
    frame: Frame
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[TraceLine, ...]


@dataclass(frozen=True, slots=True)
class ChainRow:
    """What one chain says, for the table."""

    chain: int
    draws: int
    mean: float
    sd: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class TraceChart:
    """Draws in the order they were made, one thin line per chain."""

    plots: tuple[TracePlot, ...]
    rows: tuple[ChainRow, ...]


def trace_chart(chains: Sequence[Sequence[float]]) -> TraceChart:
    """Lay out the chains of one quantity, thinned so that every excursion stays visible.

    Of each stretch of draws the lowest and the highest are kept in their order, so a stuck chain
    or a jump is seen however long the chain is.
    """
    clean = [finite(chain) for chain in chains]
    clean = [chain for chain in clean if chain]
    return TraceChart(
        plots=tuple(_trace_plot(size, width, clean) for size, width in WIDTHS),
        rows=tuple(
            ChainRow(
                chain=i + 1,
                draws=len(chain),
                mean=float(np.mean(chain)),
                sd=float(np.std(chain, ddof=1)) if len(chain) > 1 else 0.0,
                lowest=min(chain),
                highest=max(chain),
            )
            for i, chain in enumerate(clean)
        ),
    )


def thin(chain: Sequence[float], most: int) -> tuple[tuple[int, float], ...]:
    """Return at most ``most`` (position, value) pairs that keep the extremes of each stretch."""
    if len(chain) <= most:
        return tuple(enumerate(chain))
    stretches = max(1, most // 2)
    edges = np.linspace(0, len(chain), stretches + 1).astype(int).tolist()
    kept: list[tuple[int, float]] = []
    for start, stop in pairwise(edges):
        places = range(start, stop)
        ends = {min(places, key=lambda i: chain[i]), max(places, key=lambda i: chain[i])}
        kept.extend((i, chain[i]) for i in sorted(ends))
    return tuple(kept)


def _trace_plot(size: str, width: float, chains: Sequence[Sequence[float]]) -> TracePlot:
    height = 190.0 if size == WIDE else 170.0
    frame = Frame(width, height, 44.0, width - 12.0, 8.0, height - 44.0)
    longest = max((len(c) for c in chains), default=1)
    x = Scale(0.0, max(1.0, longest - 1.0), frame.left, frame.right)
    y = Scale(*domain(v for c in chains for v in c), frame.bottom, frame.top)
    most = 320 if size == WIDE else 160
    lines = (
        TraceLine(i, line_path([(x.at(p), y.at(v)) for p, v in thin(chain, most)]))
        for i, chain in enumerate(chains)
    )
    return TracePlot(size, frame, ticks(x, 5 if size == WIDE else 4), ticks(y, 4), tuple(lines))


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class RankPanel:
    """The histogram of one chain's ranks; ``expected`` is the y of a perfectly mixed chain."""

    chain: int
    x: float
    y: float
    width: float
    bars: tuple[Bar, ...]
    expected: float
    baseline: float


@dataclass(frozen=True, slots=True)
class RankPlot:
    """One layout of the panels."""

    size: str
    frame: Frame
    panels: tuple[RankPanel, ...]


@dataclass(frozen=True, slots=True)
class RankRow:
    """The counts of one chain by bin, for the table."""

    chain: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RankChart:
    """Histograms of the pooled ranks of each chain; flat when the chains agree."""

    plots: tuple[RankPlot, ...]
    rows: tuple[RankRow, ...]
    expected: float


def rank_chart(chains: Sequence[Sequence[float]], bins: int = 20) -> RankChart:
    """Lay out rank plots (Vehtari and others 2021): the ranks of each chain among all draws.

    Args:
        chains: draws of one quantity, chains of equal length.
        bins: of each histogram.
    """
    sizes = [len(chain) for chain in chains]
    total = sum(sizes)
    counts: list[tuple[int, ...]] = []
    if total:
        pooled = np.concatenate([np.asarray(chain, dtype=np.float64) for chain in chains])
        ranks = np.empty(total, dtype=np.intp)
        ranks[np.argsort(pooled, kind="stable")] = np.arange(total)
        start = 0
        for length in sizes:
            heights = np.bincount(ranks[start : start + length] * bins // total, minlength=bins)
            counts.append(tuple(int(h) for h in heights))
            start += length
    return rank_histograms(counts)


def rank_histograms(counts: Sequence[Sequence[int]]) -> RankChart:
    """Lay out rank plots from the counts of each chain's ranks by bin."""
    counts = [tuple(chain) for chain in counts if chain]
    bins = sum(len(chain) for chain in counts)
    expected = sum(sum(chain) for chain in counts) / bins if bins else 0.0
    return RankChart(
        plots=tuple(_rank_plot(size, width, counts, expected) for size, width in WIDTHS),
        rows=tuple(RankRow(i + 1, tuple(c)) for i, c in enumerate(counts)),
        expected=expected,
    )


def _rank_plot(
    size: str, width: float, counts: Sequence[Sequence[int]], expected: float
) -> RankPlot:
    columns = 4 if size == WIDE else 2
    gap, panel_height, title = 16.0, 84.0, 26.0
    panel_width = (width - gap * (columns - 1)) / columns
    lines = max(1, math.ceil(len(counts) / columns))
    frame = Frame(width, lines * (panel_height + title + gap), 0.0, width, 0.0, 0.0)
    tallest = max([expected * 1.25, *(float(c) for row in counts for c in row)], default=1.0) or 1.0
    panels = []
    for i, row in enumerate(counts):
        x = (i % columns) * (panel_width + gap)
        y = (i // columns) * (panel_height + title + gap)
        baseline = y + title + panel_height
        scale = Scale(0.0, tallest, baseline, y + title)
        step = panel_width / len(row)
        bars = tuple(
            Bar(
                pixel(x + k * step + 0.5),
                scale.at(c),
                pixel(step - 1.0),
                pixel(baseline - scale.at(c)),
            )
            for k, c in enumerate(row)
        )
        panels.append(
            RankPanel(
                i + 1,
                pixel(x),
                pixel(y + title - 9.0),
                pixel(panel_width),
                bars,
                scale.at(expected),
                pixel(baseline),
            )
        )
    return RankPlot(size, frame, tuple(panels))
