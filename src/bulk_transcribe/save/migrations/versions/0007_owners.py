"""Owners: who has a database on a server open, by heartbeat."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table; nothing is moved."""
    op.create_table(
        "owners",
        sa.Column("owner_id", sa.String(80), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lasts_s", sa.Float, nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("steady_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("writes", sa.BigInteger, nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("owner_id", name="pk_owners"),
    )
