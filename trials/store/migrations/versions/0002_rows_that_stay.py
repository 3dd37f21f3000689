"""Let the database itself refuse to change what must stay."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ONLY_ADDED = ("audit", "diary_entry", "allocation", "unblinding", "release", "decision", "guess")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _upgrade_postgresql()
    else:
        _upgrade_sqlite()


def _upgrade_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% rows are only ever added', TG_TABLE_NAME; END $$"
    )
    for table in ONLY_ADDED:
        op.execute(
            f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE FUNCTION refuse_frozen_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN IF OLD.frozen_at IS NOT NULL THEN "
        "RAISE EXCEPTION 'a frozen protocol never changes'; END IF; "
        "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER protocol_stays_frozen BEFORE UPDATE OR DELETE ON protocol "
        "FOR EACH ROW EXECUTE FUNCTION refuse_frozen_change()"
    )


def _upgrade_sqlite() -> None:
    for table in ONLY_ADDED:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are only ever added'); END"
            )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER protocol_frozen_no_{verb.lower()} BEFORE {verb} ON protocol "
            "WHEN OLD.frozen_at IS NOT NULL "
            "BEGIN SELECT RAISE(ABORT, 'a frozen protocol never changes'); END"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in ONLY_ADDED:
            op.execute(f"DROP TRIGGER {table}_only_added ON {table}")
        op.execute("DROP TRIGGER protocol_stays_frozen ON protocol")
        op.execute("DROP FUNCTION refuse_change()")
        op.execute("DROP FUNCTION refuse_frozen_change()")
        return
    for table in ONLY_ADDED:
        for verb in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{verb}")
    for verb in ("update", "delete"):
        op.execute(f"DROP TRIGGER protocol_frozen_no_{verb}")
