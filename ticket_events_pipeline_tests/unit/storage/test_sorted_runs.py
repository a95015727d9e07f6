"""Runs of any size, in memory and in files, merge to every event once, as it was last delivered."""

import datetime as dt
from contextlib import contextmanager

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage import sorted_runs
from ticket_events_pipeline.storage.content_hash import ContentHash, content_hash
from ticket_events_pipeline.storage.decode import decode_rows
from ticket_events_pipeline.storage.sorted_runs import FileRun, Keys, MemoryRun, Merge
from ticket_events_pipeline.storage.stored_file import StoredFile

DAY = Day.parse("2026-03-02")
METRIC, EVENTS = "ticket_metric_events", "ticket_events"

# Few ids and seconds: events come again, in other shapes and at other times.
deliveries = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=30)


def delivered(stream, drawn):
    """The rows as sent, and what a dict keeps of them."""
    rows, kept = [], {}
    for number, second, deleted, is_audit in drawn:
        time = DAY.start + second
        if is_audit and stream == EVENTS:
            rows.append({"id": number, "timestamp": time, "child_events": [deleted]})
        else:
            moment = dt.datetime.fromtimestamp(time, dt.UTC).isoformat()
            rows.append({"id": number, "metric": "m", "instance_id": 1, "type": "breach", "time": moment, "deleted": deleted})
        kept[number, "child_events" in rows[-1]] = (second, number, deleted)
    return decode_rows(stream, rows).table, kept


def told(table):
    return [
        (row["time"].second, row["id"], row["deleted"] if row["metric"] else row["child_events"] == "[true]")
        for row in table.to_pylist()
    ]


@contextmanager
def as_stored(path):
    with pq.ParquetFile(path) as file:
        yield StoredFile(file, str(path), None, advice="")


def as_file(folder, number, run, row_group_size):
    path = folder / f"{number}.parquet"
    pq.write_table(run.rows, path, row_group_size=row_group_size)
    return FileRun(lambda: as_stored(path), size_bytes=run.size_bytes)


@given(st.lists(deliveries, max_size=5), st.sampled_from([METRIC, EVENTS]), st.data())
def test_every_event_is_kept_once_as_it_was_last_delivered(tmp_path_factory, pages, stream, data):
    """Against a dict; in `ticket_events` an audit and a metric event of one number are two events."""
    folder = tmp_path_factory.mktemp("runs")
    runs, truth, replaced = [], {}, 0
    for number, drawn in enumerate(pages):
        table, kept = delivered(stream, drawn)
        run = MemoryRun(table)
        assert run.keys().are_sorted_and_unique()
        replaced += run.replaced
        runs.append(as_file(folder, number, run, data.draw(st.integers(1, 9))) if data.draw(st.booleans()) else run)
        truth |= kept
    merge = Merge(runs)
    rows = [row for table in merge.chunks() for row in told(table)]
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    assert sorted(rows) == sorted(truth.values())
    assert merge.rows == len(truth)
    assert replaced + merge.replaced == sum(len(drawn) for drawn in pages) - len(truth)


@given(deliveries, deliveries, st.integers(0, 4), st.integers(0, 4))
def test_a_row_of_the_first_run_is_gone_where_the_others_tell_everything_and_not_it(first, second, start, end):
    (one, before), (other, after) = delivered(METRIC, first), delivered(METRIC, second)
    merge = Merge([MemoryRun(one), MemoryRun(other)], reread_span_ms=((DAY.start + start) * 1000, (DAY.start + end) * 1000))
    stays = {key: row for key, row in before.items() if not start <= row[0] < end}
    assert sorted(row for table in merge.chunks() for row in told(table)) == sorted((stays | after).values())


def test_large_runs_come_in_chunks_that_hash_like_the_whole(tmp_path, monkeypatch):
    """Runs that overlap row by row, and chunks that end anywhere."""
    rows = [(number, number % 60, number % 3 == 0, number % 2 == 0) for number in range(5000)]
    runs = [MemoryRun(delivered(EVENTS, rows[start::3])[0]) for start in range(3)]
    whole = MemoryRun(delivered(EVENTS, rows)[0])
    monkeypatch.setattr(sorted_runs, "BYTES_PER_CHUNK", whole.size_bytes // 40)
    chunks = list(Merge([as_file(tmp_path, number, run, 700) for number, run in enumerate(runs)]).chunks())
    assert 40 <= len(chunks) <= 43
    running = ContentHash(whole.rows.schema)
    for chunk in chunks:
        for batch in chunk.to_batches():
            running.update(batch)
    assert running.hexdigest() == content_hash(whole.rows)


def test_unsorted_or_doubled_keys_are_no_run():
    table, _ = delivered(METRIC, [(1, 0, True, False), (2, 1, True, False)])
    assert Keys.of(table).are_sorted_and_unique()
    assert not Keys.of(table.take([1, 0])).are_sorted_and_unique()
    assert not Keys.of(table.take([0, 0])).are_sorted_and_unique()
    assert Keys.end_to_end([]).are_sorted_and_unique()
