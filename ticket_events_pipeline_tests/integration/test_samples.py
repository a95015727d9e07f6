"""The documented and recorded answers, byte for byte, through client, fetch and file."""

import json

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.fetches import Moment, client_at, ownership_of
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer

LATER = Moment(4_000_000_000)
"""This machine's clock, long after any of the answers: the server's `Date` is today's."""

RECORDED = json.loads((SAMPLES / "estuary_recorded_metric_event.json").read_text())


def answers(name):
    return [(200, {"Content-Type": "application/json"}, (SAMPLES / f"{name}.json").read_bytes())]


def fetched(root, stream, date, script):
    """The stored rows of the day, and how many requests they took."""
    day, store = Day.parse(date), FolderStore(root)
    with ScriptedServer(script) as server, client_at(server.url, clock=LATER) as client:
        days = fetch_days(
            client, store, stream=STREAMS[stream], days=[day], ownership=ownership_of(day), clock=LATER, log=print
        )
        assert [done.footer.complete for done in days] == [True]
        rows = read_partition(store, stream, day).to_pylist()
        return rows, len(server.requests)


def sent_fields(rows):
    return [{name: row[name] for name in ("id", "ticket_id", "metric", "instance_id", "type", "deleted")} for row in rows]


@pytest.mark.parametrize(
    ("stream", "sample", "requests"),
    [
        # Its end_time lies before its only row, and it says that the stream ends: one request.
        ("ticket_events", "docs_ticket_events_example", 1),
        # It doesn't say so: the second answer has nothing new.
        ("ticket_metric_events", "docs_ticket_metric_events_example", 2),
    ],
)
def test_the_documented_answers_are_stored_row_by_row(tmp_path, stream, sample, requests):
    documented = json.loads((SAMPLES / f"{sample}.json").read_text())[stream]
    rows, sent = fetched(tmp_path, stream, "2020-10-26", answers(sample) * requests)
    assert sent_fields(rows) == sent_fields([{**row, "deleted": False} for row in documented])
    assert sent == requests


def test_a_recorded_row_is_stored_as_it_came(tmp_path):
    page = {"count": 1, "end_of_stream": True, "end_time": 1722008464, "next_page": "x", "ticket_metric_events": [RECORDED]}
    rows, _ = fetched(tmp_path, "ticket_metric_events", "2024-07-26", [(200, {}, page)])
    assert sent_fields(rows) == sent_fields([RECORDED])
