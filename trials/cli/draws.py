"""`lenitive draws`: take the draws of an analysis out of the installation."""

from pathlib import Path

import click

from trials.cli.database import database
from trials.keys import open_vault
from trials.services.draws import open_draws
from trials.settings import read_settings
from trials.store.database import only_reading, session_maker


@click.command()
@click.argument("fit")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Where to write the netCDF file.",
)
def draws(fit: str, out: Path) -> None:
    """Write the posterior draws of the analysis FIT (its id) as netCDF.

    The draws of a blinded trial stay sealed until its result is released.
    """
    settings = read_settings()
    with database(settings) as engine, only_reading(), session_maker(engine)() as session:
        content = open_draws(session, open_vault(settings), fit, settings.data_dir)
    out.write_bytes(content)
    click.echo(f"Wrote {out}.")
