"""``lenitive serve``: the web server and the scheduler as two processes under one command.

The listening socket belongs to this command and is handed to the web process: while that is
restarted, browsers wait a moment instead of being refused.
"""

import ctypes
import gc
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, override

import click
from gunicorn.app.base import BaseApplication

from trials.cli.database import database
from trials.cli.demo import fill_if_empty, log_ins
from trials.settings import Settings, read_settings
from trials.store.schema import check_not_newer, check_schema, upgrade_schema

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""Who ran so long before it died is started again at once."""
GUNICORN_TIMEOUT_SECONDS = 60
_PR_SET_PDEATHSIG = 1


@click.command()
@click.option("--demo", is_flag=True, help="Fill an empty database with a demonstration first.")
@click.option("--host", help="Address to listen on; LENITIVE_HOST otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 lets the system choose.")
def serve(*, demo: bool, host: str | None, port: int | None) -> None:
    """Run the web server and the scheduler together, until told to stop."""
    settings = _settings(host, port)
    with _listen(settings) as listener:
        settings = _settings(settings.host, listener.getsockname()[1])
        with database(settings) as engine:
            check_not_newer(engine)
            upgrade_schema(engine)
            if demo:
                fill_if_empty(engine, settings)
            greeting = log_ins(engine)
        children = _children(settings, listener, quiet=demo)

        def greet() -> None:
            for line in [*greeting, f"Lenitive is ready: {settings.address}", "Stop with Ctrl+C."]:
                click.echo(line)

        code = watch_over(children, lambda: _answers(settings), greet)
    sys.exit(code)


@click.command()
@click.option("--host", help="Address to listen on; LENITIVE_HOST otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 lets the system choose.")
@click.option("--socket", "descriptor", type=int, hidden=True, help="Open socket to listen on.")
@click.option("--parent", type=int, hidden=True, help="Process to end with.")
def web(*, host: str | None, port: int | None, descriptor: int | None, parent: int | None) -> None:
    """Run the web server alone, until told to stop."""
    settings = _settings(host, port)
    if parent is not None:
        _end_with(parent)
    with database(settings) as engine:
        check_schema(engine)
    if descriptor is None:
        listener = _listen(settings)
        descriptor = listener.detach()
        with socket.socket(fileno=os.dup(descriptor)) as twin:
            settings = _settings(settings.host, twin.getsockname()[1])
        click.echo(f"Lenitive listens on {settings.address}")
    import trials.web.app  # noqa: F401, PLC0415  # loaded once, before the workers are forked

    gc.collect()
    gc.freeze()  # what is loaded is never looked at again, so that the workers go on sharing it
    WebServer(settings, descriptor).run()


class WebServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn with our settings, on a socket that is open already."""

    def __init__(self, settings: Settings, descriptor: int) -> None:
        self._settings = settings
        self._descriptor = descriptor
        super().__init__()

    @override
    def load_config(self) -> None:
        """Tell gunicorn what to do."""
        options: dict[str, Any] = {
            "bind": f"fd://{self._descriptor}",
            "worker_class": "gthread",
            "workers": self._settings.web_workers,
            "threads": self._settings.web_threads,
            "timeout": GUNICORN_TIMEOUT_SECONDS,
            "graceful_timeout": 10,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    @override
    def load(self) -> object:
        """Make the application, in each worker process."""
        from trials.web.app import create_app  # noqa: PLC0415  # in the worker, not in the master

        return create_app(self._settings)


@dataclass
class Child:
    """A process that is started again when it dies.

    Attributes:
        name: what to call it.
        command: arguments of ``lenitive``.
        environment: its environment variables.
        listener: socket to hand down, if any.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    listener: socket.socket | None = None
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    start_at: float = 0.0
    deaths: int = field(default=0)

    def start(self) -> None:
        """Start the process."""
        handed = () if self.listener is None else (self.listener.fileno(),)
        self.process = subprocess.Popen(  # noqa: S603  # our own program and arguments
            [sys.executable, "-m", "trials.cli.main", *self.command],
            env=dict(self.environment),
            pass_fds=handed,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C reaches it through us, once
        )
        self.began = time.monotonic()

    def look(self) -> None:
        """Start the process if it is not running and its pause is over."""
        if self.process is None:
            if time.monotonic() >= self.start_at:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        self.process = None
        steady = time.monotonic() - self.began > STEADY_SECONDS
        self.deaths = 1 if steady else self.deaths + 1
        pause = 0.0 if steady else min(2.0 ** (self.deaths - 1) - 1, LONGEST_PAUSE_SECONDS)
        self.start_at = time.monotonic() + pause
        click.echo(
            f"The {self.name} process ended (code {code}); it is started again in {pause:.0f} s.",
            err=True,
        )

    def stop(self, deadline: float) -> None:
        """Wait until the process has ended as it was asked to, or end it."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def watch_over(
    children: list[Child], is_ready: Callable[[], bool], greet: Callable[[], None]
) -> int:
    """Keep the children running until told to stop; return the exit code.

    The first one starts alone, so that it is ready soon; the others follow.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    began, greeted = time.monotonic(), False
    while not stop.is_set():
        for child in children if greeted else children[:1]:
            child.look()
        if not greeted and is_ready():
            greet()
            greeted = True
        if not greeted and time.monotonic() - began > READY_SECONDS:
            click.echo("The web server does not answer; its messages are above.", err=True)
            break
        stop.wait(0.1 if not greeted else 0.5)
    for child in children:
        if child.process is not None and child.process.poll() is None:
            child.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        child.stop(deadline)
    return 0 if greeted else 1


def _children(settings: Settings, listener: socket.socket, *, quiet: bool) -> list[Child]:
    """Return the two processes; whoever only looks around reads no log."""
    environment = {
        **({"LENITIVE_LOG_LEVEL": "warning"} if quiet else {}),
        **os.environ,
        "LENITIVE_HOST": settings.host,
        "LENITIVE_PORT": str(settings.port),
    }
    parent = f"--parent={os.getpid()}"
    return [
        Child("web", ["web", f"--socket={listener.fileno()}", parent], environment, listener),
        Child("scheduler", ["scheduler", parent], environment),
    ]


def _settings(host: str | None, port: int | None) -> Settings:
    """Return the settings, with what was said on the command line put first."""
    said: dict[str, object] = {}
    if host is not None:
        said["host"] = host
    if port is not None:
        said["port"] = port
    return read_settings(**said)


def _listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say."""
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=2048,
        )
    except (OSError, OverflowError) as problem:
        raise click.ClickException(
            f"Cannot listen on {settings.host}, port {settings.port}: {problem}. "
            "Choose another with --port, or stop what uses it."
        ) from problem


def _answers(settings: Settings) -> bool:
    """Return whether the web server answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.port, timeout=5.0)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end_with(parent: int) -> None:
    """End this process with its parent, even if that is killed (on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)
