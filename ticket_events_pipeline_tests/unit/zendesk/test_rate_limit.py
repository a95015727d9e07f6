"""The pace, on a clock of our own: what may go, what waits, and what everybody who shares the quota learns."""

from __future__ import annotations

import itertools
import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.errors import LockHeldError, UsageError
from ticket_events_pipeline.zendesk.rate_limit import Wait
from ticket_events_pipeline.zendesk.shared_rate_limit import ALONE_SECONDS, Change, Exchange, Quota, Turn, in_memory_exchange
from ticket_events_pipeline_tests.support.quota_simulation import HEADER, FixedWindow, Simulation, SlidingWindow, T


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = T

    def __call__(self) -> float:
        return self.now


class Desk:
    """Several quotas that share one exchange, as processes do, and a clock."""

    def __init__(self, requests_per_minute: int = 10, *, exchange: Exchange | None = None) -> None:
        self.hand = Hand()
        self.exchange = exchange or in_memory_exchange()
        self.one, self.other = (Quota(requests_per_minute, exchange=self.exchange, clock=self.hand) for _ in range(2))

    def held(self) -> bytes | None:
        found: list[bytes | None] = []
        self.exchange(lambda content: found.append(content))
        return found[0]

    def tell(self, header: str, *, quota: Quota | None = None, status: int = 200, **headers: str) -> None:
        """A request goes and comes back with that header."""
        quota = quota or self.one
        told = {HEADER: header} if header else {}
        quota.note(gone(quota), {**told, **{name.replace("_", "-"): value for name, value in headers.items()}}, status=status)


def gone(quota: Quota) -> Turn:
    """A request that goes at once."""
    turn = quota.claim()
    assert isinstance(turn, Turn), turn
    return turn


def seconds(quota: Quota) -> float:
    """How long the quota lets wait; 0 where a request goes, which is answered without a word."""
    turn = quota.claim()
    if isinstance(turn, Wait):
        return round(turn.seconds, 3)
    quota.note(turn, {})
    return 0.0


def test_without_headers_requests_are_smooth_in_seconds_and_in_the_minute() -> None:
    """At 30 a minute: three in four seconds, thirty in sixty."""
    desk = Desk(30)
    sent = []
    for _ in range(31):
        while wait := seconds(desk.one):
            desk.hand.now += wait
        sent.append(desk.hand.now - T)
    assert sent[:4] == [0, 0, 0, pytest.approx(4.1)]
    assert max(sent[:30]) == pytest.approx(9 * 4.1)
    assert sent[30] == pytest.approx(60.1, abs=0.01)


def test_a_small_catch_up_waits_for_nothing() -> None:
    """Three pages at ten a minute."""
    desk = Desk(10)
    assert [seconds(desk.one) for _ in range(4)] == [0, 0, 0, 4.1]


def test_a_slow_answer_doesnt_bring_the_next_requests_too_near() -> None:
    """The pace counts from the answer: when the server counted the request, only it knows."""
    desk = Desk(1)
    turn = gone(desk.one)
    desk.hand.now += 7
    assert seconds(desk.one) > 0
    desk.one.note(turn, {})
    assert seconds(desk.one) == 60.1


def test_the_header_rules_where_there_is_one() -> None:
    """While something remains requests go; then the reset is waited for, and a second for its rounding."""
    desk = Desk(1)
    desk.tell("total=10; remaining=3; resets=25")
    assert [seconds(desk.one) for _ in range(4)] == [0, 0, 0, 26]
    assert desk.one.known_per_minute() == 10


def test_a_remaining_request_goes_to_one_of_two() -> None:
    """What is under way is counted against what the header says, until its answer comes."""
    desk = Desk()
    desk.tell("total=10; remaining=2; resets=25")
    first = gone(desk.one)
    second = gone(desk.other)
    desk.one.note(first, {HEADER: "total=10; remaining=1; resets=25"})
    assert seconds(desk.one) == 0.3  # the second may be the one that remained
    desk.other.note(second, {HEADER: "total=10; remaining=0; resets=25"})
    assert seconds(desk.one) == 26


def test_answers_may_overtake_each_other() -> None:
    """The one that was counted first comes last, and its larger remainder is not believed."""
    desk = Desk()
    desk.tell("total=10; remaining=9; resets=25")
    early, late = gone(desk.one), gone(desk.other)
    desk.hand.now += 1
    desk.other.note(late, {HEADER: "total=10; remaining=0; resets=24"})
    desk.hand.now += 2
    desk.one.note(early, {HEADER: "total=10; remaining=1; resets=24"})
    assert seconds(desk.one) == 25  # the later of both resets: a wait too short costs a refusal


def test_an_answer_of_a_window_that_is_over_says_nothing_of_this_one() -> None:
    """It was counted before the reset, and comes after an answer that was counted behind it."""
    desk = Desk()
    desk.tell("total=10; remaining=2; resets=1")
    early, late = gone(desk.one), gone(desk.other)
    desk.hand.now += 4
    desk.other.note(late, {HEADER: "total=10; remaining=9; resets=60"})
    desk.one.note(early, {HEADER: "total=10; remaining=0; resets=1"})
    assert [seconds(desk.one) for _ in range(10)] == [*[0] * 9, 61]


def test_without_headers_what_is_under_way_counts_too() -> None:
    """Five clients at once are no reason to send five."""
    desk = Desk(10)
    assert seconds(desk.one) == 0
    under_way = [gone(desk.one), gone(desk.other)]
    assert seconds(desk.one) == 4.1
    desk.hand.now += 6
    assert seconds(desk.one) == 0
    assert seconds(desk.one) == 4.1
    for turn in under_way:
        desk.one.release(turn)


def test_after_the_reset_one_request_asks_and_the_others_wait_for_its_answer() -> None:
    """Also at first contact. Whether the window slides, only the server knows."""
    desk = Desk(100)
    for _ in range(2):
        asking = gone(desk.one)
        assert seconds(desk.other) == 0.3
        desk.one.note(asking, {HEADER: "total=10; remaining=5; resets=5"})
        assert [seconds(desk.other) for _ in range(6)] == [0, 0, 0, 0, 0, 6]
        desk.hand.now += 6


def test_the_accounts_bucket_is_another_one() -> None:
    """Its headers change nothing."""
    desk = Desk(100)
    desk.tell("", x_rate_limit_remaining="0", ratelimit_remaining="0", ratelimit_reset="50")
    assert [seconds(desk.one) for _ in range(6)] == [0] * 6


def test_an_answer_without_header_doesnt_forget_a_running_window() -> None:
    """An edge's error page carries none, and may have been counted; after the window, our own count rules again."""
    desk = Desk(2)
    desk.tell("total=10; remaining=2; resets=30")
    assert [seconds(desk.one) for _ in range(3)] == [0, 0, 31]
    desk.hand.now += 31
    assert [seconds(desk.one) for _ in range(2)] == [0, 29.1]
    desk.hand.now += 100
    assert [seconds(desk.one) for _ in range(3)] == [0, 0, 60.1]


def test_a_request_without_answer_is_taken_for_counted() -> None:
    """It failed on the way there, or on the way back."""
    desk = Desk()
    desk.tell("total=10; remaining=1; resets=30")
    desk.one.release(gone(desk.one))
    assert seconds(desk.other) == 31


def test_an_absurd_reset_is_bounded() -> None:
    """A run isn't put to sleep by a misread header."""
    desk = Desk(1)
    desk.tell("total=10; remaining=0; resets=999999999")
    assert seconds(desk.one) == 120
    desk = Desk(1)
    desk.tell("remaining=0")
    assert seconds(desk.one) == 60


@pytest.mark.parametrize("header", ["", "total=10; remaining=7; resets=9"])
def test_after_a_refusal_everybody_waits_and_then_one_goes_alone(header: str) -> None:
    """As long as the server asks, whatever its header says."""
    desk = Desk(100)
    seconds(desk.one)
    desk.tell(header, status=429, retry_after="17")
    assert (seconds(desk.one), seconds(desk.other)) == (17, 17)
    desk.hand.now += 17
    asking = gone(desk.other)
    assert seconds(desk.one) == 0.3
    desk.other.note(asking, {HEADER: header} if header else {})
    assert seconds(desk.one) == 0


@pytest.mark.parametrize(("headers", "wait"), [({"retry_after": "0"}, 0), ({}, 60), ({"retry_after": "99999"}, 900)])
def test_a_refusal_that_says_little_or_too_much_is_bounded(headers: dict[str, str], wait: float) -> None:
    """A minute where it says nothing; a quarter of an hour where it says a day."""
    desk = Desk(100)
    desk.tell("", status=429, **headers)
    assert seconds(desk.other) == wait


def test_an_answer_from_before_the_refusal_opens_nothing() -> None:
    """It was sent before."""
    desk = Desk(100)
    seconds(desk.one)
    slow, refused = gone(desk.one), gone(desk.other)
    desk.other.note(refused, {"Retry-After": "30"}, status=429)
    desk.one.note(slow, {})
    assert seconds(desk.one) == 30


@pytest.mark.parametrize(
    ("total", "window", "requests_per_minute", "most"), [(10, 60.0, 150, 1), (10, 4.0, 600, 2), (5, 60.0, 10, 1)]
)
@pytest.mark.parametrize("clients", [1, 3])
def test_a_refusal_teaches_the_pace(total: int, window: float, requests_per_minute: int, most: int, clients: int) -> None:
    """A pace that was set too fast, or that others share, isn't run into the same wall again and again."""
    latencies = itertools.cycle([0.2, 0.1, 0.3])
    simulation = Simulation(FixedWindow(total, window), requests_per_minute, latencies, has_headers=False)
    for _ in range(clients):
        simulation.client([0.0] * (120 // clients))
    simulation.run()
    assert 1 <= simulation.refused <= most + clients - 1
    assert simulation.seconds < 1.3 * 120 / total * window + 60


def test_what_was_taught_is_told_and_forgotten_after_half_an_hour() -> None:
    """Then the set pace is tried again."""
    desk = Desk(300)
    for _ in range(10):
        seconds(desk.one)
        desk.hand.now += 1
    desk.tell("", status=429, retry_after="10")
    assert desk.other.known_per_minute() == 30
    desk.hand.now += 1801
    assert desk.other.known_per_minute() == 300


def test_a_clock_that_was_set_back_adds_no_wait() -> None:
    """By hours: no time is taken to have passed. By seconds, as clocks of several machines differ: as much as they differ."""
    for back, most in ((7200, 31), (3, 34)):
        desk = Desk()
        desk.tell("total=10; remaining=0; resets=30")
        desk.hand.now -= back
        assert seconds(desk.other) == most
    desk = Desk(1)
    seconds(desk.one)
    desk.hand.now -= 3
    assert seconds(desk.other) == 60.1


def test_who_died_between_claim_and_answer_holds_nobody_for_longer_than_a_window() -> None:
    """Not the one that asks for all, and not the last request of a window."""
    desk = Desk()
    gone(desk.one)
    assert seconds(desk.other) == 0.3
    desk.hand.now += 10
    desk.tell("total=2; remaining=1; resets=30", quota=desk.other)
    assert seconds(desk.other) == 0.3  # the dead one's may be counted, or not yet
    desk.hand.now += 31
    assert seconds(desk.other) == 0


def test_where_plenty_are_left_hardly_anything_is_exchanged() -> None:
    """Nobody waits for a disk, let alone for an object store."""
    exchanges = []

    def counted(change: Change) -> None:
        exchanges.append(1)
        exchange(change)

    exchange = in_memory_exchange()
    desk = Desk(exchange=counted)
    left = 100_000
    for _ in range(10_000):
        left -= 1
        desk.tell(f"total=100000; remaining={left}; resets=60")
    assert len(exchanges) < 20
    exchanges.clear()
    desk = Desk(100_000, exchange=counted)
    for _ in range(2_000):
        desk.tell("")
    assert len(exchanges) < 50


def test_a_block_ends_with_the_first_answer_that_others_must_know() -> None:
    """Somebody else uses the account up; or the server refuses."""
    for header, status, waited in (("total=1000; remaining=0; resets=9", 200, 10), ("", 429, 60)):
        desk = Desk()
        desk.tell("total=1000; remaining=999; resets=9")
        desk.tell("total=1000; remaining=998; resets=9")
        desk.tell(header, status=status)
        assert (seconds(desk.one), seconds(desk.other)) == (waited, waited)


def test_a_refusal_is_heard_also_by_a_block_that_was_given_back() -> None:
    """Two requests of it are under way, and both are refused."""
    desk = Desk()
    desk.tell("total=1000; remaining=999; resets=9")
    first, second = gone(desk.one), gone(desk.one)
    desk.one.note(first, {"Retry-After": "5"}, status=429)
    desk.one.note(second, {"Retry-After": "20"}, status=429)
    assert seconds(desk.other) == 20


def test_every_request_of_a_block_counts_once() -> None:
    """Also those that are answered when the block was given back."""
    desk = Desk(2000)
    assert seconds(desk.one) == 0
    first, second = gone(desk.one), gone(desk.one)
    assert first.claim is second.claim
    desk.one.release(first)
    desk.one.note(second, {})
    more = 0
    while not seconds((desk.one, desk.other)[more % 2]):
        more += 1
    assert more == 133 - 3


def test_threads_share_one_quota() -> None:
    """However many ask at once, no more go than remain."""
    desk = Desk()
    desk.tell("total=10; remaining=5; resets=9")
    found: list[Turn | Wait] = []
    threads = [threading.Thread(target=lambda: found.append(desk.one.claim())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(turn, Turn) for turn in found) == 5


def test_where_nothing_can_be_shared_the_process_counts_for_itself() -> None:
    """It says so once, and what the store says of it."""

    def failing(change: Change) -> None:
        raise UsageError("TICKET_EVENTS_ROOT: can't change it: No space left on device.")

    log: list[str] = []
    hand = Hand()
    quota = Quota(10, exchange=failing, clock=hand, log=log.append)
    quota.note(gone(quota), {HEADER: "total=10; remaining=1; resets=5"})
    assert [seconds(quota), seconds(quota)] == [0, 6]
    [line] = log
    assert "No space left" in line
    assert "counts for itself" in line


def test_a_process_that_stands_still_with_the_quota_is_waited_for_once_in_ten_minutes() -> None:
    """Not with every request: each try waits a minute for the lock."""
    tries: list[float] = []

    def held(change: Change) -> None:
        tries.append(hand.now)
        raise LockHeldError("quota.json has been held by process 7 for more than 60 s")

    hand = Hand()
    quota = Quota(1000, exchange=held, clock=hand)
    for _ in range(20):
        quota.release(gone(quota))
        hand.now += ALONE_SECONDS / 10
    assert tries == [T, T + ALONE_SECONDS]


GOOD = {
    "version": 1,
    "written_at": T,
    "claims": [["a", T - 1, 1]],
    "answered": [[T - 2, 1]],
    "bucket": [0, 10, T - 2, T + 20, T + 22],
    "closed_until": T + 30,
    "lesson": [5, T + 100],
}


def after(change: Callable[[dict[str, Any]], object]) -> bytes:
    fields = json.loads(json.dumps(GOOD))
    change(fields)
    return json.dumps(fields).encode()


def waiting(content: bytes | None) -> float:
    """What a quota makes of such a state."""
    desk = Desk()
    desk.exchange(lambda _: content)
    return seconds(desk.one)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"null",
        b"7",
        b"[" * 100_000,
        b'{"version": 1}',
        after(lambda fields: fields.update(version=2)),
        after(lambda fields: fields.update(written_at=None)),
        after(lambda fields: fields.update(written_at=True)),
        after(lambda fields: fields.update(claims=[["a", T + 10**6, 1]])),
        after(lambda fields: fields.update(claims=[["a", 10**400, 1]])),
        after(lambda fields: fields.update(answered=[[T, -1]])),
        after(lambda fields: fields.update(bucket=[0, 10, T, T, T + 10**6])),
        after(lambda fields: fields.update(bucket=[1])),
        after(lambda fields: fields.update(closed_until=math.nan)),
        after(lambda fields: fields.update(closed_until=T + 10**6)),
        after(lambda fields: fields.pop("lesson")),
    ],
    ids=repr,
)
def test_a_state_that_we_didnt_write_is_no_state(content: bytes) -> None:
    """Torn, foreign, of another version, or with moments that nobody can mean."""
    assert waiting(after(lambda fields: None)) == 30
    assert waiting(content) == 0


@given(st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_bytes_are_survived(content: bytes | str) -> None:
    """And replaced by the next answer."""
    desk = Desk()
    desk.exchange(lambda _: content if isinstance(content, bytes) else content.encode())
    desk.tell("total=10; remaining=0; resets=3")
    assert seconds(desk.other) == 4


@given(st.sampled_from(sorted(GOOD)), st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_field_may_be_anything(name: str, value: Any) -> None:
    """No wait longer than a refusal's bound, and no error."""
    assert waiting(after(lambda fields: fields.update({name: value}))) <= 900 + 10


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Simulation, float]:
    """Clients with random latencies before a server that says what is left; and the longest latency."""
    total, window = draw(st.integers(1, 30)), draw(st.sampled_from([4.0, 10.0, 60.0]))
    counter = draw(
        st.sampled_from([FixedWindow(total, window), FixedWindow(total, window, is_aligned=True), SlidingWindow(total, window)])
    )
    longest = draw(st.sampled_from([0.05, 0.5, 2.0]))
    random = draw(st.randoms(use_true_random=False))
    latencies = iter(lambda: random.uniform(0.01, longest), None)
    round_ = draw(st.sampled_from([math.ceil, math.floor, round]))
    simulation = Simulation(counter, draw(st.integers(1, 1000)), latencies, round_)
    for pauses in draw(st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.7, 3.0]), max_size=30), min_size=1, max_size=5)):
        simulation.client(pauses)
    return simulation, longest


@given(worlds())
def test_by_the_headers_no_request_is_refused_and_none_waits_for_nothing(world: tuple[Simulation, float]) -> None:
    """Whether the window is fixed or slides: a wait ends two roundings and an answer after it could, at most."""
    simulation, longest_latency = world
    simulation.run()
    assert simulation.refused == 0
    assert simulation.longest_idle_seconds <= 2.1 + longest_latency


@given(
    st.sampled_from([1, 2, 3, 4, 7, 10, 30, 150, 400]),
    st.sampled_from([0.05, 0.5, 3.0]),
    st.lists(st.lists(st.sampled_from([0.0, 0.0, 5.0]), min_size=1, max_size=30), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_by_the_set_pace_no_window_is_overdrawn(limit: int, longest: float, clients: list[list[float]], random: Any) -> None:
    """A server that counts the set pace, in any minute and in any four seconds, refuses none."""
    latencies = iter(lambda: random.uniform(0.01, longest), None)
    simulation = Simulation(SlidingWindow(limit, 60.0), limit, latencies, has_headers=False)
    for pauses in clients:
        simulation.client(pauses)
    simulation.run()
    assert simulation.refused == 0
    handled = sorted(request.handled_at for request in simulation.requests)
    burst = max(round(limit / 15), min(limit, 3))
    assert all(later - earlier > 4 for earlier, later in zip(handled, handled[burst:], strict=False))


@given(worlds(), st.integers(0, 5), st.floats(-3, 3))
def test_a_dead_client_and_clocks_that_differ_hold_nobody_for_ever(
    world: tuple[Simulation, float], dies_at: int, skew: float
) -> None:
    """Some request may be refused then; everybody gets through."""
    simulation, _ = world
    simulation.client([0.0] * 6, dies_at=dies_at, skew=skew)
    simulation.run()
    assert simulation.seconds <= 90 + len(simulation.requests) * (simulation.counter.window + 10)
