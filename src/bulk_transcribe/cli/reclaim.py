"""The commands `reclaim` and `abandon`: jobs that were paid for and not yet fetched."""

import sys
from collections.abc import Sequence
from typing import Any

from bulk_transcribe.app import App
from bulk_transcribe.app.reclaim import Fate, Reclaimed, counts
from bulk_transcribe.app.settling import Settled, at_stake, explain
from bulk_transcribe.cli import logs
from bulk_transcribe.cli.interrupts import Interrupts
from bulk_transcribe.cli.text import count, money, note, one_line, print_json
from bulk_transcribe.config import Settings
from bulk_transcribe.core.job import Submission
from bulk_transcribe.errors import InputError, StopBatchError

_DONE, _SOME_NOT, _USAGE, _INTERRUPTED = 0, 1, 2, 130
_WIDTH = 160


def run(settings: Settings, *, as_json: bool, quiet: bool) -> int:
    """Fetch everything that was paid for, in all sessions; the exit code."""
    logs.start(settings)
    quiet = quiet or as_json
    try:
        with App(settings) as app:
            settled = app.settle()
            reclaim = app.reclaim()
            jobs = reclaim.waiting()
            if not quiet:
                note(f"{count(len(jobs), 'job')} paid for and not yet fetched.")
            fates: list[Reclaimed] = []
            stopped: StopBatchError | None = None
            with Interrupts(app.control, lambda: len(jobs) - len(fates), note):
                try:
                    for each in reclaim.run(jobs):
                        fates.append(each)
                        if not quiet:
                            note(_line(each, len(fates), len(jobs)))
                except StopBatchError as error:
                    stopped = error
            _print_end(fates, settled, as_json=as_json, stopped=stopped)
            if stopped is not None:
                raise stopped
            return _exit_code(fates, app)
    finally:
        logs.stop()


def abandon(settings: Settings, wanted: Sequence[str], *, yes: bool, as_json: bool) -> int:
    """Give up accepted jobs, by video id or request id; the exit code.

    Raises:
        InputError: no open job fits, or nobody can be asked and `yes` was not said.
    """
    logs.start(settings)
    try:
        with App(settings) as app:
            jobs = app.find_jobs(wanted)
            for job in jobs:
                note(f"{job.key.video_id}: job {job.request_id}, {money(job.quoted_usd)}")
            if not yes and not _agrees(len(jobs)):
                note("Nothing was changed.")
                return _SOME_NOT
            app.abandon(jobs)
            if as_json:
                print_json({"abandoned": [_job_json(job) for job in jobs]})
            note(f"{count(len(jobs), 'job')} given up. A retry of the video pays again.")
            return _DONE
    finally:
        logs.stop()


def _agrees(number: int) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            "Nobody can be asked whether to give up what was paid for.",
            next_step="Say --yes if you are sure.",
            code="not_asked",
        )
    answer = input(f"Give up {count(number, 'paid job')} for good? The money is lost. [y/N] ")
    return answer.strip().lower() in {"y", "yes"}


def _line(each: Reclaimed, number: int, total: int) -> str:
    why = f": {each.why}" if each.why else ""
    video = each.submission.key.video_id
    return one_line(f"[{number}/{total}] {video} {each.fate.value}{why}", _WIDTH)


def _print_end(
    fates: Sequence[Reclaimed],
    settled: Settled,
    *,
    as_json: bool,
    stopped: StopBatchError | None,
) -> None:
    tally = counts(fates)
    stake = at_stake(settled.in_doubt)
    if as_json:
        found: dict[str, Any] = {fate.value: tally[fate] for fate in Fate}
        print_json(
            found
            | {
                "jobs": [
                    _job_json(each.submission)
                    | {
                        "fate": each.fate.value,
                        "why": each.why,
                        "files": [str(path) for path in each.files],
                    }
                    for each in fates
                ],
                "in_doubt": len(settled.in_doubt),
                "at_stake_usd": None if stake is None else str(stake),
                "not_paid": len(settled.not_paid),
                "stopped_by": stopped.code if stopped else None,
            }
        )
        return
    for line in explain(settled, lambda at: f"{at.astimezone():%H:%M}"):
        note(line)
    if fates:
        print(", ".join(f"{tally[fate]} {fate.value}" for fate in Fate if tally[fate]))
    if tally[Fate.RUNNING] or tally[Fate.LEFT]:
        note("What still runs stays yours: bulk-transcribe reclaim, any time later.")
    if tally[Fate.UNKNOWN]:
        note("An unknown job may be another key's. To give it up: bulk-transcribe abandon VIDEO")
    if settled.in_doubt:
        amount = "" if stake is None else f", {money(stake)} at stake"
        lost = count(len(settled.in_doubt), "paid request")
        note(f"{lost} in doubt{amount}: resume their sessions with --in-doubt.")


def _exit_code(fates: Sequence[Reclaimed], app: App) -> int:
    tally = counts(fates)
    if tally[Fate.LEFT] and app.control.is_draining:
        return _INTERRUPTED
    return _DONE if tally[Fate.FETCHED] == len(fates) else _SOME_NOT


def _job_json(job: Submission) -> dict[str, Any]:
    return {
        "video_id": job.key.video_id,
        "request_id": job.request_id,
        "session": job.session_id,
        "quoted_usd": None if job.quoted_usd is None else str(job.quoted_usd),
        "accepted_at": None if job.accepted_at is None else job.accepted_at.isoformat(),
    }
