"""Asking a few videos of a batch for captions, so that the forecast knows what is likely free."""

import logging
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from random import Random
from typing import Final

from bulk_transcribe.core.plan import CaptionProbe
from bulk_transcribe.core.ports import CaptionFetcher
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.errors import (
    APIError,
    NextSourceError,
    RetryableError,
    SourceBlockedError,
)

_log: Final = logging.getLogger(__name__)
#: Videos that are asked at most: three requests each, a fifth of what youtube.com gets a minute.
PROBED: Final = 8
#: So many in a row without an answer end the probe: it must never turn trouble into a block.
_TROUBLES: Final = 2


def chosen(video_ids: Sequence[str], number: int = PROBED) -> tuple[str, ...]:
    """So many of them, spread over the list: one of each part, drawn; the same for the same list.

    A list that is not longer is taken whole.
    """
    if len(video_ids) <= number:
        return tuple(video_ids)
    dice = Random("\n".join(video_ids))  # noqa: S311 -- a sample, no secret
    bounds = [len(video_ids) * part // number for part in range(number + 1)]
    return tuple(video_ids[dice.randrange(low, high)] for low, high in pairwise(bounds))


def probe_captions(
    video_ids: Sequence[str],
    fetcher: CaptionFetcher,
    languages: Sequence[str],
    *,
    keep: Callable[[Transcript], None],
    free_ids: Collection[str] = (),
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> CaptionProbe:
    """Ask a few of the videos for captions, one after the other.

    What is found is kept, so that a run does not fetch it again. A block ends the probe, which
    then says nothing at all; so do two videos in a row that gave no answer, but what was answered
    before counts.

    Args:
        video_ids: The videos in question, in the order of the list.
        fetcher: Asks, within its own limit.
        languages: Wanted ones.
        keep: Stores a transcript.
        free_ids: Those whose captions we have: chosen like the others, and not asked again.
        progress: Told after each video.

    Raises:
        StopBatchError, StoppedError.
    """
    asked = chosen(video_ids)
    free, paid, neither = {each for each in asked if each in free_ids}, set[str](), set[str]()
    troubles, note = 0, ""
    for number, video_id in enumerate(asked):
        if video_id in free:
            continue
        try:
            keep(fetcher.fetch(video_id, languages, Ticket(video_id=video_id)))
        except NextSourceError:
            paid.add(video_id)
        except APIError:
            neither.add(video_id)
        except SourceBlockedError as error:
            return CaptionProbe(note=error.message)
        except RetryableError as error:
            _log.info("the probe met trouble: %s", error.message)
            troubles += 1
            note = error.message
            if troubles == _TROUBLES:
                break
            continue
        else:
            free.add(video_id)
        troubles, note = 0, ""
        progress(number + 1, len(asked))
    return CaptionProbe(
        free=frozenset(free), paid=frozenset(paid), neither=frozenset(neither), note=note
    )
