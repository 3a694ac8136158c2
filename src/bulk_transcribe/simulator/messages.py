"""A request and an answer as plain values, so that every decision can be made without a socket."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file in a form."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came in. Header names in lower case."""

    method: str
    path: str
    query_text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    path_values: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def query(self) -> dict[str, str]:
        """Query field -> value; the last of equals."""
        return dict(parse_qsl(self.query_text, keep_blank_values=True))

    @property
    def content_type(self) -> str:
        """The body's type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def json(self) -> Any:
        """The body read as JSON, None where it is not JSON or not sent as such."""
        if self.content_type != "application/json":
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def form(self) -> dict[str, str | Upload] | None:
        """The fields of a multipart form, None where the body is none."""
        if self.content_type != "multipart/form-data":
            return None
        return _read_form(self.headers["content-type"], self.body)


def _read_form(content_type: str, body: bytes) -> dict[str, str | Upload] | None:
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        return None
    fields: dict[str, str | Upload] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            return None
        file_name = part.get_filename()
        if file_name is None:
            fields[name] = payload.decode(errors="replace")
        else:
            kind = part.get_content_type()
            fields[name] = Upload(name=file_name, content_type=kind, content=payload)
    return fields


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back.

    Args:
        status: HTTP code.
        body: As it goes out.
        headers: Further headers.
        reset: Cut the connection instead of answering.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False


#: The connection is cut instead of an answer.
RESET = Answer(status=0, reset=True)


def json_answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """An answer in JSON."""
    return Answer(status=status, body=json.dumps(body).encode(), headers=headers or {})


def html_answer(html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A web page."""
    kind = "text/html; charset=utf-8"
    return Answer(status=status, body=html.encode(), content_type=kind, headers=headers or {})


def xml_answer(xml: str, status: int = 200) -> Answer:
    """An XML document."""
    kind = "text/xml; charset=utf-8"
    return Answer(status=status, body=xml.encode(), content_type=kind)


def page(title: str, text: str = "") -> str:
    """A small HTML page, as a proxy shows it."""
    return (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n"
        f"<body><center><h1>{title}</h1></center><p>{text}</p></body></html>\n"
    )


def lower_names(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers with their names in lower case; the last of equals."""
    return {name.lower(): value for name, value in headers}
