"""Sequence and start date -> periods, days, and the hours at which each diary day is open.

The diary day is a calendar date in the patient's time zone. Its instants are computed from
local wall-clock times, so that a day has one opening and one closing in every zone and on
days with 23 or 25 hours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trials.domain.design import Design
from trials.domain.errors import ProtocolError
from trials.domain.words import marked as _


class Phase(StrEnum):
    """What a diary day is for."""

    RUN_IN = "run_in"
    WASHOUT = "washout"
    EVALUATION = "evaluation"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class DiaryWindow:
    """When the diary of a day is open, in the patient's local time.

    Attributes:
        opens: on the day itself.
        closes: on the next day; an entry after it is late.
        late_hours: how long after closing an entry is still taken, marked as late. ``None``
            means until the end of the next local day.
    """

    opens: time = time(17, 0)
    closes: time = time(3, 0)
    late_hours: int | None = None

    def __post_init__(self) -> None:
        if self.closes >= self.opens:
            raise ProtocolError(
                _("The diary must close in the small hours, before it opens again (%(opens)s)."),
                opens=self.opens.isoformat("minutes"),
            )
        if self.late_hours is not None and not 0 <= self.late_hours <= 48:
            raise ProtocolError(_("Late entries can be taken for 0 to 48 hours."))


@dataclass(frozen=True, slots=True)
class Pause:
    """Days on which the trial stood still: from ``first`` to the day before ``resumed``."""

    first: date
    resumed: date


@dataclass(frozen=True, slots=True)
class Period:
    """Days on one arm.

    Attributes:
        number: 1 for the first.
        block: 1 for the first.
        first_day: inclusive.
        last_day: inclusive.
    """

    number: int
    block: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class DiaryDay:
    """One expected day of the diary.

    Attributes:
        number: 1 for the first day of the trial, without gaps.
        day: date in the patient's zone.
        period: number of the period, 0 in the run-in.
        phase: what the day is for; a day of a pause is not expected.
        opens_at: UTC instant from which it can be answered.
        closes_at: UTC instant from which an answer is late.
        late_until: UTC instant from which it is missing.
    """

    number: int
    day: date
    period: int
    phase: Phase
    opens_at: datetime
    closes_at: datetime
    late_until: datetime


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of this IANA name.

    Raises:
        ProtocolError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise ProtocolError(
            _('"%(name)s" is not a time zone. Use a name such as Europe/Berlin.'), name=name
        ) from problem


def readable_zone(name: str) -> ZoneInfo:
    """Return the zone of this name, UTC if there is none.

    For what must happen in any case, be it at an odd hour.
    """
    try:
        return zone_of(name)
    except ProtocolError:
        return ZoneInfo("UTC")


def instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the one UTC instant at which the clocks of ``zone`` show this time on this day.

    A time that happens twice (clocks go back) means the first; one that does not happen
    (clocks go forward) means as long after midnight as it would have been.
    """
    return datetime.combine(day, wall).replace(tzinfo=zone, fold=0).astimezone(UTC)


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """Return the calendar date in ``zone`` at a UTC instant."""
    return at.astimezone(zone).date()


def build_calendar(
    design: Design,
    start: date,
    zone: ZoneInfo,
    window: DiaryWindow,
    pauses: Sequence[Pause] = (),
) -> tuple[DiaryDay, ...]:
    """Return every day of the trial, in order, pauses included.

    After a pause the days go on where they stopped, with the washout of the design before
    evaluation starts again.

    Args:
        design: periods and their lengths.
        start: first day, in the patient's zone.
        zone: the patient's time zone.
        window: opening hours of the diary.
        pauses: in order, not overlapping.
    """
    plan = _planned_phases(design)
    days: list[DiaryDay] = []
    day, washing_out = start, 0
    period, phase = next(plan)
    while True:
        pause = next((p for p in pauses if p.first <= day < p.resumed), None)
        if pause is not None:
            days.append(_diary_day(len(days) + 1, day, period, Phase.PAUSED, zone, window))
            washing_out = design.washout_days
            day += timedelta(days=1)
            continue
        washed = washing_out > 0 and phase is Phase.EVALUATION
        days.append(
            _diary_day(len(days) + 1, day, period, Phase.WASHOUT if washed else phase, zone, window)
        )
        washing_out -= 1
        day += timedelta(days=1)
        try:
            period, phase = next(plan)
        except StopIteration:
            return tuple(days)


def periods_of(design: Design, days: Sequence[DiaryDay]) -> tuple[Period, ...]:
    """Return the periods that the days make up, in order."""
    found = []
    for number in range(1, design.periods + 1):
        own = [d.day for d in days if d.period == number]
        block = (number - 1) // len(design.arms) + 1
        found.append(Period(number, block, own[0], own[-1]))
    return tuple(found)


def _planned_phases(design: Design) -> Iterator[tuple[int, Phase]]:
    for _day in range(design.run_in_days):
        yield 0, Phase.RUN_IN
    for period in range(1, design.periods + 1):
        for day in range(design.period_days):
            yield period, Phase.WASHOUT if day < design.washout_days else Phase.EVALUATION


def _diary_day(
    number: int, day: date, period: int, phase: Phase, zone: ZoneInfo, window: DiaryWindow
) -> DiaryDay:
    next_day = day + timedelta(days=1)
    closes_at = instant(next_day, window.closes, zone)
    if window.late_hours is None:
        late_until = instant(next_day + timedelta(days=1), time(0, 0), zone)
    else:
        late_until = closes_at + timedelta(hours=window.late_hours)
    return DiaryDay(
        number=number,
        day=day,
        period=period,
        phase=phase,
        opens_at=instant(day, window.opens, zone),
        closes_at=closes_at,
        late_until=late_until,
    )


class Lateness(StrEnum):
    """How an instant stands to the window of a diary day."""

    EARLY = "early"
    ON_TIME = "on_time"
    LATE = "late"
    TOO_LATE = "too_late"


def lateness(
    opens_at: datetime, closes_at: datetime, late_until: datetime, at: datetime
) -> Lateness:
    """Return whether an answer at the instant ``at`` is early, on time, late or too late."""
    if at < opens_at:
        return Lateness.EARLY
    if at < closes_at:
        return Lateness.ON_TIME
    return Lateness.LATE if at < late_until else Lateness.TOO_LATE
