"""Sessions that workers on several machines share."""

import sqlalchemy as sa
from alembic import op

from bulk_transcribe.save.columns import UtcMoment, Words

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables; nothing is moved."""
    op.create_table(
        "cluster_sessions",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("queue", sa.String(80), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("steer", sa.String(8), nullable=False),
        sa.Column("stopped_reason", Words, nullable=False),
        sa.Column("stopped_code", sa.String(40), nullable=False),
        sa.Column("stopped_next_step", Words, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_cluster_sessions"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            name="fk_cluster_sessions_session_id",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "claims",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("video_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "video_id", name="pk_claims"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            name="fk_claims_session_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_claims_owner", "claims", ["owner"])
    op.create_table(
        "workers",
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("doing", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("queues", Words, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("started_at", UtcMoment, nullable=False),
        sa.Column("beat_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_workers"),
    )
    op.create_table(
        "queue_times",
        sa.Column("queue", sa.String(80), nullable=False),
        sa.Column("reached", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("queue", name="pk_queue_times"),
    )
