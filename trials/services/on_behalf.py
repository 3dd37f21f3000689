"""Write down what a patient says by telephone, or wrote on paper, with where it comes from.

Staff may add a report to a day that has none, within the limits of its kind; they can never
change one (rule D-06). The patient is asked to confirm each on the phone.
"""

from datetime import date, datetime

from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.diary import Answers, Source
from trials.domain.paper import Paper
from trials.services.actor import Actor, require_role
from trials.services.diary import Receipt, record_entry
from trials.store.trial import TrialRow


def record_by_phone(
    session: Session,
    staff: Actor,
    trial: TrialRow,
    day: date,
    answers: Answers,
    *,
    key: str,
    now: datetime,
) -> Receipt:
    """Keep what the patient said by telephone, in the same window as on the phone.

    Raises:
        DiaryClosedError: the day is not open, or not of this trial.
        NotAllowedError: the day was reported already.
    """
    require_role(staff, Role.CLINICIAN)
    return record_entry(
        session, trial, day, answers, source=Source.PHONE, author=staff, key=key, now=now
    )


def record_from_paper(
    session: Session,
    staff: Actor,
    trial: TrialRow,
    day: date,
    answers: Answers,
    paper: Paper,
    *,
    key: str,
    now: datetime,
) -> Receipt:
    """Keep what a sheet of the paper diary says; its date decides whether it is late (D-17).

    Raises:
        DiaryClosedError: filled in, or typed in, too late; or no day of this trial.
        NotAllowedError: the day was reported already.
    """
    require_role(staff, Role.CLINICIAN)
    return record_entry(
        session,
        trial,
        day,
        answers,
        source=Source.PAPER,
        author=staff,
        key=key,
        now=now,
        paper=paper,
    )
