"""Builds the rooms from settings and joins them: the only part that knows them all."""

from bulk_transcribe.app.app import App
from bulk_transcribe.app.engine import Engine
from bulk_transcribe.app.intake import Gathered, InputRequest

__all__ = ["App", "Engine", "Gathered", "InputRequest"]
