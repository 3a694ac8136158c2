"""Pulses: how a run was at moments of its way, for the page."""

import sqlalchemy as sa
from alembic import op

from bulk_transcribe.save.columns import Dollars, UtcMoment

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table; nothing is moved."""
    op.create_table(
        "pulses",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", UtcMoment, nullable=False),
        sa.Column("finished", sa.Integer, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("is_auto", sa.Boolean, nullable=False),
        sa.Column("is_draining", sa.Boolean, nullable=False),
        sa.Column("low_s", sa.Float, nullable=False),
        sa.Column("likely_s", sa.Float, nullable=False),
        sa.Column("high_s", sa.Float, nullable=False),
        sa.Column("videos_per_min", sa.Float),
        sa.Column("limited_60s", sa.Integer, nullable=False),
        sa.Column("limit_60s", sa.Integer),
        sa.Column("spent_usd", Dollars, nullable=False),
        sa.Column("belief", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "number", name="pk_pulses"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            name="fk_pulses_session_id",
            ondelete="CASCADE",
        ),
    )
