"""Probabilities as bars, and natural frequencies: out of a hundred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trials.web.charts.axes import Frame, pixel


@dataclass(frozen=True, slots=True)
class ProbabilityBar:
    """One probability: ``sign`` is "<" or ">" where a whole percent would claim certainty."""

    label: str
    index: int
    probability: float
    sign: str
    share: float
    width: float


def whole_percent(probability: float) -> tuple[str, float]:
    """Return a sign and a share of whole percents that never reads as certain.

    Draws cannot show 0 or 100 %: below 0.5 % it is "< 1 %", from 99.5 % on "> 99 %".
    """
    if probability < 0.005:
        return "<", 0.01
    if probability >= 0.995:
        return ">", 0.99
    return "", math.floor(probability * 100 + 0.5) / 100


def probability_bars(shares: Sequence[tuple[str, float]]) -> tuple[ProbabilityBar, ...]:
    """Lay out probabilities as bars of 0 to 100 units.

    Raises:
        ValueError: a probability is not a number from 0 to 1.
    """
    bars = []
    for index, (label, probability) in enumerate(shares):
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"The probability of {label} is {probability}, not from 0 to 1.")
        sign, share = whole_percent(probability)
        bars.append(
            ProbabilityBar(label, index, probability, sign, share, pixel(probability * 100))
        )
    return tuple(bars)


@dataclass(frozen=True, slots=True)
class Icon:
    """One of the hundred: center and the group it belongs to."""

    x: float
    y: float
    group: int


@dataclass(frozen=True, slots=True)
class IconGroup:
    """A group of the array with its whole count."""

    label: str
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class IconArray:
    """Natural frequencies: ``icons`` in reading order, ``rows`` their counts."""

    frame: Frame
    icons: tuple[Icon, ...]
    rows: tuple[IconGroup, ...]
    total: int


def icon_array(
    groups: Sequence[tuple[str, float]], total: int = 100, per_row: int = 10
) -> IconArray:
    """Lay out a hundred icons in groups; the counts are rounded so that they add up.

    Args:
        groups: (label, share from 0 to 1); what is missing to 1 must be a group of its own.
        total: number of icons.
        per_row: icons side by side.

    Raises:
        ValueError: the shares do not add up to 1.
    """
    if not math.isclose(math.fsum(s for _, s in groups), 1.0, abs_tol=1e-6):
        raise ValueError("The shares of an icon array must add up to 1.")
    counts = round_to_total([s for _, s in groups], total)
    step, radius = 28.0, 11.0
    owners = [g for g, count in enumerate(counts) for _ in range(count)]
    icons = tuple(
        Icon(pixel(radius + 3 + i % per_row * step), pixel(radius + 3 + i // per_row * step), g)
        for i, g in enumerate(owners)
    )
    lines = math.ceil(total / per_row)
    width, height = per_row * step, lines * step
    return IconArray(
        frame=Frame(width, height, 0.0, width, 0.0, height),
        icons=icons,
        rows=tuple(
            IconGroup(label, i, count)
            for i, ((label, _), count) in enumerate(zip(groups, counts, strict=True))
        ),
        total=total,
    )


def round_to_total(shares: Sequence[float], total: int) -> tuple[int, ...]:
    """Return whole counts that add up to ``total`` (largest remainders; ties to the earlier)."""
    exact = [share * total for share in shares]
    counts = [math.floor(value + 1e-9) for value in exact]
    order = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in order[: max(0, total - sum(counts))]:
        counts[i] += 1
    return tuple(counts)
