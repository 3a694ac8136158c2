"""Doubles for users' own tests: a clock moved by hand and small fakes of the ports."""

from bulk_transcribe.testing.clock import FakeClock

__all__ = ["FakeClock"]
