"""A pass may be killed, or stand still, at any moment; the same question goes on where it stopped: exact, 12 requests twice."""

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
from ticket_events_pipeline.storage.raw_footer import read_raw_day, read_raw_footer
from ticket_events_pipeline.storage.sorted_runs import MemoryRun
from ticket_events_pipeline.tables.registry import TABLES
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
"""By hand, some thousands."""

TWICE = 12
"""Requests that a kill may cost."""

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
    """A server per size of page and way to end a stream, all of the same account."""
    worlds = [(limit, end) for limit in (1, 2, 7, 1000) for end in ("present", "absent")]
    running = {
        world: SandboxServer(account, clock=clock, page_limit=world[0], end_of_stream=world[1]).start() for world in worlds
    }
    yield running
    for server in running.values():
        server.stop()


def passing(server, store, stream, days, *, label=""):
    """The days of a pass whose every step is its store's."""
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
            sleep=lambda _: None,  # the 90 s of a standing beat pass at once
        ):
            yield done.day


def mortal_pass(server, root, stream, days, *, steps):
    """Whether the pass lived to its end; what it committed before it died, if it did."""
    committed = []
    try:
        committed.extend(passing(server, MortalStore(root, steps=steps), stream, days))
    except KilledError:
        bury(root)
        return False, committed
    return True, committed


class StandingPass:
    """A pass that stands still somewhere, or has ended before it came so far."""

    def __init__(self, server, root, stream, days, *, steps):
        self.store = HaltingStore(root, steps=steps)
        self.committed, self.error = [], None
        self._root, self._stream, self._days = root, stream, days
        self._thread = threading.Thread(target=self._run, args=(server, stream))
        self._thread.start()
        while self._thread.is_alive() and not self.store.stands_still.wait(0.001):
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
            for day in passing(server, self.store, stream, self._days, label=str(id(self))):
                self.committed.append(day)
        except TicketEventsError as error:
            self.error = error

    def go_on(self):
        """Where others have taken over, and have ended, it changes nothing any more, and says why."""
        before, is_taken_over = contents(self._root), self.is_taken_over()
        self.store.may_go_on.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if is_taken_over:
            assert contents(self._root) == before
            assert self.had_committed == self._days or isinstance(self.error, DaysHeldError)


def contents(root):
    """Of every finished file, but for who holds what."""
    paths = [path for path in root.rglob("*.*") if not {"passes", "half_written"}.intersection(path.parts)]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def passed(source, store, days):
    """A whole pass along the metric events."""
    owner = ownership_of(DAY)
    return list(fetch_days(source, store, stream=STREAMS[METRIC], days=days, ownership=owner, clock=clock, log=lambda _: None))


def requests_of(server, stream, days):
    """Of an undisturbed pass into an empty folder."""
    before = len(server.requests)
    with tempfile.TemporaryDirectory() as folder:
        assert mortal_pass(server, Path(folder), stream, days, steps=1_000_000)[0]
    return len(server.requests) - before


def values(root, stream, day):
    table = read_partition(FolderStore(root), stream, day, columns=["id", "deleted"])
    return {row["id"]: row["deleted"] for row in table.to_pylist()}


@given(streams(), st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_a_range_is_exact_whatever_kills_it_and_whatever_fails(servers, drawn, stream, data):
    timezone, rows = drawn
    server = servers[data.draw(st.sampled_from(sorted(servers)))]
    server.unscript()  # an example that is given up in the middle leaves its faults behind
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
        deaths, stood, lived, standing = 0, 0, False, []
        while not lived:
            steps = 1_000_000 if deaths >= 4 else data.draw(st.integers(0, 60))
            if steps >= 2 and data.draw(st.booleans()):  # less, and it has no lease yet
                stopped = StandingPass(server, root, stream, days, steps=steps)
                lived, committed = stopped.has_ended, stopped.committed
                standing.append(stopped)
                stood += 1
            else:
                lived, committed = mortal_pass(server, root, stream, days, steps=steps)
                for stopped in [one for one in standing if one.is_taken_over() and data.draw(st.booleans())]:
                    stopped.go_on()
                    standing.remove(stopped)
            # Dead only as it let its lease go: it had ended, and the same question again would be a new one.
            lived = lived or (committed == days and not segments(root))
            deaths += not lived
            for day in days:
                footer = read_raw_footer(FolderStore(root), stream, day)
                if footer is not None and footer.complete:
                    assert stored_ids(root, stream, day) == expected[day]
        assert committed == days
        for stopped in [one for one in standing if one.is_taken_over()]:
            stopped.go_on()
            standing.remove(stopped)
        for day in days:
            assert stored_ids(root, stream, day) == [
                number for number in expected[day] if number in stored_ids(root, stream, day)
            ]
            footer = read_raw_footer(FolderStore(root), stream, day)
            if footer.complete:
                assert stored_ids(root, stream, day) == expected[day]
        met = faults[: len(faults) - len(server.unscript())]
        made = len(server.requests) - before
        assert made <= undisturbed + TWICE * (deaths + stood) + sum(fault is not None for fault in met)
        left = FolderStore(root).paths("_inflight/segments") + FolderStore(root).paths("_inflight/half_written")
        assert left == []
        for stopped in standing:  # at the end of all that it did, or before it had a lease
            stopped.go_on()


@given(streams(), st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=EXAMPLES)
def test_days_that_are_read_while_they_last_end_exact_with_kills_flips_and_late_rows(servers, drawn, stream, data):
    timezone, rows = drawn
    server = servers[data.draw(st.sampled_from(sorted(servers)))]
    first = Day.parse(FIRST, timezone)
    days = days_between(first, first.plus(DAYS - 1))
    moments = sorted(data.draw(st.lists(st.integers(first.start + 100, days[-1].end), min_size=1, max_size=4)))
    rows = rows + [metric_event(1000 + number, moment - 100) for number, moment in enumerate(moments)]
    flips = {row["id"]: data.draw(st.sampled_from(moments)) for row in rows if "child_events" not in row and row["id"] % 3 == 0}

    def told():
        """What has happened is told with a delay of less than the lag; what is dated ahead at once; some is withdrawn."""
        visible = [row for row in rows if not 0 <= clock.now - row_time(row) < row["id"] * 37 % LAG[stream]]
        return [{**row, "deleted": flips[row["id"]] <= clock.now} if row["id"] in flips else row for row in visible]

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # A killed pass is gone on from later, when more is told; only the last two are asked for again until they end well.
        # The very last is a restatement: nothing re-announces a row that was withdrawn behind what has been read.
        whole, restated = days[-1].end + LAG[stream] + 61, days[-1].end + 100_000
        for moment in [*moments, whole, restated]:
            clock.now = moment
            account.clear(stream)
            account.deliver(stream, told())
            for steps in (data.draw(st.integers(0, 60)), *((30, 1_000_000) if moment in (whole, restated) else ())):
                lived, _ = mortal_pass(server, root, stream, days, steps=steps)
                if lived:
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
    """That many metric events, one every ten seconds of the day."""
    return [
        {**metric_event(number, DAY.start + number * 10), "type": "breach", "deleted": False} for number in range(1, count + 1)
    ]


@pytest.fixture
def big_day():
    """A day of 30 pages, and its server."""
    clock.now = DAY.end + 5000
    with SandboxServer(RecordedAccount({METRIC: many_rows(300)}), clock=clock, page_limit=11) as server:
        yield server


def killed_half_way(server, root, *, pages=25):
    """Leaves a journal of the day behind, and the requests that were made."""
    before = len(server.requests)
    with client_at(server.base_url, clock=clock) as client:
        store = MortalStore(root, steps=1_000_000)

        class Source:
            def pages(self, stream, start_time):
                for number, walked in enumerate(client.pages(stream, start_time)):
                    if number == pages:
                        store._steps = 0
                    store.step()
                    yield walked

        with pytest.raises(KilledError):
            passed(Source(), store, [DAY])
    bury(root)
    return len(server.requests) - before


def segments(root):
    return sorted((root / "_inflight" / "segments").rglob("*.parquet"))


def again(server, root, *, first=str(DAY), last=str(DAY), **rest):
    """The requests of the same question asked again, which ends exact, and what it logged."""
    before, log = len(server.requests), []
    fetch(server, root, METRIC, first, last, clock=clock, log=log.append, **rest)
    assert stored_ids(root, METRIC, DAY) == list(range(1, 301))
    assert segments(root) == []
    return len(server.requests) - before, "\n".join(log)


def test_a_killed_pass_is_gone_on_from_its_newest_segment(big_day, tmp_path):
    assert killed_half_way(big_day, tmp_path) == 26
    # What a page repeats of the one before is kept once in a segment, and nothing stands in two but for that.
    assert [pq.read_metadata(segment).num_rows for segment in segments(tmp_path)] == [10 * PAGES_PER_JOURNAL_FILE + 1] * 2
    made, log = again(big_day, tmp_path)
    assert made <= 30 - 2 * PAGES_PER_JOURNAL_FILE + 2
    assert "resuming where a fetch stopped" in log


class Stuck(FolderStore):
    """Its first segment is never written, until `may_write` is set."""

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


def test_no_more_requests_are_made_than_a_kill_may_cost_however_long_a_segment_takes(big_day, tmp_path):
    store, before = Stuck(tmp_path), len(big_day.requests)
    with client_at(big_day.base_url, clock=clock) as client:
        reader = threading.Thread(target=passed, args=(client, store, [DAY]))
        reader.start()
        assert store.is_writing.wait(30)
        reader.join(0.5)  # as many requests as it makes by itself
        made = len(big_day.requests) - before
        store.may_write.set()
        reader.join(30)
    assert PAGES_PER_JOURNAL_FILE < made <= TWICE
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))


def test_a_torn_segment_is_not_trusted_and_the_one_before_it_is_gone_on_from(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    newest = segments(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    made, _ = again(big_day, tmp_path)
    assert 30 - PAGES_PER_JOURNAL_FILE <= made <= 30 - PAGES_PER_JOURNAL_FILE + 2


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_flipped_byte_anywhere_in_a_segment_is_noticed_or_harmless(big_day, tmp_path, share):
    killed_half_way(big_day, tmp_path)
    oldest = segments(tmp_path)[0]
    content = bytearray(oldest.read_bytes())
    content[int(len(content) * share)] ^= 0x55
    oldest.write_bytes(content)
    again(big_day, tmp_path)


def test_a_lost_segment_is_noticed(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    segments(tmp_path)[0].unlink()
    made, _ = again(big_day, tmp_path)
    assert made == 30


def test_a_journal_older_than_a_day_is_thrown_away(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    clock.now += 24 * 3600 + 1
    made, log = again(big_day, tmp_path)
    assert made == 30
    assert "too old or damaged" in log


@pytest.mark.parametrize("other", [{"account": "other"}, {"sideload": True}, {"support_type_scope": "all"}])
def test_a_journal_of_somebody_else_is_thrown_away(big_day, tmp_path, other):
    killed_half_way(big_day, tmp_path)
    made, _ = again(big_day, tmp_path, **other)
    assert made == 30


def test_a_question_about_other_days_leaves_the_journal_alone(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    left = segments(tmp_path)
    fetch(big_day, tmp_path, METRIC, "2026-03-01", "2026-03-01", clock=clock)
    assert segments(tmp_path) == left
    assert again(big_day, tmp_path)[0] <= 12


def test_a_range_that_goes_on_further_takes_the_journal_up(big_day, tmp_path):
    killed_half_way(big_day, tmp_path)
    clock.now += 3600
    assert again(big_day, tmp_path, last="2026-03-03")[0] <= 12


def test_rows_that_another_pass_has_read_since_are_not_overwritten_by_older_ones(big_day, tmp_path):
    """The journal of a pass that died is behind the file that another one has written."""
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


def test_a_pass_that_fails_keeps_what_it_read_for_the_next_one(big_day, tmp_path):
    big_day.script(*[None] * 15, json_answer(403, {"error": "Forbidden"}))
    with pytest.raises(ForbiddenError):
        fetch(big_day, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    made, _ = again(big_day, tmp_path)
    assert made <= 30 - 15 + 2
    assert dt.datetime.fromtimestamp(clock.now, dt.UTC).date() > DAY.date


@pytest.mark.parametrize(("room_bytes", "left"), [(3_000, 0), (9_000, 1), (14_000, 2)])
def test_a_full_disk_is_named_and_costs_no_more_than_a_kill(big_day, tmp_path, room_bytes, left):
    """Room for no segment, for one, and for two but not for the day's file."""
    with client_at(big_day.base_url, clock=clock) as client, pytest.raises(UsageError) as failure:
        passed(client, FullFolder(tmp_path, room_bytes=room_bytes), [DAY])
    assert "TICKET_EVENTS_ROOT: can't write below" in str(failure.value)
    assert "No space left on device" in str(failure.value)
    assert len(segments(tmp_path)) == left
    assert FolderStore(tmp_path).paths("_inflight/half_written") == FolderStore(tmp_path).paths(METRIC) == []
    made, _ = again(big_day, tmp_path)
    assert made <= 30 - PAGES_PER_JOURNAL_FILE * left + 2


def test_a_question_about_days_that_the_dead_pass_had_not_come_to_begins_there(big_day, tmp_path):
    """Going on for it would read all that lies between."""
    with client_at(big_day.base_url, clock=clock) as client:
        store = MortalStore(tmp_path, steps=40)
        with pytest.raises(KilledError):
            passed(MortalSource(client, store), store, [DAY.plus(-1), DAY, DAY.plus(1)])
    bury(tmp_path)
    assert segments(tmp_path) != []
    before = len(big_day.requests)
    fetch(big_day, tmp_path, METRIC, str(DAY.plus(1)), str(DAY.plus(1)), clock=clock)
    assert len(big_day.requests) - before == 1


def test_the_segments_of_a_pass_that_lives_are_nobody_elses_affair(big_day, tmp_path):
    """Not even where they look old: it may wait for its quota."""
    with client_at(big_day.base_url, clock=clock) as client:

        class Slow:
            def pages(self, stream, start_time):
                for number, walked in enumerate(client.pages(stream, start_time)):
                    if number == 15:
                        clock.now += 25 * 3600
                        fetch(big_day, tmp_path, METRIC, "2026-03-01", "2026-03-01", clock=clock)
                    yield walked

        passed(Slow(), FolderStore(tmp_path), [DAY])
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))


def test_what_another_pass_goes_on_from_is_not_thrown_away(big_day, tmp_path):
    """It took the dead pass over a moment after this one had looked who is alive."""
    killed_half_way(big_day, tmp_path)
    for segment in segments(tmp_path):
        segment.write_bytes(b"torn")
    dead = segments(tmp_path)[0].parent.name
    other = hold_days(FolderStore(tmp_path), METRIC, [DAY.plus(9)], label="", log=lambda _: None)

    class Meanwhile(FolderStore):
        def paths(self, prefix):
            if prefix.startswith("_inflight/segments"):
                other.take_over(dead)
            return super().paths(prefix)

    with client_at(big_day.base_url, clock=clock) as client:
        passed(client, Meanwhile(tmp_path), [DAY])
    assert len([segment for segment in segments(tmp_path) if segment.parent.name == dead]) == 2
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))
    other.release()


class NoRoomForDays(FolderStore):
    """Takes segments, but not a day."""

    def writer(self, path, **fence):
        if path.startswith(METRIC):
            raise UsageError("TICKET_EVENTS_ROOT: no room for a day")
        return super().writer(path, **fence)


def test_a_day_that_can_not_be_written_is_not_read_again(big_day, tmp_path):
    with client_at(big_day.base_url, clock=clock) as client, pytest.raises(UsageError, match="no room for a day"):
        passed(client, NoRoomForDays(tmp_path), [DAY])
    assert again(big_day, tmp_path)[0] <= 2


def test_a_segment_that_says_what_was_not_written_is_not_believed(big_day, tmp_path):
    """One digit of how far the pass had come."""
    killed_half_way(big_day, tmp_path)
    newest = segments(tmp_path)[-1]
    content = newest.read_bytes()
    at = content.index(b'"next_start_time": 17') + len(b'"next_start_time": 177241')
    assert content[at : at + 1] != b"9"
    newest.write_bytes(content[:at] + b"9" + content[at + 1 :])
    made, _ = again(big_day, tmp_path)
    assert 20 <= made <= 22


def test_what_a_segment_with_a_flipped_byte_is_believed_is_what_was_put(tmp_path):
    rows = MemoryRun(decode_rows(METRIC, many_rows(200)).table).rows

    def journal():
        return Journal(FolderStore(tmp_path), METRIC, ownership_of(DAY), fetch_id="dead")

    journal().save(FetchState(DAY, DAY, DAY.start, server_time=DAY.end, days={DAY: DayInProgress(deliveries=[rows])}))
    (path,) = segments(tmp_path)
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


def test_an_open_day_whose_rows_are_not_what_its_footer_says_is_read_anew(tmp_path):
    clock.now = DAY.start + 12 * 3600
    told = RecordedAccount({METRIC: many_rows(300)})
    with SandboxServer(told, clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        table, footer = read_raw_day(FolderStore(tmp_path), METRIC, DAY, TABLES[METRIC].schema.names)
        write_partition(FolderStore(tmp_path), METRIC, DAY, table.slice(1), footer.to_metadata())
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 301))


def test_another_days_open_file_is_not_gone_on_from(tmp_path):
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
    """Dies when everything is written, and the first thing is to be cleaned up."""

    def delete(self, *_, **__):
        self._steps = 0
        self.step()


def test_a_day_that_was_still_open_when_its_pass_died_is_read_on(tmp_path):
    clock.now = DAY.start + 12 * 3600
    told = RecordedAccount({METRIC: many_rows(300)})
    with SandboxServer(told, clock=clock, page_limit=11) as server:
        with client_at(server.base_url, clock=clock) as client, pytest.raises(KilledError):
            passed(client, DiesAtTheEnd(tmp_path, steps=1_000_000), [DAY])
        bury(tmp_path)
        assert not read_raw_footer(FolderStore(tmp_path), METRIC, DAY).complete
        assert len(segments(tmp_path)) == 30 // PAGES_PER_JOURNAL_FILE
        clock.now += 3600
        told.deliver(METRIC, [metric_event(301, clock.now - 1000)])
        before = len(server.requests)
        (done,) = fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 302))
        assert not done.footer.complete
        assert len(server.requests) - before <= 4


def test_rows_behind_the_range_of_a_pass_are_not_lost_to_a_longer_one(tmp_path):
    """The pass had read into the next day, whose rows were not its affair, when it ended half-way."""
    clock.now = DAY.end + 90_000
    rows = [metric_event(number, DAY.end - 2000 + number * 10) for number in range(1, 400)]
    with SandboxServer(RecordedAccount({METRIC: rows}), clock=clock, page_limit=11) as server:
        server.script(*[None] * 22, json_answer(403, {"error": "Forbidden"}))
        with pytest.raises(ForbiddenError):
            fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert segments(tmp_path) != []
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY.plus(1)), clock=clock)
    assert stored_ids(tmp_path, METRIC, DAY) == list(range(1, 200))
    assert stored_ids(tmp_path, METRIC, DAY.plus(1)) == list(range(200, 400))


def test_rows_told_late_while_nobody_read_are_found_by_who_goes_on(tmp_path):
    """The pass had come closer to now than rows may be late when it ended."""
    clock.now = noon = DAY.start + 12 * 3600
    told = RecordedAccount({METRIC: [metric_event(number, noon - 3000 + number * 10) for number in range(1, 291)]})
    with SandboxServer(told, clock=clock, page_limit=11) as server:
        server.script(*[None] * 28, json_answer(403, {"error": "Forbidden"}))
        with pytest.raises(ForbiddenError):
            fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        told.deliver(METRIC, [metric_event(1000, noon - 250)])
        clock.now += 400
        before = len(server.requests)
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        assert len(server.requests) - before <= 4
    assert sorted(stored_ids(tmp_path, METRIC, DAY)) == [*range(1, 291), 1000]


def test_of_two_segments_of_one_number_the_one_that_has_come_further_is_gone_on_from(tmp_path):
    """An heir's, and the late one of the process which it took over in that moment."""
    store = FolderStore(tmp_path)
    for number, come_to in enumerate([2000, 3000, 1000]):
        journal = Journal(store, METRIC, ownership_of(DAY), fetch_id="dead")
        rows = decode_rows(METRIC, many_rows(10 + number)).table
        journal.save(
            FetchState(DAY, DAY, DAY.start, come_to, server_time=DAY.end, days={DAY: DayInProgress(deliveries=[rows])})
        )
    heir = Journal(store, METRIC, ownership_of(DAY), fetch_id="dead")
    states = list(heir.states("UTC"))
    assert [state.next_start_time for state in states] == [3000, 2000, 1000]
    assert all(heir.holds(state) for state in states)
    heir.save(states[0])
    assert [segment.name[:7] for segment in segments(tmp_path)] == ["000001-", "000002-"]  # what the newest needs


def test_a_pass_does_not_touch_the_segments_that_its_heir_has_put(tmp_path):
    """Not even those of the same number, when it goes on."""
    store = FolderStore(tmp_path)
    first, heir = (Journal(store, METRIC, ownership_of(DAY), fetch_id="dead") for _ in range(2))
    for journal in (first, heir, heir):
        rows = decode_rows(METRIC, many_rows(10)).table
        journal.save(FetchState(DAY, DAY, DAY.start, 1000, server_time=DAY.end, days={DAY: DayInProgress(deliveries=[rows])}))
    stand = [(path, path.read_bytes()) for path in segments(tmp_path)[1:]]
    first.save(FetchState(DAY, DAY, DAY.start, 1000, server_time=DAY.end, days={}))
    assert {path: path.read_bytes() for path in segments(tmp_path)}.items() >= dict(stand).items()
