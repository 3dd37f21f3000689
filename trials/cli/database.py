"""What the commands that touch the database share: its address, its schema, its errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from trials.settings import Settings
from trials.store.database import open_engine
from trials.store.schema import SchemaError


@contextmanager
def database(settings: Settings) -> Iterator[Engine]:
    """Open the database of the settings; what goes wrong with it is said in a sentence."""
    engine = open_engine(settings.database)
    try:
        yield engine
    except SchemaError as problem:
        raise click.ClickException(str(problem)) from problem
    except OperationalError as problem:
        raise click.ClickException(
            f"The database does not answer as it should: {problem.orig}. "
            "Check LENITIVE_DATABASE_URL, and that its server runs."
        ) from problem
    finally:
        engine.dispose()
