"""A fetch may be killed or stopped at any moment; the same command resumes it, exactly, and repeats at most 12 requests."""

import datetime as dt
import json
import os
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.errors import DaysHeldError, ForbiddenError, TicketEventsError, UsageError
from ticket_events_pipeline.ingest.day_in_progress import DayInProgress
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.journal import PAGES_PER_JOURNAL_FILE, FetchState, Journal
from ticket_events_pipeline.ingest.lease import hold_days
from ticket_events_pipeline.sandbox.answers import Answer, json_answer, over_quota
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition, write_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.storage.sorted_runs import MemoryRun
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.drawn_streams import DAYS, FIRST, LAG, row_time, streams, truth
from ticket_events_pipeline_tests.support.events import metric_event
from ticket_events_pipeline_tests.support.fault_injection import (
    FullFolder,
    HaltingStore,
    KilledError,
    MortalSource,
    MortalStore,
    bury,
)
from ticket_events_pipeline_tests.support.fetches import Moment, client_at, fetch, ownership_of, stored_ids

EXAMPLES = int(os.environ.get("INGEST_EXAMPLES", "40"))
"""Set it to some thousands for a thorough run."""

TWICE = 12
"""Requests that a kill may repeat."""

DAY = Day.parse("2026-03-02")
METRIC = "ticket_metric_events"

account = RecordedAccount()
clock = Moment(0)

FAULTS = [
    over_quota(retry_after_seconds=1),
    json_answer(500, {"error": "InternalError"}),
    Answer(502, b"<html>bad gateway</html>", "text/html"),
    Answer(200, b'{"ticket_events": [', "application/json"),
    json_answer(409, {"errors": [{"code": "Conflict", "title": "t", "detail": "d"}]}),
]


@pytest.fixture(scope="module")
def servers():
    """A server of the same account for each page size and each way to end a stream."""
    worlds = [(limit, end) for limit in (1, 2, 7, 1000) for end in ("present", "absent")]
    running = {
        world: SandboxServer(account, clock=clock, page_limit=world[0], end_of_stream=world[1]).start() for world in worlds
    }
    yield running
    for server in running.values():
        server.stop()


def fetching_days(server, store, stream, days, *, label=""):
    """The days of a fetch that counts its pages as steps of its store."""
    with client_at(server.base_url, clock=clock) as client:
        for done in fetch_days(
            MortalSource(client, store),
            store,
            stream=STREAMS[stream],
            days=days,
            ownership=ownership_of(days[0]),
            clock=clock,
            log=lambda _: None,
            label=label,
            sleep=lambda _: None,  # the 90 s until a silent lease expires take no time
        ):
            yield done.day


def mortal_fetch(server, root, stream, days, *, steps):
    """Whether the fetch reached its end, and the days that it committed."""
    committed = []
    try:
        committed.extend(fetching_days(server, MortalStore(root, steps=steps), stream, days))
    except KilledError:
        bury(root)
        return False, committed
    return True, committed


class StoppedFetch:
    """A fetch that stops after some steps, or has ended before."""

    def __init__(self, server, root, stream, days, *, steps):
        self.store = HaltingStore(root, steps=steps)
        self.committed, self.error = [], None
        self._root, self._stream, self._days = root, stream, days
        self._thread = threading.Thread(target=self._run, args=(server, stream))
        self._thread.start()
        while self._thread.is_alive() and not self.store.is_stopped.wait(0.001):
            pass
        self.has_ended = not self._thread.is_alive()
        self.had_committed = list(self.committed)
        self._tokens = self._holding()

    def _holding(self):
        (file,) = (self._root / "_inflight" / "passes").glob(f"{self._stream}.json")
        holders = [holder for holder in json.loads(file.read_text()) if not holder["ended"]]
        return {holder["token"] for holder in holders if holder["label"] == str(id(self))}

    def is_taken_over(self):
        return bool(self._tokens) and not self._tokens & self._holding()

    def _run(self, server, stream):
        try:
            for day in fetching_days(server, self.store, stream, self._days, label=str(id(self))):
                self.committed.append(day)
        except TicketEventsError as error:
            self.error = error

    def resume(self):
        """If other fetches have taken over and ended, it changes nothing more, and its error says why."""
        before, is_taken_over = contents(self._root), self.is_taken_over()
        self.store.may_resume.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if is_taken_over:
            assert contents(self._root) == before
            assert self.had_committed == self._days or isinstance(self.error, DaysHeldError)


def contents(root):
    """The contents of all finished files except the leases."""
    paths = [path for path in root.rglob("*.*") if not {"passes", "half_written"}.intersection(path.parts)]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def fetched(source, store, days):
    """The days of a whole fetch of metric events."""
    owner = ownership_of(DAY)
    return list(fetch_days(source, store, stream=STREAMS[METRIC], days=days, ownership=owner, clock=clock, log=lambda _: None))


def requests_of(server, stream, days):
    """The number of requests of an undisturbed fetch into an empty folder."""
    before = len(server.requests)
    with tempfile.TemporaryDirectory() as folder:
        assert mortal_fetch(server, Path(folder), stream, days, steps=1_000_000)[0]
    return len(server.requests) - before


def values(root, stream, day):
    table = read_partition(FolderStore(root), stream, day, columns=["id", "deleted"])
    return {row["id"]: row["deleted"] for row in table.to_pylist()}


@given(streams(), st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_a_range_is_exact_after_any_kills_stops_and_failed_requests(servers, drawn, stream, data):
    timezone, rows = drawn
    server = servers[data.draw(st.sampled_from(sorted(servers)))]
    server.unscript()  # an example that Hypothesis aborts leaves its faults in the script
    account.clear(stream)
    account.deliver(stream, rows)
    first = Day.parse(FIRST, timezone)
    days = days_between(first, first.plus(DAYS - 1))
    clock.now = days[-1].end + data.draw(st.integers(-50_000, 90_000))
    expected = truth(rows, timezone)
    undisturbed = requests_of(server, stream, days)
    with tempfile.TemporaryDirectory() as folder:
        root, before = Path(folder), len(server.requests)
        faults = data.draw(st.lists(st.none() | st.none() | st.sampled_from(FAULTS), max_size=12))
        server.script(*faults)
        deaths, stops, ended, stopped_fetches = 0, 0, False, []
        while not ended:
            steps = 1_000_000 if deaths >= 4 else data.draw(st.integers(0, 60))
            if steps >= 2 and data.draw(st.booleans()):  # with fewer steps it has no lease yet
                stopped = StoppedFetch(server, root, stream, days, steps=steps)
                ended, committed = stopped.has_ended, stopped.committed
                stopped_fetches.append(stopped)
                stops += 1
            else:
                ended, committed = mortal_fetch(server, root, stream, days, steps=steps)
                for stopped in [one for one in stopped_fetches if one.is_taken_over() and data.draw(st.booleans())]:
                    stopped.resume()
                    stopped_fetches.remove(stopped)
            # Killed while it released its lease: it had finished, and the same command again would be a new fetch.
            ended = ended or (committed == days and not journal_files(root))
            deaths += not ended
            for day in days:
                footer = read_raw_footer(FolderStore(root), stream, day)
                if footer is not None and footer.complete:
                    assert stored_ids(root, stream, day) == expected[day]
        assert committed == days
        for stopped in [one for one in stopped_fetches if one.is_taken_over()]:
            stopped.resume()
            stopped_fetches.remove(stopped)
        for day in days:
            assert stored_ids(root, stream, day) == [
                number for number in expected[day] if number in stored_ids(root, stream, day)
            ]
            footer = read_raw_footer(FolderStore(root), stream, day)
            if footer.complete:
                assert stored_ids(root, stream, day) == expected[day]
        met = faults[: len(faults) - len(server.unscript())]
        made = len(server.requests) - before
        assert made <= undisturbed + TWICE * (deaths + stops) + sum(fault is not None for fault in met)
        left = FolderStore(root).paths("_inflight/segments") + FolderStore(root).paths("_inflight/half_written")
        assert left == []
        for stopped in stopped_fetches:  # stopped at its very end, or before it had a lease
            stopped.resume()


@given(streams(), st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_open_days_end_exact_after_kills_changed_rows_and_late_rows(servers, drawn, stream, data):
    timezone, rows = drawn
    server = servers[data.draw(st.sampled_from(sorted(servers)))]
    first = Day.parse(FIRST, timezone)
    days = days_between(first, first.plus(DAYS - 1))
    moments = sorted(data.draw(st.lists(st.integers(first.start + 100, days[-1].end), min_size=1, max_size=4)))
    rows = rows + [metric_event(1000 + number, moment - 100) for number, moment in enumerate(moments)]
    flips = {row["id"]: data.draw(st.sampled_from(moments)) for row in rows if "child_events" not in row and row["id"] % 3 == 0}

    def visible_rows():
        """Past rows appear with a delay of less than the lag, rows in the future at once; some rows are deleted."""
        visible = [row for row in rows if not 0 <= clock.now - row_time(row) < row["id"] * 37 % LAG[stream]]
        return [{**row, "deleted": flips[row["id"]] <= clock.now} if row["id"] in flips else row for row in visible]

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # A killed fetch is resumed later, when more rows are visible; only the last two are retried until they succeed.
        # The very last is a restatement: no later row announces the deletion of a row before the watermark.
        whole, restated = days[-1].end + LAG[stream] + 61, days[-1].end + 100_000
        for moment in [*moments, whole, restated]:
            clock.now = moment
            account.clear(stream)
            account.deliver(stream, visible_rows())
            for steps in (data.draw(st.integers(0, 60)), *((30, 1_000_000) if moment in (whole, restated) else ())):
                ended, _ = mortal_fetch(server, root, stream, days, steps=steps)
                if ended:
                    break
            if moment == whole:
                for day in days:
                    assert stored_ids(root, stream, day) == truth(rows, timezone)[day]
        for day in days:
            assert stored_ids(root, stream, day) == truth(rows, timezone)[day]
            assert read_raw_footer(FolderStore(root), stream, day).complete
            for number, deleted in values(root, stream, day).items():
                assert bool(deleted) == (number in flips)


def many_rows(count):
    """`count` metric events of the day, one every ten seconds."""
    return [
        {**metric_event(number, DAY.start + number * 10), "type": "breach", "deleted": False} for number in range(1, count + 1)
    ]


@pytest.fixture
def big_day():
    """The server of a day of 30 pages."""
    clock.now = DAY.end + 5000
    with SandboxServer(RecordedAccount({METRIC: many_rows(300)}), clock=clock, page_limit=11) as server:
        yield server


def killed_half_way(server, root, *, pages=25):
    """Kills a fetch that leaves a journal of the day; returns the number of its requests."""
    before = len(server.requests)
    with client_at(server.base_url, clock=clock) as client:
        store = MortalStore(root, steps=1_000_000)

        class Source:
            def pages(self, stream, start_time, **bounds):
                for number, walked in enumerate(client.pages(stream, start_time, **bounds)):
                    if number == pages:
                        store._steps = 0
                    store.step()
                    yield walked

        with pytest.raises(KilledError):
            fetched(Source(), store, [DAY])
    bury(root)
    return len(server.requests) - before


def journal_files(root):
    return sorted((root / "_inflight" / "segments").rglob("*.parquet"))


def again(server, root, *, first=str(DAY), last=str(DAY), **rest):
    """The number of requests of the same fetch started again, which ends exact, and its log."""
    before, log = len(server.requests), []
    fetch(server, root, METRIC, first, last, clock=clock, log=log.append, **rest)
    assert stored_ids(root, METRIC, DAY) == list(range(1, 301))
    assert journal_files(root) == []
    return len(server.requests) - before, "\n".join(log)


def test_a_killed_fetch_is_resumed_from_its_newest_journal_file(big_day, tmp_path):
    assert killed_half_way(big_day, tmp_path) == 27  # the last one was sent ahead
    # A duplicate of the page before is stored once per journal file; no other row is in two journal files.
    assert [pq.read_metadata(path).num_rows for path in journal_files(tmp_path)] == [10 * PAGES_PER_JOURNAL_FILE + 1] * 2
    made, log = again(big_day, tmp_path)
    assert made <= 30 - 2 * PAGES_PER_JOURNAL_FILE + 2
    assert "resuming where a fetch stopped" in log


class Stuck(FolderStore):
    """A store that does not write the first journal file until `may_write` is set."""

    def __init__(self, root):
        super().__init__(root)
        self.is_writing, self.may_write = threading.Event(), threading.Event()

    @contextmanager
    def writer(self, path, **fence):
        if "/segments/" in path and not self.is_writing.is_set():
            self.is_writing.set()
            assert self.may_write.wait(30)
        with super().writer(path, **fence) as file:
            yield file


class FailsOnce(FolderStore):
    """A store that can't write the first journal file, and says so when the fetch has made all requests that it may."""

    def __init__(self, root, server):
        super().__init__(root)
        self._server = server
        self._has_failed = False

    @contextmanager
    def writer(self, path, **fence):
        if "/segments/" in path and not self._has_failed:
            self._has_failed = True
            made = None
            while made != len(self._server.requests):
                made = len(self._server.requests)
                threading.Event().wait(0.2)
            raise UsageError("no space left for a moment")
        with super().writer(path, **fence) as file:
            yield file


@pytest.mark.parametrize("more", [{}, {"of_a_later_version": 1}], ids=["in columns", "row by row"])
def test_pages_after_one_that_was_not_processed_are_requested_again(tmp_path, more):
    """What is saved after a failure is the beginning of what was read, without a gap."""
    clock.now = DAY.end + 5000
    account = RecordedAccount({METRIC: [{**row, **more} for row in many_rows(300)]})
    with SandboxServer(account, clock=clock, page_limit=11) as server, client_at(server.base_url, clock=clock) as client:
        with pytest.raises(UsageError, match="for a moment"):
            fetched(client, FailsOnce(tmp_path, server), [DAY])
        assert len(journal_files(tmp_path)) == 1
        again(server, tmp_path)


def test_a_slow_journal_file_does_not_raise_the_requests_that_a_kill_may_repeat(big_day, tmp_path):
    store, before = Stuck(tmp_path), len(big_day.requests)
    with client_at(big_day.base_url, clock=clock) as client:
        reader = threading.Thread(target=fetched, args=(client, store, [DAY]))
        reader.start()
        assert store.is_writing.wait(30)
        reader.join(0.5)  # time for all requests that it makes without the journal file
        made = len(big_day.requests) - before
        store.may_write.set()
        reader.join(30)
    assert PAGES_PER_JOURNAL_FILE < made <= TWICE
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))


def test_a_truncated_journal_file_is_ignored_and_the_one_before_is_used(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    newest = journal_files(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    made, _ = again(big_day, tmp_path)
    assert 30 - PAGES_PER_JOURNAL_FILE <= made <= 30 - PAGES_PER_JOURNAL_FILE + 2


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_flipped_byte_anywhere_in_a_journal_file_is_noticed_or_harmless(big_day, tmp_path, share):
    killed_half_way(big_day, tmp_path)
    oldest = journal_files(tmp_path)[0]
    content = bytearray(oldest.read_bytes())
    content[int(len(content) * share)] ^= 0x55
    oldest.write_bytes(content)
    again(big_day, tmp_path)


def test_a_lost_journal_file_is_noticed(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    journal_files(tmp_path)[0].unlink()
    made, _ = again(big_day, tmp_path)
    assert made == 30


def test_a_journal_older_than_a_day_is_discarded(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    clock.now += 24 * 3600 + 1
    made, log = again(big_day, tmp_path)
    assert made == 30
    assert "too old or damaged" in log


@pytest.mark.parametrize("other", [{"account": "other"}, {"sideload": True}, {"support_type_scope": "all"}])
def test_a_journal_of_other_settings_is_discarded(big_day, tmp_path, other):
    killed_half_way(big_day, tmp_path)
    made, _ = again(big_day, tmp_path, **other)
    assert made == 30


def test_a_fetch_of_other_days_does_not_change_the_journal(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    left = journal_files(tmp_path)
    fetch(big_day, tmp_path, METRIC, "2026-03-01", "2026-03-01", clock=clock)
    assert journal_files(tmp_path) == left
    assert again(big_day, tmp_path)[0] <= 12


def test_a_longer_range_resumes_from_the_journal(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    clock.now += 3600
    assert again(big_day, tmp_path, last="2026-03-03")[0] <= 12


def test_rows_of_a_newer_fetch_are_not_overwritten_by_an_older_journal(big_day, tmp_path):
    """The journal of a killed fetch is older than the file that another fetch has written."""
    killed_half_way(big_day, tmp_path)
    (left,) = (tmp_path / "_inflight" / "segments" / METRIC).iterdir()
    left.rename(tmp_path / "aside")
    clock.now += 3600
    assert again(big_day, tmp_path)[0] == 30
    (tmp_path / "aside").rename(left)
    clock.now += 60
    before = len(big_day.requests)
    fetch(big_day, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    assert len(big_day.requests) - before == 30


def test_a_failed_fetch_keeps_its_rows_for_the_next_fetch(big_day, tmp_path):
    big_day.script(*[None] * 15, json_answer(403, {"error": "Forbidden"}))
    with pytest.raises(ForbiddenError):
        fetch(big_day, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    made, _ = again(big_day, tmp_path)
    assert made <= 30 - 15 + 2
    assert dt.datetime.fromtimestamp(clock.now, dt.UTC).date() > DAY.date


@pytest.mark.parametrize(("room_bytes", "left"), [(3_000, 0), (9_000, 1), (14_000, 2)])
def test_a_full_disk_is_named_and_repeats_no_more_requests_than_a_kill(big_day, tmp_path, room_bytes, left):
    """There is room for no journal file, for one, and for two but not for the day's file."""
    with client_at(big_day.base_url, clock=clock) as client, pytest.raises(UsageError) as failure:
        fetched(client, FullFolder(tmp_path, room_bytes=room_bytes), [DAY])
    assert "TICKET_EVENTS_ROOT: can't write below" in str(failure.value)
    assert "No space left on device" in str(failure.value)
    assert len(journal_files(tmp_path)) == left
    assert FolderStore(tmp_path).paths("_inflight/half_written") == FolderStore(tmp_path).paths(METRIC) == []
    made, _ = again(big_day, tmp_path)
    assert made <= 30 - PAGES_PER_JOURNAL_FILE * left + 2


def test_a_fetch_of_days_after_those_that_a_killed_fetch_read_starts_anew(big_day, tmp_path):
    """Resuming the killed fetch would read all days in between."""
    with client_at(big_day.base_url, clock=clock) as client:
        store = MortalStore(tmp_path, steps=40)
        with pytest.raises(KilledError):
            fetched(MortalSource(client, store), store, [DAY.plus(-1), DAY, DAY.plus(1)])
    bury(tmp_path)
    assert journal_files(tmp_path) != []
    before = len(big_day.requests)
    fetch(big_day, tmp_path, METRIC, str(DAY.plus(1)), str(DAY.plus(1)), clock=clock)
    assert len(big_day.requests) - before == 1


def test_the_journal_files_of_a_live_fetch_are_left_alone(big_day, tmp_path):
    """They may look old, since the fetch may wait for its quota."""
    with client_at(big_day.base_url, clock=clock) as client:

        class Slow:
            def pages(self, stream, start_time, **bounds):
                for number, walked in enumerate(client.pages(stream, start_time, **bounds)):
                    if number == 15:
                        clock.now += 25 * 3600
                        fetch(big_day, tmp_path, METRIC, "2026-03-01", "2026-03-01", clock=clock)
                    yield walked

        fetched(Slow(), FolderStore(tmp_path), [DAY])
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))


def test_a_journal_that_another_fetch_takes_over_is_not_discarded(big_day, tmp_path):
    """The other fetch took over a moment after this one had read the list of live fetches."""
    killed_half_way(big_day, tmp_path)
    for path in journal_files(tmp_path):
        path.write_bytes(b"truncated")
    dead = journal_files(tmp_path)[0].parent.name
    other = hold_days(FolderStore(tmp_path), METRIC, [DAY.plus(9)], label="", log=lambda _: None)

    class Meanwhile(FolderStore):
        def paths(self, prefix):
            if prefix.startswith("_inflight/segments"):
                other.take_over(dead)
            return super().paths(prefix)

    with client_at(big_day.base_url, clock=clock) as client:
        fetched(client, Meanwhile(tmp_path), [DAY])
    assert len([path for path in journal_files(tmp_path) if path.parent.name == dead]) == 2
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))
    other.release()


class NoRoomForDays(FolderStore):
    """Has room for journal files, but not for a day."""

    def writer(self, path, **fence):
        if path.startswith(METRIC):
            raise UsageError("TICKET_EVENTS_ROOT: no room for a day")
        return super().writer(path, **fence)


def test_a_day_that_could_not_be_written_is_not_read_again(big_day, tmp_path):
    with client_at(big_day.base_url, clock=clock) as client, pytest.raises(UsageError, match="no room for a day"):
        fetched(client, NoRoomForDays(tmp_path), [DAY])
    assert again(big_day, tmp_path)[0] <= 2


def test_a_journal_file_with_a_changed_watermark_is_not_trusted(big_day, tmp_path):
    """One digit of the watermark is changed."""
    killed_half_way(big_day, tmp_path)
    newest = journal_files(tmp_path)[-1]
    content = newest.read_bytes()
    at = content.index(b'"next_start_time": 17') + len(b'"next_start_time": 177241')
    assert content[at : at + 1] != b"9"
    newest.write_bytes(content[:at] + b"9" + content[at + 1 :])
    made, _ = again(big_day, tmp_path)
    assert 20 <= made <= 22


def test_a_trusted_journal_file_with_a_flipped_byte_holds_what_was_written(tmp_path):
    rows = MemoryRun(decode_rows(METRIC, many_rows(200)).table).rows

    def journal():
        return Journal(FolderStore(tmp_path), METRIC, ownership_of(DAY), fetch_id="dead")

    journal().save(FetchState(DAY, DAY, DAY.start, server_time=DAY.end, days={DAY: DayInProgress(deliveries=[rows])}))
    (path,) = journal_files(tmp_path)
    content, believed, steps = path.read_bytes(), 0, 300
    for at in range(0, len(content), max(1, len(content) // steps)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        reader = journal()
        for state in reader.states("UTC"):
            if reader.holds(state):
                believed += 1
                assert state.server_time == DAY.end
                assert [part.rows for part in state.days[DAY].parts] == [200]
                found = pa.concat_tables(reader.segments.run(state.days[DAY].parts[0]).tables())
                assert found.equals(rows)
    assert believed < steps / 3


def test_an_open_day_whose_rows_contradict_its_footer_is_read_again(tmp_path):
    clock.now = DAY.start + 12 * 3600
    recorded = RecordedAccount({METRIC: many_rows(300)})
    with SandboxServer(recorded, clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        table, footer = read_partition(FolderStore(tmp_path), METRIC, DAY), read_raw_footer(FolderStore(tmp_path), METRIC, DAY)
        write_partition(FolderStore(tmp_path), METRIC, DAY, table.slice(1), footer.to_metadata())
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))


def test_an_open_file_of_another_day_is_not_resumed(tmp_path):
    clock.now = DAY.start + 12 * 3600
    rows = [*many_rows(30), *(metric_event(1000 + number, DAY.start - 80_000 + number) for number in range(5))]
    with SandboxServer(RecordedAccount({METRIC: rows}), clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        (file,) = (tmp_path / METRIC).rglob("*.parquet")
        elsewhere = Path(str(file).replace(str(DAY), str(DAY.plus(-1))))
        elsewhere.parent.mkdir()
        file.rename(elsewhere)
        fetch(server, tmp_path, METRIC, str(DAY.plus(-1)), str(DAY.plus(-1)), clock=clock)
    assert stored_ids(tmp_path, METRIC, DAY.plus(-1)) == [1000, 1001, 1002, 1003, 1004]


class DiesAtTheEnd(MortalStore):
    """Is killed when everything is written, at the first cleanup."""

    def delete(self, *_, **__):
        self._steps = 0
        self.step()


def test_a_day_that_was_open_when_its_fetch_was_killed_is_resumed(tmp_path):
    clock.now = DAY.start + 12 * 3600
    recorded = RecordedAccount({METRIC: many_rows(300)})
    with SandboxServer(recorded, clock=clock, page_limit=11) as server:
        with client_at(server.base_url, clock=clock) as client, pytest.raises(KilledError):
            fetched(client, DiesAtTheEnd(tmp_path, steps=1_000_000), [DAY])
        bury(tmp_path)
        assert not read_raw_footer(FolderStore(tmp_path), METRIC, DAY).complete
        assert len(journal_files(tmp_path)) == 30 // PAGES_PER_JOURNAL_FILE
        clock.now += 3600
        recorded.deliver(METRIC, [metric_event(301, clock.now - 1000)])
        before = len(server.requests)
        (done,) = fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 302))
        assert not done.footer.complete
        assert len(server.requests) - before <= 4


def test_rows_after_the_range_of_a_failed_fetch_reach_a_longer_fetch(tmp_path):
    """The fetch failed half-way, after it had read rows of the next day, which was not in its range."""
    clock.now = DAY.end + 90_000
    rows = [metric_event(number, DAY.end - 2000 + number * 10) for number in range(1, 400)]
    with SandboxServer(RecordedAccount({METRIC: rows}), clock=clock, page_limit=11) as server:
        server.script(*[None] * 22, json_answer(403, {"error": "Forbidden"}))
        with pytest.raises(ForbiddenError):
            fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert journal_files(tmp_path) != []
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY.plus(1)), clock=clock)
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 200))
    assert stored_ids(tmp_path, METRIC, DAY.plus(1)) == list(range(200, 400))


def test_late_rows_that_arrive_while_no_fetch_runs_are_found_on_resume(tmp_path):
    """When the fetch failed, its watermark was closer to now than rows may be late."""
    clock.now = noon = DAY.start + 12 * 3600
    recorded = RecordedAccount({METRIC: [metric_event(number, noon - 3000 + number * 10) for number in range(1, 291)]})
    with SandboxServer(recorded, clock=clock, page_limit=11) as server:
        server.script(*[None] * 28, json_answer(403, {"error": "Forbidden"}))
        with pytest.raises(ForbiddenError):
            fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        recorded.deliver(METRIC, [metric_event(1000, noon - 250)])
        clock.now += 400
        before = len(server.requests)
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert len(server.requests) - before <= 4
    assert sorted(stored_ids(tmp_path, METRIC, DAY)) == [*range(1, 291), 1000]


def test_the_later_watermark_of_two_journal_files_of_one_number_is_resumed(tmp_path):
    """One of the new holder, and a late one of the process that it has just taken over."""
    store = FolderStore(tmp_path)
    for number, watermark in enumerate([2000, 3000, 1000]):
        journal = Journal(store, METRIC, ownership_of(DAY), fetch_id="dead")
        rows = decode_rows(METRIC, many_rows(10 + number)).table
        journal.save(
            FetchState(DAY, DAY, DAY.start, watermark, server_time=DAY.end, days={DAY: DayInProgress(deliveries=[rows])})
        )
    new_holder = Journal(store, METRIC, ownership_of(DAY), fetch_id="dead")
    states = list(new_holder.states("UTC"))
    assert [state.next_start_time for state in states] == [3000, 2000, 1000]
    assert all(new_holder.holds(state) for state in states)
    new_holder.save(states[0])
    assert [path.name[:7] for path in journal_files(tmp_path)] == ["000001-", "000002-"]  # what the newest needs


def test_a_fetch_does_not_change_the_journal_files_of_its_new_holder(tmp_path):
    """This includes files of the same number, after it resumes."""
    store = FolderStore(tmp_path)
    first, new_holder = (Journal(store, METRIC, ownership_of(DAY), fetch_id="dead") for _ in range(2))
    for journal in (first, new_holder, new_holder):
        rows = decode_rows(METRIC, many_rows(10)).table
        journal.save(FetchState(DAY, DAY, DAY.start, 1000, server_time=DAY.end, days={DAY: DayInProgress(deliveries=[rows])}))
    stand = [(path, path.read_bytes()) for path in journal_files(tmp_path)[1:]]
    first.save(FetchState(DAY, DAY, DAY.start, 1000, server_time=DAY.end, days={}))
    assert {path: path.read_bytes() for path in journal_files(tmp_path)}.items() >= dict(stand).items()
