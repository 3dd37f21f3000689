"""``lenitive scheduler``: run one scheduler."""

import click

from trials.cli.database import database
from trials.settings import read_settings
from trials.store.schema import check_schema


@click.command()
@click.option("--parent", type=int, hidden=True, help="Process to end with.")
def scheduler(parent: int | None) -> None:
    """Open diary days, send reminders, run analyses: whatever is due, until told to stop.

    Any number may run, on one host or several.
    """
    settings = read_settings()
    with database(settings) as engine:
        check_schema(engine)
        from scheduler.__main__ import main  # noqa: PLC0415  # numpy and all, once it can start

        main(settings, parent=parent)
