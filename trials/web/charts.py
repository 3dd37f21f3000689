"""Turn numbers into the geometry of the product's charts.

Each public function takes plain numbers and returns one frozen value with everything that
``templates/_macros/charts.html`` and ``timeline.html`` draw: positions and path strings in the
pixels of an SVG view box, ticks, and the rows of the table that says the same in text. Nothing
here knows a language, a web framework or a treatment: labels are given by the caller (masked
arms, numbered periods) and numbers are formatted by the templates for the reader's locale.

A chart is laid out twice, for a phone and for a desk, because text inside a scaled drawing would
otherwise become unreadable on a phone; the style sheet shows one of the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

type Number = float | int | None

WIDE, NARROW = "wide", "narrow"
_WIDTHS = ((WIDE, 600.0), (NARROW, 340.0))
_DAY_STEPS = (1, 2, 7, 14, 28, 56, 84, 182, 364)
_BOLD_CHARACTER = 10.0  # pixels of one character of a bold label, likewise
_CHARACTER = 7.6  # pixels of one character of the charts' 14 px text, on the safe side
_LARGE_CHARACTER = 10.0  # likewise of the bold labels beside densities
_GRID_POINTS = 160


# ---- scales and ticks -------------------------------------------------------------------------


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
        return _pixel(self.start + share * (self.end - self.start))


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


def _domain(values: Iterable[float], *, include: Iterable[float] = ()) -> tuple[float, float]:
    """Return an interval around the values with a small margin; never of zero length."""
    everything = [*values, *include]
    if not everything:
        return 0.0, 1.0
    low, high = min(everything), max(everything)
    margin = max(1.0, abs(low) * 0.1) if high <= low else (high - low) * 0.06
    return low - margin, high + margin


def _ticks(scale: Scale, count: int) -> tuple[Tick, ...]:
    values, digits = nice_ticks(scale.low, scale.high, count)
    return tuple(Tick(scale.at(v), v, digits) for v in values)


def _day_ticks(scale: Scale, first: int, last: int, most: int) -> tuple[Tick, ...]:
    """Return ticks at whole weeks where there are enough days, at every day where few."""
    days = last - first + 1
    step = next((s for s in _DAY_STEPS if days / s <= most), math.ceil(days / most))
    marks = [d for d in range(first, last + 1) if d % step == 0] or [first]
    return tuple(Tick(scale.at(d), d, 0) for d in marks)


def _finite(values: Iterable[Number]) -> list[float]:
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def _pixel(value: float) -> float:
    return round(value, 1) + 0.0  # + 0.0 turns -0.0 into 0.0


def _text(value: float) -> str:
    return f"{_pixel(value):g}"


def _line(points: Sequence[tuple[float, float]]) -> str:
    """Return the path data of a line through the points."""
    return "M" + "L".join(f"{_text(x)} {_text(y)}" for x, y in points)


def _area(points: Sequence[tuple[float, float]], baseline: float) -> str:
    """Return the path data of the area between the points and a baseline."""
    feet = ((points[-1][0], baseline), (points[0][0], baseline))
    return f"{_line([*points, *feet])}Z"


# ---- spans of days ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of days with one meaning.

    Attributes:
        kind: "run_in", "period", "washout" or "follow_up".
        first_day: day of the trial, counted from 1.
        last_day: inclusive.
        label: shown text such as "Period 2"; never a treatment while blinded.
        short: a shorter label for a narrow place, such as "2".
        dates: the dates as text for the table, already in the reader's language.
    """

    kind: str
    first_day: int
    last_day: int
    label: str = ""
    short: str = ""
    dates: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """A span as drawn: its left edge, width and the label that fits into it (or "")."""

    x: float
    width: float
    center: float
    label: str
    kind: str
    even: bool


def _bands(spans: Sequence[Span], scale: Scale) -> tuple[Band, ...]:
    day = (scale.end - scale.start) / (scale.high - scale.low)
    bands: list[Band] = []
    periods = 0
    for span in spans:
        periods += span.kind == "period"
        x = _pixel(scale.at(span.first_day - 0.5))
        width = _pixel((span.last_day - span.first_day + 1) * day)
        fits = (t for t in (span.label, span.short) if t and len(t) * _CHARACTER <= width)
        center = _pixel(x + width / 2)
        bands.append(Band(x, width, center, next(fits, ""), span.kind, periods % 2 == 0))
    return tuple(bands)


# ---- a daily series ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dot:
    """One answered day."""

    x: float
    y: float
    day: int
    value: float


@dataclass(frozen=True, slots=True)
class LinePlot:
    """One layout of a daily series; ``missing`` holds the x of days without an answer."""

    size: str
    frame: Frame
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    paths: tuple[str, ...]
    dots: tuple[Dot, ...]
    missing: tuple[float, ...]
    today: float | None


@dataclass(frozen=True, slots=True)
class LineRow:
    """One day of the text twin: ``value`` is None when the day has no answer."""

    day: int
    label: str
    value: float | None
    span: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """A daily series with gaps. The summary figures are None when nothing was answered."""

    plots: tuple[LinePlot, ...]
    rows: tuple[LineRow, ...]
    first_day: int
    last_day: int
    observed: int
    missing: int
    mean: float | None
    lowest: float | None
    highest: float | None


def line_chart(
    values: Sequence[Number],
    *,
    first_day: int = 1,
    low: float | None = 0.0,
    high: float | None = 10.0,
    spans: Sequence[Span] = (),
    today: int | None = None,
    labels: Sequence[str] = (),
    last_day: int | None = None,
) -> LineChart:
    """Lay out a daily series; a day without an answer breaks the line.

    Args:
        values: one value a day from ``first_day``; None or NaN where the day has no answer.
        first_day: day of the trial of the first value.
        low: lower end of the vertical axis, None for automatic; data outside widen it.
        high: upper end likewise.
        spans: periods to shade, with their masked labels.
        today: a day to mark.
        labels: a text for every day of ``values`` (a date) for the table.
        last_day: how far the axis reaches; days after the last value are not counted as missing.
    """
    clean = [float(v) if v is not None and math.isfinite(v) else None for v in values]
    known = [v for v in clean if v is not None]
    end = max(last_day or first_day, first_day + len(clean) - 1, first_day)
    y_low, y_high = _domain(known)
    y_low = min([low, *known]) if low is not None else y_low
    y_high = max([high, *known]) if high is not None else y_high
    if y_high <= y_low:
        y_high = y_low + 1.0
    return LineChart(
        plots=tuple(
            _line_plot(size, width, clean, first_day, end, (y_low, y_high), spans, today)
            for size, width in _WIDTHS
        ),
        rows=tuple(
            LineRow(
                first_day + i,
                labels[i] if i < len(labels) else "",
                value,
                _span_label(spans, first_day + i),
            )
            for i, value in enumerate(clean)
        ),
        first_day=first_day,
        last_day=end,
        observed=len(known),
        missing=len(clean) - len(known),
        mean=math.fsum(known) / len(known) if known else None,
        lowest=min(known, default=None),
        highest=max(known, default=None),
    )


def _span_label(spans: Sequence[Span], day: int) -> str:
    return next((s.label for s in spans if s.first_day <= day <= s.last_day), "")


def _line_plot(
    size: str,
    width: float,
    values: Sequence[float | None],
    first: int,
    last: int,
    domain: tuple[float, float],
    spans: Sequence[Span],
    today: int | None,
) -> LinePlot:
    height = 280.0 if size == WIDE else 250.0
    top = 34.0 if spans else 12.0
    frame = Frame(width, height, 34.0, width - 10.0, top, height - 44.0)
    x = Scale(first - 0.5, last + 0.5, frame.left, frame.right)
    y = Scale(*domain, frame.bottom, frame.top)
    dots = tuple(
        Dot(x.at(first + i), y.at(v), first + i, v) for i, v in enumerate(values) if v is not None
    )
    runs: list[list[Dot]] = []
    for dot in dots:
        if runs and runs[-1][-1].day == dot.day - 1:
            runs[-1].append(dot)
        else:
            runs.append([dot])
    return LinePlot(
        size=size,
        frame=frame,
        x_ticks=_day_ticks(x, first, last, 13 if size == WIDE else 6),
        y_ticks=_ticks(y, 5),
        bands=_bands(spans, x),
        paths=tuple(_line([(d.x, d.y) for d in run]) for run in runs if len(run) > 1),
        dots=dots,
        missing=tuple(x.at(first + i) for i, v in enumerate(values) if v is None),
        today=x.at(today) if today is not None and first <= today <= last else None,
    )


# ---- posterior densities ----------------------------------------------------------------------


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
    values = np.sort(np.asarray(_finite(draws), dtype=np.float64))
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
    clean = _finite(draws)
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
        plots=tuple(_density_plot(size, width, shown, reference) for size, width in _WIDTHS),
        rows=tuple(curves),
    )


def _density_plot(
    size: str, width: float, curves: Sequence[Curve], reference: float | None
) -> DensityPlot:
    space = 78.0 if size == WIDE else 70.0
    longest = max((len(c.label) for c in curves), default=1)
    beside = max(44.0 if size == WIDE else 30.0, longest * _LARGE_CHARACTER + 16.0)
    above = beside > width * 0.3
    left = 12.0 if above else beside
    row = space + 22.0 if above else space
    height = 12.0 + row * max(1, len(curves)) + 46.0
    frame = Frame(width, height, left, width - 12.0, 12.0, height - 46.0)
    extent = [v for c in curves for v in (c.xs[0], c.xs[-1])]
    low, high = _domain(extent, include=() if reference is None else (reference,))
    x = Scale(low, high, frame.left, frame.right)
    peak = max((max(c.density) for c in curves), default=1.0) or 1.0
    ridges = []
    for index, item in enumerate(curves):
        baseline = frame.top + row * (index + 1)
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
                area=_area(points, baseline),
                outline=_line(points),
                inner=_area(inner, baseline) if len(inner) > 1 else "",
                median=x.at(item.q50),
                median_top=y.at(middle),
                baseline=_pixel(baseline),
                label_y=_pixel(baseline - row + 22.0 if above else baseline - 6.0),
            )
        )
    return DensityPlot(
        size=size,
        frame=frame,
        x_ticks=_ticks(x, 8 if size == WIDE else 5),
        ridges=tuple(ridges),
        reference=None if reference is None else x.at(reference),
        labels_above=above,
    )


# ---- intervals of contrasts -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """One estimate: a label such as "A minus B", its mean and its 5 and 95 % quantiles."""

    label: str
    mean: float
    q05: float
    q95: float


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One interval as drawn; ``start`` and ``end`` stop at the edges of the plot."""

    label: str
    index: int
    y: float
    label_y: float
    start: float
    end: float
    mean: float


@dataclass(frozen=True, slots=True)
class ForestPlot:
    """One layout of intervals; ``rope`` is (x, width) of the band too small to matter."""

    size: str
    frame: Frame
    x_ticks: tuple[Tick, ...]
    rows: tuple[ForestRow, ...]
    rope: tuple[float, float] | None
    zero: float
    labels_above: bool


@dataclass(frozen=True, slots=True)
class ForestChart:
    """Contrasts with the zero line and the band of differences too small to matter (ROPE)."""

    plots: tuple[ForestPlot, ...]
    rows: tuple[Interval, ...]
    rope: tuple[float, float] | None


def forest_chart(
    intervals: Sequence[Interval], *, rope: tuple[float, float] | None = None, zero: float = 0.0
) -> ForestChart:
    """Lay out contrasts as intervals, one below the other.

    Args:
        intervals: in points of the outcome; negative is in favor of the first arm when lower
            is better.
        rope: the band of differences too small to matter, such as (-0.5, 0.5).
        zero: where "no difference" stands.
    """
    return ForestChart(
        plots=tuple(_forest_plot(size, width, intervals, rope, zero) for size, width in _WIDTHS),
        rows=tuple(intervals),
        rope=rope,
    )


def _forest_plot(
    size: str,
    width: float,
    intervals: Sequence[Interval],
    rope: tuple[float, float] | None,
    zero: float,
) -> ForestPlot:
    longest = max((len(i.label) for i in intervals), default=0)
    beside = longest * _BOLD_CHARACTER + 24.0
    above = size == NARROW or beside > width * 0.4  # a label is never cut off
    row = 52.0 if above else 40.0
    left = 12.0 if above else beside
    height = 14.0 + row * max(1, len(intervals)) + 48.0
    frame = Frame(width, height, left, width - 12.0, 14.0, height - 48.0)
    extent = _finite(v for i in intervals for v in (i.q05, i.q95, i.mean))
    low, high = _domain(extent, include=(zero, *(rope or ())))
    x = Scale(low, high, frame.left, frame.right)
    rows = []
    for index, item in enumerate(intervals):
        top = frame.top + row * index
        y = top + (36.0 if above else row / 2)
        rows.append(
            ForestRow(
                label=item.label,
                index=index,
                y=_pixel(y),
                label_y=_pixel(top + 18.0 if above else y + 5.0),
                start=x.at(item.q05),
                end=x.at(item.q95),
                mean=x.at(item.mean),
            )
        )
    band = None
    if rope is not None:
        band = (x.at(rope[0]), _pixel(x.at(rope[1]) - x.at(rope[0])))
    return ForestPlot(
        size=size,
        frame=frame,
        x_ticks=_ticks(x, 8 if size == WIDE else 5),
        rows=tuple(rows),
        rope=band,
        zero=x.at(zero),
        labels_above=above,
    )


# ---- probabilities ----------------------------------------------------------------------------


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
            ProbabilityBar(label, index, probability, sign, share, _pixel(probability * 100))
        )
    return tuple(bars)


# ---- diagnostics ------------------------------------------------------------------------------


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
    clean = [_finite(chain) for chain in chains]
    clean = [chain for chain in clean if chain]
    return TraceChart(
        plots=tuple(_trace_plot(size, width, clean) for size, width in _WIDTHS),
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
    y = Scale(*_domain(v for c in chains for v in c), frame.bottom, frame.top)
    most = 320 if size == WIDE else 160
    lines = (
        TraceLine(i, _line([(x.at(p), y.at(v)) for p, v in thin(chain, most)]))
        for i, chain in enumerate(chains)
    )
    return TracePlot(size, frame, _ticks(x, 5 if size == WIDE else 4), _ticks(y, 4), tuple(lines))


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
        plots=tuple(_rank_plot(size, width, counts, expected) for size, width in _WIDTHS),
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
                _pixel(x + k * step + 0.5),
                scale.at(c),
                _pixel(step - 1.0),
                _pixel(baseline - scale.at(c)),
            )
            for k, c in enumerate(row)
        )
        panels.append(
            RankPanel(
                i + 1,
                _pixel(x),
                _pixel(y + title - 9.0),
                _pixel(panel_width),
                bars,
                scale.at(expected),
                _pixel(baseline),
            )
        )
    return RankPlot(size, frame, tuple(panels))


# ---- out of a hundred -------------------------------------------------------------------------


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
        Icon(_pixel(radius + 3 + i % per_row * step), _pixel(radius + 3 + i // per_row * step), g)
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


# ---- days and periods -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Day:
    """One expected diary day.

    Attributes:
        day: day of the trial, counted from 1.
        state: "answered", "late", "missed", "open" or "future".
    """

    day: int
    state: str


@dataclass(frozen=True, slots=True)
class DayMark:
    """A day as drawn: the left upper corner of its cell, and its size."""

    x: float
    y: float
    width: float
    height: float
    day: int
    state: str


@dataclass(frozen=True, slots=True)
class SpanRow:
    """The text of one span: how its days stand so far."""

    span: Span
    answered: int
    late: int
    missed: int
    open: int
    future: int

    @property
    def expected(self) -> int:
        """Return the days that could have been answered by now."""
        return self.answered + self.late + self.missed


@dataclass(frozen=True, slots=True)
class TimelinePlot:
    """One layout of the timeline: the band of spans, and a mark for every diary day."""

    size: str
    frame: Frame
    bar_top: float
    bar_height: float
    bands: tuple[Band, ...]
    washouts: tuple[Band, ...]
    marks: tuple[DayMark, ...]
    x_ticks: tuple[Tick, ...]
    today: float | None
    today_anchor: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The whole trial on one line, and its text twin by span."""

    plots: tuple[TimelinePlot, ...]
    rows: tuple[SpanRow, ...]
    first_day: int
    last_day: int
    today: int | None


def timeline(spans: Sequence[Span], days: Sequence[Day] = (), today: int | None = None) -> Timeline:
    """Lay out a trial: spans as blocks, washout hatched over its period, a mark per diary day.

    Args:
        spans: run-in, periods, follow-up, in order; washout days overlap the period they open.
        days: the expected diary days with their states.
        today: the day to mark; None before the start and after the end.
    """
    first = min((s.first_day for s in spans), default=1)
    last = max((s.last_day for s in spans), default=first)
    inside = today if today is not None and first <= today <= last else None
    return Timeline(
        plots=tuple(
            _timeline_plot(size, width, spans, days, (first, last), inside)
            for size, width in _WIDTHS
        ),
        rows=_span_rows(spans, days),
        first_day=first,
        last_day=last,
        today=inside,
    )


def _span_rows(spans: Sequence[Span], days: Sequence[Day]) -> tuple[SpanRow, ...]:
    rows = []
    for span in spans:
        states = [d.state for d in days if span.first_day <= d.day <= span.last_day]
        rows.append(
            SpanRow(
                span,
                *(states.count(s) for s in ("answered", "late", "missed", "open", "future")),
            )
        )
    return tuple(rows)


_MARK_HEIGHTS = {"answered": 22.0, "late": 17.0, "missed": 12.0, "open": 22.0, "future": 4.0}


def _timeline_plot(
    size: str,
    width: float,
    spans: Sequence[Span],
    days: Sequence[Day],
    extent: tuple[int, int],
    today: int | None,
) -> TimelinePlot:
    first, last = extent
    bar_top, bar_height = 30.0, 42.0
    floor = bar_top + bar_height + 34.0
    frame = Frame(width, floor + 44.0, 9.0, width - 9.0, bar_top, floor)
    x = Scale(first - 0.5, last + 0.5, frame.left, frame.right)
    step = (frame.right - frame.left) / (last - first + 1)
    mark = min(14.0, max(1.6, step - (2.0 if step > 5 else 0.9)))
    marks = tuple(
        DayMark(
            x=_pixel(x.at(d.day) - mark / 2),
            y=_pixel(floor - _MARK_HEIGHTS.get(d.state, 4.0)),
            width=_pixel(mark),
            height=_MARK_HEIGHTS.get(d.state, 4.0),
            day=d.day,
            state=d.state,
        )
        for d in days
        if first <= d.day <= last
    )
    here = None if today is None else x.at(today)
    anchor = "middle"
    if here is not None and here < 60:
        anchor = "start"
    elif here is not None and here > width - 60:
        anchor = "end"
    return TimelinePlot(
        size=size,
        frame=frame,
        bar_top=bar_top,
        bar_height=bar_height,
        bands=_bands([s for s in spans if s.kind != "washout"], x),
        washouts=_bands([s for s in spans if s.kind == "washout"], x),
        marks=marks,
        x_ticks=_day_ticks(x, first, last, 13 if size == WIDE else 6),
        today=here,
        today_anchor=anchor,
    )


@dataclass(frozen=True, slots=True)
class StripLine:
    """The label of one span in the adherence strip, where it and its count are written."""

    label: str
    y: float
    count_x: float
    row: SpanRow


@dataclass(frozen=True, slots=True)
class StripPlot:
    """One layout of the adherence strip: a cell for each day, a line (or more) for each span."""

    size: str
    frame: Frame
    cells: tuple[DayMark, ...]
    lines: tuple[StripLine, ...]


@dataclass(frozen=True, slots=True)
class AdherenceStrip:
    """Every diary day as a cell, period by period, with counts."""

    plots: tuple[StripPlot, ...]
    rows: tuple[SpanRow, ...]
    answered: int
    expected: int


def adherence_strip(spans: Sequence[Span], days: Sequence[Day]) -> AdherenceStrip:
    """Lay out the diary days of each span in its own line; long spans go on in the next line.

    Args:
        spans: run-in and periods; washout spans are ignored (their days belong to the period).
        days: the expected diary days with their states.
    """
    shown = [s for s in spans if s.kind != "washout"]
    rows = tuple(r for r in _span_rows(shown, days) if r.expected + r.open + r.future)
    return AdherenceStrip(
        plots=tuple(_strip_plot(size, width, rows, days) for size, width in _WIDTHS),
        rows=rows,
        answered=sum(r.answered + r.late for r in rows),
        expected=sum(r.expected for r in rows),
    )


def _strip_plot(size: str, width: float, rows: Sequence[SpanRow], days: Sequence[Day]) -> StripPlot:
    wide = size == WIDE
    per_line, cell, gap = (21, 17.0, 3.0) if wide else (14, 20.0, 4.0)
    left = 100.0 if wide else 0.0
    cells: list[DayMark] = []
    lines: list[StripLine] = []
    y = 0.0
    for row in rows:
        own = [d for d in days if row.span.first_day <= d.day <= row.span.last_day]
        used = min(per_line, len(own)) * (cell + gap)
        count_x = left + used + 8.0 if wide else used - gap
        lines.append(
            StripLine(row.span.label, _pixel(y + (13.0 if wide else 16.0)), _pixel(count_x), row)
        )
        y += 0.0 if wide else 24.0
        for i, day in enumerate(own):
            cells.append(
                DayMark(
                    _pixel(left + i % per_line * (cell + gap)),
                    _pixel(y + i // per_line * (cell + gap)),
                    cell,
                    cell,
                    day.day,
                    day.state,
                )
            )
        y += math.ceil(len(own) / per_line) * (cell + gap) + (8.0 if wide else 10.0)
    return StripPlot(
        size, Frame(width, max(1.0, y), left, width, 0.0, y), tuple(cells), tuple(lines)
    )
