"""Reading what claims to be a webhook of deAPI: who sent it, when, and what it tells. Pure.

Only the timestamp and the body are signed. The other headers and the address are anybody's word,
so the delivery's number and the event are taken from the body, and the address has a nonce in it.

Source: deAPI's documentation of webhooks and its SDK.
"""

import enum
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bulk_transcribe.clients.deapi import read_id
from bulk_transcribe.core.job import JobState

#: A delivery that was signed longer ago, or so far ahead, is refused.
MOST_AGE_S: Final = 300.0
#: Real ones have some 400 bytes.
MOST_BYTES: Final = 64 * 1024

_SIGNATURE: Final = "x-deapi-signature"
_TIMESTAMP: Final = "x-deapi-timestamp"
_PREFIX: Final = "sha256="
_UNIX: Final = re.compile(r"[0-9]{1,12}")
#: Unknown events say no more than that there is such a job.
_STATES: Final[Mapping[str, JobState]] = {
    "job.completed": JobState.DONE,
    "job.failed": JobState.FAILED,
}


@dataclass(frozen=True, kw_only=True)
class News:
    """What a delivery tells. A hint, no more: the service's own answer is the truth.

    Args:
        delivery_id: The same for each attempt to deliver it.
        request_id: The job.
        state: How it was, as far as the event says.
    """

    delivery_id: str
    request_id: str
    state: JobState


class Refusal(enum.Enum):
    """Why a delivery is not believed; the value is the HTTP status of the answer."""

    UNSIGNED = 401  # no signature, or another secret's
    STALE = 400  # signed too long ago, or in the future
    UNREADABLE = 422  # signed, and not what a webhook looks like


def read_delivery(
    body: bytes, headers: Mapping[str, str], *, secret: str, now_s: float
) -> News | Refusal:
    """What a delivery tells, or why it is not believed.

    Args:
        body: The raw bytes that were signed.
        headers: Names in lower case.
        secret: Shared with the service; "" believes nobody.
        now_s: Unix seconds.
    """
    stamp = headers.get(_TIMESTAMP, "").strip()
    given = headers.get(_SIGNATURE, "").strip()
    if not (secret and _UNIX.fullmatch(stamp) and given.startswith(_PREFIX)):
        return Refusal.UNSIGNED
    signed = stamp.encode() + b"." + body
    wanted = hmac.new(secret.encode(), signed, "sha256").hexdigest()
    # bytes: a header may hold anything, and texts are compared in constant time in ASCII alone
    if not hmac.compare_digest(given.removeprefix(_PREFIX).encode(), wanted.encode()):
        return Refusal.UNSIGNED
    if abs(now_s - int(stamp)) > MOST_AGE_S:
        return Refusal.STALE
    return _read_body(body)


def _read_body(body: bytes) -> News | Refusal:
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal.UNREADABLE
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(data, dict):
        return Refusal.UNREADABLE
    delivery_id, request_id = read_id(found.get("delivery_id")), read_id(data.get("job_request_id"))
    if not (delivery_id and request_id):
        return Refusal.UNREADABLE
    event = found.get("event")
    state = _STATES.get(event, JobState.RUNNING) if isinstance(event, str) else JobState.RUNNING
    return News(delivery_id=delivery_id, request_id=request_id, state=state)
