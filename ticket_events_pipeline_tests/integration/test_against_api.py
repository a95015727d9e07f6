"""`verify` against the API: an unchanged account agrees with its files, and what came, went or moved since is named."""

import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.quality.against_api import compare_with_api, draw_sample
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.events import metric_event
from ticket_events_pipeline_tests.support.fetches import client_at, fetching
from ticket_events_pipeline_tests.support.quality_cases import (
    DAY,
    DAYS,
    EXAMPLES,
    HOUR,
    METRIC,
    NOON,
    account,
    clock,
    streams,
)
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS


def compared(server, root, days, *, size=1000, seed=1, stream=METRIC):
    store = FolderStore(root)
    sample = draw_sample(store, STREAMS[stream], days, size=size, seed=seed)
    with client_at(server.base_url, clock=clock) as client:
        return list(compare_with_api(client, store, stream=STREAMS[stream], days=days, sample=sample))


def differences(pages):
    """The findings, by day."""
    texts = defaultdict(str)
    for page in pages:
        for day, finding in page.findings:
            texts[day] += f"{finding}\n"
    return texts


@given(streams(), st.sampled_from(list(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_an_unchanged_account_agrees_with_its_files_and_every_row_is_compared(servers, rows, stream, data):
    server = data.draw(st.sampled_from(servers))
    account.clear(stream)
    account.deliver(stream, rows)
    clock.now = DAYS[-1].end + 86_400
    with tempfile.TemporaryDirectory() as folder:
        committed = list(fetching(server, Path(folder), stream, DAYS, clock=clock))
        before = len(server.requests)
        pages = compared(server, Path(folder), DAYS, stream=stream)
        assert len(server.requests) - before <= 2 * len(pages)
    assert differences(pages) == {}
    assert sum(page.rows for page in pages) == sum(done.footer.rows for done in committed)


def test_late_and_withdrawn_events_are_reported_with_their_day(tmp_path):
    rows = {number: metric_event(number, DAYS[0].start + number * 9000) for number in range(1, 20)}
    clock.now = DAYS[-1].end + HOUR
    recorded = RecordedAccount({METRIC: rows.values()})
    with SandboxServer(recorded, clock=clock, page_limit=4) as server:
        list(fetching(server, tmp_path, METRIC, DAYS, clock=clock))
        assert differences(compared(server, tmp_path, DAYS)) == {}
        recorded.clear(METRIC)
        recorded.deliver(METRIC, [row for number, row in rows.items() if number != 3])
        recorded.deliver(METRIC, [metric_event(99, DAYS[1].start + 10)])
        clock.now += HOUR
        found = differences(compared(server, tmp_path, DAYS))
    assert list(found) == DAYS[:2]
    assert "1 event is in the file, but not in the API: withdrawn after it was read at" in found[DAYS[0]]
    assert "(id 3). Materialize ticket_metric_events of 2026-03-10 again." in found[DAYS[0]]
    assert "1 event is in the API, but not in the file" in found[DAYS[1]]
    assert "(id 99). Materialize ticket_metric_events of 2026-03-11 again." in found[DAYS[1]]


def test_a_moved_event_is_reported_on_both_of_its_days(tmp_path):
    recorded = RecordedAccount({METRIC: [metric_event(number, DAYS[0].start + number * 9000) for number in range(1, 20)]})
    clock.now = DAYS[-1].end + HOUR
    with SandboxServer(recorded, clock=clock, page_limit=4) as server:
        list(fetching(server, tmp_path, METRIC, DAYS, clock=clock))
        recorded.deliver(METRIC, [metric_event(3, DAYS[1].start + 5), metric_event(4, DAYS[0].start + 36_001)])
        found = differences(compared(server, tmp_path, DAYS))
    assert "but not in the API: withdrawn" in found[DAYS[0]]
    assert "(ids 3, 4)" in found[DAYS[0]]
    assert "but not in the file: added after" in found[DAYS[1]]
    assert "(id 3)" in found[DAYS[1]]


def test_only_the_settled_part_of_an_open_day_is_compared(tmp_path):
    recorded = RecordedAccount({METRIC: [metric_event(1, NOON - 2000)]})
    clock.now = NOON
    with SandboxServer(recorded, clock=clock) as server:
        list(fetching(server, tmp_path, METRIC, [DAY], clock=clock))
        recorded.deliver(METRIC, [metric_event(2, NOON - 60), metric_event(3, NOON + 600)])
        clock.now = NOON + HOUR
        assert differences(compared(server, tmp_path, [DAY])) == {}
        recorded.deliver(METRIC, [metric_event(4, NOON - 2500)])
        assert "(id 4)" in differences(compared(server, tmp_path, [DAY]))[DAY]


def test_a_sample_is_bounded_and_repeatable(many_pages):
    store = FolderStore(many_pages)
    drawn = draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=5, seed=7)
    assert drawn == draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=5, seed=7)
    assert drawn != draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=5, seed=8)
    assert (len(drawn.windows), drawn.pages) == (5, 33)
    assert draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=1000, seed=7).pages == 33
