"""Labeled lines below each other over one axis: what densities and intervals share.

A label stands beside its line where there is room, else above it; it is never cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trials.web.charts.axes import WIDE, Frame, Scale, Tick, domain, ticks

BOLD_CHARACTER = 10.0  # pixels of one character of a bold label, on the safe side


@dataclass(frozen=True, slots=True)
class Rows:
    """Where the lines go.

    Attributes:
        frame: view box and plotting area.
        x: the common axis.
        x_ticks: its marks.
        height: of one line with its label.
        above: whether labels stand above their line.
    """

    frame: Frame
    x: Scale
    x_ticks: tuple[Tick, ...]
    height: float
    above: bool


def lay_rows(
    size: str,
    width: float,
    values: Iterable[float],
    *,
    include: Iterable[float] = (),
    count: int,
    height: float,
    beside: float,
    above: bool,
    top: float,
    bottom: float,
) -> Rows:
    """Lay out lines over an axis that holds all values.

    Args:
        size: of the layout.
        width: of the layout, in pixels.
        values: what is drawn.
        include: what the axis holds besides.
        count: number of lines.
        height: of one line with its label.
        beside: room for labels that stand beside their line.
        above: whether labels stand above their line instead.
        top: margin above the lines.
        bottom: margin below them, for the axis.
    """
    whole = top + height * max(1, count) + bottom
    frame = Frame(width, whole, 12.0 if above else beside, width - 12.0, top, whole - bottom)
    x = Scale(*domain(values, include=include), frame.left, frame.right)
    return Rows(frame, x, ticks(x, 8 if size == WIDE else 5), height, above)
