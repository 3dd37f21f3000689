"""When a report was written, as well as two clocks can tell.

A report may wait on a phone for days until there is a network. The diary asks when it was
written, and only the phone knows; but a phone's clock may be wrong, by accident or on purpose.
So the phone says three things: what its clock showed at writing, what it shows at sending, and
how far the server's clock was ahead of it when they last met before the writing. How long a
report waited is a difference of the phone's own clock, right even if the clock is not, unless
somebody set it in between; then the two ways of reckoning differ, and the later instant is
taken: the doubt is never in favour of an answer from memory (rule D-03).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

CLOCKS_AGREE = timedelta(minutes=2)
"""Two reckonings that differ by less tell of a slow network, not of a clock that was set."""

LONGEST_WAIT = timedelta(days=14)
"""A report may wait as long on a phone; an older one is for the clinic to hear, not to file."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a phone says about a report it sends.

    Attributes:
        written_at: its clock when the report was written.
        sent_at: its clock when the report was sent.
        ahead: server's clock minus the phone's, when they last met before the writing; None if
            they never did.
    """

    written_at: datetime
    sent_at: datetime
    ahead: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Writing:
    """When a report was written, by the server's clock.

    Attributes:
        at: UTC instant, never after the arrival.
        clock_error_seconds: the server's clock minus the phone's when the report arrived.
        doubtful: whether the phone's clock was set between writing and sending.
    """

    at: datetime
    clock_error_seconds: int
    doubtful: bool = False


def time_of_writing(claim: Claim, received_at: datetime) -> Writing:
    """Return when the report was written.

    Args:
        claim: what the phone says.
        received_at: UTC instant of arrival, by the server's clock.
    """
    ahead_now = received_at - claim.sent_at
    error = round(ahead_now.total_seconds())
    waited = claim.sent_at - claim.written_at
    if waited < timedelta(0):  # the clock was set back: how long it waited, nobody knows
        at = received_at if claim.ahead is None else claim.written_at + claim.ahead
        return Writing(min(at, received_at), error, doubtful=True)
    reckoned = received_at - waited
    if claim.ahead is None:
        return Writing(reckoned, error)
    otherwise = claim.written_at + claim.ahead
    doubtful = abs(otherwise - reckoned) > CLOCKS_AGREE
    at = max(reckoned, otherwise) if doubtful else reckoned
    return Writing(min(at, received_at), error, doubtful)
