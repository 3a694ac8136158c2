"""Permits: the limit of an account, shared by all processes that use it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables; nothing is moved."""
    op.create_table(
        "permits",
        sa.Column("permit_id", sa.Integer, nullable=False),
        sa.Column("account", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("granted_s", sa.Float, nullable=False),
        sa.Column("answered_s", sa.Float, nullable=False),
        sa.Column("is_counted", sa.Boolean, nullable=False),
        sa.Column("limit_said", sa.Integer),
        sa.Column("remaining_said", sa.Integer),
        sa.PrimaryKeyConstraint("permit_id", name="pk_permits"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_permits_account_answered_s_kind", "permits", ["account", "answered_s", "kind"]
    )
    op.create_table(
        "permit_notes",
        sa.Column("account", sa.String(120), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_permit_notes"),
    )
