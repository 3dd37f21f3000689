"""A real web server in the test's own process, ended only when its last answer is given."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds: a browser opens connections ahead and may never use them


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """Serve an application on the machine itself and yield the port.

    At the end the answers under way are waited for: a browser that closes its window does not
    stop them, and what they hold (files, database connections) would outlive the test.
    """
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Handler)
    server.daemon_threads = False  # type: ignore[attr-defined]  # server_close() joins them then
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
