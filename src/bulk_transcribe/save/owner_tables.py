"""The table of those who have the database open, where lock files cannot tell."""

from sqlalchemy import BigInteger, Column, DateTime, Float, Integer, String, Table

from bulk_transcribe.save.tables import metadata

#: On PostgreSQL one row for each opening; SQLite has lock files instead. All moments are the
#: server's own. A row leaves with a proper end; those declared gone stay for a while.
owners = Table(
    "owners",
    metadata,
    Column("owner_id", String(80), primary_key=True),  # Database.owner_id
    Column("host", String(255), nullable=False),  # for people to read
    Column("pid", Integer, nullable=False),  # likewise
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("lasts_s", Float, nullable=False),  # without a beat for so long it may be gone
    Column("beat_at", DateTime(timezone=True), nullable=False),
    # since when its beats came without a gap: who was cut off itself judges nobody
    Column("steady_at", DateTime(timezone=True), nullable=False),
    # number of its newest write transaction: tells whether one without an answer was committed
    Column("writes", BigInteger, nullable=False),
    Column("gone_at", DateTime(timezone=True)),  # somebody took over: it may write no more
)
