"""How long the paid service takes for a video of a given length."""

import math

#: The design brief's estimate: a fixed part, a part by length, a cap.
BASE_S = 15.0
PER_MINUTE_S = 8.0
CAP_S = 300.0
#: The length that the design brief assumes of a video whose length is not known.
ASSUMED_DURATION_S = 300.0


def estimate_processing_time_s(duration_s: float | None) -> float:
    """Seconds of processing to expect before anything was learned: 15 s + 8 s a minute, at most 300.

    Args:
        duration_s: Length of the video, seconds; None (not known) counts as 300 s, below 0 as 0.
    """
    if duration_s is None or math.isnan(duration_s):
        duration_s = ASSUMED_DURATION_S
    return min(CAP_S, BASE_S + PER_MINUTE_S * max(0.0, duration_s) / 60)
