"""What is said in a simulated video, and the shapes in which a transcript of it arrives."""

import json
import random
from dataclasses import dataclass
from typing import Final

from bulk_transcribe.simulator.seeded import dice, share

#: Words a second of ordinary speech.
WORDS_PER_S: Final = 2.3
_SHORTEST_LINE: Final = 7
_LONGEST_LINE: Final = 16
#: Of the stamped lines, the share whose end is their start, and the share whose end comes first.
_ZERO_LENGTH: Final = 0.006
_REVERSED: Final = 0.003
_HOUR_S: Final = 3600

#: Language -> openings, subjects, verbs, objects and endings; any of each makes a sentence.
_WORDS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "en": (
        ("", "", "", "So", "Now", "And then", "As you can see,", "In other words,", "Of course,"),
        (
            "everyone", "the student", "this engine", "my neighbour", "the river", "an old map",
            "the second group", "nobody here", "the whole team", "that simple rule", "the market",
        ),
        (
            "changes", "describes", "doesn't explain", "slowly moves", "has never seen", "looks at",
            "builds", "measures", "won't forget", "compares", "opens", "keeps", "carries",
        ),
        (
            "the numbers", "a quiet garden", "two different answers", "the light of the evening",
            "our first experiment", "what was left of the bridge", "a small amount of water",
            "the reason for it", "every single step", "that question", "the next chapter",
        ),
        (
            "", "", "again and again", "before the winter", "on the other side", "with great care",
            "for about ten years", "without any help", "at the end of the day", "in the city",
            "and that's all there is to it", "because it didn't work the first time",
        ),
    ),
    "de": (
        ("", "", "", "Also", "Und dann", "Wie man sieht,", "Anders gesagt,"),
        ("die Gruppe", "der alte Fluss", "unser Lehrer", "diese Maschine", "niemand", "das Team"),
        ("erklärt", "verändert", "beschreibt", "misst", "sucht", "vergisst nie", "öffnet"),
        (
            "die Zahlen", "einen stillen Garten", "zwei Antworten", "das Licht am Abend",
            "die Brücke", "den nächsten Schritt", "ein wenig Wasser", "diese Frage",
        ),
        ("", "", "immer wieder", "vor dem Winter", "ohne Hilfe", "in der Stadt", "seit Jahren"),
    ),
    "es": (
        ("", "", "", "Entonces", "Y luego", "Como ven,", "En otras palabras,"),
        ("el grupo", "la máquina", "nuestro río", "mi vecina", "nadie", "el equipo", "la regla"),
        ("explica", "cambia", "describe", "mide", "busca", "nunca olvida", "abre", "compara"),
        (
            "los números", "un jardín tranquilo", "dos respuestas", "la luz de la tarde",
            "el puente", "el próximo paso", "un poco de agua", "esa pregunta",
        ),
        ("", "", "otra vez", "antes del invierno", "sin ayuda", "en la ciudad", "con cuidado"),
    ),
}  # fmt: skip
LANGUAGES: Final = tuple(_WORDS)


@dataclass(frozen=True, slots=True)
class Line:
    """A few words and when they are spoken, in seconds from the start."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Speech:
    """All that is said, in order of time. No lines: nobody speaks."""

    video_id: str
    language: str
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """All words, one space between them."""
        return " ".join(line.text for line in self.lines)


def speak(seed: int, video_id: str, duration_s: float, language: str) -> Speech:
    """What is said in a video of that length: about 2.3 words a second, from start to end.

    A video of no length is silent.
    """
    rng = dice(seed, "speech", video_id, language)
    words = _words(rng, int(duration_s * WORDS_PER_S), _WORDS[language.partition("-")[0]])
    lines: list[Line] = []
    first = 0
    while first < len(words):
        count = rng.randint(_SHORTEST_LINE, _LONGEST_LINE)
        after = min(first + count, len(words))
        start_s, end_s = round(first / WORDS_PER_S, 2), round(after / WORDS_PER_S, 2)
        lines.append(Line(start_s, end_s, " ".join(words[first:after])))
        first = after
    return Speech(video_id, language, tuple(lines))


def _words(rng: random.Random, count: int, parts: tuple[tuple[str, ...], ...]) -> list[str]:
    words: list[str] = []
    chance = rng.random
    while len(words) < count:
        sentence = " ".join(part[int(chance() * len(part))] for part in parts).split()
        sentence[0] = sentence[0][0].upper() + sentence[0][1:]
        sentence[-1] += "?" if chance() < 0.08 else "."  # noqa: PLR2004 -- now and then one asks
        words += sentence
    return words[:count]


def stamped_text(speech: Speech, seed: int) -> str:
    """The text as WhisperLargeV3 gives it with timestamps: `[0:00 - 0:05] Words. [0:05 - ...`.

    By the video, lines are parted by a newline or a space, and times past an hour are written
    `1:02:03` or `62:03`; one in twenty videos has fractions of seconds. Now and then a range has
    no length, or ends before it starts.

    Source: two production clients' parsers; the separator and the form past an hour were never
    seen first-hand, so both of each occur.
    """
    rng = dice(seed, "stamps", speech.video_id)
    separator = "\n" if rng.random() < 0.5 else " "  # noqa: PLR2004 -- one or the other
    hours = rng.random() < 0.7  # noqa: PLR2004 -- the more likely form, more often
    fractions = rng.random() < 0.05  # noqa: PLR2004 -- one in twenty
    stamped = []
    for line in speech.lines:
        start_s, end_s = line.start_s, line.end_s
        oddity = rng.random()
        if oddity < _ZERO_LENGTH:
            end_s = start_s
        elif oddity < _ZERO_LENGTH + _REVERSED:
            start_s, end_s = end_s, start_s
        start, end = (_stamp(at_s, hours=hours, fractions=fractions) for at_s in (start_s, end_s))
        stamped.append(f"[{start} - {end}] {line.text}")
    return separator.join(stamped)


def _stamp(at_s: float, *, hours: bool, fractions: bool) -> str:
    minutes, seconds = divmod(int(at_s), 60)
    tail = f".{int(at_s * 10) % 10}" if fractions else ""
    if hours and at_s >= _HOUR_S:
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}{tail}"
    return f"{minutes}:{seconds:02}{tail}"


def structured_text(speech: Speech, seed: int, *, ts_level: str) -> str:
    """The JSON document that WhisperLargeV3Ct2 gives. `ts_level`: none, segment or word."""
    segments = [] if ts_level == "none" else [_segment(line, ts_level) for line in speech.lines]
    document = {
        "text": speech.text,
        "language": speech.language.partition("-")[0],
        "language_probability": round(0.9 + 0.1 * share(seed, "language", speech.video_id), 4),
        "ts_level": ts_level,
        "diarization_available": False,
        "segments": segments,
    }
    return json.dumps(document, ensure_ascii=False)


def _segment(line: Line, ts_level: str) -> dict[str, object]:
    segment: dict[str, object] = {
        "start": line.start_s,
        "end": line.end_s,
        "text": line.text,
        "avg_logprob": -0.2,
    }
    if ts_level == "word":
        words = line.text.split()
        each_s = (line.end_s - line.start_s) / len(words)
        segment["words"] = [
            {
                "word": word,
                "start": round(line.start_s + place * each_s, 3),
                "end": round(line.start_s + (place + 1) * each_s, 3),
                "score": 0.98,
            }
            for place, word in enumerate(words)
        ]
    return segment
