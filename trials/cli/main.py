"""`lenitive`: one command for everything the project does.

Each command is loaded when it is asked for: an analysis of a file needs no Flask, and the
server no PyMC.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, override

import click

COULD_NOT = 1
WRONG_USE = 2


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is, and what it is for.

    Attributes:
        place: module and name, such as "trials.cli.serve:serve".
        purpose: one line for the list of commands.
    """

    place: str
    purpose: str


COMMANDS: Mapping[str, Command] = {
    "serve": Command("trials.cli.serve:serve", "Run the web server and the scheduler together."),
    "web": Command("trials.cli.serve:web", "Run the web server alone."),
    "scheduler": Command("trials.cli.scheduler:scheduler", "Run one scheduler; many may run."),
    "demo": Command("trials.cli.demo:demo", "Fill an empty database with a demonstration."),
    "db": Command("trials.cli.db:db", "Bring the database up to date, or check it."),
    "user": Command("trials.cli.user:user", "Look after the accounts of the staff."),
    "audit": Command("trials.cli.audit:audit", "Check the audit trail."),
    "returned": Command("trials.cli.returned:returned", "Read an e-mail that came back."),
    "warm": Command("trials.cli.warm:warm", "Compile the models beforehand."),
    "draws": Command("trials.cli.draws:draws", "Take out the draws of an analysis."),
    "analyze": Command("trials.cli.analyze:analyze", "Analyze diary files without a server."),
    "simulate": Command("trials.cli.simulate:simulate", "Say what a design can tell."),
    "calibrate": Command(
        "trials.cli.calibrate:calibrate", "Study the designs that come with Lenitive."
    ),
    "validate": Command("trials.cli.validate:validate", "Check the engines against each other."),
}


class LazyGroup(click.Group):
    """A group that loads a command when it is called, and turns errors into sentences."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of ``COMMANDS``."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].place.partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name].place} is no command")
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.purpose) for name, command in COMMANDS.items()])

    @override
    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what a person can put right is said in a sentence, not a traceback."""
        from trials.domain.errors import TrialError  # noqa: PLC0415  # with the command, not before
        from trials.settings import SettingsError  # noqa: PLC0415

        try:
            return super().invoke(ctx)
        except SettingsError as problem:
            click.echo(str(problem), err=True)
            sys.exit(WRONG_USE)
        except TrialError as problem:
            click.echo(str(problem), err=True)
            sys.exit(COULD_NOT)


@click.group(cls=LazyGroup)
@click.version_option(package_name="lenitive")
def cli() -> None:
    """N-of-1 trials for chronic pain: one patient, several treatments, one honest answer."""


if __name__ == "__main__":
    cli()
