"""What the patient thinks a period was: when it is asked, and keeping it."""

from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import (
    Phase,
    local_day,
    zone_of,
)
from trials.domain.errors import (
    ProtocolError,
    StateError,
)
from trials.domain.words import marked as _
from trials.services.actor import Actor, record
from trials.services.steps import subject_of
from trials.store.diary import DiaryDayRow
from trials.store.fit import release_of
from trials.store.trial import (
    GuessRow,
    PeriodRow,
    TrialRow,
    frozen_protocol,
    guesses_of_trial,
    lock_trial,
    periods_of_trial,
)


def record_guess(
    session: Session,
    trial: TrialRow,
    *,
    period: int,
    treatment: str,
    certainty: int,
    why: str,
    now: datetime,
) -> None:
    """Keep what the patient thinks a period was; the first answer stands.

    Raises:
        ProtocolError: not one of the candidates, or no such level of certainty.
        StateError: the period is not over, or the result is known.
    """
    trial = lock_trial(session, trial.id)
    frozen = frozen_protocol(session, trial.id)
    candidates = frozen.value.treatments if frozen else ()
    if treatment and treatment not in candidates:
        raise ProtocolError(_("Please choose one of the treatments, or that you do not know."))
    if certainty not in range(5):
        raise ProtocolError(_("Please say how sure you are."))
    row = next((p for p in periods_of_trial(session, trial.id) if p.number == period), None)
    today = local_day(now, zone_of(trial.timezone))
    if row is None or today < row.last_day or period in _periods_not_lived(session, trial):
        raise StateError(_("This is asked at the end of the period."))
    if release_of(session, trial.id) is not None:
        raise StateError(_("The result is known already, so the guess would mean nothing."))
    known = session.scalar(
        select(GuessRow.id).where(GuessRow.trial_id == trial.id, GuessRow.period == period)
    )
    if known is not None:
        return
    session.add(
        GuessRow(
            trial_id=trial.id,
            period=period,
            treatment=treatment,
            certainty=certainty,
            why=why.strip()[:500],
            at=now,
        )
    )
    session.flush()
    patient = Actor(None, trial.patient.public_id, Role.PATIENT, trial.site_id, trial.timezone)
    record(
        session,
        patient,
        "record_guess",
        subject_of(trial),
        now,
        trial=trial,
        after={"period": period},
    )


def guesses_to_ask(session: Session, trial: TrialRow, now: datetime) -> list[PeriodRow]:
    """Return the periods whose guess is still to be asked: over or on their last day.

    Nothing is asked in an open trial, once the result is known, or about a period that a
    stop cut short.
    """
    if trial.how_blinded is Blinding.OPEN or release_of(session, trial.id) is not None:
        return []
    today = local_day(now, zone_of(trial.timezone))
    settled = {guess.period for guess in guesses_of_trial(session, trial.id)}
    settled |= _periods_not_lived(session, trial)
    return [
        period
        for period in periods_of_trial(session, trial.id)
        if period.last_day <= today and period.number not in settled
    ]


def _periods_not_lived(session: Session, trial: TrialRow) -> set[int]:
    """Return the periods that a stop cut short or a pause holds back.

    While a pause lasts, the dates of what comes behind it are still the old ones.
    """
    not_lived = select(DiaryDayRow.period).where(
        DiaryDayRow.trial_id == trial.id,
        or_(
            DiaryDayRow.state == "cancelled",
            and_(DiaryDayRow.state == "paused", DiaryDayRow.phase != Phase.PAUSED.value),
        ),
    )
    return set(session.scalars(not_lived))
