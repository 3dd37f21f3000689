"""Who may open which page: every route declares it, one place enforces it.

    @bp.get("/trials/<trial>")
    @open_to(Role.CLINICIAN, Role.ANALYST)
    def show_trial(trial: str) -> ResponseReturnValue: ...

A route without a declaration is refused (and fails a test that walks the route map). Being let
in says nothing about the trial in the address: its site is checked by the service that gets it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_security.utils import check_and_update_authn_fresh

from trials.domain.blinding import Role
from trials.services import invitations
from trials.web.edge import READING_METHODS, error_page, now, transaction, vault
from trials.web.reader import Reader, identify, was_shut_out

log = structlog.get_logger("trials.web.access")

STAFF = (Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR)
FRESH_FOR = timedelta(minutes=15)
_DECLARED = "declared_access"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may open a route.

    Attributes:
        roles: who; nobody in particular means everybody, signed in or not.
        fresh: whether the password or passkey must have been given in the last minutes.
    """

    roles: tuple[Role, ...]
    fresh: bool = False

    @property
    def is_public(self) -> bool:
        """Whether everybody may."""
        return not self.roles


PUBLIC = Access(())
ANY_STAFF = Access(STAFF)


def open_to[View: Callable[..., Any]](*roles: Role, fresh: bool = False) -> Callable[[View], View]:
    """Let people of these roles open the route, and nobody else.

    Args:
        roles: one or more.
        fresh: for dangerous deeds: who signed in long ago gives the password again first.
            Put it on the page with the form (GET) too, or what was typed is lost.
    """
    if not roles:
        raise ValueError("open_to needs a role; a page for everybody is @public")

    def declare(view: View) -> View:
        setattr(view, _DECLARED, Access(roles, fresh))
        return view

    return declare


def open_to_staff[View: Callable[..., Any]](view: View) -> View:
    """Let every member of staff open the route."""
    return open_to(*STAFF)(view)


def open_to_patient[View: Callable[..., Any]](view: View) -> View:
    """Let patients with a device open the route; ``current_patient()`` says which."""
    return open_to(Role.PATIENT)(view)


def public[View: Callable[..., Any]](view: View) -> View:
    """Let everybody open the route. It must show nothing about anybody."""
    setattr(view, _DECLARED, PUBLIC)
    return view


FOREIGN: dict[str, Access] = {
    "static": PUBLIC,
    "security.login": PUBLIC,
    "security.logout": PUBLIC,
    "security.verify": ANY_STAFF,
    "security.forgot_password": PUBLIC,
    "security.reset_password": PUBLIC,
    "security.change_password": ANY_STAFF,
    "security.two_factor_setup": ANY_STAFF,
    "security.two_factor_setup_validate": ANY_STAFF,
    "security.two_factor_token_validation": PUBLIC,
    "security.two_factor_rescue": PUBLIC,
    "security.tf_select": PUBLIC,
    "security.mf_recovery": PUBLIC,
    "security.mf_recovery_codes": ANY_STAFF,
    "security.wan_register": ANY_STAFF,
    "security.wan_register_response": ANY_STAFF,
    "security.wan_signin": PUBLIC,
    "security.wan_signin_response": PUBLIC,
    "security.wan_delete": ANY_STAFF,
    "security.wan_verify": ANY_STAFF,
    "security.wan_verify_response": ANY_STAFF,
}
"""The declarations of routes that are not written here, by endpoint."""


def declared_access(app: Flask, endpoint: str) -> Access | None:
    """Return what a route declares, or None if it forgot."""
    own: Access | None = getattr(app.view_functions[endpoint], _DECLARED, None)
    return own or FOREIGN.get(endpoint)


def check() -> ResponseReturnValue | None:
    """Refuse the request, or let it through with the reader known. Runs before every view."""
    if request.endpoint in {None, "static"}:  # nobody needs to be known for that
        return None
    access = declared_access(current_app, str(request.endpoint))
    if access is None:
        return _refuse_undeclared(str(request.endpoint))
    g.reader = identify(request, vault(), now())
    return None if access.is_public else _let_in(g.reader, access)


def _let_in(reader: Reader, access: Access) -> ResponseReturnValue | None:
    """Let the reader in, in one role, or say no."""
    role = _role_for(reader, access)
    if role is None:
        return _refuse(reader, access)
    g.acting_as = role
    if role is Role.PATIENT:
        _note_the_visit(reader)
    elif access.fresh and not _is_fresh(reader):
        return redirect(url_for("security.verify", next=_here()), code=303)
    return None


def _refuse_undeclared(endpoint: str) -> ResponseReturnValue:
    if current_app.testing:
        raise RuntimeError(f"The route {endpoint} does not declare who may open it.")
    log.error("undeclared_route", endpoint=endpoint)
    return error_page(403)


def _role_for(reader: Reader, access: Access) -> Role | None:
    """Return in which role this reader may open the page, or None."""
    if reader.role in access.roles:
        return reader.role
    if reader.patient is not None and Role.PATIENT in access.roles:
        return Role.PATIENT
    return None


def _refuse(reader: Reader, access: Access) -> ResponseReturnValue:
    """Send strangers to the right door, and say no to those who have no business here."""
    if reader.is_anybody:
        return error_page(403)
    if access.roles == (Role.PATIENT,) and request.accept_mimetypes.best == "application/json":
        return _tell_phone()
    if request.method not in READING_METHODS:
        return error_page(401)
    if access.roles == (Role.PATIENT,):
        return redirect(url_for("entrance.code"), code=303)
    return redirect(url_for("security.login", next=_here()), code=303)


def _tell_phone() -> ResponseReturnValue:
    """Tell the script of a phone why it is not let in: reports may be waiting on it."""
    shut_out = was_shut_out(request, vault())
    return {"reason": "revoked" if shut_out else "unknown"}, HTTPStatus.UNAUTHORIZED


def _is_fresh(reader: Reader) -> bool:
    """Return whether this person proved lately who they are."""
    if reader.is_demo:  # let in by one click, without a password to repeat
        return True
    return bool(check_and_update_authn_fresh(FRESH_FOR, FRESH_FOR, "session"))


def _here() -> str:
    """Return the path and query of this page; a form is opened again rather than sent."""
    if request.method in READING_METHODS:
        return request.full_path.rstrip("?")
    return request.path


def _note_the_visit(reader: Reader) -> None:
    """Remember, once an hour, that the device was seen."""
    if reader.device is not None and invitations.visit_is_due(reader.device, now()):
        with transaction() as database:
            invitations.note_visit(database, reader.device.id, now())


def acting_role() -> Role | None:
    """Return the role that opened this page; None on a public one."""
    role: Role | None = g.get("acting_as")
    return role
