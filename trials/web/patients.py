"""The clinician's patients: who they are, how they are reached, and which phone may come in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, format_datetime, ngettext
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.diary import FieldErrors
from trials.domain.errors import TrialError
from trials.domain.life_cycle import State
from trials.services import invitations, patients, reach
from trials.services.language import languages, own_name
from trials.store.account import PatientRow
from trials.store.trial import trials_of_patient
from trials.web.access import open_to
from trials.web.edge import (
    absolute_url,
    current_account,
    current_actor,
    now,
    sentence_of,
    status_of,
    transaction,
    vault,
)

bp = Blueprint("patients", __name__, url_prefix="/clinician/patients")

FIELDS = ("code", "name", "email", "timezone", "locale")
LONGEST_FIELD = 200


@dataclass(frozen=True, slots=True)
class PatientLine:
    """One patient of the list."""

    href: str
    code: str
    name: str
    added: str


@dataclass(frozen=True, slots=True)
class PatientsPage:
    """All that templates/clinician/patients.html may use."""

    lines: tuple[PatientLine, ...]


@dataclass(frozen=True, slots=True)
class PatientFormPage:
    """All that templates/clinician/patient_form.html may use.

    Attributes:
        typed: field -> text.
        errors: field -> sentence.
        zones: names of time zones.
        languages: value and label.
        is_new: whether the patient is being added; else only contact details change.
        code: of the patient, "" for a new one.
        action: where the form goes.
        cancel: where "Cancel" leads.
    """

    typed: Mapping[str, str]
    errors: FieldErrors
    zones: tuple[tuple[str, str], ...]
    languages: tuple[tuple[str, str], ...]
    is_new: bool
    code: str
    action: str
    cancel: str


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """One phone or computer that may come in."""

    since: str
    seen: str
    revoke_href: str


@dataclass(frozen=True, slots=True)
class TrialOfPatient:
    """One trial of the patient."""

    href: str
    title: str
    state: State
    since: str


@dataclass(frozen=True, slots=True)
class PatientPage:
    """All that templates/clinician/patient.html may use.

    Attributes:
        code: what trials and labels call the patient.
        facts: heading and value.
        trials: newest first.
        devices: that may come in.
        waiting: until when an unused link works, "" if there is none.
        edit_href: contact details.
        invite_href: makes a new link (POST).
        revoke_href: asks whether to shut everything out.
        new_trial_href: the set-up form with this patient.
    """

    code: str
    facts: tuple[tuple[str, str], ...]
    trials: tuple[TrialOfPatient, ...]
    devices: tuple[DeviceLine, ...]
    waiting: str
    edit_href: str
    invite_href: str
    revoke_href: str
    new_trial_href: str


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """All that templates/clinician/invitation.html may use. Shown once, kept nowhere."""

    code: str
    link: str
    short_code: str
    code_address: str
    link_until: str
    code_until: str
    back: str


@dataclass(frozen=True, slots=True)
class RevokePage:
    """All that templates/clinician/revoke.html may use.

    Attributes:
        code: of the patient.
        device: since when the one device is known, "" when all are meant.
        action: where the form goes.
        back: the patient's page.
    """

    code: str
    device: str
    action: str
    back: str


@bp.get("")
@open_to(Role.CLINICIAN)
def list_patients() -> ResponseReturnValue:
    """Show the site's patients."""
    with transaction() as session:
        found = patients.patients_of(session, current_actor())
    page = PatientsPage(
        tuple(
            PatientLine(
                url_for("patients.show_patient", patient=p.public_id),
                p.code,
                p.name,
                format_date(p.created_at, "medium"),
            )
            for p in found
        )
    )
    return render_template("clinician/patients.html", page=page)


@bp.get("/new")
@open_to(Role.CLINICIAN)
def new_patient() -> ResponseReturnValue:
    """Show the empty form."""
    site = current_account().site
    typed = {"timezone": site.timezone, "locale": site.locale}
    return render_template("clinician/patient_form.html", page=_new_page(typed, {}))


@bp.post("/new")
@open_to(Role.CLINICIAN)
def add_patient() -> ResponseReturnValue:
    """Add a patient, or show the form again with what is missing."""
    typed = _typed()
    errors = _check(typed, is_new=True)
    if errors:
        return render_template("clinician/patient_form.html", page=_new_page(typed, errors)), 422
    try:
        with transaction() as session:
            patient = patients.add_patient(session, current_actor(), **typed, now=now())
            public_id = patient.public_id
    except TrialError as problem:
        page = _new_page(typed, {"code": sentence_of(problem)})
        return render_template("clinician/patient_form.html", page=page), status_of(problem)
    flash(str(_("The patient is added.")), "success")
    if request.form.get("then") == "trial":
        return redirect(url_for("setup.new_trial", patient=public_id), code=303)
    return redirect(url_for("patients.show_patient", patient=public_id), code=303)


@bp.get("/<patient>")
@open_to(Role.CLINICIAN)
def show_patient(patient: str) -> ResponseReturnValue:
    """Show a patient's trials and ways in."""
    with transaction() as session:
        row = patients.get_patient(session, current_actor(), patient)
        page = _patient_page(session, row)
    return render_template("clinician/patient.html", page=page)


@bp.get("/<patient>/edit")
@open_to(Role.CLINICIAN)
def change_patient(patient: str) -> ResponseReturnValue:
    """Show the contact details to be changed."""
    with transaction() as session:
        row = patients.get_patient(session, current_actor(), patient)
        page = _edit_page(row, {field: getattr(row, field) for field in FIELDS}, {})
    return render_template("clinician/patient_form.html", page=page)


@bp.post("/<patient>/edit")
@open_to(Role.CLINICIAN)
def keep_patient(patient: str) -> ResponseReturnValue:
    """Keep changed contact details."""
    typed = _typed()
    errors = _check(typed, is_new=False)
    with transaction() as session:
        row = patients.get_patient(session, current_actor(), patient)
        if errors:
            page = _edit_page(row, typed, errors)
            return render_template("clinician/patient_form.html", page=page), 422
        patients.change_contact(
            session,
            current_actor(),
            row,
            name=typed["name"],
            email=typed["email"],
            locale=typed["locale"],
            now=now(),
        )
    flash(str(_("The changes are kept.")), "success")
    return redirect(url_for("patients.show_patient", patient=patient), code=303)


@bp.post("/<patient>/invitation")
@open_to(Role.CLINICIAN)
def invite(patient: str) -> ResponseReturnValue:
    """Make a personal link and code, and show them this once: only digests of them are kept."""
    with transaction() as session:
        row = patients.get_patient(session, current_actor(), patient)
        made = invitations.invite(session, vault(), current_actor(), row, now=now())
        code = row.code
    page = InvitationPage(
        code=code,
        link=absolute_url("entrance.link", token=made.token),
        short_code=made.code,
        code_address=absolute_url("entrance.code"),
        link_until=format_datetime(made.expires_at, "medium"),
        code_until=format_datetime(made.code_expires_at, "short"),
        back=url_for("patients.show_patient", patient=patient),
    )
    return render_template("clinician/invitation.html", page=page)


@bp.get("/<patient>/revoke")
@open_to(Role.CLINICIAN)
def ask_to_revoke(patient: str) -> ResponseReturnValue:
    """Ask whether a device, or everything, shall be shut out."""
    wanted = request.args.get("device", "")
    with transaction() as session:
        row = patients.get_patient(session, current_actor(), patient)
        devices = invitations.devices_of_patient(session, row)
        device = next((d for d in devices if d.public_id == wanted), None)
        page = RevokePage(
            code=row.code,
            device=format_datetime(device.created_at, "medium") if device else "",
            action=url_for("patients.revoke", patient=patient, device=wanted if device else None),
            back=url_for("patients.show_patient", patient=patient),
        )
    return render_template("clinician/revoke.html", page=page)


@bp.post("/<patient>/revoke")
@open_to(Role.CLINICIAN)
def revoke(patient: str) -> ResponseReturnValue:
    """Shut out one device, or every device and unused link."""
    device = request.args.get("device", "")
    with transaction() as session:
        row = patients.get_patient(session, current_actor(), patient)
        if device:
            invitations.revoke_device(session, current_actor(), row, device, now=now())
        else:
            invitations.revoke_all(session, current_actor(), row, now=now())
    flash(str(_("The access is shut. A new link lets the patient in again.")), "success")
    return redirect(url_for("patients.show_patient", patient=patient), code=303)


def _typed() -> dict[str, str]:
    return {field: request.form.get(field, "").strip()[:LONGEST_FIELD] for field in FIELDS}


def _check(typed: Mapping[str, str], *, is_new: bool) -> FieldErrors:
    errors: FieldErrors = {}
    if is_new and not typed["code"]:
        errors["code"] = str(_("Give the patient a code, such as P-014."))
    if not typed["name"]:
        errors["name"] = str(_("Give the patient's name."))
    if typed["email"] and not _looks_like_address(typed["email"]):
        errors["email"] = str(_("An e-mail address looks like name@example.org."))
    if is_new and typed["timezone"] not in available_timezones():
        errors["timezone"] = str(_("Choose the time zone the patient lives in."))
    if typed["locale"] not in {value for value, _label in _languages()}:
        errors["locale"] = str(_("Choose the language of the patient's pages."))
    return errors


def _looks_like_address(text: str) -> bool:
    name, at, domain = text.rpartition("@")
    return bool(name and at and "." in domain.strip(".")) and not any(c.isspace() for c in text)


def _new_page(typed: Mapping[str, str], errors: FieldErrors) -> PatientFormPage:
    return PatientFormPage(
        typed=typed,
        errors=errors,
        zones=_zones(),
        languages=_languages(),
        is_new=True,
        code="",
        action=url_for("patients.add_patient"),
        cancel=url_for("patients.list_patients"),
    )


def _edit_page(
    patient: PatientRow, typed: Mapping[str, str], errors: FieldErrors
) -> PatientFormPage:
    return replace(
        _new_page(typed, errors),
        is_new=False,
        code=patient.code,
        action=url_for("patients.keep_patient", patient=patient.public_id),
        cancel=url_for("patients.show_patient", patient=patient.public_id),
    )


def _patient_page(session: Session, patient: PatientRow) -> PatientPage:
    waiting = invitations.open_invitation_of(session, patient, now())
    own = patient.public_id
    return PatientPage(
        code=patient.code,
        facts=(
            (str(_("Name")), patient.name),
            (str(_("E-mail")), patient.email or str(_("none: no reminders by e-mail"))),
            (str(_("Reminders")), _reminders(reach.ways_to(session, [patient])[patient.id])),
            (str(_("Time zone")), patient.timezone.replace("_", " ")),
            (str(_("Language")), own_name(patient.locale)),
        ),
        trials=tuple(
            TrialOfPatient(
                url_for("clinician.show_trial", trial=t.public_id),
                t.title,
                t.current_state,
                format_date(t.created_at, "medium"),
            )
            for t in trials_of_patient(session, patient.id)
        ),
        devices=tuple(
            DeviceLine(
                format_datetime(d.created_at, "medium"),
                format_datetime(d.last_seen_at, "medium"),
                url_for("patients.ask_to_revoke", patient=own, device=d.public_id),
            )
            for d in invitations.devices_of_patient(session, patient)
        ),
        waiting=format_datetime(waiting.expires_at, "medium") if waiting else "",
        edit_href=url_for("patients.change_patient", patient=own),
        invite_href=url_for("patients.invite", patient=own),
        revoke_href=url_for("patients.ask_to_revoke", patient=own),
        new_trial_href=url_for("setup.new_trial", patient=own),
    )


def _reminders(ways: reach.Ways) -> str:
    """Return by which ways the patient is reminded, and which failed since when."""
    told = [str(_("by e-mail"))] if ways.email else []
    told += [str(_("by text message"))] if ways.sms else []
    if ways.browsers:
        told.append(str(ngettext("on %(num)s device", "on %(num)s devices", ways.browsers)))
    if ways.email_failed_at is not None:
        since = format_date(ways.email_failed_at, "medium")
        told.append(str(_("e-mail comes back since %(day)s", day=since)))
    if ways.phone_failed_at is not None:
        since = format_date(ways.phone_failed_at, "medium")
        told.append(str(_("text messages come back since %(day)s", day=since)))
    return "; ".join(told) or str(_("none: the patient is not reminded"))


def _zones() -> tuple[tuple[str, str], ...]:
    """Return the zones people live in; the rest are spellings and offsets."""
    places = sorted(zone for zone in available_timezones() if "/" in zone and "Etc/" not in zone)
    return (("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in places))


def _languages() -> tuple[tuple[str, str], ...]:
    """Return the languages the patient's pages are translated into, each in its own name."""
    return tuple((code, own_name(code)) for code in languages())
