"""Who is doing something, and the record of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError
from trials.domain.words import marked as _
from trials.store.audit import NewRecord, add_records
from trials.store.base import Json
from trials.store.trial import TrialRow


@dataclass(frozen=True, slots=True)
class Actor:
    """The person, or the system itself, on whose behalf a service runs.

    Attributes:
        id: row id of the account; None for a patient and the system.
        public_id: what the audit trail shows.
        role: in what capacity; None for the system.
        site_id: the only site whose things this actor may touch; None for the system.
        timezone: IANA name, for the local time in the audit trail.
    """

    id: int | None
    public_id: str
    role: Role | None
    site_id: int | None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done, for the audit trail; see ``record``."""

    action: str
    subject: str
    trial: TrialRow | None = None
    site_id: int | None = None
    before: Json | None = None
    after: Json | None = None
    why: str = ""

    def site(self, actor: Actor) -> int | None:
        """Return the site it belongs to: the trial's, else the one named, else the actor's."""
        if self.trial is not None:
            return self.trial.site_id
        return self.site_id if self.site_id is not None else actor.site_id


SYSTEM = Actor(id=None, public_id="system", role=None, site_id=None)


def require_role(actor: Actor, *roles: Role) -> None:
    """Let only these roles, and the system itself, go on.

    Raises:
        NotAllowedError: the actor acts in another role.
    """
    if actor.role is not None and actor.role not in roles:
        raise NotAllowedError(_("Your role does not allow this."))


def require_account(actor: Actor) -> int:
    """Return the account's row id; a signature needs a person.

    Raises:
        NotAllowedError: the actor is a patient or the system.
    """
    if actor.id is None:
        raise NotAllowedError(_("Only a member of staff can sign this."))
    return actor.id


def record(
    session: Session,
    actor: Actor,
    action: str,
    subject: str,
    now: datetime,
    *,
    trial: TrialRow | None = None,
    site_id: int | None = None,
    before: Json | None = None,
    after: Json | None = None,
    why: str = "",
) -> None:
    """Write into the audit trail who did what, when, what was, what is, and why.

    Args:
        session: the transaction the deed is part of; both are kept or neither.
        actor: who.
        action: verb, such as "freeze_protocol".
        subject: kind and public id, such as "trial:k3v9...".
        now: UTC instant.
        trial: the trial it is about, if any.
        site_id: the site, where there is no trial.
        before: what was. Never a treatment, sequence or seed of a blinded trial.
        after: what is. Likewise.
        why: the reason given.
    """
    deed = Deed(action, subject, trial=trial, site_id=site_id, before=before, after=after, why=why)
    record_all(session, actor, [deed], now)


def record_all(session: Session, actor: Actor, deeds: Iterable[Deed], now: datetime) -> None:
    """Write many deeds into the audit trail, as one does; best at the end of a transaction.

    Args:
        session: the transaction the deeds are part of.
        actor: who.
        deeds: what, in order.
        now: UTC instant.
    """
    local_at = now.astimezone(ZoneInfo(actor.timezone)).isoformat()
    add_records(
        session,
        [
            NewRecord(
                at=now.astimezone(UTC),
                local_at=local_at,
                actor=actor.public_id,
                role=actor.role.value if actor.role else "system",
                action=deed.action,
                subject=deed.subject,
                before=deed.before,
                after=deed.after,
                why=deed.why,
                site_id=deed.site(actor),
                trial_id=deed.trial.id if deed.trial is not None else None,
            )
            for deed in deeds
        ],
    )
