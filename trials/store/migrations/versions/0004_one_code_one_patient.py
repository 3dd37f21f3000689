"""A patient's code stands once at a site, also when two clicks come at once."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # An index and not a constraint: SQLite would have to build the whole table anew for one.
    op.create_index("uq_patient_site_id_code", "patient", ["site_id", "code"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_patient_site_id_code", table_name="patient")
