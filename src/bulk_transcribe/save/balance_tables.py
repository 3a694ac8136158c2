"""The table of the balance's readings: what the account had, and which requests came after."""

from sqlalchemy import Boolean, Column, Index, Integer, String, Table

from bulk_transcribe.save.columns import Dollars, UtcMoment
from bulk_transcribe.save.tables import metadata

#: A few rows for each run.
balances = Table(
    "balances",
    metadata,
    Column("balance_id", Integer, primary_key=True),
    Column("account", String(80), nullable=False),  # tells nothing of the key
    Column("balance_usd", Dollars, nullable=False),
    # requests with a greater number were intended after the reading
    Column("after_submission", Integer, nullable=False),
    Column("is_quiet", Boolean, nullable=False),  # no request was open meanwhile
    Column("read_at", UtcMoment, nullable=False),
    Index("ix_balances_account_balance_id", "account", "balance_id"),
    sqlite_autoincrement=True,
)
