"""The tables of the permits: every request that counts against a limit now or did lately."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from bulk_transcribe.save.tables import metadata

#: One row for each request. Readings are seconds of the machine's monotonic clock.
permits = Table(
    "permits",
    metadata,
    Column("permit_id", Integer, primary_key=True),
    Column("account", String(120), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("owner", String(80), nullable=False),  # Database.owner_id; "" where it is a stranger
    Column("granted_s", Float, nullable=False),
    # IN_FLIGHT_S while there is no answer, so that one comparison finds all that count
    Column("answered_s", Float, nullable=False),
    Column("is_counted", Boolean, nullable=False),
    Column("limit_said", Integer),
    Column("remaining_said", Integer),
    Index("ix_permits_account_answered_s_kind", "account", "answered_s", "kind"),
    sqlite_autoincrement=True,  # an id that was given back is never given out again
)

#: What is known of an account's limits, as its limiter writes it.
permit_notes = Table(
    "permit_notes",
    metadata,
    Column("account", String(120), nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("account"),
)

#: Later than any reading of a clock.
IN_FLIGHT_S = 1e300
