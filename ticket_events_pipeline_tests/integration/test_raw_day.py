"""Whether a day is whole: healthy fetches get no findings, and any damage to a file is reported for its day alone."""

import datetime as dt
import re
import tempfile
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from shutil import copytree

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.quality.duplicates import duplicate_events
from ticket_events_pipeline.quality.footer_checks import OPEN_GRACE_SECONDS
from ticket_events_pipeline.quality.raw_day import owner_of, owners_of, rejected_row_count
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition, write_partition
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.damages import DAMAGES, FIELDS, rewrite, with_field
from ticket_events_pipeline_tests.support.events import audit, metric_event
from ticket_events_pipeline_tests.support.fetches import Moment, fetch, fetching
from ticket_events_pipeline_tests.support.quality_cases import (
    DAY,
    DAYS,
    EVENTS,
    EXAMPLES,
    HOUR,
    METRIC,
    NOON,
    NOW,
    named,
    verified,
)
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

MONTH = days_between(Day.parse("2026-03-01"), Day.parse("2026-03-30"))
WEEK = days_between(DAY.plus(-3), DAY.plus(3))


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """A month of the simulated account, each stream in one fetch."""
    root, clock = tmp_path_factory.mktemp("month"), Moment(NOW)
    with SandboxServer(SimulatedAccount(seed=5, tickets_per_day=4), clock=clock, page_limit=50) as server:
        for stream in STREAMS:
            assert len(list(fetching(server, root, stream, MONTH, clock=clock, account="sandbox"))) == 30
    return root


@pytest.fixture
def root(month, tmp_path):
    """A copy of a week of the month, to be damaged."""
    for stream in STREAMS:
        for day in WEEK:
            copytree(month / stream / f"date={day}", tmp_path / "root" / stream / f"date={day}")
    return tmp_path / "root"


@pytest.mark.parametrize("stream", STREAMS)
def test_a_healthy_month_is_whole(month, stream):
    found_days = verified(month, stream, MONTH)
    assert [(found.day, found.state, found.findings, found.notes) for found in found_days] == [
        (day, "complete", (), ()) for day in MONTH
    ]
    assert sum(day.rows for day in found_days) > 500


class CountingStore(FolderStore):
    """Counts how often each file is opened."""

    def __init__(self, root):
        super().__init__(root)
        self.opened = Counter()

    def reader(self, path):
        self.opened[path] += 1
        return super().reader(path)


def test_the_owner_of_both_streams_is_found_with_one_look_at_each_footer(month):
    store = CountingStore(month)
    owners = owners_of(store, list(STREAMS), MONTH, account=None, timezone="UTC")
    assert set(store.opened.values()) == {1}
    assert len(store.opened) == 2 * len(MONTH)
    assert owners == {name: owner_of(store, name, MONTH, account=None, timezone="UTC") for name in STREAMS}
    assert {owner.account for owner in owners.values()} == {"sandbox"}


@pytest.mark.parametrize(("damage", "problem"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_day_is_reported_and_no_other(root, damage, problem):
    damage(root, METRIC, DAY)
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert problem in found[DAY]
    assert f"Materialize {METRIC} of {DAY}" in found[DAY]
    assert named(root, EVENTS, WEEK) == {}


@pytest.mark.parametrize(("field", "change", "problem"), [(name, *edit) for name, edit in FIELDS.items()], ids=FIELDS)
def test_an_edited_footer_is_named_field_by_field(root, field, change, problem):
    with_field(field, change)(root, METRIC, DAY)
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert problem in found[DAY]


@pytest.mark.parametrize(
    "ledger",
    ['[{"start_time":"x","end_time":1,"count":1,"first_id":1,"last_id":1}]', "{}", "[1]", "nothing", '[{"start_time":-5}]'],
)
def test_an_invalid_ledger_is_a_finding(root, ledger):
    with_field("pages", lambda _: ledger)(root, METRIC, DAY)
    assert list(named(root, METRIC, WEEK)) == [DAY]


@pytest.mark.parametrize("field", ["window_start", "next_start_time", "fetched_at"])
def test_a_time_outside_the_calendar_is_a_finding(root, field):
    with_field(field, lambda _: str(10**18))(root, METRIC, DAY)
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert "has no readable footer of this pipeline" in found[DAY]


def test_a_whole_root_of_another_account_is_named_day_by_day(month):
    found = named(month, EVENTS, MONTH[:3], account="acme")
    assert list(found) == MONTH[:3]
    assert "ZENDESK_SUBDOMAIN sandbox, not acme" in found[MONTH[0]]
    assert "set it back" in found[MONTH[0]]


def test_rows_changed_together_with_their_hash_contradict_the_ledger(root):
    """The pages still name ids that the file lacks, though its count and its hash fit."""

    def dropped(table):
        return table.slice(0, table.num_rows - table.num_rows // 3)

    table = dropped(read_partition(FolderStore(root), METRIC, DAY))
    counted = {"rows": str(table.num_rows), "content_hash": content_hash(table, added=TABLES[METRIC].added), "duplicates": "0"}
    rewrite(root, METRIC, DAY, rows=dropped, footer=lambda metadata: {**metadata, **counted})
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert "which it doesn't hold" in found[DAY]


def test_an_event_on_two_days_is_named_with_both(root):
    """A fetch of an event with a new time leaves such files: each one is whole by itself."""
    moved = read_partition(FolderStore(root), METRIC, DAY).slice(7, 1).to_pylist()[0]
    other = DAY.plus(3)

    def with_moved(table):
        row = {**moved, "time": dt.datetime.fromtimestamp(other.start, dt.UTC)}
        return pa.concat_tables([pa.Table.from_pylist([row], schema=table.schema), table])

    table = with_moved(read_partition(FolderStore(root), METRIC, other))
    counted = {"rows": str(table.num_rows), "content_hash": content_hash(table, added=TABLES[METRIC].added)}
    rewrite(root, METRIC, other, rows=with_moved, footer=lambda metadata: {**metadata, **counted})
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY, other]
    for day, elsewhere in ((DAY, other), (other, DAY)):
        assert f"1 event (id {moved['id']}) is stored on {elsewhere} as well" in found[day]
        assert f"`ticket-events backfill {DAY}..{other} --asset {METRIC}`" in found[day]


few_ids = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=12)


@given(st.lists(few_ids, min_size=3, max_size=3), st.sampled_from(list(STREAMS)), st.sampled_from([1, 5, 10**9]))
@settings(max_examples=EXAMPLES)
def test_duplicates_equal_those_of_a_dict_for_any_limit(events, stream, limit):
    """Pairs of days, in order, of every event's places; in `ticket_metric_events` an event is its id alone."""
    places = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        for day, of_day in zip(DAYS, events, strict=True):
            kind = {True: {"metric": "reply_time", "instance_id": 1}, False: {}}
            rows = [{"id": number, **kind[is_metric]} for number, is_metric in of_day]
            table = pa.Table.from_pylist(rows, schema=TABLES[stream].schema)
            write_partition(store, stream, day, table, {"stream": stream, "partition": str(day)})
            for number, is_metric in of_day:
                places[number, stream == EVENTS and is_metric].append(day)
        found = duplicate_events(store, stream, DAYS, limit=limit)
    pairs = Counter(pair for days in places.values() for pair in pairwise(days))
    expected = Counter()
    for (one, other), count in sorted(pairs.items()):
        expected[one, count, "more than once" if one == other else f"stored on {other} as well"] += 1
        if one != other:
            expected[other, count, f"stored on {one} as well"] += 1
    assert (
        Counter(
            (day, int(str(finding).split()[0]), re.search(r"more than once|stored on [\d-]+ as well", str(finding))[0])
            for day, findings in found.items()
            for finding in findings
        )
        == expected
    )


def test_an_audit_and_a_metric_event_of_one_id_are_two_events(tmp_path):
    clock = Moment(DAY.end + HOUR)
    with SandboxServer(RecordedAccount({EVENTS: [audit(5, NOON), metric_event(5, NOON + 1)]}), clock=clock) as server:
        fetch(server, tmp_path, EVENTS, str(DAY), str(DAY), clock=clock)
    assert [day.rows for day in verified(tmp_path, EVENTS, [DAY])] == [2]
    assert named(tmp_path, EVENTS, [DAY]) == {}


def test_an_open_day_is_a_finding_only_if_it_should_have_been_finished(tmp_path):
    clock = Moment(NOON)
    with SandboxServer(RecordedAccount({METRIC: [metric_event(1, NOON - 900)]}), clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    closed = DAY.end + TICKET_METRIC_EVENTS.lag_seconds + 60 + OPEN_GRACE_SECONDS
    (day,) = verified(tmp_path, METRIC, [DAY], now=closed - 1)
    assert (day.state, day.is_whole) == ("open", True)
    assert day.notes == ("read up to 2026-03-10T11:45:00Z",)
    expected = named(tmp_path, METRIC, [DAY], now=closed)[DAY]
    assert "was read only up to 2026-03-10T11:45:00Z and is still open. Materialize ticket_metric_events of" in expected


def test_a_future_day_is_not_missing(tmp_path):
    (today, tomorrow) = verified(tmp_path, METRIC, [DAY, DAY.plus(1)], now=NOON)
    assert (today.state, [str(finding) for finding in today.findings]) == (
        "missing",
        [f"No file is stored. Materialize {METRIC} of {DAY}."],
    )
    assert (tomorrow.state, tomorrow.is_whole) == ("to come", True)


def test_rejected_rows_are_counted_and_reported_when_they_are_gone(tmp_path):
    clock = Moment(DAY.end + HOUR)
    with SandboxServer(RecordedAccount({METRIC: [metric_event(1, NOON), {"id": 2, "ticket_id": 1}]}), clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        clock.now = DAY.plus(1).end + HOUR
        fetch(server, tmp_path, METRIC, str(DAY.plus(1)), str(DAY.plus(1)), clock=clock)
    (day,) = verified(tmp_path, METRIC, [DAY])
    assert day.is_whole
    assert day.notes == (f"its fetch rejected 1 row, see {tmp_path}/_rejected/{METRIC}",)
    assert rejected_row_count(FolderStore(tmp_path), METRIC, [DAY, DAY.plus(1), DAY.plus(2)]) == 1
    for path in (tmp_path / "_rejected" / METRIC).iterdir():
        path.unlink()
    assert "rejected 1 row, no longer kept in" in named(tmp_path, METRIC, [DAY])[DAY]
