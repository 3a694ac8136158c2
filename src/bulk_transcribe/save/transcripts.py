"""What was transcribed before, in any session, and what is known of the videos."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice

from sqlalchemy import Connection, select

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.transcript import ContentKey, Segment, Transcript
from bulk_transcribe.core.video import Availability, LiveState, VideoMetadata
from bulk_transcribe.save.database import Database, outlasting, upsert
from bulk_transcribe.save.tables import transcripts, video_metadata

#: Ids asked for in one statement; SQLite takes 32,766 values, PostgreSQL's driver 65,535.
_CHUNK = 1_000


class Transcripts:
    """Implements `TranscriptStore`. May be shared by all threads and used by many processes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @outlasting
    def find_transcript(self, key: ContentKey) -> Transcript | None:
        """The transcript that was saved under exactly this key, or None."""
        query = select(transcripts.c.content).where(
            *(transcripts.c[name] == value for name, value in asdict(key).items())
        )
        with self._database.read() as connection:
            content = connection.execute(query).scalar()
        return None if content is None else unpack(content)

    @outlasting
    def find_newest(self, video_id: str, source: str | None = None) -> Transcript | None:
        """The newest transcript of a video, of one source where given; None if there is none.

        For writing files again: it does not ask with which wishes it was made.
        """
        query = select(transcripts.c.content).where(transcripts.c.video_id == video_id)
        if source is not None:
            query = query.where(transcripts.c.source == source)
        with self._database.read() as connection:
            content = connection.execute(
                query.order_by(transcripts.c.saved_at.desc()).limit(1)
            ).scalar()
        return None if content is None else unpack(content)

    @outlasting
    def known_keys(self, keys: Iterable[ContentKey]) -> set[ContentKey]:
        """Those of `keys` that are saved; asked in large portions, for a forecast."""
        names = list(ContentKey.__dataclass_fields__)
        wanted = set(keys)
        found = set[ContentKey]()
        columns = [transcripts.c[name] for name in names]
        for video_ids in _portions({key.video_id for key in wanted}):
            query = select(*columns).where(transcripts.c.video_id.in_(video_ids))
            with self._database.read() as connection:
                found.update(ContentKey(**row) for row in connection.execute(query).mappings())
        return found & wanted

    @outlasting
    def save_transcript(self, key: ContentKey, transcript: Transcript) -> None:
        """Durable on return. Saving the same key again replaces it."""
        with self._database.transaction() as connection:
            put_transcript(connection, key, transcript, self._clock)

    @outlasting
    def find_metadata(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        """What is known, by id; a video of which nothing is known is not there."""
        found: dict[str, VideoMetadata] = {}
        for portion in _portions(video_ids):
            query = select(video_metadata).where(video_metadata.c.video_id.in_(portion))
            with self._database.read() as connection:
                for row in connection.execute(query).mappings():
                    facts = dict(row) | {
                        "availability": Availability(row["availability"]),
                        "live_state": LiveState(row["live_state"]),
                    }
                    found[row["video_id"]] = VideoMetadata(**facts)
        return found

    @outlasting
    def save_metadata(self, metadata: Iterable[VideoMetadata]) -> None:
        """Replace what is known of these videos. A power cut may undo it: it can be asked again."""
        newest = {facts.video_id: asdict(facts) for facts in metadata}
        if newest:
            with self._database.transaction(durable=False) as connection:
                upsert(connection, video_metadata, list(newest.values()))


def put_transcript(
    connection: Connection, key: ContentKey, transcript: Transcript, clock: Clock
) -> None:
    """Save a transcript within a transaction of the caller."""
    row = asdict(key) | {
        "content": pack(transcript),
        "characters": len(transcript.text),
        "saved_at": clock.now(),
    }
    upsert(connection, transcripts, [row])


def pack(transcript: Transcript) -> bytes:
    """The whole transcript as compressed JSON."""
    fields = {name: value for name, value in asdict(transcript).items() if name != "segments"}
    fields["segments"] = [[part.start_s, part.end_s, part.text] for part in transcript.segments]
    return zlib.compress(json.dumps(fields, separators=(",", ":")).encode("ascii"))


def unpack(content: bytes) -> Transcript:
    """The inverse of `pack`."""
    fields = json.loads(zlib.decompress(content))
    fields["segments"] = tuple(Segment(*part) for part in fields["segments"])
    return Transcript(**fields)


def _portions(video_ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(video_ids)
    while portion := list(islice(rest, _CHUNK)):
        yield portion
