"""Set up a trial, freeze it, run it, end it: one function for each thing a person does."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import (
    DiaryDay,
    Phase,
    build_calendar,
    local_day,
    periods_of,
    zone_of,
)
from trials.domain.canonical import plain
from trials.domain.catalogue import Blindable, Suitability
from trials.domain.errors import (
    DesignError,
    EditConflictError,
    NotFoundError,
    ProtocolError,
    StateError,
)
from trials.domain.life_cycle import State, Step, next_state
from trials.domain.protocol import Candidate, Protocol, amended, protocol_hash
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services import allocation
from trials.services.actor import Actor, record, require_account, require_role
from trials.services.catalogue import catalogue
from trials.store.account import PatientRow
from trials.store.base import Json
from trials.store.diary import DiaryDayRow
from trials.store.fit import release_of
from trials.store.trial import (
    ConsentRow,
    DecisionRow,
    GuessRow,
    PauseRow,
    PeriodRow,
    ProtocolRow,
    TrialRow,
    consent_to,
    ended_pauses,
    find_trial,
    frozen_protocol,
    guesses_of_trial,
    latest_protocol,
    lock_trial,
    pauses_of_trial,
    periods_of_trial,
)

LONGEST_WAIT_FOR_START_DAYS = 90


def create_trial(
    session: Session,
    actor: Actor,
    patient: PatientRow,
    *,
    title: str,
    protocol: Protocol,
    now: datetime,
) -> TrialRow:
    """Begin a draft for this patient."""
    require_role(actor, Role.CLINICIAN)
    check_candidates(protocol)
    trial = TrialRow(
        site_id=patient.site_id,
        patient_id=patient.id,
        clinician_id=require_account(actor),
        title=_checked_title(title),
        blinding=protocol.blinding.value,
        timezone=patient.timezone,
        created_at=now,
    )
    session.add(trial)
    session.flush()
    session.add(ProtocolRow(trial_id=trial.id, version=protocol.version, body=_body(protocol)))
    session.flush()
    _record_step(session, actor, trial, "create_trial", now, before=None)
    return trial


def get_trial(session: Session, actor: Actor, public_id: str) -> TrialRow:
    """Return a trial of the actor's site.

    Raises:
        NotFoundError: there is none with this id at this site.
    """
    trial = find_trial(session, public_id)
    if trial is None or (actor.site_id is not None and trial.site_id != actor.site_id):
        raise NotFoundError(_("There is no such trial."))
    return trial


def edit_draft(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    *,
    revision: int,
    title: str,
    protocol: Protocol,
    now: datetime,
) -> None:
    """Keep a changed draft.

    Raises:
        EditConflictError: somebody changed the trial since ``revision``.
        StateError: the protocol is frozen.
    """
    require_role(actor, Role.CLINICIAN)
    _check_revision(trial, revision)
    if trial.current_state is not State.DRAFT:
        raise StateError(_("The protocol is frozen. Amend it to make a new version."))
    check_candidates(protocol)
    row = latest_protocol(session, trial.id)
    before: Json = {"title": trial.title, "protocol": row.body}
    kept = replace(protocol, version=row.version)
    row.body = _body(kept)
    trial.title = _checked_title(title)
    trial.blinding = kept.blinding.value
    _touch(session, trial)
    record(
        session,
        actor,
        "edit_draft",
        _subject(trial),
        now,
        trial=trial,
        before=before,
        after={"title": trial.title, "protocol": row.body},
    )


def freeze_protocol(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow, *, revision: int, now: datetime
) -> ProtocolRow:
    """Make the protocol final, draw the sequence and publish the commitment.

    Freezing twice (a double click) changes nothing and returns the frozen protocol.
    """
    require_role(actor, Role.CLINICIAN)
    row = latest_protocol(session, trial.id)
    if trial.current_state is State.READY and row.frozen_at is not None:
        return row
    _check_revision(trial, revision)
    check_candidates(row.value)
    _take(session, actor, trial, Step.FREEZE, now)
    row.hash = protocol_hash(row.value)
    row.frozen_at = now
    row.frozen_by = actor.id
    session.flush()
    allocation.draw(session, vault, actor, trial, row, now)
    return row


def amend_protocol(
    session: Session, actor: Actor, trial: TrialRow, *, revision: int, now: datetime
) -> None:
    """Open a new version of a frozen protocol; the old one and its draw stay on record."""
    require_role(actor, Role.CLINICIAN)
    _check_revision(trial, revision)
    _take(session, actor, trial, Step.AMEND, now)
    newer = amended(latest_protocol(session, trial.id).value)
    session.add(ProtocolRow(trial_id=trial.id, version=newer.version, body=_body(newer)))
    session.flush()


def record_consent(
    session: Session, actor: Actor, trial: TrialRow, *, given_on: date, now: datetime
) -> None:
    """Record that the patient agreed to this version of the protocol; once is enough."""
    require_role(actor, Role.CLINICIAN)
    trial = lock_trial(session, trial.id)
    frozen = frozen_protocol(session, trial.id)
    if trial.current_state is not State.READY or frozen is None:
        raise StateError(_("Consent is given to a frozen protocol, before the start."))
    if given_on > local_day(now, zone_of(trial.timezone)):
        raise ProtocolError(_("The day of consent lies in the future."))
    if consent_to(session, frozen.id) is not None:
        return
    session.add(
        ConsentRow(
            protocol_id=frozen.id,
            given_on=given_on,
            recorded_at=now,
            recorded_by=require_account(actor),
        )
    )
    record(
        session,
        actor,
        "record_consent",
        _subject(trial),
        now,
        trial=trial,
        after={"protocol": frozen.hash, "given_on": given_on.isoformat()},
    )


def start_trial(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    *,
    revision: int,
    start_day: date,
    now: datetime,
) -> None:
    """Set the first day; from then on every expected diary day is a row.

    Raises:
        StateError: not ready, or consent is missing.
        ProtocolError: the first day is past or too far ahead.
    """
    require_role(actor, Role.CLINICIAN)
    _check_revision(trial, revision)
    frozen = frozen_protocol(session, trial.id)
    ready = trial.current_state is State.READY and frozen is not None
    if ready and frozen and consent_to(session, frozen.id) is None:
        raise StateError(_("Record the patient's consent before the start."))
    _take(session, actor, trial, Step.START, now)
    assert frozen is not None  # noqa: S101  # a trial that could start is frozen
    zone = zone_of(trial.timezone)
    today = local_day(now, zone)
    if not today <= start_day <= today + timedelta(days=LONGEST_WAIT_FOR_START_DAYS):
        raise ProtocolError(
            _("The first day must be today or within the next %(days)s days."),
            days=LONGEST_WAIT_FOR_START_DAYS,
        )
    trial.start_day = start_day
    trial.started_at = now
    protocol = frozen.value
    days = build_calendar(protocol.design, start_day, zone, protocol.window)
    kits = allocation.kits_of(session, vault, trial)
    for period in periods_of(protocol.design, days):
        session.add(
            PeriodRow(
                trial_id=trial.id,
                number=period.number,
                block=period.block,
                first_day=period.first_day,
                last_day=period.last_day,
                kit=kits[period.number - 1],
            )
        )
    session.add_all(_day_row(trial, day) for day in days)
    session.flush()


def pause_trial(
    session: Session, actor: Actor, trial: TrialRow, *, revision: int, reason: str, now: datetime
) -> None:
    """Let the trial stand still from today; no diary is expected until it is resumed."""
    require_role(actor, Role.CLINICIAN, Role.PATIENT)
    _check_revision(trial, revision)
    if not reason.strip():
        raise ProtocolError(_("Please say in a few words why the trial is paused."))
    _take(session, actor, trial, Step.PAUSE, now, why=reason.strip())
    today = local_day(now, zone_of(trial.timezone))
    first = max(today, trial.start_day or today)
    answered_today = session.scalar(
        select(DiaryDayRow.id).where(
            DiaryDayRow.trial_id == trial.id,
            DiaryDayRow.day == first,
            DiaryDayRow.state == "answered",
        )
    )
    if answered_today is not None:
        first += timedelta(days=1)  # what was reported today stands
    session.add(PauseRow(trial_id=trial.id, first=first, reason=reason.strip()))
    session.execute(
        update(DiaryDayRow)
        .where(
            DiaryDayRow.trial_id == trial.id,
            DiaryDayRow.day >= first,
            DiaryDayRow.state.in_(["planned", "open"]),
        )
        .values(state="paused")
    )
    session.flush()


def resume_trial(
    session: Session, actor: Actor, trial: TrialRow, *, revision: int, now: datetime
) -> None:
    """Go on today; the days that were still to come are laid out anew behind the pause."""
    require_role(actor, Role.CLINICIAN)
    _check_revision(trial, revision)
    _take(session, actor, trial, Step.RESUME, now)
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None and trial.start_day is not None  # noqa: S101, PT018
    zone = zone_of(trial.timezone)
    pauses = pauses_of_trial(session, trial.id)
    pauses[-1].resumed = max(local_day(now, zone), pauses[-1].first)
    session.flush()
    protocol = frozen.value
    days = build_calendar(
        protocol.design, trial.start_day, zone, protocol.window, ended_pauses(pauses)
    )
    _lay_out_again(session, trial, days)
    planned = {p.number: p for p in periods_of(protocol.design, days)}
    for row in periods_of_trial(session, trial.id):
        row.first_day = planned[row.number].first_day
        row.last_day = planned[row.number].last_day
    session.flush()


def stop_trial(
    session: Session, actor: Actor, trial: TrialRow, *, revision: int, reason: str, now: datetime
) -> None:
    """End the trial before its last day; what was reported is kept and can be analysed."""
    require_role(actor, Role.CLINICIAN, Role.PATIENT)
    _check_revision(trial, revision)
    if not reason.strip():
        raise ProtocolError(_("Please say in a few words why the trial is stopped."))
    _take(session, actor, trial, Step.STOP, now, why=reason.strip())
    trial.ended_at = now
    trial.end_reason = reason.strip()
    trial.fits_at = now if trial.started_at is not None else None
    own = DiaryDayRow.trial_id == trial.id
    held_back = and_(DiaryDayRow.state == "paused", DiaryDayRow.phase != Phase.PAUSED.value)
    was_due = and_(DiaryDayRow.state.in_(["planned", "open"]), DiaryDayRow.closes_at <= now)
    session.execute(update(DiaryDayRow).where(own, was_due).values(state="missed"))
    session.execute(
        update(DiaryDayRow)
        .where(own, or_(DiaryDayRow.state.in_(["planned", "open"]), held_back))
        .values(state="cancelled")
    )
    session.flush()


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
        _subject(trial),
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


def decide(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    *,
    revision: int,
    treatment: str,
    reason: str,
    now: datetime,
) -> None:
    """Sign what clinician and patient decided on the released result."""
    require_role(actor, Role.CLINICIAN)
    _check_revision(trial, revision)
    frozen = frozen_protocol(session, trial.id)
    if treatment and (frozen is None or treatment not in frozen.value.treatments):
        raise ProtocolError(_("Decide for one of the candidates, or for none of them."))
    if not reason.strip():
        raise ProtocolError(_("Please give the reason in a sentence; the patient reads it too."))
    _take(session, actor, trial, Step.DECIDE, now, why=reason.strip())
    release = release_of(session, trial.id)
    assert release is not None  # noqa: S101  # a released trial has a release
    session.add(
        DecisionRow(
            trial_id=trial.id,
            fit_id=release.fit_id,
            treatment=treatment,
            reason=reason.strip(),
            signed_by=require_account(actor),
            signed_at=now,
        )
    )
    session.flush()


def move(
    session: Session, actor: Actor, trial: TrialRow, step: Step, now: datetime, why: str = ""
) -> None:
    """Take a step that the clock or an analysis makes, with its record."""
    _take(session, actor, trial, step, now, why=why)


def check_candidates(protocol: Protocol) -> None:
    """Refuse what the catalogue says cannot be a repeated, or a hidden, arm.

    Treatments the catalogue does not know are the clinician's own and pass.

    Raises:
        DesignError: with the sentence naming the treatment and why.
    """
    for candidate in protocol.candidates:
        check_candidate(candidate, protocol.blinding)


def check_candidate(candidate: Candidate, blinding: Blinding) -> None:
    """Refuse one candidate that cannot be a repeated, or a hidden, arm.

    Raises:
        DesignError: with the sentence naming the treatment and why.
    """
    known = catalogue().get(candidate.treatment)
    if known is None:
        return
    if known.suitability is Suitability.UNSUITABLE:
        raise DesignError(
            _("%(name)s cannot be a repeated arm of a crossover: %(why)s."),
            name=known.name,
            why=known.suitability_note or known.suitability.value,
        )
    if blinding is Blinding.BLINDED and known.blindable is Blindable.NO:
        raise DesignError(
            _("%(name)s cannot be hidden from the patient. Make the trial open."),
            name=known.name,
        )


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


def _take(
    session: Session, actor: Actor, trial: TrialRow, step: Step, now: datetime, why: str = ""
) -> None:
    before = trial.state
    trial.state = next_state(trial.current_state, step).value
    if step is Step.COMPLETE:
        trial.ended_at = now
    session.flush()
    _record_step(session, actor, trial, step.value, now, before={"state": before}, why=why)


def _record_step(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    action: str,
    now: datetime,
    *,
    before: Json | None,
    why: str = "",
) -> None:
    record(
        session,
        actor,
        action,
        _subject(trial),
        now,
        trial=trial,
        before=before,
        after={"state": trial.state},
        why=why,
    )


def _touch(session: Session, trial: TrialRow) -> None:
    """Count the trial's revision up even where only its protocol changed."""
    flag_modified(trial, "title")
    session.flush()


def _check_revision(trial: TrialRow, revision: int) -> None:
    if trial.revision != revision:
        raise EditConflictError(
            _(
                "Somebody else changed this trial while you were looking at it. Nothing of yours "
                "is lost: look at the new state and try again."
            )
        )


def _lay_out_again(session: Session, trial: TrialRow, days: tuple[DiaryDay, ...]) -> None:
    """Write the calendar over the rows that nobody has answered or missed."""
    rows = {
        row.day: row
        for row in session.scalars(select(DiaryDayRow).where(DiaryDayRow.trial_id == trial.id))
    }
    for day in days:
        row = rows.pop(day.day, None)
        if row is None:
            session.add(_day_row(trial, day))
        elif row.state not in {"answered", "missed"}:
            fresh = _day_row(trial, day)
            for column in (
                "number",
                "period",
                "phase",
                "opens_at",
                "closes_at",
                "late_until",
                "state",
            ):
                setattr(row, column, getattr(fresh, column))
    session.flush()


def _day_row(trial: TrialRow, day: DiaryDay) -> DiaryDayRow:
    return DiaryDayRow(
        trial_id=trial.id,
        number=day.number,
        day=day.day,
        period=day.period,
        phase=day.phase.value,
        opens_at=day.opens_at,
        closes_at=day.closes_at,
        late_until=day.late_until,
        state="paused" if day.phase is Phase.PAUSED else "planned",
    )


def _body(protocol: Protocol) -> Json:
    body = plain(protocol)
    assert isinstance(body, dict)  # noqa: S101  # a dataclass becomes an object
    return body


def _subject(trial: TrialRow) -> str:
    return f"trial:{trial.public_id}"


def _checked_title(title: str) -> str:
    if not title.strip():
        raise ProtocolError(_("Give the trial a short title."))
    return title.strip()[:200]
