"""Workers as processes of their own on one PostgreSQL, against the simulator, which judges."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from bulk_transcribe.simulator import Ledger, Simulator, SimulatorConfig
from tests.postgres import PostgresServer, running_server

SPEED = 10.0
SLOTS = 6

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]


class Cluster:
    """A simulator, an empty database, and processes of the program."""

    def __init__(self, simulator: Simulator, address: str, folder: Path) -> None:
        self.simulator = simulator
        self.address = address
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-m", "bulk_transcribe", *words],
            env=os.environ
            | self.simulator.environment()
            | {
                "DATABASE_URL": self.address,
                "BULK_TRANSCRIBE_HOME": str(self.folder / f"home-{len(self._processes)}"),
                "BULK_TRANSCRIBE_CLOCK_SPEED": str(SPEED),
                # real seconds matter here: a busy machine is no broken network
                "BULK_TRANSCRIBE_REQUEST_TIMEOUT_S": str(30 * SPEED),
            },
            cwd=self.folder,
            stdout=stdout,
        )
        self._processes.append(process)
        return process

    def worker(self, slots: int = SLOTS) -> subprocess.Popen[bytes]:
        return self.start("worker", "-j", str(slots))

    def run(self, videos: int, *words: str, prefix: str = "vid") -> subprocess.Popen[bytes]:
        links = [f"https://youtu.be/{prefix}{number:08d}" for number in range(videos)]
        out = ("--sources", "deapi", "-f", "txt", "-o", str(self.folder / prefix))
        return self.start("run", "--cluster", "-q", *out, *words, *links)

    def does(self, *words: str) -> None:
        """A command that ends well."""
        assert self.start(*words).wait(90) == 0

    def told(self, *words: str) -> str:
        """What a command prints."""
        process = self.start(*words, stdout=subprocess.PIPE)
        out, _ = process.communicate(timeout=90)
        return out.decode()

    def until(self, condition: Callable[[Ledger], bool]) -> None:
        for _ in range(900):
            if condition(self.simulator.ledger()):
                return
            time.sleep(0.1)
        raise AssertionError(f"it did not come to that: {self.stages()}, {self.told('status')}")

    def stages(self, prefix: str = "") -> dict[str, int]:
        with psycopg.connect(self.address) as connection:
            rows = connection.execute(
                "SELECT stage, count(*) FROM videos WHERE starts_with(video_id, %s) GROUP BY stage",
                (prefix,),
            )
            return dict(rows.fetchall())

    def check_paid_once(self, videos: int, *, in_doubt: int = 0) -> None:
        """Everything is done, but for what a dead process was sending; nothing too often."""
        stages = self.stages()
        assert stages.get("in_doubt", 0) <= in_doubt
        assert stages == {"done": videos - stages.get("in_doubt", 0)} | (
            {"in_doubt": stages["in_doubt"]} if "in_doubt" in stages else {}
        )
        self.check_ledger()

    def check_ledger(self) -> None:
        ledger = self.simulator.ledger()
        assert ledger.duplicates == {}
        assert ledger.refused_429 == ledger.breaches == 0
        assert ledger.worst_window() <= min(ledger.limits.values())

    def close(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def made(address: str, folder: Path) -> Iterator[Cluster]:
    with ExitStack() as parts:
        config = SimulatorConfig(clock_speed=SPEED, duration_s=(30.0, 90.0))
        simulator = parts.enter_context(Simulator(config))
        cluster = Cluster(simulator, address, folder)
        parts.callback(cluster.close)
        yield cluster


@pytest.fixture
def cluster(postgres_url: str, tmp_path: Path) -> Iterator[Cluster]:
    yield from made(postgres_url, tmp_path)


@pytest.fixture
def own_server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    del postgres  # asked for so that the test is skipped where there is none
    with running_server() as server:
        server.sql("CREATE DATABASE store")
        yield server


def test_two_workers_do_a_session_and_one_that_is_killed_costs_nothing(cluster: Cluster) -> None:
    killed, left = cluster.worker(), cluster.worker()
    watcher = cluster.run(40)
    cluster.until(lambda ledger: len(ledger.jobs) >= 14)
    killed.kill()
    watcher.wait(150)
    cluster.check_paid_once(40, in_doubt=SLOTS)
    assert len(list((cluster.folder / "vid").glob("*.txt"))) == cluster.stages()["done"]
    [alive] = json.loads(cluster.told("workers", "--json"))
    assert alive["pid"] == left.pid
    left.send_signal(signal.SIGTERM)
    assert left.wait(60) == 0
    assert json.loads(cluster.told("workers", "--json")) == []


def test_a_worker_that_freezes_and_wakes_does_no_harm_and_goes_on(cluster: Cluster) -> None:
    frozen, other = cluster.worker(), cluster.worker()
    watcher = cluster.run(40)
    cluster.until(lambda ledger: len(ledger.jobs) >= 14)
    frozen.send_signal(signal.SIGSTOP)
    watcher.wait(150)  # longer than a lease: the other one has taken over
    frozen.send_signal(signal.SIGCONT)
    other.send_signal(signal.SIGTERM)  # what comes now is for the one that was frozen
    assert other.wait(60) == 0
    assert cluster.run(10, prefix="new").wait(60) == 0
    cluster.check_paid_once(50, in_doubt=SLOTS)
    assert frozen.poll() is None


def test_ten_videos_beside_many_end_before_half_of_the_many_have(cluster: Cluster) -> None:
    cluster.worker(slots=8)
    assert cluster.run(150, "--no-watch", prefix="old").wait(90) == 0
    cluster.until(lambda ledger: len(ledger.jobs) >= 8)
    assert cluster.run(10, "--no-watch", prefix="new").wait(90) == 0
    cluster.until(lambda _: cluster.stages("new") == {"done": 10})
    assert cluster.stages("old").get("done", 0) < 75
    cluster.check_ledger()


def test_a_session_is_paused_resumed_stopped_and_completed_by_other_processes(
    cluster: Cluster,
) -> None:
    cluster.worker()
    assert cluster.run(80, "--no-watch").wait(90) == 0
    cluster.until(lambda ledger: len(ledger.jobs) >= 8)
    cluster.does("pause")
    cluster.until(lambda ledger: all(job.state in {"done", "error"} for job in ledger.jobs))
    paused = len(cluster.simulator.ledger().jobs)
    assert paused < 80
    told = cluster.told("status")
    assert "paused" in told
    assert "The workers" in told
    time.sleep(2.0)  # twenty of the simulator's seconds, in which nothing may begin
    assert len(cluster.simulator.ledger().jobs) == paused
    cluster.does("resume")
    cluster.until(lambda ledger: len(ledger.jobs) > paused)
    cluster.does("stop")
    cluster.until(lambda _: "stopped" in cluster.told("status"))
    stopped = len(cluster.simulator.ledger().jobs)
    assert stopped < 80
    assert cluster.stages()["done"] == stopped  # what was in hand was finished
    cluster.does("resume", "-q")
    cluster.check_paid_once(80)


def test_a_database_that_starts_anew_is_waited_for(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    for cluster in made(own_server.url("store"), tmp_path):
        workers = [cluster.worker(), cluster.worker()]
        watcher = cluster.run(40)
        cluster.until(lambda ledger: len(ledger.jobs) >= 14)
        own_server.stop()
        time.sleep(2.0)
        own_server.start()
        assert watcher.wait(150) == 0
        cluster.check_paid_once(40)
        assert [worker.poll() for worker in workers] == [None, None]
