"""The administrator's pages: people, the site, the audit trail, and how the machine is doing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import AccountError
from trials.services import accounts, condition, oversight
from trials.services.condition import Condition
from trials.services.oversight import TrailPage
from trials.store.account import AccountRow, SiteRow
from trials.web.access import open_to
from trials.web.edge import (
    absolute_url,
    current_account,
    current_actor,
    now,
    sentence_of,
    transaction,
)
from trials.web.menu import MenuItem
from trials.web.security import account_message, password_link

bp = Blueprint("administrator", __name__, url_prefix="/admin")

MENU = (
    MenuItem(
        Role.ADMINISTRATOR,
        lazy_gettext("People"),
        "administrator.people",
        also=("administrator.new_person", "administrator.add_person", "administrator.person"),
    ),
    MenuItem(
        Role.ADMINISTRATOR,
        lazy_gettext("Site"),
        "administrator.site",
        also=("administrator.edit_site",),
    ),
    MenuItem(Role.ADMINISTRATOR, lazy_gettext("Audit trail"), "administrator.audit"),
    MenuItem(
        Role.ADMINISTRATOR, lazy_gettext("State of the system"), "administrator.show_condition"
    ),
)


@dataclass(frozen=True, slots=True)
class Person:
    """One account, as the administrator sees it."""

    public_id: str
    name: str
    email: str
    role: str
    active: bool
    has_password: bool
    has_second_step: bool
    is_oneself: bool


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """All that templates/administrator/people.html may use."""

    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class NewPersonPage:
    """All that templates/administrator/new_person.html may use."""

    typed: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PersonPage:
    """All that templates/administrator/person.html may use."""

    person: Person


SITE_FIELDS = ("name", "timezone", "locale", "phone")


@dataclass(frozen=True, slots=True)
class SitePage:
    """All that templates/administrator/site.html may use."""

    typed: dict[str, str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """All that templates/administrator/audit.html may use."""

    trail: TrailPage


@dataclass(frozen=True, slots=True)
class CheckPage:
    """All that templates/administrator/check.html may use."""

    broken: int | None


@dataclass(frozen=True, slots=True)
class ConditionPage:
    """All that templates/administrator/condition.html may use."""

    condition: Condition
    at: datetime


@bp.get("/people")
@open_to(Role.ADMINISTRATOR)
def people() -> ResponseReturnValue:
    """List the accounts of the site."""
    with transaction() as session:
        rows = accounts.accounts_of_site(session, current_account().site_id)
        page = PeoplePage(tuple(_person(row) for row in rows))
    return render_template("administrator/people.html", page=page)


@bp.get("/people/new")
@open_to(Role.ADMINISTRATOR, fresh=True)
def new_person() -> ResponseReturnValue:
    """Show the form for a new account."""
    return render_template("administrator/new_person.html", page=NewPersonPage())


@bp.post("/people/new")
@open_to(Role.ADMINISTRATOR, fresh=True)
def add_person() -> ResponseReturnValue:
    """Add the account and send the person a link to set a password."""
    typed = {name: request.form.get(name, "") for name in ("name", "email", "role")}
    try:
        with transaction() as session:
            site = session.get_one(SiteRow, current_account().site_id)
            account = accounts.add_account(
                session,
                current_actor(),
                site,
                name=typed["name"],
                email=typed["email"],
                role=_typed_role(typed["role"]),
                now=now(),
            )
            _send_link(session, account)
    except AccountError as error:
        page = NewPersonPage(typed, sentence_of(error))
        return render_template("administrator/new_person.html", page=page), 422
    flash(_("The account was added, and a link to set a password is on its way."), "success")
    return redirect(url_for("administrator.person", account=account.public_id), code=303)


@bp.get("/people/<account>")
@open_to(Role.ADMINISTRATOR, fresh=True)
def person(account: str) -> ResponseReturnValue:
    """Show one account and what can be done with it."""
    with transaction() as session:
        page = PersonPage(_person(accounts.get_account(session, current_actor(), account)))
    return render_template("administrator/person.html", page=page)


@bp.post("/people/<account>/role")
@open_to(Role.ADMINISTRATOR, fresh=True)
def change_role(account: str) -> ResponseReturnValue:
    """Give the account another role."""
    with transaction() as session:
        row = accounts.get_account(session, current_actor(), account)
        role = _typed_role(request.form.get("role", ""))
        accounts.change_role(session, current_actor(), row, role, now=now())
    return _done(account, _("The role was changed."))


@bp.post("/people/<account>/deactivate")
@open_to(Role.ADMINISTRATOR, fresh=True)
def deactivate(account: str) -> ResponseReturnValue:
    """Shut the account out."""
    return _carry_out(account, accounts.deactivate, _("The account is shut out from now on."))


@bp.post("/people/<account>/reactivate")
@open_to(Role.ADMINISTRATOR, fresh=True)
def reactivate(account: str) -> ResponseReturnValue:
    """Let the account in again."""
    return _carry_out(account, accounts.reactivate, _("The account may be used again."))


@bp.post("/people/<account>/second-step")
@open_to(Role.ADMINISTRATOR, fresh=True)
def reset_second_step(account: str) -> ResponseReturnValue:
    """Take away the second step of a person who lost the phone."""
    return _carry_out(account, accounts.reset_second_step, _("The second step was taken away."))


@bp.post("/people/<account>/link")
@open_to(Role.ADMINISTRATOR, fresh=True)
def send_link(account: str) -> ResponseReturnValue:
    """Send the person a link to set a password."""
    with transaction() as session:
        row = accounts.get_account(session, current_actor(), account)
        accounts.record_password_link(session, current_actor(), row, now=now())
        _send_link(session, row)
    return _done(account, _("A link to set a password is on its way. It works for one day."))


@bp.get("/site")
@open_to(Role.ADMINISTRATOR)
def site() -> ResponseReturnValue:
    """Show the site's settings."""
    own = current_account().site
    typed = {name: getattr(own, name) for name in SITE_FIELDS}
    return render_template("administrator/site.html", page=SitePage(typed))


@bp.post("/site")
@open_to(Role.ADMINISTRATOR)
def edit_site() -> ResponseReturnValue:
    """Change the site's settings."""
    typed = {name: request.form.get(name, "") for name in SITE_FIELDS}
    try:
        with transaction() as session:
            accounts.edit_site(session, current_actor(), **typed, now=now())
    except AccountError as error:
        page = SitePage(typed, sentence_of(error))
        return render_template("administrator/site.html", page=page), 422
    flash(_("The settings were kept."), "success")
    return redirect(url_for("administrator.site"), code=303)


@bp.get("/audit")
@open_to(Role.ADMINISTRATOR)
def audit() -> ResponseReturnValue:
    """Show the audit trail, without what is clinical."""
    number = request.args.get("page", 1, type=int)
    with transaction() as session:
        page = AuditPage(oversight.read_trail(session, current_actor(), page=number))
    return render_template("administrator/audit.html", page=page)


@bp.get("/audit/check")
@open_to(Role.ADMINISTRATOR)
def check() -> ResponseReturnValue:
    """Check the chain of the whole trail."""
    with transaction() as session:
        page = CheckPage(oversight.check_trail(session, current_actor()))
    return render_template("administrator/check.html", page=page)


@bp.get("/condition")
@open_to(Role.ADMINISTRATOR)
def show_condition() -> ResponseReturnValue:
    """Show which processes run, what they did last, what waits and what was given up."""
    at = now()
    with transaction() as session:
        page = ConditionPage(condition.condition_of_machine(session, current_actor(), now=at), at)
    return render_template("administrator/condition.html", page=page)


@bp.post("/condition/<queue>/<int:row>")
@open_to(Role.ADMINISTRATOR)
def do_again(queue: str, row: int) -> ResponseReturnValue:
    """Try work that was given up once more."""
    with transaction() as session:
        condition.do_again(session, current_actor(), queue, row, now())
    flash(_("It is tried again within a minute."), "success")
    return redirect(url_for("administrator.show_condition"), code=303)


def _carry_out(account: str, deed: Callable[..., None], sentence: str) -> ResponseReturnValue:
    """Do one thing with an account of the site, then show it again."""
    with transaction() as session:
        row = accounts.get_account(session, current_actor(), account)
        deed(session, current_actor(), row, now=now())
    return _done(account, sentence)


def _done(account: str, sentence: str) -> ResponseReturnValue:
    flash(sentence, "success")
    return redirect(url_for("administrator.person", account=account), code=303)


def _send_link(session: Session, account: AccountRow) -> None:
    body = "\n\n".join(
        (
            _("You have an account at Lenitive, for %(site)s.", site=account.site.name),
            _("Set your password here:") + "\n" + password_link(account),
            _("The link works for one day, once. Afterwards sign in with this e-mail address at:")
            + "\n"
            + absolute_url("security.login"),
        )
    )
    session.add(account_message("set-password", account.email, _("Set your password"), body))


def _person(row: AccountRow) -> Person:
    role = accounts.role_of(row)
    return Person(
        public_id=row.public_id,
        name=row.name,
        email=row.email,
        role=role.value if role else "",
        active=row.active,
        has_password=row.password is not None,
        has_second_step=row.tf_primary_method is not None or bool(row.webauthn),
        is_oneself=row.id == current_account().id,
    )


def _typed_role(text: str) -> Role:
    known = {role.value: role for role in accounts.STAFF_ROLES}
    if text not in known:
        raise AccountError(_("Choose a role."))
    return known[text]
