"""The diary in full: provenance, corrections, photos, impressions, and removal as agreed.

What stays may now be removed on one condition that the database itself checks: there is a row
of ``erasure`` for the trial, and that row can neither be changed nor removed.
"""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ENTRY_COLUMNS = (
    ("other_effects", "JSON DEFAULT '[]' NOT NULL"),
    ("rescue", "JSON DEFAULT '[]' NOT NULL"),
    (
        "intake_reason",
        "VARCHAR DEFAULT '' NOT NULL CONSTRAINT ck_diary_entry_known_intake_reason CHECK "
        "(intake_reason IN ('', 'forgot', 'side_effects', 'felt_well', 'no_help', 'ill', "
        "'none_left', 'advised', 'other'))",
    ),
    ("intake_words", "VARCHAR DEFAULT '' NOT NULL"),
    ("by_proxy", "BOOLEAN DEFAULT false NOT NULL"),
    ("paper_day", "DATE"),
    ("scan", "VARCHAR DEFAULT '' NOT NULL"),
    ("corrects", "BOOLEAN DEFAULT false NOT NULL"),
    ("salt", "VARCHAR DEFAULT '' NOT NULL"),
)
ERASABLE = {
    "diary_entry": (
        "SELECT 1 FROM erasure JOIN diary_day ON diary_day.trial_id = erasure.trial_id "
        "WHERE diary_day.id = OLD.diary_day_id"
    ),
    "guess": "SELECT 1 FROM erasure WHERE erasure.trial_id = OLD.trial_id",
    "impression": "SELECT 1 FROM erasure WHERE erasure.trial_id = OLD.trial_id",
    "photo": "SELECT 1 FROM erasure WHERE erasure.trial_id = OLD.trial_id",
    "confirmation": (
        "SELECT 1 FROM erasure JOIN diary_day ON diary_day.trial_id = erasure.trial_id "
        "JOIN diary_entry ON diary_entry.diary_day_id = diary_day.id "
        "WHERE diary_entry.id = OLD.entry_id"
    ),
}
"""Table -> what must be there before one of its rows may go."""
NEW_ONLY_ADDED = ("impression", "photo", "confirmation", "erasure")
WERE_ONLY_ADDED = ("diary_entry", "guess")


def upgrade() -> None:
    # Plain columns with what older rows mean: rows of the diary are never touched, not even here.
    for name, kind in ENTRY_COLUMNS:
        op.execute(f"ALTER TABLE diary_entry ADD COLUMN {name} {kind}")
    op.execute(
        "ALTER TABLE consent ADD COLUMN on_withdrawal VARCHAR DEFAULT 'keep' NOT NULL CONSTRAINT "
        "ck_consent_known_wish CHECK (on_withdrawal IN ('keep', 'remove'))"
    )
    _create_tables()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _create_tables() -> None:
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("diary_day_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.Column("entry_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'confirmed', 'declined')", name="ck_correction_known_state"
        ),
        sa.CheckConstraint("source IN ('patient', 'phone')", name="ck_correction_known_source"),
        sa.CheckConstraint(
            "(state = 'waiting') = (settled_at IS NULL)", name="ck_correction_settled_with_time"
        ),
        sa.CheckConstraint(
            "(state = 'confirmed') = (entry_id IS NOT NULL)",
            name="ck_correction_confirmed_is_an_entry",
        ),
        sa.ForeignKeyConstraint(
            ["diary_day_id"], ["diary_day.id"], name="fk_correction_diary_day_id_diary_day"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["diary_entry.id"], name="fk_correction_entry_id_diary_entry"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_correction"),
        sa.UniqueConstraint("public_id", name="uq_correction_public_id"),
        sa.UniqueConstraint("idempotency_key", name="uq_correction_idempotency_key"),
    )
    op.create_index("ix_correction_diary_day_id", "correction", ["diary_day_id"])
    op.create_table(
        "confirmation",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("is_right", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["diary_entry.id"], name="fk_confirmation_entry_id_diary_entry"
        ),
        sa.PrimaryKeyConstraint("entry_id", name="pk_confirmation"),
    )
    op.create_table(
        "photo",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_photo_trial_id_trial"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["diary_entry.id"], name="fk_photo_entry_id_diary_entry"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_photo"),
        sa.UniqueConstraint("public_id", name="uq_photo_public_id"),
        sa.UniqueConstraint("entry_id", name="uq_photo_entry_id"),
    )
    op.create_index("ix_photo_trial_id", "photo", ["trial_id"])
    op.create_table(
        "impression",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=True),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("preference", sa.Integer(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("change BETWEEN 1 AND 7", name="ck_impression_seven_steps"),
        sa.CheckConstraint("preference >= -1", name="ck_impression_a_period_or_none"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_impression_trial_id_trial"),
        sa.PrimaryKeyConstraint("id", name="pk_impression"),
        sa.UniqueConstraint("trial_id", "period", name="uq_impression_trial_id_period"),
    )
    op.create_table(
        "problem",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.Column("settled_by", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('medicine', 'box', 'diary', 'other')", name="ck_problem_known_kind"
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_problem_trial_id_trial"),
        sa.ForeignKeyConstraint(
            ["settled_by"], ["account.id"], name="fk_problem_settled_by_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_problem"),
        sa.UniqueConstraint("public_id", name="uq_problem_public_id"),
    )
    op.create_index("ix_problem_trial_id", "problem", ["trial_id"])
    op.create_table(
        "erasure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("removed", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_erasure_trial_id_trial"),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        sa.UniqueConstraint("trial_id", name="uq_erasure_trial_id"),
    )


def _guard_postgresql() -> None:
    for table in WERE_ONLY_ADDED:
        op.execute(f"DROP TRIGGER {table}_only_added ON {table}")
    op.execute(
        "CREATE TRIGGER erasure_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON erasure "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    for table, allowed in ERASABLE.items():
        op.execute(
            f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE FUNCTION refuse_removal_of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN IF EXISTS ({allowed}) THEN RETURN OLD; END IF; "
            f"RAISE EXCEPTION '{table} rows are only ever added'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_goes_by_erasure BEFORE DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION refuse_removal_of_{table}()"
        )


def _guard_sqlite() -> None:
    for table in WERE_ONLY_ADDED:
        op.execute(f"DROP TRIGGER {table}_no_delete")
    for table in NEW_ONLY_ADDED:
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} rows are only ever added'); END"
        )
    op.execute(
        "CREATE TRIGGER erasure_no_delete BEFORE DELETE ON erasure "
        "BEGIN SELECT RAISE(ABORT, 'erasure rows are only ever added'); END"
    )
    for table, allowed in ERASABLE.items():
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            f"WHEN NOT EXISTS ({allowed}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} rows are only ever added'); END"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in ERASABLE:
            op.execute(f"DROP TRIGGER {table}_only_added ON {table}")
            op.execute(f"DROP TRIGGER {table}_goes_by_erasure ON {table}")
            op.execute(f"DROP FUNCTION refuse_removal_of_{table}()")
        for table in WERE_ONLY_ADDED:
            op.execute(
                f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
    else:
        for table in WERE_ONLY_ADDED:
            op.execute(f"DROP TRIGGER {table}_no_delete")
            op.execute(
                f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are only ever added'); END"
            )
    for table in ("erasure", "problem", "impression", "photo", "confirmation", "correction"):
        op.drop_table(table)
    op.drop_column("consent", "on_withdrawal")
    for name, _kind in reversed(ENTRY_COLUMNS):
        op.drop_column("diary_entry", name)
