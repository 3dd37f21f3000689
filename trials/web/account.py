"""One's own account: name, role, password, second step, passkeys."""

from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from trials.store.account import PasskeyRow
from trials.web.access import open_to_staff
from trials.web.edge import current_account, current_actor, current_reader, transaction

bp = Blueprint("account", __name__)


@dataclass(frozen=True, slots=True)
class AccountPage:
    """All that templates/account/account.html may use."""

    name: str
    email: str
    role: str
    site: str
    has_authenticator: bool
    recovery_codes: int
    passkeys: int
    is_demo: bool


@bp.get("/account")
@open_to_staff
def show() -> ResponseReturnValue:
    """Show the account and the ways to change it."""
    account, role = current_account(), current_actor().role
    with transaction() as session:
        passkeys = session.scalar(select(func.count()).where(PasskeyRow.account_id == account.id))
    page = AccountPage(
        name=account.name,
        email=account.email,
        role=role.value if role else "",
        site=account.site.name,
        has_authenticator=account.tf_primary_method is not None,
        recovery_codes=len(account.mf_recovery_codes or ()),
        passkeys=passkeys or 0,
        is_demo=current_reader().is_demo,
    )
    return render_template("account/account.html", page=page)
