"""`webhooks` as a user runs it: alone, until Ctrl-C."""

import signal
import socket
import time

from tests.acceptance.conftest import Command
from tests.simulated import Simulated


def test_the_receiver_listens_until_ctrl_c_and_says_what_came(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command.environ |= {
        "BULK_TRANSCRIBE_WEBHOOK_URL": "https://me.example/hooks",
        "BULK_TRANSCRIBE_WEBHOOK_SECRET": "a secret of some length",
        "BULK_TRANSCRIBE_WEBHOOK_BIND": f"127.0.0.1:{port}",
    }
    process = command.start("webhooks")
    until_s = time.monotonic() + 30
    with socket.socket() as knock:
        while knock.connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until_s
            time.sleep(0.05)
        second = command("webhooks")
        assert second.code == 2
        assert str(port) in second.err
        knock.sendall(b"POST /x HTTP/1.1\r\nHost: me\r\nContent-Length: 2\r\n\r\n{}")
        assert knock.recv(200).startswith(b"HTTP/1.1 401")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "https://me.example/hooks" in err
    assert "1 refused" in err
    assert "a secret" not in err


def test_without_an_address_it_says_what_to_set(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    ended = command("webhooks")
    assert ended.code == 2
    assert "BULK_TRANSCRIBE_WEBHOOK_URL" in ended.err
