"""Result files behind signed addresses."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.unit.simulator.asking import Asker, Reply

#: As somebody asks who does not send the key along.
PLAIN = {"user-agent": "tests/1.0"}


def _finished(**config: Any) -> tuple[Asker, str]:
    asker = Asker(result="url", **config)
    data = asker.finished("abcdefghijk")
    assert data["result"] is None
    return asker, data["result_url"]


def _download(asker: Asker, url: str, **headers: str) -> Reply:
    parts = urlsplit(url)
    return asker.get(f"{parts.path}?{parts.query}", headers=PLAIN | headers)


def test_the_file_is_what_an_inline_result_would_be() -> None:
    asker, url = _finished()
    assert url.startswith("http://simulated/depin-result/")
    reply = _download(asker, url)
    assert reply.status == 200
    assert reply.text == Asker().finished("abcdefghijk")["result"]
    assert asker.ledger().counts["download"] == 1


def test_whoever_does_not_ask_for_inline_gets_an_address() -> None:
    data = Asker().finished("abcdefghijk", return_result_in_response="0")
    assert data["result"] is None
    assert data["result_url"]


def test_inline_may_be_forced() -> None:
    data = Asker(result="inline").finished("abcdefghijk", return_result_in_response="0")
    assert data["result"]


def test_the_key_must_not_come_along() -> None:
    asker, url = _finished()
    reply = _download(asker, url, authorization="Bearer 1|simulated")
    assert reply.status == 400
    assert "Only one auth mechanism" in reply.text


def test_an_expired_address_is_403_and_a_fresh_one_works() -> None:
    asker, url = _finished(url_expiry_s=600)
    asker.clock.advance(599)
    assert _download(asker, url).status == 200
    asker.clock.advance(1)
    reply = _download(asker, url)
    assert reply.status == 403
    assert "expired" in reply.text
    assert "xml" in reply.headers["content-type"]
    request_id = asker.ledger().jobs[0].request_id
    assert _download(asker, asker.status(request_id)["result_url"]).status == 200


def test_all_addresses_can_be_made_to_expire_at_once() -> None:
    asker, url = _finished()
    asker.faults.expire_urls_now = True
    assert _download(asker, url).status == 403
    assert asker.faults.expire_urls_now is False
    request_id = asker.ledger().jobs[0].request_id
    assert _download(asker, asker.status(request_id)["result_url"]).status == 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=86400", "X-Amz-Expires=99999"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("/depin-result/", "/depin-result/x"),
        ("X-Amz-Date=2026", "X-Amz-Date=2036"),
    ],
)
def test_a_changed_address_is_refused(old: str, new: str) -> None:
    asker, url = _finished()
    assert old in url
    reply = _download(asker, url.replace(old, new))
    assert reply.status == 403
    assert "SignatureDoesNotMatch" in reply.text


def test_only_get_is_signed() -> None:
    asker, url = _finished()
    parts = urlsplit(url)
    assert asker.post(f"{parts.path}?{parts.query}", headers=PLAIN).status == 405


def test_the_file_of_a_forgotten_job_is_gone() -> None:
    asker, url = _finished()
    asker.faults.missing_requests = {asker.ledger().jobs[0].request_id}
    assert _download(asker, url).status == 404
