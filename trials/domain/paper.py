"""What a sheet of the paper diary is worth: its date counts, as far as paper can be believed.

Nobody can tell when a sheet was really filled in: in a study with a hidden clock 90 % of the
paper entries claimed to be in time and 11 % were (Stone 2003). So a sheet that says its own day
is taken as in time, one that says the day after as late, and one that was written later as
missing; and every report from paper is left out where late reports are.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from trials.domain.errors import DiaryClosedError, ProtocolError
from trials.domain.words import marked as _

LONGEST_ON_PAPER = timedelta(days=28)
"""How long after its day a sheet can still be typed in."""

LONGEST_SCAN_REFERENCE = 80


@dataclass(frozen=True, slots=True)
class Paper:
    """The sheet that a report was typed in from.

    Attributes:
        written_on: the date on it, in the patient's zone.
        scan: where its scan is found, such as a number of the clinic's archive.
    """

    written_on: date
    scan: str

    def __post_init__(self) -> None:
        if not self.scan.strip() or len(self.scan) > LONGEST_SCAN_REFERENCE:
            raise ProtocolError(_("Say where the scan of the sheet is kept, in 80 characters."))


def time_on_paper(
    day: date,
    written_on: date,
    *,
    opens_at: datetime,
    closes_at: datetime,
    late_until: datetime,
    now: datetime,
) -> datetime:
    """Return the UTC instant that a sheet counts for.

    Args:
        day: the day the answers are about.
        written_on: the date on the sheet, in the patient's zone.
        opens_at: when the diary of the day opened, UTC.
        closes_at: when it closed, likewise.
        late_until: when it became missing, likewise.
        now: UTC instant of the transcription.

    Raises:
        DiaryClosedError: written too early or too late, or typed in too late.
    """
    if now < closes_at:
        raise DiaryClosedError(
            _("This day can still be reported on the phone. Paper is typed in once it is closed.")
        )
    if now - late_until > LONGEST_ON_PAPER:
        raise DiaryClosedError(
            _("A sheet can be typed in for 28 days. What it says is for the file, not the diary.")
        )
    if written_on < day:
        raise DiaryClosedError(_("The sheet was dated before the day it is about."))
    if written_on > day + timedelta(days=1) or (written_on > day and closes_at >= late_until):
        raise DiaryClosedError(
            _(
                "The sheet was filled in too long after its day: it would be an answer from "
                "memory. The day stays missing."
            )
        )
    return opens_at if written_on == day else late_until - timedelta(minutes=1)
