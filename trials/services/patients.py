"""Enter a patient at a site and find one again."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import zone_of
from trials.domain.errors import NotAllowedError, NotFoundError, ProtocolError
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.services.reach import email_changed
from trials.store.account import PatientRow, patients_of_site


def add_patient(
    session: Session,
    actor: Actor,
    *,
    code: str,
    name: str,
    email: str,
    timezone: str,
    locale: str,
    now: datetime,
) -> PatientRow:
    """Enter a patient at the actor's site.

    Args:
        session: the transaction.
        actor: a clinician.
        code: what trials, labels and exports call the patient; unique at the site.
        name: who this is; shown to clinicians only.
        email: for reminders, "" for none.
        timezone: IANA name of the zone the patient lives in.
        locale: language of the patient's pages, such as "en".
        now: UTC instant.

    Raises:
        ProtocolError: the code is empty or taken, or there is no such time zone.
    """
    require_role(actor, Role.CLINICIAN)
    code = code.strip()
    zone_of(timezone)
    if not code or not name.strip():
        raise ProtocolError(_("A patient needs a code and a name."))
    patient = PatientRow(
        site_id=actor.site_id or 0,
        code=code,
        name=name.strip(),
        email=email.strip(),
        timezone=timezone,
        locale=locale,
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(patient)
    except IntegrityError as problem:  # the database is asked, so two clicks cannot both win
        raise ProtocolError(
            _("There is a patient with the code %(code)s already."), code=code
        ) from problem
    record(
        session,
        actor,
        "add_patient",
        f"patient:{patient.public_id}",
        now,
        after={"code": code, "timezone": timezone, "locale": locale},
    )
    return patient


def get_patient(session: Session, actor: Actor, public_id: str) -> PatientRow:
    """Return a patient of the actor's site.

    Raises:
        NotFoundError: there is none with this id at this site.
    """
    patient = session.scalar(select(PatientRow).where(PatientRow.public_id == public_id))
    if patient is None or (actor.site_id is not None and patient.site_id != actor.site_id):
        raise NotFoundError(_("There is no such patient."))
    return patient


def patients_of(session: Session, actor: Actor) -> list[PatientRow]:
    """Return the patients of the actor's site, by code."""
    require_role(actor, Role.CLINICIAN)
    return patients_of_site(session, actor.site_id or 0)


def choose_language(
    session: Session, actor: Actor, patient: PatientRow, locale: str, *, now: datetime
) -> None:
    """Keep the language that a patient chose: of the pages, the messages and the calendar.

    Raises:
        NotAllowedError: somebody else than this patient asks.
    """
    require_role(actor, Role.PATIENT)
    if actor.public_id != patient.public_id:
        raise NotAllowedError(_("Your role does not allow this."))
    before = patient.locale
    if before == locale:
        return
    patient.locale = locale
    session.flush()
    record(
        session,
        actor,
        "choose_language",
        f"patient:{patient.public_id}",
        now,
        site_id=patient.site_id,
        before={"locale": before},
        after={"locale": locale},
    )


def change_contact(
    session: Session,
    actor: Actor,
    patient: PatientRow,
    *,
    name: str,
    email: str,
    locale: str,
    now: datetime,
) -> None:
    """Change how a patient is called and reached; the code and the time zone stay.

    The time zone is part of every calendar that was laid out, so it cannot change here.
    """
    require_role(actor, Role.CLINICIAN)
    if not name.strip():
        raise ProtocolError(_("A patient needs a code and a name."))
    before = {"has_email": bool(patient.email), "locale": patient.locale}
    if patient.email != email.strip():
        email_changed(session, patient)
    patient.name = name.strip()
    patient.email = email.strip()
    patient.locale = locale
    session.flush()
    record(
        session,
        actor,
        "change_contact",
        f"patient:{patient.public_id}",
        now,
        site_id=patient.site_id,
        before=before,
        after={"has_email": bool(patient.email), "locale": locale},
    )
