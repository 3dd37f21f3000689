"""`lenitive user`: accounts from the command line, such as the first administrator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import AccountError, TrialError
from trials.domain.words import marked as _
from trials.services import accounts
from trials.services.actor import SYSTEM
from trials.settings import SettingsError, read_settings
from trials.store.account import AccountRow, SiteRow, find_account
from trials.store.database import open_engine, session_maker
from trials.store.schema import current_revision, newest_revision

PASSWORD_VARIABLE = "LENITIVE_NEW_PASSWORD"  # noqa: S105  # a name, not a password


@click.group()
def user() -> None:
    """Accounts of clinic staff."""


@user.command()
@click.argument("email")
@click.option("--name", required=True, help="What colleagues read.")
@click.option(
    "--role", required=True, type=click.Choice([role.value for role in accounts.STAFF_ROLES])
)
@click.option("--site", "site_name", help="Name of the clinic; needed when there are several.")
@click.option("--new-site", is_flag=True, help="Enter the clinic of that name first.")
@click.option("--timezone", default="UTC", show_default=True, help="Of a new clinic.")
@click.option("--locale", default="en", show_default=True, help="Language of a new clinic.")
def add(
    email: str,
    name: str,
    role: str,
    site_name: str | None,
    timezone: str,
    locale: str,
    *,
    new_site: bool,
) -> None:
    """Add an account, with a password that is asked for.

    Scripts give the password in LENITIVE_NEW_PASSWORD.
    """
    password_hash = _ask_password()
    with _database() as session:
        site = (
            accounts.add_site(
                session,
                SYSTEM,
                name=site_name or "",
                timezone=timezone,
                locale=locale,
                now=_now(),
            )
            if new_site
            else _site(session, site_name)
        )
        account = accounts.add_account(
            session,
            SYSTEM,
            site,
            name=name,
            email=email,
            role=Role(role),
            password_hash=password_hash,
            now=_now(),
        )
        click.echo(f"{account.email} is {role} at {site.name}.")


@user.command(name="list")
def list_accounts() -> None:
    """List every account."""
    table = Table("E-mail address", "Name", "Role", "Site", "State")
    with _database() as session:
        for site in session.scalars(select(SiteRow).order_by(SiteRow.name)):
            for account in accounts.accounts_of_site(session, site.id):
                role = accounts.role_of(account)
                state = "active" if account.active else "shut out"
                table.add_row(account.email, account.name, role or "none", site.name, state)
    Console().print(table)


@user.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Shut an account out at once."""
    with _database() as session:
        account = _account(session, email)
        accounts.deactivate(session, SYSTEM, account, now=_now())
        click.echo(f"{account.email} is shut out.")


@user.command()
@click.argument("email")
def password(email: str) -> None:
    """Give an account another password, and end its sessions."""
    with _database() as session:
        _account(session, email)
    password_hash = _ask_password()
    with _database() as session:
        account = _account(session, email)
        accounts.set_password(session, SYSTEM, account, password_hash, now=_now())
        click.echo(f"The password of {account.email} was set.")


@contextmanager
def _database() -> Iterator[Session]:
    """Give a transaction on the database of the settings; an error becomes one sentence."""
    try:
        engine = open_engine(read_settings().database)
        try:
            if current_revision(engine) != newest_revision():
                raise click.ClickException(
                    "The database is not at the present schema. Run: lenitive db upgrade"
                )
            with session_maker(engine).begin() as session:
                yield session
        finally:
            engine.dispose()
    except (TrialError, SettingsError) as problem:
        raise click.ClickException(str(problem)) from problem


def _site(session: Session, name: str | None) -> SiteRow:
    """Return the site of this name, or the only one."""
    sites = session.scalars(select(SiteRow).order_by(SiteRow.name)).all()
    found = [site for site in sites if name in (None, site.name)]
    if len(found) != 1:
        known = ", ".join(site.name for site in sites) or "none yet"
        raise AccountError(
            _("Say which clinic with --site (known: %(known)s), or enter it with --new-site."),
            known=known,
        )
    return found[0]


def _account(session: Session, email: str) -> AccountRow:
    account = find_account(session, email)
    if account is None:
        raise AccountError(_("There is no account with the address %(email)s."), email=email)
    return account


def _ask_password() -> str:
    """Return the hash of a password that is typed twice, or comes from the environment."""
    typed = os.environ.get(PASSWORD_VARIABLE) or click.prompt(
        "Password", hide_input=True, confirmation_prompt=True
    )
    try:
        return accounts.hash_password(typed)
    except AccountError as problem:
        raise click.ClickException(str(problem)) from problem


def _now() -> datetime:
    return datetime.now(UTC)
