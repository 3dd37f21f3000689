"""Sites, staff accounts with their roles and passkeys, and patients."""

from datetime import datetime
from typing import override

from flask_security.core import RoleMixin, UserMixin, WebAuthnMixin
from sqlalchemy import JSON, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, select
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from trials.store.base import Base, new_public_id

account_role = Table(
    "account_role",
    Base.metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("role_id", ForeignKey("role.id"), primary_key=True),
)


class SiteRow(Base, kw_only=True):
    """A clinic. Staff and patients belong to one site and see nothing of another."""

    __tablename__ = "site"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    name: Mapped[str]
    timezone: Mapped[str]
    locale: Mapped[str] = mapped_column(default="en")
    phone: Mapped[str] = mapped_column(default="")  # for patients; "" if none is given
    is_demo: Mapped[bool] = mapped_column(default=False)


class RoleRow(Base, RoleMixin, kw_only=True):
    """In what capacity an account acts: clinician, pharmacist, analyst or administrator."""

    __tablename__ = "role"
    __table_args__ = (
        CheckConstraint(
            "name IN ('clinician', 'pharmacist', 'analyst', 'administrator')", name="known_role"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")


class AccountRow(Base, UserMixin, kw_only=True):
    """A member of staff. Column names are those Flask-Security asks for."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"))
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str | None] = mapped_column(default=None)
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(unique=True)
    fs_webauthn_user_handle: Mapped[str | None] = mapped_column(  # type: ignore[assignment]
        unique=True, default=None
    )
    confirmed_at: Mapped[datetime | None] = mapped_column(default=None)
    tf_primary_method: Mapped[str | None] = mapped_column(default=None)
    tf_totp_secret: Mapped[str | None] = mapped_column(default=None)
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(
        MutableList.as_mutable(JSON()), default=None
    )  # a code that was used is taken out of the list in place
    locale: Mapped[str | None] = mapped_column(default=None)
    roles: Mapped[list[RoleRow]] = relationship(  # type: ignore[assignment]
        secondary=account_role, default_factory=list
    )
    webauthn: Mapped[list["PasskeyRow"]] = relationship(  # type: ignore[assignment]
        back_populates="user", cascade="all, delete-orphan", default_factory=list
    )
    site: Mapped[SiteRow] = relationship(init=False, lazy="joined")


class PasskeyRow(Base, WebAuthnMixin, kw_only=True):
    """One passkey of an account. Column names are those Flask-Security asks for."""

    __tablename__ = "passkey"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), init=False)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1024), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(1024))
    sign_count: Mapped[int] = mapped_column(default=0)
    transports: Mapped[list[str] | None] = mapped_column(JSON, default=None)
    backup_state: Mapped[bool]
    device_type: Mapped[str]
    extensions: Mapped[str | None] = mapped_column(default=None)
    create_datetime: Mapped[datetime]
    lastuse_datetime: Mapped[datetime]
    name: Mapped[str]
    usage: Mapped[str]
    user: Mapped[AccountRow] = relationship(back_populates="webauthn", init=False)

    @override
    def get_user_mapping(self) -> dict[str, object]:
        """Tell Flask-Security how to find the account of this passkey."""
        return {"id": self.account_id}


class LoginAttemptRow(Base, kw_only=True):
    """One failed attempt to get in, counted to slow down guessing; kept for a day."""

    __tablename__ = "login_attempt"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    key_hash: Mapped[str] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(index=True)


class PatientRow(Base, kw_only=True):
    """A patient. Who this is stands here only; trials know the code."""

    __tablename__ = "patient"
    __table_args__ = (Index("uq_patient_site_id_code", "site_id", "code", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"), index=True)
    code: Mapped[str]
    name: Mapped[str]
    email: Mapped[str] = mapped_column(default="")
    timezone: Mapped[str]
    locale: Mapped[str] = mapped_column(default="en")
    created_at: Mapped[datetime]
    site: Mapped[SiteRow] = relationship(init=False, lazy="joined")


class InvitationRow(Base, kw_only=True):
    """A personal link (and short code) that lets a patient's device in, once.

    Only digests are kept: whoever reads the database cannot enter with what is in it.
    """

    __tablename__ = "invitation"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    code_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


class DeviceRow(Base, kw_only=True):
    """A patient's phone or computer that came in through an invitation."""

    __tablename__ = "device"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    secret_hash: Mapped[str]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


def find_account(session: Session, email: str) -> AccountRow | None:
    """Return the account with this e-mail address, in any spelling of its case."""
    return session.scalar(select(AccountRow).where(AccountRow.email == email.strip().lower()))


def find_site(session: Session, public_id: str) -> SiteRow | None:
    """Return the site with this public id."""
    return session.scalar(select(SiteRow).where(SiteRow.public_id == public_id))


def role_named(session: Session, name: str) -> RoleRow:
    """Return the role, made on first use."""
    role = session.scalar(select(RoleRow).where(RoleRow.name == name))
    if role is None:
        role = RoleRow(name=name)
        session.add(role)
        session.flush()
    return role


def patients_of_site(session: Session, site_id: int) -> list[PatientRow]:
    """Return the patients of a site, by code."""
    query = select(PatientRow).where(PatientRow.site_id == site_id).order_by(PatientRow.code)
    return list(session.scalars(query))
