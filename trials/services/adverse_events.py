"""Serious adverse events: written down, signed within a day, amended by adding.

The clock starts when the clinic comes to know of the event. Until the report is signed, the
responsible clinician, then everybody at the site, is reminded. Nothing here opens the code.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from trials.domain.adverse_event import (
    FIRST_REMINDER,
    REMIND_EVERY,
    TIME_TO_REPORT,
    Account,
)
from trials.domain.blinding import Role
from trials.domain.canonical import canonical_hash, plain
from trials.domain.errors import EditConflictError, NotFoundError, ProtocolError, StateError
from trials.domain.life_cycle import State
from trials.domain.protocol import Protocol
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_account, require_role
from trials.services.alerts import BATCH, EVERYBODY_STEP, recipients_at
from trials.services.language import write_letter
from trials.services.messages import queue_message
from trials.store.adverse_event import (
    AdverseEventRow,
    AdverseEventVersionRow,
    events_of_trial,
    find_event,
    last_number,
    lock_event,
    take_due_events,
    unsigned_events_of_site,
    versions_of,
)
from trials.store.alert import AlertRow
from trials.store.outbox import URGENT
from trials.store.trial import TrialRow, frozen_protocol, lock_trial

LONGEST_REASON = 500
OLDEST_KNOWLEDGE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Told:
    """One serious event as a pharmacist may know of it: that there is one, no more."""

    number: int
    known_at: datetime
    signed: bool


def record_event(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    account: Account,
    *,
    known_at: datetime,
    alert: AlertRow | None = None,
    signed: bool = False,
    now: datetime,
) -> AdverseEventRow:
    """Write down a serious or severe event; its clock of 24 hours runs from ``known_at``.

    Args:
        session: the transaction.
        actor: a clinician of the site.
        trial: under way, or begun once.
        account: what is known.
        known_at: UTC instant at which the clinic came to know of it.
        alert: that it came from, if any.
        signed: whether the report is signed at once.
        now: UTC instant.

    Raises:
        StateError: the trial never began.
        ProtocolError: the clinic cannot have known of it then, or a treatment is not judged.
    """
    require_role(actor, Role.CLINICIAN)
    trial = lock_trial(session, trial.id)
    if trial.current_state in {State.DRAFT, State.READY}:
        raise StateError(_("This trial has not begun: there is no event of it to report."))
    if not now - OLDEST_KNOWLEDGE <= known_at <= now:
        raise ProtocolError(_("Please say when the clinic came to know of it: not in the future."))
    if alert is not None and alert.trial_id != trial.id:
        raise NotFoundError(_("There is no such alert."))
    _check_causality(session, trial, account)
    row = AdverseEventRow(
        trial_id=trial.id,
        alert_id=None if alert is None else alert.id,
        number=last_number(session, trial.id) + 1,
        known_at=known_at,
        due_at=known_at + TIME_TO_REPORT,
        escalates_at=max(known_at + FIRST_REMINDER, now),
    )
    session.add(row)
    session.flush()
    _add_version(session, actor, row, account, signed=signed, why="", now=now)
    return row


def write_more(
    session: Session,
    actor: Actor,
    event: AdverseEventRow,
    account: Account,
    *,
    version: int,
    why: str,
    signed: bool,
    now: datetime,
) -> AdverseEventVersionRow:
    """Add what became known later, or sign; nothing that was written is ever changed.

    Args:
        session: the transaction.
        actor: a clinician of the site.
        event: which.
        account: what is known now, all of it.
        version: the newest one its writer had seen.
        why: needed once a report is signed.
        signed: whether this version is signed.
        now: UTC instant.

    Raises:
        EditConflictError: somebody else wrote in the meantime.
        ProtocolError: no reason for a change of a signed report, or a treatment is not judged.
    """
    require_role(actor, Role.CLINICIAN)
    lock_trial(session, event.trial_id)
    event = lock_event(session, event.id)
    newest = versions_of(session, event.id)[-1]
    if newest.version != version:
        raise EditConflictError(
            _("Somebody else wrote about this event meanwhile. Look at it again, then repeat it.")
        )
    if event.signed_at is not None and not why.strip():
        raise ProtocolError(_("Please say why the signed report is amended."))
    _check_causality(session, event.trial, account)
    return _add_version(session, actor, event, account, signed=signed, why=why.strip(), now=now)


def get_event(session: Session, actor: Actor, public_id: str) -> AdverseEventRow:
    """Return an event of the actor's site.

    Raises:
        NotAllowedError: the actor is no clinician.
        NotFoundError: there is none at this site.
    """
    require_role(actor, Role.CLINICIAN)
    row = find_event(session, public_id)
    if row is None or row.trial.site_id != actor.site_id:
        raise NotFoundError(_("There is no such event."))
    return row


def unsigned_events(session: Session, actor: Actor) -> list[AdverseEventRow]:
    """Return the site's events whose report is not signed, the one due first ahead."""
    require_role(actor, Role.CLINICIAN)
    return unsigned_events_of_site(session, actor.site_id or 0)


def told_to_pharmacist(session: Session, actor: Actor, trial: TrialRow) -> tuple[Told, ...]:
    """Return that there are events, for whoever may have to open the code because of one."""
    require_role(actor, Role.PHARMACIST)
    return tuple(
        Told(row.number, row.known_at, row.signed_at is not None)
        for row in events_of_trial(session, trial.id)
    )


def protocol_of(session: Session, trial: TrialRow) -> Protocol:
    """Return the agreement the trial runs by.

    Raises:
        StateError: it has none yet.
    """
    frozen = frozen_protocol(session, trial.id)
    if frozen is None:
        raise StateError(_("This trial has not begun: there is no event of it to report."))
    return frozen.value


def _check_causality(session: Session, trial: TrialRow, account: Account) -> None:
    if set(account.causality) != set(protocol_of(session, trial).treatments):
        raise ProtocolError(_("Please judge each treatment, as if it were the one that was taken."))


def _add_version(
    session: Session,
    actor: Actor,
    event: AdverseEventRow,
    account: Account,
    *,
    signed: bool,
    why: str,
    now: datetime,
) -> AdverseEventVersionRow:
    version = len(versions_of(session, event.id)) + 1
    content = plain(account)
    assert isinstance(content, dict)  # noqa: S101  # a dataclass becomes an object
    row = AdverseEventVersionRow(
        adverse_event_id=event.id,
        version=version,
        content=content,
        signed=signed,
        why=why[:LONGEST_REASON],
        written_by=require_account(actor),
        written_at=now,
    )
    session.add(row)
    if signed and event.signed_at is None:
        event.signed_at, event.escalates_at = now, None
    session.flush()
    action = "record_adverse_event" if version == 1 else "amend_adverse_event"
    subject = f"adverse_event:{event.public_id}"
    # What was written stays out of the trail; its hash proves which text it was.
    kept: dict[str, object] = {"version": version, "account": canonical_hash(account)}
    record(session, actor, action, subject, now, trial=event.trial, after=kept)
    if signed:
        record(session, actor, "sign_adverse_event", subject, now, trial=event.trial, after=kept)
    return row


# ---- the clock -------------------------------------------------------------------------------


def remind_of_reports(session: Session, now: datetime, *, address: str, most: int = BATCH) -> int:
    """Remind of every report that is not signed; return how many there were.

    First the responsible clinician, half-way through the day; then everybody at the site, again
    and again until it is signed.
    """
    due = take_due_events(session, now, most)
    for event in due:
        step = 0 if event.step == 0 and now < event.due_at else EVERYBODY_STEP
        for recipient in recipients_at(session, event.trial, step):
            letter = write_letter(
                "adverse_event",
                recipient.locale,
                code=event.trial.patient.code,
                hours=max(0, int((event.due_at - now).total_seconds() // 3600)),
                overdue=now >= event.due_at,
                address=address,
            )
            queue_message(
                session,
                occasion=f"adverse-event:{event.public_id}:{event.step}:{recipient.email}",
                trial=event.trial,
                recipient=recipient.email,
                subject=letter.subject,
                body=letter.body,
                due_at=now,
                priority=URGENT,
            )
        event.step += 1
        event.escalates_at = now + REMIND_EVERY
    session.flush()
    return len(due)


def as_typed(account: Account) -> dict[str, str]:
    """Return an account as the fields of its form, to start the next version from."""
    fields = {
        "title": account.title,
        "began_on": account.began_on.isoformat(),
        "ended_on": account.ended_on.isoformat() if account.ended_on else "",
        "severity": account.severity.value,
        "outcome": account.outcome.value,
        "action": account.action.value,
        "other_cause": account.other_cause,
        "course": account.course,
    }
    judged = {f"causality-{key}": value.value for key, value in account.causality.items()}
    return fields | judged
