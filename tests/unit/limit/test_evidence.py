"""What the numbers prove, and what they do not."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.permit import BookedPermit
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.evidence import judge_counts, judge_sources
from bulk_transcribe.limit.facts import Relation
from tests.unit.limit.service import POLL, SUBMIT, Service, independent, shared


@dataclass(frozen=True)
class Traffic:
    """Requests of us and of strangers, with the time each is under way."""

    requests: int
    per_s: float
    share_of_polls: float
    longest_delay_s: float
    strangers: float  # for each of our requests
    seed: int


traffic = st.builds(
    Traffic,
    requests=st.integers(0, 250),
    per_s=st.floats(0.5, 40),
    share_of_polls=st.floats(0, 1),
    longest_delay_s=st.floats(0.001, 20),
    strangers=st.floats(0, 2),
    seed=st.integers(0, 10_000),
)


def run(service: Service, plan: Traffic) -> list[BookedPermit]:
    """Send the traffic; what our book would hold at its end. Strangers are not in it."""
    chance = random.Random(plan.seed)
    moments: list[tuple[float, float, float, bool, bool]] = []
    at_s = 1_000.0
    for _ in range(plan.requests):
        at_s += chance.expovariate(plan.per_s)
        counted_s = at_s + chance.uniform(0, plan.longest_delay_s)
        answered_s = counted_s + chance.uniform(0, plan.longest_delay_s)
        is_poll = chance.random() < plan.share_of_polls
        moments.append((counted_s, at_s, answered_s, is_poll, True))
        if chance.random() < plan.strangers / 2:
            moments.append((counted_s, at_s, answered_s, chance.random() < 0.5, False))
    permits = []
    for number, (counted_s, sent_s, answered_s, is_poll, is_ours) in enumerate(sorted(moments)):
        kind = POLL if is_poll else SUBMIT
        status, headers = service.request(kind, counted_s)
        if is_ours:
            permits.append(
                BookedPermit(
                    permit_id=number,
                    kind=kind,
                    granted_s=sent_s,
                    answered_s=answered_s,
                    is_counted=status == 200,
                    limit=int(headers["x-ratelimit-limit"]),
                    remaining=int(headers["x-ratelimit-remaining"]),
                )
            )
    return sorted(permits, key=lambda permit: permit.granted_s)


@settings(max_examples=400, deadline=None)
@given(plan=traffic, is_sliding=st.booleans(), limit=st.integers(20, 400))
def test_one_pool_is_never_taken_for_two(*, plan: Traffic, is_sliding: bool, limit: int) -> None:
    permits = run(shared(limit, is_sliding=is_sliding), plan)
    assert judge_counts(permits, SUBMIT, POLL, window_s=60.0).relation is not Relation.INDEPENDENT


@settings(max_examples=200, deadline=None)
@given(plan=traffic, is_sliding=st.booleans(), limit=st.integers(20, 400))
def test_two_pools_without_strangers_are_never_taken_for_one(
    *, plan: Traffic, is_sliding: bool, limit: int
) -> None:
    alone = Traffic(**{**vars(plan), "strangers": 0.0})
    permits = run(independent(limit, is_sliding=is_sliding), alone)
    assert judge_counts(permits, SUBMIT, POLL, window_s=60.0).relation is not Relation.SHARED


@pytest.mark.parametrize("is_sliding", [False, True])
@pytest.mark.parametrize("strangers", [0.0, 0.1])
def test_ordinary_traffic_tells_within_half_a_minute(*, is_sliding: bool, strangers: float) -> None:
    plan = Traffic(
        requests=120,
        per_s=5.0,
        share_of_polls=0.5,
        longest_delay_s=1.0,
        strangers=strangers,
        seed=1,
    )
    apart = run(independent(is_sliding=is_sliding), plan)
    together = run(shared(is_sliding=is_sliding), plan)
    finding = judge_counts(apart, SUBMIT, POLL, window_s=60.0)
    assert finding.relation is Relation.INDEPENDENT
    assert "untouched" in finding.why
    finding = judge_counts(together, POLL, SUBMIT, window_s=60.0)
    if strangers:  # one of them may have opened the window: then nobody can tell
        assert finding.relation is not Relation.INDEPENDENT
    else:
        assert finding.relation is Relation.SHARED


def at(moments: list[tuple[float, RequestKind]], service: Service) -> list[BookedPermit]:
    """What our book holds after requests that were each under way for a fifth of a second."""
    permits = []
    for number, (at_s, kind) in enumerate(moments):
        _, headers = service.request(kind, at_s)
        permits.append(
            BookedPermit(
                permit_id=number,
                kind=kind,
                granted_s=at_s - 0.1,
                answered_s=at_s + 0.1,
                is_counted=True,
                limit=300,
                remaining=int(headers["x-ratelimit-remaining"]),
            )
        )
    return permits


@pytest.mark.parametrize("is_sliding", [False, True])
def test_the_second_look_tells_though_no_submit_follows(*, is_sliding: bool) -> None:
    """A crowd of submits uses the limit up at once: none of their answers can bear witness."""
    submits = [(1_000.0 + n / 20, SUBMIT) for n in range(100)]
    looks = [(1_006.0, POLL), (1_007.0, POLL)]
    apart = at(submits + looks, independent(is_sliding=is_sliding))
    assert judge_counts(apart[:-1], SUBMIT, POLL, window_s=60.0).relation is Relation.UNKNOWN
    assert judge_counts(apart, SUBMIT, POLL, window_s=60.0).relation is Relation.INDEPENDENT
    together = at(submits + looks, shared(is_sliding=is_sliding))
    assert judge_counts(together, SUBMIT, POLL, window_s=60.0).relation is Relation.UNKNOWN


def test_a_window_kept_in_whole_seconds_may_end_early_and_proves_nothing_then() -> None:
    """A window of 59.5 s: at its end a shared pool says "all but two" although 20 were sent."""
    service = shared()
    service.pools[SUBMIT].window_s = 59.5
    submits = [(1_000.0 + n, SUBMIT) for n in range(20)]
    permits = at([*submits, (1_059.6, POLL), (1_059.7, POLL)], service)
    assert permits[-1].remaining == 298
    assert judge_counts(permits, SUBMIT, POLL, window_s=60.0).relation is Relation.UNKNOWN


def test_a_window_that_ended_in_between_proves_nothing() -> None:
    """The trap: after the window ends the numbers look as if the other kind had cost nothing."""
    plan = [(1_000.0, SUBMIT)] + [(1_030.0 + n, POLL) for n in range(20)]
    plan += [(1_061.0, SUBMIT), (1_062.0, SUBMIT)]
    permits = at(plan, shared())
    assert permits[-1].remaining == 298  # of 23 requests it counts two
    assert judge_counts(permits, SUBMIT, POLL, window_s=60.0).relation is Relation.UNKNOWN


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("whisper", "whisper", Relation.SHARED),
        ("whisper", "jobs", Relation.INDEPENDENT),
        (None, "jobs", Relation.UNKNOWN),
        (None, None, Relation.UNKNOWN),
    ],
)
def test_names_of_pools(one: str | None, other: str | None, relation: Relation) -> None:
    assert judge_sources(one, other).relation is relation


def test_no_answers_prove_nothing() -> None:
    assert judge_counts([], SUBMIT, POLL, window_s=60.0).relation is Relation.UNKNOWN
