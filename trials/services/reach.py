"""How a patient is reached: wishes, telephones, calendars, and addresses that failed.

An address that a mail server or gateway refused for good is not tried again until somebody
changes it; the clinic sees who cannot be reached.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from email import message_from_bytes
from email.message import Message
from email.policy import default
from hashlib import sha256
from hmac import compare_digest, new

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import NotFoundError, ProtocolError
from trials.domain.reminders import Wish
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services.actor import Actor, record, require_role
from trials.store.account import PatientRow
from trials.store.outbox import MessageRow
from trials.store.reach import (
    PushRow,
    ReachRow,
    find_push,
    listening,
    mark_gone,
    reach_of,
    reach_of_many,
)
from trials.store.trial import TrialRow

MOST_BROWSERS = 10
LONGEST_FAILURE = 300
NOBODY_LISTENS = "nobody listens"
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_OUR_ID = re.compile(r"<([2-9a-z]{12})@")


@dataclass(frozen=True, slots=True)
class Ways:
    """By which ways a patient can be reached, and what failed.

    Attributes:
        email: whether e-mail goes out.
        sms: whether text messages go out.
        browsers: how many take push messages.
        email_failed_at: since when the e-mail address is refused.
        phone_failed_at: since when the telephone number is.
    """

    email: bool
    sms: bool
    browsers: int
    email_failed_at: datetime | None = None
    phone_failed_at: datetime | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether any way is left."""
        return self.email or self.sms or self.browsers > 0

    @property
    def has_failed(self) -> bool:
        """Whether a way that the patient wanted was refused for good."""
        return self.email_failed_at is not None or self.phone_failed_at is not None


def save_wishes(
    session: Session,
    actor: Actor,
    patient: PatientRow,
    *,
    wish: Wish,
    by_email: bool,
    phone: str,
    now: datetime,
) -> ReachRow:
    """Keep when and by which ways a patient likes to be reminded.

    Args:
        session: the transaction.
        actor: the patient, or a clinician on the patient's behalf.
        patient: whose wishes these are.
        wish: hour and quiet hours.
        by_email: whether e-mail is wanted.
        phone: number for text messages in international form, spaces allowed; "" for none.
        now: UTC instant.

    Raises:
        ProtocolError: the number is none.
    """
    require_role(actor, Role.PATIENT, Role.CLINICIAN)
    number = re.sub(r"[\s()/.-]", "", phone)
    if number and not _PHONE.fullmatch(number):
        raise ProtocolError(
            _("Please write the number with its country code, such as +49 30 1234567.")
        )
    row = _kept(session, patient)
    if number != row.phone:
        row.phone_failed_at = None
    before = _said(row)
    row.remind_at, row.quiet_from, row.quiet_to = wish.at, wish.quiet_from, wish.quiet_to
    row.by_email, row.phone = by_email, number
    session.flush()
    if before != _said(row):
        record(
            session,
            actor,
            "save_wishes",
            f"patient:{patient.public_id}",
            now,
            site_id=patient.site_id,
            before=before,
            after=_said(row),
        )
    return row


def email_changed(session: Session, patient: PatientRow) -> None:
    """Give a new e-mail address its chance."""
    row = session.get(ReachRow, patient.id)
    if row is not None:
        row.email_failed_at, row.email_failure = None, ""


def listen(
    session: Session,
    actor: Actor,
    patient: PatientRow,
    *,
    endpoint: str,
    p256dh: str,
    auth: str,
    now: datetime,
) -> PushRow:
    """Send push messages to a browser from now on; twice is the same as once.

    A browser that belonged to another patient (a shared telephone) belongs to this one now.

    Raises:
        ProtocolError: too many browsers.
    """
    require_role(actor, Role.PATIENT)
    row = find_push(session, endpoint)
    if row is None:
        if len(listening(session, [patient.id])) >= MOST_BROWSERS:
            raise ProtocolError(_("Too many devices get reminders; turn them off on one first."))
        row = PushRow(
            patient_id=patient.id, endpoint=endpoint, p256dh=p256dh, auth=auth, created_at=now
        )
        session.add(row)
    row.patient_id, row.p256dh, row.auth, row.gone_at = patient.id, p256dh, auth, None
    session.flush()
    return row


def stop_listening(session: Session, patient: PatientRow, endpoint: str, now: datetime) -> None:
    """Send no more push messages to a browser of this patient."""
    row = find_push(session, endpoint)
    if row is not None and row.patient_id == patient.id and row.gone_at is None:
        row.gone_at = now
        session.flush()


def ways_to(session: Session, patients: Iterable[PatientRow]) -> dict[int, Ways]:
    """Return by which ways each patient can be reached, by row id; two queries for all."""
    asked = list(patients)
    ids = [patient.id for patient in asked]
    said = reach_of_many(session, ids)
    browsers = Counter(push.patient_id for push in listening(session, ids))
    return {p.id: _ways(p, said.get(p.id), browsers[p.id]) for p in asked}


def note_unreachable(session: Session, message: MessageRow, why: str, now: datetime) -> None:
    """Write down that a message was refused for good, and stop using that way to a patient."""
    if message.channel == "push":
        mark_gone(session, message.recipient, now)
        message.failed_at, message.done_at, message.dropped = None, now, NOBODY_LISTENS
        return
    patient = _patient_of(session, message)
    if patient is None:
        return
    row = _kept(session, patient)
    if message.channel == "email" and patient.email == message.recipient:
        row.email_failed_at, row.email_failure = now, why[:LONGEST_FAILURE]
    elif message.channel == "sms" and row.phone == message.recipient:
        row.phone_failed_at = now
    session.flush()


def take_returned(session: Session, raw: bytes, now: datetime) -> str:
    """Read a message that came back: a failure report (RFC 3464) or a complaint (RFC 5965).

    Args:
        session: the transaction.
        raw: the message as the mail server got it.
        now: UTC instant.

    Returns:
        what it was: "failed" or "complaint" about a message of ours; "delayed" for a report
        that the server still tries; "unknown" for anything else.
    """
    report = message_from_bytes(raw, policy=default)
    kind, why = _kind_of(report)
    if kind not in {"failed", "complaint"}:
        return kind
    found = _OUR_ID.findall(_original_heads(report))
    message = session.scalar(select(MessageRow).where(MessageRow.public_id.in_(found)))
    if message is None:
        return "unknown"
    note_unreachable(session, message, why, now)
    return kind


def calendar_secret(vault: Vault, patient: PatientRow, row: ReachRow) -> str:
    """Return the secret part of the address of a patient's calendar."""
    content = f"{patient.public_id}|{row.calendar_issue}".encode()
    digest = new(vault.derive("calendar address"), content, sha256).hexdigest()
    return f"{patient.public_id}-{digest[:32]}"


def new_calendar_address(session: Session, actor: Actor, patient: PatientRow) -> None:
    """Make the old address of a patient's calendar useless."""
    require_role(actor, Role.PATIENT)
    _kept(session, patient).calendar_issue += 1
    session.flush()


def patient_of_calendar(session: Session, vault: Vault, secret: str) -> PatientRow:
    """Return whose calendar is at a secret address.

    Raises:
        NotFoundError: nobody's, or not any more.
    """
    public_id = secret.partition("-")[0]
    patient = session.scalar(select(PatientRow).where(PatientRow.public_id == public_id))
    if patient is not None:
        right = calendar_secret(vault, patient, reach_of(session, patient.id))
        if compare_digest(right, secret):
            return patient
    raise NotFoundError(_("There is no such calendar."))


def _kept(session: Session, patient: PatientRow) -> ReachRow:
    """Return the patient's row, made on first use."""
    row = session.get(ReachRow, patient.id)
    if row is None:
        row = ReachRow(patient_id=patient.id)
        session.add(row)
        session.flush()
    return row


def _said(row: ReachRow) -> dict[str, object]:
    """Return the wishes as the trail keeps them: no number, only whether there is one."""

    def wall(at: time | None) -> str:
        return "" if at is None else at.strftime("%H:%M")

    return {
        "remind_at": wall(row.remind_at),
        "quiet": f"{wall(row.quiet_from)}-{wall(row.quiet_to)}",
        "by_email": row.by_email,
        "has_phone": bool(row.phone),
    }


def _ways(patient: PatientRow, row: ReachRow | None, browsers: int) -> Ways:
    row = row or ReachRow(patient_id=patient.id)
    return Ways(
        email=bool(patient.email) and row.by_email and row.email_failed_at is None,
        sms=bool(row.phone) and row.phone_failed_at is None,
        browsers=browsers,
        email_failed_at=row.email_failed_at,
        phone_failed_at=row.phone_failed_at,
    )


def _patient_of(session: Session, message: MessageRow) -> PatientRow | None:
    if message.trial_id is None:
        return None
    return session.get_one(TrialRow, message.trial_id).patient


def _kind_of(report: Message) -> tuple[str, str]:
    """Return what kind of report this is, and why in the mail server's words."""
    for part in report.walk():
        if part.get_content_type() == "message/feedback-report":
            return "complaint", "the reader complained"
        if part.get_content_type() == "message/delivery-status":
            heads = "".join(str(block) for block in _blocks(part))
            action = re.search(r"(?im)^Action:\s*(\w+)", heads)
            why = re.search(r"(?im)^Diagnostic-Code:\s*(.+)", heads)
            if action is not None:
                word = action[1].lower()
                return word, (why[1].strip() if why else "the address does not exist")
    return "unknown", ""


def _blocks(part: Message) -> Iterable[object]:
    payload = part.get_payload()
    return payload if isinstance(payload, list) else [payload]


def _original_heads(report: Message) -> str:
    """Return the head of the message that the report is about."""
    for part in report.walk():
        if part.get_content_type() in {"message/rfc822", "text/rfc822-headers"}:
            return "".join(str(block) for block in _blocks(part))
    return ""
