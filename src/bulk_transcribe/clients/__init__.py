"""The only rooms with doors to the outside: deAPI, the YouTube Data API, captions, yt-dlp.

`http.py` turns status codes and socket errors into `errors.py` classes; the tables beside it
(`deapi_errors.py`, `youtube_reasons.py`) say what each cause leads to. Nothing here retries:
whether a request may be repeated is for the callers to decide.
"""
