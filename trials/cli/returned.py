"""``lenitive returned``: read a message that came back, so that nobody writes there again."""

import sys
from datetime import UTC, datetime

import click

from trials.cli.database import database
from trials.services.reach import take_returned
from trials.settings import read_settings
from trials.store.database import session_maker
from trials.store.schema import check_schema

SAID = {
    "failed": "The address failed; no more reminders go there until it is changed.",
    "complaint": "The reader complained; no more reminders go there until the address is changed.",
    "delayed": "The mail server still tries; nothing was changed.",
    "unknown": "This is no report about a message of ours; nothing was changed.",
}


@click.command()
def returned() -> None:
    """Read a failure report or complaint from standard input.

    Let the mail server pipe what it gets for the sender's address into this command, such as
    with the line ``lenitive: "|lenitive returned"`` in /etc/aliases.
    """
    raw = sys.stdin.buffer.read()
    with database(read_settings()) as engine:
        check_schema(engine)
        with session_maker(engine).begin() as session:
            kind = take_returned(session, raw, datetime.now(UTC))
    click.echo(SAID.get(kind, SAID["unknown"]))
