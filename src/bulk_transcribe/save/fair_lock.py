"""A lock that is given out in the order of asking."""

import threading
from collections import deque
from types import TracebackType


class FairLock:
    """First come, first served, for all threads. Not reentrant.

    `threading.Lock` promises no order: with hundreds of threads an unlucky one waits for seconds.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()  # guards the three fields below
        self._is_held = False
        self._owner: int | None = None
        self._gates: deque[threading.Lock] = deque()

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread has the lock."""
        return self._owner == threading.get_ident()

    def __enter__(self) -> None:
        with self._guard:
            gate = self._join()
        if gate is not None:
            try:
                gate.acquire()
            except BaseException:  # Ctrl-C: leave the queue, or hand on what was just received
                self._leave(gate)
                raise
        self._owner = threading.get_ident()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._owner = None
        with self._guard:
            self._hand_on()

    def _join(self) -> "threading.Lock | None":  # a function until Python 3.13, so quoted
        if not self._is_held:
            self._is_held = True
            return None
        gate = threading.Lock()
        gate.acquire()
        self._gates.append(gate)
        return gate

    def _leave(self, gate: threading.Lock) -> None:
        with self._guard:
            if gate in self._gates:
                self._gates.remove(gate)
            else:
                self._hand_on()

    def _hand_on(self) -> None:
        if self._gates:
            self._gates.popleft().release()
        else:
            self._is_held = False
