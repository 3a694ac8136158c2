"""Results of finished jobs: their text, and the object storage in which they lie.

An address is signed and good for a while. It is asked without the account's key: like S3, the
store answers 400 to a request that is authorised in two ways.
"""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final
from urllib.parse import urlencode

from bulk_transcribe.simulator.jobs import Job
from bulk_transcribe.simulator.messages import Answer, Asked, xml_answer
from bulk_transcribe.simulator.speech import stamped_text, structured_text
from bulk_transcribe.simulator.state import State

_STAMP: Final = "%Y%m%dT%H%M%SZ"


def result_text(state: State, job: Job) -> str:
    """The transcript as the job's model writes it. May be empty: nobody speaks."""
    speech = state.catalogue.speech(job.wish.video)
    if job.wish.model.endswith("Ct2"):
        return structured_text(speech, state.config.seed, ts_level=job.wish.ts_level)
    return stamped_text(speech, state.config.seed) if job.wish.include_ts else speech.text


def signed_url(state: State, job: Job) -> str:
    """An address of the job's result, good from now on for `url_expiry_s`."""
    kind = "json" if job.wish.model.endswith("Ct2") else "txt"
    path = f"/depin-result/{job.request_id}.{kind}"
    signed_at = state.clock.now().strftime(_STAMP)
    credential = f"SIMULATED{state.url_generation}/{signed_at[:8]}/pl-waw/s3/aws4_request"
    fields = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": credential,
        "X-Amz-Date": signed_at,
        "X-Amz-Expires": str(int(state.config.url_expiry_s)),
        "X-Amz-SignedHeaders": "host",
    }
    query = urlencode(fields | {"X-Amz-Signature": _signature(state, path, fields)})
    return f"{state.base_url}{path}?{query}"


def serve_result(state: State, asked: Asked) -> Answer:
    """The result behind an address, or why it is not given."""
    if "authorization" in asked.headers:
        text = "Only one auth mechanism allowed"
        return xml_answer(_error_xml("InvalidArgument", text), 400)
    names = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires")
    fields = {name: asked.query.get(name, "") for name in (*names, "X-Amz-SignedHeaders")}
    if asked.query.get("X-Amz-Signature") != _signature(state, asked.path, fields):
        return xml_answer(_error_xml("SignatureDoesNotMatch", "The signature is wrong."), 403)
    if _is_expired(state, fields):
        return xml_answer(_error_xml("AccessDenied", "Request has expired"), 403)
    request_id = asked.path_values["name"].partition(".")[0]
    job = state.jobs.find(request_id, state.now_s)
    if job is None:
        return xml_answer(_error_xml("NoSuchKey", "The specified key does not exist."), 404)
    kind = "application/json" if asked.path.endswith(".json") else "text/plain; charset=utf-8"
    return Answer(status=200, body=result_text(state, job).encode(), content_type=kind)


def _is_expired(state: State, fields: dict[str, str]) -> bool:
    generation = fields["X-Amz-Credential"].partition("/")[0].removeprefix("SIMULATED")
    signed_at = datetime.strptime(fields["X-Amz-Date"], _STAMP).replace(tzinfo=UTC)
    ends_at = signed_at + timedelta(seconds=int(fields["X-Amz-Expires"]))
    return generation != str(state.url_generation) or state.clock.now() >= ends_at


def _signature(state: State, path: str, fields: dict[str, str]) -> str:
    text = "\n".join((path, *fields.values()))
    key = str(state.config.seed).encode()
    return blake2b(text.encode(), key=key, digest_size=32).hexdigest()


def _error_xml(code: str, text: str) -> str:
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
    )
