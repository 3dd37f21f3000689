"""Intervals of contrasts, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trials.web.charts.axes import NARROW, WIDTHS, Frame, Tick, finite, pixel
from trials.web.charts.rows import BOLD_CHARACTER, lay_rows


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
        plots=tuple(_forest_plot(size, width, intervals, rope, zero) for size, width in WIDTHS),
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
    beside = longest * BOLD_CHARACTER + 24.0
    above = size == NARROW or beside > width * 0.4
    rows = lay_rows(
        size,
        width,
        finite(v for i in intervals for v in (i.q05, i.q95, i.mean)),
        include=(zero, *(rope or ())),
        count=len(intervals),
        height=52.0 if above else 40.0,
        beside=beside,
        above=above,
        top=14.0,
        bottom=48.0,
    )
    x = rows.x
    drawn = []
    for index, item in enumerate(intervals):
        top = rows.frame.top + rows.height * index
        y = top + (36.0 if above else rows.height / 2)
        drawn.append(
            ForestRow(
                label=item.label,
                index=index,
                y=pixel(y),
                label_y=pixel(top + 18.0 if above else y + 5.0),
                start=x.at(item.q05),
                end=x.at(item.q95),
                mean=x.at(item.mean),
            )
        )
    band = None
    if rope is not None:
        band = (x.at(rope[0]), pixel(x.at(rope[1]) - x.at(rope[0])))
    return ForestPlot(
        size=size,
        frame=rows.frame,
        x_ticks=rows.x_ticks,
        rows=tuple(drawn),
        rope=band,
        zero=x.at(zero),
        labels_above=above,
    )
