"""``lenitive demo``: a clinic with simulated patients, to look around in."""

from datetime import UTC, datetime

import click
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from trials.cli.database import database
from trials.keys import open_vault
from trials.services.accounts import is_demonstration
from trials.settings import Settings, read_settings
from trials.store.account import AccountRow, SiteRow
from trials.store.database import only_reading, session_maker
from trials.store.schema import check_not_newer, upgrade_schema


@click.command()
def demo() -> None:
    """Fill an empty database with a demonstration clinic.

    Its finished trials are analyzed and released as soon as a scheduler runs.
    """
    settings = read_settings()
    with database(settings) as engine:
        check_not_newer(engine)
        upgrade_schema(engine)
        if not fill_if_empty(engine, settings):
            raise click.ClickException(
                "This database is in use. A demonstration needs an empty one: set "
                "LENITIVE_DATA_DIR to a new folder, or LENITIVE_DATABASE_URL to a new database."
            )
        for line in log_ins(engine):
            click.echo(line)


def fill_if_empty(engine: Engine, settings: Settings) -> bool:
    """Fill the database with the demonstration unless there is something in it."""
    with only_reading(), Session(engine) as session:
        if session.scalar(select(SiteRow.id).limit(1)) is not None:
            return False
    from trials.services.demo import fill_demo  # noqa: PLC0415  # numpy, only for this

    fill_demo(session_maker(engine), open_vault(settings), datetime.now(UTC))
    return True


def log_ins(engine: Engine) -> list[str]:
    """Return what to tell about entering a demonstration; nothing for a real clinic."""
    with only_reading(), Session(engine) as session:
        if not is_demonstration(session):
            return []
        accounts = session.scalars(select(AccountRow).order_by(AccountRow.id)).unique().all()
        staff = [f"  {account.roles[0].name:<15}{account.email}" for account in accounts]
    return [
        "This is a demonstration with simulated patients. The first page lets you in, without a",
        "password, as any of them or as one of the staff:",
        *staff,
    ]
