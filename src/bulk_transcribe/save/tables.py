"""What the database holds. Other modules of this room may add tables to the same `metadata`.

A change here needs a migration in `migrations/versions`; `tests/schema` compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)

from bulk_transcribe.save.columns import Dollars, UtcMoment, Words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: One batch that somebody asked for. `engine_*` tell which process works on it, if any.
sessions = Table(
    "sessions",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("name", Words, nullable=False),
    Column("out_dir", Words, nullable=False),
    Column("settings", Words, nullable=False),  # JSON object, without secrets
    Column("status", String(16), nullable=False),  # see session.SessionStatus
    Column("stopped_reason", Words, nullable=False),
    Column("stopped_code", String(40), nullable=False),
    Column("stopped_next_step", Words, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    Column("started_at", UtcMoment),
    Column("ended_at", UtcMoment),
    Column("engine_owner", String(80)),  # Database.owner_id
    Column("engine_pid", Integer),  # for people to read
    Column("engine_heartbeat_at", UtcMoment),
)

#: A video in a session: what was asked for (`item_*` and below) and where it is.
videos = Table(
    "videos",
    metadata,
    Column(
        "session_id",
        String(40),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("video_id", String(64), nullable=False),
    Column("position", Integer, nullable=False),  # in the input, from 0
    Column("item_title", Words),
    Column("item_channel", Words),
    Column("item_duration_s", Float),
    Column("origin", Words, nullable=False),
    Column("extra", Words, nullable=False),  # JSON object of further spreadsheet columns
    Column("stage", String(16), nullable=False),
    Column("title", Words),
    Column("duration_s", Float),
    Column("progress", Float),
    Column("worker", Words),
    Column("source", String(40)),
    Column("since_at", UtcMoment),
    Column("started_at", UtcMoment),
    Column("finished_at", UtcMoment),
    Column("waiting", String(16)),  # name of the WaitReason
    Column("waiting_until_at", UtcMoment),
    Column("error", Words),
    Column("error_code", String(40)),
    Column("next_step", Words),
    Column("can_retry", Boolean, nullable=False),
    Column("spent_usd", Dollars, nullable=False),
    Column("files", Words, nullable=False),  # JSON list of paths
    Column("was_known", Boolean, nullable=False),
    PrimaryKeyConstraint("session_id", "video_id"),
    UniqueConstraint("session_id", "position"),
    Index("ix_videos_session_id_stage_position", "session_id", "stage", "position"),
)

#: Input lines that could not be understood.
problems = Table(
    "problems",
    metadata,
    Column(
        "session_id",
        String(40),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("number", Integer, nullable=False),  # order of the input, from 0
    Column("origin", Words, nullable=False),
    Column("line", Integer),
    Column("text", Words, nullable=False),
    Column("message", Words, nullable=False),
    Column("suggestion", Words, nullable=False),
    PrimaryKeyConstraint("session_id", "number"),
)

#: What the page and other processes want of a running engine, in order.
wishes = Table(
    "wishes",
    metadata,
    Column("wish_id", Integer, primary_key=True),
    Column(
        "session_id",
        String(40),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("wish", String(16), nullable=False),  # see session.Wish
    Column("value", Words, nullable=False),
    Column("made_at", UtcMoment, nullable=False),
    Column("taken_at", UtcMoment),
    Index("ix_wishes_session_id_taken_at", "session_id", "taken_at"),
    sqlite_autoincrement=True,
)

#: What YouTube says of a video, for all sessions.
video_metadata = Table(
    "video_metadata",
    metadata,
    Column("video_id", String(64), primary_key=True),
    Column("title", Words),
    Column("channel", Words),
    Column("channel_id", Words),
    Column("published_at", UtcMoment),
    Column("duration_s", Float),
    Column("language", Words),
    Column("availability", String(20), nullable=False),
    Column("live_state", String(20), nullable=False),
    Column("has_captions", Boolean),
    Column("source", String(40), nullable=False),
    Column("fetched_at", UtcMoment),
)

_CONTENT_KEY = ("video_id", "source", "model", "language", "options")

#: What was transcribed, for all sessions. `content` is compressed JSON of the whole transcript.
transcripts = Table(
    "transcripts",
    metadata,
    Column("video_id", String(64), nullable=False),
    Column("source", String(40), nullable=False),
    Column("model", String(80), nullable=False),
    Column("language", String(200), nullable=False),  # the wish
    Column("options", String(200), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("characters", Integer, nullable=False),
    Column("saved_at", UtcMoment, nullable=False),
    PrimaryKeyConstraint(*_CONTENT_KEY),
)

#: States of a submission that is not settled; SubmissionState spells them.
OPEN_STATES_SQL = "state IN ('intended', 'sent', 'accepted', 'in_doubt')"

#: Every paid request. Outlives its session: money is never forgotten.
submissions = Table(
    "submissions",
    metadata,
    Column("submission_id", Integer, primary_key=True),
    Column("session_id", String(40), nullable=False),
    Column("video_id", String(64), nullable=False),
    Column("source", String(40), nullable=False),
    Column("model", String(80), nullable=False),
    Column("language", String(200), nullable=False),
    Column("options", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("request_id", String(200)),
    Column("quoted_usd", Dollars),
    Column("charged_usd", Dollars),
    Column("most_usd", Dollars),  # what it can cost at most: counts against a cost limit
    Column("intended_at", UtcMoment, nullable=False),
    Column("sent_at", UtcMoment),
    Column("accepted_at", UtcMoment),
    Column("ended_at", UtcMoment),
    Column("detail", Words, nullable=False),
    Column("owner", String(80), nullable=False),  # Database.owner_id of who intended it
    Column("balance_id", Integer),  # the newest reading of the balance when it was intended
    Column("balance_before_usd", Dollars),  # and what it said
    Column("nonce", String(64)),  # the end of its webhook's address
    Column("told_request_id", String(200)),  # what a webhook for that address told
    Column("told_state", String(16)),  # done or failed: as it told last
    Index("ix_submissions_session_id_video_id", "session_id", "video_id"),
    # the guard of law 3: one open submission of one content, whoever asks
    Index(
        "uq_submissions_open",
        *_CONTENT_KEY,
        unique=True,
        sqlite_where=text(OPEN_STATES_SQL),
        postgresql_where=text(OPEN_STATES_SQL),
    ),
    Index(
        "uq_submissions_nonce",
        "nonce",
        unique=True,
        sqlite_where=text("nonce IS NOT NULL"),
        postgresql_where=text("nonce IS NOT NULL"),
    ),
    Index("ix_submissions_request_id", "request_id"),
    Index("ix_submissions_told_request_id", "told_request_id"),
    # few rows are open at a time: orphans and doubts are found without reading the rest
    Index(
        "ix_submissions_open_state",
        "state",
        sqlite_where=text(OPEN_STATES_SQL),
        postgresql_where=text(OPEN_STATES_SQL),
    ),
    sqlite_autoincrement=True,
)

#: What the paid requests of each session cost or may still cost: the sum that a cost limit is
#: compared with, kept by the transactions that change them. "" is work outside of a session.
session_costs = Table(
    "session_costs",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("micros", BigInteger, nullable=False),  # millionths of a dollar
    Column("unknown", Integer, nullable=False),  # requests whose price nobody can tell
)

#: Each try of a source on a video.
attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Integer, primary_key=True),
    Column("session_id", String(40), nullable=False),
    Column("video_id", String(64), nullable=False),
    Column("source", String(40), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("ended_at", UtcMoment, nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("error", Words),
    Column("error_code", String(40)),
    ForeignKeyConstraint(
        ["session_id", "video_id"], ["videos.session_id", "videos.video_id"], ondelete="CASCADE"
    ),
    Index("ix_attempts_session_id_video_id", "session_id", "video_id"),
)

#: HTTP requests, summed for each video and kind; video_id "" is the batch as a whole.
requests = Table(
    "requests",
    metadata,
    Column(
        "session_id",
        String(40),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("video_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sent", Integer, nullable=False),
    Column("refused", Integer, nullable=False),  # 429
    Column("failed", Integer, nullable=False),  # no answer, or 4xx/5xx other than 429
    Column("waited_s", Float, nullable=False),
    Column("took_s", Float, nullable=False),
    Column("first_at", UtcMoment, nullable=False),
    Column("last_at", UtcMoment, nullable=False),
    PrimaryKeyConstraint("session_id", "video_id", "kind"),
)
