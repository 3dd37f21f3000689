"""The course of a trial as charts: periods on a line, diary days with their states, pain.

Periods carry numbers. Treatment names stand beside them only where the caller hands them over,
which it may do only for a reader who may see the allocation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from flask_babel import gettext as _

from trials.domain.calendar import Phase
from trials.domain.design import Design
from trials.store.diary import DiaryDayRow, DiaryEntryRow
from trials.web import charts
from trials.web.charts import Span
from trials.web.local_words import days_between, short_day

NOT_EXPECTED = frozenset({"paused", "cancelled"})

type Entries = Mapping[date, DiaryEntryRow]
type Treatments = Mapping[int, str]
"""Name of the treatment of each period, for a reader who may know it; else empty."""


@dataclass(frozen=True, slots=True)
class Course:
    """A trial's charts.

    Attributes:
        timeline: the whole trial on one line.
        strip: the diary days by period; None before the start.
        pain: pain day by day; None while the reader may not see it, or before the start.
    """

    timeline: charts.Timeline
    strip: charts.AdherenceStrip | None
    pain: charts.LineChart | None


def planned_course(design: Design) -> Course:
    """Return the course of a trial that has not started: days without dates."""
    spans = []
    if design.run_in_days:
        spans.append(Span("run_in", 1, design.run_in_days, _("Run-in")))
    for period in range(1, design.periods + 1):
        first = design.run_in_days + (period - 1) * design.period_days + 1
        spans.append(_period_span(period, first, first + design.period_days - 1, {}))
        if design.washout_days:
            spans.append(Span("washout", first, first + design.washout_days - 1))
    return Course(charts.timeline(spans), None, None)


def actual_course(
    rows: Sequence[DiaryDayRow],
    entries: Entries,
    now: datetime,
    *,
    today: date | None,
    treatments: Treatments,
    with_pain: bool,
) -> Course:
    """Return the course of a trial that has started.

    Args:
        rows: its diary days, in order.
        entries: the newest entry of every answered day.
        now: UTC instant.
        today: the day to mark; None once the trial is over.
        treatments: for a reader who may know them.
        with_pain: whether this reader may see pain day by day.
    """
    kept = [row for row in rows if row.state != "cancelled"]
    spans = [span for phase in (_parts(kept, treatments), _washouts(kept)) for span in phase]
    spans.sort(key=lambda span: (span.first_day, span.kind == "washout"))
    days = [
        charts.Day(row.number, day_state(row, entries, now))
        for row in kept
        if row.state not in NOT_EXPECTED
    ]
    marked = next((row.number for row in kept if row.day == today), None)
    periods = [span for span in spans if span.kind != "washout"]
    return Course(
        timeline=charts.timeline(spans, days, marked),
        strip=charts.adherence_strip(periods, days),
        pain=_pain(kept, entries, periods, marked, now) if with_pain else None,
    )


def day_state(row: DiaryDayRow, entries: Entries, now: datetime) -> str:
    """Return answered, late, missed, open or future, whether or not the clock has been by."""
    if row.state == "answered":
        entry = entries.get(row.day)
        return "late" if entry is not None and entry.minutes_late else "answered"
    if row.state == "missed" or row.late_until <= now:
        return "missed"
    return "open" if row.opens_at <= now else "future"


def _parts(rows: Sequence[DiaryDayRow], treatments: Treatments) -> Iterator[Span]:
    """Yield the run-in and the periods; a pause belongs to the period it interrupts."""
    for period, group in groupby(rows, key=lambda row: row.period):
        own = list(group)
        first, last = own[0], own[-1]
        dates = days_between(first.day, last.day)
        if period == 0:
            yield Span("run_in", first.number, last.number, _("Run-in"), "", dates)
        else:
            yield _period_span(period, first.number, last.number, treatments, dates)


def _washouts(rows: Sequence[DiaryDayRow]) -> Iterator[Span]:
    for phase, group in groupby(rows, key=lambda row: (row.phase, row.period)):
        if phase[0] == Phase.WASHOUT:
            own = list(group)
            dates = days_between(own[0].day, own[-1].day)
            yield Span("washout", own[0].number, own[-1].number, dates=dates)


def _period_span(
    period: int, first: int, last: int, treatments: Treatments, dates: str = ""
) -> Span:
    label = _("Period %(number)s", number=period)
    if period in treatments:
        label = _("%(number)s: %(treatment)s", number=period, treatment=treatments[period])
    return Span("period", first, last, label, str(period), dates)


def _pain(
    rows: Sequence[DiaryDayRow],
    entries: Entries,
    spans: Sequence[Span],
    today: int | None,
    now: datetime,
) -> charts.LineChart:
    begun = [row for row in rows if row.opens_at <= now]
    found = [entries.get(row.day) for row in begun]
    return charts.line_chart(
        [None if entry is None else float(entry.pain) for entry in found],
        spans=spans,
        today=today,
        labels=[short_day(row.day) for row in begun],
        last_day=rows[-1].number if rows else 1,
    )
