"""Transcripts of many YouTube videos: free captions first, deAPI for the rest.

::

    inputs  ->  plan  ->  process ( metadata -> transcript )  ->  save
    links      order,     thread pool; one_video = the steps      store, files
    sheets     cost,
    playlists  time           limit: may one more request go now?
                              monitor: where is every video?
                              sources: captions, then deAPI
                              clients: the only HTTP

`core` holds the values and ports between the rooms, `app` joins them, `cli` is the command. The
names below are loaded when they are first used, so that `--help` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bulk_transcribe.app import App, Engine, InputRequest
    from bulk_transcribe.config import ParallelConfig, Settings
    from bulk_transcribe.core.outcome import BatchResult, VideoResult
    from bulk_transcribe.core.plan import BatchPlan
    from bulk_transcribe.core.stage import Stage, VideoState
    from bulk_transcribe.core.transcript import Transcript
    from bulk_transcribe.core.video import VideoItem
    from bulk_transcribe.errors import BulkTranscribeError
    from bulk_transcribe.limit import AdaptiveRateLimiter, DistributedRateLimiter
    from bulk_transcribe.monitor.monitor import ConcurrentProgressMonitor
    from bulk_transcribe.monitor.snapshot import ProgressSummary
    from bulk_transcribe.process.processor import ParallelVideoProcessor
    from bulk_transcribe.save.sessions import SessionManager

_HOMES = {
    "AdaptiveRateLimiter": "limit",
    "App": "app",
    "BatchPlan": "core.plan",
    "BatchResult": "core.outcome",
    "BulkTranscribeError": "errors",
    "ConcurrentProgressMonitor": "monitor.monitor",
    "DistributedRateLimiter": "limit",
    "Engine": "app",
    "InputRequest": "app",
    "ParallelConfig": "config",
    "ParallelVideoProcessor": "process.processor",
    "ProgressSummary": "monitor.snapshot",
    "SessionManager": "save.sessions",
    "Settings": "config",
    "Stage": "core.stage",
    "Transcript": "core.transcript",
    "VideoItem": "core.video",
    "VideoResult": "core.outcome",
    "VideoState": "core.stage",
}

__all__ = [
    "AdaptiveRateLimiter",
    "App",
    "BatchPlan",
    "BatchResult",
    "BulkTranscribeError",
    "ConcurrentProgressMonitor",
    "DistributedRateLimiter",
    "Engine",
    "InputRequest",
    "ParallelConfig",
    "ParallelVideoProcessor",
    "ProgressSummary",
    "SessionManager",
    "Settings",
    "Stage",
    "Transcript",
    "VideoItem",
    "VideoResult",
    "VideoState",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
