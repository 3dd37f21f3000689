"""``lenitive warm``: compile the models beforehand, so that no analysis waits for it."""

from dataclasses import replace

import click

from scheduler.compiled import keep_compiled_in, remove_other_versions
from trials.cli.database import database
from trials.settings import read_settings
from trials.store.database import only_reading, session_maker
from trials.store.schema import check_schema
from trials.store.trial import arms_under_way

USUAL_ARMS = (2, 3, 4)


@click.command()
def warm() -> None:
    """Compile the models of the trials under way, and of two, three and four arms.

    A model is compiled once per number of arms and kept in a folder that the processes of the
    scheduler read. Run it after installing and after every update; what is compiled already
    takes seconds. What other versions compiled is removed.
    """
    settings = read_settings()
    with database(settings) as engine:
        check_schema(engine)
        with only_reading(), session_maker(engine)() as session:
            counts = sorted({*USUAL_ARMS, *arms_under_way(session)})
    keep_compiled_in(settings.compiled)
    click.echo(f"Compiled models are kept in {settings.compiled}.")
    if others := remove_other_versions(settings.compiled):
        click.echo(f"Removed those of {others} other version(s).")
    click.echo("Loading PyMC ...")
    from models import sampling  # noqa: PLC0415  # after the folder is known

    for done, arms in enumerate(counts, start=1):
        click.echo(f"{done} of {len(counts)}: {arms} arms ... ", nl=False)
        click.echo(f"{sampling.warm(replace(sampling.USUAL, arms=arms)):.1f} s")
