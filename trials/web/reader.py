"""Find out who is asking: a member of staff by the session, a patient by the device cookie."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Request, Response, current_app, session
from flask_login import current_user
from flask_security import logout_user
from itsdangerous import BadSignature, Signer

from trials.domain.blinding import Role
from trials.keys import Vault
from trials.services import accounts, invitations
from trials.services.invitations import Entry
from trials.store.account import AccountRow, DeviceRow, PatientRow
from trials.store.database import only_reading
from trials.web.extensions import db

SIGNED_IN_AT = "signed_in_at"
DEMO = "demo"
LONGEST_SESSION = timedelta(hours=12)
DEVICE_COOKIE_LIFE = timedelta(days=400)  # the longest that browsers keep a cookie


@dataclass(frozen=True, slots=True)
class Reader:
    """Who is asking. One browser may hold both, such as a clinician who tries a patient's link.

    Attributes:
        account: the signed-in member of staff, or None.
        device: the patient's device, or None.
        patient: whose device it is, or None.
        is_demo: whether this person was let in by one click of the demonstration.
    """

    account: AccountRow | None = None
    device: DeviceRow | None = None
    patient: PatientRow | None = None
    is_demo: bool = False

    @property
    def role(self) -> Role | None:
        """The role of the account, or None."""
        return accounts.role_of(self.account) if self.account is not None else None

    @property
    def is_anybody(self) -> bool:
        """Whether we know who this is."""
        return self.account is not None or self.patient is not None


NOBODY = Reader()


def identify(request: Request, vault: Vault, now: datetime) -> Reader:
    """Return who sent this request.

    The transaction ends before the view begins, so that no lock is held while a password is
    hashed or a page is rendered.
    """
    with only_reading():
        account = _signed_in_account(now)
        device = _known_device(request, vault)
        patient = db.session.get(PatientRow, device.patient_id) if device is not None else None
        db.session.commit()
    return Reader(account, device, patient, is_demo=account is not None and DEMO in session)


def _signed_in_account(now: datetime) -> AccountRow | None:
    """Return the account of the session, which ends after half a day of work."""
    if "_user_id" not in session or not current_user.is_authenticated:
        return None
    signed_in_at = float(session.get(SIGNED_IN_AT, 0))
    too_old = now.timestamp() - signed_in_at > LONGEST_SESSION.total_seconds()
    no_demo = DEMO in session and not accounts.is_demonstration(db.session)
    if too_old or no_demo:
        logout_user()
        return None
    account: AccountRow = current_user._get_current_object()  # noqa: SLF001  # werkzeug's own way
    return account


def _known_device(request: Request, vault: Vault) -> DeviceRow | None:
    """Return the device whose cookie was sent, unless it was revoked or tampered with."""
    sent = _sent_device(request, vault)
    return invitations.find_device(db.session, vault, *sent) if sent is not None else None


def was_shut_out(request: Request, vault: Vault) -> bool:
    """Return whether this is a device that was let in once, by us, and shut out later."""
    sent = _sent_device(request, vault)
    if sent is None:
        return False
    with only_reading():
        shut_out = invitations.is_revoked(db.session, *sent, vault=vault)
        db.session.commit()
    return shut_out


def _sent_device(request: Request, vault: Vault) -> tuple[str, str] | None:
    """Return id and secret of the cookie that was sent, unless it was tampered with."""
    cookie = request.cookies.get(device_cookie_name())
    if not cookie:
        return None
    try:
        public_id, _dot, secret = _signer(vault).unsign(cookie).decode().partition(".")
    except (BadSignature, UnicodeDecodeError):
        return None
    return public_id, secret


def remember_device(response: Response, vault: Vault, entry: Entry) -> None:
    """Give the browser the cookie by which the device is known from now on."""
    name, value = device_cookie(vault, entry)
    response.set_cookie(
        name,
        value,
        max_age=DEVICE_COOKIE_LIFE,
        secure=_secure(),
        httponly=True,
        samesite="Lax",
    )


def device_cookie(vault: Vault, entry: Entry) -> tuple[str, str]:
    """Return name and signed value of the cookie."""
    value = _signer(vault).sign(f"{entry.device_id}.{entry.secret}").decode()
    return device_cookie_name(), value


def forget_device(response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(device_cookie_name(), secure=_secure(), httponly=True, samesite="Lax")


def device_cookie_name() -> str:
    """Return the cookie's name; with the prefix no other site of the domain can set it."""
    return "__Host-lenitive-device" if _secure() else "lenitive-device"


def _secure() -> bool:
    return bool(current_app.config["SESSION_COOKIE_SECURE"])


def _signer(vault: Vault) -> Signer:
    return Signer(vault.derive("device cookie"), salt="device")
