"""``lenitive audit``: check the audit trail."""

import sys

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from trials.cli.database import database
from trials.domain.audit import first_broken
from trials.settings import read_settings
from trials.store.audit import AuditRow, chain
from trials.store.database import only_reading
from trials.store.schema import check_schema


@click.group()
def audit() -> None:
    """Check the audit trail."""


@audit.command()
def verify() -> None:
    """Read the chain from its beginning; exit 1 and name the first record that does not fit."""
    with database(read_settings()) as engine:
        check_schema(engine)
        with only_reading(), Session(engine) as session:
            broken = first_broken(chain(session))
            count = session.scalar(select(func.count(AuditRow.number)))
    if broken is not None:
        click.echo(f"The audit trail is broken at record {broken}.", err=True)
        sys.exit(1)
    click.echo(f"All {count} records of the audit trail fit together.")
