"""Work that a page watches: its news, its result, its errors, and its end on request."""

import threading
from collections.abc import Callable

import pytest

from bulk_transcribe.errors import ConfigError, StoppedError
from bulk_transcribe.ui.background import Background, News, UnexpectedError

_SOON_S = 10.0
Tell = Callable[[str, int, int | None], None]


def test_the_result_is_there_once_it_is_over() -> None:
    may_end = threading.Event()

    def work(tell: Tell) -> int:
        tell("reading", 3, 4)
        assert may_end.wait(_SOON_S)
        return 42

    job = Background(work).start()
    assert not job.is_over
    with pytest.raises(StoppedError, match="not finished"):
        job.result()
    may_end.set()
    assert job.wait(_SOON_S)
    assert job.is_over
    assert job.result() == 42
    assert job.news == News(what="reading", done=3, of=4)


def test_none_is_a_result_too() -> None:
    job = Background(lambda _tell: None).start()
    assert job.wait(_SOON_S)
    assert job.result() is None


def test_an_error_on_purpose_comes_out_as_it_is() -> None:
    def work(_tell: Tell) -> None:
        raise ConfigError("a bad setting", next_step="mend it")

    job = Background(work).start()
    assert job.wait(_SOON_S)
    with pytest.raises(ConfigError, match="a bad setting"):
        job.result()


def test_a_bug_is_told_in_plain_words_without_its_text() -> None:
    def work(_tell: Tell) -> None:
        raise ZeroDivisionError("secret-in-a-message")

    job = Background(work).start()
    assert job.wait(_SOON_S)
    with pytest.raises(UnexpectedError) as caught:
        job.result()
    assert "ZeroDivisionError" in caught.value.message
    assert "secret-in-a-message" not in str(caught.value)


def test_cancelled_work_ends_with_its_next_news() -> None:
    began, may_tell = threading.Event(), threading.Event()

    def work(tell: Tell) -> None:
        began.set()
        assert may_tell.wait(_SOON_S)
        tell("more", 1, None)
        pytest.fail("it went on")

    job = Background(work).start()
    assert began.wait(_SOON_S)
    job.cancel()
    may_tell.set()
    assert job.wait(_SOON_S)
    with pytest.raises(StoppedError, match="You stopped this"):
        job.result()


@pytest.mark.parametrize(
    ("news", "fraction"),
    [
        (News(), None),
        (News(done=3), None),
        (News(done=0, of=0), None),
        (News(done=1, of=4), 0.25),
        (News(done=5, of=4), 1.0),
    ],
)
def test_a_share_is_told_only_where_it_is_known(news: News, fraction: float | None) -> None:
    assert news.fraction == fraction
