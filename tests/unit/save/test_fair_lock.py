import signal
import sys
import threading
from itertools import pairwise

import pytest

from bulk_transcribe.save.fair_lock import FairLock


def test_the_turn_goes_round_in_the_order_of_asking() -> None:
    """Every thread that waits gets its turn before any other has had two more."""
    lock = FairLock()
    turns: list[int] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(50):
            with lock:
                turns.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    with lock:  # all of them wait before the first one may go
        for thread in threads:
            thread.start()
        while len(lock._gates) < 8:
            pass
    for thread in threads:
        thread.join()
    assert len(turns) == 400
    for number in range(8):
        places = [place for place, who in enumerate(turns) if who == number]
        # eight others may stand before one that asks again at once
        assert max(later - sooner for sooner, later in pairwise(places)) <= 16


def test_only_one_has_it_at_a_time_and_knows_so() -> None:
    lock = FairLock()
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lock:
                assert lock.is_mine
                inside += 1
                most = max(most, inside)
                inside -= 1
        assert not lock.is_mine

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_one_who_leaves_the_queue_keeps_nobody_waiting() -> None:
    """Ctrl-C right after the turn was received must not swallow the turn."""
    lock = FairLock()
    gate = threading.Lock()
    gate.acquire()
    with lock:
        lock._join(gate)
    lock._leave(gate)  # the turn was handed to the gate; its owner was interrupted
    with lock:
        assert lock.is_mine


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a thread are POSIX")
def test_ctrl_c_ends_the_wait_and_the_next_one_gets_the_turn() -> None:
    lock = FairLock()
    held, interrupted, let_go = threading.Event(), threading.Event(), threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def interrupt_once(*_: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    def hold() -> None:
        with lock:
            held.set()
            while not lock._gates:  # until the main thread waits
                pass
            # said again: Python does not see a signal that comes right before it falls asleep
            while not interrupted.wait(0.001):
                signal.pthread_kill(main, signal.SIGUSR1)
            let_go.wait()

    before = signal.signal(signal.SIGUSR1, interrupt_once)
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        held.wait()
        with pytest.raises(KeyboardInterrupt), lock:
            pass  # pragma: no cover
        assert not lock._gates
    finally:
        interrupted.set()
        let_go.set()
        holder.join()
        signal.signal(signal.SIGUSR1, before)
    with lock:
        assert lock.is_mine
