"""What the patient thinks a period was, and how it was: when it is asked, and keeping it.

Both are asked from the evening of the period's last day, for 48 hours (rule D-15). A guess is
never taken once the code of its period, or the result, was opened.
"""

from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import Phase
from trials.domain.errors import (
    ProtocolError,
    StateError,
)
from trials.domain.impression import CHANGES, LONGEST_WORDS, NONE_OF_THEM, is_open
from trials.domain.words import marked as _
from trials.services.actor import Actor, record
from trials.services.allocation import unblinded_periods
from trials.services.steps import subject_of
from trials.store.diary import DiaryDayRow, days_of_trial
from trials.store.erasure import erasure_of
from trials.store.fit import release_of
from trials.store.impression import ImpressionRow, impressions_of_trial
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
        StateError: it is not the time, the code was opened, or the result is known.
    """
    trial = lock_trial(session, trial.id)
    frozen = frozen_protocol(session, trial.id)
    candidates = frozen.value.treatments if frozen else ()
    if treatment and treatment not in candidates:
        raise ProtocolError(_("Please choose one of the treatments, or that you do not know."))
    if certainty not in range(5):
        raise ProtocolError(_("Please say how sure you are."))
    if release_of(session, trial.id) is not None:
        raise StateError(_("The result is known already, so the guess would mean nothing."))
    if period in unblinded_periods(session, trial):
        raise StateError(_("The code of this box was opened, so the guess would mean nothing."))
    check_asked_now(session, trial, period, now)
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
    record(
        session,
        _patient_of(trial),
        "record_guess",
        subject_of(trial),
        now,
        trial=trial,
        after={"period": period},
    )


def record_impression(
    session: Session,
    trial: TrialRow,
    *,
    period: int,
    change: int | None,
    words: str,
    preference: int | None,
    now: datetime,
) -> None:
    """Keep how a period was, all in all, and what was preferred so far; the first answer stands.

    Args:
        session: the transaction.
        trial: the patient's trial.
        period: number, from 1.
        change: 1 (very much better than before the trial) to 7, or None.
        words: what made the difference, in the patient's words.
        preference: number of a period up to this one, 0 for none, -1 for "none of them".
        now: UTC instant.

    Raises:
        ProtocolError: no such step, or a box that was not had yet.
        StateError: it is not the time, or the result is known.
    """
    trial = lock_trial(session, trial.id)
    if change is not None and change not in CHANGES:
        raise ProtocolError(_("Please choose one of the answers shown."))
    if preference is not None and not NONE_OF_THEM <= preference <= period:
        raise ProtocolError(_("Please choose one of the answers shown."))
    if release_of(session, trial.id) is not None:
        raise StateError(_("The result is known already."))
    check_asked_now(session, trial, period, now)
    if any(row.period == period for row in impressions_of_trial(session, trial.id)):
        return
    session.add(
        ImpressionRow(
            trial_id=trial.id,
            period=period,
            change=change,
            words=words.strip()[:LONGEST_WORDS],
            preference=preference,
            at=now,
        )
    )
    session.flush()
    record(
        session,
        _patient_of(trial),
        "record_impression",
        subject_of(trial),
        now,
        trial=trial,
        after={"period": period},
    )


def check_asked_now(session: Session, trial: TrialRow, period: int, now: datetime) -> None:
    """Refuse a period that is not asked about at this instant.

    Raises:
        StateError: too early, too late, or the period was not lived to its end.
    """
    opens = last_opening(session, trial, period)
    if opens is None or now < opens:
        raise StateError(_("This is asked at the end of the period."))
    if not is_open(opens, now):
        raise StateError(
            _("This could be answered for two days. That it stays unanswered is all right.")
        )


def periods_to_ask(session: Session, trial: TrialRow, now: datetime) -> list[PeriodRow]:
    """Return the periods that the patient is asked about now.

    Nothing is asked once the result is known or removed, or about a period that a stop cut
    short.
    """
    if release_of(session, trial.id) is not None or erasure_of(session, trial.id) is not None:
        return []
    told = {row.period for row in impressions_of_trial(session, trial.id)}
    opens = _last_openings(session, trial)
    return [
        period
        for period in periods_of_trial(session, trial.id)
        if period.number not in told
        and period.number in opens
        and is_open(opens[period.number], now)
    ]


def last_opening(session: Session, trial: TrialRow, period: int) -> datetime | None:
    """Return when the questions about a period open (UTC); None if it was not lived."""
    return _last_openings(session, trial).get(period)


def may_guess(session: Session, trial: TrialRow, period: int) -> bool:
    """Return whether a guess about this period would still mean something."""
    return (
        trial.how_blinded is not Blinding.OPEN
        and period not in unblinded_periods(session, trial)
        and all(guess.period != period for guess in guesses_of_trial(session, trial.id))
    )


def _last_openings(session: Session, trial: TrialRow) -> dict[int, datetime]:
    """Return when the diary of the last day of each period opens, of periods that are lived."""
    not_lived = _periods_not_lived(session, trial)
    opens = {
        row.period: row.opens_at for row in days_of_trial(session, trial.id) if row.period
    }  # days are in order: the last one stays
    return {period: at for period, at in opens.items() if period not in not_lived}


def _patient_of(trial: TrialRow) -> Actor:
    return Actor(None, trial.patient.public_id, Role.PATIENT, trial.site_id, trial.timezone)


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
