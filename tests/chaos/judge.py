"""What is true after a case: four books compared, none of them the product's own opinion alone.

The simulator's ledger over its control API, the store by our own SQL on a copy of its files, the
files in the folder, and what the command tells a user (`status --json`, `receipts --json`).
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from bulk_transcribe.simulator.catalogue import Catalogue
from tests.chaos.world import FORMATS, World

#: States of a paid request in which the user is told that it may have been paid for nothing.
_REPORTED: Final = frozenset({"in_doubt", "failed", "abandoned"})
_KNOWN: Final = frozenset({"accepted", "claimed", "failed"})
_OPEN: Final = frozenset({"intended", "sent"})


@dataclass
class Findings:
    """What is wrong, in words; and what is right but has to be told.

    Args:
        lost: Videos that nobody speaks of any more, paid jobs without a trace, missing or wrong
            files.
        twice: Videos that were paid twice and not reported for it.
        wrong: Counts, sums and receipts that differ from the ledger.
        over_limit: Requests beyond the limit of some 60 seconds.
        in_doubt: Videos that are reported as in doubt.
        in_doubt_paid: How many of those the service did take.
        paid_again: Videos paid twice after a person or a report said that this may be.
    """

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    over_limit: int = 0
    in_doubt: int = 0
    in_doubt_paid: int = 0
    paid_again: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.twice or self.wrong or self.over_limit)


def judge(world: World) -> Findings:
    """Compare everything, after the last resume of a case."""
    case = _Case(world)
    case.check_videos()
    case.check_files()
    case.check_jobs()
    case.check_counts()
    case.check_money()
    case.check_receipts()
    if world.books_are_whole:
        case.check_requests()
    if world.knows_the_limit:
        case.found.over_limit = case.ledger["breaches"]
    return case.found


def judge_at_rest(world: World) -> list[str]:
    """What must hold right after a kill or a power cut, before anything mends it."""
    lost = []
    for row in world.rows("SELECT video_id, files FROM videos WHERE stage = 'done'"):
        missing = [path for path in json.loads(row["files"]) if not _has_content(Path(path))]
        if missing or not json.loads(row["files"]):
            lost.append(f"{row['video_id']}: called done without its files {missing}")
    known = {row["request_id"] for row in world.rows("SELECT request_id FROM submissions")}
    watched = {row["video_id"] for row in world.rows(_TOUCHED)}
    lost += [
        f"{job['video_id']}: job {job['request_id']} is paid and the store knows of no request"
        for job in world.ledger()["jobs"]
        if job["request_id"] not in known and job["video_id"] not in watched
    ]
    return lost


#: Videos with a request of which the answer is missing.
_TOUCHED: Final = "SELECT video_id FROM submissions WHERE state IN ('sent', 'in_doubt')"


class _Case:
    def __init__(self, world: World) -> None:
        self.world = world
        self.found = Findings()
        self.ledger: Any = world.ledger()
        self.videos = {row["video_id"]: row for row in world.rows("SELECT * FROM videos")}
        self.submissions: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in world.rows("SELECT * FROM submissions ORDER BY submission_id"):
            self.submissions[row["video_id"]].append(row)
        self.transcripts = {r["video_id"] for r in world.rows("SELECT video_id FROM transcripts")}
        self.jobs: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for job in self.ledger["jobs"]:
            self.jobs[job["video_id"]].append(job)
        ended = world.ask("status", "--json")
        self.status: Any = ended.json if ended.code in {0, 1} else None
        if self.status is None:
            self.found.wrong.append(f"status does not answer: {ended.err[-200:]}")

    def check_videos(self) -> None:
        """Every video is there, and ended in a way that its case allows."""
        for video_id in self.world.video_ids:
            row = self.videos.get(video_id)
            if row is None:
                self.found.lost.append(f"{video_id}: no session knows it")
                continue
            states = [each["state"] for each in self.submissions[video_id]]
            if row["stage"] not in self.world.expected:
                said = f"{row['stage']} ({row['error_code']}: {row['error']})"
                self.found.lost.append(f"{video_id}: left as {said}, requests {states}")
            if row["stage"] == "in_doubt":
                self.found.in_doubt += 1
                self.found.in_doubt_paid += len(self.jobs[video_id]) > 0
                if "in_doubt" not in states:
                    self.found.wrong.append(f"{video_id}: in doubt, but its requests are {states}")
            elif "in_doubt" in states:
                self.found.wrong.append(f"{video_id}: {row['stage']} with a request in doubt")
            if _OPEN & set(states):
                self.found.wrong.append(f"{video_id}: nobody settled its requests {states}")
        for video_id in self.videos.keys() - set(self.world.video_ids):
            self.found.wrong.append(f"{video_id}: nobody asked for it")

    def check_files(self) -> None:
        """Every finished video has its transcript and its files, and says what was said."""
        catalogue = Catalogue(self.world.simulator.config)
        for video_id, row in self.videos.items():
            if row["stage"] != "done":
                continue
            if video_id not in self.transcripts:
                self.found.lost.append(f"{video_id}: done without a transcript in the store")
            paths = {path.suffix[1:]: path for path in self.world.out.glob(f"*{video_id}*")}
            missing = [name for name in FORMATS if name not in paths]
            if missing or any(not _has_content(path) for path in paths.values()):
                self.found.lost.append(f"{video_id}: done, and files are missing {missing}")
                continue
            told = json.loads(paths["json"].read_text(encoding="utf-8"))["transcript"]
            language = told["language"] if row["source"] == "captions" else None
            speech = catalogue.speech(catalogue.video(video_id), language)
            if told["text"].split() != speech.text.split():
                self.found.lost.append(f"{video_id}: its file holds other words")
        parts = list(self.world.out.glob(".*part"))
        if len(parts) > self.world.kills * self.world.slots:  # one a thread, gone after an hour
            self.found.wrong.append(f"{len(parts)} half-written files after {self.world.kills}")

    def check_jobs(self) -> None:
        """Every paid job is in the store, or reported; none was paid twice in silence."""
        for video_id, jobs in self.jobs.items():
            rows = self.submissions[video_id]
            known = {row["request_id"] for row in rows if row["request_id"]}
            unheard = [job["request_id"] for job in jobs if job["request_id"] not in known]
            doubts = sum(row["state"] in _REPORTED and not row["request_id"] for row in rows)
            if len(unheard) > doubts:
                states = [row["state"] for row in rows]
                self.found.lost.append(f"{video_id}: paid jobs {unheard}, the store has {states}")
            reported = sum(row["state"] in _REPORTED for row in rows)
            if len(jobs) > 1:
                if len(jobs) > reported + 1:
                    states = [row["state"] for row in rows]
                    self.found.twice.append(f"{video_id}: {len(jobs)} jobs, requests {states}")
                else:
                    self.found.paid_again += 1
        foreign = {row["request_id"] for rows in self.submissions.values() for row in rows} - {
            job["request_id"] for job in self.ledger["jobs"]
        }
        for request_id in foreign - {None}:
            self.found.wrong.append(f"the service knows no job {request_id}")

    def check_counts(self) -> None:
        """What the command tells is what the store holds, and it adds up."""
        if self.status is None:
            return
        stages = Counter(row["stage"] for row in self.videos.values())
        told, total = self.status, len(self.world.links)
        parts = ("queued", "active", "done", "failed", "skipped", "cancelled", "in_doubt")
        if not total == told["total"] == len(told["videos"]) == sum(told[name] for name in parts):
            self.found.wrong.append(f"{total} videos, told {[told[name] for name in parts]}")
        for name in ("queued", "done", "skipped", "cancelled", "in_doubt"):
            if told[name] != stages[name]:
                self.found.wrong.append(f"{name}: told {told[name]}, stored {stages[name]}")
        if told["failed"] != stages["failed"] + stages["crashed"]:
            self.found.wrong.append(f"failed: told {told['failed']}, stored {stages['failed']}")
        for video in told["videos"]:
            if self.videos[video["video_id"]]["stage"] != video["stage"]:
                self.found.wrong.append(f"{video['video_id']}: told as {video['stage']}")

    def check_money(self) -> None:
        """To the last digit: each job that the store knows, and the sum that is told."""
        charged = {job["request_id"]: Decimal(job["charged_usd"]) for job in self.ledger["jobs"]}
        known = Decimal(0)
        for rows in self.submissions.values():
            for row in rows:
                if row["state"] in _KNOWN:
                    known += charged.get(row["request_id"], Decimal(0))
                if row["state"] in {"claimed", "failed"}:
                    noted = Decimal(row["charged_usd"] or "NaN")
                    if noted != charged.get(row["request_id"]):
                        self.found.wrong.append(f"{row['video_id']}: receipt of {noted}")
        exact = all(r["state"] != "accepted" for rows in self.submissions.values() for r in rows)
        if self.status is not None and exact and Decimal(self.status["spent_usd"]) != known:
            self.found.wrong.append(f"told {self.status['spent_usd']} spent, charged {known}")
        unheard = sum(charged.values(), Decimal(0)) - known
        doubts = sum(
            row["state"] in _REPORTED and not row["request_id"]
            for rows in self.submissions.values()
            for row in rows
        )
        if unheard and not doubts:
            self.found.wrong.append(f"{unheard} was charged, and no doubt is told")

    def check_receipts(self) -> None:
        """What `receipts` tells of each job is what the service took for it."""
        ended = self.world.ask("receipts", "--json")
        if ended.code not in {0, 1} or ended.json is None:
            self.found.wrong.append(f"receipts do not answer: {ended.err[-200:]}")
            return
        charged = {job["request_id"]: Decimal(job["charged_usd"]) for job in self.ledger["jobs"]}
        told = ended.json
        listed = {video["video_id"] for video in told["videos"]}
        if listed != set(self.videos):
            self.found.wrong.append(f"receipts of {len(listed)} of {len(self.videos)} videos")
        spent = Decimal(0)
        for video in told["videos"]:
            claimed = [s for s in video["submissions"] if s["state"] in {"claimed", "failed"}]
            for submission in claimed:
                amount = Decimal(submission["charged_usd"] or "NaN")
                if amount != charged.get(submission["request_id"]):
                    self.found.wrong.append(f"{video['video_id']}: receipt says {amount}")
            spent += Decimal(video["spent_usd"])
        if spent != Decimal(told["totals"]["spent_usd"]):
            self.found.wrong.append(f"receipts add up to {spent}, not {told['totals']}")
        if self.status is not None and spent != Decimal(self.status["spent_usd"]):
            self.found.wrong.append(f"receipts say {spent}, status {self.status['spent_usd']}")

    def check_requests(self) -> None:
        """Every request that the simulator saw is noted, kind by kind: true without a kill."""
        kinds = {"watch": "captions", "player": "captions", "timedtext": "captions"}
        seen: Counter[str] = Counter()
        for kind, count in self.ledger["counts"].items():
            seen[kinds.get(kind, kind)] += count
        noted: Counter[str] = Counter()
        for row in self.world.rows("SELECT kind, sent FROM requests"):
            noted[row["kind"]] += row["sent"]
        if seen != noted:
            self.found.wrong.append(f"requests: seen {dict(seen)}, noted {dict(noted)}")


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
