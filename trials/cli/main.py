"""`lenitive`: one command for everything the project does."""

from __future__ import annotations

import click

from trials.cli.analyze import analyze
from trials.cli.simulate import simulate
from trials.cli.validate import validate


@click.group()
@click.version_option(package_name="lenitive")
def cli() -> None:
    """N-of-1 trials for chronic pain: one patient, several treatments, one honest answer."""


cli.add_command(analyze)
cli.add_command(simulate)
cli.add_command(validate)
