"""The `lenitive` command: loads what it needs, says what is wrong, and starts in any case."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from trials.cli.main import COMMANDS, cli
from trials.domain.audit import FIRST_LINK
from trials.services.actor import SYSTEM, record
from trials.settings import Settings
from trials.store.database import open_engine, session_maker
from trials.store.schema import newest_revision

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that the commands use."""
    monkeypatch.setenv("LENITIVE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.delenv("LENITIVE_DATABASE_URL", raising=False)
    return tmp_path / "var"


@pytest.fixture
def given(database_url: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh, migrated database that the commands use."""
    monkeypatch.setenv("LENITIVE_DATABASE_URL", database_url)
    return database_url


def lenitive(*arguments: str) -> tuple[int, str]:
    """Run a command here; return its exit code and all it said."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def loaded_by(*arguments: str) -> set[str]:
    """Return the top-level modules that a command loads."""
    code = (
        "import sys, json\n"
        "from trials.cli.main import cli\n"
        "try:\n"
        f"    cli({list(arguments)!r})\n"
        "except SystemExit:\n"
        "    print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_is_listed_exists(name: str):
    code, output = lenitive(name, "--help")

    assert code == 0
    assert "Usage:" in output


def test_the_list_of_commands_loads_none_of_them():
    assert not loaded_by("--help") & {"sqlalchemy", "flask", "numpy", "pymc"}


def test_analyzing_a_file_needs_no_flask_and_no_database():
    assert not loaded_by("analyze", "--help") & {"flask", "sqlalchemy", "apscheduler"}


@pytest.mark.slow
def test_serving_needs_no_pymc():
    assert not loaded_by("serve", "--help") & {"pymc", "pytensor", "nutpie", "arviz"}


@pytest.mark.usefixtures("here")
def test_wrong_settings_are_one_sentence_each_and_exit_2(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LENITIVE_PORT", "many")
    monkeypatch.setenv("LENITIVE_FIT_WORKERS", "0")

    code, output = lenitive("db", "check")

    assert code == 2
    assert [line.split(":")[0] for line in output.splitlines()] == [
        "LENITIVE_PORT",
        "LENITIVE_FIT_WORKERS",
    ]


@pytest.mark.usefixtures("here")
def test_a_database_is_brought_up_to_date():
    codes = [lenitive(*command)[0] for command in (("db", "check"), ("db", "upgrade"))]

    assert codes == [1, 0]
    assert lenitive("db", "check") == (
        0,
        f"The database is up to date (revision {newest_revision()}).\n",
    )


@pytest.mark.parametrize("command", [("serve",), ("scheduler",), ("web",), ("db", "upgrade")])
@pytest.mark.usefixtures("given")
def test_a_database_of_a_newer_version_is_refused(engine: Engine, command: tuple[str, ...]):
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    code, output = lenitive(*command)

    assert code == 1
    assert "newer version of Lenitive (revision 9999)" in output


@pytest.mark.usefixtures("here")
def test_a_database_that_is_not_there_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LENITIVE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")

    code, output = lenitive("db", "check")

    assert code == 1
    assert "LENITIVE_DATABASE_URL" in output
    assert "Traceback" not in output


def test_a_port_in_use_is_said_in_a_sentence(here: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, output = lenitive("serve", "--port", str(taken.getsockname()[1]))

    assert code == 1
    assert "Choose another with --port" in output
    assert not here.exists()


def test_an_audit_trail_in_order_is_said_to_be(given: str):
    engine = open_engine(given)
    with session_maker(engine).begin() as session:
        for number in range(3):
            record(session, SYSTEM, "try", f"thing:{number}", datetime(2026, 3, 1, tzinfo=UTC))
    engine.dispose()

    assert lenitive("audit", "verify") == (0, "All 3 records of the audit trail fit together.\n")


def test_a_forged_record_is_named(here: Path):
    """Somebody with the database file takes the trigger away and changes the past."""
    lenitive("db", "upgrade")
    path = here / "lenitive.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    with session_maker(engine).begin() as session:
        for number in range(4):
            record(session, SYSTEM, "try", f"thing:{number}", datetime(2026, 3, 1, tzinfo=UTC))
    engine.dispose()
    with closing(sqlite3.connect(path)) as forger, forger:
        forger.execute("DROP TRIGGER audit_no_update")
        forger.execute("UPDATE audit SET why = 'better' WHERE number = 3")

    code, output = lenitive("audit", "verify")

    assert code == 1
    assert "broken at record 3" in output
    assert FIRST_LINK not in output


def test_a_demonstration_is_put_only_into_an_empty_database(here: Path):
    code, output = lenitive("demo")
    again = lenitive("demo")

    assert code == 0, output
    assert "clinician@demo.example" in output
    assert again[0] == 1
    assert "needs an empty one" in again[1]
    assert (here / "master.key").stat().st_mode & 0o077 == 0


@contextmanager
def serving(data_dir: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``lenitive serve`` and yield it with its address, once it is ready."""
    environment = {**os.environ, "LENITIVE_DATA_DIR": str(data_dir), "LENITIVE_TICK_SECONDS": "1"}
    environment.pop("LENITIVE_DATABASE_URL", None)
    with subprocess.Popen(
        [sys.executable, "-m", "trials.cli.main", "serve", "--port", "0", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            for line in server.stdout:
                found = re.search(r"ready: (http://\S+)", line)
                if found:
                    yield server, found[1]
                    break
            else:
                pytest.fail("it never became ready")
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.communicate()


def children_of(process: int) -> dict[str, int]:
    """Return the direct children of a process by what they do.

    The web server may have renamed itself: gunicorn does where setproctitle is installed.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == process and command:
            found["scheduler" if b"\0scheduler\0" in command else "web"] = int(folder.name)
    return found


def wait_for(condition, seconds: float = 30.0) -> bool:
    """Return whether something becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def answers(address: str) -> bool:
    """Return whether the web server answers."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=30) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_serve_replaces_what_dies_and_takes_everything_with_it(tmp_path: Path):
    with serving(tmp_path) as (server, address):
        assert wait_for(lambda: len(children_of(server.pid)) == 2)
        before = children_of(server.pid)
        for child in before.values():
            os.kill(child, signal.SIGKILL)

        assert wait_for(
            lambda: (
                set(children_of(server.pid)) == set(before)
                and not set(children_of(server.pid).values()) & set(before.values())
            )
        )
        assert wait_for(lambda: answers(address))
        after = children_of(server.pid)
        os.kill(server.pid, signal.SIGKILL)

        assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in after.values()))


@pytest.mark.slow
def test_serve_ends_cleanly_when_told_to(tmp_path: Path):
    with serving(tmp_path) as (server, address):
        assert answers(address)
        server.send_signal(signal.SIGTERM)

        assert server.wait(30) == 0


def test_the_settings_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch):
    from trials.cli.serve import _settings

    monkeypatch.setenv("LENITIVE_PORT", "1234")

    assert _settings(None, None).port == 1234
    assert _settings("0.0.0.0", 99) == Settings(host="0.0.0.0", port=99)  # noqa: S104
