"""The faults: each breaks a world in one way, mends what a user would mend, and resumes.

`TRIALS` names them all. A trial ends when the last `resume` has ended; the judge comes after.
"""

import contextlib
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from bulk_transcribe.simulator.pools import Account
from tests.chaos.broken import POINTS
from tests.chaos.judge import judge_at_rest
from tests.chaos.power import cut_power, preloaded
from tests.chaos.world import SPEED, World

#: For what takes many minutes of the clock.
_FAST: Final = 240.0
#: For what takes hours of it.
_FASTEST: Final = 400.0
#: Clock seconds after which a lost answer may be settled by the balance.
_SETTLED_S: Final = 1_000.0
_MINUTE_S: Final = 60.0 / SPEED


class SkippedError(Exception):
    """This machine cannot do that to a program; the reason."""


class BrokenPromiseError(Exception):
    """Something that must hold in the middle of a trial does not."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fault.

    Args:
        group: Its line in the table.
        play: What is done.
        times: How often in the full run.
        videos: How many in a world.
        service: What the simulated services are like.
        is_quick: Whether the short run takes it.
    """

    group: str
    play: Callable[[World], None]
    times: int = 2
    videos: int = 12
    service: Mapping[str, Any] = field(default_factory=dict)
    is_quick: bool = False


def _require(holds: bool, said: str) -> None:  # noqa: FBT001 -- a condition and its message
    if not holds:
        raise BrokenPromiseError(said)


def _at_rest(world: World) -> None:
    found = judge_at_rest(world)
    _require(not found, f"right after the break: {found}")


# ---- kills -------------------------------------------------------------------------------------


def kill_at(point: str, world: World) -> None:
    """SIGKILL at a named point, a few times; then resume."""
    world.books_are_whole = False
    for _ in range(world.turns):
        nth = 1 if point.endswith(("session", "orphans", "lists")) else world.rng.randint(1, 4)
        world.note(f"{point} x{nth}")
        ended = world.run(plan={"kill": {"at": point, "nth": nth}})
        _require(ended.was_killed or _is_over(world), f"{point} was not reached: {ended.err}")
        _at_rest(world)
        if not ended.was_killed:
            break
    world.run()


def kill_in_post(point: str, world: World) -> None:
    """SIGKILL while submits are on the wire: before the work, or before the answer."""
    world.books_are_whole = False
    for _ in range(world.turns):
        world.faults.update({"hold": point})
        process = world.begin()
        if not world.until(process, lambda: world.simulator._state.held > 0):
            world.faults.update({"hold": None})
            world.finish(process)
            break
        world.pause(0.0, 0.05)
        world.kill(process)
        arrives = world.rng.random() < 0.5
        world.note(f"{point}, {'goes on' if arrives else 'lost'} at the service")
        world.faults.update({"network_down": not arrives})
        world.until_nobody_waits()
        world.faults.update({"network_down": False})
        _at_rest(world)
    world.run()


def kill_anywhere(world: World) -> None:
    """SIGKILL at random moments, the start of the program included."""
    world.books_are_whole = False
    for _ in range(world.turns + 1):
        process = world.begin()
        if world.rng.random() < 0.75:
            seen = _requests(world)
            world.until(process, partial(_has_more_requests, world, seen))
            after_s = world.pause(0.0, 1.2)
        else:
            after_s = world.pause(0.0, 1.5)
        ended = world.kill(process)
        world.note(f"killed after {after_s:.3f} s" if ended.was_killed else "was over before")
        _at_rest(world)
    world.run()


def _requests(world: World) -> int:
    return len(world.simulator.ledger().requests)


def _has_more_requests(world: World, than: int) -> bool:
    return _requests(world) > than


def _is_over(world: World) -> bool:
    """Whether nothing was left that could reach the point."""
    left = world.rows("SELECT 1 FROM videos WHERE stage NOT IN ('done', 'in_doubt')")
    return world.has_session() and not left


# ---- power -------------------------------------------------------------------------------------


def power_loss(world: World) -> None:
    """Power cuts: nothing survives that was not synced."""
    world.books_are_whole = False
    points = ["after_id", "before_post", "after_end", "after_save", "after_intent"]
    for turn in range(world.turns):
        with preloaded(world) as environment:
            if environment is None:
                raise SkippedError("no C compiler that makes a library to preload")
            point = world.rng.choice([*points, "moment", "post", *(["after_session"] * (not turn))])
            if point == "moment":
                process = world.begin(more=environment)
                world.until(process, lambda: world.jobs() > 0)
                world.pause(0.0, 1.0)
                world.kill(process)
            elif point == "post":
                world.faults.update({"hold": "before_answer"})
                process = world.begin(more=environment)
                world.until(process, lambda: world.simulator._state.held > 0)
                world.kill(process)
                world.until_nobody_waits()
            else:
                nth = 1 if point == "after_session" else world.rng.randint(1, 4)
                world.run(plan={"kill": {"at": point, "nth": nth}}, more=environment)
            gone = cut_power(world)
        world.note(f"power cut at {point}: {gone}")
        _at_rest(world)
    world.run()


# ---- the service -------------------------------------------------------------------------------


def service_fault(faults: Mapping[str, Any], world: World) -> None:
    """A fault of the service while a batch runs; then it is over, and the batch is resumed."""
    world.note(json.dumps(dict(faults)))
    world.faults.update(dict(faults))
    process = world.begin()
    world.until(process, lambda: _requests(world) > 30, within_s=90.0)
    world.pause(0.0, 2.0)
    world.faults.update(dict.fromkeys(faults, 0) | _calm(faults))
    world.finish(process)
    world.run()


def _calm(faults: Mapping[str, Any]) -> dict[str, Any]:
    usual = {"only": {}, "storm_retry_after_s": 60.0, "storm_type": "minute"}
    return {name: usual[name] for name in faults if name in usual}


def dropped_and_resent(world: World) -> None:
    """Answers lost after the work; then the user says: send again."""
    world.faults.update({"drop_answer_after": 2})
    world.run()
    doubts = len(world.rows("SELECT 1 FROM videos WHERE stage = 'in_doubt'"))
    _require(doubts == 2, f"{doubts} in doubt after 2 lost answers")
    world.note("2 answers dropped, then --in-doubt resend")
    world.run("--in-doubt", "resend")
    left = world.rows("SELECT video_id FROM videos WHERE stage != 'done'")
    _require(not left, f"a decided resend left {left}")


def settled_by_balance(world: World) -> None:
    """Answers lost before and after the work; later the balance tells which were paid."""
    world.books_are_whole = False
    world.faults.update({"drop_answer_before": 0.2, "drop_answer_after": 0.2})
    world.run()
    world.faults.update({"drop_answer_before": 0, "drop_answer_after": 0})
    doubts = len(world.rows("SELECT 1 FROM videos WHERE stage = 'in_doubt'"))
    time.sleep(_SETTLED_S / _FAST)
    world.run()
    left = len(world.rows("SELECT 1 FROM videos WHERE stage = 'in_doubt'"))
    world.note(f"{doubts} in doubt, {left} after the balance was looked at")


def daily_limit(world: World) -> None:
    """The ten submits of a Basic day are used up: it waits, is killed, and ends the next day."""
    world.books_are_whole = False
    world.knows_the_limit = False  # nobody told it that the account is a Basic one
    process = world.begin()
    reached = world.until(process, partial(_is_day_over, world), within_s=100.0)
    _require(reached, "the daily limit was not met")
    world.pause(0.2, 0.8)
    _require(process.poll() is None, "it did not wait for the next day")
    world.note(f"{world.jobs()} submits, then the daily limit")
    world.kill(process)
    _at_rest(world)
    state = world.simulator._state
    state.account = Account(state.config, state.clock)  # a new day at the service ...
    a_day_s = 86_400.0
    world.run(  # ... and in the program
        plan={"clock": {"after_s": 0.0, "wall_s": a_day_s, "mono_s": a_day_s / _FAST}}
    )


def _is_day_over(world: World) -> bool:
    return world.jobs() == 10 and bool(
        world.rows("SELECT 1 FROM videos WHERE waiting = 'DAILY_LIMIT'")
    )


def midway(change: Mapping[str, Any], back: Mapping[str, Any], world: World) -> None:
    """Key or credit is gone midway: the batch stops and says so; mended, it is resumed."""
    world.note(json.dumps(dict(change)))
    process = world.begin()
    world.until(process, lambda: world.jobs() >= world.rng.randint(1, 6))
    world.faults.update(dict(change))
    ended = world.finish(process)
    _require(ended.code in {0, 3}, f"it ended with {ended.code}: {ended.err}")
    if ended.code == 3:
        _require("next:" in ended.err, f"it does not say what to do: {ended.err}")
    before = world.jobs()
    if ended.code == 3:
        again = world.run()
        _require(again.code == 3, f"a resume without a cure ended with {again.code}")
        _require(world.jobs() == before, "a resume without a cure paid")
    world.faults.update(dict(back))
    world.run()


def captions_blocked(block: str, world: World) -> None:
    """YouTube refuses everybody midway: nothing is paid that has captions."""
    world.sources = "captions,deapi"
    process = world.begin()
    world.until(process, lambda: _requests(world) > 6)
    world.faults.update({"captions_blocked": block})
    world.note(block)
    world.pause(1.0, 3.0)
    world.faults.update({"captions_blocked": None})
    world.finish(process)
    world.run()
    catalogue = world.simulator._state.catalogue
    paid = [job["video_id"] for job in world.ledger()["jobs"]]
    wrong = [each for each in paid if catalogue.video(each).tracks]
    _require(not wrong, f"paid for videos with captions: {wrong}")


def failing_jobs(world: World) -> None:
    """Jobs that the service gives up: reported, and paid again only when a person says so."""
    world.faults.update({"failing_jobs": 3})
    world.run()
    world.faults.update({"failing_jobs": 0})
    failed = world.rows("SELECT 1 FROM videos WHERE stage = 'failed'")
    _require(len(failed) == 3, f"{len(failed)} failed of 3")
    before = world.jobs()
    world.run()
    _require(world.jobs() == before, "resume paid for a failed job again")
    world.note("3 jobs failed, then retry")
    world.finish(world.start("retry", "-j", str(world.slots), "--json"))


def stuck_jobs(world: World) -> None:
    """Jobs that never end: given up in time, still claimable, never sent a second time."""
    world.expected |= {"failed"}
    world.faults.update({"stuck_jobs": 2})
    ended = world.run()
    _require(ended.code == 1, f"it ended with {ended.code}: {ended.err}")
    before = world.jobs()
    world.run()
    world.finish(world.start("retry", "-j", str(world.slots), "--json"))
    _require(world.jobs() == before, "a stuck job was paid again")
    rows = world.rows("SELECT state FROM submissions WHERE state = 'accepted'")
    _require(len(rows) == 2, f"{len(rows)} stuck jobs are still claimable, not 2")
    world.note("2 jobs stuck")


def late_jobs(world: World) -> None:
    """Jobs far beyond their expected end: looked at without a slot, and fetched by the same run."""
    world.faults.update({"stuck_jobs": 2, "stuck_for_s": 1_150.0})
    ended = world.run()
    _require(ended.code == 0, f"it ended with {ended.code}: {ended.err}")
    _require(world.jobs() == len(world.links), "a late job was paid again")
    world.note("2 jobs late by a quarter of an hour, fetched by the run that sent them")


def late_and_killed(world: World) -> None:
    """Killed while late jobs are looked at: they stay claimable, and `reclaim` fetches them."""
    world.books_are_whole = False
    world.faults.update({"stuck_jobs": 2, "stuck_for_s": 2_500.0})
    process = world.begin()
    is_late = partial(world.rows, "SELECT 1 FROM videos WHERE waiting = 'LATE'")
    _require(world.until(process, is_late), "no job was late")
    world.kill(process)
    _at_rest(world)
    time.sleep(2_500.0 / _FASTEST)
    ended = world.finish(world.start("reclaim", "--json"))
    _require(ended.code == 0, f"reclaim ended with {ended.code}: {ended.err}")
    _require(world.jobs() == len(world.links), "a late job was paid again")
    world.note("killed while 2 jobs were late, then reclaim")
    world.run()


# ---- webhooks ----------------------------------------------------------------------------------


def _receive(world: World) -> None:
    """The command has a receiver, on a port of its own, from now on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world.environment |= {
        "BULK_TRANSCRIBE_WEBHOOK_URL": f"http://127.0.0.1:{port}/hooks",
        "BULK_TRANSCRIBE_WEBHOOK_SECRET": "a secret of this trial",
        "BULK_TRANSCRIBE_WEBHOOK_BIND": f"127.0.0.1:{port}",
    }


def _no_doubt_is_left(world: World) -> None:
    left = world.rows("SELECT video_id FROM videos WHERE stage != 'done'")
    _require(not left, f"not adopted: {left}")
    _require(world.jobs() == len(world.links), "a lost answer was sent again")


def adopted_by_webhook(world: World) -> None:
    """Answers lost after the work: each job is told of, adopted and fetched; nothing is resent."""
    _receive(world)
    world.faults.update({"drop_answer_after": 4})
    ended = world.run()
    _require(ended.code == 0, f"it ended with {ended.code}: {ended.err}")
    _no_doubt_is_left(world)
    world.note("4 answers dropped, 4 jobs adopted in the same run")


def spoilt_webhooks(world: World) -> None:
    """Webhooks lost, repeated, reordered, forged, unsigned, stale and garbled, answers lost too."""
    _receive(world)
    kinds = ("lost", "twice", "reordered", "forged", "unsigned", "stale", "garbage")
    world.faults.update({f"webhook_{kind}": 0.3 for kind in kinds} | {"drop_answer_after": 0.3})
    world.run()
    world.faults.update({"drop_answer_after": 0})
    world.run()
    refused = [each for each in world.ledger()["deliveries"] if each["status"] in {400, 401, 422}]
    spoilt = [each for each in world.ledger()["deliveries"] if each["fault"]]
    _require(bool(spoilt), "nothing was spoilt")
    _require(all(each in refused for each in spoilt), "a spoilt delivery was believed")
    world.note(f"{len(spoilt)} deliveries spoilt, {len(refused)} refused")


def received_alone(world: World) -> None:
    """Killed with submits on the wire; `webhooks` receives meanwhile, and resume has no doubt."""
    world.books_are_whole = False
    _receive(world)
    receiver = world.start("webhooks", "--json")
    port = int(world.environment["BULK_TRANSCRIBE_WEBHOOK_BIND"].rpartition(":")[2])
    _require(world.until(receiver, partial(_listens, port)), "the receiver did not begin")
    world.faults.update({"hold": "before_answer"})
    process = world.begin()
    _require(world.until(process, lambda: world.simulator._state.held > 2), "nothing was held")
    world.kill(process)
    world.until_nobody_waits()
    taken = world.jobs()
    world.until(receiver, lambda: len(world.ledger()["deliveries"]) >= taken)
    world.run()
    receiver.send_signal(signal.SIGINT)
    ended = world.finish(receiver)
    _require(ended.code == 0, f"the receiver ended with {ended.code}: {ended.err}")
    unheard = world.rows("SELECT video_id FROM submissions WHERE state = 'in_doubt'")
    paid = {job["video_id"] for job in world.ledger()["jobs"]}
    left = [row["video_id"] for row in unheard if row["video_id"] in paid]
    _require(not left, f"paid, told of, and still in doubt: {left}")
    world.note(f"{taken} submits answered to a dead program, all adopted; {ended.json}")


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


# ---- time --------------------------------------------------------------------------------------


def clock_jump(world: World) -> None:
    """The wall clock is put wrong in a run; the next one is killed; then comes a reboot."""
    world.books_are_whole = False
    wall_s = world.rng.choice([-86_400, -7_200, 3_600, 86_400, 400 * 86_400])
    world.note(f"wall {wall_s:+} s")
    jump = {"after_s": world.rng.uniform(0.8, 2.5), "wall_s": wall_s, "mono_s": 0.0}
    process = world.begin(plan={"clock": jump})
    world.until(process, lambda: world.jobs() >= 4)
    world.pause(0.0, 0.5)
    world.kill(process)
    _at_rest(world)
    process = world.begin()
    world.until(process, lambda: world.jobs() >= 8)
    world.kill(process)
    _at_rest(world)
    # a reboot sets the monotonic clock back; the calendar goes on
    world.run(plan={"clock": {"after_s": 0.0, "wall_s": 0.0, "mono_s": 5.0 - time.monotonic()}})
    world.run()


def system_sleep(world: World) -> None:
    """The machine sleeps for minutes, twice."""
    process = world.begin()
    for _ in range(2):
        if world.until(process, lambda: world.jobs() >= world.rng.randint(1, 6)):
            process.send_signal(signal.SIGSTOP)
            slept_s = world.pause(2.0, 6.0)
            process.send_signal(signal.SIGCONT)
            world.note(f"slept {slept_s * SPEED / 60:.0f} min")
            world.pause(0.1, 0.4)
    world.finish(process)
    world.books_are_whole = False  # what slept too long on the wire is noted as lost
    world.run()


# ---- network -----------------------------------------------------------------------------------


def network_gone(world: World) -> None:
    """No service at all for ten minutes, in the middle."""
    world.books_are_whole = False
    process = world.begin()
    world.until(process, lambda: world.jobs() >= world.rng.randint(1, 6))
    world.simulator.stop()
    world.note("ten minutes without a network")
    time.sleep(10 * _MINUTE_S)
    world.simulator.start()
    world.finish(process)
    world.run()
    _retry_failed(world)


def _retry_failed(world: World) -> None:
    """What was given up without having been sent may be tried again."""
    if world.rows("SELECT 1 FROM videos WHERE stage = 'failed' AND can_retry"):
        world.note("then retry")
        world.finish(world.start("retry", "-j", str(world.slots), "--json"))


# ---- disk --------------------------------------------------------------------------------------


@contextmanager
def _mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own at a folder.

    Raises:
        SkippedError: only root may.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        raise SkippedError("there is no mount here")
    made = subprocess.run([mount, *options, str(folder)], capture_output=True, check=False)  # noqa: S603 -- our own words
    if made.returncode:
        raise SkippedError("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run([umount, "-l", str(folder)], capture_output=True, check=False)  # noqa: S603 -- our own words


def full_disk(where: str, world: World) -> None:
    """The disk of the files, or of the database, is full midway."""
    world.books_are_whole = False
    folder = world.out if where == "out" else world.home
    with _mounted(folder, "-t", "tmpfs", "-o", "size=6m", "tmpfs"):
        process = world.begin()
        world.until(process, lambda: world.jobs() >= world.rng.randint(2, 6))
        filler = folder / "filler"
        _fill(filler)
        world.note(f"full disk under {where}")
        ended = world.finish(process)
        _require(ended.code in {0, 1, 3}, f"it ended with {ended.code}: {ended.err}")
        before = world.jobs()
        again = world.run()
        _require(again.code in {0, 1, 3}, f"a resume on a full disk ended with {again.code}")
        _require(again.code == 3 or world.jobs() == before or _is_over(world), again.err)
        filler.unlink()
        world.run()
        _keep(folder, world)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def _keep(folder: Path, world: World) -> None:
    """Move what is on a mounted folder below it, where the judge looks."""
    kept = world.folder / "kept"
    shutil.copytree(folder, kept)
    world.cleanup(lambda: None)
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)  # noqa: S603, S607 -- our own words
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)


def output_in_the_way(world: World) -> None:
    """A file lies where the folder should be: nothing is paid; moved, the run goes on."""
    world.books_are_whole = False  # what was asked before there is a session has no receipt
    world.out.write_text("in the way")
    ended = world.run()
    _require(ended.code == 3, f"it ended with {ended.code}: {ended.err}")
    _require(world.jobs() == 0, "it paid for what it cannot write")
    world.note("a file in the place of the folder")
    world.out.unlink()
    world.run()


def read_only_output(world: World) -> None:
    """The folder turns read-only midway."""
    world.books_are_whole = False
    world.out.mkdir()
    process = world.begin()
    world.until(process, lambda: world.jobs() >= world.rng.randint(2, 6))
    with _mounted(world.out, "--bind", str(world.out)), _read_only(world.out):
        ended = world.finish(process)
        world.note(f"read-only output, exit code {ended.code}")
        _require(ended.code == 3, f"it ended with {ended.code}: {ended.err}")
        before = world.jobs()
        _require(world.run().code == 3, "a resume into a read-only folder did not stop")
        _require(world.jobs() == before, "a resume into a read-only folder paid")
    world.run()


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    command = ["mount", "-o", "remount,ro,bind", str(folder)]
    made = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 -- our own words
    if made.returncode:
        raise SkippedError("this user may not make a mount read-only")
    yield


def files_deleted(world: World) -> None:
    """Files, or the whole folder, are deleted; resume writes them again and pays nothing."""
    world.run()
    files = sorted(path for path in world.out.iterdir() if path.is_file())
    _require(bool(files), "a run that is over has left no file")
    if world.rng.random() < 0.3:
        shutil.rmtree(world.out)
        world.note("the folder deleted")
    else:
        gone = world.rng.sample(files, k=max(1, len(files) // 2))
        for path in gone:
            path.unlink()
        world.note(f"{len(gone)} files deleted")
    before = world.ledger()["counts"]
    world.run()
    _require(world.ledger()["counts"] == before, "it asked a service for files that it had")


# ---- the database ------------------------------------------------------------------------------


def database_locked(held_s: float, world: World) -> None:
    """Another process holds the database for a while, or for longer than anybody waits."""
    process = world.begin()
    world.until(process, lambda: world.jobs() >= world.rng.randint(2, 6))
    with closing(sqlite3.connect(world.database, timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.note(f"locked for {held_s} s")
        time.sleep(held_s)
        other.execute("ROLLBACK")
    ended = world.finish(process)
    _require(ended.code in {0, 1, 3}, f"it ended with {ended.code}: {ended.err}")
    if held_s > 30:
        world.books_are_whole = False
    world.run()


def database_damaged(world: World) -> None:
    """The file is damaged: a clear word, nothing sent; the copy put back, the run goes on."""
    process = world.begin()
    world.until(process, lambda: world.jobs() >= 3)
    world.finish(process)
    kept = world.database.read_bytes()
    seen = _requests(world)
    how = world.rng.choice(["head", "middle", "cut", "text"])
    match how:
        case "head":
            damaged = b"\xde\xad" * 50 + kept[100:]
        case "middle":
            damaged = kept[:4096] + b"\xde\xad" * ((len(kept) - 4096) // 2)
        case "cut":
            damaged = kept[: len(kept) // 3]
        case _:
            damaged = b"This is no database at all.\n" * 400
    world.database.write_bytes(damaged)
    world.note(f"damaged: {how}")
    ended = world.finish(
        world.start("run", "https://youtu.be/otherVideo1", "--sources", "deapi", "--json")
    )
    _require(ended.code == 3, f"a damaged database: {ended.code} {ended.err}")
    _require("damaged" in ended.err and "next:" in ended.err, ended.err)
    _require("Traceback" not in ended.err, ended.err)
    _require(_requests(world) == seen, "something was sent all the same")
    world.database.write_bytes(kept)
    for end in ("-wal", "-shm"):
        world.database.with_name(world.database.name + end).unlink(missing_ok=True)
    world.run()


# ---- the list ----------------------------------------------------------------------------------

_ONLY_SUBMITS: Final = {"drop_answer_after": ["submit"]}
_STORM: Final = {"storm_429": 0.6}
_HOOKS: Final = {"webhook_http": True}

TRIALS: Final[dict[str, Trial]] = {
    **{
        f"kill_{point}": Trial(
            group=f"SIGKILL {point.replace('_', ' ')}",
            play=partial(kill_at, point),
            times=3,
            videos=14,
            is_quick=point in {"after_intent", "after_answer"},
        )
        for point in POINTS
    },
    **{
        f"kill_in_post_{point}": Trial(
            group=f"SIGKILL during POST, {point.replace('_', ' ')}",
            play=partial(kill_in_post, point),
            times=4,
            videos=24,
            is_quick=point == "before_answer",
        )
        for point in ("before_work", "before_answer")
    },
    "kill_anywhere": Trial(
        group="SIGKILL at a random moment", play=kill_anywhere, times=12, is_quick=True
    ),
    "power_loss": Trial(group="power loss", play=power_loss, times=6, is_quick=True),
    "drop_after": Trial(
        group="answers dropped after the work",
        play=partial(service_fault, {"drop_answer_after": 0.3}),
        times=2,
    ),
    "drop_before": Trial(
        group="requests dropped before the work",
        play=partial(service_fault, {"drop_answer_before": 0.3}),
    ),
    "drop_resend": Trial(group="lost answers, sent again on demand", play=dropped_and_resent),
    "settled": Trial(
        group="lost answers, settled by the balance",
        play=settled_by_balance,
        times=2,
        service={"clock_speed": _FAST},
    ),
    "storm_500": Trial(
        group="500 storm", play=partial(service_fault, {"server_error_500": 0.4}), times=2
    ),
    "storm_502": Trial(group="HTML 502 storm", play=partial(service_fault, {"html_502": 0.4})),
    "storm_502_after": Trial(
        group="HTML 502 after the work", play=partial(service_fault, {"html_502_after": 0.3})
    ),
    "garbage": Trial(
        group="garbage bodies", play=partial(service_fault, {"garbage_body": 0.3}), times=2
    ),
    "slow": Trial(group="slow answers", play=partial(service_fault, {"slow_answer_s": 20.0})),
    "too_slow": Trial(
        group="answers slower than the timeout",
        play=partial(service_fault, {"slow_answer_s": 45.0, "only": {"slow_answer_s": ["submit"]}}),
    ),
    "storm_429": Trial(
        group="429 storm with Retry-After",
        play=partial(service_fault, _STORM | {"storm_retry_after_s": 20.0}),
    ),
    "storm_429_bare": Trial(
        group="429 storm without Retry-After",
        play=partial(service_fault, _STORM | {"storm_retry_after_s": None}),
    ),
    "daily": Trial(
        group="daily limit",
        play=daily_limit,
        times=1,
        service={"plan": "basic", "clock_speed": _FAST},
    ),
    "key": Trial(
        group="key revoked midway",
        play=partial(midway, {"revoke_key": True}, {"revoke_key": False}),
        times=2,
        is_quick=True,
    ),
    "credit": Trial(
        group="credit gone midway",
        play=partial(midway, {"spend_credit": True}, {"spend_credit": False}),
        times=2,
    ),
    **{
        f"captions_{block}": Trial(
            group="captions blocked midway", play=partial(captions_blocked, block), times=1
        )
        for block in ("429", "bot", "recaptcha")
    },
    "failing": Trial(group="failing jobs", play=failing_jobs),
    "stuck": Trial(
        group="stuck jobs", play=stuck_jobs, times=1, videos=6, service={"clock_speed": _FASTEST}
    ),
    "late": Trial(group="late jobs", play=late_jobs, videos=6, service={"clock_speed": _FASTEST}),
    "late_kill": Trial(
        group="SIGKILL while jobs are late",
        play=late_and_killed,
        videos=6,
        service={"clock_speed": _FASTEST},
    ),
    "webhook_adopts": Trial(
        group="answers dropped after the work, webhooks",
        play=adopted_by_webhook,
        service=_HOOKS,
        is_quick=True,
    ),
    "webhook_spoilt": Trial(group="spoilt webhooks", play=spoilt_webhooks, times=3, service=_HOOKS),
    "webhook_alone": Trial(
        group="SIGKILL during POST, webhooks received alone", play=received_alone, service=_HOOKS
    ),
    "clock": Trial(group="clock jumps and a reboot", play=clock_jump, times=2),
    "sleep": Trial(group="system sleep", play=system_sleep, times=2),
    "network": Trial(group="network gone for ten minutes", play=network_gone, times=2),
    "full_out": Trial(group="full disk under the files", play=partial(full_disk, "out"), times=2),
    "full_home": Trial(
        group="full disk under the database", play=partial(full_disk, "home"), times=2
    ),
    "in_the_way": Trial(group="output cannot be made", play=output_in_the_way, times=1),
    "read_only": Trial(group="read-only output", play=read_only_output, times=2),
    "deleted": Trial(group="output files deleted", play=files_deleted, times=2),
    "locked": Trial(group="database locked", play=partial(database_locked, 4.0), times=2),
    "locked_long": Trial(
        group="database locked for long", play=partial(database_locked, 40.0), times=1
    ),
    "damaged": Trial(group="database damaged", play=database_damaged, times=2),
}
