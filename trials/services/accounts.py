"""Sites and the accounts of their staff.

One account has one role. The roles exclude each other in pairs: who dispenses knows the
allocation a clinician or analyst must not know, who analyses must not know the patients a
clinician treats, and who administers reads no clinical data. A person with two duties has two
accounts.
"""

import re
import secrets
import unicodedata
from datetime import datetime

from argon2 import PasswordHasher
from sqlalchemy import exists, select
from sqlalchemy.orm import Session, joinedload

from trials.domain.blinding import Role
from trials.domain.calendar import zone_of
from trials.domain.errors import AccountError, NotFoundError, ProtocolError
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.store.account import AccountRow, SiteRow, find_account, find_site, role_named
from trials.store.base import Json

STAFF_ROLES = (Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 128
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.?[^@\s.]+")
_LOCALE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_PHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{2,24}")
_HASHER = PasswordHasher()  # argon2id with the parameters its authors recommend


def role_of(account: AccountRow) -> Role | None:
    """Return the role of an account; None if it has none, or against the rule several."""
    return Role(account.roles[0].name) if len(account.roles) == 1 else None


def plain_email(email: str) -> str:
    """Return an e-mail address as it is kept: without spaces around it, in small letters.

    Raises:
        AccountError: it is not an address.
    """
    plain = email.strip().lower()
    if not _EMAIL.fullmatch(plain):
        raise AccountError(_("An e-mail address looks like name@clinic.org."))
    return plain


def hash_password(password: str, hasher: PasswordHasher = _HASHER) -> str:
    """Return the argon2id hash of a password that is long enough.

    Raises:
        AccountError: the password is too short or too long.
    """
    # The form in which Flask-Security hashes what is typed at log-in.
    plain = unicodedata.normalize("NFKD", password)
    if not SHORTEST_PASSWORD <= len(plain) <= LONGEST_PASSWORD:
        raise AccountError(
            _("A password has %(shortest)s to %(longest)s characters."),
            shortest=SHORTEST_PASSWORD,
            longest=LONGEST_PASSWORD,
        )
    return hasher.hash(plain)


def is_demonstration(session: Session) -> bool:
    """Return whether every site of this database is a demonstration site, and there is one."""
    demo = session.scalar(select(exists().where(SiteRow.is_demo.is_(True))))
    real = session.scalar(select(exists().where(SiteRow.is_demo.is_(False))))
    return bool(demo) and not real


def add_site(
    session: Session, actor: Actor, *, name: str, timezone: str, locale: str = "en", now: datetime
) -> SiteRow:
    """Enter a clinic; only the system (the command line) does that.

    Raises:
        AccountError: no name, an unknown time zone or language, or a demonstration database.
    """
    if is_demonstration(session):
        raise AccountError(
            _("This is a demonstration database, open to everybody. Use another for real work.")
        )
    site = SiteRow(
        name=_checked_name(name), timezone=_checked_zone(timezone), locale=_checked_locale(locale)
    )
    session.add(site)
    session.flush()
    record(
        session,
        actor,
        "add_site",
        f"site:{site.public_id}",
        now,
        site_id=site.id,
        after=_site_facts(site),
    )
    return site


def edit_site(
    session: Session,
    actor: Actor,
    *,
    name: str,
    timezone: str,
    locale: str,
    phone: str = "",
    now: datetime,
) -> SiteRow:
    """Change the name, time zone, language or telephone of the administrator's own site.

    Trials keep the time zone they were made with.

    Raises:
        AccountError: no name, or an unknown time zone or language.
    """
    require_role(actor, Role.ADMINISTRATOR)
    site = session.get_one(SiteRow, actor.site_id)
    before = _site_facts(site)
    site.name = _checked_name(name)
    site.timezone = _checked_zone(timezone)
    site.locale = _checked_locale(locale)
    site.phone = _checked_phone(phone)
    after = _site_facts(site)
    if before != after:
        record(
            session, actor, "edit_site", f"site:{site.public_id}", now, before=before, after=after
        )
    return site


def get_site(session: Session, public_id: str) -> SiteRow:
    """Return the site with this public id.

    Raises:
        NotFoundError: there is none.
    """
    site = find_site(session, public_id)
    if site is None:
        raise NotFoundError(_("There is no such site."))
    return site


def add_account(
    session: Session,
    actor: Actor,
    site: SiteRow,
    *,
    name: str,
    email: str,
    role: Role,
    password_hash: str | None = None,
    now: datetime,
) -> AccountRow:
    """Give a person an account at a site.

    Args:
        session: the transaction.
        actor: an administrator of that site, or the system.
        site: where the person works.
        name: what colleagues read.
        email: what the person signs in with.
        role: one of the staff roles.
        password_hash: from ``hash_password``; without one the person sets it by a link.
        now: UTC instant.

    Raises:
        AccountError: the address is taken or is none, there is no name, or the role is a patient's.
        NotFoundError: the site is not the administrator's.
    """
    require_role(actor, Role.ADMINISTRATOR)
    if actor.site_id is not None and actor.site_id != site.id:
        raise NotFoundError(_("There is no such site."))
    plain = plain_email(email)
    if find_account(session, plain) is not None:
        raise AccountError(_("There is an account with this e-mail address already."))
    account = AccountRow(
        site_id=site.id,
        name=_checked_name(name),
        email=plain,
        password=password_hash,
        fs_uniquifier=secrets.token_hex(32),
        roles=[role_named(session, _checked_role(role).value)],
    )
    session.add(account)
    session.flush()
    after: Json = {"name": account.name, "email": plain, "role": role.value}
    _record(session, actor, "add_account", account, now, after=after)
    return account


def accounts_of_site(session: Session, site_id: int) -> list[AccountRow]:
    """Return the accounts of a site with their roles, by name."""
    query = (
        select(AccountRow)
        .where(AccountRow.site_id == site_id)
        .options(joinedload(AccountRow.roles))
        .order_by(AccountRow.name, AccountRow.id)
    )
    return list(session.scalars(query).unique())


def get_account(session: Session, actor: Actor, public_id: str) -> AccountRow:
    """Return an account of the actor's site.

    Raises:
        NotFoundError: there is none at this site.
    """
    require_role(actor, Role.ADMINISTRATOR)
    account = session.scalar(select(AccountRow).where(AccountRow.public_id == public_id))
    if account is None or (actor.site_id is not None and account.site_id != actor.site_id):
        raise NotFoundError(_("There is no such account."))
    return account


def change_role(
    session: Session, actor: Actor, account: AccountRow, role: Role, *, now: datetime
) -> None:
    """Give an account another role instead of the one it has.

    Raises:
        AccountError: it is one's own account.
    """
    _check_other(session, actor, account)
    before = role_of(account)
    if before is _checked_role(role):
        return
    account.roles = [role_named(session, role.value)]
    session.flush()
    _record(
        session,
        actor,
        "change_role",
        account,
        now,
        before={"role": before.value if before else ""},
        after={"role": role.value},
    )


def deactivate(session: Session, actor: Actor, account: AccountRow, *, now: datetime) -> None:
    """Shut an account out at once; what it did stays.

    Raises:
        AccountError: it is one's own account.
    """
    _check_other(session, actor, account)
    if account.active:
        account.active = False
        _record(session, actor, "deactivate_account", account, now)


def reactivate(session: Session, actor: Actor, account: AccountRow, *, now: datetime) -> None:
    """Let a deactivated account in again."""
    _check_other(session, actor, account)
    if not account.active:
        account.active = True
        _record(session, actor, "reactivate_account", account, now)


def reset_second_step(
    session: Session, actor: Actor, account: AccountRow, *, now: datetime
) -> None:
    """Take away authenticator, recovery codes and passkeys of a person who lost the phone."""
    _check_other(session, actor, account)
    account.tf_primary_method = None
    account.tf_totp_secret = None
    account.mf_recovery_codes = None
    account.webauthn = []
    _record(session, actor, "reset_second_step", account, now)


def set_password(
    session: Session, actor: Actor, account: AccountRow, password_hash: str, *, now: datetime
) -> None:
    """Replace the password and end every session of the account.

    Args:
        session: the transaction.
        actor: the system (the command line); people use their own pages or a link.
        account: whose.
        password_hash: from ``hash_password``.
        now: UTC instant.
    """
    require_role(actor)
    account.password = password_hash
    account.fs_uniquifier = secrets.token_hex(32)
    _record(session, actor, "set_password", account, now)


def record_password_link(
    session: Session, actor: Actor, account: AccountRow, *, now: datetime
) -> None:
    """Write down that the person was sent a link to set a password."""
    get_account(session, actor, account.public_id)
    _record(session, actor, "send_password_link", account, now)


def record_own_deed(session: Session, account: AccountRow, action: str, *, now: datetime) -> None:
    """Write into the audit trail what a person did with the own account, such as "sign_in"."""
    actor = Actor(
        account.id, account.public_id, role_of(account), account.site_id, account.site.timezone
    )
    _record(session, actor, action, account, now)


def _check_other(session: Session, actor: Actor, account: AccountRow) -> None:
    get_account(session, actor, account.public_id)
    if actor.id == account.id:
        raise AccountError(_("Ask another administrator to change your own account."))


def _record(
    session: Session,
    actor: Actor,
    action: str,
    account: AccountRow,
    now: datetime,
    *,
    before: Json | None = None,
    after: Json | None = None,
) -> None:
    record(
        session,
        actor,
        action,
        f"account:{account.public_id}",
        now,
        site_id=account.site_id,
        before=before,
        after=after,
    )


def _site_facts(site: SiteRow) -> Json:
    return {
        "name": site.name,
        "timezone": site.timezone,
        "locale": site.locale,
        "phone": site.phone,
    }


def _checked_role(role: Role) -> Role:
    if role not in STAFF_ROLES:
        raise AccountError(_("Patients enter by a personal link and have no account."))
    return role


def _checked_name(name: str) -> str:
    if not name.strip():
        raise AccountError(_("A name is needed."))
    return name.strip()


def _checked_zone(timezone: str) -> str:
    try:
        zone_of(timezone.strip())
    except ProtocolError as problem:
        raise AccountError(problem.sentence, **problem.values) from problem
    return timezone.strip()


def _checked_locale(locale: str) -> str:
    if not _LOCALE.fullmatch(locale.strip()):
        raise AccountError(_("A language is written like en or de."))
    return locale.strip()


def _checked_phone(phone: str) -> str:
    phone = " ".join(phone.split())
    if phone and not _PHONE.fullmatch(phone):
        raise AccountError(_("Give the telephone number in figures, such as +49 30 1234567."))
    return phone
