"""The migrations and the rows say the same, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from trials.store.database import metadata
from trials.store.schema import current_revision, downgrade_schema, newest_revision

ONLY_ADDED = (
    "audit",
    "diary_entry",
    "allocation",
    "unblinding",
    "release",
    "decision",
    "guess",
    "impression",
    "photo",
    "confirmation",
    "erasure",
    "mood_screen",
    "adverse_event_version",
)


def test_a_migrated_database_has_exactly_the_tables_of_the_code(engine: Engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert current_revision(engine) == newest_revision()


def test_every_migration_can_be_taken_back(engine: Engine):
    downgrade_schema(engine, "base")

    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}


@pytest.mark.parametrize("table", ONLY_ADDED)
def test_the_database_refuses_to_remove_what_must_stay(engine: Engine, table: str):
    triggers = (
        f"SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'"
        if engine.dialect.name == "sqlite"
        else f"SELECT count(*) FROM pg_trigger WHERE tgrelid = '{table}'::regclass "
        "AND NOT tgisinternal"
    )
    with engine.connect() as connection:
        assert connection.scalar(text(triggers)) > 0


def test_an_audit_record_can_be_neither_changed_nor_removed(engine: Engine):
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit (number, at, local_at, actor, role, action, subject, why, hash) "
                "VALUES (1, '2026-03-01 12:00:00', '', 'a', 'r', 'x', 's', '', 'h')"
            )
        )
    for attack in ("UPDATE audit SET why = 'better'", "DELETE FROM audit"):
        with pytest.raises(DatabaseError, match="only ever added"), engine.begin() as connection:
            connection.execute(text(attack))
