"""How a patient's phone comes in: a personal link or a short code, once, and then as a device.

Nothing that opens a door is kept: the database holds keyed digests only. A link is used up by
the first browser that says "Continue", never by merely opening it (mail scanners do that). The
device's secret is derived from the link and from a number of that browser, so the same browser
that taps twice gets the same device, and a second browser gets nothing.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import InvitationError, NotFoundError
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services.actor import SYSTEM, Actor, record, require_role
from trials.store.account import DeviceRow, InvitationRow, PatientRow
from trials.store.base import PUBLIC_ID_ALPHABET

LINK_LIFE = timedelta(days=7)
CODE_LIFE = timedelta(hours=1)
SECOND_TAP = timedelta(minutes=10)
BETWEEN_VISITS = timedelta(hours=1)
CODE_LENGTH = 8
_TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class Invitation:
    """What is shown or sent once and then forgotten.

    Attributes:
        token: end of the personal link.
        code: the same as a short code to be typed, in two groups of four.
        expires_at: when the link stops working.
        code_expires_at: when the code stops working.
    """

    token: str
    code: str
    expires_at: datetime
    code_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What the browser keeps as its cookie.

    Attributes:
        device_id: public id of the device.
        secret: proves that it is the device.
        patient_id: public id of the patient.
    """

    device_id: str
    secret: str
    patient_id: str


def invite(
    session: Session, vault: Vault, actor: Actor, patient: PatientRow, *, now: datetime
) -> Invitation:
    """Make a personal link and code for the patient; earlier unused ones stop working.

    Args:
        session: the transaction.
        vault: keys of the installation.
        actor: a clinician of the patient's site, or the system.
        patient: who may enter.
        now: UTC instant.

    Raises:
        NotFoundError: the patient is of another site.
    """
    _check_site(actor, patient)
    _revoke_unused(session, patient, now)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    code = "".join(secrets.choice(PUBLIC_ID_ALPHABET) for _place in range(CODE_LENGTH))
    session.add(
        InvitationRow(
            patient_id=patient.id,
            token_hash=_digest(vault, "link", token),
            code_hash=_digest(vault, "code", code),
            created_at=now,
            expires_at=now + LINK_LIFE,
        )
    )
    session.flush()
    record(session, actor, "invite_patient", _subject(patient), now, site_id=patient.site_id)
    return Invitation(token, f"{code[:4]} {code[4:]}", now + LINK_LIFE, now + CODE_LIFE)


def check_link(session: Session, vault: Vault, token: str, *, now: datetime) -> None:
    """Say whether the link would open, without using it up.

    Raises:
        InvitationError: unknown, used, expired or revoked, and what to do about it.
    """
    row = _find(session, InvitationRow.token_hash == _digest(vault, "link", token))
    _check_usable(row, row.expires_at if row else now, now)


def enter_by_link(
    session: Session, vault: Vault, token: str, *, browser: str, now: datetime
) -> Entry:
    """Use the link up and return the device that this browser is from now on.

    Args:
        session: the transaction.
        vault: keys of the installation.
        token: end of the link.
        browser: a random number this browser keeps; the same one may tap twice.
        now: UTC instant.

    Raises:
        InvitationError: unknown, used by another browser, expired or revoked.
    """
    row = _find(session, InvitationRow.token_hash == _digest(vault, "link", token))
    return _enter(session, vault, row, row.expires_at if row else now, token, browser, now)


def enter_by_code(
    session: Session, vault: Vault, code: str, *, browser: str, now: datetime
) -> Entry:
    """Use the typed code up and return the device; see ``enter_by_link``."""
    typed = plain_code(code)
    row = _find(session, InvitationRow.code_hash == _digest(vault, "code", typed))
    expires_at = min(row.created_at + CODE_LIFE, row.expires_at) if row else now
    return _enter(session, vault, row, expires_at, typed, browser, now)


def plain_code(code: str) -> str:
    """Return a typed code without spaces, dashes and capitals."""
    return "".join(code.split()).replace("-", "").lower()


def open_device(
    session: Session, vault: Vault, patient: PatientRow, *, secret: str, now: datetime
) -> Entry:
    """Make a device for this patient without an invitation (the demonstration does that)."""
    device = DeviceRow(
        patient_id=patient.id,
        secret_hash=_digest(vault, "device", secret),
        created_at=now,
        last_seen_at=now,
    )
    session.add(device)
    session.flush()
    return Entry(device.public_id, secret, patient.public_id)


def find_device(session: Session, vault: Vault, public_id: str, secret: str) -> DeviceRow | None:
    """Return the device if the secret is its own and it was not revoked."""
    device = _with_secret(session, vault, public_id, secret)
    return device if device is not None and device.revoked_at is None else None


def is_revoked(session: Session, public_id: str, secret: str, *, vault: Vault) -> bool:
    """Return whether this is a device, with its own secret, that was shut out."""
    device = _with_secret(session, vault, public_id, secret)
    return device is not None and device.revoked_at is not None


def _with_secret(session: Session, vault: Vault, public_id: str, secret: str) -> DeviceRow | None:
    device = session.scalar(select(DeviceRow).where(DeviceRow.public_id == public_id))
    if device is None:
        return None
    expected = _digest(vault, "device", secret)
    return device if hmac.compare_digest(device.secret_hash, expected) else None


def visit_is_due(device: DeviceRow, now: datetime) -> bool:
    """Return whether the device's last visit was noted long ago."""
    return now - device.last_seen_at >= BETWEEN_VISITS


def note_visit(session: Session, device_id: int, now: datetime) -> None:
    """Remember when the device was seen."""
    session.execute(update(DeviceRow).where(DeviceRow.id == device_id).values(last_seen_at=now))


def devices_of_patient(session: Session, patient: PatientRow) -> list[DeviceRow]:
    """Return the patient's devices that may enter, newest first."""
    query = (
        select(DeviceRow)
        .where(DeviceRow.patient_id == patient.id, DeviceRow.revoked_at.is_(None))
        .order_by(DeviceRow.created_at.desc(), DeviceRow.id.desc())
    )
    return list(session.scalars(query))


def open_invitation_of(
    session: Session, patient: PatientRow, now: datetime
) -> InvitationRow | None:
    """Return the invitation that is still waiting to be used, or None."""
    query = (
        select(InvitationRow)
        .where(
            InvitationRow.patient_id == patient.id,
            InvitationRow.used_at.is_(None),
            InvitationRow.revoked_at.is_(None),
            InvitationRow.expires_at > now,
        )
        .order_by(InvitationRow.created_at.desc())
        .limit(1)
    )
    return session.scalar(query)


def revoke_device(
    session: Session, actor: Actor, patient: PatientRow, device_id: str, *, now: datetime
) -> None:
    """Shut one device out at once.

    Args:
        session: the transaction.
        actor: a clinician of the patient's site, or the patient.
        patient: whose device it is.
        device_id: public id of the device.
        now: UTC instant.

    Raises:
        NotFoundError: it is not a device of this patient.
    """
    _check_site(actor, patient, Role.CLINICIAN, Role.PATIENT)
    device = session.scalar(
        select(DeviceRow).where(
            DeviceRow.public_id == device_id, DeviceRow.patient_id == patient.id
        )
    )
    if device is None:
        raise NotFoundError(_("There is no such device, or it is not of this patient."))
    if device.revoked_at is None:
        device.revoked_at = now
        record(session, actor, "revoke_device", f"device:{device_id}", now, site_id=patient.site_id)


def revoke_all(session: Session, actor: Actor, patient: PatientRow, *, now: datetime) -> None:
    """Shut out every device and make every unused link useless: a lost phone, a wrong address."""
    _check_site(actor, patient)
    _revoke_unused(session, patient, now)
    session.execute(
        update(DeviceRow)
        .where(DeviceRow.patient_id == patient.id, DeviceRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    record(session, actor, "revoke_access", _subject(patient), now, site_id=patient.site_id)


def _enter(
    session: Session,
    vault: Vault,
    row: InvitationRow | None,
    expires_at: datetime,
    opener: str,
    browser: str,
    now: datetime,
) -> Entry:
    secret = _digest(vault, "device secret", f"{opener} {browser}")
    if row is not None and (again := _second_tap(session, vault, row, secret, now)):
        return again
    row = _check_usable(row, expires_at, now)
    row.used_at = now
    patient = session.get_one(PatientRow, row.patient_id)
    entry = open_device(session, vault, patient, secret=secret, now=now)
    actor = Actor(None, patient.public_id, Role.PATIENT, patient.site_id, patient.timezone)
    record(session, actor, "enter_by_invitation", f"device:{entry.device_id}", now)
    return entry


def _second_tap(
    session: Session, vault: Vault, row: InvitationRow, secret: str, now: datetime
) -> Entry | None:
    """Return the device this very browser got a moment ago by the same link."""
    if row.used_at is None or now - row.used_at > SECOND_TAP:
        return None
    device = session.scalar(
        select(DeviceRow).where(
            DeviceRow.patient_id == row.patient_id,
            DeviceRow.secret_hash == _digest(vault, "device", secret),
            DeviceRow.revoked_at.is_(None),
        )
    )
    if device is None:
        return None
    patient = session.get_one(PatientRow, row.patient_id)
    return Entry(device.public_id, secret, patient.public_id)


def _find(session: Session, condition: object) -> InvitationRow | None:
    """Return the invitation, held until the transaction ends so that it is used once."""
    query = select(InvitationRow).where(condition).with_for_update()  # type: ignore[arg-type]
    return session.scalar(query)


def _check_usable(row: InvitationRow | None, expires_at: datetime, now: datetime) -> InvitationRow:
    if row is None:
        raise InvitationError(
            _("This link or code is not known. Check that it is complete, or ask your clinic.")
        )
    if row.revoked_at is not None:
        raise InvitationError(
            _("This link or code was replaced or withdrawn. Use the newest one from your clinic.")
        )
    if row.used_at is not None:
        raise InvitationError(
            _(
                "This link or code was used already. On the phone it was used on you can go on;"
                " for another one, ask your clinic for a new link."
            )
        )
    if now >= expires_at:
        raise InvitationError(_("This link or code has expired. Ask your clinic for a new one."))
    return row


def _revoke_unused(session: Session, patient: PatientRow, now: datetime) -> None:
    session.execute(
        update(InvitationRow)
        .where(
            InvitationRow.patient_id == patient.id,
            InvitationRow.used_at.is_(None),
            InvitationRow.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


def _check_site(actor: Actor, patient: PatientRow, *roles: Role) -> None:
    require_role(actor, *(roles or (Role.CLINICIAN,)))
    if actor != SYSTEM and actor.site_id != patient.site_id:
        raise NotFoundError(_("There is no such patient."))


def _subject(patient: PatientRow) -> str:
    return f"patient:{patient.public_id}"


def _digest(vault: Vault, purpose: str, value: str) -> str:
    """Return a keyed digest: with the database alone, not even a short code can be tried out."""
    return hmac.new(vault.derive(f"invitation {purpose}"), value.encode(), sha256).hexdigest()
