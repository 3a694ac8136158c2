"""`pause` and `stop`, and `resume` of what is paused: for sessions at home and with the workers."""

from importlib.util import find_spec

from bulk_transcribe.app import App
from bulk_transcribe.cli.text import note, print_json
from bulk_transcribe.config import Settings
from bulk_transcribe.errors import ConfigError, InputError
from bulk_transcribe.save.session import Wish

_DONE = 0


def wish(
    settings: Settings, session: str | None, wanted: Wish, value: str = "", *, as_json: bool
) -> int:
    """Pause, resume or stop a session that is at work, here or at the workers.

    Raises:
        InputError: nobody works on it.
    """
    with App(settings) as app:
        session_id = app.session_id(session)
        stored = app.sessions.open_session(session_id)
        info = stored.info()
        if not info.is_live:
            raise InputError(
                f"Nobody works on the session {session_id}.",
                next_step=f"Complete it with: bulk-transcribe resume {session_id}",
                code="not_live",
            )
        if not info.is_with_workers:
            stored.wish(wanted, value)
    if info.is_with_workers:
        need_cluster()
        from bulk_transcribe.cli import cluster  # noqa: PLC0415 -- needs an extra

        cluster.carry_out(settings, session_id, wanted, value)
    if as_json:
        print_json({"session": session_id, "wish": wanted.value})
    else:
        note(f"{session_id}: {wanted.value} is on its way.")
    return _DONE


def need_cluster() -> None:
    """Call this before the commands of the cluster are imported.

    Raises:
        ConfigError: the libraries of the extra are missing.
    """
    if any(find_spec(name) is None for name in ("procrastinate", "psycopg")):
        raise ConfigError(
            "Workers need a part that is not installed.",
            next_step="Install it: pip install 'bulk-transcribe[cluster]'.",
            code="no_cluster_part",
        )
