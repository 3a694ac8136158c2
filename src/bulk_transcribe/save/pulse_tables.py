"""The table of the pulses: how a run was at moments of its way."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
)

from bulk_transcribe.save.columns import Dollars, UtcMoment, Words
from bulk_transcribe.save.tables import metadata

#: A bounded number of rows for each session; see `pulses.stride`.
pulses = Table(
    "pulses",
    metadata,
    Column(
        "session_id",
        String(40),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("number", Integer, nullable=False),  # order of writing, from 0
    Column("at", UtcMoment, nullable=False),
    Column("finished", Integer, nullable=False),
    Column("active", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("is_auto", Boolean, nullable=False),
    Column("is_draining", Boolean, nullable=False),
    Column("low_s", Float, nullable=False),
    Column("likely_s", Float, nullable=False),
    Column("high_s", Float, nullable=False),
    Column("videos_per_min", Float),
    Column("limited_60s", Integer, nullable=False),
    Column("limit_60s", Integer),
    Column("spent_usd", Dollars, nullable=False),
    Column("belief", Words, nullable=False),  # JSON: summary, why
    PrimaryKeyConstraint("session_id", "number"),
)
