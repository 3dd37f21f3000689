"""A daily series with gaps: pain as the diary tells it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trials.web.charts.axes import (
    WIDE,
    WIDTHS,
    Frame,
    Number,
    Scale,
    Tick,
    day_ticks,
    domain,
    line_path,
    ticks,
)
from trials.web.charts.spans import Band, Span, bands_of


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
    y_low, y_high = domain(known)
    y_low = min([low, *known]) if low is not None else y_low
    y_high = max([high, *known]) if high is not None else y_high
    if y_high <= y_low:
        y_high = y_low + 1.0
    return LineChart(
        plots=tuple(
            _line_plot(size, width, clean, first_day, end, (y_low, y_high), spans, today)
            for size, width in WIDTHS
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
        x_ticks=day_ticks(x, first, last, 13 if size == WIDE else 6),
        y_ticks=ticks(y, 5),
        bands=bands_of(spans, x),
        paths=tuple(line_path([(d.x, d.y) for d in run]) for run in runs if len(run) > 1),
        dots=dots,
        missing=tuple(x.at(first + i) for i, v in enumerate(values) if v is None),
        today=x.at(today) if today is not None and first <= today <= last else None,
    )
