"""Open the database: SQLite by default, PostgreSQL by its address, the same rules on both."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

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
    connection.exec_driver_sql("BEGIN" if _only_reading.get() else "BEGIN IMMEDIATE")


def session_maker(engine: Engine) -> sessionmaker[Session]:
    """Return a maker of sessions whose objects stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)
