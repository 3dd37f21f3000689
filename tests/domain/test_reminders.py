"""Reminders come when they are wanted, and never in the quiet hours."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.domain.calendar import instant
from trials.domain.errors import ProtocolError
from trials.domain.reminders import (
    Wish,
    first_reminder,
    kind_word,
    missed_in_a_row,
    reminders_rest,
    second_reminder,
    second_reminder_now,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
).map(ZoneInfo)
WALLS = st.times().map(lambda t: t.replace(second=0, microsecond=0))


def window(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The usual window: 17:00 to 03:00 of the next day."""
    return instant(day, time(17), zone), instant(day + timedelta(days=1), time(3), zone)


def berlin(hour: int, minute: int = 0, day: int = 1) -> datetime:
    """A time in Berlin in March 2026."""
    return datetime(2026, 3, day, hour, minute, tzinfo=BERLIN)


OPENS, CLOSES = window(date(2026, 3, 1), BERLIN)


@pytest.mark.parametrize(
    ("wish", "now", "due", "void"),
    [
        (Wish(), berlin(17), berlin(17), berlin(22)),
        (Wish(time(20)), berlin(17), berlin(20), berlin(22)),
        (Wish(time(9)), berlin(17), berlin(17), berlin(22)),  # not in the window: at its opening
        (Wish(time(1), time(3), time(9)), berlin(17), berlin(1, day=2), berlin(3, day=2)),
        (Wish(None, time(8), time(8)), berlin(17), berlin(17), berlin(3, day=2)),  # no quiet hours
        (Wish(None, time(16), time(19)), berlin(17), berlin(19), berlin(3, day=2)),
        (Wish(), berlin(21, 30), berlin(21, 30), berlin(22)),  # slept through
    ],
)
def test_when_the_first_reminder_comes(wish: Wish, now, due, void):
    first = first_reminder(OPENS, CLOSES, BERLIN, wish, now)

    assert first is not None
    assert (first.due_at, first.void_after) == (due, void)


def test_what_was_slept_through_until_the_night_is_not_reminded_of():
    assert first_reminder(OPENS, CLOSES, BERLIN, Wish(), berlin(23)) is None


def test_the_second_reminder():
    assert second_reminder(OPENS, CLOSES, BERLIN, Wish()) == berlin(21)
    assert second_reminder(OPENS, CLOSES, BERLIN, Wish(None, time(3), time(9))) == berlin(1, day=2)
    assert second_reminder(berlin(20, 30), CLOSES, BERLIN, Wish()) is None


def test_a_second_reminder_that_comes_due_in_the_quiet_hours_is_left_out():
    assert second_reminder_now(CLOSES, BERLIN, Wish(), berlin(22, 30)) is None
    again = second_reminder_now(CLOSES, BERLIN, Wish(), berlin(21, 5))
    assert again is not None
    assert again.void_after == berlin(22)


def test_the_kind_word_waits_for_the_morning():
    assert kind_word(BERLIN, Wish(), berlin(0, 5)).due_at == berlin(8)
    assert kind_word(BERLIN, Wish(), berlin(12)).due_at == berlin(12)


def test_a_wished_hour_is_not_quiet():
    with pytest.raises(ProtocolError, match="quiet hours"):
        Wish(time(23))


@given(
    day=st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    zone=ZONES,
    at=st.none() | WALLS,
    quiet_from=WALLS,
    quiet_to=WALLS,
    late=st.integers(0, 14 * 60),
)
def test_no_reminder_is_ever_due_outside_the_window_or_in_the_quiet_hours(
    day, zone, at, quiet_from, quiet_to, late
):
    try:
        wish = Wish(at, quiet_from, quiet_to)
    except ProtocolError:
        return
    opens, closes = window(day, zone)
    now = opens + timedelta(minutes=late)

    first = first_reminder(opens, closes, zone, wish, now)
    if first is None:
        return
    assert now <= first.due_at < first.void_after <= closes
    if not _clocks_change(day, zone):
        assert not wish.is_quiet(first.due_at.astimezone(zone).time())
        second = second_reminder(first.due_at, closes, zone, wish)
        if second is not None:
            assert first.due_at + timedelta(hours=1) <= second < closes


def _clocks_change(day: date, zone: ZoneInfo) -> bool:
    """Quiet hours that begin in an hour that does not exist begin when it would have."""
    noon = [datetime.combine(day + timedelta(days=n), time(12), zone) for n in (0, 1)]
    return noon[0].utcoffset() != noon[1].utcoffset()


def test_missing_days_in_a_row():
    assert missed_in_a_row(["missed", "answered", "missed", "missed", "open"]) == 2
    assert reminders_rest(["missed"] * 3 + ["open", "planned"])
    assert not reminders_rest(["missed", "missed", "paused", "missed"])
    assert not reminders_rest(["missed", "missed", *["unasked"] * 4])
    assert reminders_rest(["unasked", "missed", "missed", "missed"])
    assert datetime(2026, 3, 1, 16, tzinfo=UTC) == berlin(17)
