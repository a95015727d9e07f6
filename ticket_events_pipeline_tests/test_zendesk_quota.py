"""The pace, on a clock of our own."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.zendesk.quota import Quota, shared_quota

HEADER = "zendesk-ratelimit-incremental-exports"


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def claims(quota: Quota, count: int) -> list[float]:
    return [quota.claim() for _ in range(count)]


def test_without_headers_a_minute_holds_so_many_requests() -> None:
    """The window slides: each further request waits for the one that many before it."""
    hand = Hand()
    quota = Quota(3, clock=hand)
    assert claims(quota, 2) == [0, 0]
    hand.now += 20
    assert claims(quota, 3) == [0, 40, 40]
    hand.now += 100
    assert claims(quota, 1) == [0]


def test_the_header_rules_where_there_is_one() -> None:
    """While something remains requests go at once, however many there were; at zero the reset is waited for."""
    hand = Hand()
    quota = Quota(1, clock=hand)
    quota.note({HEADER: "total=10; remaining=3; resets=25"})
    assert claims(quota, 4) == [0, 0, 0, 25]
    quota.note({HEADER.upper(): "total=10; remaining=0; resets=7"})
    hand.now += 3
    assert claims(quota, 1) == [4]


def test_claims_made_while_waiting_share_the_next_window() -> None:
    """Nobody slips through before the reset, and the window after it isn't overdrawn."""
    quota = Quota(1, clock=Hand())
    quota.note({HEADER: "total=2; remaining=0; resets=5"})
    assert claims(quota, 3) == [5, 5, 65]


def test_after_the_reset_the_bucket_is_full_again() -> None:
    """The server needn't say so first."""
    hand = Hand()
    quota = Quota(1, clock=hand)
    quota.note({HEADER: "total=2; remaining=1; resets=5"})
    hand.now += 6
    assert claims(quota, 3) == [0, 0, 60]


def test_the_accounts_bucket_is_another_one() -> None:
    """Its headers change nothing."""
    quota = Quota(5, clock=Hand())
    quota.note({"x-rate-limit-remaining": "0", "ratelimit-remaining": "0", "ratelimit-reset": "50"})
    assert claims(quota, 5) == [0] * 5


def test_an_answer_without_header_doesnt_forget_a_running_window() -> None:
    """An edge's error page carries none; once the window has passed, our own count rules again."""
    hand = Hand()
    quota = Quota(2, clock=hand)
    quota.note({HEADER: "total=10; remaining=0; resets=30"})
    quota.note({})
    assert claims(quota, 1) == [30]
    hand.now += 100
    quota.note({})
    assert claims(quota, 3) == [0, 0, 60]


def test_an_absurd_reset_is_bounded() -> None:
    """A run isn't put to sleep by a misread header."""
    quota = Quota(1, clock=Hand())
    quota.note({HEADER: "total=10; remaining=0; resets=999999999"})
    assert claims(quota, 1) == [120]
    quota.note({HEADER: "remaining=0"})
    assert claims(quota, 1) == [60]


def test_a_clock_set_back_costs_two_minutes_at_most() -> None:
    """Not the hours it was set back."""
    hand = Hand()
    quota = Quota(1, clock=hand)
    claims(quota, 1)
    hand.now -= 7200
    assert claims(quota, 1) == [120]


def test_threads_share_one_account() -> None:
    """One object per account, however many ask at once."""
    found: list[Quota] = []
    threads = [threading.Thread(target=lambda: found.append(shared_quota("acme-of-this-test", 7))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(quota) for quota in found}) == 1
    assert shared_quota("acme-of-this-test", 30) is found[0]
    assert found[0].requests_per_minute == 30
    assert shared_quota("another", 7) is not found[0]


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 50), max_size=40))
def test_no_window_of_a_minute_is_ever_overdrawn(requests_per_minute: int, pauses: list[float]) -> None:
    """Whoever waits as told never sends more than the quota within any 60 seconds."""
    hand = Hand()
    quota = Quota(requests_per_minute, clock=hand)
    sent: list[float] = []
    for pause in pauses:
        hand.now += pause
        hand.now += quota.claim()
        sent.append(hand.now)
    for earlier, later in zip(sent, sent[requests_per_minute:], strict=False):
        assert later - earlier >= 60 - 1e-6
