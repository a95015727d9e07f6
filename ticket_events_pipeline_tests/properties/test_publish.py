"""Whatever happens to the stored days, and whenever a publish is killed, the table becomes what a dictionary of days says."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.fault_injection import KilledError
from ticket_events_pipeline_tests.support.published import Lakehouse, in_order, made_up, put_day

ASSET = "daily_ticket_durations"
DAYS = [Day.parse("2026-03-02").plus(number) for number in range(4)]

days = st.sampled_from(DAYS)
steps = st.one_of(
    st.tuples(st.just("put"), days, st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("remove"), days),
    st.tuples(st.just("publish")),
    st.tuples(st.just("killed"), st.integers(0, 8)),
)


class MortalReader(FolderStore):
    """Dies when a file is opened for the `reads`-th time."""

    def __init__(self, root, *, reads):
        super().__init__(root)
        self._reads = reads

    def reader(self, path):
        if self._reads == 0:
            raise KilledError
        self._reads -= 1
        return super().reader(path)


def follow(lakehouse, history):
    """Do the steps, and compare after each whole publish."""
    stored, commits = {}, 0
    for step, *details in [*history, ("put", DAYS[0], 1, 9), ("publish",)]:
        if step == "put":
            day, count, seed = details
            rows = made_up(ASSET, count, seed=seed)
            put_day(lakehouse.root, ASSET, day, rows)
            stored[day] = [{"date": day.date, **row} for row in rows.to_pylist()]
        elif step == "remove":
            lakehouse.file(ASSET, details[0]).unlink(missing_ok=True)
            stored.pop(details[0], None)
        elif step == "killed":
            with suppress(KilledError):
                lakehouse.publish(ASSET, store=MortalReader(lakehouse.root, reads=details[0]))
        elif stored:
            made = lakehouse.publish(ASSET)[0]
            assert made.problems == []
            assert lakehouse.published(ASSET) == in_order([row for rows in stored.values() for row in rows])
            now = len(lakehouse.commits(ASSET))
            assert lakehouse.publish(ASSET)[0].days.total() == 0
            assert len(lakehouse.commits(ASSET)) == now >= commits
            commits = now


@given(st.lists(steps, max_size=10))
@settings(max_examples=25)
def test_a_delta_table_becomes_the_stored_days(history):
    with tempfile.TemporaryDirectory() as folder:
        follow(Lakehouse("delta", Path(folder)), history)


@pytest.mark.slow
@given(st.lists(steps, max_size=8))
@settings(max_examples=15)
def test_an_iceberg_table_becomes_the_stored_days(history):
    with tempfile.TemporaryDirectory() as folder:
        follow(Lakehouse("iceberg", Path(folder)), history)
