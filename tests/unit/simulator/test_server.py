"""The server: its thread, its connections, its control over HTTP."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx2
import pytest
import requests

from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.simulator import Faults, Ledger, Simulator, SimulatorConfig, serve
from bulk_transcribe.simulator.faults import HoldPoint
from bulk_transcribe.testing import FakeClock
from tests.unit.simulator.asking import HEADERS, V1, V2

SUBMIT = {"video_url": "https://youtu.be/abcdefghijk", "include_ts": True}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(SimulatorConfig(rate_limit_rpm=100_000), clock=FakeClock()) as simulator:
        yield simulator


@pytest.fixture
def faults(running: Simulator) -> Iterator[Faults]:
    yield running.faults
    running.faults.update(vars(Faults()))


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(HEADERS)
        yield session


def test_another_http_library_submits_a_form(running: Simulator) -> None:
    form = {"source_url": "https://youtu.be/abcdefghijk", "model": "WhisperLargeV3"}
    fields = [(name, (None, value)) for name, value in form.items()]
    with httpx2.Client(base_url=running.url, headers=HEADERS, trust_env=False) as client:
        reply = client.post(f"{V2}/audio/transcriptions", files=fields)
        assert reply.status_code == 200, reply.text
        request_id = reply.json()["data"]["request_id"]
        status = client.get(f"{V2}/jobs/{request_id}").json()["data"]["status"]
    assert status == "pending"


def test_a_dropped_answer_is_a_reset_and_the_job_is_paid(
    running: Simulator, faults: Faults, session: requests.Session
) -> None:
    before = len(running.ledger().jobs)
    faults.drop_answer_after = 1
    with pytest.raises(requests.ConnectionError, match=r"reset|aborted"):
        session.post(f"{running.url}{V1}/vid2txt", json=SUBMIT)
    assert len(running.ledger().jobs) == before + 1
    faults.drop_answer_before = 1
    with pytest.raises(requests.ConnectionError):
        session.post(f"{running.url}{V1}/vid2txt", json=SUBMIT)
    assert len(running.ledger().jobs) == before + 1
    assert session.post(f"{running.url}{V1}/vid2txt", json=SUBMIT).status_code == 200


def test_a_dead_network_answers_nobody_and_notes_nothing(
    running: Simulator, faults: Faults, session: requests.Session
) -> None:
    assert session.get(f"{running.url}{V2}/models").status_code == 200  # a connection to reuse
    before = len(running.ledger().requests)
    faults.network_down = True
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            session.get(f"{running.url}{V2}/models")
    assert len(running.ledger().requests) == before
    faults.network_down = False
    assert session.get(f"{running.url}{V2}/models").status_code == 200


def test_requests_of_many_threads_are_all_counted(running: Simulator) -> None:
    before = running.ledger()
    barrier = threading.Barrier(8)

    def work(worker: int) -> list[str]:
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(HEADERS)
            barrier.wait()
            ids = []
            for n in range(25):
                body = SUBMIT | {"video_url": f"https://youtu.be/many{worker}{n:06d}"}
                reply = session.post(f"{running.url}{V1}/vid2txt", json=body)
                ids.append(reply.json()["data"]["request_id"])
            return ids

    with ThreadPoolExecutor(8) as pool:
        ids = [each for found in pool.map(work, range(8)) for each in found]
    ledger = running.ledger()
    assert len(set(ids)) == 200
    assert ledger.counts["submit"] - before.counts.get("submit", 0) == 200
    charges = sum((job.charged_usd for job in ledger.jobs), Decimal(0))
    assert ledger.charged_usd == charges == Decimal(50) - ledger.balance_usd


def _control(running: Simulator, path: str, body: object = None) -> tuple[int, Any]:
    """Ask as urllib does, which the services themselves refuse."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{running.url}/_sim/{path}", data)  # noqa: S310 -- 127.0.0.1
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- 127.0.0.1
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_ledger_is_there_for_other_processes(
    running: Simulator, session: requests.Session
) -> None:
    session.get(f"{running.url}{V2}/jobs/x")
    _, book = _control(running, "ledger")
    assert book == json.loads(json.dumps(running.ledger().as_json()))
    assert book["requests"]
    _, short = _control(running, "ledger?requests=0")
    assert short == book | {"requests": []}


def test_faults_can_be_set_by_other_processes(
    running: Simulator, faults: Faults, session: requests.Session
) -> None:
    assert _control(running, "faults", {"html_502": 1})[0] == 200
    assert faults.html_502 == 1
    assert session.get(f"{running.url}{V2}/jobs/x").status_code == 502
    status, said = _control(running, "faults", {"revoke_key": True, "nonsense": 1})
    assert status == 400
    assert "nonsense" in said["message"]
    assert not faults.revoke_key
    assert _control(running, "faults", ["html_502"])[0] == 400


def test_the_balance_can_be_set_by_other_processes(running: Simulator) -> None:
    before_usd = running.ledger().balance_usd
    assert _control(running, "balance", {"balance_usd": "0.10"})[0] == 200
    assert running.ledger().balance_usd == Decimal("0.10")
    running.set_balance(before_usd)
    bodies: list[object] = [{"balance_usd": "NaN"}, {"balance_usd": "much"}, {}, []]
    for bad in bodies:
        assert _control(running, "balance", bad)[0] == 400
    assert running.ledger().balance_usd == before_usd


def test_health_is_the_clock(running: Simulator) -> None:
    wanted = {"ok": True, "now_s": running.clock.now_s(), "held": 0}
    assert _control(running, "health") == (200, wanted)


@pytest.mark.parametrize(("point", "jobs_meanwhile"), [("before_work", 0), ("before_answer", 1)])
def test_a_request_is_held_at_a_point_and_goes_on_from_there(
    running: Simulator,
    faults: Faults,
    session: requests.Session,
    point: HoldPoint,
    jobs_meanwhile: int,
) -> None:
    before = len(running.ledger().jobs)
    faults.hold = point
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(session.post, f"{running.url}{V1}/vid2txt", json=SUBMIT)
        _until_held(running)
        assert len(running.ledger().jobs) == before + jobs_meanwhile
        assert session.get(f"{running.url}{V2}/models").status_code == 200  # only submits wait
        faults.hold = None
        assert reply.result(10).status_code == 200
    assert len(running.ledger().jobs) == before + 1
    assert _control(running, "health")[1]["held"] == 0


def test_what_is_held_before_the_work_is_lost_with_the_network(
    running: Simulator, faults: Faults, session: requests.Session
) -> None:
    before = len(running.ledger().jobs)
    faults.hold = "before_work"
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(session.post, f"{running.url}{V1}/vid2txt", json=SUBMIT)
        _until_held(running)
        faults.network_down = True
        with pytest.raises(requests.ConnectionError):
            reply.result(10)
    assert len(running.ledger().jobs) == before


def _until_held(running: Simulator) -> None:
    """Real time: the request comes from a thread over a socket."""
    pause = threading.Event()
    for _ in range(2_000):
        if _control(running, "health")[1]["held"]:
            return
        pause.wait(0.005)
    pytest.fail("nothing was held")


def test_looking_is_not_noted(running: Simulator) -> None:
    before = running.ledger().requests
    _control(running, "health")
    _control(running, "ledger")
    assert running.ledger().requests == before


def test_the_environment_points_at_the_server() -> None:
    simulator = Simulator(SimulatorConfig(clock_speed=60))
    with pytest.raises(RuntimeError, match="started"):
        simulator.environment()
    with simulator:
        url = simulator.url
        assert simulator.environment() == {
            "DEAPI_BASE_URL": url,
            "DEAPI_API_KEY": "1|simulated",
            "YOUTUBE_API_BASE_URL": f"{url}/youtube/v3",
            "YOUTUBE_DATA_API_KEY": "simulated-youtube-key",
            "YOUTUBE_BASE_URL": url,
            "BULK_TRANSCRIBE_CLOCK_SPEED": "60",
        }
        key = simulator.environment()["YOUTUBE_DATA_API_KEY"]
        query = f"part=id&id=abcdefghijk&key={key}"
        with requests.get(f"{url}/youtube/v3/videos?{query}", timeout=10) as reply:
            assert reply.status_code == 200


def test_a_stopped_server_is_gone_but_its_ledger_stays(session: requests.Session) -> None:
    simulator = Simulator(clock=FakeClock())
    simulator.start()
    simulator.start()
    url = simulator.url
    assert "BULK_TRANSCRIBE_CLOCK_SPEED" not in simulator.environment()
    session.get(f"{url}{V2}/jobs/x")
    simulator.stop()
    simulator.stop()
    with pytest.raises(requests.ConnectionError):
        session.get(f"{url}{V2}/jobs/x")
    assert simulator.ledger().counts == {"poll": 1}
    simulator.start()
    assert simulator.url == url  # whoever knew the address finds it again
    session.get(f"{url}{V2}/jobs/x")
    simulator.stop()
    assert simulator.ledger().counts == {"poll": 2}
    assert not [t for t in threading.enumerate() if t.name == "simulator" and t.daemon is False]


def test_a_taken_port_is_said() -> None:
    with Simulator() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            Simulator(port=port).start()


def test_delays_and_slow_answers_take_the_clocks_time(session: requests.Session) -> None:
    """Real time here: at speed 100 the 6 to 8 s of the network are 60 to 80 ms."""
    clock = SystemClock(100.0)
    config = SimulatorConfig(jitter_s=(6.0, 8.0))
    with Simulator(config, clock=clock) as simulator:
        sent_s = clock.now_s()
        session.get(f"{simulator.url}{V2}/jobs/x")
        back_s = clock.now_s()
        (seen,) = simulator.ledger().requests
        assert back_s - sent_s >= 6.0
        assert sent_s < seen.at_s < back_s
        simulator.faults.slow_answer_s = 20.0
        session.get(f"{simulator.url}{V2}/jobs/x")
        assert clock.now_s() - back_s >= 26.0


def test_serve_runs_until_it_is_told_to_stop() -> None:
    stop, urls, ledgers = threading.Event(), [], []

    def ready(simulator: Simulator) -> None:
        urls.append(simulator.url)
        requests.get(f"{simulator.url}{V2}/jobs/x", headers=HEADERS, timeout=10).close()
        stop.set()

    def run() -> None:
        ledgers.append(serve(SimulatorConfig(), faults=Faults(), on_ready=ready, stop=stop))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    (ledger,) = ledgers
    assert isinstance(ledger, Ledger)
    assert ledger.counts == {"poll": 1}
    with pytest.raises(requests.ConnectionError):
        requests.get(urls[0], timeout=10)
