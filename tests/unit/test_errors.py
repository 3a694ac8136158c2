"""One table says what each family of errors leads to."""

import inspect

from bulk_transcribe import errors
from bulk_transcribe.errors import Action, BulkTranscribeError, action_for


def _families() -> list[type[BulkTranscribeError]]:
    return [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, BulkTranscribeError) and each is not BulkTranscribeError
    ]


def test_every_error_has_an_action_and_a_line_in_the_tree() -> None:
    for family in _families():
        assert action_for(family.__new__(family)) is not None, family
        assert family.__name__ in (errors.__doc__ or ""), family


def test_every_error_has_its_own_code() -> None:
    codes = [family.default_code for family in _families()]
    assert len(set(codes)) == len(set(_families()))


def test_the_nearest_family_decides() -> None:
    assert action_for(errors.NotYetAvailableError("x", video_id="v")) is Action.SKIP
    assert action_for(errors.VideoUnavailableError("x", video_id="v")) is Action.GIVE_UP
    assert action_for(errors.RateLimitError("x")) is Action.WAIT
    assert action_for(errors.ServerBusyError("x")) is Action.RETRY
    assert action_for(errors.CreditSpentError("x")) is Action.STOP_BATCH


def test_a_bug_has_no_action() -> None:
    assert action_for(KeyError("x")) is None


def test_the_briefs_four_kinds_are_families() -> None:
    assert errors.SystemError is errors.StopBatchError
    assert issubclass(errors.RateLimitError, errors.RetryableError)
    assert issubclass(errors.NetworkError, errors.RetryableError)
    assert errors.APIError is errors.VideoError


def test_an_error_reads_as_what_failed_and_what_to_do() -> None:
    error = errors.AuthError("deAPI refused the key.", next_step="Set DEAPI_API_KEY.")
    assert str(error) == "deAPI refused the key. Set DEAPI_API_KEY."
