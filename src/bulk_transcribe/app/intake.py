"""From arguments to a plan: read the inputs, ask for facts in batches, look up what is known."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final, TextIO

from bulk_transcribe.app.parts import Clients
from bulk_transcribe.app.probe import probe_captions
from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.app.settling import Account
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.plan import BatchPlan, CaptionProbe, PriceCurve
from bulk_transcribe.core.ports import ListingSource
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import RetryableError, SourceBlockedError
from bulk_transcribe.inputs.collect import Collected, collect
from bulk_transcribe.inputs.problem import Duplicate, Problem
from bulk_transcribe.plan.plan import make_plan
from bulk_transcribe.process import verdict
from bulk_transcribe.save.transcripts import Transcripts
from bulk_transcribe.sources.captions import captions_key

_log: Final = logging.getLogger(__name__)
#: Ids of one call to the Data API, and a few calls between two words of progress.
_BATCH: Final = 500
#: Titles and lengths hardly ever change; live states do.
_FACTS_LAST: Final = timedelta(days=7)

Progress = Callable[[str, int, int | None], None]


def silent(_what: str, _done: int, _of: int | None) -> None:
    """Nobody watches."""


@dataclass(frozen=True, kw_only=True)
class InputRequest:
    """What the user wants transcribed, as typed; see `collect` for each."""

    arguments: tuple[str, ...] = ()
    limit: int | None = None
    since: date | None = None
    url_column: str | None = None
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    most_problems: int | None = None
    prefer_playlist: bool = False
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What was understood, what was not, and what came twice."""

    items: tuple[VideoItem, ...] = ()
    problems: tuple[Problem, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    warnings: tuple[str, ...] = ()


class Intake:
    """Reads inputs and makes plans. Belongs to one thread."""

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        store: Transcripts,
        clock: Clock,
        control: RunControl,
        quotes: Quotes,
        account: Account,
    ) -> None:
        self._settings = settings
        self._quotes = quotes
        self._account = account
        self._control = control
        self._clients = clients
        self._store = store
        self._clock = clock

    def gather(
        self, request: InputRequest, *, stdin: TextIO | None, progress: Progress = silent
    ) -> Gathered:
        """Read the inputs, expand lists, and ask for titles and lengths where that is cheap."""
        listing: ListingSource = self._clients.data_api or self._clients.yt_dlp
        collected = collect(
            request.arguments or ("-",),
            stdin=stdin,
            listing=listing,
            limit=request.limit,
            since=request.since,
            prefer="playlist" if request.prefer_playlist else "video",
            url_column=request.url_column,
            columns=request.columns,
            most_problems=request.most_problems,
            strict=request.strict,
            on_progress=lambda what, done: progress(what, done, None),
            wait=self._control.sleep_s,
        )
        warnings: list[str] = []
        facts = self._facts([item.video_id for item in collected.items], progress, warnings)
        return _gathered(collected, facts, warnings)

    def plan(
        self,
        items: Sequence[VideoItem],
        keys: Callable[[str], tuple[ContentKey, ...]],
        *,
        refresh: bool = False,
        quote: bool = True,
        probe: bool = False,
        answers: CaptionProbe | None = None,
        progress: Progress = silent,
    ) -> BatchPlan:
        """Order the videos and forecast time and cost.

        Args:
            items: The videos.
            keys: Under which the store may know a video's transcript.
            refresh: What is known counts for nothing.
            quote: Ask the paid service for prices and balance (four requests).
            probe: Ask a few videos for captions, where that decides what is paid; what is found
                is stored, and known to the run.
            answers: Of an earlier probe of the same list; they count, and nobody is asked again.
            progress: Told how far the probe is.
        """
        wanted = {key: item.video_id for item in items for key in keys(item.video_id)}
        known = set() if refresh else self._store.known_keys(wanted)
        known_ids = {wanted[key] for key in known}
        hopeless = self._hopeless([item.video_id for item in items]) if quote else frozenset[str]()
        kept = {key.video_id for key in known if key.source == "captions"}
        asked = answers
        is_open = any(item.video_id not in known_ids | hopeless for item in items)
        if probe and asked is None and is_open:
            # of all videos, known or not: a half-finished list has lost its easy ones, and the same
            # ones are chosen again when some of them have been found meanwhile
            ids = [item.video_id for item in items if item.video_id not in hopeless]
            asked = self._probe(ids, kept, progress)
        if not refresh:
            known_ids |= kept
        settings = self._settings
        return make_plan(
            items,
            order=settings.order,
            slots=settings.parallel.slots,
            rate_limit_rpm=settings.rate_limit_rpm,
            known_ids=known_ids,
            price=self._price() if quote else None,
            balance_usd=self._account.known_balance_usd() if quote else None,
            max_cost_usd=settings.max_cost_usd,
            unpaid_ids=hopeless,
            probe=asked,
            sources=self._usable_sources(),
            captions_rpm=settings.captions_rpm,
        )

    def _hopeless(self, video_ids: Sequence[str]) -> frozenset[str]:
        """Those that will not be paid for, as far as their facts tell already."""
        facts = self._store.find_metadata(video_ids)
        return frozenset(
            video_id
            for video_id, fact in facts.items()
            if verdict.refusal(fact) is not None or not verdict.may_pay(fact)
        )

    def _probe(
        self,
        video_ids: Sequence[str],
        kept: set[str],
        progress: Progress,
    ) -> CaptionProbe | None:
        """Ask a few videos for captions; None where nothing depends on it.

        With captions they are free, without they have to be paid for or cannot be done.

        `kept` has the ids whose captions are stored; those that are now go into it, also where
        the probe was broken off.
        """
        settings = self._settings
        if self._usable_sources()[:1] != ("captions",):
            return None

        def keep(found: Transcript) -> None:
            self._store.save_transcript(captions_key(found.video_id, settings.languages), found)
            kept.add(found.video_id)

        return probe_captions(
            video_ids,
            self._clients.captions,
            settings.languages,
            keep=keep,
            free_ids=frozenset(kept),
            progress=lambda done, of: progress("captions of a few videos", done, of),
        )

    def _usable_sources(self) -> tuple[str, ...]:
        return tuple(
            name
            for name in self._settings.sources
            if name != "deapi" or self._clients.deapi is not None
        )

    def _facts(
        self, video_ids: Sequence[str], progress: Progress, warnings: list[str]
    ) -> dict[str, VideoMetadata]:
        """Facts that the store has, and the rest in batches where there is a key."""
        facts = self._store.find_metadata(video_ids)
        data_api = self._clients.data_api
        if data_api is None:
            return facts
        oldest_at = self._clock.now() - _FACTS_LAST
        missing = [
            video_id
            for video_id in video_ids
            if (fact := facts.get(video_id)) is None
            or fact.fetched_at is None
            or fact.fetched_at < oldest_at
        ]
        try:
            for start in range(0, len(missing), _BATCH):
                fetched = data_api.fetch(missing[start : start + _BATCH])
                self._store.save_metadata(fetched.values())
                facts |= fetched
                progress("titles and lengths", min(start + _BATCH, len(missing)), len(missing))
        except (RetryableError, SourceBlockedError) as error:
            warnings.append(f"Titles and lengths are missing for some videos: {error.message}")
            _log.warning("prefetching metadata ended early: %s", error.message)
        return facts

    def _price(self) -> PriceCurve | None:
        """The price line; None where it cannot be had or nothing is to be paid."""
        return self._quotes.curve() if "deapi" in self._settings.sources else None


def _gathered(
    collected: Collected, facts: dict[str, VideoMetadata], warnings: list[str]
) -> Gathered:
    return Gathered(
        items=tuple(_with_facts(item, facts.get(item.video_id)) for item in collected.items),
        problems=tuple(collected.problems),
        duplicates=tuple(collected.duplicates),
        warnings=tuple(warnings),
    )


def _with_facts(item: VideoItem, facts: VideoMetadata | None) -> VideoItem:
    if facts is None:
        return item
    return replace(
        item,
        title=facts.title or item.title,
        channel=facts.channel or item.channel,
        duration_s=facts.duration_s or item.duration_s,
    )
