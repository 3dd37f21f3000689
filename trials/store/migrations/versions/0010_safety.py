"""Red flags: alerts, questions about mood, serious adverse events, numbers to call."""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ONLY_ADDED = ("mood_screen", "adverse_event_version")
WAITING = sa.text("escalates_at IS NOT NULL")


def upgrade() -> None:
    _create_alert()
    _create_mood_screen()
    _create_adverse_event()
    op.create_table(
        "safety_contact",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("emergency", sa.String(), nullable=False),
        sa.Column("crisis_name", sa.String(), nullable=False),
        sa.Column("crisis", sa.String(), nullable=False),
        sa.Column("poison", sa.String(), nullable=False),
        sa.Column("on_call_name", sa.String(), nullable=False),
        sa.Column("on_call_email", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", name="pk_safety_contact"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_safety_contact_site_id_site"),
    )
    for table in ONLY_ADDED:
        _refuse_changes(table)


def _create_alert() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("diary_entry_id", sa.Integer(), nullable=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("urgency", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("signs", sa.String(), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("escalates_at", UtcDateTime(), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.Column("deed", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
        sa.UniqueConstraint("public_id", name="uq_alert_public_id"),
        sa.UniqueConstraint("occasion", name="uq_alert_occasion"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_alert_trial_id_trial"),
        sa.ForeignKeyConstraint(
            ["diary_entry_id"], ["diary_entry.id"], name="fk_alert_diary_entry_id_diary_entry"
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["account.id"], name="fk_alert_acknowledged_by_account"
        ),
        sa.CheckConstraint(
            "urgency IN ('immediate', 'same_day', 'next_working_day')",
            name="ck_alert_known_urgency",
        ),
        sa.CheckConstraint(
            "source IN ('diary', 'words', 'button', 'screen', 'silence', 'refused')",
            name="ck_alert_known_source",
        ),
        sa.CheckConstraint("step >= 0", name="ck_alert_step_counts_up"),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)",
            name="ck_alert_acknowledged_by_somebody",
        ),
        sa.CheckConstraint(
            "acknowledged_at IS NULL OR escalates_at IS NULL", name="ck_alert_acknowledged_is_quiet"
        ),
    )
    op.create_index("ix_alert_trial_id", "alert", ["trial_id"])
    op.create_index(
        "ix_alert_due_to_escalate",
        "alert",
        ["escalates_at"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )


def _create_mood_screen() -> None:
    op.create_table(
        "mood_screen",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("low", sa.Integer(), nullable=False),
        sa.Column("thoughts", sa.String(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mood_screen"),
        sa.UniqueConstraint("idempotency_key", name="uq_mood_screen_idempotency_key"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_mood_screen_trial_id_trial"),
        sa.CheckConstraint("low BETWEEN 0 AND 3", name="ck_mood_screen_low_on_scale"),
        sa.CheckConstraint(
            "thoughts IN ('no', 'sometimes', 'often', 'not_said')",
            name="ck_mood_screen_known_thoughts",
        ),
        sa.CheckConstraint(
            "occasion IN ('baseline', 'weekly', 'low_mood', 'own')",
            name="ck_mood_screen_known_occasion",
        ),
    )
    op.create_index(
        "ix_mood_screen_trial_id_answered_at", "mood_screen", ["trial_id", "answered_at"]
    )


def _create_adverse_event() -> None:
    op.create_table(
        "adverse_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("known_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("escalates_at", UtcDateTime(), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("signed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_adverse_event"),
        sa.UniqueConstraint("public_id", name="uq_adverse_event_public_id"),
        sa.UniqueConstraint("trial_id", "number", name="uq_adverse_event_trial_id_number"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_adverse_event_trial_id_trial"),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name="fk_adverse_event_alert_id_alert"),
        sa.CheckConstraint("number >= 1", name="ck_adverse_event_number_counts_from_one"),
        sa.CheckConstraint("known_at < due_at", name="ck_adverse_event_clock_in_order"),
        sa.CheckConstraint(
            "signed_at IS NULL OR escalates_at IS NULL", name="ck_adverse_event_signed_is_quiet"
        ),
    )
    op.create_index(
        "ix_adverse_event_due_to_escalate",
        "adverse_event",
        ["escalates_at"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_table(
        "adverse_event_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("adverse_event_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("signed", sa.Boolean(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("written_by", sa.Integer(), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_adverse_event_version"),
        sa.UniqueConstraint(
            "adverse_event_id", "version", name="uq_adverse_event_version_adverse_event_id_version"
        ),
        sa.ForeignKeyConstraint(
            ["adverse_event_id"],
            ["adverse_event.id"],
            name="fk_adverse_event_version_adverse_event_id_adverse_event",
        ),
        sa.ForeignKeyConstraint(
            ["written_by"], ["account.id"], name="fk_adverse_event_version_written_by_account"
        ),
        sa.CheckConstraint(
            "version >= 1", name="ck_adverse_event_version_version_counts_from_one"
        ),
    )


def _refuse_changes(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} rows are only ever added'); END"
        )


def downgrade() -> None:
    for table in (
        "safety_contact",
        "adverse_event_version",
        "adverse_event",
        "mood_screen",
        "alert",
    ):
        op.drop_table(table)
