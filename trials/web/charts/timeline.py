"""The whole trial on one line, and every diary day as a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trials.web.charts.axes import WIDE, WIDTHS, Frame, Scale, Tick, day_ticks, pixel
from trials.web.charts.spans import Band, Span, bands_of


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
            for size, width in WIDTHS
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
            x=pixel(x.at(d.day) - mark / 2),
            y=pixel(floor - _MARK_HEIGHTS.get(d.state, 4.0)),
            width=pixel(mark),
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
        bands=bands_of([s for s in spans if s.kind != "washout"], x),
        washouts=bands_of([s for s in spans if s.kind == "washout"], x),
        marks=marks,
        x_ticks=day_ticks(x, first, last, 13 if size == WIDE else 6),
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
        plots=tuple(_strip_plot(size, width, rows, days) for size, width in WIDTHS),
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
            StripLine(row.span.label, pixel(y + (13.0 if wide else 16.0)), pixel(count_x), row)
        )
        y += 0.0 if wide else 24.0
        for i, day in enumerate(own):
            cells.append(
                DayMark(
                    pixel(left + i % per_line * (cell + gap)),
                    pixel(y + i // per_line * (cell + gap)),
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
