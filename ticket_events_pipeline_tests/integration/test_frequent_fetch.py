"""A day of fetches every five minutes, beside a backfill: what they cost the quota, and what they store."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.jobs import REFRESH_REQUESTS
from ticket_events_pipeline.ingest.catch_up import open_days
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.sandbox.rows import RecordedAccount, Row
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.shared_rate_limit import Exchange, Quota, Turn, in_memory_exchange
from ticket_events_pipeline_tests.support.events import audit, metric_event
from ticket_events_pipeline_tests.support.fetches import ownership_of
from ticket_events_pipeline_tests.support.simulated_time import SimulatedTime

TODAY = Day.parse("2026-03-31")
BACKFILLED = days_between(TODAY.plus(-31), TODAY.plus(-2))
METRIC_EVENTS = "ticket_metric_events"
QUOTA, PAGE_LIMIT, INTERVAL = 10, 20, 300
A_DAY = {"ticket_events": 150, "ticket_metric_events": 250}
REQUEST_SECONDS = 0.5
BURST = 300
"""Rows of both streams within three minutes, as a bulk update of many tickets makes them."""


class Unfolding(RecordedAccount):
    """An account whose rows are visible once their time has come."""

    def rows(self, stream: str, start_time: int, *, now: float, **options: object) -> Iterator[Row]:
        return (row for row in super().rows(stream, start_time, now=now) if row.time <= now)


@pytest.fixture(scope="module")
def account() -> RecordedAccount:
    """The backfilled days, yesterday and today, with a burst at noon."""
    drawn = random.Random(1)  # noqa: S311 - rows, not secrets
    account = Unfolding()
    for stream, a_day in A_DAY.items():
        make = audit if stream == "ticket_events" else metric_event
        times = [drawn.randrange(day.start, day.end) for day in [*BACKFILLED, TODAY.plus(-1), TODAY] for _ in range(a_day)]
        times += [TODAY.start + 12 * 3600 + drawn.randrange(180) for _ in range(BURST)]
        account.deliver(stream, [make(number, time) for number, time in enumerate(sorted(times), 1)])
    return account


class SlowQuota(Quota):
    """A quota whose requests take a while: without that, one client would use a minute's requests up at once."""

    def __init__(self, exchange: Exchange, time: SimulatedTime) -> None:
        super().__init__(QUOTA, exchange=exchange, clock=time.clock)
        self._time = time

    def note(self, turn: Turn, headers: Mapping[str, str], *, status: int = 200) -> None:
        self._time.sleep(REQUEST_SECONDS)
        super().note(turn, headers, status=status)


@dataclass
class World:
    """An account behind a server, and clients that share its quota in simulated time."""

    server: SandboxServer
    time: SimulatedTime
    store: Store

    def __post_init__(self) -> None:
        self._exchange = in_memory_exchange()

    def fetch(
        self,
        stream: str,
        days: list[Day],
        most_requests: int | None = None,
        *,
        store: Store | None = None,
        log: Log = lambda _: None,
    ) -> None:
        """Fetch the days as a process of its own."""
        time = self.time
        quota = SlowQuota(self._exchange, time)
        token = BearerToken("sandbox")
        with ZendeskClient(self.server.base_url, token, quota=quota, clock=time.clock, sleep=time.sleep) as client:
            for _ in fetch_days(
                client,
                store or self.store,
                stream=STREAMS[stream],
                days=days,
                ownership=ownership_of(days[0]),
                clock=time.clock,
                log=log,
                sleep=time.sleep,
                most_requests=most_requests,
            ):
                pass

    def footer(self, stream: str) -> RawFooter:
        """Of the open day's file."""
        footer = read_raw_footer(self.store, stream, TODAY)
        assert footer is not None
        return footer

    def backfill(self) -> float:
        """Fetch the month in both streams; returns how many seconds it took."""
        begun = self.time.now
        for stream in STREAMS:
            self.fetch(stream, BACKFILLED)
        return self.time.now - begun

    def fetch_often(self, ticks: int) -> None:
        """A bounded fetch of both streams at each tick, as the schedule requests it."""
        for number in range(ticks):
            self.time.sleep_until(TODAY.start + number * INTERVAL)
            if self.time.now >= TODAY.start + (number + 1) * INTERVAL:
                continue
            days = open_days(self.store, Day.containing(self.time.now), first=BACKFILLED[0])
            for stream in STREAMS:
                self.fetch(stream, days, REFRESH_REQUESTS)

    def asked(self) -> Counter[tuple[int, str]]:
        """Requests of the open day, by interval and stream."""
        since = TODAY.plus(-1).start
        return Counter(
            (int(seen.at - TODAY.start) // INTERVAL, seen.path)
            for seen in self.server.requests
            if int(seen.query["start_time"]) >= since and seen.at >= TODAY.start
        )


def world(account: RecordedAccount, root: Path, now: float) -> World:
    time = SimulatedTime(now)
    server = SandboxServer(account, clock=time.clock, requests_per_minute=QUOTA, page_limit=PAGE_LIMIT)
    return World(server, time, FolderStore(root))


def test_a_stream_too_busy_for_its_requests_is_read_on_each_time_and_caught_up_by_a_whole_fetch(tmp_path: Path) -> None:
    """A row every four seconds: 150 within the ten minutes that are read again, where two pages hold 40."""
    account = Unfolding()
    account.deliver(METRIC_EVENTS, [metric_event(1 + number, TODAY.start + 4 * number) for number in range(3_000)])
    busy = world(account, tmp_path, TODAY.start + 3600)
    busy.server = SandboxServer(account, clock=busy.time.clock, page_limit=PAGE_LIMIT)
    read_up_to = []
    with busy.server:
        busy.time.run(lambda: busy.fetch(METRIC_EVENTS, [TODAY]))
        for _ in range(12):
            busy.time.now += INTERVAL
            busy.time.run(lambda: busy.fetch(METRIC_EVENTS, [TODAY], REFRESH_REQUESTS))
            read_up_to.append(busy.footer(METRIC_EVENTS).read_up_to)
        assert read_up_to[1:] == sorted(set(read_up_to[1:]))
        assert busy.time.now - read_up_to[-1] > 2 * INTERVAL
        busy.time.run(lambda: busy.fetch(METRIC_EVENTS, [TODAY]))
    assert busy.time.now - busy.footer(METRIC_EVENTS).read_up_to < 60
    newest = int(busy.time.now - 60 - TODAY.start) // 4
    assert newest - 5 <= busy.footer(METRIC_EVENTS).rows <= newest + 5


def test_events_after_midnight_are_read_again_where_a_reading_stopped_before_the_day_was_complete(tmp_path: Path) -> None:
    """A row every 24 seconds: two pages lead four minutes into the new day, and the old one is complete after five."""
    account = Unfolding()
    first = TODAY.start - 1200
    account.deliver(METRIC_EVENTS, [metric_event(1 + number, first + 24 * number) for number in range(200)])
    behind = world(account, tmp_path, TODAY.start - 100)
    behind.server = SandboxServer(account, clock=behind.time.clock, page_limit=PAGE_LIMIT)
    days = [TODAY.plus(-1), TODAY]
    with behind.server:
        behind.time.run(lambda: behind.fetch(METRIC_EVENTS, days[:1]))
        for wait in (1300, INTERVAL):
            behind.time.now += wait
            behind.time.run(lambda: behind.fetch(METRIC_EVENTS, days, REFRESH_REQUESTS))
        behind.time.run(lambda: behind.fetch(METRIC_EVENTS, [TODAY]))
        behind.time.run(lambda: behind.fetch(METRIC_EVENTS, [TODAY], store=FolderStore(tmp_path / "once")))
    once = read_raw_footer(FolderStore(tmp_path / "once"), METRIC_EVENTS, TODAY)
    assert once is not None
    assert behind.footer(METRIC_EVENTS).rows == once.rows > 0


def test_a_second_with_more_rows_than_the_requests_bring_is_told(tmp_path: Path) -> None:
    """The server repeats a page of one second, as it does where it doesn't enlarge the page."""
    account = Unfolding()
    account.deliver(METRIC_EVENTS, [metric_event(number, TODAY.start + 600) for number in range(1, 100)])
    stuck = world(account, tmp_path, TODAY.start + 3600)
    stuck.server = SandboxServer(account, clock=stuck.time.clock, page_limit=PAGE_LIMIT, pinned=True)
    log: list[str] = []
    with stuck.server:
        for _ in range(2):
            stuck.time.run(lambda: stuck.fetch(METRIC_EVENTS, [TODAY], REFRESH_REQUESTS, log=log.append))
    assert log[-1] == (
        "ticket_metric_events: 2 requests didn't lead past 2026-03-31T00:10:00Z. A fetch without such a bound reads on: "
        "hourly_fetch, for example."
    )


def test_a_day_that_the_requests_do_not_complete_is_logged_and_completed_by_a_fetch_without_a_bound(tmp_path: Path) -> None:
    """After midnight come more rows than two pages hold, within the minutes that a day waits for late ones."""
    account = Unfolding()
    yesterday = TODAY.plus(-1)
    moments = [TODAY.start - 3600, *range(TODAY.start + 1, TODAY.start + 250)]
    account.deliver(METRIC_EVENTS, [metric_event(number, moment) for number, moment in enumerate(moments, 1)])
    busy = world(account, tmp_path, TODAY.start + 3600)
    busy.server = SandboxServer(account, clock=busy.time.clock, page_limit=PAGE_LIMIT)
    log: list[str] = []
    with busy.server:
        for _ in range(3):
            busy.time.run(lambda: busy.fetch(METRIC_EVENTS, [yesterday, TODAY], REFRESH_REQUESTS, log=log.append))
        footer = read_raw_footer(FolderStore(tmp_path), METRIC_EVENTS, yesterday)
        assert footer is not None
        assert not footer.complete
        assert log[-1].startswith("ticket_metric_events: 2 requests didn't lead past 2026-03-31T00:00:00Z. A fetch without")
        busy.time.run(lambda: busy.fetch(METRIC_EVENTS, [yesterday, TODAY]))
    footer = read_raw_footer(FolderStore(tmp_path), METRIC_EVENTS, yesterday)
    assert footer is not None
    assert footer.complete


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_288_fetches_a_day_keep_to_two_requests_a_stream_and_leave_a_backfill_its_speed(
    account: RecordedAccount, tmp_path: Path
) -> None:
    alone = world(account, tmp_path / "alone", TODAY.start + INTERVAL)
    seconds: dict[str, float] = {}

    def backfill(of: World, name: str) -> None:
        of.time.sleep_until(TODAY.start + INTERVAL)
        seconds[name] = of.backfill()

    with alone.server:
        alone.time.run(lambda: backfill(alone, "alone"))
    both = world(account, tmp_path / "both", TODAY.start - 1800)
    with both.server:
        both.time.run(lambda: [both.fetch(stream, [TODAY.plus(-1)]) for stream in STREAMS])  # as by hourly_fetch
        both.time.run(lambda: both.fetch_often(288), lambda: backfill(both, "both"))
        asked = both.asked()
        assert len({interval for interval, _ in asked}) == 288
        assert max(asked.values()) == REFRESH_REQUESTS
        both.time.run(lambda: both.fetch_often(291))
        assert not [seen for seen in both.server.requests if seen.status == 429]
        both.time.run(lambda: [both.fetch(stream, [TODAY], store=FolderStore(tmp_path / "once")) for stream in STREAMS])
    assert seconds["alone"] > 3600
    assert seconds["both"] < seconds["alone"] / 0.8
    for stream in STREAMS:
        often, once = (read_raw_footer(FolderStore(tmp_path / name), stream, TODAY) for name in ("both", "once"))
        assert often is not None
        assert once is not None
        assert often.complete
        assert (often.rows, often.content_hash) == (once.rows, once.content_hash)
        assert often.rows == A_DAY[stream] + BURST
