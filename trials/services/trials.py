"""Set up a trial, agree on it and freeze it; find it again; decide on its result."""

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import (
    local_day,
    zone_of,
)
from trials.domain.canonical import plain
from trials.domain.catalogue import Blindable, Suitability
from trials.domain.consent import OnWithdrawal
from trials.domain.errors import (
    DesignError,
    NotFoundError,
    ProtocolError,
    StateError,
)
from trials.domain.life_cycle import State, Step
from trials.domain.protocol import (
    Candidate,
    Protocol,
    amended,
    protocol_hash,
    with_least_certainty,
)
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services import allocation, calibration
from trials.services.actor import Actor, record, require_account, require_role
from trials.services.catalogue import catalogue
from trials.services.steps import check_revision, record_step, subject_of, take_step
from trials.store.account import PatientRow
from trials.store.base import Json
from trials.store.fit import release_of
from trials.store.trial import (
    ConsentRow,
    DecisionRow,
    ProtocolRow,
    TrialRow,
    consent_to,
    find_trial,
    frozen_protocol,
    latest_protocol,
    lock_trial,
)


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
    calibration.ask(session, protocol, now)
    record_step(session, actor, trial, "create_trial", now, before=None)
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
    check_revision(trial, revision)
    if trial.current_state is not State.DRAFT:
        raise StateError(_("The protocol is frozen. Amend it to make a new version."))
    check_candidates(protocol)
    calibration.ask(session, protocol, now)
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
        subject_of(trial),
        now,
        trial=trial,
        before=before,
        after={"title": trial.title, "protocol": row.body},
    )


def freeze_protocol(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow, *, revision: int, now: datetime
) -> ProtocolRow:
    """Make the protocol final with its threshold, draw the sequence, publish the commitment.

    Freezing twice (a double click) changes nothing and returns the frozen protocol.

    Raises:
        CalibrationError: the threshold of exactly this design is not known yet.
    """
    require_role(actor, Role.CLINICIAN)
    row = latest_protocol(session, trial.id)
    if trial.current_state is State.READY and row.frozen_at is not None:
        return row
    check_revision(trial, revision)
    check_candidates(row.value)
    take_step(session, actor, trial, Step.FREEZE, now)
    known = calibration.calibration_for(session, row.value, now)
    final = replace(with_least_certainty(row.value), calibration=known)
    row.body = _body(final)
    row.hash = protocol_hash(final)
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
    check_revision(trial, revision)
    take_step(session, actor, trial, Step.AMEND, now)
    newer = amended(latest_protocol(session, trial.id).value)
    calibration.ask(session, newer, now)
    session.add(ProtocolRow(trial_id=trial.id, version=newer.version, body=_body(newer)))
    session.flush()


def record_consent(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    *,
    given_on: date,
    on_withdrawal: OnWithdrawal = OnWithdrawal.KEEP,
    now: datetime,
) -> None:
    """Record that the patient agreed to this version of the protocol; once is enough.

    Args:
        session: the transaction.
        actor: the clinician.
        trial: whose protocol it is.
        given_on: day of the signature, in the patient's zone.
        on_withdrawal: what becomes of the answers if the patient withdraws, as was agreed.
        now: UTC instant.
    """
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
            on_withdrawal=on_withdrawal.value,
        )
    )
    record(
        session,
        actor,
        "record_consent",
        subject_of(trial),
        now,
        trial=trial,
        after={
            "protocol": frozen.hash,
            "given_on": given_on.isoformat(),
            "on_withdrawal": on_withdrawal.value,
        },
    )


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
    check_revision(trial, revision)
    frozen = frozen_protocol(session, trial.id)
    if treatment and (frozen is None or treatment not in frozen.value.treatments):
        raise ProtocolError(_("Decide for one of the candidates, or for none of them."))
    if not reason.strip():
        raise ProtocolError(_("Please give the reason in a sentence; the patient reads it too."))
    take_step(session, actor, trial, Step.DECIDE, now, why=reason.strip())
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


def _touch(session: Session, trial: TrialRow) -> None:
    """Count the trial's revision up even where only its protocol changed."""
    flag_modified(trial, "title")
    session.flush()


def _body(protocol: Protocol) -> Json:
    body = plain(protocol)
    assert isinstance(body, dict)  # noqa: S101  # a dataclass becomes an object
    return body


def _checked_title(title: str) -> str:
    if not title.strip():
        raise ProtocolError(_("Give the trial a short title."))
    return title.strip()[:200]
