"""Who is told next, and when: minutes, hours, or the end of the next working day."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from trials.domain.alerts import next_step_at
from trials.domain.red_flags import Urgency

BERLIN = ZoneInfo("Europe/Berlin")
FRIDAY_EVENING = datetime(2026, 3, 6, 20, 0, tzinfo=UTC)


def test_an_immediate_alert_goes_on_within_minutes_and_never_stops():
    waits = [
        next_step_at(Urgency.IMMEDIATE, step, FRIDAY_EVENING, BERLIN) - FRIDAY_EVENING
        for step in range(6)
    ]

    assert waits[0] == timedelta(minutes=10)
    assert waits == sorted(waits)
    assert waits[-1] == waits[-2] == timedelta(hours=1)


def test_an_alert_of_the_same_day_goes_on_within_hours():
    due = next_step_at(Urgency.SAME_DAY, 0, FRIDAY_EVENING, BERLIN)

    assert due - FRIDAY_EVENING <= timedelta(hours=4)  # rule RF-RASH: seen within four hours


@pytest.mark.parametrize(
    ("raised", "due"),
    [
        ("2026-03-04T23:30+01:00", "2026-03-05T16:00+01:00"),  # Wednesday night: Thursday
        ("2026-03-06T20:00+01:00", "2026-03-09T16:00+01:00"),  # Friday: Monday
        ("2026-03-07T09:00+01:00", "2026-03-09T16:00+01:00"),  # Saturday: Monday
        ("2026-03-08T09:00+01:00", "2026-03-09T16:00+01:00"),  # Sunday: Monday
        ("2026-03-27T12:00+01:00", "2026-03-30T16:00+02:00"),  # over the change of the clocks
    ],
)
def test_the_next_working_day_is_that_of_the_clinic(raised: str, due: str):
    at = datetime.fromisoformat(raised).astimezone(UTC)

    assert next_step_at(Urgency.NEXT_WORKING_DAY, 0, at, BERLIN) == datetime.fromisoformat(due)
