"""Scales, ticks, frames and path strings: what every chart is laid out with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

type Number = float | int | None

WIDE, NARROW = "wide", "narrow"
WIDTHS = ((WIDE, 600.0), (NARROW, 340.0))
_DAY_STEPS = (1, 2, 7, 14, 28, 56, 84, 182, 364)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to pixels.

    Attributes:
        low: the value at ``start``.
        high: the value at ``end``; never equal to ``low``.
        start: pixel of ``low``.
        end: pixel of ``high`` (smaller than ``start`` on a vertical axis).
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value, to a tenth; values outside stop at the ends."""
        share = (value - self.low) / (self.high - self.low)
        share = min(1.0, max(0.0, share))
        return pixel(self.start + share * (self.end - self.start))


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark of an axis: where it stands, what it says, with how many decimals."""

    at: float
    value: float
    digits: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The view box and the edges of the plotting area inside it, in pixels."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


def nice_ticks(low: float, high: float, count: int = 5) -> tuple[tuple[float, ...], int]:
    """Return about ``count`` round values that lie within an interval, and their decimals.

    Steps are 1, 2 or 5 times a power of ten. An empty or reversed interval gives the one value
    ``low``.
    """
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return (low,), 0 if float(low).is_integer() else 2
    raw = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw * (1 - 1e-9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(k * step, digits) + 0.0 for k in range(first, last + 1)), digits


def domain(values: Iterable[float], *, include: Iterable[float] = ()) -> tuple[float, float]:
    """Return an interval around the values with a small margin; never of zero length."""
    everything = [*values, *include]
    if not everything:
        return 0.0, 1.0
    low, high = min(everything), max(everything)
    margin = max(1.0, abs(low) * 0.1) if high <= low else (high - low) * 0.06
    return low - margin, high + margin


def ticks(scale: Scale, count: int) -> tuple[Tick, ...]:
    """Return about so many marks at round values of a scale."""
    values, digits = nice_ticks(scale.low, scale.high, count)
    return tuple(Tick(scale.at(v), v, digits) for v in values)


def day_ticks(scale: Scale, first: int, last: int, most: int) -> tuple[Tick, ...]:
    """Return ticks at whole weeks where there are enough days, at every day where few."""
    days = last - first + 1
    step = next((s for s in _DAY_STEPS if days / s <= most), math.ceil(days / most))
    marks = [d for d in range(first, last + 1) if d % step == 0] or [first]
    return tuple(Tick(scale.at(d), d, 0) for d in marks)


def finite(values: Iterable[Number]) -> list[float]:
    """Return the values that are numbers."""
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def pixel(value: float) -> float:
    """Return a place to a tenth of a pixel."""
    return round(value, 1) + 0.0  # + 0.0 turns -0.0 into 0.0


def _text(value: float) -> str:
    return f"{pixel(value):g}"


def line_path(points: Sequence[tuple[float, float]]) -> str:
    """Return the path data of a line through the points."""
    return "M" + "L".join(f"{_text(x)} {_text(y)}" for x, y in points)


def area_path(points: Sequence[tuple[float, float]], baseline: float) -> str:
    """Return the path data of the area between the points and a baseline."""
    feet = ((points[-1][0], baseline), (points[0][0], baseline))
    return f"{line_path([*points, *feet])}Z"
