"""A real web server in the test's own process, ended only when its last answer is given."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds: a browser opens connections ahead and may never use them


def in_one_piece(app: "WSGIApplication") -> "WSGIApplication":
    """Return the application with every answer read to its end and closed before it is sent.

    Werkzeug's server leaves a file open that it was sending when the browser hung up: it drains
    what the browser still sends before it closes the file, and the draining fails.
    """

    def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        parts = app(environ, start)
        try:
            return [b"".join(parts)]
        finally:
            if close := getattr(parts, "close", None):
                close()

    return answer


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """Serve an application on the machine itself and yield the port.

    At the end the answers under way are waited for: a browser that closes its window does not
    stop them, and what they hold (files, database connections) would outlive the test.
    """
    server = make_server("127.0.0.1", 0, in_one_piece(app), threaded=True, request_handler=_Handler)
    server.daemon_threads = False  # type: ignore[attr-defined]  # server_close() joins them then
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
