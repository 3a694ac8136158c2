"""A simulator in a process of its own, and what a test says to it."""

import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Simulated:
    """A simulated YouTube and deAPI."""

    url: str
    environment: dict[str, str]

    def ledger(self) -> Any:
        """What it counted."""
        with urllib.request.urlopen(f"{self.url}/_sim/ledger", timeout=10) as answer:  # noqa: S310 -- 127.0.0.1
            return json.load(answer)

    def faults(self, **faults: object) -> None:
        """Break something at the simulator."""
        request = urllib.request.Request(  # noqa: S310 -- 127.0.0.1
            f"{self.url}/_sim/faults",
            data=json.dumps(faults).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 -- 127.0.0.1

    def wait_for_held(self, number: int) -> None:
        """Return when so many requests are held (see the fault `hold`)."""
        held = 0
        for _ in range(300):
            with urllib.request.urlopen(f"{self.url}/_sim/health", timeout=10) as answer:  # noqa: S310 -- 127.0.0.1
                held = json.load(answer)["held"]
            if held >= number:
                return
            time.sleep(0.1)  # another process works: there is nothing to wait on
        pytest.fail(f"no {number} requests come, only {held}")
