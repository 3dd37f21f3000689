"""Stretches of days: run-in, periods, washouts, and the bands they are drawn as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trials.web.charts.axes import Scale, pixel

CHARACTER = 7.6  # pixels of one character of the charts' 14 px text, on the safe side


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


def bands_of(spans: Sequence[Span], scale: Scale) -> tuple[Band, ...]:
    """Return the spans as drawn over a scale of days; labels only where they fit."""
    day = (scale.end - scale.start) / (scale.high - scale.low)
    bands: list[Band] = []
    periods = 0
    for span in spans:
        periods += span.kind == "period"
        x = pixel(scale.at(span.first_day - 0.5))
        width = pixel((span.last_day - span.first_day + 1) * day)
        fits = (t for t in (span.label, span.short) if t and len(t) * CHARACTER <= width)
        center = pixel(x + width / 2)
        bands.append(Band(x, width, center, next(fits, ""), span.kind, periods % 2 == 0))
    return tuple(bands)
