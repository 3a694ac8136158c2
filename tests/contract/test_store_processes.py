"""Real processes on one database: they open it at once, and never share a session."""

import subprocess
import sys
from pathlib import Path

from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.session import SessionStatus
from bulk_transcribe.save.sessions import SessionManager
from tests.postgres import open_quick, wait_until_gone

OPEN_AND_WRITE = """
import sys
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.sessions import SessionManager
from tests.postgres import open_quick, place_of
sys.stdin.readline()  # until all have started
for turn in range(3):
    with open_quick(place_of(sys.argv[1])) as database:
        manager = SessionManager(database, SystemClock())
        manager.create_session(VideoItem(video_id=f"v{number}") for number in range(200))
"""

WORK = """
import sys
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.errors import InputError
from bulk_transcribe.save.sessions import SessionManager
from tests.postgres import open_quick, place_of
database = open_quick(place_of(sys.argv[1]))
try:
    session = SessionManager(database, SystemClock()).claim_engine(sys.argv[2])
except InputError as error:
    print(error.code, flush=True)
else:
    session.save_states([VideoState(video_id="v0", stage=Stage.TRANSCRIBING)])
    print("claimed", flush=True)
sys.stdin.read()
"""


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def first_line(program: "subprocess.Popen[str]") -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def test_programs_that_open_a_new_database_at_once_all_can(place: Path | str) -> None:
    programs = [start(OPEN_AND_WRITE, place) for _ in range(3)]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        _, trouble = program.communicate(timeout=50)
        assert (program.returncode, trouble) == (0, "")
    with open_quick(place) as database:
        sessions = SessionManager(database, SystemClock()).list_sessions()
    assert [info.totals.total for info in sessions] == [200] * 9


def test_a_killed_engine_is_seen_and_its_session_goes_on_elsewhere(place: Path | str) -> None:
    with open_quick(place) as database:
        manager = SessionManager(database, SystemClock())
        session_id = manager.create_session([VideoItem(video_id="v0"), VideoItem(video_id="v1")])
        session = manager.open_session(session_id)
        with start(WORK, place, session_id) as engine:
            assert first_line(engine) == "claimed"
            assert session.info().status is SessionStatus.RUNNING
            with start(WORK, place, session_id) as second:
                assert first_line(second) == "session_busy"
                second.kill()
            owner = session.info().engine_owner
            assert owner is not None
            engine.kill()
            engine.wait()
        wait_until_gone(database, owner)
        assert session.info().status is SessionStatus.INTERRUPTED
        assert session.totals().active == 1
        manager.claim_engine(session_id)
        assert manager.prepare_resume(session_id) == 2
        session.save_states([VideoState(video_id="v0", stage=Stage.CAPTIONS)])
        assert session.info().status is SessionStatus.RUNNING
