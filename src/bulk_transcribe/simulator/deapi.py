"""deAPI as its clients see it: jobs, prices, balance and models, in versions 1 and 2."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from bulk_transcribe.simulator.catalogue import Video
from bulk_transcribe.simulator.gate import Gate
from bulk_transcribe.simulator.jobs import Job, Wish
from bulk_transcribe.simulator.messages import Answer, Asked, json_answer
from bulk_transcribe.simulator.results import result_text, signed_url
from bulk_transcribe.simulator.seeded import share
from bulk_transcribe.simulator.state import State
from bulk_transcribe.simulator.wishes import (
    LARGEST_UPLOAD,
    Endpoint,
    Reading,
    Source,
    read_fields,
    read_source,
    read_webhook,
)

STRUCTURED_MODEL: Final = "WhisperLargeV3Ct2"
_DEFAULT_MODEL: Final = "WhisperLargeV3"
#: Kinds of video that cannot be had from YouTube, and what a refused submit says.
_BAD_VIDEOS: Final[Mapping[str, str]] = {
    "private": "The video is private.",
    "gone": "The video is not available.",
    "live": "Live streams are not supported.",
    "upcoming": "The video has not been published yet.",
    "age": "The video is age-restricted.",
}
_FAILURES: Final[Mapping[str, str]] = {
    "WORKER_TIMEOUT": "The worker did not answer in time.",
    "PROCESSING_ERROR": "The media could not be processed.",
    "AGE_RESTRICTED": "The video is age-restricted.",
    "INVALID_INPUT": "The media could not be read.",
}
#: Other models of the service; a list that needs more than one page.
_OTHER_MODELS: Final = (
    "Flux1schnell", "ZImageTurbo", "Flux2Klein", "QwenImageEdit", "RealESRGAN", "Ltxv13B",
    "Ltx2Distilled", "Kokoro", "Chatterbox", "Qwen3Tts", "BgeM3", "NomicEmbed", "Florence2",
    "NanonetsOcr", "Ben2", "AceStep", "Ltx23", "FaceSwap", "WanVideo",
)  # fmt: skip


class Deapi:
    """The handlers of the paid service. Called with the state's lock held."""

    def __init__(self, state: State, gate: Gate) -> None:
        self._state = state
        self._gate = gate

    def submit(self, asked: Asked, endpoint: Endpoint) -> Answer:
        """Take a job, or say what is wrong with it."""
        reading = read_fields(asked, endpoint)
        source = read_source(reading, endpoint)
        if source is not None and source.upload and len(source.upload.content) > LARGEST_UPLOAD:
            return self._gate.error(413, source.media_id, message="Payload Too Large")
        wish = self._wish(reading, endpoint, source)
        if wish is None or reading.errors:
            return self._invalid(reading, source)
        video = wish.video
        if self._refuses_at_submit(video):
            name = endpoint.url_field or "source_url"
            reading.refuse(name, _BAD_VIDEOS[video.kind])
            return self._invalid(reading, source)
        now_s = self._state.now_s
        if not self._state.jobs.can_pay(wish, now_s):
            text = "Not enough balance."
            problems = {"balance": [text]}
            return self._gate.error(422, video.video_id, message=text, problems=problems)
        job = self._state.jobs.submit(wish, now_s)
        self._state.webhooks.expect(job)
        return json_answer({"data": {"request_id": job.request_id}})

    def price(self, asked: Asked, endpoint: Endpoint) -> Answer:
        """Quote a price, for a source or for a length."""
        reading = read_fields(asked, endpoint)
        duration_s = reading.seconds("duration_seconds")
        source = None
        if duration_s is None and not reading.errors:
            source = read_source(reading, endpoint)
            if source is not None:
                duration_s = self._state.catalogue.video(source.media_id).duration_s
        model = self._model(reading, endpoint)
        if reading.errors or duration_s is None:
            return self._invalid(reading, source)
        price_usd = self._state.jobs.price_usd(
            duration_s,
            word_level=self._ts_level(reading, model) in {"word", "char"},
            with_metadata=reading.flag("include_metadata"),
        )
        return json_answer({"data": {"price": float(price_usd)}})

    def status(self, asked: Asked, version: int) -> Answer:
        """Tell how a job is."""
        now_s = self._state.now_s
        request_id = asked.path_values["request_id"]
        job = self._state.jobs.find(request_id, now_s)
        if job is None:
            return self._gate.error(404, request_id)
        return json_answer({"data": self._status_data(job, now_s, version)})

    def balance(self, _asked: Asked, version: int) -> Answer:
        """What the account has left. Keys of the role "api" may not know."""
        if self._state.config.key_role == "api":
            text = "This API key does not have permission to perform this action."
            return self._gate.error(403, "balance", message=text, code="insufficient_permissions")
        amount = float(self._state.jobs.balance_usd(self._state.now_s))
        if version == 1 and self._state.config.envelopes == "docs":
            return json_answer({"balance": amount})
        return json_answer({"balance": amount} if version > 1 else {"data": {"balance": amount}})

    def account(self, _asked: Asked) -> Answer:
        """Who the account is."""
        plan = self._state.config.plan
        return json_answer({"data": {"id": 1, "name": "Simulated account", "account_type": plan}})

    def models(self, asked: Asked, version: int) -> Answer:
        """A page of the models. v1 pages by `per_page`, v2 by `limit`; each ignores the other."""
        size_field, usual = ("per_page", 15) if version == 1 else ("limit", 25)
        size = min(50, max(1, _whole(asked.query.get(size_field), usual)))
        number = max(1, _whole(asked.query.get("page"), 1))
        wanted = asked.query.get("filter[inference_types]", "")
        known = self._models(version, {word for word in wanted.split(",") if word})
        last = max(1, math.ceil(len(known) / size))
        path = f"{self._state.base_url}{asked.path}?page="
        links = {
            "first": f"{path}1",
            "last": f"{path}{last}",
            "prev": f"{path}{number - 1}" if number > 1 else None,
            "next": f"{path}{number + 1}" if number < last else None,
        }
        meta = {"current_page": number, "last_page": last, "per_page": size, "total": len(known)}
        page = known[(number - 1) * size : number * size]
        return json_answer({"data": page, "links": links, "meta": meta})

    def _wish(self, reading: Reading, endpoint: Endpoint, source: Source | None) -> Wish | None:
        """What is asked for; None without a source. Notes what is wrong with the fields."""
        for name in endpoint.needs:
            reading.require(name)
        model = self._model(reading, endpoint)
        include_ts = reading.flag("include_ts")
        inline = reading.flag("return_result_in_response")
        ts_level = self._ts_level(reading, model)
        with_metadata = reading.flag("include_metadata")
        webhook_url, webhook_secret = read_webhook(
            reading, endpoint, takes_http=self._state.config.webhook_http
        )
        if reading.flag("diarize"):
            reading.refuse("diarize", f"The model {model} does not support diarization.")
        if source is None:
            return None
        return Wish(
            video=self._state.catalogue.video(source.media_id),
            endpoint=endpoint.name,
            model=model,
            include_ts=include_ts,
            inline=inline if self._state.config.result == "auto" else self._always_inline(),
            ts_level=ts_level if include_ts or ts_level != "segment" else "none",
            with_metadata=with_metadata and source.upload is None,
            webhook_url=webhook_url,
            webhook_secret=webhook_secret,
        )

    def _always_inline(self) -> bool:
        return self._state.config.result == "inline"

    def _model(self, reading: Reading, endpoint: Endpoint) -> str:
        model = reading.text("model") or _DEFAULT_MODEL
        if endpoint.version > 1 and "model" not in reading.fields:
            return model  # missing, which is noted where it is required
        if model not in self._state.config.models:
            reading.refuse("model", "The selected model is invalid.")
        return model

    def _ts_level(self, reading: Reading, model: str) -> str:
        level = reading.text("ts_level") or "segment"
        if level != "segment" and (model != STRUCTURED_MODEL or level != "word"):
            reading.refuse("ts_level", "The selected ts level is invalid.")
        return level

    def _invalid(self, reading: Reading, source: Source | None) -> Answer:
        first = next(iter(reading.errors.values()))[0] if reading.errors else "Invalid."
        more = sum(map(len, reading.errors.values())) - 1
        message = f"{first} (and {more} more error{'s' if more > 1 else ''})" if more > 0 else first
        subject = source.media_id if source else first
        return self._gate.error(422, subject, message=message, problems=reading.errors)

    def _refuses_at_submit(self, video: Video) -> bool:
        when = self._state.config.bad_video
        if video.kind not in _BAD_VIDEOS or when == "job":
            return False
        chance = share(self._state.config.seed, "refused", video.video_id)
        return when == "submit" or chance < 0.5  # noqa: PLR2004 -- one or the other

    def _status_data(self, job: Job, now_s: float, version: int) -> dict[str, Any]:
        state = job.state(now_s)
        is_done, has_failed = state == "done", state == "error"
        inline = is_done and job.wish.inline
        text = result_text(self._state, job) if inline else None
        url = signed_url(self._state, job) if is_done and not inline else None
        data: dict[str, Any] = {
            "status": self._status_word(job, state, now_s),
            "preview": None,
            "result_url": url,
            "results_alt_formats": None,
            "result": text,
            "progress": self._progress(job, now_s),
        }
        failure = _FAILURES.get(job.error_code or "", "The job failed.") if has_failed else None
        if version == 1:
            return data | ({"error": failure} if has_failed else {})
        amount = float(job.charged_usd) if is_done or has_failed else None
        data |= {
            "price": {"amount": amount, "is_estimated": False},
            "error_code": job.error_code if has_failed else None,
            "error_message": failure,
        }
        if is_done:
            data["transcription"] = _about(job)
        return data

    def _status_word(self, job: Job, state: str, now_s: float) -> str:
        if self._state.config.status_words == "official" or state in {"done", "error"}:
            return state
        words = ("pending", "queued", "in_queue", "waiting")
        if state == "processing":
            words = ("processing", "in_progress", "processing", "in_progress")
        return words[int(share(self._state.config.seed, job.request_id, int(now_s)) * 4)]

    def _progress(self, job: Job, now_s: float) -> float | None:
        style = self._state.config.progress
        if style == "none":
            return None
        is_over = now_s >= job.done_at_s
        return job.progress(now_s) if style == "gradual" else 100.0 * is_over

    def _models(self, version: int, wanted: set[str]) -> list[dict[str, Any]]:
        speech = ["video2text", "audio2text", "video_file2text", "audio_file2text"]
        types = dict.fromkeys(self._state.config.models, speech)
        types |= {slug: ["txt2img"] for slug in _OTHER_MODELS}
        return [
            {
                "name": slug,
                "slug": slug,
                # v2 keys the types; an empty PHP array stands for an empty object
                "inference_types": kinds if version == 1 else {kind: {} for kind in kinds},
                "info": _model_info(slug),
                "loras": [],
                "languages": [],
            }
            for slug, kinds in types.items()
            if not wanted or wanted & set(kinds)
        ]


def _model_info(slug: str) -> object:
    if slug != STRUCTURED_MODEL:
        return []
    limits = {"timestamp_levels": ["segment", "word"]}
    return {"limits": limits, "features": {"supports_diarization": False}, "defaults": {}}


def _about(job: Job) -> dict[str, Any]:
    structured = job.wish.model == STRUCTURED_MODEL
    level = job.wish.ts_level if structured else ("segment" if job.wish.include_ts else "none")
    return {
        "language": job.wish.video.language,
        "ts_level": level,
        "diarization_available": False,
        "structured": structured,
    }


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() else otherwise


def subject_of(asked: Asked) -> str:
    """What a request is about, for the draw of faults: the job, or the source that it names."""
    if "request_id" in asked.path_values:
        return asked.path_values["request_id"]
    fields = asked.form or (asked.json if isinstance(asked.json, dict) else {})
    for name in ("source_url", "video_url", "audio_url", "duration_seconds"):
        if isinstance(fields.get(name), str | int | float):
            return str(fields[name])
    return json.dumps(sorted(fields)) if fields else asked.path
