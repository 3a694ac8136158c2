"""Where every video is, how fast it goes, and when it ends."""

from bulk_transcribe.monitor.flusher import StateFlusher
from bulk_transcribe.monitor.monitor import ConcurrentProgressMonitor, VideoReporter
from bulk_transcribe.monitor.requests import RequestMeter
from bulk_transcribe.monitor.snapshot import ProgressSummary, Snapshot, TimeLeft

__all__ = [
    "ConcurrentProgressMonitor",
    "ProgressSummary",
    "RequestMeter",
    "Snapshot",
    "StateFlusher",
    "TimeLeft",
    "VideoReporter",
]
