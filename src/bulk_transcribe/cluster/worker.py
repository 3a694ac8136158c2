"""A worker: a process on any machine that takes videos from the queue until it is told to leave.

It works in lives. A life ends when the worker is told to leave, or when the database has taken it
for gone (it was frozen, or cut off for long): then it ends everything at once, and begins anew
under another name. What it had in hand is taken over by whoever comes first; jobs that were paid
for are found by their request ids.
"""

import asyncio
import contextlib
import functools
import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Final

from procrastinate import JobContext
from procrastinate.worker import Worker as JobWorker

from bulk_transcribe.app import App
from bulk_transcribe.cluster.desk import Desk, SettingsWith
from bulk_transcribe.cluster.dispatch import Dispatch
from bulk_transcribe.cluster.keeper import Keeper
from bulk_transcribe.cluster.order import as_virtual_time
from bulk_transcribe.cluster.queue import (
    KEEP,
    KEEPER_QUEUE,
    ONE_VIDEO,
    Queue,
    queue_of,
    worker_app,
)
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.errors import ConfigError, StoreError
from bulk_transcribe.process.processor import name_threads

_log: Final = logging.getLogger(__name__)

#: Real seconds. A look at the queue while nothing waits; a round of the keeper; a look at wishes
#: and at what is wanted of the sessions in hand; a note in the table of workers; before a new life.
_FETCH_EVERY_S: Final = 0.5
_KEEP_EVERY_S: Final = 5  # the sixth field of its schedule, after the weekdays
_STEER_EVERY_S: Final = 1.0
_BEAT_EVERY_LOOKS: Final = 3
_ANEW_AFTER_S: Final = 2.0
#: Procrastinate's own heartbeat, and when it takes a worker for dead.
_HEARTBEAT_S, _STALLED_S = 3.0, 10.0
#: A database that this program cannot use will not get better by waiting.
_HOPELESS: Final = frozenset({"newer_database", "foreign_database", "bad_database_url"})


class Worker:
    """Runs until `leave`. Belongs to the main thread.

    Args:
        settings: Its own.
        settings_with: The same, with those that a session was started with.
        slots: Videos in hand at once.
        say: Told what happens, one line.
        clock: Time; by default the machine's.

    Raises:
        ConfigError: there is no PostgreSQL.
    """

    def __init__(
        self,
        settings: Settings,
        settings_with: SettingsWith,
        *,
        slots: int,
        say: Callable[[str], None],
        clock: Clock | None = None,
    ) -> None:
        if not settings.database_url:
            raise ConfigError(
                "Workers share a PostgreSQL database, and none is set.",
                next_step="Set DATABASE_URL to its address.",
                code="no_cluster",
            )
        self._settings = settings
        self._settings_with = settings_with
        self._slots = slots
        self._say = say
        self._clock = clock
        self._asked = 0  # how often it was told to leave
        self._life: _Life | None = None

    def run(self) -> None:
        """Work until told to leave.

        Raises:
            StoreError: the database cannot be used at the start, or by this version.
        """
        asyncio.run(self._lives())

    def leave(self) -> None:
        """Finish what is in hand and start no more; said again: leave at once."""
        self._asked += 1
        if self._life is None:
            return
        if self._asked == 1:
            self._say(
                f"Finishing {self._life.doing} in hand, starting no more. "
                "Once more leaves at once; the other workers go on with them."
            )
            self._life.drain()
        else:
            self._say("Leaving now. The other workers go on with what was in hand.")
            self._life.end(None)

    async def _lives(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends it at once
                loop.add_signal_handler(number, self.leave)
        is_first = True
        while not self._asked:
            try:
                await self._live()
            except StoreError as error:
                if is_first or error.code in _HOPELESS:
                    raise
                _log.warning("no new life yet: %s", error)
            is_first = False
            if not self._asked:
                await asyncio.sleep(_ANEW_AFTER_S)

    async def _live(self) -> None:
        with (
            App(self._settings, clock=self._clock) as app,
            Queue(self._settings.database_url) as queue,
        ):
            self._life = life = _Life(
                app, queue, self._settings, self._settings_with, slots=self._slots
            )
            self._say(f"Worker {app.database.owner_id} with {self._slots} slots is at work.")
            try:
                await life.live()
            finally:
                self._life = None
        if life.trouble is not None:
            self._say(f"Begins anew: {life.trouble.message}")


class _Life:
    """One opening of the database, and what is done with it."""

    def __init__(
        self,
        app: App,
        queue: Queue,
        settings: Settings,
        settings_with: SettingsWith,
        *,
        slots: int,
    ) -> None:
        self._app = app
        self._queue = queue
        self._settings = settings
        self._slots = slots
        self._dispatch = Dispatch(app, queue)
        self._keeper = Keeper(app, queue, self._dispatch)
        self._queues = tuple(dict.fromkeys((queue_of(""), queue_of(app.account))))
        self._to_come = 0
        self._desk = Desk(
            app,
            self._dispatch.store,
            settings_with,
            to_come=lambda: self._to_come,
            on_trouble=self.end,
        )
        self._started_at = app.clock.now()
        self._over = threading.Event()
        self._is_draining = False
        self._jobs: JobWorker | None = None
        self.trouble: StoreError | None = None

    @property
    def doing(self) -> int:
        return self._desk.doing

    def drain(self) -> None:
        """Take no more videos; the life is over when those in hand have ended."""
        self._is_draining = True
        if self._jobs is not None:
            self._jobs.stop()  # type: ignore[no-untyped-call]  # untyped

    def end(self, trouble: StoreError | None) -> None:
        """End everything now. May be called by any thread."""
        if trouble is not None and self.trouble is None and not self._over.is_set():
            self.trouble = trouble
            _log.warning("this worker begins anew: %s", trouble)
        self._app.control.halt()
        self._desk.halt()
        self.drain()

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        with (
            ThreadPoolExecutor(
                self._slots,
                thread_name_prefix="video_processor",
                initializer=name_threads(),
            ) as videos,
            ThreadPoolExecutor(1, thread_name_prefix="keeper") as keeping,
        ):
            steering = threading.Thread(target=self._steer, name="steering", daemon=True)
            steering.start()
            try:
                await self._take_jobs(loop, videos, keeping)
            finally:
                self._over.set()
                await asyncio.to_thread(steering.join)
        self._put_away()

    async def _take_jobs(
        self,
        loop: asyncio.AbstractEventLoop,
        videos: ThreadPoolExecutor,
        keeping: ThreadPoolExecutor,
    ) -> None:
        jobs_app = worker_app(self._settings.database_url)

        @jobs_app.task(name=ONE_VIDEO, pass_context=True)
        async def one_video(context: JobContext, session_id: str, video_id: str) -> None:
            job = context.job
            work = functools.partial(
                self._desk.work,
                session_id,
                video_id,
                queue=job.queue,
                reached=as_virtual_time(job.priority),
            )
            await loop.run_in_executor(videos, work)

        @jobs_app.periodic(cron=f"* * * * * */{_KEEP_EVERY_S}")
        @jobs_app.task(name=KEEP, queue=KEEPER_QUEUE, queueing_lock=KEEP)
        async def keep(timestamp: int) -> None:
            del timestamp
            await loop.run_in_executor(keeping, self._keep)

        def job_worker(queues: tuple[str, ...], slots: int) -> JobWorker:
            return JobWorker(
                app=jobs_app,
                queues=list(queues),
                concurrency=slots,
                # polling is cheaper than a notice for each of 100,000 jobs, and survives a
                # server that starts anew
                listen_notify=False,
                fetch_job_polling_interval=_FETCH_EVERY_S,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=_HEARTBEAT_S,
                stalled_worker_timeout=_STALLED_S,
            )

        async with jobs_app.open_async():
            self._jobs = job_worker(self._queues, self._slots)
            # its own loop and slot: rescue must not wait until a video has ended
            keeper = job_worker((KEEPER_QUEUE,), 1)
            keeps = asyncio.create_task(keeper.run())  # type: ignore[no-untyped-call]  # untyped
            try:
                if not self._is_draining:
                    await self._jobs.run()  # type: ignore[no-untyped-call]  # untyped
            finally:
                keeper.stop()  # type: ignore[no-untyped-call]  # untyped
                await keeps

    def _keep(self) -> None:
        try:
            self._keeper.round()
        except StoreError as error:
            self._note_trouble(error)

    def _steer(self) -> None:
        looks = 0
        while not self._over.wait(_STEER_EVERY_S):
            try:
                self._dispatch.carry_out_all()
                self._desk.steer()
                if looks % _BEAT_EVERY_LOOKS == 0:
                    self._beat()
                if self._is_draining:
                    self.drain()  # a stop that comes while the job worker begins is lost on it
            except StoreError as error:
                self._note_trouble(error)
            except Exception:
                _log.exception("steering broke down, so this worker leaves")
                self.end(None)
                raise
            looks += 1

    def _beat(self) -> None:
        waiting = sum(self._queue.depth(queue)[0] for queue in self._queues)
        self._to_come = waiting
        self._dispatch.store.beat(
            slots=self._slots,
            doing=self._desk.doing,
            state="draining" if self._is_draining else "working",
            queues=self._queues,
            version=version("bulk-transcribe"),
            started_at=self._started_at,
        )

    def _note_trouble(self, error: StoreError) -> None:
        if error.code == "lease_lost":
            self.end(error)
        else:
            _log.warning("the database did not answer, trying again: %s", error)

    def _put_away(self) -> None:
        """Give back what is left in hand. Where the store does not take it, others find it."""
        for step in (
            self._desk.close,
            self._dispatch.store.give_all_back,
            self._dispatch.store.leave,
        ):
            try:
                step()
            except StoreError as error:
                _log.warning("left without a word: %s", error)
