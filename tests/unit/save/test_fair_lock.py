import threading
from itertools import pairwise

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
    """Ctrl-C while waiting for the turn must not swallow the turn."""
    lock = FairLock()
    with lock:
        gate = lock._join()
        assert gate is not None
    # the turn was handed to the gate; its owner was interrupted and leaves
    lock._leave(gate)
    with lock:
        assert lock.is_mine
