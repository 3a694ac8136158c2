"""What each session cost, as a kept sum, and what webhooks tell of a running job."""

from collections import Counter
from decimal import ROUND_CEILING, Decimal

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_REQUESTS = sa.table(
    "submissions",
    *(
        sa.column(name, sa.String)
        for name in (
            "session_id",
            "state",
            "sent_at",
            "charged_usd",
            "most_usd",
            "quoted_usd",
        )
    ),
)


def upgrade() -> None:
    """Make the table, fill it from the requests that are there, add the column and the index."""
    costs = op.create_table(
        "session_costs",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("micros", sa.BigInteger, nullable=False),
        sa.Column("unknown", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_session_costs"),
    )
    micros: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    was_sent = sa.column("sent_at").is_not(None)
    columns = [_REQUESTS.c[name] for name in ("charged_usd", "most_usd", "quoted_usd")]
    rows = op.get_bind().execute(
        sa.select(_REQUESTS.c.session_id, _REQUESTS.c.state, was_sent, *columns)
    )
    for session_id, state, was_out, *amounts in rows:
        if state == "refused" or (state == "abandoned" and not was_out):
            continue
        known = next((amount for amount in amounts if amount is not None), None)
        micros[session_id] += (
            0
            if known is None
            else int((Decimal(known) * 1_000_000).to_integral_value(ROUND_CEILING))
        )
        unknown[session_id] += known is None
    if micros:
        op.bulk_insert(
            costs,
            [
                {"session_id": each, "micros": micros[each], "unknown": unknown[each]}
                for each in micros
            ],
        )
    op.add_column("submissions", sa.Column("told_state", sa.String(16)))
    for name in ("request_id", "told_request_id"):
        op.create_index(f"ix_submissions_{name}", "submissions", [name])
