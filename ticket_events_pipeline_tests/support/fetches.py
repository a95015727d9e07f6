"""What the tests of a fetch share: a clock that they set, a client of a sandbox server, and what is stored afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.ingest.written_day import WrittenDay
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota


class Moment:
    """A clock that stands until a test moves it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Naps:
    """Sleeping that takes no time: only the sleeper's own clock advances."""

    def __init__(self, clock: Moment) -> None:
        self._clock = clock
        self._slept = 0.0

    def sleep(self, seconds: float) -> None:
        self._slept += seconds

    def clock(self) -> float:
        return self._clock() + self._slept


def client_at(base_url: str, *, clock: Moment, **options: Any) -> ZendeskClient:
    naps = Naps(clock)
    quota = Quota(1_000_000, clock=naps.clock)
    return ZendeskClient(
        base_url, BearerToken("sandbox"), quota=quota, clock=naps.clock, sleep=naps.sleep, timeout_seconds=10, **options
    )


def ownership_of(
    day: Day, *, account: str = "recorded", sideload: bool = False, support_type_scope: str = "agent"
) -> Ownership:
    return Ownership(account, day.timezone, sideload, support_type_scope)


def fetching(
    server: SandboxServer,
    root: Path,
    stream: str,
    days: list[Day],
    *,
    clock: Moment,
    sideload: bool = False,
    account: str = "recorded",
    support_type_scope: str = "agent",
    log: Any = lambda _: None,
    most_requests: int | None = None,
) -> Iterator[WrittenDay]:
    options = {"include_comments": sideload, "support_type_scope": support_type_scope}
    with client_at(server.base_url, clock=clock, **options) as client:
        yield from fetch_days(
            client,
            FolderStore(root),
            stream=STREAMS[stream],
            days=days,
            ownership=ownership_of(days[0], account=account, sideload=sideload, support_type_scope=support_type_scope),
            clock=clock,
            log=log,
            most_requests=most_requests,
        )


def fetch(
    server: SandboxServer, root: Path, stream: str, first: str, last: str, *, clock: Moment, timezone: str = "UTC", **rest
):
    """The days of a whole fetch, from `first` through `last`."""
    days = days_between(Day.parse(first, timezone), Day.parse(last, timezone))
    return list(fetching(server, root, stream, days, clock=clock, **rest))


def stored_ids(root: Path, stream: str, day: Day) -> list[int]:
    table = read_partition(FolderStore(root), stream, day, columns=["id"])
    assert table is not None
    return table["id"].to_pylist()
