"""Every expected day is there once, with one opening and one closing, in every zone."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.domain.calendar import (
    DiaryWindow,
    Lateness,
    Pause,
    Phase,
    build_calendar,
    instant,
    lateness,
    local_day,
    periods_of,
    zone_of,
)
from trials.domain.design import Design
from trials.domain.errors import ProtocolError

BERLIN = ZoneInfo("Europe/Berlin")
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
DESIGN = Design(("A", "B"), blocks=2, period_days=7, washout_days=2, run_in_days=3)
START = date(2026, 3, 1)

zones = st.sampled_from(sorted(available_timezones() - {"Factory", "localtime"})).map(ZoneInfo)
starts = st.dates(date(2020, 1, 1), date(2030, 12, 31))


def test_a_calendar_has_run_in_washout_and_evaluation():
    days = build_calendar(DESIGN, START, BERLIN, DiaryWindow())

    letters = {Phase.RUN_IN: "r", Phase.WASHOUT: "w", Phase.EVALUATION: "e", Phase.PAUSED: "p"}
    assert "".join(letters[d.phase] for d in days) == "rrr" + "wweeeee" * 4
    assert [p.number for p in periods_of(DESIGN, days)] == [1, 2, 3, 4]
    assert [p.block for p in periods_of(DESIGN, days)] == [1, 1, 2, 2]
    assert periods_of(DESIGN, days)[0].first_day == date(2026, 3, 4)
    assert periods_of(DESIGN, days)[-1].last_day == date(2026, 3, 31)


@given(starts, zones)
def test_days_follow_each_other_and_windows_do_not_overlap(start: date, zone: ZoneInfo):
    days = build_calendar(DESIGN, start, zone, DiaryWindow())

    assert [d.day for d in days] == [start + timedelta(n) for n in range(DESIGN.total_days)]
    assert [d.number for d in days] == list(range(1, DESIGN.total_days + 1))
    for day, following in itertools.pairwise(days):
        assert day.opens_at < day.closes_at <= day.late_until
        assert day.opens_at < following.opens_at
        assert day.closes_at <= following.opens_at


@pytest.mark.parametrize("day", [date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 24)])
def test_a_day_with_23_or_25_hours_is_one_diary_day(day: date):
    """Berlin changes its clocks on 2026-03-29 and 2026-10-25."""
    (only, *_rest) = build_calendar(DESIGN, day, BERLIN, DiaryWindow())

    assert only.opens_at.astimezone(BERLIN).time() == time(17, 0)
    assert only.closes_at.astimezone(BERLIN).time() == time(3, 0)


def test_an_hour_that_happens_twice_means_the_first():
    assert instant(date(2026, 10, 25), time(2, 30), BERLIN) == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )


def test_an_hour_that_does_not_happen_has_an_instant_all_the_same():
    assert instant(date(2026, 3, 29), time(2, 30), BERLIN) == datetime(
        2026, 3, 29, 1, 30, tzinfo=UTC
    )


def test_an_entry_late_in_the_evening_belongs_to_its_local_day():
    """23:30 in Los Angeles is already tomorrow in UTC."""
    at = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)

    assert local_day(at, LOS_ANGELES) == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        ("2026-03-01 16:59", Lateness.EARLY),
        ("2026-03-01 17:00", Lateness.ON_TIME),
        ("2026-03-02 02:59", Lateness.ON_TIME),
        ("2026-03-02 03:00", Lateness.LATE),
        ("2026-03-02 23:59", Lateness.LATE),
        ("2026-03-03 00:00", Lateness.TOO_LATE),
    ],
)
def test_the_window_of_a_day(wall: str, expected: Lateness):
    (first, *_rest) = build_calendar(DESIGN, START, BERLIN, DiaryWindow())
    at = datetime.fromisoformat(wall).replace(tzinfo=BERLIN)

    assert lateness(first.opens_at, first.closes_at, first.late_until, at) is expected


def test_late_hours_can_be_set():
    (first, *_rest) = build_calendar(DESIGN, START, BERLIN, DiaryWindow(late_hours=0))

    assert first.late_until == first.closes_at


def test_after_a_pause_the_days_go_on_with_a_washout():
    pause = Pause(date(2026, 3, 8), date(2026, 3, 12))

    days = build_calendar(DESIGN, START, BERLIN, DiaryWindow(), [pause])

    letters = {Phase.RUN_IN: "r", Phase.WASHOUT: "w", Phase.EVALUATION: "e", Phase.PAUSED: "p"}
    assert (
        "".join(letters[d.phase] for d in days) == "rrr" + "wwee" + "pppp" + "wwe" + "wweeeee" * 3
    )
    assert periods_of(DESIGN, days)[-1].last_day == date(2026, 4, 4)


@given(starts, st.integers(0, 30), st.integers(0, 20))
def test_a_pause_loses_no_day_of_the_trial(start: date, begins: int, lasts: int):
    pause = Pause(start + timedelta(begins), start + timedelta(begins + lasts))

    days = build_calendar(DESIGN, start, BERLIN, DiaryWindow(), [pause])

    kept = [d for d in days if d.phase is not Phase.PAUSED]
    assert len(kept) == DESIGN.total_days
    assert [d.number for d in days] == list(range(1, len(days) + 1))


def test_a_diary_that_never_closes_is_refused():
    with pytest.raises(ProtocolError, match="small hours"):
        DiaryWindow(opens=time(2, 0), closes=time(3, 0))


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "europe"])
def test_a_zone_that_is_none_is_refused(name: str):
    with pytest.raises(ProtocolError, match="is not a time zone"):
        zone_of(name)
