"""The product's web server as `lenitive web` starts it, for as long as something is measured."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.plugins.web import MASTER_KEY


@contextmanager
def running_web(url: str, folder: Path, **more: str) -> Iterator[str]:
    """Run a web server on a database; give its address.

    Args:
        url: of a migrated database.
        folder: for its data and its log; made here.
        more: further environment variables.
    """
    folder.mkdir()
    surroundings = {
        **os.environ,
        "LENITIVE_DATA_DIR": str(folder),
        "LENITIVE_DATABASE_URL": url,
        "LENITIVE_MASTER_KEY": MASTER_KEY,
        **more,
    }
    command = [sys.executable, "-m", "trials.cli.main", "web", "--port", "0"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, env=surroundings, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert server.stdout is not None  # noqa: S101  # it is a pipe
        told = server.stdout.readline()
        if not told:
            raise SystemExit(f"The web server did not start: {(folder / 'log').read_text()}")
        yield told.split()[-1]
    finally:
        server.terminate()
        server.wait()
