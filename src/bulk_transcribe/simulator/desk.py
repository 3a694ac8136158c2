"""The reception of all simulated services: which request goes where, and what is noted of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bulk_transcribe.simulator.data_api import DataApi
from bulk_transcribe.simulator.deapi import Deapi, subject_of
from bulk_transcribe.simulator.gate import Gate, Passage, bad_gateway
from bulk_transcribe.simulator.ledger import RequestSeen
from bulk_transcribe.simulator.messages import (
    RESET,
    Answer,
    Asked,
    html_answer,
    json_answer,
    page,
)
from bulk_transcribe.simulator.results import serve_result
from bulk_transcribe.simulator.state import State
from bulk_transcribe.simulator.wishes import V1, V2, youtube_id
from bulk_transcribe.simulator.youtube import YouTube

_V1: Final = "/api/v1/client"
_V2: Final = "/api/v2"
_LIMITED: Final = frozenset({"submit", "poll", "price", "account"})


@dataclass(frozen=True, kw_only=True)
class Service:
    """What is done at a path.

    Args:
        path: With Starlette's placeholders.
        method: The one that it takes.
        kind: What the request counts as.
        handle: Does the work.
        endpoint: Names the limit where endpoints have their own; "" without any.
    """

    path: str
    method: str
    kind: str
    handle: Callable[[Asked], Answer]
    endpoint: str = ""


class Desk:
    """Answers every request and writes it down. Its owner holds the state's lock."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._gate = Gate(state)
        self.services = self._services()
        self.elsewhere = Service(path="/{rest:path}", method="", kind="other", handle=self._unknown)

    def answer(self, asked: Asked, service: Service) -> tuple[Answer, float]:
        """The answer, and the seconds that it is held back."""
        state = self._state
        if state.faults.expire_urls_now:
            state.faults.expire_urls_now = False
            state.url_generation += 1
        at_s = state.now_s = state.clock.now_s()  # one moment for all that is decided
        if service.method and asked.method != service.method:
            message = f"The {asked.method} method is not supported for route {asked.path}."
            passage = _free(json_answer({"message": message}, 405, {"Allow": service.method}))
            service = self.elsewhere
        elif service.kind in _LIMITED:
            passage = self._gate.pass_through(
                asked,
                service.handle,
                kind=service.kind,
                endpoint=service.endpoint,
                subject=subject_of(asked),
            )
            if service.kind == "poll" and passage.told:
                state.jobs.told(asked.path_values["request_id"], at_s)
        else:
            passage = _free(self._answer_freely(asked, service))
        self._note(asked, service, passage, at_s)
        slow = state.faults.strikes("slow_answer_s", service.kind)
        return passage.answer, state.faults.slow_answer_s if slow else 0.0

    def _answer_freely(self, asked: Asked, service: Service) -> Answer:
        """Answer where no limit counts. The faults of deAPI strike here only if told to."""
        state = self._state
        subject = f"{asked.path}?{asked.query_text}"
        visit = state.visit(f"free:{service.kind}", subject)

        def happens(fault: str) -> bool:
            return state.faults.happens(fault, service.kind, state.config.seed, subject, visit)

        if happens("drop_answer_before"):
            return RESET
        if happens("html_502"):
            return bad_gateway()
        if happens("server_error_500"):
            return html_answer(page("500 Internal Server Error"), 500)
        answer = service.handle(asked)
        if happens("drop_answer_after"):
            return RESET
        if happens("html_502_after"):
            return bad_gateway()
        return Answer(status=200, body=b'{"') if happens("garbage_body") else answer

    def _note(self, asked: Asked, service: Service, passage: Passage, at_s: float) -> None:
        pool = passage.pool
        seen = RequestSeen(
            at_s=at_s,
            kind=service.kind,
            method=asked.method,
            path=asked.path,
            status=None if passage.answer.reset else passage.answer.status,
            counted=passage.counted,
            pool=pool.name if pool else None,
            video_id=self._video_of(asked, service.kind, at_s),
        )
        self._state.book.note(seen, pool.limit_rpm if pool else None)

    def _video_of(self, asked: Asked, kind: str, at_s: float) -> str | None:
        """The video that a request is about, where it is about one."""
        if kind == "submit":
            return youtube_id(subject_of(asked))
        if kind == "poll":
            job = self._state.jobs.find(asked.path_values["request_id"], at_s)
            return job.wish.video.video_id if job else None
        if kind == "player":
            video_id = asked.json.get("videoId") if isinstance(asked.json, dict) else None
            return video_id if isinstance(video_id, str) else None
        return asked.query.get("v") if kind in {"watch", "timedtext"} else None

    def _services(self) -> tuple[Service, ...]:
        return (*self._deapi_services(), *self._other_services())

    def _deapi_services(self) -> list[Service]:
        deapi = Deapi(self._state, self._gate)
        endpoints = {f"{_V1}/{name}": endpoint for name, endpoint in V1.items()}
        endpoints[f"{_V2}/audio/transcriptions"] = V2
        found: list[Service] = []
        for path, endpoint in endpoints.items():
            quote = "price-calculation" if endpoint.version == 1 else "price"
            submit, price = (
                partial(deapi.submit, endpoint=endpoint),
                partial(deapi.price, endpoint=endpoint),
            )
            found += [
                _deapi("POST", path, "submit", submit, endpoint.name),
                _deapi("POST", f"{path}/{quote}", "price", price, endpoint.name),
            ]
        for version, prefix, jobs, balance in (
            (1, _V1, "request-status", "balance"),
            (2, _V2, "jobs", "account/balance"),
        ):
            status = partial(deapi.status, version=version)
            found += [
                _deapi("GET", f"{prefix}/{jobs}/{{request_id}}", "poll", status, "jobs"),
                _deapi(
                    "GET",
                    f"{prefix}/{balance}",
                    "account",
                    partial(deapi.balance, version=version),
                    "balance",
                ),
                _deapi(
                    "GET",
                    f"{prefix}/models",
                    "account",
                    partial(deapi.models, version=version),
                    "models",
                ),
            ]
        return [*found, _deapi("GET", f"{_V2}/account", "account", deapi.account, "account")]

    def _other_services(self) -> tuple[Service, ...]:
        youtube, data_api = YouTube(self._state), DataApi(self._state)
        results = partial(serve_result, self._state)
        get, post = "GET", "POST"
        return (
            Service(path="/depin-result/{name}", method=get, kind="download", handle=results),
            Service(
                path="/youtube/v3/{resource}", method=get, kind="data_api", handle=data_api.answer
            ),
            Service(path="/watch", method=get, kind="watch", handle=youtube.watch),
            Service(path="/youtubei/v1/player", method=post, kind="player", handle=youtube.player),
            Service(path="/api/timedtext", method=get, kind="timedtext", handle=youtube.timedtext),
            Service(path="/login", method=get, kind="other", handle=_login),
        )

    def _unknown(self, asked: Asked) -> Answer:
        """Laravel's answer to a route that is not there, in the API; a plain page elsewhere."""
        if asked.path.startswith("/api/"):
            route = asked.path.strip("/")
            return self._gate.error(404, route, message=f"The route {route} could not be found.")
        return html_answer(page("404 Not Found"), 404)


def _deapi(
    method: str, path: str, kind: str, handle: Callable[[Asked], Answer], endpoint: str
) -> Service:
    return Service(path=path, method=method, kind=kind, handle=handle, endpoint=endpoint)


def _free(answer: Answer) -> Passage:
    return Passage(answer=answer)


def _login(_asked: Asked) -> Answer:
    """Where somebody lands who forgot to ask for JSON."""
    return html_answer(page("Log in", "Sign in to continue."))
