"""A lock that is given out in the order of asking."""

import threading
from collections import deque
from types import TracebackType


class FairLock:
    """First come, first served, for all threads. Not reentrant.

    `threading.Lock` promises no order: with hundreds of threads an unlucky one waits for seconds.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()  # guards the fields below
        self._holder: threading.Lock | None = None  # the gate of whoever has the turn
        self._gates: deque[threading.Lock] = deque()  # of those who wait, in order
        self._owner: int | None = None  # for is_mine

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread has the lock."""
        return self._owner == threading.get_ident()

    def __enter__(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        try:  # from before the queue is joined: Ctrl-C may come between any two steps
            self._join(gate)
            gate.acquire()  # opened by whoever hands on the turn
        except BaseException:
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

    def _join(self, gate: "threading.Lock") -> None:  # a function until Python 3.13, so quoted
        with self._guard:
            if self._holder is None:
                self._holder = gate
                gate.release()
            else:
                self._gates.append(gate)

    def _leave(self, gate: "threading.Lock") -> None:
        """Leave the queue, or hand on the turn that was just received."""
        with self._guard:
            if gate in self._gates:
                self._gates.remove(gate)
            elif self._holder is gate:
                self._hand_on()

    def _hand_on(self) -> None:
        self._holder = self._gates.popleft() if self._gates else None
        if self._holder is not None:
            self._holder.release()
