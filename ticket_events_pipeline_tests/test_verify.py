"""Is a day whole? Healthy passes are never accused, and whatever is done to a file, its day is named, and only that."""

import datetime as dt
import json
import os
import re
import tempfile
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from shutil import copytree

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.ingest.range_pass import fetch_days
from ticket_events_pipeline.lake.content_hash import content_hash
from ticket_events_pipeline.lake.partition_file import read_partition, write_partition
from ticket_events_pipeline.lake.raw_footer import LedgerPage, RawFooter, read_raw_footer
from ticket_events_pipeline.lake.schemas import RAW_SCHEMAS, TICKET_METRIC_EVENTS_SCHEMA
from ticket_events_pipeline.lake.store import FolderStore
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.verify.against_api import compare_with_api, draw_sample
from ticket_events_pipeline.verify.batches import ROWS_PER_BATCH
from ticket_events_pipeline.verify.claims import OPEN_GRACE_SECONDS, Owner
from ticket_events_pipeline.verify.days import owner_of, verify_days
from ticket_events_pipeline.verify.drift import TYPE_CHANGED, UNKNOWN, find_oddities
from ticket_events_pipeline.verify.ledger import ledger_problems
from ticket_events_pipeline.verify.repeats import repeated_events
from ticket_events_pipeline.verify.set_aside import rows_set_aside
from ticket_events_pipeline.zendesk.page import STREAMS, TICKET_METRIC_EVENTS
from ticket_events_pipeline_tests.damages import DAMAGES, FIELDS, rewrite, with_field
from ticket_events_pipeline_tests.mortal_store import KilledError, MortalStore, bury
from ticket_events_pipeline_tests.passes import Moment, client_at, fetch, fetching, ownership_of
from ticket_events_pipeline_tests.test_kill_and_resume import MortalSource

EVENTS, METRIC = "ticket_events", "ticket_metric_events"
MONTH = days_between(Day.parse("2026-03-01"), Day.parse("2026-03-30"))
DAY = Day.parse("2026-03-10")
WEEK = days_between(DAY.plus(-3), DAY.plus(3))
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


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """A month of the simulated account, fetched in one pass a stream."""
    root, clock = tmp_path_factory.mktemp("month"), Moment(NOW)
    with SandboxServer(SimulatedAccount(seed=5, tickets_per_day=4), clock=clock, page_limit=50) as server:
        for stream in STREAMS:
            assert len(list(fetching(server, root, stream, MONTH, clock=clock, account="sandbox"))) == 30
    return root


@pytest.fixture
def root(month, tmp_path):
    """A copy of a week of it, to be damaged."""
    for stream in STREAMS:
        for day in WEEK:
            copytree(month / stream / f"date={day}", tmp_path / "root" / stream / f"date={day}")
    return tmp_path / "root"


@pytest.mark.parametrize("stream", STREAMS)
def test_a_healthy_month_is_whole(month, stream):
    verdicts = verified(month, stream, MONTH)
    assert [(verdict.day, verdict.state, verdict.findings, verdict.notes) for verdict in verdicts] == [
        (day, "complete", (), ()) for day in MONTH
    ]
    assert sum(verdict.rows for verdict in verdicts) > 500


@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_day_is_named_and_no_other(root, damage, told):
    damage(root, METRIC, DAY)
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert told in found[DAY]
    assert f"Materialise {METRIC} of {DAY}" in found[DAY]
    assert named(root, EVENTS, WEEK) == {}


@pytest.mark.parametrize(("field", "change", "told"), [(name, *edit) for name, edit in FIELDS.items()], ids=FIELDS)
def test_an_edited_footer_is_named_field_by_field(root, field, change, told):
    with_field(field, change)(root, METRIC, DAY)
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert told in found[DAY]


@pytest.mark.parametrize(
    "ledger",
    ['[{"start_time":"x","end_time":1,"count":1,"first_id":1,"last_id":1}]', "{}", "[1]", "nothing", '[{"start_time":-5}]'],
)
def test_a_ledger_that_makes_no_sense_is_a_finding_and_no_crash(root, ledger):
    with_field("pages", lambda _: ledger)(root, METRIC, DAY)
    assert list(named(root, METRIC, WEEK)) == [DAY]


@pytest.mark.parametrize("field", ["window_start", "next_start_time", "fetched_at"])
def test_a_time_that_no_calendar_has_is_a_finding_and_no_crash(root, field):
    with_field(field, lambda _: str(10**18))(root, METRIC, DAY)
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert "bears no footer of this pipeline that can be read" in found[DAY]


def test_a_whole_root_of_another_account_is_named_day_by_day(month):
    found = named(month, EVENTS, MONTH[:3], account="acme")
    assert list(found) == MONTH[:3]
    assert "ZENDESK_SUBDOMAIN sandbox, not acme" in found[MONTH[0]]
    assert "set it back" in found[MONTH[0]]


def test_rows_that_were_changed_with_their_hash_are_told_by_their_pages(root):
    """Whoever drops rows and mends the count and the hash still has the pages against him."""

    def dropped(table):
        return table.slice(0, table.num_rows - table.num_rows // 3)

    table = dropped(read_partition(FolderStore(root), METRIC, DAY))
    counted = {"rows": str(table.num_rows), "content_hash": content_hash(table), "duplicates": "0"}
    rewrite(root, METRIC, DAY, rows=dropped, footer=lambda metadata: {**metadata, **counted})
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY]
    assert "which it doesn't hold" in found[DAY]


def test_an_event_on_two_days_is_named_with_both(root):
    """As a pass leaves it where an event comes back with another time: each file is whole for itself."""
    moved = read_partition(FolderStore(root), METRIC, DAY).slice(7, 1).to_pylist()[0]
    other = DAY.plus(3)

    def with_moved(table):
        row = {**moved, "time": dt.datetime.fromtimestamp(other.start, dt.UTC)}
        return pa.concat_tables([pa.Table.from_pylist([row], schema=table.schema), table])

    table = with_moved(read_partition(FolderStore(root), METRIC, other))
    counted = {"rows": str(table.num_rows), "content_hash": content_hash(table)}
    rewrite(root, METRIC, other, rows=with_moved, footer=lambda metadata: {**metadata, **counted})
    found = named(root, METRIC, WEEK)
    assert list(found) == [DAY, other]
    for day, elsewhere in ((DAY, other), (other, DAY)):
        assert f"1 events (for example id {moved['id']}) are stored on {elsewhere} as well" in found[day]
        assert f"Materialise {METRIC} of {DAY} and of {other} again" in found[day]


few_ids = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=12)


@given(st.lists(few_ids, min_size=3, max_size=3), st.sampled_from(list(STREAMS)), st.sampled_from([1, 5, 10**9]))
@settings(max_examples=EXAMPLES)
def test_repeated_events_are_those_that_a_dict_finds_however_few_are_compared_at_once(events, stream, most_at_once):
    """Pairs of days, in order, of every event's places; in `ticket_metric_events` an event is its id alone."""
    places = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        for day, of_day in zip(DAYS, events, strict=True):
            kind = {True: {"metric": "reply_time", "instance_id": 1}, False: {}}
            rows = [{"id": number, **kind[is_metric]} for number, is_metric in of_day]
            table = pa.Table.from_pylist(rows, schema=RAW_SCHEMAS[stream])
            write_partition(store, stream, day, table, {"stream": stream, "partition": str(day)})
            for number, is_metric in of_day:
                places[number, stream == EVENTS and is_metric].append(day)
        found = repeated_events(store, stream, DAYS, most_at_once=most_at_once)
    pairs = Counter(pair for days in places.values() for pair in pairwise(days))
    told = Counter()
    for (one, other), count in sorted(pairs.items()):
        told[one, count, "more than once" if one == other else f"stored on {other} as well"] += 1
        if one != other:
            told[other, count, f"stored on {one} as well"] += 1
    assert (
        Counter(
            (day, int(str(finding).split()[0]), re.search(r"more than once|stored on [\d-]+ as well", str(finding))[0])
            for day, findings in found.items()
            for finding in findings
        )
        == told
    )


def audit(number, time):
    return {"id": number, "ticket_id": 1, "timestamp": time, "event_type": "Audit", "child_events": []}


def metric_event(number, time, **more):
    row = {"id": number, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "activate"}
    return {**row, "time": dt.datetime.fromtimestamp(time, dt.UTC).isoformat(), **more}


def test_an_audit_and_a_metric_event_of_one_number_are_two_events(tmp_path):
    clock = Moment(DAY.end + HOUR)
    with SandboxServer(RecordedAccount({EVENTS: [audit(5, NOON), metric_event(5, NOON + 1)]}), clock=clock) as server:
        fetch(server, tmp_path, EVENTS, str(DAY), str(DAY), clock=clock)
    assert [verdict.rows for verdict in verified(tmp_path, EVENTS, [DAY])] == [2]
    assert named(tmp_path, EVENTS, [DAY]) == {}


def test_an_open_day_is_told_and_named_only_when_nobody_finished_it(tmp_path):
    clock = Moment(NOON)
    with SandboxServer(RecordedAccount({METRIC: [metric_event(1, NOON - 900)]}), clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    closed = DAY.end + TICKET_METRIC_EVENTS.lag_seconds + 60 + OPEN_GRACE_SECONDS
    (verdict,) = verified(tmp_path, METRIC, [DAY], now=closed - 1)
    assert (verdict.state, verdict.is_whole) == ("open", True)
    assert verdict.notes == ("read up to 2026-03-10T11:45:00Z",)
    told = named(tmp_path, METRIC, [DAY], now=closed)[DAY]
    assert "was read only up to 2026-03-10T11:45:00Z and is still open. Materialise ticket_metric_events of" in told


def test_a_day_that_has_not_begun_is_not_missing(tmp_path):
    (today, tomorrow) = verified(tmp_path, METRIC, [DAY, DAY.plus(1)], now=NOON)
    assert (today.state, [str(finding) for finding in today.findings]) == (
        "missing",
        [f"No file is stored. Materialise {METRIC} of {DAY}."],
    )
    assert (tomorrow.state, tomorrow.is_whole) == ("to come", True)


def test_refused_rows_are_told_and_missed_when_they_are_gone(tmp_path):
    clock = Moment(DAY.end + HOUR)
    with SandboxServer(RecordedAccount({METRIC: [metric_event(1, NOON), {"id": 2, "ticket_id": 1}]}), clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        clock.now = DAY.plus(1).end + HOUR
        fetch(server, tmp_path, METRIC, str(DAY.plus(1)), str(DAY.plus(1)), clock=clock)
    (verdict,) = verified(tmp_path, METRIC, [DAY])
    assert verdict.is_whole
    assert verdict.notes == (f"its pass set 1 rows aside below {tmp_path}/_rejected/{METRIC}",)
    assert rows_set_aside(FolderStore(tmp_path), METRIC, [DAY, DAY.plus(1), DAY.plus(2)]) == 1
    for path in (tmp_path / "_rejected" / METRIC).iterdir():
        path.unlink()
    assert "refused 1 rows, which are gone" in named(tmp_path, METRIC, [DAY])[DAY]


# What a ledger may look like, by hand: the pages of one complete day, each (start, end, rows).

START, END = DAY.start, DAY.end
PAST = END + TICKET_METRIC_EVENTS.lag_seconds


def footer_of(*pages, **more):
    ledger = tuple(LedgerPage(start, end, count, None, None) for start, end, count in pages)
    last = ledger[-1].end_time
    values = {
        "schema_version": 1, "account": "a", "timezone": "UTC", "sideload": False, "stream": METRIC, "partition": str(DAY),
        "window_start": START, "window_end": END, "complete": True, "next_start_time": ledger[-1].start_time if last is None
        else last, "requests": len(ledger), "rows": 0, "duplicates": 0, "rejected": 0, "fetched_at": END + 86_400,
        "content_hash": "", "pages": ledger,
    }  # fmt: skip
    return RawFooter(**{**values, **more})


HEALTHY = {
    "one page for everything": footer_of((START, PAST, 5), rows=5),
    "pages that span days on either side": footer_of((START - 500, START + 500, 900), (START + 500, PAST + 9, 900), rows=700),
    "a second told again": footer_of((START, NOON, 9), (NOON, NOON, 9), (NOON, PAST, 9), rows=15, duplicates=3),
    "an overfull second": footer_of((START, NOON, 9), (NOON, NOON + 1, 5000), (NOON + 1, PAST, 0), rows=5009),
    "resumed behind its end": footer_of((START, NOON, 9), (NOON - 400, PAST, 9), rows=12, duplicates=6),
    "a row of tomorrow, then resumed": footer_of((START, END + 99_999, 9), (NOON, PAST, 3), rows=11),
    "caught up": footer_of((START, NOON, 3), (NOON, None, 0), rows=3),
    "the stream ends early": footer_of((START, NOON, 3), rows=3),
    "an end that lies before its only row": footer_of((START, START - 86_400, 1), rows=1, next_start_time=START),
    "no end told": footer_of((START, None, 1000), (NOON, PAST, 3), rows=1003),
    "read before the day began": footer_of((START - 9000, START - 8000, 0), (START, PAST, 3), rows=3),
    "open": footer_of((START, NOON, 3), rows=3, complete=False, fetched_at=NOON + 30, next_start_time=NOON - 270),
}

SICK = {
    "begins late": (footer_of((START + 1, PAST, 5), rows=5), "between 2026-03-10T00:00:00Z and 2026-03-10T00:00:01Z"),
    "a second is missing": (footer_of((START, NOON, 5), (NOON + 1, PAST, 5), rows=9), "a gap"),
    "a gap behind a row of tomorrow": (
        footer_of((START, END + 99_999, 9), (NOON, NOON + 60, 3), (NOON + 61, PAST, 3), rows=9),
        "between 2026-03-10T12:01:00Z and 2026-03-10T12:01:01Z",
    ),
    "a gap behind an empty answer": (footer_of((START, None, 0), (START + 9, PAST, 3), rows=3), "a gap"),
    "the last page is missing": (footer_of((START, NOON, 5), rows=5, next_start_time=PAST), "missing at the end"),
    "complete too early": (footer_of((START, NOON, 5), rows=5, fetched_at=PAST + 59), "says complete"),
    "goes on where nobody was": (
        footer_of((START, NOON, 3), rows=3, complete=False, fetched_at=NOON + 30, next_start_time=NOON),
        "doesn't lead to where its footer goes on",
    ),
    "more rows than delivered": (footer_of((START, PAST, 5), rows=6), "delivered 5 rows, but 6 stored"),
    "fewer rows than delivered": (footer_of((START, NOON, 5), (NOON, PAST, 5), rows=4), "at least 5 rows of the day"),
    "no requests": (footer_of(*[(START + n * 900, START + n * 900 + 900, 1) for n in range(98)], rows=95, requests=1), "1 req"),
    "no page": (footer_of((START, PAST, 5), pages=()), "names no page"),
}


@pytest.mark.parametrize("footer", HEALTHY.values(), ids=HEALTHY)
def test_a_ledger_as_a_pass_writes_it_is_not_accused(footer):
    assert ledger_problems(footer, TICKET_METRIC_EVENTS) == []


@pytest.mark.parametrize(("footer", "told"), SICK.values(), ids=SICK)
def test_a_ledger_that_proves_nothing_is_told(footer, told):
    assert told in " ".join(ledger_problems(footer, TICKET_METRIC_EVENTS))


def with_a_page_over_it(root, times):
    """A file of events at these times, ids counting up, with a footer that fits it."""
    rows = [metric_event(number, 0) | {"time": time} for number, time in enumerate(times, 1)]
    ready = [{**row, "time": dt.datetime.fromtimestamp(row["time"], dt.UTC)} for row in rows]
    table = pa.Table.from_pylist(ready, schema=TICKET_METRIC_EVENTS_SCHEMA)
    footer = footer_of((START, PAST, len(rows)), rows=len(rows), content_hash=content_hash(table))
    write_partition(FolderStore(root), METRIC, DAY, table, footer.to_metadata())
    return named(root, METRIC, [DAY])


def test_the_day_begins_with_its_first_second_and_the_next_midnight_is_not_its(tmp_path):
    assert with_a_page_over_it(tmp_path, [START, END - 1]) == {}
    assert "1 rows lie outside the day, for example id 2." in with_a_page_over_it(tmp_path, [START, END])[DAY]
    assert "1 rows lie outside the day, for example id 1." in with_a_page_over_it(tmp_path, [START - 1, END - 1])[DAY]


@pytest.mark.parametrize("disordered", [500, ROWS_PER_BATCH])
def test_rows_of_a_large_day_stand_in_order_from_end_to_end(tmp_path, disordered):
    """Also where one look at the file ends and the next begins."""
    times = [START + number for number in range(2 * ROWS_PER_BATCH)]
    assert with_a_page_over_it(tmp_path, times) == {}
    times[disordered] = times[disordered - 1] - 1
    assert "1 rows don't stand in the order of time and id." in with_a_page_over_it(tmp_path, times)[DAY]


# Any healthy pass, and any damage to what it made.

account, clock = RecordedAccount(), Moment(0)


@pytest.fixture(scope="module")
def servers():
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


def accusations(verdict):
    """What is told of a day, but that nobody has finished it."""
    return [finding for finding in verdict.findings if "is still open" not in finding.problem]


@given(streams(), st.sampled_from(list(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_no_healthy_pass_is_ever_accused(servers, rows, stream, data):
    """An open day is resumed while rows come late, move and are withdrawn; then all is closed, and a day read again."""
    server = data.draw(st.sampled_from(servers))
    moments = sorted(data.draw(st.lists(st.integers(DAYS[0].start + 60, DAYS[1].end), max_size=3)))
    owner = Owner("recorded", "UTC", sideload=False)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for now in [*moments, DAYS[-1].end + 500 + data.draw(st.integers(0, 90_000))]:
            clock.now = now
            told = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))) if now in moments else []
            account.clear(stream)
            account.deliver(stream, [row for row, is_told in zip(rows, told or [True] * len(rows), strict=True) if is_told])
            days = [day for day in DAYS if day.start <= now]
            first = data.draw(st.integers(0, len(days) - 1)) if now in moments else 0
            list(fetching(server, root, stream, days[first:], clock=clock))
            stored = [day for day in days if (root / stream / f"date={day}").exists()]
            for verdict in verify_days(FolderStore(root), stream=STREAMS[stream], days=stored, owner=owner, now=now):
                assert accusations(verdict) == [], verdict


@given(streams(), st.sampled_from(list(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_no_pass_that_was_killed_and_taken_up_again_is_accused(servers, rows, stream, data):
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
        for verdict in verify_days(FolderStore(root), stream=STREAMS[stream], days=DAYS, owner=owner, now=clock.now):
            assert accusations(verdict) == [], verdict


@pytest.fixture(scope="module")
def many_pages(tmp_path_factory):
    """Three days of many small pages."""
    root = tmp_path_factory.mktemp("pages")
    rows = [metric_event(number, DAYS[0].start - 999 + number * 4000) for number in range(1, 70)]
    now = Moment(DAYS[-1].end + 86_400)
    with SandboxServer(RecordedAccount({METRIC: rows}), clock=now, page_limit=3) as server:
        list(fetching(server, root, METRIC, DAYS, clock=now))
    return root


def with_footer(root, **changed):
    """The root's middle day with its footer changed."""
    rewrite(root, METRIC, DAYS[1], footer=lambda metadata: {**metadata, **changed})


def unread_seconds(day, pages, until):
    """The plain way: tick off every second that some page speaks of."""
    unread = set(range(day.start, min(day.end, until)))
    for page in pages:
        unread -= set(range(page["start_time"], page["end_time"] + 1))
    return unread


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_no_ledger_with_an_unread_second_passes(many_pages, data):
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
        accused = bool(named(root, METRIC, [day]))
        assert accused or not unread_seconds(day, pages, footer.next_start_time)


@given(st.data(), st.booleans())
@settings(max_examples=EXAMPLES)
def test_no_changed_rows_pass_unless_everything_about_them_is_right(many_pages, data, is_hash_mended):
    """With the footer kept, any change is found; with count and hash mended, whatever a plain look finds wrong."""
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
    changed = pa.Table.from_pylist(rows, schema=TICKET_METRIC_EVENTS_SCHEMA)
    keys = [(row["time"], row["id"]) for row in rows]
    ids = [row["id"] for row in rows]
    start, end = (dt.datetime.fromtimestamp(moment, dt.UTC) for moment in (day.start, day.end))
    is_plainly_wrong = keys != sorted(keys) or len(set(ids)) < len(ids) or not all(start <= time < end for time, _ in keys)
    mended = {"rows": str(len(rows)), "content_hash": content_hash(changed)} if is_hash_mended else {}
    with tempfile.TemporaryDirectory() as folder:
        root = copytree(many_pages, Path(folder, "root"))
        rewrite(root, METRIC, day, rows=lambda _: changed, footer=lambda metadata: {**metadata, **mended})
        accused = bool(named(root, METRIC, [day]))
    assert accused or not (is_plainly_wrong if is_hash_mended else changed != table)


# Against the API.


def compared(server, root, days, *, size=1000, seed=1, stream=METRIC):
    store = FolderStore(root)
    sample = draw_sample(store, STREAMS[stream], days, size=size, seed=seed)
    with client_at(server.base_url, clock=clock) as client:
        return list(compare_with_api(client, store, stream=STREAMS[stream], days=days, sample=sample))


def differences(pages):
    return {day: str(finding) for page in pages for day, finding in page.findings}


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


def test_what_came_late_or_was_withdrawn_since_is_told_with_its_day(tmp_path):
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
    assert "The file has 1 events that the API hasn't: they were withdrawn after it was read at" in found[DAYS[0]]
    assert "(ids 3). Materialise ticket_metric_events of 2026-03-10 again." in found[DAYS[0]]
    assert "The API has 1 events that the file hasn't" in found[DAYS[1]]
    assert "(ids 99). Materialise ticket_metric_events of 2026-03-11 again." in found[DAYS[1]]


def test_of_an_open_day_only_what_was_read_for_good_is_compared(tmp_path):
    recorded = RecordedAccount({METRIC: [metric_event(1, NOON - 2000)]})
    clock.now = NOON
    with SandboxServer(recorded, clock=clock) as server:
        list(fetching(server, tmp_path, METRIC, [DAY], clock=clock))
        recorded.deliver(METRIC, [metric_event(2, NOON - 60), metric_event(3, NOON + 600)])
        clock.now = NOON + HOUR
        assert differences(compared(server, tmp_path, [DAY])) == {}
        recorded.deliver(METRIC, [metric_event(4, NOON - 2500)])
        assert "(ids 4)" in differences(compared(server, tmp_path, [DAY]))[DAY]


def test_a_sample_is_bounded_and_repeatable(many_pages):
    store = FolderStore(many_pages)
    drawn = draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=5, seed=7)
    assert drawn == draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=5, seed=7)
    assert drawn != draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=5, seed=8)
    assert (len(drawn.windows), drawn.pages) == (5, 33)
    assert draw_sample(store, TICKET_METRIC_EVENTS, DAYS, size=1000, seed=7).pages == 33


# What the schema doesn't know.


def odd(tmp_path, stream, *rows):
    moment = Moment(DAY.end + HOUR)
    with SandboxServer(RecordedAccount({stream: rows}), clock=moment) as server:
        fetch(server, tmp_path, stream, str(DAY), str(DAY), clock=moment)
    return [(oddity.kind, oddity.name, oddity.count, oddity.example_id) for oddity in find_oddities(
        FolderStore(tmp_path), stream, [DAY, DAY.plus(1)])]  # fmt: skip


POLICY = {"id": 5, "title": "Gold", "description": "All tickets"}


def test_documented_rows_are_not_odd(tmp_path):
    plain = metric_event(1, NOON, type="apply_sla", sla={"target": 60, "business_hours": True, "policy": POLICY})
    both = metric_event(2, NOON, sla={"target": 60, "policy": POLICY}, group_sla={"target": 5, "policy": {**POLICY, "id": "x"}})
    surrogate = metric_event(3, NOON, sla={"target": 60, "policy": {"id": 5, "title": "VIP \ud83d"}})
    precise = {**metric_event(4, NOON), "time": "2026-03-10T12:00:00.123456Z"}
    assert odd(tmp_path, METRIC, plain, both, surrogate, precise) == []
    written = {**audit(1, NOON), "created_at": "2026-03-10T12:00:00.123456Z", "via": "Web \ud83d", "updater_id": -1}
    assert odd(tmp_path, EVENTS, written, metric_event(2, NOON)) == []


@pytest.mark.parametrize(
    ("stream", "row", "kind", "name"),
    [
        (METRIC, metric_event(1, NOON, sla="Gold"), TYPE_CHANGED, "sla"),
        (METRIC, metric_event(1, NOON, sla={"target": "60"}), TYPE_CHANGED, "sla.target"),
        (METRIC, metric_event(1, NOON, group_sla={"policy": "Gold"}), TYPE_CHANGED, "group_sla.policy"),
        (METRIC, metric_event(1, NOON, status={"calendar": {"minutes": 5}}), TYPE_CHANGED, "status.calendar"),
        (METRIC, metric_event(1, NOON, deleted="false"), TYPE_CHANGED, "deleted"),
        (METRIC, metric_event(1, NOON, ticket_id=2**70), TYPE_CHANGED, "ticket_id"),
        (METRIC, metric_event(1, NOON, metric={"name": "reply_time"}), TYPE_CHANGED, "metric"),
        (METRIC, metric_event(1, NOON, metric="mood_time"), UNKNOWN, "metric mood_time"),
        (METRIC, metric_event(1, NOON, type="forgive"), UNKNOWN, "type forgive"),
        (METRIC, metric_event(1, NOON, colour="red"), UNKNOWN, "colour"),
        (METRIC, metric_event(1, NOON, sla={"policy": {**POLICY, "rank": 1}}), UNKNOWN, "sla.policy.rank"),
        (METRIC, metric_event(1, NOON, via="Web form"), UNKNOWN, "via"),
        (METRIC, {**audit(1, NOON), "updater_id": 5}, UNKNOWN, "audits in this stream"),
        (EVENTS, {**audit(1, NOON), "via": {"channel": "web"}}, TYPE_CHANGED, "via"),
        (EVENTS, {**audit(1, NOON), "created_at": "yesterday"}, TYPE_CHANGED, "created_at"),
        (EVENTS, {**audit(1, NOON), "event_type": "Omen"}, UNKNOWN, "event_type Omen"),
        (EVENTS, {**audit(1, NOON), "mood": 5}, UNKNOWN, "mood"),
        (EVENTS, {**audit(1, NOON), "metric": "reply_time"}, UNKNOWN, "metric"),
    ],
)
def test_what_the_schema_does_not_know_is_counted_with_an_example(tmp_path, stream, row, kind, name):
    usual = metric_event(2, NOON) if stream == METRIC else audit(2, NOON)
    assert odd(tmp_path, stream, usual, row, {**row, "id": 3}) == [(kind, name, 2, 1)]


def test_fields_named_by_data_do_not_flood_the_list(tmp_path):
    found = odd(tmp_path, METRIC, *[metric_event(number, NOON, **{f"field_{number}": 1}) for number in range(1, 301)])
    assert len(found) == 101
    assert sum(count for _, _, count, _ in found) == 300
