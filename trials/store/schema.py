"""Bring a database's schema up to date, through Alembic's own functions."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 7_274_836


def upgrade_schema(engine: Engine, revision: str = "head") -> None:
    """Apply every migration that is missing; all of them or none."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # two that start at once take turns
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
        command.upgrade(_config(connection), revision)


def downgrade_schema(engine: Engine, revision: str) -> None:
    """Take back the migrations after ``revision``."""
    with engine.begin() as connection:
        command.downgrade(_config(connection), revision)


def current_revision(engine: Engine) -> str | None:
    """Return the revision the database is at, or None if it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def has_newest_schema(session: Session) -> bool:
    """Return whether the database is as this version of the code needs it; quick."""
    context = MigrationContext.configure(session.connection())
    return context.get_current_revision() == newest_revision()


@cache
def newest_revision() -> str | None:
    """Return the revision this version of the code needs."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def new_migration(engine: Engine, message: str) -> None:
    """Write a migration from the difference between rows and database, to be tended by hand."""
    with engine.connect() as connection:
        command.revision(_config(connection), message=message, autogenerate=True)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


class SchemaError(Exception):
    """The database and this version of the code do not fit together."""


def check_schema(engine: Engine) -> None:
    """Make sure that the database is exactly as this version of the code needs it.

    Raises:
        SchemaError: with what to do about it.
    """
    check_not_newer(engine)
    if current_revision(engine) != newest_revision():
        raise SchemaError(
            "The database is older than this version of Lenitive. Run: lenitive db upgrade"
        )


def check_not_newer(engine: Engine) -> None:
    """Make sure that no newer version of the code has worked on the database.

    Raises:
        SchemaError: with what to do about it.
    """
    current = current_revision(engine)
    known = {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaError(
            f"The database was changed by a newer version of Lenitive (revision {current}). "
            "Install that version or a later one; this one would not understand the data."
        )
