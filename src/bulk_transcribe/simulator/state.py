"""What all simulated services share: who asks, what is known, and the lock around it."""

import threading
from collections import Counter

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.simulator.catalogue import Catalogue
from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.jobs import Jobs
from bulk_transcribe.simulator.ledger import Book, DeliverySeen, JobSeen, Ledger
from bulk_transcribe.simulator.pools import Account
from bulk_transcribe.simulator.webhooks import WebhookSender


class State:
    """The simulated world. Whoever touches it holds `lock`, for a moment each time."""

    def __init__(self, config: SimulatorConfig, clock: Clock, faults: Faults) -> None:
        self.lock = threading.Lock()  # guards everything below
        self.config = config
        self.clock = clock
        self.faults = faults
        self.catalogue = Catalogue(config)
        self.jobs = Jobs(config, faults)
        self.account = Account(config, clock)
        self.book = Book()
        self.webhooks = WebhookSender(config, clock, faults, self._delivered)
        self.now_s = clock.now_s()  # when the request in hand was counted
        self.base_url = ""  # set when the address is known
        self.url_generation = 0  # result addresses of earlier generations are dead
        self.held = 0  # requests that wait at a point (`Faults.hold`)
        self._visits: Counter[tuple[str, str]] = Counter()

    def visit(self, kind: str, subject: str) -> int:
        """How often this subject was asked for, from 1: part of what chance depends on."""
        self._visits[kind, subject] += 1
        return self._visits[kind, subject]

    def _delivered(self, delivery: DeliverySeen) -> None:
        with self.lock:
            self.book.deliveries.append(delivery)

    def ledger(self, *, with_requests: bool = True) -> Ledger:
        """A copy of the book. Takes the lock."""
        with self.lock:
            now_s = self.clock.now_s()
            book = self.book
            return Ledger(
                requests=tuple(book.requests) if with_requests else (),
                counts=dict(book.counts),
                statuses=dict(book.statuses),
                jobs=tuple(
                    JobSeen(
                        request_id=job.request_id,
                        video_id=job.wish.video.video_id,
                        nth=job.nth,
                        endpoint=job.wish.endpoint,
                        state=job.state(now_s),
                        submitted_at_s=job.submitted_at_s,
                        done_at_s=None if job.done_at_s == float("inf") else job.done_at_s,
                        seen_done_at_s=job.seen_done_at_s,
                        charged_usd=job.charged_usd,
                        refunded_usd=job.refunded_usd,
                    )
                    for job in self.jobs.all(now_s)
                ),
                submits=self.jobs.submits(),
                charged_usd=self.jobs.charged_usd,
                refunded_usd=self.jobs.refunded_usd,
                balance_usd=self.jobs.balance_usd(now_s),
                limits=dict(book.limits),
                worst=dict(book.worst),
                breaches=book.breaches,
                deliveries=tuple(book.deliveries),
            )
