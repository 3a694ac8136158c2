"""What a paid request can cost at most: what counts against a cost limit while it is open."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; for older requests nobody knows it, and their quotes count instead."""
    op.add_column("submissions", sa.Column("most_usd", sa.String(40)))
