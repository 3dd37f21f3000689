"""The ways in: the first page, a patient's personal link or code, and the demonstration."""

import secrets
from dataclasses import dataclass, field

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import login_user, logout_user
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from trials.domain.blinding import Role
from trials.domain.errors import InvitationError, NotFoundError
from trials.domain.words import marked as _
from trials.services import accounts, invitations
from trials.services.invitations import Entry
from trials.store.account import AccountRow, PatientRow, SiteRow, patients_of_site
from trials.store.schema import has_newest_schema
from trials.web.access import open_to_patient, public
from trials.web.edge import (
    current_actor,
    current_device,
    current_patient,
    current_reader,
    now,
    sentence_of,
    status_of,
    transaction,
    vault,
)
from trials.web.extensions import db
from trials.web.menu import start_of
from trials.web.reader import DEMO, forget_device, remember_device

bp = Blueprint("entrance", __name__)

_BROWSER = "browser"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody one may enter as, in a demonstration."""

    public_id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class HomePage:
    """All that templates/entrance/home.html may use.

    Attributes:
        is_known: whether the reader is signed in already.
        is_demo: whether this is a demonstration database.
        staff: whom one may enter as, by role.
        patients: likewise.
    """

    is_known: bool
    is_demo: bool
    staff: tuple[DemoPerson, ...] = ()
    patients: tuple[DemoPerson, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkPage:
    """All that templates/entrance/link.html may use."""

    token: str
    problem: str
    is_patient: bool


@dataclass(frozen=True, slots=True)
class CodePage:
    """All that templates/entrance/code.html may use."""

    typed: str = ""
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DevicePage:
    """All that templates/entrance/device.html may use."""

    name: str
    site: str


@bp.get("/")
@public
def home() -> ResponseReturnValue:
    """Say what Lenitive is and show the doors."""
    with transaction() as database:
        is_demo = accounts.is_demonstration(database)
        staff = tuple(
            DemoPerson(account.public_id, account.name, account.roles[0].name)
            for site in database.scalars(select(SiteRow).order_by(SiteRow.id))
            for account in accounts.accounts_of_site(database, site.id)
            if is_demo and account.active and accounts.role_of(account)
        )
        patients = tuple(
            DemoPerson(patient.public_id, patient.name, Role.PATIENT.value)
            for site in database.scalars(select(SiteRow).order_by(SiteRow.id))
            for patient in patients_of_site(database, site.id)
            if is_demo
        )
    page = HomePage(current_reader().is_anybody, is_demo, staff, patients)
    return render_template("entrance/home.html", page=page, demo=is_demo)


@bp.get("/start")
@public
def start() -> ResponseReturnValue:
    """Go where this reader's work begins."""
    reader = current_reader()
    if reader.account is not None:
        return redirect(start_of(reader.role) or url_for("account.show"), code=303)
    if reader.patient is not None:
        return redirect(_start_of_patient(), code=303)
    return redirect(url_for("entrance.home"), code=303)


@bp.get("/help")
@public
def help_page() -> ResponseReturnValue:
    """Say whom to ask."""
    return render_template("entrance/help.html")


@bp.get("/livez")
@public
def alive() -> ResponseReturnValue:
    """Answer a monitor: the process runs. It need not be restarted while this answers."""
    return {"status": "ok"}


@bp.get("/healthz")
@bp.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """Answer a monitor or proxy: this process can serve people now, or a sentence why not."""
    try:
        with transaction() as database:
            fits = has_newest_schema(database)
    except DBAPIError:
        return {"status": "failed", "error": "The database does not answer."}, 503
    if not fits:
        return {"status": "failed", "error": "The database has another schema than needed."}, 503
    return {"status": "ok"}


@bp.get("/i/<token>")
@public
def link(token: str) -> ResponseReturnValue:
    """Show the button that uses the link up; opening the page does not."""
    _browser()
    problem, status = "", 200
    try:
        with transaction() as database:
            invitations.check_link(database, vault(), token, now=now())
    except InvitationError as error:
        problem, status = sentence_of(error), status_of(error)
    page = LinkPage(token, problem, is_patient=current_reader().patient is not None)
    return render_template("entrance/link.html", page=page), status


@bp.post("/i/<token>")
@public
def enter_link(token: str) -> ResponseReturnValue:
    """Use the link up; this browser is the patient's device from now on."""
    try:
        with transaction() as database:
            entry = invitations.enter_by_link(
                database, vault(), token, browser=_browser(), now=now()
            )
    except InvitationError as error:
        page = LinkPage(token, sentence_of(error), current_reader().patient is not None)
        return render_template("entrance/link.html", page=page), status_of(error)
    return _let_in(entry)


@bp.get("/code")
@public
def code() -> ResponseReturnValue:
    """Ask for the short code."""
    _browser()
    return render_template("entrance/code.html", page=CodePage())


@bp.post("/code")
@public
def enter_code() -> ResponseReturnValue:
    """Use the code up; this browser is the patient's device from now on."""
    typed = request.form.get("code", "")
    try:
        with transaction() as database:
            entry = invitations.enter_by_code(
                database, vault(), typed, browser=_browser(), now=now()
            )
    except InvitationError as error:
        page = CodePage(typed, {"code": sentence_of(error)})
        return render_template("entrance/code.html", page=page), 422
    return _let_in(entry)


@bp.get("/device")
@open_to_patient
def device() -> ResponseReturnValue:
    """Show whose device this is, and how to leave it."""
    patient = current_patient()
    page = DevicePage(patient.name, patient.site.name)
    return render_template("entrance/device.html", page=page)


@bp.post("/device/leave")
@open_to_patient
def leave() -> ResponseReturnValue:
    """Forget this device: the next time a new link is needed."""
    with transaction() as database:
        patient = database.get_one(PatientRow, current_patient().id)
        invitations.revoke_device(
            database, current_actor(), patient, current_device().public_id, now=now()
        )
    response = make_response(redirect(url_for("entrance.home"), code=303))
    forget_device(response)
    return response


@bp.post("/demo/staff/<account>")
@public
def demo_staff(account: str) -> ResponseReturnValue:
    """Enter as a member of staff, in a demonstration only."""
    person = db.session.scalar(select(AccountRow).where(AccountRow.public_id == account))
    if not accounts.is_demonstration(db.session) or person is None or not person.active:
        raise NotFoundError(_("There is no such page."))
    logout_user()
    login_user(person, authn_via=["demo"])
    session[DEMO] = True
    db.session.commit()
    return redirect(start_of(accounts.role_of(person)) or url_for("account.show"), code=303)


@bp.post("/demo/patient/<patient>")
@public
def demo_patient(patient: str) -> ResponseReturnValue:
    """Enter as a patient, in a demonstration only."""
    with transaction() as database:
        person = database.scalar(select(PatientRow).where(PatientRow.public_id == patient))
        if not accounts.is_demonstration(database) or person is None:
            raise NotFoundError(_("There is no such page."))
        secret = secrets.token_urlsafe(24)
        entry = invitations.open_device(database, vault(), person, secret=secret, now=now())
    logout_user()
    return _let_in(entry)


def _let_in(entry: Entry) -> ResponseReturnValue:
    response = make_response(redirect(_start_of_patient(), code=303))
    remember_device(response, vault(), entry)
    return response


def _start_of_patient() -> str:
    return start_of(Role.PATIENT) or url_for("entrance.device")


def _browser() -> str:
    """Return the number this browser keeps, so that a second tap is known as its own."""
    if _BROWSER not in session:
        session[_BROWSER] = secrets.token_urlsafe(18)
    return str(session[_BROWSER])
