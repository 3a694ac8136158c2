"""Transcripts of many YouTube videos."""
