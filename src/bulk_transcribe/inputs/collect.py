"""From arguments to videos: reads files, expands lists, and keeps each video once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO

from bulk_transcribe.clients.safe_text import short
from bulk_transcribe.core.ports import ListingSource
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import (
    APIError,
    BulkTranscribeError,
    InputError,
    NextSourceError,
    RetryableError,
    SourceBlockedError,
)
from bulk_transcribe.inputs.entry import Entries, Wanted
from bulk_transcribe.inputs.links import ChannelLink, PlaylistLink, Prefer, VideoLink
from bulk_transcribe.inputs.problem import Duplicate, Problem
from bulk_transcribe.inputs.readers import is_known_suffix, missing_file, read_file, read_stdin
from bulk_transcribe.inputs.url import read_link

#: Told what is being read and how many videos were found in all so far.
OnProgress = Callable[[str, int], None]
#: Videos between two words of progress; a page of a list has 50 or 100.
_TELL_EVERY: Final = 50
#: Seconds before a list is asked for again, where the service does not say; the last try is final.
_PAUSES_S: Final = (2.0, 8.0)
#: Nobody waits longer than this for one list, whatever the service says.
_LONGEST_PAUSE_S: Final = 60.0
_NO_COLUMNS: Final[Mapping[str, str]] = MappingProxyType({})
#: What may go wrong with one list while others can still be read.
_LIST_TROUBLE: Final = (
    InputError,
    RetryableError,
    APIError,
    NextSourceError,
    SourceBlockedError,
)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What the arguments ask for.

    Args:
        items: The videos in input order, each once.
        problems: What could not be understood or listed.
        duplicates: Videos that were asked for again.
        is_limited: Whether the limit was reached, so that later input was not looked at.
    """

    items: tuple[VideoItem, ...] = ()
    problems: tuple[Problem, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    is_limited: bool = False


def _silent(_what: str, _done: int) -> None:
    """Nobody watches."""


def collect(  # noqa: PLR0913 -- the input options of the command line, each by name
    arguments: Iterable[str],
    *,
    stdin: TextIO | None = None,
    listing: ListingSource | None = None,
    limit: int | None = None,
    since: date | None = None,
    prefer: Prefer = "video",
    url_column: str | None = None,
    columns: Mapping[str, str] = _NO_COLUMNS,
    most_problems: int | None = None,
    strict: bool = False,
    on_progress: OnProgress = _silent,
    wait: Callable[[float], None] | None = None,
) -> Collected:
    """Read everything that the arguments name.

    A line, a file or a list that cannot be used becomes a problem, and the rest goes on. A video
    that comes again is a duplicate: the first one stays, and takes over columns that it lacks. A
    playlist or channel that comes again is not asked for a second time.

    Args:
        arguments: Links, ids, files, or "-" for standard input. None at all give nothing.
        stdin: What "-" reads; None where there is none.
        listing: Expands playlists and channels; without it each of them is a problem.
        limit: Most videos in all; reading ends when there are as many. 0 reads nothing.
        since: Leave out videos of playlists and channels that are known to be older. Videos
            that are named one by one stay: whoever names them wants them.
        prefer: What a watch link that also names a playlist stands for.
        url_column: Spreadsheet column or JSON field of the links.
        columns: The same for single arguments, by argument.
        most_problems: Give up when there are more, which is a wrong file; None bears any number.
        strict: Raise the first problem instead of collecting it.
        on_progress: Told from time to time what is read and how many videos there are.
        wait: Waits so many seconds before a list that broke off is asked for again, twice at
            most; None asks once.

    Raises:
        InputError: the first problem, with `strict`; or more than `most_problems`.
        AuthError, StoppedError: no further list could be read either.
        RetryableError, SourceBlockedError: a list failed, with `strict`.
    """
    basket = _Basket(limit=limit, strict=strict, most_problems=most_problems)
    lists = _Lists(listing, limit=limit, since=since, wait=wait)
    for number, argument in enumerate(arguments, start=1):
        if basket.is_full:
            break
        column = columns.get(argument, url_column)
        for entry in _read_argument(argument, number, stdin, column, prefer):
            if isinstance(entry, Problem):
                basket.add_problem(entry)
            else:
                _take(entry, basket, lists, on_progress)
            if basket.is_full:
                break
        on_progress(short(argument, 80), len(basket.items))
    return basket.contents()


def _take(entry: Wanted, basket: "_Basket", lists: "_Lists", on_progress: OnProgress) -> None:
    """Put what an entry asks for into the basket."""
    link = entry.link
    if isinstance(link, VideoLink):
        basket.add(VideoItem(video_id=link.video_id, origin=entry.place, extra=entry.extra))
        if len(basket.items) % _TELL_EVERY == 0:
            on_progress(entry.origin, len(basket.items))
        return
    found = 0
    try:
        for found, item in enumerate(lists.videos(link), start=1):
            basket.add(replace(item, extra=entry.extra) if entry.extra else item)
            if basket.is_full:
                break
            if found % _TELL_EVERY == 0:
                on_progress(_name_of(link), len(basket.items))
    except _LIST_TROUBLE as error:
        basket.add_list_trouble(error, link, entry, found)


def _read_argument(
    argument: str, number: int, stdin: TextIO | None, url_column: str | None, prefer: Prefer
) -> Entries:
    """What one argument asks for. A link or an id comes before a file of the same name."""
    origin = f"argument {number}"
    try:
        if argument.strip() == "-":
            yield from read_stdin(_given(stdin), url_column=url_column, prefer=prefer)
            return
        try:
            link = read_link(argument, prefer=prefer)
        except InputError as not_a_link:
            yield from _read_path(argument, not_a_link, url_column, prefer)
        else:
            yield Wanted(link=link, origin=origin)
    except InputError as error:
        yield Problem.about(error, argument, origin, None)


def _given(stdin: TextIO | None) -> TextIO:
    if stdin is None:
        raise InputError("There is no standard input here.", code="bad_file")
    return stdin


def _read_path(
    argument: str, not_a_link: InputError, url_column: str | None, prefer: Prefer
) -> Entries:
    """What the file asks for that an argument names.

    Raises:
        InputError: there is no such file, or it cannot be used; where the argument does not look
            like a file's name, what is wrong with it as a link.
    """
    path = Path(argument)
    try:
        exists = bool(argument.strip()) and path.exists()
    except (OSError, ValueError):  # longer than a name can be, or with a NUL
        exists = False
    if exists:
        yield from read_file(path, url_column=url_column, prefer=prefer)
    elif "://" not in argument and is_known_suffix(path.suffix):
        raise missing_file(argument)
    elif not_a_link.code == "not_a_link" and "://" not in argument:
        raise InputError(
            "This is neither a YouTube link, nor a video id, nor a file that exists.",
            next_step=not_a_link.next_step,
            code="not_a_link",
        )
    else:
        raise not_a_link


def _name_of(link: PlaylistLink | ChannelLink) -> str:
    if isinstance(link, PlaylistLink):
        return f"playlist {link.playlist_id}"
    return f"channel {link.channel}"


class _Lists:
    """Expands lists, each once. After the source refused everyone it is not asked again."""

    def __init__(
        self,
        listing: ListingSource | None,
        *,
        limit: int | None,
        since: date | None,
        wait: Callable[[float], None] | None,
    ) -> None:
        self._listing = listing
        self._limit = limit
        self._since = since
        self._wait = wait
        self._asked: set[PlaylistLink | ChannelLink] = set()
        self._blocked: SourceBlockedError | None = None

    def videos(self, link: PlaylistLink | ChannelLink) -> Iterator[VideoItem]:
        """The videos of a list as they come; none if it was asked for before."""
        if self._listing is None:
            raise InputError(
                "Playlists and channels cannot be listed here.",
                next_step="Give the links of the videos.",
                code="no_listing",
            )
        if link in self._asked:
            return
        self._asked.add(link)
        if self._blocked is not None:
            raise self._blocked
        try:
            yield from self._patiently(self._listing, link)
        except SourceBlockedError as error:
            self._blocked = error
            raise

    def _patiently(
        self, listing: ListingSource, link: PlaylistLink | ChannelLink
    ) -> Iterator[VideoItem]:
        """The videos; a list that breaks off is read again from its start, and goes on there."""
        given: set[str] = set()
        for pause_s in (*_PAUSES_S, None):
            try:
                for item in self._ask(listing, link):
                    if item.video_id not in given:
                        given.add(item.video_id)
                        yield item
            except RetryableError as error:
                if pause_s is None or self._wait is None:
                    raise
                wanted_s = pause_s if error.retry_after_s is None else error.retry_after_s
                self._wait(min(wanted_s, _LONGEST_PAUSE_S))
            else:
                return

    def _ask(self, listing: ListingSource, link: PlaylistLink | ChannelLink) -> Iterable[VideoItem]:
        # the limit in whole: some of the list may be there already, and those do not count
        if isinstance(link, PlaylistLink):
            return listing.playlist(link.playlist_id, limit=self._limit, since=self._since)
        return listing.channel(link.channel, limit=self._limit, since=self._since)


class _Basket:
    """Videos by id, problems and duplicates in the order in which they came."""

    def __init__(self, *, limit: int | None, strict: bool, most_problems: int | None) -> None:
        self._limit = limit
        self._strict = strict
        self._most_problems = most_problems
        self.items: dict[str, VideoItem] = {}
        self._problems: list[Problem] = []
        self._duplicates: list[Duplicate] = []

    @property
    def is_full(self) -> bool:
        return self._limit is not None and len(self.items) >= self._limit

    def add(self, item: VideoItem) -> None:
        """Add a video; one that is there already only gives what the first one lacks."""
        first = self.items.get(item.video_id)
        if first is None:
            self.items[item.video_id] = item
            return
        self._duplicates.append(
            Duplicate(video_id=item.video_id, first_origin=first.origin, origin=item.origin)
        )
        self.items[item.video_id] = _merged(first, item)

    def add_problem(self, problem: Problem) -> None:
        if self._strict:
            raise problem.as_error()
        if self._most_problems is not None and len(self._problems) >= self._most_problems:
            raise InputError(
                f"More than {self._most_problems:,} lines are not links; the last one: "
                f"{problem.place}.",
                next_step="Check whether this is the right file, or the right column.",
                code="too_many_problems",
            )
        self._problems.append(problem)

    def add_list_trouble(
        self,
        error: BulkTranscribeError,
        link: PlaylistLink | ChannelLink,
        entry: Wanted,
        found: int,
    ) -> None:
        """A list that could not be read, or not to its end."""
        if self._strict and not isinstance(error, InputError):
            raise error
        problem = Problem.about(error, _name_of(link), entry.origin, entry.line)
        if found:
            problem = replace(
                problem,
                message=f"Only the first {found:,} videos could be listed: {problem.message}",
            )
        if isinstance(error, RetryableError) and not problem.suggestion:
            problem = replace(
                problem, suggestion="Give it again later; what is done by then stays done."
            )
        self.add_problem(problem)

    def contents(self) -> Collected:
        return Collected(
            items=tuple(self.items.values()),
            problems=tuple(self._problems),
            duplicates=tuple(self._duplicates),
            is_limited=self.is_full,
        )


def _merged(first: VideoItem, again: VideoItem) -> VideoItem:
    """The first video with the columns and facts that only the second one has."""
    extra: Mapping[str, str] = first.extra
    if again.extra:
        new = {name: text for name, text in again.extra.items() if name not in extra}
        extra = {**extra, **new} if new else extra
    return replace(
        first,
        title=first.title or again.title,
        channel=first.channel or again.channel,
        duration_s=first.duration_s if first.duration_s is not None else again.duration_s,
        extra=extra,
    )
