"""`doctor --ui` as a user runs it."""

from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)


def test_the_page_of_each_session_is_compared(simulated_command: Any) -> None:
    command, _ = simulated_command
    assert command("doctor", "--ui").code == 0  # no session yet
    for links in (["https://youtu.be/jNQXAC9IVRw"], ["dQw4w9WgXcQ", "9bZkp7q19f0"]):
        assert command("run", *links, "--quiet").code == 0

    every = command("doctor", "--ui", "--json")
    assert every.code == 0, every.err
    assert every.json["ok"]
    assert [each["videos"] for each in every.json["sessions"]] == [2, 1]
    assert all(each["ok"] and not each["findings"] for each in every.json["sessions"])

    newest = command("doctor", "--ui", "--newest", "1")
    assert newest.code == 0
    assert newest.out.count("the page shows what is stored") == 1
    assert not newest.err
