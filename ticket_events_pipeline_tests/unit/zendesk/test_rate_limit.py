"""The rate limit on a simulated clock: which requests are sent, which wait, and how processes share it."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Instant
from ticket_events_pipeline.errors import LockHeldError, UsageError
from ticket_events_pipeline.zendesk.rate_limit import Wait
from ticket_events_pipeline.zendesk.shared_rate_limit import (
    ALONE_SECONDS,
    PLENTY,
    Change,
    Exchange,
    Quota,
    Turn,
    in_memory_exchange,
)
from ticket_events_pipeline_tests.support.quota_simulation import HEADER, Bucket, FixedWindow, Simulation, SlidingWindow, T


class ManualClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = T

    def __call__(self) -> float:
        return self.now


class TwoProcesses:
    """Two quotas that share one exchange, as processes do, and a clock."""

    def __init__(self, requests_per_minute: int = 10, *, exchange: Exchange | None = None) -> None:
        self.clock = ManualClock()
        self.exchange = exchange or in_memory_exchange()
        self.one, self.other = (Quota(requests_per_minute, exchange=self.exchange, clock=self.clock) for _ in range(2))

    def held(self) -> bytes | None:
        found: list[bytes | None] = []
        self.exchange(lambda content: found.append(content))
        return found[0]

    def answer(self, header: str, *, quota: Quota | None = None, status: int = 200, **headers: str) -> None:
        """Send a request and answer it with that header."""
        quota = quota or self.one
        quota_header = {HEADER: header} if header else {}
        quota.note(
            sent(quota), {**quota_header, **{name.replace("_", "-"): value for name, value in headers.items()}}, status=status
        )


def sent(quota: Quota) -> Turn:
    """A request that may go at once."""
    turn = quota.claim()
    assert isinstance(turn, Turn), turn
    return turn


def seconds(quota: Quota) -> float:
    """How long the next request has to wait; 0 if it may go, and then it is answered without headers."""
    turn = quota.claim()
    if isinstance(turn, Wait):
        return round(turn.seconds, 3)
    quota.note(turn, {})
    return 0.0


def test_without_headers_requests_are_spread_over_the_minute() -> None:
    """At 30 a minute: three in four seconds, thirty in sixty."""
    shared = TwoProcesses(30)
    sent_at = []
    for _ in range(31):
        while wait := seconds(shared.one):
            shared.clock.now += wait
        sent_at.append(shared.clock.now - T)
    assert sent_at[:4] == [0, 0, 0, pytest.approx(4.1)]
    assert max(sent_at[:30]) == pytest.approx(9 * 4.1)
    assert sent_at[30] == pytest.approx(60.1, abs=0.01)


def test_a_fetch_of_three_pages_does_not_wait() -> None:
    """The pace is ten requests a minute."""
    shared = TwoProcesses(10)
    assert [seconds(shared.one) for _ in range(4)] == [0, 0, 0, 4.1]


def test_the_pace_counts_from_the_answer_not_from_the_request() -> None:
    """The server may have counted the request at any moment between them."""
    shared = TwoProcesses(1)
    turn = sent(shared.one)
    shared.clock.now += 7
    assert seconds(shared.one) > 0
    shared.one.note(turn, {})
    assert seconds(shared.one) == 60.1


def test_the_server_header_overrides_the_configured_pace() -> None:
    """Requests go while any are left; then they wait for the reset, and one second more for its rounding."""
    shared = TwoProcesses(1)
    shared.answer("total=10; remaining=3; resets=25")
    assert [seconds(shared.one) for _ in range(4)] == [0, 0, 0, 26]
    assert shared.one.known_per_minute() == 10


def test_the_last_request_goes_to_one_of_two_processes() -> None:
    """Requests in flight are taken off what the header says, until they are answered."""
    shared = TwoProcesses()
    shared.answer("total=10; remaining=2; resets=25")
    first = sent(shared.one)
    second = sent(shared.other)
    shared.one.note(first, {HEADER: "total=10; remaining=1; resets=25"})
    assert seconds(shared.one) == 0.3  # the second may have used it up
    shared.other.note(second, {HEADER: "total=10; remaining=0; resets=25"})
    assert seconds(shared.one) == 26


def test_an_answer_that_was_overtaken_restores_nothing() -> None:
    """The request that the server counted first is answered last, with the larger remainder."""
    shared = TwoProcesses()
    shared.answer("total=10; remaining=9; resets=25")
    early, late = sent(shared.one), sent(shared.other)
    shared.clock.now += 1
    shared.other.note(late, {HEADER: "total=10; remaining=0; resets=24"})
    shared.clock.now += 2
    shared.one.note(early, {HEADER: "total=10; remaining=1; resets=24"})
    assert seconds(shared.one) == 25  # the later of both resets: too short a wait costs a refusal


def test_a_late_answer_from_the_previous_window_is_ignored() -> None:
    """It was counted before the reset, and arrives after an answer that was counted after the reset."""
    shared = TwoProcesses()
    shared.answer("total=10; remaining=2; resets=1")
    early, late = sent(shared.one), sent(shared.other)
    shared.clock.now += 4
    shared.other.note(late, {HEADER: "total=10; remaining=9; resets=60"})
    shared.one.note(early, {HEADER: "total=10; remaining=0; resets=1"})
    assert [seconds(shared.one) for _ in range(10)] == [*[0] * 9, 61]


def test_without_headers_requests_in_flight_count_too() -> None:
    """Several clients at once don't exceed the pace."""
    shared = TwoProcesses(10)
    assert seconds(shared.one) == 0
    in_flight = [sent(shared.one), sent(shared.other)]
    assert seconds(shared.one) == 4.1
    shared.clock.now += 6
    assert seconds(shared.one) == 0
    assert seconds(shared.one) == 4.1
    for turn in in_flight:
        shared.one.release(turn)


def test_after_a_reset_one_request_goes_and_the_others_wait_for_its_answer() -> None:
    """The same applies at the start. Only the server knows whether its window slides."""
    shared = TwoProcesses(100)
    for first, second in ((shared.one, shared.other), (shared.other, shared.one)):
        asking = sent(first)
        assert seconds(second) == 0.3
        first.note(asking, {HEADER: "total=10; remaining=5; resets=5"})
        assert [seconds(second) for _ in range(6)] == [0, 0, 0, 0, 0, 6]
        shared.clock.now += 6


def test_who_had_to_wait_goes_before_who_asks_later() -> None:
    """Of what is left after a reset, one request is kept for each process that has waited; any process may take the rest."""
    shared = TwoProcesses(100)
    shared.answer("total=10; remaining=0; resets=5")
    assert [seconds(shared.other), seconds(shared.one)] == [6, 6]
    shared.clock.now += 6
    assert seconds(shared.one) == 0.3
    shared.answer("total=10; remaining=2; resets=5", quota=shared.other)
    assert seconds(shared.other) == 0  # one is kept
    assert seconds(shared.other) == 0.3
    assert seconds(shared.one) == 0
    assert seconds(shared.other) == 6


def test_a_process_that_gave_up_waiting_delays_the_others_by_five_seconds_at_most() -> None:
    """It may be dead; one that still has to wait for longer delays nobody."""
    shared = TwoProcesses(100)
    shared.answer("total=10; remaining=0; resets=5")
    assert [seconds(shared.other), seconds(shared.one)] == [6, 6]
    shared.clock.now += 10.9
    assert seconds(shared.one) == 0.3
    shared.clock.now += 0.1
    assert seconds(shared.one) == 0


def test_headers_of_the_account_wide_limit_change_nothing() -> None:
    """That limit counts other requests."""
    shared = TwoProcesses(100)
    shared.answer("", x_rate_limit_remaining="0", ratelimit_remaining="0", ratelimit_reset="50")
    assert [seconds(shared.one) for _ in range(6)] == [0] * 6


def test_an_answer_without_header_does_not_end_a_window() -> None:
    """An error page from the edge carries none; after the window, the configured pace rules again."""
    shared = TwoProcesses(2)
    shared.answer("total=10; remaining=2; resets=30")
    assert [seconds(shared.one) for _ in range(3)] == [0, 0, 31]
    shared.clock.now += 31
    assert [seconds(shared.one) for _ in range(2)] == [0, 29.1]
    shared.clock.now += 100
    assert [seconds(shared.one) for _ in range(3)] == [0, 0, 60.1]


def test_a_request_without_an_answer_counts() -> None:
    """It may have failed on the way back."""
    shared = TwoProcesses()
    shared.answer("total=10; remaining=1; resets=30")
    shared.one.release(sent(shared.one))
    assert seconds(shared.other) == 31


def test_the_wait_for_a_reset_is_bounded() -> None:
    """A wrong header must not stop a run."""
    shared = TwoProcesses(1)
    shared.answer("total=10; remaining=0; resets=999999999")
    assert seconds(shared.one) == 120
    shared = TwoProcesses(1)
    shared.answer("remaining=0")
    assert seconds(shared.one) == 60


@pytest.mark.parametrize("header", ["", "total=10; remaining=7; resets=9"])
def test_after_a_refusal_every_process_waits_and_then_one_request_goes(header: str) -> None:
    """They wait as long as `Retry-After` states, regardless of the quota header."""
    shared = TwoProcesses(100)
    seconds(shared.one)
    shared.answer(header, status=429, retry_after="17")
    assert (seconds(shared.one), seconds(shared.other)) == (17, 17)
    shared.clock.now += 17
    asking = sent(shared.one)
    assert seconds(shared.other) == 0.3
    shared.one.note(asking, {HEADER: header} if header else {})
    assert seconds(shared.other) == 0


@pytest.mark.parametrize(("headers", "wait"), [({"retry_after": "0"}, 0), ({}, 60), ({"retry_after": "99999"}, 900)])
def test_the_wait_after_a_refusal_is_bounded(headers: dict[str, str], wait: float) -> None:
    """A minute if the refusal states none; a quarter of an hour if it states a day."""
    shared = TwoProcesses(100)
    shared.answer("", status=429, **headers)
    assert seconds(shared.other) == wait


def test_an_answer_to_a_request_from_before_a_refusal_does_not_end_the_wait() -> None:
    """It says nothing about the time after the refusal."""
    shared = TwoProcesses(100)
    seconds(shared.one)
    slow, refused = sent(shared.one), sent(shared.other)
    shared.other.note(refused, {"Retry-After": "30"}, status=429)
    shared.one.note(slow, {})
    assert seconds(shared.one) == 30


def test_a_clock_that_was_set_back_adds_no_long_wait() -> None:
    """After a step of hours the shared state is dropped; a step of seconds extends the wait by as much."""
    for back, wait in ((7200, 0), (3, 34)):
        shared = TwoProcesses()
        shared.answer("total=10; remaining=0; resets=30")
        shared.clock.now -= back
        assert seconds(shared.other) == wait
    shared = TwoProcesses(1)
    seconds(shared.one)
    shared.clock.now -= 3
    assert seconds(shared.other) == 60.1


@pytest.mark.parametrize(
    ("headers", "status", "wait"),
    [
        ({HEADER: "total=10; remaining=0; resets=20"}, 200, 21),
        ({HEADER: "total=10; remaining=0"}, 200, 60),
        ({"Retry-After": "17"}, 429, 17),
        ({}, 200, 60.1),
    ],
    ids=["reset", "reset not stated", "refusal", "pace"],
)
def test_of_two_clocks_that_are_known_within_bounds_no_request_is_early(
    headers: dict[str, str], status: int, wait: float
) -> None:
    """Whichever way the bounds lie: a process that may have seen the answer late, and one that may be early."""
    clock, exchange = ManualClock(), in_memory_exchange()
    for early, late in ((0.0, 0.0), (0.3, 0.9), (1.2, 0.1)):
        one = Quota(1, exchange=exchange, shared_clock=lambda late=late: Instant(clock.now - 5, clock.now + late))
        other = Quota(1, exchange=exchange, shared_clock=lambda early=early: Instant(clock.now - early, clock.now + 5))
        one.note(sent(one), headers, status=status)
        answered_at = clock.now
        while left := seconds(other):
            clock.now += min(left, 0.5)
        assert clock.now - answered_at == pytest.approx(wait + late + early, abs=0.01)
        clock.now += 1000


def test_a_claim_whose_moment_is_known_within_bounds_counts_for_its_whole_time() -> None:
    """It ends when that time has passed for certain."""
    clock, exchange = ManualClock(), in_memory_exchange()
    one, other = (Quota(1, exchange=exchange, shared_clock=lambda: Instant(clock.now - 1, clock.now + 2)) for _ in range(2))
    sent(one)
    for wait, pause in ((0.3, 62.9), (0.3, 0.2), (0, 0)):
        assert seconds(other) == wait
        clock.now += pause


def test_a_dead_process_holds_its_claim_for_one_window_at_most() -> None:
    """Its request may have been the first one or the last one of a window."""
    shared = TwoProcesses()
    sent(shared.one)
    assert seconds(shared.other) == 0.3
    shared.clock.now += 10
    shared.answer("total=2; remaining=1; resets=30", quota=shared.other)
    assert seconds(shared.other) == 0.3  # the request of the dead process may have been counted
    shared.clock.now += 31
    assert seconds(shared.other) == 0


def test_with_plenty_left_requests_change_no_shared_file() -> None:
    """Until a process hears that fewer are left: then every process does."""
    changes: list[int] = []

    def counted(change: Change) -> None:
        changes.append(1)
        exchange(change)

    exchange = in_memory_exchange()
    shared = TwoProcesses(exchange=counted)
    for left in range(3 * PLENTY, PLENTY - 1, -1):
        shared.answer(f"total=100000; remaining={left}; resets=60")
    assert len(changes) == 2
    shared.answer("total=100000; remaining=0; resets=60")
    assert (seconds(shared.one), seconds(shared.other)) == (61, 61)


@pytest.mark.parametrize(("header", "status", "wait"), [("", 429, 60), ("total=5000; remaining=0; resets=9", 200, 10)])
def test_plenty_left_ends_with_a_refusal_or_an_empty_quota(header: str, status: int, wait: float) -> None:
    """This applies to the requests that were in flight then, too."""
    shared = TwoProcesses()
    shared.answer("total=5000; remaining=4999; resets=9")
    first, second = sent(shared.one), sent(shared.one)
    for turn in (first, second):
        shared.one.note(turn, {HEADER: header} if header else {}, status=status)
    assert (seconds(shared.one), seconds(shared.other)) == (wait, wait)


def test_plenty_left_ends_with_the_window_or_a_request_without_an_answer() -> None:
    """Then the shared file is asked again."""
    shared = TwoProcesses()
    shared.answer("total=5000; remaining=4999; resets=9")
    shared.clock.now += 11
    asking = sent(shared.one)
    assert seconds(shared.other) == 0.3
    shared.one.note(asking, {HEADER: "total=5000; remaining=4999; resets=9"})
    shared.one.release(sent(shared.one))
    claimed = sent(shared.one)
    assert claimed.claim_id is not None


def test_threads_share_one_quota() -> None:
    """However many ask at once, no more may go than are left."""
    shared = TwoProcesses()
    shared.answer("total=10; remaining=5; resets=9")
    found: list[Turn | Wait] = []
    threads = [threading.Thread(target=lambda: found.append(shared.one.claim())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(turn, Turn) for turn in found) == 5


def test_if_the_file_cannot_be_shared_a_process_counts_its_own_requests() -> None:
    """It logs that once, with the store's message."""

    def failing(change: Change) -> None:
        raise UsageError("TICKET_EVENTS_ROOT: can't change it: No space left on device.")

    log: list[str] = []
    clock = ManualClock()
    quota = Quota(10, exchange=failing, clock=clock, log=log.append)
    quota.note(sent(quota), {HEADER: "total=10; remaining=1; resets=5"})
    assert [seconds(quota), seconds(quota)] == [0, 6]
    [line] = log
    assert "No space left" in line
    assert "counts only its own requests" in line


def test_the_lock_of_a_stopped_process_is_tried_once_in_ten_minutes() -> None:
    """Each try waits a minute for it."""
    tries: list[float] = []

    def held(change: Change) -> None:
        tries.append(clock.now)
        raise LockHeldError("quota.json has been held by process 7 for more than 60 s")

    clock = ManualClock()
    quota = Quota(1000, exchange=held, clock=clock)
    for _ in range(20):
        quota.release(sent(quota))
        clock.now += ALONE_SECONDS / 10
    assert tries == [T, T + ALONE_SECONDS]


GOOD = {
    "version": 2,
    "claims": [["a", T - 1]],
    "answered": [T - 2],
    "bucket": [0, 10, T - 2, T + 20, T + 22],
    "closed_until": T + 30,
    "waiting": [["b", T + 30]],
}


WRITTEN_BY_VERSION_1 = json.dumps(
    {
        "version": 1,
        "written_at": T,
        "claims": [["a", T - 1, 1]],
        "answered": [[T - 2, 1]],
        "bucket": [0, 10, T - 2, T + 20, T + 22],
        "closed_until": T + 30,
        "lesson": [5, T + 100],
    }
).encode()


def after(change: Callable[[dict[str, Any]], object]) -> bytes:
    fields = json.loads(json.dumps(GOOD))
    change(fields)
    return json.dumps(fields).encode()


def waiting(content: bytes | None) -> float:
    """How long a request waits with such a state in the shared file."""
    shared = TwoProcesses()
    shared.exchange(lambda _: content)
    return seconds(shared.one)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"null",
        b"7",
        b"[" * 100_000,
        b'{"version": 2}',
        WRITTEN_BY_VERSION_1,
        after(lambda fields: fields.update(version=3)),
        after(lambda fields: fields.update(claims=[["a", T + 10**6]])),
        after(lambda fields: fields.update(claims=[["a", 10**400]])),
        after(lambda fields: fields.update(answered=[True])),
        after(lambda fields: fields.update(bucket=[0, 10, T, T, T + 10**6])),
        after(lambda fields: fields.update(bucket=[1])),
        after(lambda fields: fields.update(closed_until=math.nan)),
        after(lambda fields: fields.update(closed_until=T + 10**6)),
        after(lambda fields: fields.pop("answered")),
        after(lambda fields: fields.update(waiting=[["b", T + 10**6]])),
        after(lambda fields: fields.update(waiting=["b"])),
    ],
    ids=repr,
)
def test_a_state_of_another_version_or_damaged_counts_as_nothing_known(content: bytes) -> None:
    """This includes a state with times too far in the future."""
    assert waiting(after(lambda fields: None)) == 30
    assert waiting(after(lambda fields: fields.pop("waiting"))) == 30  # as earlier programs write it
    assert waiting(content) == 0


@given(st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_bytes_in_the_shared_file_are_replaced(content: bytes | str) -> None:
    """The next response replaces them."""
    shared = TwoProcesses()
    shared.exchange(lambda _: content if isinstance(content, bytes) else content.encode())
    shared.answer("total=10; remaining=0; resets=3")
    assert seconds(shared.other) == 4


@given(st.sampled_from(sorted(GOOD)), st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_field_of_the_state_may_hold_anything(name: str, value: Any) -> None:
    """No error, and no wait beyond the bound of a refusal."""
    assert waiting(after(lambda fields: fields.update({name: value}))) <= 900 + 10


@st.composite
def simulations(draw: st.DrawFn) -> tuple[Simulation, float]:
    """Clients with random latencies and a server that says what is left; and the longest latency."""
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


@given(simulations())
def test_with_headers_no_request_is_refused_and_none_waits_too_long(simulated: tuple[Simulation, float]) -> None:
    """In fixed and sliding windows: a wait ends at most two roundings and one answer later than necessary."""
    simulation, longest_latency = simulated
    simulation.run()
    assert simulation.refused == 0
    assert simulation.longest_idle_seconds <= 2.1 + longest_latency


@given(
    st.sampled_from([1, 2, 3, 4, 7, 10, 30, 150, 400]),
    st.sampled_from([0.05, 0.5, 3.0]),
    st.lists(st.lists(st.sampled_from([0.0, 0.0, 5.0]), min_size=1, max_size=30), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_by_the_configured_pace_no_window_is_exceeded(
    limit: int, longest: float, clients: list[list[float]], random: Any
) -> None:
    """A server that counts that pace, in any minute and in any four seconds, refuses none."""
    latencies = iter(lambda: random.uniform(0.01, longest), None)
    simulation = Simulation(SlidingWindow(limit, 60.0), limit, latencies, has_headers=False)
    for pauses in clients:
        simulation.client(pauses)
    simulation.run()
    assert simulation.refused == 0
    handled = sorted(request.handled_at for request in simulation.requests)
    burst = max(round(limit / 15), min(limit, 3))
    assert all(later - earlier > 4 for earlier, later in zip(handled, handled[burst:], strict=False))


@given(simulations(), st.integers(0, 5), st.floats(-3, 3))
def test_dead_clients_and_differing_clocks_stop_no_client_for_ever(
    simulated: tuple[Simulation, float], dies_at: int, skew: float
) -> None:
    """A request may be refused then, but every client gets through."""
    simulation, _ = simulated
    simulation.client([0.0] * 6, dies_at=dies_at, skew=skew)
    simulation.run()
    assert simulation.seconds <= 90 + len(simulation.requests) * (simulation.counter.window + 10)


@given(
    st.sampled_from([10.0, 60.0]).flatmap(lambda window: st.sampled_from([FixedWindow(6, window), SlidingWindow(6, window)])),
    st.lists(st.floats(-300, 300), min_size=2, max_size=4),
    st.floats(-300, 300),
    st.sampled_from([1, 1_000_000]),
    st.sampled_from([0.05, 0.5, 2.0]),
    st.sampled_from([math.ceil, math.floor, round]),
    st.randoms(use_true_random=False),
)
def test_hosts_whose_clocks_differ_are_neither_refused_nor_starved(
    counter: FixedWindow | SlidingWindow,
    skews: list[float],
    bucket_ahead: float,
    puts: int,
    longest: float,
    round_: Callable[[float], int],
    random: Any,
) -> None:
    """They count by the bucket's clock, which each knows to about a second: a reset costs that, and no host waits longer than
    for two windows."""
    simulation = Simulation(counter, 10, iter(lambda: random.uniform(0.01, longest), None), round_)
    bucket = Bucket(bucket_ahead, iter(lambda: random.uniform(0.01, 0.4), None), puts)
    for skew in skews:
        simulation.client([0.0] * 12, skew=skew, bucket=bucket)
    simulation.run()
    assert simulation.refused == 0
    assert simulation.longest_idle_seconds <= 4.9 + longest
    assert simulation.longest_wait_seconds <= 2 * counter.window
