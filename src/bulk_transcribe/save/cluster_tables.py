"""The tables of sessions that workers on several machines share."""

from sqlalchemy import Column, ForeignKey, Integer, PrimaryKeyConstraint, String, Table

from bulk_transcribe.save.columns import UtcMoment, Words
from bulk_transcribe.save.tables import metadata

#: One row for each session that was ever handed to the workers.
cluster_sessions = Table(
    "cluster_sessions",
    metadata,
    Column(
        "session_id",
        String(40),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("queue", String(80), nullable=False),  # where its jobs wait: the account's
    Column("step", Integer, nullable=False),  # see cluster.order: virtual time of one video
    Column("steer", String(8), nullable=False),  # see cluster.Steer
    Column("stopped_reason", Words, nullable=False),
    Column("stopped_code", String(40), nullable=False),
    Column("stopped_next_step", Words, nullable=False),
)

#: Which opening of the database has a video in hand.
claims = Table(
    "claims",
    metadata,
    Column(
        "session_id",
        String(40),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("video_id", String(64), nullable=False),
    Column("owner", String(80), nullable=False, index=True),  # Database.owner_id
    PrimaryKeyConstraint("session_id", "video_id"),
)

#: The worker processes. One whose owner is gone is swept out.
workers = Table(
    "workers",
    metadata,
    Column("owner", String(80), primary_key=True),  # Database.owner_id
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("doing", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # working or draining
    Column("queues", Words, nullable=False),  # with commas
    Column("version", String(40), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("beat_at", UtcMoment, nullable=False),
)

#: How far each queue has come in virtual time: see cluster.order.
queue_times = Table(
    "queue_times",
    metadata,
    Column("queue", String(80), primary_key=True),
    Column("reached", Integer, nullable=False),
)
