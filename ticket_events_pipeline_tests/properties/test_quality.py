"""A healthy fetch never gets a finding, however it was killed or resumed; any damage to its files is found."""

import datetime as dt
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from shutil import copytree

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.quality.footer_checks import Owner
from ticket_events_pipeline.quality.raw_day import verify_days
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tables.ticket_metric_events import TICKET_METRIC_EVENTS_TABLE
from ticket_events_pipeline_tests.support.damages import rewrite
from ticket_events_pipeline_tests.support.fault_injection import KilledError, MortalSource, MortalStore, bury
from ticket_events_pipeline_tests.support.fetches import client_at, fetching, ownership_of
from ticket_events_pipeline_tests.support.quality_cases import (
    DAY,
    DAYS,
    EXAMPLES,
    METRIC,
    account,
    clock,
    named,
    streams,
)


def findings_of(day):
    """The findings of a verified day, except that it is still open."""
    return [finding for finding in day.findings if "is still open" not in finding.problem]


@given(streams(), st.sampled_from(list(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_no_healthy_fetch_ever_gets_a_finding(servers, rows, stream, data):
    """An open day is resumed while rows come late, move and are withdrawn; then all days are closed, and read again."""
    server = data.draw(st.sampled_from(servers))
    moments = sorted(data.draw(st.lists(st.integers(DAYS[0].start + 60, DAYS[1].end), max_size=3)))
    owner = Owner("recorded", "UTC", sideload=False)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for now in [*moments, DAYS[-1].end + 500 + data.draw(st.integers(0, 90_000))]:
            clock.now = now
            is_sent = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))) if now in moments else []
            account.clear(stream)
            account.deliver(stream, [row for row, sent in zip(rows, is_sent or [True] * len(rows), strict=True) if sent])
            days = [day for day in DAYS if day.start <= now]
            first = data.draw(st.integers(0, len(days) - 1)) if now in moments else 0
            list(fetching(server, root, stream, days[first:], clock=clock))
            stored = [day for day in days if (root / stream / f"date={day}").exists()]
            for found in verify_days(FolderStore(root), stream=STREAMS[stream], days=stored, owner=owner, now=now):
                assert findings_of(found) == [], found


@given(streams(), st.sampled_from(list(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_no_fetch_that_was_killed_and_resumed_gets_a_finding(servers, rows, stream, data):
    server = data.draw(st.sampled_from(servers))
    account.clear(stream)
    account.deliver(stream, rows)
    clock.now = DAYS[-1].end + data.draw(st.integers(-50_000, 90_000))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for steps in [*data.draw(st.lists(st.integers(1, 40), max_size=4)), 1_000_000]:
            store = MortalStore(root, steps=steps)
            with client_at(server.base_url, clock=clock) as client, suppress(KilledError):
                list(
                    fetch_days(
                        MortalSource(client, store),
                        store,
                        stream=STREAMS[stream],
                        days=DAYS,
                        ownership=ownership_of(DAY),
                        clock=clock,
                        log=lambda _: None,
                    )
                )
            bury(root)
            clock.now += data.draw(st.integers(0, 4000))
        owner = Owner("recorded", "UTC", sideload=False)
        for found in verify_days(FolderStore(root), stream=STREAMS[stream], days=DAYS, owner=owner, now=clock.now):
            assert findings_of(found) == [], found


def with_footer(root, **changed):
    """The root's middle day with its footer changed."""
    rewrite(root, METRIC, DAYS[1], footer=lambda metadata: {**metadata, **changed})


def unread_seconds(day, pages, until):
    """The simple way: remove every second that some page covers."""
    unread = set(range(day.start, min(day.end, until)))
    for page in pages:
        unread -= set(range(page["start_time"], page["end_time"] + 1))
    return unread


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_every_ledger_with_an_unread_second_is_found(many_pages, data):
    day = DAYS[1]
    with tempfile.TemporaryDirectory() as folder:
        root = copytree(many_pages, Path(folder, "root"))
        footer = read_raw_footer(FolderStore(root), METRIC, day)
        pages = json.loads(footer.to_metadata()["pages"])
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(pages) - 1))
            edit = data.draw(st.sampled_from(["remove", "start_time", "end_time"]))
            if edit != "remove":
                pages[place][edit] += data.draw(st.integers(-5000, 5000))
            elif len(pages) > 1:
                del pages[place]
        with_footer(root, pages=json.dumps(pages))
        is_found = bool(named(root, METRIC, [day]))
        assert is_found or not unread_seconds(day, pages, footer.next_start_time)


@given(st.data(), st.booleans())
@settings(max_examples=EXAMPLES)
def test_changed_rows_are_found_unless_everything_about_them_is_right(many_pages, data, is_hash_fixed):
    """With the footer kept, any change is found; with count and hash fixed, every change that a simple check finds."""
    day = DAYS[1]
    table = read_partition(FolderStore(many_pages), METRIC, day)
    rows = table.to_pylist()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(rows) - 1))
        edit = data.draw(st.sampled_from(["remove", "repeat", "move", "retitle", "shift"]))
        row = rows[place]
        if edit == "remove":
            del rows[place]
        elif edit == "repeat":
            rows.insert(place, dict(row))
        elif edit == "move":
            rows.insert(data.draw(st.integers(0, len(rows) - 1)), rows.pop(place))
        elif edit == "retitle":
            rows[place] = {**row, "type": data.draw(st.sampled_from(["activate", "breach"]))}
        else:
            rows[place] = {**row, "time": row["time"] + dt.timedelta(seconds=data.draw(st.integers(-90_000, 90_000)))}
    changed = pa.Table.from_pylist(rows, schema=TICKET_METRIC_EVENTS_TABLE.schema)
    keys = [(row["time"], row["id"]) for row in rows]
    ids = [row["id"] for row in rows]
    start, end = (dt.datetime.fromtimestamp(moment, dt.UTC) for moment in (day.start, day.end))
    is_wrong = keys != sorted(keys) or len(set(ids)) < len(ids) or not all(start <= time < end for time, _ in keys)
    digest = content_hash(changed, added=TICKET_METRIC_EVENTS_TABLE.added)
    fixed = {"rows": str(len(rows)), "content_hash": digest} if is_hash_fixed else {}
    with tempfile.TemporaryDirectory() as folder:
        root = copytree(many_pages, Path(folder, "root"))
        rewrite(root, METRIC, day, rows=lambda _: changed, footer=lambda metadata: {**metadata, **fixed})
        is_found = bool(named(root, METRIC, [day]))
    assert is_found or not (is_wrong if is_hash_fixed else changed != table)
