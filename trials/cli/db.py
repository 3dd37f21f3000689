"""``lenitive db``: bring the database's schema up to date."""

import click

from trials.cli.database import database
from trials.settings import read_settings
from trials.store.schema import (
    check_not_newer,
    check_schema,
    current_revision,
    new_migration,
    newest_revision,
    upgrade_schema,
)


@click.group()
def db() -> None:
    """Bring the database up to date, or check it."""


@db.command()
def upgrade() -> None:
    """Apply every change of the schema that is missing; all of them or none."""
    with database(read_settings()) as engine:
        check_not_newer(engine)
        before = current_revision(engine)
        upgrade_schema(engine)
    if before == newest_revision():
        click.echo(f"The database is up to date (revision {before}).")
    else:
        click.echo(f"The database went from {before or 'empty'} to revision {newest_revision()}.")


@db.command()
@click.argument("message")
def revision(message: str) -> None:
    """Write a new migration from the difference between the code and the database."""
    with database(read_settings()) as engine:
        check_schema(engine)
        new_migration(engine, message)


@db.command()
def check() -> None:
    """Say whether the database fits this version; exit 1 if not."""
    with database(read_settings()) as engine:
        check_schema(engine)
    click.echo(f"The database is up to date (revision {newest_revision()}).")
