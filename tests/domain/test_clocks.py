"""When a report was written, by a phone's clock that may be wrong and the server's that is not."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trials.domain.clocks import CLOCKS_AGREE, Claim, time_of_writing

WRITTEN = datetime(2026, 3, 7, 20, 0, tzinfo=UTC)
RECEIVED = WRITTEN + timedelta(hours=40)
ANY_INSTANT = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
HOURS = st.integers(-24 * 60, 24 * 60).map(lambda minutes: timedelta(minutes=minutes))


def claim(
    error: timedelta = timedelta(0),
    *,
    set_by: timedelta = timedelta(0),
    met: bool = True,
    received: datetime = RECEIVED,
) -> Claim:
    """What a phone says whose clock is ahead by ``error``, and was set on by ``set_by``."""
    return Claim(
        written_at=WRITTEN + error,
        sent_at=received + error + set_by,
        ahead=-error if met else None,
    )


@given(error=HOURS, met=st.booleans())
def test_a_wrong_clock_does_not_matter_while_nobody_sets_it(error: timedelta, met: bool):
    writing = time_of_writing(claim(error, met=met), RECEIVED)

    assert writing.at == WRITTEN
    assert not writing.doubtful
    assert writing.clock_error_seconds == -error.total_seconds()


@given(set_by=HOURS.filter(lambda by: abs(by) > CLOCKS_AGREE), error=HOURS)
def test_a_clock_set_meanwhile_never_makes_a_report_earlier(set_by: timedelta, error: timedelta):
    writing = time_of_writing(claim(error, set_by=set_by), RECEIVED)

    assert writing.doubtful
    assert WRITTEN <= writing.at <= RECEIVED


@given(
    written=ANY_INSTANT,
    sent=ANY_INSTANT,
    ahead=st.none() | st.timedeltas(-timedelta(days=9000), timedelta(days=9000)),
)
def test_whatever_a_phone_says_nothing_is_written_after_its_arrival(
    written: datetime, sent: datetime, ahead: timedelta | None
):
    writing = time_of_writing(Claim(written, sent, ahead), RECEIVED)

    assert writing.at <= RECEIVED


def test_a_clock_set_back_and_no_earlier_meeting_means_that_nothing_is_known():
    writing = time_of_writing(Claim(WRITTEN, WRITTEN - timedelta(hours=3)), RECEIVED)

    assert writing.at == RECEIVED
    assert writing.doubtful
