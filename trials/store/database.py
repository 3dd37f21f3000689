"""Open the database: SQLite by default, PostgreSQL by its address, the same rules on both."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from sqlite3 import SQLITE_BUSY
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError as SqliteError

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from trials.store import (
    account,
    adverse_event,
    alert,
    allocation,
    audit,
    calibration,
    correction,
    diary,
    erasure,
    fit,
    impression,
    look,
    mood,
    outbox,
    photo,
    problem,
    process,
    reach,
    safety_contact,
    trial,
)
from trials.store.base import Base

BUSY_TIMEOUT_MS = 15_000
ASKS_AGAIN_SECONDS = 0.002

ROW_MODULES = (
    account,
    adverse_event,
    alert,
    allocation,
    audit,
    calibration,
    correction,
    diary,
    erasure,
    fit,
    impression,
    look,
    mood,
    outbox,
    photo,
    problem,
    process,
    reach,
    safety_contact,
    trial,
)
"""Importing these registers every table with ``Base.metadata``."""

metadata = Base.metadata

_only_reading: ContextVar[bool] = ContextVar("only_reading", default=False)


@contextmanager
def only_reading() -> Iterator[None]:
    """Let transactions begun inside take no write lock.

    On SQLite everything else begins with ``BEGIN IMMEDIATE``: a transaction that reads first
    and writes later would otherwise fail half-way when another wrote in between.
    """
    token = _only_reading.set(True)
    try:
        yield
    finally:
        _only_reading.reset(token)


def open_engine(url: str, *, pool_size: int = 8) -> Engine:
    """Return an engine for this address, with the folder of a SQLite file made if need be."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=pool_size)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    prepare_sqlite(engine)
    return engine


def prepare_sqlite(engine: Engine) -> None:
    """Make SQLite wait for locks, keep its promises after a crash, and check foreign keys."""
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)


def _on_sqlite_connect(connection: SqliteConnection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_sqlite_begin(connection: Connection) -> None:
    if _only_reading.get():
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_writing(connection)


def _begin_writing(connection: Connection) -> None:
    """Begin a transaction that writes, once it is our turn.

    SQLite's own waiting asks ever more rarely, down to ten times a second: who has waited for
    long is overtaken by all who have just come, and some still wait when their time is up. So
    there is a queue, in the kernel, and only its head asks, often.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, SqliteConnection)  # noqa: S101  # prepare_sqlite is for SQLite only
    with _head_of_queue(connection.engine.url.database):
        driver.execute("PRAGMA busy_timeout = 0").close()
        try:
            _ask_often(driver)
        finally:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}").close()
        if not driver.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # says what is wrong


@contextmanager
def _head_of_queue(file: str | None) -> Iterator[None]:
    """Wait behind all who came before, in any process; the head has a bounded time only."""
    if not file or file == ":memory:":
        yield
        return
    with Path(f"{file}-queue").open("w") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(queue, fcntl.LOCK_UN)  # a process forked meanwhile may hold it open


def _ask_often(driver: SqliteConnection) -> None:
    """Begin as soon as nobody else writes; return without after a while, or if it is no use."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while time.monotonic() < deadline:
        try:
            driver.execute("BEGIN IMMEDIATE").close()
        except SqliteError as problem:
            if problem.sqlite_errorcode & 0xFF != SQLITE_BUSY:
                return
            time.sleep(ASKS_AGAIN_SECONDS)
        else:
            return


def session_maker(engine: Engine) -> sessionmaker[Session]:
    """Return a maker of sessions whose objects stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)
