"""Planted keys stay where the user put them, whatever fails around them.

The real command runs as a process with every secret setting planted, half of them in the
environment and half in `.env`, while services send the keys back, answer nonsense, or the program
itself breaks. Then everything that it left behind is searched: standard output and error, each file
of the data and output folders byte by byte, each column of the database, and the process list while
it ran.
"""

import base64
import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from bulk_transcribe.config import Settings
from tests.acceptance.conftest import Command, Finished
from tests.simulated import Simulated

LINKS = tuple(f"https://youtu.be/vid{number:08d}" for number in range(3))
SECRETS = tuple(each for each in fields(Settings) if each.metadata["secret"])
#: Letters and digits alone: the same in an address, in JSON, in HTML and in a log.
MARKS: Mapping[str, str] = {
    each.name: f"Pl4nted{each.name.replace('_', '')}Xq7" for each in SECRETS
}
VALUES: Mapping[str, str] = {
    name: {
        "deapi_api_key": f"417|{mark}",
        "proxy": f"http://someone:{mark}@127.0.0.1:9",
        "database_url": f"postgresql://someone:{mark}@127.0.0.1:9/store?sslmode=disable",
    }.get(name, mark)
    for name, mark in MARKS.items()
}
#: Where each of these is, another or the file is not read: planted in tests of their own.
NOT_TOGETHER = ("webshare_username", "webshare_password", "database_url")


def test_every_secret_setting_is_planted() -> None:
    assert {"deapi_api_key", "youtube_data_api_key", "proxy", "webshare_password"} <= set(MARKS)


class Echo(BaseHTTPRequestHandler):
    """Sends back all it was told, keys included, in the header and in the body."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = cast("EchoServer", self.server)
        server.heard.append(f"{self.path}\n{self.headers}")
        told = f"{self.path} {self.headers.get('Authorization')}"
        if server.as_html:
            body = f"<!doctype html><html><body>{told}</body></html>"
        else:
            body = json.dumps({"message": f"Refused: {told}", "error": {"message": told}})
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.send_header("X-Debug", told)
        self.send_header("Retry-After", "1")
        if server.status == 302:
            self.send_header("Location", f"http://127.0.0.1:9/?key={told.replace(' ', '+')}")
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815 -- the library's names
    do_CONNECT = do_GET  # noqa: N815 -- a proxy that refuses

    def log_message(self, *_args: object) -> None: ...


class EchoServer(ThreadingHTTPServer):
    daemon_threads = True
    status = 401
    as_html = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.heard: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_args: object) -> None:
        """Clients hang up."""


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    server = EchoServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def planted(command: Command) -> Command:
    """The command with every secret in place: every other one in `.env`."""
    command.environ |= {
        "BULK_TRANSCRIBE_LOG_LEVEL": "debug",
        "BULK_TRANSCRIBE_CLOCK_SPEED": "200",
        "BULK_TRANSCRIBE_REQUEST_TIMEOUT_S": "5",
    }
    lines = []
    for number, each in enumerate(each for each in SECRETS if each.name not in NOT_TOGETHER):
        if number % 2:
            lines.append(f"{each.metadata['env']}={VALUES[each.name]}\n")
        else:
            command.environ[each.metadata["env"]] = VALUES[each.name]
    (command.folder / ".env").write_text("".join(lines))
    return command


def _needles() -> list[bytes]:
    """The marks, and what base64 makes of them wherever they stand in its groups of three."""
    found = []
    for mark in MARKS.values():
        found.append(mark.encode())
        for shift in range(3):
            inner = base64.b64encode(b"x" * shift + mark.encode())
            found.append(inner[4:-4])
    return found


def _places(command: Command, *ends: Finished) -> Iterator[tuple[str, bytes]]:
    """Everything that was left behind; `.env` is the user's own."""
    for number, ended in enumerate(ends):
        yield f"standard output of command {number + 1}", ended.out.encode()
        yield f"standard error of command {number + 1}", ended.err.encode()
    for path in command.folder.rglob("*"):
        if path.name in {".env", "sitecustomize.py"}:
            continue
        yield f"the name {path}", str(path).encode()
        if path.is_file():
            yield str(path), path.read_bytes()
    for path in command.folder.rglob("*.sqlite3"):
        with sqlite3.connect(path) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                rows = database.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 -- its own names
                yield f"table {table}", repr(rows).encode()
        database.close()


def _leaks(command: Command, *ends: Finished) -> list[str]:
    needles = _needles()
    return [
        f"{place}: …{content[max(0, at - 60) : at + 80]!r}…"
        for place, content in _places(command, *ends)
        for needle in needles
        if (at := content.find(needle)) >= 0
    ]


def _no_traceback(*ends: Finished) -> None:
    for ended in ends:
        assert "Traceback" not in ended.out + ended.err


@contextmanager
def _process_list(process: "subprocess.Popen[str]") -> Iterator[list[bytes]]:
    """The command lines of the process and of all others, read again and again while it runs."""
    seen: list[bytes] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(path.read_bytes())
                except OSError:
                    continue
            over.wait(0.2)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        assert process.poll() is not None


def test_the_search_finds_what_is_there(command: Command) -> None:
    """Each kind of place, with a key put there on purpose."""
    mark = MARKS["deapi_api_key"]
    (command.folder / "home").mkdir()
    assert _leaks(command) == []
    (command.folder / "home" / "log").write_text(f"Bearer {mark}")
    (command.folder / "home" / "basic").write_bytes(base64.b64encode(f"user:{mark}".encode()))
    with sqlite3.connect(command.folder / "home" / "x.sqlite3") as database:
        database.execute("CREATE TABLE notes (text TEXT)")
        database.execute("INSERT INTO notes VALUES (?)", (mark,))
    database.close()
    found = "\n".join(_leaks(command, Finished(0, mark, mark)))
    for place in ("log", "basic", "table notes", "standard output", "standard error"):
        assert place in found


@pytest.mark.parametrize(
    ("status", "as_html"),
    [
        (401, 0),
        (500, 1),
        (302, 0),
        (200, 0),
    ],
)
def test_services_that_send_the_keys_back(
    planted: Command, echo: EchoServer, status: int, as_html: int
) -> None:
    echo.status, echo.as_html = status, bool(as_html)
    run = ("run", *LINKS, "--sources", "deapi", "-j", "2", "--json")
    planted.environ["YOUTUBE_API_BASE_URL"] = echo.url
    first = planted(*run)
    planted.environ["YOUTUBE_API_BASE_URL"] = "http://127.0.0.1:9"
    planted.environ |= {"DEAPI_BASE_URL": echo.url, "YOUTUBE_BASE_URL": echo.url}
    ended = planted(*(f"{word[:-1]}x" if "youtu.be" in word else word for word in run))
    heard = "\n".join(echo.heard)
    assert MARKS["deapi_api_key"] in heard, "the service was not asked: nothing was tested"
    assert MARKS["youtube_data_api_key"] in heard
    others = [planted("status", "--json")]
    if status == 401:
        others += [planted(*words) for words in (("status",), ("export",), ("doctor", "--json"))]
    assert ended.code != 0
    assert _leaks(planted, first, ended, *others) == []
    _no_traceback(first, ended, *others)


def test_commands_that_show_settings(planted: Command) -> None:
    ends = [
        planted(*words)
        for words in (("config",), ("config", "--json"), ("doctor",), ("sessions", "--json"))
    ]
    assert _leaks(planted, *ends) == []
    assert '"set"' in ends[1].out


@pytest.mark.parametrize("kind", ["refusing", "no address", "webshare"])
def test_a_bad_proxy(planted: Command, echo: EchoServer, kind: str) -> None:
    echo.status = 407
    mark = MARKS["proxy"]
    del planted.environ["DEAPI_BASE_URL"]
    planted.environ |= {
        "YOUTUBE_BASE_URL": "https://www.youtube.com",
        "BULK_TRANSCRIBE_PROXY": {
            "refusing": f"http://someone:{mark}@127.0.0.1:{echo.server_address[1]}",
            "no address": f"socks9://someone:{mark}@[",
            "webshare": "",
        }[kind],
    }
    if kind == "webshare":
        planted.environ["WEBSHARE_USERNAME"] = VALUES["webshare_username"]
        planted.environ["WEBSHARE_PASSWORD"] = VALUES["webshare_password"]
    ended = planted("run", LINKS[0], "--sources", "captions", "--when-blocked", "fail", "--json")
    doctor = planted("doctor", "--json")
    assert ended.code != 0
    assert _leaks(planted, ended, doctor, planted("status", "--json")) == []
    _no_traceback(ended, doctor)
    if kind == "refusing":
        assert echo.heard


#: Placed on the path of the command, so that a bug sits in the middle of the program.
BUG = """
import os
from {module} import {name}
def broken(self, *_args, **_kwargs):
    raise {error}("Illegal header value " + repr(os.environ) + repr(vars(self)))
{name}.{method} = broken
"""


@pytest.mark.parametrize(
    ("module", "name", "method", "error"),
    [
        ("bulk_transcribe.clients.deapi", "DeapiClient", "submit", "RuntimeError"),
        ("bulk_transcribe.clients.http", "HttpClient", "send", "KeyError"),
        ("bulk_transcribe.app.app", "App", "new_session", "TypeError"),
        ("bulk_transcribe.monitor.flusher", "StateFlusher", "_run", "RuntimeError"),
    ],
)
def test_a_bug_in_the_program(
    planted: Command,
    simulate: Callable[..., Simulated],
    module: str,
    name: str,
    method: str,
    error: str,
) -> None:
    simulated = simulate()
    key = _key_of(simulated)
    planted.environ |= simulated.environment
    planted.environ["PYTHONPATH"] = str(planted.folder / "bug")
    (planted.folder / "bug").mkdir()
    bug = BUG.format(module=module, name=name, method=method, error=error)
    (planted.folder / "bug" / "sitecustomize.py").write_text(bug)

    ended = planted("run", LINKS[0], "--sources", "deapi", "--json")

    assert _leaks(planted, ended) == []
    for place, content in _places(planted, ended):
        assert key.encode() not in content, place
    written = ended.err + "".join(
        path.read_text(errors="replace")
        for path in (planted.folder / "home").glob("*")
        if path.suffix in {".log", ".txt"}
    )
    assert "Illegal header value" in written, "the bug was never met: nothing was tested"


def _key_of(simulated: Simulated) -> str:
    return simulated.environment["DEAPI_API_KEY"]


def test_a_run_that_works_and_its_process_list(
    planted: Command, simulate: Callable[..., Simulated]
) -> None:
    simulated = simulate()
    key = _key_of(simulated)
    planted.environ |= simulated.environment
    process = planted.start("run", *LINKS, "--sources", "deapi", "-j", "3", "--json")
    with _process_list(process) as seen:
        out, err = process.communicate(timeout=55)
    ended = Finished(process.returncode, out, err)
    assert ended.code == 0, err
    assert any(b"bulk_transcribe" in line for line in seen), "nobody looked in time"
    assert not [line for line in seen for needle in [*_needles(), key.encode()] if needle in line]
    assert _leaks(planted, ended) == []
    for place, content in _places(planted, ended):
        assert key.encode() not in content, place
    summary: Any = ended.json
    assert summary["done"] == len(LINKS)


def _wait(ready: Callable[[], Any], process: "subprocess.Popen[str]") -> None:
    until_s = time.monotonic() + 30
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_a_killed_run(planted: Command, simulate: Callable[..., Simulated]) -> None:
    """The write-ahead log of the database is there still, and searched as it lies."""
    simulated = simulate()
    key = _key_of(simulated)
    planted.environ |= simulated.environment
    process = planted.start("run", *LINKS, "--sources", "deapi", "-j", "3", "--json")
    _wait(lambda: simulated.ledger()["submits"], process)
    process.kill()
    out, err = process.communicate(timeout=20)
    ended = Finished(process.returncode, out, err)
    assert _leaks(planted, ended) == []
    for place, content in _places(planted, ended):
        assert key.encode() not in content, place


def test_a_database_that_cannot_be_reached(command: Command) -> None:
    command.environ |= {
        "DATABASE_URL": VALUES["database_url"],
        "BULK_TRANSCRIBE_LOG_LEVEL": "debug",
    }
    shown = [command(name, *LINKS) for name in ("run", "plan")]
    shown += [command(name) for name in ("sessions", "doctor", "config", "status")]
    assert [each.code for each in shown] == [3, 3, 3, 1, 0, 3]
    assert "cannot be reached" in shown[0].err
    assert "someone@127.0.0.1:9/store" in shown[0].err
    assert _leaks(command, *shown) == []
    _no_traceback(*shown)
