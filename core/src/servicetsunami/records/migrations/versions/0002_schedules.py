"""Add the schedules of connections.

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; nothing else changes."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=48), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("streams", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("mode", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("expression", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "connection_id"],
            ["connections.tenant", "connections.id"],
            name="fk_schedules_connections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_schedules_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
    )
    op.create_index("ix_schedules_next_at", "schedules", ["next_at"], unique=False)
