"""A video's item and state as a row of the table `videos`, and back."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import RowMapping

from bulk_transcribe.core.outcome import (
    Cancelled,
    Crashed,
    Failed,
    InDoubt,
    Skipped,
    Succeeded,
    VideoResult,
)
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.core.video import VideoItem, watch_url
from bulk_transcribe.errors import BulkTranscribeError


def item_row(session_id: str, position: int, item: VideoItem) -> dict[str, Any]:
    """The row of a video that waits for its turn."""
    return {
        "session_id": session_id,
        "video_id": item.video_id,
        "position": position,
        "item_title": item.title,
        "item_channel": item.channel,
        "item_duration_s": item.duration_s,
        "origin": item.origin,
        "extra": json.dumps(dict(item.extra)) if item.extra else "{}",
        "stage": Stage.QUEUED.value,
        "title": item.title,
        "duration_s": item.duration_s,
        "can_retry": False,
        "spent_usd": Decimal(0),
        "files": "[]",
        "was_known": False,
    }


def item_of(row: RowMapping) -> VideoItem:
    """What was asked for."""
    extra: Mapping[str, str] = json.loads(row["extra"])
    return VideoItem(
        video_id=row["video_id"],
        title=row["item_title"],
        channel=row["item_channel"],
        duration_s=row["item_duration_s"],
        origin=row["origin"],
        extra=MappingProxyType(dict(extra)),
    )


def state_row(state: VideoState) -> dict[str, Any]:
    """The columns that a state fills; its place in the session is not among them."""
    return {
        "stage": state.stage.value,
        "title": state.title,
        "duration_s": state.duration_s,
        "progress": state.progress,
        "worker": state.worker,
        "source": state.source,
        "since_at": state.since_at,
        "started_at": state.started_at,
        "finished_at": state.finished_at,
        "waiting": None if state.waiting is None else state.waiting.name,
        "waiting_until_at": state.waiting_until_at,
        "error": state.error,
        "error_code": state.error_code,
        "next_step": state.next_step,
        "can_retry": state.can_retry,
        "spent_usd": Decimal(state.spent_usd),
        "files": json.dumps(list(state.files)),
    }


def state_of(row: RowMapping) -> VideoState:
    """Where the video is."""
    return VideoState(
        video_id=row["video_id"],
        stage=Stage(row["stage"]),
        position=row["position"],
        url=watch_url(row["video_id"]),
        title=row["title"],
        duration_s=row["duration_s"],
        progress=row["progress"],
        worker=row["worker"],
        source=row["source"],
        since_at=row["since_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        waiting=None if row["waiting"] is None else WaitReason[row["waiting"]],
        waiting_until_at=row["waiting_until_at"],
        error=row["error"],
        error_code=row["error_code"],
        next_step=row["next_step"],
        can_retry=row["can_retry"],
        spent_usd=str(row["spent_usd"]),
        files=tuple(json.loads(row["files"])),
    )


def queued_again_row(at: datetime) -> dict[str, Any]:
    """The columns of a video that goes back into the line; what is known of it stays."""
    return {
        "stage": Stage.QUEUED.value,
        "since_at": at,
        "progress": None,
        "worker": None,
        "started_at": None,
        "finished_at": None,
        "waiting": None,
        "waiting_until_at": None,
        "error": None,
        "error_code": None,
        "next_step": None,
        "can_retry": False,
    }


def end_row(state: VideoState, result: VideoResult) -> dict[str, Any]:
    """The columns that a video's end fills.

    The result decides the stage and says what went wrong; the state says the rest.
    """
    row = state_row(state) | {
        "stage": result.stage.value,
        "was_known": False,
        "progress": None,
        "waiting": None,
        "waiting_until_at": None,
    }
    match result:
        case Succeeded():
            row["source"] = result.source
            row["files"] = json.dumps(list(result.files))
            row["was_known"] = result.was_known
            row["spent_usd"] = result.spent_usd or row["spent_usd"]
            row |= {"error": None, "error_code": None, "next_step": None, "can_retry": False}
        case Failed():
            row |= _trouble(result.error, can_retry=result.can_retry)
            row["spent_usd"] = result.spent_usd or row["spent_usd"]
        case Skipped():
            row |= _trouble(result.error, can_retry=result.can_retry)
        case InDoubt():
            row |= _trouble(result.error, can_retry=False)
        case Crashed():
            row |= _trouble(result.error, can_retry=True)
        case Cancelled():
            row["can_retry"] = True
    return row


def _trouble(error: BaseException, *, can_retry: bool) -> dict[str, Any]:
    if isinstance(error, BulkTranscribeError):
        message, code, next_step = error.message, error.code, error.next_step
    else:  # a bug: its class is the most that can be told without its values
        message, code, next_step = f"{type(error).__name__} inside the program", "crashed", ""
    return {
        "error": message,
        "error_code": code,
        "next_step": next_step or None,
        "can_retry": can_retry,
    }
