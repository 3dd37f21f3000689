"""How staff sign in: Flask-Security set up for us, its mail in our outbox, guessing slowed down."""

import base64
import secrets
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Flask, request, session
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import (
    FSQLALiteUserDatastore,
    LoginForm,
    MailUtil,
    Security,
    UserMixin,
    WebauthnUtil,
    password_changed,
    password_reset,
    tf_disabled,
    tf_profile_changed,
    user_authenticated,
    wan_deleted,
    wan_registered,
)
from flask_security.mail_util import EmailValidateException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from trials.domain.errors import AccountError
from trials.keys import Vault
from trials.services import accounts, attempts
from trials.services.attempts import Gate
from trials.store.account import AccountRow, PasskeyRow, RoleRow
from trials.store.database import only_reading
from trials.store.outbox import MessageRow
from trials.web.edge import READING_METHODS, absolute_url, error_page, now, transaction, vault
from trials.web.extensions import db
from trials.web.reader import SIGNED_IN_AT

log = structlog.get_logger("trials.web.security")

FRESH_FOR = timedelta(minutes=15)
LINK_LIFE = timedelta(hours=24)
ADDRESS_LIMIT = 50  # a whole clinic may sit behind one address
ACCOUNT_LIMIT = 5
SECOND_STEP_LIMIT = 10
CODE_LIMIT = 20


def security_config(keys: Vault) -> dict[str, object]:
    """Return Flask-Security's settings; every secret comes from the master key."""
    return {
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        "SECURITY_PASSWORD_SINGLE_HASH": ["argon2"],
        "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": {
            "argon2__rounds": 3,
            "argon2__memory_cost": 65_536,
            "argon2__parallelism": 4,
        },
        "SECURITY_PASSWORD_LENGTH_MIN": accounts.SHORTEST_PASSWORD,
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_REGISTERABLE": False,
        "SECURITY_CHANGEABLE": True,
        "SECURITY_RECOVERABLE": True,
        "SECURITY_RESET_PASSWORD_WITHIN": LINK_LIFE,
        "SECURITY_RESET_SALT": keys.derive("password link").hex(),
        "SECURITY_EMAIL_HTML": False,
        "SECURITY_LOGOUT_METHODS": ["POST"],
        "SECURITY_API_ENABLED_METHODS": ["session"],
        "SECURITY_STATIC_FOLDER": None,
        "SECURITY_POST_LOGIN_VIEW": "/start",
        "SECURITY_POST_LOGOUT_VIEW": "/",
        "SECURITY_POST_CHANGE_VIEW": "/account",
        "SECURITY_POST_VERIFY_VIEW": "/account",
        "SECURITY_TWO_FACTOR_POST_SETUP_VIEW": "/account",
        "SECURITY_WAN_POST_REGISTER_VIEW": "/account",
        "SECURITY_FRESHNESS": FRESH_FOR,
        "SECURITY_FRESHNESS_GRACE_PERIOD": FRESH_FOR,
        "SECURITY_TWO_FACTOR": True,
        "SECURITY_TWO_FACTOR_ENABLED_METHODS": ["authenticator"],
        "SECURITY_TWO_FACTOR_RESCUE_EMAIL": False,
        "SECURITY_TWO_FACTOR_SETUP_SALT": keys.derive("second step set-up").hex(),
        "SECURITY_TOTP_SECRETS": {"1": keys.derive("authenticator secrets").hex()},
        "SECURITY_TOTP_ISSUER": "Lenitive",
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES": True,
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES_KEYS": [
            base64.urlsafe_b64encode(keys.derive("recovery codes"))
        ],
        "SECURITY_WEBAUTHN": True,
        "SECURITY_WAN_RP_NAME": "Lenitive",
        "SECURITY_WAN_SALT": keys.derive("passkeys").hex(),
        "SECURITY_WAN_ALLOW_USER_HINTS": False,  # a hint tells who has an account
        "SECURITY_DATETIME_FACTORY": now,
    }


class Datastore(FSQLALiteUserDatastore):
    """Our rows, as Flask-Security writes them."""

    def create_webauthn(self, *args: Any, **kwargs: Any) -> None:
        """Add a passkey; our row wants to know since when."""
        super().create_webauthn(*args, create_datetime=now(), **kwargs)


class StaffLoginForm(LoginForm):
    """The log-in form without "remember me": clinics share computers."""

    remember = None


class OutboxMail(MailUtil):
    """Puts Flask-Security's messages into our outbox instead of sending them itself."""

    def send_mail(
        self,
        template: str,
        subject: str,
        recipient: str | tuple[str, str],
        sender: str | tuple[str, str],
        body: str | None,
        html: str | None,
        **context: Any,
    ) -> None:
        """Keep the message; the scheduler sends it."""
        del sender, html, context
        address = recipient if isinstance(recipient, str) else recipient[1]
        kind = template.rpartition("/")[2]
        db.session.add(account_message(kind, address, str(subject), (body or "").strip()))
        db.session.commit()

    def normalize(self, email: str) -> str:
        """Return the address as it is kept."""
        try:
            return accounts.plain_email(email)
        except AccountError as problem:
            raise EmailValidateException(_(problem.sentence)) from problem

    def validate(self, email: str) -> str:
        """Return the address as it is kept; whether it exists, only a message can tell."""
        return self.normalize(email)


class Passkeys(WebauthnUtil):
    """Asks for passkeys that people have: those built into phones and laptops too."""

    def authenticator_selection(
        self, user: UserMixin, usage: str
    ) -> AuthenticatorSelectionCriteria:
        """Return what kind of passkey is asked for.

        The library asks for a separate key ("cross-platform") where it is used instead of a
        password; a phone's own passkey then never answers.
        """
        del user
        if usage == "first":
            return AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            )
        return AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.DISCOURAGED,
        )


def init_security(app: Flask) -> None:
    """Bind Flask-Security to the application."""
    security = Security(
        app,
        Datastore(db, AccountRow, RoleRow, PasskeyRow),
        login_form=StaffLoginForm,
        mail_util_cls=OutboxMail,
        webauthn_util_cls=Passkeys,
    )
    app.jinja_env.globals["next_query"] = next_query
    security.want_json(lambda _request: False)  # its pages only; there is no second way in
    for endpoint, view in app.view_functions.items():
        if endpoint.startswith("security."):
            app.view_functions[endpoint] = _reading_when_shown(view)
    app.before_request(slow_down_guessing)
    user_authenticated.connect(_on_sign_in, app)
    for signal, action in (
        (password_changed, "change_password"),
        (password_reset, "reset_password"),
        (tf_profile_changed, "set_up_second_step"),
        (tf_disabled, "remove_second_step"),
        (wan_registered, "add_passkey"),
        (wan_deleted, "remove_passkey"),
    ):
        signal.connect(_recorder(action), app, weak=False)


def _reading_when_shown(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a page of Flask-Security that is only looked at take no write lock."""

    @wraps(view)
    def shown(*args: Any, **kwargs: Any) -> Any:
        with only_reading() if request.method in READING_METHODS else nullcontext():
            return view(*args, **kwargs)

    return shown


def next_query() -> str:
    """Return the end of an address that leads on to where the reader was stopped, or ""."""
    wanted = request.args.get("next", "")
    return f"?{urlencode({'next': wanted})}" if wanted else ""


def account_message(kind: str, recipient: str, subject: str, body: str) -> MessageRow:
    """Return a message about an account, to be sent at once or not at all."""
    return MessageRow(
        occasion=f"account:{kind}:{secrets.token_hex(8)}",
        trial_id=None,
        recipient=recipient,
        subject=subject,
        body=body,
        due_at=now(),
        void_after=now() + LINK_LIFE,
    )


def password_link(account: AccountRow) -> str:
    """Return a link by which the person sets a new password within a day, once."""
    from flask_security.recoverable import generate_reset_password_token  # noqa: PLC0415

    token = generate_reset_password_token(account)  # type: ignore[no-untyped-call]
    return absolute_url("security.reset_password", token=token)


def slow_down_guessing() -> ResponseReturnValue | None:
    """Refuse a try at a password or code that comes after too many others."""
    if request.method != "POST":
        return None
    gates = _gates(request.endpoint or "", request.remote_addr or "")
    if not gates:
        return None
    with transaction() as database:
        may_try = attempts.take(database, vault(), gates, now=now())
    if may_try:
        return None
    log.warning("too_many_attempts", endpoint=request.endpoint)
    return error_page(429, _("Too many attempts. Wait a quarter of an hour, then try again."))


def _gates(endpoint: str, address: str) -> list[Gate]:
    """Return what is counted for this endpoint; nothing for most."""
    email = request.form.get("email", "").strip().lower()
    second = str(session.get("tf_user_id", ""))
    person = str(session.get("_user_id", ""))
    everything = Gate(f"address {address}", ADDRESS_LIMIT)
    match endpoint:
        case "security.login":
            return [Gate(_login_key(email, address), ACCOUNT_LIMIT), everything]
        case "security.two_factor_token_validation" | "security.mf_recovery":
            return [Gate(f"second step {second}", SECOND_STEP_LIMIT), everything]
        case "security.verify" | "security.change_password":
            return [Gate(f"verify {person}", ACCOUNT_LIMIT), everything]
        case "security.forgot_password":
            return [Gate(f"forgotten {email}", ACCOUNT_LIMIT), everything]
        case "entrance.enter_code" | "entrance.enter_link":
            return [Gate(f"code {address}", CODE_LIMIT), everything]
    return []


def _login_key(email: str, address: str) -> str:
    return f"account {email} {address}"


def _on_sign_in(_app: Flask, user: AccountRow, **_more: object) -> None:
    """Note when the session began, strike out the tries it took, and write it down."""
    session[SIGNED_IN_AT] = now().timestamp()
    address = request.remote_addr or ""
    for key in (_login_key(user.email, address), f"second step {user.fs_uniquifier}"):
        attempts.strike_out(db.session, vault(), key, f"address {address}")
    accounts.record_own_deed(db.session, user, "sign_in", now=now())


def _recorder(action: str) -> Any:
    """Return a listener that writes this deed into the audit trail."""

    def listen(_app: Flask, user: AccountRow, **_more: object) -> None:
        account = user._get_current_object() if hasattr(user, "_get_current_object") else user  # noqa: SLF001
        accounts.record_own_deed(db.session, account, action, now=now())

    return listen
