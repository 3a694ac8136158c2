"""The common way, for comparison: submit, then poll at 1 s, 1.5 times later each time up to 10 s.

This plays what the service's own Python SDK does for its users (facts: 30 s timeout, three
retries, a 429 sleeps Retry-After, network trouble and 5xx sleep 1, 2, 4 s, and the POST is sent
again; a job that takes more than 300 s is given up), called from N threads. It is written here
from those facts, shares no code with the program, and paces nothing.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx2

from benchmarks.batch.harness import (
    LIMITED,
    Scenario,
    commit,
    ledger,
    lower_bound_s,
    simulator,
    video_links,
)

_FIRST_S, _FACTOR, _LONGEST_S, _GIVE_UP_S = 1.0, 1.5, 10.0, 300.0
_RETRIES = 3


@dataclass
class Tally:
    """What the threads saw; counts are under the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    done: int = 0
    lost: int = 0
    lost_paid: int = 0


class SdkUser:
    """Submits and polls as the SDK does, in clock seconds.

    Args:
        base_url: The service.
        api_key: Its key.
        speed: Clock seconds per real second.
    """

    def __init__(self, base_url: str, api_key: str, speed: float) -> None:
        self._speed = speed
        self._http = httpx2.Client(
            base_url=base_url,
            headers={
                "Authorization": f"Bearer {api_key}",
                "Accept": "application/json",
                "User-Agent": "comparison/1.0",
            },
            timeout=max(2.0, 30.0 / speed),
            limits=httpx2.Limits(max_connections=600, max_keepalive_connections=600),
        )

    def run(self, links: Sequence[str], threads: int) -> tuple[Tally, float]:
        """All links; what became of them and the clock seconds it took."""
        tally = Tally()
        started_s = time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda link: self._one(link, tally), links):
                pass
        self._http.close()
        return tally, (time.monotonic() - started_s) * self._speed

    def _one(self, link: str, tally: Tally) -> None:
        request_id = None
        try:
            body = self._call(
                "POST",
                "/api/v2/audio/transcriptions",
                files={
                    "source_url": (None, link),
                    "include_ts": (None, "1"),
                    "model": (None, "WhisperLargeV3"),
                    "return_result_in_response": (None, "1"),
                },
            )
            request_id = body["data"]["request_id"]
            self._wait_for(request_id)
        except (httpx2.HTTPError, TimeoutError, KeyError):
            with tally.lock:
                tally.lost += 1
                tally.lost_paid += request_id is not None
            return
        with tally.lock:
            tally.done += 1

    def _wait_for(self, request_id: str) -> None:
        pause_s, waited_s = _FIRST_S, 0.0
        while waited_s < _GIVE_UP_S:
            self._sleep(pause_s)
            waited_s += pause_s
            pause_s = min(pause_s * _FACTOR, _LONGEST_S)
            status = self._call("GET", f"/api/v2/jobs/{request_id}")["data"]["status"]
            if status in {"done", "error"}:
                return
        raise TimeoutError(request_id)

    def _call(self, method: str, path: str, **more: Any) -> Any:
        for attempt in range(_RETRIES + 1):
            try:
                answer = self._http.request(method, path, **more)
            except httpx2.TransportError:
                if attempt == _RETRIES:
                    raise
                self._sleep(min(2.0**attempt, 8.0))
                continue
            if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS and attempt < _RETRIES:
                self._sleep(max(float(answer.headers.get("retry-after", 1)), 1.0))
                continue
            if answer.is_server_error and attempt < _RETRIES:
                self._sleep(min(2.0**attempt, 8.0))
                continue
            answer.raise_for_status()
            return answer.json()
        raise TimeoutError(path)

    def _sleep(self, duration_s: float) -> None:
        time.sleep(duration_s / self._speed)


def compare(scenario: Scenario, threads: int) -> dict[str, Any]:
    """Run the SDK's way once; a row of the results."""
    with simulator(scenario) as (url, environment):
        user = SdkUser(url, environment["DEAPI_API_KEY"], scenario.speed)
        tally, elapsed_s = user.run(video_links(scenario.videos), threads)
        book = ledger(url)
    limited = [r for r in book["requests"] if r["kind"] in LIMITED]
    jobs_s = [j["done_at_s"] - j["submitted_at_s"] for j in book["jobs"] if j["done_at_s"]]
    bound_s = lower_bound_s(jobs_s, threads, int(scenario.service.get("rate_limit_rpm", 300)))
    return {
        "scenario": scenario.name,
        "videos": scenario.videos,
        "done": tally.done,
        "lost": tally.lost,
        "lost_paid": tally.lost_paid,
        "elapsed_s": round(elapsed_s, 1),
        "lower_bound_s": round(bound_s, 1),
        "videos_per_min": round(tally.done / elapsed_s * 60, 1),
        "requests_per_video": round(len(limited) / scenario.videos, 2),
        "refused_429": sum(r["status"] == 429 for r in limited),
        "breaches": book["breaches"],
        "submitted_twice": sum(len(ids) > 1 for ids in book["submits"].values()),
        "charged_usd": book["charged_usd"],
        "commit": commit(),
        "seed": scenario.seed,
    }
