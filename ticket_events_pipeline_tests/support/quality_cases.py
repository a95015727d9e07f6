"""What the tests of `verify` share: verdicts of days, small rows, and an account drawn at random behind several servers."""

import datetime as dt
import os
from contextlib import contextmanager

from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.quality.raw_day import owner_of, verify_days
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.fetches import Moment, fetching

EVENTS, METRIC = "ticket_events", "ticket_metric_events"
DAY = Day.parse("2026-03-10")
DAYS = days_between(DAY, DAY.plus(2))
NOON = DAY.start + 12 * 3600
HOUR = 3600
NOW = Day.parse("2026-04-02").start

EXAMPLES = int(os.environ.get("VERIFY_EXAMPLES", "25"))
"""By hand, some thousands."""


def verified(root, stream, days, *, now=NOW, account=None):
    """The verdicts, the owner told by the files alone unless an `account` is given."""
    store = FolderStore(root)
    owner = owner_of(store, stream, days, account=account, timezone=days[0].timezone)
    return list(verify_days(store, stream=STREAMS[stream], days=days, owner=owner, now=now))


def named(root, stream, days, **more):
    """What is told, by day that is not whole."""
    verdicts = verified(root, stream, days, **more)
    return {verdict.day: " ".join(map(str, verdict.findings)) for verdict in verdicts if not verdict.is_whole}


def audit(number, time):
    return {"id": number, "ticket_id": 1, "timestamp": time, "event_type": "Audit", "child_events": []}


def metric_event(number, time, **more):
    row = {"id": number, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "activate"}
    return {**row, "time": dt.datetime.fromtimestamp(time, dt.UTC).isoformat(), **more}


account, clock = RecordedAccount(), Moment(0)


@contextmanager
def running_servers():
    """A server per size of page and way to end a stream, all of the same account."""
    running = [
        SandboxServer(account, clock=clock, page_limit=limit, end_of_stream=end).start()
        for limit in (2, 5, 1000)
        for end in ("present", "absent")
    ]
    yield running
    for server in running:
        server.stop()


@st.composite
def streams(draw):
    """Rows around three days: spread, in bursts of one second, and at the midnights; some audits, some dated ahead."""
    start, end = DAYS[0].plus(-1).start, DAYS[-1].plus(1).end
    bursts = draw(st.lists(st.integers(start, end), min_size=1, max_size=3))
    midnights = [day.start for day in DAYS] + [DAYS[-1].end]
    times = draw(st.lists(st.integers(start, end) | st.sampled_from([*bursts, *midnights]), max_size=40))
    kinds = draw(st.lists(st.sampled_from([audit, metric_event]), min_size=len(times), max_size=len(times)))
    return [kind(number, time) for number, (kind, time) in enumerate(zip(kinds, times, strict=True), 1)]


def days_of_many_pages(root):
    """The root, with three days of many small pages in it."""
    rows = [metric_event(number, DAYS[0].start - 999 + number * 4000) for number in range(1, 70)]
    now = Moment(DAYS[-1].end + 86_400)
    with SandboxServer(RecordedAccount({METRIC: rows}), clock=now, page_limit=3) as server:
        list(fetching(server, root, METRIC, DAYS, clock=now))
    return root
