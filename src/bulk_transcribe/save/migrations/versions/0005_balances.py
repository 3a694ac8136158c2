"""Readings of the balance, and what tells of a request whose answer was lost."""

import sqlalchemy as sa
from alembic import op

from bulk_transcribe.save.columns import Dollars, UtcMoment

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table, add the columns; of older requests nothing of it is known."""
    op.create_table(
        "balances",
        sa.Column("balance_id", sa.Integer, nullable=False),
        sa.Column("account", sa.String(80), nullable=False),
        sa.Column("balance_usd", Dollars, nullable=False),
        sa.Column("after_submission", sa.Integer, nullable=False),
        sa.Column("is_quiet", sa.Boolean, nullable=False),
        sa.Column("read_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("balance_id", name="pk_balances"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_balances_account_balance_id", "balances", ["account", "balance_id"])
    op.add_column("submissions", sa.Column("balance_id", sa.Integer))
    op.add_column("submissions", sa.Column("balance_before_usd", sa.String(40)))
    op.add_column("submissions", sa.Column("nonce", sa.String(64)))
    op.add_column("submissions", sa.Column("told_request_id", sa.String(200)))
    op.create_index(
        "uq_submissions_nonce",
        "submissions",
        ["nonce"],
        unique=True,
        sqlite_where=sa.text("nonce IS NOT NULL"),
        postgresql_where=sa.text("nonce IS NOT NULL"),
    )
