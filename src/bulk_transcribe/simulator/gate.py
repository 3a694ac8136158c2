"""What stands before deAPI's own code: the edge, the key, the limits, and what goes wrong there.

The order is the one of a Laravel application behind a proxy: the edge looks at the browser's
name, then comes the key (a refused key counts against no limit), then the limit, then the work.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bulk_transcribe.simulator.messages import (
    RESET,
    Answer,
    Asked,
    html_answer,
    json_answer,
    page,
)
from bulk_transcribe.simulator.pools import Pool, refusal_headers
from bulk_transcribe.simulator.seeded import share
from bulk_transcribe.simulator.state import State

#: Answers a request; called with the state's lock held.
Handler = Callable[[Asked], Answer]

#: What the native API takes; keys with the gateway's prefix "dpn-sk-" are not of this shape.
_KEY: Final = re.compile(r"\d+\|\S+")
_TEXTS: Final[Mapping[str, Mapping[int, str]]] = {
    "laravel": {
        401: "Unauthenticated.",
        403: "This action is unauthorized.",
        404: "No query results for model.",
        500: "Server Error",
    },
    "docs": {
        401: "Unauthorized user.",
        403: "Forbidden.",
        404: "Request not found.",
        500: "Internal server error",
    },
}


@dataclass(frozen=True, kw_only=True)
class Passage:
    """How a request went.

    Args:
        answer: What goes back.
        pool: The limit that it belongs to, None where there is none.
        counted: Whether that limit was charged.
        told: Whether the caller learns what the work gave: it was done, and its answer arrives.
    """

    answer: Answer
    pool: Pool | None = None
    counted: bool = False
    told: bool = False


class Gate:
    """Lets requests to deAPI through, or not. Called with the state's lock held."""

    def __init__(self, state: State) -> None:
        self._state = state

    def error(
        self,
        status: int,
        subject: str,
        *,
        message: str | None = None,
        code: str | None = None,
        problems: Mapping[str, list[str]] | None = None,
    ) -> Answer:
        """An error in one of the two envelopes that the service is known to use.

        Args:
            status: HTTP code.
            subject: What is asked for: where shapes are mixed, it decides.
            message: Text in place of the usual one.
            code: Stable word, left out if None.
            problems: Field -> what is wrong with it.
        """
        docs = self._uses_docs_shape(status, subject)
        body: dict[str, object] = {
            "message": message or _TEXTS["docs" if docs else "laravel"].get(status, "Error")
        }
        if docs:
            listed = [{"field": name, "messages": said} for name, said in (problems or {}).items()]
            body |= {"data": None, "errors": listed, "statusCode": status}
        elif problems is not None:
            body["errors"] = problems
        if code is not None:
            body["code"] = code
        return json_answer(body, status)

    def pass_through(
        self, asked: Asked, handle: Handler, *, kind: str, endpoint: str, subject: str
    ) -> Passage:
        """Take a request through edge, key, limit and work.

        Args:
            asked: The request.
            handle: Does the work.
            kind: submit, poll, price or account.
            endpoint: Names the limit where endpoints have their own.
            subject: The video or job, for the draw of faults.
        """
        state = self._state
        is_limited = kind in {"submit", "poll", "price"} or endpoint == "account"
        pool = state.account.pool(kind, endpoint) if is_limited else None
        visit = state.visit(kind, subject)

        def happens(fault: str) -> bool:
            return state.faults.happens(fault, kind, state.config.seed, subject, visit)

        early = self._before_the_limit(asked, subject, happens)
        if early is None and happens("storm_429"):
            early = self._storm(pool)
        if early is not None:
            return Passage(answer=early, pool=pool)
        if pool is None:
            return self._work(asked, handle, subject, happens)
        verdict = pool.admit(state.now_s)
        if verdict.refused is not None:
            answer = json_answer({"message": "Too Many Attempts."}, 429, verdict.headers)
            return Passage(answer=answer, pool=pool)
        done = self._work(asked, handle, subject, happens)
        answer = done.answer
        if state.config.headers_on_success:
            answer = _with_headers(answer, verdict.headers)
        return Passage(answer=answer, pool=pool, counted=True, told=done.told)

    def _work(
        self, asked: Asked, handle: Handler, subject: str, happens: Callable[[str], bool]
    ) -> Passage:
        """Do the work, unless the server breaks before; the answer may break after."""
        if happens("server_error_500"):
            return Passage(answer=self.error(500, subject))
        answer = handle(asked)
        if happens("drop_answer_after"):
            return Passage(answer=RESET)
        if happens("html_502_after"):
            return Passage(answer=bad_gateway())
        if happens("garbage_body"):
            return Passage(answer=Answer(status=200, body=b'{"data": {"request_id": "0f'))
        return Passage(answer=answer, told=True)

    def _before_the_limit(
        self, asked: Asked, subject: str, happens: Callable[[str], bool]
    ) -> Answer | None:
        """What the edge and the key say; None lets the request pass."""
        if happens("drop_answer_before"):
            return RESET
        agent = asked.headers.get("user-agent", "")
        if not agent or agent.startswith("Python-urllib"):
            return html_answer(page("403 Forbidden", "Sorry, you have been blocked"), 403)
        return bad_gateway() if happens("html_502") else self._check_caller(asked, subject)

    def _check_caller(self, asked: Asked, subject: str) -> Answer | None:
        if "json" not in asked.headers.get("accept", "").lower():
            # Laravel sends whoever does not ask for JSON to a page
            login = f"{self._state.base_url}/login"
            return html_answer(page("Redirecting", login), 302, {"Location": login})
        if self._knows(asked.headers.get("authorization", "")):
            return None
        return self.error(401, subject)

    def _knows(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or self._state.faults.revoke_key:
            return False
        return bool(_KEY.fullmatch(key)) and self._state.config.api_key in {None, key}

    def _storm(self, pool: Pool | None) -> Answer:
        faults, clock = self._state.faults, self._state.clock
        headers = {} if pool is None else pool.headers(self._state.now_s)
        headers |= refusal_headers(faults.storm_type, faults.storm_retry_after_s, clock.now())
        return json_answer({"message": "Too Many Attempts."}, 429, headers)

    def _uses_docs_shape(self, status: int, subject: str) -> bool:
        style = self._state.config.envelopes
        if style != "mixed":
            return style == "docs"
        return share(self._state.config.seed, "envelope", status, subject) < 0.5  # noqa: PLR2004


def bad_gateway() -> Answer:
    """The page of a proxy whose server does not answer."""
    return html_answer(page("502 Bad Gateway", "cloudflare"), 502)


def _with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    if answer.reset or not headers:
        return answer
    return Answer(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        headers={**headers, **answer.headers},
    )
