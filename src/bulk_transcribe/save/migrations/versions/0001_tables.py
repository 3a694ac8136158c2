"""The first tables."""

import sqlalchemy as sa
from alembic import op

from bulk_transcribe.save.columns import Dollars, UtcMoment

revision = "0001"
down_revision = None

_OPEN = sa.text("state IN ('intended', 'sent', 'accepted', 'in_doubt')")
_CONTENT_KEY = ("video_id", "source", "model", "language", "options")


def upgrade() -> None:
    """Make them in an empty database."""
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("out_dir", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stopped_reason", sa.Text, nullable=False),
        sa.Column("stopped_code", sa.String(40), nullable=False),
        sa.Column("stopped_next_step", sa.Text, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("started_at", UtcMoment),
        sa.Column("ended_at", UtcMoment),
        sa.Column("engine_owner", sa.String(80)),
        sa.Column("engine_pid", sa.Integer),
        sa.Column("engine_heartbeat_at", UtcMoment),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
    )
    op.create_table(
        "videos",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("video_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("item_title", sa.Text),
        sa.Column("item_channel", sa.Text),
        sa.Column("item_duration_s", sa.Float),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("extra", sa.Text, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("duration_s", sa.Float),
        sa.Column("progress", sa.Float),
        sa.Column("worker", sa.Text),
        sa.Column("source", sa.String(40)),
        sa.Column("since_at", UtcMoment),
        sa.Column("started_at", UtcMoment),
        sa.Column("finished_at", UtcMoment),
        sa.Column("waiting", sa.String(16)),
        sa.Column("waiting_until_at", UtcMoment),
        sa.Column("error", sa.Text),
        sa.Column("error_code", sa.String(40)),
        sa.Column("next_step", sa.Text),
        sa.Column("can_retry", sa.Boolean, nullable=False),
        sa.Column("spent_usd", Dollars, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("was_known", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            ondelete="CASCADE",
            name="fk_videos_session_id",
        ),
        sa.PrimaryKeyConstraint("session_id", "video_id", name="pk_videos"),
        sa.UniqueConstraint("session_id", "position", name="uq_videos_session_id_position"),
    )
    op.create_index(
        "ix_videos_session_id_stage_position", "videos", ["session_id", "stage", "position"]
    )
    op.create_table(
        "problems",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("line", sa.Integer),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("suggestion", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            ondelete="CASCADE",
            name="fk_problems_session_id",
        ),
        sa.PrimaryKeyConstraint("session_id", "number", name="pk_problems"),
    )
    op.create_table(
        "wishes",
        sa.Column("wish_id", sa.Integer, nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("wish", sa.String(16), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("made_at", UtcMoment, nullable=False),
        sa.Column("taken_at", UtcMoment),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            ondelete="CASCADE",
            name="fk_wishes_session_id",
        ),
        sa.PrimaryKeyConstraint("wish_id", name="pk_wishes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_wishes_session_id_taken_at", "wishes", ["session_id", "taken_at"])
    op.create_table(
        "video_metadata",
        sa.Column("video_id", sa.String(64), nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("channel", sa.Text),
        sa.Column("channel_id", sa.Text),
        sa.Column("published_at", UtcMoment),
        sa.Column("duration_s", sa.Float),
        sa.Column("language", sa.Text),
        sa.Column("availability", sa.String(20), nullable=False),
        sa.Column("live_state", sa.String(20), nullable=False),
        sa.Column("has_captions", sa.Boolean),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("fetched_at", UtcMoment),
        sa.PrimaryKeyConstraint("video_id", name="pk_video_metadata"),
    )
    op.create_table(
        "transcripts",
        *_content_key(),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("saved_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint(*_CONTENT_KEY, name="pk_transcripts"),
    )
    op.create_table(
        "submissions",
        sa.Column("submission_id", sa.Integer, nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False),
        *_content_key(),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("request_id", sa.String(200)),
        sa.Column("quoted_usd", Dollars),
        sa.Column("charged_usd", Dollars),
        sa.Column("intended_at", UtcMoment, nullable=False),
        sa.Column("sent_at", UtcMoment),
        sa.Column("accepted_at", UtcMoment),
        sa.Column("ended_at", UtcMoment),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("submission_id", name="pk_submissions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_submissions_session_id_video_id", "submissions", ["session_id", "video_id"])
    op.create_index(
        "uq_submissions_open",
        "submissions",
        list(_CONTENT_KEY),
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(
        "ix_submissions_open_state",
        "submissions",
        ["state"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_table(
        "attempts",
        sa.Column("attempt_id", sa.Integer, nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("video_id", sa.String(64), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("started_at", UtcMoment, nullable=False),
        sa.Column("ended_at", UtcMoment, nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("error_code", sa.String(40)),
        sa.ForeignKeyConstraint(
            ["session_id", "video_id"],
            ["videos.session_id", "videos.video_id"],
            ondelete="CASCADE",
            name="fk_attempts_session_id_video_id",
        ),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_attempts"),
    )
    op.create_index("ix_attempts_session_id_video_id", "attempts", ["session_id", "video_id"])
    op.create_table(
        "requests",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("video_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("waited_s", sa.Float, nullable=False),
        sa.Column("took_s", sa.Float, nullable=False),
        sa.Column("first_at", UtcMoment, nullable=False),
        sa.Column("last_at", UtcMoment, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            ondelete="CASCADE",
            name="fk_requests_session_id",
        ),
        sa.PrimaryKeyConstraint("session_id", "video_id", "kind", name="pk_requests"),
    )


def _content_key() -> list[sa.Column[str]]:
    return [
        sa.Column("video_id", sa.String(64), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("language", sa.String(200), nullable=False),
        sa.Column("options", sa.String(200), nullable=False),
    ]
